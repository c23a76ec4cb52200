"""Softmax and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.large import by_rows, room
from vardsl.engine.tiles import LARGE, add_along, add_up, rows_per_block, sums_along
from vardsl.ops.define import Dtype, Int, Tensor, composite, general, op
from vardsl.ops.dims import wrap_dim, wrap_dims
from vardsl.ops.kinds import refuse

SHORT, MANY = 32, 16  # rows that are faster looked through as columns: of at most, and at least so many


def _refuse(x: Any, axis: int | None, kernel: str) -> None:
    refuse(f"{kernel}{'_lastdim' if axis in (None, x.ndim - 1) else ''}_kernel_impl", x)


def _axis(x: Any, dim: int) -> int | None:
    axis = wrap_dim(dim, x.ndim)
    return axis if x.ndim else None


def _shifted(x: Any, axis: int | None, out: Any = None) -> Any:
    """The elements less the largest of their row."""
    if x.ndim == 2 and axis == 1 and x.shape[1] <= SHORT and x.shape[0] >= MANY:
        top = np.maximum.reduce(np.ascontiguousarray(x.T), 0)[:, None]
        if out is None and x.flags.c_contiguous:
            return np.subtract(x, top)
    else:
        top = np.maximum.reduce(x, axis, None, None, True)
    return np.asarray(np.subtract(x, top, out, order="C"))


def _softmax_rows(x: Any, axis: int | None, out: Any = None) -> Any:
    y = _shifted(x, axis, out)
    np.exp(y, y)
    return np.divide(y, sums_along(y, axis), y)


def _log_softmax_rows(x: Any, axis: int | None, out: Any = None) -> Any:
    y = _shifted(x, axis, out)
    return np.subtract(y, np.log(sums_along(np.exp(y), axis)), y)


def _by_rows(rows: Any, x: Any, axis: int | None) -> Any:
    """`rows(x, axis)`; of a large matrix block by block, so that what is in the making stays in the cache."""
    if x.ndim != 2 or axis != 1 or not x.flags.c_contiguous:
        return rows(x, axis)
    y = room(x)
    n = rows_per_block(x.shape)
    for i in range(0, x.shape[0], n):
        rows(x[i : i + n], axis, y[i : i + n])
    return y


def _softmax_vjp(g, y, dim):
    if y.ndim and dim in (-1, y.ndim - 1):
        return by_rows(lambda y, g, sums: y * (g - sums), y, g, op._row_dot.run([g, y]))
    return y * (g - op._sum_dim.run([g * y, (dim,), True, None]))


def _softmax_into(out, scratch, input, dim):
    if not input.ndim or not input.size:
        return None
    top = scratch(_row_shape(input, dim), input.dtype)
    return [
        *_top_into(top, scratch, input, dim),
        (np.subtract, (input, top, out)),
        (np.exp, (out, out)),
        *add_along(out, dim, top),
        (np.divide, (out, top, out)),
    ]


def _log_softmax_into(out, scratch, input, dim):
    if not input.ndim or not input.size:
        return None
    top, powers = scratch(_row_shape(input, dim), input.dtype), scratch(input.shape, input.dtype)
    return [
        *_top_into(top, scratch, input, dim),
        (np.subtract, (input, top, out)),
        (np.exp, (out, powers)),
        *add_along(powers, dim, top),
        (np.log, (top, top)),
        (np.subtract, (out, top, out)),
    ]


def _top_into(top, scratch, input, dim):
    """The calls that put the greatest of each row into `top`; of many short rows faster row by row of the
    transpose."""
    if input.ndim != 2 or dim % 2 == 0 or input.shape[1] > SHORT or input.shape[0] < MANY:
        return [(np.maximum.reduce, (input, dim, None, top, True))]
    columns = scratch(input.shape[::-1], input.dtype)
    return [
        (np.copyto, (columns, input.T)),
        (np.maximum.reduce, (columns, 0, None, top.reshape(-1))),
    ]


def _row_shape(input, dim):
    axis = dim % input.ndim
    return (*input.shape[:axis], 1, *input.shape[axis + 1 :])


@general(vjp=_softmax_vjp, grad_fn="SoftmaxBackward0", stream="rows", into=_softmax_into, batch="dims")
def _softmax(input: Tensor, dim: Int):
    axis = _axis(input, dim)
    if input.dtype.kind != "f":
        _refuse(input, axis, "softmax")
    if not input.size:
        return input.copy()
    return _softmax_rows(input, axis) if input.size < LARGE else _by_rows(_softmax_rows, input, axis)


def _log_softmax_vjp(g, y, dim):
    if type(g) is not np.ndarray or type(y) is not np.ndarray or not y.ndim:
        return g - op.exp(y) * op._sum_dim.run([g, (dim,), True, None])
    sums = add_up(g, wrap_dims((dim,), y.ndim), g.dtype, True)
    if g.shape != y.shape or len(sums) != len(g):
        return g - np.exp(y) * sums
    return by_rows(_log_softmax_slope, g, y, sums)


def _log_softmax_slope(g, y, sums):
    e = np.exp(y)
    np.multiply(e, sums, e)
    return np.subtract(g, e, e)


@general(
    vjp=_log_softmax_vjp,
    grad_fn="LogSoftmaxBackward0",
    stream="rows",
    into=_log_softmax_into,
    batch="dims",
)
def _log_softmax(input: Tensor, dim: Int):
    if dim == 1 and input.ndim == 2 and 0 < input.size < LARGE and input.dtype.kind == "f":
        return _log_softmax_rows(input, 1)
    axis = _axis(input, dim)
    if input.dtype.kind != "f":
        _refuse(input, axis, "log_softmax")
    if not input.size:
        return input.copy()
    return _log_softmax_rows(input, axis) if input.size < LARGE else _by_rows(_log_softmax_rows, input, axis)


def _implied(dim: int | None, ndim: int) -> int:
    """The dimension that PyTorch takes where none is given."""
    if dim is not None:
        return dim
    return 0 if ndim in (0, 1, 3) else 1


def _cast(input, dtype):
    return input if dtype is None else op.to(input, dtype)


@composite(aliases=("special.softmax",))
def softmax(input: Tensor, dim: Int | None = None, dtype: Dtype | None = None):
    """Positive numbers with sum 1 along `dim`, in proportion to exp(input).

    Value: exp(input) / sum(exp(input), dim)
    Derivative: y * (g - sum(g * y, dim))

    >>> softmax([1., 2., 3.], dim=0)
    tensor([0.0900, 0.2447, 0.6652])
    """
    return _softmax.run([_cast(input, dtype), _implied(dim, input.ndim)])


@composite(aliases=("special.log_softmax",))
def log_softmax(input: Tensor, dim: Int | None = None, dtype: Dtype | None = None):
    """Logarithm of the softmax along `dim`, without underflow.

    Value: input - log(sum(exp(input), dim))
    Derivative: g - softmax(input) * sum(g, dim)

    >>> log_softmax([1., 2., 3.], dim=0)
    tensor([-2.4076, -1.4076, -0.4076])
    """
    return _log_softmax.run([_cast(input, dtype), _implied(dim, input.ndim)])


@composite()
def softmin(input: Tensor, dim: Int | None = None, dtype: Dtype | None = None):
    """The softmax of the elements with the other sign.

    >>> softmin([1., 2., 3.], dim=0)
    tensor([0.6652, 0.2447, 0.0900])
    """
    return op._softmax(_cast(-input, dtype), _implied(dim, input.ndim))
