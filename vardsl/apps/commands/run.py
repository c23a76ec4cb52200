"""`vardsl run FILE [ARG…]` and `vardsl FILE [ARG…]`."""

from __future__ import annotations

from pathlib import Path

from vardsl.apps import running
from vardsl.apps.files import read_script
from vardsl.apps.options import Line, UsageError
from vardsl.apps.report import report
from vardsl.errors import Error
from vardsl.session import Session


def main(line: Line) -> int:
    """Runs a script; the words after its name are its tuple `args`."""
    if not line.words:
        raise UsageError("run needs a file", f"{line.prog} run FILE [ARG…], or - for standard input")
    name, *arguments = line.words
    try:
        source = read_script(name)
    except Error as error:
        report(error, line.get("color", "auto"))
        return error.status

    def go(session: Session) -> None:
        session["args"] = tuple(arguments)
        session.run(source, complete=True)

    piped = name == "-"
    return running.run(line, Path.cwd() if piped else Path(name).parent, go, own=piped)
