"""tensordot, kron, chains and powers of matrices, cross products and powers of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import BY_NP, Array
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import (
    Bool,
    Int,
    Tensor,
    Tensors,
    array,
    composite,
    general,
    looked_at,
    nondiff,
    op,
)
from vardsl.ops.dims import wrap_dim

# ---- tensordot, kron ---------------------------------------------------------------------------------------


def _tensordot_dims(dims: Any, a: Any, b: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if not isinstance(dims, (int, tuple, list)):
        numbers = looked_at(dims)
        dims = int(numbers) if numbers.size == 1 else [[int(k) for k in row] for row in numbers]
    if isinstance(dims, int):
        if dims < 0:
            raise ScriptValueError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise ScriptValueError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        return tuple(range(a.ndim - dims, a.ndim)), tuple(range(dims))
    left, right = ((d,) if isinstance(d, int) else tuple(int(k) for k in _list(d)) for d in dims)
    if len(left) != len(right):
        raise ScriptValueError("both dimension lists should have same length")
    return tuple(wrap_dim(d, a.ndim) for d in left), tuple(wrap_dim(d, b.ndim) for d in right)


def _list(x: Any) -> Any:
    return x if isinstance(x, (tuple, list)) else array(x)


@composite()
def tensordot(a: Tensor, b: Tensor, dims: Any = 2):
    """Sum of products over several dimensions of two tensors.

    `dims` is a number, for so many last dimensions of `a` and first ones of `b`, or a list of dimensions for
    each.

    >>> tensordot([[1., 2.], [3., 4.]], [[1., 0.], [0., 1.]], 2)
    tensor(5.)
    """
    left, right = _tensordot_dims(dims, a, b)
    if array(a).dtype != array(b).dtype:
        raise ScriptTypeError("both inputs should have same dtype")
    for p, q in zip(left, right, strict=True):
        n, m = a.shape[p], b.shape[q]
        if n == 1 != m:
            b = op.sum(b, (q,), True)
        elif m == 1 != n:
            a = op.sum(a, (p,), True)
        elif n != m:
            raise ShapeError(
                f"contracted dimensions need to match, but first has size {n} in dim "
                f"{p - a.ndim if isinstance(dims, int) else p} and second has size {m} in dim {q}"
            )
    rows = [k for k in range(a.ndim) if k not in left]
    columns = [k for k in range(b.ndim) if k not in right]
    summed = _size([a.shape[k] for k in left])
    shape = tuple([a.shape[k] for k in rows] + [b.shape[k] for k in columns])
    flat_a = op.reshape(op.permute(a, (*rows, *left)), (_size(shape[: len(rows)]), summed))
    flat_b = op.reshape(op.permute(b, (*right, *columns)), (summed, _size(shape[len(rows) :])))
    if not rows and not columns:
        return op.view(op.dot(op.reshape(flat_a, (summed,)), op.reshape(flat_b, (summed,))), ())
    return op.view(op.mm(flat_a, flat_b), shape)


def _size(shape: Any) -> int:
    n = 1
    for k in shape:
        n *= k
    return n


def _interleaved(a_shape: Any, b_shape: Any) -> tuple[list[int], list[int]]:
    """Sizes of both factors of each dimension of a Kronecker product."""
    n = max(len(a_shape), len(b_shape))
    return [1] * (n - len(a_shape)) + list(a_shape), [1] * (n - len(b_shape)) + list(b_shape)


def _kron_vjp(g, factor, like, other_shape, own_first):
    p, q = _interleaved(like.shape, other_shape)
    if not own_first:
        p, q = q, p
    parts = op.reshape(g, tuple(k for pair in zip(p, q, strict=True) for k in pair))
    others = q if own_first else p
    shape = tuple(k for n in others for k in ((1, n) if own_first else (n, 1)))
    parts = parts * op.reshape(factor, shape)
    axes = tuple(range(int(own_first), 2 * len(p), 2))
    return op.reshape(op.sum(parts, axes) if axes else parts, like.shape)


@general(
    vjp={
        "input": lambda g, other, input_like: _kron_vjp(g, other, input_like, other.shape, True),
        "other": lambda g, input, other_like: _kron_vjp(g, input, other_like, input.shape, False),
    },
    promote="same",
    grad_fn="UnsafeViewBackward0",
)
def kron(input: Tensor, other: Tensor):
    """Kronecker product: every element of the first times the whole second.

    Value: y = inputᵢⱼ other, block by block
    Derivative: the blocks of g summed against other, and against input

    >>> kron([[1., 2.]], [[1., 1.]])
    tensor([[1., 1., 2., 2.]])
    """
    p, q = _interleaved(input.shape, other.shape)
    state.ctx.budget.reserve(input.size * other.size * input.itemsize, "kron()")
    left = input.reshape([k for n in p for k in (n, 1)])
    right = other.reshape([k for n in q for k in (1, n)])
    return np.asarray(left * right).reshape([m * n for m, n in zip(p, q, strict=True)])


# ---- chains and powers -------------------------------------------------------------------------------------


def _best_split(sizes: list[int]) -> list[list[int]]:
    """Where to split each product of a chain for the fewest multiplications."""
    n = len(sizes) - 1
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            choices = [
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            ]
            cost[i][j], split[i][j] = min(choices)
    return split


def _chain(tensors: list[Any], split: list[list[int]], i: int, j: int) -> Any:
    if i == j:
        return tensors[i]
    k = split[i][j]
    return op.mm(_chain(tensors, split, i, k), _chain(tensors, split, k + 1, j))


@composite()
def linalg_multi_dot(tensors: Tensors):
    """Product of a chain of matrices, in the order of fewest multiplications.

    The first and last may be vectors.

    >>> linalg.multi_dot(([1., 2.], [[1., 0.], [0., 1.]], [3., 4.]))
    tensor(11.)
    """
    n = len(tensors)
    if n < 2:
        raise ScriptValueError(f"multi_dot(): expected at least 2 tensors but got {n}")
    tensors = list(tensors)
    out: list[int] = []
    for k, x in ((0, tensors[0]), (n - 1, tensors[-1])):
        which = "first" if k == 0 else "last"
        if x.ndim == 1:
            tensors[k] = op.unsqueeze(x, 0 if k == 0 else -1)
        elif x.ndim == 2:
            out.append(x.shape[0] if k == 0 else x.shape[1])
        else:
            raise ShapeError(f"multi_dot(): the {which} tensor must be 1D or 2D but got {x.ndim}D")
    for k, x in enumerate(tensors):
        if x.ndim != 2:
            raise ShapeError(f"multi_dot(): tensor {k} must be 2D but got {x.ndim}D")
        if array(x).dtype != array(tensors[0]).dtype:
            raise ScriptTypeError(
                "multi_dot(): all tensors must have be the same dtype but tensor 0 is "
                f"{_spelled(tensors[0])} and "
                f"tensor {k} {_spelled(x)}"
            )
        if k and tensors[k - 1].shape[1] != x.shape[0]:
            raise ShapeError(
                f"multi_dot(): tensors {k - 1} and {k} with shapes {list(tensors[k - 1].shape)} and "
                f"{list(x.shape)} "
                "cannot be multiplied"
            )
    split = _best_split([tensors[0].shape[0], *(x.shape[1] for x in tensors)])
    return op.view(_chain(tensors, split, 0, n - 1), tuple(out))


def _spelled(x: Any) -> str:
    return BY_NP[array(x).dtype].type_name


def square(name: str, x: Any, argument: str = "A") -> None:
    """Raises ShapeError where `x` is no stack of square matrices."""
    if x.ndim < 2:
        raise ShapeError(f"{name}: The input tensor {argument} must have at least 2 dimensions.")
    if x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            f"{name}: {argument} must be batches of square matrices, but they are {x.shape[-2]} by "
            f"{x.shape[-1]} "
            "matrices"
        )


@general(vjp=lambda g: g * 0, grad_fn="CopyBackwards")
def _identities(input: Tensor):
    """An identity matrix for each matrix."""
    made = np.zeros(input.shape, input.dtype)
    made[..., np.arange(input.shape[-1]), np.arange(input.shape[-1])] = 1
    return made


@composite()
def linalg_matrix_power(A: Tensor, n: Int):
    """A square matrix multiplied with itself `n` times; the inverse for negative `n`.

    >>> linalg.matrix_power([[1., 1.], [0., 1.]], 3)
    tensor([[1., 3.],
            [0., 1.]])
    """
    square("linalg.matrix_power", A)
    if n == 0:
        return op._identities(A)
    if n < 0:
        A, n = op.linalg_inv(A), -n
        if n == 1:
            return A
    elif n == 1:
        return op.clone(A)
    if n == 2:
        return op.matmul(A, A)
    if n == 3:
        return op.matmul(op.matmul(A, A), A)
    result = None
    z = None
    while n > 0:
        z = A if z is None else op.matmul(z, z)
        if n % 2:
            result = z if result is None else op.matmul(result, z)
        n //= 2
    return result


@composite()
def matrix_power(input: Tensor, n: Int):
    """A square matrix multiplied with itself `n` times, as `linalg.matrix_power`.

    >>> matrix_power([[2., 0.], [0., 3.]], 2)
    tensor([[4., 0.],
            [0., 9.]])
    """
    return op.linalg_matrix_power(input, n)


# ---- cross products, powers of vectors ---------------------------------------------------------------------


def _cross(a: Array, b: Array, dim: int) -> Array:
    a, b = np.broadcast_arrays(a, b)
    a, b = np.moveaxis(a, dim, 0), np.moveaxis(b, dim, 0)
    made = np.empty(a.shape, a.dtype)
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        made[k] = a[i] * b[j] - a[j] * b[i]
    return np.moveaxis(made, 0, dim)


@general(
    vjp={
        "input": lambda g, other, input_like, dim: op.sum_to_size(
            op._cross_product(other, g, dim), input_like.shape
        ),
        "other": lambda g, input, other_like, dim: op.sum_to_size(
            op._cross_product(g, input, dim), other_like.shape
        ),
    },
    promote="same",
    grad_fn="LinalgCrossBackward0",
)
def _cross_product(input: Tensor, other: Tensor, dim: Int):
    return _cross(input, other, dim)


@composite()
def linalg_cross(input: Tensor, other: Tensor, *, dim: Int = -1):
    """Vector products of vectors of three numbers along `dim`.

    >>> linalg.cross([1., 0., 0.], [0., 1., 0.])
    tensor([0., 0., 1.])
    """
    if input.ndim != other.ndim:
        raise ShapeError("linalg.cross: inputs must have the same number of dimensions.")
    axis = wrap_dim(dim, input.ndim)
    if input.shape[axis] != 3 or other.shape[axis] != 3:
        raise ShapeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {input.shape[axis]} and "
            f"{other.shape[axis]}"
        )
    return op._cross_product(input, other, axis - input.ndim)


@composite()
def cross(input: Tensor, other: Tensor, dim: Int | None = None):
    """Vector products along `dim`; without it along the first dimension of three elements.

    >>> cross([1., 0., 0.], [0., 1., 0.])
    tensor([0., 0., 1.])
    """
    if dim is None:
        three = [k for k, n in enumerate(input.shape) if n == 3]
        if not three:
            raise ShapeError("no dimension of size 3 in input")
        dim = three[0]
    return op.linalg_cross(input, other, dim=dim)


def _vander_vjp(g, input, n):
    # d x^k = k x^(k-1)
    if n < 2:
        return op.sum(g, -1) * 0
    counts = op._counting(g, n)
    return op.sum(op.narrow(g, -1, 1, n - 1) * counts * op._powers_of(input, n - 1), -1)


def _powers(x: Array, n: int) -> Array:
    x = x if x.dtype.kind == "f" else x.astype(np.int64)
    return np.asarray(x[..., None] ** np.arange(n, dtype=x.dtype))


@general(vjp=_vander_vjp, grad_fn="CatBackward0")
def _powers_of(input: Tensor, n: Int):
    return _powers(input, n)


@general(vjp={}, grad_fn="NotDifferentiated")
def _counting(like: Tensor, n: Int):
    return np.arange(1, n, dtype=like.dtype)


@general(vjp=lambda g, input, n: _vander_vjp(g, input, n), grad_fn="CopySlices")
def _vander_increasing(input: Tensor, n: Int):
    return _powers(input, n)


@nondiff()
def _no_powers(x: Tensor):
    return np.zeros((x.shape[0], 0), x.dtype)


@composite()
def linalg_vander(x: Tensor, *, N: Int | None = None):
    """Powers 0 … N−1 of each element, in a new last dimension.

    >>> linalg.vander([1., 2., 3.])
    tensor([[1., 1., 1.],
            [1., 2., 4.],
            [1., 3., 9.]])
    """
    if x.ndim == 0:
        x = op.unsqueeze(x, 0)
    n = x.shape[-1] if N is None else N
    if n <= 1:
        raise ScriptValueError("N must be greater than 1.")
    return op._powers_of(x, n)


@composite()
def vander(x: Tensor, N: Int | None = None, increasing: Bool = False):
    """Vandermonde matrix: powers of the elements, from N−1 down to 0 unless `increasing`.

    >>> vander([1., 2., 3.])
    tensor([[1., 1., 1.],
            [4., 2., 1.],
            [9., 3., 1.]])
    """
    if x.ndim != 1:
        raise ShapeError("x must be a one-dimensional tensor.")
    n = x.shape[0] if N is None else N
    if n < 0:
        raise ScriptValueError("N must be non-negative.")
    if n == 0:
        return op._no_powers(x)
    return op._vander_increasing(x, n) if increasing else op.flip(op._powers_of(x, n), (1,))
