"""`check_grad`: a function's gradient against five-point differences, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine import backward as _backward
from vardsl.engine.context import no_grad, state
from vardsl.engine.dtypes import Array
from vardsl.engine.value import Value
from vardsl.errors import GradError, ScriptTypeError
from vardsl.lang.lift import call, is_number, lift

Function = Callable[..., Any]


def check_grad(f: Function, x: Any, eps: float = 1e-3, rtol: float = 1e-5, atol: float = 1e-7) -> bool:
    """True where the gradient of `f` at `x` (a tensor or a tuple) agrees with differences of its values.

    Everything is computed in float64. Where an element differs the error shows the worst one.

    >>> check_grad(fn(x) = sum(sin(x)), [1., 2.])
    True
    """
    if not callable(f):
        raise ScriptTypeError(f"check_grad(f, x): f must be a function, not {type(f).__name__}")
    given = tuple(x) if isinstance(x, (tuple, list)) else (x,)
    inputs = [_double(e) for e in given]
    before = state.ctx.generator.get_state()
    try:
        return _check(f, inputs, len(given) > 1, (eps, rtol, atol), before)
    finally:
        state.ctx.generator.set_state(before)


def _double(x: Any) -> Any:
    if type(x) is not Value and not is_number(x) and not isinstance(x, (np.ndarray, np.generic)):
        return x
    a = lift(x).array
    return Value(a.astype(np.float64), True) if a.dtype.kind == "f" else Value(a.copy())


def _outputs(f: Function, inputs: Sequence[Any], before: Any) -> list[Value]:
    state.ctx.generator.set_state(before)
    y = call(f, inputs)
    outs = [lift(o) for o in (y if isinstance(y, tuple) else (y,)) if type(o) is Value or is_number(o)]
    real = [o for o in outs if o.array.dtype.kind == "f"]
    if not real:
        raise ScriptTypeError("check_grad(f, x): f must return a real tensor or number")
    return real


def _check(
    f: Function, inputs: list[Any], several: bool, how: tuple[float, float, float], before: Any
) -> bool:
    eps, rtol, atol = how
    outputs = _outputs(f, inputs, before)
    single = any(o.array.dtype == np.float32 for o in outputs)
    if single:  # a captured float32 tensor decided the precision
        eps, rtol, atol = max(eps, 3e-2), max(rtol, 1e-2), max(atol, 1e-2)
    worst: tuple[float, str] | None = None
    for j, v in enumerate(inputs):
        if type(v) is not Value or not v.requires_grad:
            continue
        analytic = [_analytic(o, v) for o in outputs]
        for k in range(v.array.size):
            numeric = _numeric(f, inputs, j, k, eps, before)
            for i, (a, n) in enumerate(zip(analytic, numeric, strict=True)):
                worst = _worse(
                    worst, a[:, k], n, (rtol, atol), _element(v, k, j if several else None), i, outputs
                )
    if worst is None:
        return True
    raise GradError(
        worst[1],
        notes=[
            f"compared with five-point differences in float64, step {eps:g}, rtol {rtol:g}, atol {atol:g}"
        ],
        hint="check the rule that custom_grad was given, or the function has a kink there",
    )


def _element(v: Value, k: int, which: int | None) -> str:
    name = "x" if which is None else f"x{which}"
    if v.array.ndim == 0:
        return name
    return f"{name}[{', '.join(str(int(i)) for i in np.unravel_index(k, v.array.shape))}]"


def _worse(
    worst: tuple[float, str] | None,
    analytic: Array,
    numeric: Array,
    tolerance: tuple[float, float],
    where: str,
    i: int,
    outputs: Sequence[Value],
) -> tuple[float, str] | None:
    rtol, atol = tolerance
    with np.errstate(all="ignore"):
        excess = np.abs(analytic - numeric) / (atol + rtol * np.abs(numeric))
    same = (analytic == numeric) | (np.isnan(analytic) & np.isnan(numeric))
    excess = np.where(same, 0.0, np.where(np.isnan(excess), np.inf, excess))
    m = int(np.argmax(excess))
    if excess[m] <= 1 or (worst is not None and excess[m] <= worst[0]):
        return worst
    y = "the output" if len(outputs) == 1 else f"output {i}"
    if outputs[i].array.ndim:
        y += f"[{', '.join(str(int(s)) for s in np.unravel_index(m, outputs[i].array.shape))}]"
    a, n = float(analytic[m]), float(numeric[m])
    return float(excess[m]), (
        f"the gradient is wrong: the derivative of {y} with respect to {where} is {a:.6g} by backward "
        f"and {n:.6g} by differences"
    )


def _analytic(y: Value, v: Value) -> Array:
    rows = np.zeros((y.array.size, v.array.size))
    if y.requires_grad:
        for r in range(y.array.size):
            seed = np.zeros(y.array.shape, y.array.dtype)
            seed.reshape(-1)[r] = 1
            g = _backward.grad([y], [v], [Value(seed)], retain_graph=True)[0]
            if g is not None:
                rows[r] = g.array.reshape(-1)
    return rows


def _numeric(f: Function, inputs: list[Any], j: int, k: int, eps: float, before: Any) -> list[Array]:
    """(f(x-2h) - 8 f(x-h) + 8 f(x+h) - f(x+2h)) / 12h for each output, h in proportion to the element."""
    center = inputs[j].array.reshape(-1)[k]
    h = eps * max(1.0, abs(float(center)))
    total: list[Array] = []
    for step, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
        moved = inputs[j].array.copy()
        moved.reshape(-1)[k] = center + step * h
        args = [Value(moved, True) if m == j else x for m, x in enumerate(inputs)]
        ys = [o.array.reshape(-1).astype(np.float64) for o in _outputs(f, args, before)]
        with np.errstate(all="ignore"):
            terms = [weight * y / (12 * h) for y in ys]
            total = terms if not total else [a + b for a, b in zip(total, terms, strict=True)]
    return total


__all__ = ["check_grad", "no_grad"]
