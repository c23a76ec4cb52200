"""Logical and bitwise operations, and predicates on elements."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP
from vardsl.engine.op import Op
from vardsl.engine.signature import wrong_kind
from vardsl.errors import ScriptTypeError, ScriptValueError
from vardsl.ops.define import Bool, Number, Tensor, array, composite, elementwise, op
from vardsl.ops.kinds import is_number, refuse


class _Comparison(Op):
    """Both tensors have the same dtype in PyTorch; a plain number takes that of the other."""

    def _promote(self, arrays: list[Any]) -> None:
        a, b = arrays[0], arrays[1]
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype != b.dtype:
            raise ScriptTypeError(f"{BY_NP[a.dtype].type_name} did not match {BY_NP[b.dtype].type_name}")
        super()._promote(arrays)


@elementwise(np.logical_and, numbers=False)
def logical_and(input: Tensor, other: Tensor):
    """Where both elements are true (not zero).

    >>> logical_and([true, true], [true, false])
    tensor([ True, False])
    """


@elementwise(np.logical_or, numbers=False)
def logical_or(input: Tensor, other: Tensor):
    """Where at least one element is true (not zero).

    >>> logical_or([true, false], [false, false])
    tensor([ True, False])
    """


@elementwise(np.logical_xor, numbers=False)
def logical_xor(input: Tensor, other: Tensor):
    """Where exactly one element is true (not zero).

    >>> logical_xor([true, true], [true, false])
    tensor([False,  True])
    """


@elementwise(np.logical_not)
def logical_not(input: Tensor):
    """Where the element is false (zero).

    >>> logical_not([true, false])
    tensor([False,  True])
    """


def _bits(kernel: str, ufunc: Any) -> Any:
    """The ufunc on integers and booleans; reals are refused."""

    def run(*arrays: Any) -> Any:
        if arrays[0].dtype.kind == "f":
            refuse(kernel, *arrays)
        return ufunc(*arrays)

    return run


def _truths_into(ufunc: Any) -> Any:
    """The one call that an operation on bits is, of two arrays of truth values."""

    def into(out: Any, scratch: Any, *arrays: Any) -> Any:
        truths = all(isinstance(a, np.ndarray) and a.dtype.char == "?" for a in (out, *arrays))
        return [(ufunc, (*arrays, out))] if truths else None

    return into


@elementwise(_bits("bitwise_and_cpu", np.bitwise_and), into=_truths_into(np.bitwise_and), plain=operator.and_)
def bitwise_and(input: Tensor, other: Tensor):
    """Bitwise and of integers, logical and of booleans, as `&`.

    >>> bitwise_and([6, 5], 3)
    tensor([2, 1])
    """


@elementwise(_bits("bitwise_or_cpu", np.bitwise_or), into=_truths_into(np.bitwise_or), plain=operator.or_)
def bitwise_or(input: Tensor, other: Tensor):
    """Bitwise or of integers, logical or of booleans, as `|`.

    >>> bitwise_or([6, 5], 3)
    tensor([7, 7])
    """


@elementwise(_bits("bitwise_xor_cpu", np.bitwise_xor), plain=operator.xor)
def bitwise_xor(input: Tensor, other: Tensor):
    """Bitwise exclusive or of integers, of booleans where they differ.

    >>> bitwise_xor([6, 5], 3)
    tensor([5, 6])
    """


@elementwise(
    _bits("bitwise_not_cpu", np.invert),
    plain=lambda input: not input if isinstance(input, bool) else ~input,
)
def bitwise_not(input: Tensor):
    """All bits of integers turned, the opposite of booleans, as `~`.

    >>> bitwise_not([0, 5])
    tensor([-1, -6])
    """


# ---- predicates ----


@elementwise(np.isfinite, inplace=False)
def isfinite(input: Tensor):
    """Where the elements are neither infinite nor nan.

    >>> isfinite([1., inf, nan])
    tensor([ True, False, False])
    """


@elementwise(np.isinf, inplace=False)
def isinf(input: Tensor):
    """Where the elements are infinite.

    >>> isinf([1., inf, nan])
    tensor([False,  True, False])
    """


@elementwise(np.isnan, inplace=False)
def isnan(input: Tensor):
    """Where the elements are nan.

    >>> isnan([1., inf, nan])
    tensor([False, False,  True])
    """


@elementwise(lambda input: np.equal(input, np.inf), inplace=False)
def isposinf(input: Tensor):
    """Where the elements are inf.

    >>> isposinf([inf, -inf])
    tensor([ True, False])
    """


@elementwise(lambda input: np.equal(input, -np.inf), inplace=False)
def isneginf(input: Tensor):
    """Where the elements are -inf.

    >>> isneginf([inf, -inf])
    tensor([False,  True])
    """


@elementwise(lambda input: np.ones(input.shape, bool), inplace=False)
def isreal(input: Tensor):
    """Where the elements are real: everywhere.

    >>> isreal([1., 2.])
    tensor([True, True])
    """


@elementwise(inplace=False, numbers=False, kind=_Comparison)
def isclose(
    input: Tensor, other: Tensor, rtol: Number = 1e-05, atol: Number = 1e-08, equal_nan: Bool = False
):
    """Where the elements are as good as equal.

    Value: abs(input - other) <= atol + rtol * abs(other)

    >>> isclose([1., 2.], [1., 2.1])
    tensor([ True, False])
    """
    if rtol < 0:
        raise ScriptValueError(f"rtol must be greater than or equal to zero, but got {rtol:g}")
    if atol < 0:
        raise ScriptValueError(f"atol must be greater than or equal to zero, but got {atol:g}")
    close = np.equal(input, other)
    if equal_nan and input.dtype.kind == "f":
        close = close | (np.isnan(input) & np.isnan(other))
    if rtol == 0 and atol == 0:
        return close
    a, b = (input, other) if input.dtype.kind == "f" else (input.astype(np.float32), other.astype(np.float32))
    difference = np.abs(a - b)
    return close | (np.isfinite(difference) & (difference <= atol + np.abs(rtol * b)))


@composite(pointwise=True)
def allclose(
    input: Tensor, other: Tensor, rtol: Number = 1e-05, atol: Number = 1e-08, equal_nan: Bool = False
):
    """Whether all elements are as good as equal.

    >>> allclose([1., 2.], [1., 2.000001])
    True
    """
    return bool(np.all(array(op.isclose(input, other, rtol, atol, equal_nan))))


@composite()
def equal(input: Tensor, other: Tensor):
    """Whether two tensors have the same shape and elements.

    >>> equal([1., 2.], [1., 2.])
    True
    """
    if is_number(input) and is_number(other):
        return input == other
    for i, x in enumerate((input, other)):
        if is_number(x) or isinstance(x, str):
            raise wrong_kind("equal", i, equal.signature.parameters[i], x)
    a, b = array(input), array(other)
    return bool(a.shape == b.shape and np.all(a == b))
