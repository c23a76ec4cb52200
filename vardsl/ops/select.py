"""Choosing elements by a mask, without a branch for each of them.

`np.where` on a mask without pattern costs as much as ten additions; bits of the same width, anded with
the mask spread over them, cost about one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LARGE = 2048
"""Elements from which on it is worth it."""

BITS = {np.dtype(np.float32): np.dtype(np.int32), np.dtype(np.float64): np.dtype(np.int64)}


def choose(mask: Any, a: Any, b: Any) -> Any:
    """`a` where the mask holds, else `b`; both of the same dtype."""
    if mask.size < LARGE or a.dtype not in BITS or a.dtype != b.dtype:
        return np.where(mask, a, b)
    if b.ndim == 0 and a.shape == mask.shape and _is_zero(b):
        return kept(mask, a)
    if a.ndim == 0 and b.shape == mask.shape and _is_zero(a):
        return kept(~mask, b)
    if a.shape != mask.shape or b.shape != mask.shape:
        return np.where(mask, a, b)
    bits = BITS[a.dtype]
    spread = np.negative(mask.view(np.int8), dtype=bits)
    other = b.view(bits)
    result = np.bitwise_xor(a.view(bits), other)  # b ^ ((a ^ b) & mask)
    result &= spread
    result ^= other
    return result.view(a.dtype)


def kept(mask: Any, a: Any) -> Any:
    """`a` where the mask holds, else 0."""
    if mask.size < LARGE or a.dtype not in BITS or a.shape != mask.shape:
        return np.where(mask, a, a.dtype.type(0))
    bits = BITS[a.dtype]
    result = np.negative(mask.view(np.int8), dtype=bits)
    result &= a.view(bits)
    return result.view(a.dtype)


def _is_zero(x: Any) -> bool:
    return bool(x == 0) and not np.signbit(x)
