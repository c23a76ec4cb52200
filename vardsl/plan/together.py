"""Calls that this thread and one that waits for work make at the same time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

Run = list[tuple[Any, tuple[Any, ...]]]


@cache
def processors() -> int:
    """How many processors this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable is not None else os.cpu_count() or 1


@cache
def _pool() -> Any:
    return import_module("concurrent.futures").ThreadPoolExecutor(1, "vardsl-blocks")


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


class Runner:
    """The calls of all blocks, and then what puts the parts of sums together.

    runs  for each thread the same pieces of work, as calls that use its own buffers; whoever is free takes
          the next one, so that a thread that comes late or is held up holds up nobody
    """

    def __init__(self, runs: Sequence[Sequence[Run]], finish: Sequence[Callable[[], None]]) -> None:
        self.runs = runs
        self.finish = finish

    def __call__(self) -> None:
        left = iter(range(len(self.runs[0])))
        if len(self.runs) > 1:
            self._both(left)
        else:
            _take(self.runs[0], left)
        for f in self.finish:
            f()

    def _both(self, left: Iterator[int]) -> None:
        try:
            other = _pool().submit(_take_quietly, self.runs[1], left)
        except RuntimeError:  # the interpreter is about to end, and starts no more threads
            _take(self.runs[0], left)
            return
        try:
            _take(self.runs[0], left)
        finally:  # whatever happens here, nobody may use the buffers before the other is done
            for _ in left:
                pass
            if not other.cancel():
                other.result()


def _take(run: Sequence[Run], left: Iterator[int]) -> None:
    for k in left:
        for fn, args in run[k]:
            fn(*args)


def _take_quietly(run: Sequence[Run], left: Iterator[int]) -> None:
    with np.errstate(all="ignore"):
        _take(run, left)
