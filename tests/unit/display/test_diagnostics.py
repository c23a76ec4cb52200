
import json
import re
import subprocess
import sys
import time

from vardsl.display.ansi import ANSI, Style
from vardsl.display.diagnostics import aligned_shapes, draw, draw_short, to_json
from vardsl.errors import (
    Error,
    Frame,
    GradError,
    IoError,
    Label,
    LimitError,
    ManyErrors,
    ScriptIndexError,
    ScriptNameError,
    ScriptSyntaxError,
    ScriptTypeError,
    ScriptValueError,
    ShapeError,
    Warning_,
)
from vardsl.source import Source, Span

TRAIN = Source("train.vd", "let x = ones(2, 3)\nlet w = ones(4, 2)\nout = x @ w\nbackward out\n")


def at(source, piece, text="", primary=True):
    """A label on the only place where the piece stands."""
    assert source.text.count(piece) == 1
    start = source.text.index(piece)
    return Label(source, Span(start, start + len(piece)), text, primary)


def cause(source, piece, text=""):
    return at(source, piece, text, primary=False)


def drawn(error, **style):
    """The drawing between two line breaks, as the tests write it."""
    return "\n" + draw(error, style=Style(**style)) + "\n"


def test_the_sample_of_the_language_page():
    error = ShapeError(
        "cannot multiply [2, 3] by [4, 2] with @: inner sizes 3 and 4 differ",
        torch="mat1 and mat2 shapes cannot be multiplied (2x3 and 4x2)",
        operands=[("x", "[2, 3]"), ("w", "[4, 2]")],
        labels=[at(TRAIN, "x @ w")],
    )
    assert (
        drawn(error)
        == """
error[shape]: cannot multiply [2, 3] by [4, 2] with @: inner sizes 3 and 4 differ
 --> train.vd:3:7
  |
3 | out = x @ w
  |       ^^^^^ x is [2, 3], w is [4, 2]
  = note: PyTorch: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x2)
"""
    )


def test_a_label_of_its_own_hides_the_operands():
    error = ShapeError("no", operands=[("x", "[2]")], labels=[at(TRAIN, "x @ w", "here")])
    assert (
        drawn(error)
        == """
error[shape]: no
 --> train.vd:3:7
  |
3 | out = x @ w
  |       ^^^^^ here
"""
    )


def test_without_a_place_only_words():
    error = LimitError("too much memory", hint="raise --max-memory", notes=["the limit is 200 MB"])
    assert (
        drawn(error)
        == """
error[limit]: too much memory
  = note: the limit is 200 MB
  = help: raise --max-memory
"""
    )


def test_a_single_sentence():
    error = Error("broken")
    assert (
        drawn(error)
        == """
error[internal]: broken
"""
    )


def test_the_cause_is_labelled_too():
    source = Source("fit.vd", "let x = ones(2, 3)\nlet b = var zeros(4) grad\n\n\nout = x + b\n")
    error = ShapeError(
        "cannot add x and b: [2, 3] and [4] do not broadcast",
        torch="The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1",
        operands=[("x", "[2, 3]"), ("b", "[4]")],
        hint="b needs 3 elements to match the last dimension of x",
        labels=[at(source, "x + b"), cause(source, "zeros(4)", "b became [4] here")],
    )
    assert (
        drawn(error)
        == """
error[shape]: cannot add x and b: [2, 3] and [4] do not broadcast
 --> fit.vd:5:7
  |
2 | let b = var zeros(4) grad
  |             -------- b became [4] here
5 | out = x + b
  |       ^^^^^ x is [2, 3], b is [4]
  = note: PyTorch: The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1
  = note: x  [2, 3]
          b     [4]
                 ^ 3 and 4 differ and neither is 1
  = help: b needs 3 elements to match the last dimension of x
"""
    )


def test_the_cause_may_stand_below():
    source = Source("a.vd", "f(1)\nfn f(x, y) = x\n")
    error = ScriptTypeError(
        "f takes 2 arguments, not 1", labels=[at(source, "f(1)"), cause(source, "f(x, y)", "defined here")]
    )
    assert (
        drawn(error)
        == """
error[type]: f takes 2 arguments, not 1
 --> a.vd:1:1
  |
1 | f(1)
  | ^^^^
2 | fn f(x, y) = x
  |    ------- defined here
"""
    )


def test_two_labels_on_one_line():
    source = Source("a.vd", "out = left + right\n")
    error = ShapeError(
        "no", labels=[at(source, "right", "this is [4]"), cause(source, "left", "this is [3]")]
    )
    assert (
        drawn(error)
        == """
error[shape]: no
 --> a.vd:1:14
  |
1 | out = left + right
  |       ----   ^^^^^ this is [4]
  |       |
  |       this is [3]
"""
    )


def test_three_labels_on_one_line():
    source = Source("a.vd", "out = where(mask, left, right)\n")
    error = ShapeError(
        "no",
        labels=[at(source, "left", "[3]"), cause(source, "mask", "[2]"), cause(source, "right", "[4]")],
    )
    assert (
        drawn(error)
        == """
error[shape]: no
 --> a.vd:1:19
  |
1 | out = where(mask, left, right)
  |             ----  ^^^^  ----- [4]
  |             |     |
  |             |     [3]
  |             [2]
"""
    )


def test_a_cause_within_the_place():
    error = ShapeError("no", labels=[at(TRAIN, "x @ w", "all of it"), cause(TRAIN, "@ w", "this part")])
    assert (
        drawn(error)
        == """
error[shape]: no
 --> train.vd:3:7
  |
3 | out = x @ w
  |       ^^--- this part
  |       |
  |       all of it
"""
    )


def test_a_place_within_the_cause():
    error = ShapeError("no", labels=[at(TRAIN, "@", "here"), cause(TRAIN, "x @ w", "in this")])
    assert (
        drawn(error)
        == """
error[shape]: no
 --> train.vd:3:9
  |
3 | out = x @ w
  |       --^-- here
  |       |
  |       in this
"""
    )


def test_a_cause_without_words():
    error = ShapeError("no", labels=[at(TRAIN, "x @ w", "here"), cause(TRAIN, "out =")])
    assert (
        drawn(error)
        == """
error[shape]: no
 --> train.vd:3:7
  |
3 | out = x @ w
  | ----- ^^^^^ here
"""
    )


def test_line_numbers_share_one_gutter():
    source = Source("a.vd", "let a = 1\n" + "\n" * 98 + "b + nope\n")
    error = ScriptNameError(
        "unknown name", labels=[at(source, "nope"), cause(source, "a = 1", "this")], hint="try a"
    )
    assert (
        drawn(error)
        == """
error[name]: unknown name
   --> a.vd:100:5
    |
  1 | let a = 1
    |     ----- this
100 | b + nope
    |     ^^^^
    = help: try a
"""
    )


def test_backward_shows_two_snippets_of_one_file():
    error = GradError(
        "backward through the graph a second time",
        torch="Trying to backward through the graph a second time",
        labels=[at(TRAIN, "backward out", "this pass"), at(TRAIN, "x @ w", "this node was freed")],
    )
    assert (
        drawn(error)
        == """
error[grad]: backward through the graph a second time
 --> train.vd:4:1
  |
4 | backward out
  | ^^^^^^^^^^^^ this pass
 ::: train.vd:3:7
  |
3 | out = x @ w
  |       ^^^^^ this node was freed
  = note: PyTorch: Trying to backward through the graph a second time
"""
    )


def test_backward_shows_two_snippets_of_two_inputs():
    first, second = Source("<input 1>", "y = x * x"), Source("<input 12>", "backward y")
    error = GradError("freed", labels=[at(second, "backward y"), at(first, "x * x", "the product")])
    assert (
        drawn(error)
        == """
error[grad]: freed
 --> <input 12>:1:1
  |
1 | backward y
  | ^^^^^^^^^^
 ::: <input 1>:1:5
  |
1 | y = x * x
  |     ^^^^^ the product
"""
    )


def test_causes_in_another_file():
    library = Source("lib.vd", "fn scale(a, by) = a * by\n")
    error = ScriptTypeError(
        "by is missing",
        labels=[
            at(TRAIN, "ones(4, 2)"),
            cause(library, "scale(a, by)", "defined here"),
            cause(library, "a * by", "used here"),
        ],
    )
    assert (
        drawn(error)
        == """
error[type]: by is missing
 --> train.vd:2:9
  |
2 | let w = ones(4, 2)
  |         ^^^^^^^^^^
 ::: lib.vd:1:4
  |
1 | fn scale(a, by) = a * by
  |    ------------   ------ used here
  |    |
  |    defined here
"""
    )


def test_two_places_on_one_line_share_it():
    error = GradError("no", labels=[at(TRAIN, "w\n", "one"), at(TRAIN, "x @", "two")])
    assert (
        drawn(error)
        == """
error[grad]: no
 --> train.vd:3:11
  |
3 | out = x @ w
  |       ^^^ ^ one
  |       |
  |       two
"""
    )


def test_the_end_of_the_text():
    source = Source("a.vd", "let x = (1 +")
    error = ScriptSyntaxError("a value is missing", labels=[Label(source, Span(12, 12))])
    assert (
        drawn(error)
        == """
error[syntax]: a value is missing
 --> a.vd:1:13
  |
1 | let x = (1 +
  |             ^
"""
    )


def test_the_end_after_a_newline():
    source = Source("a.vd", "let x = 1\n")
    error = ScriptSyntaxError("more was expected", labels=[Label(source, Span(10, 10), "here")])
    assert (
        drawn(error)
        == """
error[syntax]: more was expected
 --> a.vd:2:1
  |
2 |
  | ^ here
"""
    )


def test_an_empty_text():
    error = ScriptSyntaxError("nothing", labels=[Label(Source("a.vd", ""), Span(0, 0))])
    assert (
        drawn(error)
        == """
error[syntax]: nothing
 --> a.vd:1:1
  |
1 |
  | ^
"""
    )


def test_several_lines_are_marked_on_the_first():
    source = Source("a.vd", "let x = cat([\n  a,\n  b\n])\n")
    error = ShapeError("no", labels=[Label(source, Span(8, 24), "this call")])
    assert (
        drawn(error)
        == """
error[shape]: no
 --> a.vd:1:9
  |
1 | let x = cat([
  |         ^^^^^ this call
"""
    )


def test_a_line_break_is_marked_by_one_caret():
    error = ScriptSyntaxError("unexpected end of line", labels=[at(TRAIN, "\nbackward")])
    assert (
        drawn(error)
        == """
error[syntax]: unexpected end of line
 --> train.vd:3:12
  |
3 | out = x @ w
  |            ^
"""
    )


def test_carriage_returns_end_lines():
    source = Source("a.vd", "a = 1\r\nb = 2\rc = nope\r\n")
    error = ScriptNameError("unknown name nope", labels=[at(source, "nope")])
    assert (
        drawn(error)
        == """
error[name]: unknown name nope
 --> a.vd:3:5
  |
3 | c = nope
  |     ^^^^
"""
    )


def test_a_byte_order_mark_has_no_column():
    source = Source("a.vd", "\ufeffnope + 1")
    error = ScriptNameError("unknown name nope", labels=[at(source, "nope")])
    assert (
        drawn(error)
        == """
error[name]: unknown name nope
 --> a.vd:1:1
  |
1 | nope + 1
  | ^^^^
"""
    )


def test_tabs_are_four_wide():
    source = Source("a.vd", "\tx\t= nope\n")
    error = ScriptNameError("unknown name nope", labels=[at(source, "nope")])
    assert (
        drawn(error)
        == """
error[name]: unknown name nope
 --> a.vd:1:6
  |
1 |     x    = nope
  |            ^^^^
"""
    )


def test_a_marked_tab():
    source = Source("a.vd", "x\t= 1\n")
    error = ScriptSyntaxError("no", labels=[at(source, "\t")])
    assert (
        drawn(error)
        == """
error[syntax]: no
 --> a.vd:1:2
  |
1 | x    = 1
  |  ^^^^
"""
    )


def test_wide_characters_take_two_cells():
    source = Source("a.vd", "学习率 = 0.1 + nmae\n")
    error = ScriptNameError("unknown name nmae", labels=[at(source, "nmae")], hint="did you mean name?")
    assert (
        drawn(error)
        == """
error[name]: unknown name nmae
 --> a.vd:1:13
  |
1 | 学习率 = 0.1 + nmae
  |                ^^^^
  = help: did you mean name?
"""
    )


def test_marked_wide_characters():
    source = Source("a.vd", "y = 学习率 + 1\n")
    error = ScriptNameError("unknown name", labels=[at(source, "学习率", "this one")])
    assert (
        drawn(error)
        == """
error[name]: unknown name
 --> a.vd:1:5
  |
1 | y = 学习率 + 1
  |     ^^^^^^ this one
"""
    )


def test_combining_characters_take_none():
    source = Source("a.vd", "e\u0301 = nope\n")
    error = ScriptNameError("unknown name", labels=[at(source, "nope")])
    assert (
        drawn(error)
        == """
error[name]: unknown name
 --> a.vd:1:6
  |
1 | é = nope
  |     ^^^^
"""
    )


def test_control_characters_are_visible():
    source = Source("a\x1b[2J.vd", "x = \x1b[31m + nope\n")
    error = ScriptNameError(
        "unknown \x07", labels=[at(source, "nope", "\u202ethis")], hint="\x9bm", notes=["\u200b"]
    )
    assert (
        drawn(error)
        == """
error[name]: unknown \\x07
 --> a\\x1b[2J.vd:1:13
  |
1 | x = \\x1b[31m + nope
  |                ^^^^ \\u202ethis
  = note: \\u200b
  = help: \\x9bm
"""
    )


def test_a_marked_control_character():
    source = Source("a.vd", "x = \u202e1\n")
    error = ScriptSyntaxError("a character that turns the text", labels=[at(source, "\u202e")])
    assert (
        drawn(error)
        == """
error[syntax]: a character that turns the text
 --> a.vd:1:5
  |
1 | x = \\u202e1
  |     ^^^^^^
"""
    )


def test_a_long_line_is_cut_around_the_place():
    source = Source("a.vd", "let v = " + " + ".join(f"x{i}" for i in range(3000)))
    error = ScriptNameError("unknown name x1500", labels=[at(source, "x1500")])
    assert (
        drawn(error)
        == """
error[name]: unknown name x1500
 --> a.vd:1:10899
  |
1 | … x1496 + x1497 + x1498 + x1499 + x1500 + x1501 + x1502 + x1503 + x1504 + x1505 + x1506 + x1507 + x15…
  |                                   ^^^^^
"""
    )


def test_a_long_line_is_cut_at_its_end():
    source = Source("a.vd", "let v = " + " + ".join(f"x{i}" for i in range(3000)))
    error = ScriptNameError("unknown name v", labels=[at(source, "v")])
    assert (
        drawn(error)
        == """
error[name]: unknown name v
 --> a.vd:1:5
  |
1 | let v = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 + x11 + x12 + x13 + x14 + x15 + x16 + …
  |     ^
"""
    )


def test_a_long_line_is_cut_at_its_start():
    source = Source("a.vd", "let v = " + " + ".join(f"x{i}" for i in range(3000)))
    error = ScriptNameError("unknown name x2999", labels=[at(source, "x2999")])
    assert (
        drawn(error)
        == """
error[name]: unknown name x2999
 --> a.vd:1:22891
  |
1 | …2987 + x2988 + x2989 + x2990 + x2991 + x2992 + x2993 + x2994 + x2995 + x2996 + x2997 + x2998 + x2999
  |                                                                                                 ^^^^^
"""
    )


def test_a_long_mark_is_cut():
    source = Source("a.vd", "f(" + "1, " * 500 + "1)")
    error = ScriptTypeError("too many", labels=[Label(source, Span(0, len(source.text)), "all of this")])
    assert (
        drawn(error)
        == """
error[type]: too many
 --> a.vd:1:1
  |
1 | f(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,…
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ all of this
"""
    )


def test_a_long_line_of_wide_characters():
    source = Source("a.vd", "名" * 300 + " + nope + " + "名" * 300)
    error = ScriptNameError("unknown name nope", labels=[at(source, "nope")])
    assert (
        drawn(error)
        == """
error[name]: unknown name nope
 --> a.vd:1:304
  |
1 | …名名名名名名名名名名名名名名名名名名名名名名名名名 + nope + 名名名名名名名名名名名名名名名名名名名名…
  |                                                       ^^^^
"""
    )


def test_a_narrow_window():
    source = Source("a.vd", "let total = first + second + third + fourth\n")
    error = ScriptNameError("unknown name third", labels=[at(source, "third")])
    assert (
        drawn(error, width=20)
        == """
error[name]: unknown name third
 --> a.vd:1:30
  |
1 | …ond + third + fourth
  |        ^^^^^
"""
    )


def test_without_unicode():
    source = Source("a.vd", "let total = first + second + third + fourth\n")
    error = ScriptNameError("unknown name third", labels=[at(source, "third")])
    assert (
        drawn(error, width=20, ascii=True)
        == """
error[name]: unknown name third
 --> a.vd:1:30
  |
1 | ...ond + third + fourth
  |          ^^^^^
"""
    )


def test_calls_that_led_there():
    source = Source("a.vd", "fn f(x) = nope(x)\nfn g(x) = f(2)\ng(3)\n")
    error = ScriptNameError("unknown name nope", labels=[at(source, "nope")])
    error.frames = [Frame("f", source, at(source, "f(2)").span), Frame("g", source, at(source, "g(3)").span)]
    assert (
        drawn(error)
        == """
error[name]: unknown name nope
 --> a.vd:1:11
  |
1 | fn f(x) = nope(x)
  |           ^^^^
  = note: in f, called at a.vd:2:11
          in g, called at a.vd:3:1
"""
    )


def test_a_deep_recursion_is_shortened():
    source = Source("a.vd", "fn f(x) = f(x + 1)\n" + "\n" * 5 + "f(0)\n")
    error = LimitError("calls nest too deep", labels=[at(source, "f(x + 1)")], hint="see --max-depth")
    error.frames = [Frame("f", source, Span(10, 18))] * 999 + [Frame("f", source, at(source, "f(0)").span)]
    assert (
        drawn(error)
        == """
error[limit]: calls nest too deep
 --> a.vd:1:11
  |
1 | fn f(x) = f(x + 1)
  |           ^^^^^^^^
  = note: in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          … 980 more calls
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:1:11
          in f, called at a.vd:7:1
  = help: see --max-depth
"""
    )


def test_twenty_calls_are_shown_in_full():
    error = LimitError("deep")
    error.frames = [Frame("f", TRAIN, Span(i, i)) for i in range(20)]
    assert (
        drawn(error)
        == """
error[limit]: deep
  = note: in f, called at train.vd:1:1
          in f, called at train.vd:1:2
          in f, called at train.vd:1:3
          in f, called at train.vd:1:4
          in f, called at train.vd:1:5
          in f, called at train.vd:1:6
          in f, called at train.vd:1:7
          in f, called at train.vd:1:8
          in f, called at train.vd:1:9
          in f, called at train.vd:1:10
          in f, called at train.vd:1:11
          in f, called at train.vd:1:12
          in f, called at train.vd:1:13
          in f, called at train.vd:1:14
          in f, called at train.vd:1:15
          in f, called at train.vd:1:16
          in f, called at train.vd:1:17
          in f, called at train.vd:1:18
          in f, called at train.vd:1:19
          in f, called at train.vd:2:1
"""
    )


def test_one_call_more_is_one_call():
    error = LimitError("deep")
    error.frames = [Frame("f", TRAIN, Span(i, i)) for i in range(21)]
    assert (
        drawn(error)
        == """
error[limit]: deep
  = note: in f, called at train.vd:1:1
          in f, called at train.vd:1:2
          in f, called at train.vd:1:3
          in f, called at train.vd:1:4
          in f, called at train.vd:1:5
          in f, called at train.vd:1:6
          in f, called at train.vd:1:7
          in f, called at train.vd:1:8
          in f, called at train.vd:1:9
          in f, called at train.vd:1:10
          … 1 more call
          in f, called at train.vd:1:12
          in f, called at train.vd:1:13
          in f, called at train.vd:1:14
          in f, called at train.vd:1:15
          in f, called at train.vd:1:16
          in f, called at train.vd:1:17
          in f, called at train.vd:1:18
          in f, called at train.vd:1:19
          in f, called at train.vd:2:1
          in f, called at train.vd:2:2
"""
    )


def test_several_errors_are_all_drawn():
    error = ManyErrors(
        [
            ScriptNameError("unknown name a", labels=[at(TRAIN, "ones(2, 3)")]),
            ScriptTypeError("no call", labels=[at(TRAIN, "ones(4, 2)")], hint="do not"),
        ]
    )
    assert (
        drawn(error)
        == """
error[name]: unknown name a
 --> train.vd:1:9
  |
1 | let x = ones(2, 3)
  |         ^^^^^^^^^^

error[type]: no call
 --> train.vd:2:9
  |
2 | let w = ones(4, 2)
  |         ^^^^^^^^^^
  = help: do not
"""
    )


def test_a_warning():
    error = Warning_(
        "grad",
        "the .grad of a value that is not a leaf is read",
        hint="call retain_grad() first",
        torch="The .grad attribute of a Tensor that is not a leaf Tensor is being accessed.",
        labels=(at(TRAIN, "x @ w"),),
    )
    assert (
        drawn(error)
        == """
warning[grad]: the .grad of a value that is not a leaf is read
 --> train.vd:3:7
  |
3 | out = x @ w
  |       ^^^^^
  = note: PyTorch: The .grad attribute of a Tensor that is not a leaf Tensor is being accessed.
  = help: call retain_grad() first
"""
    )


def test_notes_of_several_lines_hang():
    error = ScriptIndexError(
        "no", labels=[at(TRAIN, "x @ w")], notes=["one\n  two\n\nthree"], hint="try:\nlet y = x"
    )
    assert (
        drawn(error)
        == """
error[index]: no
 --> train.vd:3:7
  |
3 | out = x @ w
  |       ^^^^^
  = note: one
            two

          three
  = help: try:
          let y = x
"""
    )


def test_a_message_of_two_lines():
    error = ScriptValueError("first\nsecond", labels=[at(TRAIN, "x @ w", "a\nb")])
    assert (
        drawn(error)
        == """
error[value]: first
second
 --> train.vd:3:7
  |
3 | out = x @ w
  |       ^^^^^ a b
"""
    )


def test_sizes_of_several_digits_stand_in_columns():
    error = ShapeError(
        "sizes differ",
        torch="The size of tensor a (128) must match the size of tensor b (64) at non-singleton dimension 0",
        operands=[("images", "[128, 3]"), ("weights.T", "[64, 1] float64")],
    )
    assert (
        drawn(error)
        == """
error[shape]: sizes differ
  = note: PyTorch: The size of tensor a (128) must match the size of tensor b (64) at non-singleton dimension 0
  = note: images     [128, 3]
          weights.T   [64, 1]
                      ^^^ 128 and 64 differ and neither is 1
"""
    )


def test_no_alignment_for_what_are_no_shapes():
    error = ShapeError(
        "sizes differ",
        torch="The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 0",
        operands=[("x", "[3]"), ("y", "a number")],
    )
    assert (
        drawn(error)
        == """
error[shape]: sizes differ
  = note: PyTorch: The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 0
"""
    )


def test_colour_changes_nothing_but_the_colour():
    error = ShapeError(
        "no", torch="No.", hint="h", labels=[at(TRAIN, "@", "here"), cause(TRAIN, "x @ w", "in this")]
    )
    coloured = draw(error, style=ANSI)
    assert "\x1b[1;31merror[shape]\x1b[0m\x1b[1m: no\x1b[0m" in coloured
    assert "\x1b[1;34m--\x1b[0m\x1b[1;31m^\x1b[0m\x1b[1;34m--\x1b[0m \x1b[1;31mhere\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == draw(error)


def test_wcwidth_is_not_needed_for_plain_lines():
    code = (
        "import sys\n"
        "from vardsl.display.diagnostics import draw\n"
        "from vardsl.errors import Error, Label\n"
        "from vardsl.source import Source, Span\n"
        "draw(Error('no', labels=[Label(Source('a', 'x = 1'), Span(0, 1))]))\n"
        "assert 'wcwidth' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_very_long_line_is_drawn_quickly():
    source = Source("a.vd", "x + " * 500_000 + "nope")
    source.position(0)
    error = ScriptNameError("unknown name nope", labels=[at(source, "nope")])
    started = time.perf_counter()
    assert len(draw(error)) < 500
    assert time.perf_counter() - started < 0.5


def test_short_form():
    error = ShapeError("sizes\ndiffer\x07", labels=[at(TRAIN, "x @ w")])
    assert draw_short(error) == "train.vd:3:7: shape: sizes differ\\x07"
    assert draw_short(IoError("no such file")) == "io: no such file"
    assert draw_short(Warning_("grad", "odd")) == "warning[grad]: odd"
    assert draw_short(ManyErrors([error, error])).count("\n") == 1


def test_json_form():
    error = ShapeError(
        "sizes differ",
        torch="Sizes differ.",
        notes=["n"],
        hint="h",
        operands=[("x", "[2]")],
        labels=[at(TRAIN, "x @ w"), Label(TRAIN, Span(8, 27), "two lines", False)],
    )
    error.frames = [Frame("f", TRAIN, Span(4, 5))]
    assert json.loads(json.dumps(to_json(error))) == {
        "severity": "error",
        "kind": "shape",
        "code": "shape",
        "message": "sizes differ",
        "file": "train.vd",
        "line": 3,
        "column": 7,
        "end_line": 3,
        "end_column": 12,
        "labels": [
            {
                "file": "train.vd",
                "line": 3,
                "column": 7,
                "end_line": 3,
                "end_column": 12,
                "text": "x is [2]",
                "primary": True,
            },
            {
                "file": "train.vd",
                "line": 1,
                "column": 9,
                "end_line": 2,
                "end_column": 9,
                "text": "two lines",
                "primary": False,
            },
        ],
        "notes": ["PyTorch: Sizes differ.", "n"],
        "help": "h",
        "calls": [{"name": "f", "file": "train.vd", "line": 1, "column": 5}],
    }


def test_json_form_without_a_place():
    form = to_json(Warning_("grad", "odd"))
    assert (form["severity"], form["file"], form["line"], form["labels"]) == ("warning", None, None, [])


def test_aligned_shapes():
    assert aligned_shapes(["x", "b"], [[2, 3], [4]], 1) == (
        "x  [2, 3]\nb     [4]\n       ^ 3 and 4 differ and neither is 1"
    )
    assert aligned_shapes(["x", "b"], [[2, 3], [4]], -1) == aligned_shapes(["x", "b"], [[2, 3], [4]], 1)
    assert aligned_shapes(["a", "long", "c"], [[8, 1, 6, 1], [7, 1, 5], [10, 5, 4]], 2) == (
        "a     [8,  1, 6, 1]\n"
        "long      [7, 1, 5]\n"
        "c        [10, 5, 4]\n"
        "              ^ 6 and 5 differ and neither is 1"
    )
    assert aligned_shapes(["a", "b", "c"], [[2], [3], [4]], 0).endswith("2, 3 and 4 differ and none is 1")
