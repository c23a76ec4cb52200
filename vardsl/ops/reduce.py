"""Sums, means and other reductions over dimensions."""

from __future__ import annotations

import numpy as np

from vardsl.errors import ScriptIndexError
from vardsl.ops.define import Bool, Dtype, Ints, Tensor, composite, general, op


def wrap_dim(dim: int, ndim: int) -> int:
    """A dimension counted from the front. Raises ScriptIndexError with PyTorch's sentence."""
    n = max(ndim, 1)
    if not -n <= dim < n:
        raise ScriptIndexError(
            f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})"
        )
    return dim % n


def wrap_dims(dim: tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """Dimensions counted from the front; none or an empty tuple are all of them."""
    if not dim:
        return tuple(range(ndim))
    axes = tuple(wrap_dim(d, ndim) for d in dim)
    for k, a in enumerate(axes):
        if a in axes[:k]:
            raise ScriptIndexError(f"dim {a} appears multiple times in the list of dims")
    return axes if ndim else ()


def restore(g, like, dim, keepdim):
    """A reduced cotangent, expanded to the shape that was reduced."""
    if not keepdim and g.ndim != len(like.shape):
        axes = wrap_dims(dim, len(like.shape))
        g = op.reshape(g, tuple(1 if k in axes else n for k, n in enumerate(like.shape)))
    return op.expand(g, like.shape)


@general(vjp=lambda g, input_like, dim, keepdim: restore(g, input_like, dim, keepdim), grad_fn="SumBackward1")
def _sum_dim(input: Tensor, dim: Ints | None = None, keepdim: Bool = False):
    return np.add.reduce(input, axis=wrap_dims(dim, input.ndim), keepdims=keepdim)


@general(vjp=lambda g, input_like: op.expand(g, input_like.shape), grad_fn="SumBackward0")
def _sum_all(input: Tensor):
    return np.add.reduce(input, axis=None)


@composite()
def sum(input: Tensor, dim: Ints | None = None, keepdim: Bool = False, *, dtype: Dtype | None = None):
    """Sum of all elements, or over the dimensions `dim`.

    >>> sum([[1., 2.], [3., 4.]], dim=0)
    tensor([4., 6.])
    """
    if dtype is not None:
        input = op._cast(input, dtype)
    return op._sum_all(input) if dim is None and not keepdim else op._sum_dim(input, dim, keepdim)


def _mean_vjp(g, input_like):
    return op.expand(g * (1.0 / input_like.size), input_like.shape)


@general(vjp=_mean_vjp, grad_fn="MeanBackward0")
def mean(input: Tensor):
    """Mean of all elements.

    >>> mean([1., 2., 3.])
    tensor(2.)
    """
    return np.add.reduce(input, axis=None) * input.dtype.type(1.0 / input.size)
