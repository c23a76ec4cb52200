"""Whole, unfinished, or wrong."""

from __future__ import annotations

import pytest

from vardsl.syntax.continuation import completeness


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "x = 1\n",
        "if c { }",
        "print",
        "zero_grad",
        "minimize f over a",
        "# comment",
        "f(\n1\n)",
        "x = 1;",
        "if c {\n x = 1\n}\n",
    ],
)
def test_complete(text: str) -> None:
    assert completeness(text) == "complete"


@pytest.mark.parametrize(
    "text",
    [
        "let v = [1,",
        "x = (1 +",
        "mean(v",
        "let",
        "if c {",
        "if c {\n x = 1\n",
        "x = 1 +",
        "x = 1 + # why\n",
        "x |>",
        "fn f(x) {",
        "minimize f",
        "(((",
        "f(x\n\n",
        "backward out with",
        "x = 1; y = (",
        "if x",
        "for i in",
        "x[1:",
        'x = "abc',
        "f'abc",
        "if a { } else",
        "x =",
    ],
)
def test_incomplete(text: str) -> None:
    assert completeness(text) == "incomplete"


@pytest.mark.parametrize(
    "text",
    [
        "x = = 2",
        "x = 1 $ 2",
        "x = (1]",
        "let if",
        'f"{(x"',
        "\x00",
        "x = )\ny = (",
        "(" * 300,
        "else {",
        "x = y'",
        '"a\nx = 1',
        "if c {\n x = = 1\n",
        "def f(",
        "let\n",
    ],
)
def test_invalid(text: str) -> None:
    assert completeness(text) == "invalid"
