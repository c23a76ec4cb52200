"""Absolute values, signs, rounding, and the representation of numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP
from vardsl.engine.op import Op
from vardsl.errors import ScriptTypeError
from vardsl.ops.arithmetic import zeros
from vardsl.ops.define import Int, NotImplementedRule, Number, Tensor, elementwise, general, op


@elementwise(np.abs, d=lambda input: op.sign(input), aliases=("absolute",), plain=abs)
def abs_(input: Tensor):
    """Absolute value of each element.

    Derivative: sign(input), 0 at 0

    >>> abs([-1., 2.])
    tensor([1., 2.])
    """


@elementwise(vjp=zeros)
def sign(input: Tensor):
    """-1, 0 or 1, as the element is negative, zero or positive.

    Derivative: 0

    >>> sign([-2., 0., 3.])
    tensor([-1.,  0.,  1.])
    """
    if input.dtype.kind == "b":
        return input.copy()
    return np.where(np.isnan(input), input.dtype.type(0), np.sign(input)) if input.dtype.kind == "f" else np.sign(input)


@elementwise(np.signbit, inplace=False)
def signbit(input: Tensor):
    """Where the sign bit is set: negative elements, and -0.

    >>> signbit([-1., 0., 2.])
    tensor([ True, False, False])
    """


class _Rounding(Op):
    """Integers are whole already; booleans are refused."""

    def _promote(self, arrays: list[Any]) -> None:
        if arrays[0].dtype.kind == "b":
            raise ScriptTypeError(f"\"{self.facts['kernel_name']}\" not implemented for 'Bool'")


def _rounded(ufunc: Any) -> Any:
    return lambda input: ufunc(input) if input.dtype.kind == "f" else input.copy()


@elementwise(_rounded(np.ceil), vjp=zeros, kernel_name="ceil_vml_cpu")
def ceil(input: Tensor):
    """Each element rounded up.

    Derivative: 0

    >>> ceil([0.2, -0.2])
    tensor([1., -0.])
    """


@elementwise(_rounded(np.floor), vjp=zeros, kernel_name="floor_vml_cpu")
def floor(input: Tensor):
    """Each element rounded down.

    Derivative: 0

    >>> floor([0.2, -0.2])
    tensor([ 0., -1.])
    """


@elementwise(_rounded(np.trunc), vjp=zeros, kernel_name="trunc_vml_cpu", aliases=("fix",))
def trunc(input: Tensor):
    """Each element rounded towards zero.

    Derivative: 0

    >>> trunc([1.7, -1.7])
    tensor([ 1., -1.])
    """
