"""The progress of `minimize` on standard error: a bar on a terminal, a last line elsewhere if asked."""

from __future__ import annotations

import time
from importlib import import_module
from typing import IO, Any

from vardsl.lang.outcome import Progress

# A statement that is done sooner shows nothing; between two drawings at least so many seconds pass.
PATIENCE, BETWEEN = 0.5, 0.1


class ProgressLine:
    """Follows the turns of one `minimize` after another."""

    def __init__(self, stream: IO[str] | None, *, asked: bool) -> None:
        self.stream = stream
        self.asked = asked
        self.terminal = stream is not None and stream.isatty()
        self.started = self.drawn = 0.0
        self.last: Progress | None = None
        self.bar: Any = None

    def turn(self, progress: Progress) -> None:
        """A turn is finished."""
        now = time.monotonic()
        if self.last is None or progress.turn <= self.last.turn:
            self.close()
            self.started = now
        self.last = progress
        if self.terminal and now - self.started > PATIENCE and now - self.drawn > BETWEEN:
            self.drawn = now
            self._draw(progress)

    def close(self) -> None:
        """The statement has ended: the bar goes, and where that is asked one line stays."""
        last, self.last = self.last, None
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
        if last is not None and self.asked and self.stream is not None:
            seconds = time.monotonic() - self.started
            self.stream.write(
                f"minimize: {last.turn} of {last.steps} steps, loss {last.loss:.6g}, {seconds:.1f} s\n"
            )
            self.stream.flush()

    def _draw(self, progress: Progress) -> None:
        if self.bar is None:
            rich = import_module("rich.progress")
            console = import_module("rich.console").Console(file=self.stream)
            self.bar = rich.Progress(
                rich.TextColumn("minimize"),
                rich.BarColumn(),
                rich.MofNCompleteColumn(),
                rich.TextColumn("loss {task.fields[loss]:.6g}"),
                rich.TimeRemainingColumn(),
                console=console,
                transient=True,
                auto_refresh=False,
            )
            self.bar.add_task("minimize", total=progress.steps, loss=progress.loss)
            self.bar.start()
        self.bar.update(0, completed=progress.turn, loss=progress.loss, refresh=True)
