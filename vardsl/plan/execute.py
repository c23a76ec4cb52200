"""A plan: the steps of a recorded run laid out over fixed buffers, and how it takes the place of the run.

A plan runs where what it was recorded for still holds (`_holds`), fills its buffers in straight-line NumPy
calls, and then makes the values that the run would have made: the same numbers, the same node for `grad_fn`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from sys import getrefcount
from typing import Any, Literal

import numpy as np

from vardsl.engine.context import Context, state
from vardsl.engine.value import EPOCH, OPS, Node, Value, shared_counter
from vardsl.errors import Error, Interrupted
from vardsl.plan.blocks import LARGE
from vardsl.plan.graphs import Patterns, leaves_of_fixed, unfinished
from vardsl.plan.layout import Layout, Unplannable
from vardsl.plan.numbers import same
from vardsl.plan.passes import final, forget, optimise, writes_last
from vardsl.plan.quiet import Quiet
from vardsl.plan.trace import Slot, Step, Tracer, Write

# Elements up to which results are copied out of their buffers; larger ones are handed over. A gradient is
# free again when the next turn clears it, a name is bound until the next turn is over.
COPY_GRADIENTS, COPY_NAMES = 1024, 1 << 20
# What a name is bound to where that is no new value: one that was read, one that an earlier name has, or a
# leaf's gradient.
READ, TWIN, GRADIENT = -1, -2, -3


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
        self.known: dict[Value, Value] = {}  # the gradients that `_takes` has looked at
        self.first_clear = tracer.first_clear
        self.cleared = [leaf for leaf, g in tracer.grads_out.items() if g is None]
        self.needs_none = [
            leaf
            for leaf, g in tracer.grads_out.items()
            if g is not None and leaf not in tracer.grads_in and leaf not in tracer.first_clear
        ]
        self.recorded = len(tracer.steps)
        steps, same = optimise(tracer.steps, lambda same: self._wanted(tracer, results, same))
        self.steps = writes_last(steps)
        self.inputs = dict(tracer.inputs)
        self.patterns = Patterns()  # of the graphs that a backward pass may still go through
        self.outputs = [self._output(tracer, results, k, same) for k in range(len(results))]
        self.grads_out = [(leaf, final(g, same)) for leaf, g in tracer.grads_out.items() if g is not None]
        self._fill_large()
        # gradients that are added to in their memory, how often, and those that were there at entry
        self.added = {leaf: n for leaf, n in tracer.added.items() if n}
        self.summed = {leaf for leaf in self.added if tracer.found.get(leaf) is leaf._grad}
        forget(self.steps)
        self.writes = _count_writes(self.steps)
        # an error is found again by the statements; gradients that they clear before that need not be put
        # back
        first = next((k for k, s in enumerate(tracer.steps) if type(s) is Step and s.fallible), None)
        self.restores = first is not None and tracer.last_clear > first
        self.copied: dict[int, Any] = {}
        # whether a turn that has begun is made: gradients that it clears are not kept, their memory is used
        self.whole = tracer.last_clear > 0
        # whether turns were made without names and gradients: the next one must bring them, whatever happens
        self.behind = False
        self._check_order()
        if not all(self._separate(k, self.reads[k]) for k in self.inputs):
            raise Unplannable("memory that is changed has two names")
        self._lay_out()

    @property
    def plan(self) -> Plan:
        return self

    def named(self, binds: Sequence[str]) -> Sequence[str]:
        """The names of the plan's results, of the names that the run binds."""
        return binds

    # ---- what the run gives --------------------------------------------------------------------------------
    def _wanted(self, tracer: Tracer, results: Sequence[Any], same: dict[Slot, Slot]) -> list[Slot]:
        wanted = [tracer.slot(r) for r in results if type(r) is Value]
        wanted += [g for g in tracer.grads_out.values() if g is not None]
        if tracer.failed is not None:
            raise Unplannable(tracer.failed)
        return [final(s, same) for s in wanted]

    def _output(
        self, tracer: Tracer, results: Sequence[Any], at: int, same: dict[Slot, Slot]
    ) -> tuple[Any, Node | None, int]:
        r = results[at]
        if type(r) is not Value:
            if isinstance(r, tuple):
                raise Unplannable("a tuple is bound")
            return r, None, 0
        for k in range(at):
            if results[k] is r:
                return k, None, TWIN
        for leaf in tracer.leaves.values():
            if leaf._grad is r:
                return leaf, None, GRADIENT
        if any(g is r for g in tracer.found.values()):
            raise Unplannable("a gradient from before is bound")
        slot = final(tracer.slot(r), same)
        for k, v in enumerate(self.reads):
            if v is r:
                return k, None, READ
        if r.base is not None or slot.kind == "input" or r._requires:
            raise Unplannable("a view or a new leaf is bound")
        if unfinished(r):
            self._keep_graph(tracer, r)
        return slot, r._node, r.index

    def _keep_graph(self, tracer: Tracer, r: Value) -> None:
        """Lets every run hand out a copy of this one's graph, where its derivative is always the same."""
        leaves = None if tracer.keys else leaves_of_fixed(r)
        if leaves is None or r._node is None:
            raise Unplannable("a graph is still needed after the run")
        self.patterns.add(r, leaves)

    def _fill_large(self) -> None:
        """Large gradients that are always the same are filled in by a step, which streams like any other."""
        for k, (leaf, slot) in enumerate(self.grads_out):
            if slot.kind == "const" and slot.array.size >= LARGE:
                model = np.broadcast_to(np.empty((), slot.array.dtype), slot.shape)
                filled = Slot(slot.number, "temp", model)
                self.steps.append(Step(OPS["clone"], [slot], (filled,)))
                self.grads_out[k] = (leaf, filled)

    def _check_order(self) -> None:
        """What may find a wrong index comes before the first write, so that it can still be undone."""
        written = False
        for step in self.steps:
            if type(step) is Write:
                written = True
            elif written and type(step) is Step and step.fallible:
                raise Unplannable("an index is used after a write")

    def _separate(self, k: int, v: Value) -> bool:
        """Whether the memory of a value read at place `k` is no other's as far as either is changed."""
        changed = [w for w, _ in self.writes]
        written = self._is(k, changed)
        others = [self.arrays[j] for j in self.inputs if j != k and (written or self._is(j, changed))]
        return not any(np.may_share_memory(v.array, a) for a in others)

    def _takes(self, leaf: Value, g: Value) -> bool:
        """Whether a gradient found on a leaf is like the one that was there while recording."""
        slot = self.grads_in[leaf]
        a, b = g.array, slot.array
        if a.shape != b.shape or a.dtype != b.dtype or a.strides != b.strides or g.requires_grad or g.hooks:
            return False
        if leaf in self.summed:
            others = [self.arrays[k] for k in self.inputs]
            others += [v._grad.array for v in self.grads_in if v is not leaf and v._grad is not None]
            if any(np.may_share_memory(g.array, a) for a in others):
                return False
        self.known[leaf] = g
        return True

    def _is(self, k: int, values: Sequence[Value]) -> bool:
        return any(self.reads[k] is w for w in values)

    # ---- layout --------------------------------------------------------------------------------------------
    def _lay_out(self) -> None:
        given = {slot: self._input_array(k) for k, slot in self.inputs.items()}
        for slot in self.grads_in.values():
            given[slot] = np.empty_like(slot.array)
        self.layout = Layout(self.steps, self._kept(), given, stops=True)
        self.quiet: Quiet | None = None
        self.handed: dict[Slot, int] = {}
        self.given_grads = [(leaf, s, self._small(s, COPY_GRADIENTS)) for leaf, s in self.grads_out]
        self.given_names = [(w, n, i, self._small(w, COPY_NAMES)) for w, n, i in self.outputs]

    def _kept(self) -> list[Slot]:
        return [s for s, _, _ in self.outputs if type(s) is Slot] + [s for _, s in self.grads_out]

    def _input_array(self, k: int) -> Any:
        return self.copied[k] if k in self.copied else self.arrays[k]

    # ---- running -------------------------------------------------------------------------------------------
    def run(self, reads: Sequence[Any]) -> tuple[Any, ...] | None:
        """The names' new values; None, with nothing done, where the plan does not apply."""
        ctx = state.ctx
        if not self._applies(ctx, reads):
            return None
        for leaf in self.needs_none:
            if leaf._grad is not None:
                return None
        found: list[tuple[Slot, Any]] = []
        for leaf, slot in self.grads_in.items():
            g = leaf._grad
            if g is None or (g is not self.known.get(leaf) and not self._takes(leaf, g)):
                return None
            found.append((slot, g.array))
        cleared = [leaf._grad for leaf in self.first_clear] if self.restores else []
        for leaf in self.first_clear:
            leaf._grad = None
        self._tell(ctx)
        if self.handed:
            self._renew()
        for slot, array in found:
            self.layout.buffers[slot][...] = array
        for region in self.layout.stopping:
            region.stops = not (self.behind or self.whole)
        try:
            self.layout.run()
        except Error as error:
            # the statements find it once more, where it belongs; nothing has been written yet
            for leaf, before in zip(self.first_clear, cleared):
                leaf._grad = before
            if isinstance(error, Interrupted):
                raise
            return None
        self.behind = False
        return self._finish(reads)

    def repeat(self, reads: Sequence[Any], turns: int, stopping: Callable[[], bool]) -> int:
        """Runs turns that a run of this plan follows at once, until `stopping()`; how many it has run.

        No names are bound and no gradients handed out: nobody can look before the run that follows.
        """
        ctx = state.ctx
        if self.needs_none or self.grads_in or not self._applies(ctx, reads):
            return 0
        if self.quiet is None:
            self.quiet = self._quiet()
        if not self.quiet.certain:
            return 0
        self._tell(ctx)
        try:
            done = self.quiet.run(turns, stopping)
        except Error:
            return 0
        self.behind = done > 0
        for v, n in self.writes:
            shared_counter(v)[0] += n * done
        return done

    def _quiet(self) -> Quiet:
        made = {s for step in self.steps if type(step) is Step for s in step.outs}.difference(self._kept())
        given = {s: self.layout.buffers[s] for s in self.inputs.values()}
        taken = {id(b) for b in given.values()}  # also where a result goes straight into an input's memory
        spare = {id(b): b for s, b in self.layout.buffers.items() if s in made and s in self.layout.own}
        spare = {key: b for key, b in spare.items() if key not in taken}
        return Quiet(self.steps, [s for _, s in self.grads_out], given, spare.values())

    def _applies(self, ctx: Context, reads: Sequence[Any]) -> bool:
        """Whether what the plan was recorded for still holds, apart from the gradients that leaves have."""
        if ctx.grad_enabled is not self.settings[0] or ctx.default_dtype is not self.settings[1]:
            return False
        if ctx.anomaly or ctx.journal is not None or ctx.tracer is not None:
            return False
        if EPOCH[0] != self.epoch or not all(map(is_, reads, self.reads)):
            self.known.clear()
            if not self._same(reads):
                return False
            self.epoch = EPOCH[0]
        return True

    def _tell(self, ctx: Context) -> None:
        """Lets a savepoint keep what the writes change."""
        if ctx.savepoint is not None:
            for v, _ in self.writes:
                ctx.savepoint.keep(v.array)
            for leaf in self.summed:
                if leaf._grad is not None:
                    ctx.savepoint.keep(leaf._grad.array)

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
            return isinstance(v, (int, float, str)) and same(v, before)
        if type(self.reads[k]) is not Value or self.facts[k] != _facts(v) or not _alike(v, self.arrays[k]):
            return False
        if v._node is not None or (
            v.base is not None and (v.requires_grad or not v.array.flags.c_contiguous)
        ):
            return False
        if k not in self.inputs or not self._separate(k, v):
            return False
        if v._requires or self._is(k, [w for w, _ in self.writes]):
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
        if leaf._node is not None or leaf.hooks or any(v is leaf for v in self.reads) or old in self.grads_in:
            return False
        if old in self.patterns.leaves:
            return False
        self.reads[k], self.arrays[k] = leaf, leaf.memory()
        self.cleared = [leaf if v is old else v for v in self.cleared]
        self.needs_none = [leaf if v is old else v for v in self.needs_none]
        self.first_clear = {leaf if v is old else v for v in self.first_clear}
        self.grads_out = [(leaf if v is old else v, s) for v, s in self.grads_out]
        self.outputs = [(leaf if w is old else w, n, i) for w, n, i in self.outputs]
        self.writes = [(leaf if v is old else v, n) for v, n in self.writes]
        self.added = {leaf if v is old else v: n for v, n in self.added.items()}
        self._lay_out()
        return True

    def _finish(self, reads: Sequence[Any]) -> tuple[Any, ...]:
        for leaf in self.cleared:
            leaf._grad = None
        for leaf, slot, small in self.given_grads:
            g = leaf._grad
            if g is not None and leaf in self.summed:
                np.copyto(g.memory(), self.layout.array(slot))
            else:
                g = Value(small.copy() if small is not None else self._give(slot, COPY_GRADIENTS, "C"))
                leaf._grad = g
            if leaf in self.added:
                shared_counter(g)[0] += self.added[leaf]
        for v, n in self.writes:
            shared_counter(v)[0] += n
        results = []
        nodes = self.patterns.copies() if self.patterns.nodes else {}
        for what, node, index, small in self.given_names:
            if small is not None or type(what) is Slot:
                v = Value(small.copy("K") if small is not None else self._give(what, COPY_NAMES, "K"))
                v._node, v.index = nodes.get(node, node), index
                results.append(v)
            elif index == READ:
                results.append(reads[what])
            elif index == TWIN:
                results.append(results[what])
            elif index == GRADIENT:
                results.append(what._grad)
            else:
                results.append(what)
        return tuple(results)

    def _small(self, slot: Any, copied: int) -> Any:
        """The buffer of a result that is always copied out of it, or None."""
        if type(slot) is not Slot:
            return None
        buffer = self.layout.array(slot)
        return buffer if buffer.size <= copied else None

    def _give(self, slot: Slot, copied: int, order: Literal["C", "K"]) -> Any:
        """A result's memory: a copy of a small one; of a large one a view of the buffer, which is then handed
        out."""
        buffer = self.layout.array(slot)
        own = slot in self.layout.own and slot.order is None
        if buffer.size <= copied or not own or slot in self.handed:
            return _copy(buffer, order)
        self.handed[slot] = getrefcount(_owner(buffer))
        return buffer.view()

    def _renew(self) -> None:
        """Large results that somebody still holds keep their memory; the plan goes on with new."""
        for slot, references in self.handed.items():
            if getrefcount(_owner(self.layout.buffers[slot])) > references:
                self._lay_out()
                return
        self.handed.clear()


def _copy(a: Any, order: Literal["C", "K"]) -> Any:
    """A copy, in the memory of a large one that nobody needs any more where there is such."""
    if order != "C" and not a.flags.c_contiguous:
        return a.copy(order)
    copy = state.ctx.budget.pool.array(a.shape, a.dtype)
    np.copyto(copy, a)
    return copy


def _owner(a: Any) -> Any:
    """The array that has an array's memory: all views of it refer to that one."""
    return a if a.base is None else a.base


def _facts(v: Any) -> tuple[Any, ...] | None:
    return (v.array.shape, v.array.dtype, v._requires) if type(v) is Value else None


def _alike(v: Value, array: Any) -> bool:
    """Whether the numbers lie in the same order, so that sums over them give the same bits."""
    return v.array.strides == array.strides or bool(v.array.flags.c_contiguous and array.flags.c_contiguous)


def _count_writes(steps: list[Any]) -> list[tuple[Value, int]]:
    counts: dict[Value, int] = {}
    for s in steps:
        if type(s) is Write:
            counts[s.value] = counts.get(s.value, 0) + s.bumps
    return list(counts.items())
