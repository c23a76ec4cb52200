"""Gaussian elimination: the decomposition of a matrix into P, L and U."""

from __future__ import annotations

from math import prod

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.errors import ScriptValueError, ShapeError
from vardsl.ops.decompose import check_lapack, lower, swap, upper
from vardsl.ops.define import Bool, Int, Tensor, array, composite, general, nondiff, op, result_type


def eliminate(a: Array) -> tuple[Array, Array]:
    """Gaussian elimination with row exchanges: L and U in one matrix, and LAPACK's pivots (from 1)."""
    *batch, m, n = a.shape
    lu = a.reshape(prod(batch), m, n).copy()
    k = min(m, n)
    pivots = np.empty((lu.shape[0], k), np.int32)
    every = np.arange(lu.shape[0])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for j in range(k):
            p = j + np.argmax(np.abs(lu[:, j:, j]), axis=1)
            pivots[:, j] = p + 1
            rows = lu[every, p].copy()
            lu[every, p] = lu[:, j]
            lu[:, j] = rows
            pivot = rows[:, j, None]
            lu[:, j + 1 :, j] = np.where(pivot == 0, lu[:, j + 1 :, j], lu[:, j + 1 :, j] / pivot)
            lu[:, j + 1 :, j + 1 :] -= lu[:, j + 1 :, j, None] * lu[:, None, j, j + 1 :]
    return lu.reshape(a.shape), pivots.reshape(*batch, k)


def permutation(pivots: Array, m: int) -> Array:
    """The order of rows that the exchanges lead to: (P A)ᵢ = A[order[i]]."""
    *batch, k = pivots.shape
    flat = pivots.reshape(prod(batch), k)
    order = np.tile(np.arange(m), (flat.shape[0], 1))
    every = np.arange(flat.shape[0])
    for j in range(flat.shape[1]):
        p = flat[:, j] - 1
        moved = order[every, p].copy()
        order[every, p] = order[:, j]
        order[:, j] = moved
    return order.reshape(*batch, m)


@nondiff()
def _permutation_matrix(pivots: Tensor, like: Tensor, m: Int):
    """P with A = P L U."""
    order = permutation(pivots, m)
    made = np.zeros((*order.shape, m), like.dtype)
    np.put_along_axis(made, order[..., None, :], 1, axis=-2)
    return made


def _square_lu(gl, gu, low, up):
    # L⁻ᵀ (strict lower(Lᵀ gL) + upper(gU Uᵀ)) U⁻ᵀ
    inner = lower(op.matmul(swap(low), gl), -1) + upper(op.matmul(gu, swap(up)))
    half = op._triangular(swap(low), inner, True, True, True)
    return op._triangular(swap(up), half, False, False, False)


def _lu_rows(gl, gu, low, up):
    """The cotangent of the permuted rows of A."""
    m, k, n = low.shape[-2], low.shape[-1], up.shape[-1]
    if m == n:
        return _square_lu(gl, gu, low, up)
    if n > m:  # U₂ = L⁻¹ A₂
        u1, u2 = op.narrow(up, -1, 0, m), op.narrow(up, -1, m, n - m)
        g2 = op._triangular(swap(low), op.narrow(gu, -1, m, n - m), True, True, True)
        first = _square_lu(gl - op.matmul(g2, swap(u2)), op.narrow(gu, -1, 0, m), low, u1)
        return op.cat([first, g2], -1)
    # L₂ = A₂ U⁻¹
    l1, l2 = op.narrow(low, -2, 0, k), op.narrow(low, -2, k, m - k)
    g2 = op._triangular(swap(up), op.narrow(gl, -2, k, m - k), False, False, False)
    first = _square_lu(op.narrow(gl, -2, 0, k), gu - op.matmul(swap(l2), g2), l1, up)
    return op.cat([first, g2], -2)


def _lu_vjp(g, y):
    low, up, pivots = y
    p = op._permutation_matrix(pivots, low, low.shape[-2])
    return op.matmul(p, _lu_rows(g[0], g[1], low, up))


def _split_lu(lu: Array) -> tuple[Array, Array]:
    m, n = lu.shape[-2:]
    k = min(m, n)
    return np.tril(lu[..., :k], -1) + np.eye(m, k, dtype=lu.dtype), np.triu(lu[..., :k, :])


@general(vjp=_lu_vjp, grad_fn="LinalgLuBackward0")
def _lu(A: Tensor):
    lu, pivots = eliminate(A)
    low, up = _split_lu(lu)
    return low, up, pivots


def _check_lu(name, A, pivot):
    if A.ndim < 2:
        raise ShapeError(
            f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(A.shape)} instead"
        )
    check_lapack("lu_cpu", A)
    if not pivot:
        raise ScriptValueError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")


@composite(fields="P L U")
def linalg_lu(A: Tensor, *, pivot: Bool = True):
    """A = P L U with a permutation P, a lower triangular L with ones on its diagonal, an upper triangular U.

    >>> linalg.lu([[0., 2.], [4., 1.]]).U
    tensor([[4., 1.],
            [0., 2.]])
    """
    _check_lu("linalg.lu", A, pivot)
    low, up, pivots = op._lu(A)
    return op._permutation_matrix(pivots, low, A.shape[-2]), low, up


def _lu_factor_vjp(g, y):
    g, (lu, pivots) = g[0], y
    m, n = lu.shape[-2:]
    k = min(m, n)
    low = lower(op.narrow(lu, -1, 0, k), -1) + np.eye(m, k, dtype=array(lu).dtype)
    up = upper(op.narrow(lu, -2, 0, k))
    gl, gu = lower(op.narrow(g, -1, 0, k), -1), upper(op.narrow(g, -2, 0, k))
    return op.matmul(op._permutation_matrix(pivots, low, m), _lu_rows(gl, gu, low, up))


@general(vjp=_lu_factor_vjp, grad_fn="LinalgLuFactorExBackward0")
def _lu_factor(A: Tensor):
    return eliminate(A)


@composite()
def lu(A: Tensor, pivot: Bool = True, get_infos: Bool = False):
    """L and U of A = P L U in one matrix, and the row exchanges (from 1), for `lu_solve`.

    With `get_infos` also where a pivot is zero (0: nowhere).

    >>> lu([[0., 2.], [4., 1.]])
    (tensor([[4., 1.],
            [0., 2.]]), tensor([2, 2], dtype=torch.int32))
    """
    _check_lu("torch.lu_factor", A, pivot)
    factors, pivots = op._lu_factor(A)
    if get_infos:
        return result_type("LU pivots info")(factors, pivots, op._infos(factors))
    return factors, pivots


@nondiff()
def _infos(LU: Tensor):
    """The first zero pivot of each matrix, from 1; 0 where there is none."""
    zero = np.diagonal(LU, 0, -2, -1) == 0
    if zero.shape[-1] == 0:
        return np.zeros(zero.shape[:-1], np.int32)
    return np.where(zero.any(-1), zero.argmax(-1) + 1, 0).astype(np.int32)
