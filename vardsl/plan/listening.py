"""Listens while an expression is evaluated as it stands, so that code can be made of it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import f4, f8
from vardsl.engine.infix import KERNELS
from vardsl.engine.value import Tracked, Value

_FAMILIES = ("elementwise", "general", "view", "nondiff")


class Free(Tracked):
    """A real number in the place of an operand, which may be another one every time. Beside a tensor a tensor
    stands for it; whatever else is done with it is done with the bare number, errors included."""

    __slots__ = ("looked_at", "place", "stand_ins", "value")

    def __init__(self, value: float, place: int) -> None:
        self.value = value
        self.place = place
        self.looked_at = False
        self.stand_ins: list[Value] = []

    def bare(self) -> float:
        self.looked_at = True
        return self.value

    pinned = bare

    def combined(self, fn: Callable[..., Any]) -> Any:
        return fn(self.bare())

    def beside(self, op: str, tensor: Value) -> Any:
        dtype = tensor.array.dtype
        if op not in KERNELS or (dtype is not f4 and dtype is not f8):
            return self.bare()
        self.stand_ins.append(Value(np.array(self.value, dtype)))
        return self.stand_ins[-1]


def _looking(operation: Callable[[Any, Any], Any], *, reflected: bool) -> Callable[..., Any]:
    """An operator of Python's on the number itself; of a tensor the other operand decides."""

    def call(self: Free, other: Any) -> Any:
        if type(other) is Value:
            return NotImplemented
        x = other.bare() if type(other) is Free else other
        return operation(x, self.bare()) if reflected else operation(self.bare(), x)

    return call


for _operation in (operator.add, operator.sub, operator.mul, operator.truediv):
    setattr(Free, f"__{_operation.__name__}__", _looking(_operation, reflected=False))
    setattr(Free, f"__r{_operation.__name__}__", _looking(_operation, reflected=True))


class Recorder:
    """Listens while an expression is evaluated as it stands; anything but an operation ends that.

    grads    which operands' gradients were looked at
    written  the operand that was changed in place in the end, as it was before
    """

    records = True
    defers = False

    def __init__(self, operands: Sequence[Any], *, changes: bool) -> None:
        self.told: list[tuple[Any, list[Any], Any]] | None = []
        self.operands = operands
        self.changes = changes
        self.grads: tuple[int, ...] = ()
        self.written: Any = None
        self.numbers: list[Free] = []

    def numbered(self, free: frozenset[int]) -> list[Any]:
        """The operands, with followed ones for numbers that may be any."""
        given = list(self.operands)
        for i in free:
            if type(given[i]) is float:
                given[i] = Free(given[i], i)
                self.numbers.append(given[i])
        return given

    def operation(self, op: Any, bound: list[Any], result: Any) -> None:
        if any(result is b for b in bound):
            return  # a cast to the same dtype and the like
        several = isinstance(result, tuple)
        whole = all(type(v) is Value for v in (result if several else (result,)))
        if not whole or op.family not in _FAMILIES or (several and op.family == "view"):
            self.refuse()
        elif self.written is not None:
            self.refuse()  # a change comes last
        elif self.told is not None:
            self.told.append((op, list(bound), result))

    def looked_at_grad(self, v: Value) -> None:
        found = [i for i, a in enumerate(self.operands) if a is v]
        if not found or v._grad is None:
            self.refuse()
        elif found[0] not in self.grads:
            self.grads = (*self.grads, found[0])

    def write(self, v: Value, result: Value) -> None:
        last = self.told[-1][2] if self.told else None
        if not self.changes or v is not self.operands[0] or result is not last or self.written is not None:
            self.refuse()
        else:
            self.written = v.array.copy()

    def settle(self) -> None:
        """Nothing waits."""

    def refuse(self, *_: Any) -> Any:
        self.told = None
        if state.ctx.tracer is self:
            state.ctx.tracer = None

    # whatever else a tracer is told of
    act = alias = constant = created = draws = escape = fail = input = moving_part = refuse
    accumulate = backward = cleared = operand = root = slot = update = refuse
