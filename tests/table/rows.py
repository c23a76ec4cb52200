"""Rows at once and rows one by one: both ways to the same Jacobian, and to the same examples under `vmap`."""

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
from vardsl.lang import batch

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
        for g in grad([y], leaves, [_weight(y)], create_graph=True):
            if g is not None and g.requires_grad and 0 < g.array.size <= MANY:
                yield from [f"second: {d}" for d in compared(g, leaves)]


def _weight(y: Value) -> Value:
    return Value(np.cos(np.arange(float(y.array.size))).reshape(y.array.shape).astype(y.array.dtype))


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


def example_differences(case: Case) -> list[str]:
    """What is different between four examples under `vmap` at once and one by one, and in their gradients."""
    tensors = laws.inputs_of(case)
    # where a number is no number, PyTorch's gradients of clipped elements depend on their place in memory
    if not all(np.isfinite(t.array).all() for t in tensors):
        return []
    with np.errstate(all="ignore"):
        (at_once, singly) = [_examples(case, tensors, ways) for ways in (True, False)]
    if isinstance(at_once, str) or isinstance(singly, str):
        return [] if at_once == singly else [f"{at_once} for {singly}"]
    return [f"number {k}" for k, (a, b) in enumerate(zip(at_once, singly, strict=True)) if not _alike(a, b)]


def _alike(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    same = a.shape == b.shape and a.dtype == b.dtype
    return bool(same and np.allclose(a, b, 1e-11, 1e-12, equal_nan=True))


def _examples(case: Case, tensors: Sequence[Any], at_once: bool) -> list[Any] | str:
    """Outputs and gradients of a call for four examples close to the recorded one, or the error."""
    leaves = [Value(np.stack([t.array * (1 + 0.003 * k) for k in range(4)]), True) for t in tensors]

    def f(*values: Value) -> tuple[Value, ...]:
        return tuple(laws.call(case, {id(t): v for t, v in zip(tensors, values, strict=True)}))

    before = batch.values_read
    batch.values_read = lambda *given: [v for v in given if type(v) is Value] if at_once else None
    try:
        outs = batch.vmap(f)(*leaves)
        live = [y for y in outs if y.requires_grad]
        found = grad(live, leaves, [_weight(y) for y in live]) if live else []
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        batch.values_read = before
    return [o.array for o in outs] + [None if g is None else g.array for g in found]
