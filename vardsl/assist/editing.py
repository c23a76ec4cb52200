"""What an editor needs to know of a text while it is being typed: brackets, indentation, pasted prompts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vardsl.syntax.continuation import completeness
from vardsl.syntax.layout import INDENT
from vardsl.syntax.tokens import Piece, tokens

_OPENERS = {"(": ")", "[": "]", "{": "}"}
_CLOSERS = {closer: opener for opener, closer in _OPENERS.items()}
_PROMPT = re.compile(r"[ \t]*(>>>|vd>)( |(?=\r?\n|$))")
_CONTINUATION = re.compile(r"[ \t]*\.\.\.( |(?=\r?\n|$))")


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


def strip_prompts(text: str) -> str:
    """A text copied from a session without its prompts and without the output between the inputs.

    Only a text that starts with a prompt is one; what looks like a prompt inside a string stays.
    """
    body = text.lstrip("\r\n")
    if not _PROMPT.match(body):
        return text
    inside = _inside_strings(body)
    blocks: list[str] = []
    offset = 0
    for line in body.splitlines(keepends=True):
        start, offset = offset, offset + len(line)
        if start not in inside:
            prompt = _PROMPT.match(line)
            if prompt:
                blocks.append(line[prompt.end() :])
                continue
            prompt = _CONTINUATION.match(line)
            if prompt:
                blocks[-1] += line[prompt.end() :]
                continue
        if completeness(blocks[-1]) == "incomplete":
            blocks[-1] += line
    return "".join(block if block.endswith(("\n", "\r")) else block + "\n" for block in blocks).rstrip("\r\n")


def _inside_strings(text: str) -> set[int]:
    """Line starts that lie inside a string, which an escaped line end makes possible."""
    starts: set[int] = set()
    for piece in tokens(text):
        if piece.kind in ("string", "escape"):
            at = text.find("\n", piece.start, piece.end)
            while at >= 0:
                starts.add(at + 1)
                at = text.find("\n", at + 1, piece.end)
    return starts
