"""The turns of a planned loop that another turn follows at once: nobody sees what they bind.

Such a turn computes gradients and changes memory as every turn does. What only the names show that the next
turn binds anew is left out, and what is the same in all turns is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from time import perf_counter
from typing import Any

import numpy as np

from vardsl.engine.together import buffers_of
from vardsl.plan.buffers import buffer_size
from vardsl.plan.flat import rows
from vardsl.plan.layout import Layout
from vardsl.plan.passes import Steps, dead
from vardsl.plan.trace import Slot, Step, Write

BRIEF = 0.001  # seconds between two looks at whether to stop
SMALL = 200_000  # elements up to which what stays the same is kept for all turns


class Quiet:
    """The calls of such turns, for the steps of a plan that gives its leaves the gradients `grads`."""

    def __init__(
        self, steps: Steps, grads: Iterable[Slot], given: Mapping[Slot, Any], spare: Iterable[Any]
    ) -> None:
        wanted = set(grads)
        once, each = invariant(dead(steps, wanted))
        self.certain = not any(type(s) is Step and s.fallible for s in each)
        each, updates = rows(each)
        used = {s for step in each for s in _read(step)}
        self.once = Layout(once, wanted | used, given)
        places = {s: place for row in updates for s, place in row.places.items()}
        self.copies = [pair for row in updates for pair in row.copies(given)]
        self.each = Layout(each, wanted.union(places), {**self.once.buffers, **places}, spare, places)
        tails = [Layout(row.steps, (), row.given) for row in updates]
        self.program = [*self.each.program, *[call for tail in tails for call in tail.program]]
        self.buffer = buffer_size(self.program)

    def run(self, turns: int, stopping: Callable[[], bool]) -> int:
        """Runs so many turns, or fewer where `stopping()` between them; how many."""
        self.once.run()
        for place, memory in self.copies:
            np.copyto(place, memory)
        done, size = 0, 1
        while done < turns:
            size = min(size, turns - done)
            before = perf_counter()
            with buffers_of(self.buffer) if self.buffer else nullcontext():
                self._turns(size)
            done += size
            if stopping():
                break
            if perf_counter() - before < BRIEF:
                size *= 2
        for place, memory in self.copies:
            np.copyto(memory, place)
        return done

    def _turns(self, n: int) -> None:
        program = self.program
        for _ in range(n):
            for fn, args in program:
                fn(*args)


def invariant(steps: Steps) -> tuple[Steps, Steps]:
    """The steps that give the same in each turn, and the others. Inputs that are not written stay as they
    are."""
    changing = {s.target for s in steps if type(s) is Write}
    once: Steps = []
    each: Steps = []
    for step in steps:
        if type(step) is Step and _stays(step, changing):
            once.append(step)
            if step.op.facts.get("stream") == "turn":  # seen here, so that products over rows are known
                each.append(step)
        else:
            each.append(step)
            if type(step) is Step:
                changing.update(step.outs)
    return once, each


def _stays(step: Step, changing: set[Slot]) -> bool:
    if step.op.facts.get("random") or any(s in changing for s in step.slots()):
        return False
    return step.op.family == "view" or all(o.array.size <= SMALL for o in step.outs)


def _read(step: Step | Write) -> list[Slot]:
    return [step.source, step.target] if isinstance(step, Write) else step.slots()
