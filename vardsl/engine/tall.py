"""Products of tall matrices with small ones, in pieces of rows, for eager products and planned regions alike.

One call multiplies many pieces, each so small that the matrix library uses no threads of its own for it. The
order of a sum over the rows is that of `engine/tiles.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.tiles import (
    ALONE,
    LARGE,
    TILES,
    Calls,
    add_in_order,
    in_blocks,
    parts_over_rows,
    perform,
    power_below,
    rows_per_block,
)

SMALL = 1 << 13  # elements of the small matrix: with larger ones the library does better by itself
PRODUCTS = 1 << 18  # multiplications up to which a product of matrices is made without more threads


def tall(matrix: tuple[int, ...], other: tuple[int, ...], turned: bool) -> bool:
    """Whether a matrix is multiplied in tiles of rows: with a small one, or turned, with one of as many
    rows."""
    if len(matrix) != 2 or not 1 <= len(other) <= 2:
        return False
    rows, columns = matrix
    width = other[1] if len(other) == 2 else 1
    fits = other[0] == (rows if turned else columns)
    return fits and 1 < columns * width <= SMALL and rows >= 16 * max(columns, width) and in_blocks(matrix)


def rows_of_piece(matrix: tuple[int, ...], other: tuple[int, ...], turned: bool) -> int:
    """How many rows of a tall matrix are multiplied at once."""
    columns, width = matrix[1], other[1] if len(other) == 2 else 1
    most = ALONE // max(columns, width) if min(columns, width) == 1 else PRODUCTS // (columns * width)
    return min(power_below(most), rows_per_block(matrix))


def multiply_rows(x: Any, other: Any, out: Any) -> Calls:
    """Some rows times a small matrix or vector."""
    n = rows_of_piece(x.shape, other.shape, False)
    whole = len(x) // n
    calls: Calls = []
    if other.ndim == 2 and not (other.flags.c_contiguous or other.flags.f_contiguous):
        copy = np.empty(other.shape, other.dtype)
        calls.append((np.copyto, (copy, other)))
        other = copy
    if whole:
        pieces = x[: whole * n].reshape(whole, n, -1), out[: whole * n].reshape(whole, n, *out.shape[1:])
        calls.append((np.matmul, (pieces[0], other, pieces[1])))
    if whole * n < len(x):
        calls.append((np.matmul, (x[whole * n :], other, out[whole * n :])))
    return calls


def multiply_pieces(x: Any, y: Any, k: int, parts: Any, spare: Any) -> Calls:
    """Adds xᵀ y, of whose pieces the first is number `k`, to its parts of the product over all rows.
    `spare` has room for the pieces and one more."""
    n = rows_of_piece(x.shape, y.shape, True)
    whole, rest = len(x) // n, len(x) % n
    calls: Calls = []
    if whole:
        several = x[: whole * n].reshape(whole, n, -1), y[: whole * n].reshape(whole, n, *y.shape[1:])
        calls.append(_transposed_product(*several, spare[1 : whole + 1]))
    if rest:
        calls.append(_transposed_product(x[None, whole * n :], y[None, whole * n :], spare[whole + 1 :][:1]))
    each = rows_per_block(x.shape) * TILES // n
    return calls + add_in_order(spare, whole + bool(rest), k, each, parts)


def _transposed_product(x: Any, y: Any, out: Any) -> tuple[Any, tuple[Any, ...]]:
    if y.ndim == 2:
        return np.matmul, (y[:, None], x, out[:, None])
    return np.matmul, (x.swapaxes(1, 2), y, out)


def in_tiles(a: Any, b: Any) -> bool:
    """Whether `a @ b` is computed in pieces."""
    if a.size < LARGE or a.ndim != 2 or a.dtype != b.dtype or a.dtype.char not in "fd":
        return False
    return tall(a.shape, b.shape, False) or tall(a.shape[::-1], b.shape, True)


def product_in_tiles(a: Any, b: Any) -> Any:
    """`a @ b`, where `in_tiles` says so."""
    if tall(a.shape, b.shape, False):
        out = np.empty((a.shape[0], *b.shape[1:]), a.dtype)
        n = len(a) if a.flags.c_contiguous else rows_per_block(a.shape)
        for i in range(0, len(a), n):
            perform(multiply_rows(np.ascontiguousarray(a[i : i + n]), b, out[i : i + n]))
        return out
    x = a.T
    kept = (x.shape[1], *b.shape[1:])
    n, piece = rows_per_block(x.shape) * TILES, rows_of_piece(x.shape, b.shape, True)
    parts = np.empty((parts_over_rows(x.shape), *kept), a.dtype)
    spare = np.empty((n // piece + 1, *kept), a.dtype)
    for i in range(0, len(x), n):
        rows, other = np.ascontiguousarray(x[i : i + n]), np.ascontiguousarray(b[i : i + n])
        perform(multiply_pieces(rows, other, i // piece, parts, spare))
    return np.add.reduce(parts, 0)


def product_into(out: Any, a: Any, b: Any) -> Calls:
    """The calls that put `a @ b` into `out`."""
    if in_tiles(a, b):
        return [(_copy_product, (out, a, b))]
    return [(np.dot if out.dtype.kind == "f" else np.matmul, (a, b, out))]


def _copy_product(out: Any, a: Any, b: Any) -> None:
    np.copyto(out, product_in_tiles(a, b))
