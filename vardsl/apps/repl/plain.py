"""Reading without a line editor: for dumb terminals, pipes and screen readers, and without escape codes."""

from __future__ import annotations

import sys

from vardsl.apps.repl.config import Settings
from vardsl.apps.repl.lines import is_command
from vardsl.assist.paste import goes_on


class PlainReader:
    """Lines from standard input, until they are a whole block."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def read(self) -> str:
        """The next block. Raises EOFError at the end of the input."""
        text = self._line(self.settings.prompt)
        if is_command(text):
            return text
        while goes_on(text):
            try:
                text += "\n" + self._line(self.settings.continuation)
            except EOFError:
                break
        return text

    def _line(self, prompt: str) -> str:
        """A line without its end; prompts and what they echo go to standard output only on a terminal."""
        stream = sys.stdout if sys.stdin.isatty() else sys.stderr
        if sys.stdin.isatty() or sys.stderr.isatty():
            stream.write(prompt)
            stream.flush()
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError:
            return ""
        except KeyboardInterrupt:
            stream.write("\n")
            raise
        if not line:
            if sys.stdin.isatty():
                stream.write("\n")
            raise EOFError
        return line.rstrip("\r\n")
