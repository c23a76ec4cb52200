"""Calls for blocks, from those for two of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vardsl.plan.moved import between


def calls(whole: Any, out: Any, n: int) -> list[tuple[Any, tuple[Any, ...]]]:
    """What two steps do with block `n` of eight rows."""
    a, b = whole[8 * n : 8 * n + 8], out[8 * n : 8 * n + 8]
    return [
        (np.add.reduce, (a, 1, a.dtype, b, False)),
        (np.multiply, (b, np.array(2.0), b)),
        (np.copyto, (b.view(np.int64), b.view(np.int64) * 0, "unsafe")),
    ]


@pytest.fixture
def memory() -> tuple[Any, Any]:
    return np.arange(240.0).reshape(40, 6), np.empty(40)


def test_views_move_with_the_blocks(memory: tuple[Any, Any]) -> None:
    whole, out = memory
    moved = between(0, calls(whole, out, 0)[:2], 2, calls(whole, out, 2)[:2], 5)
    assert moved is not None
    for n in range(5):
        for fn, args in moved.at(n):
            fn(*args)
    np.testing.assert_array_equal(out, whole.sum(1) * 2)
    views = [a for _, args in moved.at(4) for a in args if type(a) is np.ndarray and a.ndim]
    assert all(np.shares_memory(a, whole) or np.shares_memory(a, out) for a in views)
    assert views[0].flags.c_contiguous and views[0].ctypes.data == whole[32:].ctypes.data


def test_blocks_count_from_the_first_that_was_made(memory: tuple[Any, Any]) -> None:
    whole, out = memory
    moved = between(1, calls(whole, out, 1)[:2], 3, calls(whole, out, 3)[:2], 5)
    assert moved is not None and moved.first == 1
    assert moved.at(4)[0][1][0].tolist() == whole[32:].tolist()


def test_what_is_new_each_time_does_not_move(memory: tuple[Any, Any]) -> None:
    whole, out = memory
    assert between(0, calls(whole, out, 0), 1, calls(whole, out, 1), 5) is None  # a product made for the call


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((np.add, (1,)), (np.subtract, (1,))),
        ((np.add, (1,)), (np.add, (2,))),
        ((np.add, (1,)), (np.add, (1, 1))),
        ((np.add, (np.array(1.0),)), (np.add, (np.array(2.0),))),
        ((np.add, (np.ones(3),)), (np.add, (np.ones(3),))),
        ((np.add, (np.ones(3),)), (np.add, (np.ones(2),))),
        ((np.add, ([],)), (np.add, ([],))),
    ],
)
def test_other_differences_do_not_move(one: Any, other: Any) -> None:
    assert between(0, [one], 1, [other], 3) is None
    assert between(0, [one], 1, [], 3) is None


def test_backwards_and_uneven_distances_do_not_move() -> None:
    x = np.arange(9.0)
    assert between(0, [(np.add, (x[4:6],))], 1, [(np.add, (x[2:4],))], 3) is None
    assert between(0, [(np.add, (x[0:2],))], 2, [(np.add, (x[1:3],))], 3) is None
    assert between(0, [(np.add, (x[::-1][0:2],))], 1, [(np.add, (x[::-1][2:4],))], 3) is None
