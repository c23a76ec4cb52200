"""Room on the stack: what is called in a thread with a small stack runs in a thread that has a large one.

Before 3.14 Python bounds how deep its C code nests by counting, and never looks at the stack. In 3.13 it
counts to thousands before it defers the freeing of what a freed object held: a graph, tuples in tuples, or
functions of functions that are let go of need up to two megabytes, and so do those of an earlier session that
the collector of cycles finds meanwhile. In a thread with less the process would end without a word.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

ENOUGH = 4 << 20
LARGE = 16 << 20
LOOKS_ITSELF = (3, 14)  # the first Python that measures the stack
MOMENT = 0.001  # seconds between looks whether the collector is free
PATIENCE = 10_000

_starting = threading.RLock()  # the collector may want a thread while one is being started
_left: list[Any] = []  # what waits to be freed with enough stack
_freeing = threading.Lock()


def room() -> int | None:
    """How many bytes of its stack this thread, which is not the main one, has left; None if unknown."""
    try:
        # the last two fields are the pointers to the stack and to the instruction during this very read
        with open("/proc/thread-self/syscall", "rb") as file:
            pointer = int(file.read().split()[-2], 16)
        with open("/proc/self/maps", "rb") as file:
            for line in file:
                start, end = (int(x, 16) for x in line.split(None, 1)[0].split(b"-"))
                if start <= pointer < end:
                    return pointer - start
    except (OSError, ValueError, IndexError):
        pass
    return None


def _enough() -> bool:
    if threading.get_ident() == threading.main_thread().ident:
        return True  # the system lets that stack grow to megabytes
    left = room()
    if left is None:
        left = threading.stack_size() or LARGE
    return left >= ENOUGH


class _Here(threading.local):
    """Whether this thread's stack is large enough, which is found out once."""

    def __init__(self) -> None:
        self.enough = _enough()


_here = _Here()


def with_room(f: Callable[P, R]) -> Callable[P, R]:
    """`f`, which its caller waits for in any case, with enough stack wherever it is called."""
    if sys.version_info >= LOOKS_ITSELF:
        return f

    @wraps(f)
    def called(*args: P.args, **keywords: P.kwargs) -> R:
        if _here.enough:
            return f(*args, **keywords)
        return _elsewhere(lambda: f(*args, **keywords))

    return called


def _elsewhere(f: Callable[[], R]) -> R:
    """What `f()` gives or raises in a thread of its own."""
    found: list[R] = []
    failed: list[BaseException] = []
    run = copy_context().run

    def work() -> None:
        _here.enough = True
        try:
            found.append(run(f))
        except BaseException as error:
            failed.append(error)

    try:
        thread = start(work)
    except RuntimeError:  # no more threads can be started
        return f()
    thread.join()
    if failed:
        raise failed.pop()
    return found.pop()


def start(work: Callable[[], Any]) -> threading.Thread:
    """Starts a thread with a large stack."""
    thread = threading.Thread(target=work)
    with _starting:
        before = threading.stack_size(LARGE)
        try:
            thread.start()
        finally:
            threading.stack_size(before)
    return thread


def let_go(x: Any) -> None:
    """Has `x`, which is being freed in this thread, freed where there is enough stack for all that it holds.

    For a `__del__`: the collector leaves alone what that makes reachable again.
    """
    if sys.version_info >= LOOKS_ITSELF or _here.enough:
        return
    _left.append(x)
    if not _freeing.locked():
        with suppress(RuntimeError):  # no thread can be started, as when Python ends
            start(_free)


def _free() -> None:
    _here.enough = True
    while _left and _freeing.acquire(blocking=False):
        try:
            # the collection that has found it must have ended before it is found again
            _collect()
            _left.clear()
            _collect()
        finally:
            _freeing.release()


def _collect() -> None:
    """A collection, also where another thread's is just going on."""
    before = _collections()
    for _ in range(PATIENCE):
        gc.collect()
        if _collections() > before:
            return
        time.sleep(MOMENT)


def _collections() -> int:
    n: int = gc.get_stats()[2]["collections"]
    return n
