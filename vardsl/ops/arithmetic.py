"""Sums, differences, products, quotients and remainders of elements."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from vardsl.engine.casting import cast
from vardsl.engine.op import Op, mismatch
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import NotImplementedRule, Number, Str, Tensor, array, composite, elementwise, op
from vardsl.ops.kinds import Overloads, TensorFirst, is_number, overload, refuse

TWO_BOOLS = (
    "Subtraction, the `-` operator, with two bool tensors is not supported. "
    "Use the `^` or `logical_xor()` operator instead."
)
ONE_BOOL = (
    "Subtraction, the `-` operator, with a bool tensor is not supported. "
    "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
)
NEGATED_BOOL = (
    "Negation, the `-` operator, on a bool tensor is not supported. "
    "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
)


def zeros(g):
    """The gradient of a step function: zero, and no part of the graph."""
    return op._zeros(g)


def _is_one(alpha):
    return type(alpha) is int and alpha == 1


def _scaled(x, alpha):
    """`alpha * x` in the dtype of `x`, under PyTorch's conditions on `alpha`."""
    if isinstance(alpha, bool) and x.dtype.kind != "b":
        raise ScriptTypeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and x.dtype.kind != "f":
        raise ScriptTypeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    return np.multiply(x, np.asarray(alpha).astype(x.dtype))


class _Subtraction(Op):
    """PyTorch refuses bool operands of a difference, whatever dtype the result would have."""

    def _promote(self, arrays: list[Any]) -> None:
        a, b = arrays[0], arrays[1]
        if _is_bool(a) or _is_bool(b):
            raise ScriptTypeError(TWO_BOOLS if _is_bool(a) and _is_bool(b) else ONE_BOOL)
        super()._promote(arrays)


class _Reversed(TensorFirst, Overloads):
    """A difference the other way round."""


class _Negation(Op):
    def _promote(self, arrays: list[Any]) -> None:
        if arrays[0].dtype.kind == "b":
            raise ScriptTypeError(NEGATED_BOOL)


class _Quotient(Overloads):
    """PyTorch has a node of its own for an explicit `rounding_mode`, be it none."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        if "rounding_mode" in keywords and keywords["rounding_mode"] is None:
            return op._div_exact(*args, **{k: v for k, v in keywords.items() if k != "rounding_mode"})
        return super().__call__(*args, **keywords)


@elementwise(
    d={"input": 1, "other": lambda alpha: alpha},
    infix=np.add,
    plain=lambda input, other, alpha: input + alpha * other,
)
def add(input: Tensor, other: Tensor, *, alpha: Number = 1):
    """Sum of two tensors, the second times `alpha`.

    Value: input + alpha * other
    Derivative: 1 and alpha

    >>> add([1., 2.], 10)
    tensor([11., 12.])
    >>> add([1., 2.], [3., 4.], alpha=2)
    tensor([ 7., 10.])
    """
    return np.add(input, other) if _is_one(alpha) else np.add(input, _scaled(other, alpha))


@elementwise(
    d={"input": 1, "other": lambda alpha: -alpha},
    infix=np.subtract,
    aliases=("subtract",),
    plain=lambda input, other, alpha: input - alpha * other,
    kind=_Subtraction,
)
def sub(input: Tensor, other: Tensor, *, alpha: Number = 1):
    """Difference of two tensors, the second times `alpha`.

    Value: input - alpha * other
    Derivative: 1 and -alpha

    >>> sub([1., 2.], 10)
    tensor([-9., -8.])
    """
    return np.subtract(input, other) if _is_one(alpha) else np.subtract(input, _scaled(other, alpha))


@elementwise(
    np.multiply, d=(lambda other: other, lambda input: input), aliases=("multiply",), plain=operator.mul
)
def mul(input: Tensor, other: Tensor):
    """Product of two tensors, element by element.

    Value: input * other
    Derivative: other and input

    >>> mul([1., 2.], [3., 4.])
    tensor([3., 8.])
    """


@elementwise(
    np.true_divide,
    vjp={
        "input": lambda g, other: op.true_divide(g, other),
        "other": lambda g, input, other: -g * op.true_divide(op.true_divide(input, other), other),
    },
    promote="float",
    grad_fn="DivBackward0",
)
def true_divide(input: Tensor, other: Tensor):
    """Quotient of two tensors, of integers as reals: what `/` computes.

    Value: input / other
    Derivative: 1 / other and -input / other**2

    >>> true_divide([1, 2], 4)
    tensor([0.2500, 0.5000])
    """


def _floor_quotient(input, other):
    """`floor(input / other)` in the dtype of the arguments; an integer divided by zero is PyTorch's error."""
    if input.dtype.kind != "f":
        _refuse_zero(other)
        if input.dtype.kind == "b":
            refuse("div_floor_cpu", input, other)
    return np.floor_divide(input, other)


def _refuse_zero(divisor):
    if not np.asarray(divisor).all():
        raise ScriptValueError("ZeroDivisionError", hint="an integer tensor is divided by zero here")


def _flat_in_input(g, other):
    """Zero; PyTorch keeps the operands all the same, so that a second pass is refused."""
    return op._zeros(g)


def _flat_in_other(g, input, other):
    return op._zeros(g)


@elementwise(vjp=(_flat_in_input, _flat_in_other), grad_fn="DivBackward2")
def _div_floor(input: Tensor, other: Tensor):
    return _floor_quotient(input, other)


@elementwise(vjp=(_flat_in_input, _flat_in_other), grad_fn="DivBackward2")
def _div_trunc(input: Tensor, other: Tensor):
    if input.dtype.kind == "f":
        return np.trunc(np.true_divide(input, other))
    if input.dtype.kind == "b":
        refuse("div_trunc_cpu", input, other)
    _refuse_zero(other)
    down = np.floor_divide(input, other)
    # Rounded down is one too few where the exact quotient is negative and no integer.
    return down + ((down < 0) & (down * other != input)).astype(input.dtype)


@composite(pointwise=True, inplace=True, aliases=("divide",), kind=_Quotient)
def div(input: Tensor, other: Tensor, *, rounding_mode: Str | None = None):
    """Quotient of two tensors; `rounding_mode` is none, "trunc" or "floor".

    Without rounding, integers are divided as reals.

    Value: input / other
    Derivative: 1 / other and -input / other**2; 0 with a rounding mode

    >>> div([1., 2.], 4)
    tensor([0.2500, 0.5000])
    >>> div([7., -7.], 2, rounding_mode="floor")
    tensor([ 3., -4.])
    """
    if rounding_mode is None:
        return op.true_divide(input, other)
    if rounding_mode == "floor":
        return op._div_floor(input, other)
    if rounding_mode == "trunc":
        return op._div_trunc(input, other)
    raise ScriptValueError(
        f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
    )


@elementwise(
    np.true_divide,
    vjp={
        "input": lambda g, other: g / other,
        "other": lambda g, input, other: -g * ((input / other) / other),
    },
    promote="float",
    grad_fn="DivBackward2",
)
def _div_exact(input: Tensor, other: Tensor): ...


overload(div, number=true_divide, tensor=true_divide, reverse=true_divide)


@composite()
def _rdiv(input: Tensor, other: Tensor):
    return op.reciprocal(input) * other


@elementwise(
    d=lambda y: -(y * y),
    promote="float",
    overwrites=True,
    into=lambda out, scratch, input: (
        [(np.true_divide, (cast(1, out.dtype), input, out))] if input.dtype == out.dtype else None
    ),
)
def reciprocal(input: Tensor):
    """One over each element.

    Value: 1 / input
    Derivative: -1 / input**2

    >>> reciprocal([2., 4.])
    tensor([0.5000, 0.2500])
    """
    return np.true_divide(1, input, dtype=input.dtype)


_FLOOR_DIVIDE = NotImplementedRule("derivative for aten::floor_divide is not implemented")


@elementwise(vjp=(_FLOOR_DIVIDE, _FLOOR_DIVIDE), infix=np.floor_divide, grad_fn="NotImplemented")
def floor_divide(input: Tensor, other: Tensor):
    """Quotient of two tensors, rounded down.

    Value: floor(input / other)

    >>> floor_divide([7, -7], 2)
    tensor([ 3, -4])
    """
    return _floor_quotient(input, other)


def _remainder(input, other):
    if input.dtype.kind != "f":
        _refuse_zero(other)
        if input.dtype.kind == "b":
            refuse("remainder_cpu", input, other)
    return np.remainder(input, other)


def _fmod(input, other):
    if input.dtype.kind != "f":
        _refuse_zero(other)
        if input.dtype.kind == "b":
            refuse("fmod_cpu", input, other)
    return np.fmod(input, other)


@elementwise(
    vjp={"input": lambda g: g, "other": lambda g, input, other: -g * op._div_floor(input, other)},
    infix=np.remainder,
    grad_fn="RemainderBackward1",
)
def _remainder_tensor(input: Tensor, other: Tensor):
    return _remainder(input, other)


@elementwise(vjp={"input": lambda g: g}, infix=np.remainder, grad_fn="RemainderBackward0")
def _remainder_number(input: Tensor, other: Tensor):
    return _remainder(input, other)


_NUMBER_REMAINDER = NotImplementedRule("derivative for aten::remainder is not implemented")


@elementwise(vjp={"other": _NUMBER_REMAINDER}, grad_fn="NotImplemented")
def _number_remainder(input: Tensor, other: Tensor):
    return _remainder(input, other)


@composite(pointwise=True, inplace=True, kind=Overloads)
def remainder(input: Tensor, other: Tensor):
    """Remainder of the division rounded down; it has the sign of the divisor, as `%`.

    Value: input - floor(input / other) * other
    Derivative: 1 and -floor(input / other)

    >>> remainder([5., -5.], 3)
    tensor([2., 1.])
    """
    if is_number(other):
        return op._remainder_number(input, other)
    if is_number(input):
        return op._number_remainder(input, other)
    return op._remainder_tensor(input, other)


@elementwise(
    vjp={"input": lambda g: g, "other": lambda g, input, other: -g * op._div_trunc(input, other)},
    grad_fn="FmodBackward1",
)
def _fmod_tensor(input: Tensor, other: Tensor):
    return _fmod(input, other)


@elementwise(vjp={"input": lambda g: g}, grad_fn="FmodBackward0")
def _fmod_number(input: Tensor, other: Tensor):
    return _fmod(input, other)


@composite(pointwise=True, inplace=True, kind=TensorFirst)
def fmod(input: Tensor, other: Tensor):
    """Remainder of the division rounded towards zero; it has the sign of the dividend, as in C.

    Value: input - trunc(input / other) * other
    Derivative: 1 and -trunc(input / other)

    >>> fmod([5., -5.], 3)
    tensor([ 2., -2.])
    """
    return op._fmod_number(input, other) if is_number(other) else op._fmod_tensor(input, other)


@elementwise(np.negative, d=-1, aliases=("negative",), plain=operator.neg, kind=_Negation)
def neg(input: Tensor):
    """The elements with the other sign.

    Value: -input
    Derivative: -1

    >>> neg([1., -2.])
    tensor([-1.,  2.])
    """


@composite(pointwise=True)
def positive(input: Tensor):
    """The tensor itself, as `+x` is.

    >>> positive([1., -2.])
    tensor([ 1., -2.])
    """
    if array(input).dtype.kind == "b":
        raise ScriptTypeError("The `+` operator, on a bool tensor is not supported.")
    return input


@composite(pointwise=True, kind=_Reversed)
def rsub(input: Tensor, other: Tensor, *, alpha: Number = 1):
    """`other` minus `alpha` times `input`.

    Value: other - alpha * input
    Derivative: -alpha and 1

    >>> rsub([1., 2.], 10)
    tensor([9., 8.])
    """
    return op._rsub_number(input, other, alpha) if is_number(other) else op._rsub_tensor(input, other, alpha)


def _reversed_difference(input, other, alpha):
    clash = mismatch(other.shape, input.shape)
    if clash is not None:
        raise ShapeError(
            clash, operands=[("input", str(list(input.shape))), ("other", str(list(other.shape)))]
        )
    return np.subtract(other, input if _is_one(alpha) else _scaled(input, alpha))


@elementwise(d={"input": lambda alpha: -alpha, "other": 1}, grad_fn="RsubBackward0", kind=_Subtraction)
def _rsub_tensor(input: Tensor, other: Tensor, alpha: Number = 1):
    return _reversed_difference(input, other, alpha)


@elementwise(d={"input": lambda alpha: -alpha, "other": 1}, grad_fn="RsubBackward1", kind=_Subtraction)
def _rsub_followed(input: Tensor, other: Tensor, alpha: Number = 1):
    """With a tensor in the place of a number."""
    return _reversed_difference(input, other, alpha)


@elementwise(
    d={"input": lambda alpha: -alpha},
    grad_fn="RsubBackward1",
    into=lambda out, scratch, input, other, alpha: (
        [(np.subtract, (cast(other, out.dtype), input, out))]
        if _is_one(alpha) and input.dtype == out.dtype
        else None
    ),
    overwrites=True,
    kind=_Subtraction,
)
def _rsub_number(input: Tensor, other: Tensor, alpha: Number = 1):
    return _reversed_difference(input, other, alpha)


def _is_bool(x: Any) -> bool:
    t = type(x)
    return t is bool or (t is not int and t is not float and x.dtype.kind == "b")


_rsub_number.infix(
    lambda input, other: np.subtract(other, input), on_scalars=lambda input, other: other - input
)
overload(rsub, number=_rsub_number, tensor=_rsub_tensor, reverse=_rsub_tensor, followed=_rsub_followed)
overload(remainder, number=_remainder_number, tensor=_remainder_tensor, reverse=_number_remainder)
