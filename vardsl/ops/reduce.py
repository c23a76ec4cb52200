"""Sums, means and products over dimensions, and the tests that count elements."""

from __future__ import annotations

from math import prod as product
from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP, i8
from vardsl.engine.pullback import constant
from vardsl.engine.tiles import add_up, mean_into, sum_into
from vardsl.errors import ScriptTypeError
from vardsl.ops.define import (
    Bool,
    Dtype,
    Int,
    Ints,
    Tensor,
    composite,
    fused,
    general,
    looked_at,
    nondiff,
    op,
)
from vardsl.ops.dims import as_like, dtype_of, wrap_dim, wrap_dims


def restore(g, like, dim, keepdim):
    """A reduced cotangent, expanded to the shape that was reduced."""
    if not keepdim and g.ndim != len(like.shape):
        axes = wrap_dims(dim, len(like.shape))
        g = op.reshape(g, tuple([1 if k in axes else n for k, n in enumerate(like.shape)]))
    return op.expand(g, like.shape)


def counted(shape, dim):
    """How many elements each result of a reduction is made of."""
    return product([shape[k] for k in wrap_dims(dim, len(shape))])


def _all_but_rows(whole, args, at, n):
    """A full reduction of every row."""
    x, dtype = args
    if x.ndim < 2:
        x = op.reshape(x, (n, 1))
    along = op._sum_dim if whole is op._sum_all else op._mean_dim
    return along.run([x, tuple(range(1, x.ndim)), False, dtype])


def _accumulator(input, dtype):
    return dtype if dtype is not None else i8 if input.dtype.kind in "biu" else input.dtype


@general(
    vjp=lambda g, input_like, dim, keepdim: as_like(restore(g, input_like, dim, keepdim), input_like),
    grad_fn="SumBackward1",
    stream="sum",
    into=lambda out, scratch, input, dim, keepdim, dtype: sum_into(
        out, input, wrap_dims(dim, input.ndim), keepdim
    ),
    batch="dims",
)
def _sum_dim(input: Tensor, dim: Ints | None = None, keepdim: Bool = False, dtype: Dtype | None = None):
    return add_up(input, wrap_dims(dim, input.ndim), _accumulator(input, dtype), keepdim)


@general(
    vjp=lambda g, input_like: as_like(constant(g, input_like.shape), input_like),
    grad_fn="SumBackward0",
    stream="sum",
    into=lambda out, scratch, input, dtype: sum_into(out, input, None, False),
    batch=_all_but_rows,
)
def _sum_all(input: Tensor, dtype: Dtype | None = None):
    return add_up(input, None, _accumulator(input, dtype), False)


@composite()
def sum(input: Tensor, dim: Ints | None = None, keepdim: Bool = False, *, dtype: Dtype | None = None):
    """Sum of all elements, or over the dimensions `dim`. Integers and booleans sum to int64.

    Value: Σ x
    Derivative: 1 for every element

    >>> sum([[1., 2.], [3., 4.]], dim=0)
    tensor([4., 6.])
    """
    if dim is None and not keepdim:
        return op._sum_all.run([input, dtype])
    return op._sum_dim.run([input, dim, keepdim, dtype])


def _refuse_integers(name, input, dtype):
    of = BY_NP[dtype or input.dtype]
    if not of.is_floating:
        word = "Input" if dtype is None else "Optional"
        raise ScriptTypeError(
            f"{name}(): could not infer output dtype. {word} dtype must be either a floating point or "
            "complex dtype. "
            f"Got: {of.type_name}",
            hint="mean(x, dtype=float32) counts integers as reals" if name == "mean" else None,
        )


@general(
    vjp=lambda g, input_like: as_like(constant(g / max(input_like.size, 1), input_like.shape), input_like),
    grad_fn="MeanBackward0",
    stream="mean",
    into=lambda out, scratch, input, dtype: mean_into(out, input, None, False),
    batch=_all_but_rows,
)
def _mean_all(input: Tensor, dtype: Dtype | None = None):
    if input.dtype.kind != "f":
        _refuse_integers("mean", input, dtype)
    total = add_up(input, None, dtype or input.dtype, False)
    return total / input.size if input.size else total + np.nan


@general(
    vjp=lambda g, input_like, dim, keepdim: as_like(
        restore(g, input_like, dim, keepdim) / max(counted(input_like.shape, dim), 1), input_like
    ),
    grad_fn="MeanBackward1",
    stream="mean",
    into=lambda out, scratch, input, dim, keepdim, dtype: mean_into(
        out, input, wrap_dims(dim, input.ndim), keepdim
    ),
    batch="dims",
)
def _mean_dim(input: Tensor, dim: Ints | None = None, keepdim: Bool = False, dtype: Dtype | None = None):
    _refuse_integers("mean", input, dtype)
    total = add_up(input, wrap_dims(dim, input.ndim), dtype or input.dtype, keepdim)
    return np.divide(total, counted(input.shape, dim), dtype=total.dtype)


@composite()
def mean(input: Tensor, dim: Ints | None = None, keepdim: Bool = False, *, dtype: Dtype | None = None):
    """Mean of all elements, or over the dimensions `dim`.

    Value: Σ x / n
    Derivative: 1 / n for every element

    >>> mean([1., 2., 3.])
    tensor(2.)
    >>> mean([[1., 2.], [3., 4.]], dim=1)
    tensor([1.5000, 3.5000])
    """
    if dim is None and not keepdim:
        return op._mean_all.run([input, dtype])
    return op._mean_dim.run([input, dim, keepdim, dtype])


def _numbers(input):
    return np.where(np.isnan(input), np.zeros((), input.dtype), input) if input.dtype.kind == "f" else input


def _nansum_vjp(g, input, input_like, dim, keepdim):
    return as_like(restore(g, input_like, dim, keepdim), input_like) * op._not_nan(input)


@nondiff(batch="leading")
def _not_nan(input: Tensor):
    return (input == input).astype(input.dtype)


@general(vjp=_nansum_vjp, batch="dims")
def nansum(input: Tensor, dim: Ints | None = None, keepdim: Bool = False, *, dtype: Dtype | None = None):
    """Sum with NaN counted as zero.

    Value: Σ input over what is no nan
    Derivative: g, zero at nan

    >>> nansum([1., nan, 2.])
    tensor(3.)
    """
    axes = wrap_dims(dim, input.ndim)
    return np.add.reduce(_numbers(input), axes, _accumulator(input, dtype), None, keepdim)


@composite()
def nanmean(input: Tensor, dim: Ints | None = None, keepdim: Bool = False, *, dtype: Dtype | None = None):
    """Mean of the elements that are not NaN.

    >>> nanmean([1., nan, 3.])
    tensor(2.)
    """
    if not op.is_floating_point(input):
        raise ScriptTypeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{input.dtype.type_name}"
        )
    total = op.nansum(input, dim, keepdim, dtype=dtype)
    return total / op.sum(op._not_nan(input), dim, keepdim, dtype=dtype_of(total))


def exclusive_products(x, axis):
    """Along an axis the product of all elements before each one."""
    n = x.shape[axis]
    if n == 0:
        return x
    first = op.ones_like(op.narrow(x, axis, 0, 1))
    return op.cat([first, op.cumprod(op.narrow(x, axis, 0, n - 1), axis)], axis)


@fused()
def _others(input: Tensor, dim: Int):
    after = op.flip(exclusive_products(op.flip(input, (dim,)), dim), (dim,))
    return exclusive_products(input, dim) * after


def _no_zeros(x):
    return not (looked_at(x) == 0).any()


def _prod_all_vjp(g, input, y):
    if not input.ndim:
        return g
    if _no_zeros(input):
        return g * y / input
    flat = op.reshape(input, (-1,)) if product(input.shape) else input
    return op.reshape(g * op._others(flat, 0), input.shape) if flat is not input else input * g


def _prod_dim_vjp(g, input, y, dim, keepdim):
    if not input.ndim:
        return g
    axis = wrap_dim(dim, input.ndim)
    if _no_zeros(input):
        return (g * y if keepdim else op.unsqueeze(g * y, axis)) / input
    return (g if keepdim else op.unsqueeze(g, axis)) * op._others(input, axis)


@general(
    vjp=lambda g, input, y, input_like: as_like(_prod_all_vjp(g, input, y), input_like),
    grad_fn="ProdBackward0",
)
def _prod_all(input: Tensor, *, dtype: Dtype | None = None):
    return np.multiply.reduce(input, None, _accumulator(input, dtype))


@general(
    vjp=lambda g, input, y, input_like, dim, keepdim: as_like(
        _prod_dim_vjp(g, input, y, dim, keepdim), input_like
    ),
    grad_fn="ProdBackward1",
    batch="dims",
)
def _prod_dim(input: Tensor, dim: Int, keepdim: Bool = False, *, dtype: Dtype | None = None):
    axes = (wrap_dim(dim, input.ndim),) if input.ndim else ()
    return np.multiply.reduce(input, axes, _accumulator(input, dtype), None, keepdim)


@composite()
def prod(input: Tensor, dim: Int | None = None, keepdim: Bool = False, *, dtype: Dtype | None = None):
    """Product of all elements, or over the dimension `dim`; exact derivatives where elements are zero.

    Value: Π x
    Derivative: the product of the other elements

    >>> prod([2., 3., 4.])
    tensor(24.)
    """
    if dim is None:
        return op._prod_all.run([input, dtype])
    return op._prod_dim.run([input, dim, keepdim, dtype])


def _truth(ufunc, input, dim, keepdim):
    axes = () if dim == () else wrap_dims(dim, input.ndim)
    y = ufunc(input != 0, axes, keepdims=keepdim)
    return y.astype(np.uint8) if input.dtype == np.uint8 else np.asarray(y, bool)


@nondiff(batch="dims")
def all(input: Tensor, dim: Ints | None = None, keepdim: Bool = False):
    """Whether all elements are true (not zero).

    >>> all([1, 2, 0])
    tensor(False)
    """
    return _truth(np.logical_and.reduce, input, dim, keepdim)


@nondiff(batch="dims")
def any(input: Tensor, dim: Ints | None = None, keepdim: Bool = False):
    """Whether any element is true (not zero).

    >>> any([0, 0, 3])
    tensor(True)
    """
    return _truth(np.logical_or.reduce, input, dim, keepdim)


@nondiff(batch="dims")
def count_nonzero(input: Tensor, dim: Ints | None = None):
    """How many elements are not zero.

    >>> count_nonzero([1., 0., 2.])
    tensor(2)
    """
    return np.add.reduce(input != 0, wrap_dims(dim, input.ndim), i8)


@composite()
def norm(
    input: Tensor,
    p: Any | None = "fro",
    dim: Ints | None = None,
    keepdim: Bool = False,
    *,
    dtype: Dtype | None = None,
):
    """Norm of all elements, or over the dimensions `dim`: "fro" or 2 is the root of the sum of squares.

    Other numbers give (Σ |x|ᵖ)^(1/p), infinity the largest absolute value, "nuc" the sum of a matrix's
    singular values.
    At zero the derivative is 0.

    >>> norm([3., 4.])
    tensor(5.)
    """
    if p is None or (p == "fro" and (dim is None or len(dim) <= 2)):
        p = 2
    if isinstance(p, str):
        return op.linalg_matrix_norm(
            input, p, tuple(range(input.ndim)) if dim is None else dim, keepdim, dtype=dtype
        )
    return op.linalg_vector_norm(input, p, dim, keepdim, dtype=dtype)
