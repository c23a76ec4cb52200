"""In-place calls as data that PyTorch and the engine both read: the operation and its arguments.

`Y` is the intermediate result that is changed, `V` has a gradient, `P` has none, `I` is of integers.
"""

from __future__ import annotations

from typing import Any

Y = [0.3, -0.6, 0.8]
TENSORS: dict[str, tuple[Any, str, bool]] = {
    "V": ([0.5, 0.7, -1.2], "float64", True),
    "P": ([1.5, -0.4, 2.0], "float64", False),
    "Z": (0.25, "float64", True),
    "W": ([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], "float64", True),
    "S": ([1.5, 2.5, -0.5], "float32", False),
    "I": ([1, 2, 3], "int64", False),
    "B": ([True, False, True], "bool", False),
}
UNARY = [
    "abs", "acos", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "deg2rad", "digamma",
    "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "fix", "floor", "frac", "i0", "lgamma", "log",
    "log10", "log1p", "log2", "logit", "nan_to_num", "neg", "negative", "rad2deg", "reciprocal",
    "round", "rsqrt", "sigmoid", "sign", "sin", "sinc", "sinh", "sqrt", "square", "tan", "tanh",
    "trunc", "relu", "acosh",
]  # fmt: skip
CALLS: list[tuple[str, list[Any], dict[str, Any]]] = [(name, [], {}) for name in UNARY]
for _name in [
    "add", "sub", "mul", "div", "copysign", "fmod", "remainder", "pow", "float_power", "xlogy",
    "true_divide", "divide", "subtract", "multiply", "eq", "ne", "lt", "le", "gt", "ge",
    "clamp_min", "clamp_max",
]:  # fmt: skip
    CALLS += [(_name, [a], {}) for a in ("V", "P", "Z", 2, -1.5, "W", "S", "I")]
for _name in ["atan2", "hypot", "ldexp", "nextafter", "logical_and", "logical_or"]:
    CALLS += [(_name, [a], {}) for a in ("V", "P", "Z")]
CALLS += [
    ("add", ["V"], {"alpha": 2}),
    ("sub", [1.0], {"alpha": 0.5}),
    ("div", [2], {"rounding_mode": "floor"}),
    ("div", ["V"], {"rounding_mode": "trunc"}),
    ("round", [], {"decimals": 1}),
    ("logit", [0.1], {}),
    ("clamp", [0.0, 0.5], {}),
    ("clamp", ["P"], {}),
    ("clamp", [], {"max": 0.5}),
    ("clamp", [], {}),
    ("clip", [0.0, 0.5], {}),
    ("lerp", ["V", 0.25], {}),
    ("lerp", ["V", "P"], {}),
    ("addcmul", ["V", "P"], {"value": 2}),
    ("addcdiv", ["V", "P"], {}),
    ("copy", ["V"], {}),
    ("copy", ["S"], {}),
    ("copy", ["I"], {}),
    ("copy", ["Z"], {}),
    ("copy", ["W"], {}),
    ("fill", [3], {}),
    ("fill", ["Z"], {}),
    ("fill", ["V"], {}),
    ("zero", [], {}),
    ("polygamma", [1], {}),
    ("nan_to_num", [1.0], {}),
    ("heaviside", ["P"], {}),
    ("floor_divide", ["P"], {}),
    ("logical_not", [], {}),
    ("logical_xor", ["B"], {}),
    ("bitwise_and", ["I"], {}),
]
FUNCTIONAL: list[tuple[str, list[Any], dict[str, Any]]] = [
    (name, [], {"inplace": True})
    for name in [
        "relu",
        "relu6",
        "hardtanh",
        "elu",
        "selu",
        "celu",
        "leaky_relu",
        "silu",
        "mish",
        "hardswish",
        "hardsigmoid",
    ]
] + [("threshold", [0.1, 5.0], {"inplace": True})]
INTEGER = [
    ("add", [1.5], {}),
    ("add", [2], {}),
    ("div", [2], {}),
    ("mul", ["B"], {}),
    ("sqrt", [], {}),
    ("floor_divide", [2], {}),
    ("remainder", [2], {}),
    ("pow", [2], {}),
    ("pow", [-1], {}),
    ("eq", [2], {}),
    ("bitwise_and", [3], {}),
    ("bitwise_not", [], {}),
    ("copy", ["P"], {}),
    ("fill", [2.7], {}),
    ("clamp", [2, 3], {}),
    ("gcd", ["I"], {}),
    ("abs", [], {}),
    ("neg", [], {}),
    ("sub", ["P"], {}),
    ("logical_not", [], {}),
    ("relu", [], {}),
]
