"""Trigonometric and hyperbolic functions, their inverses, and angles."""

from __future__ import annotations

import math

import numpy as np

from vardsl.engine.casting import scalar
from vardsl.ops.define import Tensor, elementwise, op


@elementwise(np.sin, d=lambda input: op.cos(input), promote="float")
def sin(input: Tensor):
    """Sine of each element, in radians.

    Value: sin(input)
    Derivative: cos(input)

    >>> sin([0., 1.])
    tensor([0.0000, 0.8415])
    """


@elementwise(np.cos, d=lambda input: -op.sin(input), promote="float")
def cos(input: Tensor):
    """Cosine of each element, in radians.

    Value: cos(input)
    Derivative: -sin(input)

    >>> cos([0., 1.])
    tensor([1.0000, 0.5403])
    """


@elementwise(np.tan, d=lambda y: 1 + y * y, promote="float")
def tan(input: Tensor):
    """Tangent of each element, in radians.

    Value: sin(input) / cos(input)
    Derivative: 1 + tan(input)**2

    >>> tan([0., 1.])
    tensor([0.0000, 1.5574])
    """


@elementwise(np.arcsin, d=lambda input: op.rsqrt(-input * input + 1), promote="float", aliases=("arcsin",))
def asin(input: Tensor):
    """Inverse sine of each element.

    Value: the x in [−π/2, π/2] with sin x = input
    Derivative: 1 / sqrt(1 - input**2)

    >>> asin([0., 1.])
    tensor([0.0000, 1.5708])
    """


@elementwise(np.arccos, d=lambda input: -op.rsqrt(-input * input + 1), promote="float", aliases=("arccos",))
def acos(input: Tensor):
    """Inverse cosine of each element.

    Value: the x in [0, π] with cos x = input
    Derivative: -1 / sqrt(1 - input**2)

    >>> acos([0., 1.])
    tensor([1.5708, 0.0000])
    """


@elementwise(np.arctan, vjp=lambda g, input: g / (input * input + 1), promote="float", aliases=("arctan",))
def atan(input: Tensor):
    """Inverse tangent of each element.

    Value: the x in (−π/2, π/2) with tan x = input
    Derivative: 1 / (1 + input**2)

    >>> atan([0., 1.])
    tensor([0.0000, 0.7854])
    """


def _over_square(input, other):
    """One over the squared distance from the origin, and 0 there."""
    square = op.add(input * input, other * other)
    return op._where(square == 0, 0, op.reciprocal(square))


@elementwise(
    np.arctan2,
    vjp={
        "input": lambda g, input, other: op.mul(g, other) * _over_square(input, other),
        "other": lambda g, input, other: op.mul(g, -input) * _over_square(input, other),
    },
    promote="float",
    numbers=False,
    aliases=("arctan2",),
)
def atan2(input: Tensor, other: Tensor):
    """The angle of the points (other, input), in radians.

    Value: the angle of the point (other, input)
    Derivative: other / (input**2 + other**2) and -input / (input**2 + other**2)

    >>> atan2([0., 1.], [1., 1.])
    tensor([0.0000, 0.7854])
    """


@elementwise(np.sinh, d=lambda input: op.cosh(input), promote="float")
def sinh(input: Tensor):
    """Hyperbolic sine of each element.

    Value: (exp(input) − exp(−input)) / 2
    Derivative: cosh(input)

    >>> sinh([0., 1.])
    tensor([0.0000, 1.1752])
    """


@elementwise(np.cosh, d=lambda input: op.sinh(input), promote="float")
def cosh(input: Tensor):
    """Hyperbolic cosine of each element.

    Value: (exp(input) + exp(−input)) / 2
    Derivative: sinh(input)

    >>> cosh([0., 1.])
    tensor([1.0000, 1.5431])
    """


def _tanh_slope(y):
    if type(y) is not np.ndarray or not y.ndim or y.dtype.kind != "f":
        return 1 - y * y
    square = y * y
    return np.subtract(scalar(1, y.dtype), square, square)


@elementwise(np.tanh, d=_tanh_slope, promote="float")
def tanh(input: Tensor):
    """Hyperbolic tangent of each element.

    Value: (exp(input) − exp(−input)) / (exp(input) + exp(−input))
    Derivative: 1 - tanh(input)**2

    >>> tanh([0., 1.])
    tensor([0.0000, 0.7616])
    """


@elementwise(
    np.arcsinh,
    d=lambda input: op.rsqrt(input * input + 1),
    promote="float",
    aliases=("arcsinh",),
    inplace_grad_fn="AsinhBackward1",
    inplace_refuses="the derivative for 'inplace version of asinh' is not implemented.",
)
def asinh(input: Tensor):
    """Inverse hyperbolic sine of each element.

    Value: ln(input + √(input² + 1))
    Derivative: 1 / sqrt(input**2 + 1)

    >>> asinh([0., 1.])
    tensor([0.0000, 0.8814])
    """


@elementwise(
    np.arccosh,
    d=lambda input: op.rsqrt(input * input - 1),
    promote="float",
    aliases=("arccosh",),
    inplace_grad_fn="AcoshBackward1",
    inplace_refuses="the derivative for 'inplace version of acosh' is not implemented.",
)
def acosh(input: Tensor):
    """Inverse hyperbolic cosine of each element.

    Value: ln(input + √(input² − 1))
    Derivative: 1 / sqrt(input**2 - 1)

    >>> acosh([1., 2.])
    tensor([0.0000, 1.3170])
    """


@elementwise(
    np.arctanh,
    vjp=lambda g, input: g / (1 - input * input),
    promote="float",
    aliases=("arctanh",),
    inplace_grad_fn="AtanhBackward1",
    inplace_refuses="the derivative for 'inplace version of atanh' is not implemented.",
)
def atanh(input: Tensor):
    """Inverse hyperbolic tangent of each element.

    Value: ½ ln((1 + input) / (1 − input))
    Derivative: 1 / (1 - input**2)

    >>> atanh([0., 0.5])
    tensor([0.0000, 0.5493])
    """


def _sinc_vjp(g, input):
    turned, square = input * math.pi, input * input * math.pi
    return op.where(square == 0.0, 0.0, g * ((turned * op.cos(turned) - op.sin(turned)) / square))


@elementwise(vjp=_sinc_vjp, promote="float", aliases=("special.sinc",))
def sinc(input: Tensor):
    """Normalised cardinal sine: sin(pi x) / (pi x), and 1 at 0.

    Value: sin(π input) / (π input)
    Derivative: (pi x cos(pi x) - sin(pi x)) / (pi x**2), 0 at 0

    >>> sinc([0., 0.5])
    tensor([1.0000, 0.6366])
    """
    turned = input * math.pi
    return np.where(input == 0, input.dtype.type(1), np.divide(np.sin(turned), turned))


@elementwise(
    np.hypot,
    vjp=(lambda g, input, y: g * op.div(input, y), lambda g, other, y: g * op.div(other, y)),
    numbers=False,
)
def hypot(input: Tensor, other: Tensor):
    """Length of the hypotenuse: sqrt(input**2 + other**2), without overflow.

    Value: √(input² + other²)
    Derivative: input / y and other / y

    >>> hypot([3.], [4.])
    tensor([5.])
    """


@elementwise(d=math.pi / 180, promote="float", grad_fn="Deg2RadBackward0")
def deg2rad(input: Tensor):
    """Degrees as radians.

    Derivative: pi / 180

    >>> deg2rad([0., 180.])
    tensor([0.0000, 3.1416])
    """
    return np.multiply(input, math.pi / 180)


@elementwise(d=180 / math.pi, promote="float", grad_fn="Rad2DegBackward0")
def rad2deg(input: Tensor):
    """Radians as degrees.

    Derivative: 180 / pi

    >>> rad2deg([0., pi])
    tensor([  0., 180.])
    """
    return np.multiply(input, 180 / math.pi)


@elementwise(vjp=lambda g, input: op._zeros(g), promote="float", inplace=False)
def angle(input: Tensor):
    """0 for positive elements, pi for negative ones.

    Derivative: 0

    >>> angle([1., -1.])
    tensor([0.0000, 3.1416])
    """
    half = np.where(input < 0, input.dtype.type(math.pi), input.dtype.type(0))
    return np.where(np.isnan(input), input, half)
