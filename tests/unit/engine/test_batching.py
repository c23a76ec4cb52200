"""Rows at once: which are done one by one, and how much is done."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tests.table.rows import always
from vardsl import errors
from vardsl.engine import batching
from vardsl.engine.backward import grad
from vardsl.engine.batching import gradients
from vardsl.engine.value import OPS, Value, leaf
from vardsl.lang.transforms import checkpoint, custom_grad, hessian, jacobian
from vardsl.ops.define import op


def one_by_one(y: Value, x: Value) -> Any:
    seeds = np.eye(y.array.size).reshape(y.array.size, *y.array.shape)
    found = [grad([y], [x], [Value(s)], retain_graph=True)[0] for s in seeds]
    return np.array([np.zeros(x.shape) if g is None else g.array for g in found])


def rosenbrock(x: Value) -> Value:
    return op.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


FUNCTIONS: dict[str, Any] = {
    "slices": lambda x: op.cat([x[1:] * x[:-1], x[::2] ** 3]),
    "a 0-d tensor among vectors": lambda x: x * op.sum(x) + x[0],
    "broadcast": lambda x: op.reshape(x, (6, 1)) * x + x,
    "matrices": lambda x: op.reshape(x, (2, 3)) @ op.reshape(x, (3, 2)),
    "a vector and a matrix": lambda x: op.reshape(x, (2, 3)) @ x[:3] + x[:2] @ op.reshape(x, (2, 3))[:, :2],
    "softmax": lambda x: op.softmax(op.reshape(x, (2, 3)), 1),
    "index tensors": lambda x: x[Value(np.array([0, 0, 5]))] * op.reshape(x, (2, 3))[:, Value(np.array([1, 0, 1]))],
    "index tensors apart": lambda x: op.reshape(x, (1, 2, 3))[Value(np.array([0])), :, Value(np.array([2]))],
    "without a rule": lambda x: op.roll(x, 2, 0) * OPS["linalg.inv"](op.reshape(x[:4], (2, 2)) + Value(3 * np.eye(2)))[0, 0],
    "a convolution": lambda x: op.conv1d(op.reshape(x, (1, 1, 6)), op.reshape(x[:2], (1, 1, 2)), None, 1, 1),
    "a mean of rows": lambda x: op.mean(op.reshape(x, (2, 3)), 0) * op.mean(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("create_graph", [False, True])
def test_rows_are_those_of_single_passes(name: str, create_graph: bool) -> None:
    x = leaf(np.linspace(0.3, 1.7, 6), "float64", True)
    y = FUNCTIONS[name](x)
    with always():
        found = gradients(y, [x], create_graph=create_graph)
    assert found is not None and found[0] is not None
    assert found[0].requires_grad is (create_graph and name not in ("index tensors apart",))
    np.testing.assert_allclose(found[0].array.reshape(-1, 6), one_by_one(y, x), 1e-13, 1e-13)


def test_elementwise_rows_have_the_same_bits() -> None:
    x = leaf(np.linspace(-1, 1, 40), "float64")
    f = lambda v: op.sin(v) * op.exp(-v * v) / (1.5 + v)  # noqa: E731
    at_once = jacobian(f, x).array
    v = leaf(x.array, "float64", True)
    assert at_once.tobytes() == one_by_one(f(v), v).tobytes()


def test_rows_in_chunks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x = leaf(np.linspace(-1, 1, 50), "float64")
    whole = hessian(rosenbrock, x).array
    monkeypatch.setattr(batching, "AT_ONCE", 7 * 50)
    assert hessian(rosenbrock, x).array.tobytes() == whole.tobytes()
    monkeypatch.setattr(batching, "AT_ONCE", 1)
    assert hessian(rosenbrock, x).array.tobytes() == whole.tobytes()


def test_the_work_does_not_grow_with_the_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    done: Counter[int] = Counter()
    run = batching.batched

    def counted(*args: Any) -> Any:
        done[n] += 1
        return run(*args)

    monkeypatch.setattr(batching, "batched", counted)
    for n in (10, 100):
        hessian(rosenbrock, leaf(np.ones(n), "float64"))
    assert 0 < done[10] == done[100] <= 26, done


def test_hooks_are_called_for_every_row() -> None:
    seen = []

    def f(v: Value) -> Value:
        y = v * v
        y.register_hook(lambda g: seen.append(1))
        return y * y

    jacobian(f, leaf([1.0, 2.0, 3.0, 4.0], "float64"))
    assert len(seen) == 4


def test_functions_of_the_script_run_for_every_row() -> None:
    seen = []

    def rule(g: Value, v: Value) -> Value:
        seen.append(1)
        return g * 2 * v

    square = custom_grad(lambda v: v * v, rule)
    x = leaf([1.0, 2.0, 3.0, 4.0], "float64")
    assert jacobian(square, x).tolist() == np.diag([2.0, 4.0, 6.0, 8.0]).tolist()
    assert len(seen) == 4
    assert jacobian(lambda v: checkpoint(lambda u: u * u, v), x).tolist() == np.diag([2.0, 4.0, 6.0, 8.0]).tolist()


def test_an_error_in_one_row_is_the_error_of_the_rows() -> None:
    x = leaf([1.0, 2.0, 3.0, 4.0], "float64")
    with pytest.raises(errors.Error, match="modified by an inplace operation"):

        def f(v: Value) -> Value:
            y = op.exp(v)
            z = y * y
            OPS["add_"](y, 1.0)
            return z

        jacobian(f, x)
