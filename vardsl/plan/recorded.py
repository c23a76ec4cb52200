"""A plan with what surrounds it: all that the run reads, the numbers in it, and what it gives.

`Recording` listens to one time of a run; `Recorded` takes its place from then on. A run that only works on
the tensors in its text needs none of this: then the plan itself is what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import is_
from typing import Any

from vardsl.engine.context import state
from vardsl.engine.dtypes import DType
from vardsl.engine.value import Tracked, Value
from vardsl.plan import bound
from vardsl.plan.execute import Plan
from vardsl.plan.graphs import unfinished
from vardsl.plan.layout import Unplannable
from vardsl.plan.numbers import Changed
from vardsl.plan.reach import Reach, Unfollowed
from vardsl.plan.trace import Slot, Step, Tracer, Write

Facts = tuple[tuple[int, ...], Any, bool, bool, tuple[int, ...]]


class Unplanned:
    """One time of a run whose numbers come last, without a plan for another time."""

    repeats = handed = False

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer


class Recording:
    """One time that a run is recorded. `numbers(places)` gives what it reads there, as followed numbers."""

    repeats = True

    def __init__(self, reads: Sequence[Any], tracer: Callable[[Sequence[Any]], Tracer] = Tracer) -> None:
        self.reach = Reach(reads)
        self.tracer = tracer(self.reach.given)
        self.reads = reads
        self.followed: list[int] = []
        self.handed = False

    def numbers(self, places: Sequence[int], moving: set[int]) -> tuple[Any, ...]:
        self.handed = True
        found = []
        for k in places:
            x = self.reads[k]
            if k in moving and (type(x) is float or type(x) is int):
                x = self.tracer.numbers.read(k, x)
                self.followed.append(k)
            found.append(x)
        return tuple(found)

    def finished(self, results: Sequence[Any]) -> Any:
        """What is asked instead of the run. Raises Unplannable."""
        if self.tracer.failed is not None:
            raise Unplannable(self.tracer.failed)
        if not self.tracer.steps:
            raise Unplannable("nothing in it works on tensors")
        try:
            self.reach.check()
        except Unfollowed as reason:
            raise Unplannable(str(reason)) from None
        return Recorded(self, results).simplest()


class Recorded:
    """Gathers what a plan reads, and makes of its results what the run binds."""

    def __init__(self, recording: Recording, results: Sequence[Any]) -> None:
        tracer, reach = recording.tracer, recording.reach
        self.reach = reach
        self.numbers = tracer.numbers
        self.keys = tracer.keys
        self.changers = tracer.changers
        self.actions = tracer.actions
        self.seen_grads = tracer.seen_grads
        self.watched: list[tuple[int, Facts]] = []
        self.twins: list[tuple[int, int]] = []
        self.blank = [*recording.followed, *reach.tuples]
        given = list(reach.given)
        self._results: list[Any] = []
        self._parts: dict[int, Any] = {}
        self.sharing: list[bound.Sharing] = []  # in an order in which each comes behind its source
        every = list(_values(results))
        self.made = [self._part(r, tracer, given, every) for r in results]
        self.random = bool(tracer.random)
        self.keeps_stream = self.random and any(type(s) is Step and s.fallible for s in tracer.steps)
        items = [*[v for _, v, _ in self.numbers.items], *tracer.random]
        self.first_item = len(self._results)
        self._leave_out(tracer, given, [*self._results, *items])
        operands = [v for _, v in self.numbers.operands]
        for j, v in enumerate(operands):
            tracer.input(v, len(given) + j)
        self.operands: list[Any] = list(operands)
        self.last: list[Any] | None = None
        for k in self.blank:
            given[k] = None
        self.plan = Plan(tracer, [*given, *operands], [*self._results, *items])
        for k, part in enumerate(self.sharing):
            part.place = len(self._results) + len(items) + k
        self._forget()

    def _forget(self) -> None:
        """Lets go of what only the recording needed."""
        self.numbers.tracer = None
        self.numbers.items = [(entry, None, kind) for entry, _, kind in self.numbers.items]
        self._results, self._parts = [], {}

    def simplest(self) -> Any:
        """The plan itself where nothing surrounds it."""
        plain = all(type(m) is int for m in self.made) and not (self.blank or self.twins or self.watched)
        more = any(
            (self.reach.more, self.numbers.template, self.keys, self.changers, self.actions, self.seen_grads)
        )
        return self.plan if plain and not more and not self.random else self

    # ---- what is read --------------------------------------------------------------------------------------
    def _leave_out(self, tracer: Tracer, given: list[Any], results: Sequence[Any]) -> None:
        """Tensors that nothing works on are only watched, of what the text does not show, and of what has a
        history: an inner loop may bind such names anew, and reads them where it does not run."""
        used = _used(tracer, results)
        seen: dict[int, int] = {}
        for k, v in enumerate(given):
            if type(v) is not Value:
                continue
            first = seen.setdefault(id(v), k)
            hidden = k >= self.reach.shown
            if first != k and hidden:
                self.twins.append((k, first))
            elif first == k and id(v) not in used and (hidden or id(v) in tracer.unfit):
                self.watched.append((k, _facts(v)))
                tracer.inputs = [(place, slot) for place, slot in tracer.inputs if place != k]
            else:
                continue
            self.blank.append(k)

    # ---- what is bound -------------------------------------------------------------------------------------
    def _part(self, r: Any, tracer: Tracer, given: Sequence[Any], every: Sequence[Value]) -> Any:
        """How one result is made: the place of a plan's result, or what to do with such."""
        if isinstance(r, Tracked):
            return bound.Number(r.entry)  # type: ignore[attr-defined]
        if isinstance(r, (int, float, str, type(None), DType)):
            return bound.Constant(r)
        for k, v in enumerate(given):
            if v is r and not (type(r) is Value and k < self.reach.shown):
                return bound.Same(k)
            if type(v) is Value and v._grad is r:
                return bound.Gradient(k)
        if isinstance(r, tuple):
            return bound.Several(type(r), [self._part(x, tracer, given, every) for x in r])
        if type(r) is not Value:
            raise Unplannable("a function is made" if callable(r) else f"a {type(r).__name__} is made")
        known = self._parts.get(id(r))
        if type(known) is int:
            return self._result(self._results[known])  # the plan itself knows of names of one value
        if known is None:
            shown = any(v is r for v in given[: self.reach.shown])
            self._parts[id(r)] = self._result(r) if shown else self._tensor(r, tracer, given, every)
        return self._parts[id(r)]

    def _result(self, r: Value) -> int:
        self._results.append(r)
        return len(self._results) - 1

    def _tensor(self, r: Value, tracer: Tracer, given: Sequence[Any], every: Sequence[Value]) -> Any:
        """How a tensor is made that is not read under a name of the text."""
        if r.base is None and id(r) not in tracer.aliases:
            return self._result(r)
        if r.base is not None and r.chain and r._node is None:
            for k, v in enumerate(given):
                if r.base is v:
                    return self._sharing(bound.View(bound.Same(k), r, tracer.parts.get(id(r))))
        if unfinished(r):
            raise Unplannable("a graph is still needed after the run")
        if bound.stands_alone(r, tracer, every):
            return self._result(bound.of_its_own(r, tracer))
        source = bound.source_of(r, tracer)
        if source is None:
            return self._result(r)
        part = self._part(source, tracer, given, every)
        if r.base is None:
            return self._sharing(bound.Data(part))
        if r.chain is None:
            return self._sharing(bound.Detached(part))
        return self._sharing(bound.View(part, r, tracer.parts.get(id(r))))

    def _sharing(self, part: bound.Sharing) -> bound.Sharing:
        self.sharing.append(part)
        return part

    # ---- running -------------------------------------------------------------------------------------------
    def run(self, reads: Sequence[Any]) -> tuple[Any, ...] | None:
        """As a plan's: what the run would bind, or None, with nothing done."""
        given = self.reach.again(reads)
        if given is None or state.ctx.tracer is not None:
            return None
        values = self._settled(given)
        if values is None:
            return None
        stream = state.ctx.generator.get_state() if self.keeps_stream else None
        found = self.plan.run(self._whole(given))
        if found is None:
            if stream is not None:
                state.ctx.generator.set_state(stream)
            return None
        self.last = given
        for action in self.actions:
            action()
        if self.numbers.items:
            self.numbers.finish(values, found[self.first_item : self.first_item + len(self.numbers.items)])
        results = list(found)
        for part in self.sharing:
            results.append(part.make(results, values, given))
        return tuple([results[m] if type(m) is int else m.made(results, values, given) for m in self.made])

    def repeat(self, reads: Sequence[Any], turns: int, stopping: Callable[[], bool]) -> int:
        """As a plan's, where one turn is like another in all that is read."""
        if self.numbers.reads or self.seen_grads or self.random or self.actions:
            return 0
        given = self.reach.again(reads)
        if given is None or self.last is None or not all(map(is_, given, self.last)):
            return 0
        if self._settled(given) is None:
            return 0
        return self.plan.repeat(self._whole(given), turns, stopping)

    def _whole(self, given: list[Any]) -> list[Any]:
        """What the plan reads, out of all that is read."""
        if state.ctx.savepoint is not None:
            for c in self.changers:
                c.tell(state.ctx.savepoint)
        whole = given.copy()
        for k in self.blank:
            whole[k] = None
        return whole + self.operands

    def _settled(self, given: Sequence[Any]) -> list[Any] | None:
        """The numbers of this time; None where something decides otherwise than it did."""
        for leaf, had in self.seen_grads.items():
            if (leaf._grad is not None) is not had:
                return None
        for k, j in self.twins:
            if given[k] is not given[j]:
                return None
        for k, facts in self.watched:
            if type(given[k]) is not Value or _facts(given[k]) != facts:
                return None
        if not self.numbers.template:
            return []
        try:
            values = self.numbers.evaluate(given)
        except Changed:
            return None
        return values if all(key.settle(values) for key in self.keys) else None

    def named(self, binds: Sequence[str]) -> Sequence[str]:
        """The names of the plan's results, of the names that the run binds."""
        names = {m: name for name, m in zip(binds, self.made) if type(m) is int}
        return [names.get(k, "") for k in range(self.first_item)]


def _values(results: Any) -> Iterator[Value]:
    for r in results:
        if type(r) is Value:
            yield r
        elif isinstance(r, tuple):
            yield from _values(r)


def _facts(v: Value) -> Facts:
    return v.array.shape, v.array.dtype, v._requires, v._node is not None, v.array.strides


def _used(tracer: Tracer, results: Sequence[Any]) -> set[int]:
    """The values, by identity, that steps, writes, gradients or results need."""
    slots: set[Slot] = set()
    for step in tracer.steps:
        slots.update((step.source, step.target) if isinstance(step, Write) else step.slots())
    slots.update(s for s in (tracer.slots.get(id(r)) for r in results) if s is not None)
    used = {id(leaf) for leaf in (*tracer.grads_out, *tracer.grads_in, *tracer.first_clear)}
    return used | {key for key, slot in tracer.slots.items() if slot in slots}
