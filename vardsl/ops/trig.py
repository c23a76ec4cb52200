"""Trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

import numpy as np

from vardsl.ops.define import Tensor, elementwise


@elementwise(np.tanh, d=lambda y: 1 - y * y, promote="float")
def tanh(input: Tensor):
    """Hyperbolic tangent of each element.

    >>> tanh([0., 1.])
    tensor([0.0000, 0.7616])
    """
