"""Small programs against what PyTorch 2.13 printed or said for their Python twins (record_behaviour.py)."""

import json
from pathlib import Path

import pytest

import vardsl

CASES = json.loads((Path(__file__).parent / "behaviour.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_behaves_as_pytorch(case):
    session = vardsl.Session(seed=0)
    if "error" in case:
        with pytest.raises(vardsl.Error) as caught:
            session.run_captured(case["script"])
        assert case["error"] in str(caught.value)
    else:
        assert session.run_captured(case["script"]) == case["stdout"]


def test_there_are_enough_cases():
    assert len({case["id"] for case in CASES}) == len(CASES) >= 700
