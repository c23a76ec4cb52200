"""A plan: the steps of a recorded run laid out over fixed buffers, and how it takes the place of the run.

A plan runs where what it was recorded for still holds (`_holds`), fills its buffers in straight-line NumPy
calls, and then makes the values that the run would have made: the same numbers, the same node for `grad_fn`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from sys import getrefcount
from typing import Any

import numpy as np

from vardsl.engine.casting import scalar
from vardsl.engine.context import state
from vardsl.engine.op import Op
from vardsl.engine.value import EPOCH, Node, Value, shared_counter
from vardsl.errors import Error
from vardsl.plan.blocks import Blocked, cluster, pointwise_ufunc
from vardsl.plan.passes import final, optimise
from vardsl.plan.trace import Slot, Step, Tracer, Write, unfinished

Instruction = tuple[Callable[..., Any], tuple[Any, ...]]
# Elements up to which results are copied out of their buffers; larger ones are handed over. A gradient is
# free again when the next turn clears it, a name is bound until the next turn is over.
COPY_GRADIENTS, COPY_NAMES = 1024, 1 << 20


class Unplannable(Exception):
    """Why a run cannot be planned, in words."""


class Plan:
    """One recorded run. `run(reads)` gives the values of the names it binds, or None where it does not
    apply."""

    def __init__(self, tracer: Tracer, reads: Sequence[Any], results: Sequence[Any]) -> None:
        if tracer.failed is not None:
            raise Unplannable(tracer.failed)
        ctx = state.ctx
        self.settings = (ctx.grad_enabled, ctx.default_dtype)
        self.epoch = EPOCH[0]
        self.reads = list(reads)
        self.arrays = [v.array if type(v) is Value else None for v in reads]
        self.facts = [_facts(v) for v in reads]
        self.grads_in = tracer.grads_in
        self.first_clear = tracer.first_clear
        self.cleared = [leaf for leaf, g in tracer.grads_out.items() if g is None]
        self.needs_none = [
            leaf
            for leaf, g in tracer.grads_out.items()
            if g is not None and leaf not in tracer.grads_in and leaf not in tracer.first_clear
        ]
        self.steps, same = optimise(tracer.steps, lambda same: self._wanted(tracer, results, same))
        self.inputs = dict(tracer.inputs)
        self.outputs = [self._output(tracer, r, same) for r in results]
        self.grads_out = [(leaf, final(g, same)) for leaf, g in tracer.grads_out.items() if g is not None]
        self.writes = _count_writes(self.steps)
        # an error is found again by the statements; gradients that they clear before that need not be put
        # back
        first = next((k for k, s in enumerate(tracer.steps) if type(s) is Step and s.fallible), None)
        self.restores = first is not None and tracer.last_clear > first
        self.copied: dict[int, Any] = {}
        self.buffers: dict[Slot, Any] = {}
        self.handed: dict[Slot, int] = {}
        self.program: list[Instruction] = []
        self.notes: list[str] = []
        self._check_order()
        self._lay_out()

    # ---- what the run gives --------------------------------------------------------------------------------
    def _wanted(self, tracer: Tracer, results: Sequence[Any], same: dict[Slot, Slot]) -> list[Slot]:
        wanted = [tracer.slot(r) for r in results if type(r) is Value]
        wanted += [g for g in tracer.grads_out.values() if g is not None]
        if tracer.failed is not None:
            raise Unplannable(tracer.failed)
        return [final(s, same) for s in wanted]

    def _output(self, tracer: Tracer, r: Any, same: dict[Slot, Slot]) -> tuple[Any, Node | None, int]:
        if type(r) is not Value:
            if isinstance(r, tuple):
                raise Unplannable("a tuple is bound")
            return r, None, 0
        slot = final(tracer.slot(r), same)
        for k, v in enumerate(self.reads):
            if v is r:
                return k, None, -1
        if r.base is not None or slot.kind == "input" or r._requires:
            raise Unplannable("a view or a new leaf is bound")
        if unfinished(r):
            raise Unplannable("a graph is still needed after the run")
        return slot, r._node, r.index

    def _check_order(self) -> None:
        """What may find a wrong index comes before the first write, so that it can still be undone."""
        written = False
        for step in self.steps:
            if type(step) is Write:
                written = True
            elif written and type(step) is Step and step.fallible:
                raise Unplannable("an index is used after a write")

    # ---- layout --------------------------------------------------------------------------------------------
    def _lay_out(self) -> None:
        self.scratches: dict[Any, Any] = {}
        self.direct = _direct_writes(self.steps, self._kept())
        self.buffers = {slot: self._input_array(k) for k, slot in self.inputs.items()}
        self.handed = {}
        self.program = []
        for slot in self.grads_in.values():
            self.buffers[slot] = np.empty_like(slot.array)
        pool: dict[Any, list[Any]] = {}
        self.notes = []
        ordered = cluster(self.steps)
        flat = [s for item in ordered for s in (item.steps if type(item) is Blocked else [item])]
        last = _last_uses(flat, self._kept())
        for k, item in enumerate(ordered):
            if type(item) is Blocked:
                needed = set(self._kept()) | _read_after(ordered[k + 1 :])
                self.program.append(item.instruction(self._array, self._allocate, needed))
                self.notes.append(str(item))
                continue
            self._instruct(item, pool)
            for slot in last.get(id(item), ()):
                buffer = self.buffers.get(slot)
                if buffer is not None and buffer.base is None and slot not in self.direct:
                    pool.setdefault((buffer.shape, buffer.dtype), []).append(buffer)

        self.given_grads = [(leaf, s, self._small(s, COPY_GRADIENTS)) for leaf, s in self.grads_out]
        self.given_names = [(w, n, i, self._small(w, COPY_NAMES)) for w, n, i in self.outputs]

    def _kept(self) -> list[Slot]:
        return [s for s, _, _ in self.outputs if type(s) is Slot] + [s for _, s in self.grads_out]

    def _input_array(self, k: int) -> Any:
        return self.copied[k] if k in self.copied else self.arrays[k]

    def _array(self, x: Any) -> Any:
        if type(x) is not Slot:
            return x
        return x.array if x.kind == "const" else self.buffers[x]

    def _allocate(self, slot: Slot) -> Any:
        buffer = self.buffers[slot] = np.empty(slot.shape, slot.array.dtype)
        return buffer

    def _instruct(self, item: Step | Write, pool: dict[Any, list[Any]]) -> None:
        if type(item) is Write:
            if item.source not in self.direct:
                self.program.append(
                    (np.copyto, (self._array(item.target), self._array(item.source), "unsafe"))
                )
            return
        assert type(item) is Step
        arrays = [[self._array(x) for x in a] if type(a) is list else self._array(a) for a in item.args]
        op = item.op
        if op.family == "view":
            self._view(item, arrays)
            return
        if len(item.outs) > 1:
            self._several(item, arrays)
            return
        out_slot = item.outs[0]
        target = self.direct.get(out_slot)
        free = pool.get((out_slot.shape, out_slot.array.dtype))
        if target is not None and self._array(target).dtype == out_slot.array.dtype:
            out = self._array(target)
        elif free and out_slot.array.size > 64:
            out = free.pop()
        else:
            out = np.empty(out_slot.shape, out_slot.array.dtype)
        self.buffers[out_slot] = out
        ufunc = pointwise_ufunc(op, item.args)
        if ufunc is not None and all(
            x.dtype == out.dtype for x in arrays[: ufunc.nin] if isinstance(x, np.ndarray)
        ):
            given: list[Any] = arrays[: ufunc.nin]
            numbers = [x if isinstance(x, np.ndarray) else scalar(x, out.dtype) for x in given]
            self.program.append((ufunc, (*numbers, out)))
            return
        into = op.facts.get("into")
        calls = None if into is None else into(out, self._scratch, *arrays)
        if calls is not None:
            self.program.extend(calls)
            return
        self.program.append((_generic(op, arrays, out), ()))

    def _scratch(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A buffer that a step needs only while it runs: the same for all steps that ask for its kind."""
        found = self.scratches.get((shape, dtype))
        if found is None:
            found = self.scratches[shape, dtype] = np.empty(shape, dtype)
        return found

    def _view(self, item: Step, arrays: list[Any]) -> None:
        y = item.op.kernel(*arrays)
        ys = y if type(y) is tuple else (y,)
        source = arrays[item.op.arrays[0]]
        for slot, a in zip(item.outs, ys, strict=True):
            if a.size and a.ndim and not np.may_share_memory(a, source):
                if len(ys) > 1:
                    raise Unplannable("a view that copies")
                self.buffers[slot] = out = np.empty(slot.shape, slot.array.dtype)
                self.program.append((_generic(item.op, arrays, out), ()))
            else:
                self.buffers[slot] = a

    def _several(self, item: Step, arrays: list[Any]) -> None:
        outs = [np.empty(s.shape, s.array.dtype) for s in item.outs]
        for slot, out in zip(item.outs, outs, strict=True):
            self.buffers[slot] = out
        op = item.op

        def call() -> None:
            given = list(arrays)
            if op.promote is not None:
                op._promote(given)
            for out, y in zip(outs, op.kernel(*given), strict=True):
                np.copyto(out, y)

        self.program.append((call, ()))

    # ---- running -------------------------------------------------------------------------------------------
    def run(self, reads: Sequence[Any]) -> tuple[Any, ...] | None:
        """The names' new values; None, with nothing done, where the plan does not apply."""
        ctx = state.ctx
        if (
            ctx.grad_enabled is not self.settings[0]
            or ctx.default_dtype is not self.settings[1]
            or ctx.anomaly
        ):
            return None
        if ctx.journal is not None:
            return None
        if EPOCH[0] != self.epoch or not all(map(is_, reads, self.reads)):
            if not self._same(reads):
                return None
            self.epoch = EPOCH[0]
        for leaf in self.needs_none:
            if leaf._grad is not None:
                return None
        for leaf, slot in self.grads_in.items():
            g = leaf._grad
            if g is None or g.array.shape != slot.shape:
                return None
            self.buffers[slot][...] = g.array
        cleared = [leaf._grad for leaf in self.first_clear] if self.restores else []
        for leaf in self.first_clear:
            leaf._grad = None
        if ctx.savepoint is not None:
            for v, _ in self.writes:
                ctx.savepoint.keep(v.array)
        if self.handed:
            self._renew()
        try:
            for fn, args in self.program:
                fn(*args)
        except Error:
            # the statements find it once more, where it belongs; nothing has been written yet
            for leaf, before in zip(self.first_clear, cleared):
                leaf._grad = before
            return None
        return self._finish(reads)

    def _same(self, reads: Sequence[Any]) -> bool:
        """Whether what is read is, one by one, what the plan was made for, or may stand in its place."""
        for k, v in enumerate(reads):
            if v is not self.reads[k] or (type(v) is Value and v.array is not self.arrays[k]):
                if not self._accept(k, v):
                    return False
            elif type(v) is Value:
                facts = self.facts[k]
                if facts is None or v._requires is not facts[2] or v._node is not None or v.hooks:
                    return False
        return True

    def _accept(self, k: int, v: Any) -> bool:
        """Whether another object may stand where the plan knew one: a tensor like it is copied in."""
        if type(v) is not Value:
            before = self.reads[k]
            return type(v) is type(before) and isinstance(v, (int, float, str)) and v == before
        if type(self.reads[k]) is not Value or self.facts[k] != _facts(v) or v.base is not None:
            return False
        if v._requires:
            return self._exchange(k, v)
        if k not in self.copied:
            self.copied[k] = np.array(v.array)
            self._lay_out()
        else:
            np.copyto(self.copied[k], v.array)
        self.reads[k], self.arrays[k] = v, v.array
        return True

    def _exchange(self, k: int, leaf: Value) -> bool:
        """Lets the plan go on with another leaf of the same kind, as a loop that is started anew makes
        one."""
        old = self.reads[k]
        if (
            leaf._node is not None
            or leaf.hooks
            or any(v is leaf for v in self.reads)
            or old in self.grads_in
            or k not in self.inputs
        ):
            return False
        self.reads[k], self.arrays[k] = leaf, leaf.array
        self.cleared = [leaf if v is old else v for v in self.cleared]
        self.needs_none = [leaf if v is old else v for v in self.needs_none]
        self.first_clear = {leaf if v is old else v for v in self.first_clear}
        self.grads_out = [(leaf if v is old else v, s) for v, s in self.grads_out]
        self.writes = [(leaf if v is old else v, n) for v, n in self.writes]
        self._lay_out()
        return True

    def _finish(self, reads: Sequence[Any]) -> tuple[Any, ...]:
        for leaf in self.cleared:
            leaf._grad = None
        for leaf, slot, small in self.given_grads:
            leaf._grad = Value(small.copy() if small is not None else self._give(slot, COPY_GRADIENTS))
        for v, n in self.writes:
            shared_counter(v)[0] += n
        results = []
        for what, node, index, small in self.given_names:
            if small is not None or type(what) is Slot:
                v = Value(small.copy() if small is not None else self._give(what, COPY_NAMES))
                v._node, v.index = node, index
                results.append(v)
            elif index == -1:
                results.append(reads[what])
            else:
                results.append(what)
        return tuple(results)

    def _small(self, slot: Any, copied: int) -> Any:
        """The buffer of a result that is always copied out of it, or None."""
        if type(slot) is not Slot:
            return None
        buffer = slot.array if slot.kind == "const" else self.buffers[slot]
        return buffer if buffer.size <= copied else None

    def _give(self, slot: Slot, copied: int) -> Any:
        """A result's memory: a copy of a small one; of a large one a view of the buffer, which is then handed
        out."""
        buffer = slot.array if slot.kind == "const" else self.buffers[slot]
        if buffer.size <= copied or slot.kind != "temp" or buffer.base is not None or slot in self.handed:
            return buffer.copy()
        self.handed[slot] = getrefcount(buffer)
        return buffer.view()

    def _renew(self) -> None:
        """Large results that somebody still holds keep their memory; the plan goes on with new."""
        for slot, references in self.handed.items():
            buffer = self.buffers[slot]
            if getrefcount(buffer) > references:
                self._lay_out()
                return
        self.handed.clear()

    def describe(self) -> str:
        """The plan as text."""
        lines = [f"{len(self.steps)} steps, {len(self.program)} calls"]
        for step in self.steps:
            if type(step) is Step:
                lines.append(f"  {', '.join(map(repr, step.outs))} = {step.op.name}({_shown(step.args)})")
            elif type(step) is Write:
                lines.append(f"  {step.target!r}[...] = {step.source!r}")
        return "\n".join(lines + self.notes)


def _direct_writes(steps: list[Any], kept: list[Slot]) -> dict[Slot, Slot]:
    """Results that nothing but one write needs: they are computed in the memory that is written to.

    The step must be pointwise, its result's only reader the write, and nothing in between may read the
    target.
    """
    readers: dict[Slot, int] = {}
    for s in steps:
        for r in [s.source] if type(s) is Write else s.slots():
            readers[r] = readers.get(r, 0) + 1
    made: dict[Slot, int] = {}
    direct: dict[Slot, Slot] = {}
    for k, s in enumerate(steps):
        if type(s) is not Write:
            if s.op.family == "elementwise" and len(s.outs) == 1:
                made[s.outs[0]] = k
            continue
        at = made.get(s.source)
        if at is None or readers[s.source] != 1 or s.source in kept or s.source.shape != s.target.shape:
            continue
        between = [
            t for t in steps[at + 1 : k] if type(t) is Write or s.target in t.slots() or t.op.family == "view"
        ]
        if not any(type(t) is not Write or s.target in (t.source, t.target) for t in between):
            direct[s.source] = s.target
    return direct


def _shown(args: list[Any]) -> str:
    return ", ".join(repr(a) for a in args if a is not None)


def _facts(v: Any) -> tuple[Any, ...] | None:
    return (v.array.shape, v.array.dtype, v._requires) if type(v) is Value else None


def _count_writes(steps: list[Any]) -> list[tuple[Value, int]]:
    counts: dict[Value, int] = {}
    for s in steps:
        if type(s) is Write:
            counts[s.value] = counts.get(s.value, 0) + 1
    return list(counts.items())


def _last_uses(steps: list[Any], kept: list[Slot]) -> dict[int, list[Slot]]:
    """For each step the temporaries whose buffers it is the last to need (a view keeps its source needed)."""
    root: dict[Slot, Slot] = {}
    last: dict[Slot, int] = {}
    for k, step in enumerate(steps):
        used = [step.source, step.target] if type(step) is Write else step.slots()
        if type(step) is Step and step.op.family == "view":
            source = step.args[step.op.arrays[0]]
            for o in step.outs:
                root[o] = root.get(source, source)
        for s in used:
            last[root.get(s, s)] = k
        if type(step) is Step:
            for o in step.outs:
                last.setdefault(root.get(o, o), k)
    never = {root.get(s, s) for s in kept}
    found: dict[int, list[Slot]] = {}
    for s, k in last.items():
        if s.kind == "temp" and s not in never:
            found.setdefault(id(steps[k]), []).append(s)
    return found


def _read_after(items: list[Any]) -> set[Slot]:
    """The slots that later items read."""
    found: set[Slot] = set()
    for item in items:
        for s in item.steps if type(item) is Blocked else [item]:
            found.update((s.source, s.target) if type(s) is Write else s.slots())
    return found


def _generic(op: Op, arrays: list[Any], out: Any) -> Callable[[], None]:
    kernel, promote = op.kernel, op.promote is not None

    def call() -> None:
        given = list(arrays)
        if promote:
            op._promote(given)
        np.copyto(out, kernel(*given))

    return call
