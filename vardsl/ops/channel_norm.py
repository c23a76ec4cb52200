"""Normalisation of channels: over batches, instances, groups, and across neighbours."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vardsl.engine.context import no_grad
from vardsl.engine.value import Value
from vardsl.errors import ScriptValueError, ShapeError
from vardsl.ops.define import Bool, Index, Int, Number, Tensor, array, composite, general, looked_at, op
from vardsl.ops.dims import wrap_dim
from vardsl.ops.kinds import check_one_dtype, refuse
from vardsl.ops.norm import axis_count

# ---- batch norm --------------------------------------------------------------------------------------------


def _column(x, ndim):
    """A vector over channels, to be multiplied with [batch, channel, …]."""
    return op.reshape(x, (1, x.shape[0]) + (1,) * (ndim - 2))


def _others(ndim):
    return (0, *range(2, ndim))


def _maps(x):
    """[batch, channels, elements of a map]."""
    return op.reshape(x, (*x.shape[:2], math.prod(x.shape[2:])))


def _sums(x):
    """The sums of each channel, [1, channels, 1, …]: of each map first, which lies in a row."""
    if x.ndim == 2:
        return op.sum(x, (0,), True)
    return _column(op.sum(op.sum(_maps(x), (2,)), (0,)), x.ndim)


def _products(a, b):
    """The sums of the products of each channel, [1, channels, 1, …]."""
    if a.ndim == 2:
        return op.sum(a * b, (0,), True)
    return _column(op.reshape(op.sum(op._row_dot(_maps(a), _maps(b)), (0,)), (a.shape[1],)), a.ndim)


def _batch_standard(input, eps):
    """Each channel without mean and with variance one, one over the standard deviation, and the mean."""
    n = max(axis_count(input.shape, _others(input.ndim)), 1)
    mean = _sums(input) / n
    centred = input - mean
    rstd = op.rsqrt(_products(centred, centred) / n + eps)
    return centred * rstd, rstd, mean


def _running_standard(input, mean, var, eps):
    """The same by a mean and a variance that are given."""
    mean, rstd = _column(mean, input.ndim), op.rsqrt(_column(var, input.ndim) + eps)
    return (input - mean) * rstd, rstd, mean


def _scaled(standard, weight, bias):
    """The standard form times the weights and plus the biases of the channels."""
    if weight is not None:
        standard = standard * _column(weight, standard.ndim)
    return standard if bias is None else standard + _column(bias, standard.ndim)


def _batch_norm_vjp(g, y, input, weight, needs, mean, var, training, eps):
    """d x̂ = rstd (dx − mean dx − x̂ mean(x̂ dx)), a symmetric map: the adjoint is the same."""
    g = g[0]
    if not training:
        standard, rstd, _ = _running_standard(input, mean, var, eps)
    elif type(g) is Value:
        standard, rstd, _ = _batch_standard(input, eps)
    else:
        rstd = y[1]
        standard = (input - y[2]) * rstd
    slope = rstd if weight is None else rstd * _column(weight, input.ndim)
    dx = dw = db = products = sums = None
    if needs[1] or (needs[0] and training):
        products = _products(g, standard)
    if needs[2] or (needs[0] and training):
        sums = _sums(g)
    if needs[0]:
        n = axis_count(input.shape, _others(input.ndim))
        dx = (g - sums / n - standard * (products / n)) * slope if training and n else g * slope
    if needs[1]:
        dw = op.reshape(products, (input.shape[1],))
    if needs[2]:
        db = op.reshape(sums, (input.shape[1],))
    return dx, dw, db, None, None


def _batch_norm_steps(input, weight, bias, mean, var, training, eps):
    if input.array.dtype.kind != "f":
        return None
    made = _batch_standard(input, eps) if training else _running_standard(input, mean, var, eps)
    standard, rstd, mean = made
    return _scaled(standard, weight, bias), rstd, mean


@general(shared=_batch_norm_vjp, grad_fn="NativeBatchNormBackward0", lowered=_batch_norm_steps)
def _batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Index | None,
    var: Index | None,
    training: Bool,
    eps: Number,
):
    if training:
        with np.errstate(invalid="ignore", divide="ignore"):
            standard, rstd, mean = _batch_standard(input, eps)
    else:
        standard, rstd, mean = _running_standard(input, mean, var, eps)
    return _scaled(standard, weight, bias), rstd, mean


def _check_channels(channels: int, **given: Any) -> None:
    for name, x in given.items():
        if x is not None:
            n = 1
            for k in x.shape:
                n *= k
            if n != channels:
                raise ShapeError(f"{name} should contain {channels} elements not {n}")


def _verify_batch(shape):
    count = shape[0]
    for n in shape[2:]:
        count *= n
    if count == 1:
        raise ScriptValueError(
            f"Expected more than 1 value per channel when training, got input size torch.Size({list(shape)})"
        )


def _move(running: Any, towards: Any, momentum: float) -> None:
    """Moves a running statistic towards that of this batch, in place."""
    new = running * (1 - momentum) + op.reshape(towards, running.shape) * momentum
    if isinstance(running, Value):
        op.copy_(running, new)
    else:
        np.copyto(running, new)


def _update_statistics(input, running_mean, running_var, momentum):
    n = axis_count(input.shape, _others(input.ndim))
    with no_grad():
        mean = _sums(input) / max(n, 1)
        if running_mean is not None:
            _move(running_mean, mean, momentum)
        if running_var is not None:
            centred = input - mean
            _move(running_var, _products(centred, centred) / max(n - 1, 1), momentum)


@composite()
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: Bool = False,
    momentum: Number = 0.1,
    eps: Number = 1e-05,
):
    """Each channel (the second dimension) with mean 0 and variance 1, then times `weight` plus `bias`.

    In training the batch gives mean and variance, and the running ones move towards them in place;
    otherwise the running ones are used.

    Value: (x − mean) / √(var + eps) · weight + bias

    >>> batch_norm([[1.], [3.]], none, none, training=true)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    if training:
        _verify_batch(input.shape)
    return _batch(input, running_mean, running_var, weight, bias, training, momentum, eps)


def _batch(input, running_mean, running_var, weight, bias, training, momentum, eps):
    if array(input).dtype.kind != "f":
        refuse("batch_norm", array(input))
    if 0 in input.shape:
        y = op.clone(input)
        y = y if weight is None else y * weight[0]
        return y if bias is None else y + bias[0]
    wrap_dim(1, input.ndim)
    _check_channels(
        input.shape[1], running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    check_one_dtype(input, weight, bias, running_mean, running_var)
    if not training and (running_mean is None or running_var is None):
        which = "running_mean" if running_mean is None else "running_var"
        raise ScriptValueError(f"{which} must be defined in evaluation mode")
    given = (None, None) if training else (running_mean, running_var)
    y = op._batch_norm(input, weight, bias, *given, training, eps)[0]
    if training and (running_mean is not None or running_var is not None):
        _update_statistics(input, running_mean, running_var, momentum)
    return y


# ---- instances and groups ----------------------------------------------------------------------------------


@composite()
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: Bool = True,
    momentum: Number = 0.1,
    eps: Number = 1e-05,
):
    """Each channel of each sample with mean 0 and variance 1, then times `weight` plus `bias`.

    >>> instance_norm([[[1., 3.]]])
    tensor([[[-1.0000,  1.0000]]])
    """
    shape = tuple(input.shape)
    if use_input_stats:
        _verify_instance(shape)
    if len(shape) < 3:
        wrap_dim(1, len(shape))
    if not use_input_stats and (running_mean is None or running_var is None):
        raise ScriptValueError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    n, c = shape[:2]
    flat = op.reshape(input, (1, n * c, *shape[2:]))
    stats = [None if r is None else Value(np.tile(looked_at(r), n)) for r in (running_mean, running_var)]
    repeated = [None if p is None else op.repeat(p, n) for p in (weight, bias)]
    y = _batch(flat, stats[0], stats[1], repeated[0], repeated[1], use_input_stats, momentum, eps)
    for running, moved in zip((running_mean, running_var), stats, strict=True):
        if running is not None and moved is not None and use_input_stats:
            _move(running, np.add.reduce(moved.array.reshape(n, c), 0) / max(n, 1), 1.0)
    return op.view(y, shape)


def _verify_instance(shape):
    count = 1
    for n in shape[2:]:
        count *= n
    if count == 1:
        raise ScriptValueError(
            f"Expected more than 1 spatial element when training, got input size torch.Size({list(shape)})"
        )


def _grouped(x, groups):
    """[batch, groups, elements of a group]."""
    n = x.shape[0]
    size = 1
    for k in x.shape[1:]:
        size *= k
    return op.reshape(x, (n, groups, size // groups))


def _group_standard(input, num_groups, eps):
    """Each group of each sample in its standard form, in the shape of the input; one over its standard
    deviation and its mean, [batch, groups, 1]."""
    flat = _grouped(input, num_groups)
    n = max(flat.shape[2], 1)
    mean = op.sum(flat, (2,), True) / n
    centred = flat - mean
    rstd = op.rsqrt(op._row_dot(centred, centred) / n + eps)
    return op.reshape(centred * rstd, input.shape), rstd, mean


def _group_norm_vjp(g, y, input, weight, needs, num_groups, eps):
    """As batch norm's, with sums over groups of maps: those of each map do for the parameters as well."""
    g = g[0]
    if type(g) is Value:
        standard, rstd, _ = _group_standard(input, num_groups, eps)
    else:
        rstd = y[1]
        standard = op.reshape((_grouped(input, num_groups) - y[2]) * rstd, input.shape)
    shape = input.shape[:2]
    sums, products = op.sum(_maps(g), (2,)), op.reshape(op._row_dot(_maps(g), _maps(standard)), shape)
    dx = None
    if needs[0]:
        h = g if weight is None else g * _column(weight, input.ndim)
        n = max(math.prod(input.shape[1:]) // num_groups, 1)
        mean, along = (_of_groups(x, weight, num_groups) / n for x in (sums, products))
        flat = _grouped(standard, num_groups)
        dx = op.reshape((_grouped(h, num_groups) - mean - flat * along) * rstd, input.shape)
    return dx, op.sum(products, (0,)) if needs[1] else None, op.sum(sums, (0,)) if needs[2] else None


def _of_groups(x, weight, groups):
    """Sums of maps as weighted sums of groups, [batch, groups, 1]."""
    if weight is not None:
        x = x * weight
    return op.sum(op.reshape(x, (x.shape[0], groups, x.shape[1] // groups)), (2,), True)


def _group_norm_steps(input, weight, bias, num_groups, eps):
    if input.array.dtype.kind != "f":
        return None
    standard, rstd, mean = _group_standard(input, num_groups, eps)
    return _scaled(standard, weight, bias), rstd, mean


@general(shared=_group_norm_vjp, grad_fn="NativeGroupNormBackward0", lowered=_group_norm_steps)
def _group_norm(input: Tensor, weight: Tensor | None, bias: Tensor | None, num_groups: Int, eps: Number):
    if input.dtype.kind != "f":
        refuse("GroupNormKernelImpl", input)
    with np.errstate(invalid="ignore", divide="ignore"):
        standard, rstd, mean = _group_standard(input, num_groups, eps)
    return _scaled(standard, weight, bias), rstd, mean


@composite()
def group_norm(
    input: Tensor,
    num_groups: Int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: Number = 1e-05,
):
    """Each group of channels of each sample with mean 0 and variance 1, then times `weight` plus `bias`.

    >>> group_norm([[1., 3., 5., 9.]], 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    if input.ndim < 2:
        raise ShapeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    shape = tuple(input.shape)
    count = shape[0] * shape[1] // num_groups if num_groups else 0
    _verify_batch((count, num_groups, *shape[2:]))
    channels = shape[1]
    if num_groups <= 0 or channels % num_groups:
        raise ShapeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(shape)} and num_groups={num_groups}"
        )
    for name, x in (("weight", weight), ("bias", bias)):
        if x is not None and (x.ndim != 1 or x.shape[0] != channels):
            raise ShapeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got "
                f"{name} of "
                f"shape {list(x.shape)} and input of shape {list(shape)}"
            )
    check_one_dtype(input, weight, bias)
    return op._group_norm(input, weight, bias, num_groups, eps)[0]


@composite()
def local_response_norm(
    input: Tensor, size: Int, alpha: Number = 0.0001, beta: Number = 0.75, k: Number = 1.0
):
    """Each element divided by a power of the mean square of `size` neighbouring channels.

    Value: x / (k + alpha · mean x²)^beta

    >>> local_response_norm(ones(1, 2, 2), 2)
    tensor([[[1.0000, 1.0000],
             [0.9999, 0.9999]]])
    """
    dim = input.ndim
    if dim < 3:
        raise ScriptValueError(
            f"Expected 3D or higher dimensionality                          input (got {dim} dimensions)"
        )
    if 0 in input.shape:
        return input
    shape = tuple(input.shape)
    around = (size // 2, (size - 1) // 2)
    square = input * input
    if dim == 3:
        padded = op.constant_pad_nd(op.unsqueeze(square, 1), (0, 0, *around), 0)
        mean = op.squeeze(op.avg_pool2d(padded, (size, 1), 1), 1)
    else:
        flat = op.reshape(square, (shape[0], 1, shape[1], shape[2], -1))
        padded = op.constant_pad_nd(flat, (0, 0, 0, 0, *around), 0)
        mean = op.reshape(op.avg_pool3d(padded, (size, 1, 1), 1), shape)
    return input / op.pow(mean * alpha + k, beta)
