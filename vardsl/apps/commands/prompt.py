"""`vardsl` on a terminal: the prompt."""

from __future__ import annotations

from pathlib import Path

from vardsl.apps import repl
from vardsl.apps.options import Line
from vardsl.apps.running import session_options


def main(line: Line) -> int:
    """Reads, runs and shows until the user leaves."""
    options = session_options(line, Path.cwd(), own=True)
    return repl.run(
        plain=line.get("plain", False),
        init=not line.get("no_init", False),
        colour=line.get("color", "auto"),
        **options,
    )
