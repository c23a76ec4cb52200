"""`vardsl` on a terminal: the prompt."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from vardsl.apps import repl
from vardsl.apps.options import Line


def main(line: Line) -> int:
    """Reads, runs and shows until the user leaves."""

    def make() -> Any:
        # NumPy is loaded here, behind a prompt that is on the screen already
        return import_module("vardsl.apps.running").session_for(line, Path.cwd(), own=True)

    return repl.run(
        make=make,
        plain=line.get("plain", False),
        init=not line.get("no_init", False),
        colour=line.get("color", "auto"),
    )
