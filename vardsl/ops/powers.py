"""Powers, roots, exponentials and logarithms of elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vardsl.engine.casting import cast
from vardsl.engine.op import Op
from vardsl.errors import ScriptTypeError, ScriptValueError
from vardsl.ops.define import Tensor, array, composite, elementwise, op
from vardsl.ops.kinds import Overloads, Reals, check_fits, is_number, overload, refuse

LN2 = math.log(2)
LN10 = math.log(10)
NEGATIVE_EXPONENT = "Integers to negative integer powers are not allowed."


def _power(input, exponent):
    if input.dtype.kind != "f":
        return _integer_power(input, exponent)
    if exponent.ndim == 0:
        n = exponent.item()
        if n == 2:
            return np.multiply(input, input)
        if n == 3:
            return input * input * input
        if n == 1:
            return input.copy()
        if n == 0.5:
            return np.sqrt(input)
        if n == -1:
            return np.true_divide(1, input, dtype=input.dtype)
        if n == -2:
            return np.true_divide(1, input * input, dtype=input.dtype)
        if n == -0.5:
            return np.true_divide(1, np.sqrt(input), dtype=input.dtype)
    return np.power(input, exponent)


def _integer_power(input, exponent):
    """PyTorch's integer power: a negative exponent gives 1, -1 or 0, as 1 / base**n rounded to zero."""
    if input.dtype.kind == "b":
        refuse("pow", input, exponent)
    negative = exponent < 0
    if not np.any(negative):
        return np.power(input, exponent)
    result = np.power(input, np.where(negative, exponent % 2, exponent))
    return np.where(negative & (np.abs(input) != 1), 0, result).astype(input.dtype)


def _power_slope(g, input, exponent):
    """g * exponent * input**(exponent - 1), and zero where the exponent is 0."""
    if is_number(exponent):
        if exponent == 0:
            return op.zeros_like(input)
        return g * (exponent * (input if exponent == 2 else op._pow_number(input, exponent - 1)))
    return op._where(exponent == 0, 0.0, g * (exponent * op._pow_tensor(input, op.sub(exponent, 1))))


def _exponent_slope(g, input, exponent, y):
    """g * input**exponent * log(input), and zero where the base is 0 and the exponent is not negative."""
    if is_number(input):
        if input == 0:
            return g * op._where(exponent >= 0, 0.0, y * -math.inf)
        return g * (y * (math.log(input) if input > 0 else math.nan))
    still = (input == 0) & (exponent >= 0)
    return g * op._where(still, 0.0, y * op.log(input))


class _Power(Op):
    """Checks a number as exponent of an integer tensor, as PyTorch does."""

    def _promote(self, arrays: list[Any]) -> None:
        base, exponent = arrays
        if type(exponent) is int and exponent < 0 and not is_number(base) and base.dtype.kind != "f":
            raise ScriptValueError(NEGATIVE_EXPONENT, hint="float(x) ** … gives reals")
        super()._promote(arrays)
        check_fits(exponent, arrays[0].dtype)


class _Scaling(Op):
    def _promote(self, arrays: list[Any]) -> None:
        a, b = arrays
        if isinstance(b, np.ndarray) and b.dtype.kind == "b" and a.dtype.kind == "f":
            refuse("ldexp_cpu_exp", b, a)
        super()._promote(arrays)


def _power_into(out, scratch, input, exponent):
    """The calls for the powers that `_power` takes apart."""
    if input.dtype != out.dtype or out.dtype.kind != "f" or not is_number(exponent):
        return None
    one = np.ones((), out.dtype)
    calls: dict[float, list[Any]] = {
        0: [(np.copyto, (out, one))],
        1: [(np.copyto, (out, input))],
        2: [(np.multiply, (input, input, out))],
        0.5: [(np.sqrt, (input, out))],
        -1: [(np.true_divide, (one, input, out))],
        -2: [(np.multiply, (input, input, out)), (np.true_divide, (one, out, out))],
        -0.5: [(np.sqrt, (input, out)), (np.true_divide, (one, out, out))],
    }
    return calls.get(exponent)


@elementwise(
    vjp={"input": _power_slope}, grad_fn="PowBackward0", kind=_Power, overwrites=True, into=_power_into
)
def _pow_number(input: Tensor, exponent: Tensor):
    if input.dtype.kind == "b":
        return input.copy() if exponent else np.ones_like(input)
    return _power(input, exponent)


@elementwise(vjp={"input": _power_slope, "exponent": _exponent_slope}, grad_fn="PowBackward1")
def _pow_tensor(input: Tensor, exponent: Tensor):
    return _power(input, exponent)


@elementwise(vjp={"exponent": _exponent_slope}, grad_fn="PowBackward2")
def _number_pow(input: Tensor, exponent: Tensor):
    return _power(input, exponent)


def _plain_power(input: Any, exponent: Any) -> Any:
    """A power of plain numbers; nan where there is no real one."""
    try:
        y = input**exponent
    except ZeroDivisionError:
        return math.inf
    except OverflowError:
        return math.inf if input > 0 or exponent % 2 == 0 else -math.inf
    return math.nan if isinstance(y, complex) else y


@composite(pointwise=True, inplace=True, plain=_plain_power, kind=Overloads)
def pow_(input: Tensor, exponent: Tensor):
    """Each element to the power of `exponent`, which may be a tensor, as `**`.

    Value: input ** exponent
    Derivative: exponent * input**(exponent - 1), 0 for exponent 0; input**exponent * log(input), 0 for base 0

    >>> pow([1., 2., 3.], 2)
    tensor([1., 4., 9.])
    >>> pow(2, [1., 2., 3.])
    tensor([2., 4., 8.])
    """
    if is_number(exponent):
        return _pow_number.run([input, exponent])
    if is_number(input):
        return _number_pow.run([input, exponent])
    return _pow_tensor.run([input, exponent])


def _needs_double(v, result):
    if v.array.dtype != np.float64:
        raise ScriptTypeError(
            f"the base given to float_power_ has dtype {v.dtype.type_name} but the operation's result "
            "requires dtype "
            "Double"
        )


@composite(pointwise=True, inplace=True, inplace_check=_needs_double)
def float_power(input: Tensor, exponent: Tensor):
    """Each element to the power of `exponent`, in double precision.

    >>> float_power([1., 2., 3.], 2)
    tensor([1., 4., 9.], dtype=torch.float64)
    """
    if not is_number(input):
        input = input if array(input).dtype == np.float64 else op._cast(input, np.dtype(np.float64))
    if not is_number(exponent):
        exponent = (
            exponent if array(exponent).dtype == np.float64 else op._cast(exponent, np.dtype(np.float64))
        )
    return op.pow(input, exponent)


@composite(pointwise=True, inplace=True, plain=lambda input: input * input)
def square(input: Tensor):
    """The square of each element.

    Value: input ** 2
    Derivative: 2 * input

    >>> square([1., -2.])
    tensor([1., 4.])
    """
    return _pow_number.binary(input, 2)


@elementwise(np.sqrt, vjp=lambda g, y: g / (2 * y), promote="float")
def sqrt(input: Tensor):
    """Square root of each element.

    Value: √input
    Derivative: 1 / (2 sqrt(input)), infinite at 0

    >>> sqrt([4., 9.])
    tensor([2., 3.])
    """


@elementwise(
    vjp=lambda g, y: -0.5 * g * (y * y * y),
    promote="float",
    overwrites=True,
    into=lambda out, scratch, input: (
        [(np.sqrt, (input, out)), (np.true_divide, (cast(1, out.dtype), out, out))]
        if input.dtype == out.dtype
        else None
    ),
)
def rsqrt(input: Tensor):
    """One over the square root of each element.

    Value: 1 / √input
    Derivative: -1/2 * input**(-3/2)

    >>> rsqrt([4., 16.])
    tensor([0.5000, 0.2500])
    """
    return np.true_divide(1, np.sqrt(input), dtype=input.dtype)


@elementwise(np.exp, d=lambda y: y, promote="float")
def exp(input: Tensor):
    """e to the power of each element.

    Value: exp(input)
    Derivative: exp(input)

    >>> exp([0., 1.])
    tensor([1.0000, 2.7183])
    """


@elementwise(np.exp2, vjp=lambda g, y: g * y * LN2, promote="float", aliases=("special.exp2",))
def exp2(input: Tensor):
    """2 to the power of each element.

    Value: 2 ** input
    Derivative: exp2(input) * log(2)

    >>> exp2([0., 3.])
    tensor([1., 8.])
    """


@elementwise(np.expm1, d=lambda y: y + 1, promote="float", aliases=("special.expm1",))
def expm1(input: Tensor):
    """exp(input) - 1, exact for small elements.

    Value: exp(input) − 1
    Derivative: exp(input)

    >>> expm1([0., 1.])
    tensor([0.0000, 1.7183])
    """


@elementwise(np.log, vjp=lambda g, input: g / input, promote="float")
def log(input: Tensor):
    """Natural logarithm of each element.

    Value: ln(input)
    Derivative: 1 / input

    >>> log([1., 2.])
    tensor([0.0000, 0.6931])
    """


@elementwise(np.log2, vjp=lambda g, input: g / (input * LN2), promote="float")
def log2(input: Tensor):
    """Logarithm to base 2 of each element.

    Value: log₂(input)
    Derivative: 1 / (input * log(2))

    >>> log2([1., 8.])
    tensor([0., 3.])
    """


def _log10(input):
    """In double precision, so that single precision has whole logarithms of powers of ten."""
    return np.log10(input, dtype=np.float64).astype(input.dtype, copy=False)


@elementwise(_log10, vjp=lambda g, input: g / (input * LN10), promote="float")
def log10(input: Tensor):
    """Logarithm to base 10 of each element.

    Value: log₁₀(input)
    Derivative: 1 / (input * log(10))

    >>> log10([1., 1000.])
    tensor([0., 3.])
    """


@elementwise(np.log1p, vjp=lambda g, input: g / (input + 1), promote="float", grad_fn="Log1PBackward0")
def log1p(input: Tensor):
    """log(1 + input), exact for small elements.

    Value: ln(1 + input)
    Derivative: 1 / (1 + input)

    >>> log1p([0., 1.])
    tensor([0.0000, 0.6931])
    """


@elementwise(
    np.logaddexp,
    vjp=(
        lambda g, input, other: g / (1 + op.exp(op.sub(other, input))),
        lambda g, input, other: g / (1 + op.exp(op.sub(input, other))),
    ),
    inplace=False,
    kernel_name="logaddexp_cpu",
    numbers=False,
    kind=Reals,
)
def logaddexp(input: Tensor, other: Tensor):
    """log(exp(input) + exp(other)), without overflow.

    Derivative: exp(input - y) and exp(other - y)

    >>> logaddexp([0., 1000.], [0., 1000.])
    tensor([6.9315e-01, 1.0007e+03])
    """


@elementwise(
    np.logaddexp2,
    vjp=(
        lambda g, input, other: g / (1 + op._number_pow(2, op.sub(other, input))),
        lambda g, input, other: g / (1 + op._number_pow(2, op.sub(input, other))),
    ),
    inplace=False,
    kernel_name="logaddexp2_cpu",
    numbers=False,
    kind=Reals,
)
def logaddexp2(input: Tensor, other: Tensor):
    """log2(2**input + 2**other), without overflow.

    Derivative: 2**(input - y) and 2**(other - y)

    >>> logaddexp2([0., 3.], [0., 3.])
    tensor([1., 4.])
    """


@elementwise(
    vjp={
        "input": lambda g, other: g * op._number_pow(2, other),
        "other": lambda g, y: g * y * LN2,
    },
    promote="float",
    numbers=False,
    kind=_Scaling,
)
def ldexp(input: Tensor, other: Tensor):
    """input times 2 to the power of `other`.

    Derivative: 2**other and input * 2**other * log(2)

    >>> ldexp([1., 3.], [1, 2])
    tensor([ 2., 12.])
    """
    return np.multiply(input, np.exp2(other))


def _xlogy(input, other):
    product = np.multiply(input, np.log(other))
    return np.where((input == 0) & ~np.isnan(other), product.dtype.type(0), product)


def _xlogy_input(g, input, other):
    still = (input == 0) & (other <= 0)
    return op._where(still, 0.0, op.xlogy(g, other))


def _xlogy_other(g, input, other):
    return g * input / other


@elementwise(vjp=(_xlogy_input, _xlogy_other), promote="float", grad_fn="XlogyBackward0")
def _xlogy_tensor(input: Tensor, other: Tensor):
    return _xlogy(input, other)


@elementwise(vjp={"other": _xlogy_other}, promote="float", grad_fn="XlogyBackward1")
def _xlogy_base(input: Tensor, other: Tensor):
    return _xlogy(input, other)


@elementwise(
    vjp={"input": lambda g, input, other: op.xlogy(g, other) if other > 0 else _xlogy_input(g, input, other)},
    promote="float",
    grad_fn="XlogyBackward2",
)
def _xlogy_number(input: Tensor, other: Tensor):
    return _xlogy(input, other)


@composite(pointwise=True, inplace=True, aliases=("special.xlogy",))
def xlogy(input: Tensor, other: Tensor):
    """input * log(other), and 0 where `input` is 0, whatever `other` is.

    Derivative: log(other) and input / other

    >>> xlogy([0., 2.], [0., 1.])
    tensor([0., 0.])
    """
    if is_number(other):
        return op._xlogy_number(input, other)
    return op._xlogy_base(input, other) if is_number(input) else op._xlogy_tensor(input, other)


for _overload in (_pow_number, _pow_tensor, _number_pow):
    _overload.infix(_power)
overload(pow_, number=_pow_number, tensor=_pow_tensor, reverse=_number_pow)
