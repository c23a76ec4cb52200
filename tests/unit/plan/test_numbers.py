"""Numbers that a recording follows: their arithmetic is noted, what they decide is a guard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from vardsl.engine.context import state
from vardsl.engine.value import Value
from vardsl.ops.define import op
from vardsl.plan.numbers import MAX_BITS, Changed, Number, Numbers, same
from vardsl.plan.trace import Tracer


@pytest.fixture
def table() -> Iterator[Numbers]:
    tracer = Tracer([])
    state.ctx.tracer = tracer
    yield tracer.numbers
    state.ctx.tracer = None


def again(table: Numbers, result: Any, *given: Any) -> Any:
    """The result of another time, from other numbers."""
    before, state.ctx.tracer = state.ctx.tracer, None
    try:
        return table.evaluate(list(given))[result.entry]
    finally:
        state.ctx.tracer = before


FORMULAS: list[Callable[..., Any]] = [
    lambda x, y: x + 2 * y - 1,
    lambda x, y: (x - y) / (3 + abs(y)),
    lambda x, y: 7 // (y + 2) % 3 - x,
    lambda x, y: -x * +y,
    lambda x, y: 2.5 - x,
    lambda x, y: 10 / x,
    lambda x, y: max(x, y) + min(x, 1),
    lambda x, y: x if y > 0 else x * 2,
    lambda x, y: round(x, 1),
    lambda x, y: op.cos(x) * op.sqrt(y),
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_is_computed_again(formula: Callable[..., Any], table: Numbers) -> None:
    result = formula(table.read(0, 0.5), table.read(1, 3))
    assert isinstance(result, Number)
    assert result.bare() == formula(0.5, 3)
    assert again(table, result, 0.75, 5) == formula(0.75, 5)
    assert type(again(table, result, 0.75, 5)) is type(formula(0.75, 5))


def test_a_decision_is_a_guard(table: Numbers) -> None:
    x = table.read(0, 3)
    y = x * 2 if x % 2 == 1 else x
    assert again(table, y, 5) == 10
    with pytest.raises(Changed):
        again(table, y, 4)


def test_a_number_that_is_used_bare_must_stay(table: Numbers) -> None:
    x = table.read(0, 3)
    assert type(x.pinned()) is int
    assert again(table, x, 3) == 3
    with pytest.raises(Changed):
        again(table, x, 4)


def test_an_integer_does_not_become_a_real(table: Numbers) -> None:
    x = table.read(0, 3)
    with pytest.raises(Changed):
        again(table, x, 3.0)


def test_what_fails_or_grows_too_large_is_left_to_the_statements(table: Numbers) -> None:
    x = table.read(0, 4)
    y, z = 1 / x, x * x
    for number in (0, 1 << MAX_BITS):
        with pytest.raises(Changed):
            again(table, y, number)
    assert z.bare() == 16


def test_next_to_a_tensor_a_number_is_a_tensor_like_it(table: Numbers) -> None:
    x, v = table.read(0, 0.1), Value(np.ones(2, np.float32))
    y = x * v
    assert y.array.dtype == np.float32
    ((entry, tensor),) = table.operands
    again(table, x, 0.3)
    assert entry == x.entry
    assert tensor.array == np.float32(0.3)


def test_next_to_a_tensor_of_integers_it_must_stay(table: Numbers) -> None:
    x, v = table.read(0, 2), Value(np.ones(2, np.int64))
    assert (v * x).array.tolist() == [2, 2]
    assert not table.operands
    with pytest.raises(Changed):
        again(table, x, 3)


def test_a_number_of_the_run_decides_nothing(table: Numbers) -> None:
    loss = table.item(Value(np.array(0.5)))
    total = loss + 1.0
    assert table.tracer.failed is None
    assert total.bare() == 1.5
    assert total > 1
    assert "depends on a number" in table.tracer.failed


def test_a_number_of_the_run_divides_nothing(table: Numbers) -> None:
    assert (1 / table.item(Value(np.array(0.5)))) == 2.0
    assert table.tracer.failed is not None


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 1, True), (1, 1.0, False), (True, 1, False), (0.0, -0.0, False), (-0.0, -0.0, True),
        (float("nan"), float("nan"), True), ("a", "a", True), (2.5, 2.0, False),
    ],
)  # fmt: skip
def test_same_numbers(a: Any, b: Any, expected: bool) -> None:
    assert same(a, b) is expected


def test_it_is_no_number_where_one_is_needed(table: Numbers) -> None:
    x = table.read(0, 3)
    for use in (range, float, [1, 2].__getitem__, np.zeros, hash):
        with pytest.raises((TypeError, ValueError)):
            use(x)
