"""What the result of an operation will be like, from what its operands are like: shape and dtype.

The dtype is that of the operation's own kernel on arrays with one element and as many dimensions; an
operation whose result is like one of its parameters says so by `model=`. What is not told here is None: then
the operation is simply run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vardsl.engine.value import Value
from vardsl.plan.trace import order_of


class Kind(NamedTuple):
    """What an array is like; it lies in the order of its dimensions."""

    shape: tuple[int, ...]
    dtype: Any


def what_becomes(op: Any, bound: Sequence[Any]) -> Kind | None:
    """What a bound call of an operation that makes new memory gives, where its result lies in order."""
    stream = op.facts.get("stream")
    if op.facts.get("random") or any(isinstance(b, (np.ndarray, np.generic)) for b in bound):
        return None
    shapes = [b.array.shape for b in bound if type(b) is Value]
    if 0 in [n for shape in shapes for n in shape]:
        return None
    if stream != "product" and any(order_of(b.array) is not None for b in bound if type(b) is Value):
        return None
    model = op.facts.get("model")
    if model is not None:
        like = bound[op.signature.index[model]].array
        return Kind(like.shape, like.dtype)
    try:
        if op.family == "elementwise" or stream == "pointwise":
            shape = np.broadcast_shapes(*shapes)
            return _alike(op, bound, shape, len(shape))
        rule = _RULES.get(stream)
        return None if rule is None else rule(op, bound, shapes)
    except Exception:
        return None  # what is wrong with it is said by the operation itself


def _alike(op: Any, bound: Sequence[Any], shape: tuple[int, ...], ndim: int) -> Kind | None:
    """`shape` with the dtype that the kernel gives, if it gives so many dimensions."""
    y = _small(op, bound)
    if type(y) is tuple or np.ndim(y) != ndim or np.size(y) != 1:
        return None
    return Kind(shape, y.dtype)


def _small(op: Any, bound: Sequence[Any]) -> Any:
    """The kernel on arrays with one element."""
    small = [np.ones((1,) * b.array.ndim, b.array.dtype) if type(b) is Value else b for b in bound]
    if op.promote is not None:
        op._promote(small)
    return op.kernel(*small)


def _reduced(op: Any, bound: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> Kind | None:
    shape = shapes[0]
    if op.name == "sum_to_size":
        return Kind(tuple(bound[1]), bound[0].array.dtype)
    at = op.signature.index
    if "dim" not in at:
        return _alike(op, bound, (), 0)
    dim = bound[at["dim"]]
    given = range(len(shape)) if dim is None or dim == () else dim if isinstance(dim, tuple) else (dim,)
    dims = {d % len(shape) for d in given} if shape else set()
    kept = bound[at["keepdim"]]
    left = tuple(1 if k in dims else n for k, n in enumerate(shape) if kept or k not in dims)
    return _alike(op, bound, left, len(left))


def _rows(op: Any, bound: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> Kind | None:
    return _alike(op, bound, shapes[0], len(shapes[0]))


def _row_dot(op: Any, bound: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> Kind | None:
    shape = (*np.broadcast_shapes(*shapes)[:-1], 1)
    return _alike(op, bound, shape, len(shape))


def _product(op: Any, bound: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> Kind | None:
    first, second = shapes
    if len(first) != 2 or first[1] != second[0]:
        return None
    return _alike(op, bound, first[:1] + second[1:], len(second))


_RULES = {
    "sum": _reduced,
    "mean": _reduced,
    "rows": _rows,
    "along": _reduced,
    "row_dot": _row_dot,
    "product": _product,
}


def views(op: Any, bound: Sequence[Any]) -> Any:
    """The one view that an operation gives of memory, or None where it gives no such."""
    try:
        y = op.kernel(*bound)
    except Exception:
        return None
    if type(y) is not np.ndarray or not y.size or not np.may_share_memory(y, bound[op.arrays[0]]):
        return None
    return y
