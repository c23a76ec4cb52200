"""The generator against streams recorded from PyTorch, and what else is promised of it."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vardsl.engine.random import Generator

STREAMS = json.loads((Path(__file__).parents[2] / "conformance" / "random.json").read_text(encoding="utf-8"))
WEIGHTED = {"bernoulli", "poisson", "multinomial"}


def weights(shape: list[int], dtype: str) -> np.ndarray[Any, Any]:
    count = int(np.prod(shape))
    return ((np.arange(count) * 37 % 16 + 1).astype(dtype) / np.dtype(dtype).type(16)).reshape(shape)


def draw(g: Generator, call: list[Any]) -> np.ndarray[Any, Any]:
    name, *arguments = call
    if name in WEIGHTED:
        p = weights(arguments[0], arguments[1])
        rest = arguments[2:]
        if name == "poisson":
            return g.poisson(p * p.dtype.type(rest[0]))
        return g.bernoulli(p) if name == "bernoulli" else g.multinomial(p, *rest)
    made = [tuple(a) if isinstance(a, list) else a for a in arguments]
    return np.asarray(getattr(g, name)(*made))


@pytest.mark.parametrize("stream", STREAMS, ids=lambda s: str(s["seed"]))
def test_streams_are_pytorchs(stream: dict[str, Any]) -> None:
    g = Generator(stream["seed"])
    for k, expected in enumerate(stream["calls"]):
        x = draw(g, expected["call"])
        what = f"call {k}: {expected['call']}"
        assert x.dtype.name == expected["dtype"], what
        assert list(x.shape) == expected["shape"], what
        flat = x.reshape(-1)
        ends = flat if flat.size <= 24 else np.concatenate([flat[:12], flat[-12:]])
        if "crc" in expected:
            assert ends.tolist() == expected["ends"], what
            assert zlib.crc32(np.ascontiguousarray(x).tobytes()) == expected["crc"], what
        else:
            np.testing.assert_allclose(ends, expected["ends"], rtol=1e-6, atol=1e-6, err_msg=what)


def test_the_numbers_everyone_knows() -> None:
    assert Generator(0).uniform((3,), np.float32).round(4).tolist() == pytest.approx([0.4963, 0.7682, 0.0885])


def test_a_state_brings_back_the_stream_and_the_spare_normal() -> None:
    g = Generator(3)
    g.normal((3,), np.float32)  # leaves the second half of a pair behind
    state = g.get_state()
    first = [g.normal((3,), np.float32), g.uniform((5,), np.float64), g.permutation(9)]
    g.set_state(state)
    again = [g.normal((3,), np.float32), g.uniform((5,), np.float64), g.permutation(9)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_state_is_not_changed_by_later_draws() -> None:
    g = Generator(3)
    state = g.get_state()
    first = g.bits32(700)
    g.bits32(700)
    g.set_state(state)
    assert np.array_equal(g.bits32(700), first)


def test_seeding_forgets_the_spare_normal() -> None:
    g = Generator(3)
    first = g.normal((4,), np.float64)
    g.normal((1,), np.float64)
    assert np.array_equal(g.manual_seed(3).normal((4,), np.float64), first)
    assert g.initial_seed() == 3


def test_only_the_lower_32_bits_of_a_seed_count() -> None:
    assert np.array_equal(Generator(2**40 + 5).bits32(4), Generator(5).bits32(4))
    assert np.array_equal(Generator(-1).bits32(4), Generator(2**32 - 1).bits32(4))


def test_fresh_seeds_differ_and_are_told() -> None:
    g = Generator(0)
    seeds = {g.seed() for _ in range(4)}
    assert len(seeds) == 4
    assert g.initial_seed() in seeds


def test_strided_memory_is_filled_one_by_one() -> None:
    scattered = Generator(1).normal((20,), np.float64, contiguous=False)
    pairs = Generator(1).normal((2,), np.float64)
    assert np.array_equal(scattered[:2], pairs)
    assert not np.array_equal(scattered, Generator(1).normal((20,), np.float64))


def test_uniform_costs_little_more_than_the_draws() -> None:
    g = Generator(0)
    times = []
    for made in (lambda: g.bits32(2_000_000), lambda: g.uniform((2_000_000,), np.float32)):
        best = min(_timed(made) for _ in range(3))
        times.append(best)
    assert times[1] < 6 * times[0]


def _timed(made: Any) -> float:
    start = time.perf_counter()
    made()
    return time.perf_counter() - start
