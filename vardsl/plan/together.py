"""Two lists of calls at the same time: one here, one on a thread that waits for work."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
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
    """The calls of all blocks, the first half here and the second on another thread; then what puts the parts
    of sums together."""

    def __init__(self, runs: Sequence[Run], finish: Sequence[Callable[[], None]]) -> None:
        self.runs = runs
        self.finish = finish

    def __call__(self) -> None:
        if len(self.runs) > 1:
            self._both()
        else:
            _run(self.runs[0])
        for f in self.finish:
            f()

    def _both(self) -> None:
        try:
            other = _pool().submit(_run_quietly, self.runs[1])
        except RuntimeError:  # the interpreter is about to end, and starts no more threads
            _run(self.runs[1])
            _run(self.runs[0])
            return
        try:
            _run(self.runs[0])
        finally:  # whatever happens here, nobody may use the buffers before the other is done
            other.result()


def _run(calls: Run) -> None:
    for fn, args in calls:
        fn(*args)


def _run_quietly(calls: Run) -> None:
    with np.errstate(all="ignore"):
        _run(calls)
