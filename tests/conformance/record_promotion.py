"""Records PyTorch's result dtypes, values and refusals for every pair of dtypes.

    python -m tests.conformance.record_promotion

Run it where torch is installed. In `promotion.json` each row has `dtypes`, one letter for each column
(`!` for a refusal, `=` for a plain result), `values`, the numbers of its columns, and `refusals`, its
distinct sentences.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.conformance.promotion_cases import LETTERS, calls

PATH = Path(__file__).with_name("promotion.json")
OF = {getattr(torch, name): letter for letter, name in LETTERS.items()}


def make(data: Any, dtype: str) -> torch.Tensor:
    return torch.from_numpy(np.array(data).astype(np.int64)).to(getattr(torch, dtype))


def function(name: str) -> Callable[..., Any]:
    return getattr(torch, name, None) or getattr(torch.nn.functional, name)


def number(x: Any) -> Any:
    if isinstance(x, float) and not math.isfinite(x):
        return str(x)
    return float(f"{x:.9g}") if isinstance(x, float) else int(x)


def outcome(call: Callable[[], Any]) -> tuple[str, list[Any], str]:
    try:
        y = call()
    except Exception as error:
        return "!", [], str(error).split("\n")[0]
    if isinstance(y, tuple):
        y = y[0]
    if not isinstance(y, torch.Tensor):
        return "=", [int(y)], ""
    return OF[y.dtype], [number(x) for x in y.reshape(-1).tolist()], ""


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows: dict[str, dict[str, Any]] = {}
    for row, _, call in calls(make, function):
        letter, values, refusal = outcome(call)
        entry = rows.setdefault(row, {"dtypes": "", "values": [], "refusals": []})
        entry["dtypes"] += letter
        if "wide" not in row and "0-d" not in row:
            entry["values"].append(values)
        entry["refusals"].append(refusal)
    for entry in rows.values():
        entry["refusals"] = sorted(set(entry["refusals"]) - {""})
    text = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in rows.items())
    PATH.write_text("{\n" + text + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
