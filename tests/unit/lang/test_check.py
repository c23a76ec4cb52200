"""What is found before anything runs."""

from __future__ import annotations

import pytest

import vardsl
from vardsl.errors import Error, ManyErrors
from vardsl.session import check
from vardsl.source import Source

WRONG = [
    ("print meen([1.])", "name", 7, "unknown name meen", "mean"),
    ("los = 1; print loss", "name", 16, "unknown name loss", "los"),
    ("if false { print nope }", "name", 18, "unknown name nope", None),
    ("fn f() = nope; 1", "name", 10, "unknown name nope", None),
    ("print SUM([1.])", "name", 7, "unknown name SUM", "sum"),
    ("print avg([1.])", "name", 7, "unknown name avg", "mean"),
    ("print torch.sum(1)", "name", 7, "unknown name torch", "builtin"),
    ("sum([1.], dimm=0)", "type", 1, "unexpected keyword argument 'dimm'", "dim"),
    ("tanh()", "type", 1, "missing 1 required positional arguments", None),
    ("tanh(1, 2, 3)", "type", 1, "takes 1 positional argument but 3 were given", None),
    ("linalg.inv()", "type", 1, "missing", None),
    ("fn f(x, y) = x; f(1)", "type", 17, "f() misses its argument y", "f(x, y)"),
    ("fn f(x) = x; f(1, 2)", "type", 14, "f() takes 1 argument but 2 were given", "f(x)"),
    ("fn f(x) = x; f(z=2)", "type", 14, "f() has no parameter z", None),
    ("fn f(x) = x; f(1, x=2)", "type", 14, "f() got x twice", None),
    ("fn f(x, y=2) = x; f()", "type", 19, "f() misses its argument x", "f(x, y=2)"),
    ("fn f(x) = x; 1 |> f(2)", "type", 19, "takes 1 argument but 2 were given", None),
    ("fn f(x) = x; f(x=1, x=2)", "type", 14, "given twice", None),
    ("return 3", "syntax", 1, "outside a function", None),
    ("for i in range(3) { fn g() { break } }", "syntax", 30, "outside a loop", None),
    ("if true { continue }", "syntax", 11, "outside a loop", None),
    ("fn f(a=1, b) = 1", "syntax", 11, "b has no default", None),
    ("let a, a = 1, 2\nfor i, i in (1, 2) { }", "syntax", 8, "i twice", None),
    ("del nope", "name", 5, "unknown name nope", None),
]


@pytest.mark.parametrize(("source", "kind", "column", "message", "hint"), WRONG)
def test_wrong(source: str, kind: str, column: int, message: str, hint: str | None) -> None:
    with pytest.raises(Error) as caught:
        check(Source("<test>", source))
    error = caught.value
    assert (error.kind, error.column) == (kind, column)
    assert message in error.message
    assert hint is None or hint in (error.hint or "")


@pytest.mark.parametrize(
    "source",
    [
        "fn f(x) = x; f = fn(a, b) = a; f(1, 2)",
        "fn f(x) = x; fn f(x, y) = x; f(1, 2)",
        "zeros(2, 3, 4); view(ones(6), 2, 3); ones((2, 3), dtype=float64)",
        "sum([1., 2.], axis=0, keepdims=true)",
        "fn f() = g(); fn g() = 1; f()",
        "let x = 1; fn f() { x = 2; y = x; return y }",
        "x = linalg.inv(ones(1, 1)); print x.anything",
        "print args",
    ],
)
def test_nothing_wrong(source: str) -> None:
    check(Source("<test>", source))


def test_all_errors_are_found() -> None:
    with pytest.raises(ManyErrors) as caught:
        check(Source("<test>", "print one\nprint two\nsum(dimm=1)"))
    assert [e.line for e in caught.value.errors] == [1, 2, 3]
    assert str(caught.value).count("error[") == 3


def test_nothing_runs_before_the_whole_text_is_checked() -> None:
    session = vardsl.Session()
    with pytest.raises(Error) as caught:
        session.run_captured("print 1\nx = 2\nif false { nope }")
    assert caught.value.output == ""
    assert "x" not in session


def test_bodies_wait_for_the_call_in_a_session() -> None:
    session = vardsl.Session()
    session.run("fn f(n) = helper(n) + 1")
    with pytest.raises(Error) as caught:
        session.run("f(1)")
    assert caught.value.kind == "name"
    session.run("fn helper(n) = n * 10")
    assert session.run("f(1)") == 11
    with pytest.raises(Error):
        session.run("fn g() = nowhere", complete=True)
