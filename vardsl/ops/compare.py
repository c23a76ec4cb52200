"""Comparisons, choices between tensors, and bounds."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from vardsl.engine.casting import cast
from vardsl.engine.context import state
from vardsl.engine.dtypes import BY_NP, b1, result_dtype
from vardsl.engine.op import Op
from vardsl.engine.signature import wrong_kind
from vardsl.errors import ScriptTypeError, ScriptValueError
from vardsl.ops.define import (
    Index,
    Tensor,
    composite,
    elementwise,
    op,
)
from vardsl.ops.kinds import TensorFirst, check_fits, is_number, refuse
from vardsl.ops.select import bounded, bounded_into, choose, choose_into


def _naming(stem: str) -> Callable[[Any], str]:
    return lambda other: f"{stem}Backward{0 if is_number(other) else 1}"


class _Choice(Op):
    """The condition takes no part in the promotion."""

    def _promote(self, arrays: list[Any]) -> None:
        condition, a, b = arrays
        alike = type(a) is type(b) is type(condition) is np.ndarray and a.dtype is b.dtype
        if alike and condition.dtype is b1:
            return
        dtype = result_dtype((a, b), state.ctx.default_dtype)
        arrays[:] = _condition(condition), cast(a, dtype), cast(b, dtype)


class _Bounds(Op):
    """Plain numbers as bounds: they must have a place in the dtype, and there is no kernel for booleans."""

    def _promote(self, arrays: list[Any]) -> None:
        bounds = arrays[1:]
        super()._promote(arrays)
        dtype = arrays[0].dtype
        if dtype.kind == "b":
            given = [
                p.name for p, b in zip(self.signature.parameters[1:], bounds, strict=True) if b is not None
            ]
            refuse(f"clamp_{given[0] + '_' if len(given) == 1 else ''}scalar_cpu", arrays[0])
        for bound in bounds:
            check_fits(bound, dtype)


@elementwise(np.equal, inplace_grad_fn=_naming("Eq"), plain=operator.eq, kind=TensorFirst)
def eq(input: Tensor, other: Tensor):
    """Where the elements are equal, as `==`.

    >>> eq([1, 2], [1, 3])
    tensor([ True, False])
    """


@elementwise(
    np.not_equal, inplace_grad_fn=_naming("Ne"), aliases=("not_equal",), plain=operator.ne, kind=TensorFirst
)
def ne(input: Tensor, other: Tensor):
    """Where the elements differ, as `!=`.

    >>> ne([1, 2], [1, 3])
    tensor([False,  True])
    """


@elementwise(np.less, inplace_grad_fn=_naming("Lt"), aliases=("less",), plain=operator.lt, kind=TensorFirst)
def lt(input: Tensor, other: Tensor):
    """Where `input` is less than `other`, as `<`.

    >>> lt([1, 2], 2)
    tensor([ True, False])
    """


@elementwise(
    np.less_equal,
    inplace_grad_fn=_naming("Le"),
    aliases=("less_equal",),
    plain=operator.le,
    kind=TensorFirst,
)
def le(input: Tensor, other: Tensor):
    """Where `input` is at most `other`, as `<=`.

    >>> le([1, 3], 2)
    tensor([ True, False])
    """


@elementwise(
    np.greater, inplace_grad_fn=_naming("Gt"), aliases=("greater",), plain=operator.gt, kind=TensorFirst
)
def gt(input: Tensor, other: Tensor):
    """Where `input` is greater than `other`, as `>`.

    >>> gt([1, 3], 2)
    tensor([False,  True])
    """


@elementwise(
    np.greater_equal,
    inplace_grad_fn=_naming("Ge"),
    aliases=("greater_equal",),
    plain=operator.ge,
    kind=TensorFirst,
)
def ge(input: Tensor, other: Tensor):
    """Where `input` is at least `other`, as `>=`.

    >>> ge([1, 3], 2)
    tensor([False,  True])
    """


# ---- the larger and the smaller of two ----


def _half_where_equal(g, input, other):
    return op._where(input == other, g / 2, g)


@elementwise(
    np.maximum,
    vjp=(
        lambda g, input, other: op._where(input < other, 0.0, _half_where_equal(g, input, other)),
        lambda g, input, other: op._where(input > other, 0.0, _half_where_equal(g, input, other)),
    ),
    inplace=False,
    numbers=False,
)
def maximum(input: Tensor, other: Tensor):
    """The larger of two tensors, element by element; nan where one is nan.

    Value: max(input, other)
    Derivative: 1 for the larger, 0 for the smaller, 1/2 for each where they are equal

    >>> maximum([1., 5.], [3., 2.])
    tensor([3., 5.])
    """


@elementwise(
    np.minimum,
    vjp=(
        lambda g, input, other: op._where(input > other, 0.0, _half_where_equal(g, input, other)),
        lambda g, input, other: op._where(input < other, 0.0, _half_where_equal(g, input, other)),
    ),
    inplace=False,
    numbers=False,
)
def minimum(input: Tensor, other: Tensor):
    """The smaller of two tensors, element by element; nan where one is nan.

    Value: min(input, other)
    Derivative: 1 for the smaller, 0 for the larger, 1/2 for each where they are equal

    >>> minimum([1., 5.], [3., 2.])
    tensor([1., 2.])
    """


def _first_of_max(input, other):
    return (input >= other) | op.isnan(other)


def _first_of_min(input, other):
    return (input <= other) | op.isnan(other)


@elementwise(
    np.fmax,
    vjp=(
        lambda g, input, other: op._where(_first_of_max(input, other), g, 0.0),
        lambda g, input, other: op._where(_first_of_max(input, other), 0.0, g),
    ),
    inplace=False,
    numbers=False,
)
def fmax(input: Tensor, other: Tensor):
    """The larger of two tensors, element by element; a nan loses against a number.

    Derivative: 1 for the larger, the first of two equal ones

    >>> fmax([1., nan], [3., 2.])
    tensor([3., 2.])
    """


@elementwise(
    np.fmin,
    vjp=(
        lambda g, input, other: op._where(_first_of_min(input, other), g, 0.0),
        lambda g, input, other: op._where(_first_of_min(input, other), 0.0, g),
    ),
    inplace=False,
    numbers=False,
)
def fmin(input: Tensor, other: Tensor):
    """The smaller of two tensors, element by element; a nan loses against a number.

    Derivative: 1 for the smaller, the first of two equal ones

    >>> fmin([1., nan], [3., 2.])
    tensor([1., 2.])
    """


# ---- where ----


def _condition(c: Any) -> Any:
    a = np.asarray(c)
    if a.dtype.kind == "b":
        return a
    if a.dtype != np.uint8:
        name = BY_NP[a.dtype].type_name
        raise ScriptTypeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {name}"
        )
    return a.astype(bool)


@elementwise(
    choose,
    vjp={
        "input": lambda g, condition: op._where(condition, g, 0),
        "other": lambda g, condition: op._where(condition, 0, g),
    },
    inplace=False,
    grad_fn="WhereBackward0",
    plain=lambda condition, input, other: input if condition else other,
    overwrites=True,
    into=choose_into,
    kind=_Choice,
)
def _where(condition: Index, input: Tensor, other: Tensor): ...


@composite(method="_where_method")
def where(condition: Index, input: Tensor | None = None, other: Tensor | None = None):
    """Elements of `input` where the condition holds, of `other` elsewhere; of a condition alone, indices.

    Derivative: the condition, and its opposite; what was not chosen leaks nothing, not even a nan

    >>> where([true, false], [1., 2.], [3., 4.])
    tensor([1., 4.])
    """
    if input is None and other is None:
        if is_number(condition):
            raise wrong_kind("where", 0, where.signature.parameters[0], condition)
        return op.unbind(op.nonzero(condition), 1)
    return _where.run([condition, input, other])


@composite()
def _where_method(input: Tensor, condition: Index, other: Tensor):
    return op._where(condition, input, other)


_where_method.name = "where"


# ---- bounds ----

NO_BOUND = "torch.clamp: At least one of 'min' or 'max' must not be None"


def _inside(input: Any, min: Any, max: Any) -> Any:
    """Where the derivative of a clamp is 1: between the bounds and on them."""
    if min is None:
        return input <= max
    return input >= min if max is None else (input >= min) & (input <= max)


def _clamp_into(out, scratch, input, min, max):
    numbers = all(b is None or is_number(b) for b in (min, max))
    return bounded_into(out, input, min, max) if numbers else None


@elementwise(
    vjp={"input": lambda g, input, min, max: op._where(_inside(input, min, max), g, 0)},
    grad_fn="ClampBackward1",
    overwrites=True,
    into=_clamp_into,
    kind=_Bounds,
)
def _clamp_number(input: Tensor, min: Tensor | None = None, max: Tensor | None = None):
    numbers = all(b is None or is_number(b) for b in (min, max))
    return bounded(input, min, max) if numbers and input.dtype.kind == "f" else _clamped(input, min, max)


def _below(g, input, min, max):
    """The gradient of the lower bound: where the input is below it, and it is not above the upper one."""
    below = input < min if max is None else (input < min) & (min < max)
    return op._where(below, g, 0)


def _above(g, input, min, max):
    above = input > max if min is None else (input > max) | (max < min)
    return op._where(above, g, 0)


@elementwise(
    vjp={
        "input": lambda g, input, min, max: op._where(_inside(input, min, max), g, 0),
        "min": _below,
        "max": _above,
    },
    grad_fn="ClampBackward0",
)
def _clamp_tensor(input: Tensor, min: Tensor | None = None, max: Tensor | None = None):
    return _clamped(input, min, max)


def _clamped(input: Any, min: Any, max: Any) -> Any:
    y = input if min is None else np.maximum(min, input)
    y = y if max is None else np.minimum(max, y)
    return y if y is not input else input.copy()


@composite(pointwise=True, inplace=True, aliases=("clip",))
def clamp(input: Tensor, min: Tensor | None = None, max: Tensor | None = None):
    """Each element, moved between `min` and `max`, of which one may be none.

    Derivative: 1 between the bounds and on them, 0 outside; of the bounds, 1 where they were taken

    >>> clamp([-2., 0.5, 2.], -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise ScriptValueError(NO_BOUND)
    if (min is None or is_number(min)) and (max is None or is_number(max)):
        return _clamp_number.run([input, min, max])
    return _clamp_tensor.run([input, min, max])


@elementwise(
    vjp={"input": lambda g, input, min: op._where(input >= min, g, 0)},
    grad_fn="ClampMinBackward0",
    overwrites=True,
    into=lambda out, scratch, input, min: _clamp_into(out, scratch, input, min, None),
    kind=_Bounds,
)
def _clamp_min_number(input: Tensor, min: Tensor):
    return _clamp_number.kernel(input, min, None)


@elementwise(
    np.maximum,
    vjp=(
        lambda g, input, min: op._where(input >= min, g, 0),
        lambda g, input, min: op._where(input < min, g, 0),
    ),
    grad_fn="ClampMinBackward1",
)
def _clamp_min_tensor(input: Tensor, min: Tensor): ...


_C_NAMES = {
    "int64": "long int", "int32": "int", "int16": "short int", "int8": "signed char",
    "uint8": "unsigned char",
    "bool": "bool",
}  # fmt: skip


def _fits(v, result):
    """PyTorch's clamps call the dtype that a real bound does not fit into by C++'s name."""
    if result.dtype.is_floating and not v.dtype.is_floating:
        raise ScriptTypeError(
            f"result type {result.dtype.type_name} can't be cast to the desired output type "
            f"{_C_NAMES[v.dtype.name]}"
        )


@composite(pointwise=True, inplace=True, kind=TensorFirst, inplace_check=_fits)
def clamp_min(input: Tensor, min: Tensor):
    """Each element, but at least `min`.

    Derivative: 1 from the bound on, 0 below

    >>> clamp_min([-1., 2.], 0)
    tensor([0., 2.])
    """
    return op._clamp_min_number(input, min) if is_number(min) else op._clamp_min_tensor(input, min)


@elementwise(
    vjp={"input": lambda g, input, max: op._where(input <= max, g, 0)},
    grad_fn="ClampMaxBackward0",
    overwrites=True,
    into=lambda out, scratch, input, max: _clamp_into(out, scratch, input, None, max),
    kind=_Bounds,
)
def _clamp_max_number(input: Tensor, max: Tensor):
    return _clamp_number.kernel(input, None, max)


@elementwise(
    np.minimum,
    vjp=(
        lambda g, input, max: op._where(input <= max, g, 0),
        lambda g, input, max: op._where(input > max, g, 0),
    ),
    grad_fn="ClampMaxBackward1",
)
def _clamp_max_tensor(input: Tensor, max: Tensor): ...


@composite(pointwise=True, inplace=True, kind=TensorFirst, inplace_check=_fits)
def clamp_max(input: Tensor, max: Tensor):
    """Each element, but at most `max`.

    Derivative: 1 up to the bound, 0 above

    >>> clamp_max([-1., 2.], 0)
    tensor([-1.,  0.])
    """
    return op._clamp_max_number(input, max) if is_number(max) else op._clamp_max_tensor(input, max)
