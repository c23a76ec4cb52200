"""Inverses and determinants."""

from __future__ import annotations

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.errors import ScriptValueError
from vardsl.ops.decompose import (
    check_real,
    check_square,
    swap,
)
from vardsl.ops.define import (
    Tensor,
    array,
    composite,
    general,
    op,
)
from vardsl.ops.lu import eliminate

# ---- inverse -----------------------------------------------------------------------------------------------


def first_zero_pivot(a: Array) -> tuple[int, int]:
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
        batch, pivot = first_zero_pivot(a)
        where = f"{name}: (Batch element {batch})" if a.ndim > 2 else name
        raise ScriptValueError(
            f"{where}: The diagonal element {pivot} is zero, the inversion could not be completed because "
            "the input "
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

    Value: A⁻¹
    Derivative: −A⁻ᵀ g A⁻ᵀ

    >>> linalg.inv([[2., 0.], [0., 4.]])
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    check_real("linalg.inv", A)
    check_square("linalg.inv", A)
    return _inverse("linalg.inv", A)


# ---- determinants ------------------------------------------------------------------------------------------


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

    Value: det A
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

    Value: det A = sign exp(logabsdet)
    Derivative: g A⁻ᵀ in logabsdet; the sign is constant

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
