"""Any text as coloured pieces."""

from __future__ import annotations

import pytest

from vardsl.syntax.tokens import KINDS, tokens


def pieces(text: str) -> list[tuple[str, str]]:
    return [(kind, text[start:end]) for kind, start, end in tokens(text)]


def kinds(text: str, of: str) -> list[str]:
    return [piece for kind, piece in pieces(text) if kind == of]


def test_words() -> None:
    text = "let v = var x float64 grad\nplot -= 1\nplot x to 'a'\nminimize f(over) over over steps 3\n"
    text += "x.grad.let(true)\nwith = to + 1"
    assert kinds(text, "keyword") == ["let", "var", "plot", "minimize"]
    assert kinds(text, "option") == ["grad", "to", "over", "steps"]
    assert kinds(text, "dtype") == ["float64"] and kinds(text, "constant") == ["true"]
    assert kinds(text, "member") == ["grad", "let"] and kinds(text, "call") == ["f"]
    assert kinds(text, "name") == ["v", "x", "plot", "x", "over", "over", "x", "with", "to"]


def test_strings_comments_and_errors() -> None:
    text = 'x = \'a\\n\' # c\n#> out\n #> no\nf"b{y + 1:.2f}{{" 2x $ "open'
    assert kinds(text, "escape") == ["\\n"]
    assert kinds(text, "comment") == ["# c", "#> no"] and kinds(text, "output") == ["#> out"]
    assert kinds(text, "string") == ["'a", "'", 'f"b', ":.2f", '{{"'] and kinds(text, "number") == ["1"]
    assert kinds(text, "error") == ["2x", "$", '"open'] and kinds(text, "name") == ["x", "y"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00",
        "'",
        'f"{',
        'f"{x:{y}',
        "²",
        "e\u0301x",
        "\ud800",
        "((((",
        "\\",
        "f'{f\"{a}\"}'",
        "f'{a[1:2]:>{w}}'",
    ],
)
def test_no_text_is_refused(text: str) -> None:
    at = 0
    for kind, start, end in tokens(text):
        assert kind in KINDS and at <= start < end <= len(text)
        at = end
