"""A real process on a pseudo-terminal, and the screen that a user would see."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect
import pyte

PATIENCE = 10.0


class Terminal:
    """Runs a command on a pseudo-terminal; `screen` is what stands there."""

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], columns: int = 80, rows: int = 24
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.process = pexpect.spawn(
            command[0], list(command[1:]), env=dict(environ), dimensions=(rows, columns), timeout=PATIENCE
        )

    def pump(self, seconds: float = 0.02) -> None:
        """Reads what comes, and answers as a terminal does when it is asked where the cursor is."""
        end = time.monotonic() + seconds
        while True:
            try:
                data = self.process.read_nonblocking(65536, timeout=0.01)
            except pexpect.TIMEOUT:
                data = b""
            except pexpect.EOF:
                return
            self.raw += data
            self.stream.feed(data)
            if b"\x1b[6n" in data:
                self.process.send(f"\x1b[{self.screen.cursor.y + 1};{self.screen.cursor.x + 1}R")
            if time.monotonic() >= end:
                return

    def text(self) -> str:
        """The screen, without blanks at the ends."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def wait_for(self, text: str, seconds: float = PATIENCE) -> str:
        """Waits until a text stands on the screen; the screen."""
        end = time.monotonic() + seconds
        while text not in self.text():
            assert time.monotonic() < end, f"no {text!r} in:\n{self.text()}"
            self.pump()
        return self.text()

    def wait_until_gone(self, text: str, seconds: float = PATIENCE) -> str:
        """Waits until a text is no longer on the screen; the screen."""
        end = time.monotonic() + seconds
        while text in self.text():
            assert time.monotonic() < end, f"still {text!r} in:\n{self.text()}"
            self.pump()
        return self.text()

    def type(self, keys: str) -> None:
        """Sends keys."""
        self.process.send(keys)

    def resize(self, columns: int, rows: int) -> None:
        """Makes the window another size."""
        self.screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def status(self) -> int:
        """Waits for the end of the process; its exit status."""
        end = time.monotonic() + PATIENCE
        while self.process.isalive():
            assert time.monotonic() < end, f"still running:\n{self.text()}"
            self.pump()
        self.pump()
        self.process.close()
        status = self.process.exitstatus
        return status if status is not None else -1

    def close(self) -> None:
        """Ends the process, whatever it does."""
        self.process.close(force=True)


def vardsl(folder: Path, *arguments: str, columns: int = 80, rows: int = 24, **environ: str) -> Terminal:
    """`vardsl` on a terminal, with configuration and history in a folder."""
    base = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR")}
    paths = {"VARDSL_CONFIG": str(folder / "config"), "VARDSL_HISTORY": str(folder / "history")}
    root = str(Path(__file__).parents[3])
    whole = {**base, "TERM": "xterm-256color", "PYTHONPATH": root, "LANG": "C.UTF-8", **paths, **environ}
    return Terminal([sys.executable, "-m", "vardsl", *arguments], whole, columns, rows)
