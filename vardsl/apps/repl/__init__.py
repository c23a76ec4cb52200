"""The prompt that people keep open.

`run` is the whole of it to other front ends: the command, and `vardsl.repl()`.
"""

from __future__ import annotations

from typing import Any


def run(
    session: Any = None,
    *,
    plain: bool = False,
    init: bool = True,
    banner: bool = True,
    colour: str = "auto",
    **session_options: Any,
) -> int:
    """Reads, runs and shows until the user leaves; the exit status.

    session          the session to go on with (after a script); else one is made of `session_options` while
                     the prompt is drawn already
    plain            no line editor, no escape codes; also where the terminal cannot do more
    init             whether `init.vd` of the configuration folder runs first
    colour           `auto`, `always` or `never`
    session_options  keyword arguments of `vardsl.session.Session`
    """
    from vardsl.apps.repl.loop import start

    return start(
        session, session_options=session_options, plain=plain, init=init, banner=banner, colour=colour
    )
