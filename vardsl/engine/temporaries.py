"""Large results that only the expression holds which is being evaluated: the next one may take their memory.

CPython counts references. An operand that a script's expression has just made is held by the evaluation
alone; one that has a name, or that a node, a view or a container refers to, has one reference more. How many
the evaluation has depends on the way into the operation, a `Path`, and is measured when Python starts, as the
operations see it; where the two cannot be told apart nothing is taken.
"""

from __future__ import annotations

import sys
from sys import getrefcount
from typing import Any

import numpy as np

from vardsl.engine.context import state


class Path:
    """A way from a script's expression into an operation.

    references  how many there are to a temporary operand, seen from `spare`; 0 where that tells nothing
    frames      how many calls the script is away from there
    """

    __slots__ = ("frames", "references")

    def __init__(self, temporary: int, named: int, frames: int) -> None:
        self.references = temporary if named > temporary else 0
        self.frames = frames


def spare(v: Any, path: Path) -> Any:
    """The memory of an operand, where nothing else will ever look at it; else None. Operations call it with
    their operand and its array in variables."""
    x = v.array
    if (
        getrefcount(v) != path.references
        or getrefcount(x) != _ARRAY
        or v.base is not None
        or v.vc is not None
        or v._requires
        or not x.flags.writeable
    ):
        return None
    ctx = state.ctx
    if ctx.tracer is not None or "__vardsl__" not in sys._getframe(path.frames).f_globals:
        return None
    return x if x.base is None or ctx.budget.pool.owns(x) else None


# ---- how many references there are -------------------------------------------------------------------------
class _Probe:
    """Stands for a value, and for an operation."""

    __add__: Any
    __truediv__: Any

    def __init__(self) -> None:
        self.array: Any = np.empty(0)

    def __radd__(self, other: Any) -> Any:
        return _OPERATION.binary(self, other)

    def binary(self, a: Any, b: Any) -> tuple[int, int]:
        x: Any = a.array  # noqa: F841 - the operation has it too
        return self.spare(a, b)

    def spare(self, a: Any, b: Any) -> tuple[int, int]:
        return _seen(a)

    def overloaded(self, a: Any, b: Any) -> Any:
        return self.binary(a, b)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        a = args[0]
        return self.unary([a])

    def unary(self, bound: list[Any]) -> tuple[int, int]:
        a = bound[0]
        x = a.array  # noqa: F841 - the operation has it too
        return _seen(a)


def _seen(v: Any) -> tuple[int, int]:
    x = v.array
    return getrefcount(v), getrefcount(x)


def _through(otherwise: Any) -> Any:
    """As `infix` makes it."""

    def call(a: Any, b: Any) -> Any:
        return otherwise(a, b)

    return call


def _helper(a: Any, b: Any) -> Any:
    return _operator(a, b)


_OPERATION = _Probe()
_operator = _through(lambda a, b: _OPERATION.binary(a, b))
_Probe.__add__ = _operator
_Probe.__truediv__ = _through(lambda a, b: _OPERATION.overloaded(a, b))


def _measured() -> list[tuple[int, int, int]]:
    """References by each path to a temporary and to a named operand, and to the operand's array."""
    op, other, named = _OPERATION, _Probe(), _Probe()
    pairs: list[Any] = [
        (_Probe() + other, named + other),
        (1 + _Probe(), 1 + named),
        (_Probe() / other, named / other),
        (_helper(_Probe(), other), _helper(named, other)),
        (op(_Probe()), op(named)),
    ]
    return [(t[0], n[0], t[1]) for t, n in pairs]


_COUNTS = _measured()
_ARRAY = _COUNTS[0][2] if len({array for _, _, array in _COUNTS}) == 1 else 0
BY_OPERATOR, BY_REFLECTION, BY_OVERLOAD, BY_HELPER, BY_CALL = [
    Path(temporary, named, frames)
    for (temporary, named, _), frames in zip(_COUNTS, (5, 4, 6, 6, 3), strict=True)
]
