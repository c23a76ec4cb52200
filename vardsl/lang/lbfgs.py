"""L-BFGS with PyTorch's defaults and stopping rules, and its line search for the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vardsl.engine.context import enable_grad, state, unfollowed
from vardsl.engine.dtypes import Array
from vardsl.engine.inplace import bump
from vardsl.errors import ScriptTypeError, ScriptValueError
from vardsl.lang.optimizer import Optimizer, Tensors, made, number

Closure = Callable[[], Any]
ARMIJO, CURVATURE = 1e-4, 0.9


class Lbfgs(Optimizer):
    """Quasi-Newton steps from the last changes of position and gradient; `step` needs a closure."""

    name = "lbfgs"

    def __init__(self, params: Any, options: dict[str, Any]) -> None:
        super().__init__(params, options)
        self.memory: dict[str, Any] = self.state[0]

    def restore(self, snapshot: Any) -> None:
        super().restore(snapshot)
        self.memory = self.state[0]

    def step(self, closure: Closure | None = None) -> Any:
        """Up to `max_iter` iterations; `closure` zeroes gradients, runs backward on the loss and gives it."""
        if closure is None:
            raise ScriptTypeError(
                "LBFGS.step() missing 1 required positional argument: 'closure'",
                hint="minimize … using lbfgs() needs none; else give a function that runs backward",
            )
        unfollowed("a step of lbfgs")
        if state.ctx.savepoint is not None:
            self.tell(state.ctx.savepoint)
        before = self.snapshot()
        journal = state.ctx.journal
        if journal is not None:
            journal.append(lambda: self.restore(before))
        try:
            with np.errstate(all="ignore"):
                return self._iterate(closure)
        except BaseException:
            self.restore(before)
            raise

    def _iterate(self, closure: Closure) -> Any:
        o, m = self.options, self.memory
        first, loss = self._evaluate(closure)
        gradient = self._gradient()
        if _largest(gradient) <= o["tolerance_grad"]:
            return first
        evaluations = 1
        for iteration in range(1, o["max_iter"] + 1):
            m["n_iter"] = m.get("n_iter", 0) + 1
            direction = self._direction(gradient)
            m["prev_flat_grad"], before = gradient.copy(), loss
            step = o["lr"]
            if m["n_iter"] == 1:
                step = min(1.0, 1.0 / float(np.abs(gradient).sum())) * o["lr"]
            m["d"], m["t"] = direction, step
            slope = float(gradient @ direction)
            if slope > -o["tolerance_change"]:
                break
            if o["line_search_fn"] is not None:
                search = _Search(self, closure, direction, o["max_eval"] - evaluations)
                best, used = search.run(step, _Point(0.0, loss, gradient, slope))
                loss, gradient, step = best.loss, best.gradient, best.at
                m["t"] = step
                self._move(step, direction)
                done = _largest(gradient) <= o["tolerance_grad"]
                evaluations += used
            else:
                self._move(step, direction)
                done = False
                if iteration != o["max_iter"]:
                    _, loss = self._evaluate(closure)
                    gradient = self._gradient()
                    done = _largest(gradient) <= o["tolerance_grad"]
                    evaluations += 1
            if evaluations >= o["max_eval"] or done:
                break
            if (
                _largest(direction * step) <= o["tolerance_change"]
                or abs(loss - before) < o["tolerance_change"]
            ):
                break
        return first

    def _evaluate(self, closure: Closure) -> tuple[Any, float]:
        with enable_grad():
            loss = closure()
        return loss, float(loss)

    def _gradient(self) -> Array:
        parts = [
            np.zeros(p.array.size, p.array.dtype) if p._grad is None else p._grad.array.reshape(-1)
            for p in self.params
        ]
        return np.concatenate(parts)

    def _direction(self, gradient: Array) -> Array:
        """Minus the gradient, times the approximate inverse Hessian (the two-loop recursion)."""
        m = self.memory
        if m["n_iter"] == 1:
            m["changes"], m["moves"], m["ro"], m["scale"] = [], [], [], 1.0
            return np.negative(gradient)
        change, move = gradient - m["prev_flat_grad"], m["d"] * gradient.dtype.type(m["t"])
        curvature = change @ move
        if curvature > 1e-10:
            if len(m["changes"]) == self.options["history_size"]:
                for name in ("changes", "moves", "ro"):
                    m[name].pop(0)
            m["changes"].append(change)
            m["moves"].append(move)
            m["ro"].append(1.0 / curvature)
            m["scale"] = curvature / (change @ change)
        q = np.negative(gradient)
        weights = [gradient.dtype.type(0)] * len(m["moves"])
        for i in reversed(range(len(weights))):
            weights[i] = (m["moves"][i] @ q) * m["ro"][i]
            q += m["changes"][i] * -weights[i]
        q *= m["scale"]
        for i, w in enumerate(weights):
            q += m["moves"][i] * (w - (m["changes"][i] @ q) * m["ro"][i])
        return q

    def _move(self, step: float, direction: Array) -> None:
        """Adds `step` times the direction to the parameters."""
        at = 0
        for p in self.params:
            part = direction[at : at + p.array.size].reshape(p.array.shape)
            np.add(p.array, part * p.array.dtype.type(step), p.array)
            bump(p)
            at += p.array.size


def _largest(a: Array) -> float:
    return float(np.abs(a).max()) if a.size else 0.0


@dataclass(frozen=True, slots=True)
class _Point:
    """A place on the search line: its distance, and loss, gradient and slope along the line there."""

    at: float
    loss: float
    gradient: Array
    slope: float


class _Search:
    """A line search for a point that satisfies the strong Wolfe conditions."""

    def __init__(self, optimizer: Lbfgs, closure: Closure, direction: Array, most: int) -> None:
        self.optimizer, self.closure, self.direction, self.most = optimizer, closure, direction, most
        self.origin = [p.array.copy() for p in optimizer.params]
        self.tolerance = optimizer.options["tolerance_change"]
        self.evaluations = 0
        self.turns = 0

    def at(self, t: float) -> _Point:
        """Loss and gradient at distance `t`; the parameters come back to where they were."""
        self.optimizer._move(t, self.direction)
        _, loss = self.optimizer._evaluate(self.closure)
        gradient = self.optimizer._gradient().copy()
        for p, a in zip(self.optimizer.params, self.origin, strict=True):
            np.copyto(p.array, a)
        self.evaluations += 1
        return _Point(t, loss, gradient, float(gradient @ self.direction))

    def run(self, t: float, start: _Point) -> tuple[_Point, int]:
        """The best point found, and how often the closure ran."""
        low, high = self._bracket(t, start)
        if high is None:
            return low, self.evaluations
        return self._zoom(low, high, start), self.evaluations

    def _too_high(self, p: _Point, start: _Point) -> bool:
        return p.loss > start.loss + ARMIJO * p.at * start.slope

    def _bracket(self, t: float, start: _Point) -> tuple[_Point, _Point | None]:
        """Two points with an acceptable one between them, or one that is acceptable itself (and None)."""
        before, p = start, self.at(t)
        while self.turns < self.most:
            if self._too_high(p, start) or (self.turns > 1 and p.loss >= before.loss):
                return before, p
            if abs(p.slope) <= -CURVATURE * start.slope:
                return p, None
            if p.slope >= 0:
                return before, p
            nearest, farthest = p.at + 0.01 * (p.at - before.at), p.at * 10
            t = _cubic(before, p, nearest, farthest)
            before, p = p, self.at(t)
            self.turns += 1
        return start, p

    def _zoom(self, a: _Point, b: _Point, start: _Point) -> _Point:
        """Narrows the bracket [a, b] until a point in it is acceptable."""
        low, high = (a, b) if a.loss <= b.loss else (b, a)
        slow = False
        width = _largest(self.direction)
        while self.turns < self.most and abs(b.at - a.at) * width >= self.tolerance:
            t = _cubic(a, b, min(a.at, b.at), max(a.at, b.at))
            t, slow = _not_at_the_edge(t, min(a.at, b.at), max(a.at, b.at), slow)
            p = self.at(t)
            self.turns += 1
            if self._too_high(p, start) or p.loss >= low.loss:
                # the high end comes nearer; which end is low is decided anew by the losses
                a, b = (low, p) if a is low else (p, low)
                low, high = (a, b) if a.loss <= b.loss else (b, a)
                continue
            if abs(p.slope) <= -CURVATURE * start.slope:
                return p
            low_first = a is low
            if p.slope * (high.at - low.at) >= 0:
                high = low
            low = p
            a, b = (low, high) if low_first else (high, low)
        return low


def _not_at_the_edge(t: float, left: float, right: float, slow: bool) -> tuple[float, bool]:
    """Moves a trial that hugs an end of the bracket inwards, the second time it does so."""
    margin = 0.1 * (right - left)
    if min(right - t, t - left) >= margin:
        return t, False
    if slow or t >= right or t <= left:
        return (right - margin if abs(t - right) < abs(t - left) else left + margin), False
    return t, True


def _cubic(p: _Point, q: _Point, left: float, right: float) -> float:
    """Where the cubic through two points with these slopes has its minimum, kept within [left, right]."""
    if p.at > q.at:
        p, q = q, p
    with np.errstate(all="ignore"):
        x1, f1, g1 = np.float64(p.at), np.float64(p.loss), np.float64(p.slope)
        x2, f2, g2 = np.float64(q.at), np.float64(q.loss), np.float64(q.slope)
        d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
        square = d1 * d1 - g1 * g2
        if not square >= 0:
            return (left + right) / 2
        d2 = math.sqrt(square)
        t = float(x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2)))
    return min(max(t, left), right)


def lbfgs(
    params: Tensors = None,
    lr: float = 1,
    max_iter: int = 20,
    max_eval: int | None = None,
    tolerance_grad: float = 1e-7,
    tolerance_change: float = 1e-9,
    history_size: int = 100,
    line_search_fn: str | None = None,
) -> Any:
    """Limited-memory BFGS; `line_search_fn="strong_wolfe"` searches along each direction."""
    rate = number(lr, "lr")
    if not rate >= 0:
        raise ScriptValueError(f"Invalid learning rate: {lr}")
    if line_search_fn not in (None, "strong_wolfe"):
        raise ScriptValueError("only 'strong_wolfe' is supported")
    options = {
        "lr": rate,
        "max_iter": max_iter,
        "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
        "tolerance_grad": tolerance_grad,
        "tolerance_change": tolerance_change,
        "history_size": history_size,
        "line_search_fn": line_search_fn,
    }
    return made(Lbfgs, params, options)
