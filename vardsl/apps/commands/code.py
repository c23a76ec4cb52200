"""`vardsl -c CODE`."""

from __future__ import annotations

import os

from vardsl.apps import running
from vardsl.apps.options import CODE, Line
from vardsl.session import Session
from vardsl.source import Source


def main(line: Line) -> int:
    """Runs the code, and prints the value of its last bare expression."""
    source = Source("<string>", "\n".join(line.get(CODE.key)))

    def go(session: Session) -> None:
        session.bind("args", tuple(line.words))
        value = session.run(source, complete=True)
        # a last `minimize` has a value too, and is no expression
        if value is not None and session.last_is_expression:
            running.show(session, value)

    return running.run(line, os.getcwd(), go, own=True)
