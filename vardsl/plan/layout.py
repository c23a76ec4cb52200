"""Steps laid out over fixed buffers, as NumPy calls that only have to be made one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from vardsl.engine.op import Op
from vardsl.engine.tiles import aligned
from vardsl.engine.together import Runner, buffers_of
from vardsl.plan.blocks import Blocked, cluster
from vardsl.plan.buffers import buffer_size
from vardsl.plan.passes import viewed
from vardsl.plan.pointwise import operands, pointwise_ufunc, positional
from vardsl.plan.sweep import runner
from vardsl.plan.trace import Slot, Step, Write, alike, order_of

Instruction = tuple[Callable[..., Any], tuple[Any, ...]]
Pool = dict[Any, list[Any]]
TINY = 64  # elements up to which a buffer is not worth sharing


class Unplannable(Exception):
    """Why a run cannot be planned, in words."""


class Layout:
    """The calls of some steps, and the buffers that they work on.

    given   arrays of slots that are there before: inputs, and what another layout has made
    kept    slots whose buffers must last: nothing else is put there later
    spare   buffers that may be used freely while these steps run
    places  where the results of some slots must be put
    stops   whether regions may be left by an interrupt, up to the first step that does something that lasts
    """

    def __init__(
        self,
        steps: list[Step | Write],
        kept: Iterable[Slot],
        given: Mapping[Slot, Any],
        spare: Iterable[Any] = (),
        places: Mapping[Slot, Any] | None = None,
        *,
        stops: bool = False,
    ) -> None:
        self.places = places or {}
        self.kept = set(kept)
        self.given = given
        self.buffers: dict[Slot, Any] = dict(given)
        self.own: set[Slot] = set()  # those whose buffer is neither an input nor a view of another
        self.scratches: dict[Any, Any] = {}
        self.program: list[Instruction] = []
        self.notes: list[str] = []
        self.stopping: list[Runner] = []  # what an interrupt may leave
        self.buffer: int | None = None  # the size of NumPy's buffers that suits the calls, or 0
        self.pool: Pool = {}
        for buffer in spare:
            self._release(buffer)
        ordered = cluster(steps, self.kept)
        flat = [s for item in ordered for s in (item.steps if type(item) is Blocked else [item])]
        self.streamed = [item for item in ordered if type(item) is Blocked]
        streamed = {s for item in self.streamed for s in item.made | item.folded}
        direct = _direct_writes(flat, self.kept)
        self.direct = {source: target for source, target in direct.items() if source not in streamed}
        last = _last_uses(flat, self.kept)
        for k, item in enumerate(ordered):
            if type(item) is Blocked:
                needed = self.kept | _read_after(ordered[k + 1 :])
                run = runner(item, self.array, self._allocate, needed)
                run.stops = stops
                if stops:
                    self.stopping.append(run)
                self.program.append((run, ()))
                self.notes.append(str(item))
            else:
                stops = stops and not self._lasts(item)
                self._instruct(item)
            for step in item.steps if type(item) is Blocked else [item]:
                for slot in last.get(id(step), ()):
                    if slot in self.own:
                        self._release(self.buffers[slot])

    def _lasts(self, item: Step | Write) -> bool:
        """Whether a step changes memory that is not the plan's, or the stream of random numbers."""
        if type(item) is Write:
            return True
        assert type(item) is Step
        return bool(item.op.facts.get("random")) or any(s in self.direct for s in item.outs)

    def run(self) -> None:
        if self.buffer is None:
            self.buffer = buffer_size(self.program)
        if self.buffer:
            with buffers_of(self.buffer):
                self._run()
        else:
            self._run()

    def _run(self) -> None:
        for fn, args in self.program:
            fn(*args)

    def array(self, x: Any) -> Any:
        """The buffer of a slot; anything else as it is."""
        if type(x) is not Slot:
            return x
        return x.array if x.kind == "const" else self.buffers[x]

    def _release(self, buffer: Any) -> None:
        if buffer.size > TINY:
            self.pool.setdefault((buffer.shape, buffer.dtype, order_of(buffer)), []).append(buffer)

    def _allocate(self, slot: Slot) -> Any:
        buffer = self.places.get(slot)
        if buffer is None:
            free = self.pool.get((slot.shape, slot.array.dtype, slot.order))
            buffer = free.pop() if free else _empty(slot)
            self.own.add(slot)
        self.buffers[slot] = buffer
        return buffer

    def _instruct(self, item: Step | Write) -> None:
        if type(item) is Write:
            if item.source not in self.direct:
                self.program.append((np.copyto, (self.array(item.target), self.array(item.source), "unsafe")))
            return
        assert type(item) is Step
        arrays = [[self.array(x) for x in a] if type(a) is list else self.array(a) for a in item.args]
        if item.op.family == "view":
            self._view(item, arrays)
        elif len(item.outs) > 1:
            self._several(item, arrays)
        else:
            self.program.extend(self._calls(item, arrays, self._place(item.outs[0])))

    def _place(self, slot: Slot) -> Any:
        """Where a result goes: straight into memory that it will be written to, or a buffer."""
        target = self.direct.get(slot)
        if target is None:
            return self._allocate(slot)
        out = self.buffers[slot] = self.array(target)
        return out

    def _calls(self, item: Step, arrays: list[Any], out: Any) -> list[Instruction]:
        ufunc = pointwise_ufunc(item.op, item.args)
        given = None if ufunc is None else operands(ufunc, arrays, out)
        if given is not None:
            return [(positional(ufunc), (*given, out))]
        into = item.op.facts.get("into") if order_of(out) is None else None
        calls: list[Instruction] | None = None if into is None else into(out, self._scratch, *arrays)
        return calls if calls is not None else [(_generic(item.op, arrays, out), ())]

    def _scratch(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A buffer that a step needs only while it runs: the same for all steps that ask for its kind."""
        found = self.scratches.get((shape, dtype))
        if found is None:
            found = self.scratches[shape, dtype] = aligned(shape, dtype)
        return found

    def _view(self, item: Step, arrays: list[Any]) -> None:
        y = item.op.kernel(*arrays)
        ys = y if type(y) is tuple else (y,)
        source = arrays[item.op.arrays[0]]
        for slot, a in zip(item.outs, ys, strict=True):
            if a.size and a.ndim and not np.may_share_memory(a, source):
                if len(ys) > 1:
                    raise Unplannable("a view that copies")
                self.program.append((_generic(item.op, arrays, self._allocate(slot)), ()))
            else:
                self.buffers[slot] = a

    def _several(self, item: Step, arrays: list[Any]) -> None:
        outs = [self._place(s) for s in item.outs]
        op = item.op

        def call() -> None:
            given = list(arrays)
            if op.promote is not None:
                op._promote(given)
            for out, y in zip(outs, op.kernel(*given), strict=True):
                if out is not y:
                    np.copyto(out, y)

        self.program.append((call, ()))


def _empty(slot: Slot) -> Any:
    """Memory for a slot, in the order that the recorded array had."""
    if slot.order is None:
        return aligned(slot.shape, slot.array.dtype)
    memory = aligned(tuple([slot.shape[d] for d in slot.order]), slot.array.dtype)
    return memory.transpose([slot.order.index(d) for d in range(memory.ndim)])


def _generic(op: Op, arrays: list[Any], out: Any) -> Callable[[], None]:
    kernel, promote = op.kernel, op.promote is not None

    def call() -> None:
        given = list(arrays)
        if promote:
            op._promote(given)
        y = kernel(*given)
        if y is not out:
            np.copyto(out, y)

    return call


def _direct_writes(steps: list[Any], kept: set[Slot]) -> dict[Slot, Slot]:
    """Results that nothing but one write needs: they are computed in the memory that is written to.

    The step must be pointwise, its result's only reader the write, and nothing in between may read the
    target, nor a view of it, nor fail.
    """
    of = viewed(steps)
    readers: dict[Slot, int] = {}
    for s in steps:
        for r in [s.source] if type(s) is Write else s.slots():
            readers[r] = readers.get(r, 0) + 1
    made: dict[Slot, int] = {}
    direct: dict[Slot, Slot] = {}
    for k, s in enumerate(steps):
        if type(s) is not Write:
            if (s.op.family == "elementwise" and len(s.outs) == 1) or s.op.facts.get("direct"):
                made.update(dict.fromkeys(s.outs, k))
            continue
        at = made.get(s.source)
        if at is None or readers[s.source] != 1 or s.source in kept or not alike(s.source, s.target):
            continue
        between = [
            t
            for t in steps[at + 1 : k]
            if type(t) is Write
            or t.op.family == "view"
            or t.fallible
            or any(of.get(x, x) is s.target for x in t.slots())
        ]
        if not any(type(t) is not Write or s.target in (t.source, t.target) for t in between):
            direct[s.source] = s.target
    return direct


def _last_uses(steps: list[Any], kept: set[Slot]) -> dict[int, list[Slot]]:
    """For each step the temporaries whose buffers it is the last to need (a view keeps its source needed)."""
    root = viewed(steps)
    last: dict[Slot, int] = {}
    for k, step in enumerate(steps):
        used = [step.source, step.target] if type(step) is Write else step.slots()
        for s in used:
            last[root.get(s, s)] = k
        if type(step) is Step:
            for o in step.outs:
                last.setdefault(root.get(o, o), k)
    made = {o for step in steps if type(step) is Step for o in step.outs}
    never = {root.get(s, s) for s in kept}
    found: dict[int, list[Slot]] = {}
    for s, k in last.items():
        if s in made and s not in never:
            found.setdefault(id(steps[k]), []).append(s)
    return found


def _read_after(items: list[Any]) -> set[Slot]:
    """The slots that later items read."""
    found: set[Slot] = set()
    for item in items:
        for s in item.steps if type(item) is Blocked else [item]:
            found.update((s.source, s.target) if type(s) is Write else s.slots())
    return found
