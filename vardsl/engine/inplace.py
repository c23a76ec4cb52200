"""Changing a tensor in place: PyTorch's rules for leaves and views, version counters, and the graph after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine.context import no_grad, state
from vardsl.engine.dtypes import BY_NP, Array, promote_dtypes
from vardsl.engine.value import OPS, Like, Node, Value, script_place, shared_counter
from vardsl.errors import GradError, ScriptTypeError, ShapeError

LEAF = "a leaf Variable that requires grad is being used in an in-place operation."
VIEW_OF_LEAF = "a view of a leaf Variable that requires grad is being used in an in-place operation."
_HINT = "for a step of training write update w -= …, or no_grad { w -= … }"
SHARED_MEMORY = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
    "Please clone() the tensor before performing the operation."
)


def check_may_change(v: Value) -> None:
    """Raises GradError where PyTorch does not allow this tensor to be changed in place now."""
    if not state.ctx.grad_enabled:
        return
    if v.node is None and v._requires:
        raise GradError(LEAF, hint=_HINT)
    base = v.base
    if base is not None and v.chain is not None and base.node is None and base._requires:
        raise GradError(VIEW_OF_LEAF, hint=_HINT)


def write(v: Value, array: Array) -> None:
    """Puts numbers into a tensor's memory; on record where a failed statement may have to take it back."""
    target = v.array
    if not target.flags.writeable:
        raise ShapeError(SHARED_MEMORY)
    journal = state.ctx.journal
    if journal is not None:
        journal.append(_restore(v, target.copy(), v.version))
    np.copyto(target, array, casting="unsafe")


def _restore(v: Value, before: Array, version: int) -> Callable[[], None]:
    node, index, requires, base = v._node, v.index, v._requires, v.base
    base_node = base._node if base is not None else None

    def undo() -> None:
        np.copyto(v.array, before)
        v._node, v.index, v._requires = node, index, requires
        if base is not None:
            base._node = base_node
        if v.vc is not None:
            v.vc[0] = version

    return undo


def bump(v: Value) -> None:
    """Counts a change of the storage."""
    shared_counter(v)[0] += 1


def adopt(v: Value, result: Value) -> None:
    """Makes `v`, whose memory holds the numbers of `result` now, the outcome of the node that made `result`."""
    bump(v)
    counter = shared_counter(v)
    node = result._node
    base = v.base if v.base is not None and v.chain is not None else None
    if base is None:
        if node is not None:
            v._node, v.index = node, result.index
            node.vc, node.y_version = counter, counter[0]
        v.seen = counter[0]
        return
    if node is None and not base.requires_grad:
        v.seen = counter[0]
        return
    _rebase(base, v, result)
    v._node = None  # made anew from the base on the next look
    v.seen = counter[0] - 1


def _rebase(base: Value, v: Value, result: Value) -> None:
    """The base of a changed view becomes the outcome of a node that has put `result` into the place of the view."""
    edge = base._node if base._node is not None else (base if base._requires else None)
    source: Any = result._node if result._node is not None else (result if result._requires else None)
    indices = (base.index if base._node is not None else 0, result.index)
    node = Node(COPY_SLICES, (edge, source), indices if any(indices) else None)
    node.args = v.chain
    node.likes = [Like(base.array.shape, base.array.dtype), Like(v.array.shape, v.array.dtype)]
    node.shape, node.dtype = base.array.shape, base.array.dtype
    node.where = script_place()
    counter = shared_counter(v)
    node.vc, node.y_version = counter, counter[0]
    base._node, base.index = node, 0
    base.seen = counter[0]


class CopySlices:
    """The node of a base whose view was changed: the view's region of the cotangent goes to what was put there."""

    name = "CopySlices"
    grad_fn = "CopySlices"

    def saves(self, node: Node) -> bool:
        return False

    def pullback(self, node: Node, g: Any, as_values: bool) -> Sequence[Any]:
        whole = g if as_values else Value(g)
        part = whole
        for op, args in node.args:
            part = op.apply_view(part, args)
        kept = OPS["clone"](whole)
        with no_grad():
            region: Value = kept.detach()
            region.vc = None
            region.base = None
            for op, args in node.args:
                region = op.apply_view(region, args)
            mask = np.ones(region.array.shape, bool)
        if as_values:
            keep = np.ones(whole.shape, bool)
            hole = Value(keep)
            with no_grad():
                for op, args in node.args:
                    hole = op.apply_view(hole, args)
                hole.array[...] = False
            kept = OPS["where"](Value(keep), whole, 0.0)
            return [kept, OPS["clone"](part)]
        np.copyto(region.array, 0, where=mask)
        return [kept.array, part.array.copy()]


COPY_SLICES = CopySlices()


class InPlace:
    """The `name_` form of an operation: the same on the same memory."""

    family = "inplace"

    def __init__(self, base: Any, name: str) -> None:
        self.base = base
        self.name = name
        self.signature = base.signature
        self.arrays = base.arrays
        self.facts: dict[str, Any] = {}
        self.fields = None
        self.fn = base.fn

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def doc(self) -> str:
        return f"The in-place form of `{self.base.name}`.\n\n{self.base.fn.__doc__ or ''}"

    def __call__(self, v: Any, *args: Any, **keywords: Any) -> Value:
        if type(v) is not Value:
            raise ScriptTypeError(f"{self.name}() changes a tensor in place; this is {type(v).__name__}")
        check_may_change(v)
        return change(v, self.base(v, *args, **keywords))


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
        result = OPS["_cast"](result, a.dtype)
    adopt(v, result)
    return v
