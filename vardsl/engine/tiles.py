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


def total(x: Any) -> Any:
    """The sum of all elements, added block by block as a planned region does, so that both give the same bits."""
    if x.size < LARGE or x.ndim == 0 or x.shape[0] < 8 or x.size // x.shape[0] > BLOCK // 2:
        return np.add.reduce(x, axis=None)
    n = rows_per_block(x.shape)
    parts = [np.add.reduce(x[i : i + n], axis=None) for i in range(0, x.shape[0], n)]
    return np.add.reduce(np.array(parts, x.dtype))
