"""A recorded call in a plan: results and gradients are, bit for bit, those of the call as it stands.

    python -m tests.table.planned [NAME...]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np

from tests.table import replay
from tests.table.recorded import Case
from vardsl.engine.backward import backward
from vardsl.engine.context import state
from vardsl.engine.value import OPS, Value
from vardsl.errors import Error
from vardsl.plan.region import Region

TURNS = 7  # three pass unseen, one is recorded, the others are planned


class Call:
    """One recorded call with inputs of its own, to be made again and again, each time with its gradients."""

    def __init__(self, case: Case) -> None:
        self.values: dict[int, Value] = {}
        for t in case.inputs:
            self.values[id(t)] = Value(t.array.copy(), t.requires_grad)
        self.args = [replay.live(a, self.values) for a in case.args]
        self.keywords = {k: replay.live(v, self.values) for k, v in case.kwargs.items()}
        self.call = replay.operation(case.name)
        self.inputs = list(self.values.values())

    def statements(self) -> tuple[Value, ...]:
        """The call, and a backward pass from a sum that weighs its elements."""
        for v in self.inputs:
            v._grad = None
            if state.ctx.tracer is not None:
                state.ctx.tracer.cleared(v)
        results = list(replay.values_of(self.call(*self.args, **self.keywords)))
        losses = [OPS["sum"](OPS["mul"](r, OPS["add"](r, 0.5))) for r in results if r.requires_grad]
        if losses:
            backward(losses)
        return tuple(r for r in results if r.base is None and r.node is not None)

    def turn(self, region: Region) -> tuple[Any, ...]:
        results = region.ask(self.inputs) if region.mode == 1 else None
        if results is None:
            results = self.statements()
            if region.mode != 2:
                region.end(results)
        return results


def plannable(case: Case) -> bool:
    """Whether the call gives the same each time, and gives something."""
    return not (case.error or case.random or case.name.startswith("bernoulli"))


def mixed(case: Case) -> Iterator[Case]:
    """The call with one real input as a 0-d float64 and the others as float32, for each of the inputs."""
    reals = [k for k, t in enumerate(case.inputs) if t.array.dtype.kind == "f" and t.array.size]
    for wide in reals if len(reals) > 1 else []:
        other = deepcopy(case)
        for k in reals:
            t = other.inputs[k]
            t.array = np.array(t.array.flat[0], np.float64) if k == wide else t.array.astype(np.float32)
        yield other


def problems(case: Case) -> tuple[list[str], bool]:
    """What differs, and whether there was a plan at all."""
    planned, plain = Call(case), Call(case)
    region = Region()
    found: list[str] = []
    with np.errstate(all="ignore"):
        for turn in range(TURNS):
            try:
                b = plain.statements()
            except (Error, IndexError):  # the language has words for what Python finds of shapes
                return [], False
            try:
                a = planned.turn(region)
            except Exception as error:
                return [f"turn {turn}: {type(error).__name__}: {error}"], False
            for k, (x, y) in enumerate(zip(a, b, strict=True)):
                found += _differs(f"turn {turn}, result {k}", x.array, y.array)
            for k, (x, y) in enumerate(zip(planned.inputs, plain.inputs, strict=True)):
                if (x._grad is None) != (y._grad is None):
                    found.append(f"turn {turn}, gradient {k}: there or not")
                elif x._grad is not None and y._grad is not None:
                    found += _differs(f"turn {turn}, gradient {k}", x._grad.array, y._grad.array)
            if found:
                break
    return found, region.plan is not None


def _differs(what: str, x: Any, y: Any) -> list[str]:
    if x.dtype != y.dtype or x.shape != y.shape:
        return [f"{what}: {x.dtype} {x.shape} instead of {y.dtype} {y.shape}"]
    same = np.asarray((x == y) | ((x != x) & (y != y)))
    if same.all():
        return []
    return [f"{what}: {x[~same][:3]} instead of {y[~same][:3]}"]


def main(names: list[str]) -> int:
    from tests.table import recorded

    wrong = planned = total = 0
    for name in names or recorded.names():
        for case in recorded.cases(name):
            if not plannable(case):
                continue
            found, was = problems(case)
            total += 1
            planned += was
            if found:
                wrong += 1
                print(replay.call_text(case), *found, sep="\n    ")
    print(f"{wrong} of {total} calls differ; {planned} were planned")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
