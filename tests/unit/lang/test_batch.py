"""`vmap` with all examples at once: the same as one by one, and what makes it go one by one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import vardsl
from vardsl import errors
from vardsl.lang import batch

SETUP = """
let W = var (arange(15.).reshape(5, 3) * 0.1) grad
let X = arange(12.).reshape(4, 3) * 0.3 - 1.1
let Y = tensor([1., 2., 3., 4.])
let w = tensor([1., -1., 2.])
fn f(x) = sum(tanh(W @ x))
fn loss(w, x, y) = (sum(w * x) - y)**2
"""
SCRIPTS = {
    "values": "print vmap(f)(X)",
    "a matrix for each": "print vmap(fn(x) = outer(x, x) @ W.T)(X)",
    "gradients": "let a = vmap(f)(X); backward sum(a); print W.grad",
    "gradients of each example": "print vmap(grad(loss), in_dims=(none, 0, 0))(w, X, Y)",
    "second derivatives": "print vmap(fn(x) = hessian(f, x))(X)",
    "derivatives of it": "print grad(fn(z) = sum(vmap(fn(x) = sum(x * z)**2)(X)))(w)",
    "nested": "print vmap(vmap(fn(x) = x * x + 1))(X)",
    "in and out dims": "print vmap(fn(x) = x * 2 + Y, in_dims=1, out_dims=1)(X)",
    "several outputs": "print vmap(fn(x) = (x.sum(), (x * 2, Y)), out_dims=(0, (1, 0)))(X)",
    "the argument itself": "let a = vmap(fn(x) = x)(X); a += 1; print X, a",
    "a loop and a branch": "fn g(x) { let y = x; for i in range(3) { y = y * x }; if len(x) > 2 { y = -y }; y };"
    "print vmap(g)(X)",
    "numbers of each example decide": "fn g(x) { if sum(x) > 0 { return x }; return -x }; print vmap(g)(X)",
    "an index for each": "fn g(x, i) = x[i]; print vmap(g)(X, tensor([0, 1, 2, 0]))",
    "quantiles": "print vmap(fn(x) = quantile(x, 0.3))(X)",
    "in place": "fn g(x) { let y = x * 1; y += x; y }; print vmap(g)(X)",
    "printing": "fn g(x) { print x; x }; print vmap(g)(Y)",
    "counting": "n = 0; fn g(x) { n = n + 1; x * n }; print vmap(g)(Y), n",
    "outside the graph": "fn g(x) { let s = 0; no_grad { s = sum(W * x) }; x * s + x.detach() }; print vmap(g)(Y)",
    "an operation without a rule": "print vmap(fn(x) = roll(x, 1) + kron(x, x)[0:3])(X)",
}


ONE_BY_ONE = frozenset(
    ["numbers of each example decide", "an index for each", "quantiles", "in place", "printing", "counting"]
)


def printed(script: str, seed: int = 0) -> str:
    s = vardsl.Session(seed=seed)
    s.run(SETUP)
    return s.run_captured(script)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often examples were done at once, and one by one."""
    found: Counter[str] = Counter()

    class Stack(batch._Stack):
        def __init__(self, outputs: list[Any]) -> None:
            found["one by one"] += 1
            super().__init__(outputs)

    class Together(batch._Together):
        def __init__(self, *args: Any) -> None:
            found["at once"] += 1
            super().__init__(*args)

    monkeypatch.setattr(batch, "_Stack", Stack)
    monkeypatch.setattr(batch, "_Together", Together)
    return found


@pytest.mark.parametrize("name", SCRIPTS)
def test_all_at_once_prints_what_one_by_one_prints(
    name: str, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = printed(SCRIPTS[name])
    assert bool(calls["at once"]) is (name not in ONE_BY_ONE)
    monkeypatch.setattr(batch, "values_read", lambda *_: None)
    calls.clear()
    assert printed(SCRIPTS[name]) == at_once
    assert not calls["at once"]


def test_random_numbers_are_drawn_for_each_example(calls: Counter[str]) -> None:
    script = "manual_seed(3); print vmap(fn(x) = x + rand(1))(Y); print rand(1)"
    first = printed(script).splitlines()
    expected = printed(
        "manual_seed(3); let a = Y[0] + rand(1); let b = Y[1] + rand(1); let c = Y[2] + rand(1);"
        "let d = Y[3] + rand(1); print stack((a, b, c, d)); print rand(1)"
    ).splitlines()
    assert first == expected and not calls["at once"]


def test_an_error_of_one_example_is_that_example_s() -> None:
    with pytest.raises(errors.Error) as singular:
        printed("print vmap(fn(x) = linalg.inv(outer(x, x) * 0 + diag(x)))(tensor([[1., 2.], [3., 0.], [1., 1.]]))")
    assert "singular" in str(singular.value)


def test_many_examples_go_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = printed("print vmap(fn(x) = (tanh(W @ x), sum(x)))(X)")
    monkeypatch.setattr("vardsl.engine.batching.AT_ONCE", 4)
    monkeypatch.setattr(batch, "FEW", 1)
    assert printed("print vmap(fn(x) = (tanh(W @ x), sum(x)))(X)") == whole


def test_operations_do_not_grow_with_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    run = batch.Program.run
    monkeypatch.setattr(
        batch.Program, "run", lambda self, given, n: done.append(len(self.calls)) or run(self, given, n)
    )
    s = vardsl.Session()
    s.run(SETUP)
    for n in (4, 64):
        s["Z"] = np.ones((n, 3), np.float32)
        s.run("vmap(grad(loss), in_dims=(none, 0, none))(w, Z, 1.0)")
    assert done[0] == done[1] <= 12
