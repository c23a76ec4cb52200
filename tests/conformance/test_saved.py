"""What nodes keep for backward, seen from outside: against what PyTorch refused (record_saved.py)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conformance.saved_cases import CASES, CHANGED, LEFT, RIGHT, Case
from vardsl.engine.backward import backward, grad
from vardsl.engine.context import no_grad
from vardsl.engine.value import Value, leaf
from vardsl.errors import GradError
from vardsl.ops.define import OPS

RECORDED = json.loads(Path(__file__).with_name("saved.json").read_text(encoding="utf-8"))


def made(case: Case) -> tuple[Value, Value, Value]:
    x, y = (leaf(data, "float32", requires_grad=True) * 1 for data in (LEFT, RIGHT))
    return x, y, case(x, y, lambda name: OPS[name])


def refused(result: Value, inputs: list[Value]) -> bool:
    try:
        grad([result], inputs, [Value(np.ones(3, result.array.dtype))], allow_unused=True)
    except GradError as error:
        assert "second time" in str(error) or "inplace operation" in str(error), error
        return True
    return False


@pytest.mark.parametrize("name", CASES)
def test_nodes_keep_what_pytorch_keeps(name: str) -> None:
    case, recorded = CASES[name], RECORDED[name]
    x, _, result = made(case)
    backward([OPS["sum"](result)])
    found = {"second": refused(result, [x])}
    for k, changed in enumerate(CHANGED):
        tensors = made(case)
        with no_grad():
            OPS["add_"](tensors[k], 0)
        found[changed] = refused(tensors[2], list(tensors[:2]))
    assert found == recorded
