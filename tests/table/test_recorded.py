"""Every operation against what PyTorch made of the same calls."""

from __future__ import annotations

import pytest

from tests.table import recorded, replay
from tests.table.names import IN_PLACE, NAMES


@pytest.mark.parametrize("name", NAMES + IN_PLACE)
def test_operation_agrees_with_pytorch(name: str) -> None:
    failures = []
    for case in recorded.cases(name):
        failures += [f"{replay.call_text(case)}\n    {line}" for line in replay.check(case)]
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("name", NAMES)
def test_enough_is_recorded(name: str) -> None:
    assert len(recorded.cases(name)) >= 8
