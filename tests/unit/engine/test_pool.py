"""Memory that is used again: by nobody as long as anything refers to it, and given back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vardsl.engine import budget, pool
from vardsl.engine.budget import Budget
from vardsl.engine.pool import IDLE, LARGE, MOST, Pool

F4 = np.dtype(np.float32)
N = LARGE // 4


def test_what_nothing_refers_to_is_used_again() -> None:
    p = Pool()
    a = p.array((N,), F4)
    place = a.ctypes.data
    b = p.array((N,), F4)
    assert b.ctypes.data != place
    del a
    assert p.nbytes == LARGE
    assert p.array((2, N // 2), F4).ctypes.data == place


def test_a_view_keeps_the_memory() -> None:
    p = Pool()
    a = p.array((N,), F4)
    part, place = a[5:], a.ctypes.data
    del a
    assert p.array((N,), F4).ctypes.data != place
    assert part.base is not None


def test_an_array_has_its_block_alone_until_it_is_viewed() -> None:
    p = Pool()
    a = p.array((N,), F4)
    assert p.owns(a)
    part = a[1:]
    assert not p.owns(a)
    del part
    assert p.owns(a)
    assert not p.owns(np.empty(N, F4))


def test_little_arrays_are_numpys() -> None:
    assert Pool().array((3, 4), F4).base is None


def test_large_arrays_start_at_a_cache_line() -> None:
    assert Pool().array((N + 1,), F4).ctypes.data % 64 == 0


def test_what_no_run_needs_goes_back() -> None:
    p = Pool()
    p.array((N,), F4)
    for _ in range(IDLE):
        p.end_run()
    assert p.nbytes == LARGE
    p.end_run()
    assert p.nbytes == 0


def test_the_pool_is_a_share_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "free_memory", lambda: 0)
    monkeypatch.setattr(pool, "SMALL", 2 * LARGE)
    p = Pool()
    arrays = [p.array((N,), F4) for _ in range(3)]
    del arrays
    assert p.nbytes == 2 * LARGE


def test_the_blocks_that_were_given_last_are_known() -> None:
    p = Pool()
    first = p.array((N,), F4)
    kept = [p.array((N,), F4) for _ in range(MOST)]
    del first
    assert p.nbytes == 0
    place = kept.pop().ctypes.data
    assert p.array((N,), F4).ctypes.data == place


def test_a_short_machine_gets_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    b = Budget()
    b.pool.array((N,), F4)
    free = [1, 1 << 40]
    monkeypatch.setattr(budget, "free_memory", lambda: free.pop(0))
    b.reserve(1 << 30, "x")
    assert b.pool.nbytes == 0


def test_where_there_is_no_memory_the_pool_gives_back_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    p = Pool()
    p.array((N,), F4)
    empty: Any = np.empty

    def short(size: int, dtype: Any) -> Any:
        if p.nbytes:
            raise MemoryError
        return empty(size, dtype)

    monkeypatch.setattr(pool.np, "empty", short)
    assert p.array((N * 2,), F4).size == N * 2
