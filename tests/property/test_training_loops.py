"""A plan changes nothing that anybody can see: training loops end the same planned or not, to the last bit."""

from __future__ import annotations

import os
from random import Random
from typing import Any

from loops import random_training

import vardsl
from vardsl.engine.value import Value

NIGHTLY = os.environ.get("VARDSL_NIGHTLY") == "1"


def facts(x: Any) -> Any:
    """What can be seen of a value."""
    if isinstance(x, tuple):
        return tuple(map(facts, x))
    if not isinstance(x, Value):
        return (type(x).__name__, repr(x)) if type(x).__module__ == "builtins" and not callable(x) else None
    g = x._grad
    node = None if x.node is None else x.node.grad_fn
    grad = None if g is None else (g.array.tobytes(), g.array.shape)
    return x.array.tobytes(), x.array.shape, str(x.array.dtype), x.requires_grad, x.version, grad, node


def outcome(source: str, *, plan: bool) -> tuple[Any, ...]:
    """What a script prints, how it fails, and what its names are then; and how many runs were planned."""
    session = vardsl.Session(plan=plan, emit=lambda outcome: None)
    error = ""
    try:
        text = session.run_captured(source)
    except vardsl.Error as e:
        error, text = str(e), e.output
        assert e.kind != "internal", source
    names = {name: facts(value) for name, value in session.names().items()}
    planned = sum(region.plan is not None for region in session.regions.values())
    return planned, text, error, names


def test_training_loops_end_the_same_planned_or_not() -> None:
    planned = 0
    for n in range(3000 if NIGHTLY else 120):
        source = random_training(Random(n))
        with_plans, without = outcome(source, plan=True), outcome(source, plan=False)
        assert with_plans[1:] == without[1:], (n, source)
        planned += with_plans[0]
    assert planned > 100
