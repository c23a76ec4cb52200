"""Numbers, strings, f-strings."""

from __future__ import annotations

import math

import pytest

from vardsl.errors import LimitError, ScriptSyntaxError
from vardsl.syntax import ast

from .reading import accepted, error, errors, expression, shape, statement


@pytest.mark.parametrize(
    "text, value",
    [
        ("7", 7),
        ("1_000", 1000),
        ("0xff", 255),
        ("0XFF_ff", 65535),
        ("0b101", 5),
        ("0o17", 15),
        ("0", 0),
        ("00", 0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e-3", 1e-3),
        ("1.", 1.0),
        ("1.e2", 100.0),
        ("1_0.2_5", 10.25),
        ("1E+2", 100.0),
        ("01.5", 1.5),
        ("9" * 4300, int("9" * 4300)),
        ("1e308", 1e308),
    ],
)
def test_numbers(text: str, value: float) -> None:
    number = expression(text)
    assert (
        isinstance(number, ast.Number)
        and number.value == value
        and type(number.value) is type(value)
        and number.text == text
    )


@pytest.mark.parametrize(
    "text",
    ["9" * 4301, "0x" + "f" * 4000, "1e999", "-1e999", "[1, " + "9" * 4301 + "]", "[1.5, 1e999]", "[-1e309]"],
)
def test_what_is_too_long_or_too_large_is_a_limit(text: str) -> None:
    found = error(text)
    assert isinstance(found, LimitError) and found.status == 3
    assert found.line == 1 and len(found.message) < 200


def test_the_limit_points_into_a_row() -> None:
    assert error("[1.5,  1e999]").column == 8


@pytest.mark.parametrize(
    "text",
    ["1_", "1__0", "0x", "0b12", "0b", "1e", "2x", "3j", "007", "0_x", "1.5.5", "1e5.5", "5.5x", "1and 2"],
)
def test_what_is_no_number(text: str) -> None:
    assert isinstance(error(f"x = {text}"), ScriptSyntaxError)


@pytest.mark.parametrize(
    "text, value",
    [
        ('"a"', "a"),
        ("'a'", "a"),
        (r"'it\'s'", "it's"),
        (r'"\n\t\\\"\a\b\f\v\r"', '\n\t\\"\a\b\f\v\r'),
        (r'"\x41\u03b1\U0001F600"', "Aα😀"),
        (r'"\101\0"', "A\0"),
        (r'"\N{GREEK SMALL LETTER ALPHA}"', "α"),
        (r'"\d"', r"\d"),
        ('"a\\\nb"', "ab"),
        ('"a\\\r\nb"', "ab"),
        ("'\"'", '"'),
        ('"# no comment; x"', "# no comment; x"),
        ('""', ""),
    ],
)
def test_strings_have_the_escapes_of_python(text: str, value: str) -> None:
    string = expression(text)
    assert isinstance(string, ast.String) and string.value == value and string.text == text


@pytest.mark.parametrize(
    "text",
    [
        r'"\x4"',
        r'"\u12"',
        r'"\U00110000"',
        r'"\ud800"',
        r'"\N{NO SUCH NAME}"',
        r'"\N"',
        '"a',
        "'a\n'",
        '"\\',
        '"a\nb"',
    ],
)
def test_bad_strings(text: str) -> None:
    assert isinstance(errors(text)[0], ScriptSyntaxError)


def test_an_escape_error_points_at_the_escape() -> None:
    assert error(r'x = "ab\x4"').column == 8
    assert error(r'x = f"ab{c}\x4"').column == 12


def fields(text: str) -> list[object]:
    string = expression(text)
    assert isinstance(string, ast.FString)
    return [
        part if isinstance(part, str) else (shape(part.value), tuple(map(shape, part.spec)))
        for part in string.parts
    ]


NAME_A = ("Name", "a")


def test_fstrings() -> None:
    assert fields('f"a"') == ["a"]
    assert fields('f""') == []
    assert fields("F'{a}'") == [(NAME_A, ())]
    assert fields('f"x = {a:.4f}!"') == ["x = ", (NAME_A, (".4f",)), "!"]
    assert fields('f"{{a}} {a}}}"') == ["{a} ", (NAME_A, ()), "}"]
    assert fields(r'f"\n{a}\{a}\N{BULLET}"') == ["\n", (NAME_A, ()), "\\", (NAME_A, ()), "•"]
    assert fields('f"{a:{a}.{a}f}"') == [(NAME_A, (shape_field(), ".", shape_field(), "f"))]
    assert fields('f"{ a }{a}"') == [(NAME_A, ()), (NAME_A, ())]


def shape_field() -> object:
    return ("Field", NAME_A, ())


@pytest.mark.parametrize(
    "inner",
    [
        "x[1:2]",
        "a if b else c",
        "fn(x) = x",
        "f(a, b=1)",
        "'s'",
        "f'{a}'",
        "a != b",
        "not a",
        "[1, 2]",
        "x |> f",
        "(1, 2)",
        "d['k']",
        "a <= b",
        "var a grad",
    ],
)
def test_a_field_takes_any_expression(inner: str) -> None:
    string = expression(f'f"{{{inner}:>5}}"')
    field = string.parts[0]
    assert shape(field.value) == shape(expression(inner)) and field.spec == (">5",)


def test_spans_in_a_field_are_of_the_source() -> None:
    text = 'x = f"ab {  foo + 1 :.2f}"'
    field = statement(text).value.parts[1]
    assert text[field.span.start : field.span.end] == "{  foo + 1 :.2f}"
    assert text[field.value.span.start : field.value.span.end] == "foo + 1"


@pytest.mark.parametrize(
    "text, column",
    [
        ('f"{"', 3),
        ('f"{}"', 3),
        ('f"}"', 3),
        ('f"ab{a"', 5),
        ('f"{a!r}"', 5),
        ('f"{a b}"', 6),
        ('f"{a=}"', 5),
        ('f"{a:{b"', 6),
        ('f"{(a}"', 4),
        ('f"{a:{b:{c}}}"', 9),
        ('f"{1e}"', 4),
        ('f"{a + }"', 7),
        ('f"{a;b}"', 5),
    ],
)
def test_bad_fields(text: str, column: int) -> None:
    assert error(text).column == column, error(text).message


def test_nan_and_inf_are_names() -> None:
    assert isinstance(expression("inf"), ast.Name) and isinstance(expression("nan"), ast.Name)
    assert not math.isinf(expression("1.7976931348623157e308").value)
    assert accepted("let e = 1; let pi = 2")
