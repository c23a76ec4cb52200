"""Products of matrices, with vectors and with each other."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP, Array
from vardsl.engine.op import Op
from vardsl.engine.signature import type_name
from vardsl.engine.tall import in_tiles, product_in_tiles, product_into
from vardsl.engine.temporaries import Path
from vardsl.engine.tiles import LARGE
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ShapeError
from vardsl.ops.define import Tensor, composite, general, op, view

C_NAMES = {
    "Float": "float", "Double": "double", "Long": "long int", "Int": "int", "Short": "short int",
    "Char": "signed char", "Byte": "unsigned char", "Bool": "bool",
}  # fmt: skip

_dot = np.ndarray.dot  # what np.dot comes to


def laid_out(a: Array) -> Array:
    """`a`, copied where BLAS could not read it as it lies, and NumPy would multiply slowly by itself."""
    flags = a.flags
    if flags.c_contiguous or flags.f_contiguous:
        return a
    if a.ndim >= 2:
        item, (m, n), (down, right) = a.itemsize, a.shape[-2:], a.strides[-2:]
        if (right == item and down >= n * item) or (down == item and right >= m * item):
            return a
    return np.ascontiguousarray(a)


def product(a: Array, b: Array) -> Array:
    """`a @ b`; a stack of matrices times one matrix is a single product."""
    if in_tiles(a, b):
        return np.asarray(product_in_tiles(a, b))
    if a.ndim > 2 and b.ndim <= 2:
        lead, k = a.shape[:-1], a.shape[-1]
        rows = prod(lead)
        return np.asarray(np.matmul(laid_out(a).reshape(rows, k), laid_out(b))).reshape(lead + b.shape[1:])
    return np.asarray(np.matmul(laid_out(a), laid_out(b)))


def stack_into(out: Array, a: Array, b: Array) -> Any:
    """The call that puts `product(a, b)` into `out`, or None where that lays operands out anew."""
    if in_tiles(a, b) or laid_out(a) is not a or laid_out(b) is not b or not out.flags.c_contiguous:
        return None
    if a.dtype != b.dtype or a.dtype != out.dtype or 0 in out.shape:
        return None
    if a.ndim > 2 and b.ndim <= 2:
        if not a.flags.c_contiguous:
            return None
        rows = prod(a.shape[:-1])
        a, out = a.reshape(rows, a.shape[-1]), out.reshape(rows, *b.shape[1:])
    return [(np.matmul, (a, b, out))]


def type_of(a: Array) -> str:
    return BY_NP[a.dtype].type_name


def show(a: Array) -> str:
    """`2x3`, as PyTorch's sentences write a shape."""
    return "x".join(map(str, a.shape))


def operands(a: Array, b: Array) -> list[tuple[str, str]]:
    """What the two sides of a product were, for the label under the expression."""
    return [("left", str(list(a.shape))), ("right", str(list(b.shape)))]


def same_matrix_types(a: Array, b: Array) -> None:
    """Raises ScriptTypeError where matrices of two dtypes meet, and for bool."""
    if a.dtype != b.dtype:
        raise ScriptTypeError(
            f"expected m1 and m2 to have the same dtype, but got: {C_NAMES[type_of(a)]} != "
            f"{C_NAMES[type_of(b)]}",
            hint="cast one of them: x.double(), x.float(), x.long()",
        )
    if a.dtype.kind == "b":
        raise ScriptTypeError(
            "\"addmm_impl_cpu_\" not implemented for 'Bool'", hint="cast to int64 first: x.long()"
        )


def same_vector_types(name: str, a: Array, b: Array) -> None:
    if a.dtype != b.dtype:
        raise ScriptTypeError(
            f"{name} : expected both vectors to have same dtype, but found {type_of(a)} and {type_of(b)}",
            hint="cast one of them: x.double(), x.float(), x.long()",
        )


def multipliable(a: Array, b: Array) -> None:
    """Raises ShapeError where the inner sizes of two matrices differ."""
    if a.shape[1] != b.shape[0]:
        raise ShapeError(
            f"mat1 and mat2 shapes cannot be multiplied ({show(a)} and {show(b)})",
            hint=_transposed(a.shape, b.shape),
            operands=operands(a, b),
        )


def _transposed(a: tuple[int, ...], b: tuple[int, ...]) -> str | None:
    if a[1] == b[1]:
        return "the second one transposed would fit: a @ b.T"
    return "the first one transposed would fit: a.T @ b" if a[0] == b[0] else None


@view(vjp=lambda g: op._swapped(g), grad_fn="TransposeBackward0", stream="turn", batch="leading")
def _swapped(input: Tensor):
    return input.swapaxes(-1, -2)


# ---- products in rows --------------------------------------------------------------------------------------


def product_of_rows(product_, args, at, n):
    """The matrix products of many rows, where one operand or both differ from row to row."""
    left, right = args
    left_rank, right_rank = [len(p.shape) if p is not None else x.ndim for x, p in zip(args, at, strict=True)]
    if at[1] is None and left_rank <= 2 and right_rank <= 2:
        return op.matmul(left, right)
    if at[0] is None and right_rank == 1 and left_rank <= 2:
        return op.matmul(right, left if left_rank == 1 else op._swapped(left))
    lead = max(left_rank, right_rank, 2) - 2
    if at[0] is not None or left_rank == 1:
        left = _as_matrix(left, at[0], left_rank, lead, (1,), ())
    if at[1] is not None or right_rank == 1:
        right = _as_matrix(right, at[1], right_rank, lead, (), (1,))
    y = op.matmul(left, right)
    shape = y.shape[:-2] + y.shape[-2:-1] * (left_rank > 1) + y.shape[-1:] * (right_rank > 1)
    return y if shape == y.shape else op.reshape(y, shape)


def _as_matrix(x, part, rank, lead, above, behind):
    """An operand, in every row where it differs, as matrices with `lead` dimensions before theirs."""
    rows = x.shape[:1] if part is not None else ()
    shape = x.shape[len(rows) :]
    if rank == 1:
        shape = (*above, *shape, *behind)
    return op.reshape(x, (*rows, *(1,) * (lead + 2 - len(shape)) * bool(rows), *shape))


# ---- a matrix and a vector ---------------------------------------------------------------------------------


@general(
    vjp={
        "input": lambda g, vec: op.reshape(g, (g.shape[0], 1)) * vec,
        "vec": lambda g, input: op.mv(op._swapped(input), g),
    },
    stream="product",
    into=lambda out, scratch, input, vec: product_into(out, input, vec),
    batch=product_of_rows,
)
def mv(input: Tensor, vec: Tensor):
    """A matrix times a vector.

    Value: yᵢ = Σⱼ inputᵢⱼ vecⱼ
    Derivative: g vecᵀ and inputᵀ g

    >>> mv([[1., 2.], [3., 4.]], [1., 1.])
    tensor([3., 7.])
    """
    return _mv(input, vec)


def _mv(a: Array, v: Array) -> Array:
    if a.ndim != 2 or v.ndim != 1:
        raise ShapeError(
            f"vector + matrix @ vector expected, got 1, {a.ndim}, {v.ndim}", operands=operands(a, v)
        )
    if a.shape[1] != v.shape[0]:
        raise ShapeError(
            f"size mismatch, got input ({a.shape[0]}), mat ({show(a)}), vec ({v.shape[0]})",
            operands=operands(a, v),
        )
    if a.dtype != v.dtype:
        raise ScriptTypeError(
            f"addmv input tensors must have the same dtype, but got {type_of(v)}, {type_of(a)}, and "
            f"{type_of(v)}",
            hint="cast one of them: x.double(), x.float(), x.long()",
        )
    if a.dtype.kind == "b":
        raise ScriptTypeError(
            "\"addmv_impl_cpu\" not implemented for 'Bool'", hint="cast to int64 first: x.long()"
        )
    return product(a, v)


# ---- two matrices ------------------------------------------------------------------------------------------


def _mm_left(g, mat2):
    if type(g) is not np.ndarray or type(mat2) is not np.ndarray:
        return op.mm(g, op._swapped(mat2))
    return _dot(g, mat2.T) if g.size < LARGE else mm.kernel(g, mat2.T)


def _mm_right(g, input):
    if type(g) is not np.ndarray or type(input) is not np.ndarray:
        return op.mm(op._swapped(input), g)
    return _dot(input.T, g) if input.size < LARGE else mm.kernel(input.T, g)


@general(
    vjp={"input": _mm_left, "mat2": _mm_right},
    stream="product",
    into=lambda out, scratch, input, mat2: product_into(out, input, mat2),
    batch=product_of_rows,
)
def mm(input: Tensor, mat2: Tensor):
    """Product of two matrices.

    Value: yᵢₖ = Σⱼ inputᵢⱼ mat2ⱼₖ
    Derivative: g mat2ᵀ and inputᵀ g

    >>> mm([[1., 2.], [3., 4.]], [[1., 0.], [1., 1.]])
    tensor([[3., 2.],
            [7., 4.]])
    """
    if (
        input.ndim == 2 == mat2.ndim
        and input.dtype is mat2.dtype
        and input.dtype.kind == "f"
        and input.shape[1] == mat2.shape[0]
    ):
        if input.size >= LARGE and in_tiles(input, mat2):
            return product_in_tiles(input, mat2)
        return _dot(input, mat2)
    for a, which in ((input, "self"), (mat2, "mat2")):
        if a.ndim != 2:
            raise ShapeError(f"{which} must be a matrix", operands=operands(input, mat2))
    multipliable(input, mat2)
    same_matrix_types(input, mat2)
    return product(input, mat2)


def check_stacks(a: Array, b: Array) -> None:
    for x, which in ((a, "batch1"), (b, "batch2")):
        if x.ndim != 3:
            raise ShapeError(f"{which} must be a 3D tensor", operands=operands(a, b))
    if a.dtype != b.dtype:
        raise ScriptTypeError(
            f"expected scalar type {type_of(a)} but found {type_of(b)}",
            hint="cast one of them: x.double(), x.float(), x.long()",
        )
    n, _, k = a.shape
    if b.shape[0] != n or b.shape[1] != k:
        raise ShapeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{n}, {k}] but got: "
            f"[{b.shape[0]}, {b.shape[1]}].",
            operands=operands(a, b),
        )


@general(
    vjp={
        "input": lambda g, mat2: op.bmm(g, op._swapped(mat2)),
        "mat2": lambda g, input: op.bmm(op._swapped(input), g),
    },
    batch=product_of_rows,
    into=lambda out, scratch, input, mat2: stack_into(out, input, mat2),
)
def bmm(input: Tensor, mat2: Tensor):
    """Products of two stacks of matrices, one by one.

    Value: yₖ = inputₖ mat2ₖ
    Derivative: gₖ mat2ₖᵀ; inputₖᵀ gₖ

    >>> bmm(ones(2, 1, 3), ones(2, 3, 1))
    tensor([[[3.]],

            [[3.]]])
    """
    check_stacks(input, mat2)
    return product(input, mat2)


def _summed(g, like):
    """A cotangent of a stack of products, summed to the operand that was broadcast."""
    return g if g.shape == like.shape else op.sum_to_size(g, like.shape)


def _matmul_left(g, other, input_like):
    n = len(input_like.shape)
    if other.ndim == 1:  # y = A v
        return op.unsqueeze(g, -1) * other
    if n == 1:  # y = v B, with a stack of B
        left = op.matmul(other, op.unsqueeze(g, -1))
        return _summed(op.squeeze(left, -1), input_like)
    return _summed(op.matmul(g, op._swapped(other)), input_like)


def _matmul_right(g, input, other_like):
    shape = other_like.shape
    if input.ndim > 2 and len(shape) <= 2:  # one product over all rows of the stack
        rows, k = _rows(input.shape), input.shape[-1]
        flat = op._swapped(op.reshape(input, (rows, k)))
        return op.matmul(flat, op.reshape(g, (rows, *shape[1:])))
    if input.ndim == 1:
        return _summed(op.unsqueeze(input, -1) * op.unsqueeze(g, -2), other_like)
    return _summed(op.matmul(op._swapped(input), g), other_like)


def _rows(shape: tuple[int, ...]) -> int:
    return prod(shape[:-1])


def _stacks_into(out, scratch, input, other):
    return stack_into(out, input, other)


_STACKED = {"input": _matmul_left, "other": _matmul_right}


@general(vjp=_STACKED, grad_fn="UnsafeViewBackward0", batch=product_of_rows, into=_stacks_into)
def _matmul_stacks(input: Tensor, other: Tensor):
    return _stacks(input, other)


@general(vjp=_STACKED, grad_fn="CloneBackward0", batch=product_of_rows, into=_stacks_into)
def _matmul_matrix_stack(input: Tensor, other: Tensor):
    return _stacks(input, other)


@general(vjp=_STACKED, grad_fn="TransposeBackward0", batch=product_of_rows, into=_stacks_into)
def _matmul_row_stack(input: Tensor, other: Tensor):
    return _stacks(input, other)


def _stacks(a: Array, b: Array) -> Array:
    """Matrix product with broadcast leading dimensions. Raises ShapeError with PyTorch's sentences."""
    k = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if b.ndim <= 2 and a.shape[-1] != k:
        if b.ndim == 1:
            rows = _rows(a.shape)
            raise ShapeError(
                f"size mismatch, got input ({rows}), mat ({rows}x{a.shape[-1]}), vec ({k})",
                operands=operands(a, b),
            )
        raise ShapeError(
            f"mat1 and mat2 shapes cannot be multiplied ({_rows(a.shape)}x{a.shape[-1]} and {show(b)})",
            operands=operands(a, b),
        )
    if a.dtype != b.dtype and a.ndim > 2 and b.ndim > 2:
        raise ScriptTypeError(
            f"expected scalar type {type_of(a)} but found {type_of(b)}",
            hint="cast one of them: x.double(), x.float(), x.long()",
        )
    same_matrix_types(a, b)
    _broadcastable(a, b)
    if a.shape[-1] != k:
        raise ShapeError(_inner_sizes(a, b), operands=operands(a, b))
    return product(a, b)


def _broadcastable(a: Array, b: Array) -> None:
    left, right = a.shape[:-2], b.shape[:-2]
    n = max(len(left), len(right))
    for k in range(-1, -n - 1, -1):
        p = left[k] if -k <= len(left) else 1
        q = right[k] if -k <= len(right) else 1
        if p != q and 1 not in (p, q):
            raise ShapeError(
                f"The size of tensor a ({p}) must match the size of tensor b ({q}) at non-singleton "
                f"dimension {n + k}",
                operands=operands(a, b),
            )


def _inner_sizes(a: Array, b: Array) -> str:
    n = prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2]))
    return (
        f"Expected size for first two dimensions of batch2 tensor to be: [{n}, {a.shape[-1]}] but got: "
        f"[{n}, {b.shape[-2]}]."
    )


@general(
    vjp={
        "input": lambda g, mat2: op.mv(mat2, g),
        "mat2": lambda g, input: op.reshape(input, (input.shape[0], 1)) * g,
    },
    grad_fn="SqueezeBackward4",
    batch=product_of_rows,
)
def _vector_matrix(input: Tensor, mat2: Tensor):
    if input.shape[0] != mat2.shape[0]:
        raise ShapeError(
            f"mat1 and mat2 shapes cannot be multiplied (1x{input.shape[0]} and {show(mat2)})",
            operands=operands(input, mat2),
        )
    same_matrix_types(input, mat2)
    return product(input, mat2)


class _Product(Op):
    """The infix product of two tensors: that of two matrices, much the commonest, needs no questions."""

    def binary(self, a: Any, b: Any, path: Path | None = None) -> Any:
        if type(a) is Value and type(b) is Value:
            x, z = a.array, b.array
            if x.ndim == 2 == z.ndim:
                return mm.pair(a, b, _dot if x.size < LARGE else mm.kernel)
        return self.operator(a, b)


@composite(kind=_Product)
def matmul(input: Tensor, other: Tensor):
    """Matrix product `input @ other`: of vectors, matrices, and stacks of matrices that broadcast.

    Value: yᵢₖ = Σⱼ inputᵢⱼ otherⱼₖ over the last two dimensions; a vector counts as a row on the left, as a
    column on
    the right.
    Derivative: g otherᵀ and inputᵀ g

    >>> matmul([[1., 2.], [3., 4.]], [1., 1.])
    tensor([3., 7.])
    >>> [1., 2.] @ [3., 4.]
    tensor(11.)
    """
    for i, x in enumerate((input, other)):
        if isinstance(x, (int, float)):
            which = ("input", "other")[i]
            raise ScriptTypeError(
                f"matmul(): argument '{which}' (position {i + 1}) must be Tensor, not {type_name(x)}",
                hint="`@` is the product of matrices; a number multiplies with `*`",
            )
    n, m = input.ndim, other.ndim
    if n == 2 and m == 2:
        return op.mm(input, other)
    if n == 0 or m == 0:
        raise ShapeError(f"both arguments to matmul need to be at least 1D, but they are {n}D and {m}D")
    if n == 1:
        if m == 1:
            return op.dot(input, other)
        if m == 2:
            return op._vector_matrix(input, other)
    elif n == 2:
        if m == 1:
            return op.mv(input, other)
        if type(input) is Value and input.requires_grad:
            one = (
                0 in other.shape or input.shape[0] <= 1 or other.shape[-1] <= 1
            )  # its transpose needs no copy
            return (op._matmul_row_stack if one else op._matmul_matrix_stack)(input, other)
    return op._matmul_stacks(input, other)
