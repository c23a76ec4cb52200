"""Linear equations: solved, and solved with factors."""

from __future__ import annotations

from math import prod

import numpy as np

from vardsl.engine.dtypes import BY_NP, Array
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.decompose import (
    check_lapack,
    check_matrix,
    check_real,
    check_square,
    lower,
    swap,
    upper,
)
from vardsl.ops.define import (
    Bool,
    Index,
    Int,
    Ints,
    Tensor,
    array,
    composite,
    fused,
    general,
    op,
)
from vardsl.ops.inverses import first_zero_pivot

# ---- linear equations --------------------------------------------------------------------------------------


def _is_vector(a_shape, b_shape) -> bool:
    """Whether the right side is one vector for each matrix."""
    return len(b_shape) == 1 or (len(a_shape) - 1 == len(b_shape) and tuple(a_shape[:-1]) == tuple(b_shape))


def _summed(x, like):
    return x if tuple(x.shape) == tuple(like.shape) else op.sum_to_size(x, like.shape)


def _solve_right(g, A, B_like, left):
    return _summed(op._solve(swap(A), g, left, _is_vector(A.shape, B_like.shape)), B_like)


def _solve_matrix(g, A, B_like, y, left):
    vector = _is_vector(A.shape, B_like.shape)
    gb = op._solve(swap(A), g, left, vector)
    if vector:
        gb, y = op.unsqueeze(gb, -1), op.unsqueeze(y, -1)
    made = op.matmul(gb, swap(y)) if left else op.matmul(swap(y), gb)
    return -_summed(made, A)


@general(vjp={"A": _solve_matrix, "B": _solve_right}, grad_fn="LinalgSolveExBackward0", batch="leading")
def _solve(A: Tensor, B: Tensor, left: Bool, vector: Bool):
    b = B[..., None] if vector else B
    try:
        if left:
            x = np.linalg.solve(A, b)
        else:
            x = np.swapaxes(np.linalg.solve(np.swapaxes(A, -1, -2), np.swapaxes(b, -1, -2)), -1, -2)
    except np.linalg.LinAlgError:
        where = f": (Batch element {first_zero_pivot(A)[0]})" if A.ndim > 2 else ""
        raise ScriptValueError(
            f"torch.linalg.solve{where}: The solver failed because the input matrix is singular.",
            hint="linalg.lstsq solves in the sense of least squares",
        ) from None
    return x[..., 0] if vector else x


@composite()
def linalg_solve(A: Tensor, B: Tensor, *, left: Bool = True):
    """The solution X of A X = B, or of X A = B with `left=false`. B may be a vector for each matrix.

    Value: A⁻¹ B
    Derivative: A⁻ᵀ g in B, and −(A⁻ᵀ g) Xᵀ in A

    >>> linalg.solve([[2., 0.], [0., 4.]], [2., 2.])
    tensor([1.0000, 0.5000])
    """
    check_real("linalg.solve", A)
    check_square("linalg.solve", A)
    a, b = array(A), array(B)
    if a.dtype != b.dtype:
        raise ScriptTypeError(
            "linalg.solve: Expected A and B to have the same dtype, but found A of type "
            f"{BY_NP[a.dtype].type_name} and "
            f"B of type {BY_NP[b.dtype].type_name} instead"
        )
    vector = _is_vector(A.shape, B.shape)
    if vector and not left:
        raise ScriptValueError(
            "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In "
            "this case "
            "linalg.solve is equivalent to B / A.squeeze(-1)"
        )
    if not vector:
        check_matrix("linalg.solve", B, "B")
    _fitting("linalg.solve", A, B, left, vector)
    return op._solve(A, B, left, vector)


def _fitting(name, A, B, left, vector=False):
    shape = (*B.shape, 1) if vector else B.shape
    if A.shape[-2] != shape[-2 if left else -1]:
        equation = "AX = B" if left else "XA = B"
        raise ShapeError(
            f"{name}: Incompatible shapes of A and B for the equation {equation} "
            f"({A.shape[-2]}x{A.shape[-1]} and {shape[-2]}x{shape[-1]})"
        )


def _substitute(a: Array, b: Array, upper_: bool) -> Array:
    """Row by row, where a zero on the diagonal must lead to infinities."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x = np.broadcast_to(b, batch + b.shape[-2:]).copy()
    n = a.shape[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(n - 1, -1, -1) if upper_ else range(n):
            done = slice(i + 1, n) if upper_ else slice(0, i)
            known = np.matmul(a[..., i, None, done], x[..., done, :])[..., 0, :]
            x[..., i, :] = (x[..., i, :] - known) / a[..., i, i, None]
    return x


def _triangle(a: Array, upper_: bool, unit: bool) -> Array:
    """The triangle of `a` that is read, with ones on the diagonal where it is unitriangular."""
    if unit:
        return (np.triu(a, 1) if upper_ else np.tril(a, -1)) + np.eye(a.shape[-1], dtype=a.dtype)
    return np.triu(a) if upper_ else np.tril(a)


def _triangular_right(g, A, B_like, upper, left, unitriangular):
    return _summed(op._triangular(swap(A), g, not upper, left, unitriangular), B_like)


def _triangular_matrix(g, y, A, upper, left, unitriangular):
    gb = op._triangular(swap(A), g, not upper, left, unitriangular)
    made = op.matmul(gb, swap(y)) if left else op.matmul(swap(y), gb)
    k = 1 if unitriangular else 0
    return -_summed(_upper(made, k) if upper else lower(made, -k), A)


_upper = upper


@general(
    vjp={"A": _triangular_matrix, "B": _triangular_right},
    grad_fn="LinalgSolveTriangularBackward0",
    batch="leading",
)
def _triangular(A: Tensor, B: Tensor, upper: Bool, left: Bool, unitriangular: Bool):
    a = _triangle(A, upper, unitriangular)
    b = B
    if not left:
        a, b, upper = np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2), not upper
    if (np.diagonal(a, 0, -2, -1) == 0).any():
        x = _substitute(a, b, upper)
    else:
        x = np.linalg.solve(a, b)
    return x if left else np.swapaxes(x, -1, -2)


@composite()
def linalg_solve_triangular(
    A: Tensor, B: Tensor, *, upper: Bool, left: Bool = True, unitriangular: Bool = False
):
    """The solution X of A X = B (X A = B with `left=false`) where A is a triangle; the other one is not read.

    >>> linalg.solve_triangular([[2., 0.], [1., 1.]], [[2.], [3.]], upper=false)
    tensor([[1.],
            [2.]])
    """
    name = "linalg.solve_triangular"
    check_matrix(name, A)
    check_matrix(name, B, "B")
    check_square(name, A)
    _fitting(name, A, B, left)
    return op._triangular(A, B, upper, left, unitriangular)


# ---- solving with factors ----------------------------------------------------------------------------------


def _cholesky_solve_matrix(g, y, L, upper):
    # X = (L Lᵀ)⁻¹ B
    common = op.matmul(op.cholesky_solve(g, L, upper), swap(y))
    common = common + swap(common)
    return -_summed(op.matmul(L, common) if upper else op.matmul(common, L), L)


@general(
    vjp={
        "B": lambda g, L, B_like, upper: _summed(op.cholesky_solve(g, L, upper), B_like),
        "L": _cholesky_solve_matrix,
    }
)
def cholesky_solve(B: Tensor, L: Tensor, upper: Bool = False):
    """The solution X of A X = B, from the Cholesky factor L of A.

    Value: (L2 L2ᵀ)⁻¹ B
    Derivative: (L2 L2ᵀ)⁻¹ g in B, and −(s yᵀ + y sᵀ) L2 with that s in L2

    >>> cholesky_solve([[4.], [8.]], [[2., 0.], [0., 2.]])
    tensor([[1.],
            [2.]])
    """
    for x, which in ((B, "b"), (L, "u")):
        if x.ndim < 2:
            raise ShapeError(
                f"{which} should have at least 2 dimensions, but has {x.ndim} dimensions instead"
            )
    if L.shape[-1] != L.shape[-2]:
        check_square("cholesky_solve", L)
    if L.shape[-2] != B.shape[-2]:
        raise ShapeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {L.shape[-1]} by {L.shape[-1]} "
            "but each b "
            f"matrix is {B.shape[-2]} by {B.shape[-1]}"
        )
    low = np.swapaxes(np.triu(L), -1, -2) if upper else np.tril(L)
    half = np.linalg.solve(low, B)
    return np.linalg.solve(np.swapaxes(low, -1, -2), half)


def _cholesky_inverse_vjp(g, y, L, upper):
    common = op.matmul(op.matmul(y, g + swap(g)), y)
    return -(op.matmul(L, common) if upper else op.matmul(common, L))


@general(vjp=_cholesky_inverse_vjp)
def cholesky_inverse(L: Tensor, upper: Bool = False):
    """The inverse of A, from its Cholesky factor L.

    Value: (L Lᵀ)⁻¹
    Derivative: −y (g + gᵀ) y L, where y is the result

    >>> cholesky_inverse([[2., 0.], [0., 1.]])
    tensor([[0.2500, 0.0000],
            [0.0000, 1.0000]])
    """
    check_square("cholesky_inverse", L)
    check_lapack("cholesky_inverse_out_cpu", L)
    low = np.swapaxes(np.triu(L), -1, -2) if upper else np.tril(L)
    zero = np.diagonal(low, 0, -2, -1) == 0
    if zero.any():
        batch, pivot = (int(k) for k in np.argwhere(zero.reshape(-1, low.shape[-1]))[0])
        where = f"cholesky_inverse: (Batch element {batch})" if L.ndim > 2 else "cholesky_inverse"
        raise ScriptValueError(
            f"{where}: The diagonal element {pivot + 1} is zero, the inversion could not be completed "
            "because the "
            "input matrix is singular."
        )
    half = np.linalg.inv(low)
    return np.matmul(np.swapaxes(half, -1, -2), half)


@fused(grad_fn="LinalgLuSolveBackward0")
def _lu_solve(LU: Tensor, pivots: Index, B: Tensor, left: Bool, adjoint: Bool):
    n = LU.shape[-1]
    p = op._permutation_matrix(pivots, LU, n)
    if not left:  # X A = B is Aᵀ Xᵀ = Bᵀ
        return swap(_solve_factors(LU, p, swap(B), not adjoint))
    return _solve_factors(LU, p, B, adjoint)


def _solve_factors(factors, p, b, adjoint):
    if adjoint:
        half = op._triangular(swap(factors), b, False, True, False)
        return op.matmul(p, op._triangular(swap(factors), half, True, True, True))
    half = op._triangular(factors, op.matmul(swap(p), b), False, True, True)
    return op._triangular(factors, half, True, True, False)


def _check_lu_solve(name, LU, pivots, B, left):
    check_square(name, LU, "LU")
    check_matrix(name, B, "B")
    if array(LU).dtype != array(B).dtype:
        raise ScriptTypeError(f"{name}: Expected LU and B to have the same dtype")
    if array(pivots).dtype != np.int32:
        raise ScriptTypeError(f"{name}: pivots should be a Tensor of scalar type torch.int32")
    _fitting(name, LU, B, left)
    if tuple(pivots.shape) != tuple(LU.shape[:-1]):
        raise ShapeError(f"{name}: Number of pivots per batch should be same as the dimension of the matrix")


@composite()
def linalg_lu_solve(LU: Tensor, pivots: Index, B: Tensor, *, left: Bool = True, adjoint: Bool = False):
    """The solution X of A X = B, from `lu(A)`; of X A = B with `left=false`, of Aᵀ X = B with `adjoint`.

    >>> f = lu([[0., 2.], [4., 0.]])
    >>> linalg.lu_solve(f[0], f[1], [[2.], [4.]])
    tensor([[1.],
            [1.]])
    """
    _check_lu_solve("linalg.lu_solve", LU, pivots, B, left)
    return op._lu_solve(LU, pivots, B, left, adjoint)


@composite()
def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Index):
    """The solution X of A X = b, from `lu(A)`.

    >>> f = lu([[0., 2.], [4., 0.]])
    >>> lu_solve([[2.], [4.]], f[0], f[1])
    tensor([[1.],
            [1.]])
    """
    _check_lu_solve("linalg.lu_solve", LU_data, LU_pivots, b, True)
    return op._lu_solve(LU_data, LU_pivots, b, True, False)


# ---- tensors as matrices -----------------------------------------------------------------------------------


@general(vjp=lambda g, input_like: op.reshape(g, input_like.shape), grad_fn="ReshapeAliasBackward0")
def _realiased(input: Tensor, shape: Ints):
    return input.reshape(tuple(shape))


@composite()
def linalg_tensorinv(A: Tensor, ind: Int = 2):
    """Inverse of a tensor as a map from its last dimensions to its first `ind` ones.

    >>> linalg.tensorinv(eye(4).reshape(2, 2, 4)).shape
    [4, 2, 2]
    """
    if ind <= 0:
        raise ScriptValueError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    first, last = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if prod(last) != prod(first):
        raise ShapeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but "
            "got "
            f"{prod(last)} != {prod(first)}"
        )
    return op._realiased(op.linalg_inv(op.reshape(A, (prod(first), prod(last)))), (*last, *first))


@composite()
def linalg_tensorsolve(A: Tensor, B: Tensor, dims: Ints | None = None):
    """The solution X of `tensordot(A, X, X.ndim) = B`; `dims` of A are moved to its end first.

    >>> linalg.tensorsolve(eye(4).reshape(2, 2, 4), ones(2, 2))
    tensor([1., 1., 1., 1.])
    """
    if dims is not None:
        n = A.ndim
        A = op.movedim(A, tuple(dims), tuple(range(n - len(dims), n)))
    shape = tuple(A.shape[B.ndim :])
    size = prod(shape)
    if size != prod(A.shape[: B.ndim]):
        raise ShapeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            "prod(self.shape[:other.ndim]), "
            f"but got {size} != {prod(A.shape[: B.ndim])}"
        )
    flat = op.linalg_solve(op.reshape(A, (prod(B.shape), size)), op.reshape(B, (prod(B.shape),)))
    return op.view(flat, shape)
