"""Result dtypes, values and refusals for every pair of dtypes, against PyTorch's."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.conformance.promotion_cases import LETTERS, calls
from vardsl.engine.value import Value
from vardsl.errors import Error
from vardsl.ops.define import OPS

RECORDED: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("promotion.json").read_text(encoding="utf-8")
)
OF = {np.dtype(name): letter for letter, name in LETTERS.items()}


def make(data: Any, dtype: str) -> Value:
    return Value(np.array(data).astype(np.int64).astype(dtype))


def agrees(mine: list[Any], theirs: list[Any]) -> bool:
    expected = np.array([float(x) for x in theirs])
    return len(mine) == len(theirs) and np.allclose(
        np.array(mine, float), expected, 2e-6, 1e-12, equal_nan=True
    )


def outcome(call: Callable[[], Any]) -> tuple[str, list[Any], str]:
    try:
        y = call()
    except Error as error:
        return "!", [], str(error) + str(error.torch)
    except TypeError as error:
        return "!", [], str(error)
    if isinstance(y, tuple):
        y = y[0]
    return (
        (OF[y.array.dtype], y.array.reshape(-1).tolist(), "")
        if isinstance(y, Value)
        else ("=", [int(y)], "")
    )


def differences() -> list[str]:
    columns: dict[str, int] = {}
    found = []
    for row, column, call in calls(make, lambda name: OPS[name]):
        k = columns[row] = columns.get(row, -1) + 1
        recorded = RECORDED[row]
        letter, values, refusal = outcome(call)
        if letter != recorded["dtypes"][k]:
            found.append(f"{row} [{column}]: {letter} {refusal}, PyTorch {recorded['dtypes'][k]}")
        elif letter == "!":
            if not any(sentence in refusal for sentence in recorded["refusals"]):
                found.append(f"{row} [{column}]: {refusal!r}, PyTorch {recorded['refusals']}")
        elif recorded["values"] and not agrees(values, recorded["values"][k]):
            found.append(f"{row} [{column}]: {values}, PyTorch {recorded['values'][k]}")
    return found


def test_every_pair_of_dtypes_gives_what_pytorch_gives() -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        assert differences() == []
