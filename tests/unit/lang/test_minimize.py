"""`minimize`: what a turn does, when it stops, and that a turn happens wholly or not at all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from vardsl import errors
from vardsl.engine.context import state
from vardsl.engine.value import OPS, Value, leaf
from vardsl.lang.lbfgs import lbfgs
from vardsl.lang.minimize import minimize
from vardsl.lang.optimizers import adam, sgd
from vardsl.ops.define import op


def variable(x: Any) -> Value:
    return leaf(x, "float64", True)


def test_default_is_sgd_with_a_hundred_steps() -> None:
    w = variable(1.0)
    turns = []
    loss = minimize(lambda: w**2, (w,), progress=lambda turn, steps, loss: turns.append((turn, steps, loss)))
    # w ← w - 0.01 · 2w
    assert w.item() == pytest.approx(0.98**100)
    assert loss == pytest.approx(0.98**198)
    assert type(loss) is float
    assert turns[0] == (1, 100, 1.0)
    assert turns[-1][:2] == (100, 100)


def test_gradients_are_of_the_last_turn_and_of_the_named_variables_only() -> None:
    w, u = variable([1.0, 2.0]), variable([3.0, 4.0])
    w.grad = leaf([100.0, 100.0], "float64")
    u.grad = leaf([7.0, 7.0], "float64")
    minimize(lambda: op.sum(w * u), (w,), using=sgd(lr=0.5), steps=2)
    assert w.grad.tolist() == [3.0, 4.0]
    assert u.grad.tolist() == [7.0, 7.0]
    assert w.tolist() == [-2.0, -2.0]
    assert w.is_leaf


def test_until_stops_after_a_small_change() -> None:
    w = variable(1.0)
    turns = []
    minimize(
        lambda: w**2, (w,), using=sgd(lr=0.1), steps=1000, until=1e-3, progress=lambda *t: turns.append(t)
    )
    losses = [t[2] for t in turns]
    assert abs(losses[-1] - losses[-2]) <= 1e-3 < abs(losses[-2] - losses[-3])


def test_until_zero_needs_a_turn_before() -> None:
    w = variable(1.0)
    turns = []
    minimize(lambda: w * 0 + 1, (w,), until=0, progress=lambda *t: turns.append(t))
    assert len(turns) == 2


def test_no_steps() -> None:
    w = variable(1.0)
    assert math.isnan(minimize(lambda: w**2, (w,), steps=0))
    assert w.item() == 1.0


def test_lbfgs_runs_on_closures() -> None:
    w = variable([-1.0, 2.0])
    minimize(
        lambda: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2,
        (w,),
        using=lbfgs(line_search_fn="strong_wolfe"),
        steps=5,
    )
    np.testing.assert_allclose(w.array, [1.0, 1.0], atol=1e-6)


def failing_after(n: int, w: Value, error: Exception) -> Any:
    turns = [0]

    def objective() -> Value:
        turns[0] += 1
        op.rand(3)
        if turns[0] > n:
            raise error
        return op.sum(w**2)

    return objective


@pytest.mark.parametrize("using", [sgd(lr=0.1, momentum=0.9), adam(lr=0.1), lbfgs(max_iter=1)])
def test_a_failed_turn_leaves_no_trace(using: Any) -> None:
    state.ctx.generator.manual_seed(1)
    w = variable([1.0, -2.0])
    optimizer = using.bind((w,))
    minimize(failing_after(9, w, KeyError()), (w,), using=optimizer, steps=2)
    values, gradient, version = w.array.copy(), w.grad, w.version
    states = repr(optimizer.state)
    random = state.ctx.generator.get_state()
    with pytest.raises(errors.ScriptValueError):
        minimize(failing_after(0, w, errors.ScriptValueError("no")), (w,), using=optimizer, steps=2)
    np.testing.assert_array_equal(w.array, values)
    assert w.grad is gradient
    assert w.version == version
    assert repr(optimizer.state) == states
    assert state.ctx.generator.get_state()[1] == random[1]
    assert state.ctx.journal is None


def test_lbfgs_that_fails_in_a_later_evaluation_leaves_no_trace() -> None:
    w = variable([1.0, -2.0])
    with pytest.raises(errors.ScriptValueError):
        minimize(failing_after(3, w, errors.ScriptValueError("no")), (w,), using=lbfgs(lr=0.1), steps=1)
    assert w.tolist() == [1.0, -2.0]
    assert w._grad is None


def test_what_the_objective_changed_in_place_is_taken_back() -> None:
    w, count = variable(1.0), leaf(0.0, "float64")

    def objective() -> Value:
        OPS["add_"](count, 1.0)
        if count.item() > 2:
            raise errors.ScriptValueError("enough")
        return w**2

    with pytest.raises(errors.ScriptValueError):
        minimize(objective, (w,))
    assert count.item() == 2.0


def test_an_outer_journal_takes_everything_back() -> None:
    w = variable(1.0)
    state.ctx.journal = journal = []
    try:
        minimize(lambda: w**2, (w,), steps=3)
    finally:
        state.ctx.journal = None
    assert w.item() != 1.0
    for undo in reversed(journal):
        undo()
    assert w.item() == 1.0
    assert w._grad is None


def test_an_interrupt_keeps_the_finished_turns() -> None:
    w = variable(1.0)

    def objective() -> Value:
        if w.version == 3:
            state.ctx.cancel = True
        return w**2

    try:
        with pytest.raises(errors.Interrupted):
            minimize(objective, (w,), using=sgd(lr=0.1))
    finally:
        state.ctx.cancel = False
    assert w.item() == pytest.approx(0.8**3)


@pytest.mark.parametrize(
    ("run", "kind", "sentence"),
    [
        (lambda w: minimize(lambda: w, (leaf([1.0]),)), "grad", "this tensor does not require grad"),
        (lambda w: minimize(lambda: w, (w * 2,)), "grad", "can't optimize a non-leaf Tensor"),
        (lambda w: minimize(lambda: w, (2.0,)), "type", "minimize is over variables, and this is float"),
        (lambda w: minimize(lambda: 2.0, (w,)), "type", "needs a tensor that depends on its variables"),
        (lambda w: minimize(lambda: leaf(2.0), (w,)), "grad", "element 0 of tensors does not require grad"),
        (lambda w: minimize(lambda: w * leaf([1.0, 2.0]), (w,)), "grad", "only for scalar outputs"),
        (lambda w: minimize(lambda: w, (w,), using=sgd), "type", "this is a function"),
        (lambda w: minimize(lambda: w, (w,), using=3), "type", "using needs an optimizer"),
        (lambda w: minimize(lambda: w, (w,), steps=2.5), "type", "steps must be an integer"),
        (lambda w: minimize(lambda: w, (w,), steps=-1), "value", "steps must not be negative"),
        (lambda w: minimize(lambda: w, (w,), until="a"), "type", "until must be a number"),
    ],
)
def test_errors(run: Any, kind: str, sentence: str) -> None:
    with pytest.raises(errors.Error) as caught:
        run(variable(1.0))
    assert caught.value.kind == kind
    assert sentence in caught.value.message
