"""Records what PyTorch makes of the programs of view_cases.py, for test_views.py: run it where torch 2.13 is.

python -m tests.conformance.record_views > tests/conformance/views.json
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import torch

from tests.conformance.view_cases import ASSIGNED, IN_PLACE, INDICES, I


def leaf() -> torch.Tensor:
    return (torch.arange(12, dtype=torch.float64).reshape(3, 4) / 4 - 1).clone().requires_grad_()


def index(i: I) -> Any:
    parts = tuple(torch.tensor(p) if isinstance(p, list) and p else torch.tensor([], dtype=torch.long)
                  if isinstance(p, list) else p for p in i.parts)  # fmt: skip
    return parts[0] if len(parts) == 1 else parts


def node(t: torch.Tensor) -> str | None:
    return type(t.grad_fn).__name__ if t.grad_fn is not None else None


def step(values: dict[str, Any], name: str, op: str, *args: Any) -> None:
    live = [
        values[a] if isinstance(a, str) and a in values else index(a) if isinstance(a, I) else a for a in args
    ]
    if op == "getitem":
        result = live[0][live[1]]
    elif op == "setitem_":
        live[0][live[1]] = live[2]
        return
    elif op == "first":
        result = live[0][0]
    elif op == "backward":
        result = torch.autograd.grad(live[0].sum(), values["l"])[0]
    elif op in ("zeros", "ones"):
        result = getattr(torch, op)(*live, dtype=torch.float64)
    else:
        result = getattr(live[0], op)(*live[1:])
    if name:
        values[name] = result


def gradients(y: torch.Tensor, x: torch.Tensor) -> list[Any]:
    weights = torch.arange(1, y.numel() + 1, dtype=torch.float64).reshape(y.shape)
    (g,) = torch.autograd.grad(y, x, weights, create_graph=True, allow_unused=True)
    if g is None or not g.requires_grad:
        return [None if g is None else g.tolist(), None]
    (h,) = torch.autograd.grad(g.square().sum(), x, allow_unused=True)
    return [g.tolist(), None if h is None else h.tolist()]


def program(steps: list[tuple[Any, ...]]) -> dict[str, Any]:
    values: dict[str, Any] = {"l": leaf(), "k": torch.tensor(2.0, dtype=torch.float64, requires_grad=True)}
    try:
        for one in steps:
            step(values, *one)
        seen = {
            k: [node(v), v._version, v.tolist()] for k, v in values.items() if isinstance(v, torch.Tensor)
        }
        found: dict[str, Any] = {"values": seen}
        if "y" in values and values["y"].requires_grad:
            found["gradients"] = gradients(values["y"], values["l"])
        return found
    except Exception as error:
        return {"error": str(error).split("\n")[0].split(". ")[0]}


def read(i: I) -> dict[str, Any]:
    x = leaf()
    try:
        y = x[index(i)]
        return {"node": node(y), "values": y.tolist(), "shape": list(y.shape), "gradients": gradients(y, x)}
    except Exception as error:
        return {"error": str(error).split("\n")[0].split(". ")[0]}


def written(i: I, value: Any) -> dict[str, Any]:
    x = leaf()
    y = x * 2
    v = torch.tensor(value, dtype=torch.float64).requires_grad_() if isinstance(value, list) else value
    if isinstance(value, list) and value and isinstance(value[0], int):
        v = torch.tensor(value)
    try:
        y[index(i)] = v
        g = torch.autograd.grad(
            (y**2).sum(), [x, v] if isinstance(v, torch.Tensor) and v.requires_grad else [x]
        )
        return {
            "node": node(y),
            "values": y.tolist(),
            "gradients": [a.tolist() for a in g],
            "version": y._version,
        }
    except Exception as error:
        return {"error": str(error).split("\n")[0].split(". ")[0]}


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = {
        "in place": {name: program(steps) for name, steps in IN_PLACE.items()},
        "read": {repr(i): read(i) for i in INDICES},
        "written": {repr((i, v)): written(i, v) for i, v in ASSIGNED},
    }
    print(json.dumps(found, indent=0))


if __name__ == "__main__":
    main()
