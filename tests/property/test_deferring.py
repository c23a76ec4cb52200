"""Numbers that come last change nothing: programs and scripts of small tensors run as if these were very large."""

from __future__ import annotations

from pathlib import Path

import pytest
from both_ways import difference
from scalars import scalar_program
from test_plans import PROGRAMS, SCRIPTS, many

from vardsl.lang.permissions import Permissions
from vardsl.plan import deferring, region


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((region, "HUGE"), (region, "LARGE"), (deferring, "LARGE")):
        monkeypatch.setattr(module, name, 1)


def test_training_loops() -> None:
    many(10_000, max(PROGRAMS // 12, 1))


def test_loops_over_numbers() -> None:
    for seed in range(max(PROGRAMS // 60, 1)):
        text = scalar_program(seed)
        found = difference(text)
        assert found is None, f"seed {seed}: {found}\n{text}"


@pytest.mark.parametrize("path", SCRIPTS[::3], ids=lambda p: p.name)
def test_scripts(path: Path) -> None:
    here = Permissions(path.parent, [path.parent], [])
    assert difference(path.read_text(encoding="utf-8"), permissions=here) is None
