"""Schedules of the learning rate, and limits on gradients, as in PyTorch.

Provided:  step_lr exponential_lr cosine_lr reduce_on_plateau   `.step()`, `.last_epoch`, `.lr`
           clip_grad_norm clip_grad_value
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from vardsl.engine.context import state, unfollowed
from vardsl.engine.value import Value
from vardsl.errors import GradError, ScriptTypeError, ScriptValueError
from vardsl.lang.members import Bound, unknown
from vardsl.lang.optimizer import Optimizer, Recipe, number

Tensors = Any


class Schedule:
    """Changes an optimizer's learning rate step by step; `rate(n)` is the one after n steps."""

    name = ""
    WORDS = "a schedule"

    def __init__(self, optimizer: Any) -> None:
        if not isinstance(optimizer, Optimizer):
            what = (
                "an optimizer without parameters"
                if isinstance(optimizer, Recipe)
                else type(optimizer).__name__
            )
            raise ScriptTypeError(
                f"{what} is not an Optimizer",
                hint=f"let opt = sgd((w, b), lr=0.1); let s = {self.name}(opt, …)",
            )
        self.optimizer = optimizer
        self.base = optimizer.lr
        self.last_epoch = 0

    def __repr__(self) -> str:
        return f"<{self.name} lr={self.lr:g}>"

    @property
    def lr(self) -> float:
        return self.optimizer.lr

    def followed(self) -> list[Any]:
        """What a recording of a run finds in it: nothing that it works on."""
        return []

    def script_members(self, name: str) -> Any:
        """`s.step`, `s.lr`, `s.last_epoch`."""
        if name != "step":
            unfollowed("a schedule is looked at")
        if name == "step":
            return Bound(self, name, type(self).step)
        if name == "lr":
            return self.lr
        if name == "last_epoch":
            return self.last_epoch
        raise unknown(self, name, ("step", "lr", "last_epoch"))

    def step(self) -> None:
        """Moves on by one epoch."""
        if state.ctx.tracer is not None:
            state.ctx.tracer.act(self.step)
        self.remember()
        self.last_epoch += 1
        self.optimizer.options["lr"] = self.rate(self.last_epoch)

    def rate(self, n: int) -> float:
        raise NotImplementedError

    def remember(self) -> None:
        """Lets a statement that fails later take this step back."""
        if state.ctx.journal is not None:
            before, lr = dict(self.__dict__), self.optimizer.lr

            def undo() -> None:
                self.__dict__.update(before)
                self.optimizer.options["lr"] = lr

            state.ctx.journal.append(undo)


class StepLR(Schedule):
    name = "step_lr"

    def __init__(self, optimizer: Any, step_size: int, gamma: float) -> None:
        super().__init__(optimizer)
        self.step_size, self.gamma = step_size, gamma

    def rate(self, n: int) -> float:
        return self.lr if n % self.step_size else self.lr * self.gamma


class ExponentialLR(Schedule):
    name = "exponential_lr"

    def __init__(self, optimizer: Any, gamma: float) -> None:
        super().__init__(optimizer)
        self.gamma = gamma

    def rate(self, n: int) -> float:
        return self.lr * self.gamma


class CosineLR(Schedule):
    name = "cosine_lr"

    def __init__(self, optimizer: Any, T_max: int, eta_min: float) -> None:
        super().__init__(optimizer)
        self.half, self.least = T_max, eta_min

    def rate(self, n: int) -> float:
        if (n - 1 - self.half) % (2 * self.half) == 0:
            return self.lr + (self.base - self.least) * (1 - math.cos(math.pi / self.half)) / 2
        shrink = (1 + math.cos(math.pi * n / self.half)) / (1 + math.cos(math.pi * (n - 1) / self.half))
        return shrink * (self.lr - self.least) + self.least


class ReduceOnPlateau(Schedule):
    name = "reduce_on_plateau"

    def __init__(self, optimizer: Any, options: dict[str, Any]) -> None:
        super().__init__(optimizer)
        self.options = options
        self.best = math.inf if options["mode"] == "min" else -math.inf
        self.bad = 0
        self.resting = 0

    def step(self, metrics: Any = None) -> None:
        """Moves on by one epoch whose result was `metrics`."""
        unfollowed("a schedule looks at a loss")
        if metrics is None:
            raise ScriptTypeError(
                "step() missing 1 required positional argument: 'metrics'", hint="s.step(loss)"
            )
        current = float(number(metrics, "metrics"))
        self.remember()
        self.last_epoch += 1
        o = self.options
        if self._better(current):
            self.best, self.bad = current, 0
        else:
            self.bad += 1
        if self.resting > 0:
            self.resting -= 1
            self.bad = 0
        if self.bad > o["patience"]:
            lower = max(self.lr * o["factor"], o["min_lr"])
            if self.lr - lower > o["eps"]:
                self.optimizer.options["lr"] = lower
            self.resting, self.bad = o["cooldown"], 0

    def _better(self, x: float) -> bool:
        t = self.options["threshold"]
        relative, sign = self.options["threshold_mode"] == "rel", 1 if self.options["mode"] == "min" else -1
        bound = self.best * (1 - sign * t) if relative else self.best - sign * t
        return bool(x < bound if sign == 1 else x > bound)


def step_lr(optimizer: Any, step_size: int, gamma: float = 0.1) -> StepLR:
    """Multiplies the learning rate by `gamma` every `step_size` steps."""
    if not isinstance(step_size, int) or step_size < 1:
        raise ScriptValueError(f"step_size must be a positive integer, not {step_size}")
    return StepLR(optimizer, step_size, number(gamma, "gamma"))


def exponential_lr(optimizer: Any, gamma: float) -> ExponentialLR:
    """Multiplies the learning rate by `gamma` every step."""
    return ExponentialLR(optimizer, number(gamma, "gamma"))


def cosine_lr(optimizer: Any, T_max: int, eta_min: float = 0.0) -> CosineLR:
    """Lowers the learning rate to `eta_min` along half a cosine of `T_max` steps."""
    if not isinstance(T_max, int) or T_max < 1:
        raise ScriptValueError(f"T_max must be a positive integer, not {T_max}")
    return CosineLR(optimizer, T_max, number(eta_min, "eta_min"))


def reduce_on_plateau(
    optimizer: Any,
    mode: str = "min",
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_lr: float = 0,
    eps: float = 1e-8,
) -> ReduceOnPlateau:
    """Multiplies the learning rate by `factor` when `step(loss)` sees no better loss for `patience` steps."""
    if number(factor, "factor") >= 1.0:
        raise ScriptValueError("Factor should be < 1.0.")
    if mode not in ("min", "max"):
        raise ScriptValueError(f"mode {mode} is unknown!")
    if threshold_mode not in ("rel", "abs"):
        raise ScriptValueError(f"threshold mode {threshold_mode} is unknown!")
    return ReduceOnPlateau(
        optimizer,
        {
            "mode": mode,
            "factor": factor,
            "patience": patience,
            "threshold": threshold,
            "threshold_mode": threshold_mode,
            "cooldown": cooldown,
            "min_lr": min_lr,
            "eps": eps,
        },
    )


def _with_grads(params: Any) -> list[Value]:
    given = [params] if type(params) is Value else list(params) if isinstance(params, (tuple, list)) else None
    if given is None or any(type(p) is not Value for p in given):
        raise ScriptTypeError("the parameters must be a tensor or a tuple of tensors")
    return [p for p in given if p._grad is not None]


def _replace(p: Value, array: Any) -> None:
    if state.ctx.journal is not None:
        state.ctx.journal.append(_undo(p, p._grad))
        p._grad = Value(np.asarray(array, p.array.dtype))
    else:
        assert p._grad is not None
        if state.ctx.savepoint is not None:
            state.ctx.savepoint.keep(p._grad.array)
        np.copyto(p._grad.array, array)


def _undo(p: Value, before: Value | None) -> Callable[[], None]:
    def undo() -> None:
        p._grad = before

    return undo


def clip_grad_norm(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Value:
    """Scales the gradients so that their joint norm is at most `max_norm`; gives the norm before."""
    ps = _with_grads(parameters)
    if not ps:
        return Value(np.zeros((), np.float32))
    limit, order = number(max_norm, "max_norm"), float(number(norm_type, "norm_type"))
    grads = [p._grad.array for p in ps if p._grad is not None]
    with np.errstate(all="ignore"):
        norms = np.array([np.linalg.norm(g.reshape(-1), order) for g in grads], grads[0].dtype)
        total = np.asarray(np.linalg.norm(norms, order), norms.dtype)
        if error_if_nonfinite and not np.isfinite(total):
            raise GradError(
                f"The total norm of order {order} for gradients from `parameters` is non-finite, so it "
                "cannot be "
                "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
                "`error_if_nonfinite=False`"
            )
        scale = np.minimum(limit / (total + norms.dtype.type(1e-6)), norms.dtype.type(1))
        for p, g in zip(ps, grads, strict=True):
            _replace(p, g * scale.astype(g.dtype))
    return Value(total)


def clip_grad_value(parameters: Tensors, clip_value: float) -> None:
    """Limits every element of the gradients to [-clip_value, clip_value]."""
    limit = float(number(clip_value, "clip_value"))
    for p in _with_grads(parameters):
        assert p._grad is not None
        _replace(p, np.clip(p._grad.array, -limit, limit))
