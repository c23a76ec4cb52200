"""The pseudoinverse, and least squares."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP, Array
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.decompose import (
    swap,
)
from vardsl.ops.define import (
    Bool,
    Number,
    Str,
    Tensor,
    array,
    composite,
    fused,
    general,
    looked_at,
    op,
)


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
    a = looked_at(x)
    return float(a) if a.ndim == 0 else a[..., None]


def _check_pinv(A):
    a = array(A)
    if a.ndim < 2 or a.dtype.kind != "f":
        raise ShapeError(
            f"linalg.pinv({BY_NP[a.dtype].type_name}{{{list(a.shape)}}}): expected a tensor with 2 or more "
            "dimensions "
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
        rest = op.narrow(op.reshape(x, (prod(x.shape),)), 0, 0, 0)
    return (op.squeeze(x, -1) if vector else x), rest


@composite(fields="solution residuals rank singular_values")
def linalg_lstsq(A: Tensor, B: Tensor, rcond: Number | None = None, *, driver: Str | None = None):
    """The X for which A X is closest to B: solution, sums of squared residuals, rank and singular values.

    Residuals are given where A has more rows than columns and full rank; singular values by the drivers
    "gelsd" and
    "gelss".

    >>> linalg.lstsq([[1., 0.], [0., 1.], [0., 0.]], [[1.], [2.], [3.]]).solution
    tensor([[1.],
            [2.]])
    """
    a, b = looked_at(A), array(B)
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
        last = (
            "input.size(-2) should match other.size(-1)"
            if b.ndim < 2
            else "input.size(-2) should match other.size(-2)"
        )
        raise ShapeError(f"torch.linalg.lstsq: {last}")
