"""What nodes keep, so that cotangents have the shape of the inputs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import vardsl

SHAPES = [(), (1,), (3,), (2, 1), (1, 3), (2, 3)]
OPERATIONS = ["a * b", "a / b", "a - b", "a ** b", "maximum(a, b)"]
TOTALS = ["sum(E)", "mean(E)", "sum(exp(E))"]


def gradients(
    s: vardsl.Session, text: str, live: str, a: np.ndarray, b: np.ndarray
) -> list[np.ndarray | None]:
    s["a"], s["b"] = a, b
    given = "; ".join(f"let {n} = {n}.detach().requires_grad_({'true' if n in live else 'false'})" for n in "ab")
    s.run(f"{given}\nbackward {text}")
    return [None if s.eval(f"{n}.grad") is None else s.eval(f"{n}.grad").numpy() for n in "ab"]


def summed(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    g = g.sum(tuple(range(g.ndim - len(shape))))
    return g.sum(tuple(k for k, n in enumerate(shape) if n == 1), keepdims=True)


@pytest.mark.parametrize("live", ["a", "b", "ab"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operand_that_is_smaller_leaves_gradients_their_size(operation: str, live: str) -> None:
    rng = np.random.default_rng(0)
    session = vardsl.Session(plan=False)
    for (m, n), total in product(product(SHAPES, SHAPES), TOTALS):
        a, b = rng.uniform(0.5, 2.0, m), rng.uniform(0.5, 2.0, n)
        shape = np.broadcast_shapes(m, n)
        text = total.replace("E", f"({operation})")
        found = gradients(session, text, live, a, b)
        whole = gradients(session, text, live, *[np.ascontiguousarray(np.broadcast_to(x, shape)) for x in (a, b)])
        for g, w, x in zip(found, whole, (a, b), strict=True):
            if g is not None and w is not None:
                assert g.shape == x.shape, (text, m, n)
                np.testing.assert_allclose(g, summed(w, x.shape), rtol=1e-12)


@pytest.mark.parametrize("operation", ["x * y", "y - x", "x / y", "maximum(x, y)", "where(x > 0, x * y, y)", "x ** 2 * y"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_a_bare_array_is_an_operand_as_its_tensor_is(operation: str, dtype: str) -> None:
    for m, n in product(["[2, 3]", "[3]", "()"], ["[2, 3]", "[1, 3]", "[]"]):
        found = []
        for how in (".numpy()", ""):
            s = vardsl.Session(plan=False, seed=0)
            s.run(f"let x = var randn({m}) grad; let y = (randn({n}) * 3 + 5).to({dtype}){how}")
            s.run(f"backward sum({operation})")
            found.append(s.eval("x.grad").numpy())
        assert found[0].shape == found[1].shape and found[0].tobytes() == found[1].tobytes(), (m, n)
