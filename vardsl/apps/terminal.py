"""The process's side of a command: streams in UTF-8, colour, exit statuses, closed pipes and signals."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import IO, Any

OK, FAILED, USAGE, LIMIT, BUG, OUTPUT, INTERRUPTED, PIPE = 0, 1, 2, 3, 70, 74, 130, 141
HARD_AFTER, HARD_WITHIN = 3, 1.0


class OutputFailed(SystemExit):
    """Standard output cannot be written: the process is to end, whatever handles errors of scripts."""

    def __init__(self, error: OSError) -> None:
        super().__init__(OUTPUT)
        self.error = error

    @property
    def status(self) -> int:
        return PIPE if isinstance(self.error, BrokenPipeError) else OUTPUT


class Guarded:
    """A text stream whose failures to write are `OutputFailed`; everything else is the stream's own."""

    def __init__(self, stream: IO[str] | None) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        if self.stream is None:
            raise OutputFailed(OSError("standard output is closed")) from None
        try:
            return self.stream.write(text)
        except OSError as error:
            raise OutputFailed(error) from None

    def flush(self) -> None:
        if self.stream is None:
            return
        try:
            self.stream.flush()
        except OSError as error:
            raise OutputFailed(error) from None

    def isatty(self) -> bool:
        return self.stream is not None and self.stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def prepare_streams() -> None:
    """UTF-8 on all three streams whatever the locale, escapes for what cannot be written, guarded output."""
    _occupy_closed()
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(
                encoding="utf-8", errors="replace" if stream is sys.stdin else "backslashreplace"
            )
    sys.stdout = Guarded(sys.stdout)


def _occupy_closed() -> None:
    """A file opened later must not become standard output: the null device takes closed descriptors."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)


def complain(text: str) -> None:
    """A line on standard error; where that is closed too, nothing."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text if text.endswith("\n") else text + "\n")
        sys.stderr.flush()


def abandon_output() -> None:
    """Lets the interpreter's own last flush succeed after standard output has failed."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


class Signals:
    """Ctrl-C asks what is running to stop at its next safe point; a third one within a second leaves at once.

    SIGTERM and SIGHUP leave with 143 and 129.
    """

    def __init__(self) -> None:
        self.interrupt: Callable[[], None] | None = None
        self.times: list[float] = []

    def install(self) -> None:
        """Takes the signals over; one that was ignored when the process started stays ignored."""
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._interrupted)
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _leave)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        self.times = [t for t in self.times if now - t < HARD_WITHIN] + [now]
        if len(self.times) >= HARD_AFTER:
            os._exit(INTERRUPTED)
        if self.interrupt is None:
            raise KeyboardInterrupt
        self.interrupt()

    @contextlib.contextmanager
    def to(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """While entered, Ctrl-C calls `interrupt`."""
        before, self.interrupt = self.interrupt, interrupt
        try:
            yield
        finally:
            self.interrupt = before


def _leave(number: int, frame: FrameType | None) -> None:
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
    os._exit(128 + number)


SIGNALS = Signals()
