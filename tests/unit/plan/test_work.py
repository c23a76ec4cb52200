"""How much a planned turn does, counted in NumPy calls, buffers and bytes: bounds that only fall.

Work is counted and not timed, so that a machine that is busy makes no difference. Where the planner saves more,
the numbers in `BOUNDS` are made smaller; `python tests/unit/plan/test_work.py` prints what they are now.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

import vardsl
from vardsl.plan.describe import calls, memory
from vardsl.plan.execute import Plan


class Work(NamedTuple):
    """What one turn does.

    calls     NumPy calls of a turn that is seen; a streamed region counts as one
    quiet     NumPy calls of a turn that another turn follows at once, None where there is no such turn
    buffers   arrays that the plan works in, besides the script's
    held      their bytes
    passing   bytes that a turn takes beyond them, its results included
    """

    calls: int
    quiet: int | None
    buffers: int
    held: int
    passing: int


BOUNDS = {
    "a tiny step": Work(calls=4, quiet=0, buffers=3, held=36, passing=1_200),
    "a small network": Work(calls=47, quiet=34, buffers=23, held=95_000, passing=10_000),
    "a large chain": Work(calls=1, quiet=1, buffers=10, held=10_110_000, passing=4_000),
}


def tiny_step() -> vardsl.Session:
    s = vardsl.Session()
    s.run("let v = var [[1,2],[3,4]] grad")
    s.run("for i in range(20) { zero_grad v; out = mean(v*v); backward out }")
    return s


def small_network() -> vardsl.Session:
    s = vardsl.Session(seed=0)
    s["y"] = np.arange(32) % 10
    s.run("let X = randn(32, 64); let lr = 0.05")
    s.run("let A = var (0.1*randn(64, 64)) grad; let a = var zeros(64) grad")
    s.run("let B = var (0.1*randn(64, 64)) grad; let b = var zeros(64) grad")
    s.run("let C = var (0.1*randn(64, 10)) grad; let c = var zeros(10) grad")
    s.run(
        """for i in range(20) {
            zero_grad A, a, B, b, C, c
            loss = cross_entropy(tanh(tanh(X @ A + a) @ B + b) @ C + c, y)
            backward loss
            no_grad { A -= lr*A.grad; a -= lr*a.grad; B -= lr*B.grad; b -= lr*b.grad; C -= lr*C.grad; c -= lr*c.grad }
        }"""
    )
    return s


def large_chain() -> vardsl.Session:
    s = vardsl.Session()
    s["x0"] = np.linspace(-1, 1, 2_000_000, dtype=np.float32)
    s.run("let x = var x0 grad; del x0")
    for _ in range(2):
        s.run("for i in range(4) { zero_grad x; out = sum(tanh(x*x + 1) * exp(-x)); backward out }")
    return s


SCRIPTS: dict[str, Callable[[], vardsl.Session]] = {
    "a tiny step": tiny_step,
    "a small network": small_network,
    "a large chain": large_chain,
}


def only_plan(session: vardsl.Session) -> Plan:
    plans = [region.plan for region in session.regions.values() if region.plan is not None]
    assert len(plans) == 1, [region.describe() for region in session.regions.values()]
    return plans[0]


def work(session: vardsl.Session) -> Work:
    plan = only_plan(session)
    arrays = memory(plan.layout)
    quiet = None if plan.quiet is None else len(plan.quiet.program)
    return Work(
        len(plan.layout.program), quiet, len(arrays), sum(a.nbytes for a in arrays), passing(session, plan)
    )


def passing(session: vardsl.Session, plan: Plan) -> int:
    """The most memory that one more turn takes at once."""
    with session._active():
        for _ in range(2):  # the first turn may hand out what a later one does not
            plan.run(plan.reads)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            assert plan.run(plan.reads) is not None
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_turn_does_no_more_than_it_did(name: str) -> None:
    found, bound = work(SCRIPTS[name]()), BOUNDS[name]
    for field, now, most in zip(Work._fields, found, bound):
        assert now is None or most is None or now <= most, f"{field}: {now}, where {most} was enough"


def test_large_pointwise_work_is_one_streamed_region() -> None:
    plan = only_plan(large_chain())
    assert len(plan.layout.program) == 1
    assert plan.layout.notes[0].startswith("streamed")
    assert calls(plan.layout.program) > 1


def test_memory_of_a_large_chain_is_data_and_gradient() -> None:
    session = large_chain()
    plan = only_plan(session)
    data = session.eval("x.data").numpy().nbytes
    held = sum(a.nbytes for a in memory(plan.layout))  # the gradient among it: its buffer is handed out
    assert data + held <= 1.2 * 2 * data


if __name__ == "__main__":
    for name, script in SCRIPTS.items():
        print(name, work(script()))


def test_a_step_of_a_network_with_one_hidden_layer() -> None:
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
