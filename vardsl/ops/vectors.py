"""Products of two vectors."""

from __future__ import annotations

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import Array
from vardsl.errors import ScriptTypeError, ShapeError
from vardsl.ops.define import Int, Tensor, array, composite, general, op
from vardsl.ops.linalg import operands, product_of_rows, same_vector_types, type_of


def _vectors(name: str, a: Array, b: Array) -> None:
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(
            f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors", operands=operands(a, b)
        )
    same_vector_types(name, a, b)
    if a.dtype.kind == "b":
        raise ScriptTypeError(f"\"{name}\" not implemented for 'Bool'", hint="cast to int64 first: x.long()")
    if a.shape != b.shape:
        raise ShapeError(
            f"inconsistent tensor size, expected tensor [{a.size}] and src [{b.size}] to have the same "
            "number of "
            f"elements, but got {a.size} and {b.size} elements respectively",
            operands=operands(a, b),
        )


@general(
    vjp={"input": lambda g, tensor: g * tensor, "tensor": lambda g, input: g * input}, batch=product_of_rows
)
def dot(input: Tensor, tensor: Tensor):
    """Inner product of two vectors.

    Value: Σ inputᵢ tensorᵢ
    Derivative: g · tensor and g · input

    >>> dot([1., 2.], [3., 4.])
    tensor(11.)
    """
    _vectors("dot", input, tensor)
    return np.dot(input, tensor)


@general(
    vjp={"input": lambda g, other: g * other, "other": lambda g, input: g * input}, batch=product_of_rows
)
def vdot(input: Tensor, other: Tensor):
    """Inner product of two vectors, as `dot` (they differ only for complex numbers).

    Value: Σᵢ inputᵢ otherᵢ
    Derivative: g other and g input

    >>> vdot([1., 2.], [3., 4.])
    tensor(11.)
    """
    _vectors("vdot", input, other)
    return np.dot(input, other)


@composite()
def outer(input: Tensor, vec2: Tensor):
    """Outer product of two vectors: a matrix of all products of two elements.

    Value: yᵢⱼ = inputᵢ vec2ⱼ

    >>> outer([1., 2.], [3., 4.])
    tensor([[3., 4.],
            [6., 8.]])
    """
    for given, which in ((input, "self"), (vec2, "vec2")):
        if given.ndim != 1:
            raise ShapeError(f"outer: Expected 1-D argument {which}, but got {given.ndim}-D")
    state.ctx.budget.reserve(input.shape[0] * vec2.shape[0] * 8, "outer()")
    return op.reshape(input, (input.shape[0], 1)) * vec2


@composite()
def inner(input: Tensor, other: Tensor):
    """Product sums over the last dimension of both; with a 0-d tensor the plain product.

    >>> inner([[1., 2.], [3., 4.]], [1., 1.])
    tensor([3., 7.])
    """
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise ShapeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return op.tensordot(input, other, [[-1], [-1]])


@composite()
def linalg_vecdot(x: Tensor, y: Tensor, *, dim: Int = -1):
    """Inner products of vectors along a dimension.

    >>> linalg.vecdot([[1., 2.], [3., 4.]], [[1., 1.], [1., 1.]])
    tensor([3., 7.])
    """
    if array(x).dtype.kind != "f":
        raise ScriptTypeError(
            f"linalg.vecdot: Expected a floating point or complex tensor as input. Got {type_of(array(x))}"
        )
    if x.ndim == 1 and y.ndim == 1 and dim in (0, -1):
        return op.vdot(x, y)
    return op.sum(x * y, dim)
