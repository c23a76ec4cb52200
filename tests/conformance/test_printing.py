"""The text of tensors, against what PyTorch 2.13 printed (record_printing.py)."""

import json
from pathlib import Path

import pytest
from record_printing import build

from vardsl.display.tensors import PrintOptions, format_tensor

CASES = json.loads((Path(__file__).parent / "printing.json").read_text())


@pytest.mark.parametrize("index", range(len(CASES)))
def test_prints_as_pytorch(index):
    case = CASES[index]
    text = format_tensor(
        build(case),
        requires_grad=case.get("requires_grad", False),
        grad_fn=case.get("grad_fn"),
        default_dtype=case.get("default_dtype", "float32"),
        options=PrintOptions().changed(**case.get("options", {})),
    )
    assert text == case["text"]


def test_there_are_enough_cases():
    assert len(CASES) >= 1500
