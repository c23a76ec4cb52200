"""Elementwise work on large arrays outside plans: results go to memory that is used again, and what is made
in several steps is made block by block, so that all but the result stays in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.pending import Pending
from vardsl.engine.tiles import BLOCK, rows_per_block

LARGE = 1 << 16  # elements from which on this pays
ndarray = np.ndarray


def room(like: Any) -> Any:
    """Memory for a result of the shape and dtype of an array; None where that lies in another order, which
    results keep."""
    return state.ctx.budget.pool.array(like.shape, like.dtype) if like.flags.c_contiguous else None


def pointwise(fn: Callable[..., Any], given: Sequence[Any], spare: Any = None) -> Any:
    """What a function that goes element by element makes of arrays and other things; in the memory `spare`
    of one of them where there is such."""
    if isinstance(fn, np.ufunc):
        return _by_ufunc(fn, given, spare)
    shape = _common_shape(given)
    if shape is None:
        return fn(*given)
    args = list(given)
    flat = [(k, a.reshape(-1)) for k, a in enumerate(given) if type(a) is ndarray and a.ndim]
    out: Any = None
    for i, j in _blocks(flat[0][1].size):
        for k, a in flat:
            args[k] = a[i:j]
        made = fn(*args)
        if out is None:
            if type(made) is not ndarray or made.shape != (j,):
                return fn(*given)
            fits = spare is not None and spare.dtype is made.dtype
            whole = spare if fits else state.ctx.budget.pool.array(shape, made.dtype)
            out = whole.reshape(-1)
        out[i:j] = made
    return whole


def _blocks(size: int) -> Iterator[tuple[int, int]]:
    """Where blocks of so many elements begin and end. The last one is no small one, for which a function may
    have another way."""
    i = 0
    while i < size:
        j = i + BLOCK if size - i >= 2 * BLOCK else size
        yield i, j
        i = j


def _by_ufunc(fn: np.ufunc, given: Sequence[Any], spare: Any = None) -> Any:
    """A ufunc's result, of reals in memory that is used again."""
    for a in given if len(given) == fn.nin else ():
        if type(a) is ndarray and a.size >= LARGE:
            shapes = {x.shape for x in given if isinstance(x, ndarray) and x.ndim}
            reals = all(x.dtype is a.dtype for x in given if isinstance(x, (ndarray, np.generic)))
            if len(shapes) == 1 and reals and f"{a.dtype.char * fn.nin}->{a.dtype.char}" in fn.types:
                return fn(*given, out=room(a) if spare is None else spare)
            break
    return fn(*given)


def _common_shape(given: Sequence[Any]) -> tuple[int, ...] | None:
    """The shape of all arrays among these with dimensions, where they are large and lie in order."""
    shape = None
    for a in given:
        if type(a) is Pending:
            return None
        if type(a) is ndarray and a.ndim:
            if a.size < LARGE or not a.flags.c_contiguous or (shape is not None and a.shape != shape):
                return None
            shape = a.shape
        elif getattr(a, "ndim", 0):
            return None  # a value, in a pass that a rule has turned to values
    return shape


def by_rows(fn: Callable[..., Any], first: Any, *others: Any) -> Any:
    """What a function that goes row by row makes of arrays with as many rows."""
    given = (first, *others)
    if type(first) is not ndarray or first.size < LARGE or first.ndim < 2:
        return fn(*given)
    rows, n = len(first), rows_per_block(first.shape)
    if n >= rows or not all(type(a) is ndarray and len(a) == rows and a.flags.c_contiguous for a in given):
        return fn(*given)
    out = room(first)
    for i in range(0, rows, n):
        out[i : i + n] = fn(*[a[i : i + n] for a in given])
    return out


def total(a: Any, b: Any) -> Any:
    """The sum of two cotangents."""
    if type(a) is ndarray and a.size >= LARGE and type(b) is ndarray:
        return _by_ufunc(np.add, (a, b))
    return a + b
