"""Normalisation over features: layer norm and RMS norm."""

from __future__ import annotations

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.engine.large import by_rows
from vardsl.engine.tiles import add_up
from vardsl.engine.value import Value
from vardsl.errors import ShapeError
from vardsl.ops.define import Int, Ints, Number, Tensor, array, composite, general, op
from vardsl.ops.kinds import check_one_dtype, refuse


def _standard(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array, Array]:
    """x without mean and with variance one over `axes`; the mean; one over the standard deviation."""
    n = 1
    for a in axes:
        n *= x.shape[a]
    kind = x.dtype.type
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = add_up(x, axes, x.dtype, True) / kind(n)
        centred = x - mean
        var = _squares(centred, axes) / kind(n)
        rstd = 1 / np.sqrt(var + kind(eps))
    centred *= rstd
    return centred, mean, rstd


def _squares(x: Array, axes: tuple[int, ...]) -> Array:
    if axes == (x.ndim - 1,):
        return op._row_dot(x, x)
    return add_up(x * x, axes, x.dtype, True)


def axis_count(shape, axes):
    n = 1
    for a in axes:
        n *= shape[a]
    return n


# ---- layer norm --------------------------------------------------------------------------------------------


def _restandard(input, axes, eps):
    """The standard form once more, as operations, for derivatives of the derivative."""
    n = max(axis_count(input.shape, axes), 1)
    centred = input - op.sum(input, axes, True) / n
    last = axes == (input.ndim - 1,)
    square = _along(centred, centred, axes) if last else op.sum(centred * centred, axes, True)
    rstd = op.rsqrt(square / n + eps)
    return centred * rstd, rstd


def _along(a, b, axes):
    """The sum of a b over some last dimensions, which stay."""
    return op._row_dot(a, b) if len(axes) == 1 else op.sum(a * b, axes, True)


def _rows_back(g, standard, rstd, weight, dims, needs):
    """The three gradients of layer_norm, from a standard form that may be overwritten: arrays or values.

    d x̂ = rstd (dx − mean dx − x̂ mean(x̂ dx)), a symmetric map: the adjoint is the same.
    """
    lead, axes = tuple(range(g.ndim - dims)), tuple(range(g.ndim - dims, g.ndim))
    n = max(axis_count(g.shape, axes), 1)
    products = g * standard
    dx = dw = db = None
    if needs[1]:
        dw = op.sum(products, lead) if lead else products
    if needs[2]:
        db = op.sum(g, lead) if lead else g
    if needs[0]:
        along = op.sum(products, axes, True) if weight is None else _along(products, weight, axes)
        mean = op.sum(g, axes, True) if weight is None else _along(g, weight, axes)
        h = g if weight is None else g * weight
        dx = by_rows(_rows_slope, h, standard, mean / n, along / n, rstd)
    return dx, dw, db


def _rows_slope(h, standard, mean, along, rstd):
    return (h - mean - standard * along) * rstd


def _layer_norm_vjp(g, y, input, weight, needs, dims, eps):
    g = g[0]
    if type(g) is Value:
        # from the input again, so that it is on the graph
        standard, rstd = _restandard(input, tuple(range(input.ndim - dims, input.ndim)), eps)
    else:
        rstd = y[1]
        standard = by_rows(lambda input, mean, rstd: (input - mean) * rstd, input, y[2], rstd)
    return _rows_back(g, standard, rstd, weight, dims, needs)


def _layer_norm_steps(input, weight, bias, dims, eps):
    if input.array.dtype.kind != "f":
        return None
    axes = tuple(range(input.ndim - dims, input.ndim))
    n = max(axis_count(input.shape, axes), 1)
    mean = op.sum(input, axes, True) / n
    centred = input - mean
    rstd = op.rsqrt(_along(centred, centred, axes) / n + eps)
    y = centred * rstd
    if weight is not None:
        y = y * weight
    return (y if bias is None else y + bias), rstd, mean


@general(shared=_layer_norm_vjp, grad_fn="NativeLayerNormBackward0", lowered=_layer_norm_steps)
def _layer_norm(input: Tensor, weight: Tensor | None, bias: Tensor | None, dims: Int, eps: Number):
    if input.dtype.kind != "f":
        refuse("LayerNormKernelImpl", input)
    y, mean, rstd = _standard(input, tuple(range(input.ndim - dims, input.ndim)), eps)
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y, rstd, mean


def _check_normalized(input, shape, spelled="*, ", **given):
    if len(shape) == 0:
        raise ShapeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, "
            "but got "
            "normalized_shape = []"
        )
    for name, x in given.items():
        if x is not None and x.shape != shape:
            raise ShapeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(x.shape)} "
                f"and normalized_shape = {list(shape)}"
            )
    if input.ndim < len(shape) or input.shape[input.ndim - len(shape) :] != shape:
        expected = ", ".join(map(str, shape))
        raise ShapeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [{spelled}{expected}], but got "
            "input of size"
            f"{list(input.shape)}"
        )


@composite()
def layer_norm(
    input: Tensor,
    normalized_shape: Ints,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: Number = 1e-05,
):
    """Each sample with mean 0 and variance 1 over its last dimensions, then times `weight` plus `bias`.

    Value: (x − mean) / √(var + eps) · weight + bias

    >>> layer_norm([1., 2., 3.], 3)
    tensor([-1.2247,  0.0000,  1.2247])
    """
    _check_normalized(input, tuple(normalized_shape), weight=weight, bias=bias)
    check_one_dtype(input, weight, bias)
    return op._layer_norm(input, weight, bias, len(normalized_shape), eps)[0]


@composite()
def rms_norm(input: Tensor, normalized_shape: Ints, weight: Tensor | None = None, eps: Number | None = None):
    """Each sample divided by the root of the mean square of its last dimensions.

    Value: x / √(mean x² + eps) · weight

    >>> rms_norm([3., 4.], 2)
    tensor([0.8485, 1.1314])
    """
    shape = tuple(normalized_shape)
    _check_normalized(input, shape, "*", weight=weight)
    if array(input).dtype.kind != "f":
        refuse("rms_norm", array(input))
    if eps is None:
        eps = float(np.finfo(array(input).dtype).eps)
    axes = tuple(range(input.ndim - len(shape), input.ndim))
    y = input * op.rsqrt(op.mean(op.pow(input, 2), axes, True) + eps)
    return y if weight is None else y * weight
