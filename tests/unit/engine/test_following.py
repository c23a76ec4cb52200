"""What a follower notes of a run, what it hands on, and what makes it fail."""

from __future__ import annotations

from typing import Any

from vardsl.engine.context import state
from vardsl.engine.following import Follower, following
from vardsl.engine.value import OPS, leaf
from vardsl.ops.define import op


def test_the_tracer_around_a_follower_hears_of_what_is_the_same_in_every_row() -> None:
    class Heard:
        def __init__(self) -> None:
            self.names: list[str] = []

        def operation(self, op: Any, bound: Any, result: Any) -> None:
            self.names.append(op.name)

    x, same = leaf([1.0, 2.0], "float64"), leaf([3.0, 4.0], "float64")
    before, heard = state.ctx.tracer, Heard()
    state.ctx.tracer = heard
    try:
        follower = Follower(heard)
        follower.add(x)
        with following(follower):
            y = x * op.exp(same)
        assert state.ctx.tracer is heard
    finally:
        state.ctx.tracer = before
    assert heard.names == ["exp"]
    assert [c.op.name for c in follower.calls] == ["mul"]
    assert follower.part(y) is follower.calls[0].outs[0] and follower.part(same) is None


def test_what_a_follower_cannot_repeat_makes_it_fail() -> None:
    for act in (
        lambda v: op.sum(v).item(),
        lambda v: OPS["add_"](v * 1.0, 1.0),
        lambda v: bool(v[0] > 0),
    ):
        x = leaf([0.5, 0.5], "float64")
        follower = Follower(None)
        follower.add(x)
        with following(follower):
            act(x)
        assert follower.failed
