"""`vardsl run FILE [ARG…]` and `vardsl FILE [ARG…]`."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module

from vardsl.apps import running
from vardsl.apps.files import read_script
from vardsl.apps.options import Line, UsageError
from vardsl.apps.terminal import SIGNALS
from vardsl.errors import Error
from vardsl.session import Session


def _then_prompt(line: Line, folder: str, go: Callable[[Session], None]) -> int:
    """The script, and then the prompt with what it left, also after an error."""
    color = line.get("color", "auto")
    session = running.session_for(line, folder, own=True, emit=running.Stream(line))
    try:
        with SIGNALS.to(session.interrupt):
            go(session)
    except Error as error:
        running.report(error, color)
    repl = import_module("vardsl.apps.repl")
    plain = line.get("plain", False)
    status: int = repl.run(session, plain=plain, init=False, banner=False, colour=color)
    return status


def main(line: Line) -> int:
    """Runs a script; the words after its name are its tuple `args`."""
    if not line.words:
        raise UsageError("run needs a file", f"{line.prog} run FILE [ARG…], or - for standard input")
    name, *arguments = line.words
    try:
        source = read_script(name)
    except Error as error:
        running.report(error, line.get("color", "auto"))
        return error.status

    def go(session: Session) -> None:
        session.bind("args", tuple(arguments))
        session.run(source, complete=True)

    piped = name == "-"
    folder = os.getcwd() if piped else os.path.dirname(name)
    if line.get("interactive"):
        return _then_prompt(line, folder, go)
    return running.run(line, folder, go, own=piped)
