"""Records what a run of statements does, as a straight list of steps in single-assignment form.

A `Tracer` is told by the engine of every operation on values, forward and backward, of writes in place and of
gradients that leaves receive. What it cannot foresee (a number that is looked at, a value of unknown origin,
a graph that outlives the run) makes it give up: `failed` says why, in words for `--explain-plan`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vardsl.engine.context import no_grad
from vardsl.engine.value import Node, Value


class Slot:
    """One array of a plan: an `input`, a `grad` found on a leaf at entry, a `const`, or a `temp` that a step
    makes.

    `array` is what it was while recording; for inputs and constants it is the memory that the plan uses.
    """

    __slots__ = ("array", "kind", "number", "shape", "source", "uses")

    def __init__(self, number: int, kind: str, array: Any, source: Any = None) -> None:
        self.number = number
        self.kind = kind
        self.array = array
        self.shape = array.shape
        self.source = source
        self.uses = 0

    def __repr__(self) -> str:
        mark = {"input": "in", "grad": "gin", "const": "c", "temp": "t"}[self.kind]
        return f"{mark}{self.number}"


def alike(a: Slot, b: Slot) -> bool:
    """Whether two arrays have one shape and dtype."""
    return a.shape == b.shape and bool(a.array.dtype == b.array.dtype)


class Step:
    """`outs = op(args)`; in `args` a Slot stands for an array, everything else is as it was."""

    __slots__ = ("args", "op", "outs")

    def __init__(self, op: Any, args: list[Any], outs: tuple[Slot, ...]) -> None:
        self.op = op
        self.args = args
        self.outs = outs

    @property
    def fallible(self) -> bool:
        """Whether the numbers in its arguments may be wrong: indices and classes."""
        return any(p.kind == "Index" for p in self.op.signature.parameters)

    def slots(self) -> list[Slot]:
        """The arrays that the step reads."""
        found = []
        for a in self.args:
            if type(a) is Slot:
                found.append(a)
            elif type(a) is list:
                found.extend(x for x in a if type(x) is Slot)
        return found


class Write:
    """`target[...] = source`: a leaf's memory is changed in place, `bumps` its version."""

    __slots__ = ("source", "target", "value")

    def __init__(self, target: Slot, source: Slot, value: Value) -> None:
        self.target = target
        self.source = source
        self.value = value


class Tracer:
    """Listens to the engine while the run's statements are executed once more as they are."""

    def __init__(self, reads: Sequence[Any]) -> None:
        self.steps: list[Step | Write] = []
        self.failed: str | None = None
        self.slots: dict[int, Slot] = {}
        self.memory: dict[int, Slot] = {}
        self.kept: list[Any] = []
        self.inputs: list[tuple[int, Slot]] = []
        self.grads_in: dict[Value, Slot] = {}
        self.found: dict[Value, Value] = {}  # the gradients of these at entry
        self.added: dict[Value, int] = {}  # how often a leaf's gradient was added to in its memory
        self.renamed: set[int] = set()  # values whose memory has other names too
        self.grads_out: dict[Value, Slot | None] = {}
        self.first_clear: set[Value] = set()
        self.last_clear = 0  # how many steps came before the last of these
        self.leaves: dict[int, Value] = {}
        self.backwards = 0
        self._count = 0
        for k, v in enumerate(reads):
            if type(v) is Value:
                if id(v) not in self.slots:
                    self._input(k, v)
            elif isinstance(v, tuple):
                self.fail("a tuple is read")
            elif callable(v):
                self.fail("a function of the script is called: what it reads cannot be told from here")

    def _input(self, k: int, v: Value) -> None:
        if v._node is not None or v.base is not None:
            self.fail("a value with a history is read")
        self.inputs.append((k, self._new("input", v, v.array, k)))
        if v._requires:
            self.leaves[id(v)] = v

    def fail(self, why: str) -> None:
        """Gives up; the first reason stays."""
        if self.failed is None:
            self.failed = why

    def _new(self, kind: str, value: Value | None, array: Any, source: Any = None) -> Slot:
        self._count += 1
        slot = Slot(self._count, kind, array, source)
        if value is not None:
            self.slots[id(value)] = self.memory[id(array)] = slot
            self.kept += (value, array)
        return slot

    def slot(self, v: Value) -> Slot:
        """The slot of a value; a gradient that a leaf had at entry becomes an input on first sight."""
        found = self.slots.get(id(v)) or self.memory.get(id(v.array))
        if found is None:
            for leaf in self.leaves.values():
                if leaf._grad is v and leaf not in self.grads_out:
                    found = self.grads_in[leaf] = self._new("grad", v, v.array, leaf)
                    self.found[leaf] = v
                    return found
            self.fail("a value from outside is used")
            found = self._new("const", v, v.array)
        return found

    def _argument(self, a: Any) -> Any:
        if type(a) is Value:
            return self.slot(a)
        if type(a) is list:
            return [self._argument(x) for x in a]
        return a

    # ---- what the engine tells -----------------------------------------------------------------------------
    def operation(self, op: Any, bound: list[Any], result: Any) -> None:
        if op.facts.get("random"):
            self.fail("random numbers are drawn")
        if any(result is b for b in bound):
            return  # a cast to the same dtype and the like
        lowered = op.facts.get("lowered")
        if lowered is not None and self._lower(lowered, bound, result):
            return
        args = [self._argument(a) for a in bound]
        if op.family == "view":
            self.renamed.update(id(b) for b in bound if type(b) is Value)
        results = result if isinstance(result, tuple) else (result,)
        outs = tuple(self._new("temp", r, r.array) for r in results)
        self.steps.append(Step(op, args, outs))

    def _lower(self, body: Any, bound: list[Any], result: Any) -> bool:
        """Records what an operation is made of in its place: `body` gives the same bits by simpler
        operations, or None where it knows none."""
        with no_grad():
            parts = body(*bound)
        if parts is None:
            return False
        pairs = zip(parts, result, strict=True) if isinstance(result, tuple) else ((parts, result),)
        for part, whole in pairs:
            slot = self.slot(part)
            self.slots[id(whole)] = self.memory[id(whole.array)] = slot
            self.kept += (whole, whole.array)
        return True

    def alias(self, of: Value, new: Value) -> None:
        self.slots[id(new)] = self.slot(of)
        self.renamed.add(id(of))
        self.kept.append(new)

    def constant(self, v: Value) -> None:
        """A value of numbers that are the same in every turn."""
        self._new("const", v, v.array)

    def draws(self) -> None:
        self.fail("random numbers are drawn")

    def escape(self, v: Value) -> None:
        self.fail("a number is looked at")

    def write(self, v: Value, result: Value) -> None:
        if v.base is not None or v._node is not None:
            self.fail("a value that is no leaf is changed in place")
        target = self.slot(v)
        if target.kind != "input":
            self.fail("a value made here is changed in place")
        self.steps.append(Write(target, self.slot(result), v))

    def backward(self, seeds: Sequence[Value], *, simple: bool) -> None:
        if not simple:
            self.fail("a backward with options")
        self.backwards += 1
        for seed in seeds:
            if id(seed) not in self.slots:
                self._new("const", seed, seed.array)

    def accumulate(self, leaf: Value, before: Value | None, g: Value) -> None:
        """A leaf receives its first gradient `g`, or one that makes what it had `before` the sum `g`."""
        if id(leaf) not in self.leaves:
            self.fail("a leaf from outside receives a gradient")
        if leaf.hooks:
            self.fail("a hook")
        assert leaf._grad is not None
        if before is not None and leaf._grad is before:
            self._added(leaf, before, g)
        else:
            self.added[leaf] = 0
            if before is None:
                self.slots[id(leaf._grad)] = self.slot(g)
                self.kept.append(leaf._grad)
        self.grads_out[leaf] = self.slot(leaf._grad)

    def _added(self, leaf: Value, before: Value, total: Value) -> None:
        """The gradient's memory holds `total` from here on."""
        if id(before) in self.renamed:
            self.fail("a gradient that has another name is added to")
        self.added[leaf] = self.added.get(leaf, 0) + 1
        self.slots[id(before)] = self.memory[id(before.array)] = self.slot(total)

    def cleared(self, leaf: Value) -> None:
        """`zero_grad`: the leaf's gradient is none from here on."""
        if id(leaf) in self.leaves:
            if leaf not in self.grads_out and leaf not in self.grads_in:
                self.first_clear.add(leaf)
                self.last_clear = len(self.steps)
            self.grads_out[leaf] = None
        elif leaf._grad is not None:
            self.fail("a gradient of a value from outside is cleared")


def unfinished(v: Value) -> bool:
    """Whether a value's graph could still be used for a backward pass."""
    if v._node is None:
        return False
    seen: set[Node] = set()
    stack: list[Node | None] = [v._node]
    freed = False
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.hooks or node.retained:
            return True
        if node.freed:
            freed = True
        elif node.op.saves(node):
            return True
        stack.extend(e for e in node.edges if type(e) is Node)
    return not freed
