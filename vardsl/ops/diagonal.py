"""Diagonals of matrices: read, made, summed and replaced."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import i8
from vardsl.errors import ScriptTypeError, ShapeError
from vardsl.ops.define import (
    Int,
    Sizes,
    Tensor,
    composite,
    general,
    op,
    view,
)
from vardsl.ops.dims import check_part, wrap_dim, zeros_of


def diagonal_view(a: Any, offset: int, dim1: int, dim2: int) -> Any:
    """The diagonals of the matrices in two dimensions of an array, sharing memory."""
    d1, d2 = wrap_dim(dim1, a.ndim), wrap_dim(dim2, a.ndim)
    if d1 == d2:
        raise ShapeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    rows, columns = a.shape[d1], a.shape[d2]
    n = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    start = [slice(None)] * a.ndim
    if n:
        start[d1], start[d2] = slice(max(-offset, 0), None), slice(max(offset, 0), None)
    b = a[tuple(start)]
    rest = [k for k in range(a.ndim) if k not in (d1, d2)]
    shape = (*[a.shape[k] for k in rest], n)
    strides = (*[a.strides[k] for k in rest], a.strides[d1] + a.strides[d2])
    return np.lib.stride_tricks.as_strided(b, shape, strides, writeable=a.flags.writeable)


def _diagonal_vjp(g, input_like, offset, dim1, dim2):
    return op._diagonal_backward(g, input_like.shape, offset, dim1, dim2)


@view(vjp=_diagonal_vjp, batch="dims")
def diagonal(input: Tensor, offset: Int = 0, dim1: Int = 0, dim2: Int = 1):
    """The diagonal of a matrix, or of the matrices in `dim1` and `dim2`, as a view.

    Derivative: g on the diagonal of zeros

    >>> diagonal([[1., 2.], [3., 4.]])
    tensor([1., 4.])
    """
    return diagonal_view(input, offset, dim1, dim2)


@general(
    vjp=lambda g, offset, dim1, dim2: op.diagonal(g, offset, dim1, dim2), grad_fn="DiagonalBackwardBackward0",
    batch="dims",
)
def _diagonal_backward(input: Tensor, input_sizes: Sizes, offset: Int, dim1: Int, dim2: Int):
    out = np.zeros(input_sizes, input.dtype)
    diagonal_view(out, offset, dim1, dim2)[...] = input
    return out


@general(
    vjp=lambda g, offset, dim1, dim2, y_like: op.diagonal(g, offset, dim1, dim2), grad_fn="DiagEmbedBackward0"
)
def diag_embed(input: Tensor, offset: Int = 0, dim1: Int = -2, dim2: Int = -1):
    """Matrices of zeros with the last dimension's elements on a diagonal.

    Derivative: the diagonal of g

    >>> diag_embed([1., 2.])
    tensor([[1., 0.],
            [0., 2.]])
    """
    ndim = input.ndim + 1
    d1, d2 = wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)
    if d1 == d2:
        raise ShapeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    n = (input.shape[-1] if input.ndim else 1) + abs(offset)
    rest = list(input.shape[:-1])
    shape = []
    for k in range(ndim if input.ndim else 2):
        shape.append(n if k in (d1, d2) else rest.pop(0))
    state.ctx.budget.reserve(prod(shape) * input.itemsize, "diag_embed()")
    out = np.zeros(shape, input.dtype)
    diagonal_view(out, offset, d1, d2)[...] = input
    return out


@general(
    vjp=lambda g, input_like, diagonal: op._diagonal_backward(g, input_like.shape, diagonal, 0, 1),
    grad_fn="DiagonalBackward0_copy",
)
def _diag_of(input: Tensor, diagonal: Int):
    return np.array(diagonal_view(input, diagonal, 0, 1))


@composite()
def diag(input: Tensor, diagonal: Int = 0):
    """The matrix with a vector on its diagonal, or the diagonal of a matrix.

    >>> diag([1., 2.])
    tensor([[1., 0.],
            [0., 2.]])
    """
    if input.ndim not in (1, 2):
        raise ShapeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return op.diag_embed(input, diagonal) if input.ndim == 1 else op._diag_of(input, diagonal)


@composite()
def diagflat(input: Tensor, offset: Int = 0):
    """A matrix with all elements on a diagonal.

    >>> diagflat([1., 2.])
    tensor([[1., 0.],
            [0., 2.]])
    """
    return op.diag_embed(op.view(op.contiguous(input), (-1,)), offset)


def _trace_vjp(g, input_like):
    on_diagonal = op.expand(g, (min(input_like.shape),))
    return op._diagonal_backward(on_diagonal, input_like.shape, 0, 0, 1)


@general(vjp=_trace_vjp)
def trace(input: Tensor):
    """Sum of the diagonal of a matrix.

    Value: Σᵢ inputᵢᵢ
    Derivative: g on the diagonal

    >>> trace([[1., 2.], [3., 4.]])
    tensor(5.)
    """
    if input.ndim != 2:
        raise ShapeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    if input.dtype.kind == "b":
        raise ScriptTypeError("\"trace\" not implemented for 'Bool'")
    return np.add.reduce(diagonal_view(input, 0, 0, 1), dtype=i8 if input.dtype.kind in "biu" else None)


@general(
    vjp={
        "input": lambda g, offset, dim1, dim2, src_like: op.diagonal_scatter(
            g, zeros_of(g, src_like), offset, dim1, dim2
        ),
        "src": lambda g, offset, dim1, dim2: op.diagonal(g, offset, dim1, dim2),
    }
)
def diagonal_scatter(input: Tensor, src: Tensor, offset: Int = 0, dim1: Int = 0, dim2: Int = 1):
    """The tensor with `src` on its diagonal.

    Derivative: g without that diagonal; the diagonal of g

    >>> diagonal_scatter(zeros(2, 2), [1., 2.])
    tensor([[1., 0.],
            [0., 2.]])
    """
    out = np.array(input, order="C")
    part = diagonal_view(out, offset, dim1, dim2)
    check_part(part.shape, src.shape)
    part[...] = src
    return out
