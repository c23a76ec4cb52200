"""Arrays whose numbers are still to be computed: what can be known before, and that anything else computes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np
import pytest

from vardsl.engine.casting import cast
from vardsl.engine.dtypes import f4, f8, result_dtype
from vardsl.engine.pending import Pending, held, pending, real
from vardsl.engine.value import Value

NUMBERS = np.arange(6, dtype="f4").reshape(2, 3)


def waiting() -> tuple[Pending, list[int]]:
    """One that fills in its numbers, and how often it did."""
    memory, computed = np.empty((2, 3), "f4"), []

    def compute() -> None:
        computed.append(1)
        memory[...] = NUMBERS
        p.settled()

    p = Pending(memory, compute)
    return p, computed


def test_shape_dtype_and_place_are_known_before() -> None:
    p, computed = waiting()
    assert (p.shape, p.dtype, p.ndim, p.size, p.itemsize, p.nbytes) == ((2, 3), f4, 2, 6, 4, 24)
    assert p.strides == (12, 4) and p.flags.c_contiguous and len(p) == 2
    assert isinstance(p, np.ndarray) and pending(p) is p and held(p) is p
    assert result_dtype([p, np.ones(2, "f8")], f4) is f8
    assert not computed


@pytest.mark.parametrize(
    "look",
    [
        lambda p: p + 1,
        lambda p: 1 - p,
        lambda p: np.add(p, p),
        lambda p: np.add.reduce(p, axis=0),
        lambda p: np.dot(p, np.ones((3, 1), "f4")),
        lambda p: np.asarray(p),
        lambda p: np.concatenate([p, p]),
        lambda p: np.stack((p, NUMBERS)),
        lambda p: p[1],
        lambda p: p.copy(),
        lambda p: p.astype("f8"),
        lambda p: p.sum(),
        lambda p: p.tolist(),
        lambda p: next(iter(p)),
        lambda p: 3.0 in p,
        lambda p: np.add(NUMBERS, 1, out=np.empty((2, 3), "f4"), where=p > 2)[1],
        lambda p: cast(p, f8),
        lambda p: real([p, 3])[0],
        lambda p: repr(p),
        lambda p: Value(p).memory(),
    ],
)
def test_whatever_else_is_done_with_one_has_it_computed(look: Callable[[Any], Any]) -> None:
    p, computed = waiting()
    np.testing.assert_array_equal(look(p), look(NUMBERS))
    assert computed == [1]


@pytest.mark.parametrize("kind", [bool, float, int])
def test_one_number_has_it_computed(kind: type) -> None:
    memory = np.empty((), "i8")

    def compute() -> None:
        memory[...] = 3
        p.settled()

    p = Pending(memory, compute)
    assert kind(p) == kind(3)
    assert [10, 20, 30, 40][p] == 40


def test_numbers_can_be_put_into_one() -> None:
    p, computed = waiting()
    p[0] = 7
    assert p.memory.tolist() == [[7, 7, 7], [3, 4, 5]] and computed == [1]


def test_who_holds_one_holds_the_array_afterwards() -> None:
    p, _ = waiting()
    v, w, other = Value(p), Value(p), Value(NUMBERS)

    p.holders += [ref(v), ref(w), ref(other)]
    del w
    assert float(v.array.sum()) == 15
    assert v.array is p.memory and other.array is NUMBERS
    assert held(p) is p.memory and pending(v.array) is None
