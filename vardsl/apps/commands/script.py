"""`vardsl` with piped standard input, which is the script."""

from __future__ import annotations

from vardsl.apps.commands import run
from vardsl.apps.options import Line


def main(line: Line) -> int:
    """Runs what comes in."""
    line.words = ["-"]
    return run.main(line)
