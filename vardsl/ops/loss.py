"""Losses between numbers: squared, absolute, Huber, and those made of other operations."""

from __future__ import annotations

import math

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import Array
from vardsl.engine.large import pointwise
from vardsl.engine.tiles import add_up, in_blocks
from vardsl.engine.value import Value
from vardsl.errors import GradError, ScriptValueError
from vardsl.ops.define import Bool, Number, Str, Tensor, composite, elementwise, general, looked_at, op
from vardsl.ops.select import bounded, steps

# ---- reductions --------------------------------------------------------------------------------------------


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction, also where it is given in the older way. Raises ScriptValueError for other words."""
    if size_average is not None or reduce is not None:
        if reduce is False:
            return "none"
        return "mean" if size_average in (None, True) else "sum"
    if reduction not in ("mean", "sum", "none"):
        raise ScriptValueError(
            f"{reduction} is not a valid value for reduction", hint='"mean", "sum" or "none"'
        )
    return reduction


def reduced(loss: Array, reduction: str) -> Array:
    """The mean, the sum, or all of the losses."""
    if reduction == "none":
        return loss
    total = add_up(loss, None, loss.dtype, False)
    if reduction == "sum":
        return total
    return _over_size(total, loss)


def _over_size(total: Array, loss: Array) -> Array:
    if loss.size:
        return total / loss.dtype.type(loss.size)
    with np.errstate(invalid="ignore"):
        return np.divide(total, loss.dtype.type(0))


def streams(*given):
    """Whether a loss of these is worth being made of simpler operations: many elements of one real dtype."""
    shape, dtype = given[0].array.shape, given[0].array.dtype
    alike = all(type(x) is Value and x.array.shape == shape and x.array.dtype == dtype for x in given)
    return alike and dtype.kind == "f" and in_blocks(shape)


def share(g, size, reduction):
    """The cotangent of one loss, from that of the reduced ones."""
    return g / size if reduction == "mean" and size else g


def over(loss, reduction):
    """A reduction as an operation of its own."""
    if reduction == "mean":
        return op.mean(loss)
    return op.sum(loss) if reduction == "sum" else loss


def same_sizes(input, target):
    """Both expanded to their common shape; PyTorch's warning where they differ."""
    if input.shape == target.shape:
        return input, target
    state.ctx.warn(
        "shape",
        f"Using a target size (torch.Size({list(target.shape)})) that is different to the input size "
        f"(torch.Size({list(input.shape)})). This will likely lead to incorrect results due to broadcasting. "
        "Please ensure they have the same size.",
        None,
    )
    pair = op.broadcast_tensors([input, target])
    return pair[0], pair[1]


def weighed(losses, weight, input, reduction):
    """Losses times weights; the mean divides by the sum of the weights."""
    if weight.shape != input.shape:
        raise ScriptValueError("Weights and input must have the same size.")
    losses = losses * weight
    return op.sum(losses) / op.sum(weight) if reduction == "mean" else over(losses, reduction)


def no_gradient(name, **given):
    """Raises GradError for arguments that PyTorch does not differentiate."""
    for key, x in given.items():
        if isinstance(x, Value) and x.requires_grad and state.ctx.grad_enabled:
            raise GradError(
                f"The function '{name}' is not differentiable with respect to argument '{key}'. "
                "This input cannot have requires_grad True."
            )


# ---- differences -------------------------------------------------------------------------------------------


def _mse_vjp(g, input, target, reduction):
    size = input_size(input)
    factor = g * (2.0 / size if reduction == "mean" and size else 2.0)
    return pointwise(lambda input, target, factor: op.sub(input, target) * factor, (input, target, factor))


def input_size(x):
    """Number of elements, of an array or a value."""
    n = 1
    for k in x.shape:
        n *= k
    return n


def _mse_steps(input, target, reduction):
    if not streams(input, target):
        return None
    d = input - target
    return over(d * d, reduction)


@general(
    vjp={
        "input": _mse_vjp,
        "target": lambda g, input, target, reduction: -_mse_vjp(g, input, target, reduction),
    },
    lowered=_mse_steps,
    promote="same",
    grad_fn="MseLossBackward0",
)
def _mse(input: Tensor, target: Tensor, reduction: Str):
    shape = input.shape
    if target.shape != shape:
        shape = np.broadcast_shapes(shape, target.shape)
    if reduction == "none" or in_blocks(shape):
        return reduced(pointwise(lambda a, b: np.square(a - b), (input, target)), reduction)
    d = input - target
    flat = d.reshape(-1)
    total = flat.dot(flat)
    return total if reduction == "sum" else _over_size(total, d)


@composite()
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
    weight: Tensor | None = None,
):
    """Mean of the squared differences; or their sum, or all of them (`reduction`).

    Value: mean (input − target)²
    Derivative: 2 g (input − target) / n

    >>> mse_loss([1., 2.], [3., 5.])
    tensor(6.5000)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    input, target = same_sizes(input, target)
    if weight is not None:
        return weighed(op.pow(input - target, 2), weight, input, reduction)
    return op._mse(input, target, reduction)


@composite()
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
    weight: Tensor | None = None,
):
    """Mean of the absolute differences; or their sum, or all of them.

    >>> l1_loss([1., 2.], [3., 5.])
    tensor(2.5000)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    input, target = same_sizes(input, target)
    losses = op.abs(input - target)
    return over(losses, reduction) if weight is None else weighed(losses, weight, input, reduction)


def _huber_vjp(g, input, target, reduction, delta):
    return op._huber_backward(share(g, input_size(input), reduction), input, target, delta)


def _huber_slope(grad_output, input, target, delta):
    return op.clamp(input - target, -delta, delta) * grad_output


@elementwise(
    vjp={
        "grad_output": lambda g, input, target, delta: op._huber_backward(g, input, target, delta),
        "input": lambda g, grad_output, input, target, delta: op._where(
            op.abs(input - target) < delta, g * grad_output, 0
        ),
        "target": lambda g, grad_output, input, target, delta: op._where(
            op.abs(input - target) < delta, -g * grad_output, 0
        ),
    },
    grad_fn="HuberLossBackwardBackward0",
    lowered=steps(_huber_slope),
    batch="pointwise",
)
def _huber_backward(grad_output: Tensor, input: Tensor, target: Tensor, delta: Number):
    return bounded(input - target, -delta, delta) * grad_output


def _huber_each(d, delta):
    """Of differences d: m is d up to delta, beyond it delta with the sign of d. The slope is m as well."""
    m = op.clamp(d, -delta, delta) if type(d) is Value else bounded(d, -delta, delta)
    return m * (d - 0.5 * m)


def _huber_steps(input, target, reduction, delta):
    if not streams(input, target):
        return None
    return over(_huber_each(input - target, delta), reduction)


@general(
    lowered=_huber_steps,
    vjp={
        "input": _huber_vjp,
        "target": lambda g, input, target, reduction, delta: _huber_vjp(g, target, input, reduction, delta),
    },
    promote="same",
    grad_fn="HuberLossBackward0",
)
def _huber(input: Tensor, target: Tensor, reduction: Str, delta: Number):
    loss = pointwise(lambda a, b: _huber_each(a - b, delta), (input, target))
    return reduced(loss, reduction)


@composite()
def huber_loss(
    input: Tensor, target: Tensor, reduction: Str = "mean", delta: Number = 1.0, weight: Tensor | None = None
):
    """Squared for differences below `delta`, linear beyond.

    Value: ½ d² where |d| < δ, else δ (|d| − ½ δ)

    >>> huber_loss([1., 5.], [1.5, 2.], "none")
    tensor([0.1250, 2.5000])
    """
    reduction = reduction_of(None, None, reduction)
    if delta <= 0:
        raise ScriptValueError("huber_loss does not support non-positive values for delta.")
    input, target = same_sizes(input, target)
    if weight is None:
        return op._huber(input, target, reduction, delta)
    if weight.shape != input.shape:
        raise ScriptValueError("Weights and input must have the same size.")
    return over(op._huber(input, target, "none", delta) * weight, reduction)


def _smooth_vjp(g, input, target, reduction, beta):
    return op._smooth_l1_backward(share(g, input_size(input), reduction), input, target, beta)


def _smooth_slope(grad_output, input, target, beta):
    return op.clamp(_over_beta(input - target, beta), -1, 1) * grad_output


def _smooth_curve(g, grad_output, input, target, beta):
    return op._where(op.abs(input - target) < beta, g * grad_output / beta, 0)


def _over_beta(x, beta):
    return x if beta == 1 else x / beta


@elementwise(
    vjp={
        "grad_output": lambda g, input, target, beta: op._smooth_l1_backward(g, input, target, beta),
        "input": _smooth_curve,
        "target": lambda g, grad_output, input, target, beta: (
            -_smooth_curve(g, grad_output, input, target, beta)
        ),
    },
    grad_fn="SmoothL1LossBackwardBackward0",
    lowered=steps(_smooth_slope),
    batch="pointwise",
)
def _smooth_l1_backward(grad_output: Tensor, input: Tensor, target: Tensor, beta: Number):
    return bounded(_over_beta(input - target, beta), -1, 1) * grad_output


def _smooth_each(d, beta):
    """Of differences."""
    if beta == 1:
        return _huber_each(d, 1)
    d = op.abs(d)
    return op._where(d < beta, 0.5 * d * d / beta, d - 0.5 * beta)


def _smooth_steps(input, target, reduction, beta):
    if not streams(input, target):
        return None
    return over(_smooth_each(input - target, beta), reduction)


@general(
    lowered=_smooth_steps,
    vjp={
        "input": _smooth_vjp,
        "target": lambda g, input, target, reduction, beta: _smooth_vjp(g, target, input, reduction, beta),
    },
    promote="same",
    grad_fn="SmoothL1LossBackward0",
)
def _smooth_l1(input: Tensor, target: Tensor, reduction: Str, beta: Number):
    loss = pointwise(lambda a, b: _smooth_each(a - b, beta), (input, target))
    return reduced(loss, reduction)


@composite()
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
    beta: Number = 1.0,
):
    """Absolute differences, rounded off below `beta`.

    Value: ½ d² / β where |d| < β, else |d| − ½ β

    >>> smooth_l1_loss([1., 5.], [1.5, 2.], reduction="none")
    tensor([0.1250, 2.5000])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if beta < 0:
        raise ScriptValueError("smooth_l1_loss does not support negative values for beta.")
    input, target = same_sizes(input, target)
    if beta == 0:
        return over(op.abs(input - target), reduction)
    return op._smooth_l1(input, target, reduction, beta)


def _soft_slope(g, input, target, reduction):
    z = op.exp(-target * input)
    return -target * z / (z + 1) * share(g, input_size(input), reduction)


@general(vjp={"input": _soft_slope}, promote="same", grad_fn="SoftMarginLossBackward0")
def _soft_margin(input: Tensor, target: Tensor, reduction: Str):
    return reduced(np.log1p(np.exp(-target * input)), reduction)


@composite()
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
):
    """Logistic loss for targets 1 and −1.

    Value: log(1 + exp(−target · input))

    >>> soft_margin_loss([1., -1.], [1., 1.])
    tensor(0.8133)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    no_gradient("soft_margin_loss", target=target)
    if input.shape != target.shape:
        input, target = op.broadcast_tensors([input, target])
    return op._soft_margin(input, target, reduction)


# ---- made of other operations ------------------------------------------------------------------------------


@composite()
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
    log_target: Bool = False,
):
    """Kullback-Leibler divergence of log probabilities `input` from probabilities `target`.

    `reduction="batchmean"` divides the sum by the size of the first dimension, as the definition asks.

    Value: target (log target − input)

    >>> kl_div([-1., -1.], [0.5, 0.5], reduction="sum")
    tensor(0.3069)
    """
    batch = reduction == "batchmean" and size_average is None and reduce is None
    reduction = reduction_of(size_average, reduce, "sum" if batch else reduction)
    if log_target:
        losses = op.exp(target) * (target - input)
    else:
        losses = op.xlogy(target, target) - target * input
    y = over(losses, reduction)
    return y / input.shape[0] if batch and input.ndim else y


@composite()
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor,
    full: Bool = False,
    eps: Number = 1e-06,
    reduction: Str = "mean",
):
    """Negative log likelihood of `target` under normal distributions with mean `input` and variance `var`.

    Value: ½ (log var + (input − target)² / var), with var at least `eps`

    >>> gaussian_nll_loss([1.], [2.], [1.])
    tensor(0.5000)
    """
    if isinstance(var, (int, float)):
        if var < 0:
            raise ScriptValueError("var has negative entry/entries")
        var = op.ones_like(input) * float(var)
    elif bool(np.any(looked_at(var) < 0)):
        raise ScriptValueError("var has negative entry/entries")
    if var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = op.unsqueeze(var, -1)
        elif (
            input.ndim != var.ndim
            or sum(q for p, q in zip(input.shape, var.shape, strict=True) if p != q) != 1
        ):
            raise ScriptValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ScriptValueError(f"{reduction} is not valid")
    var = op._raised(var, eps)
    losses = (op.log(var) + op.pow(input - target, 2) / var) * 0.5
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return over(losses, reduction)


@general(vjp=lambda g: g, grad_fn="CloneBackward0", batch="pointwise")
def _raised(input: Tensor, eps: Number):
    """At least `eps`; the derivative does not know of it."""
    return np.maximum(input, input.dtype.type(eps))


@composite()
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: Bool = True,
    full: Bool = False,
    size_average: Bool | None = None,
    eps: Number = 1e-08,
    reduce: Bool | None = None,
    reduction: Str = "mean",
):
    """Negative log likelihood of counts `target` under Poisson distributions.

    Value: exp(input) − target · input, or input − target log(input + eps) without `log_input`

    >>> poisson_nll_loss([0.], [1.])
    tensor(1.)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    losses = op.exp(input) - target * input if log_input else input - target * op.log(input + eps)
    if full:
        stirling = target * op.log(target) - target + 0.5 * op.log(target * (2 * math.pi))
        losses = losses + op.where(target > 1, stirling, op.zeros_like(target))
    return over(losses, reduction)


@composite()
def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
):
    """Binary cross entropy of scores, averaged over the classes of each sample.

    >>> multilabel_soft_margin_loss([[0., 0.]], [[1., 0.]])
    tensor(0.6931)
    """
    losses = -(target * op.logsigmoid(input) + (1 - target) * op.logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    losses = op.sum(losses, input.ndim - 1) / input.shape[-1]
    if size_average is None and reduce is None and reduction not in ("none", "mean", "sum"):
        raise ScriptValueError(f"{reduction} is not valid")
    return over(losses, reduction_of(size_average, reduce, reduction))
