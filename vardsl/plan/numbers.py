"""Plain numbers that a recorded run computes with: which of them are the same each time is not known yet.

While a run is recorded, numbers that it reads are handed in as a `Number`. What is computed from them is
noted in a table, so that a plan can compute it anew from other numbers. Where one decides something, the
outcome is noted: the plan applies while it comes out the same.
A number that was a tensor of the run (`loss.item()`) may be computed with, but decides nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine.casting import cast
from vardsl.engine.context import state
from vardsl.engine.dtypes import f4, f8
from vardsl.engine.value import Tracked, Value

MAX_BITS = 1 << 16  # integers beyond this are left to the statements, which know their limit
# operations that take a tensor of their own dtype in a number's place and give the same bits
_OPERANDS = frozenset(["add", "sub", "mul", "div", "rsub", "_rdiv", "add_", "sub_", "mul_", "div_"])


class Changed(Exception):
    """What was noted about a number does not hold this time."""


class Numbers:
    """The table of one recording: entries in order of computation, each from entries before it.

    reads    (place among what is read, entry)
    rules    (entry, function, arguments), for what is known before a replay
    late     the same for what depends on tensors of the run
    items    (entry, the tensor whose only element it is)
    outcomes (entry, what it must come out as)
    operands 0-d tensors that stand for an entry in the run's operations: (entry, tensor)
    """

    def __init__(self, tracer: Any) -> None:
        self.tracer = tracer
        self.template: list[Any] = []
        self.reads: list[tuple[int, int]] = []
        self.rules: list[tuple[int, Callable[..., Any], tuple[int, ...]]] = []
        self.late: list[tuple[int, Callable[..., Any], tuple[int, ...]]] = []
        self.items: list[tuple[int, Value | None, type]] = []
        self.outcomes: list[tuple[int, Any]] = []
        self.operands: list[tuple[int, Value]] = []
        self._is_late: set[int] = set()
        self._known: dict[Any, Value] = {}

    # ---- recording -----------------------------------------------------------------------------------------
    def fail(self, why: str) -> None:
        self.tracer.fail(why)

    def _entry(self, value: Any) -> int:
        self.template.append(value)
        return len(self.template) - 1

    def _made(self, value: Any, entry: int) -> Any:
        return Number(self, entry, value)

    def read(self, place: int, value: int | float) -> Any:
        """The number that stands for one that is read."""
        entry = self._entry(value)
        self.reads.append((place, entry))
        return self._made(value, entry)

    def item(self, v: Value, kind: type = object) -> Any:
        """The number in a tensor of the run; with `kind` a real or an integer made of it."""
        value = v.array.item() if kind is object else kind(v.array.item())
        if type(value) is bool:
            self.fail("a truth value of the run is looked at")
            return value
        entry = self._entry(value)
        self.items.append((entry, v, kind))
        self._is_late.add(entry)
        return self._made(value, entry)

    def is_known(self, number: Any) -> bool:
        """Whether it is an integer that is known before the run."""
        return type(number.value) is int and number.entry not in self._is_late

    def _place(self, x: Any) -> int:
        return x.entry if isinstance(x, Number) else self._entry(x)

    def combine(self, fn: Callable[..., Any], *args: Any) -> Any:
        """`fn` of numbers, noted. A truth value is a decision."""
        value = fn(*map(plain, args))
        if self.tracer is None or state.ctx.tracer is not self.tracer:
            return value
        places = tuple(map(self._place, args))
        late = any(p in self._is_late for p in places)
        if late and fn not in _SURE and not (fn is operator.truediv and places[1] not in self._is_late):
            self.fail("a number that the run computes is used where that may fail")
        entry = self._entry(value)
        if type(value) is not float and type(value) is not int:
            self._decision(entry, fn, places, value, late)
            return value
        (self.late if late else self.rules).append((entry, fn, places))
        if late:
            self._is_late.add(entry)
        return self._made(value, entry)

    def _decision(
        self, entry: int, fn: Callable[..., Any], places: tuple[int, ...], value: Any, late: bool
    ) -> None:
        if late:
            self.fail("what happens depends on a number that the run computes")
            return
        self.rules.append((entry, fn, places))
        self.outcomes.append((entry, value))

    def pin(self, number: Any) -> Any:
        """The bare number, where only this very one will do."""
        value = plain(number)
        if self.tracer is None or state.ctx.tracer is not self.tracer:
            return value
        if number.entry in self._is_late:
            self.fail("a number of the run is used where it cannot be followed")
        else:
            self.outcomes.append((number.entry, value))
        return value

    def operand(self, number: Any, dtype: Any) -> Any:
        """The 0-d tensor that stands for a number in an operation on tensors of a real dtype."""
        if self.tracer is None or state.ctx.tracer is not self.tracer:
            return plain(number)
        if number.entry in self._is_late:
            self.fail("a number of the run is used where it cannot be followed")
            return plain(number)
        key = (number.entry, dtype)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Value(np.array(cast(plain(number), dtype)))
            self.operands.append((number.entry, found))
            self.tracer.operand(found)
        return found

    # ---- replaying -----------------------------------------------------------------------------------------
    def evaluate(self, given: Sequence[Any]) -> list[Any]:
        """All entries that are known before the run. Raises Changed where a decision comes out otherwise."""
        values = self.template.copy()
        for place, entry in self.reads:
            x = given[place]
            if type(x) is not type(values[entry]):
                raise Changed
            values[entry] = x
        try:
            for entry, fn, places in self.rules:
                values[entry] = fn(*[values[p] for p in places])
        except (ArithmeticError, ValueError):
            raise Changed from None
        for entry, value in self.outcomes:
            if not same(values[entry], value):
                raise Changed
        for entry, v in self.operands:
            x = values[entry]
            v.array[...] = x if type(x) is float else cast(x, v.array.dtype)
        return values

    def finish(self, values: list[Any], tensors: Sequence[Value]) -> None:
        """Fills in what depends on the run: `tensors` are those of `items`."""
        for (entry, _, kind), v in zip(self.items, tensors, strict=True):
            x = v.array.item()
            values[entry] = x if kind is object else kind(x)
        for entry, fn, places in self.late:
            values[entry] = fn(*[values[p] for p in places])


def same(a: Any, b: Any) -> bool:
    """Whether two plain values are one: of the same type, and zeros with the same sign."""
    if type(a) is not type(b):
        return False
    return bool(a == b and (a or repr(a) == repr(b))) or (a != a and b != b)


def plain(x: Any) -> Any:
    """The bare number of one that is followed; everything else as it is."""
    return x.value if isinstance(x, Number) else x


def _bounded(fn: Callable[..., Any]) -> Callable[..., Any]:
    """An operation whose integers may grow beyond bounds."""

    def run(a: Any, b: Any) -> Any:
        value = fn(a, b)
        if type(value) is int and value.bit_length() > MAX_BITS:
            raise OverflowError
        return value

    return run


_product = _bounded(operator.mul)


# What never fails, so that it may be done after the run.
_SURE = frozenset([
    operator.add, operator.sub, _product, operator.neg, operator.pos, abs, operator.abs, bool, operator.eq,
    operator.ne, operator.lt, operator.le, operator.gt, operator.ge, min, max,
])  # fmt: skip


def _two(fn: Callable[[Any, Any], Any], *, swapped: bool = False) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, (int, float, Number)):
            return NotImplemented
        a, b = (other, self) if swapped else (self, other)
        return self.table.combine(fn, a, b)

    return method


class Number(Tracked):
    """A number that is followed. It is no number of Python's: where one is needed nothing else will pass."""

    __slots__ = ("entry", "table", "value")

    def __init__(self, table: Numbers, entry: int, value: int | float) -> None:
        self.table = table
        self.entry = entry
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)

    def bare(self) -> Any:
        return self.value

    def pinned(self) -> Any:
        return self.table.pin(self)

    def combined(self, fn: Callable[..., Any]) -> Any:
        return self.table.combine(fn, self)

    def beside(self, op: str, tensor: Value) -> Any:
        dtype = tensor.array.dtype
        if op in _OPERANDS and (dtype is f4 or dtype is f8):
            return self.table.operand(self, dtype)
        return self.table.pin(self)

    def __bool__(self) -> bool:
        return bool(self.table.combine(bool, self))

    def __neg__(self) -> Any:
        return self.table.combine(operator.neg, self)

    def __pos__(self) -> Any:
        return self.table.combine(operator.pos, self)

    def __abs__(self) -> Any:
        return self.table.combine(operator.abs, self)

    def __round__(self, digits: int | None = None) -> Any:
        return self.table.combine(lambda x: round(x, digits), self)

    __hash__ = None  # type: ignore[assignment]
    __add__, __radd__ = _two(operator.add), _two(operator.add, swapped=True)
    __sub__, __rsub__ = _two(operator.sub), _two(operator.sub, swapped=True)
    __mul__, __rmul__ = _two(_product), _two(_product, swapped=True)
    __truediv__, __rtruediv__ = _two(operator.truediv), _two(operator.truediv, swapped=True)
    __floordiv__, __rfloordiv__ = _two(operator.floordiv), _two(operator.floordiv, swapped=True)
    __mod__, __rmod__ = _two(operator.mod), _two(operator.mod, swapped=True)
    __eq__, __ne__ = _two(operator.eq), _two(operator.ne)
    __lt__, __le__ = _two(operator.lt), _two(operator.le)
    __gt__, __ge__ = _two(operator.gt), _two(operator.ge)
