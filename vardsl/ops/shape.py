"""Views and rearrangements."""

from __future__ import annotations

import numpy as np

from vardsl.ops.define import Sizes, Tensor, general, op, view


@view(vjp=lambda g, input_like: op.sum_to_size(g, input_like.shape))
def expand(input: Tensor, size: Sizes):
    """The tensor broadcast to `size`, without a copy.

    >>> expand([[1.], [2.]], 2, 3)
    tensor([[1., 1., 1.],
            [2., 2., 2.]])
    """
    return np.broadcast_to(input, tuple(size))


@view(vjp=lambda g, input_like: op.reshape(g, input_like.shape), grad_fn="ViewBackward0")
def reshape(input: Tensor, shape: Sizes):
    """The same elements in another shape.

    >>> reshape([1., 2., 3., 4.], 2, 2)
    tensor([[1., 2.],
            [3., 4.]])
    """
    return input.reshape(shape)


@general(vjp=lambda g: g)
def clone(input: Tensor):
    """A copy that stays on the graph.

    >>> clone([1., 2.])
    tensor([1., 2.])
    """
    return input.copy()
