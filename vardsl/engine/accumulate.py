"""What a backward pass leaves behind: gradients are added to those that leaves have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vardsl.engine.context import enable_grad, state
from vardsl.engine.dtypes import BY_NP, Array
from vardsl.engine.pending import pending
from vardsl.engine.value import OPS, Value, shared_counter
from vardsl.errors import InternalError

Cotangent = Any  # an array, or a Value when the backward pass itself is recorded


def commit(received: dict[Value, Cotangent], create_graph: bool) -> None:
    for leaf, g in received.items():
        accumulate(leaf, g, create_graph)


def accumulate(leaf: Value, g: Cotangent, create_graph: bool) -> None:
    before = leaf._grad
    ctx = state.ctx
    journal = ctx.journal
    if journal is not None:
        journal.append(_undo_grad(leaf, before))
    if isinstance(g, Value):
        if before is None and create_graph:
            leaf._grad = _kept(g)
        elif before is None:
            with enable_grad(False):
                g = _like(g, leaf)
            leaf._grad = _own(g, leaf)
        else:
            with enable_grad(create_graph):
                total = before + g
                if not create_graph:
                    total = _like(total, before)
            if create_graph or journal is not None or not _adds_in_place(leaf, before):
                leaf._grad = total
            else:
                if ctx.tracer is not None:
                    ctx.tracer.settle()
                _overwrite(before, total.array)
        if ctx.tracer is not None:
            ctx.tracer.accumulate(leaf, before, g if before is None else total)
        return
    if before is None:
        leaf._grad = Value(owned(g, leaf))
    elif journal is not None or not _adds_in_place(leaf, before):
        leaf._grad = Value(np.asarray(np.add(before.array, g)))
    else:
        if ctx.savepoint is not None:
            ctx.savepoint.keep(before.memory())
        array = before.memory()
        np.add(array, g, array)
        shared_counter(before)[0] += 1


def _own(g: Value, leaf: Value) -> Value:
    """A gradient that nothing else shares."""
    tracer = state.ctx.tracer
    if tracer is not None and tracer.defers and _waits_as(g, leaf):
        twin: Value = tracer.twin(g)
        return twin
    return Value(owned(np.asarray(g.array), leaf).copy())


def _waits_as(g: Value, leaf: Value) -> bool:
    return pending(g.array) is not None and g.array.shape == leaf.array.shape


def _like(g: Value, v: Value) -> Value:
    """A gradient in the dtype of what it belongs to, by an operation that a plan sees."""
    dtype = v.array.dtype
    if g.array.dtype == dtype:
        return g
    cast: Value = OPS["to"](g, BY_NP[dtype])
    return cast


def _adds_in_place(leaf: Value, before: Value) -> bool:
    return not before.requires_grad and before.array.dtype == leaf.array.dtype


def _overwrite(before: Value, total: Array) -> None:
    savepoint, array = state.ctx.savepoint, before.memory()
    if savepoint is not None:
        savepoint.keep(array)
    np.copyto(array, total, "same_kind")
    shared_counter(before)[0] += 1


def _kept(g: Value) -> Value:
    """A first gradient that stays on the graph: a copy, whose node PyTorch calls `CopyBackwards`."""
    if not g.requires_grad:
        return Value(g.array.copy())
    with enable_grad():
        copy: Value = OPS["clone"](g)
    if copy.node is not None:
        copy.node.name = "CopyBackwards"
    return copy


def _undo_grad(leaf: Value, before: Value | None) -> Callable[[], None]:
    def undo() -> None:
        leaf._grad = before

    return undo


def owned(g: Array, leaf: Value) -> Array:
    """An array of the leaf's shape and dtype that nothing else shares."""
    a = leaf.array
    if (
        type(g) is np.ndarray
        and g.shape == a.shape
        and g.dtype is a.dtype
        and g.flags.c_contiguous
        and (g.base is None or state.ctx.budget.pool.owns(g))
    ):
        return g
    if g.shape != a.shape and g.ndim:
        raise InternalError(f"a gradient of shape {list(g.shape)} for a leaf of shape {list(a.shape)}")
    if g.shape == a.shape and type(g) is not np.ndarray:
        return np.array(g, a.dtype)
    fresh: Array = state.ctx.budget.pool.array(a.shape, a.dtype)
    fresh[...] = g
    return fresh
