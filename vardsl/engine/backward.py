"""The backward pass: from roots down the sequence numbers to the leaves, without recursion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any

import numpy as np

from vardsl.engine.accumulate import Cotangent, accumulate, commit, owned
from vardsl.engine.bundle import Bundle, row_of
from vardsl.engine.condensed import LIVE
from vardsl.engine.context import enable_grad, no_grad, state
from vardsl.engine.dtypes import f4, f8
from vardsl.engine.node import Like, Node
from vardsl.engine.value import OPS, Value
from vardsl.engine.walk import SECOND_TIME, located, walk
from vardsl.errors import GradError, Interrupted, ScriptTypeError, ShapeError

ndarray = np.ndarray
NO_GRAPH = "element {} of tensors does not require grad and does not have a grad_fn"
NOT_SCALAR = "grad can be implicitly created only for scalar outputs"
UNUSED = (
    "One of the differentiated Tensors appears to not have been used in the graph. "
    "Set allow_unused=True if this is the desired behavior."
)

_by_creation = attrgetter("seq")
_SEED = {dtype: dtype.type(1) for dtype in (f4, f8)}

Observer = Callable[[Node, Cotangent, Sequence[Cotangent]], None]


def _check_roots(roots: Sequence[Value], cotangents: Sequence[Value | None]) -> list[Value]:
    seeds = []
    for k, (root, g) in enumerate(zip(roots, cotangents, strict=True)):
        if g is None:
            if root.requires_grad and root.array.size != 1:
                raise GradError(
                    NOT_SCALAR,
                    hint="take a mean or a sum first, or say how each element counts: backward y with "
                    "ones_like(y)",
                )
            g = Value(np.ones(root.array.shape, root.array.dtype))
        elif g.array.shape != root.array.shape:
            raise ShapeError(
                f"Mismatch in shape: grad_output[{k}] has a shape of torch.Size({list(g.shape)}) and "
                f"output[{k}] has a shape of torch.Size({list(root.shape)})."
            )
        if not root.requires_grad:
            raise GradError(NO_GRAPH.format(k))
        seeds.append(g)
    return seeds


class Pass:
    """One backward pass. `as_values` records it (for higher orders); `needed` restricts it to some nodes."""

    def __init__(
        self, *, as_values: bool, retain: bool, needed: set[Node] | None, observer: Observer | None
    ) -> None:
        self.as_values = as_values
        self.retain = retain
        self.needed = needed
        self.stop: set[Node] = (
            set()
        )  # inputs of the pass that are not leaves and have nothing wanted below them
        self.observer = observer
        self.heap: list[tuple[int, Node]] = []
        self.pending: dict[Node, Any] = {}
        self.leaves: dict[Value, Cotangent] = {}
        self.retained: list[tuple[Value, Cotangent]] = []

    def send(self, target: Node | Value, index: int, g: Cotangent) -> None:
        """Adds a cotangent to what a node's output, or a leaf, has received so far."""
        if type(target) is Value:
            before = self.leaves.get(target)
            self.leaves[target] = g if before is None else before + g
            return
        if self.needed is not None and target not in self.needed:
            return
        assert isinstance(target, Node)
        pending = self.pending
        if target.outputs is None:
            before = pending.get(target)
            if before is None:
                pending[target] = g
                heappush(self.heap, (-target.seq, target))
            else:
                pending[target] = before + g
            return
        row = pending.get(target)
        if row is None:
            row = pending[target] = [None] * len(target.outputs)
            heappush(self.heap, (-target.seq, target))
        row[index] = g if row[index] is None else row[index] + g

    def resume(self, rest: tuple[Node, Cotangent] | None) -> None:
        """Goes on where a short walk has come to a node that wants more."""
        if rest is not None:
            node, g = rest
            self.pending[node] = g
            heappush(self.heap, (-node.seq, node))
            self.run()

    def run(self) -> None:
        heap, pending, ctx = self.heap, self.pending, state.ctx
        keep, observer, anomaly = self.retain, self.observer, ctx.anomaly
        while heap:
            if ctx.cancel:
                raise Interrupted("interrupted")
            node = heappop(heap)[1]
            g = pending.pop(node)
            if node.hooks is not None or node.retained is not None:
                g = self._hooks(node, g)
                if node in self.stop:
                    continue
            if node.freed:  # a bundle has become its nodes with that question
                raise located(GradError(SECOND_TIME, hint="backward … retain keeps the graph"), node)
            if type(node) is Bundle:
                g = row_of(node, g)
            try:
                if self.as_values or node.outputs is not None:
                    results = node.op.pullback(node, g, self.as_values)
                else:
                    results = node.op.pull(node, g)
            except Exception as error:
                located(error, node)
                raise
            if observer is not None:
                observer(node, g, results)
            if anomaly:
                _check_finite(node, results)
            y = node.y
            if not keep and node.args is not None and node.op.saves(node):
                if ctx.savepoint is not None:
                    ctx.savepoint.keep_node(node)
                node.args = node.y = None
            self._deliver(node, g, y, results)

    def _deliver(self, node: Node, g: Cotangent, y: Any, results: Sequence[Cotangent]) -> None:
        """Adds the cotangents of a node's inputs to what those have received so far."""
        pending, needed, leaves = self.pending, self.needed, self.leaves
        indices = node.indices
        for k, target in enumerate(node.edges):
            r = results[k]
            if r is None or target is None:
                continue
            if type(target) is Node and target.outputs is None:
                if needed is not None and target not in needed:
                    continue
                before = pending.get(target)
                if before is None:
                    pending[target] = r
                    heappush(self.heap, (-target.seq, target))
                else:
                    pending[target] = before + r
            elif type(target) is Value:
                before = leaves.get(target)
                if before is None:
                    # what a rule passes on unchanged must not become two leaves' gradient
                    leaves[target] = +r if r is g or r is y else r
                else:
                    leaves[target] = before + r
            else:
                self.send(target, indices[k] if indices is not None else 0, r)

    def _hooks(self, node: Node, g: Any) -> Any:
        likes = node.outputs
        row = [g] if likes is None else g
        for index, hook in node.hooks or ():
            c = row[index]
            if c is not None:
                shape = node.shape if likes is None else likes[index].shape
                row[index] = self.call_hook(hook, c if c.shape == shape else _whole(c, shape))
        for index, value in (node.retained or {}).items():
            c = row[index]
            if c is not None:
                # it goes on to the inputs, and may be what another value retains
                self.retained.append((value, c.copy() if type(c) is np.ndarray else c))
        return row[0] if likes is None else row

    def call_hook(self, hook: Any, g: Cotangent) -> Cotangent:
        shown = g if isinstance(g, Value) else Value(np.asarray(g))
        with enable_grad(self.as_values):
            answer = hook(shown)
        if answer is None:
            return g
        _check_answer(answer, shown, hook)
        return answer if self.as_values else answer.array

    def leaf_hooks(self) -> None:
        for leaf, g in self.leaves.items():
            if leaf.hooks is None:
                continue
            for _, hook in leaf.hooks:
                if g.shape != leaf.array.shape:
                    g = _whole(g, leaf.array.shape)
                g = self.call_hook(hook, g)
            self.leaves[leaf] = g


def _check_answer(answer: Any, given: Value, hook: Any) -> None:
    """Whether a hook gave another cotangent of the same kind. Raises ShapeError and ScriptTypeError in
    PyTorch's words."""
    if type(answer) is not Value:
        raise ScriptTypeError(f"expected Variable, but hook returned '{type(answer).__name__}'")
    name = getattr(hook, "__name__", "").partition(" ")[2]
    name = "<lambda>" if name in ("", "fn") else name
    if answer.array.shape != given.array.shape:
        raise ShapeError(f"hook '{name}' has changed the size of value")
    if answer.array.dtype != given.array.dtype:
        raise ScriptTypeError(
            f"hook '{name}' has changed the type of value (was {given.type_name} got {answer.type_name})"
        )


def _whole(g: Cotangent, shape: tuple[int, ...]) -> Cotangent:
    return OPS["expand"](g, shape) if type(g) is Value else np.broadcast_to(g, shape)


def _check_finite(node: Node, results: Sequence[Cotangent]) -> None:
    for r in results:
        a = r.array if isinstance(r, Value) else r
        if a is not None and not np.isfinite(a).all():
            error = GradError(f"Function '{node.grad_fn}' returned nan or infinite values in its 0th output.")
            error.kind = "value"
            raise located(error, node)


def reachable(roots: Sequence[Value]) -> list[Node]:
    """The nodes below the roots in order of creation."""
    seen: set[Node] = set()
    stack: list[Node] = [r.node for r in roots if r.node is not None]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        for e in node.edges:
            if isinstance(e, Node) and e not in seen:
                stack.append(e)
    return sorted(seen, key=_by_creation)


def _needed(roots: Sequence[Value], inputs: Sequence[Value]) -> set[Node]:
    """The nodes on a way from a root to an input: in order of creation, those with an edge to one of them."""
    wanted: set[object] = {v.node if v.node is not None else v for v in inputs}
    needed: set[Node] = set()
    for node in reachable(roots):
        if node in wanted:
            needed.add(node)
            continue
        for e in node.edges:
            if e is not None and (e in needed or e in wanted):
                needed.add(node)
                break
    return needed


def scalar_pass(root: Value) -> bool:
    """The usual pass, from one number to the leaves on bare arrays; False where it is not the usual one.

    A node that wants more than that (hooks, kept gradients) hands what is left to a `Pass`.
    """
    ctx = state.ctx
    node = root._node if root.base is None else root.node
    if node is None or root.array.ndim or (node.rare is not None and node.rare.outputs is not None):
        return False
    if ctx.tracer is not None or ctx.anomaly or ctx.savepoint is not None or ctx.journal is not None:
        return False
    seed = _SEED.get(root.array.dtype)
    if seed is None:
        return False
    heap: list[tuple[int, Node]] = []
    pending: dict[Node, Any] = {}
    leaves: dict[Value, Any] = {}
    p = None
    before, ctx.grad_enabled = ctx.grad_enabled, False
    try:
        rest = walk(node, seed, heap, pending, leaves)
        hooked = False
        for leaf in leaves:
            hooked |= leaf.hooks is not None
        if rest is not None or hooked:
            p = Pass(as_values=False, retain=False, needed=None, observer=None)
            p.heap, p.pending, p.leaves = heap, pending, leaves
            p.resume(rest)
            p.leaf_hooks()
    finally:
        ctx.grad_enabled = before
    for leaf, g in leaves.items():
        if leaf._grad is not None:
            accumulate(leaf, g, False)
            continue
        a = leaf.array
        if (
            type(g) is not ndarray
            or g.base is not None
            or g.dtype is not a.dtype
            or g.shape != a.shape
            or not g.flags.c_contiguous
        ):
            g = owned(g, leaf)
        leaf._grad = Value(g)
    if p is not None:
        for value, g in p.retained:
            accumulate(value, g, False)
    return True


def _start(p: Pass, roots: Sequence[Value], seeds: Sequence[Value]) -> None:
    if LIVE and (p.as_values or p.observer is not None or state.ctx.anomaly):
        reachable(roots)  # looking at condensed nodes unfolds them
    for root, g in zip(roots, seeds, strict=True):
        cotangent: Any = g if p.as_values else g.array
        node = root.node
        if node is None:
            p.send(root, 0, +cotangent)
        else:
            p.send(node, root.index, cotangent)


def backward(
    roots: Sequence[Value],
    cotangents: Sequence[Value | None] | None = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Value] | None = None,
    only: frozenset[Value] | None = None,
    observer: Observer | None = None,
) -> None:
    """Adds to the `.grad` of the leaves below `roots` (or only of `inputs`); nothing is changed when it
    fails.

    With `only` the whole pass runs, as it does without, but other leaves than these receive nothing.
    `observer(node, cotangent, results)` is called after each node.
    Raises GradError (no graph, freed graph, changed values), ShapeError (a cotangent of another shape).
    """
    if (
        cotangents is None
        and not (create_graph or retain_graph)
        and inputs is None
        and only is None
        and observer is None
        and len(roots) == 1
        and scalar_pass(roots[0])
    ):
        return
    seeds = _check_roots(roots, cotangents if cotangents is not None else [None] * len(roots))
    retain = create_graph if retain_graph is None else retain_graph
    tracer = state.ctx.tracer
    if tracer is not None:
        for v in roots:
            tracer.root(v)
        tracer.backward(
            seeds, simple=inputs is None and cotangents is None and not create_graph and observer is None
        )
    if inputs is not None:
        grads = _gradients(roots, seeds, inputs, retain=retain, create_graph=create_graph, observer=observer)
        received = {v: g for v, g in zip(inputs, grads, strict=True) if g is not None}
        commit(received, create_graph)
        return
    # while a plan is recorded the rules run on values too, so that their operations are seen
    p = Pass(as_values=create_graph or tracer is not None, retain=retain, needed=None, observer=observer)
    ctx = state.ctx
    before, ctx.grad_enabled = ctx.grad_enabled, create_graph
    try:
        _start(p, roots, seeds)
        p.run()
        p.leaf_hooks()
    finally:
        ctx.grad_enabled = before
    commit(p.leaves if only is None else {v: g for v, g in p.leaves.items() if v in only}, create_graph)
    for value, g in p.retained:
        accumulate(value, g, create_graph)


def _gradients(
    roots: Sequence[Value],
    seeds: Sequence[Value],
    inputs: Sequence[Value],
    *,
    retain: bool,
    create_graph: bool,
    observer: Observer | None = None,
) -> list[Cotangent]:
    for v in inputs:
        if not v.requires_grad:
            raise GradError("One of the differentiated Tensors does not require grad")
    needed = _needed(roots, inputs)
    captured: dict[int, Cotangent] = {}
    wanted: dict[Node, list[int]] = {}
    for k, v in enumerate(inputs):
        if v.node is not None:
            wanted.setdefault(v.node, []).append(k)
    # while a plan is recorded the rules run on values, so that their operations are seen
    as_values = create_graph or state.ctx.tracer is not None
    p = Pass(as_values=as_values, retain=retain, needed=needed, observer=observer)
    leaves = {v for v in inputs if v.node is None}
    p.stop = {n for n in wanted if not any(e in needed or e in leaves for e in n.edges if e is not None)}
    with enable_grad(create_graph):
        _start(p, roots, seeds)
        _run_capturing(p, wanted, inputs, captured)
        p.leaf_hooks()
    return [p.leaves.get(v) if v.node is None else captured.get(k) for k, v in enumerate(inputs)]


def _run_capturing(
    p: Pass, wanted: dict[Node, list[int]], inputs: Sequence[Value], captured: dict[int, Cotangent]
) -> None:
    """Runs the pass and notes what arrives at the non-leaf inputs; nodes below the last of them are not
    needed."""
    if not wanted:
        p.run()
        return
    entries: list[tuple[Node, Any]] = []
    for node, ks in wanted.items():
        for k in ks:
            entry = (inputs[k].index, _capture(captured, k))
            node.hooks = [*(node.hooks or []), entry]
            entries.append((node, entry))
    try:
        p.run()
    finally:
        for node, entry in entries:
            node.hooks = [h for h in node.hooks or [] if h is not entry] or None


def _capture(captured: dict[int, Cotangent], k: int) -> Callable[[Value], None]:
    def hook(g: Value) -> None:
        captured[k] = g

    return hook


def grad(
    outputs: Sequence[Value],
    inputs: Sequence[Value],
    cotangents: Sequence[Value | None] | None = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = True,
) -> tuple[Value | None, ...]:
    """Gradients of `outputs` with respect to `inputs`, as `torch.autograd.grad`; no `.grad` is touched."""
    given = cotangents if cotangents is not None else [None] * len(outputs)
    seeds = _check_roots(outputs, given)
    tracer = state.ctx.tracer
    if tracer is not None:
        for v, seed, g in zip(outputs, seeds, given, strict=True):
            tracer.root(v)
            if g is None:
                tracer.constant(seed)
    retain = create_graph if retain_graph is None else retain_graph
    found = _gradients(outputs, seeds, inputs, retain=retain, create_graph=create_graph)
    if not allow_unused and any(g is None for g in found):
        raise GradError(UNUSED)
    return tuple(g if g is None else _shaped(g, v, create_graph) for g, v in zip(found, inputs, strict=True))


def _shaped(g: Cotangent, like: Value, create_graph: bool) -> Value:
    """A gradient of exactly the shape of its input; a rule may have given one that broadcasts to it."""
    shape = like.array.shape
    if isinstance(g, Value) and create_graph:
        return g if g.array.shape == shape or not like.is_leaf else OPS["expand"](g, shape)
    if isinstance(g, Value) and state.ctx.tracer is not None:
        return _seen(g, like)
    a = g.array if isinstance(g, Value) else g
    if like.is_leaf and a.shape != shape:
        a = np.broadcast_to(a, shape)
    return Value(np.array(a, dtype=like.array.dtype))


def _seen(g: Value, like: Value) -> Value:
    """As `_shaped`, by operations."""
    with no_grad():
        if like.is_leaf and g.array.shape != like.array.shape:
            g = OPS["expand"](g, like.array.shape)
        if g.array.dtype != like.array.dtype:
            return OPS["_cast"](g, like.array.dtype)  # type: ignore[no-any-return]
        return OPS["clone"](g)  # type: ignore[no-any-return]


__all__ = ["Like", "backward", "grad", "reachable"]
