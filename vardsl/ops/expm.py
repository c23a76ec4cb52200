"""The exponential of a matrix."""

from __future__ import annotations

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.ops.decompose import (
    check_real,
    check_square,
    swap,
)
from vardsl.ops.define import (
    Tensor,
    general,
    op,
)

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
    Derivative: the upper right block of exp([[inputᵀ, g], [0, inputᵀ]])

    >>> matrix_exp([[0., 1.], [0., 0.]])
    tensor([[1., 1.],
            [0., 1.]])
    """
    check_real("linalg.matrix_exp", input)
    check_square("linalg.matrix_exp", input)
    return _exponential(input)
