"""What results will be like is what they are like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vardsl.engine.context import state
from vardsl.engine.value import OPS, Value
from vardsl.ops.define import load_all, op
from vardsl.plan.deferring import Deferring
from vardsl.plan.shapes import what_becomes

load_all()
RNG = np.random.default_rng(0)
A, B, V = (Value(RNG.random(s).astype("f4")) for s in ((5, 7), (7, 3), (7,)))
D, I, M, S = (
    Value(RNG.random((5, 1))), Value(RNG.integers(1, 9, (5, 7))), Value(RNG.random((5, 7)) > 0.5),
    Value(np.array(2.5)),
)  # fmt: skip
CALLS: list[Callable[[], Any]] = [
    lambda: A + A, lambda: A + D, lambda: A * S, lambda: A * 2, lambda: I * 2.5, lambda: I + M, lambda: I / I,
    lambda: A > D, lambda: I == 3, lambda: op.where(M, A, D), lambda: op.where(M, A, 2.0), lambda: op.exp(I),
    lambda: op.abs(I), lambda: M & M, lambda: op.clamp(A, 0.1, 0.5), lambda: A**2, lambda: 2**A, lambda: A**D,
    lambda: op.lerp(A, A, 0.5), lambda: op.addcmul(A, D, D), lambda: op.sum(A), lambda: op.sum(I), lambda: op.sum(M),
    lambda: op.sum(A, 0), lambda: op.sum(A, -1, True), lambda: op.sum(A, (0, 1)), lambda: op.sum(A, ()),
    lambda: op.mean(A), lambda: op.mean(A, 1), lambda: op.mean(A, (0,), True), lambda: op.sum(A, dtype=D.dtype),
    lambda: op.sum_to_size(A, (1, 7)), lambda: op.sum_to_size(A, (7,)), lambda: op.softmax(A, 1),
    lambda: op.log_softmax(A, 0), lambda: A @ B, lambda: A @ V, lambda: op.mm(A, B),
    lambda: op.mse_loss(A, A * 2), lambda: op.gelu(A), lambda: op.relu(I), lambda: op.sigmoid(I), lambda: -M.to_dtype(A.dtype),
]  # fmt: skip


class Checked(Deferring):
    """Says what each result will be like, has it computed at once, and compares."""

    def __init__(self) -> None:
        super().__init__(())
        self.told = 0

    def defer(self, op: Any, bound: list[Any]) -> Any:
        kind = what_becomes(op, bound)
        state.ctx.tracer = None
        try:
            result = op.run(list(bound))
        finally:
            state.ctx.tracer = self
        if kind is not None:
            self.told += 1
            assert (kind.shape, kind.dtype) == (result.array.shape, result.array.dtype), op
            assert result.array.ndim < 2 or result.array.flags.c_contiguous
        return result


@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
def test_shape_and_dtype_are_foreseen(call: Callable[[], Any]) -> None:
    tracer = state.ctx.tracer = Checked()
    try:
        call()
    finally:
        state.ctx.tracer = None
    assert tracer.told


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("add", [A, B, 1]), ("mm", [A, A]), ("_sum_dim", [A, 5, False, None]), ("_mean_all", [I, None]),
        ("add", [Value(np.ones((3, 4), "f4").T), Value(np.ones((4, 3), "f4")), 1]), ("sort", [A, -1, False, False]),
        ("exp", [Value(np.ones((0, 3)))]),
    ],
)  # fmt: skip
def test_what_is_wrong_empty_or_lies_otherwise_is_left_to_the_operation(name: str, args: list[Any]) -> None:
    assert what_becomes(OPS[name], args) is None
