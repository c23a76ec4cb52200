"""What is said about a text that is no program: slips, what was expected, brackets, several errors."""

from __future__ import annotations

import pytest

from vardsl.errors import ManyErrors, ScriptSyntaxError
from vardsl.source import Source
from vardsl.syntax.parse import parse

from .reading import accepted, error, errors

# text, column of the error, what the message holds, what the hint holds, a text like it that is right
SLIPS = [
    ("x = a ^ b", 7, "'^' is not the power", "**", "x = a ** b"),
    ("a ^= 2", 3, "'^=' is not an operator", "**=", "a **= 2"),
    ("for i in 1..5 { }", 11, "'..'", "range(1, 5)", "for i in range(1, 5) { }"),
    ("x := 3", 3, "':='", "write =", "x = 3"),
    ("if (n := 3) > 2 { }", 7, "':='", "write =", "n = 3; if n > 2 { }"),
    ("if x = 3 { }", 6, "it does not compare", "==", "if x == 3 { }"),
    ("while x = 3 { }", 9, "it does not compare", "==", "while x == 3 { }"),
    ("assert x = 3", 10, "it does not compare", "==", "assert x == 3"),
    ("y = (x = 3)", 8, "it does not compare", "==", "y = (x == 3)"),
    ("let x == 3", 7, "'==' compares", "write =", "let x = 3"),
    ("y = x'", 6, "does not transpose", "x.T", "y = x.T"),
    ("y = x' * z'", 6, "does not transpose", "x.T", "y = x.T * z.T"),
    ("y = (a + b)'", 12, "does not transpose", ".T", "y = (a + b).T"),
    ("z = a .* b", 7, "'.*'", "element by element", "z = a * b"),
    ("z = a ./ b", 7, "'./'", "element by element", "z = a / b"),
    ("z = a .^ b", 7, "'.^'", "**", "z = a ** b"),
    ("let a = [1 2, 3]", 12, "side by side in this tensor literal", "comma", "let a = [1, 2, 3]"),
    ("fn f(a b) = a", 8, "side by side in the parameters", "comma", "fn f(a, b) = a"),
    ('f"{(a))}"', 7, "')' closes nothing", "take it away", 'f"{(a)}"'),
    ("f(a b)", 5, "side by side in this call", "comma", "f(a, b)"),
    ("[[1, 2] [3, 4]]", 9, "two rows stand side by side", "comma", "[[1, 2], [3, 4]]"),
    ("def f(x): return x", 1, "def", "fn f(x)", "fn f(x) { return x }"),
    ("f = lambda x: x*2", 5, "lambda", "fn(x)", "f = fn(x) = x*2"),
    ("f = lambda: 2", 5, "lambda", "fn(x)", "f = fn() = 2"),
    ("import torch", 8, "in quotes", "built in", 'import "torch.vd"'),
    ("import numpy as np", 8, "in quotes", "built in", 'import "numpy.vd" as np'),
    ("from torch import nn", 1, "from", "import", 'import "nn.vd"'),
    ('import "a" as 3', 15, "expected a name in import", "", 'import "a" as b'),
    ("print（1）", 6, "'（' (U+FF08", "write (", "print(1)"),
    ("f(1，2)", 4, "'，' (U+FF0C", "write ,", "f(1, 2)"),
    ("print 1；", 8, "'；'", "write ;", "print 1;"),
    ("if a：", 5, "'：'", "write :", "if a { }"),
    ("let a = 【1】", 9, "'【'", "write [", "let a = [1]"),
    ("let s = “abc”", 9, "'“'", 'write "', 'let s = "abc"'),
    ("let s = ‘abc’", 9, "'‘'", "write '", "let s = 'abc'"),
    ("let x =\u00a01", 8, "no-break space (U+00A0)", "ordinary space", "let x = 1"),
    ("let x =\u30001", 8, "U+3000", "ordinary space", "let x = 1"),
    ("x = １", 5, "'１'", "write 1", "x = 1"),
    ("x = 3 × 4", 7, "'×'", "write *", "x = 3 * 4"),
    ("x = a − b", 7, "'−'", "write -", "x = a - b"),
    ("if a ≤ b { }", 6, "'≤'", "<=", "if a <= b { }"),
    ("y = x²", 5, "'²' is not a power", "**2", "y = x**2"),
    ("if a && b { }", 6, "'&&'", "and", "if a and b { }"),
    ("x = a || b", 7, "'||'", "or", "x = a or b"),
    ("if !x { }", 4, "'!'", "not", "if not x { }"),
    ("x++", 2, "'++'", "x += 1", "x += 1"),
    ("x--\ny = 1", 2, "'--'", "x -= 1", "x -= 1\ny = 1"),
    ("if x <> 3 { }", 6, "'<>'", "!=", "if x != 3 { }"),
    ("if c:", 5, "':'", "braces", "if c { }"),
    ("for i in x: print i", 11, "':'", "braces", "for i in x { print i }"),
    ("if c { } elif d { }", 10, "elif", "else if", "if c { } else if d { }"),
    ("if c { } elif (d) { }", 10, "elif", "else if", "if c { } else if (d) { }"),
    ("if c { } else: x", 14, "':'", "braces", "if c { } else { x }"),
    ("if c { }\nelse { }", 1, "else", "} else {", "if c { } else { }"),
    ("if c then { }", 6, "then", "braces", "if c { }"),
    ("while x do { }", 9, "do", "braces", "while x { }"),
    ("let if = 1", 5, "'if' is a word of the language", "another name", "let iff = 1"),
    ("print = 3", 1, "'print' is a word of the language", "another name", "printed = 3"),
    ("x = return", 5, "'return' is a word", "", "x = 1"),
    ("let v = var x gradient", 15, "gradient is no dtype", "var x grad", "let v = var x grad"),
    ("let v = var x float3", 15, "float3 is no dtype", "float32", "let v = var x float32"),
    ("let v = var x requires_grad=True", 15, "requires_grad", "var x grad", "let v = var x grad"),
    ("let v = var x grad=True", 15, "grad=", "var x grad", "let v = var x grad"),
    ("let v = var 2 * x grad", 19, "belongs to var", "(a * b) grad", "let v = var (2 * x) grad"),
    ("let l = minimize f over w", 9, "minimize is a statement", "of its own", "minimize f over w"),
    ("x = backward y", 5, "backward is a statement", "of its own", "backward y"),
    ("lett x = 3", 1, "'lett' begins no statement", "let?", "let x = 3"),
    ("bakward out", 1, "'bakward' begins no statement", "backward?", "backward out"),
    ("whlie x { }", 1, "'whlie' begins no statement", "while?", "while x { }"),
    ("retrun 3", 1, "'retrun' begins no statement", "return?", "return 3"),
    ("x = y is none", 7, "is", "==", "x = y == none"),
    ("x = 5 mod 3", 7, "mod", "%", "x = 5 % 3"),
    ("x = 2y", 5, "followed by a name", "2 * y", "x = 2 * y"),
    ("x = 007", 5, "leading zeros", "7", "x = 7"),
    ("x = 3j", 5, "complex", "", "x = 3"),
    ('x = """a"""', 7, "triple quotes", "\\n", 'x = "a"'),
    ('x = "a" "b"', 9, "side by side", "+", 'x = "a" + "b"'),
    ('x = r"a"', 6, "prefix r", "f", 'x = "a"'),
    ('x = "abc', 5, "never closed", '"', 'x = "abc"'),
    ("x = f'abc {y", 5, "never closed", "'", "x = f'abc {y}'"),
    ("x = {1: 2}", 5, "braces", "[1, 2]", "x = (1, 2)"),
    ("// comment", 1, "comment", "#", "# comment"),
    ("@decorator", 1, "decorators", "f = g(f)", "f = g(f)"),
    ("x = a ? b : c", 7, "'?'", "if condition else", "x = b if a else c"),
    ("x = a + \\\n b", 9, "backslash", "operator", "x = a +\n b"),
    ("x: int = 3", 2, "type", "name = value", "x = 3"),
    ("let x += 1", 7, "let", "leave let away", "x += 1"),
    ("let var x = 1", 5, "let takes a name", "let x = var", "let x = var 1.0 grad"),
    ("a = b = 3", 7, "binds once", "two statements", "a = 3; b = 3"),
    ("f(a.b = 3)", 7, "only a name", "==", "f(b = 3)"),
    ('print(1, end="")', 13, "print takes values", "f-string", "print(1)"),
    ("f = fn(x) { x }", 11, "no block", "fn(x) = ", "f = fn(x) = x"),
    ("f = fn(x) => x", 11, "'=>'", "fn(x) = ", "f = fn(x) = x"),
    ("a\n|> f", 1, "cannot begin with '|>'", "at its end", "a |>\nf"),
    ("graph.x", 1, "graph", "as a name", "graph = 1"),
    ("plot, a = 1, 2", 1, "plot", "as a name", "a, plot = 1, 2"),
    ("minimize a overb", 12, "no option of minimize", "over b", "minimize a over b"),
    ("minimize a over b stps 3", 19, "no option of minimize", "steps", "minimize a over b steps 3"),
    ("minimize a", 1, "variables to change", "over", "minimize a over b"),
    ("x = ...", 5, "index", "x[..., 0]", "x = y[...]"),
    ("f() = 1", 1, "cannot assign to the result of a call", "name", "f = 1"),
    ("a, b += 1", 1, "one target", "", "a += 1"),
    ("1, 2", 1, "parentheses", "", "(1, 2)"),
    ('assert (a, "m")', 8, "always true", "assert condition, message", 'assert a, "m"'),
]


@pytest.mark.parametrize("text, column, message, hint, right", SLIPS, ids=[slip[0] for slip in SLIPS])
def test_a_slip_has_its_own_sentence(text: str, column: int, message: str, hint: str, right: str) -> None:
    first = errors(text)[0]
    assert isinstance(first, ScriptSyntaxError)
    assert message in first.message, first.message
    assert hint in (first.hint or ""), first.hint
    assert first.column == column
    assert accepted(right)


@pytest.mark.parametrize(
    "text, column, message",
    [
        ("x =", 4, "expected a value, found the end of the text"),
        ("x = = 2", 5, "expected a value, found '='"),
        ("let", 4, "expected a name or '(' in let, found the end of the text"),
        ("let 3 = 1", 5, "expected a name or '(' in let, found the number 3"),
        ("x.", 3, "expected a name, found the end of the text"),
        ("no_grad x", 9, "expected '{' in no_grad, found the name x"),
        ("for 1 in x { }", 5, "expected a name or '(' in for, found the number 1"),
        ("del x.y", 6, "expected ',' or the end of the statement in del, found '.'"),
        ("x = (a\n b)", 2, "expected ')', ',' or an operator in parentheses, found the name b"),
        ("x = a b", 7, "found the name b"),
        ("fn f(x) x", 9, "expected '=' or '{' in a function, found the name x"),
        ('print f"{a b}"', 12, "in this field of an f-string"),
        ("x = 1 +/ 2", 8, "expected a value, found '/'"),
        ("import 3", 8, "expected a string in import, found the number 3"),
    ],
)
def test_what_was_expected(text: str, column: int, message: str) -> None:
    first = errors(text)[0]
    assert message in first.message and first.column == column


@pytest.mark.parametrize(
    "text",
    [
        "x 1",
        "let x y",
        "minimize a 3",
        "f(a 3",
        "x[1 2",
        "backward a 3",
        "plot a 3",
        "if a 3 { }",
        "for i x { }",
        "x = a 3",
    ],
)
def test_at_most_five_things_are_named(text: str) -> None:
    message = errors(text)[0].message
    named = message.split("expected ")[-1].split(", found")[0]
    assert named.count(",") - 2 * named.count("','") + named.count(" or ") <= 5


@pytest.mark.parametrize(
    "text, line, column, opener",
    [
        ("x = (1 + 2", 1, 5, "("),
        ("let v = [1,", 1, 9, "["),
        ("f(", 1, 2, "("),
        ("x = (1\nlet y = 2\nprint y", 1, 5, "("),
        ("if a {\n x = 1\n", 1, 6, "{"),
        ("if a {\n x = (1\n}\n", 2, 6, "("),
        ("x = foo(1, [2, 3\ny = 3\n", 1, 12, "["),
        ("x = f(a\ny = 3\nz = 4", 1, 6, "("),
    ],
)
def test_an_unclosed_bracket_points_at_its_opener(text: str, line: int, column: int, opener: str) -> None:
    first = errors(text)[0]
    assert first.message == f"'{opener}' was never closed"
    assert (first.line, first.column) == (line, column)


def test_a_mismatched_bracket_shows_both() -> None:
    found = error("x = (1, 2]")
    assert found.message == "'(' is closed by ']'" and found.column == 10
    assert [label.span.start for label in found.labels] == [9, 4] and not found.labels[1].primary
    assert error("x = 1)").message == "')' closes nothing"
    assert error("}").message == "'}' closes nothing"


def test_several_errors_are_reported_without_cascades() -> None:
    text = "x = = 1\ny = 2\nz = (1, 2]\nif a { b = ; c = 3 3 }\nlet if = 1; q = 1 $ 2\nprint z"
    assert [(e.line, e.column) for e in errors(text)] == [(1, 5), (3, 10), (4, 12), (4, 20), (5, 5), (5, 19)]
    with pytest.raises(ManyErrors) as raised:
        parse(Source("<test>", text))
    assert raised.value.line == 1 and raised.value.kind == "syntax"


@pytest.mark.parametrize(
    "bad",
    [
        "x = = 1",
        "if x = 3 { y = 1\n z = 2 }",
        "def f(x):",
        "x = {1: {2: 3}}",
        "f(1, 2",
        "x = [1 2",
        "f = fn(x) { x = 1 }",
        "x = 'abc",
        "let if = 1",
        "(]",
        'x = f"{a"',
        "while a b { x = 1; y = 2 }",
    ],
)
def test_what_follows_an_error_is_read_as_before(bad: str) -> None:
    assert len(errors(bad + "\nlet y = 3\nfor i in x { print i }\n")) == 1
    assert [e.line for e in errors(bad + "\nlet y = 3\nlet = 3\n")][-1] == 3 + bad.count("\n")


def test_at_most_twenty_errors() -> None:
    assert len(errors("x = = 1\n" * 500)) == 20


def test_messages_are_short_and_never_echo_what_cannot_be_shown() -> None:
    for text in (
        "x = " + "a" * 10_000 + " b" * 2,
        "x y" * 5000,
        "x = '" + "a" * 10_000,
        "x = a \x1b[31m",
        "x = 1" + "_" * 9000,
        "x = a \x07",
        "f(" + "x " * 3000,
    ):
        for found in errors(text):
            whole = found.message + (found.hint or "") + "".join(label.text for label in found.labels)
            assert len(whole) < 2000 and whole.isprintable()


def test_end_is_pointed_at_behind_the_last_token() -> None:
    assert error("let v =   # later").column == 8
    assert errors("let v =;")[0].column == 8
    assert errors("x = 1 if c\n\ny = 2")[0].column == 11
