"""What an editor needs to know of a text while it is being typed: brackets and indentation."""

from __future__ import annotations

from collections.abc import Iterable

from vardsl.syntax.layout import INDENT
from vardsl.syntax.tokens import Piece, tokens

_OPENERS = {"(": ")", "[": "]", "{": "}"}
_CLOSERS = {closer: opener for opener, closer in _OPENERS.items()}


def matching_bracket(text: str, at: int) -> int | None:
    """Where the partner of the bracket at `at` stands; None where that is no bracket, or has none."""
    return pairs(text, tokens(text)).get(at) if text[at : at + 1] in "()[]{}" and at < len(text) else None


def pairs(text: str, pieces: Iterable[Piece]) -> dict[int, int]:
    """Every bracket's partner, both ways; those in strings and comments are none."""
    found: dict[int, int] = {}
    open_: list[int] = []
    for piece in pieces:
        if piece.kind != "bracket":
            continue
        char = text[piece.start]
        if char in _OPENERS:
            open_.append(piece.start)
        elif open_ and _OPENERS[text[open_[-1]]] == char:
            opener = open_.pop()
            found[opener], found[piece.start] = piece.start, opener
    return found


def open_brackets(text: str) -> list[int]:
    """The brackets that are still open at the end of a text, the innermost last."""
    open_: list[int] = []
    for piece in tokens(text):
        if piece.kind == "bracket":
            char = text[piece.start]
            if char in _OPENERS:
                open_.append(piece.start)
            elif open_ and _OPENERS[text[open_[-1]]] == char:
                open_.pop()
    return open_


def indentation(before: str) -> str:
    """The blanks that a new line behind `before` starts with: a step more than where a bracket opened."""
    open_ = open_brackets(before)
    if open_:
        return _leading(before, open_[-1]) + " " * INDENT
    # all is closed: as the line on which the statement began
    pieces = [p for p in tokens(before) if p.kind == "bracket"]
    partners = pairs(before, pieces)
    at = len(before)
    line = before.rfind("\n") + 1
    while True:
        closed = [p.start for p in pieces if line <= p.start < at and partners.get(p.start, at) < line]
        if not closed:
            return _leading(before, line)
        at = partners[closed[0]]
        line = before.rfind("\n", 0, at) + 1


def dedentation(before: str, closer: str) -> str | None:
    """The blanks before a closing bracket typed on a line of its own; None where something is before it."""
    line = before.rfind("\n") + 1
    if line == 0 or before[line:].strip(" \t"):
        return None
    open_ = open_brackets(before)
    if not open_ or before[open_[-1]] != _CLOSERS[closer]:
        return None
    return _leading(before, open_[-1])


def _leading(text: str, at: int) -> str:
    """The blanks at the start of the line in which `at` stands."""
    line = text[text.rfind("\n", 0, at) + 1 :]
    return line[: len(line) - len(line.lstrip(" \t"))]
