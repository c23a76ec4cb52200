"""The order of elements is a stable one, whatever way it is found in, and NaN is the largest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vardsl.ops import order as module
from vardsl.ops.order import order

SHAPES = [(300,), (5, 100), (20, 3, 10), (2, 1, 400), (7, 257)]


def numbers(dtype: str, shape: tuple[int, ...], alike: bool) -> Any:
    rng = np.random.default_rng(0)
    if dtype == "?":
        return rng.random(shape) < 0.5
    if dtype[0] in "iu":
        ends = np.iinfo(dtype)
        low, high = (0, 9) if alike else (ends.min, ends.max)
        return rng.integers(low, high, shape, dtype=dtype, endpoint=True)
    a = rng.standard_normal(shape).astype(dtype)
    if alike:
        a = np.round(a)
        flat = a.reshape(-1)
        for value in (np.nan, -np.nan, np.inf, -np.inf, -0.0, 0.0):
            flat[rng.integers(0, flat.size, 20)] = value
    return a


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4", "i8", "i2", "u1", "?"])
@pytest.mark.parametrize("alike", [False, True])
def test_every_way_gives_the_stable_order(dtype: str, alike: bool) -> None:
    for shape in SHAPES:
        a = numbers(dtype, shape, alike)
        for axis in range(a.ndim):
            for descending in (False, True):
                expected = module._stable(a, axis, descending)
                np.testing.assert_array_equal(order(a, axis, descending), expected)
                for first in (0, 1, shape[axis] // 10, shape[axis]):
                    few = order(a, axis, descending, first)
                    np.testing.assert_array_equal(few, expected.take(np.arange(first), axis))
                    assert few.flags.c_contiguous


def test_the_largest_few_come_with_nan_first() -> None:
    a = np.arange(1000, dtype=np.float32)
    a[7] = np.nan
    assert order(a, 0, True, 3).tolist() == [7, 999, 998]
    assert order(a, 0, False, 3).tolist() == [0, 1, 2]
