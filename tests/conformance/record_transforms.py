"""Records torch.func and torch.autograd.functional into transforms.json (needs torch 2.13).

The functions are written as both libraries read them; `m` is torch here, the operations there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

X = [0.5, -1.2, 0.8]
Y = [1.5, 0.3, -0.4]
A = [[0.2, -0.5, 1.0], [0.7, 0.1, -0.3]]

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cube sum": lambda m, x: m.sum(x**3),
    "sine product": lambda m, x: m.sum(m.sin(x) * m.exp(-x * x)),
    "quadratic": lambda m, x: m.sum(x * x) * 0.5 + x[0] * x[2],
    "elementwise": lambda m, x: m.tanh(x) * x,
    "mixed": lambda m, x: m.stack([x[0] * x[1], m.sin(x[2]), x[0] ** 2], 0),
    "two": lambda m, x, y: m.sum(x * m.sin(y)) + m.sum(x) ** 2,
    "two vectors": lambda m, x, y: x * y + m.cos(y),
    "two outputs": lambda m, x: (m.sum(x * x), m.exp(x)),
    "constant in y": lambda m, x, y: m.sum(x * x),
    "linear": lambda m, x: m.sum(x * 2),
}


def listed(r: Any) -> Any:
    if isinstance(r, tuple):
        return {"tuple": [listed(e) for e in r]}
    return r.tolist()


def cases(torch: Any) -> dict[str, Any]:
    """Every transform on every function that it takes."""
    F = torch.autograd.functional
    x, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y, dtype=torch.float64)
    f: dict[str, Callable[..., Any]] = {n: (lambda *args, g=g: g(torch, *args)) for n, g in FUNCTIONS.items()}
    results: dict[str, Any] = {}
    for n in ("cube sum", "sine product", "quadratic", "linear"):
        results[f"grad {n}"] = torch.func.grad(f[n])(x)
        results[f"hessian {n}"] = F.hessian(f[n], x)
        results[f"hvp {n}"] = F.hvp(f[n], x, y)
        results[f"second {n}"] = torch.func.grad(lambda v, n=n: torch.func.grad(f[n])(v).sin().sum())(x)
    for n in ("elementwise", "mixed", "cube sum", "two outputs"):
        results[f"jacobian {n}"] = F.jacobian(f[n], x)
        results[f"jvp {n}"] = F.jvp(f[n], x, y)
    results["vjp elementwise"] = F.vjp(f["elementwise"], x, y)
    results["vjp cube sum"] = F.vjp(f["cube sum"], x)
    results["vjp two outputs"] = F.vjp(f["two outputs"], x, (torch.tensor(2.0, dtype=torch.float64), y))
    results["grad two 1"] = torch.func.grad(f["two"], argnums=1)(x, y)
    results["grad two both"] = torch.func.grad(f["two"], argnums=(0, 1))(x, y)
    results["grad constant"] = torch.func.grad(f["constant in y"], argnums=(0, 1))(x, y)
    results["jacobian two"] = F.jacobian(f["two vectors"], (x, y))
    results["hessian two"] = F.hessian(f["two"], (x, y))
    results["vjp two"] = F.vjp(f["two vectors"], (x, y), x)
    results["jvp two"] = F.jvp(f["two vectors"], (x, y), (y, x))
    results["hvp two"] = F.hvp(f["two"], (x, y), (y, x))
    a = torch.tensor(A, dtype=torch.float64)
    results["vmap grad"] = torch.func.vmap(torch.func.grad(f["sine product"]))(a)
    results["vmap dims"] = torch.func.vmap(lambda u, v: (u * v).sum(), in_dims=(0, 1))(a, a.T.contiguous())
    results["vmap out"] = torch.func.vmap(lambda u: u * 2, out_dims=1)(a)
    results["vmap none"] = torch.func.vmap(lambda u, v: u * v, in_dims=(0, None))(a, y)
    results["vmap nested"] = torch.func.vmap(torch.func.vmap(lambda u: u * u))(a)
    results["grad of vmap"] = torch.func.grad(
        lambda w: torch.func.vmap(lambda u: (u * w).sin().sum())(a).sum()
    )(x)
    results["jacobian of grad"] = F.jacobian(torch.func.grad(f["sine product"]), x)
    return results


def main() -> None:
    import torch

    torch.set_num_threads(1)
    data = {"x": X, "y": Y, "a": A, "results": {k: listed(v) for k, v in cases(torch).items()}}
    text = json.dumps(data, separators=(",", ":")).replace('],"', '],\n"')
    Path(__file__).with_name("transforms.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
