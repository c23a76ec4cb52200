"""How much an eager turn does, counted in calls of functions and in bytes of its graph: bounds that only
fall."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from types import FrameType

import numpy as np
import pytest

import vardsl


def calls_per_turn(session: vardsl.Session, turn: str) -> float:
    """Calls of Python's functions and of C's that are no slots, in one more turn of a loop that has run for
    a while."""

    def calls(turns: int) -> int:
        counted = 0

        def count(frame: FrameType, event: str, argument: object) -> None:
            nonlocal counted
            counted += event in ("call", "c_call")

        loop = f"for i in range({turns}) {{ {turn} }}"
        for _ in range(2):  # with all names bound it is translated for the last time
            session.run(loop)
        gc.disable()  # who listens to it would be counted
        sys.setprofile(count)
        try:
            session.run(loop)
        finally:
            sys.setprofile(None)
            gc.enable()
        return counted

    return (calls(250) - calls(200)) / 50


def test_the_mean_of_squares_and_its_gradient() -> None:
    s = vardsl.Session(plan=False)
    s.run("let v = var [[1,2],[3,4]] grad")
    assert calls_per_turn(s, "zero_grad v; out = mean(v*v); backward out") <= 24


def test_a_training_step_of_a_small_network() -> None:
    s = vardsl.Session(plan=False, seed=0)
    s["y"] = np.arange(32) % 10
    s.run("let X = randn(32, 64); let lr = 0.05")
    s.run("let W1 = var (0.1*randn(64, 64)) grad; let b1 = var zeros(64) grad")
    s.run("let W2 = var (0.1*randn(64, 10)) grad; let b2 = var zeros(10) grad")
    turn = """
        zero_grad W1, b1, W2, b2
        loss = cross_entropy(tanh(X @ W1 + b1) @ W2 + b2, y)
        backward loss
        no_grad { W1 -= lr * W1.grad; b1 -= lr * b1.grad; W2 -= lr * W2.grad; b2 -= lr * b2.grad }
    """
    assert calls_per_turn(s, turn) <= 76


@pytest.mark.parametrize(
    "turn, calls",
    [
        ("zero_grad c; out = mean(where(c > 0, c**2, abs(c))); backward out", 104),
        ("zero_grad A; out = sum(softmax(layer_norm(A, 8), dim=1) * B); backward out", 127),
        ("zero_grad A; out = sum(A[1:, 0] * A[:-1, 2]); backward out", 84),
        (
            "zero_grad R, Q, b; h = zeros(4, 8); for t in range(6) { h = tanh(S[t] @ R + h @ Q + b) }; "
            "out = mse_loss(h, T); backward out",
            270,
        ),
    ],
    ids=["masks", "rows", "slices", "a recurrent network"],
)
def test_other_small_steps(turn: str, calls: int) -> None:
    s = vardsl.Session(plan=False, seed=0)
    s.run("let c = var randn(16) grad; let A = var randn(4, 8) grad; let B = randn(4, 8)")
    s.run("let S = randn(6, 4, 5); let T = zeros(4, 8); let R = var randn(5, 8) grad")
    s.run("let Q = var (0.1*randn(8, 8)) grad; let b = var zeros(8) grad")
    assert calls_per_turn(s, turn) <= calls


def test_a_long_chain_takes_little_memory() -> None:
    s = vardsl.Session(plan=False)
    s.run("let v = var 1.0 float64 grad; x = v; x = x*1.0001 + 0.001")
    gc.collect()
    tracemalloc.start()
    try:
        s.run("x = v; for i in range(5000) { x = x*1.0001 + 0.001 }")
        graph, _ = tracemalloc.get_traced_memory()
        s.run("x = v")
        rest, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (graph - rest) / 5000 <= 400  # two nodes
