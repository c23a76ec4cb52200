"""Breaks every derivative rule in several ways, and counts how many of the broken ones the recorded cases find.

    python -m tests.table.mutate [NAME...] [-v]

A rule's result is made larger by 0.1 %, has its sign flipped, or is dropped; where an input may have been broadcast
the sum back to its shape is left out. A rule whose result is zero in every case has one added to it instead. A
mutant counts as killed when a recorded case that runs the rule fails, or one of the laws that it is held to.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.table import laws, recorded, replay
from tests.table.recorded import Case
from vardsl.engine import pullback
from vardsl.engine.cotangents import Unbroadcast
from vardsl.engine.op import Op
from vardsl.engine.rule import NotImplementedRule, Rule
from vardsl.engine.value import OPS, Value
from vardsl.ops import define

Change = Callable[[Any], Any]
CHANGES: dict[str, Change] = {
    "x 1.001": lambda r: r * 1.001,
    "sign": lambda r: -r,
    "dropped": lambda r: r * 0,
}
LAWFUL: set[int] = set()  # the calls that test_every_op.py holds to the laws
NOT_RUN = "not run"  # in no recorded pass: only higher derivatives need it
PLUS_ONE: Change = lambda r: r + 1  # noqa: E731 - it stands beside the others


@dataclass
class Mutant:
    op: Op
    rule: str
    change: str
    killed: bool


def changed(result: Any, change: Change, only: int | None = None) -> Any:
    """A rule's result with the change; of several only one part where `only` says which."""
    if isinstance(result, (list, tuple)):
        return type(result)(changed(r, change) if only in (None, k) else r for k, r in enumerate(result))
    return result if result is None else change(result)


@contextmanager
def broken(op: Op, name: str, change: Change) -> Iterator[None]:
    """The rule `name` of an operation, broken."""
    if op.family == "fused":
        whole = op._recompute
        place = int(name)
        op._recompute = lambda *a: list(changed(whole(*a), change, place))  # type: ignore[method-assign]
        try:
            yield
        finally:
            del op._recompute
        return
    rule = op.shared if name.isdigit() else op.rules[name]
    if isinstance(rule, Rule):
        fn, itself, only = rule.fn, rule.itself, int(name) if name.isdigit() else None
        rule.fn, rule.itself = (lambda *a: changed(fn(*a), change, only)), False
        mirrored, op.mirrored = op.mirrored, False
        ways, op.ways = op.ways, None
        try:
            yield
        finally:
            rule.fn, rule.itself, op.mirrored, op.ways = fn, itself, mirrored, ways
        return
    inputs, ways = op.inputs, op.ways
    wrong = float(change(rule))
    op.inputs = [(i, wrong if op.signature.parameters[i].name == name else r) for i, r in inputs]
    op.ways = None
    try:
        yield
    finally:
        op.inputs, op.ways = inputs, ways


@contextmanager
def not_summed(op: Op, name: str, instead: Callable[[Any, Any], Any] = lambda g, like: g) -> Iterator[None]:
    """An operation that leaves a cotangent at the size to which the input was broadcast."""
    rule, real = op.rules[name], pullback.unbroadcast
    if isinstance(rule, Unbroadcast):
        whole, ways = Unbroadcast.__call__, op.ways

        def call(self: Any, node: Any, g: Any, as_values: bool) -> Any:
            if self is not rule:
                return whole(self, node, g, as_values)
            return instead(Rule.__call__(self, node, g, as_values), node.likes[self.parameter])

        Unbroadcast.__call__, op.ways = call, None  # type: ignore[method-assign]
        try:
            yield
        finally:
            Unbroadcast.__call__, op.ways = whole, ways  # type: ignore[method-assign]
        return
    one, ways = op._one, op.ways
    place = op.signature.index[name]

    def without(rule: Any, i: int, node: Any, g: Any, as_values: bool) -> Any:
        pullback.unbroadcast = instead if i == place else real
        try:
            return one(rule, i, node, g, as_values)
        finally:
            pullback.unbroadcast = real

    op._one, op.ways = without, None  # type: ignore[method-assign]
    try:
        yield
    finally:
        del op._one
        op.ways = ways


def rules_of(op: Op) -> list[str]:
    if op.family == "fused" or op.shared is not None:
        kinds = [op.signature.parameters[i].kind for i in op.arrays]
        return [str(k) for k, kind in enumerate(kinds) if kind != "Index"]
    return [name for name, rule in op.rules.items() if not isinstance(rule, NotImplementedRule)]


def cases_by_operation() -> dict[str, list[Case]]:
    """For each operation, hidden ones too, the recorded cases in whose backward passes it takes part."""
    found: dict[str, list[Case]] = defaultdict(list)
    pullback_, pull, seen = Op.pullback, Op.pull, set()

    def watched(self: Op, node: Any, g: Any, as_values: bool) -> Any:
        seen.add(self.name)
        return pullback_(self, node, g, as_values)

    def watched_on_arrays(self: Op, node: Any, g: Any) -> Any:
        seen.add(self.name)
        return pull(self, node, g)

    Op.pullback, Op.pull = watched, watched_on_arrays  # type: ignore[method-assign]
    define.load_all()
    ways = {op: op.ways for op in define.OPS.values() if isinstance(op, Op)}
    for op in ways:
        op.ways = None  # the usual way down goes by `pull`
    try:
        for name in recorded.names():
            cases = recorded.cases(name)
            LAWFUL.update(id(case) for case in laws.smooth_cases(cases))
            for case in cases:
                seen.clear()
                if not wrong(case):
                    for op in seen:
                        found[op].append(case)
    finally:
        Op.pullback, Op.pull = pullback_, pull  # type: ignore[method-assign]
        for op, kept in ways.items():
            op.ways = kept
    return found


def wrong(case: Case) -> bool:
    """Whether the tests find something wrong with a call: by what was recorded, or by the laws."""
    if replay.check(case):
        return True
    if id(case) not in LAWFUL:
        return False
    try:
        return bool(laws.problems(case))
    except Exception:  # however a broken rule fails
        return True


def fails(cases: list[Case]) -> bool:
    return any(wrong(case) for case in cases)


def given(op: Op, name: str, cases: list[Case]) -> list[bool]:
    """For each result of the rule in the cases, whether anything in it is not zero."""
    found: list[bool] = []

    def look(result: Any) -> Any:
        array = result.array if isinstance(result, Value) else result
        if np.size(array):
            found.append(bool(np.any(array != 0)))
        return result

    with broken(op, name, look):
        fails(cases)
    return found


def is_broadcast(op: Op, name: str, cases: list[Case]) -> bool:
    """Whether in some case the sum back to the shape of this input does anything."""
    found: list[bool] = []

    def look(g: Any, like: Any) -> Any:
        found.append(g.shape != like.shape)
        return g

    with not_summed(op, name, look):
        fails(cases)
    return any(found)


def mutants(op: Op, cases: list[Case]) -> Iterator[Mutant]:
    for name in rules_of(op):
        results = given(op, name, cases)
        if not results:
            yield Mutant(op, name, NOT_RUN, False)
            continue
        for what, change in (CHANGES if any(results) else {"plus one": PLUS_ONE}).items():
            with broken(op, name, change):
                yield Mutant(op, name, what, fails(cases))
        rule = op.rules.get(name)
        sums = op.factor or isinstance(rule, Unbroadcast)
        if sums and any(results) and not name.isdigit() and is_broadcast(op, name, cases):
            with not_summed(op, name):
                yield Mutant(op, name, "not summed", fails(cases))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("-v", "--verbose", action="store_true", help="say how each operation fares")
    options = parser.parse_args()
    define.load_all()
    cases = cases_by_operation()
    every = {
        id(o): o for o in OPS.values() if isinstance(o, Op) and (o.rules or o.shared or o.family == "fused")
    }
    ops = sorted(
        (o for o in every.values() if not options.names or o.name in options.names), key=lambda o: o.name
    )
    found: list[Mutant] = []
    for op in ops:
        mine = list(mutants(op, cases[op.name]))
        found += mine
        if options.verbose:
            print(f"{op.name:32} {sum(m.killed for m in mine)}/{len(mine)}")
    not_run = sorted({m.op.name for m in found if m.change == NOT_RUN})
    found = [m for m in found if m.change != NOT_RUN]
    for m in found:
        if not m.killed:
            print(f"survived: {m.op.name}, rule of {m.rule}, {m.change}")
    print(
        f"{len(ops)} operations with rules; with a rule that only higher derivatives run: {', '.join(not_run)}"
    )
    print(f"killed {sum(m.killed for m in found)} of {len(found)}")


if __name__ == "__main__":
    main()
