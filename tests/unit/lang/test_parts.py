"""Large parameters are updated part by part, to the same bits as whole ones."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import vardsl
from vardsl.lang import parts

OPTIMIZERS = [
    "sgd(w, lr=0.1)",
    "sgd(w, lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.01)",
    "sgd(w, lr=0.1, momentum=0.9, dampening=0.2, maximize=true)",
    "adam(w, lr=0.1)",
    "adam(w, lr=0.1, amsgrad=true, weight_decay=0.1, maximize=true)",
    "adamw(w, lr=0.1)",
    "nadam(w, lr=0.1)",
    "rmsprop(w, lr=0.1, centered=true, momentum=0.5)",
    "adagrad(w, lr=0.1, initial_accumulator_value=0.3)",
    "adadelta(w, lr=0.1)",
]
TURNS = "for i in range(6) { opt.zero_grad(); backward sum(sin(w) * w * 3); opt.step() }"


def trained(optimizer: str, dtype: str, *, plan: bool = True) -> list[bytes]:
    s = vardsl.Session(seed=0, plan=plan)
    s.run(f"let w = var randn(3, 66001, dtype={dtype}) grad; let opt = {optimizer}")
    s.run(TURNS)
    found = [s.eval("w").array.tobytes()]
    state = s.names()["opt"].state[0]
    return found + [state[k].tobytes() for k in sorted(state) if isinstance(state[k], np.ndarray)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_parts_give_the_bits_of_the_whole(
    optimizer: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "LARGE", 1 << 60)
    whole = trained(optimizer, dtype)
    monkeypatch.setattr(parts, "LARGE", 1 << 10)
    for threads in (1, 2):
        monkeypatch.setattr(parts, "THREADED", 1 if threads == 2 else 1 << 60)
        monkeypatch.setattr(parts, "processors", lambda n=threads: n)
        assert trained(optimizer, dtype) == whole
    assert trained(optimizer, dtype, plan=False) == whole


def test_a_step_is_taken_back_as_a_whole() -> None:
    s = vardsl.Session(seed=0)
    s.run("let w = var randn(300000) grad; let opt = adam(w, lr=0.1)")
    s.run(TURNS)
    before = s.eval("w").array.tobytes()
    opt = s.names()["opt"]
    kept = opt.snapshot()
    s.run(TURNS)
    after = s.eval("w").array.tobytes()
    opt.restore(kept)
    assert s.eval("w").array.tobytes() == before != after
    s.run(TURNS)
    assert s.eval("w").array.tobytes() == after


def test_large_steps_need_little_memory_beside_the_state() -> None:
    s = vardsl.Session(seed=0, plan=False)
    s.run("let w = var randn(2000000) grad; let opt = adam(w, lr=0.1); backward sum(w * w); opt.step()")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        s.run("opt.step()")
        assert tracemalloc.get_traced_memory()[1] - before < 9_000_000  # the parameter alone has 8,000,000
    finally:
        tracemalloc.stop()
