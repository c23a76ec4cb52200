"""Any text as coloured pieces, for editors: never fails, needs no parse, and asks for no whole program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from vardsl.syntax.grammar import tables
from vardsl.syntax.lexer import OPERAND_ENDS
from vardsl.syntax.words import DTYPES, HARD_KEYWORDS, OPTION_WORDS, SOFT_KEYWORDS

__all__ = ["HARD_KEYWORDS", "KINDS", "OPTION_WORDS", "SOFT_KEYWORDS", "Piece", "tokens"]

KINDS = (
    "keyword", "constant", "option", "dtype", "name", "call", "member", "number", "string", "escape",
    "operator",
    "bracket", "separator", "comment", "output", "error",
)  # fmt: skip
"""What a piece may be; `output` is a `#>` or `#!` line."""


class Piece(NamedTuple):
    kind: str
    start: int
    end: int


_CONSTANTS = frozenset(["true", "false", "none", "True", "False", "None"])
_HARD, _SOFT, _OPTIONS = frozenset(HARD_KEYWORDS), frozenset(SOFT_KEYWORDS), frozenset(OPTION_WORDS)
_KIND_OF = {
    "NEWLINE": "", "INTEGER": "number", "REAL": "number", "STRING": "string", "FSTRING": "string",
    "BAD_STRING": "error", "BAD_NUMBER": "error", "BAD_CHAR": "error", "SLIP": "error",
    "LPAR": "bracket", "RPAR": "bracket", "LSQB": "bracket", "RSQB": "bracket", "LBRACE": "bracket",
    "RBRACE": "bracket", "COMMA": "separator", "SEMICOLON": "separator", "COLON": "separator",
}  # fmt: skip
_COMMENT = re.compile(r"#[^\r\n]*")
_BINDS = re.compile(r"[ \t]*(?:\*\*|//|[-+*/%@])?=(?!=)")
_CALLS = re.compile(r"[ \t]*\(")
_ESCAPE = re.compile(
    r"\\(?:[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^{}]*\}|\r\n|[\s\S])"
)
_STATEMENT_ENDS = frozenset(["", "NEWLINE", "SEMICOLON", "LBRACE", "RBRACE"])


def tokens(text: str, start: int = 0, end: int | None = None) -> Iterator[Piece]:
    """The pieces of `text[start:end]` in order; blanks and line ends are between them."""
    end = len(text) if end is None else end
    match, at, last, head = tables().scanner.match, start, "", ""
    while True:
        found = match(text, at, end)
        assert found is not None, "the scanner matches everything"
        kind = found.lastgroup or "END"
        first, stop = found.span(kind)
        for comment in _COMMENT.finditer(text, at, first):
            yield Piece(_comment(text, comment), comment.start(), comment.end())
        if kind == "END":
            return
        if kind == "NAME":
            while stop < end and ("a" + text[stop]).isidentifier():
                stop += 1
            word = text[first:stop]
            if last in _STATEMENT_ENDS:
                head = word
            colour = _word(text, word, stop, last, head)
            yield Piece(colour, first, stop)
            last = "KEYWORD" if colour == "keyword" or (colour == "option" and word != "grad") else "NAME"
        else:
            if kind == "FSTRING":
                yield from _fstring(text, first, stop)
            elif kind == "STRING":
                yield from _string(text, first, stop)
            elif kind != "NEWLINE":
                yield Piece(_KIND_OF.get(kind, "operator"), first, stop)
            last = kind
        at = stop


def _comment(text: str, comment: re.Match[str]) -> str:
    at = comment.start()
    own_line = at == 0 or text[at - 1] in "\r\n"
    return "output" if own_line and comment[0][1:2] in (">", "!") else "comment"


def _word(text: str, word: str, stop: int, last: str, head: str) -> str:
    if last == "DOT":
        return "member"
    if word in _CONSTANTS:
        return "constant"
    if word in _HARD:
        return "keyword"
    if word in _SOFT and last in _STATEMENT_ENDS and not _BINDS.match(text, stop):
        return "keyword"
    if last in OPERAND_ENDS:
        if word in _OPTIONS and (word == "grad" or head in _SOFT or head == "import"):
            return "option"
        return "dtype" if word in DTYPES else "name"
    return "call" if _CALLS.match(text, stop) else "name"


def _string(text: str, start: int, end: int) -> Iterator[Piece]:
    at = start
    for escape in _ESCAPE.finditer(text, start, end):
        if at < escape.start():
            yield Piece("string", at, escape.start())
        at = escape.end()
        yield Piece("escape", escape.start(), at)
    if at < end:
        yield Piece("string", at, end)


def _fstring(text: str, start: int, end: int) -> Iterator[Piece]:
    """The text of an f-string, and the pieces of the expressions in its fields."""
    at = plain = start
    while at < end:
        if text[at] in "{}" and text[at : at + 2] in ("{{", "}}"):
            at += 2
        elif text[at] == "{":
            yield from _string(text, plain, at)
            close, colon = _field_end(text, at + 1, end - 1)
            yield Piece("bracket", at, at + 1)
            yield from tokens(text, at + 1, min(close, colon))
            if colon < close:
                yield from _string(text, colon, close)
            if close < end - 1:
                yield Piece("bracket", close, close + 1)
                close += 1
            at = plain = close
        elif text[at] == "\\":
            named = re.compile(r"\\N\{[^{}]*\}").match(text, at, end)
            at = named.end() if named else at + 2 if text[at + 1 : at + 2] not in ("{", "}") else at + 1
        else:
            at += 1
    yield from _string(text, plain, end)


_FIELD_PART = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[\s\S]")


def _field_end(text: str, at: int, end: int) -> tuple[int, int]:
    """Where the `}` of a field stands, and the `:` of its format; `end` where there is none."""
    depth, colon = 0, end
    for part in _FIELD_PART.finditer(text, at, end):
        char = part[0]
        if char in ("(", "[", "{"):
            depth += 1
        elif char in (")", "]", "}"):
            if char == "}" and depth <= 0:
                return part.start(), colon
            depth -= 1
        elif char == ":" and depth == 0 and colon == end:
            colon = part.start()
    return end, colon
