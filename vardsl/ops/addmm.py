"""Sums with products of matrices and vectors: addmm and its kin."""

from __future__ import annotations

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.errors import ScriptTypeError, ShapeError
from vardsl.ops.define import Number, Tensor, general, op
from vardsl.ops.linalg import C_NAMES, check_stacks, multipliable, product, same_matrix_types, show, type_of


def _factor(name: str, value: float, dtype: np.dtype) -> None:
    if dtype.kind in "iub" and isinstance(value, float):
        raise ScriptTypeError(
            f"For integral input tensors, argument {name} must not be a floating point number."
        )


def blend(input: Array, made: Array, beta: float, alpha: float) -> Array:
    """beta·input + alpha·made; with beta 0 the input does not count, not even its NaNs."""
    kind = made.dtype.type
    if made.dtype.kind in "iu":
        beta, alpha = int(beta), int(alpha)
    if alpha != 1:
        made = made * kind(alpha)
    if beta == 0:
        return made
    if np.broadcast_shapes(input.shape, made.shape) != made.shape:
        raise ShapeError(expanding(input.shape, made.shape, type_of(input)))
    return made + (input if beta == 1 else input * kind(beta))


def expanding(shape: tuple[int, ...], target: tuple[int, ...], kind: str) -> str:
    """PyTorch's sentence for a tensor that cannot be expanded to `target`."""
    if len(shape) > len(target):
        return (
            f"expand(torch.{kind}Tensor{{{list(shape)}}}, size={list(target)}): the number of sizes provided "
            f"({len(target)}) must be greater or equal to the number of dimensions in the tensor "
            f"({len(shape)})"
        )
    lead = len(target) - len(shape)
    for k in range(len(target) - 1, lead - 1, -1):
        n = shape[k - lead]
        if n not in (1, target[k]):
            return (
                f"The expanded size of the tensor ({target[k]}) must match the existing size ({n}) at "
                "non-singleton "
                f"dimension {k}.  Target sizes: {list(target)}.  Tensor sizes: {list(shape)}"
            )
    return ""


def fits(input: Array, shape: tuple[int, ...]) -> None:
    """Raises ShapeError where `input` cannot be expanded to `shape`."""
    sentence = expanding(input.shape, shape, type_of(input))
    if sentence:
        raise ShapeError(sentence)


def scaled(g, factor):
    return g if factor == 1 else g * factor


def _input_of_sum(g, input_like, beta):
    return op.sum_to_size(scaled(g, beta), input_like.shape)


@general(
    vjp={
        "input": _input_of_sum,
        "mat1": lambda g, mat2, alpha: scaled(op.mm(g, op._swapped(mat2)), alpha),
        "mat2": lambda g, mat1, alpha: scaled(op.mm(op._swapped(mat1), g), alpha),
    },
    inplace=True,
)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1):
    """A matrix plus the product of two others.

    Value: beta · input + alpha · mat1 mat2
    Derivative: beta g; alpha g mat2ᵀ; alpha mat1ᵀ g

    >>> addmm([1., 2.], [[1., 2.], [3., 4.]], [[1., 0.], [0., 1.]])
    tensor([[2., 4.],
            [4., 6.]])
    """
    for a, which in ((mat1, "mat1"), (mat2, "mat2")):
        if a.ndim != 2:
            raise ShapeError(f"{which} must be a matrix, got {a.ndim}-D tensor")
    multipliable(mat1, mat2)
    fits(input, (mat1.shape[0], mat2.shape[1]))
    same_matrix_types(mat1, mat2)
    _same_self(input, mat2)
    _factor("beta", beta, input.dtype)
    _factor("alpha", alpha, input.dtype)
    return blend(input, product(mat1, mat2), beta, alpha)


def _same_self(a: Array, b: Array) -> None:
    if a.dtype != b.dtype:
        raise ScriptTypeError(
            f"self and mat2 must have the same dtype, but got {type_of(a)} and {type_of(b)}",
            hint="cast one of them: x.double(), x.float(), x.long()",
        )


@general(
    vjp={
        "input": _input_of_sum,
        "mat": lambda g, vec, alpha: scaled(op.reshape(g, (g.shape[0], 1)) * vec, alpha),
        "vec": lambda g, mat, alpha: scaled(op.mv(op._swapped(mat), g), alpha),
    },
    inplace=True,
)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1):
    """A vector plus the product of a matrix and a vector.

    Value: beta · input + alpha · mat vec
    Derivative: beta g; alpha g vecᵀ; alpha matᵀ g

    >>> addmv([1., 2.], [[1., 2.], [3., 4.]], [1., 1.])
    tensor([4., 9.])
    """
    if mat.ndim != 2 or vec.ndim != 1 or input.ndim > 1:
        raise ShapeError(f"vector + matrix @ vector expected, got {input.ndim}, {mat.ndim}, {vec.ndim}")
    if mat.shape[1] != vec.shape[0] or (input.ndim and input.shape[0] not in (1, mat.shape[0])):
        n = input.shape[0] if input.ndim else 1
        raise ShapeError(f"size mismatch, got input ({n}), mat ({show(mat)}), vec ({vec.shape[0]})")
    return blend(input, product(mat, vec), beta, alpha)


@general(
    vjp={
        "input": _input_of_sum,
        "vec1": lambda g, vec2, alpha: scaled(op.mv(g, vec2), alpha),
        "vec2": lambda g, vec1, alpha: scaled(op.mv(op._swapped(g), vec1), alpha),
    },
    promote="same",
    inplace=True,
)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Number = 1, alpha: Number = 1):
    """A matrix plus the outer product of two vectors.

    Value: beta · input + alpha · vec1 vec2ᵀ
    Derivative: beta g; alpha g vec2; alpha gᵀ vec1

    >>> addr(zeros(2, 2), [1., 2.], [1., 1.])
    tensor([[1., 1.],
            [2., 2.]])
    """
    for a, which in ((vec1, "vec1"), (vec2, "vec2")):
        if a.ndim != 1:
            raise ShapeError(f"addr: Expected 1-D argument {which}, but got {a.ndim}-D")
    fits(input, (vec1.shape[0], vec2.shape[0]))
    _factor("beta", beta, input.dtype)
    _factor("alpha", alpha, input.dtype)
    if input.dtype.kind == "b":
        return ((input & bool(beta)) if beta else False) | (np.logical_and.outer(vec1, vec2) & bool(alpha))
    return blend(input, np.multiply.outer(vec1, vec2), beta, alpha)


@general(
    vjp={
        "input": _input_of_sum,
        "batch1": lambda g, batch2, alpha: scaled(op.matmul(g, op._swapped(batch2)), alpha),
        "batch2": lambda g, batch1, alpha: scaled(op.matmul(op._swapped(batch1), g), alpha),
    },
    inplace=True,
)
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1):
    """A matrix plus the sum of the products of two stacks of matrices.

    Value: beta · input + alpha · Σᵢ batch1ᵢ batch2ᵢ
    Derivative: beta g; alpha g batch2ₖᵀ; alpha batch1ₖᵀ g

    >>> addbmm(zeros(1, 1), ones(2, 1, 3), ones(2, 3, 1))
    tensor([[6.]])
    """
    for x, which in ((batch1, "batch1"), (batch2, "batch2")):
        if x.ndim != 3:
            raise ShapeError(f"{which} must be a 3D tensor")
    if batch1.shape[0] != batch2.shape[0]:
        raise ShapeError(
            f"batch1 and batch2 must have same number of batches, got {batch1.shape[0]} and {batch2.shape[0]}"
        )
    fits(input, (batch1.shape[1], batch2.shape[2]))
    if batch1.shape[2] != batch2.shape[1]:
        p, q = f"{batch1.shape[1]}x{batch1.shape[2]}", f"{batch2.shape[1]}x{batch2.shape[2]}"
        raise ShapeError(f"Incompatible matrix sizes for bmm ({p} and {q})")
    n, p, k = batch1.shape
    left = np.swapaxes(batch1, 0, 1).reshape(p, n * k)
    return blend(input, product(left, batch2.reshape(n * k, batch2.shape[2])), beta, alpha)


@general(
    vjp={
        "input": _input_of_sum,
        "batch1": lambda g, batch2, alpha: scaled(op.bmm(g, op._swapped(batch2)), alpha),
        "batch2": lambda g, batch1, alpha: scaled(op.bmm(op._swapped(batch1), g), alpha),
    },
    inplace=True,
)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1):
    """A stack of matrices plus the products of two stacks.

    Value: beta · inputᵢ + alpha · batch1ᵢ batch2ᵢ
    Derivative: beta g; alpha g batch2ₖᵀ; alpha batch1ₖᵀ g

    >>> baddbmm(zeros(2, 1, 1), ones(2, 1, 3), ones(2, 3, 1))
    tensor([[[3.]],

            [[3.]]])
    """
    check_stacks(batch1, batch2)
    fits(input, (batch1.shape[0], batch1.shape[1], batch2.shape[2]))
    if input.dtype != batch1.dtype:
        raise ScriptTypeError(
            f"Input dtypes must be the same, got: input {C_NAMES[type_of(input)]}, batch1: "
            f"{C_NAMES[type_of(batch1)]}, batch2: {C_NAMES[type_of(batch2)]}"
        )
    return blend(input, product(batch1, batch2), beta, alpha)
