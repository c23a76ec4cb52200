"""Source lines with marks below them, measured in terminal cells rather than characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from vardsl.display.ansi import Style, escape_control
from vardsl.errors import Label
from vardsl.source import Source

TAB = 4


@dataclass(slots=True)
class Snippet:
    """Labels of one source that are drawn together; the first is the snippet's place."""

    source: Source
    labels: list[Label]

    def takes(self, label: Label) -> bool:
        """Whether the label belongs here: another place does only on the line of this one."""
        if label.source is not self.source and label.source != self.source:
            return False
        return not label.primary or _line_of(label) == _line_of(self.labels[0])

    @property
    def last_line(self) -> int:
        """The largest line number that is drawn."""
        return max(map(_line_of, self.labels))


@dataclass(frozen=True, slots=True)
class _Mark:
    """A label in cells of its drawn line."""

    start: int
    end: int
    text: str
    primary: bool

    @property
    def role(self) -> str:
        return "primary" if self.primary else "secondary"


def _line_of(label: Label) -> int:
    return label.source.position(label.span.start)[0]


def draw_snippet(snippet: Snippet, gutter: int, arrow: str, style: Style) -> list[str]:
    """The address, then every line that has labels, with its marks and their texts."""
    line, column = snippet.source.position(snippet.labels[0].span.start)
    address = escape_control(f"{snippet.source.name}:{line}:{column}")
    bar = " " * gutter + " " + style.paint("gutter", "|")
    lines = [" " * gutter + style.paint("gutter", arrow) + " " + address, bar]
    by_line: dict[int, list[Label]] = {}
    for label in snippet.labels:
        by_line.setdefault(_line_of(label), []).append(label)
    for number in sorted(by_line):
        text, marks = _line_and_marks(snippet.source, number, by_line[number], style)
        lines.append((style.paint("gutter", f"{number:>{gutter}} |") + " " + text).rstrip())
        lines += [f"{bar} {row}" for row in _mark_rows(marks, style)]
    return lines


def _line_and_marks(
    source: Source, number: int, labels: Sequence[Label], style: Style
) -> tuple[str, list[_Mark]]:
    """The line as it is shown, and its labels in cells of what is shown."""
    line = source.line(number)
    ranges = []
    for label in labels:
        start = min(source.position(label.span.start)[1] - 1, len(line))
        # What goes on below the line is marked to the line's end; nothing at all still gets one mark.
        end = max(start + 1, min(start + label.span.end - label.span.start, len(line)))
        ranges.append((start, end))
    pieces, edges, offset = _shown_cells(line, ranges[0], style)
    marks = []
    for label, (start, end) in zip(labels, ranges):
        first = edges[min(max(start - offset, 0), len(edges) - 1)]
        last = edges[min(max(end - offset, 0), len(edges) - 1)]
        marks.append(
            _Mark(first, max(last, first + 1), escape_control(label.text).replace("\n", " "), label.primary)
        )
    return pieces, marks


def _shown_cells(line: str, focus: tuple[int, int], style: Style) -> tuple[str, list[int], int]:
    """The part of a line around `focus` that fits, the cells at which its characters start (and the last one
    ends), and the index of its first character."""
    start, end = 0, len(line)
    if len(line) > style.width:
        # A third of the window stands before what is marked, all of it where the mark itself is long.
        start = max(0, min(focus[0] - style.width // 3, len(line) - style.width))
        end = min(len(line), start + style.width)
    texts = [_cell_text(char) for char in line[start:end]]
    widths = _cell_widths(texts)
    while sum(widths) > style.width and len(texts) > 1:
        # Wide characters and escapes: give up what is farther from the mark.
        if start + len(texts) > focus[0] + 1 and start + len(texts) - focus[0] >= focus[0] - start:
            texts.pop()
            widths.pop()
            end -= 1
        else:
            del texts[0], widths[0]
            start += 1
    left = style.ellipsis if start > 0 else ""
    right = style.ellipsis if end < len(line) else ""
    edges = [len(left)]
    for width in widths:
        edges.append(edges[-1] + width)
    return left + "".join(texts) + right, edges, start


def _cell_text(char: str) -> str:
    return " " * TAB if char == "\t" else escape_control(char)


def _cell_widths(texts: Sequence[str]) -> list[int]:
    if all(text.isascii() for text in texts):
        return [len(text) for text in texts]
    from wcwidth import wcwidth  # 10 ms, and only for lines that need it

    return [len(text) if text.isascii() else max(0, wcwidth(text)) for text in texts]


def _mark_rows(marks: Sequence[_Mark], style: Style) -> list[str]:
    """The underlines with the text of the last one behind them, then the other texts from right to left."""
    ordered = sorted(marks, key=lambda mark: (mark.start, mark.primary))
    inline = ordered[-1]
    cells: list[_Mark | None] = [None] * max(mark.end for mark in marks)
    # What lies within another stays visible.
    for mark in sorted(marks, key=lambda mark: (mark.start - mark.end, mark.primary)):
        cells[mark.start : mark.end] = [mark] * (mark.end - mark.start)
    row = _painted(cells, style, secondary="-", primary="^")
    rows = [f"{row} {style.paint(inline.role, inline.text)}" if inline.text else row]
    waiting = [mark for mark in ordered[:-1] if mark.text]
    if waiting:
        rows.append(_connectors(waiting, style))
    while waiting:
        mark = waiting.pop()
        lead = _connectors([other for other in waiting if other.start < mark.start], style, mark.start)
        rows.append(lead + style.paint(mark.role, mark.text))
    return rows


def _connectors(marks: Sequence[_Mark], style: Style, width: int = 0) -> str:
    """Upright strokes from texts to their marks."""
    cells: list[_Mark | None] = [None] * max([width, *[mark.start + 1 for mark in marks]])
    for mark in marks:
        cells[mark.start] = mark
    return _painted(cells, style, secondary="|", primary="|")


def _painted(cells: Sequence[_Mark | None], style: Style, *, secondary: str, primary: str) -> str:
    """Cells as text: runs of one mark in one colour."""
    parts = []
    for mark, run in groupby(cells):
        count = len(list(run))
        if mark is None:
            parts.append(" " * count)
        else:
            parts.append(style.paint(mark.role, (primary if mark.primary else secondary) * count))
    return "".join(parts)
