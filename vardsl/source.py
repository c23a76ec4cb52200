"""A script's text with its name, and spans into it.

What every start of the command loads is written out as plain classes: making a dataclass takes as long as
reading a small module.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property


class Span:
    """A half-open range `[start, end)` of code points in a source text; never changed."""

    __slots__ = ("end", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end

    def __eq__(self, other: object) -> bool:
        return type(other) is Span and self.start == other.start and self.end == other.end

    def __hash__(self) -> int:
        return hash((self.start, self.end))

    def __repr__(self) -> str:
        return f"Span({self.start}, {self.end})"

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other`."""
        return Span(self.start, other.end)


class Source:
    """Text as the user wrote it; `name` is what diagnostics call it (`train.vd`, `<string>`, `<stdin>`)."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text

    def __eq__(self, other: object) -> bool:
        return type(other) is Source and self.name == other.name and self.text == other.text

    def __hash__(self) -> int:
        return hash((self.name, self.text))

    @cached_property
    def line_starts(self) -> list[int]:
        """Offsets at which lines start; `\\n`, `\\r\\n` and a lone `\\r` each end one."""
        starts, text, i = [0], self.text, 0
        while i < len(text):
            if text[i] == "\r" and text[i + 1 : i + 2] == "\n":
                i += 1
            if text[i] in "\r\n":
                starts.append(i + 1)
            i += 1
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, columns in code points; a byte-order mark counts for none."""
        line = bisect_right(self.line_starts, offset) - 1
        column = offset - self.line_starts[line] + 1
        if line == 0 and self.text.startswith("\ufeff"):
            column = max(1, column - 1)
        return line + 1, column

    def line(self, number: int) -> str:
        """The text of a line (from 1) without its line end or byte-order mark."""
        starts = self.line_starts
        end = starts[number] if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r\n").removeprefix("\ufeff")
