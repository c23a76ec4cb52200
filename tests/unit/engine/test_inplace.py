"""What the recorded programs on views do not reach: no_grad, taking back, kept gradients, short ways."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vardsl.engine.backward import backward, grad
from vardsl.engine.context import no_grad, state
from vardsl.engine.inplace import VIEW_WITHOUT_GRAD
from vardsl.engine.value import Value
from vardsl.errors import GradError, ShapeError
from vardsl.ops.define import OPS


def leaf() -> Value:
    return Value(np.arange(6.0).reshape(2, 3), True)


def test_a_leaf_changed_outside_the_graph_stays_a_leaf() -> None:
    w = leaf()
    row = w[0]
    with no_grad():
        w[0] = 7.0
        OPS["mul_"](row, 2)
    assert w.is_leaf
    assert w.version == 2
    assert w.array[0].tolist() == [14.0, 14.0, 14.0]
    assert row.grad_fn is not None
    assert grad([OPS["sum"](row)], [w])[0].array.tolist() == [[1, 1, 1], [0, 0, 0]]


def test_a_view_made_in_no_grad_is_not_changed_outside() -> None:
    x = leaf() * 1
    with no_grad():
        v = x[0]
    with pytest.raises(GradError) as refused:
        OPS["mul_"](v, 2)
    assert refused.value.message == VIEW_WITHOUT_GRAD


def test_a_detached_value_is_a_base_of_its_own() -> None:
    x = leaf() * 1
    d = x.detach()
    part = d[0]
    OPS["mul_"](part, Value(np.full(3, 3.0), True))
    assert d.grad_fn is not None and d.grad_fn.grad_fn == "CopySlices"
    assert x.grad_fn is not None and x.grad_fn.grad_fn == "MulBackward0"


def test_shared_memory_is_not_written() -> None:
    wide = OPS["expand"](Value(np.ones((1, 3))), 4, 3)
    with pytest.raises(ShapeError, match="single memory location"):
        OPS["add_"](wide, 1)


def test_a_kept_gradient_is_that_of_the_value_as_it_is_now() -> None:
    x = leaf() * 1
    x.retain_grad()
    OPS["mul_"](x, 3)
    backward([OPS["sum"](x * x)])
    assert x.grad is not None
    assert np.array_equal(x.grad.array, 2 * x.array)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, v: OPS["mul_"](v, 2),
        lambda x, v: OPS["setitem_"](x, 0, 5.0),
        lambda x, v: OPS["setitem_"](x, (Value(np.array([0, 1])), 0), 5.0),
        lambda x, v: OPS["t_"](x),
        lambda x, v: OPS["fill_"](x, 1),
    ],
)
def test_a_change_can_be_taken_back(change: Callable[[Value, Value], object]) -> None:
    start = leaf()
    x = start * 1
    v = x[1]
    numbers, node, version = x.array.copy(), x.grad_fn, x.version
    state.ctx.journal = []
    try:
        change(x, v)
        assert x.version > version
        for undo in reversed(state.ctx.journal):
            undo()
    finally:
        state.ctx.journal = None
    assert np.array_equal(x.array, numbers)
    assert x.grad_fn is node
    assert x.version == version
    assert grad([OPS["sum"](v * v)], [start])[0].array[1].tolist() == [6.0, 8.0, 10.0]


def test_assignment_by_the_short_way_counts_and_converts() -> None:
    x = Value(np.zeros((2, 3)))
    y = x.detach()
    x[0, 1] = 4
    x[1:, ::2] = 2.5
    x[1] = Value(np.array([1.0, 2.0, 3.0]))
    assert y.array.tolist() == [[0, 4, 0], [1, 2, 3]]
    assert (x.version, y.version) == (3, 3)
    whole = Value(np.arange(3))
    whole[0] = 1.7
    assert whole.array.tolist() == [1, 1, 2]
    assert whole.array.dtype == np.int64


def test_random_draws_can_be_taken_back() -> None:
    OPS["manual_seed"](3)
    state.ctx.journal = []
    try:
        first = OPS["rand"](4)
        for undo in reversed(state.ctx.journal):
            undo()
    finally:
        state.ctx.journal = None
    assert np.array_equal(OPS["rand"](4).array, first.array)
