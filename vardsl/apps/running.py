"""A script from the command line: its session, its limits and permissions, and the status it ends with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from vardsl.apps.options import Line
from vardsl.apps.progress import ProgressLine
from vardsl.apps.terminal import OK, SIGNALS, complain
from vardsl.errors import Error, Warning_
from vardsl.lang.cache import ScriptCache
from vardsl.lang.exchange import ScriptFunction
from vardsl.lang.outcome import Emit, Outcome, Printed, Progress, Warned
from vardsl.lang.permissions import AnyPath, Permissions
from vardsl.session import Session

SANDBOX = {"max_memory": 256_000_000, "max_time": 10.0, "max_steps": 10_000_000, "max_output": 1_000_000}


def limits_of(line: Line) -> dict[str, Any] | None:
    """The limits that the options set; `--sandbox` sets those that are not given."""
    given = {key: line.get(key) for key in SANDBOX if line.get(key) is not None}
    limits = SANDBOX | given if line.get("sandbox") else given
    return limits or None


def permissions_of(line: Line, folder: AnyPath, *, own: bool) -> Permissions:
    """What may be read and written; with `own` (the prompt, code, piped input) everything below `folder`."""
    read, write = list(line.get("allow_read", ())), list(line.get("allow_write", ()))
    if not line.get("sandbox"):
        read.append(folder)
        if own:
            write.append(folder)
    return Permissions(folder, read, write)


def session_options(line: Line, folder: AnyPath, *, own: bool) -> dict[str, Any]:
    """Keyword arguments of `Session` from the command line."""
    return {
        "seed": line.get("seed"),
        "plan": not line.get("no_plan", False),
        "limits": limits_of(line),
        "permissions": permissions_of(line, folder, own=own),
    }


def session_for(
    line: Line, folder: AnyPath, *, own: bool = False, emit: Emit | None = None, **changed: Any
) -> Session:
    """A session for the options of a command line."""
    return Session(**{**session_options(line, folder, own=own), "emit": emit, **changed})


def cache_for(line: Line) -> ScriptCache | None:
    """Where the translated script is kept; nowhere in a sandbox."""
    return None if line.get("sandbox") else ScriptCache.standard()


def report(error: Error | Warning_, color: str) -> None:
    """One diagnostic on standard error; what draws it is loaded for the first one."""
    import_module("vardsl.apps.report").report(error, color)


def run(line: Line, folder: AnyPath, go: Callable[[Session], Any], *, own: bool) -> int:
    """Runs something in a new session, reports what goes wrong, and gives the status."""
    stream = Stream(line)
    try:
        session = session_for(line, folder, own=own, emit=stream, cache=cache_for(line))
        status = _status(session, go, stream)
    except Error as error:
        stream.close()
        report(error, stream.color)
        return error.status
    finally:
        stream.close()
    if line.get("explain_plan"):
        sys.stdout.flush()
        complain(plans(session))
    return status


def _status(session: Session, go: Callable[[Session], Any], stream: Stream) -> int:
    try:
        with SIGNALS.to(session.interrupt):
            go(session)
    except Error as error:
        stream.close()
        report(error, stream.color)
        return error.status
    return OK


def plans(session: Session) -> str:
    """What became of the runs of statements of a session, as text."""
    if not session.plan:
        return "nothing was planned: the planner is switched off (--no-plan)"
    text: str = import_module("vardsl.plan.describe").describe(session.regions.values())
    return text


class Stream:
    """Puts out what happens in a script: text on standard output, all else on standard error."""

    def __init__(self, line: Line) -> None:
        self.color: str = line.get("color", "auto")
        self.progress = ProgressLine(sys.stderr, asked=line.get("progress", False))

    def __call__(self, outcome: Outcome) -> None:
        if isinstance(outcome, Progress):
            self.progress.turn(outcome)
            return
        self.progress.close()
        if isinstance(outcome, Printed):
            sys.stdout.write(outcome.text)
        elif isinstance(outcome, Warned):
            report(outcome.warning, self.color)

    def close(self) -> None:
        self.progress.close()


def show(session: Session, value: Any) -> None:
    """The value of a last bare expression."""
    if value is None:
        return
    text = repr(value) if isinstance(value, ScriptFunction) else session.text(value)
    session.emit(Printed(text + "\n"))


__all__ = [
    "SANDBOX", "Stream", "cache_for", "limits_of", "plans", "run", "session_for", "session_options", "show",
]  # fmt: skip
