"""The prompt that people keep open.

`run` is the whole of it to other front ends: the command, and `vardsl.repl()`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from vardsl.apps.repl.loop import start


def run(
    session: Any = None,
    *,
    make: Callable[[], Any] | None = None,
    plain: bool = False,
    init: bool = True,
    banner: bool = True,
    colour: str = "auto",
) -> int:
    """Reads, runs and shows until the user leaves; the exit status.

    session  the session to go on with, after a script
    make     makes the session where there is none; called in another thread while the prompt is drawn
    plain    no line editor, no escape codes; also where the terminal cannot do more
    init     whether `init.vd` of the configuration folder runs first
    colour   `auto`, `always` or `never`
    """
    return start(
        session, make, plain=plain, init=init, banner=banner, colour=colour, in_thread=_in_event_loop()
    )


def repl(session: Any = None, *, plain: bool = False, init: bool = False, colour: str = "auto") -> Any:
    """The prompt in a Python program, also where an event loop is running; gives the session."""
    if session is None:
        session = import_module("vardsl.session").Session()
    run(session, plain=plain, init=init, banner=False, colour=colour)
    return session


def _in_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None
