"""Line ends, separators, comments, hidden characters, and how deep things may nest."""

from __future__ import annotations

import time

import pytest

from vardsl.encoding import decode
from vardsl.errors import Error, LimitError, ScriptSyntaxError
from vardsl.source import Source
from vardsl.syntax import ast
from vardsl.syntax.parse import parse, parse_expression

from .reading import accepted, error, errors, expression, program, shape, statement


@pytest.mark.parametrize(
    "end", ["\n", "\r\n", "\r", ";", "\n\n\n", ";;", " ; \n", "  # comment; not = code\n", "\n#!x\n"]
)
def test_statements_end_at_line_ends_and_semicolons(end: str) -> None:
    assert len(program(f"a = 1{end}b = 2{end}")) == 2
    assert len(program(f"{end}a = 1{end}b = 2")) == 2


@pytest.mark.parametrize(
    "after",
    [
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "@",
        "**",
        "==",
        "<",
        "in",
        "not in",
        "and",
        "or",
        "|>",
        "&",
        "|",
        "if b else",
    ],
)
def test_a_line_end_after_an_operator_is_a_blank(after: str) -> None:
    for end in ("\n", "\r\n", "\r", " # why\n", "\n\n  "):
        assert len(program(f"x = a {after}{end} b")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "x =\n1",
        "f(\na\n,\nb\n)",
        "[\n1,\n2\n]",
        "[\n[1,\n2],\n[3, 4]\n]",
        "x[\n1\n:\n2\n]",
        "print 1,\n2",
        "x +=\n1",
        "if c {\n}",
        "a,\nb = 1,\n2",
        "(\nnot\na\n)",
        "x = -\n1",
    ],
)
def test_a_line_end_where_a_statement_cannot_end_is_a_blank(text: str) -> None:
    assert len(program(text)) == 1
    assert len(program(text.replace("\n", "\r"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "let\nx = 1",
        "let x\n= 1",
        "x\n+= 1",
        "return\n1\n)",
        "x.\ny",
        "f\n(1)\n)",
        "if c\n{ }",
        "minimize f\nover a",
        "if c { }\nelse { }",
        "print (1;2)",
    ],
)
def test_a_line_end_elsewhere_ends_the_statement(text: str) -> None:
    assert not accepted(text)


def test_a_block_ends_its_statement() -> None:
    assert len(program("if a { x = 1 } y = 2")) == 2
    assert len(program("{".join(["no_grad ", " a = 1 } b = 2"]))) == 2
    chosen = statement("if a { } else if b { } else { }")
    assert isinstance(chosen, ast.If) and isinstance(chosen.otherwise, ast.If)
    assert len(program("fn f(x) { return x } f(1)")) == 2


def test_else_stands_on_the_line_of_the_brace() -> None:
    found = error("if a {\n}\nelse {\n}")
    assert "else" in found.message and found.line == 3 and "} else {" in (found.hint or "")


def test_comments() -> None:
    assert program("# only\n#> output\n") == ()
    assert len(program("#! shebang\nx = 1 # end")) == 1
    assert program("") == () and program("\ufeff") == () and program(" \t\f\n") == ()


def test_a_byte_order_mark_counts_for_nothing() -> None:
    assert error("\ufeffx = = 1").column == 5
    assert error("x = \ufeff1").column == 5


@pytest.mark.parametrize(
    "code",
    [
        0x00,
        0x200B,
        0x200C,
        0x200D,
        0x200E,
        0x200F,
        0x202A,
        0x202E,
        0x2060,
        0x2066,
        0x2069,
        0xFEFF,
        0x061C,
        0xD800,
    ],
)
@pytest.mark.parametrize("where", ["a{}b", 'x = "{}"', "# {}", "x = 1\n{}", 'f"{{{}}}"'])
def test_hidden_characters_are_refused_by_name_and_never_echoed(code: int, where: str) -> None:
    found = error(where.format(chr(code)))
    assert isinstance(found, ScriptSyntaxError)
    assert f"U+{code:04X}" in found.message and "line" in found.message
    assert chr(code) not in found.message + (found.hint or "")


def test_hidden_characters_may_be_escaped() -> None:
    assert expression(r'"\u200b\x00\u202e"').value == "\u200b\x00\u202e"


def test_utf8_only() -> None:
    assert decode("a", "α = 1".encode()).text == "α = 1"
    with pytest.raises(ScriptSyntaxError) as raised:
        decode("a.vd", b"x = 1\ny = \xff\n")
    assert (raised.value.line, raised.value.column) == (2, 5)
    assert "0xff" in raised.value.message


# ---- nesting --------------------------------------------------------------------------------------------
DEEP = [
    ("(", "1", ")"),
    ("[", "a", "]"),
    ("-", "a", ""),
    ("~", "a", ""),
    ("not ", "a", ""),
    ("2**", "a", ""),
    ("fn(x) = ", "a", ""),
    ("a if b else ", "c", ""),
    ("f(", "a", ")"),
    ("x[", "a", "]"),
    ("", "x", " |> f"),
    ("", "x", ".y"),
    ("", "x", "[i]"),
    ("", "x", "()"),
    ("-(", "a", ")"),
    ("if a { } else ", "if a { }", ""),
    ("if a {", "", "}"),
    ("while a {\n", "", "}\n"),
    ("(not -", "a", ")"),
    ("f(1, k=", "a", ")"),
    ("[a, ", "b", "]"),
    ("fn f() { ", "", "}"),
    ("(a + ", "b", ")"),
    ("(-a, not ", "b", ")"),
]


@pytest.mark.parametrize("before, middle, after", DEEP)
def test_nesting_is_limited(before: str, middle: str, after: str) -> None:
    assert accepted(before * 60 + middle + after * 60)
    start = time.perf_counter()
    for depth in (250, 20_000):
        found = error(before * depth + middle + after * depth)
        assert isinstance(found, LimitError) and "200" in found.message, found.message
        assert found.line is not None
    assert time.perf_counter() - start < 3


@pytest.mark.parametrize(
    "piece",
    [
        "-a + ",
        "not a and ",
        "a.b.c[0](1) * ",
        "a**2 - ",
        "-a < ",
        "(a) | ",
        "a if b else c, ",
        "fn(x) = -x, ",
        "x |> f, ",
    ],
)
def test_width_is_not_depth(piece: str) -> None:
    assert accepted("x = " + piece * 1000 + "a")


def test_the_limits_of_depth_hold_across_brackets() -> None:
    assert isinstance(error("(" + "-" * 150 + "(" + "-" * 100 + "a))"), LimitError)
    assert isinstance(error("not " * 100 + "(" + "a + " + "not " * 120 + "b)"), Error)


def test_100_000_open_parentheses_answer_at_once() -> None:
    start = time.perf_counter()
    assert isinstance(error("(" * 100_000), LimitError)
    assert time.perf_counter() - start < 0.5


def test_a_line_of_100_000_additions_is_one_flat_chain() -> None:
    start = time.perf_counter()
    chain = expression(" + ".join(["1"] * 100_001))
    assert isinstance(chain, ast.Chain) and len(chain.rest) == 100_000
    assert time.perf_counter() - start < 8


def test_20_000_statements_take_time_in_proportion() -> None:
    start = time.perf_counter()
    assert len(program("x = a*x + 1\n" * 20_000)) == 20_000
    assert time.perf_counter() - start < 8


def test_a_row_of_numbers_is_one_node() -> None:
    text = "[" + ", ".join(map(str, range(100_000))) + "]"
    expression("[1]")
    start = time.perf_counter()
    row = expression(text)
    assert time.perf_counter() - start < 0.5
    assert isinstance(row, ast.NumberRow) and row.kind == "int" and row.values[-1] == 99_999


def test_rows() -> None:
    assert shape(expression("[1, -2, +3_0]")) == ("NumberRow", "int", (1, -2, 30))
    assert shape(expression("[ 1,\n -2.5, .5, 1e3, 2. , ]")) == (
        "NumberRow",
        "real",
        (1.0, -2.5, 0.5, 1000.0, 2.0),
    )
    assert shape(expression("[true, False]")) == ("NumberRow", "bool", (True, False))
    for text in (
        "[]",
        "[1, true]",
        "[x]",
        "[1, # c\n2]",
        "[0x10]",
        "[inf]",
        "[1, 2 + 3]",
        "[--1]",
        '["a"]',
        "[1, [2]]",
        "[(1)]",
    ):
        assert isinstance(expression(text), ast.ListLit), text
    assert isinstance(expression("x[1, 2]"), ast.Index)
    assert isinstance(expression("x[[1, 2]]").items[0], ast.NumberRow)
    for text in ("[1 2]", "[1,,2]", "[,]", "[1..5]", "[1_]", "[+]", "[.]", "[007]", "[1e]"):
        assert not accepted(text), text


def test_the_size_of_a_source_is_limited() -> None:
    with pytest.raises(LimitError):
        parse(Source("<test>", "x" * 101), max_source=100)
    with pytest.raises(LimitError):
        parse_expression(Source("<test>", "x" * 101), max_source=100)
    assert len(errors("x" * 101)) == 0
