"""Golden scripts: a script with what each statement prints in `#>` lines below it, and errors in `#!` lines.

    print mean([1., 2.])
    #> tensor(1.5000)

Each statement of the file runs on its own, so that after an error the script goes on; several statements on
one line share the lines below it. A text that does not parse has its diagnostics below the last one's line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Protocol

from vardsl.display.diagnostics import draw, each
from vardsl.errors import Error
from vardsl.source import Source
from vardsl.syntax import ast
from vardsl.syntax.parse import parse

_EXPECTED = re.compile(r"#[>!]")


class Runs(Protocol):
    """A session, as far as golden scripts need one."""

    def run_captured(self, source: str, *, filename: str = "<string>") -> str: ...


@dataclass(frozen=True, slots=True)
class Result:
    """A golden run: the text as it stands, and as it would be with the lines that came out."""

    name: str
    expected: str
    actual: str

    @property
    def passed(self) -> bool:
        return self.expected == self.actual

    def difference(self) -> str:
        """What differs, as a unified diff."""
        before, after = self.expected.splitlines(), self.actual.splitlines()
        return "\n".join(unified_diff(before, after, self.name, f"{self.name} (as it runs)", lineterm=""))


def run(source: Source, session: Runs) -> Result:
    """Runs a golden script in a fresh session. Blanks at the ends of its `#>` lines do not count."""
    plain = Source(Path(source.name).name, source.text)
    lines = [plain.line(n) for n in range(1, len(plain.line_starts) + 1)]
    if lines[-1] == "":
        lines.pop()
    printed = _outputs(plain, lines, session)
    actual: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not _EXPECTED.match(line):
            actual.append(line)
        actual += printed.get(number, ())
    expected = [line.rstrip() if _EXPECTED.match(line) else line for line in lines]
    return Result(source.name, "\n".join(expected), "\n".join(actual))


def _outputs(source: Source, lines: Sequence[str], session: Runs) -> dict[int, list[str]]:
    """The lines that belong below each line."""
    try:
        program = parse(source)
    except Error as error:
        last = max((one.line or 1 for one in each(error) if isinstance(one, Error)), default=1)
        return {last: _marked("#!", _drawn(error))}
    printed: dict[int, list[str]] = {}
    for statement in program.body:
        below = source.position(max(statement.span.start, statement.span.end - 1))[0]
        came = _run_one(source, statement, session)
        if came:
            printed.setdefault(below, []).extend(came)
    return printed


def _run_one(source: Source, statement: ast.Stmt, session: Runs) -> list[str]:
    try:
        return _marked("#>", session.run_captured(_alone(source, statement), filename=source.name))
    except Error as error:
        return _marked("#>", error.output) + _marked("#!", _drawn(error))


def _alone(source: Source, statement: ast.Stmt) -> str:
    """The text with everything but one statement blank: its lines and columns stay what they are."""
    start, end = statement.span.start, statement.span.end
    before = re.sub(r"[^\r\n]", " ", source.text[:start])
    return before + source.text[start:end]


def _drawn(error: Error) -> str:
    return "\n".join(line.rstrip() for line in draw(error).splitlines())


def _marked(mark: str, text: str) -> list[str]:
    return [f"{mark} {line}".rstrip() for line in text.splitlines()]
