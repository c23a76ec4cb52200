"""Distances between all pairs of vectors."""

from __future__ import annotations

import math
from math import prod
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import Array
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import (
    NotImplementedRule,
    Number,
    Str,
    Tensor,
    array,
    composite,
    fused,
    general,
    looked_at,
    nondiff,
    op,
)
from vardsl.ops.distance import norm_of


def _pair_slopes(diff: Array, d: Array, p: float) -> Array:
    """∂d/∂(each coordinate of the difference)."""
    d = d[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        if p == 0:
            return np.zeros_like(diff)
        if p == 1:
            return np.sign(diff)
        if math.isinf(p):
            return np.sign(diff) * (np.abs(diff) == d)
        if p == 2:
            return np.where(d == 0, diff.dtype.type(0), diff / d)
        size = np.sign(diff) * np.abs(diff) ** diff.dtype.type(p - 1) / d ** diff.dtype.type(p - 1)
        return np.where((d == 0) | ((diff == 0) & (p < 1)), diff.dtype.type(0), size)


_CDIST = NotImplementedRule("the derivative for '_cdist_backward' is not implemented.")


@general(vjp={"g": _CDIST, "x1": _CDIST, "x2": _CDIST}, grad_fn="CdistBackwardBackward0")
def _cdist_backward(g: Tensor, x1: Tensor, x2: Tensor, p: Number, distances: Any):
    diff = x1[..., :, None, :] - x2[..., None, :, :]
    return np.add.reduce(_pair_slopes(diff, distances, p) * g[..., None], -2)


def _cdist_left(g, y, x1, x2, p):
    return op.sum_to_size(op._cdist_backward(g, x1, x2, p, looked_at(y)), x1.shape)


def _cdist_right(g, y, x1, x2, p):
    flipped = np.swapaxes(looked_at(y), -1, -2)
    return op.sum_to_size(op._cdist_backward(op._swapped(g), x2, x1, p, flipped), x2.shape)


@general(vjp={"x1": _cdist_left, "x2": _cdist_right}, grad_fn="CdistBackward0")
def _cdist(x1: Tensor, x2: Tensor, p: Number):
    return _distances(x1[..., :, None, :], x2[..., None, :, :], p)


def _distances(a: Array, b: Array, p: float) -> Array:
    size = prod(np.broadcast_shapes(a.shape, b.shape)) * a.itemsize
    state.ctx.budget.reserve(size, "cdist()")
    diff = a - b
    return norm_of(diff, p, (diff.ndim - 1,), False)


@fused(grad_fn="ViewBackward0")
def _cdist_by_products(x1: Tensor, x2: Tensor):
    """Euclidean distances by |a|² + |b|² − 2 a·b, for many points."""
    s1 = op.sum(x1 * x1, -1, True)
    s2 = op._swapped(op.sum(x2 * x2, -1, True))
    squares = op.clamp_min(s1 + s2 - op.matmul(x1, op._swapped(x2)) * 2, 0)
    d = op.sqrt(squares)
    return op.masked_fill(d, squares == 0, 0)


@composite()
def cdist(
    x1: Tensor,
    x2: Tensor,
    p: Number = 2.0,
    compute_mode: Str = "use_mm_for_euclid_dist_if_necessary",
):
    """Distances between all pairs of a row of `x1` and a row of `x2`.

    >>> cdist([[0., 0.], [1., 0.]], [[3., 4.]])
    tensor([[5.0000],
            [4.4721]])
    """
    for x, which in ((x1, "X1"), (x2, "X2")):
        if array(x).dtype.kind != "f":
            raise ScriptTypeError(
                f"cdist only supports floating-point dtypes, {which} got: {array(x).dtype.name}"
            )
        if x.ndim < 2:
            raise ShapeError(f"cdist only supports at least 2D tensors, {which} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if p < 0:
        raise ScriptValueError("cdist only supports non-negative p values")
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ScriptValueError(f"{compute_mode} is not a valid value for compute_mode")
    many = x1.shape[-2] > 25 or x2.shape[-2] > 25
    empty = 0 in x1.shape or 0 in x2.shape
    if p == 2 and not empty and (compute_mode == modes[1] or (compute_mode == modes[0] and many)):
        return op._cdist_by_products(x1, x2)
    return op._cdist(x1, x2, p)


def _pairs(n: int) -> tuple[Array, Array]:
    return np.triu_indices(n, 1)


_PDIST = NotImplementedRule("the derivative for '_pdist_backward' is not implemented.")


@general(vjp={"g": _PDIST, "input": _PDIST}, grad_fn="PdistBackwardBackward0")
def _pdist_backward(g: Tensor, input: Tensor, p: Number, distances: Any):
    i, j = _pairs(input.shape[0])
    slopes = _pair_slopes(input[i] - input[j], distances, p) * g[:, None]
    made = np.zeros(input.shape, input.dtype)
    np.add.at(made, i, slopes)
    np.subtract.at(made, j, slopes)
    return made


@general(vjp=lambda g, y, input, p: op._pdist_backward(g, input, p, looked_at(y)), grad_fn="PdistBackward0")
def _pdist(input: Tensor, p: Number):
    i, j = _pairs(input.shape[0])
    return _distances(input[i], input[j], p)


@composite()
def pdist(input: Tensor, p: Number = 2):
    """Distances between all pairs of rows, each pair once.

    >>> pdist([[0., 0.], [3., 4.], [0., 1.]])
    tensor([5.0000, 1.0000, 4.2426])
    """
    if input.ndim != 2:
        raise ShapeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if array(input).dtype.kind != "f":
        raise ScriptTypeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise ScriptValueError("pdist only supports non-negative p values")
    return op._pdist(input, p)


@nondiff()
def _no_conditions(A: Tensor):
    """The condition numbers of matrices without elements."""
    return np.zeros(A.shape[:-2], A.dtype)
