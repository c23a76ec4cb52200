"""The values of literals: numbers, rows of numbers, strings with their escapes, the parts of f-strings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from importlib import import_module

from vardsl.source import Span
from vardsl.syntax import ast
from vardsl.syntax.lexer import ROW, Token

MAX_DIGITS = 4300
_MAX_INTEGER = 10**MAX_DIGITS


class Slip(Exception):
    """A mistake at a place of the text, before it is known which source the text belongs to."""

    def __init__(
        self, span: Span, message: str, hint: str | None = None, label: str = "", limit: bool = False
    ) -> None:
        super().__init__(message)
        self.span = span
        self.message = message
        self.hint = hint
        self.label = label
        self.limit = limit


def integer(token: Token) -> ast.Number:
    """`7`, `1_000`, `0xff`, `0b101`."""
    text = token.text.replace("_", "")
    if len(text) > MAX_DIGITS:
        raise _too_long(token.span)
    if text[0] == "0" and text[1:2].isdigit() and text.strip("0"):
        raise Slip(
            token.span,
            "an integer is not written with leading zeros",
            f"write {text.lstrip('0')}, or 0o… for octal",
        )
    value = int(text, 0) if text.strip("0") else 0
    if value >= _MAX_INTEGER:  # of hexadecimal digits fewer are too many
        raise _too_long(token.span)
    return ast.Number(token.span, value, token.text)


def real(token: Token) -> ast.Number:
    """`1.5`, `.5`, `1e-3`."""
    value = float(token.text)
    if math.isinf(value):
        raise _too_large(token.span)
    return ast.Number(token.span, value, token.text)


def row(token: Token) -> ast.NumberRow:
    """`[1, 2.5, -3]`: all of it converted at once."""
    found = ROW.match(token.text)
    assert found is not None, "the lexer matched it"
    kind = found.lastgroup or "int"
    parts = found[kind].split(",")
    values: tuple[int | float | bool, ...]
    if kind == "bool":
        values = tuple(part.strip().lower() == "true" for part in parts)
    elif kind == "int":
        if len(max(parts, key=len)) > MAX_DIGITS:
            _raise_at(
                token,
                parts,
                lambda part: len(part.strip().lstrip("+-").replace("_", "")) > MAX_DIGITS,
                _too_long,
            )
        values = tuple(map(int, parts))
    else:
        values = tuple(map(float, parts))
        if math.inf in values or -math.inf in values:
            _raise_at(token, parts, lambda part: math.isinf(float(part)), _too_large)
    return ast.NumberRow(token.span, values, kind, token.text)


def _raise_at(
    token: Token, parts: list[str], bad: Callable[[str], bool], error: Callable[[Span], Slip]
) -> None:
    offset = token.start + token.text.index(parts[0])
    for part in parts:
        if bad(part):
            start = offset + len(part) - len(part.lstrip())
            raise error(Span(start, start + len(part.strip())))
        offset += len(part) + 1


def _too_long(span: Span) -> Slip:
    return Slip(span, f"this integer is too long: a literal has at most {MAX_DIGITS:,} digits", limit=True)


def _too_large(span: Span) -> Slip:
    return Slip(
        span,
        "this number is too large for a real: the largest is about 1.8e308",
        "infinity is written inf",
        limit=True,
    )


# Patterns of strings are compiled for the first one.
_ESCAPE = (
    r"\\(?:\r\n|([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|N\{([^{}]*)\}|([\s\S]))"
)
_SIMPLE = {
    "\\": "\\",
    "'": "'",
    '"': '"',
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}
_SHAPES = {"x": r"\x and two hexadecimal digits", "u": r"\u and four hexadecimal digits",
           "U": r"\U and eight hexadecimal digits", "N": r"\N and a character's name in braces"}  # fmt: skip


def unescape(text: str, offset: int) -> str:
    """The text of a string's inside, which starts at `offset` of the source."""
    if "\\" not in text:
        return text
    return re.sub(_ESCAPE, lambda found: _character(found, offset), text)


def _character(found: re.Match[str], offset: int) -> str:
    octal, two, four, eight, name, single = found.groups()
    span = Span(offset + found.start(), offset + found.end())
    digits = two or four or eight
    if octal or digits:
        code = int(octal, 8) if octal else int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise Slip(
                span, f"{found[0]} is no character", "characters go up to \\U0010ffff, without d800 to dfff"
            )
        return chr(code)
    if name is not None:
        try:
            character: str = import_module("unicodedata").lookup(name)
            return character
        except KeyError:
            raise Slip(
                span, "there is no character of that name", "for example \\N{GREEK SMALL LETTER ALPHA}"
            ) from None
    if single is None or single in "\r\n":
        return ""
    if single in _SHAPES:
        raise Slip(span, f"an unfinished escape: it is written {_SHAPES[single]}")
    return _SIMPLE.get(single, "\\" + single)


def string(token: Token) -> ast.String:
    """`"a"`, `'a'`."""
    return ast.String(token.span, unescape(token.text[1:-1], token.start + 1), token.text)


ParseField = Callable[[int, int], tuple[ast.Expr, int]]
_PLAIN = r"(?:[^{}\\]|\{\{|\}\}|\\N\{[^{}]*\}|\\[^{}])+"
_SPEC = r"[^{}]+"


def fstring(token: Token, parse_field: ParseField) -> ast.FString:
    """`f"{loss:.4f}"`; `parse_field(start, end)` gives an expression and where it ended."""
    parts: list[str | ast.Field] = []
    text, at, end = token.text, 2, len(token.text) - 1
    while at < end:
        plain = re.compile(_PLAIN).match(text, at, end)
        if plain is not None:
            parts.append(_plain(plain[0], token.start + at))
            at = plain.end()
        elif text[at] == "{":
            field, at = _field(token, at, end, parse_field, 0)
            parts.append(field)
        elif text[at] == "\\":
            # a backslash before a brace or at the end stands for itself
            parts.append("\\")
            at += 1
        else:
            where = Span(token.start + at, token.start + at + 1)
            raise Slip(where, "a single '}' in an f-string", "a brace of the text itself is written }}")
    return ast.FString(token.span, tuple(_joined(parts)), text)


def _plain(text: str, offset: int) -> str:
    if "{" not in text and "}" not in text:
        return unescape(text, offset)
    pieces = re.split(r"(\\N\{[^{}]*\}|\{\{|\}\})", text)
    out = []
    for piece in pieces:
        out.append(piece[0] if piece in ("{{", "}}") else unescape(piece, offset))
        offset += len(piece)
    return "".join(out)


def _joined(parts: list[str | ast.Field]) -> list[str | ast.Field]:
    out: list[str | ast.Field] = []
    for part in parts:
        if isinstance(part, str) and out and isinstance(out[-1], str):
            out[-1] += part
        else:
            out.append(part)
    return out


def _field(token: Token, at: int, end: int, parse_field: ParseField, depth: int) -> tuple[ast.Field, int]:
    """The field whose `{` is at `at`, and where its text ends; specs nest once, as in Python."""
    text, base = token.text, token.start
    opener = Span(base + at, base + at + 1)
    if depth > 1:
        raise Slip(opener, "the format of a format cannot hold fields of its own")
    if not text[at + 1 : end].lstrip(" \t").strip("}"):
        if text[at + 1 : end].lstrip(" \t")[:1] != "}":
            raise Slip(
                opener, "'{' was never closed in this f-string", "a brace of the text itself is written {{"
            )
        raise Slip(
            opener, "an empty field in an f-string", "a field holds an expression: {x}; a brace itself is {{"
        )
    value, stop = parse_field(base + at + 1, base + end)
    at = stop - base
    if text[at : at + 1] == "!" and at < end:
        raise Slip(Span(stop, stop + 2), "a field has no conversion such as !r", "str(x) gives the text of x")
    spec: list[str | ast.Field] = []
    if text[at : at + 1] == ":" and at < end:
        at += 1
        while at < end and text[at] != "}":
            plain = re.compile(_SPEC).match(text, at, end)
            if plain is not None:
                spec.append(unescape(plain[0], base + at))
                at = plain.end()
            else:
                field, at = _field(token, at, end, parse_field, depth + 1)
                spec.append(field)
    if at >= end:
        raise Slip(
            opener, "'{' was never closed in this f-string", "a brace of the text itself is written {{"
        )
    return ast.Field(Span(opener.start, base + at + 1), value, tuple(spec)), at + 1
