"""What is in force while a script runs: default dtype, gradient mode, random state, limits, journal.

One `Context` belongs to one session. The one that is current in a thread is `state.ctx`; operations look at
nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from vardsl.engine.budget import Budget
from vardsl.engine.dtypes import NpDType, f4


class Context:
    """The settings of one session.

    journal     None, or a list to which in-place and random operations append functions that undo them
    savepoint   None, or what is told of memory before it changes, so that whole statements can be undone
    cancel      set by a signal handler or another thread; seen at the next safe point
    anomaly     `detect_anomaly(true)`: the first NaN or infinity is an error
    warn        receives (kind, message, hint) of a warning
    tracer      None, or what is told of every operation while a plan is being recorded
    files       None, or which files may be read and written
    followed    how many runs that are being recorded have numbers that are followed
    """

    __slots__ = (
        "_generator", "anomaly", "budget", "cancel", "default_dtype", "files", "followed", "grad_enabled",
        "journal", "print_options", "savepoint", "seed", "tracer", "warn",
    )  # fmt: skip

    def __init__(self, seed: int | None = None) -> None:
        self.default_dtype: NpDType = f4
        self.grad_enabled = True
        self.journal: list[Callable[[], None]] | None = None
        self.savepoint: Any = None
        self.cancel = False
        self.anomaly = False
        self.budget = Budget()
        self.seed = seed
        self._generator: Any = None
        self.print_options: Any = None
        self.tracer: Any = None
        self.files: Any = None
        self.followed = 0
        self.warn: Callable[[str, str, str | None], None] = lambda kind, message, hint: None

    @property
    def generator(self) -> Any:
        """The session's random numbers, of `engine/random.py`; loaded and seeded on first use."""
        if self.tracer is not None:
            self.tracer.draws()
        if self._generator is None:
            seed = self.seed
            self._generator = import_module("vardsl.engine.random").Generator(
                int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
            )
        return self._generator


    def stop_tracing(self) -> None:
        """Nobody listens any more, and nothing waits."""
        tracer, self.tracer = self.tracer, None
        if tracer is not None:
            tracer.settle()


class _State(threading.local):
    def __init__(self) -> None:
        self.ctx = Context()


state = _State()


def unfollowed(what: str) -> None:
    """Ends the recording of a plan, if there is one, since `what` happens: no plan could repeat that."""
    tracer = state.ctx.tracer
    if tracer is not None:
        tracer.fail(what)


class no_grad:
    """While entered, nothing is added to the graph."""

    __slots__ = ("before", "ctx")

    def __enter__(self) -> None:
        self.ctx = state.ctx
        self.before = self.ctx.grad_enabled
        self.ctx.grad_enabled = False

    def __exit__(self, *exc: object) -> None:
        self.ctx.grad_enabled = self.before


class enable_grad:
    """While entered, operations are recorded again."""

    __slots__ = ("before", "ctx", "on")

    def __init__(self, on: bool = True) -> None:
        self.on = on

    def __enter__(self) -> None:
        self.ctx = state.ctx
        self.before = self.ctx.grad_enabled
        self.ctx.grad_enabled = self.on

    def __exit__(self, *exc: object) -> None:
        self.ctx.grad_enabled = self.before
