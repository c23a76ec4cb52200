"""Products of tall matrices with small ones, in tiles of rows, for eager products and planned regions alike.

A tile stays in the cache, and a product of that size needs no threads of its own. The order of a sum over the
rows is that of `engine/tiles.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.tiles import LARGE, TILES, Calls, in_blocks, parts_over_rows, perform, rows_per_block

SMALL = 1 << 14  # elements of the small matrix


def tall(matrix: tuple[int, ...], other: tuple[int, ...], turned: bool) -> bool:
    """Whether a matrix is multiplied in tiles of rows: with a small one, or turned, with one of as many
    rows."""
    if len(matrix) != 2 or not 1 <= len(other) <= 2:
        return False
    rows, columns = matrix
    width = other[1] if len(other) == 2 else 1
    fits = other[0] == (rows if turned else columns)
    return fits and 1 < columns * width <= SMALL and rows >= 16 * max(columns, width) and in_blocks(matrix)


def multiply_rows(x: Any, other: Any, out: Any) -> Calls:
    """A tile of rows times a small matrix or vector."""
    return [(np.dot, (x, other, out))]


def multiply_tile(x: Any, y: Any, k: int, parts: Any, spare: Any) -> Calls:
    """Adds xᵀ y of tile number `k` to its part of the product over all rows."""
    part = parts[k // TILES]
    if k % TILES == 0:
        return [(np.dot, (x.T, y, part))]
    return [(np.dot, (x.T, y, spare)), (np.add, (part, spare, part))]


def in_tiles(a: Any, b: Any) -> bool:
    """Whether `a @ b` is computed in tiles."""
    if a.size < LARGE or a.ndim != 2 or a.dtype != b.dtype or a.dtype.char not in "fd":
        return False
    return tall(a.shape, b.shape, False) or tall(a.shape[::-1], b.shape, True)


def product_in_tiles(a: Any, b: Any) -> Any:
    """`a @ b`, where `in_tiles` says so."""
    if tall(a.shape, b.shape, False):
        out = np.empty((a.shape[0], *b.shape[1:]), a.dtype)
        n = rows_per_block(a.shape)
        for i in range(0, len(a), n):
            perform(multiply_rows(np.ascontiguousarray(a[i : i + n]), b, out[i : i + n]))
        return out
    x = a.T
    kept = (x.shape[1], *b.shape[1:])
    parts, spare = np.empty((parts_over_rows(x.shape), *kept), a.dtype), np.empty(kept, a.dtype)
    n = rows_per_block(x.shape)
    for i in range(0, len(x), n):
        piece, other = np.ascontiguousarray(x[i : i + n]), np.ascontiguousarray(b[i : i + n])
        perform(multiply_tile(piece, other, i // n, parts, spare))
    return np.add.reduce(parts, 0)


def product_into(out: Any, a: Any, b: Any) -> Calls:
    """The calls that put `a @ b` into `out`."""
    if in_tiles(a, b):
        return [(_copy_product, (out, a, b))]
    return [(np.dot if out.dtype.kind == "f" else np.matmul, (a, b, out))]


def _copy_product(out: Any, a: Any, b: Any) -> None:
    np.copyto(out, product_in_tiles(a, b))
