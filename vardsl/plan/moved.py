"""The calls that a step makes for any block, from those that it makes for two: most are views of the same
memory, as far apart as the blocks are.

To cut views out of arrays of blocks takes a third to a half of what it takes to make the calls anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vardsl.engine.tiles import Calls

ndarray = np.ndarray
Argument = tuple[bool, Any]  # whether it moves, and then all blocks of it, else itself


class Moved:
    """Makes calls for the blocks from `first` on, of which there are `count`."""

    def __init__(self, first: int, count: int, calls: list[tuple[Any, list[Argument]]]) -> None:
        self.first = first
        self.count = count
        self.calls = calls

    def at(self, n: int) -> Calls:
        """The calls for block `n`."""
        k = n - self.first
        return [(fn, tuple([a[k] if moves else a for moves, a in args])) for fn, args in self.calls]


def between(first: int, one: Calls, second: int, other: Calls, count: int) -> Moved | None:
    """What makes the calls for the blocks from `first` up to `count`, from those for the blocks `first` and
    `second`; None where they differ by more than places in memory."""
    if len(one) != len(other):
        return None
    apart = second - first
    calls = []
    for (fn, args), (fn_other, args_other) in zip(one, other, strict=True):
        if not _same(fn, fn_other) or len(args) != len(args_other):
            return None
        made = [_argument(a, b, apart, count - first) for a, b in zip(args, args_other, strict=True)]
        if any(a is None for a in made):
            return None
        calls.append((fn, [a for a in made if a is not None]))
    return Moved(first, count - first, calls)


def _same(fn: Callable[..., Any], other: Callable[..., Any]) -> bool:
    return fn is other or (type(fn) is type(other) and fn == other)


def _argument(a: Any, b: Any, apart: int, count: int) -> Argument | None:
    if type(a) is not ndarray or type(b) is not ndarray:
        same = a is b or (type(a) is type(b) and isinstance(a, _PLAIN) and a == b)
        return (False, a) if same else None
    if a.shape != b.shape or a.dtype != b.dtype or a.strides != b.strides:
        return None
    owner = _owner(a)
    if owner is not _owner(b):
        return (False, a) if not a.ndim and a.tobytes() == b.tobytes() else None  # a number made for the call
    distance = b.ctypes.data - a.ctypes.data
    if distance == 0:
        return False, a
    if distance % (apart * a.itemsize) or distance < 0 or not a.ndim or not owner.flags.forc:
        return None
    start = a.ctypes.data - owner.ctypes.data
    strides = (distance // apart, *a.strides)
    return True, ndarray((count, *a.shape), a.dtype, owner, start, strides)


_PLAIN = (int, float, str, bytes, tuple, np.dtype, np.generic, type)


def _owner(a: Any) -> Any:
    """What the memory of an array belongs to."""
    while type(a.base) is ndarray:
        a = a.base
    return a

