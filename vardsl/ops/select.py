"""Choosing elements by a mask, without a branch for each of them.

`np.where` on a mask without pattern costs as much as ten additions; bits of the same width, anded with
the mask spread over them, cost about one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.casting import cast
from vardsl.engine.tiles import Calls

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


# ---- for plans: the calls that put a choice into memory ----------------------------------------------------


def choose_into(out: Any, scratch: Any, mask: Any, a: Any, b: Any) -> Calls | None:
    """The calls that put `choose(mask, a, b)` into `out`, or None; numbers stand for tensors of its dtype."""
    dtype = out.dtype
    fixed = [not isinstance(x, np.ndarray) for x in (a, b)]  # what is in an array may be other numbers later
    a, b = (cast(x, dtype) if known else x for x, known in zip((a, b), fixed, strict=True))
    if dtype not in BITS or not a.dtype == b.dtype == dtype or not _is_mask(mask, out.shape):
        return None
    if fixed[1] and _is_zero(b):
        return kept_into(out, scratch, mask, a)
    if fixed[0] and _is_zero(a):
        return kept_into(out, scratch, mask, b, but=True)
    bits = BITS[dtype]
    both = scratch((2, *out.shape), bits)
    spread, chosen = both[0, ...], both[1, ...]
    other = b.view(bits)
    return [
        (_spread, (mask.view(np.int8), spread)),
        (np.bitwise_xor, (a.view(bits), other, chosen)),
        (np.bitwise_and, (chosen, spread, chosen)),
        (np.bitwise_xor, (chosen, other, out.view(bits))),
    ]


def kept_into(out: Any, scratch: Any, mask: Any, a: Any, but: bool = False) -> Calls | None:
    """The calls that put `kept(mask, a)` into `out`, or None; `but` keeps what the mask does not hold for."""
    bits = BITS.get(out.dtype)
    if bits is None or a.dtype != out.dtype or not _is_mask(mask, out.shape):
        return None
    spread = scratch(out.shape, bits)
    return [
        (_spread_opposite if but else _spread, (mask.view(np.int8), spread)),
        (np.bitwise_and, (spread, a.view(bits), out.view(bits))),
    ]


def maximum_into(a: Any, b: Any, out: Any) -> None:
    """`np.maximum`, which does not take its `out` by position."""
    np.maximum(a, b, out=out)


def minimum_into(a: Any, b: Any, out: Any) -> None:
    np.minimum(a, b, out=out)


def _spread(mask: Any, out: Any) -> None:
    np.negative(mask, out, dtype=out.dtype)


def _spread_opposite(mask: Any, out: Any) -> None:
    np.subtract(mask, np.int8(1), out, dtype=out.dtype)


def _is_mask(mask: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(mask, np.ndarray) and mask.dtype.char == "?" and mask.shape == shape


def _is_zero(x: Any) -> bool:
    return bool(x == 0) and not np.signbit(x)
