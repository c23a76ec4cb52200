"""Spread, quantiles, correlation and counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP, i8
from vardsl.errors import ScriptIndexError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import (
    Bool,
    Index,
    Int,
    Ints,
    Number,
    Tensor,
    composite,
    general,
    nondiff,
    op,
)  # fmt: skip
from vardsl.ops.dims import wrap_dim, wrap_dims
from vardsl.ops.extrema import refuse_empty, selected_vjp
from vardsl.ops.order import order
from vardsl.ops.reduce import counted, restore


# ---- variance ----------------------------------------------------------------------------------------------
def _moments(name: str, input: Any, dim: Any, correction: float, keepdim: bool) -> tuple[Any, Any]:
    if input.dtype.kind != "f":
        raise ScriptTypeError(f"{name} only support floating point and complex dtypes")
    axes = wrap_dims(dim, input.ndim)
    n = counted(input.shape, dim)
    average = np.divide(np.add.reduce(input, axes, keepdims=True), n, dtype=input.dtype)
    away = input - average
    total = np.add.reduce(np.multiply(away, away), axes, keepdims=keepdim)
    spread = np.divide(total, max(n - correction, 0), dtype=input.dtype)
    return spread, average if keepdim else average.reshape(np.shape(spread))


def _var_vjp(g, input, dim, correction, keepdim):
    # dim=() reduces everything and counts one, as in PyTorch
    free = (1 if dim == () else counted(input.shape, dim)) - correction
    away = input - op.mean(input, dim, True) if input.ndim else input - op.mean(input)
    g = restore(g, input, dim, keepdim)
    if free <= 0 and (dim is None or not input.ndim):
        # 2 / 0 is infinite, but not where the difference is zero: 0 / 0
        return g * op.masked_fill(op.full_like(away, float("inf")), away == 0, float("nan"))
    return g * away * (2.0 / free if free else float("inf"))


def _std_vjp(g, y, input, dim, correction, keepdim):
    g = op.masked_fill(g / (y * 2), y == 0, 0)
    return _var_vjp(g, input, dim, correction, keepdim)


@general(vjp=_var_vjp, grad_fn="VarBackward0")
def _var(input: Tensor, dim: Ints | None, correction: Number, keepdim: Bool):
    return _moments("std and var", input, dim, correction, keepdim)[0]


@general(vjp=_std_vjp, grad_fn="StdBackward0")
def _std(input: Tensor, dim: Ints | None, correction: Number, keepdim: Bool):
    return np.sqrt(_moments("std and var", input, dim, correction, keepdim)[0])


def _mean_back(g, input, dim, keepdim):
    return restore(g, input, dim, keepdim) / counted(input.shape, dim)


@general(
    vjp=lambda g, input, dim, correction, keepdim: (
        _var_vjp(g[0], input, dim, correction, keepdim) + _mean_back(g[1], input, dim, keepdim)
    ),
    grad_fn="VarMeanBackward0",
)
def _var_mean(input: Tensor, dim: Ints | None, correction: Number, keepdim: Bool):
    return _moments("var_mean", input, dim, correction, keepdim)


@general(
    vjp=lambda g, y, input, dim, correction, keepdim: (
        _std_vjp(g[0], y[0], input, dim, correction, keepdim) + _mean_back(g[1], input, dim, keepdim)
    ),
    grad_fn="StdMeanBackward0",
)
def _std_mean(input: Tensor, dim: Ints | None, correction: Number, keepdim: Bool):
    spread, average = _moments("std_mean", input, dim, correction, keepdim)
    return np.sqrt(spread), average


def _spread(which: Any, input: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any) -> Any:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    elif isinstance(dim, int):
        dim = (dim,)
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    return which(input, dim, correction, keepdim)


@composite()
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: Bool | None = None,
    keepdim: Bool = False,
    *,
    correction: Number | None = None,
):
    """Variance of all elements, or over the dimensions `dim`.

    Value: Σ (x - mean)² / (n - correction)

    >>> tensor([1., 2., 3.]).var()
    tensor(1.)
    """
    return _spread(op._var, input, dim, unbiased, keepdim, correction)


@composite()
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: Bool | None = None,
    keepdim: Bool = False,
    *,
    correction: Number | None = None,
):
    """Standard deviation of all elements, or over the dimensions `dim`: the root of the variance.

    Value: √var

    >>> std([1., 2., 3.])
    tensor(1.)
    """
    return _spread(op._std, input, dim, unbiased, keepdim, correction)


@composite()
def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: Bool | None = None,
    keepdim: Bool = False,
    *,
    correction: Number | None = None,
):
    """Variance and mean, as a tuple.

    >>> var_mean([1., 2., 3.])
    (tensor(1.), tensor(2.))
    """
    return _spread(op._var_mean, input, dim, unbiased, keepdim, correction)


@composite()
def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: Bool | None = None,
    keepdim: Bool = False,
    *,
    correction: Number | None = None,
):
    """Standard deviation and mean, as a tuple.

    >>> std_mean([1., 2., 3.])
    (tensor(1.), tensor(2.))
    """
    return _spread(op._std_mean, input, dim, unbiased, keepdim, correction)


# ---- middle and most frequent elements ---------------------------------------------------------------------
def _even_vjp(g, input, y):
    return op.expand(g, input.shape) * op._shares(input, y, (), False, True)


def _middle(a: Any, skip_nan: bool) -> Any:
    """The place in sorted order of the lower median of each last dimension."""
    n = a.shape[-1]
    bad = np.add.reduce(np.isnan(a), -1) if a.dtype.kind == "f" else np.zeros(a.shape[:-1], i8)
    if skip_nan:
        return np.maximum((n - bad - 1) // 2, 0)
    return np.where(bad > 0, n - bad, (n - 1) // 2)


def _refuse_bool(name: str, input: Any) -> None:
    if input.dtype.kind == "b":
        raise ScriptTypeError(f"\"{name}\" not implemented for 'Bool'")


def _median_all(input: Any, skip_nan: bool) -> Any:
    _refuse_bool("median_cpu", input)
    flat = np.asarray(input).reshape(-1)
    if not flat.size:
        return np.full((), np.nan if flat.dtype.kind == "f" else np.iinfo(flat.dtype).min, flat.dtype)
    return np.sort(flat)[_middle(flat, skip_nan)]


@general(vjp=_even_vjp, grad_fn="MedianBackward0")
def _median(input: Tensor):
    return _median_all(input, False)


@general(vjp=_even_vjp, grad_fn="NanmedianBackward0")
def _nanmedian(input: Tensor):
    return _median_all(input, True)


def _picked(name: str, input: Any, dim: int, keepdim: bool, place: Any) -> tuple[Any, Any]:
    """The element of each line at a place in sorted order, and its index."""
    axis = wrap_dim(dim, input.ndim)
    if not input.ndim:
        return np.array(input), np.zeros((), i8)
    refuse_empty(name, input.shape, (axis,))
    a = np.moveaxis(input, axis, -1)
    at = np.take_along_axis(order(a, -1), np.expand_dims(place(a), -1), -1)
    y = np.take_along_axis(a, at, -1)
    if keepdim:
        return np.moveaxis(y, -1, axis), np.moveaxis(at, -1, axis)
    return y[..., 0], at[..., 0]


@general(vjp=selected_vjp, fields="values indices", grad_fn="MedianBackward1")
def _median_dim(input: Tensor, dim: Int, keepdim: Bool):
    _refuse_bool("median_out", input)
    return _picked("median", input, dim, keepdim, lambda a: _middle(a, False))


@general(vjp=selected_vjp, fields="values indices", grad_fn="NanmedianBackward1")
def _nanmedian_dim(input: Tensor, dim: Int, keepdim: Bool):
    _refuse_bool("median_out", input)
    return _picked("nanmedian", input, dim, keepdim, lambda a: _middle(a, True))


@composite()
def median(input: Tensor, dim: Int | None = None, keepdim: Bool = False):
    """The middle element in order (the lower of two); over a dimension with its index.

    >>> median([3., 1., 2.])
    tensor(2.)
    """
    return op._median(input) if dim is None else op._median_dim(input, dim, keepdim)


@composite()
def nanmedian(input: Tensor, dim: Int | None = None, keepdim: Bool = False):
    """The middle element in order of those that are not NaN; over a dimension with its index.

    >>> nanmedian([3., nan, 1.])
    tensor(1.)
    """
    return op._nanmedian(input) if dim is None else op._nanmedian_dim(input, dim, keepdim)


@general(vjp=selected_vjp, fields="values indices", grad_fn="KthvalueBackward0")
def kthvalue(input: Tensor, k: Int, dim: Int = -1, keepdim: Bool = False):
    """The `k`th smallest element along a dimension, and where it is.

    Derivative: g at the place of that element

    >>> kthvalue([3., 1., 2.], 2).values
    tensor(2.)
    """
    axis = wrap_dim(dim, input.ndim)
    n = input.shape[axis] if input.ndim else 1
    if input.ndim and n == 0:
        raise ScriptIndexError(f"kthvalue(): Expected reduction dim {axis} to have non-zero size.")
    if not 1 <= k <= n:
        raise ScriptValueError(f"kthvalue(): selected number k out of range for dimension {axis}")
    return _picked("kthvalue", input, dim, keepdim, lambda a: np.full(a.shape[:-1], k - 1))


def _most_frequent(a: Any) -> Any:
    """The place in sorted order of the last of the longest run (the first of equal runs)."""
    s = np.sort(a, -1)
    n = s.shape[-1]
    ends = np.ones(s.shape, bool)
    ends[..., :-1] = s[..., 1:] != s[..., :-1]
    at = np.arange(n)
    before = np.zeros(s.shape, i8)
    before[..., 1:] = np.maximum.accumulate(np.where(ends, at + 1, 0), -1)[..., :-1]
    length = np.where(ends, at + 1 - before, 0)
    return np.argmax(length, -1)


@general(vjp=selected_vjp, fields="values indices", grad_fn="ModeBackward0")
def mode(input: Tensor, dim: Int = -1, keepdim: Bool = False):
    """The most frequent element along a dimension (of several the smallest), and where it is last.

    Derivative: g at the place of that element

    >>> mode([1., 2., 2.]).values
    tensor(2.)
    """
    return _picked("mode", input, dim, keepdim, _most_frequent)


# ---- counts ------------------------------------------------------------------------------------------------
@nondiff()
def histc(input: Tensor, bins: Int = 100, min: Number = 0, max: Number = 0):
    """How many elements fall into each of `bins` equal parts of the range from `min` to `max`.

    >>> histc([1., 2., 1.], bins=2, min=0, max=3)
    tensor([2., 1.])
    """
    if input.dtype.kind != "f":
        raise ScriptTypeError(f"\"histogram_cpu\" not implemented for '{BY_NP[input.dtype].type_name}'")
    if bins <= 0:
        raise ScriptValueError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    low, high = float(min), float(max)
    flat = np.asarray(input).reshape(-1)
    if low == high and flat.size:
        low, high = float(flat.min()), float(flat.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ScriptValueError(f"torch.histogram: dimension 0's range [{low:g}, {high:g}] is not finite")
    if low > high:
        raise ScriptValueError("torch.histc: max must be larger than min")
    if low == high:
        low, high = low - 1, high + 1
    kept = flat[(flat >= low) & (flat <= high)]
    place = ((kept - low) * (bins / (high - low))).astype(i8)
    return np.bincount(np.minimum(place, bins - 1), minlength=bins).astype(input.dtype)


@nondiff()
def bincount(input: Index, weights: Tensor | None = None, minlength: Int = 0):
    """How often each integer from zero on occurs, or the sum of the weights of its occurrences.

    >>> bincount([0, 1, 1])
    tensor([1, 2])
    """
    if minlength < 0:
        raise ScriptValueError("minlength should be >= 0")
    if input.dtype.kind == "f":
        raise ScriptTypeError(f"\"bincount_cpu\" not implemented for '{BY_NP[input.dtype].type_name}'")
    if input.ndim != 1 or (input.size and input.min() < 0) or input.dtype.kind not in "iu":
        raise ScriptValueError("bincount only supports 1-d non-negative integral inputs.")
    if weights is not None and weights.shape != input.shape:
        raise ShapeError("weights should be 1-d and have the same length as input")
    if weights is None:
        return np.bincount(input, minlength=minlength)
    y = np.bincount(input, np.asarray(weights, np.float64), minlength)
    return y.astype(np.float32) if weights.dtype == np.float32 else y
