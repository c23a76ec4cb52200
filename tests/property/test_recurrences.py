"""Loops over tensors of one element leave the same whether they run on plain numbers or not."""

from __future__ import annotations

import os
from typing import Any

import pytest
from recurrences import Recurrences

import vardsl
from vardsl.lang.scalars import Stretch

NUMBER = 20_000 if os.environ.get("VARDSL_NIGHTLY") == "1" else 150


def shown(v: Any) -> Any:
    """A value to compare by: its bits; one NaN is as good as another."""
    a = getattr(v, "array", v)
    if hasattr(a, "dtype"):
        return a.dtype.name, "nan" if a != a else a.tobytes()
    return repr(v)


def left_by(program: Recurrences, *, plan: bool) -> list[Any]:
    session = vardsl.Session(plan=plan)
    log: list[Any] = []
    for line in program.lines:
        try:
            log.append(session.run_captured(line))
        except vardsl.Error as error:
            log.append(str(error))
    for name in program.names:
        try:
            log.append(shown(session.eval(name)))
        except vardsl.Error as error:
            log.append(str(error))
    return log


def test_loops_over_single_numbers_are_the_same_planned_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"pull": 0, "again": 0}

    def counted(name: str) -> None:
        method = getattr(Stretch, name)

        def run(*args: Any) -> Any:
            counts[name] += 1
            return method(*args)

        monkeypatch.setattr(Stretch, name, run)

    counted("pull")
    counted("again")
    # loops are taken in the same pieces however fast the machine is
    monkeypatch.setattr("vardsl.lang.runtime.BRIEF", 1.0)
    monkeypatch.setattr("vardsl.lang.runtime.LONG", 4.0)
    for seed in range(NUMBER):
        program = Recurrences(seed)
        assert left_by(program, plan=True) == left_by(program, plan=False), (seed, program.lines)
    # what is tested does happen
    assert counts["pull"] > NUMBER // 5 and counts["again"] > NUMBER // 10, counts
