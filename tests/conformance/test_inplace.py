"""In-place forms against what PyTorch made of the same calls (record_inplace.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance.inplace_cases import TENSORS, Y
from vardsl.engine.backward import grad
from vardsl.engine.value import Value
from vardsl.errors import Error
from vardsl.ops.define import OPS

ROWS = json.loads(Path(__file__).with_name("inplace.json").read_text(encoding="utf-8"))


def same(mine: Value | None, theirs: Any) -> bool:
    if mine is None or theirs is None:
        return mine is None and theirs is None
    return np.allclose(
        mine.array.reshape(-1), np.array([float(x) for x in theirs]), 1e-9, 1e-12, equal_nan=True
    )


def run(name: str, args: list[Any], kwargs: dict[str, Any], target: Value) -> list[Value]:
    tensors = {k: Value(np.array(data, dtype), g) for k, (data, dtype, g) in TENSORS.items()}
    live = [tensors.get(a, a) if isinstance(a, str) else a for a in args]
    with np.errstate(all="ignore"):
        OPS[name if "inplace" in kwargs else name + "_"](target, *live, **kwargs)
    return [t for t in tensors.values() if t.requires_grad]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}_-{row[2]}{row[3] or ''}")
def test_in_place_as_pytorch(row: list[Any]) -> None:
    group, name, args, kwargs, theirs = row
    leaf = Value(np.array(Y), True)
    target = leaf * 1 if group == "float" else Value(np.array([1, 2, -3]))
    if "error" in theirs:
        with pytest.raises(Error) as refused:
            run(name, args, kwargs, target)
        assert theirs["error"] in str(refused.value) + str(refused.value.torch)
        return
    others = run(name, args, kwargs, target)
    assert same(target, theirs["values"])
    assert target.dtype.name == theirs["dtype"]
    assert (target.grad_fn.grad_fn if target.grad_fn is not None else None) == theirs["grad_fn"]
    if "grads" in theirs:
        weights = Value(np.arange(1.0, target.numel + 1).reshape(target.shape))
        with np.errstate(all="ignore"):
            found = grad([target], [leaf, *others], [weights])
        for mine, expected in zip(found, theirs["grads"], strict=True):
            assert same(mine, expected)
