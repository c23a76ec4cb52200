"""Activation functions without corners: sigmoids, exponential and gaussian units."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vardsl.engine.casting import cast
from vardsl.errors import ScriptValueError
from vardsl.ops.activations import Activation, with_tail
from vardsl.ops.define import Bool, Number, Str, Tensor, composite, elementwise, general, op
from vardsl.ops.dims import dtype_of
from vardsl.ops.select import LARGE, bounded, choose, steps
from vardsl.ops.special import erf_of


def _sigmoid(input: Any) -> Any:
    return np.true_divide(1, 1 + np.exp(-input), dtype=input.dtype)


def _sigmoid_into(out, scratch, input):
    if input.dtype != out.dtype:
        return None
    one = cast(1, out.dtype)
    return [
        (np.negative, (input, out)),
        (np.exp, (out, out)),
        (np.add, (one, out, out)),
        (np.true_divide, (one, out, out)),
    ]


@elementwise(
    vjp=lambda g, y: g * (1 - y) * y,
    promote="float",
    overwrites=True,
    into=_sigmoid_into,
    aliases=("special.expit",),
)
def sigmoid(input: Tensor):
    """The logistic function.

    Value: 1 / (1 + exp(-input))
    Derivative: y * (1 - y)

    >>> sigmoid([0., 2.])
    tensor([0.5000, 0.8808])
    """
    return _sigmoid(input)


def _logsigmoid_steps(input):
    return op.clamp(input, None, 0) - op.log1p(op.exp(-op.abs(input)))


@elementwise(
    d=lambda input: op.sigmoid(-input),
    lowered=steps(_logsigmoid_steps),
    batch="pointwise",
    inplace=False,
    grad_fn="LogSigmoidBackward0",
    kernel_name="log_sigmoid_cpu",
    promote="float",
    kind=Activation,
)
def logsigmoid(input: Tensor):
    """Logarithm of the sigmoid, without underflow.

    Value: -log(1 + exp(-input))
    Derivative: sigmoid(-input)

    >>> logsigmoid([0., 2.])
    tensor([-0.6931, -0.1269])
    """
    return bounded(input, None, 0) - np.log1p(np.exp(-np.abs(input)))


@elementwise(
    vjp=lambda g, input: g * _silu_slope(input),
    lowered=steps(lambda input, inplace: input * op.sigmoid(input)),
    batch="pointwise",
    inplace=False,
    kernel_name="silu_cpu",
    promote="float",
    kind=Activation,
)
def silu(input: Tensor, inplace: Bool = False):
    """The element times its sigmoid, also called swish.

    Value: input * sigmoid(input)
    Derivative: s + input * s * (1 - s) with s = sigmoid(input)

    >>> silu([0., 2.])
    tensor([0.0000, 1.7616])
    """
    return input * _sigmoid(input)


def _silu_slope(input):
    s = op.sigmoid(input)
    return s + input * s * (1 - s)  # with the value itself as a part of it


def _softplus_tanh(input):
    """tanh(log(1 + exp(input))), which is 1 in both precisions from 20 on."""
    e = op.exp(op.clamp(input, None, 20.0))
    n = e * (e + 2)  # tanh(log(1 + e)) = n / (n + 2)
    return n / (n + 2)


def _mish_slope(input):
    s = op.sigmoid(input)
    t = _softplus_tanh(input)
    return t + input * s * (1 - t * t)


@elementwise(
    vjp=lambda g, input: g * _mish_slope(input),
    lowered=steps(lambda input, inplace: input * _softplus_tanh(input)),
    batch="pointwise",
    inplace=False,
    kernel_name="mish_cpu",
    promote="float",
    kind=Activation,
)
def mish(input: Tensor, inplace: Bool = False):
    """The element times the hyperbolic tangent of its softplus.

    Value: input * tanh(log(1 + exp(input)))
    Derivative: tanh(s) + input sigmoid(input) (1 − tanh(s)²), with s = softplus(input)

    >>> mish([0., 2.])
    tensor([0.0000, 1.9440])
    """
    return input * _softplus_tanh(input)


FAR = 88  # exp of this is about the largest float32


def _goes_over(input: Any, beta: float, threshold: float) -> bool:
    """Whether log(1 + exp(x)) is x anyway where PyTorch takes x, so that large tensors need no choice."""
    return beta == 1 and threshold == 20 and input.size >= LARGE and dtype_of(input) == np.float32


def _power(input):
    return op.exp(op.clamp(input, None, FAR))


def _softplus_slope(grad_output, input, beta, threshold):
    if _goes_over(input, beta, threshold):
        z = _power(input)
        return grad_output * (z / (z + 1))
    scaled = input * beta
    z = op.exp(scaled)
    return op._where(scaled > threshold, grad_output, grad_output * z / (z + 1))


def _softplus_curve(g, grad_output, input, beta, threshold):
    scaled = input * beta
    s = op.sigmoid(scaled)
    return op._where(scaled >= threshold, 0, g * grad_output * (s * (1 - s) * beta))


@general(
    vjp={
        "grad_output": lambda g, input, beta, threshold: op._softplus_backward(g, input, beta, threshold),
        "input": _softplus_curve,
    },
    grad_fn="SoftplusBackwardBackward0",
    lowered=steps(_softplus_slope),
    batch="pointwise",
    stream="pointwise",
)
def _softplus_backward(grad_output: Tensor, input: Tensor, beta: Number, threshold: Number):
    return _softplus_slope(grad_output, input, beta, threshold)


def _softplus_steps(input, beta, threshold):
    if _goes_over(input, beta, threshold):
        return op.maximum(input, op.log1p(_power(input)))
    scaled = input * beta
    return op._where(scaled > threshold, input, op.log1p(op.exp(scaled)) / beta)


@elementwise(
    vjp=lambda g, input, beta, threshold: op._softplus_backward(g, input, beta, threshold),
    lowered=steps(_softplus_steps),
    batch="pointwise",
    inplace=False,
    kernel_name="softplus_cpu",
    promote="float",
    kind=Activation,
)
def softplus(input: Tensor, beta: Number = 1, threshold: Number = 20):
    """A smooth relu; the element itself where beta * input is above `threshold`.

    Value: log(1 + exp(beta * input)) / beta
    Derivative: sigmoid(beta * input)

    >>> softplus([0., 2.])
    tensor([0.6931, 2.1269])
    """
    if _goes_over(input, beta, threshold):
        return _softplus_steps(input, beta, threshold)
    scaled = input * input.dtype.type(beta)
    return choose(scaled > threshold, input, np.log1p(np.exp(scaled)) / input.dtype.type(beta))


@composite(pointwise=True)
def softsign(input: Tensor):
    """input / (1 + abs(input)).

    Derivative: 1 / (1 + abs(input))**2

    >>> softsign([-1., 3.])
    tensor([-0.5000,  0.7500])
    """
    return input / (op.abs(input) + 1)


@composite(pointwise=True)
def tanhshrink(input: Tensor):
    """input - tanh(input).

    Derivative: tanh(input)**2

    >>> tanhshrink([0., 1.])
    tensor([0.0000, 0.2384])
    """
    return input - op.tanh(input)


# ---- exponential ----
#
# Below 0 and above it these have formulas of which each is neutral on the other side. Large tensors take both
# together: a choice between them would cost six more passes.


def _times(x, factor):
    return x if factor == 1 else x * factor


def _bent(input, rate):
    """rate * input up to 0, and 0 above."""
    return _times(op.clamp(input, None, 0), rate)


def _elu_slope(grad_output, input, positive, negative, rate):
    bent = grad_output * _times(op.exp(_bent(input, rate)), negative)
    if positive == negative:
        return bent
    return op._where(input > 0, _times(grad_output, positive), bent)


def _elu_curve_of(grad, input, negative, rate):
    bent = _times(op.exp(_bent(input, rate)), negative)
    return op._where(input < 0, grad * bent, 0)


@general(
    vjp={
        "grad_output": lambda g, input, positive, negative, rate: op._elu_backward(
            g, input, positive, negative, rate
        ),
        "input": lambda g, grad_output, input, negative, rate: op._elu_curve(
            g * grad_output, input, negative * rate, rate
        ),
    },
    grad_fn="EluBackwardBackward0",
    lowered=steps(_elu_slope),
    batch="pointwise",
    stream="pointwise",
)
def _elu_backward(grad_output: Tensor, input: Tensor, positive: Number, negative: Number, rate: Number):
    """The cotangent times `positive` where input > 0, else times negative * exp(rate * input)."""
    if input.size >= LARGE:
        return _elu_slope(grad_output, input, positive, negative, rate)
    bent = grad_output * (np.exp(np.minimum(input, 0) * rate) * negative)
    return choose(with_tail(input > 0, input, 4), grad_output * positive, bent)


@general(
    vjp={
        "grad": lambda g, input, negative, rate: op._elu_curve(g, input, negative, rate),
        "input": lambda g, grad, input, negative, rate: op._elu_curve(g * grad, input, negative * rate, rate),
    },
    lowered=steps(_elu_curve_of),
    batch="pointwise",
    stream="pointwise",
)
def _elu_curve(grad: Tensor, input: Tensor, negative: Number, rate: Number):
    """What higher derivatives multiply with: negative * exp(rate * input) below 0, and nothing from 0 on."""
    return _elu_curve_of(grad, input, negative, rate)


def _elu(x: Any, alpha: float, scale: float, rate: float) -> Any:
    """scale * x above 0, alpha * scale * (exp(rate * x) - 1) up to it."""
    if x.size >= LARGE:
        return _elu_steps(x, alpha, scale, rate)
    bent = np.expm1(bounded(x, None, 0) * x.dtype.type(rate)) * x.dtype.type(alpha * scale)
    return choose(x <= 0, bent, x * x.dtype.type(scale))


def _elu_steps(x: Any, alpha: float, scale: float, rate: float) -> Any:
    """The same of a large array, or a value."""
    negative = alpha * scale
    bent = _times(op.expm1(_bent(x, rate)), negative)
    if not 0 < negative < math.inf or not 0 < rate < math.inf:
        return op._where(x <= 0, bent, _times(x, scale))
    return _times(op.clamp(x, -0.0, None), scale) + bent


@elementwise(
    vjp=lambda g, input, alpha: op._elu_backward(g, input, 1.0, alpha, 1.0),
    lowered=steps(lambda input, alpha, inplace: _elu_steps(input, alpha, 1.0, 1.0)),
    batch="pointwise",
    grad_fn="EluBackward0",
    inplace_grad_fn="EluBackward1",
    kernel_name="elu_cpu",
    promote="float",
    kind=Activation,
)
def elu(input: Tensor, alpha: Number = 1.0, inplace: Bool = False):
    """Positive elements as they are, alpha * (exp(input) - 1) for the others.

    Value: input above 0, alpha (exp(input) − 1) below
    Derivative: 1 where input > 0, else alpha * exp(input)

    >>> elu([-1., 2.])
    tensor([-0.6321,  2.0000])
    """
    return _elu(input, alpha, 1.0, 1.0)


@elementwise(
    vjp=lambda g, input, alpha: op._elu_backward(g, input, 1.0, 1.0, 1.0 / alpha),
    lowered=steps(lambda input, alpha, inplace: _elu_steps(input, alpha, 1.0, 1.0 / alpha)),
    batch="pointwise",
    grad_fn="CeluBackward0",
    inplace_grad_fn="CeluBackward1",
    kernel_name="elu_cpu",
    promote="float",
    kind=Activation,
)
def celu(input: Tensor, alpha: Number = 1.0, inplace: Bool = False):
    """Positive elements as they are, alpha * (exp(input / alpha) - 1) for the others.

    Derivative: 1 where input > 0, else exp(input / alpha)

    >>> celu([-1., 2.])
    tensor([-0.6321,  2.0000])
    """
    if alpha == 0:
        raise ScriptValueError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _elu(input, alpha, 1.0, 1.0 / alpha)


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@elementwise(
    vjp=lambda g, input: op._elu_backward(g, input, SELU_SCALE, SELU_SCALE * SELU_ALPHA, 1.0),
    lowered=steps(lambda input, inplace: _elu_steps(input, SELU_ALPHA, SELU_SCALE, 1.0)),
    batch="pointwise",
    grad_fn="EluBackward0",
    inplace_grad_fn="EluBackward1",
    kernel_name="elu_cpu",
    promote="float",
    kind=Activation,
)
def selu(input: Tensor, inplace: Bool = False):
    """The scaled exponential unit, which keeps means at 0 and variances at 1.

    Value: s * input where input > 0, else s * a * (exp(input) - 1), with s = 1.0507…, a = 1.6733…
    Derivative: 1.0507 above 0, 1.0507 · 1.6733 exp(input) below

    >>> selu([-1., 2.])
    tensor([-1.1113,  2.1014])
    """
    return _elu(input, SELU_ALPHA, SELU_SCALE, 1.0)


# ---- gaussian ----

ROOT_HALF = math.sqrt(0.5)
ROOT_TWO_OVER_PI = math.sqrt(2 / math.pi)
CUBIC = 0.044715


def _gelu_slope(input, approximate):
    if approximate == "none":
        below = 0.5 * (1 + op.erf(input * ROOT_HALF))
        return below + input * (
            op.exp(-0.5 * input * input) * (0.5 * ROOT_TWO_OVER_PI * math.sqrt(2) * ROOT_HALF)
        )
    t = op.tanh(ROOT_TWO_OVER_PI * (input + CUBIC * input * input * input))
    inner = ROOT_TWO_OVER_PI * (1 + 3 * CUBIC * input * input)
    return 0.5 * (1 + t) + 0.5 * input * (1 - t * t) * inner


def _gelu_steps(input, approximate):
    if approximate != "none" or input.array.dtype.kind != "f":
        return None
    return input * (0.5 * (1 + op.erf(input * ROOT_HALF)))


@elementwise(
    vjp=lambda g, input, approximate: g * _gelu_slope(input, approximate),
    lowered=_gelu_steps,
    batch="pointwise",
    inplace=False,
    kernel_name="GeluKernelImpl",
    promote="float",
    kind=Activation,
)
def gelu(input: Tensor, *, approximate: Str = "none"):
    """The element times the share of a normal distribution below it.

    approximate="tanh" avoids the error function.

    Value: input * (1 + erf(input / sqrt(2))) / 2
    Derivative: Φ(input) + input φ(input)

    >>> gelu([-1., 2.])
    tensor([-0.1587,  1.9545])
    """
    if approximate == "none":
        return input * (input.dtype.type(0.5) * (1 + erf_of(input * input.dtype.type(ROOT_HALF))))
    if approximate == "tanh":
        inner = input + CUBIC * input * input * input
        return 0.5 * input * (1 + np.tanh(ROOT_TWO_OVER_PI * inner))
    raise ScriptValueError("approximate argument must be either none or tanh.")
