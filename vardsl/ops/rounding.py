"""Absolute values, signs, rounding, and the representation of numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vardsl.engine.op import Op
from vardsl.errors import ScriptTypeError
from vardsl.ops.arithmetic import zeros
from vardsl.ops.define import Int, NotImplementedRule, Number, Tensor, composite, elementwise, general, op
from vardsl.ops.kinds import NotBool, Reals, TensorFirst, is_number, refuse
from vardsl.ops.select import sign_into, sign_of


class _OneDtype(Op):
    """PyTorch wants both arguments in one dtype."""

    def _promote(self, arrays: list[Any]) -> None:
        a, b = arrays
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype != b.dtype:
            raise ScriptTypeError("heaviside is not yet implemented for tensors with different dtypes.")
        super()._promote(arrays)


class _Decimals(Op):
    """PyTorch has a node of its own for explicit `decimals`, be they 0."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        if keywords.get("decimals") == 0 and args and not is_number(args[0]):
            return op._round_decimals(*args, 0)
        return super().__call__(*args, **keywords)


@elementwise(
    np.abs,
    d=lambda input: op.sign(input),
    aliases=("absolute",),
    plain=abs,
    kernel_name="abs_cpu",
    kind=NotBool,
)
def abs_(input: Tensor):
    """Absolute value of each element.

    Value: |input|
    Derivative: sign(input), 0 at 0

    >>> abs([-1., 2.])
    tensor([1., 2.])
    """


@elementwise(vjp=zeros, into=sign_into)
def sign(input: Tensor):
    """-1, 0 or 1, as the element is negative, zero or positive.

    Derivative: 0

    >>> sign([-2., 0., 3.])
    tensor([-1.,  0.,  1.])
    """
    if input.dtype.kind == "b":
        return input.copy()
    return sign_of(input) if input.dtype.kind == "f" else np.sign(input)


@elementwise(vjp=zeros, into=sign_into)
def sgn(input: Tensor):
    """The sign of each element; for reals the same as `sign`.

    Derivative: 0

    >>> sgn([-2., 0., 3.])
    tensor([-1.,  0.,  1.])
    """
    return sign.kernel(input)


@elementwise(np.signbit, inplace=False)
def signbit(input: Tensor):
    """Where the sign bit is set: negative elements, and -0.

    >>> signbit([-1., 0., 2.])
    tensor([ True, False, False])
    """


def _rounded(ufunc: Any) -> Any:
    return lambda input: ufunc(input) if input.dtype.kind == "f" else input.copy()


@elementwise(_rounded(np.ceil), vjp=zeros, kernel_name="ceil_vml_cpu", kind=NotBool)
def ceil(input: Tensor):
    """Each element rounded up.

    Derivative: 0

    >>> ceil([0.2, -0.2])
    tensor([1., -0.])
    """


@elementwise(_rounded(np.floor), vjp=zeros, kernel_name="floor_vml_cpu", kind=NotBool)
def floor(input: Tensor):
    """Each element rounded down.

    Derivative: 0

    >>> floor([0.2, -0.2])
    tensor([ 0., -1.])
    """


@elementwise(_rounded(np.trunc), vjp=zeros, kernel_name="trunc_vml_cpu", aliases=("fix",), kind=NotBool)
def trunc(input: Tensor):
    """Each element rounded towards zero.

    Derivative: 0

    >>> trunc([1.7, -1.7])
    tensor([ 1., -1.])
    """


@elementwise(vjp=zeros, grad_fn="RoundBackward0", kernel_name="round_vml_cpu", kind=NotBool)
def _round(input: Tensor):
    return np.rint(input) if input.dtype.kind == "f" else input.copy()


@elementwise(vjp=zeros, grad_fn="RoundBackward1", kernel_name="round_cpu", kind=NotBool)
def _round_decimals(input: Tensor, decimals: Int):
    if input.dtype.kind != "f":
        if decimals:
            refuse("round_cpu", input)
        return input.copy()
    scale = input.dtype.type(10.0 ** abs(decimals))
    return np.rint(input * scale) / scale if decimals > 0 else np.rint(input / scale) * scale


@composite(
    pointwise=True,
    inplace=True,
    plain=lambda input, decimals: round(input, decimals or None),
    kind=_Decimals,
)
def round_(input: Tensor, *, decimals: Int = 0):
    """Each element rounded to the nearest whole number, halves to even ones, or to so many decimals.

    Derivative: 0

    >>> round([0.5, 1.5, 2.4])
    tensor([0., 2., 2.])
    """
    return op._round(input) if decimals == 0 else op._round_decimals(input, decimals)


@elementwise(vjp=lambda g: g)
def frac(input: Tensor):
    """What is left of each element after rounding towards zero.

    Value: input - trunc(input)
    Derivative: 1

    >>> frac([1.5, -1.5])
    tensor([ 0.5000, -0.5000])
    """
    if input.dtype.kind != "f":
        refuse("frac_cpu", input)
    return input - np.trunc(input)


@general(vjp=lambda g, y: g[0] / op.exp2(y[1]), fields="mantissa exponent", pointwise=True)
def frexp(input: Tensor):
    """Mantissa and exponent: input = mantissa * 2 ** exponent, the mantissa between 1/2 and 1.

    Derivative: of the mantissa, 2 ** -exponent

    >>> frexp([1., 6.]).mantissa
    tensor([0.5000, 0.7500])
    """
    if input.dtype.kind != "f":
        raise ScriptTypeError("torch.frexp() only supports floating-point dtypes")
    return np.frexp(input)


def _copysign_vjp(g, input, y):
    return g * op._where(input == 0, 0, y / input)


@elementwise(np.copysign, vjp=(_copysign_vjp, zeros), promote="float", grad_fn="CopysignBackward0")
def _copysign_tensor(input: Tensor, other: Tensor): ...


@elementwise(np.copysign, vjp={"input": _copysign_vjp}, promote="float", grad_fn="CopysignBackward1")
def _copysign_number(input: Tensor, other: Tensor): ...


@composite(pointwise=True, inplace=True, kind=TensorFirst)
def copysign(input: Tensor, other: Tensor):
    """The absolute value of `input` with the sign of `other`.

    Derivative: 1 or -1, 0 where input is 0; 0 in other

    >>> copysign([1., 2.], [-1., 1.])
    tensor([-1.,  2.])
    """
    return op._copysign_number(input, other) if is_number(other) else op._copysign_tensor(input, other)


@elementwise(
    np.nextafter,
    vjp=(lambda g, input, other: op._where(input != other, g, 0), zeros),
    kernel_name="nextafter_cpu",
    numbers=False,
    kind=Reals,
)
def nextafter(input: Tensor, other: Tensor):
    """The next representable number after `input` towards `other`.

    Derivative: 1 for `input` where the two differ, 0 for `other`

    >>> nextafter([1.], [2.]) > 1
    tensor([True])
    """


HEAVISIDE = NotImplementedRule("derivative for aten::heaviside is not implemented")


@elementwise(vjp=(HEAVISIDE, HEAVISIDE), grad_fn="NotImplemented", numbers=False, kind=_OneDtype)
def heaviside(input: Tensor, values: Tensor):
    """0 for negative elements, 1 for positive ones, `values` at 0.

    Value: 0 below 0, values at 0, 1 above

    >>> heaviside([-1., 0., 2.], [0.5])
    tensor([0.0000, 0.5000, 1.0000])
    """
    return np.where(input == 0, values, (input > 0).astype(input.dtype))


@elementwise(d=lambda input: op.isfinite(input))
def nan_to_num(
    input: Tensor, nan: Number | None = None, posinf: Number | None = None, neginf: Number | None = None
):
    """Numbers in place of nan (0 by default), inf and -inf (the largest and the smallest real).

    Derivative: 1 where the element is finite, else 0

    >>> nan_to_num([1., nan])
    tensor([1., 0.])
    """
    if input.dtype.kind != "f":
        return input.copy()
    of = np.finfo(input.dtype)
    y = np.where(np.isnan(input), input.dtype.type(nan or 0), input)
    y = np.where(input == np.inf, of.max if posinf is None else input.dtype.type(posinf), y)
    return np.where(input == -np.inf, of.min if neginf is None else input.dtype.type(neginf), y)


def _integers(kernel: str, input: Any, other: Any) -> None:
    if input.dtype.kind not in "iu":
        refuse(kernel, input, other)


@elementwise(plain=math.gcd, numbers=False)
def gcd(input: Tensor, other: Tensor):
    """Greatest common divisor of integers.

    >>> gcd([4, 9], [6, 6])
    tensor([2, 3])
    """
    _integers("gcd_cpu", input, other)
    return np.gcd(input, other)


@elementwise(plain=math.lcm, numbers=False)
def lcm(input: Tensor, other: Tensor):
    """Least common multiple of integers.

    >>> lcm([4, 9], [6, 6])
    tensor([12, 18])
    """
    _integers("lcm_cpu", input, other)
    return np.abs(input // np.maximum(np.gcd(input, other), 1) * other)
