"""Records what a run of statements does, as a straight list of steps in single-assignment form.

A `Tracer` is told by the engine of every operation on values, forward and backward, of writes in place and of
gradients that leaves receive. What it cannot foresee (a number that is looked at, a value of unknown origin,
a graph that outlives the run) makes it give up: `failed` says why, in words for `--explain-plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine.context import no_grad, state
from vardsl.engine.value import OPS, Tracked, Value
from vardsl.plan.numbers import Numbers, plain

MOST_STEPS = 4000


class Slot:
    """One array of a plan: an `input`, a `grad` found on a leaf at entry, a `const`, or a `temp` that a step
    makes.

    `array` is what it was while recording; for inputs and constants it is the memory that the plan uses.
    `order` is how it lay in memory: sums add up in the order of the memory.
    """

    __slots__ = ("array", "kind", "number", "order", "shape", "source", "uses")

    def __init__(self, number: int, kind: str, array: Any, source: Any = None) -> None:
        self.number = number
        self.kind = kind
        self.array = array
        self.shape = array.shape
        self.order = order_of(array)
        self.source = source
        self.uses = 0

    def __repr__(self) -> str:
        mark = {"input": "in", "grad": "gin", "const": "c", "temp": "t"}[self.kind]
        return f"{mark}{self.number}"


def order_of(array: Any) -> tuple[int, ...] | None:
    """The dimensions from the outermost in memory to the innermost; None where that is their own order."""
    if array.ndim < 2 or array.flags.c_contiguous or 0 in array.strides:
        return None
    strides = array.strides
    found = sorted(range(array.ndim), key=lambda d: -abs(strides[d]))
    return None if found == list(range(array.ndim)) else tuple(found)


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
    """`target[...] = source`: a leaf's memory is changed in place; `bumps` counts that in its version."""

    __slots__ = ("bumps", "source", "target", "value")

    def __init__(self, target: Slot, source: Slot, value: Value, bumps: int = 1) -> None:
        self.target = target
        self.source = source
        self.value = value
        self.bumps = bumps


class _Unwritten:
    """Stands for an operation's signature in steps that no operation of the table makes."""

    parameters = ()
    index: dict[str, int] = {}  # noqa: RUF012


class Made:
    """What a step does that is no operation of the table: `kernel(*args)` gives its results."""

    family = "general"
    signature = _Unwritten
    arrays = (0,)
    promote = None
    ufunc = None
    rest = ()

    def __init__(self, name: str, kernel: Any) -> None:
        self.name = name
        self.kernel = kernel
        self.facts: dict[str, Any] = {}


class Key:
    """The index of a part whose place differs from turn to turn: `now` is what it is this time."""

    def __init__(self, table: Numbers, index: Any, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.parts = index if type(index) is tuple else (index,)
        self.places = [_places(table, k) for k in self.parts]
        self.now: Any = plain_index(index)
        self.lengths = [_length(k, n) for k, n in zip(plain_index(self.parts), shape)]

    def __repr__(self) -> str:
        return "[…]"

    def settle(self, values: list[Any]) -> bool:
        """Takes this time's numbers; False where the part would be another one in kind."""
        now = tuple(_settled(k, values) for k in self.places)
        if [_length(k, n) for k, n in zip(now, self.shape)] != self.lengths:
            return False
        self.now = now
        return True


def _places(table: Numbers, k: Any) -> Any:
    """One part of an index with entries of the table, as a list, in the place of numbers."""
    if isinstance(k, Tracked):
        return [k.entry]  # type: ignore[attr-defined]
    if type(k) is slice:
        return [_places(table, b) for b in (k.start, k.stop, k.step)]
    return k


def _settled(k: Any, values: list[Any]) -> Any:
    if type(k) is not list:
        return k
    if len(k) == 1:
        return values[k[0]]
    return slice(*[values[b[0]] if type(b) is list else b for b in k])


def _length(k: Any, n: int) -> Any:
    """How many elements a part of an index takes of a dimension, or None where there is none such."""
    if type(k) is slice:
        return len(range(*k.indices(n)))
    return -1 if -n <= k < n else None


def _is_followed(k: Any) -> bool:
    parts = (k.start, k.stop, k.step) if type(k) is slice else (k,)
    return any(isinstance(p, Tracked) for p in parts)


def plain_index(index: Any) -> Any:
    """An index with bare numbers."""
    if type(index) is tuple:
        return tuple(map(plain_index, index))
    if type(index) is slice:
        return slice(plain(index.start), plain(index.stop), plain(index.step))
    return plain(index)


class Tracer:
    """Listens to the engine while the run's statements are executed once more as they are."""

    records = True
    defers = False

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
        self.unfit: dict[int, str] = {}  # values that are read, by identity, and why none may work on them
        self.numbers = Numbers(self)
        self.random: list[Value] = []
        self._draws = False
        self.keys: list[Key] = []
        self.parts: dict[int, Key] = {}  # the tensors, by identity, that such a key gave
        self.actions: list[Callable[[], Any]] = []
        self.changers: list[Any] = []  # optimizers that take a step in the run
        self.seen_grads: dict[Value, bool] = {}  # leaves whose gradient was looked at: whether there was one
        self.aliases: dict[int, Value] = {}
        for k, v in enumerate(reads):
            if type(v) is Value and id(v) not in self.slots:
                self._input(k, v)
        if any(leaf._grad is not None and id(leaf._grad) in self.slots for leaf in self.leaves.values()):
            self.fail("a gradient is read under another name")

    def _input(self, k: int, v: Value) -> None:
        if v._node is not None or (v.base is not None and v.requires_grad):
            self.unfit[id(v)] = "a value with a history is read"
            return
        if v.base is not None and not v.array.flags.c_contiguous:
            self.unfit[id(v)] = "a view is read whose numbers do not lie in their own order"
            return
        self.inputs.append((k, self._new("input", v, v.array, k)))
        if v._requires:
            self.leaves[id(v)] = v

    def input(self, v: Value, place: int) -> None:
        """A tensor that takes the place of a number that is read."""
        self.inputs.append((place, self.slots[id(v)]))

    def fail(self, why: str) -> None:
        """Gives up, and listens no more; the first reason stays."""
        if self.failed is None:
            self.failed = why
        if state.ctx.tracer is self:
            state.ctx.tracer = None

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
            self.fail(self.unfit.get(id(v), "a value from outside is used"))
            found = self._new("const", v, v.array)
        return found

    def settle(self) -> None:
        """Memory is about to change, or the run is over: what waits has to be computed."""

    def draws(self) -> None:
        """Random numbers are drawn; the operation that does it is told next."""
        if self._draws:
            self.fail("random numbers are drawn")
        self._draws = True

    def created(self, op: Any, bound: list[Any], v: Value) -> None:
        """An operation made a tensor out of sizes and numbers, or at random."""
        if not self._draws:
            self.constant(v)
            return
        n = len(op.signature.positional)
        names = op.signature.keyword_only

        def kernel(_: Any) -> Any:
            return op.fn(*bound[:n], **dict(zip(names, bound[n:], strict=True)))

        self._random(op, kernel, [], v)

    def _random(self, op: Any, kernel: Any, args: list[Any], v: Value) -> None:
        """A step that draws: after the one before it, and never left out."""
        self._draws = False
        made = Made(f"{op.name} {len(self.steps)}", kernel)
        made.facts["random"] = True
        before = [self.slot(self.random[-1])] if self.random else []
        self.steps.append(Step(made, [before, *args], (self._new("temp", v, v.array),)))
        self.random.append(v)

    def operand(self, v: Value) -> None:
        """A tensor that stands for a number."""
        self._new("input", v, v.array)

    def _argument(self, a: Any) -> Any:
        if type(a) is Value:
            return self.slot(a)
        if type(a) is list:
            return [self._argument(x) for x in a]
        return a

    # ---- what the engine tells -----------------------------------------------------------------------------
    def operation(self, op: Any, bound: list[Any], result: Any) -> None:
        if any(result is b for b in bound):
            return  # a cast to the same dtype and the like
        if self._draws:
            if isinstance(result, tuple) or op.family == "view":
                self.fail("random numbers are drawn")
                return

            def kernel(_: Any, *args: Any) -> Any:
                given = list(args)
                if op.promote is not None:
                    op._promote(given)
                return op.kernel(*given)

            self._random(op, kernel, [self._argument(a) for a in bound], result)
            return
        lowered = op.facts.get("lowered")
        if lowered is not None and self._lower(lowered, bound, result):
            return
        args = [self._argument(a) for a in bound]
        if op.family == "view":
            self.renamed.update(id(b) for b in bound if type(b) is Value)
        results = result if isinstance(result, tuple) else (result,)
        outs = tuple(self._new("temp", r, r.array) for r in results)
        self.steps.append(Step(op, args, outs))
        if len(self.steps) > MOST_STEPS:
            self.fail(f"it takes more than {MOST_STEPS:,} steps")

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
        self.aliases[id(new)] = self.aliases.get(id(of), of)
        self.kept.append(new)

    def constant(self, v: Value) -> None:
        """A value of numbers that are the same in every turn."""
        slot = self._new("const", v, v.array)
        slot.array = copied(v.array)  # the other may be changed

    def escape(self, v: Value) -> None:
        self.fail("a number is looked at")

    def moving_part(self, x: Value, index: Any) -> Any:
        """`x[index]` with numbers in the index that are followed."""
        bare = plain_index(index)
        parts = index if type(index) is tuple else (index,)
        if not any(_is_followed(k) for k in parts):
            return x[bare]
        if type(x) is Value and self._movable(x, parts):
            ctx = state.ctx
            ctx.tracer = None
            found = OPS["getitem"](x, bare)
            ctx.tracer = self
            if found.array.flags.c_contiguous and found.array.size:
                key = Key(self.numbers, index, x.array.shape)
                self.keys.append(key)
                self.parts[id(found)] = key
                out = self._new("temp", found, found.array)
                self.steps.append(Step(Made(f"part {len(self.keys)}", _part), [self.slot(x), key], (out,)))
                return found
        for k in parts:
            for bound in (k.start, k.stop, k.step) if type(k) is slice else (k,):
                if isinstance(bound, Tracked):
                    self.numbers.pin(bound)
        return x[bare]

    def _movable(self, x: Value, parts: Sequence[Any]) -> bool:
        """Whether the place of a part may differ from turn to turn: its gradient must not go anywhere."""
        if x.requires_grad or self.failed is not None or len(parts) > x.array.ndim:
            return False
        for k in parts:
            if type(k) is slice and k.step not in (None, 1):
                return False
            for bound in (k.start, k.stop) if type(k) is slice else (k,):
                known = self.numbers.is_known(bound) if isinstance(bound, Tracked) else type(bound) is int
                if not known and not (bound is None and type(k) is slice):
                    return False
        return True

    def write(self, v: Value, result: Value) -> None:
        root = self.aliases.get(id(v), v)
        if root.base is not None or root._node is not None:
            self.fail("a value that is no leaf is changed in place")
        target = self.slot(v)
        if target.kind != "input":
            self.fail("a value made here is changed in place")
        # what `.data` gives counts its changes for itself
        bumps = 1 if root is v or (v.vc is not None and v.vc is root.vc) else 0
        self.steps.append(Write(target, self.slot(result), root, bumps))

    def update(self, optimizer: Any, changed: Sequence[tuple[int, Value, Value]]) -> None:
        """A step of an optimizer: it changes parameters by their gradients, and its own state."""
        if self.actions:
            self.fail("an optimizer steps after its schedule")
        if any(id(p) not in self.leaves for _, p, _ in changed):
            self.fail("an optimizer changes what is not read here")
        if not changed or self.failed is not None:
            return
        ks = [k for k, _, _ in changed]
        targets = [self.slot(p) for _, p, _ in changed]
        outs = tuple(self._new("temp", None, p.array) for _, p, _ in changed)

        def kernel(values: list[Any], grads: list[Any]) -> Any:
            optimizer.change(list(zip(ks, values, grads, strict=True)))
            return tuple(values) if len(values) > 1 else values[0]

        # the parameters' own memory is changed: that it is written is what the plan has to know
        made = Made(f"{optimizer.name} {len(self.steps)}", kernel)
        made.facts["direct"] = True
        self.steps.append(Step(made, [targets, [self.slot(g) for _, _, g in changed]], outs))
        self.steps += [Write(t, o, p) for t, o, (_, p, _) in zip(targets, outs, changed, strict=True)]
        self.changers.append(optimizer)

    def act(self, action: Callable[[], Any]) -> None:
        """Something happens that no tensor of the run depends on: it is done again after each replay."""
        self.actions.append(action)

    def looked_at_grad(self, leaf: Value) -> None:
        """Whether a leaf has a gradient may decide what happens."""
        if id(leaf) in self.leaves and leaf not in self.grads_out and leaf not in self.seen_grads:
            self.seen_grads[leaf] = leaf._grad is not None

    def root(self, v: Value) -> None:
        """A backward pass begins at a value, and frees its graph: where it has a history that is of another
        time in each turn."""
        if id(v) in self.unfit:
            self.fail(self.unfit[id(v)])

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
        else:
            self.seen_grads.setdefault(leaf, False)


def _part(a: Any, key: Key) -> Any:
    return a[key.now]


def copied(a: Any) -> Any:
    """A copy that lies in memory as its original does; one that was spread over a dimension lies in a row, as
    products lay it out."""
    return np.array(a, order="C" if 0 in a.strides else "K")
