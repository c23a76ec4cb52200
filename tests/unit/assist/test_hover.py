"""Signatures, and what stands behind a name."""

from __future__ import annotations

import pytest

from vardsl.assist.hover import hover, one_line, signature_at
from vardsl.assist.symbols import definition, outline
from vardsl.session import Session


@pytest.fixture(scope="module")
def session() -> Session:
    s = Session(seed=0)
    s.run("let v = var ones(2, 3) grad; fn wiggle(x, scale=2) = x * scale")
    return s


@pytest.mark.parametrize(
    ("before", "name", "active"),
    [
        ("sum(", "sum", "input"),
        ("sum(v, ", "sum", "dim=none"),
        ("sum(v, keepdim=", "sum", "keepdim=false"),
        ("v.sum(", "sum", "dim=none"),
        ("print mean(v) + softmax(v[0, (1)], ", "softmax", "dim=none"),
        ("wiggle(v, ", "wiggle", "scale=2"),
        ("wiggle([1, 2", "wiggle", "x"),
        ("linalg.inv(", "inv", "A"),
        ("adam(lr=0.1, ", "adam", "lr=0.001"),
    ],
)
def test_the_argument_that_is_typed_is_marked(session: Session, before: str, name: str, active: str) -> None:
    found = signature_at(before, session.names())
    assert found is not None and found.name == name
    assert found.parameters[found.active] == active


@pytest.mark.parametrize("before", ["", "sum(v)", "fn f(", "(1, ", "nope(", "if v { ", '"sum("', "# sum("])
def test_no_call_has_no_signature(session: Session, before: str) -> None:
    assert signature_at(before, session.names()) is None


def test_hover(session: Session) -> None:
    names = session.names()
    assert hover("print v", 6, names) == "v: [2, 3] float32 grad"
    assert hover("softmax(v)", 2, names).startswith("softmax(input, dim=none, dtype=none): Positive")
    assert hover("v.grad", 3, names) == "grad: the accumulated gradient, or none"
    assert hover("1 + 2", 0, names) == "" and hover("", 0, names) == ""
    assert one_line("nope") == ""


def test_the_outline_of_a_text() -> None:
    text = "let a, b = 1, 2\nfn f(x, y=2) {\n  let z = x\n  return z\n}\ng = fn(t) = t\na = 3\n"
    found = {s.name: s for s in outline(text)}
    assert [(s.name, s.kind) for s in found.values()] == [
        ("a", "variable"),
        ("b", "variable"),
        ("f", "function"),
        ("g", "function"),
    ]
    assert [c.name for c in found["f"].children] == ["x", "y", "z"]
    span = definition(text, "f")
    assert span is not None and text[span.start : span.end] == "f"
    assert outline("let = ") == [] and definition(text, "nope") is None
