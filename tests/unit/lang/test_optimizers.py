"""Optimizers, schedules and clipping against trajectories recorded from torch.optim."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vardsl import errors
from vardsl.engine.backward import backward
from vardsl.engine.context import state
from vardsl.engine.value import Value, leaf
from vardsl.lang import optimizers, schedules
from vardsl.lang.lbfgs import lbfgs
from vardsl.ops.define import op

DATA = json.loads((Path(__file__).parents[2] / "conformance" / "optim.json").read_text(encoding="utf-8"))
MAKERS = {
    "sgd": optimizers.sgd,
    "adam": optimizers.adam,
    "adamw": optimizers.adamw,
    "rmsprop": optimizers.rmsprop,
    "adagrad": optimizers.adagrad,
    "adadelta": optimizers.adadelta,
    "nadam": optimizers.nadam,
    "lbfgs": lbfgs,
}


def _name(case: dict[str, Any]) -> str:
    options = " ".join(f"{k}={v}" for k, v in case["options"].items())
    return f"{case['name']} {options} {case['dtype']}{' rosenbrock' if case['hard'] else ''}"


def _parameters(dtype: str) -> tuple[Value, Value]:
    start = DATA["start"]
    return leaf(start["w"], dtype, True), leaf(start["b"], dtype, True)


def _loss(w: Value, b: Value, dtype: str, hard: bool) -> Value:
    if hard:
        first, second = w @ leaf([1.0, 0.0], dtype), w @ leaf([0.0, 1.0], dtype)
        return (1 - first) ** 2 + 100 * (second - first**2) ** 2 + b**2
    x, y = leaf(DATA["x"], dtype), leaf(DATA["y"], dtype)
    return op.mean((op.tanh(x @ w + b) - y) ** 2) + 0.01 * op.sum(w**4)


@pytest.mark.parametrize("case", DATA["cases"], ids=_name)
def test_trajectory(case: dict[str, Any]) -> None:
    dtype = case["dtype"]
    w, b = _parameters(dtype)
    optimizer = MAKERS[case["name"]]((w, b), **case["options"])
    for step, row in enumerate(case["rows"]):

        def closure(step: int = step) -> Value:
            optimizer.zero_grad()
            loss = _loss(w, b, dtype, case["hard"])
            backward([loss])
            if step == 2 and case["name"] != "lbfgs":
                b.grad = None
            return loss

        loss = optimizer.step(closure)
        got = [loss.item(), *w.tolist(), b.item()]
        rtol = 1e-9 if dtype == "float64" else 2e-3 if case["name"] == "lbfgs" else 2e-5
        np.testing.assert_allclose(
            got, row, rtol=rtol, atol=1e-12 if dtype == "float64" else 1e-5, err_msg=f"{step}"
        )


@pytest.mark.parametrize("name", DATA["schedules"])
def test_schedule(name: str) -> None:
    kind, *numbers = name.split()
    arguments = [float(n) if "." in n else int(n) for n in numbers]
    optimizer = optimizers.sgd(leaf([0.0], "float32", True), lr=0.1)
    schedule = getattr(schedules, kind)(optimizer, *arguments)
    rates = []
    for _ in DATA["schedules"][name]:
        schedule.step()
        rates.append(optimizer.lr)
    np.testing.assert_allclose(rates, DATA["schedules"][name], rtol=1e-12, atol=1e-17)


@pytest.mark.parametrize("case", DATA["plateaus"], ids=lambda c: str(c["options"]))
def test_plateau(case: dict[str, Any]) -> None:
    optimizer = optimizers.sgd(leaf([0.0], "float32", True), lr=0.1)
    schedule = schedules.reduce_on_plateau(optimizer, **case["options"])
    rates = []
    for loss in case["losses"]:
        schedule.step(loss)
        rates.append(optimizer.lr)
    np.testing.assert_allclose(rates, case["rates"], rtol=1e-12)


def test_step_counts_as_a_change_of_the_parameter() -> None:
    w = leaf([1.0, 2.0], "float32", True)
    loss = op.sum(w * w)
    w.grad = leaf([1.0, 1.0], "float32")
    optimizers.sgd((w,), lr=0.1).step()
    assert w.version == 1
    with pytest.raises(errors.GradError, match="modified by an inplace operation"):
        backward([loss])


def test_learning_rate_is_read_and_set() -> None:
    optimizer = optimizers.adam(leaf([1.0], "float32", True), lr=0.5)
    optimizer.lr = 0.25
    assert optimizer.lr == 0.25
    with pytest.raises(errors.ScriptValueError, match="Invalid learning rate: -1"):
        optimizer.lr = -1


def test_without_parameters_it_is_a_recipe() -> None:
    recipe = optimizers.adam(lr=0.5)
    assert repr(recipe) == "<adam lr=0.5>"
    assert recipe.bind([leaf([1.0], "float32", True)]).lr == 0.5


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: optimizers.sgd(lr=-1), "Invalid learning rate: -1"),
        (lambda: optimizers.sgd(momentum=-0.1), "Invalid momentum value: -0.1"),
        (lambda: optimizers.sgd(nesterov=True), "Nesterov momentum requires a momentum and zero dampening"),
        (lambda: optimizers.adam(betas=(1.0, 0.9)), "Invalid beta parameter at index 0: 1.0"),
        (lambda: optimizers.adam(eps=-1), "Invalid epsilon value: -1"),
        (lambda: optimizers.rmsprop(alpha=-1), "Invalid alpha value: -1"),
        (lambda: optimizers.adadelta(rho=2), "Invalid rho value: 2"),
        (lambda: optimizers.sgd(()), "optimizer got an empty parameter list"),
        (lambda: optimizers.sgd((1.0,)), "optimizer can only optimize Tensors"),
        (lambda: optimizers.sgd((leaf([1.0], "float32", True) * 2,)), "can't optimize a non-leaf Tensor"),
        (lambda: optimizers.sgd(0.1), "params argument given to the optimizer"),
        (lambda: lbfgs(line_search_fn="armijo"), "only 'strong_wolfe' is supported"),
        (
            lambda: lbfgs(leaf([1.0], "float32", True)).step(),
            "missing 1 required positional argument: 'closure'",
        ),
        (lambda: schedules.step_lr(optimizers.sgd(lr=0.1), 3), "is not an Optimizer"),
    ],
)
def test_errors(make: Any, sentence: str) -> None:
    with pytest.raises(errors.Error, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        make()


def test_snapshot_takes_a_step_back() -> None:
    w = leaf([1.0, 2.0], "float64", True)
    optimizer = optimizers.adam((w,), lr=0.5)
    w.grad = leaf([1.0, -1.0], "float64")
    optimizer.step()
    before, values = optimizer.snapshot(), w.array.copy()
    optimizer.step()
    once = w.array.copy()
    optimizer.restore(before)
    np.testing.assert_array_equal(w.array, values)
    optimizer.step()
    np.testing.assert_array_equal(w.array, once)


def test_a_step_under_a_journal_can_be_undone() -> None:
    w = leaf([1.0, 2.0], "float64", True)
    w.grad = leaf([1.0, -1.0], "float64")
    optimizer = optimizers.sgd((w,), lr=0.5, momentum=0.9)
    state.ctx.journal = journal = []
    try:
        optimizer.step()
        optimizer.zero_grad()
    finally:
        state.ctx.journal = None
    for undo in reversed(journal):
        undo()
    assert w.tolist() == [1.0, 2.0]
    assert w.version == 0
    assert w._grad is not None


def test_clip_grad_norm() -> None:
    a, b, c = leaf([3.0, 0.0], "float32", True), leaf(4.0, "float32", True), leaf(1.0, "float32", True)
    a.grad, b.grad = leaf([3.0, 0.0], "float32"), leaf(4.0, "float32")
    assert schedules.clip_grad_norm((a, b, c), 1.0).item() == 5.0
    np.testing.assert_allclose(a.grad.array, [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(b.grad.array, 0.8, rtol=1e-6)
    assert c._grad is None
    schedules.clip_grad_norm((a, b), 10.0)
    np.testing.assert_allclose(b.grad.array, 0.8, rtol=1e-6)


def test_clip_grad_value() -> None:
    a = leaf([0.0, 0.0], "float32", True)
    a.grad = leaf([3.0, -0.5], "float32")
    schedules.clip_grad_value((a,), 1.0)
    assert a.grad.tolist() == [1.0, -0.5]
