"""What a pass leaves behind at the leaves."""

from __future__ import annotations

import numpy as np

from vardsl.engine.accumulate import accumulate, owned
from vardsl.engine.value import Value


def test_a_first_gradient_has_memory_of_its_own() -> None:
    leaf, g = Value(np.ones((2, 3), np.float32), True), np.ones((2, 3), np.float32)
    assert owned(g, leaf) is g
    part = np.ones((4, 3), np.float32)[:2]
    assert owned(part, leaf).base is None
    number = owned(np.float32(2), leaf)
    assert number.shape == (2, 3)
    assert number.tolist() == [[2, 2, 2]] * 2


def test_more_is_added_in_place() -> None:
    leaf = Value(np.ones(2, np.float32), True)
    accumulate(leaf, np.ones(2, np.float32), False)
    first = leaf._grad
    assert first is not None
    accumulate(leaf, np.ones(2, np.float32), False)
    assert leaf._grad is first
    assert (first.tolist(), first.version) == ([2, 2], 1)
