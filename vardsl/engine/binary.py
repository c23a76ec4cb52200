"""An operation as the infix operator between any two operands: tensors, arrays, numbers.

Operands of one real dtype are computed without the questions of a call; all others go the general way. Small
ones mostly do not come here: see `infix.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from vardsl.engine.casting import SCALAR_TYPES, SCALARS, cast, scalar
from vardsl.engine.context import state
from vardsl.engine.dtypes import NpDType, f4, f8
from vardsl.engine.large import LARGE, room
from vardsl.engine.pullback import Pullback
from vardsl.engine.temporaries import Path, spare
from vardsl.engine.value import Tracked, Value
from vardsl.errors import ScriptValueError

ndarray = np.ndarray
_ON_SCALARS: dict[Any, Callable[..., Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
}
_EXACT = 1 << 53


def _alike(s: type, t: type, x: Any, z: Any) -> bool:
    """Whether one of two scalars decides the dtype of both, and the other is its like or a plain number."""
    if s in SCALAR_TYPES:
        return t is s or t is float or (t is int and -_EXACT < z < _EXACT)
    return t in SCALAR_TYPES and (s is float or (s is int and -_EXACT < x < _EXACT))


def _like(t: type, x: Any, dtype: NpDType) -> bool:
    """Whether an operand is an array or a scalar of this dtype."""
    return (t is ndarray or t in SCALAR_TYPES) and x.dtype is dtype


def check_finite(op: Any, result: Any) -> None:
    """Raises ScriptValueError for the first NaN or infinity, while `detect_anomaly(true)` is in force."""
    for v in result if isinstance(result, tuple) else (result,):
        if type(v) is Value and v.array.dtype.kind == "f" and not np.isfinite(v.array).all():
            flat = v.array.ravel()
            k = int(np.argmin(np.isfinite(flat)))
            at = ", ".join(map(str, np.unravel_index(k, v.array.shape)))
            where = f" at [{at}]" if v.array.ndim else ""
            raise ScriptValueError(
                f"{op.name.strip('_')}() made {flat[k]}{where}, the first NaN or infinity",
                hint="detect_anomaly(false) lets it pass",
            )


class Binary(Pullback):
    """The part of an operation that is an infix operator."""

    def run(self, bound: list[Any]) -> Any:
        """Runs a bound call."""
        raise NotImplementedError

    def operator(self, a: Any, b: Any) -> Any:
        """The call that an infix operator makes: NotImplemented for what is no tensor or number."""
        if type(a) is not Value or type(b) is not Value:
            if isinstance(a, Tracked) and type(b) is Value:
                return self.binary(a.beside(self.name, b), b)
            if isinstance(b, Tracked) and type(a) is Value:
                return self.binary(a, b.beside(self.name, a))
        if type(a) is not Value and not isinstance(a, (int, float, ndarray, np.generic)):
            return NotImplemented
        if type(b) is not Value and not isinstance(b, (int, float, ndarray, np.generic)):
            return NotImplemented
        return self.run([a, b, *self.rest])

    def infix(self, ufunc: Callable[..., Any], on_scalars: Callable[..., Any] | None = None) -> None:
        """Lets the infix operator of this operation call `ufunc` directly, or `on_scalars` where both
        operands are scalars."""
        self.ufunc = ufunc
        self.on_scalars = on_scalars
        if isinstance(ufunc, np.ufunc):
            # IEEE 754 leaves no choice in these: what NumPy's scalars give is what its loops give
            self.on_scalars = _ON_SCALARS.get(ufunc, ufunc)
            self.keeps_dtype = "ff->f" in ufunc.types

    def binary(self, a: Any, b: Any, path: Path | None = None) -> Any:
        """The infix operator on values and numbers of one real dtype, without the general way's questions.

        `path` is how a script's expression comes here, where one may have done so.
        """
        ctx = state.ctx
        if ctx.tracer is not None and ctx.tracer.defers:
            return self.operator(a, b)
        ufunc = self.ufunc
        if ufunc is None:
            return self.operator(a, b)
        x: Any = a.array if type(a) is Value else a
        z: Any = b.array if type(b) is Value else b
        s, t = type(x), type(z)
        out = None
        if s is ndarray and t is ndarray:
            dtype = x.dtype
            if z.dtype is not dtype or (dtype is not f4 and dtype is not f8):
                return self.operator(a, b)
            n = x.size * z.size
            if n > 1 << 24:
                if x.shape != z.shape:
                    return self.operator(a, b)
                if self.keeps_dtype and x.size >= LARGE:
                    out = self._spare(a, b, path)
                    out = room(x) if out is None else out
        elif t is ndarray and (s is float or s is int) and (z.dtype is f4 or z.dtype is f8):
            x = SCALARS[z.dtype].get(x)
            if x is None:
                x = scalar(a, z.dtype)
            if z.size >= LARGE and self.keeps_dtype:
                out = self._spare(a, b, path)
                out = room(z) if out is None else out
        elif s is ndarray and (t is float or t is int) and (x.dtype is f4 or x.dtype is f8):
            z = SCALARS[x.dtype].get(z)
            if z is None:
                z = scalar(b, x.dtype)
            if x.size >= LARGE and self.keeps_dtype:
                out = self._spare(a, b, path)
                out = room(x) if out is None else out
        else:
            alike = self.alike(x, z)
            if alike is None:
                return self.operator(a, b)
            ufunc, x, z = alike
        try:
            y = ufunc(x, z) if out is None else ufunc(x, z, out)
        except ValueError:
            return self.operator(a, b)
        if type(y) is not ndarray and type(y) not in SCALAR_TYPES:
            y = np.asarray(y)
        v = Value(y)
        if ctx.tracer is not None or ctx.anomaly:
            self._watched(v, a, b)
        if ctx.grad_enabled and self.rules:
            self.record_pair(a, b, x, z, v)
        return v

    def _spare(self, a: Any, b: Any, path: Path | None) -> Any:
        """The memory of an operand that neither the graph nor anything else needs after this, or None."""
        if path is None:
            return None
        live_a = type(a) is Value and (a._requires or a._node is not None)
        live_b = type(b) is Value and (b._requires or b._node is not None)
        kept = (False, False)
        if state.ctx.grad_enabled and (live_a or live_b):
            kept = self.for_both if live_a and live_b else self.for_left if live_a else self.for_right
        out = None
        if type(a) is Value and not kept[0]:
            out = spare(a, path)
        if out is None and type(b) is Value and not kept[1]:
            out = spare(b, path)
        return out

    def alike(self, x: Any, z: Any) -> tuple[Any, Any, Any] | None:
        """What computes with an array and a number, or two numbers, and those in one real dtype; None where
        the general way must be asked."""
        s, t = type(x), type(z)
        if s is ndarray or t is ndarray:
            dtype = x.dtype if s is ndarray else z.dtype
            if dtype is not f4 and dtype is not f8:
                return None
            return (self.ufunc, x, z) if _like(s, x, dtype) and _like(t, z, dtype) else None
        if not ((t is float and s in SCALAR_TYPES) or _alike(s, t, x, z)):
            return None
        if self.on_scalars is not None:
            return self.on_scalars, x, z
        dtype = x.dtype if s in SCALAR_TYPES else z.dtype
        return self.ufunc, cast(x, dtype), cast(z, dtype)

    def _watched(self, v: Value, a: Any, b: Any) -> None:
        """Tells who listens of an infix operation, and looks for NaN where that is asked."""
        ctx = state.ctx
        if ctx.tracer is not None:
            v.array = np.asarray(v.array)
            ctx.tracer.operation(self, [a, b, *self.rest], v)
        if ctx.anomaly:
            check_finite(self, v)

    def pair(self, a: Value, b: Value, kernel: Callable[..., Any]) -> Any:
        """A call with two tensors of one real dtype and nothing else, of an operation that makes new memory
        of them; `kernel` gives its result, or a ValueError where the operation has its own to say."""
        ctx = state.ctx
        if ctx.tracer is not None and ctx.tracer.defers:
            return self.run([a, b])
        x, z = a.array, b.array
        dtype = x.dtype
        if (dtype is not f4 and dtype is not f8) or z.dtype is not dtype:
            return self.run([a, b])
        try:
            y = kernel(x, z)
        except ValueError:
            return self.run([a, b])
        v = Value(y)
        if ctx.tracer is not None or ctx.anomaly:
            self._watched(v, a, b)
        if ctx.grad_enabled:
            self.record_pair(a, b, x, z, v, 5)
        return v
