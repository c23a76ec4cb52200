"""Steps laid out over fixed buffers: convolutions as gathered columns and products, in memory that stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.unit.plan.test_region import both, clear, data, leaf
from vardsl.engine.backward import backward
from vardsl.engine.value import Value
from vardsl.ops.define import op

Network = Callable[[Value, Value, Value], Value]
CONVOLUTIONS: dict[str, tuple[Network, tuple[int, ...], tuple[int, ...], int]] = {
    "plain": (lambda x, w, b: op.conv2d(x, w, b), (5, 2, 9, 8), (3, 2, 3, 2), 3),
    "more kernels than columns": (lambda x, w, b: op.conv2d(x, w, b), (2, 1, 4, 4), (9, 1, 2, 2), 9),
    "padded": (lambda x, w, b: op.conv2d(x, w, b, 1, 2), (3, 2, 6, 5), (4, 2, 3, 3), 4),
    "with strides": (lambda x, w, b: op.conv2d(x, w, b, (2, 3), 1), (3, 2, 9, 8), (4, 2, 3, 2), 4),
    "dilated, in groups": (lambda x, w, b: op.conv2d(x, w, b, 1, 1, 2, 2), (3, 4, 9, 8), (6, 2, 3, 2), 6),
    "of sequences": (lambda x, w, b: op.conv1d(x, w, b, 2, 1), (3, 4, 21), (5, 4, 3), 5),
    "of volumes": (lambda x, w, b: op.conv3d(x, w, b), (2, 2, 4, 5, 3), (3, 2, 2, 2, 2), 3),
    "transposed": (
        lambda x, w, b: op.conv_transpose2d(x, w, b, 2, 1, 1, 2),
        (3, 4, 5, 4),
        (4, 3, 3, 3),
        6,
    ),
    "of what lies otherwise": (
        lambda x, w, b: op.conv2d(op.transpose(x, 2, 3), op.transpose(w, 2, 3), b),
        (3, 2, 7, 6),
        (4, 2, 3, 2),
        4,
    ),
}


@pytest.mark.parametrize("chunk", [1 << 22, 2048])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vardsl.ops.windows.CHUNK", chunk)
    network, image, kernel, channels = CONVOLUTIONS[name]

    def statements(x: Value, w: Value, b: Value, w2: Value, b2: Value) -> tuple[Any, ...]:
        clear(x, w, b, w2, b2)
        h = op.tanh(network(x, w, b))
        again = op.reshape(h, (h.shape[0], channels, -1))
        out = op.mean(op.tanh(op.conv1d(again, w2, b2)) ** 2)
        backward([out])
        return (out,)

    def make() -> tuple[Any, ...]:
        second = leaf((2, channels, 3), 4)
        return leaf(image), leaf(kernel, 2), leaf((channels,), 3), second, leaf((2,), 5)

    region = both(statements, make)
    assert region.plan is not None, region.stopped


def test_a_planned_convolution_is_a_gathering_and_a_product() -> None:
    def statements(x: Value, w: Value, b: Value) -> tuple[Any, ...]:
        clear(w, b)
        out = op.sum(op.conv2d(x, w, b) ** 2)
        backward([out])
        return (out,)

    region = both(statements, lambda: (data((4, 2, 9, 8)), leaf((3, 2, 3, 2)), leaf((3,), 3)))
    assert region.plan is not None
    calls = [fn for fn, _ in region.plan.layout.program]
    assert calls.count(np.matmul) == 2
    assert all(isinstance(fn, np.ufunc) or fn in (np.copyto, np.dot, np.add.reduce) for fn in calls)
