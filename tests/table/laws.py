"""Laws that hold for every operation without PyTorch: reverse mode, forward mode and differences agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tests.table import recorded, replay
from tests.table.recorded import Case, Tensor
from vardsl.engine.backward import grad
from vardsl.engine.value import Value
from vardsl.errors import Error

SAMPLES = 4
# One triangle of the matrix is read, and the gradient is that along symmetric matrices.
SYMMETRIC = frozenset(["cholesky", "linalg.cholesky", "linalg.eigvalsh"])
# PyTorch's derivatives that are not the function's own: of factors taken for triangular, of what counts as constant
# (norms of an embedding, a clamped norm or variance, log-probabilities that sum to one), of vectors up to their sign.
NOT_THE_LIMIT = frozenset(
    [
        *replay.FREE_SIGNS,
        "cholesky_solve",
        "cholesky_inverse",
        "cosine_similarity",
        "ctc_loss",
        "embedding",
        "gaussian_nll_loss",
    ]
)


def smooth_cases(cases: Iterable[Case], at_most: int = SAMPLES) -> Iterator[Case]:
    """Those of the calls that are in double precision and have a gradient; few of them, and small."""
    found = 0
    for case in cases:
        inputs = inputs_of(case)
        if case.error or case.random or not inputs or case.unset or not differentiable(case):
            continue
        if any(t.array.dtype != np.float64 or t.array.size > 200 or not t.array.size for t in inputs):
            continue
        if not all(np.isfinite(g).all() for g in case.first or () if g is not None):
            continue
        found += 1
        yield case
        if found == at_most:
            return


def differentiable(case: Case) -> bool:
    """Whether there is a derivative, also where PyTorch fails to give it by a fault of its own."""
    if case.first is not None:
        return True
    return case.first_error is not None and not replay.MEANT.search(case.first_error)


def call(case: Case, arrays: dict[int, Any]) -> list[Value]:
    """The real results of a recorded call, with other arrays in the place of its inputs."""
    values = {key: a if isinstance(a, Value) else Value(a) for key, a in arrays.items()}
    args = [replay.live(a, values) for a in case.args]
    keywords = {k: replay.live(v, values) for k, v in case.kwargs.items()}
    out = replay.operation(case.name)(*args, **keywords)
    return [v for v in replay.values_of(out) if v.array.dtype.kind == "f"]


def inputs_of(case: Case) -> list[Tensor]:
    return [t for t in case.inputs if t.requires_grad]


def transposition(case: Case) -> float:
    """How far ⟨g, Jt⟩ is from ⟨Jᵀg, t⟩, relatively; Jt is the derivative of Jᵀu along u, against t."""
    if case.second_error is not None or not Line(case).smooth():
        return 0.0  # where PyTorch has no second derivative, and at kinks, there is no such law
    if case.name in ("qr", "linalg.qr") and singular(case):
        return 0.0  # nor for the factors of a singular matrix, whose derivative does not exist
    leaves = [Value(t.array.copy(), True) for t in inputs_of(case)]
    outs = call(case, {id(t): v for t, v in zip(inputs_of(case), leaves, strict=True)})
    outs = [y for y in outs if y.requires_grad]
    us = [Value(np.zeros(y.shape), True) for y in outs]
    rows = grad(outs, leaves, us, create_graph=True)
    if case.first is not None and any(np.abs(g).max(initial=0) > 1e8 for g in case.first if g is not None):
        return 0.0  # next to a singularity
    pairs = [(r, v) for r, v in zip(rows, leaves, strict=True) if r is not None and r.requires_grad]
    ts = [Value(recorded.cotangent(v.shape, k, 3)) for k, (_, v) in enumerate(pairs)]
    tangents = grad([r for r, _ in pairs], us, ts) if pairs else [None] * len(us)
    gs = [Value(recorded.cotangent(y.shape, k, 5)) for k, y in enumerate(outs)]
    left = sum(float((g.array * t.array).sum()) for g, t in zip(gs, tangents, strict=True) if t is not None)
    again = call(case, {id(t): v for t, v in zip(inputs_of(case), leaves, strict=True)})
    outs = [y for y in again if y.requires_grad]
    back = grad(outs, [v for _, v in pairs], gs) if pairs else []
    right = sum(float((b.array * t.array).sum()) for b, t in zip(back, ts, strict=True) if b is not None)
    if not (np.isfinite(left) and np.isfinite(right)):
        return 0.0
    return abs(left - right) / max(1.0, abs(left), abs(right))


def singular(case: Case) -> bool:
    """Whether a matrix among the inputs has no full rank."""
    matrices = [t.array for t in case.inputs if t.array.ndim >= 2 and t.array.size]
    return any((np.linalg.matrix_rank(a) < min(a.shape[-2:])).any() for a in matrices)


class Line:
    """A recorded call along a line through its inputs: the sum of its results, weighted as they were recorded."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.tensors = inputs_of(case)
        self.directions = [recorded.cotangent(t.array.shape, k, 7) for k, t in enumerate(self.tensors)]
        if case.name in SYMMETRIC or case.kwargs.get("hermitian"):
            self.directions = [d + np.swapaxes(d, -1, -2) for d in self.directions]

    def at(self, h: float) -> float:
        moved = {
            id(t): Value(t.array + h * d, True) for t, d in zip(self.tensors, self.directions, strict=True)
        }
        outs = [y for y in call(self.case, moved) if y.requires_grad]
        ws = replay.weights(outs, 1)
        return sum(float((y.array * w.array).sum()) for y, w in zip(outs, ws, strict=True))

    def gradient(self) -> list[Any]:
        """Our own gradient of the sum, where PyTorch has none."""
        leaves = {id(t): Value(t.array.copy(), True) for t in self.tensors}
        outs = [y for y in call(self.case, leaves) if y.requires_grad]
        found = grad(outs, list(leaves.values()), replay.weights(outs, 1))
        return [None if g is None else g.array for g in found]

    def slope(self, h: float) -> float:
        """The derivative by five points."""
        return (8 * (self.at(h) - self.at(-h)) - (self.at(2 * h) - self.at(-2 * h))) / (12 * h)

    def smooth(self) -> bool:
        """Whether no kink, pole or end of the domain is close by: slopes on both sides come together."""

        def bend(h: float) -> float:
            return abs(self.at(h) - 2 * self.at(0.0) + self.at(-h)) / h

        try:
            coarse, fine = bend(2e-3), bend(5e-4)
        except Error:
            return False
        return bool(fine <= 1e-6 or fine <= 0.5 * coarse)


def difference_problem(case: Case) -> str | None:
    """Whether the gradient, along one direction, is what five points of the function say."""
    if case.name in NOT_THE_LIMIT or (case.name in ("qr", "linalg.qr") and singular(case)):
        return None
    line = Line(case)
    gradient = case.first if case.first is not None else line.gradient()
    expected = sum(
        float((g * d).sum()) for g, d in zip(gradient, line.directions, strict=True) if g is not None
    )
    size = max(1.0, abs(expected))
    if size > 1e8 or not line.smooth():
        return None
    coarse, fine = line.slope(2e-3), line.slope(5e-4)
    if not abs(coarse - fine) <= 1e-7 * size:
        return None
    return None if abs(fine - expected) <= 1e-6 * size else f"slope {fine}, gradient {expected}"


def problems(case: Case) -> list[str]:
    """What is wrong with the derivatives of a call by these laws."""
    with np.errstate(all="ignore"):
        slope = difference_problem(case)
        gap = transposition(case)
    found = [] if slope is None else [slope]
    return found if gap <= 1e-9 else [*found, f"⟨g, Jt⟩ and ⟨Jᵀg, t⟩ differ by {gap:.1e}"]
