"""Activation functions without corners: sigmoids, exponential and gaussian units."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vardsl.engine.casting import cast
from vardsl.errors import ScriptValueError
from vardsl.ops.activations import Activation
from vardsl.ops.define import Bool, Number, Str, Tensor, composite, elementwise, general, op
from vardsl.ops.select import choose
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


@elementwise(
    d=lambda input: op.sigmoid(-input),
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
    return np.minimum(input, 0) - np.log1p(np.exp(-np.abs(input)))


@elementwise(
    vjp=lambda g, input: g * _silu_slope(input),
    inplace=False,
    kernel_name="silu_cpu",
    promote="float",
    kind=Activation,
)
def silu(input: Tensor, inplace: Bool = False):
    """The element times its sigmoid, also called swish.

    Value: input * sigmoid(input)
    Derivative: s * (1 + input * (1 - s)) with s = sigmoid(input)

    >>> silu([0., 2.])
    tensor([0.0000, 1.7616])
    """
    return input * _sigmoid(input)


def _silu_slope(input):
    s = op.sigmoid(input)
    return s * (1 + input * (1 - s))


def _mish_slope(input):
    s = op.sigmoid(input)
    t = op.tanh(op.log1p(op.exp(input)))
    return t + input * s * (1 - t * t)


@elementwise(
    vjp=lambda g, input: g * _mish_slope(input),
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
    e = np.exp(np.minimum(input, 20))
    n = e * (e + 2)  # tanh(log(1 + e)) = n / (n + 2)
    return input * (n / (n + 2))


def _softplus_vjp(g, input, beta, threshold):
    scaled = input * beta
    return op._where(scaled > threshold, g, g * op.sigmoid(scaled))


@elementwise(vjp=_softplus_vjp, inplace=False, kernel_name="softplus_cpu", promote="float", kind=Activation)
def softplus(input: Tensor, beta: Number = 1, threshold: Number = 20):
    """A smooth relu; the element itself where beta * input is above `threshold`.

    Value: log(1 + exp(beta * input)) / beta
    Derivative: sigmoid(beta * input)

    >>> softplus([0., 2.])
    tensor([0.6931, 2.1269])
    """
    scaled = input * input.dtype.type(beta)
    return np.where(scaled > threshold, input, np.log1p(np.exp(scaled)) / input.dtype.type(beta))


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
    batch="pointwise",
    stream="pointwise",
)
def _elu_backward(grad_output: Tensor, input: Tensor, positive: Number, negative: Number, rate: Number):
    """The cotangent times `positive` where input > 0, else times negative * exp(rate * input)."""
    bent = np.exp(np.minimum(input, 0) * rate) * negative
    return choose(input <= 0, grad_output * bent, grad_output * positive)


@general(
    vjp={
        "grad": lambda g, input, negative, rate: op._elu_curve(g, input, negative, rate),
        "input": lambda g, grad, input, negative, rate: op._elu_curve(
            g * grad, input, negative * rate, rate
        ),
    },
    batch="pointwise",
    stream="pointwise",
)
def _elu_curve(grad: Tensor, input: Tensor, negative: Number, rate: Number):
    """What higher derivatives multiply with: negative * exp(rate * input) below 0, and nothing from 0 on."""
    return np.where(input < 0, grad * (np.exp(np.minimum(input, 0) * rate) * negative), grad.dtype.type(0))


def _elu(x: Any, alpha: float, scale: float, rate: float) -> Any:
    bent = np.expm1(np.minimum(x, 0) * x.dtype.type(rate)) * x.dtype.type(alpha * scale)
    return choose(x <= 0, bent, x * x.dtype.type(scale))


@elementwise(
    vjp=lambda g, input, alpha: op._elu_backward(g, input, 1.0, alpha, 1.0),
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
    return input * (1 + op.erf(input * ROOT_HALF)) * 0.5


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
        return input * (1 + erf_of(input * input.dtype.type(ROOT_HALF))) * input.dtype.type(0.5)
    if approximate == "tanh":
        inner = input + CUBIC * input * input * input
        return 0.5 * input * (1 + np.tanh(ROOT_TWO_OVER_PI * inner))
    raise ScriptValueError("approximate argument must be either none or tanh.")
