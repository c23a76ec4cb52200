"""Drawings of errors and warnings: the source line with the expression underlined, what it was, what helps.

error[shape]: cannot multiply [2, 3] by [4, 2] with @: inner sizes 3 and 4 differ
 --> train.vd:3:7
  |
3 | out = x @ w
  |       ^^^^^ x is [2, 3], w is [4, 2]
  = note: PyTorch: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x2)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vardsl.display.ansi import PLAIN, Style, escape_control
from vardsl.display.snippet import Snippet, draw_snippet
from vardsl.errors import Error, Frame, Label, ManyErrors, Warning_
from vardsl.source import Source

# Of a deep recursion these many calls are shown at each end.
SHOWN_CALLS = 10
_BROADCAST = re.compile(r"at non-singleton dimension (\d+)")
_SIZES = re.compile(r"\[\d+(?:, \d+)*\]")


def draw(error: Error | Warning_, *, style: Style = PLAIN) -> str:
    """The whole diagnostic, without a newline at its end; several errors stand under each other."""
    return "\n\n".join(_drawing(one, style) for one in each(error))


def draw_short(error: Error | Warning_) -> str:
    """One line for each error: `train.vd:3:7: shape: cannot multiply …`."""
    return "\n".join(_short(one) for one in each(error))


def each(error: Error | Warning_) -> Iterator[Error | Warning_]:
    """The errors in this one: itself, or those that were found together."""
    if isinstance(error, ManyErrors):
        for one in error.errors:
            yield from each(one)
    else:
        yield error


@dataclass(frozen=True, slots=True)
class _Facts:
    """What errors and warnings have in common, ready to be drawn."""

    severity: str
    kind: str
    message: str
    labels: list[Label]
    frames: Sequence[Frame]
    notes: list[str]
    hint: str | None


def _facts(error: Error | Warning_) -> _Facts:
    if isinstance(error, Warning_):
        notes = [f"PyTorch: {error.torch}"] if error.torch else []
        labels = list(error.labels)
        return _Facts("warning", error.kind, error.message, labels, (), [*notes, *error.notes], error.hint)
    notes = [f"PyTorch: {error.torch}"] if error.torch else []
    shapes = _broadcast_note(error)
    if shapes:
        notes.append(shapes)
    labels = _with_operands(error.labels, error.operands)
    return _Facts(
        "error", error.kind, error.message, labels, error.frames, [*notes, *error.notes], error.hint
    )


def _with_operands(labels: Sequence[Label], operands: Sequence[tuple[str, str]]) -> list[Label]:
    """The labels, the place saying what each operand was unless it says something else."""
    place = next((i for i, label in enumerate(labels) if label.primary), None)
    drawn = list(labels)
    if place is not None and operands and not labels[place].text:
        text = ", ".join(f"{role} is {what}" for role, what in operands)
        drawn[place] = Label(labels[place].source, labels[place].span, text)
    return drawn


def _broadcast_note(error: Error) -> str | None:
    """Both shapes under each other where PyTorch names the dimension in which they differ."""
    found = _BROADCAST.search(error.torch or error.message)
    if not found or len(error.operands) != 2 or not all(_SIZES.match(what) for _, what in error.operands):
        return None
    shapes = [[int(n) for n in re.findall(r"\d+", _sizes(what))] for _, what in error.operands]
    axis = int(found[1]) - max(map(len, shapes))
    if axis >= 0 or -axis > min(map(len, shapes)):
        return None
    return aligned_shapes([role for role, _ in error.operands], shapes, axis)


def _sizes(what: str) -> str:
    """The bracketed sizes at the start of `[2, 3] float64`."""
    found = _SIZES.match(what)
    return found[0] if found else ""


def aligned_shapes(names: Sequence[str], shapes: Sequence[Sequence[int]], axis: int) -> str:
    """The text of a note that shows shapes as broadcasting reads them, the axis that does not fit marked.

    An `axis` from 0 counts from the left of the longest shape.
    """
    ndim = max(map(len, shapes))
    from_right = ndim - axis if axis >= 0 else -axis
    widths = [max([len(str(s[-k])) for s in shapes if len(s) >= k]) for k in range(1, ndim + 1)]
    rows = []
    for shape in shapes:
        cells = [str(size).rjust(widths[len(shape) - i - 1]) for i, size in enumerate(shape)]
        rows.append("[" + ", ".join(cells).lstrip() + "]")
    name_width, row_width = max(map(len, names)), max(map(len, rows))
    lines = [f"{name.ljust(name_width)}  {row.rjust(row_width)}" for name, row in zip(names, rows)]
    behind = 1 + sum(widths[: from_right - 1]) + 2 * (from_right - 1)
    width = widths[from_right - 1]
    marked = " " * (name_width + 2 + row_width - behind - width) + "^" * width
    sizes = list(
        dict.fromkeys(s[-from_right] for s in shapes if len(s) >= from_right and s[-from_right] != 1)
    )
    *first, last = map(str, sizes)
    none = "neither" if len(sizes) == 2 else "none"
    reason = f"{', '.join(first)} and {last} differ and {none} is 1" if first else ""
    return "\n".join([*lines, f"{marked} {reason}".rstrip()])


def _drawing(error: Error | Warning_, style: Style) -> str:
    facts = _facts(error)
    head = style.paint(facts.severity, f"{facts.severity}[{facts.kind}]")
    lines = [head + style.paint("message", f": {escape_control(facts.message)}")]
    snippets = _snippets(facts.labels)
    gutter = max([len(str(snippet.last_line)) for snippet in snippets], default=1)
    for i, snippet in enumerate(snippets):
        lines += draw_snippet(snippet, gutter, "-->" if i == 0 else ":::", style)
    for note in facts.notes:
        lines += _remark("note", note, gutter, style)
    if facts.frames:
        lines += _remark("note", _calls(facts.frames, style), gutter, style)
    if facts.hint:
        lines += _remark("help", facts.hint, gutter, style)
    return "\n".join(lines)


def _remark(role: str, text: str, gutter: int, style: Style) -> list[str]:
    """`= note: …`, the further lines of the text below its first."""
    first, *rest = escape_control(text).split("\n")
    lead = " " * gutter + " " + style.paint("gutter", "=") + " " + style.paint(role, f"{role}:")
    indent = " " * (gutter + len(f" = {role}: "))
    return [f"{lead} {first}", *[(indent + line).rstrip() for line in rest]]


def _calls(frames: Sequence[Frame], style: Style) -> str:
    """The calls that led to the error, the innermost first."""
    lines = [f"in {frame.name}, called at {_address(frame.source, frame.span.start)}" for frame in frames]
    hidden = len(lines) - 2 * SHOWN_CALLS
    if hidden > 0:
        more = f"{style.ellipsis} {hidden} more call{'s' if hidden > 1 else ''}"
        lines[SHOWN_CALLS:-SHOWN_CALLS] = [more]
    return "\n".join(lines)


def _address(source: Source, offset: int) -> str:
    line, column = source.position(offset)
    return f"{source.name}:{line}:{column}"


def _snippets(labels: Sequence[Label]) -> list[Snippet]:
    """Labels by where they are drawn: those of one source together, but a second place on its own."""
    snippets: list[Snippet] = []
    place = next((label for label in labels if label.primary), None)
    # The place comes first, then what else is a place, then the causes beside them.
    order = sorted(labels, key=lambda label: (label is not place, not label.primary))
    for label in order:
        home = next((snippet for snippet in snippets if snippet.takes(label)), None)
        if home is None:
            snippets.append(Snippet(label.source, [label]))
        else:
            home.labels.append(label)
    return snippets


def _short(error: Error | Warning_) -> str:
    facts = _facts(error)
    kind = facts.kind if facts.severity == "error" else f"warning[{facts.kind}]"
    text = escape_control(f"{kind}: {facts.message}").replace("\n", " ")
    place = next((label for label in facts.labels if label.primary), None)
    return f"{escape_control(_address(place.source, place.span.start))}: {text}" if place else text


def to_json(error: Error | Warning_) -> dict[str, Any]:
    """One error as plain data; of several, the first (see `each`)."""
    facts = _facts(next(each(error)))
    place = next((label for label in facts.labels if label.primary), None)
    nowhere = {"file": None, "line": None, "column": None, "end_line": None, "end_column": None}
    return {
        "severity": facts.severity,
        "kind": facts.kind,
        "code": facts.kind,
        "message": facts.message,
        **(_range(place) if place else nowhere),
        "labels": [{**_range(label), "text": label.text, "primary": label.primary} for label in facts.labels],
        "notes": facts.notes,
        "help": facts.hint,
        "calls": [_call(frame) for frame in facts.frames],
    }


def _range(label: Label) -> dict[str, Any]:
    line, column = label.source.position(label.span.start)
    end_line, end_column = label.source.position(max(label.span.start, label.span.end))
    return {
        "file": label.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def _call(frame: Frame) -> dict[str, Any]:
    line, column = frame.source.position(frame.span.start)
    return {"name": frame.name, "file": frame.source.name, "line": line, "column": column}
