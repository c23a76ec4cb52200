"""How much of its operands NumPy copies before it computes.

Where an operand of a ufunc is spread over rows or columns, NumPy's iterator copies it, spread, into a buffer
as long as several rows fit in there, which takes twice as long as the computation. With a buffer shorter than
two rows it goes through the rows as they lie. Which way it goes changes no bit of sums, differences,
products, quotients, bounds and comparisons. Other ufuncs have loops of their own for what lies in a row, and
older versions of NumPy add up in another order.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from vardsl.engine.together import buffers_of
from vardsl.ops.select import maximum_into, minimum_into

SHORT = 128  # elements of a buffer that is as good as none
WIDE = 192  # elements of a row from which on copies cost more than a loop for each row
WIDEST = 4096  # of which two rows do not fit into NumPy's own buffer
SAVED, LOST = 0.15, 0.3  # nanoseconds for each element of a call with wide rows, and with narrow ones
WORTH = 5_000.0  # nanoseconds: to set the size takes one or two microseconds

_EXACT = frozenset(
    {
        np.add, np.subtract, np.multiply, np.true_divide, maximum_into, minimum_into, np.negative,
        np.greater, np.less, np.greater_equal, np.less_equal, np.equal, np.not_equal,
        np.bitwise_and, np.bitwise_or, np.bitwise_xor,
    }
)  # fmt: skip


@cache
def _adds_alike() -> bool:
    """Whether this NumPy adds up in the same order whatever the size of its buffers."""
    x = np.sin(np.arange(5 * 1100, dtype=np.float32) ** 2).reshape(5, 1100)
    usual = [np.add.reduce(x, axis) for axis in (None, 0, 1)]
    with buffers_of(SHORT):
        short = [np.add.reduce(x, axis) for axis in (None, 0, 1)]
    return all(map(np.array_equal, usual, short))


def buffer_size(calls: Iterable[tuple[Any, tuple[Any, ...]]], times: float = 1) -> int:
    """The size of NumPy's buffer that suits these calls, made so many times; 0 for the usual one."""
    saved = 0.0
    for fn, args in calls:
        arrays = [a for a in args if type(a) is np.ndarray]
        width = _spread_width(arrays) if len(arrays) > 1 else 0
        if not width:
            continue
        if fn not in _EXACT:
            if isinstance(fn, np.ufunc):
                return 0
            continue
        size = arrays[-1].size
        saved += SAVED * size if WIDE <= width <= WIDEST else -LOST * size if width < WIDE else 0
    return SHORT if saved * times > WORTH and _adds_alike() else 0


def _spread_width(arrays: list[Any]) -> int:
    """How many elements a row has over which, or over the rows of which, an operand is spread; 0 for none.

    The last array is the result.
    """
    out = arrays[-1]
    if out.ndim < 2:
        return 0
    width = 0
    for a in arrays[:-1]:
        if a.size == 1 or a.size == out.size:
            continue
        inner = 1
        lacking = a.ndim == 0 or a.shape[-1] != out.shape[-1]  # whether it is one number for each row
        for k in range(1, out.ndim + 1):
            has = k <= a.ndim and a.shape[-k] == out.shape[-k] and out.shape[-k] != 1
            if out.shape[-k] != 1 and has == lacking:
                break
            inner *= out.shape[-k]
        width = inner if not width else min(width, inner)
    return width
