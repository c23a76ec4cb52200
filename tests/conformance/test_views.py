"""Views, indices and changes in place against what PyTorch made of the same programs (record_views.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance.view_cases import ASSIGNED, IN_PLACE, INDICES, I
from vardsl.engine.backward import grad
from vardsl.engine.dtypes import FLOAT64
from vardsl.engine.value import Value
from vardsl.errors import Error
from vardsl.ops.define import OPS

RECORDED = json.loads(Path(__file__).with_name("views.json").read_text(encoding="utf-8"))


def leaf() -> Value:
    return Value(np.arange(12.0).reshape(3, 4) / 4 - 1, True)


def index(i: I) -> Any:
    parts = tuple(
        Value(np.array(p) if p else np.zeros(0, np.int64)) if isinstance(p, list) else p for p in i.parts
    )
    return parts[0] if len(parts) == 1 else parts


def node(v: Value) -> str | None:
    return v.grad_fn.grad_fn if v.grad_fn is not None else None


def close(mine: Value | None, theirs: Any) -> bool:
    if mine is None or theirs is None:
        return mine is None and theirs is None
    expected = np.array(theirs, np.float64)
    return mine.array.size == expected.size and np.allclose(
        mine.array.reshape(-1), expected.reshape(-1), 1e-9, 1e-12
    )


def gradients(y: Value, x: Value) -> list[Value | None]:
    weights = Value(np.arange(1.0, y.numel + 1).reshape(y.shape))
    (g,) = grad([y], [x], [weights], create_graph=True)
    if g is None or not g.requires_grad:
        return [g, None]
    return [g, grad([OPS["sum"](g * g)], [x])[0]]


def step(values: dict[str, Any], name: str, op: str, *args: Any) -> None:
    live = [
        values[a] if isinstance(a, str) and a in values else index(a) if isinstance(a, I) else a for a in args
    ]
    if op == "setitem_":
        live[0][live[1]] = live[2]
        return
    if op == "getitem":
        result = live[0][live[1]]
    elif op == "first":
        result = live[0][0]
    elif op == "detach":
        result = live[0].detach()
    elif op == "backward":
        result = grad([OPS["sum"](live[0])], [values["l"]])[0]
    elif op in ("zeros", "ones"):
        result = OPS[op](*live, dtype=FLOAT64)
    else:
        result = OPS[op](*live)
    if name:
        values[name] = result


@pytest.mark.parametrize("name", IN_PLACE)
def test_changes_in_place(name: str) -> None:
    theirs = RECORDED["in place"][name]
    values: dict[str, Any] = {"l": leaf(), "k": Value(np.array(2.0), True)}
    if "error" in theirs:
        with pytest.raises(Error) as refused:
            for one in IN_PLACE[name]:
                step(values, *one)
        assert theirs["error"] in refused.value.message
        return
    for one in IN_PLACE[name]:
        step(values, *one)
    for key, (grad_fn, version, numbers) in theirs["values"].items():
        assert (key, node(values[key])) == (key, grad_fn)
        assert (key, values[key].version) == (key, version)
        assert close(values[key], numbers), key
    if "gradients" in theirs:
        for mine, expected in zip(gradients(values["y"], values["l"]), theirs["gradients"], strict=True):
            assert close(mine, expected)


@pytest.mark.parametrize("i", INDICES, ids=repr)
def test_indices(i: I) -> None:
    theirs, x = RECORDED["read"][repr(i)], leaf()
    if "error" in theirs:
        with pytest.raises(Error) as refused:
            x[index(i)]
        assert theirs["error"] in refused.value.message
        return
    y = x[index(i)]
    assert node(y) == theirs["node"]
    assert list(y.shape) == theirs["shape"]
    assert close(y, theirs["values"])
    for mine, expected in zip(gradients(y, x), theirs["gradients"], strict=True):
        assert close(mine, expected)


@pytest.mark.parametrize(("i", "value"), ASSIGNED, ids=repr)
def test_assignments(i: I, value: Any) -> None:
    theirs, x = RECORDED["written"][repr((i, value))], leaf()
    y = x * 2
    v: Any = value
    if isinstance(value, list):
        whole = bool(value) and isinstance(value[0], int)
        v = Value(np.array(value, np.int64 if whole else np.float64), not whole)
    if "error" in theirs:
        with pytest.raises(Error) as refused:
            y[index(i)] = v
        assert theirs["error"] in refused.value.message
        return
    y[index(i)] = v
    assert (node(y), y.version) == (theirs["node"], theirs["version"])
    assert close(y, theirs["values"])
    inputs = [x, v] if isinstance(v, Value) and v.requires_grad else [x]
    for mine, expected in zip(grad([OPS["sum"](y * y)], inputs), theirs["gradients"], strict=True):
        assert close(mine, expected)
