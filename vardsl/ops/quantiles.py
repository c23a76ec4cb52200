"""Elements at fractions of the sorted order."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from vardsl.engine.dtypes import i8
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import (
    Bool,
    Int,
    Str,
    Tensor,
    composite,
    get,
    nondiff,
    op,
)
from vardsl.ops.dims import dtype_of, wrap_dim

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _check_quantile(name: str, input: Any, q: Any, dim: int | None, interpolation: str) -> None:
    if prod(input.shape) == 0:
        raise ShapeError(f"{name}() input tensor must be non-empty")
    if q.ndim > 1:
        raise ShapeError(f"{name}() q must be a scalar or 1D tensor")
    if dtype_of(input).kind != "f":
        raise ScriptTypeError(f"{name}() input tensor must be either float or double dtype")
    if dtype_of(q) != dtype_of(input):
        raise ScriptTypeError(f"{name}() q tensor must be same dtype as the input tensor")
    if interpolation not in _INTERPOLATIONS:
        raise ScriptValueError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got "
            f"{interpolation}"
        )
    values = q.array if type(q) is Value else q
    if ((values < 0) | (values > 1)).any():
        raise ScriptValueError(f"{name}() q values must be in the range [0, 1]")


def _lines(input: Any, dim: int | None, keepdim: bool) -> tuple[Any, tuple[int, ...]]:
    """The input with the reduced elements in its last dimension, and the shape of a result."""
    if dim is None:
        shape = (1,) * input.ndim if keepdim else ()
        return op.flatten(input), shape
    axis = wrap_dim(dim, input.ndim)
    shape = tuple([1 if k == axis else n for k, n in enumerate(input.shape) if keepdim or k != axis])
    if axis == max(input.ndim - 1, 0):
        return input if input.ndim else op.flatten(input), shape
    return op.transpose(op.unsqueeze(input, -1), axis, -1), shape


@nondiff()
def _usable(input: Tensor, skip_nan: Bool):
    """For each line the last rank, or minus one where a NaN spoils it."""
    bad = np.add.reduce(np.isnan(input), -1, keepdims=True)
    n = input.shape[-1]
    return (np.maximum(n - bad - 1, 0) if skip_nan else np.where(bad > 0, -1, n - 1)).astype(input.dtype)


def _quantile(
    name: str, input: Any, q: Any, dim: Any, keepdim: bool, interpolation: str, skip_nan: bool
) -> Any:
    if not isinstance(q, (int, float)):
        scalar = q.ndim == 0
    else:
        if not 0 <= q <= 1:
            raise ScriptValueError(f"{name}() q must be in the range [0, 1] but got {q}")
        q, scalar = op.full((), float(q), dtype=dtype_of(input)), True
    _check_quantile(name, input, q, dim, interpolation)
    lines, shape = _lines(input, dim, keepdim)
    ordered = op.sort(lines, -1, False).values
    if scalar:
        q = op.unsqueeze(q, 0)
    else:
        shape = (q.shape[0], *shape)
    ordered = op.view(ordered, (*(shape if scalar else shape[1:]), ordered.shape[-1]))
    last = op._usable(ordered, skip_nan)
    ranks = _ranks(q, last, ordered.shape[-1])
    values = _between(ordered, ranks, interpolation)
    if scalar:
        return get("squeeze_")(values, -1)
    return get("squeeze_")(op.transpose(op.unsqueeze(values, 0), 0, -1), -1)


def _ranks(q: Any, last: Any, n: int) -> Any:
    spoilt = last < 0
    return op.masked_fill(q * op.masked_fill(last, spoilt, 0), spoilt, n - 1)


def _between(ordered: Any, ranks: Any, interpolation: str) -> Any:
    if interpolation == "lower":
        ranks = op.floor(ranks)
    elif interpolation == "higher":
        ranks = op.ceil(ranks)
    elif interpolation == "nearest":
        ranks = op.round(ranks)
    plain = ranks.detach()
    below = Value(np.floor(plain.array).astype(i8))
    low = op.gather(ordered, -1, below)
    if interpolation not in ("linear", "midpoint"):
        return low
    weights = (
        op.full_like(plain, 0.5) if interpolation == "midpoint" else ranks - op._cast(below, dtype_of(ranks))
    )
    above = Value(np.ceil(plain.array).astype(i8))
    return op.lerp(low, op.gather(ordered, -1, above), weights)


@composite()
def quantile(
    input: Tensor, q: Any, dim: Int | None = None, keepdim: Bool = False, *, interpolation: Str = "linear"
):
    """The elements at the fractions `q` (a number or a vector) in sorted order, interpolated.

    >>> quantile([1., 2., 3., 4.], 0.5)
    tensor(2.5000)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@composite()
def nanquantile(
    input: Tensor, q: Any, dim: Int | None = None, keepdim: Bool = False, *, interpolation: Str = "linear"
):
    """Quantiles of the elements that are not NaN.

    >>> nanquantile([1., nan, 3.], 0.5)
    tensor(2.)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)
