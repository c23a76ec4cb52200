"""Random compositions of operations, with rules for many rows and without: at once is one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.table.rows import compared
from vardsl.engine.backward import grad
from vardsl.engine.value import OPS, Value
from vardsl.lang import batch
from vardsl.ops.define import op

Step = Callable[[Value], Value]

STEPS: dict[str, Step] = {
    "sin": op.sin,
    "square": lambda x: x**2,
    "quotient": lambda x: x / (2.0 + x * x),
    "times its sum": lambda x: x * op.sum(x),
    "less its mean": lambda x: x - op.mean(x),
    "rows' sums": lambda x: x + op.sum(x, -1, True),
    "columns' means": lambda x: x * op.mean(x, 0),
    "softmax": lambda x: op.softmax(x, -1),
    "log softmax": lambda x: op.log_softmax(x, 0),
    "norms": lambda x: x / OPS["linalg.vector_norm"](x + 3.0),
    "transposed": lambda x: op.T(x) if x.ndim == 2 else x,
    "flattened": lambda x: op.reshape(x, (-1,)),
    "a matrix": lambda x: op.reshape(x, (2, x.array.size // 2)) if x.array.size % 2 == 0 else x,
    "a part": lambda x: x[1:] if x.shape[0] > 2 else x,
    "every other": lambda x: x[::2] if x.shape[0] > 2 else x,
    "parts joined": lambda x: op.cat([x, x[:1] * 2.0], 0),
    "stacked": lambda x: op.stack([x, x * x], 1) if x.ndim == 1 else x,
    "selected": lambda x: x[0] if x.ndim == 2 else x,
    "by index": lambda x: x[Value(np.array([0, x.shape[0] - 1, 0]))],
    "gathered": lambda x: op.gather(x, 0, Value(np.zeros(x.shape, np.int64))) * x,
    "a product": lambda x: x @ op.T(x) if x.ndim == 2 else x * op.dot(x, x),
    "an outer product": lambda x: op.outer(x, x) if x.ndim == 1 and x.shape[0] < 4 else x,
    "a vector times a matrix": lambda x: x[0] @ op.T(x) if x.ndim == 2 else x,
    "the greatest": lambda x: x - op.amax(x),
    "sorted": lambda x: op.sort(x, 0).values,
    "running sums": lambda x: op.cumsum(x, 0),
    "running products": lambda x: op.cumprod(0.5 * op.tanh(x) + 1.0, 0),
    "rolled": lambda x: op.roll(x, 1, 0),
    "flipped": lambda x: op.flip(x, (0,)),
    "padded": lambda x: op.pad(x, (1, 0)),
    "where": lambda x: op.where(x.detach() > 0.1, x * 2.0, -x),
    "triangle": lambda x: op.tril(x) if x.ndim == 2 else x,
    "diagonal": lambda x: op.diagonal(x) * 3.0 if x.ndim == 2 else op.diag(x) + 0.1,
    "repeated": lambda x: op.repeat(x, (2,)) if x.ndim == 1 and x.shape[0] < 4 else x,
    "expanded": lambda x: op.expand(op.unsqueeze(x, 0), (2, *x.shape)) * 1.0 if x.ndim == 1 else x,
    "layer norm": lambda x: op.layer_norm(x, (x.shape[-1],)),
    "an einsum": lambda x: op.einsum("i...,i...->...", x, x) if x.ndim == 2 else x,
    "inverse": lambda x: OPS["linalg.inv"](x @ op.T(x) + Value(5.0 * np.eye(x.shape[0]))) if x.ndim == 2 else x,
    "a convolution": lambda x: op.conv1d(op.reshape(x, (1, 1, -1)), op.reshape(x, (1, 1, -1))[:, :, :2], None, 1, 1)[0, 0],
    "clamped": lambda x: op.clamp(x, -0.8, 0.9),
}
compositions = st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6)
START = np.array([[0.31, -0.72, 0.55], [0.83, 0.17, -0.44]])


def through(names: list[str]) -> Callable[[Value], Value]:
    def f(x: Value) -> Value:
        for name in names:
            x = STEPS[name](x)
            if x.array.size > 24:
                x = op.reshape(x, (-1,))[:24]
        return x

    return f


@settings(max_examples=150, deadline=None)
@given(compositions)
def test_rows_of_first_and_second_derivatives(names: list[str]) -> None:
    x = Value(START.copy(), True)
    y = through(names)(x)
    assert compared(y, [x]) == []
    (g,) = grad([y], [x], [Value(np.cos(np.arange(float(y.array.size))).reshape(y.shape))], create_graph=True)
    if g is not None and g.requires_grad:
        assert compared(g, [x]) == []


@settings(max_examples=150, deadline=None)
@given(compositions)
def test_examples_and_their_gradients(names: list[str]) -> None:
    f, found = through(names), []
    with pytest.MonkeyPatch.context() as patch:
        for at_once in (True, False):
            patch.setattr(batch, "values_read", lambda *_, ways=at_once: [] if ways else None)
            x = Value(np.stack([START, -START, START * 0.5]), True)
            y = batch.vmap(f)(x)
            (g,) = grad([op.sum(op.sin(y))], [x])
            assert g is not None
            found.append((y.array, g.array))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, 1e-9, 1e-10)
