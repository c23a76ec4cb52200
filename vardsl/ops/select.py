"""Choosing elements by a mask or by bounds, without a branch for each of them.

`np.where` on a mask without pattern costs as much as thirty additions; bits of the same width, anded with
the mask spread over them, cost about two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from vardsl.engine.casting import cast
from vardsl.engine.tiles import Calls
from vardsl.engine.value import Value

LARGE = 2048
"""Elements from which on it is worth it."""

BITS = {np.dtype(np.float32): np.dtype(np.int32), np.dtype(np.float64): np.dtype(np.int64)}


def steps(body: Callable[..., Any]) -> Callable[..., Any]:
    """What an operation is made of in a plan, as its declaration takes it: `body`, called with what the
    operation is called with, where that are large real tensors; smaller ones are not worth it."""

    def made(*given: Any) -> Any:
        arrays = [v.array for v in given if type(v) is Value]
        large = all(a.dtype in BITS for a in arrays) and any(a.size >= LARGE for a in arrays)
        return body(*given) if large else None

    return made


def choose(mask: Any, a: Any, b: Any) -> Any:
    """`a` where the mask holds, else `b`; both of the same dtype."""
    if mask.size < LARGE or a.dtype not in BITS or a.dtype != b.dtype:
        return np.where(mask, a, b)
    if b.ndim == 0 and a.shape == mask.shape and _is_zero(b):
        return kept(mask, a)
    if a.ndim == 0 and b.shape == mask.shape and _is_zero(a):
        return kept(~mask, b)
    if any(x.ndim and x.shape != mask.shape for x in (a, b)):
        return np.where(mask, a, b)
    bits = BITS[a.dtype]
    spread = np.negative(mask.view(np.int8)).astype(bits)
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
    result = np.negative(mask.view(np.int8)).astype(bits)
    result &= a.view(bits)
    return result.view(a.dtype)


def bounded(x: Any, low: Any = None, high: Any = None) -> Any:
    """Reals moved between two numbers, of which one may be None; what equals a bound stays as it is, so that
    -0 is kept at 0."""
    if x.size >= LARGE:
        return x.clip(*_both(low, high, x.dtype))
    low, high = (None if b is None else cast(b, x.dtype) for b in (low, high))
    y = x if low is None else np.maximum(low, x)
    return y if high is None else np.minimum(high, y)


def sign_of(x: Any) -> Any:
    """1, 0 or -1 as reals are above, at or below 0; 0 for nan."""
    if x.size < LARGE:
        return np.where(np.isnan(x), x.dtype.type(0), np.sign(x))
    above, below = (x > 0).view(np.int8), (x < 0).view(np.int8)
    return np.subtract(above, below).astype(x.dtype)


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
        *_spread(mask, spread, scratch, False),
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
        *_spread(mask, spread, scratch, but),
        (np.bitwise_and, (spread, a.view(bits), out.view(bits))),
    ]


def bounded_into(out: Any, x: Any, low: Any = None, high: Any = None) -> Calls | None:
    """The calls that put `bounded(x, low, high)` into `out`, or None."""
    if x.dtype != out.dtype or out.dtype.kind != "f":
        return None
    if out.size >= LARGE:
        return [(np.ndarray.clip, (x, *_both(low, high, out.dtype), out))]
    calls: Calls = []
    for fn, bound in ((maximum_into, low), (minimum_into, high)):
        if bound is not None:
            calls.append((fn, (cast(bound, out.dtype), x, out)))
            x = out
    return calls


def _both(low: Any, high: Any, dtype: Any) -> tuple[Any, Any]:
    """Two bounds where one may be None: with one alone NumPy takes another way, and loses the sign of 0."""
    return cast(-math.inf if low is None else low, dtype), cast(math.inf if high is None else high, dtype)


def larger_into(out: Any, a: Any, b: Any) -> Calls:
    """The call that puts the larger of two arrays' elements into `out`."""
    return [(maximum_into, (a, b, out))]


def sign_into(out: Any, scratch: Any, x: Any) -> Calls | None:
    """The calls that put `sign_of(x)` into `out`, or None."""
    if x.dtype != out.dtype or out.dtype.kind != "f":
        return None
    masks = scratch((2, *out.shape), np.dtype(bool))
    above, below = masks[0, ...], masks[1, ...]
    signs = above.view(np.int8)
    zero = cast(0, x.dtype)
    return [
        (np.greater, (x, zero, above)),
        (np.less, (x, zero, below)),
        (np.subtract, (signs, below.view(np.int8), signs)),
        (np.copyto, (out, signs)),
    ]


def maximum_into(a: Any, b: Any, out: Any) -> None:
    """`np.maximum`, which does not take its `out` by position."""
    np.maximum(a, b, out=out)


def minimum_into(a: Any, b: Any, out: Any) -> None:
    np.minimum(a, b, out=out)


def _spread(mask: Any, out: Any, scratch: Any, opposite: bool) -> Calls:
    """The calls that set all bits of `out` where the mask holds, or where it does not: first as bytes, which
    then become wider at the speed of a copy."""
    truths, narrow = mask.view(np.int8), scratch(mask.shape, np.dtype(np.int8))
    first = (np.subtract, (truths, _ONE, narrow)) if opposite else (np.negative, (truths, narrow))
    return [first, (np.copyto, (out, narrow))]


_ONE = np.array(1, np.int8)


def _is_mask(mask: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(mask, np.ndarray) and mask.dtype.char == "?" and mask.shape == shape


def _is_zero(x: Any) -> bool:
    return bool(x == 0) and not np.signbit(x)
