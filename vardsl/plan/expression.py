"""Expressions that a script meets again and again, each of which gets code of its own.

Where an expression stands that works on tensors alone, in a loop or a function, the script first asks the
`Site` for its value. That gives None at first, so that the expression is evaluated as it stands; after
`OFTEN` times with operands of one kind it is recorded once, operation by operation, and code is made of that
(`straight.py`). The code is for operands of that kind: shapes, dtypes, numbers, and which of them take part
in the graph. Others are asked about here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from vardsl.engine.bundle import Form, Leaf, Made, Step, Template
from vardsl.engine.casting import SCALAR_TYPES, SCALARS, scalar
from vardsl.engine.context import state
from vardsl.engine.dtypes import f4, f8
from vardsl.engine.infix import KERNELS
from vardsl.engine.large import LARGE
from vardsl.engine.node import Like, Node
from vardsl.engine.value import Tracked, Value
from vardsl.errors import GradError
from vardsl.plan.straight import FREE, LEAF, NODE, NONE, Backward, Call, Key, Unfit

ndarray = np.ndarray
OFTEN = 8  # times after which code for operands of a kind pays
MOST_KINDS = 4
MOST_MISSES = 200  # operands of kinds that there is no code for, after which there will be no more
MOST_UNFOLDED = 30  # bundles that are taken apart, after which there will be none
MOST_STEPS = 24
_PLAIN = (int, float, bool, str, type(None))
_NAMED = (np.maximum, np.minimum)  # which want to be told by name where their result goes
_FAMILIES = ("elementwise", "general", "view", "nondiff")


class Site:
    """Where an expression stands. `plain` evaluates it as a function of its operands.

    `ask(*operands)` gives its value in a tuple, or None where it has to be evaluated as it stands.
    """

    def __init__(
        self, plain: Callable[..., Any], numbers: Sequence[int], place: Callable[[Callable[..., Any]], None]
    ) -> None:
        self.plain = plain
        self.free = frozenset(numbers)  # the operands that may be any real number
        self.place = place  # puts the function where the script asks
        code: Any = plain.__code__
        self.builtins = [name for name in code.co_names if name.startswith(":")]
        self.first = self.ask  # what the script asks; each function asks the one that was there before it
        self.counts: dict[Any, int] = {}
        self.kinds = 0  # of operands that there is code for
        self.misses = 0
        self.closed = False  # whether there will be no more
        self.unfolded = 0
        self.grads: tuple[int, ...] = ()  # the operands whose gradients are operands too

    def ask(self, *operands: Any) -> Any:
        """What is asked as long as there is no code for operands of a kind."""
        ctx = state.ctx
        if self.closed or ctx.tracer is not None or ctx.anomaly:
            return None
        try:
            key = self._key(operands)
        except GradError:  # a view whose history has become impossible
            return None
        if key is not None and self.kinds < MOST_KINDS:
            count = self.counts.get(key, 0) + 1
            if count == OFTEN:
                return self._made(key, operands)
            if key in self.counts or len(self.counts) < 4 * MOST_KINDS:
                self.counts[key] = count
        return self._missed()

    def _missed(self) -> None:
        self.misses += 1  # of this kind there will be no code, or not yet
        if self.misses > MOST_MISSES + OFTEN:
            self.closed = True
            if not self.kinds:
                self.place(_never)

    def _key(self, operands: Sequence[Any]) -> Any:
        return _key(self._all(operands), state.ctx.grad_enabled, self.free)

    def _all(self, operands: Sequence[Any]) -> Sequence[Any]:
        """The operands, and the gradients that belong to them."""
        if not self.grads:
            return operands
        return [*operands, *[getattr(operands[i], "_grad", None) for i in self.grads]]

    def _made(self, key: Any, operands: Sequence[Any]) -> Any:
        """Records the expression once more, and makes code of it."""
        ctx = state.ctx
        recorder = Recorder(operands, changes=not ctx.grad_enabled)
        ctx.tracer = recorder
        try:
            value = self.plain(*recorder.numbered(self.free))
        finally:
            if ctx.tracer is recorder:
                ctx.tracer = None
        looked_at = {n.place for n in recorder.numbers if n.looked_at}
        if looked_at:
            self.free -= looked_at  # the next time it is recorded as the number that it is
            self.counts[self._key(operands)] = OFTEN - 2
            return (value,)
        if recorder.written is not None and (ctx.journal is not None or ctx.savepoint is not None):
            self.counts[key] = 0  # that can be taken back now, and what has code cannot
            return (value,)
        try:
            if recorder.grads != self.grads:
                self.grads = recorder.grads
                key = self._key(operands)
            found = recorder.code(key, self._all(operands), value, self)
        except Unfit:
            self.counts[key] = OFTEN  # not again
            return (value,)
        self.kinds += 1
        self.misses = 0
        self.first = found
        self.place(found)
        return (value,)

    def notice(self) -> None:
        """A bundle was taken apart. Where that happens all the time, code of its own does not pay."""
        self.unfolded += 1
        if self.unfolded >= MOST_UNFOLDED:
            self.closed = True
            self.place(_never)


def _never(*operands: Any) -> None:
    return None


def _key(operands: Sequence[Any], grad_enabled: bool, free: frozenset[int]) -> Any:
    """What is the same of operands of one kind; None where there is no code for such."""
    key: list[Any] = [grad_enabled, state.ctx.default_dtype]
    for i, a in enumerate(operands):
        if type(a) is Value:
            x = a.array
            if type(x) is not ndarray and type(x) not in SCALAR_TYPES:
                return None
            if x.size >= LARGE:
                return None
            part = NONE
            if grad_enabled:
                made = a._node if a.base is None else a.node
                part = NODE if made is not None else LEAF if a._requires else NONE
            key.append((Value, x.shape, x.dtype, part, a.index if part is NODE else 0))
        elif type(a) is float and i in free:
            key.append((FREE,))
        elif type(a) in _PLAIN:
            if a != a or (type(a) is float and not a):
                return None  # nan, and zeros, which are equal whatever their sign
            key.append((type(a), a))
        else:
            return None
    return tuple(key)


class Number(Tracked):
    """A real number in the place of an operand. Beside a tensor a tensor stands for it; whatever else is done
    with it looks at it."""

    __slots__ = ("looked_at", "place", "stand_ins", "value")

    def __init__(self, value: float, place: int) -> None:
        self.value = value
        self.place = place
        self.looked_at = False
        self.stand_ins: list[Value] = []

    def bare(self) -> float:
        self.looked_at = True
        return self.value

    pinned = bare

    def combined(self, fn: Callable[..., Any]) -> Any:
        return fn(self.bare())

    def beside(self, op: str, tensor: Value) -> Any:
        dtype = tensor.array.dtype
        if op not in KERNELS or (dtype is not f4 and dtype is not f8):
            return self.bare()
        self.stand_ins.append(Value(np.array(self.value, dtype)))
        return self.stand_ins[-1]


def _looking(operation: Callable[[Any, Any], Any], *, reflected: bool) -> Callable[..., Any]:
    """An operator of Python's on the number itself; of a tensor the other operand decides."""

    def call(self: Number, other: Any) -> Any:
        if type(other) is Value:
            return NotImplemented
        x = other.bare() if type(other) is Number else other
        return operation(x, self.bare()) if reflected else operation(self.bare(), x)

    return call


for _operation in (operator.add, operator.sub, operator.mul, operator.truediv):
    setattr(Number, f"__{_operation.__name__}__", _looking(_operation, reflected=False))
    setattr(Number, f"__r{_operation.__name__}__", _looking(_operation, reflected=True))


class Recorder:
    """Listens while an expression is evaluated as it stands; anything but an operation ends that.

    grads    which operands' gradients were looked at
    written  the operand that was changed in place in the end, as it was before
    """

    records = True
    defers = False

    def __init__(self, operands: Sequence[Any], *, changes: bool) -> None:
        self.told: list[tuple[Any, list[Any], Any]] | None = []
        self.operands = operands
        self.changes = changes
        self.grads: tuple[int, ...] = ()
        self.written: Any = None
        self.numbers: list[Number] = []

    def numbered(self, free: frozenset[int]) -> list[Any]:
        """The operands, with followed ones for numbers that may be any."""
        given = list(self.operands)
        for i in free:
            if type(given[i]) is float:
                given[i] = Number(given[i], i)
                self.numbers.append(given[i])
        return given

    def operation(self, op: Any, bound: list[Any], result: Any) -> None:
        if any(result is b for b in bound):
            return  # a cast to the same dtype and the like
        several = isinstance(result, tuple)
        whole = all(type(v) is Value for v in (result if several else (result,)))
        if not whole or op.family not in _FAMILIES or (several and op.family == "view"):
            self.refuse()
        elif self.written is not None:
            self.refuse()  # a change comes last
        elif self.told is not None:
            self.told.append((op, list(bound), result))

    def looked_at_grad(self, v: Value) -> None:
        found = [i for i, a in enumerate(self.operands) if a is v]
        if not found or v._grad is None:
            self.refuse()
        elif found[0] not in self.grads:
            self.grads = (*self.grads, found[0])

    def write(self, v: Value, result: Value) -> None:
        last = self.told[-1][2] if self.told else None
        if not self.changes or v is not self.operands[0] or result is not last or self.written is not None:
            self.refuse()
        else:
            self.written = v.array.copy()

    def settle(self) -> None:
        """Nothing waits."""

    def refuse(self, *_: Any) -> Any:
        self.told = None
        if state.ctx.tracer is self:
            state.ctx.tracer = None

    # whatever else a tracer is told of
    act = alias = constant = created = draws = escape = fail = input = moving_part = refuse
    accumulate = backward = cleared = operand = root = slot = update = refuse

    def code(self, key: Any, operands: Sequence[Any], value: Any, site: Site) -> Callable[..., Any]:
        """The function for such operands. Raises Unfit."""
        told, changed = self.told, self.written is not None
        if key is None or not told or len(told) > MOST_STEPS:
            raise Unfit("not operations alone")
        last = told[-1][2]
        if value is not (operands[0] if changed else last[0] if isinstance(last, tuple) else last):
            raise Unfit("another result")
        if told[-1][0].family == "view":
            raise Unfit("the result shares memory")
        recorded, facts = key[0], key[2:]
        straight = _Straight(operands, self.numbers)
        for op, bound, v in told:
            straight.add(op, bound, v)
        form = straight.form(facts) if any(s.node is not None for s in straight.steps) else None
        if form is not None:
            form.notice = site.notice
            parts = {i: f[3] if f[0] is Value else FREE for i, f in enumerate(facts)}
            form.outputs = tuple([facts[i][4] for i in form.edges])
            form.pull = Backward(form, parts).function()
            if any(s.node is not None and s.node.saves for s in straight.steps):
                form.spent = form.freed()
        calls = list(straight.calls(form))
        if changed:
            calls[-1] = straight.in_place(calls[-1])
        several = isinstance(last, tuple)
        call = Call(
            facts,
            self.grads,
            calls,
            recorded=recorded,
            changes=changed,
            several=several,
            numbers=straight.numbers,
            builtins=site.builtins,
            space=site.plain.__globals__,
        )
        found = call.function(form)
        if changed:
            operands = [Value(self.written), *operands[1:]]
            operands[0]._grad = value._grad
        again = found(*operands[: len(self.operands)])
        if again is None or not _same(again[0].array, value.array):
            raise Unfit("other bits")
        if form is not None and not _alike(form, again[0], straight.nodes, operands):
            raise Unfit("other bits in backward")
        call.ask(site.first)
        return found


def _alike(form: Form, v: Value, nodes: Sequence[Node | None], operands: Sequence[Any]) -> bool:
    """Whether the code's backward gives what the nodes give, bit by bit."""
    assert form.pull is not None
    seed = np.cos(np.arange(v.array.size, dtype=v.array.dtype)).reshape(v.array.shape)
    wanted = _by_nodes(nodes, seed)
    leaves: dict[Value, Any] = {}
    r = form.pull(v._node.kept, seed, leaves)  # type: ignore[union-attr]
    if r is None:
        return False
    places = (form.chain,) if form.chain >= 0 else form.nodes
    sent = (r,) if form.chain >= 0 else r
    found: dict[Any, Any] = {}
    for i, c in zip(places, sent, strict=True):
        key = operands[form.edges[i]]._node, form.outputs[i]
        found[key] = found[key] + c if key in found else c
    found.update({(leaf, 0): c for leaf, c in leaves.items()})
    return wanted.keys() == found.keys() and all(_same(wanted[e], found[e]) for e in wanted)


def _by_nodes(nodes: Sequence[Node | None], seed: Any) -> dict[Any, Any]:
    """What leaves, and outputs of nodes before the expression, receive from a cotangent of its last node."""
    received: dict[Any, Any] = {(nodes[-1], 0): seed}
    for node in reversed(nodes):
        if node is None:
            continue
        row = [received.pop((node, j), None) for j in range(len(node.outputs or (0,)))]
        if all(g is None for g in row):
            continue
        results = node.op.pull(node, row[0] if node.outputs is None else row)
        for k, (e, r) in enumerate(zip(node.edges, results, strict=True)):
            if e is not None and r is not None:
                key = e, 0 if node.indices is None else node.indices[k]
                received[key] = received[key] + r if key in received else r
    return received


def _same(a: Any, b: Any) -> bool:
    if type(a) is not ndarray and type(a) not in SCALAR_TYPES:
        return False
    return a.dtype is b.dtype and (a.shape, a.strides) == (b.shape, b.strides) and a.tobytes() == b.tobytes()


def _arrays(b: Any) -> Any:
    if type(b) is list:
        return [_arrays(x) for x in b]
    return b.array if type(b) is Value else b


class _Straight:
    """The operations of an expression, as steps."""

    def __init__(self, operands: Sequence[Any], numbers: Sequence[Number]) -> None:
        self.operands = operands
        self.names: dict[int, Any] = {}  # of tensors, by identity
        for n in numbers:
            if len({v.array.dtype for v in n.stand_ins}) > 1:
                raise Unfit("a number beside several dtypes")
            leaf = Leaf(n.place)
            self.names.update({id(v): leaf for v in n.stand_ins})
        self.numbers = {n.place: n.stand_ins[0].array.dtype for n in numbers if n.stand_ins}
        self.steps: list[Step] = []
        self.nodes: list[Node | None] = []
        self.made_by: list[tuple[Any, list[Any]]] = []  # kernels with their arguments
        for i, a in enumerate(operands):
            if type(a) is Value:
                if id(a) in self.names:
                    raise Unfit("two names of one tensor")
                self.names[id(a)] = Leaf(i)

    def add(self, op: Any, bound: Sequence[Any], result: Any) -> None:
        outputs = list(result) if isinstance(result, tuple) else [result]
        if any(v.array.size >= LARGE or id(v) in self.names for v in outputs) or op.facts.get("random"):
            raise Unfit("large, or random")
        args = tuple([self._spec(b) for b in bound])
        self.made_by.append(self._call(op, bound, args))
        nodes = [v._node for v in outputs if v._node is not None]
        template = self._template(op, nodes[0], result, args) if nodes else None
        root = self._root(args[op.arrays[0]]) if op.family == "view" else -1
        k, array = len(self.steps), outputs[0].array
        for j, v in enumerate(outputs):
            self.names[id(v)] = Made(k, j if isinstance(result, tuple) else -1)
        self.steps.append(Step(op, args, root, Like(array.shape, array.dtype), template))
        self.nodes.append(nodes[0] if nodes else None)

    def _spec(self, b: Any) -> Any:
        """What stands for an argument."""
        if type(b) is Value:
            found = self.names.get(id(b))
            if found is None:
                raise Unfit("a tensor from outside")
            return found
        if type(b) is list:
            return [self._spec(x) for x in b]
        if isinstance(b, (ndarray, np.generic, dict)):
            raise Unfit("an argument that may change")
        return b

    def _is_tensor(self, a: Any) -> bool:
        return type(a) is Made or (type(a) is Leaf and a.number not in self.numbers)

    def _root(self, a: Any) -> int:
        if type(a) is Leaf:
            return a.number
        return self.steps[a.number].root if type(a) is Made else -1

    def _template(self, op: Any, node: Node, result: Any, args: Sequence[Any]) -> Template:
        """What is the same of all nodes that this step makes."""
        if node.op is not op or op.family == "fused" or type(node) is not Node:
            raise Unfit("rules of another kind")
        several = isinstance(result, tuple)
        made = [v.array for v in result] if several else [result.array]
        kept = made if node.y is None else node.y if several else (node.y,)
        whole = all(a is b for a, b in zip(kept, made, strict=True))
        if not whole or several is not (node.outputs is not None):
            raise Unfit("nodes of another kind")
        inputs = [x for i in op.arrays for x in (args[i] if type(args[i]) is list else [args[i]])]
        saved = [self._spec(a) for a in node.args]
        if len(node.edges) != len(inputs) or any(type(a) is list for a in saved):
            raise Unfit("edges of another kind")
        return Template(
            node,
            [None if e is None else x for e, x in zip(node.edges, inputs, strict=True)],
            saved,
            [self._root(a) for a in saved if self._is_tensor(a)],
        )

    # ---- forward -------------------------------------------------------------------------------------------
    def _call(self, op: Any, bound: Sequence[Any], args: Sequence[Any]) -> tuple[Any, list[Any]]:
        """The kernel and its arguments."""
        given = [x for i in op.arrays for x in (bound[i] if type(bound[i]) is list else [bound[i]])]
        tensors = [x.array for x in given if type(x) is Value]
        dtype = tensors[0].dtype if tensors else None
        real = dtype is not None and (dtype is f4 or dtype is f8)
        if len(op.arrays) == 2 and real and all(x.dtype is dtype for x in tensors) and args[2:] == op.rest:
            kernel = KERNELS.get(op.name, op.ufunc)
            if kernel is not None and (isinstance(kernel, np.ufunc) or all(x.ndim for x in tensors)):
                return kernel, [self._operand(a, dtype) for a in args[:2]]
        if op.family != "elementwise" and not all(x.ndim for x in tensors):
            raise Unfit("a scalar for an array")
        arrays = [_arrays(b) for b in bound]
        if op.promote is not None:
            op._promote(arrays)
        terms = list(args)
        for i in op.arrays:
            if type(bound[i]) is list:
                pairs = zip(bound[i], arrays[i], strict=True)
                alike = all(type(b) is Value and x is b.array for b, x in pairs)
            elif type(bound[i]) is Value:
                alike = arrays[i] is bound[i].array
            else:
                terms[i], alike = arrays[i], True
            if not alike:
                raise Unfit("operands of several dtypes")
        return op.kernel, terms

    def _operand(self, a: Any, dtype: Any) -> Any:
        if type(a) is Leaf or type(a) is Made:
            return a
        if type(a) is not float and type(a) is not int:
            raise Unfit("an operand that is no number")
        found = SCALARS[dtype].get(a)
        return scalar(a, dtype) if found is None else found

    def calls(self, form: Form | None) -> Iterator[tuple[Any, ...]]:
        """Kernels with their arguments; ufuncs put their result where nothing is needed any more."""
        parts = [x for _, terms in self.made_by for a in terms for x in (a if type(a) is list else [a])]
        uses = [a.number for a in parts if type(a) is Made]
        kept = () if form is None else form.arrays
        for k, (kernel, terms) in enumerate(self.made_by):
            yield (kernel, *terms, *self._out(k, kernel, terms, uses, kept))

    def in_place(self, call: tuple[Any, ...]) -> tuple[Any, ...]:
        """The last call with its result in the memory of the first operand."""
        kernel, *terms = call
        like, target = self.steps[-1].like, self.operands[0].array
        if not isinstance(kernel, np.ufunc) or not like.shape or type(target) is not ndarray:
            raise Unfit("a change of another kind")
        if like.shape != target.shape or like.dtype is not target.dtype:
            raise Unfit("a change of another kind")
        return (kernel, *terms[: kernel.nin], Leaf(0))

    def _out(
        self, k: int, kernel: Any, terms: Sequence[Any], uses: Sequence[int], kept: Sequence[int]
    ) -> Iterator[Made]:
        if not isinstance(kernel, np.ufunc) or len(terms) != kernel.nin or kernel in _NAMED:
            return
        like = self.steps[k].like
        for a in terms:
            if type(a) is not Made or a.number in kept or uses.count(a.number) > 1:
                continue
            maker, one = self.made_by[a.number][0], self.steps[a.number].like
            own = a.output < 0 and (isinstance(maker, np.ufunc) or maker is KERNELS["mm"])
            # a result takes the order in memory that its operands with two dimensions or more have
            alone = all(b is a or self._ndim(b) < 2 for b in terms)
            if own and alone and one.shape == like.shape and one.shape and one.dtype is like.dtype:
                yield a
                return

    def _ndim(self, a: Any) -> int:
        if type(a) is Leaf:
            return 0 if a.number in self.numbers else int(self.operands[a.number].array.ndim)
        return self.steps[a.number].like.ndim if type(a) is Made else 0

    # ---- the graph -----------------------------------------------------------------------------------------
    def form(self, facts: Key) -> Form:
        """What the nodes of the expression have in common."""
        nodes = [s.node for s in self.steps if s.node is not None]
        if self.steps[-1].node is None:
            raise Unfit("the result is not on the graph")
        edges = {e.number: None for t in nodes for e in t.edges if type(e) is Leaf}
        values: dict[int, None] = {}
        arrays: dict[int, None] = {}
        stack = [a for t in nodes for a in t.args]
        while stack:
            a = stack.pop()
            if type(a) is Leaf and (a.number not in edges or facts[a.number][3] is not LEAF):
                values[a.number] = None
            elif type(a) is Made and a.number not in arrays:
                arrays[a.number] = None
                if self.steps[a.number].op.family == "view":
                    stack.extend(self.steps[a.number].args)  # the view is of something
        for k, s in enumerate(self.steps):
            if s.node is not None and s.node.keeps_y:
                arrays[k] = None
        versions = {i: None for t in nodes for i in t.roots if i >= 0}
        return Form(self.steps, list(edges), list(values), list(arrays), list(versions))
