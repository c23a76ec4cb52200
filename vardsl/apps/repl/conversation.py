"""A session at the prompt: what was typed and what came of it, the last result, and the way back."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from vardsl.apps.progress import ProgressLine
from vardsl.apps.repl import pages
from vardsl.apps.repl.config import Settings
from vardsl.apps.repl.pages import Entry
from vardsl.apps.repl.steps import Steps
from vardsl.apps.report import report
from vardsl.apps.terminal import SIGNALS
from vardsl.assist.paste import strip_prompts
from vardsl.display.ansi import Style, use_colour
from vardsl.engine.value import Value
from vardsl.errors import Error, Interrupted
from vardsl.lang.outcome import Outcome, Printed, Progress, Shown, Warned
from vardsl.lang.undo import Undo
from vardsl.session import Session
from vardsl.source import Source
from vardsl.syntax import ast


class Conversation:
    """Runs what is typed, statement by statement, and shows what comes of it."""

    def __init__(
        self,
        session: Session,
        settings: Settings,
        colour: str = "auto",
        *,
        plain: bool = False,
    ) -> None:
        self.session = session
        self.settings = settings
        self.colour = colour
        self.progress = ProgressLine(sys.stderr, asked=False)
        session.emit = self.emit
        self.entries: list[Entry] = []
        self.steps = Steps(settings.undo)
        self.count = 0
        self.seconds = 0.0
        self.last: Any = None
        self.has_last = False
        self.status: int | None = None
        self.plain = plain
        self.seed = _seed_of(session)
        self.watchers: list[Callable[[Entry], None]] = []
        self.running: Entry | None = None
        self.stopping = False
        self.tutorial: Any = None

    # ---- running -----------------------------------------------------------------------------------------
    def submit(self, text: str) -> bool:
        """Runs a block of the language; whether all of it ended well."""
        self.count += 1
        source = Source(f"<{self.count}>", strip_prompts(text))
        try:
            program = self.session.program(source)
        except Error as error:
            self.report(error)
            return False
        return self.run_statements(source, program)

    def run_statements(self, source: Source, program: ast.Program, *, quiet: bool = False) -> bool:
        """Runs the statements of a checked program in order, until one fails."""
        began = time.perf_counter()
        try:
            with self.interruptible():
                for statement in program.body:
                    if self.stopping:
                        raise KeyboardInterrupt
                    if not self._run_one(source, statement):
                        return False
        except KeyboardInterrupt:
            self.report(Interrupted("interrupted"))
            return False
        finally:
            self.progress.close()
            self.seconds = time.perf_counter() - began
            if self.settings.timing and not quiet:
                self.say(f"{duration(self.seconds)}")
        return True

    def _run_one(self, source: Source, statement: ast.Stmt) -> bool:
        text = source.text[statement.span.start : statement.span.end]
        entry = Entry(text, isinstance(statement, ast.ExprStmt))
        undo = self.session.undo_point()
        self.running = entry
        try:
            self.session.run_statement(source, statement, undo=undo)
        except Error as error:
            entry.ok = False
            self.report(error)
        finally:
            self.running = None
            sys.stdout.flush()
        if entry.ok or undo.has_changed():
            self._remember(entry, undo)
        for watcher in self.watchers:
            watcher(entry)
        return entry.ok

    def _remember(self, entry: Entry, undo: Undo) -> None:
        self.entries.append(entry)
        self.steps.most = self.settings.undo
        self.steps.add(entry, undo)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """While entered, Ctrl-C asks the session to stop at its next safe point."""
        self.stopping = False
        if signal.getsignal(signal.SIGINT) == SIGNALS._interrupted:
            with SIGNALS.to(self.stop):
                yield
            return
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, _Stopper(self.stop))
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def stop(self) -> None:
        """Asks what runs to stop; also from a signal handler."""
        self.stopping = True
        self.session.interrupt()

    # ---- showing -----------------------------------------------------------------------------------------
    def emit(self, outcome: Outcome) -> None:
        """What the session tells: results to standard output, everything else to standard error."""
        if isinstance(outcome, Progress):
            self.progress.turn(outcome)
            return
        self.progress.close()
        if isinstance(outcome, Printed):
            self._out(outcome.text)
        elif isinstance(outcome, Shown):
            self._show(outcome.value)
        elif isinstance(outcome, Warned):
            report(outcome.warning, self.colour)

    def _out(self, text: str) -> None:
        sys.stdout.write(text)
        if self.running is not None:
            self.running.output.append(text)

    def _show(self, value: Any) -> None:
        text = self.session.runtime.text(value) + "\n"
        sys.stdout.write(text)
        if self.running is not None:
            self.running.value = text
        names = self.session.space.names
        for name in pages.LAST:
            # a name that the user has bound stays the user's
            if ":" + name not in names or (self.has_last and names[":" + name] is self.last):
                self.session.bind(name, value)
        self.last, self.has_last = value, True
        if is_summarised(value, self.session):
            self.say(":last shows all of it")

    def report(self, error: Error) -> None:
        """An error, drawn on standard error."""
        self.progress.close()
        sys.stdout.flush()
        if isinstance(error, Interrupted) and not self.plain and sys.stderr.isatty():
            sys.stderr.write("\n")  # the terminal has written ^C
        report(error, self.colour)

    def say(self, text: str) -> None:
        """A remark of the prompt's own, on standard error."""
        sys.stdout.flush()
        style = Style(colour=use_colour(sys.stderr, self.colour, os.environ))
        sys.stderr.write(style.paint("dim", text) + "\n")
        sys.stderr.flush()

    def out(self, text: str) -> None:
        """What a command answers, on standard output."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()

    # ---- the way back ------------------------------------------------------------------------------------
    def undo(self) -> Entry | None:
        """Takes the last statement back; None where there is none to be taken back."""
        entry = self.steps.back()
        if entry is not None:
            self.entries.remove(entry)
            self._forget_last()
        return entry

    def redo(self) -> Entry | None:
        """Does again what was taken back, with the same outcome; None where there is nothing."""
        entry = self.steps.forward()
        if entry is not None:
            self.entries.append(entry)
            self._forget_last()
        return entry

    def _forget_last(self) -> None:
        names = self.session.space.names
        self.has_last = ":_" in names
        self.last = names.get(":_")

    def reset(self, session: Session) -> None:
        """Goes on with a new session; what was typed before is forgotten."""
        session.emit = self.emit
        self.session = session
        self.seed = _seed_of(session)
        self.entries.clear()
        self.steps.clear()
        self.last, self.has_last = None, False


def _seed_of(session: Session) -> int:
    """The seed of a session; one that has none, and has drawn nothing, gets one that can be written down."""
    ctx = session.ctx
    if ctx.seed is None and ctx._generator is None:
        ctx.seed = int.from_bytes(os.urandom(4), "little")
    return ctx.seed or 0


class _Stopper:
    """Handles Ctrl-C in a process that is not ours: the third within a second is an exception at once."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self.interrupt = interrupt
        self.times: list[float] = []

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        self.times = [t for t in self.times if now - t < 1.0] + [now]
        if len(self.times) >= 3:
            raise KeyboardInterrupt
        self.interrupt()


def is_summarised(value: Any, session: Session) -> bool:
    """Whether a value's text leaves elements out."""
    if type(value) is not Value:
        return False
    options = session.ctx.print_options
    return bool(value.array.size > (1000 if options is None else options.threshold))


def duration(seconds: float) -> str:
    """`12 ms`, `3.4 s`."""
    for limit, scale, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.3g} min"
