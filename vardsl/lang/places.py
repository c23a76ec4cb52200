"""From running code back to the script: which expression an instruction belongs to.

Generated code carries the script's lines and columns, and its file name *is* the source: a `FileName` knows
it. So a graph node's `(code, lasti)` and every frame of a traceback lead to a span for nothing while nobody
asks.
"""

from __future__ import annotations

import sys
from types import CodeType, TracebackType
from typing import Any

from vardsl.errors import Label
from vardsl.source import Source, Span

MARK = "__vardsl__"


class FileName(str):
    """The name under which a source is compiled; it brings its source along."""

    source: Source

    @classmethod
    def of(cls, source: Source) -> FileName:
        name = cls(source.name)
        name.source = source
        return name


class Place:
    """An expression of a script, and the name of the code that it stands in."""

    __slots__ = ("function", "source", "span")

    def __init__(self, source: Source, span: Span, function: str) -> None:
        self.source = source
        self.span = span
        self.function = function

    def label(self, text: str = "", primary: bool = True) -> Label:
        return Label(self.source, self.span, text, primary)


def place_of(code: CodeType, lasti: int) -> Place | None:
    """The expression that the instruction at `lasti` belongs to; None for code that is no script's."""
    source = getattr(code.co_filename, "source", None)
    if source is None:
        return None
    position = None
    for k, p in enumerate(code.co_positions()):
        if k == lasti // 2:
            position = p
            break
    if position is None or position[0] is None:
        return None
    line, end_line, column, end_column = position
    assert line is not None
    starts = source.line_starts
    start = starts[min(line, len(starts)) - 1] + (column or 0)
    end = starts[min(end_line or line, len(starts)) - 1] + (end_column or 0)
    return Place(source, Span(start, max(start, end)), code.co_name)


def resolve(where: tuple[CodeType, int] | None) -> Place | None:
    """The place that a graph node has kept."""
    return None if where is None else place_of(*where)


def here() -> Place | None:
    """The script's expression that is being evaluated in this thread."""
    f: Any = sys._getframe(1)
    while f is not None:
        if MARK in f.f_globals:
            return place_of(f.f_code, f.f_lasti)
        f = f.f_back
    return None


def script_entries(tb: TracebackType | None) -> list[tuple[TracebackType, Place]]:
    """The entries of a traceback that are a script's, outermost first."""
    found = []
    while tb is not None:
        if MARK in tb.tb_frame.f_globals:
            place = place_of(tb.tb_frame.f_code, tb.tb_lasti)
            if place is not None:
                found.append((tb, place))
        tb = tb.tb_next
    return found
