"""Records the prompt as `docs/repl.svg`: the real program on a pseudo-terminal, typed at, looked at, drawn.

    python docs/make_screen.py [FILE]

The picture plays in a browser; where motion is not wanted it stands still at its last frame.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from pyte.screens import Char

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit" / "apps"))

from terminal import Terminal, vardsl  # type: ignore[import-not-found]

COLUMNS, ROWS = 84, 26
CELL, LINE = 8.4, 18.0
BACKGROUND, FOREGROUND = "#16181d", "#d7dae0"
COLOURS = {
    "default": FOREGROUND, "black": "#3b4048", "red": "#f2777a", "green": "#8fce7e", "brown": "#e5c07b",
    "blue": "#6cb2f5", "magenta": "#d39bea", "cyan": "#6fd0d6", "white": "#d7dae0", "brightblack": "#7d8590",
    "brightred": "#ff9a9c", "brightgreen": "#b2e5a3", "brightbrown": "#f2d9a0", "brightyellow": "#f2d9a0",
    "brightblue": "#9accff", "brightmagenta": "#e6bdf7", "brightcyan": "#a2e9ed", "brightwhite": "#ffffff",
}  # fmt: skip

# What is typed, what must be seen then, and how long that stands (in seconds).
SCENES: tuple[tuple[str, str, float], ...] = (
    ("", "float32", 0.8),
    ("let v = var [[1, 2], [3, 4]] grad", "→ [2, 2] float32 [[1, 2], [3, 4]]", 1.2),
    ("\r", "1 name", 0.3),
    ("out = mea", "mean", 1.0),
    ("n(v*v", "→ 7.5", 1.5),
    (")\r", "2 names", 0.4),
    ("backward out; v.grad", "v.grad", 0.6),
    ("\r", "[1.5000, 2.0000]])", 1.4),
    ("let w = ones(3)\r", "3 names", 0.4),
    ("v @ w", "inner sizes", 1.8),
    ("\r", "error[shape]", 2.0),
    ("sum(v, ", "input, dim=none", 1.4),
    ("dim=0)\r", "tensor([4., 6.]", 1.2),
    ("for i in range(20) {\r", "...", 0.4),
    ("zero_grad; backward mean((v - 1)**2)\r", "...   \n", 0.5),
    ("update v -= 0.9 * v.grad\r}\r", "3 names", 0.6),
    ("v", "v", 0.3),
    ("\r", "requires_grad=True)", 1.4),
    (":undo 2\r", "undone: for", 1.6),
    ("v\r", "[3., 4.]], requires_grad=True)", 2.5),
)


@dataclass(frozen=True)
class Frame:
    """A screen as drawn lines, and how long it stands."""

    lines: tuple[str, ...]
    seconds: float


def record() -> Iterator[Frame]:
    """Plays the scenes; keys come a few at a time."""
    with tempfile.TemporaryDirectory() as folder:
        terminal = vardsl(Path(folder), columns=COLUMNS, rows=ROWS)
        try:
            terminal.wait_for("vd>")
            for keys, seen, seconds in SCENES:
                for start in range(0, len(keys), 3):
                    terminal.type(keys[start : start + 3])
                    terminal.pump(0.12)
                    yield Frame(drawn(terminal), 0.12)
                if seen.strip():
                    terminal.wait_for(seen.strip())
                terminal.pump(0.3)
                yield Frame(drawn(terminal), seconds)
        finally:
            terminal.close()


def drawn(terminal: Terminal) -> tuple[str, ...]:
    """The screen as SVG text, a piece for each line and the cursor last."""
    screen = terminal.screen
    lines = []
    for row in range(ROWS):
        pieces, start = [], 0
        cells = [screen.buffer[row][column] for column in range(COLUMNS)]
        while start < COLUMNS:
            end = start
            while end < COLUMNS and _look(cells[end]) == _look(cells[start]):
                end += 1
            text = "".join(cell.data for cell in cells[start:end])
            pieces.append(_piece(text, start, row, cells[start]))
            start = end
        lines.append("".join(pieces))
    x, y = screen.cursor.x * CELL, screen.cursor.y * LINE
    lines.append(_box(x, y, CELL, FOREGROUND, ' opacity=".45"'))
    return tuple(lines)


def _look(cell: Char) -> tuple[object, ...]:
    return cell.fg, cell.bg, cell.bold, cell.italics, cell.underscore, cell.reverse


def _piece(text: str, column: int, row: int, cell: Char) -> str:
    foreground = _colour(cell.fg, FOREGROUND)
    background = _colour(cell.bg, "")
    if cell.reverse:
        foreground, background = background or BACKGROUND, foreground
    parts = []
    x, y = column * CELL, row * LINE
    if background:
        parts.append(_box(x, y, len(text) * CELL, background))
    if text.strip():
        style = f' fill="{foreground}"' if foreground != FOREGROUND else ""
        style += ' font-weight="bold"' if cell.bold else ""
        style += ' font-style="italic"' if cell.italics else ""
        style += ' text-decoration="underline"' if cell.underscore else ""
        lead = len(text) - len(text.lstrip())
        shown = text.strip()
        place = f'x="{x + lead * CELL:.1f}" y="{y + 13.5:.1f}" textLength="{len(shown) * CELL:.1f}"'
        parts.append(f"<text {place}{style}>{escape(shown)}</text>")
    return "".join(parts)


def _box(x: float, y: float, width: float, colour: str, more: str = "") -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{LINE}" fill="{colour}"{more}/>'


def _colour(name: str, default: str) -> str:
    if name == "default":
        return default
    return COLOURS.get(name, f"#{name}")


def svg(frames: list[Frame]) -> str:
    """An animation; each line that changes is drawn once and switched on for its time."""
    width, height = COLUMNS * CELL + 24, ROWS * LINE + 24
    whole = sum(frame.seconds for frame in frames)
    spans: list[tuple[str, float, float]] = []
    for row in range(ROWS + 1):
        at = began = 0.0
        shown = frames[0].lines[row]
        for frame in frames:
            if frame.lines[row] != shown:
                spans.append((shown, began, at))
                shown, began = frame.lines[row], at
            at += frame.seconds
        spans.append((shown, began, whole))
    styles, groups = [], []
    for text, began, end in spans:
        if not text:
            continue
        if began == 0 and end == whole:
            groups.append(f"<g>{text}</g>")
            continue
        name = f"a{len(styles)}"
        on, off = 100 * began / whole, 100 * end / whole
        before = "0%{visibility:hidden}" if began else ""
        after = f"{off:.2f}%,100%{{visibility:hidden}}" if end < whole else ""
        frames_ = f"{before}{on:.2f}%{{visibility:visible}}{after}"
        styles.append(f"@keyframes {name}{{{frames_}}}.{name}{{animation-name:{name}}}")
        last = "" if end == whole else " t"
        groups.append(f'<g class="{name} s{last}">{text}</g>')
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">
<title>A session at the prompt of vardsl</title>
<style>text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre}}
.s{{animation:{whole:.2f}s step-end infinite}}
.t{{visibility:hidden}}@media(prefers-reduced-motion){{.s{{animation:none}}}}
{"".join(styles)}</style>
<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>
<g transform="translate(12 12)" fill="{FOREGROUND}" xml:space="preserve">
{chr(10).join(groups)}
</g></svg>
"""


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("repl.svg")
    frames: list[Frame] = []
    for frame in record():
        if frames and frames[-1].lines == frame.lines:
            frames[-1] = Frame(frame.lines, frames[-1].seconds + frame.seconds)
        else:
            frames.append(frame)
    path.write_text(svg(frames), encoding="utf-8")
    print(f"{path}: {len(frames)} frames, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
