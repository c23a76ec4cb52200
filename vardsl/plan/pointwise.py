"""Pointwise steps as NumPy calls: a single ufunc where the operation amounts to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine.casting import scalar
from vardsl.engine.op import Op
from vardsl.ops.select import maximum_into, minimum_into
from vardsl.plan.trace import Slot, Step

Calls = list[tuple[Any, tuple[Any, ...]]]


def pointwise_ufunc(op: Op, args: Sequence[Any]) -> Any:
    """The ufunc that an elementwise step amounts to, or None."""
    if op.family != "elementwise":
        return None
    if isinstance(op.kernel, np.ufunc) and op.kernel.nout == 1 and op.kernel.nin == len(args):
        return op.kernel
    if isinstance(op.ufunc, np.ufunc) and len(args) > 2 and tuple(args[2:]) == op.rest:
        return op.ufunc
    return None


def operands(ufunc: Any, args: Sequence[Any], out: Any) -> list[Any] | None:
    """What a ufunc is called with where no operand needs a cast, or None.

    All arrays must be of one dtype, which is the result's unless that is a truth value. A plain number
    becomes an array only beside reals: next to others it may make the result a real.
    """
    given = args[: ufunc.nin]
    dtypes = {a.dtype for a in given if isinstance(a, (np.ndarray, np.generic))}
    if len(dtypes) != 1:
        return None
    (dtype,) = dtypes
    if dtype != out.dtype and out.dtype.kind != "b":
        return None
    numbers = any(not isinstance(a, (np.ndarray, np.generic)) for a in given)
    if numbers and dtype.kind != "f":
        return None
    return [a if isinstance(a, (np.ndarray, np.generic)) else scalar(a, dtype) for a in given]


def positional(ufunc: Any) -> Callable[..., Any]:
    """The ufunc as something that takes its `out` by position, which NumPy deprecates for these two."""
    found: Callable[..., Any] = _POSITIONAL.get(ufunc, ufunc)
    return found


_POSITIONAL: dict[Any, Callable[..., Any]] = {
    np.maximum: maximum_into,
    np.minimum: minimum_into,
}


def overwrites(step: Step) -> bool:
    """Whether the step's calls may put its result where an argument of the same dtype lies."""
    out = step.outs[0].array
    args = [a.array if type(a) is Slot else a for a in step.args]
    ufunc = pointwise_ufunc(step.op, step.args)
    if ufunc is not None and operands(ufunc, args, out) is not None:
        return True
    return bool(step.op.facts.get("overwrites")) and step.op.facts["into"](out, np.empty, *args) is not None


def pointwise_calls(step: Step, args: list[Any], out: Any, scratch: Callable[..., Any]) -> Calls:
    """The calls that put a pointwise step's result for some rows into `out`."""
    ufunc = pointwise_ufunc(step.op, step.args)
    given = None if ufunc is None else operands(ufunc, args, out)
    if given is not None:
        return [(positional(ufunc), (*given, out))]
    into = step.op.facts.get("into")
    calls: Calls | None = None if into is None else into(out, scratch, *args)
    if calls is not None:
        return calls
    return [(_Pointwise(step.op), (out, *map(_with_dimensions, step.args, args)))]


def _with_dimensions(was: Any, a: Any) -> Any:
    """An operand in as many dimensions as it had, since what dtype a result has depends on that."""
    if type(was) is Slot and was.shape and type(a) is np.ndarray and not a.ndim:
        return a.reshape((1,) * len(was.shape))
    return a


class _Pointwise:
    """A pointwise step whose body is no single ufunc."""

    def __init__(self, op: Op) -> None:
        self.op = op

    def __eq__(self, other: object) -> bool:
        return type(other) is _Pointwise and other.op is self.op

    def __hash__(self) -> int:
        return hash(self.op)

    def __call__(self, out: Any, *args: Any) -> None:
        given = list(args)
        if self.op.promote is not None:
            self.op._promote(given)
        np.copyto(out, self.op.kernel(*given), "unsafe")
