"""The calls of the promotion table: every pair of dtypes, with dimensions, 0-d, and numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

LETTERS = {
    "f": "float32",
    "d": "float64",
    "l": "int64",
    "i": "int32",
    "s": "int16",
    "c": "int8",
    "u": "uint8",
    "b": "bool",
}
INFIX: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "&": operator.and_,
    "|": operator.or_,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
FUNCTIONS = (
    "maximum",
    "minimum",
    "fmax",
    "fmod",
    "atan2",
    "copysign",
    "bitwise_xor",
    "logical_and",
    "gcd",
    "lcm",
    "logaddexp",
    "xlogy",
    "ldexp",
    "heaviside",
    "nextafter",
    "float_power",
    "rsub",
    "clamp_min",
    "isclose",
    "equal",
)
UNARY = (
    "neg",
    "abs",
    "sign",
    "sqrt",
    "exp",
    "floor",
    "round",
    "trunc",
    "frac",
    "square",
    "reciprocal",
    "sigmoid",
    "relu",
    "logical_not",
    "bitwise_not",
    "isnan",
    "signbit",
    "positive",
    "deg2rad",
    "sinc",
    "nan_to_num",
    "angle",
    "erf",
    "lgamma",
    "tanh",
    "frexp",
    "silu",
    "leaky_relu",
    "hardtanh",
    "relu6",
    "softsign",
    "softplus",
    "elu",
    "logit",
)
KINDS = ("rows", "row and 0-d", "0-d and row", "0-d")
NUMBERS: dict[str, int | float | bool] = {"int": 3, "float": 2.5, "bool": True, "negative": -2, "wide": 300}
LEFT = (7, -7, 1, 0)
RIGHT = (2, 3, -2, 5)

Make = Callable[[Any, str], Any]
"""Makes a tensor of these numbers in that dtype; numbers wrap."""


def operands(make: Make, left: str, right: str, kind: str) -> tuple[Any, Any]:
    first, second = LETTERS[left], LETTERS[right]
    a = make(LEFT[0], first) if kind.startswith("0-d") else make(list(LEFT), first)
    b = make(RIGHT[0], second) if kind.endswith("0-d") else make(list(RIGHT), second)
    return a, b


def calls(
    make: Make, function: Callable[[str], Callable[..., Any]]
) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """(row, column, call): a row is an operation with a kind of operands, a column a pair of dtypes."""
    named = {**INFIX, **{name: function(name) for name in FUNCTIONS}}
    for name, run in named.items():
        for kind in KINDS:
            for left in LETTERS:
                for right in LETTERS:
                    a, b = operands(make, left, right, kind)
                    yield f"{name} of {kind}", left + right, lambda run=run, a=a, b=b: run(a, b)
        for label, number in NUMBERS.items():
            for left in LETTERS:
                for kind, shaped in (("row", list(LEFT)), ("0-d", LEFT[0])):
                    a = make(shaped, LETTERS[left])
                    yield f"{name} of {kind}, {label}", left, lambda run=run, a=a, n=number: run(a, n)
                    if name in INFIX:
                        yield f"{name} of {label}, {kind}", left, lambda run=run, a=a, n=number: run(n, a)
    for name in UNARY:
        run = function(name)
        for left in LETTERS:
            a = make(list(LEFT), LETTERS[left])
            yield name, left, lambda run=run, a=a: run(a)
