"""Operations that rules and the engine need and scripts do not see."""

from __future__ import annotations

import numpy as np

from vardsl.engine.cotangents import sum_to
from vardsl.engine.dtypes import Array
from vardsl.engine.tiles import multiply_along, perform, spare_along, sum_to_into
from vardsl.ops.define import Dtype, Index, Sizes, Tensor, general, nondiff, op


@general(
    vjp=lambda g, input_like: op._cast(g, input_like.dtype),
    grad_fn="ToCopyBackward0",
    batch="leading",
    stream="pointwise",
    into=lambda out, scratch, input, dtype: [(np.copyto, (out, input, "unsafe"))],
)
def _cast(input: Tensor, dtype: Dtype):
    return input.astype(dtype)


def _sum_rows(sum_to_size, args, at, n):
    x, size = args
    kept = sum_to_size.run([x, (n, *(1,) * (x.ndim - 1 - len(size)), *size)])
    return kept if kept.ndim == 1 + len(size) else op.reshape(kept, (n, *size))


@general(
    vjp=lambda g, input_like: op.expand(g, input_like.shape),
    grad_fn="SumBackward1",
    batch=_sum_rows,
    stream="sum",
    into=lambda out, scratch, input, size: sum_to_into(out, input),
)
def sum_to_size(input: Tensor, size: Sizes):
    """The tensor summed over the dimensions in which `size` is smaller.

    Derivative: g expanded

    >>> sum_to_size(ones(2, 3), 1, 3)
    tensor([[2., 2., 2.]])
    """
    return sum_to(input, tuple(size))


def _one_factor(g, other, like):
    g = g * other
    return g if g.shape == like.shape else op.sum_to_size(g, like.shape)


@general(
    vjp={
        "input": lambda g, other, input_like: _one_factor(g, other, input_like),
        "other": lambda g, input, other_like: _one_factor(g, input, other_like),
    },
    grad_fn="SumBackward1",
    stream="row_dot",
    into=lambda out, scratch, input, other: [(_row_dot_into, (out, input, other))],
    batch="pointwise",
)
def _row_dot(input: Tensor, other: Tensor):
    """The sum of products along the last dimension, which stays as one of size one."""
    out = np.empty((*_common(input, other)[:-1], 1), input.dtype)
    _row_dot_into(out, input, other)
    return out


def _common(a: Array, b: Array) -> tuple[int, ...]:
    return a.shape if a.shape == b.shape else np.broadcast_shapes(a.shape, b.shape)


def _row_dot_into(out, input, other):
    shape = _common(input, other)
    needed = spare_along(shape, out.dtype)
    spare = None if needed is None else np.empty(needed, out.dtype)
    perform(multiply_along(np.ascontiguousarray(input), np.ascontiguousarray(other), out, spare))


@general(vjp={"input": lambda g: op._zeros(g), "other": lambda g, other_like: _zeros_of(other_like)})
def _overwritten(input: Tensor, other: Tensor | None, by: Index):
    """New numbers for a tensor, in which it and the other operand have a derivative of zero."""
    return by.astype(input.dtype)


def _zeros_of(like):
    return op.zeros(like.shape, dtype=like.dtype)


@nondiff(likes=("input",), batch="leading")
def _zeros(input: Tensor):
    return np.zeros(input.shape, input.dtype)
