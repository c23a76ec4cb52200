"""Sums, differences, products and quotients of elements."""

from __future__ import annotations

import numpy as np

from vardsl.ops.define import Number, Tensor, elementwise


@elementwise(d={"input": 1, "other": lambda alpha: alpha})
def add(input: Tensor, other: Tensor, *, alpha: Number = 1):
    """Sum of two tensors, the second times `alpha`.

    >>> add([1., 2.], 10)
    tensor([11., 12.])
    """
    return np.add(input, other) if alpha == 1 else np.add(input, np.multiply(other, input.dtype.type(alpha)))


@elementwise(d={"input": 1, "other": lambda alpha: -alpha}, aliases=("subtract",))
def sub(input: Tensor, other: Tensor, *, alpha: Number = 1):
    """Difference of two tensors, the second times `alpha`.

    >>> sub([1., 2.], 10)
    tensor([-9., -8.])
    """
    return np.subtract(input, other) if alpha == 1 else np.subtract(input, np.multiply(other, input.dtype.type(alpha)))


@elementwise(np.multiply, d=(lambda other: other, lambda input: input), aliases=("multiply",))
def mul(input: Tensor, other: Tensor):
    """Product of two tensors, element by element.

    >>> mul([1., 2.], [3., 4.])
    tensor([3., 8.])
    """


@elementwise(np.negative, d=-1, aliases=("negative",))
def neg(input: Tensor):
    """The elements with the other sign.

    >>> neg([1., -2.])
    tensor([-1.,  2.])
    """


@elementwise(d={"input": lambda alpha: -alpha, "other": 1}, grad_fn="RsubBackward1")
def rsub(input: Tensor, other: Tensor, *, alpha: Number = 1):
    """`other` minus `alpha` times `input`.

    >>> rsub([1., 2.], 10)
    tensor([9., 8.])
    """
    return np.subtract(other, input) if alpha == 1 else np.subtract(other, np.multiply(input, input.dtype.type(alpha)))
