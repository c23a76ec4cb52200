"""Records trajectories of torch.optim into optim.json (run as a script; needs torch 2.13).

Each case is an optimizer with options, run for some steps on a fixed objective of two parameters; one of them
gets no gradient in the third step.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

STEPS = 8
X = [[0.5, -1.2], [0.3, 0.7], [-0.8, 1.1]]
Y = [0.4, -0.6, 1.5]
W, B = [0.3, -0.2], 0.1

CASES: list[tuple[str, dict[str, object]]] = [
    ("sgd", {"lr": 0.1}),
    ("sgd", {}),
    ("sgd", {"lr": 0.1, "momentum": 0.9}),
    ("sgd", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    ("sgd", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("sgd", {"lr": 0.1, "weight_decay": 0.05, "momentum": 0.5}),
    ("sgd", {"lr": 0.05, "maximize": True}),
    ("adam", {}),
    ("adam", {"lr": 0.05}),
    ("adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-6}),
    ("adam", {"lr": 0.05, "weight_decay": 0.1}),
    ("adam", {"lr": 0.05, "amsgrad": True}),
    ("adam", {"lr": 0.05, "maximize": True}),
    ("adam", {"lr": 0.05, "betas": (0.3, 0.9)}),
    ("adamw", {"lr": 0.05}),
    ("adamw", {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True}),
    ("rmsprop", {}),
    ("rmsprop", {"lr": 0.05, "alpha": 0.9, "momentum": 0.7}),
    ("rmsprop", {"lr": 0.05, "centered": True}),
    ("rmsprop", {"lr": 0.05, "centered": True, "momentum": 0.3, "weight_decay": 0.1}),
    ("adagrad", {}),
    ("adagrad", {"lr": 0.2, "lr_decay": 0.1, "weight_decay": 0.02, "initial_accumulator_value": 0.5}),
    ("adadelta", {}),
    ("adadelta", {"lr": 0.7, "rho": 0.8, "weight_decay": 0.1}),
    ("nadam", {}),
    ("nadam", {"lr": 0.05, "weight_decay": 0.1, "momentum_decay": 0.01}),
    ("nadam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("lbfgs", {}),
    ("lbfgs", {"lr": 0.5, "max_iter": 4}),
    ("lbfgs", {"lr": 0.8, "max_iter": 3, "history_size": 2}),
    ("lbfgs", {"line_search_fn": "strong_wolfe", "max_iter": 3}),
    ("lbfgs", {"line_search_fn": "strong_wolfe", "max_iter": 10, "lr": 2.0}),
]
CLASSES = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "nadam": torch.optim.NAdam,
    "lbfgs": torch.optim.LBFGS,
}


def loss_of(w: torch.Tensor, b: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A smooth objective that is neither quadratic nor convex."""
    return ((torch.tanh(x @ w + b) - y) ** 2).mean() + 0.01 * (w**4).sum()


def rosenbrock(w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2 + b**2


def trajectory(name: str, options: dict[str, object], dtype: torch.dtype, hard: bool) -> list[list[float]]:
    w = torch.tensor(W, dtype=dtype, requires_grad=True)
    b = torch.tensor(B, dtype=dtype, requires_grad=True)
    x, y = torch.tensor(X, dtype=dtype), torch.tensor(Y, dtype=dtype)
    optimizer = CLASSES[name]([w, b], **options)
    rows = []
    for step in range(STEPS):

        def closure(step: int = step) -> torch.Tensor:
            optimizer.zero_grad()
            loss = rosenbrock(w, b) if hard else loss_of(w, b, x, y)
            loss.backward()
            if step == 2 and name != "lbfgs":
                b.grad = None
            return loss

        loss = optimizer.step(closure)
        rows.append([loss.item(), *w.tolist(), b.item()])
    return rows


def schedules() -> dict[str, list[float]]:
    results = {}
    lr = torch.optim.lr_scheduler
    makers = {
        "step_lr 3": lambda o: lr.StepLR(o, 3),
        "step_lr 2 0.5": lambda o: lr.StepLR(o, 2, gamma=0.5),
        "exponential_lr 0.9": lambda o: lr.ExponentialLR(o, 0.9),
        "cosine_lr 5": lambda o: lr.CosineAnnealingLR(o, 5),
        "cosine_lr 4 0.02": lambda o: lr.CosineAnnealingLR(o, 4, eta_min=0.02),
    }
    for name, make in makers.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        schedule = make(optimizer)
        rates = []
        for _ in range(14):
            optimizer.step()
            schedule.step()
            rates.append(optimizer.param_groups[0]["lr"])
        results[name] = rates
    return results


def plateaus() -> list[dict[str, object]]:
    losses = [1.0, 0.9, 0.9, 0.91, 0.95, 0.8, 0.8, 0.81, 0.82, 0.83, 0.79999, 0.8, 0.7, 0.71, 0.72, 0.73]
    results: list[dict[str, object]] = []
    for options in (
        {"patience": 1},
        {"patience": 2, "factor": 0.5, "threshold_mode": "abs", "threshold": 0.05},
        {"patience": 0, "cooldown": 2, "min_lr": 0.01, "factor": 0.3},
        {"patience": 1, "mode": "max", "factor": 0.5},
        {"patience": 1, "mode": "max", "threshold_mode": "abs"},
    ):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        rates = []
        for loss in losses:
            schedule.step(loss)
            rates.append(optimizer.param_groups[0]["lr"])
        results.append({"options": options, "losses": losses, "rates": rates})
    return results


def main() -> None:
    torch.set_num_threads(1)
    cases = []
    for name, options in CASES:
        for dtype in ("float64", "float32"):
            for hard in (False, True) if name == "lbfgs" and dtype == "float64" else (False,):
                rows = trajectory(name, options, getattr(torch, dtype), hard)
                cases.append({"name": name, "options": options, "dtype": dtype, "hard": hard, "rows": rows})
    data = {
        "torch": torch.__version__, "start": {"w": W, "b": B}, "x": X, "y": Y,
        "cases": cases, "schedules": schedules(), "plateaus": plateaus(),
    }  # fmt: skip
    text = json.dumps(data, indent=None, separators=(",", ":")).replace('{"name"', '\n{"name"')
    Path(__file__).with_name("optim.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
