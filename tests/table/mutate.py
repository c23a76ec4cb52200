"""Breaks every derivative rule in several ways, and counts how many of the broken ones the recorded cases find.

    python -m tests.table.mutate [NAME...] [-v]

A rule's result is made larger by 0.1 %, has its sign flipped, or is dropped; where an input may have been broadcast
the sum back to its shape is left out. A rule whose result is zero in every case has one added to it instead. A
mutant counts as killed when some recorded case of an operation that runs the rule fails.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.table import recorded, replay
from tests.table.recorded import Case
from vardsl.engine import pullback
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
        fn, only = rule.fn, int(name) if name.isdigit() else None
        rule.fn = lambda *a: changed(fn(*a), change, only)
        try:
            yield
        finally:
            rule.fn = fn
        return
    inputs = op.inputs
    op.inputs = [(i, float(change(r)) if op.signature.parameters[i].name == name else r) for i, r in inputs]
    try:
        yield
    finally:
        op.inputs = inputs


@contextmanager
def not_summed(op: Op, name: str) -> Iterator[None]:
    """An operation that leaves a cotangent at the size to which the input was broadcast."""
    rule = op.rules[name]
    if isinstance(rule, define._Unbroadcast):
        whole = define._Unbroadcast.__call__
        plain = Rule.__call__
        define._Unbroadcast.__call__ = (  # type: ignore[method-assign]
            lambda self, *a: plain(self, *a) if self is rule else whole(self, *a)
        )
        try:
            yield
        finally:
            define._Unbroadcast.__call__ = whole  # type: ignore[method-assign]
        return
    one, real = op._one, pullback.unbroadcast
    place = op.signature.index[name]

    def without(rule: Any, i: int, node: Any, g: Any, as_values: bool) -> Any:
        pullback.unbroadcast = (lambda g, like: g) if i == place else real
        try:
            return one(rule, i, node, g, as_values)
        finally:
            pullback.unbroadcast = real

    op._one = without  # type: ignore[method-assign]
    try:
        yield
    finally:
        del op._one


def rules_of(op: Op) -> list[str]:
    if op.family == "fused":
        return [str(k) for k in range(len(op.arrays))]
    if op.shared is not None:
        return [str(k) for k in range(len(op.arrays))]
    return [name for name, rule in op.rules.items() if not isinstance(rule, NotImplementedRule)]


def cases_by_operation() -> dict[str, list[Case]]:
    """For each operation, hidden ones too, the recorded cases in whose backward passes it takes part."""
    found: dict[str, list[Case]] = defaultdict(list)
    pullback, seen = Op.pullback, set()

    def watched(self: Op, node: Any, g: Any, as_values: bool) -> Any:
        seen.add(self.name)
        return pullback(self, node, g, as_values)

    Op.pullback = watched  # type: ignore[method-assign]
    try:
        for name in recorded.names():
            for case in recorded.cases(name):
                seen.clear()
                if not replay.check(case):
                    for op in seen:
                        found[op].append(case)
    finally:
        Op.pullback = pullback  # type: ignore[method-assign]
    return found


def fails(cases: list[Case]) -> bool:
    return any(replay.check(case) for case in cases)


def always_zero(op: Op, name: str, cases: list[Case]) -> bool:
    """Whether the rule has given nothing but zeros, or nothing at all."""
    other: list[bool] = []

    def look(result: Any) -> Any:
        array = result.array if isinstance(result, Value) else result
        other.append(bool((array != 0).any()) if hasattr(array, "any") else array != 0)
        return result

    with broken(op, name, look):
        fails(cases)
    return not any(other)


def mutants(op: Op, cases: list[Case]) -> Iterator[Mutant]:
    for name in rules_of(op):
        zero = always_zero(op, name, cases)
        for what, change in ({"plus one": PLUS_ONE} if zero else CHANGES).items():
            with broken(op, name, change):
                yield Mutant(op, name, what, fails(cases))
        rule = op.rules.get(name)
        sums = op.factor or isinstance(rule, define._Unbroadcast)
        if sums and len(op.arrays) > 1 and not name.isdigit() and not zero:
            with not_summed(op, name):
                yield Mutant(op, name, "not summed", fails(cases))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("-v", "--verbose", action="store_true", help="say how each operation fares")
    options = parser.parse_args()
    define.load_all()
    cases = cases_by_operation()
    every = {id(o): o for o in OPS.values() if isinstance(o, Op) and (o.rules or o.shared or o.family == "fused")}
    ops = sorted((o for o in every.values() if not options.names or o.name in options.names), key=lambda o: o.name)
    found: list[Mutant] = []
    for op in ops:
        mine = list(mutants(op, cases[op.name]))
        found += mine
        if options.verbose:
            print(f"{op.name:32} {sum(m.killed for m in mine)}/{len(mine)}")
    print(f"operations with rules: {len(ops)}; never in a recorded backward pass: ", end="")
    print(", ".join(o.name for o in ops if not cases[o.name]) or "none")
    for m in found:
        if not m.killed:
            print(f"survived: {m.op.name}, rule of {m.rule}, {m.change}")
    print(f"killed {sum(m.killed for m in found)} of {len(found)}")


if __name__ == "__main__":
    main()
