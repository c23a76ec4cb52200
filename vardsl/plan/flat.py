"""The same small update of several arrays as one update of all of them in a row.

A step of training changes each parameter by the same expression of its gradient. Where the arrays lie one
after another in memory, one call does for all of them what took a call for each. The parameters have memory
of their own, so the plan works on a copy of them in a row and puts it back when its turns are over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vardsl.plan.passes import Steps
from vardsl.plan.pointwise import pointwise_ufunc
from vardsl.plan.trace import Slot, Step, Write, alike

SMALL = 65_536  # elements from which a call of its own costs nothing to speak of
DEEPEST = 32  # steps of one update


class Update:
    """A write and the pointwise steps that only it needs; `sources` are what else of its shape they read."""

    def __init__(self, write: Write, steps: list[Step], sources: list[Slot], form: Any) -> None:
        self.write = write
        self.steps = steps
        self.sources = sources
        self.form = form


class Row:
    """Updates of one form, as one over arrays in a row.

    places   the slots of gradients and parameters, with their places in the row
    steps    what updates the row; its operands are in `given`
    """

    def __init__(self, updates: Sequence[Update]) -> None:
        self.updates = updates
        self.places: dict[Slot, Any] = {}
        self.given: dict[Slot, Any] = {}
        first = updates[0]
        same = {first.write.target: self._in_a_row([u.write.target for u in updates])}
        for k, source in enumerate(first.sources):
            same[source] = self._in_a_row([u.sources[k] for u in updates])
        self.steps: Steps = []
        for step in first.steps:
            out = step.outs[0]
            like = same[first.write.target]
            same[out] = Slot(out.number, "temp", np.empty(like.shape, out.array.dtype))
            args = [same.get(a, a) if type(a) is Slot else a for a in step.args]
            self.steps.append(Step(step.op, args, (same[out],)))
        w = first.write
        self.steps.append(Write(same[w.target], same[w.source], w.value))

    def _in_a_row(self, slots: list[Slot]) -> Slot:
        row = np.empty(sum(s.array.size for s in slots), slots[0].array.dtype)
        start = 0
        for s in slots:
            self.places[s] = row[start : start + s.array.size].reshape(s.shape)
            start += s.array.size
        found = Slot(slots[0].number, "input", row)
        self.given[found] = row
        return found

    def copies(self, given: Mapping[Slot, Any]) -> Iterator[tuple[Any, Any]]:
        """The place of each parameter in the row, and its own memory."""
        for u in self.updates:
            yield self.places[u.write.target], given[u.write.target]


def rows(steps: Steps) -> tuple[Steps, list[Row]]:
    """The steps that are left, and the rows that come after them."""
    found: dict[Any, list[Update]] = {}
    for update in _updates(steps):
        found.setdefault(update.form, []).append(update)
    made = [Row(updates) for updates in found.values() if len(updates) > 1]
    gone = {id(s) for row in made for u in row.updates for s in (u.write, *u.steps)}
    return [s for s in steps if id(s) not in gone], made


def _updates(steps: Steps) -> Iterator[Update]:
    makers = {o: s for s in steps if type(s) is Step for o in s.outs}
    written = [s.target for s in steps if type(s) is Write]
    readers: dict[Slot, int] = {}
    last: dict[Slot, int] = {}  # where memory is looked at for the last time, also through views
    base: dict[Slot, Slot] = {}
    for k, step in enumerate(steps):
        for s in [step.source] if isinstance(step, Write) else step.slots():
            readers[s] = readers.get(s, 0) + 1
            last[base.get(s, s)] = k
        if type(step) is Step and step.op.family == "view":
            source = step.args[step.op.arrays[0]]
            base.update((o, base.get(source, source)) for o in step.outs)
    sourced: set[Slot] = set()
    for k, step in enumerate(steps):
        if type(step) is not Write or written.count(step.target) > 1 or last.get(step.target, -1) > k:
            continue
        update = _update(step, makers, readers)
        if update is not None and not sourced.intersection(update.sources):
            sourced.update(update.sources)
            yield update


def _update(write: Write, makers: dict[Slot, Step], readers: dict[Slot, int]) -> Update | None:
    """The update that ends in a write, where it is small, pointwise and of one shape and dtype."""
    target = write.target
    if target.array.size > SMALL or not target.array.flags.c_contiguous:
        return None
    steps: list[Step] = []
    sources: list[Slot] = []
    fits = True

    def form(x: Any) -> Any:
        nonlocal fits
        if type(x) is not Slot:
            return repr(x)
        if x is target:
            return "target"
        if x.array.ndim == 0:
            return (x.array.item(), x.array.dtype.str) if x.kind == "const" else x
        maker = makers.get(x)
        if maker is None or maker.op.family == "view" or x.order is not None or not alike(x, target):
            fits = False
            return None
        if readers[x] == 1 and pointwise_ufunc(maker.op, maker.args) is not None and len(steps) < DEEPEST:
            parts = tuple([form(a) for a in maker.args])
            steps.append(maker)
            return (maker.op.name, *parts)
        if x not in sources:
            sources.append(x)
        return "source", sources.index(x)

    shape = form(write.source)
    if not fits or not steps or not sources:
        return None
    return Update(write, steps, sources, (shape, target.array.dtype.str))
