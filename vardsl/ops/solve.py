"""Inverses, determinants, linear equations and matrix functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP, Array
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.decompose import (
    check_lapack,
    check_matrix,
    check_real,
    check_square,
    eliminate,
    lower,
    swap,
    upper,
)
from vardsl.ops.define import Bool, Index, Int, Ints, Number, Str, Tensor, array, composite, fused, general, op

# ---- inverse ---------------------------------------------------------------------------------------------------


def _first_zero_pivot(a: Array) -> tuple[int, int]:
    """Which matrix of the stack is singular, and at which pivot (from 1)."""
    factors, _ = eliminate(a.reshape(-1, *a.shape[-2:]))
    zero = np.diagonal(factors, 0, -2, -1) == 0
    for k, row in enumerate(zero):
        if row.any():
            return k, int(row.argmax()) + 1
    return 0, a.shape[-1]


def _inverse(name: str, a: Array) -> Array:
    try:
        return np.linalg.inv(a)
    except np.linalg.LinAlgError:
        batch, pivot = _first_zero_pivot(a)
        where = f"{name}: (Batch element {batch})" if a.ndim > 2 else name
        raise ScriptValueError(
            f"{where}: The diagonal element {pivot} is zero, the inversion could not be completed because the input "
            "matrix is singular.",
            hint="linalg.pinv gives a pseudoinverse of singular matrices too",
        ) from None


@general(
    vjp=lambda g, y: -op.matmul(swap(y), op.matmul(g, swap(y))),
    grad_fn="LinalgInvExBackward0",
    aliases=("inverse",),
)
def linalg_inv(A: Tensor):
    """Inverse of a square matrix.

    Derivative: −A⁻ᵀ g A⁻ᵀ

    >>> linalg.inv([[2., 0.], [0., 4.]])
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    check_real("linalg.inv", A)
    check_square("linalg.inv", A)
    return _inverse("linalg.inv", A)


# ---- determinants ----------------------------------------------------------------------------------------------


def _without_two(s: Array) -> Array:
    """Products of all but the i-th and j-th of some numbers."""
    n = s.shape[-1]
    i = np.arange(n)
    left_out = (i[:, None, None] == i) | (i[None, :, None] == i)
    return np.multiply.reduce(np.where(left_out, s.dtype.type(1), s[..., None, None, :]), -1)


def _without_one(s: Array) -> Array:
    n = s.shape[-1]
    return np.multiply.reduce(np.where(np.eye(n, dtype=bool), s.dtype.type(1), s[..., None, :]), -1)


def _rotations(a: Array) -> tuple[Array, Array, Array, Array]:
    u, s, vh = np.linalg.svd(a)
    return u, s, vh, (np.linalg.det(u) * np.linalg.det(vh)).astype(a.dtype)


@general(vjp=lambda g, A: op._second_cofactors(A, g), grad_fn="LinalgDetBackwardBackward0")
def _cofactors(A: Tensor):
    """The derivative of the determinant, also of singular matrices: det(A) A⁻ᵀ where there is an inverse."""
    u, s, vh, sign = _rotations(A)
    return np.matmul(u * (sign[..., None] * _without_one(s))[..., None, :], vh)


def _second_cofactors_vjp(g, A, direction):
    # f = det (tr BG tr BH − tr BGBH) with B = A⁻¹ and the directions G, H
    b = op.linalg_inv(A)
    det = op.unsqueeze(op.unsqueeze(op.linalg_det(A), -1), -1)
    bg, bh = op.matmul(b, direction), op.matmul(b, g)
    tg, th = _trace(bg), _trace(bh)
    gh, hg = op.matmul(bg, bh), op.matmul(bh, bg)
    value = tg * th - _trace(gh)
    slope = b * value - op.matmul(bg, b) * th - op.matmul(bh, b) * tg + op.matmul(gh + hg, b)
    return swap(slope) * det


def _trace(x):
    return op.unsqueeze(op.unsqueeze(op.sum(op.diagonal(x, 0, -2, -1), -1), -1), -1)


@general(
    vjp={"A": _second_cofactors_vjp, "direction": lambda g, A: op._second_cofactors(A, g)},
    grad_fn="LinalgDetBackwardBackward0",
)
def _second_cofactors(A: Tensor, direction: Tensor):
    """The second derivative of the determinant, a symmetric bilinear map, applied to one direction."""
    u, s, vh, sign = _rotations(A)
    inner = np.matmul(np.swapaxes(u, -1, -2), np.matmul(direction, np.swapaxes(vh, -1, -2)))
    products = _without_two(s) * sign[..., None, None]
    n = s.shape[-1]
    off = products * (1 - np.eye(n, dtype=A.dtype))
    diagonal = np.matmul(off, np.diagonal(inner, 0, -2, -1)[..., None])[..., 0]
    made = -off * np.swapaxes(inner, -1, -2) + diagonal[..., None] * np.eye(n, dtype=A.dtype)
    return np.matmul(u, np.matmul(made, vh))


def _for_matrix(g):
    return op.unsqueeze(op.unsqueeze(g, -1), -1)


@general(vjp=lambda g, A: op._cofactors(A) * _for_matrix(g), grad_fn="LinalgDetBackward0", aliases=("det",))
def linalg_det(A: Tensor):
    """Determinant of a square matrix.

    Derivative: g det(A) A⁻ᵀ, and its limit for singular matrices

    >>> linalg.det([[1., 2.], [3., 4.]])
    tensor(-2.)
    """
    check_real("linalg.det", A)
    check_square("linalg.det", A)
    return np.linalg.det(A).astype(A.dtype)


def _slogdet_vjp(g, A):
    n = A.shape[-1]
    return op.linalg_solve(swap(A), _for_matrix(g[1]) * np.eye(n, dtype=array(A).dtype))


def _slogdet(name: str, a: Array) -> tuple[Array, Array]:
    check_real(name, a)
    check_square(name, a)
    with np.errstate(divide="ignore"):
        sign, size = np.linalg.slogdet(a)
    return np.asarray(sign, a.dtype), np.asarray(size, a.dtype)


@general(vjp=_slogdet_vjp, fields="sign logabsdet", grad_fn="LinalgSlogdetBackward0", aliases=("slogdet",))
def linalg_slogdet(A: Tensor):
    """Sign and logarithm of the absolute value of the determinant.

    >>> linalg.slogdet([[1., 0.], [0., -1.]])
    torch.return_types.linalg_slogdet(
    sign=tensor(-1.),
    logabsdet=tensor(0.))
    """
    return _slogdet("linalg.slogdet", A)


@composite()
def logdet(input: Tensor):
    """Logarithm of the determinant; NaN where that is negative.

    >>> logdet([[1., 0.], [0., 1.]])
    tensor(0.)
    """
    check_real("logdet", input)
    check_square("logdet", input)
    sign, size = op.linalg_slogdet(input)
    return op.where(sign == -1, float("nan"), size)


# ---- linear equations ------------------------------------------------------------------------------------------


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


@general(vjp={"A": _solve_matrix, "B": _solve_right}, grad_fn="LinalgSolveExBackward0")
def _solve(A: Tensor, B: Tensor, left: Bool, vector: Bool):
    b = B[..., None] if vector else B
    try:
        if left:
            x = np.linalg.solve(A, b)
        else:
            x = np.swapaxes(np.linalg.solve(np.swapaxes(A, -1, -2), np.swapaxes(b, -1, -2)), -1, -2)
    except np.linalg.LinAlgError:
        where = f": (Batch element {_first_zero_pivot(A)[0]})" if A.ndim > 2 else ""
        raise ScriptValueError(
            f"torch.linalg.solve{where}: The solver failed because the input matrix is singular.",
            hint="linalg.lstsq solves in the sense of least squares",
        ) from None
    return x[..., 0] if vector else x


@composite()
def linalg_solve(A: Tensor, B: Tensor, *, left: Bool = True):
    """The solution X of A X = B, or of X A = B with `left=false`. B may be a vector for each matrix.

    Derivative: A⁻ᵀ g in B, and −(A⁻ᵀ g) Xᵀ in A

    >>> linalg.solve([[2., 0.], [0., 4.]], [2., 2.])
    tensor([1.0000, 0.5000])
    """
    check_real("linalg.solve", A)
    check_square("linalg.solve", A)
    a, b = array(A), array(B)
    if a.dtype != b.dtype:
        raise ScriptTypeError(
            f"linalg.solve: Expected A and B to have the same dtype, but found A of type {BY_NP[a.dtype].type_name} and "
            f"B of type {BY_NP[b.dtype].type_name} instead"
        )
    vector = _is_vector(A.shape, B.shape)
    if vector and not left:
        raise ScriptValueError(
            "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this case "
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


@general(vjp={"A": _triangular_matrix, "B": _triangular_right}, grad_fn="LinalgSolveTriangularBackward0")
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
def linalg_solve_triangular(A: Tensor, B: Tensor, *, upper: Bool, left: Bool = True, unitriangular: Bool = False):
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


# ---- solving with factors --------------------------------------------------------------------------------------


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

    >>> cholesky_solve([[4.], [8.]], [[2., 0.], [0., 2.]])
    tensor([[1.],
            [2.]])
    """
    for x, which in ((B, "b"), (L, "u")):
        if x.ndim < 2:
            raise ShapeError(f"{which} should have at least 2 dimensions, but has {x.ndim} dimensions instead")
    if L.shape[-1] != L.shape[-2]:
        check_square("cholesky_solve", L)
    if L.shape[-2] != B.shape[-2]:
        raise ShapeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {L.shape[-1]} by {L.shape[-1]} but each b "
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
            f"{where}: The diagonal element {pivot + 1} is zero, the inversion could not be completed because the "
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

    >>> linalg.lu_solve(*lu([[0., 2.], [4., 0.]]), [[2.], [4.]])
    tensor([[1.],
            [1.]])
    """
    _check_lu_solve("linalg.lu_solve", LU, pivots, B, left)
    return op._lu_solve(LU, pivots, B, left, adjoint)


@composite()
def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Index):
    """The solution X of A X = b, from `lu(A)`.

    >>> lu_solve([[2.], [4.]], *lu([[0., 2.], [4., 0.]]))
    tensor([[1.],
            [1.]])
    """
    _check_lu_solve("linalg.lu_solve", LU_data, LU_pivots, b, True)
    return op._lu_solve(LU_data, LU_pivots, b, True, False)


# ---- pseudoinverse, least squares ------------------------------------------------------------------------------


def _pinv_vjp(g, y, A):
    # A⁺ moves by −A⁺ dA A⁺ + A⁺ A⁺ᵀ dAᵀ (I − A A⁺) + (I − A⁺ A) dAᵀ A⁺ᵀ A⁺
    yt, gt = swap(y), swap(g)
    outer = op.matmul(gt, op.matmul(y, yt))
    inner = op.matmul(op.matmul(yt, y), gt)
    made = -op.matmul(op.matmul(yt, g), yt)
    made = made + outer - op.matmul(A, op.matmul(y, outer))
    return made + inner - op.matmul(op.matmul(inner, y), A)


def _tolerance(s: Array, m: int, n: int, atol: float | None, rtol: float | None) -> Array:
    """Below which singular values count as zero."""
    top = np.max(s, axis=-1, keepdims=True, initial=0)
    low = 0.0 if atol is None else atol
    if rtol is None:
        rtol = float(np.finfo(s.dtype).eps) * max(m, n) if not low > 0 else 0.0
    return np.maximum(low, rtol * top)


@general(vjp=_pinv_vjp, grad_fn="LinalgPinvBackward0")
def _pinv(A: Tensor, atol: Any | None, rtol: Any | None, hermitian: Bool):
    m, n = A.shape[-2:]
    if A.size == 0:
        return np.zeros((*A.shape[:-2], n, m), A.dtype)
    if hermitian:
        values, vectors = np.linalg.eigh(A)
        u, s, vt = vectors, values, np.swapaxes(vectors, -1, -2)
    else:
        u, s, vt = np.linalg.svd(A, full_matrices=False)
    kept = np.abs(s) > _tolerance(np.abs(s), m, n, atol, rtol)
    inverse = np.where(kept, 1 / np.where(kept, s, 1), s.dtype.type(0)).astype(A.dtype)
    return np.matmul(np.swapaxes(vt, -1, -2) * inverse[..., None, :], np.swapaxes(u, -1, -2))


def _bound(x: Any) -> Any:
    """A tolerance as a number, or as one for each matrix."""
    if x is None or isinstance(x, (int, float)):
        return x
    a = array(x)
    return float(a) if a.ndim == 0 else a[..., None]


def _check_pinv(A):
    a = array(A)
    if a.ndim < 2 or a.dtype.kind != "f":
        raise ShapeError(
            f"linalg.pinv({BY_NP[a.dtype].type_name}{{{list(a.shape)}}}): expected a tensor with 2 or more dimensions "
            "of float, double, cfloat or cdouble types"
        )


@composite()
def linalg_pinv(
    A: Tensor,
    rcond: Any | None = None,
    hermitian: Bool = False,
    *,
    atol: Any | None = None,
    rtol: Any | None = None,
):
    """Pseudoinverse: what is closest to an inverse, for matrices of any shape and rank.

    Singular values below max(atol, rtol · largest) count as zero.

    >>> linalg.pinv([[2., 0.], [0., 0.]])
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    _check_pinv(A)
    return op._pinv(A, _bound(atol), _bound(rcond if rtol is None else rtol), hermitian)


@composite()
def pinverse(input: Tensor, rcond: Number = 1e-15):
    """Pseudoinverse, as `linalg.pinv`.

    >>> pinverse([[2., 0.], [0., 4.]])
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    _check_pinv(input)
    return op._pinv(input, None, rcond, False)


@fused(grad_fn="LinalgLstsqBackward0")
def _least_squares(A: Tensor, B: Tensor, vector: Bool, residuals: Bool):
    b = op.unsqueeze(B, -1) if vector else B
    x = op.matmul(op._pinv(A, None, None, False), b)
    if residuals:
        rest = op.sum(op.pow(op.matmul(A, x) - b, 2), -2)
    else:
        rest = op.narrow(op.reshape(x, (_size(x.shape),)), 0, 0, 0)
    return (op.squeeze(x, -1) if vector else x), rest


@composite(fields="solution residuals rank singular_values")
def linalg_lstsq(A: Tensor, B: Tensor, rcond: Number | None = None, *, driver: Str | None = None):
    """The X for which A X is closest to B: solution, sums of squared residuals, rank and singular values.

    Residuals are given where A has more rows than columns and full rank; singular values by the drivers "gelsd" and
    "gelss".

    >>> linalg.lstsq([[1., 0.], [0., 1.], [0., 0.]], [[1.], [2.], [3.]]).solution
    tensor([[1.],
            [2.]])
    """
    a, b = array(A), array(B)
    _check_lstsq(a, b)
    vector = a.ndim - 1 == b.ndim and a.shape[:-1] == b.shape
    driver = "gelsy" if driver is None else driver
    if driver not in ("gels", "gelsy", "gelsd", "gelss"):
        raise ScriptValueError(
            "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
        )
    m, n = a.shape[-2:]
    s = np.linalg.svd(a, compute_uv=False) if a.size else np.zeros((*a.shape[:-2], min(m, n)), a.dtype)
    bound = float(np.finfo(a.dtype).eps) * max(m, n) if rcond is None else rcond
    rank = np.count_nonzero(s > bound * np.max(s, axis=-1, keepdims=True, initial=0), axis=-1)
    full = bool(np.all(rank == n))
    with_residuals = m > n and (driver == "gels" or (full and driver != "gelsy"))
    x, rest = op._least_squares(A, B, vector, with_residuals)
    ranks = np.zeros(0, np.int64) if driver == "gels" else np.asarray(rank, np.int64)
    values = s if driver in ("gelsd", "gelss") else np.zeros(0, a.dtype)
    return x, rest, _of(A, ranks), _of(A, values)


def _of(like, a):
    """An array as the kind of thing that `like` is."""
    return a if isinstance(like, np.ndarray) else type(like)(a)


def _check_lstsq(a: Array, b: Array) -> None:
    if a.ndim < 2:
        raise ShapeError("torch.linalg.lstsq: input must have at least 2 dimensions.")
    if b.ndim < 1:
        raise ShapeError("torch.linalg.lstsq: other must have at least 1 dimension.")
    if a.dtype != b.dtype:
        raise ScriptTypeError(
            "torch.linalg.lstsq: input and other must have the same dtype, but got "
            f"{BY_NP[a.dtype].type_name} and {BY_NP[b.dtype].type_name}"
        )
    vector = a.ndim - 1 == b.ndim and a.shape[:-1] == b.shape
    if not vector and (b.ndim < 2 or a.shape[-2] != b.shape[-2]):
        last = "input.size(-2) should match other.size(-1)" if b.ndim < 2 else "input.size(-2) should match other.size(-2)"
        raise ShapeError(f"torch.linalg.lstsq: {last}")


# ---- exponential -----------------------------------------------------------------------------------------------

_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_REACH = 5.371920351148152  # 1-norm up to which the approximant is exact to double precision


def _exponential(a: Array) -> Array:
    """exp of each matrix, by scaling, a Padé approximant of degree 13, and squaring."""
    n = a.shape[-1]
    if a.size == 0:
        return a.copy()
    x = a.astype(np.float64).reshape(-1, n, n)
    size = np.max(np.add.reduce(np.abs(x), -2), -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        squarings = np.where(size > _REACH, np.ceil(np.log2(size / _REACH)), 0)
    squarings = np.where(np.isfinite(squarings), squarings, 0).astype(int)
    x = x / (2.0**squarings)[:, None, None]
    one = np.eye(n)
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x4 @ x2
    b = _PADE
    odd = x @ (x6 @ (b[13] * x6 + b[11] * x4 + b[9] * x2) + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one)
    even = x6 @ (b[12] * x6 + b[10] * x4 + b[8] * x2) + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * one
    y = np.linalg.solve(even - odd, even + odd)
    for k in range(int(squarings.max(initial=0))):
        more = squarings > k
        y[more] = y[more] @ y[more]
    return y.reshape(a.shape).astype(a.dtype)


def _exp_vjp(g, input):
    # the exponential of [[Aᵀ, g], [0, Aᵀ]] has the derivative in its upper right corner
    n = input.shape[-1]
    t = swap(input)
    block = op.cat([op.cat([t, g], -1), op.cat([op.zeros_like(t), t], -1)], -2)
    return op.narrow(op.narrow(op.matrix_exp(block), -2, 0, n), -1, n, n)


@general(vjp=_exp_vjp, grad_fn="LinalgMatrixExpBackward0")
def matrix_exp(input: Tensor):
    """Exponential of a square matrix.

    Value: Σ Aᵏ / k!

    >>> matrix_exp([[0., 1.], [0., 0.]])
    tensor([[1., 1.],
            [0., 1.]])
    """
    check_real("linalg.matrix_exp", input)
    check_square("linalg.matrix_exp", input)
    return _exponential(input)


# ---- tensors as matrices ---------------------------------------------------------------------------------------


def _size(shape) -> int:
    n = 1
    for k in shape:
        n *= k
    return n


@general(vjp=lambda g, input_like: op.reshape(g, input_like.shape), grad_fn="ReshapeAliasBackward0")
def _realiased(input: Tensor, shape: Ints):
    return input.reshape(tuple(shape))


@composite()
def linalg_tensorinv(A: Tensor, ind: Int = 2):
    """Inverse of a tensor as a map from its last dimensions to its first `ind` ones.

    >>> linalg.tensorinv(eye(4).reshape(2, 2, 4)).shape
    (4, 2, 2)
    """
    if ind <= 0:
        raise ScriptValueError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    first, last = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if _size(last) != _size(first):
        raise ShapeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{_size(last)} != {_size(first)}"
        )
    return op._realiased(op.linalg_inv(op.reshape(A, (_size(first), _size(last)))), (*last, *first))


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
    size = _size(shape)
    if size != _size(A.shape[: B.ndim]):
        raise ShapeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {size} != {_size(A.shape[: B.ndim])}"
        )
    flat = op.linalg_solve(op.reshape(A, (_size(B.shape), size)), op.reshape(B, (_size(B.shape),)))
    return op.view(flat, shape)


