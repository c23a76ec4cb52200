"""A node that stands for many: reached by a pass, unfolded by everybody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from vardsl.engine.backward import backward, grad, reachable
from vardsl.engine.condensed import Condensed
from vardsl.engine.value import Like, Value
from vardsl.errors import GradError


class Cube:
    """y = x * x * x, known as one step."""

    saves = True

    def __init__(self, x: Value) -> None:
        self.x = x
        self.pulls = self.runs = 0

    def pull(self, row: Sequence[Any]) -> tuple[tuple[Any, ...], Sequence[Any]]:
        self.pulls += 1
        return (self.x,), [row[0] * 3 * self.x.array**2]

    def again(self) -> tuple[list[Value], list[tuple[Value, Value, int]]]:
        self.runs += 1
        stand_in = Value(self.x.array.copy(), True)
        return [stand_in * stand_in * stand_in], [(stand_in, self.x, self.x.version)]

    def touched(self, results: Sequence[bool]) -> bool:
        return any(results)


@pytest.fixture
def made() -> tuple[Value, Cube, Value]:
    x = Value(np.array(2.0), True)
    work = Cube(x)
    y = Value(np.array(8.0))
    y.node = Condensed(work, Like((), y.array.dtype), 1).result()
    return x, work, y


def test_a_pass_goes_through_at_once(made: tuple[Value, Cube, Value]) -> None:
    x, work, y = made
    backward([y * 2])
    assert x.grad is not None and x.grad.array == 24
    assert (work.pulls, work.runs) == (1, 0)


def test_who_looks_finds_the_nodes(made: tuple[Value, Cube, Value]) -> None:
    x, work, y = made
    z = y * 2
    assert [n.grad_fn for n in reachable([z])] == ["MulBackward0"] * 3
    assert z.node is not None and z.node.edges[0] is y.node
    assert y.node is not None and y.node.edges[1] is x and y.node.args[1] is x
    backward([z])
    assert (work.pulls, work.runs) == (0, 1)
    assert x.grad is not None and x.grad.array == 24


def test_the_name_is_the_real_one(made: tuple[Value, Cube, Value]) -> None:
    assert repr(made[2].grad_fn) == "<MulBackward0>"


def test_a_recorded_pass_has_second_derivatives(made: tuple[Value, Cube, Value]) -> None:
    x, _, y = made
    (g,) = grad([y], [x], create_graph=True)
    assert g is not None and grad([g], [x], retain_graph=True)[0].array == 12  # type: ignore[union-attr]
    backward([y * 1], create_graph=True)
    assert x.grad is not None and x.grad.requires_grad


def test_a_second_pass_is_refused(made: tuple[Value, Cube, Value]) -> None:
    _, work, y = made
    backward([y + 0])
    with pytest.raises(GradError, match="second time"):
        backward([y + 0])
    assert work.runs == 1


def test_a_kept_graph_may_be_passed_again(made: tuple[Value, Cube, Value]) -> None:
    x, work, y = made
    backward([y + 0], retain_graph=True)
    backward([y + 0])
    assert x.grad is not None and x.grad.array == 24 and work.pulls == 2
