"""Ways of doing one piece of work, made sure to be right, and timed in turns.

Absolute times on a shared machine mean little. All variants of a workload are therefore timed one after the
other in each round, and what is reported is the median over the rounds of the ratio within a round.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BRIEF = 0.02  # seconds that one timing takes at least


@dataclass(eq=False)
class Variant:
    """One way of doing the work.

    turn    does `units` units of it
    result  starts anew, does a fixed amount of it and gives the numbers that come out
    before  is called before each timing
    """

    peer: str
    name: str
    turn: Callable[[], Any]
    result: Callable[[], Sequence[Any]]
    units: float = 1
    before: Callable[[], Any] | None = None
    seconds: list[float] = field(default_factory=list)

    @property
    def label(self) -> str:
        return f"{self.peer} {self.name}"

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def prepare(self) -> None:
        if self.before is not None:
            self.before()


def wrong(variant: Variant, reference: Sequence[Any], tolerance: float) -> str | None:
    """What is wrong with the numbers that come out, or None."""
    variant.prepare()
    found = [np.asarray(a, np.float64) for a in variant.result()]
    if len(found) != len(reference):
        return f"{len(found)} results instead of {len(reference)}"
    for k, (a, b) in enumerate(zip(found, reference)):
        b = np.asarray(b, np.float64)
        if a.shape != b.shape:
            return f"result {k} is {a.shape} instead of {b.shape}"
        error = float(np.max(np.abs(a - b), initial=0.0)) / (float(np.max(np.abs(b), initial=0.0)) + 1e-12)
        if not error <= tolerance:
            return f"result {k} is off by {error:.1e}"
    return None


def repetitions(variant: Variant) -> int:
    """How often the turn is made in one timing."""
    variant.prepare()
    variant.turn()
    began = time.perf_counter()
    variant.turn()
    took = time.perf_counter() - began
    return max(1, min(10_000, round(BRIEF / max(took, 1e-7))))


def in_turns(variants: Iterable[Variant], rounds: int) -> None:
    """Times each variant once a round, each round in another order, into its `seconds` for a unit of work."""
    plans = [(v, repetitions(v)) for v in variants]
    for r in range(rounds):
        for v, n in plans[r % len(plans) :] + plans[: r % len(plans)]:
            v.prepare()
            turn = v.turn
            gc.collect()
            gc.disable()
            began = time.perf_counter()
            for _ in range(n):
                turn()
            took = time.perf_counter() - began
            gc.enable()
            v.seconds.append(took / n / v.units)


def ratio(variant: Variant, others: Sequence[Variant]) -> float:
    """How much longer it takes than the fastest of the others: the median over the rounds."""
    best = min(others, key=lambda v: v.median)
    return statistics.median(a / b for a, b in zip(variant.seconds, best.seconds))
