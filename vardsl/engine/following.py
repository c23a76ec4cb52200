"""Listening to one run: which operations depend on what was given to it, noted as they are done.

What the run does beside operations (looks at numbers, changes memory, draws at random) makes the follower
fail: then what it noted says nothing of other runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.value import Value


class Part:
    """One array of the run that is different in every row, as it is in one of them."""

    __slots__ = ("dtype", "shape")

    def __init__(self, array: Any) -> None:
        self.shape = array.shape
        self.dtype = array.dtype


class Call:
    """One operation of the run: in `args` a Part stands for what differs, all else is as it was."""

    __slots__ = ("args", "op", "outs", "recorded")

    def __init__(self, op: Any, args: list[Any], outs: tuple[Part, ...], recorded: bool) -> None:
        self.op = op
        self.args = args
        self.outs = outs
        self.recorded = recorded

    def parts(self) -> list[Part]:
        found = []
        for a in self.args:
            if type(a) is Part:
                found.append(a)
            elif type(a) is list:
                found.extend(x for x in a if type(x) is Part)
        return found


class _Cut:
    """The numbers of a value outside the graph."""

    name, family, arrays, promote = "detach", "view", (0,), None
    facts: ClassVar[dict[str, Any]] = {"batch": lambda cut, args, at, n: cut.run(args)}

    def run(self, args: list[Any]) -> Any:
        return args[0].detach() if type(args[0]) is Value else args[0]


CUT = _Cut()


class Follower:
    """Listens in a tracer's place; what does not depend on the given values is passed on to that tracer.

    `same` are the values known to be the same in every row, where not all others can be taken for that: a
    function may compute with numbers beside the operations.
    """

    records = False  # a plan
    defers = False

    def __init__(self, outer: Any, same: Iterable[Value] | None = None) -> None:
        self.outer = outer
        self.same = None if same is None else {id(v) for v in same}
        self.calls: list[Call] = []
        self.failed = False
        self.known: dict[int, Part] = {}
        self.memory: dict[int, Part] = {}
        self.kept: list[Any] = []

    def part(self, v: Value) -> Part | None:
        return self.known.get(id(v)) or self.memory.get(id(v.array))

    def add(self, v: Value) -> Part:
        """Notes a value that differs from row to row."""
        part = self.known[id(v)] = self.memory[id(v.array)] = Part(v.array)
        self.kept += (v, v.array)
        return part

    def settle(self) -> None:
        if self.outer is not None:
            self.outer.settle()

    def fail(self, why: str) -> None:
        self.failed = True
        if self.outer is not None:
            self.outer.fail(why)

    def operation(self, op: Any, bound: Sequence[Any], result: Any) -> None:
        args = [self._argument(a) for a in bound]
        call = Call(op, args, (), state.ctx.grad_enabled)
        if self.same is not None and not self._all_known(bound):
            self.failed = True
        if not call.parts():
            self._is_same(*(result if isinstance(result, tuple) else (result,)))
            if self.outer is not None:
                self.outer.operation(op, bound, result)
            return
        if any(result is b for b in bound):
            return  # a cast to the same dtype and the like
        body = op.kernel if op.family == "fused" else op.facts.get("lowered")
        if body is not None and "batch" not in op.facts and self._parts_of(body, op, bound, result):
            return
        call.outs = tuple([self.add(r) for r in (result if isinstance(result, tuple) else (result,))])
        self.calls.append(call)

    def _is_same(self, *values: Value) -> None:
        if self.same is not None:
            self.same.update([id(v) for v in values])
            self.kept += values

    def _all_known(self, bound: Iterable[Any]) -> bool:
        """Whether every array among the arguments comes from operations on what is known."""
        for a in bound:
            if type(a) is Value:
                if id(a) not in (self.same or ()) and self.part(a) is None:
                    return False
            elif isinstance(a, (list, tuple)):
                if not self._all_known(a):
                    return False
            elif a is not None and not isinstance(a, (int, float, str, np.dtype, slice)):
                return False
        return True

    def _argument(self, a: Any) -> Any:
        if type(a) is Value:
            return self.part(a) or a
        if type(a) is list:
            return [self._argument(x) for x in a]
        return a

    def _parts_of(self, body: Callable[..., Any], op: Any, bound: Sequence[Any], result: Any) -> bool:
        """Notes the operations that another one is made of in its place; False where it is one by itself."""
        given = list(bound)
        if op.promote is not None:
            op._promote_values(given)
        made = body(*given)
        if made is None:
            return False
        pairs = zip(made, result, strict=True) if isinstance(result, tuple) else ((made, result),)
        for new, whole in pairs:
            self.alias(new, whole)
        return True

    def alias(self, of: Value, new: Value) -> None:
        part = self.part(of)
        if part is not None:
            if of.requires_grad and new._node is None:
                cut = Call(CUT, [part], (Part(new.array),), False)
                self.calls.append(cut)
                part = cut.outs[0]
            self.known[id(new)] = part
            self.memory.setdefault(id(new.array), part)
            self.kept += (new, new.array)
            return
        if self.same is not None and id(of) in self.same:
            self._is_same(new)
        if self.outer is not None:
            self.outer.alias(of, new)

    def constant(self, v: Value) -> None:
        self._is_same(v)
        if self.outer is not None:
            self.outer.constant(v)

    def created(self, op: Any, bound: list[Any], v: Value) -> None:
        self._is_same(v)
        if self.outer is not None:
            self.outer.created(op, bound, v)

    def draws(self) -> None:
        self.fail("random numbers are drawn for each row")

    def update(self, optimizer: Any, changed: Sequence[Any]) -> None:
        self.fail("an optimizer's step")

    def act(self, action: Callable[[], Any]) -> None:
        self.fail("a schedule's step")

    def looked_at_grad(self, leaf: Value) -> None:
        if self.outer is not None:
            self.outer.looked_at_grad(leaf)

    def escape(self, v: Value) -> None:
        if self.part(v) is not None:
            self.failed = True
        elif self.outer is not None:
            self.outer.escape(v)

    def write(self, v: Value, result: Value) -> None:
        self.fail("a value is changed in place")

    def root(self, v: Value) -> None:
        if self.outer is not None:
            self.outer.root(v)

    def backward(self, seeds: Sequence[Value], *, simple: bool) -> None:
        self.fail("a backward in a transformed function")

    def accumulate(self, leaf: Value, before: Value | None, g: Any) -> None:
        self.fail("a backward in a transformed function")

    def cleared(self, leaf: Value) -> None:
        self.fail("a gradient is cleared in a transformed function")


class following:
    """While entered, a follower listens."""

    def __init__(self, follower: Follower) -> None:
        self.follower = follower

    def __enter__(self) -> None:
        self.ctx = state.ctx
        self.ctx.tracer = self.follower

    def __exit__(self, *exc: object) -> None:
        self.ctx.tracer = self.follower.outer
