"""Changing a tensor in place: PyTorch's rules for leaves and views, version counters, and the graph after
it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import BY_NP, Array, f4, f8, promote_dtypes
from vardsl.engine.node import Node, script_place
from vardsl.engine.value import EPOCH, ONE_OF_SEVERAL, OPS, Value, fixed, shared_counter
from vardsl.errors import GradError, ScriptTypeError, ShapeError

LEAF = "a leaf Variable that requires grad is being used in an in-place operation."
VIEW_OF_LEAF = "a view of a leaf Variable that requires grad is being used in an in-place operation."
_HINT = "for a step of training write update w -= …, or no_grad { w -= … }"
VIEW_WITHOUT_GRAD = (
    "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given that "
    "this use case "
    "is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and "
    "the inplace "
    "either both inside the no_grad block (if you don't want the inplace to be tracked) or both outside "
    "(if you want "
    "the inplace to be tracked)."
)
SHARED_MEMORY = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory "
    "location. "
    "Please clone() the tensor before performing the operation."
)


def check_may_change(v: Value) -> None:
    """Raises GradError where PyTorch does not allow this tensor to be changed in place now."""
    if not state.ctx.grad_enabled:
        return
    base = v.base
    if base is not None and v.chain is not None and base.requires_grad:
        if not v.chain:
            raise GradError(VIEW_WITHOUT_GRAD, hint="make the view outside no_grad, or change it inside")
        if v.one_of_several:
            assert v.node is not None
            which = f"Output {v.index} of {v.node.stem} is a view and is being modified inplace. "
            raise GradError(which + ONE_OF_SEVERAL, hint="index the tensor itself: x[0] *= 2 changes x")
        if base.node is None:
            raise GradError(VIEW_OF_LEAF, hint=_HINT)
    elif v.node is None and v._requires:
        raise GradError(LEAF, hint=_HINT)


def write(v: Value, array: Array) -> None:
    """Puts numbers into a tensor's memory; on record where a failed statement may have to take it back."""
    target = v.memory()
    if not target.flags.writeable:
        raise ShapeError(SHARED_MEMORY)
    journal = state.ctx.journal
    if journal is not None:
        journal.append(_restore(v, target.copy(), v.version))
    if state.ctx.savepoint is not None:
        state.ctx.savepoint.keep(target)
    np.copyto(target, array, casting="unsafe")


def _restore(v: Value, before: Array, version: int) -> Callable[[], None]:
    node, index, requires, base = v._node, v.index, v._requires, v.base
    base_node, base_index = (base._node, base.index) if base is not None else (None, 0)

    def undo() -> None:
        np.copyto(v.memory(), before)
        v._node, v.index, v._requires, v.seen = node, index, requires, version
        if base is not None:
            base._node, base.index = base_node, base_index
        if v.vc is not None:
            v.vc[0] = version

    return undo


def bump(v: Value) -> None:
    """Counts a change of the storage."""
    shared_counter(v)[0] += 1


def adopt(v: Value, result: Value) -> None:
    """Makes `v`, whose memory holds the numbers of `result` now, the outcome of the node that made
    `result`."""
    bump(v)
    counter = shared_counter(v)
    node = result._node
    base = v.base if v.base is not None and v.chain else None
    if base is not None:
        if state.ctx.grad_enabled and (node is not None or base.requires_grad):
            _rebase(base, v, result)
        v.seen = -1  # the node is made anew from the base on the next look
        return
    v.seen = counter[0]
    if node is not None:
        succeed(v, node, result.index)
        node.vc, node.y_version = counter, counter[0]


def succeed(v: Value, node: Node, index: int) -> None:
    """Gives a changed value its new node; a gradient that is to be kept is kept of what the value is now."""
    before = v._node
    if before is not None and before.retained and before.retained.get(v.index) is v:
        before.retained.pop(v.index)
        node.retained = {**(node.retained or {}), index: v}
    v._node, v.index = node, index
    EPOCH[0] += 1


def _rebase(base: Value, v: Value, result: Value) -> None:
    """The base of a changed view becomes the outcome of a node that has put `result` into the place of the
    view."""
    edge = base._node if base._node is not None else (base if base._requires else None)
    source: Any = result._node if result._node is not None else (result if result._requires else None)
    indices = (base.index if base._node is not None else 0, result.index)
    node = Node(COPY_SLICES, (edge, source), indices if any(indices) else None)
    node.args = v.chain
    node.shape, node.dtype = base.array.shape, base.array.dtype
    node.where = script_place()
    counter = shared_counter(v)
    node.vc, node.y_version = counter, counter[0]
    succeed(base, node, 0)
    base.seen = counter[0]


class CopySlices:
    """The node of a base whose view was changed: the view's region of the cotangent goes to what was put
    there."""

    name = "CopySlices"
    grad_fn = "CopySlices"

    def saves(self, node: Node) -> bool:
        return False

    def pull(self, node: Node, g: Any) -> Sequence[Any]:
        return self.pullback(node, g, False)

    def pullback(self, node: Node, g: Any, as_values: bool) -> Sequence[Any]:
        if g.shape != node.shape:
            g = OPS["expand"](g, node.shape)
        part = _view(g, node.args) if node.edges[1] is not None else None
        if node.edges[0] is None:
            return [None, part]
        if as_values:
            hole = np.zeros(node.shape, bool)
            _view(hole, node.args)[...] = True
            return [OPS["masked_fill"](g, fixed(hole), 0), part]
        kept = np.array(g)
        _view(kept, node.args)[...] = 0
        return [kept, part]


def _view(x: Any, chain: Any) -> Any:
    """The view of a value, or an array, to which a chain of view operations leads."""
    for op, args in chain:
        x = op.apply_view(x, args)
    return x


COPY_SLICES = CopySlices()


class Refused:
    """The operation of a node that PyTorch cannot differentiate: backward through it ends with its
    sentence."""

    factor = False
    ways = None

    def __init__(self, op: Any, sentence: str) -> None:
        self.name, self.grad_fn, self.facts, self.family = op.name, op.grad_fn, op.facts, op.family
        self.signature, self.arrays, self.saves = op.signature, op.arrays, op.saves
        self.sentence = sentence

    def pull(self, node: Node, g: Any) -> Sequence[Any]:
        raise GradError(self.sentence)

    def pullback(self, node: Node, g: Any, as_values: bool) -> Sequence[Any]:
        raise GradError(self.sentence)


class InPlace:
    """The `name_` form of an operation: the same on the same memory.

    `naming` gives the node's name from the second argument, where PyTorch's differs from that of the other
    form; an operation says so with `inplace_grad_fn=`, such a function or a name.
    """

    family = "inplace"

    def __init__(self, base: Any, name: str, naming: Callable[[Any], str] | None = None) -> None:
        self.base = base
        self.name = name
        self.signature = base.signature
        self.arrays = base.arrays
        self.facts: dict[str, Any] = {}
        self.fields = None
        self.fn = base.fn
        self.ufunc = base.ufunc
        named = naming or base.facts.get("inplace_grad_fn")
        self.naming: Callable[[Any], str] | None = (lambda _: named) if isinstance(named, str) else named

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def doc(self) -> str:
        own = self.base.fn.__doc__ or ""
        return own if self.base.name == self.name else f"The in-place form of `{self.base.name}`.\n\n{own}"

    def __call__(self, v: Any, *args: Any, **keywords: Any) -> Value:
        if type(v) is not Value:
            raise ScriptTypeError(f"{self.name}() changes a tensor in place; this is {type(v).__name__}")
        check_may_change(v)
        if len(args) == 1 and not keywords and self.outside(v, args[0]):
            return v
        result: Value = self.base(v, *args, **keywords)
        if result is v:
            return v
        step = self.base.facts.get("inplace")
        if type(step) is int:
            return reshape_in_place(v, result, step)
        refuse = self.base.facts.get("inplace_check")
        if refuse is not None:
            refuse(v, result)
        node = result._node
        if node is not None:
            _keep_before(node, v)
            sentence = self._refusal()
            if sentence is not None:
                node.op = Refused(node.op, sentence)
        elif self.naming is not None and v.array.dtype.kind == "f" and v.requires_grad:
            other = args[0] if args and type(args[0]) is Value else None
            result = OPS["_overwritten"](v, other, result)  # a comparison: its node has zero derivatives
            node = result._node
        if self.naming is not None and node is not None:
            node.name = self.naming(args[0] if args else next(iter(keywords.values()), None))
        return change(v, result)

    def _refusal(self) -> str | None:
        """PyTorch's sentence where it has no derivative of the in-place form."""
        own = self.base.facts.get("inplace_refuses")
        if own is not None:
            return str(own)
        for rule in self.base.rules.values():
            sentence = getattr(rule, "sentence", "")
            if sentence == f"derivative for aten::{self.base.name} is not implemented":
                return f"derivative for aten::{self.name} is not implemented"
        return None

    def outside(self, v: Value, other: Any) -> bool:
        """The change of a tensor by a like one where nothing is recorded: straight into its memory."""
        ctx = state.ctx
        ufunc = self.ufunc
        if (
            ctx.grad_enabled
            or ufunc is None
            or type(other) is not Value
            or ctx.journal is not None
            or ctx.tracer is not None
        ):
            return False
        a, b = v.array, other.array
        if type(a) is not np.ndarray:
            a = v.memory()
        dtype = a.dtype
        if b.dtype is not dtype or (dtype is not f4 and dtype is not f8) or a.shape != b.shape:
            return False
        if ctx.savepoint is not None:
            ctx.savepoint.keep(a)
        try:
            ufunc(a, b, a)
        except ValueError:  # memory that must not change
            return False
        counter = v.vc
        if counter is None:
            counter = shared_counter(v)
        counter[0] += 1
        return True


def reshape_in_place(v: Value, view: Value, step: int) -> Value:
    """Turns a value into a view of itself. PyTorch numbers these nodes `step` after those of the views."""
    counter = shared_counter(v)
    if state.ctx.tracer is not None:
        state.ctx.tracer.fail("a value gets another shape in place")
    journal = state.ctx.journal
    if journal is not None:
        journal.append(_restore_shape(v, counter[0]))
    v.array = view.array
    EPOCH[0] += 1
    counter[0] += 1
    node = view._node
    if node is not None:
        name = node.grad_fn
        node.name = f"{name[:-1]}{int(name[-1]) + step}"
        succeed(v, node, view.index)
        node.y_version = counter[0]
    if v.base is not None:
        v.chain = view.chain
    v.seen = counter[0]
    return v


def _restore_shape(v: Value, version: int) -> Callable[[], None]:
    array, node, index, base = v.array, v._node, v.index, v.base
    chain, seen = (v.chain, v.seen) if base is not None else (None, 0)

    def undo() -> None:
        v.array, v._node, v.index, v.chain, v.seen = array, node, index, chain, seen
        if v.vc is not None:
            v.vc[0] = version

    return undo


def _keep_before(node: Node, v: Value) -> None:
    """Where a rule needs the numbers from before the change, the node keeps a copy of them."""
    if node.args is None or not any(a is v for a in node.args):
        return
    before = Value(v.array.copy(), v._requires)
    before._node, before.index = v.node, v.index
    node.args = tuple(before if a is v else a for a in node.args)
    versions = tuple(a.version for a in node.args if type(a) is Value)
    node.versions = versions if any(versions) else None


def change(v: Value, result: Value) -> Value:
    """Gives `v` the numbers and the history of `result`, under PyTorch's conditions on dtype and shape.

    Raises ScriptTypeError and ShapeError with PyTorch's sentences.
    """
    a, b = v.array, result.array
    if b.shape != a.shape:
        raise ShapeError(
            f"output with shape {list(a.shape)} doesn't match the broadcast shape {list(b.shape)}"
        )
    to, of = BY_NP[a.dtype], BY_NP[b.dtype]
    if of.category > to.category:
        raise ScriptTypeError(
            f"result type {of.type_name} can't be cast to the desired output type {to.type_name}",
            hint=f"x = x + … gives a {promote_dtypes(to, of).name} tensor",
        )
    if state.ctx.tracer is not None:
        state.ctx.tracer.write(v, result)
    write(v, b)
    if a.dtype != b.dtype and result._node is not None:
        name = result._node.grad_fn
        result = OPS["_cast"](result, a.dtype)
        if result._node is not None:
            result._node.name = name
    adopt(v, result)
    return v
