"""Rows at once and rows one by one: both ways to the same Jacobian, for every recorded call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.table import laws
from tests.table.recorded import Case
from vardsl.engine import batching
from vardsl.engine.backward import grad
from vardsl.engine.value import Value

MANY = 200  # elements of a result whose rows are compared


def differences(case: Case) -> list[str]:
    """What is different in the rows of a call's first derivatives, and in those of its second ones."""
    with np.errstate(all="ignore"):
        return list(_differences(case))


def _differences(case: Case) -> Iterator[str]:
    leaves = [Value(t.array.copy(), True) for t in laws.inputs_of(case)]
    outs = laws.call(case, {id(t): v for t, v in zip(laws.inputs_of(case), leaves, strict=True)})
    for y in outs:
        if not y.requires_grad or not 0 < y.array.size <= MANY:
            continue
        yield from [f"first: {d}" for d in compared(y, leaves)]
        if case.second_error is not None:
            continue
        weight = Value(np.cos(np.arange(float(y.array.size))).reshape(y.array.shape))
        for g in grad([y], leaves, [weight], create_graph=True):
            if g is not None and g.requires_grad and 0 < g.array.size <= MANY:
                yield from [f"second: {d}" for d in compared(g, leaves)]


def compared(y: Value, leaves: Sequence[Value]) -> list[str]:
    """What is different between the rows of `y` at once and one by one."""
    with always():
        at_once = batching.gradients(y, leaves, create_graph=False)
        on_values = batching.gradients(y, leaves, create_graph=True)
    singly = [_row(y, leaves, k) for k in range(y.array.size)]
    return [
        *_compared("arrays", at_once, singly, leaves),
        *_compared("values", on_values, singly, leaves),
    ]


def _compared(
    way: str, at_once: Sequence[Value | None] | None, singly: Sequence[Any], leaves: Sequence[Value]
) -> list[str]:
    if at_once is None:
        return [f"{way}: not done at once"]
    found = []
    for j, (rows, v) in enumerate(zip(at_once, leaves, strict=True)):
        single = [r[j] for r in singly]
        if rows is None:
            found += [f"{way}: input {j} is missing"] if any(r is not None for r in single) else []
            continue
        zeros = np.zeros(v.array.shape)
        want = np.array([zeros if r is None else np.broadcast_to(r.array, v.array.shape) for r in single])
        if not np.allclose(rows.array, want.reshape(rows.array.shape), 1e-12, 1e-12, equal_nan=True):
            found.append(f"{way}: input {j} differs")
    return found


def _row(y: Value, leaves: Sequence[Value], k: int) -> Sequence[Value | None]:
    seed = np.zeros(y.array.shape, y.array.dtype)
    seed.reshape(-1)[k] = 1
    return grad([y], leaves, [Value(seed)], retain_graph=True)


@contextmanager
def always() -> Iterator[None]:
    """Few rows are done at once too."""
    before: Any = batching.FEW
    batching.FEW = 1
    try:
        yield
    finally:
        batching.FEW = before
