"""Errors of running scripts: kind, place, words, operands, calls."""

from __future__ import annotations

import pytest

import vardsl

# source, kind, line, column, what the diagnostic says
CASES = [
    (
        "let x = ones(2,3); let w = ones(4,2)\nout = x @ w",
        "shape",
        2,
        7,
        "cannot multiply [2, 3] by [4, 2] with @: inner sizes 3 and 4 differ",
    ),
    ("let x = ones(2,3); let w = ones(4,2)\nout = x @ w", "shape", 2, 7, "x is [2, 3], w is [4, 2]"),
    (
        "let x = ones(2,3); let w = ones(4,2)\nout = x @ w",
        "shape",
        2,
        7,
        "PyTorch: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x2)",
    ),
    (
        "let x = ones(2,3); let b = ones(4)\ny = 1 + (x + b)",
        "shape",
        2,
        10,
        "cannot add x and b: [2, 3] and [4] do not broadcast",
    ),
    ("let x = ones(2,3); let b = ones(4)\ny = x * 2 - b", "shape", 2, 5, "x * 2 is [2, 3], b is [4]"),
    ("a = ones(3); a *= ones(4)", "shape", 1, 14, "a is [3], ones(4) is [4]"),
    ("let x = ones(2,3); let b = ones(4); maximum(x, b)", "shape", 1, 37, "x is [2, 3], b is [4]"),
    ("let x = ones(2,3); x < ones(4)", "shape", 1, 20, "cannot compare [2, 3] and [4]"),
    (
        "let a = var [1., 2.] grad; a += 1",
        "grad",
        1,
        28,
        "a leaf Variable that requires grad is being used in an in-place operation",
    ),
    ("7 // 0", "value", 1, 1, "division by zero"),
    ("x = 1.0; y = 2 + x / 0", "value", 1, 18, "division by zero"),
    ('1 + "a"', "type", 1, 1, "cannot add an integer and a string"),
    ('"a" + 1', "type", 1, 1, "cannot add a string and an integer"),
    ("none * 2", "type", 1, 1, "cannot multiply none and an integer"),
    ('-"a"', "type", 1, 1, "has no sign"),
    ('1 < "a"', "type", 1, 1, "cannot compare an integer and a string with <"),
    ("3 in 4", "type", 1, 1, "contains nothing"),
    ('"%d" % 3', "type", 1, 1, "a string has no %"),
    ("1.5 | 2", "type", 1, 1, "| is for integers and booleans"),
    ("let q = 3; q()", "type", 1, 12, "q is an integer and cannot be called"),
    ("(1, 2)[5]", "index", 1, 1, "outside this tuple"),
    ('"abc"[1.5]', "type", 1, 1, "indexed by integers"),
    ("x = 5; x[0]", "type", 1, 8, "no elements"),
    ("[1., 2.][7]", "index", 1, 1, "index 7 is out of bounds for dimension 0 with size 2"),
    ("[1., 2.][::-1]", "value", 1, 1, "step must be greater than zero"),
    ("let a, b = 3", "value", 1, 5, "cannot be unpacked"),
    ("let a, b = (1, 2, 3)", "value", 1, 5, "too many values"),
    ("let a, b = (1,)", "value", 1, 5, "not enough values"),
    ("for i in 5 { }", "type", 1, 10, "cannot be gone through"),
    ("if [1., 2.] { }", "value", 1, 4, "Boolean value of Tensor with more than one value is ambiguous"),
    ("not [1., 2.]", "value", 1, 1, "logical_and"),
    ("x = [1.]; x.summ()", "name", 1, 11, "did you mean .sum?"),
    ("x = [1.]; x.shape = 3", "type", 1, 11, "cannot be assigned"),
    ("x = (1, 2); x[0] = 3", "type", 1, 13, "elements of a tuple cannot be assigned"),
    ("linalg.foo", "name", 1, 1, "linalg has no function foo"),
    ("sum(1.0)", "type", 1, 1, "sum(): argument 'input' (position 1) must be Tensor, not float"),
    ('int("x")', "value", 1, 1, "the text 'x' is not an integer"),
    ('print f"{1.5:d}"', "value", 1, 10, "Unknown format code 'd'"),
    ('print f"{[1., 2.]:.2f}"', "value", 1, 10, "cannot be formatted"),
    ("[[1, 2], [3]]", "shape", 1, 1, "expected sequence of length 2 at dim 1 (got 1)"),
    ('[1, "a"]', "type", 1, 1, "a tensor holds numbers, not a string"),
    ('assert 1 == 2, "no way"', "assert", 1, 8, "no way"),
    ("assert 1 == 2", "assert", 1, 8, "assertion failed"),
    ('import "nope.vd"', "io", 1, 8, "there is no file nope.vd"),
    ('import "/etc/passwd"', "io", 1, 8, "may not read"),
    (
        "let x = var [1., 2.] grad; x.numpy()",
        "grad",
        1,
        28,
        "Can't call numpy() on Tensor that requires grad",
    ),
    ("let x = ones(2); backward x", "grad", 1, 18, "element 0 of tensors does not require grad"),
    ("backward 3", "type", 1, 1, "backward starts from tensors"),
    ("detect_anomaly(true); y = sqrt([1., -1.])", "value", 1, 27, "sqrt() made nan at [1]"),
    ("x = range(3) + 1", "type", 1, 5, "cannot add a range and an integer"),
    ("f = 3 |> 4", "type", 1, 10, "cannot be called"),
    ('学习率 = "α" - 1', "type", 1, 7, "cannot subtract an integer from a string"),
]


@pytest.mark.parametrize(("source", "kind", "line", "column", "says"), CASES)
def test_error(source: str, kind: str, line: int, column: int, says: str) -> None:
    with pytest.raises(vardsl.Error) as caught:
        vardsl.Session().run(source)
    error = caught.value
    assert (error.kind, error.line, error.column) == (kind, line, column)
    assert says in str(error)
    assert error.__traceback__ is not None and error.__cause__ is None


def test_the_drawing_of_the_language_page() -> None:
    session = vardsl.Session()
    session.run("x = ones(2, 3); w = ones(4, 2)")
    with pytest.raises(vardsl.Error) as caught:
        session.run("\n\nout = x @ w", filename="train.vd")
    assert str(caught.value) == (
        "error[shape]: cannot multiply [2, 3] by [4, 2] with @: inner sizes 3 and 4 differ\n"
        " --> train.vd:3:7\n"
        "  |\n"
        "3 | out = x @ w\n"
        "  |       ^^^^^ x is [2, 3], w is [4, 2]\n"
        "  = note: PyTorch: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x2)"
    )


def test_the_calls_that_led_there() -> None:
    with pytest.raises(vardsl.Error) as caught:
        vardsl.Session().run("fn f(a) = a @ ones(5)\nfn g(b) {\n  for i in range(2) { f(b) }\n}\ng(ones(3))")
    error = caught.value
    assert (error.line, error.column) == (1, 11)
    assert [(f.name, f.source.position(f.span.start)) for f in error.frames] == [
        ("g", (5, 1)),
        ("f", (3, 23)),
    ]


def test_an_error_in_backward_points_at_the_forward_expression() -> None:
    source = "let v = var [1., 2.] grad\nw = v * 1\ny = w * w\nw[0] = 5\nbackward y.sum()"
    with pytest.raises(vardsl.Error) as caught:
        vardsl.Session().run(source)
    error = caught.value
    assert "modified by an inplace operation" in error.message
    assert error.line == 5
    assert [label.source.position(label.span.start) for label in error.labels] == [(5, 1), (3, 5)]


def test_a_chain_of_operations_points_at_the_one_that_failed() -> None:
    with pytest.raises(vardsl.Error) as caught:
        vardsl.Session().run("x = ones(2)\ny = 1 + x + ones(3) + x")
    place = caught.value.place
    assert place is not None
    assert place.source.text[place.span.start : place.span.end] == "1 + x + ones(3)"


def test_a_long_chain_keeps_its_places() -> None:
    source = "x = ones(2)\ny = " + "x + " * 500 + "ones(3) + x"
    with pytest.raises(vardsl.Error) as caught:
        vardsl.Session().run(source)
    place = caught.value.place
    assert place is not None and place.source.text[: place.span.end].endswith("x + ones(3)")


def test_warnings_have_places(capsys: pytest.CaptureFixture[str]) -> None:
    vardsl.Session().run("let v = var [1.] grad\ny = v * 2\nfor i in range(3) { y.grad }")
    shown = capsys.readouterr().err
    assert shown.count("warning[grad]") == 1
    assert "<string>:3:21" in shown
