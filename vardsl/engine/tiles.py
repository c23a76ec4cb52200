"""The order in which large arrays are added up, the same for eager reductions and planned regions.

The order depends on the shape alone: not on where a block of a region ends, not on threads, not on how an
array lies in memory. All sizes that it is made of are powers of two, so that a larger one is a whole number
of smaller ones.

    all elements        parts of about a thousand neighbours, and then the parts
    the first dimension pieces of some thousand elements, which one call adds up or multiplies for many of
                        them; those of `TILES` tiles of about `BLOCK` elements one after another to a part;
                        and then the parts
    other dimensions    each row by itself

A piece is so small that the matrix library uses no threads of its own for it: its threads wait for each other
and for ours, which costs more than they bring, many times as much on a busy machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

BLOCK = 32_768  # elements: a handful of temporaries of this size stay in the cache of one core
LARGE = 200_000
NEIGHBOURS = 1024  # elements that are added up at once
WIDEST = 8192  # elements up to which a dot product adds them up as exactly as the pairwise sum
WIDE = 2048  # elements of a row up to which `vecdot` is used
TILES = 8
ALONE = 8192  # elements of a matrix up to which its product with a vector is made without more threads
SHORT = 256  # elements of a row from which a piece is a part of the columns of a tile, not of its rows
LINE = 64  # bytes of a cache line
LITTLE = 1 << 15  # bytes below which it does not matter where an array starts

Axes = tuple[int, ...] | None
Calls = list[tuple[Any, tuple[Any, ...]]]


def aligned(shape: tuple[int, ...], dtype: Any) -> Any:
    """Uninitialised memory. Where it is more than a little it starts at a cache line: NumPy writes there
    up to twice as fast. Its base is then the memory as bytes.
    """
    dtype = np.dtype(dtype)
    size = dtype.itemsize
    for n in shape:
        size *= n
    if size < LITTLE:
        return np.empty(shape, dtype)
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def power_below(n: int) -> int:
    """The largest power of two up to `n`, at least 1."""
    return 1 << (max(n, 1).bit_length() - 1)


def inner_size(shape: tuple[int, ...]) -> int:
    """How many elements one row of the first dimension has."""
    inner = 1
    for n in shape[1:]:
        inner *= n
    return inner


def rows_per_block(shape: tuple[int, ...]) -> int:
    """How many rows of the first dimension make a tile."""
    return power_below(BLOCK // max(1, inner_size(shape)))


def rows_per_part(shape: tuple[int, ...]) -> int:
    """How many rows are neighbours, whose sum is one part of the sum over everything."""
    return power_below(NEIGHBOURS // max(1, inner_size(shape)))


def folded_axes(whole: tuple[int, ...], part: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions over which `whole` is summed to give `part`, which broadcasts to it."""
    lead = len(whole) - len(part)
    return tuple(range(lead)) + tuple(lead + k for k, n in enumerate(part) if n == 1 and whole[lead + k] != 1)


def in_blocks(shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape is added up in tiles."""
    if not shape or shape[0] < 8:
        return False
    inner = inner_size(shape)
    return inner * shape[0] >= LARGE and inner <= BLOCK // 2


def add_up(x: Any, axes: Axes, dtype: Any, keepdims: bool) -> Any:
    """The sum over dimensions (None: all), the same however the array lies in memory.

    The columns of a matrix of reals are added by a product with ones, which is the fastest that NumPy has.
    """
    if x.size >= LARGE and in_blocks(x.shape):
        y = _add_up_large(x, axes, dtype)
        return y.reshape(_kept(x.shape, axes)) if keepdims else y
    if x.ndim > 1 and not x.flags.c_contiguous:
        x = np.ascontiguousarray(x)  # NumPy would add up in the order of the memory
    if axes == (0,) and x.ndim == 2 and x.dtype is dtype and dtype.kind == "f":
        y = ones(x.shape[0], dtype).dot(x)
        return y.reshape(1, -1) if keepdims else y
    reduce: Any = np.add.reduce
    return reduce(x, axes, dtype, None, keepdims)


def add_columns(x: Any) -> Any:
    """`add_up` of a matrix over its rows."""
    dtype = x.dtype
    if x.size < LARGE and dtype.kind == "f" and x.flags.c_contiguous:
        row = _ONES.get((len(x), dtype))
        return (ones(len(x), dtype) if row is None else row).dot(x)
    return add_up(x, (0,), dtype, False)


def _add_up_large(x: Any, axes: Axes, dtype: Any) -> Any:
    rows = x.shape[0]
    if axes is None or sums_to_one(x.shape, axes):
        n = rows_per_part(x.shape)
        parts = np.empty(-(-rows // n), dtype)
        for i, block in _tiles(x):
            perform(add_neighbours(block, parts[i // n : -(-(i + len(block)) // n)]))
        total = np.add.reduce(parts)
        return total if axes is None or len(axes) == x.ndim else total.reshape((1,) * (x.ndim - len(axes)))
    kept = tuple(n for k, n in enumerate(x.shape) if k not in axes)
    if 0 not in axes:
        y = np.empty(kept, dtype)
        for i, block in _tiles(x):
            perform(add_rows(block, axes, y[i : i + len(block)]))
        return y
    parts = np.empty((parts_over_rows(x.shape), *kept), dtype)
    n, piece = rows_per_block(x.shape) * TILES, rows_per_piece(x.shape)
    spare = np.empty((n // piece + 1, *kept), dtype)
    for i, block in _tiles(x, TILES):
        perform(add_pieces(block, axes, i // piece, parts, spare))
    return np.add.reduce(parts, 0)


def _tiles(x: Any, several: int = 1) -> Iterator[tuple[int, Any]]:
    """The tiles of an array, or several at once, with their first row."""
    n = rows_per_block(x.shape) * several
    whole = x.flags.c_contiguous
    for i in range(0, x.shape[0], n):
        yield i, x[i : i + n] if whole else np.ascontiguousarray(x[i : i + n])


def perform(calls: Calls) -> None:
    """Makes the calls."""
    for fn, args in calls:
        fn(*args)


# ---- pieces: the calls for contiguous rows -----------------------------------------------------------------


# `vecdot` keeps the interpreter's lock where it gives no more than 500 numbers. In short rows that is soon
# over; wide ones are added up by another call, and multiplied in pieces.


def _by_products(width: int, x: Any, out: Any) -> bool:
    """Whether rows of this width are added up by a product with ones: three times as fast."""
    return 32 <= width <= WIDE and x.dtype == out.dtype and x.dtype.char in "fd"


def _sums_of_rows(x: Any, out: Any) -> Calls:
    """The sum of each row of a matrix."""
    width = x.shape[1]
    if _by_products(width, x, out):
        return [(np.vecdot, (x, ones(width, x.dtype), out))]
    return [(np.add.reduce, (x, 1, out.dtype, out))]


def add_neighbours(x: Any, parts: Any) -> Calls:
    """The parts of the sum over everything that these rows give."""
    n, inner = rows_per_part(x.shape), inner_size(x.shape)
    whole = len(x) // n * n
    calls: Calls = []
    if whole:
        calls += _sums_of_rows(x[:whole].reshape(-1, n * inner), parts[: whole // n])
    if whole < len(x):
        calls += _sums_of_rows(x[whole:].reshape(1, -1), parts[whole // n :])
    return calls


def add_rows(x: Any, axes: tuple[int, ...], out: Any) -> Calls:
    """The sums over dimensions without the first; `out` may have them as dimensions of one."""
    cut = x.ndim - len(axes)
    if axes == tuple(range(cut, x.ndim)):
        width = inner_size((1, *x.shape[cut:]))
        if _by_products(width, x, out):
            return _sums_of_rows(x.reshape(-1, width), out.reshape(-1))
    return [(np.add.reduce, (x, axes, out.dtype, out.reshape(_kept(x.shape, axes)), True))]


def add_along(x: Any, axis: int, out: Any) -> Calls:
    """The sums along one dimension of a contiguous array of any size; `out` keeps it as one of size one."""
    if axis % x.ndim == x.ndim - 1 and _by_products(x.shape[-1], x, out):
        return _sums_of_rows(x.reshape(-1, x.shape[-1]), out.reshape(-1))
    return [(np.add.reduce, (x, axis, None, out, True))]


def sums_along(x: Any, axis: int | None) -> Any:
    """The sums along one dimension, which stays, of a contiguous array of any size."""
    if axis is None or axis % x.ndim != x.ndim - 1 or not _by_products(x.shape[-1], x, x):
        reduce: Any = np.add.reduce
        return reduce(x, axis, None, None, True)
    return np.vecdot(x, ones(x.shape[-1], x.dtype))[..., None]


def multiply_along(x: Any, y: Any, out: Any, spare: Any) -> Calls:
    """The sums of x y along the last dimension of contiguous arrays that broadcast; `out` keeps it as one of
    size one. `spare` has the shape that `spare_along` says."""
    width = x.shape[-1]
    if width > WIDEST or x.dtype != out.dtype or y.dtype != out.dtype or x.dtype.char not in "fd":
        return [(np.multiply, (x, y, spare)), (np.add.reduce, (spare, -1, None, out, True))]
    n = _pieces(width)
    if n == 1:
        return [(np.vecdot, (x, y, out[..., 0]))]
    cut = [a.reshape(*a.shape[:-1], n, width // n) for a in (x, y)]
    return [(np.vecdot, (*cut, spare)), (np.add.reduce, (spare, -1, None, out, True))]


def spare_along(shape: tuple[int, ...], dtype: Any) -> tuple[int, ...] | None:
    """The shape of the memory that `multiply_along` needs for arrays that broadcast to one; None for none."""
    width = shape[-1]
    if width > WIDEST or dtype.char not in "fd":
        return shape
    n = _pieces(width)
    return None if n == 1 else (*shape[:-1], n)


@cache
def _pieces(width: int) -> int:
    """How many equal pieces of about two hundred elements a wide row is cut into; 1 for a row that is not
    wide or has no such pieces."""
    if width <= WIDE:
        return 1
    return next((n for n in range(width // 256, width // 96) if width % n == 0), 1)


def parts_over_rows(shape: tuple[int, ...]) -> int:
    """How many parts a sum over the first dimension has."""
    return -(-shape[0] // (rows_per_block(shape) * TILES))


def rows_per_piece(shape: tuple[int, ...]) -> int:
    """How many rows of a tile a sum over the first dimension adds up at once."""
    inner = inner_size(shape)
    return rows_per_block(shape) if inner >= SHORT else power_below(ALONE // max(1, inner))


def add_pieces(x: Any, axes: tuple[int, ...], k: int, parts: Any, spare: Any) -> Calls:
    """Adds rows, of whose pieces the first is number `k`, to their parts of a sum over the first dimension
    (and maybe others). `spare` has room for the pieces and one more."""
    n = rows_per_piece(x.shape)
    whole, rest = len(x) // n, len(x) % n
    calls: Calls = []
    if whole:
        calls += _sums_of_pieces(x[: whole * n].reshape(whole, n, *x.shape[1:]), axes, spare[1 : whole + 1])
    if rest:
        calls += _sums_of_pieces(x[None, whole * n :], axes, spare[whole + 1 : whole + 2])
    each = rows_per_block(x.shape) * TILES // n
    return calls + add_in_order(spare, whole + bool(rest), k, each, parts)


def _sums_of_pieces(x: Any, axes: tuple[int, ...], out: Any) -> Calls:
    """The sum of each piece over its rows (and maybe other dimensions)."""
    if axes != (0,) or x.ndim < 3 or x.dtype != out.dtype or x.dtype.char not in "fd":
        return [(np.add.reduce, (x, tuple(k + 1 for k in axes), out.dtype, out))]
    pieces, rows, inner = len(x), x.shape[1], inner_size(x.shape[1:])
    x, out, one = x.reshape(pieces, rows, inner), out.reshape(pieces, inner), ones(rows, x.dtype)
    several = -(-rows * inner // ALONE)  # groups of columns
    several = next((n for n in range(several, 2 * several) if inner % n == 0), several)
    width = -(-inner // several)
    several = inner // width
    if several == 1:
        calls: Calls = [(np.matmul, (one, x[..., :width], out[:, :width]))]
    else:
        cut = several * width
        columns = x[..., :cut].reshape(pieces, rows, several, width).swapaxes(1, 2)
        calls = [(np.matmul, (one, columns, out[:, :cut].reshape(pieces, several, width)))]
    if several * width < inner:
        calls.append((np.matmul, (one, x[..., several * width :], out[:, several * width :])))
    return calls


def add_in_order(spare: Any, count: int, k: int, each: int, parts: Any) -> Calls:
    """Adds the sums of `count` pieces, the first of which is number `k`, to their parts one after another.

    They are in `spare` from its second place on; a part is made of `each`.
    """
    calls: Calls = []
    at, end = 1, count + 1
    while at < end:
        part, before = divmod(k + at - 1, each)
        several = 0 if before else (end - at) // each
        if several:
            pieces = spare[at : at + several * each].reshape(several, each, *parts.shape[1:])
            calls.append((np.add.reduce, (pieces, 1, None, parts[part : part + several])))
            at += several * each
            continue
        n = min(end - at, each - before)
        if before:  # only at the beginning
            calls.append((np.copyto, (spare[0], parts[part])))
        calls.append((np.add.reduce, (spare[at - bool(before) : at + n], 0, None, parts[part])))
        at += n
    return calls


def sums_to_one(shape: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """Whether a sum over these dimensions is one over all elements."""
    return all(k in axes or n == 1 for k, n in enumerate(shape))


def _kept(shape: tuple[int, ...], axes: Axes) -> tuple[int, ...]:
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


# ---- for plans: the calls that put a sum into memory -------------------------------------------------------


def sum_into(out: Any, x: Any, axes: Axes, keepdims: bool) -> Calls:
    """The NumPy calls that put `add_up(x, axes)` into `out`, bit for bit."""
    if x.dtype != out.dtype or not x.flags.c_contiguous or (x.size >= LARGE and in_blocks(x.shape)):
        return [(_copy_sum, (out, x, axes))]
    if axes == (0,) and x.ndim == 2 and x.dtype.kind == "f" and x.flags.c_contiguous:
        return [(np.dot, (ones(x.shape[0], x.dtype), x, out.reshape(-1)))]
    return [(np.add.reduce, (x, axes, None, out, keepdims))]


def _copy_sum(out: Any, x: Any, axes: Axes) -> None:
    np.copyto(out, np.asarray(add_up(x, axes, out.dtype, False)).reshape(out.shape))


def mean_into(out: Any, x: Any, axes: Axes, keepdims: bool) -> Calls:
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
