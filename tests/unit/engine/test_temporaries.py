"""Memory is taken from what only an expression holds, and never from anything that is looked at again."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import vardsl
from vardsl.engine import binary, large, op, pool, temporaries
from vardsl.engine.temporaries import BY_CALL, BY_HELPER, BY_OPERATOR, BY_OVERLOAD

N = large.LARGE + 17

SCRIPTS = [
    "y = tanh(x*x + 1) * exp(-x)",
    "c = a + 1; y = c * 2; z = c + y",
    "c = a + 1; d = c; y = c * 2 + d",
    "t = (a + 1, a * 2); y = t[0] * 2 - t[1] / 3",
    "y = (a + 1)[3:] * 2",
    "c = a + 1; v = c.view(-1); c = 0; y = v * 2; z = v + 1",
    "c = (a + 1).view(-1) * 2; y = c + 1",
    "fn f(u) { w = u + 1; r = w * 2; return w + r }; y = f(a) + f(a * 3)",
    "fn g(u) = u * 2; y = g(a + 1) + 1; z = g(a) - 1",
    "fn h(u, w=a + 1) = w * u; y = h(2) + 1; z = h(3)",
    "y = a + 1 if true else a; z = (a if true else a + 1) * 2",
    "y = 0; for i in range(3) { e = a * i; y = y + e * 2; e = e + 1 }",
    "let y = a + 0; for u in (y, a * 2) { z = u * 2 + 1 }",
    "y = (a + 1).detach() * 2 + 1",
    "c = a + 1; y = c.detach() * 2; c += 1; z = y + c",
    "y = [a + 1, a * 2][0] * 2",
    "y = (a * 2 + x) * (x * 2 - a) / (1 + x * x)",
    "y = sum(exp(x * 2) / (exp(x * 2) + 1))",
    "y = (x * 2).exp().sqrt() + (x * x).sigmoid()",
    "y = relu(x * 2) + gelu(x - 1) * where(x > 0, x * 2, x / 2)",
    "c = x * 2; c.retain_grad(); y = c * c + 1; backward sum(y); y = 0; z = c.grad + 0",
    "y = x * 2; y.register_hook(fn(g) = g * 2); z = sum(y + 1) + sum(y * y); backward z; y = 0; z = x.grad + 0",
    "y = (x + 1) + (x + 1); z = x + x; z = z * z",
    "y = 2 * (a * a) - 1; y = 1 - (a * a) * 3; z = -(a * 2) + -a",
    "no_grad { y = sqrt(abs(x) * 2 + 1) - sin(x) * 0.5; z = (x * x) * (x + 1) }",
    "q = a * 2; y = q.numpy(); z = q * 3; y = y + 0",
]


def program(seed: int) -> str:
    """Statements over names that are bound again and again."""
    rng = random.Random(seed)
    names = ["a", "x", "p", "q"]

    def expression(depth: int) -> str:
        kind = rng.randrange(8) if depth else 0
        if kind <= 1:
            return rng.choice(names)
        left = expression(depth - 1)
        if kind == 2:
            return f"{rng.choice(['tanh', 'sigmoid', 'exp', 'abs', 'relu'])}({left})"
        if kind == 3:
            return f"({left} {rng.choice('+-*')} {rng.choice(['2', '0.5', '1'])})"
        if kind == 4:
            return f"({rng.choice(['2', '0.5', '1'])} {rng.choice('+-*')} {left})"
        if kind == 5:
            return f"(-{left})"
        return f"({left} {rng.choice('+-*/')} {expression(depth - 1)})"

    lines = [f"{rng.choice(['p', 'q'])} = {expression(3)}" for _ in range(4)]
    return "; ".join(["p = a", "q = x * 1", *lines, f"y = {expression(4)}", "z = p + q"])


def results(script: str) -> list[Any]:
    s = vardsl.Session(plan=False, seed=0)
    data = np.random.default_rng(0).standard_normal(N).astype(np.float32)
    s["a"], s["x0"] = data, data[::-1].copy()
    s.run("let x = var x0 grad; let a = tensor(a); let y = 0; let z = 0")
    s.run(script)
    found = [s.eval(n) for n in ("y", "z", "a", "x.data")]
    if getattr(found[0], "requires_grad", False):
        s.run("zero_grad x; backward sum(y * 1)")
        found.append(s.eval("x.grad"))
    return [np.array(f.detach().numpy() if hasattr(f, "detach") else f) for f in found]


@pytest.mark.parametrize("script", [*SCRIPTS, *map(program, range(40))])
def test_results_are_the_same_as_in_memory_of_their_own(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = results(script)
    for module in (op, binary):
        monkeypatch.setattr(module, "spare", lambda v, path: None)
    for got, expected in zip(found, results(script), strict=True):
        assert np.array_equal(got, expected, equal_nan=True)


def arrays_of(script: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """For how many results new memory was asked."""
    s = vardsl.Session(plan=False, seed=0)
    s["a"] = np.ones(N, np.float32)
    s.run("let a = tensor(a); let x = var ones(a.shape) grad; let b = a + 0")
    asked = 0
    array = pool.Pool.array

    def counted(self: pool.Pool, shape: Any, dtype: Any) -> Any:
        nonlocal asked
        asked += 1
        return array(self, shape, dtype)

    monkeypatch.setattr(pool.Pool, "array", counted)
    s.run(script)
    monkeypatch.undo()
    return asked


told = pytest.mark.skipif(
    not all(p.references for p in (BY_OPERATOR, BY_OVERLOAD, BY_HELPER, BY_CALL)),
    reason="this Python does not tell a temporary operand from one with a name",
)


@told
@pytest.mark.parametrize(
    "script, memories",
    [
        ("let y = tanh(a*a + 1)", 1),
        ("let y = tanh(x*x + 1)", 1),
        ("let y = (a + 1) / 2 - 1", 1),
        ("let y = 2 * (a*a)", 1),
        ("let y = a + (a + 1)", 1),
        ("let y = (x + 1) * (x + 2)", 3),  # both are kept for backward
        ("let y = b + 1; let z = b * 2", 2),  # what has a name stays
    ],
)
def test_what_an_expression_holds_gives_its_memory(
    script: str, memories: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert arrays_of(script, monkeypatch) == memories


def test_only_scripts_give_temporaries() -> None:
    s = vardsl.Session(plan=False)
    s["a"] = np.ones(N, np.float32)
    v = s.eval("tensor(a)")
    v.__add__(1)
    assert v.array[0] == 1
    assert temporaries.spare(v, BY_OPERATOR) is None
