"""The blocks in which large arrays are worked through: one order for eager reductions and planned regions."""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK = 32_768  # elements: a handful of temporaries of this size stay in the cache of one core
LARGE = 200_000


def rows_per_block(shape: tuple[int, ...]) -> int:
    """How many rows of the first dimension make a block."""
    inner = 1
    for n in shape[1:]:
        inner *= n
    return max(1, BLOCK // max(1, inner))


def folded_axes(whole: tuple[int, ...], part: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions over which `whole` is summed to give `part`, which broadcasts to it."""
    lead = len(whole) - len(part)
    return tuple(range(lead)) + tuple(lead + k for k, n in enumerate(part) if n == 1 and whole[lead + k] != 1)


def _in_blocks(x: Any, axes: tuple[int, ...] | None) -> bool:
    if x.size < LARGE or x.ndim == 0 or x.shape[0] < 8 or x.size // x.shape[0] > BLOCK // 2:
        return False
    return axes is None or 0 in axes


def add_up(x: Any, axes: tuple[int, ...] | None, dtype: Any, keepdims: bool) -> Any:
    """The sum over dimensions (None: all). Large ones are added block by block, as a planned region does.

    The columns of a matrix of reals are added by a product with ones, which is the fastest that NumPy has.
    """
    if x.size >= LARGE and _in_blocks(x, axes):
        n = rows_per_block(x.shape)
        parts = [add_up_block(x[i : i + n], axes, dtype) for i in range(0, x.shape[0], n)]
        y = np.add.reduce(np.array(parts), 0)
        return y if not keepdims else y.reshape(_kept(x.shape, axes))
    if axes == (0,) and x.ndim == 2 and x.dtype is dtype and dtype.kind == "f" and x.flags.c_contiguous:
        y = np.dot(ones(x.shape[0], dtype), x)
        return y.reshape(1, -1) if keepdims else y
    reduce: Any = np.add.reduce
    return reduce(x, axes, dtype, None, keepdims)


def add_up_block(x: Any, axes: tuple[int, ...] | None, dtype: Any) -> Any:
    """One block's part of a large sum."""
    if axes == (0,) and x.ndim == 2 and x.dtype is dtype and dtype.kind == "f" and x.flags.c_contiguous:
        return np.dot(ones(x.shape[0], dtype), x)
    return np.add.reduce(x, axes, dtype)


def _kept(shape: tuple[int, ...], axes: tuple[int, ...] | None) -> tuple[int, ...]:
    return tuple(1 if axes is None or k in axes else n for k, n in enumerate(shape))


_ONES: dict[Any, Any] = {}


def ones(n: int, dtype: Any) -> Any:
    """`n` ones, kept for the next time where they are few."""
    found = _ONES.get((n, dtype))
    if found is None:
        found = np.ones(n, dtype)
        if n <= 65_536 and len(_ONES) < 256:
            _ONES[n, dtype] = found
    return found


_STARTS: dict[tuple[int, int], Any] = {}


def starts(rows: int, width: int) -> Any:
    """Where each row of a flat matrix starts, kept for the next time."""
    found = _STARTS.get((rows, width))
    if found is None:
        found = np.arange(rows) * width
        if rows <= 65_536 and len(_STARTS) < 64:
            _STARTS[rows, width] = found
    return found


Calls = list[tuple[Any, tuple[Any, ...]]]


def sum_into(out: Any, x: Any, axes: tuple[int, ...] | None, keepdims: bool) -> Calls:
    """The NumPy calls that put `add_up(x, axes)` into `out`, bit for bit."""
    if x.dtype != out.dtype or (x.size >= LARGE and _in_blocks(x, axes)):
        return [(_copy_sum, (out, x, axes))]
    if axes == (0,) and x.ndim == 2 and x.dtype.kind == "f" and x.flags.c_contiguous:
        return [(np.dot, (ones(x.shape[0], x.dtype), x, out.reshape(-1)))]
    return [(np.add.reduce, (x, axes, None, out, keepdims))]


def _copy_sum(out: Any, x: Any, axes: tuple[int, ...] | None) -> None:
    np.copyto(out, np.asarray(add_up(x, axes, out.dtype, False)).reshape(out.shape))


def mean_into(out: Any, x: Any, axes: tuple[int, ...] | None, keepdims: bool) -> Calls:
    """As `sum_into`, divided by the number of elements that each result is made of."""
    n = x.size // max(out.size, 1)
    if n & (n - 1) == 0 and n:  # exact either way
        return [*sum_into(out, x, axes, keepdims), (np.multiply, (out, np.array(1 / n, out.dtype), out))]
    return [*sum_into(out, x, axes, keepdims), (np.divide, (out, np.array(n, out.dtype), out))]


def sum_to_into(out: Any, x: Any) -> Calls:
    """As `sum_into`, to the shape of `out`."""
    axes = folded_axes(x.shape, out.shape)
    if not axes:
        return [(np.copyto, (out, x.reshape(out.shape)))]
    kept = out.reshape(_kept(x.shape, axes))
    return sum_into(kept, x, axes, True)
