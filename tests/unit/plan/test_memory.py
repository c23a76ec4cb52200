"""Plans of loops that ran long ago do not hold on to much memory."""

from __future__ import annotations

import pytest

import vardsl
from vardsl.plan import memory


def test_the_plans_that_were_used_longest_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: memory.SHARE * 30_000_000)
    s = vardsl.Session(seed=0)

    def run(k: int) -> None:
        s.run(f"let x{k} = randn(1000000); for i in range(12) {{ y{k} = sum(exp(x{k} * i)) }}")
        s.run(f"del x{k}")

    for k in range(9):
        run(k)
    holding = [r for r in s.regions.values() if r.plans]
    assert holding, "the last one keeps its plan"
    assert sum(map(memory.held, holding)) <= 30_000_000
    assert "y8" in next(iter(holding[-1].binds))


def test_a_loop_whose_plan_was_forgotten_is_planned_again() -> None:
    s = vardsl.Session(seed=0)
    text = "for i in range(20) { zero_grad v; out = sum(v*v); backward out }"
    s.run("let v = var [1., 2.] grad")
    s.run(text)
    (region,) = [r for r in s.regions.values() if r.plans]
    turns = region.turns
    region.forget()
    s.run(text)
    assert region.plans
    assert region.turns > turns + 10


def test_small_plans_are_kept() -> None:
    s = vardsl.Session(seed=0)
    s.run("let v = var [1., 2.] grad")
    for k in range(20):
        s.run(f"for i in range(20) {{ zero_grad v; out = sum(v*{k}.0*v); backward out }}")
    assert len([r for r in s.regions.values() if r.plans]) == 20
