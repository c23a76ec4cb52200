"""Windows along a dimension, as a view."""

from __future__ import annotations

import numpy as np

from vardsl.errors import ShapeError
from vardsl.ops.define import (
    Int,
    Sizes,
    Tensor,
    general,
    op,
    view,
)
from vardsl.ops.dims import wrap_dim


@view(
    vjp=lambda g, input_like, dimension, size, step: op._unfold_backward(
        g, input_like.shape, dimension, size, step
    )
)
def unfold(input: Tensor, dimension: Int, size: Int, step: Int):
    """All windows of `size` elements along `dimension`, `step` apart, in a new last dimension.

    Derivative: the windows of g added up where they overlap

    >>> unfold([1., 2., 3., 4.], 0, 2, 1)
    tensor([[1., 2.],
            [2., 3.],
            [3., 4.]])
    """
    axis = wrap_dim(dimension, input.ndim)
    n = input.shape[axis] if input.ndim else 1
    if size < 0:
        raise ShapeError(f"size is {size} but must be >= 0")
    if size > n:
        raise ShapeError(f"maximum size for tensor at dimension {axis} is {n} but size is {size}")
    if step <= 0:
        raise ShapeError(f"step is {step} but must be > 0")
    a = np.asarray(input)
    if not a.ndim:
        return np.lib.stride_tricks.as_strided(a, (size,), (a.itemsize,))
    shape = (*a.shape[:axis], (n - size) // step + 1, *a.shape[axis + 1 :], size)
    strides = (*a.strides[:axis], a.strides[axis] * step, *a.strides[axis + 1 :], a.strides[axis])
    return np.lib.stride_tricks.as_strided(a, shape, strides, writeable=step >= size)


@general(
    vjp=lambda g, dimension, size, step: op.unfold(g, dimension, size, step),
    grad_fn="UnfoldBackwardBackward0",
)
def _unfold_backward(input: Tensor, input_sizes: Sizes, dimension: Int, size: Int, step: Int):
    out = np.zeros(input_sizes, input.dtype)
    if not out.ndim:
        return input.reshape(-1)[0] if size else out
    axis = wrap_dim(dimension, out.ndim)
    target = np.moveaxis(out, axis, -1)
    windows = np.moveaxis(input, axis, -2)
    count = windows.shape[-2]
    for k in range(size):  # one strided sum for each place in the window
        target[..., k : k + (count - 1) * step + 1 : step] += windows[..., k]
    return out
