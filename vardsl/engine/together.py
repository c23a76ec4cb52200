"""Calls that this thread and one that waits for work make at the same time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from threading import Lock
from typing import Any, Protocol

import numpy as np

from vardsl.engine.context import state
from vardsl.errors import Interrupted

Run = list[tuple[Any, tuple[Any, ...]]]


class Pieces(Protocol):
    """The calls of each piece of work."""

    def __len__(self) -> int: ...
    def __getitem__(self, k: int, /) -> Run: ...


SOON = 1e-5  # seconds after which a thread asks the other for the interpreter: about one call on a block


@cache
def processors() -> int:
    """How many processors this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable is not None else os.cpu_count() or 1


@cache
def _pool() -> Any:
    return import_module("concurrent.futures").ThreadPoolExecutor(1, "vardsl-blocks")


class _Taking:
    """Threads of this process take turns at the interpreter sooner while any two work on blocks.

    A call on a block needs the interpreter for less than a tenth of its time, but whoever finds it taken
    sleeps, by default up to 5 ms until it asks; a streamed region takes 3 to 6 % less with a shorter wait.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.running = 0
        self.usual = 0.0

    @contextmanager
    def turns_soon(self) -> Iterator[None]:
        with self.lock:
            self.running += 1
            if self.running == 1:
                self.usual = sys.getswitchinterval()
                sys.setswitchinterval(min(SOON, self.usual))
        try:
            yield
        finally:
            with self.lock:
                self.running -= 1
                if not self.running:
                    sys.setswitchinterval(self.usual)

    def in_child(self) -> None:
        """After a fork no other thread works, whatever the parent's did."""
        if self.running:
            sys.setswitchinterval(self.usual)
        self.lock, self.running = Lock(), 0


_taking = _Taking()


def _in_child() -> None:
    _pool.cache_clear()
    _taking.in_child()


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_in_child)


class Runner:
    """The calls of all blocks, and then what puts the parts of sums together.

    runs   for each thread the same pieces of work, as calls that use its own buffers; whoever is free takes
           the next one, so that a thread that comes late or is held up holds up nobody
    buffer the size of NumPy's buffers while they work, or 0 for the usual one
    stops  whether it may end between two pieces with Interrupted, since nothing has happened yet that lasts
    """

    stops = False
    turns = 0

    def __init__(
        self, runs: Sequence[Pieces], finish: Sequence[Callable[[], None]], buffer: int = 0
    ) -> None:
        self.runs = runs
        self.finish = finish
        self.buffer = buffer

    def __call__(self) -> None:
        if self.turns == 1:  # it will be called more often: pieces need no longer be made when they are taken
            self.runs = [[run[k] for k in range(len(run))] for run in self.runs]
        self.turns += 1
        left = iter(range(len(self.runs[0])))
        go = self._both if len(self.runs) > 1 else self._here
        if self.buffer:
            with buffers_of(self.buffer):
                go(left)
        else:
            go(left)
        for f in self.finish:
            f()

    def _both(self, left: Iterator[int]) -> None:
        try:
            other = _pool().submit(_take_quietly, self.runs[1], left, self.buffer)
        except RuntimeError:  # the interpreter is about to end, and starts no more threads
            self._here(left)
            return
        try:
            with _taking.turns_soon():
                self._here(left)
        finally:  # whatever happens here, nobody may use the buffers before the other is done
            for _ in left:
                pass
            if not other.cancel():
                other.result()

    def _here(self, left: Iterator[int]) -> None:
        if not self.stops:
            _take(self.runs[0], left)
            return
        ctx = state.ctx
        for k in left:
            if ctx.cancel:
                raise Interrupted("interrupted")
            _take(self.runs[0], (k,))


def _take(run: Pieces, left: Iterable[int]) -> None:
    for k in left:
        for fn, args in run[k]:
            fn(*args)


def _take_quietly(run: Pieces, left: Iterator[int], buffer: int) -> None:
    with np.errstate(all="ignore"):
        if buffer:
            np.setbufsize(buffer)
        _take(run, left)


@contextmanager
def buffers_of(size: int) -> Iterator[None]:
    """NumPy's buffers are of this size in the block, for the thread that is in it."""
    with np.errstate():  # which keeps the size as well
        np.setbufsize(size)
        yield
