"""Decompositions of matrices: Cholesky, QR, LU, eigenvalues, singular values."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP, Array
from vardsl.engine.value import Value
from vardsl.errors import GradError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import Bool, Str, Tensor, array, composite, general, op
from vardsl.ops.signs import signed, wide_svd

# ---- checks and parts --------------------------------------------------------------------------------------


def check_real(name: str, x: Any) -> None:
    """Raises ScriptTypeError for integers."""
    a = array(x)
    if a.dtype.kind != "f":
        raise ScriptTypeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {BY_NP[a.dtype].type_name}",
            hint="x.float() or x.double()",
        )


def check_matrix(name: str, x: Any, argument: str = "A") -> None:
    """Raises ShapeError where there are less than two dimensions."""
    if x.ndim < 2:
        raise ShapeError(f"{name}: The input tensor {argument} must have at least 2 dimensions.")


def check_square(name: str, x: Any, argument: str = "A") -> None:
    """Raises ShapeError where `x` is no stack of square matrices."""
    check_matrix(name, x, argument)
    rows, columns = x.shape[-2:]
    if rows != columns:
        raise ShapeError(
            f"{name}: {argument} must be batches of square matrices, but they are {rows} by {columns} "
            "matrices"
        )


def check_lapack(function: str, x: Any) -> None:
    """Raises ScriptTypeError as PyTorch's dispatch does."""
    a = array(x)
    if a.dtype.kind != "f":
        raise ScriptTypeError(
            f"\"{function}\" not implemented for '{BY_NP[a.dtype].type_name}'", hint="x.float() or x.double()"
        )


def swap(x):
    """The transposed matrices."""
    return op._swapped(x)


def absent(g: Any) -> bool:
    """Whether a cotangent is the zeros that stand for an output that nothing used."""
    if type(g) is Value:
        return not g.requires_grad and not g.array.any()
    return not np.any(g)


def symmetric(x):
    return (x + swap(x)) * 0.5


def lead(x):
    """Lower triangle with half of the diagonal."""
    n = x.shape[-1]
    mask = np.tril(np.ones((n, n), array(x).dtype)) - 0.5 * np.eye(n, dtype=array(x).dtype)
    return x * mask


def lower(x, k=0):
    n = x.shape[-1]
    return x * np.tril(np.ones((x.shape[-2], n), array(x).dtype), k)


def upper(x, k=0):
    n = x.shape[-1]
    return x * np.triu(np.ones((x.shape[-2], n), array(x).dtype), k)


# ---- Cholesky ----------------------------------------------------------------------------------------------


def _cholesky_kernel(name: str, a: Array, upper_: bool) -> Array:
    a = np.swapaxes(a, -1, -2) if upper_ else a
    try:
        factor = np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        raise _indefinite(name, a) from None
    return np.swapaxes(factor, -1, -2) if upper_ else factor


def _indefinite(name: str, a: Array) -> ScriptValueError:
    for k, matrix in enumerate(a.reshape(-1, *a.shape[-2:])):
        for n in range(1, matrix.shape[0] + 1):
            try:
                np.linalg.cholesky(matrix[:n, :n])
            except np.linalg.LinAlgError:
                where = f"{name}: (Batch element {k})" if a.ndim > 2 else name
                return ScriptValueError(
                    f"{where}: The factorization could not be completed because the input is not "
                    "positive-definite "
                    f"(the leading minor of order {n} is not positive-definite)."
                )
    return ScriptValueError(f"{name}: the input is not positive-definite")


def _cholesky_vjp(g, y, upper):
    # A = L Lᵀ: dL = L Φ(L⁻¹ dA L⁻ᵀ), Φ the lower triangle with half of the diagonal
    if upper:
        g, y = swap(g), swap(y)
    inner = symmetric(lead(op.matmul(swap(y), g)))
    half = op._triangular(swap(y), inner, True, True, False)
    return op._triangular(y, half, False, False, False)


@general(vjp=_cholesky_vjp, grad_fn="LinalgCholeskyExBackward0")
def linalg_cholesky(input: Tensor, *, upper: Bool = False):
    """Cholesky factor of a symmetric positive definite matrix: A = L Lᵀ, or Uᵀ U with `upper`.

    Value: L with L Lᵀ = A
    Derivative: L⁻ᵀ Φ(Lᵀ g) L⁻¹ made symmetric, where Φ takes the lower triangle with half its diagonal

    >>> linalg.cholesky([[4., 2.], [2., 5.]])
    tensor([[2., 0.],
            [1., 2.]])
    """
    check_real("linalg.cholesky", input)
    check_square("linalg.cholesky", input)
    return _cholesky_kernel("linalg.cholesky", input, upper)


@general(vjp=_cholesky_vjp)
def cholesky(input: Tensor, upper: Bool = False):
    """Cholesky factor of a symmetric positive definite matrix, as `linalg.cholesky`.

    Value: L with L Lᵀ = input
    Derivative: L⁻ᵀ Φ(Lᵀ g) L⁻¹ made symmetric, where Φ takes the lower triangle with half its diagonal

    >>> cholesky([[4., 2.], [2., 5.]])
    tensor([[2., 0.],
            [1., 2.]])
    """
    check_square("cholesky", input)
    check_lapack("cholesky_cpu", input)
    return _cholesky_kernel("cholesky", input, upper)


# ---- QR ----------------------------------------------------------------------------------------------------


def _square_qr(gq, gr, q, r):
    # with M = R gRᵀ − gQᵀ Q: (gQ + Q (lower(M) + strict lower(M)ᵀ)) R⁻ᵀ
    m = op.matmul(r, swap(gr)) - op.matmul(swap(gq), q)
    both = lower(m) + swap(lower(m, -1))
    return op._triangular(swap(r), gq + op.matmul(q, both), False, False, False)


def _qr_vjp(g, y, mode):
    gq, gr = g
    q, r = y
    if mode == "r":
        raise GradError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use "
            "linalg.qr(A, mode='reduced') if you are going to differentiate through linalg.qr."
        )
    m, n = q.shape[-2], r.shape[-1]
    if mode == "complete" and m > n:
        raise GradError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")
    if m >= n:
        return _square_qr(gq, gr, q, r)
    # A = [A₁ A₂] = Q [R₁ R₂], where R₂ = Qᵀ A₂
    left, right = op.narrow(r, -1, 0, m), op.narrow(gr, -1, m, n - m)
    first = _square_qr(gq + op.matmul(op.matmul(q, op.narrow(r, -1, m, n - m)), swap(right)),
                       op.narrow(gr, -1, 0, m), q, left)  # fmt: skip
    return op.cat([first, op.matmul(q, right)], -1)


@general(vjp=_qr_vjp, fields="Q R", grad_fn="LinalgQrBackward0")
def linalg_qr(A: Tensor, mode: Str = "reduced"):
    """A = Q R with orthonormal columns of Q and upper triangular R.

    `mode` is "reduced", "complete" (Q square) or "r" (only R).

    Value: A = Q R
    Derivative: (M + Q copyltu(…)) R⁻ᵀ from the cotangents of Q and R; A must have full rank

    >>> linalg.qr([[3., 0.], [4., 5.]]).R
    tensor([[-5., -4.],
            [ 0.,  3.]])
    """
    check_real("linalg.qr", A)
    check_matrix("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise ScriptValueError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or "
            "'complete'"
        )
    if mode == "r":
        return np.zeros(0, A.dtype), np.asarray(np.linalg.qr(A, "r"))
    q, r = np.linalg.qr(A, mode)
    return q, r


@composite(fields="Q R")
def qr(input: Tensor, some: Bool = True):
    """A = Q R, as `linalg.qr`; `some=false` gives a square Q.

    >>> qr([[3., 0.], [4., 5.]]).R
    tensor([[-5., -4.],
            [ 0.,  3.]])
    """
    return op.linalg_qr(input, "reduced" if some else "complete")


# ---- singular values ---------------------------------------------------------------------------------------


def _skew(x):
    return x - swap(x)


def _gaps(s):
    """s_j − s_i with ones on the diagonal."""
    n = s.shape[-1]
    return op.unsqueeze(s, -2) - op.unsqueeze(s, -1) + np.eye(n, dtype=array(s).dtype)


def _svd_vjp(g, y, full_matrices):
    gu, gs, gvh = g
    u, s, vh = y
    k, m, n = s.shape[-1], u.shape[-2], vh.shape[-1]
    if full_matrices and m != n:
        u, vh = op.narrow(u, -1, 0, k), op.narrow(vh, -2, 0, k)
        gu, gvh = op.narrow(gu, -1, 0, k), op.narrow(gvh, -2, 0, k)
    no_u, no_v = absent(gu), absent(gvh)
    inner = op.unsqueeze(gs, -1) * np.eye(k, dtype=array(s).dtype)
    row, column = op.unsqueeze(s, -2), op.unsqueeze(s, -1)
    if not (no_u and no_v):
        gaps = _gaps(s * s)
        if not no_u:
            inner = inner + _skew(op.matmul(swap(u), gu)) / gaps * row
        if not no_v:
            inner = inner + _skew(op.matmul(vh, swap(gvh))) / gaps * column
    made = op.matmul(op.matmul(u, inner), vh)
    if not no_u and m > k:  # what moves U out of its own space
        scaled = gu / row
        made = made + op.matmul(scaled - op.matmul(u, op.matmul(swap(u), scaled)), vh)
    if not no_v and n > k:
        scaled = gvh / column
        made = made + op.matmul(u, scaled - op.matmul(op.matmul(scaled, swap(vh)), vh))
    return made


def _svd_kernel(a: Array, full: bool) -> tuple[Array, Array, Array]:
    try:
        u, s, vh = np.linalg.svd(a, full_matrices=full)
    except np.linalg.LinAlgError:
        raise ScriptValueError(
            "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite "
            "values."
        ) from None
    return u, s, vh


@general(vjp=_svd_vjp, grad_fn="LinalgSvdBackward0")
def _svd(A: Tensor, full_matrices: Bool, signs: Bool):
    found = wide_svd(A, full_matrices) if signs else None
    return found or _svd_kernel(A, full_matrices)


@composite(fields="U S Vh")
def linalg_svd(A: Tensor, full_matrices: Bool = True):
    """Singular value decomposition A = U diag(S) Vh, singular values in descending order.

    The derivative in U and Vh exists only where the singular values differ.

    >>> linalg.svd([[3., 0.], [0., 4.]]).S
    tensor([4., 3.])
    """
    check_real("linalg.svd", A)
    check_matrix("linalg.svd", A)
    return op._svd(A, full_matrices, True)


@composite()
def linalg_svdvals(A: Tensor):
    """Singular values in descending order.

    >>> linalg.svdvals([[3., 0.], [0., 4.]])
    tensor([4., 3.])
    """
    check_real("linalg.svd", A)
    check_matrix("linalg.svd", A)
    return op._svd(A, False, False)[1]


@composite(fields="U S V")
def svd(input: Tensor, some: Bool = True, compute_uv: Bool = True):
    """Singular value decomposition A = U diag(S) Vᵀ; V itself, not Vᵀ as in `linalg.svd`.

    >>> svd([[3., 0.], [0., 4.]]).S
    tensor([4., 3.])
    """
    if input.ndim < 2:
        raise ShapeError(
            f"linalg.svd: input should have at least 2 dimensions, but has {input.ndim} dimensions instead"
        )
    check_real("linalg.svd", input)
    if not compute_uv:
        s = op._svd(input, False, False)[1]
        m, n = input.shape[-2:]
        batch = tuple(input.shape[:-2])
        return (_zeros(input, (*batch, m, m)), s, _zeros(input, (*batch, n, n)))
    u, s, vh = op._svd(input, not some, True)
    return u, s, swap(vh)


def _zeros(like: Any, shape: tuple[int, ...]) -> Any:
    made = np.zeros(shape, array(like).dtype)
    return Value(made) if type(like) is Value else made


# ---- eigenvalues -------------------------------------------------------------------------------------------


def _eigh_vjp(g, y):
    gl, gv = g
    values, vectors = y
    n = values.shape[-1]
    inner = op.unsqueeze(gl, -1) * np.eye(n, dtype=array(values).dtype)
    if not absent(gv):
        inner = inner + _skew(op.matmul(swap(vectors), gv)) / _gaps(values) * 0.5
    return op.matmul(op.matmul(vectors, inner), swap(vectors))


@general(vjp=_eigh_vjp, grad_fn="LinalgEighBackward0")
def _eigh(A: Tensor, UPLO: Str, signs: Bool):
    try:
        values, vectors = np.linalg.eigh(A, UPLO)
    except np.linalg.LinAlgError:
        raise ScriptValueError(
            "linalg.eigh: The algorithm failed to converge because the input matrix is ill-conditioned or "
            "has too "
            "many repeated eigenvalues."
        ) from None
    return values, signed(A, vectors, UPLO == "U") if signs else vectors


def _check_eigh(A, uplo):
    check_square("linalg.eigh", A)
    if uplo.upper() not in ("L", "U"):
        raise ScriptValueError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")
    check_lapack("linalg_eigh_cpu", A)
    return uplo.upper()


@composite(fields="eigenvalues eigenvectors")
def linalg_eigh(A: Tensor, UPLO: Str = "L"):
    """Eigenvalues, ascending, and orthonormal eigenvectors of a symmetric matrix.

    Only the triangle `UPLO` is read. The derivative in the eigenvectors exists only where the eigenvalues
    differ.

    >>> linalg.eigh([[2., 0.], [0., 1.]]).eigenvalues
    tensor([1., 2.])
    """
    return op._eigh(A, _check_eigh(A, UPLO), True)


@composite()
def linalg_eigvalsh(A: Tensor, UPLO: Str = "L"):
    """Eigenvalues of a symmetric matrix, ascending.

    >>> linalg.eigvalsh([[5., 0.], [0., 2.]])
    tensor([2., 5.])
    """
    return op._eigh(A, _check_eigh(A, UPLO), False)[0]
