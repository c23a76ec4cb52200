"""Bessel functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vardsl.ops.define import Tensor, elementwise, nondiff, op
from vardsl.ops.special import functions, of_scipy


@elementwise(of_scipy("i0"), d=lambda input: op.special_i1(input), promote="float", aliases=("special.i0",))
def i0(input: Tensor):
    """Modified Bessel function of the first kind, order 0.

    Derivative: special.i1(input)

    >>> i0([0., 1.])
    tensor([1.0000, 1.2661])
    """


@elementwise(
    of_scipy("i0e"),
    d=lambda input, y: op.special_i1e(input) - op.sign(input) * y,
    promote="float",
    inplace=False,
    grad_fn="SpecialI0EBackward0",
)
def special_i0e(input: Tensor):
    """exp(-abs(input)) * i0(input).

    Derivative: special.i1e(input) - sign(input) * y

    >>> special.i0e([0., 1.])
    tensor([1.0000, 0.4658])
    """


def _away_from_zero(input, input_like):
    """Where an element is not tiny, and the elements with tiny ones replaced."""
    eps = float(np.finfo(input_like.dtype).eps)
    large = op.abs(input) > eps
    return large, op._where(large, input, eps)


def _i1_slope(input, y, input_like):
    large, x = _away_from_zero(input, input_like)
    return op._where(large, op.i0(x) - y * op.reciprocal(x), 0.5)


def _i1e_slope(input, y, input_like):
    large, x = _away_from_zero(input, input_like)
    return op._where(large, op.special_i0e(x) - y * (op.sign(x) + op.reciprocal(x)), 0.5)


@elementwise(of_scipy("i1"), d=_i1_slope, promote="float", inplace=False)
def special_i1(input: Tensor):
    """Modified Bessel function of the first kind, order 1.

    Derivative: i0(input) - y / input, 1/2 at 0

    >>> special.i1([0., 1.])
    tensor([0.0000, 0.5652])
    """


@elementwise(of_scipy("i1e"), d=_i1e_slope, promote="float", inplace=False, grad_fn="SpecialI1EBackward0")
def special_i1e(input: Tensor):
    """exp(-abs(input)) * special.i1(input).

    Derivative: special.i0e(input) - y * (sign(input) + 1 / input), 1/2 at 0

    >>> special.i1e([0., 1.])
    tensor([0.0000, 0.2079])
    """


# PyTorch leaves the first term out of the denominators below, which shows in the 7th digit beyond 5.
J0_ABOVE = (
    -0.011366383889846916, -1.2825271867050931, -19.553954425773597, -93.20601521237683,
    -177.68116798048806, -147.07750515495118, -51.41053267665993, -6.050143506007285,
)  # fmt: skip
J0_BELOW = (
    64.3178256118178, 856.4300259769806, 3882.4018360540163, 7240.467741956525,
    5930.727011873169, 2062.0933166032783, 242.0057402402914,
)  # fmt: skip
J1_ABOVE = (
    0.05108625947501766, 4.982138729512334, 75.82382841325453, 366.7796093601508,
    710.8563049989261, 597.4896124006136, 211.68875710057213, 25.207020585802372,
)  # fmt: skip
J1_BELOW = (
    74.23732770356752, 1056.4488603826283, 4986.410583376536, 9562.318924047562,
    7997.041604473507, 2826.1927851763908, 336.0936078106983,
)  # fmt: skip


def _bessel(name: str, above: Any, below: Any, phase: float, odd: bool) -> Any:
    """SciPy's function, with the deviation that PyTorch's rational approximation has for large elements."""

    def kernel(input: Any) -> Any:
        y = getattr(functions(), name)(input)
        x = np.maximum(np.abs(input), 5)
        z = 25 / (x * x)
        p, q = np.polyval(above, z), np.polyval(below, z)
        excess = (p / q - p / (z**7 + q)) * 5 / x * np.sin(x - phase) * math.sqrt(2 / math.pi) / np.sqrt(x)
        if odd:
            excess = np.copysign(1, input) * excess
        return np.where(np.abs(input) > 5, y - excess, y).astype(input.dtype, copy=False)

    return kernel


_j0 = _bessel("j0", J0_ABOVE, J0_BELOW, math.pi / 4, False)
_j1 = _bessel("j1", J1_ABOVE, J1_BELOW, 3 * math.pi / 4, True)


@nondiff(promote="float", pointwise=True)
def special_bessel_j0(input: Tensor):
    """Bessel function of the first kind, order 0; PyTorch has no derivative of it.

    >>> special.bessel_j0([0., 1.])
    tensor([1.0000, 0.7652])
    """
    return _j0(input)


@nondiff(promote="float", pointwise=True)
def special_bessel_j1(input: Tensor):
    """Bessel function of the first kind, order 1; PyTorch has no derivative of it.

    >>> special.bessel_j1([0., 1.])
    tensor([0.0000, 0.4401])
    """
    return _j1(input)
