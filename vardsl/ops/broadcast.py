"""Tensors stretched to a larger shape without a copy."""

from __future__ import annotations

import numpy as np

from vardsl.engine.dtypes import BY_NP
from vardsl.errors import ShapeError
from vardsl.ops.define import (
    Sizes,
    Tensor,
    Varargs,
    composite,
    op,
    view,
)


def expanded_size(
    size: tuple[int, ...], shape: tuple[int, ...], type_name: str = "torch.FloatTensor"
) -> tuple[int, ...]:
    """`size` with -1 as the size that is there. Raises ShapeError with PyTorch's sentences."""
    lead = len(size) - len(shape)
    if lead < 0:
        raise ShapeError(
            f"expand({type_name}{{{list(shape)}}}, size={list(size)}): the number of sizes provided "
            f"({len(size)}) must be greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    full = []
    for k, n in enumerate(size):
        if n == -1:
            if k < lead:
                raise ShapeError(
                    "The expanded size of the tensor (-1) isn't allowed in a leading, non-existing "
                    f"dimension {k}"
                )
            n = shape[k - lead]
        elif k >= lead and n != shape[k - lead] != 1:
            raise ShapeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({shape[k - lead]}) at "
                f"non-singleton dimension {k}.  Target sizes: {list(size)}.  Tensor sizes: {list(shape)}"
            )
        full.append(n)
    return tuple(full)


def _expanded_rows(expand, args, at, n):
    x, size = args
    lead = len(size) - (x.ndim - 1)
    return expand.run([op.reshape(x, (n, *(1,) * lead, *x.shape[1:])) if lead else x, (n, *size)])


@view(vjp=lambda g, input_like: op.sum_to_size(g, input_like.shape), stream="expand", batch=_expanded_rows)
def expand(input: Tensor, size: Sizes):
    """The tensor broadcast to `size`, without a copy; -1 keeps a size.

    Derivative: g summed over the dimensions that were expanded

    >>> expand([[1.], [2.]], 2, 3)
    tensor([[1., 1., 1.],
            [2., 2., 2.]])
    """
    if input.shape == size:
        return input[...]
    return np.broadcast_to(
        input, expanded_size(size, input.shape, f"torch.{BY_NP[input.dtype].type_name}Tensor")
    )


@composite()
def expand_as(input: Tensor, other: Tensor):
    """The tensor broadcast to the shape of `other`.

    >>> expand_as([1., 2.], [[0., 0.], [0., 0.]])
    tensor([[1., 2.],
            [1., 2.]])
    """
    return op.expand(input, other.shape)


@composite()
def broadcast_to(input: Tensor, size: Sizes):
    """The tensor broadcast to `size`, without a copy.

    >>> broadcast_to([1., 2.], 2, 2)
    tensor([[1., 2.],
            [1., 2.]])
    """
    return op.expand(input, size)


@composite()
def broadcast_tensors(tensors: Varargs):
    """The tensors expanded to their common shape.

    >>> broadcast_tensors([1., 2.], [[1.], [2.]])[0]
    tensor([[1., 2.],
            [1., 2.]])
    """
    return broadcast_list(tensors if type(tensors) is list else [tensors])


def broadcast_list(tensors):
    shape = broadcast_shape([x.shape for x in tensors])
    return tuple(x if x.shape == shape else op.expand(x, shape) for x in tensors)


def broadcast_shape(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The common shape of several. Raises ShapeError with PyTorch's sentence."""
    full: list[int] = []
    for shape in shapes:
        full = [1] * (len(shape) - len(full)) + full
        for k in range(1, len(shape) + 1):
            a, b = full[-k], shape[-k]
            if a != b and a != 1 and b != 1:
                raise ShapeError(
                    f"The size of tensor a ({a}) must match the size of tensor b ({b}) at non-singleton "
                    "dimension "
                    f"{len(full) - k}"
                )
            full[-k] = b if a == 1 else a
    return tuple(full)
