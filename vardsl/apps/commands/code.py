"""`vardsl -c CODE`."""

from __future__ import annotations

from pathlib import Path

from vardsl.apps import running
from vardsl.apps.options import CODE, Line
from vardsl.session import Session


def main(line: Line) -> int:
    """Runs the code, and prints the value of its last bare expression."""
    code = "\n".join(line.get(CODE.key))

    def go(session: Session) -> None:
        session["args"] = tuple(line.words)
        running.show(session, session.run(code, complete=True))

    return running.run(line, Path.cwd(), go, own=True)
