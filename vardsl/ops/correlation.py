"""Covariance and correlation of variables."""

from __future__ import annotations

from math import prod
from typing import Any

from vardsl.engine.dtypes import BY_NP, i8
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import (
    Index,
    Int,
    Tensor,
    composite,
    op,
)
from vardsl.ops.dims import dtype_of


def _check_weights(name: str, w: Any, n: int, whole: bool) -> None:
    if w.ndim > 1:
        raise ShapeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with {w.ndim} dimensions"
        )
    kind = dtype_of(w).kind
    if whole and kind not in "iu":
        raise ScriptTypeError(
            f"cov(): expected fweights to have integral dtype but got fweights with {_named(w)} dtype"
        )
    if not whole and kind != "f":
        raise ScriptTypeError(
            f"cov(): expected aweights to have floating point dtype but got aweights with {_named(w)} dtype"
        )
    if prod(w.shape) != n:
        raise ShapeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input but got "
            f"{prod(w.shape)} != {n}"
        )
    values = w.array if type(w) is Value else w
    if n and values.min() < 0:
        raise ScriptValueError(f"cov(): {name} cannot be negative")


def _named(w: Any) -> str:
    return BY_NP[dtype_of(w)].type_name


@composite()
def cov(input: Tensor, *, correction: Int = 1, fweights: Index | None = None, aweights: Tensor | None = None):
    """Covariance of the variables in the rows over the observations in the columns.

    `fweights` says how often each observation counts, `aweights` how much.

    >>> cov([[1., 2., 3.], [1., 3., 5.]])
    tensor([[1., 2.],
            [2., 4.]])
    """
    if input.ndim > 2:
        raise ShapeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} "
            "dimensions"
        )
    if dtype_of(input).kind == "b":
        raise ScriptTypeError("cov(): bool dtype is not supported for input")
    x = op.view(input, (1, -1)) if input.ndim < 2 else input
    n = x.shape[1]
    w: Any = None
    if fweights is not None:
        _check_weights("fweights", fweights, n, True)
        w = fweights
    if aweights is not None:
        _check_weights("aweights", aweights, n, False)
        w = aweights if w is None else w * aweights
    total = n if w is None else op.sum(w)
    if w is not None and total.item() == 0:
        raise ScriptValueError("cov(): weights sum to zero, can't be normalized")
    average = op.sum(x if w is None else x * w, 1) / total
    free = total - correction
    if w is not None and aweights is not None and correction != 0:
        free = total - correction * op.sum(w * aweights) / total
    if (free.item() if type(free) is Value else free) <= 0:
        free = op.zeros((), dtype=i8)
    away = x - op.unsqueeze(average, 1)
    products = op.mm(away, op.t(away if w is None else away * w))
    return op.squeeze(op.true_divide(products, free))


@composite()
def corrcoef(input: Tensor):
    """Correlation of the variables in the rows over the observations in the columns.

    >>> corrcoef([[1., 2., 3.], [1., 3., 5.]])
    tensor([[1., 1.],
            [1., 1.]])
    """
    if input.ndim > 2:
        raise ShapeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.ndim} "
            "dimensions"
        )
    c = op.cov(input)
    if c.ndim == 0:
        return c / c
    d = op.sqrt(op.diag(c))
    return op.clamp(c / op.view(d, (-1, 1)) / op.view(d, (1, -1)), -1, 1)
