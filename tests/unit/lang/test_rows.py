"""Small parameters in a row: the same bits as one by one, fewer calls, and state that can be taken back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vardsl.engine.value import Value
from vardsl.lang import optimizer as module
from vardsl.lang import optimizers, rows

MAKERS: list[Any] = [
    lambda p: optimizers.sgd(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    lambda p: optimizers.adam(p, lr=0.1, amsgrad=True),
    lambda p: optimizers.adamw(p, lr=0.1, maximize=True),
    lambda p: optimizers.rmsprop(p, lr=0.1, centered=True, momentum=0.3),
    lambda p: optimizers.adagrad(p, lr=0.1, initial_accumulator_value=0.5),
    optimizers.adadelta,
    optimizers.nadam,
]
SHAPES: list[tuple[int, ...]] = [(3, 4), (4,), (), (2, 2, 2), (9000,)]


def parameters(seed: int = 0) -> tuple[Value, ...]:
    rng = np.random.default_rng(seed)
    return tuple(Value(np.asarray(rng.standard_normal(s), np.float32), True) for s in SHAPES)


def give_gradients(params: tuple[Value, ...], turn: int) -> None:
    rng = np.random.default_rng(turn)
    for k, p in enumerate(params):
        g = Value(np.asarray(rng.standard_normal(p.shape), np.float32))
        p._grad = None if (turn, k) in ((4, 1), (5, 0), (5, 1), (5, 2), (5, 3)) else g


@pytest.mark.parametrize("make", MAKERS)
def test_a_row_gives_the_bits_of_its_parameters_one_by_one(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, alone = parameters(), parameters()
    a, b = make(together), make(alone)
    for turn in range(9):
        give_gradients(together, turn)
        give_gradients(alone, turn)
        a.apply()
        with monkeypatch.context() as patch:
            patch.setattr(module, "members_of", lambda changed: [])
            b.apply()
        for p, q in zip(together, alone, strict=True):
            np.testing.assert_array_equal(p.array, q.array)
            assert p.version == q.version


def test_a_row_updates_once(monkeypatch: pytest.MonkeyPatch) -> None:
    params = parameters()
    optimizer = optimizers.adam(params)
    calls: list[int] = []
    update = optimizer.update
    monkeypatch.setattr(optimizer, "update", lambda k, p, g: (calls.append(p.size), update(k, p, g)))
    give_gradients(params, 0)
    optimizer.apply()
    assert calls == [12 + 4 + 1 + 8, 9000]


@pytest.mark.parametrize("make", MAKERS)
def test_state_in_a_row_can_be_taken_back(make: Any) -> None:
    params = parameters()
    optimizer = make(params)
    for turn in range(3):
        give_gradients(params, turn)
        optimizer.apply()
    before = optimizer.snapshot()
    values = []
    for _ in range(2):
        for turn in range(6, 9):
            give_gradients(params, turn)
            optimizer.apply()
        values.append([p.array.copy() for p in params])
        optimizer.restore(before)
    for a, b in zip(*values, strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_several_small_parameters_are_worth_a_row() -> None:
    def changed(*sizes: int) -> rows.Changed:
        return [(k, np.zeros(n, np.float32), np.zeros(n, np.float32)) for k, n in enumerate(sizes)]

    assert rows.members_of(changed(3)) == []
    assert rows.members_of(changed(3, rows.SMALL + 1)) == []
    assert [k for k, _, _ in rows.members_of(changed(3, rows.SMALL + 1, 5))] == [0, 2]
