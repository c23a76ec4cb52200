"""Lets the numbers of a run over large tensors come last, and computes them in one go.

While a `Deferring` listens, an operation whose result would be large, or that works on what waits, only
says what its result is like (`plan/shapes.py`). What waits is computed when somebody looks at a number, when
memory is about to change, and at the end of the run: laid out as a plan is, so that it streams through the
cache, and only what somebody still holds gets memory. A `Deferring` records the run like any `Tracer`; an
`Unrecorded` knows of nothing but what waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import Any
from weakref import ref

import numpy as np

from vardsl.engine.context import no_grad, state
from vardsl.engine.pending import Pending, pending
from vardsl.engine.tiles import aligned
from vardsl.engine.value import Value
from vardsl.errors import InternalError
from vardsl.plan.layout import Layout
from vardsl.plan.passes import final, merged
from vardsl.plan.shapes import views, what_becomes
from vardsl.plan.trace import Slot, Step, Tracer

LARGE = 200_000  # elements from which a result can wait
MOST_WAITING = 1000  # steps that wait before they are computed
MOST_HELD = 1 << 27  # bytes of arrays that nobody but steps that wait still needs
LOOKS = 8  # arrays after which these are counted again
MOST_TOLD = 10  # regions that are told of, each time that something is computed
MOST_IDLE = 5000  # operations without anything large among them, after which nothing large is expected


class Deferring(Tracer):
    """A tracer in whose runs numbers come last. A run that cannot be planned is deferred all the same."""

    defers = True

    def __init__(self, reads: Sequence[Any]) -> None:
        self.waiting: list[ref[Pending]] = []
        self.held: dict[Slot, Any] = {}  # the arrays that steps which wait read
        self.looks = LOOKS  # with so many, how much they hold is counted
        self.refs: list[ref[Any]] = []
        self.since = 0  # the steps before this one have been computed, as far as anybody needs them
        self.now = True  # whether the operation that is told of has been computed
        self.strong = False  # whether a plan may take its numbers for constants
        self.folded: set[Slot] = set()  # what constants alone have given
        self.streamed: list[str] = []  # the regions that have streamed, in words
        super().__init__(reads)

    def fail(self, why: str) -> None:
        """There will be no plan; numbers go on to wait."""
        if self.failed is None:
            self.failed = why

    # ---- what the engine asks ------------------------------------------------------------------------------
    def defer(self, op: Any, bound: list[Any]) -> Any:
        """The result of a call whose numbers can wait; None where the call is to be made now."""
        operands = [bound[i] for i in op.arrays if bound[i] is not None]
        found = self._found(op, bound) if self._may_wait(op, bound, operands) else None
        if found is None:
            for x in _values(operands):
                waiting = pending(x.array)
                if waiting is not None:
                    x.array = waiting.real()
            return None
        before, self.now = self.now, False
        try:
            return op._finished(op._wrap(found, bound, bound), bound)
        finally:
            self.now = before

    def _may_wait(self, op: Any, bound: Sequence[Any], operands: Sequence[Any]) -> bool:
        """Whether the call is large, or works on what waits, and the plan could not know its result."""
        values = [v for v in operands if type(v) is Value]
        if not values or any(type(v) is list for v in operands) or self._draws:
            return False
        large = op.family != "view" and any(v.array.size >= LARGE for v in values)
        if not large and not any(map(_waits, values)):
            return False
        return self.failed is not None or not self._folds(op, bound)

    def _folds(self, op: Any, bound: Sequence[Any]) -> bool:
        """Whether a plan would take the numbers of a result themselves, for a constant."""
        likes = [op.signature.index[name] for name in op.facts.get("likes", ())]
        given = [b for i, b in enumerate(bound) if i not in likes]
        return all(self._is_constant(v) for v in _values(given))

    def _is_constant(self, v: Value) -> bool:
        slot = self._known(v)
        return slot is not None and (slot.kind == "const" or slot in self.folded)

    def _known(self, v: Value) -> Slot | None:
        waiting = pending(v.array)
        if waiting is not None and waiting.slot is not None:
            return waiting.slot  # type: ignore[no-any-return]
        return self.slots.get(id(v)) or self.memory.get(id(v.array))

    def slot(self, v: Value) -> Slot:
        return self._known(v) or super().slot(v)

    def _found(self, op: Any, bound: list[Any]) -> Pending | None:
        """What stands for the result, or None where it cannot be told what that will be like."""
        if op.family == "view":
            return self._view(op, bound)
        lowered = op.facts.get("lowered")
        if lowered is not None:
            with no_grad():
                parts = lowered(*bound)
            return pending(parts.array) if type(parts) is Value else None
        kind = what_becomes(op, bound)
        if kind is None:
            return None
        if op.family == "elementwise" and len(op.arrays) > 1:
            op._reserve([v.array if type(v) is Value else None for v in bound])
        return Pending(aligned(kind.shape, kind.dtype), self.settle)

    def _view(self, op: Any, bound: list[Any]) -> Pending | None:
        """A view of what waits, in the memory where that will be."""
        k = op.arrays[0]
        source: Any = pending(bound[k].array)
        memory = views(op, [source.memory if i == k else b for i, b in enumerate(bound)])
        if memory is None:
            return None
        return Pending(memory, self.settle, source if source.root is None else source.root)

    def twin(self, v: Value) -> Value:
        """A value of the same numbers with memory of its own."""
        found: Any = Pending(aligned(v.array.shape, v.array.dtype), self.settle)
        twin = Value(found)
        self._wait(twin, found, self.slot(v))
        return twin

    def _wait(self, v: Value, found: Pending, slot: Slot) -> None:
        """What a value holds waits for a slot."""
        found.slot = slot
        found.holders.append(ref(v))
        self.waiting.append(ref(found))

    # ---- what is recorded ----------------------------------------------------------------------------------
    def operation(self, op: Any, bound: list[Any], result: Any) -> None:
        known = self.memory.get(id(result.array)) if type(result) is Value and not self.now else None
        if known is not None:  # what the operation is made of has been recorded
            self._note(self.slots, result, known)
            result.array.holders.append(ref(result))
            return
        self.strong = self.now and self._folds(op, bound)
        before = len(self.steps)
        super().operation(op, bound, result)
        if self.strong:
            self.folded.update(o for s in self.steps[before:] if type(s) is Step for o in s.outs)
        if len(self.steps) - self.since > MOST_WAITING or self._holds_much():
            self.settle()
            self.since = len(self.steps)

    def _holds_much(self) -> bool:
        """Whether memory that would be free by now waits for steps to be done."""
        if len(self.held) < self.looks:
            return False
        self.looks = len(self.held) + LOOKS
        alone: list[int] = [
            a.nbytes for a, n in zip(self.held.values(), _holders(self.held), strict=True) if n <= _ALONE
        ]
        return sum(alone) > MOST_HELD

    def _lower(self, body: Any, bound: list[Any], result: Any) -> bool:
        before, self.now = self.now, True
        try:
            return super()._lower(body, bound, result)
        finally:
            self.now = before

    def _argument(self, a: Any) -> Any:
        found = super()._argument(a)
        if type(found) is Slot and not self.now and not _waits(a):
            waited = pending(a.array)
            self.held[found] = a.array if waited is None else waited.memory
        return found

    def _new(self, kind: str, value: Value | None, array: Any, source: Any = None) -> Slot:
        """As a tracer's, but what is large is not kept for the sake of the recording."""
        waiting = pending(array)
        light = array.size >= LARGE and type(array) is np.ndarray and not self.strong
        light &= kind == "temp" or self.failed is not None
        if value is None or (waiting is None and not light):
            return super()._new(kind, value, array, source)
        memory = array if waiting is None else waiting.memory
        slot = super()._new("temp" if kind == "temp" else "input", None, memory, source)
        slot.array = np.broadcast_to(np.empty((), memory.dtype), memory.shape)
        self._note(self.slots, value, slot)
        self._note(self.memory, memory, slot)
        if waiting is not None:
            self._wait(value, waiting, slot)
            self._note(self.memory, waiting, slot)
        return slot

    def _note(self, table: dict[int, Slot], thing: Any, slot: Slot) -> None:
        """Knows a thing by a slot for as long as it lives."""
        table[id(thing)] = slot
        self.refs.append(ref(thing, _forgetting(table, id(thing), slot)))

    def write(self, v: Value, result: Value) -> None:
        self.settle()
        super().write(v, result)

    def update(self, optimizer: Any, changed: Sequence[tuple[int, Value, Value]]) -> None:
        self.settle()
        super().update(optimizer, changed)

    # ---- computing what waits ------------------------------------------------------------------------------
    def settle(self) -> None:
        """Computes what waits and is still held by somebody."""
        if not self.waiting:
            return
        found = [p for p in (r() for r in self.waiting) if p is not None and p.compute is not None]
        if found:
            ctx = state.ctx
            before, ctx.tracer = ctx.tracer, None
            try:
                with np.errstate(all="ignore"):
                    self._compute(found)
            finally:
                ctx.tracer = before
            for p in found:
                for there in (p, p.root):
                    if there is not None:
                        there.settled()
        self.waiting = []
        self.held.clear()
        self.looks = LOOKS
        self.refs = [r for r in self.refs if r() is not None]
        self.since = len(self.steps)

    def _compute(self, found: Sequence[Pending]) -> None:
        wanted = _wanted(found)
        steps, same = merged(self._behind(wanted), wanted)
        finals: dict[Slot, list[Pending]] = {}
        for slot, ps in wanted.items():
            finals.setdefault(final(slot, same), []).extend(ps)
        made = {o for step in steps for o in step.outs}
        places = {slot: ps[0].memory for slot, ps in finals.items() if slot in made}
        layout = Layout(list(steps), finals, self.held, places=places)
        layout.run()
        self.streamed += [note for note in layout.notes if note not in self.streamed][:MOST_TOLD]
        for slot, ps in finals.items():
            array = layout.array(slot)
            for p in ps:
                if p.memory is not array:
                    np.copyto(p.memory, array)

    def _behind(self, wanted: dict[Slot, Any]) -> list[Step]:
        """The steps that lead to the wanted slots from arrays that are there."""
        need = {s for s in wanted if s not in self.held}
        steps: list[Step] = []
        for step in reversed(self.steps[self.since :]):
            if type(step) is Step and any(o in need for o in step.outs):
                need.difference_update(step.outs)
                need.update(s for s in step.slots() if s not in self.held)
                steps.append(Step(step.op, list(step.args), step.outs))
        if need:
            raise InternalError("numbers that wait depend on some that nobody kept")
        steps.reverse()
        return steps


class Unrecorded(Deferring):
    """Lets numbers wait in a run that is not recorded."""

    records = False

    def __init__(self) -> None:
        super().__init__(())
        self.failed = "it is not recorded"
        self.idle = 0  # operations since one whose numbers wait

    def defer(self, op: Any, bound: list[Any]) -> Any:
        found = super().defer(op, bound)
        self.idle = self.idle + 1 if found is None else 0
        if self.idle > MOST_IDLE:
            state.ctx.stop_tracing()
        return found

    def operation(self, op: Any, bound: list[Any], result: Any) -> None:
        if not self.now:
            super().operation(op, bound, result)

    def settle(self) -> None:
        super().settle()
        if not self.waiting:
            self.steps.clear()
            self.since = 0

    def slot(self, v: Value) -> Slot:
        return self._known(v) or self._new("input", v, v.array)

    def write(self, v: Value, result: Value) -> None:
        self.settle()

    def update(self, optimizer: Any, changed: Sequence[tuple[int, Value, Value]]) -> None:
        self.settle()

    def _nothing(self, *args: Any, **keywords: Any) -> None:
        """What only a recording has to know."""

    draws = created = operand = alias = constant = escape = act = looked_at_grad = _nothing
    backward = accumulate = cleared = _nothing


def _holders(held: dict[Any, Any]) -> list[int]:
    """References to each array of a table, as many as this Python counts from here."""
    return [getrefcount(a) for a in held.values()]


_ALONE = _holders({0: np.empty(0)})[0]


def _values(given: Sequence[Any]) -> list[Value]:
    return [x for b in given for x in (b if type(b) is list else (b,)) if type(x) is Value]


def _waits(v: Any) -> bool:
    waiting = pending(v.array) if type(v) is Value else None
    return waiting is not None and waiting.compute is not None


def _wanted(found: Sequence[Pending]) -> dict[Slot, list[Pending]]:
    """What has to be computed, by slot: a view is there as soon as what it is a view of is."""
    wanted: dict[Slot, list[Pending]] = {}
    seen: set[int] = set()
    for p in found:
        whole = p if p.root is None else p.root
        if whole.compute is not None and id(whole) not in seen:
            seen.add(id(whole))
            wanted.setdefault(whole.slot, []).append(whole)
    return wanted


def _forgetting(table: dict[int, Slot], key: int, slot: Slot) -> Callable[[Any], None]:
    def gone(_: Any) -> None:
        if table.get(key) is slot:
            del table[key]

    return gone
