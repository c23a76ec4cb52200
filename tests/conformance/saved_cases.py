"""Expressions whose nodes are asked what they keep: by a second pass, and by changes in place.

Each is called with two intermediate results and a function that finds an operation by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Find = Callable[[str], Callable[..., Any]]
Case = Callable[[Any, Any, Find], Any]

UNARY = [
    "sin", "cos", "exp", "log", "sqrt", "tanh", "sigmoid", "relu", "floor", "round", "sign", "abs",
    "reciprocal", "rsqrt", "square", "erf", "lgamma", "digamma", "i0", "frac", "trunc", "expm1",
    "log1p", "log2", "log10", "exp2", "tan", "atan", "asinh", "sinc", "deg2rad", "rad2deg",
    "nan_to_num", "angle", "logit", "neg", "clone", "celu", "elu", "gelu", "hardshrink",
    "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish", "relu6", "selu",
    "silu", "softplus", "softshrink", "softsign", "tanhshrink", "double",
]  # fmt: skip
BINARY = [
    "maximum", "minimum", "fmax", "fmin", "atan2", "hypot", "logaddexp", "copysign", "xlogy",
    "fmod", "nextafter", "add",
]  # fmt: skip

CASES: dict[str, Case] = {
    "x + 1": lambda x, y, f: x + 1,
    "x * 2": lambda x, y, f: x * 2,
    "x / 2": lambda x, y, f: x / 2,
    "2 / x": lambda x, y, f: 2 / x,
    "1 - x": lambda x, y, f: 1 - x,
    "x - y": lambda x, y, f: x - y,
    "x * y": lambda x, y, f: x * y,
    "x / y": lambda x, y, f: x / y,
    "x * constant": lambda x, y, f: x * y.detach(),
    "constant * y": lambda x, y, f: x.detach() * y,
    "x / constant": lambda x, y, f: x / y.detach(),
    "constant / x": lambda x, y, f: y.detach() / x,
    "x ** 2": lambda x, y, f: x**2,
    "x ** y": lambda x, y, f: x**y,
    "x ** constant": lambda x, y, f: x ** y.detach(),
    "2 ** x": lambda x, y, f: 2**x,
    "x % 2": lambda x, y, f: x % 2,
    "x % y": lambda x, y, f: x % y,
    "maximum with constant": lambda x, y, f: f("maximum")(x, y.detach()),
    "where": lambda x, y, f: f("where")(x > y, x, y),
    "clamp by numbers": lambda x, y, f: f("clamp")(x, 0, 0.6),
    "clamp by tensor": lambda x, y, f: f("clamp")(x, y),
    "clamp_min": lambda x, y, f: f("clamp_min")(x, y),
    "lerp by number": lambda x, y, f: f("lerp")(x, y, 0.3),
    "lerp by tensor": lambda x, y, f: f("lerp")(x, y, y),
    "addcmul": lambda x, y, f: f("addcmul")(x, y, y),
    "addcdiv": lambda x, y, f: f("addcdiv")(x, y, y),
    "rounded quotient": lambda x, y, f: f("div")(x, y, rounding_mode="floor"),
    "softmax": lambda x, y, f: f("softmax")(x, dim=0),
    "log_softmax": lambda x, y, f: f("log_softmax")(x, dim=0),
    "threshold": lambda x, y, f: f("threshold")(x, 0.6, 1.0),
    "prelu of a sum": lambda x, y, f: f("prelu")(x, f("sum")(y)),
    **{name: lambda x, y, f, name=name: f(name)(x) for name in UNARY},
    **{f"{name} of two": lambda x, y, f, name=name: f(name)(x, y) for name in BINARY},
}
LEFT = [0.5, 0.7, 0.2]
RIGHT = [0.4, 0.3, 0.9]
CHANGED = ("x", "y", "result")
