"""Plans as text: what became of each run of statements, its steps in the script's names, and why not.

A plan is read from top to bottom. `t3` is a result without a name; `w.grad = …` is what a leaf's gradient
becomes; `w[...] = …` is a change in place. Steps that stream are marked with a bar.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from vardsl.engine.value import Value
from vardsl.plan.execute import Plan
from vardsl.plan.layout import Layout
from vardsl.plan.region import Region
from vardsl.plan.trace import Slot, Step, Write

NOTHING = "nothing was planned: no statements over tensors were repeated often enough"
LAST = "not repeated; its numbers were computed at its end"
_BETWEEN = {
    "add": "+", "sub": "-", "mul": "*", "true_divide": "/", "matmul": "@", "_pow_number": "**",
    "_pow_tensor": "**", "floor_divide": "//", "remainder": "%", "eq": "==", "ne": "!=", "lt": "<",
    "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip
_PART = re.compile(r"^_|_(all|dim|number|tensor)$")  # of the names of operations that scripts do not call
# What to change where a run cannot be planned, by what the reason says.
ADVICE = {
    "a number is looked at": "keep it a tensor in the loop, and look at it (item, print, if) behind the loop",
    "what happens depends on a number": "decide on it behind the loop, or on what is known before the turn",
    "something is printed": "print behind the loop, or every so many turns in a branch of its own",
    "a truth value of the run": "use where(…) on tensors, or decide behind the loop",
    "used where that may fail": "use there what is known before the turn",
    "used where it cannot be followed": "make it a tensor, or compute it outside of the loop",
    "a number is changed where": "keep numbers and tensors under names of their own",
    "random numbers are drawn": "draw them before the loop where that means the same",
    "optimizer steps after its schedule": "step the optimizer first, then its schedule",
    "optimizer changes what is not read": "give a loop an optimizer of its own for what it works on",
    "bound on some ways only": "bind it before the loop too, so that it has a value on every way",
    "nothing in it works on tensors": "nothing: numbers alone are as fast as they get",
    "that read very many names": "give the functions what they need as arguments",
    "() is called, which cannot": "write what it does in the loop itself",
    "() does what cannot be followed": "write what it does in the loop itself",
    "() binds names of its file": "let the function return what it changes",
    "() binds variables around it": "let the function return what it changes",
    "is read, which cannot be followed": "read tensors, numbers, tuples of these and functions of the script",
    "it takes more than": "do less in one turn: a plan of so many steps takes too long to make",
    "a function is made": "make it before the loop, or only call it in the turn that makes it",
    "is made": "bind tensors, numbers and tuples of these",
    "a view that copies": "reshape before the loop",
    "a view is read whose numbers": "clone() it before the loop",
    "a gradient is read under": "read it as w.grad in the loop",
    "a value gets another shape": "bind a new value instead: y = y.reshape(…)",
    "a value with a history": "compute in the loop what begins outside, or detach() it before the loop",
    "a value from outside": "make the tensor before the loop, under a name that the loop reads",
    "a backward with options": "leave out retain, create, inputs and with where they are not needed",
    "a hook": "take the hook away, or do in the loop what it does",
    "a leaf from outside": "name the variable in the loop, or detach() it where its gradient is not needed",
    "a value that is no leaf is changed": "bind a new value instead: x = x * 2 in place of x *= 2",
    "a value made here is changed": "bind a new value instead: y = y * 2 in place of y *= 2",
    "a gradient of a value from outside": "name the variables in zero_grad",
    "a tuple": "bind tensors to names of their own instead of a tuple",
    "a view or a new leaf": "make variables before the loop; clone() a part that is bound",
    "a graph is still needed": "run backward on it in the same turn, or detach() what is kept",
    "an index is used after a write": "look up by index before the first change in place",
    "memory that is changed": "clone() one of the two",
    "a gradient that has another name": "clone() the gradient where it is given a name",
    "a gradient from before": "clone() the gradient where it is given a name",
    "what it works on": "give the loop tensors of one shape and dtype, and numbers that stay",
}


def describe(regions: Iterable[Region]) -> str:
    """What became of these runs of statements; those that were neither repeated nor streamed are left out."""
    told = [r for r in regions if r.plan is not None or r.stopped is not None or r.given_up or r.streamed]
    parts = [_region(r) for r in told]
    return "\n\n".join(parts) if parts else NOTHING


def _region(region: Region) -> str:
    streamed = "".join(f"\n  | {note}" for note in region.streamed)
    if region.stopped is not None:
        return f"{region.label}: not planned: {region.stopped}" + _advice(region.stopped) + streamed
    if region.plan is None and not region.given_up:
        return f"{region.label}: {LAST}{streamed}"
    times = f"{region.turns:,} of {region.turns + region.plain:,} turns ran as planned"
    if region.given_up:
        times += f"; it fell back {_times(region.given_up)}"
    if region.plan is None:
        return f"{region.label}: was planned, until what it was recorded for changed; {times}"
    if len(region.plans) > 1:
        times += f"; the last of {len(region.plans)} plans:"
    body = _Plan(region.plan, region.names, region.binds)
    return "\n".join([f"{region.label}: planned; {times}", *body.lines()])


def _advice(reason: str) -> str:
    found = next((text for part, text in ADVICE.items() if part in reason), None)
    return "" if found is None else f"\n    {found}"


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n:,} times"


class _Plan:
    """The lines about one plan."""

    def __init__(self, plan: Plan, reads: Sequence[str], binds: Sequence[str]) -> None:
        self.plan = plan
        self.names: dict[Slot, str] = {}
        self.leaves: dict[Value, str] = {}
        for k, slot in plan.inputs.items():
            self.names[slot] = reads[k] if k < len(reads) else f"in{slot.number}"
        for k, v in enumerate(plan.reads):
            if type(v) is Value and k < len(reads):
                self.leaves[v] = reads[k]
        for leaf, slot in plan.grads_in.items():
            self.names[slot] = f"{self._leaf(leaf)}.grad"
        self.bound: dict[Slot, str] = {}
        for (what, _, _), name in zip(plan.outputs, binds):
            if type(what) is Slot and name:
                self.bound.setdefault(what, name)

    def _leaf(self, leaf: Value) -> str:
        return self.leaves.get(leaf, "a variable")

    def lines(self) -> Iterator[str]:
        plan = self.plan
        streamed = {o for region in plan.layout.streamed for step in region.steps for o in step.outs}
        for step in plan.steps:
            mark = "|" if isinstance(step, Step) and step.outs[0] in streamed else " "
            yield f"  {mark} {self._write(step) if isinstance(step, Write) else self._step(step)}"
        for leaf, slot in plan.grads_out:
            yield f"    {self._leaf(leaf)}.grad = {self._name(slot)}"
        for leaf in plan.cleared:
            yield f"    {self._leaf(leaf)}.grad = none"
        yield from self._work()

    def _step(self, step: Step) -> str:
        outs = ", ".join(self._name(o) for o in step.outs)
        name = step.op.name
        parameters = step.op.signature.parameters
        given = (
            [
                a
                for a, p in zip(step.args, parameters)
                if type(a) is Slot or (a is not None and a != p.default)
            ]
            if parameters
            else step.args
        )
        args = [self._shown(a) for a in given]
        if name in _BETWEEN and len(args) == 2:
            return f"{outs} = {args[0]} {_BETWEEN[name]} {args[1]}"
        if name == "_rsub_number" and len(args) == 2:
            return f"{outs} = {args[1]} - {args[0]}"
        if name == "neg":
            return f"{outs} = -{args[0]}"
        return f"{outs} = {_PART.sub('', name)}({', '.join(args)})"

    def _write(self, write: Write) -> str:
        return f"{self._name(write.target)}[...] = {self._name(write.source)}"

    def _shown(self, a: Any) -> str:
        if type(a) is Slot:
            return self._name(a)
        if type(a) is list:
            return f"[{', '.join(map(self._shown, a))}]"
        return repr(a)

    def _name(self, slot: Slot) -> str:
        if slot.kind == "const":
            a = slot.array
            if a.size and (a.size == 1 or not any(a.strides)):
                return f"{a.flat[0].item():g}"
            return f"<{'×'.join(map(str, a.shape))} numbers>"
        return self.bound.get(slot) or self.names.get(slot) or f"t{slot.number}"

    def _work(self) -> Iterator[str]:
        plan = self.plan
        saved = plan.recorded - len(plan.steps)
        yield (
            f"    {_count(len(plan.steps), 'step')}"
            + (f", {saved:,} more folded, merged or not needed" if saved > 0 else "")
            + f"; {_count(calls(plan.layout.program), 'NumPy call')} a turn in {_buffers(plan.layout)}"
        )
        for region in plan.layout.streamed:
            yield f"  | {region}"
        if plan.quiet is not None:
            each = calls(plan.quiet.program)
            yield f"    {_count(each, 'NumPy call')} a turn that another turn follows at once"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def calls(program: Iterable[tuple[Any, tuple[Any, ...]]]) -> int:
    """How many calls a turn makes; a streamed region counts each of its blocks' calls."""
    total = 0
    for fn, _ in program:
        runs = getattr(fn, "runs", None)
        total += 1 if runs is None else sum(map(len, runs[0])) + len(fn.finish)
    return total


def memory(layout: Layout) -> list[Any]:
    """The arrays of its own that a layout works in, each once."""
    owned = [*layout.buffers.values(), *layout.scratches.values()]
    for fn, _ in layout.program:
        for run in getattr(fn, "runs", ()):
            owned += [a for part in run for _, args in part for a in args if isinstance(a, np.ndarray)]
    found: dict[int, Any] = {}
    foreign = {id(_root(a)) for a in layout.given.values()}
    for a in owned:
        root = _root(a)
        if id(root) not in foreign:
            found[id(root)] = root
    return list(found.values())


def _root(a: Any) -> Any:
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


def _buffers(layout: Layout) -> str:
    arrays = memory(layout)
    return f"{_count(len(arrays), 'buffer')} of {_bytes(sum(a.nbytes for a in arrays))}"


def _bytes(n: int) -> str:
    size, unit = float(n), "bytes"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{n:,} bytes" if unit == "bytes" else f"{size:.3g} {unit}"
