"""Records which nodes of PyTorch refuse a second pass, and which refuse one after a change in place.

    python -m tests.conformance.record_saved
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.conformance.saved_cases import CASES, CHANGED, LEFT, RIGHT, Case

PATH = Path(__file__).with_name("saved.json")


def find(name: str) -> Callable[..., Any]:
    if name == "double":
        return torch.Tensor.double
    return getattr(torch, name, None) or getattr(torch.nn.functional, name)


def made(case: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, y = (torch.tensor(data, requires_grad=True) * 1 for data in (LEFT, RIGHT))
    return x, y, case(x, y, find)


def refused(result: torch.Tensor, inputs: list[torch.Tensor]) -> bool:
    try:
        torch.autograd.grad(result, inputs, torch.ones_like(result), allow_unused=True)
    except RuntimeError as error:
        assert "second time" in str(error) or "inplace operation" in str(error), error
        return True
    return False


def observe(case: Case) -> dict[str, bool]:
    x, _, result = made(case)
    result.sum().backward()
    found = {"second": refused(result, [x])}
    for k, changed in enumerate(CHANGED):
        tensors = made(case)
        with torch.no_grad():
            tensors[k].add_(0)
        found[changed] = refused(tensors[2], list(tensors[:2]))
    return found


def main() -> None:
    rows = {name: observe(case) for name, case in CASES.items()}
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    PATH.write_text("{\n" + text + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
