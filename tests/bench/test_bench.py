"""The benchmarks compute what they should, and their figures are what they say; nothing is timed here."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from tests.bench import workloads
from tests.bench.__main__ import EVERY, duration, targets
from tests.bench.measure import Variant, in_turns, ratio, wrong
from tests.bench.others import OTHERS
from tests.bench.targets import NOTES, TARGETS
from tests.bench.workloads import WORKLOADS

SMALL = {name: make for name, make in (WORKLOADS | OTHERS).items() if name in ("W1", "W2", "W8", "W8hvp", *OTHERS)}


@pytest.mark.parametrize("name", SMALL)
def test_scripts_agree_with_the_reference(name: str) -> None:
    work = SMALL[name]()
    reference = work.reference()
    variants = list(work.peers["vardsl"]())
    assert [v.label for v in variants] == ["vardsl plan", "vardsl eager"]
    for v in variants:
        assert wrong(v, reference, work.tolerance) is None
        v.turn()


def fixed(label: str, *seconds: float) -> Variant:
    return Variant(label, "", lambda: None, lambda: [np.ones(2)], seconds=list(seconds))


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    slow, fast = fixed("a", 2.0, 30.0, 4.0), fixed("b", 1.0, 10.0, 1.0)
    assert ratio(slow, [fast]) == 3.0
    assert ratio(slow, [fixed("c", 50.0, 50.0, 50.0), fast]) == 3.0


def test_each_variant_is_timed_once_a_round() -> None:
    made: list[str] = []
    variants = [Variant(n, "", lambda n=n: made.append(n), list, 2) for n in "abc"]
    in_turns(variants, 4)
    assert all(len(v.seconds) == 4 for v in variants)
    assert set(made) == set("abc")


def test_wrong_numbers_are_found() -> None:
    v = fixed("a")
    assert wrong(v, [np.ones(2)], 1e-6) is None
    assert wrong(v, [np.ones(3)], 1e-6) is not None
    assert wrong(v, [np.array([1, 1.1])], 1e-2) is not None
    assert wrong(v, [], 1e-2) is not None


def test_targets_name_what_is_measured() -> None:
    for work, what, wanted in TARGETS:
        assert work in EVERY
        assert what.count(" / ") == 1
        assert wanted > 0
    assert set(NOTES) <= {(work, what) for work, what, _ in TARGETS}
    lines = targets({("W1", "vardsl plan / torch eager"): 0.1, ("W2", "vardsl plan / jax jit"): 2.0})
    assert any(line.endswith("| 0.1 | ✓ |") for line in lines)
    assert any(line.endswith("| 2 | behind |") for line in lines)
    assert any(line.startswith("- W2, vardsl plan / jax jit: ") for line in lines)


def test_durations() -> None:
    assert [duration(s) for s in (2.0, 0.0123, 4.5e-5, 3e-7)] == ["2 s", "12.3 ms", "45 µs", "300 ns"]


def test_a_peer_with_threads_is_timed_on_one_and_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1]  # another workload may have left the peer with one
    torch = types.ModuleType("torch")
    torch.set_num_threads = lambda n: now.__setitem__(0, n)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(workloads, "PROCESSORS", 4)
    variants = list(workloads.torch_threads(lambda: iter([fixed("torch eager")]))())
    assert [v.name.split(", ")[1] for v in variants] == ["1 thread", "4 threads"]
    for v, n in zip(variants, (1, 4), strict=True):
        v.prepare()
        assert now == [n]
