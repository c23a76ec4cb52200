"""How much a planned turn does, counted in NumPy calls: a bound that only falls."""

from __future__ import annotations

import numpy as np

import vardsl
from vardsl.plan.execute import Plan


def only_plan(session: vardsl.Session) -> Plan:
    plans = [region.plan for region in session.regions.values() if region.plan is not None]
    assert len(plans) == 1, [region.describe() for region in session.regions.values()]
    return plans[0]


def test_the_mean_of_squares_and_its_gradient() -> None:
    s = vardsl.Session()
    s.run("let v = var [[1,2],[3,4]] grad")
    s.run("for i in range(20) { zero_grad v; out = mean(v*v); backward out }")
    assert len(only_plan(s).layout.program) <= 4


def test_a_training_step_of_a_small_network() -> None:
    s = vardsl.Session(seed=0)
    s["y"] = np.arange(32) % 10
    s.run("let X = randn(32, 64); let lr = 0.05")
    s.run("let W1 = var (0.1*randn(64, 64)) grad")
    s.run("let b1 = var zeros(64) grad; let W2 = var (0.1*randn(64, 10)) grad; let b2 = var zeros(10) grad")
    s.run(
        """for i in range(20) {
            zero_grad W1, b1, W2, b2
            loss = cross_entropy(tanh(X @ W1 + b1) @ W2 + b2, y)
            backward loss
            no_grad { W1 -= lr * W1.grad; b1 -= lr * b1.grad; W2 -= lr * W2.grad; b2 -= lr * b2.grad }
        }"""
    )
    assert len(only_plan(s).layout.program) <= 34


def test_large_pointwise_work_is_one_streamed_region() -> None:
    s = vardsl.Session()
    s["x0"] = np.linspace(-1, 1, 400_000, dtype=np.float32)
    s.run("let x = var x0 grad")
    for _ in range(4):
        s.run("zero_grad x; out = sum(tanh(x*x + 1) * exp(-x)); backward out; val = out.item()")
    plan = only_plan(s)
    assert len(plan.layout.program) == 1
    assert plan.layout.notes[0].startswith("streamed")
