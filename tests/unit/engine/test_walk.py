"""The usual way down, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from vardsl.engine.backward import backward
from vardsl.engine.value import Value
from vardsl.errors import GradError
from vardsl.ops.define import op


def leaf(numbers: object) -> Value:
    return Value(np.array(numbers, np.float64), True)


def gradient(v: Value) -> object:
    assert v._grad is not None
    return v._grad.tolist()


def test_branches_meet_again() -> None:
    v = leaf([1.0, 2.0])
    h = v * v
    backward([op.sum(h * 3 + h * h)])
    assert gradient(v) == [2 * 3 + 4 * 1, 4 * 3 + 4 * 8]


def test_the_outputs_of_one_node_wait_for_each_other() -> None:
    v = leaf([[1.0, 2.0], [3.0, 4.0]])
    first, second = op.unbind(v * 2)
    backward([op.sum(first * second * second)])
    assert gradient(v) == [[2 * 36, 2 * 64], [2 * 2 * 2 * 6, 2 * 2 * 4 * 8]]


def test_what_is_passed_on_unchanged_is_not_shared() -> None:
    v, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    backward([op.sum((v + w) * 2)])
    assert v._grad is not None
    v._grad.array[0] = 7
    assert gradient(w) == [2, 2]


def test_a_hook_on_the_way_is_called() -> None:
    v = leaf([1.0, 2.0])
    h = v * v
    h.register_hook(lambda g: g * 10)
    backward([op.sum(h * 3)])
    assert gradient(v) == [60, 120]


def test_a_second_time() -> None:
    v = leaf([1.0, 2.0])
    out = op.sum(op.exp(v))
    backward([out])
    with pytest.raises(GradError, match="backward through the graph a second time"):
        backward([out])


def test_inputs_without_a_rule_are_edges_without_a_node() -> None:
    scores, weight = leaf([[1.0, 2.0], [3.0, 5.0]]), leaf([1.0, 3.0])
    classes = Value(np.array([0, 1]))
    alone, beside = op.nll_loss(scores, classes), op.nll_loss(scores, classes, weight)
    assert alone.node is not None and beside.node is not None
    assert alone.node.edges == (scores, None, None)
    assert beside.node.edges == (scores, None, weight)
    backward([alone])
    assert gradient(scores) == [[-0.5, 0], [0, -0.5]]
    backward([beside])
    assert gradient(scores) == [[-0.75, 0], [0, -1.25]]
    assert weight._grad is None
