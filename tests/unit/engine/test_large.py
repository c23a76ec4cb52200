"""What is made block by block has the bits of what is made at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vardsl
from vardsl.engine import large
from vardsl.engine.large import LARGE, by_rows, pointwise, total

N = 2 * LARGE + 4321


def numbers(seed: int, dtype: Any = np.float32) -> Any:
    return np.random.default_rng(seed).standard_normal(N).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_several_steps(dtype: Any) -> None:
    def steps(x: Any, k: Any, y: Any) -> Any:
        return np.tanh(x * k) / (1 + np.exp(-y))

    x, y = numbers(0, dtype), numbers(1, dtype)
    assert np.array_equal(pointwise(steps, (x, 2, y)), steps(x, 2, y))
    assert np.array_equal(pointwise(np.multiply, (x, y)), x * y)
    assert np.array_equal(total(x, y), x + y)


def test_other_dtypes_and_shapes_are_those_of_the_function() -> None:
    x = numbers(0)
    assert pointwise(lambda a: a > 0, (x,)).dtype == bool
    assert pointwise(np.less, (x, x)).dtype == bool
    grid = x[: N // 2 * 2].reshape(2, -1)
    assert np.array_equal(pointwise(lambda a: a + 1, (grid.T,)), grid.T + 1)
    assert np.array_equal(pointwise(lambda a, b: a + b, (grid, grid[:1])), grid + grid[:1])
    assert pointwise(lambda a: np.add.reduce(a), (x,)).shape == ()


def test_what_is_given_stays_where_nothing_is_spare() -> None:
    x = numbers(0)
    before = x.copy()
    pointwise(np.negative, (x,))
    assert np.array_equal(x, before)
    assert pointwise(np.negative, (x,), x) is x
    assert np.array_equal(x, -before)


@pytest.mark.parametrize(
    "loss",
    [
        "sum(tanh(x*x + 1) * exp(-x))",
        "mean(gelu(x) * sigmoid(x) + softplus(x))",
        "sum(where(x > 0, x * 2, x / 3))",
        "sum(relu(x) / (1 + x * x) - clamp(x, -1, 1) ** 2)",
        "sum(x / w) + mean(sqrt(abs(w) + 1))",
        "mse_loss(x * 2, w) + sum(x.view(3, -1)[:, 5:])",
        "huber_loss(x, w) + smooth_l1_loss(x, w, beta=0.5) + soft_margin_loss(x, sign(w).detach())",
        "binary_cross_entropy_with_logits(x, sigmoid(w)) + binary_cross_entropy(sigmoid(x), sigmoid(w))",
        "sum(layer_norm(x.view(-1, 3), 3) ** 2 * w.view(-1, 3))",
        "sum(log_softmax(x.view(3, -1).T, 1) * w.view(-1, 3)) + sum(softmax(x.view(-1, 3), 1) ** 2)",
    ],
)
def test_values_and_gradients(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> list[Any]:
        s = vardsl.Session(plan=False, seed=0)
        s["x0"], s["w0"] = numbers(0)[: N // 3 * 3], numbers(1)[: N // 3 * 3]
        s.run(f"let x = var x0 grad; let w = var w0 grad; y = {loss}; backward y; g = x.grad")
        return [s.eval(n).tolist() for n in "yg"]

    blocks = found()
    for module in ("op", "cotangents", "walk"):
        monkeypatch.setattr(f"vardsl.engine.{module}.LARGE", 1 << 40)
    monkeypatch.setattr(large, "LARGE", 1 << 40)
    assert blocks == found()


def test_rows() -> None:
    x, rows = numbers(0)[: 300 * 400].reshape(300, 400), numbers(1)[:300].reshape(300, 1)

    def fn(a: Any, b: Any) -> Any:
        return np.exp(a) * b - a

    assert np.array_equal(by_rows(fn, x, rows), fn(x, rows))
    assert np.array_equal(by_rows(fn, x, rows[:1]), fn(x, rows[:1]))
    assert np.array_equal(by_rows(fn, x.T, x.T), fn(x.T, x.T))
