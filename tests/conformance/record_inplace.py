"""Records what PyTorch makes of in-place calls: numbers, node, gradients, or its sentence.

python -m tests.conformance.record_inplace
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch

from tests.conformance.inplace_cases import CALLS, FUNCTIONAL, INTEGER, TENSORS, Y

PATH = Path(__file__).with_name("inplace.json")


def made() -> dict[str, torch.Tensor]:
    return {
        k: torch.tensor(data, dtype=getattr(torch, dtype), requires_grad=grad)
        for k, (data, dtype, grad) in TENSORS.items()
    }


def plain(t: torch.Tensor | None) -> Any:
    return (
        None
        if t is None
        else [str(v) if v != v or abs(v) == float("inf") else v for v in t.reshape(-1).tolist()]
    )


def outcome(
    name: str, args: list[Any], kwargs: dict[str, Any], target: torch.Tensor, leaf: torch.Tensor
) -> Any:
    tensors = made()
    live = [tensors.get(a, a) if isinstance(a, str) else a for a in args]
    try:
        if "inplace" in kwargs:
            getattr(torch.nn.functional, name)(target, *live, **kwargs)
        else:
            getattr(target, name + "_")(*live, **kwargs)
    except Exception as error:
        return {"error": str(error).split("\n")[0]}
    found: dict[str, Any] = {"values": plain(target), "grad_fn": None, "dtype": str(target.dtype)[6:]}
    if target.grad_fn is not None:
        found["grad_fn"] = type(target.grad_fn).__name__
        inputs = [leaf, *(t for t in tensors.values() if t.requires_grad)]
        weights = torch.arange(1.0, target.numel() + 1, dtype=target.dtype).reshape(target.shape)
        try:
            found["grads"] = [
                plain(g) for g in torch.autograd.grad(target, inputs, weights, allow_unused=True)
            ]
        except Exception as error:
            found["backward_error"] = str(error).split("\n")[0]
    return found


def main() -> None:
    warnings.simplefilter("ignore")
    rows = []
    for group, calls in (("float", CALLS), ("float", FUNCTIONAL), ("int", INTEGER)):
        for name, args, kwargs in calls:
            leaf = torch.tensor(Y, dtype=torch.float64, requires_grad=True)
            target = leaf * 1 if group == "float" else torch.tensor([1, 2, -3])
            rows.append([group, name, args, kwargs, outcome(name, args, kwargs, target, leaf)])
    PATH.write_text("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
