"""An operation, and `apply`: the only way in which one runs.

A call is bound to the parameters, its inputs are promoted, the kernel runs on arrays, and where an input
takes part in the graph a node is recorded. A call without any Value in it runs on bare arrays and gives bare
arrays: that is how derivative rules, which are written over operations, run at full speed when the backward
pass itself is not recorded.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

import vardsl.engine.infix  # noqa: F401 - gives tensors their operators
from vardsl.engine.binary import Binary, check_finite
from vardsl.engine.casting import SCALAR_TYPES, cast
from vardsl.engine.context import state
from vardsl.engine.dtypes import NpDType, b1, f4, f8, i8, result_dtype
from vardsl.engine.large import LARGE, pointwise
from vardsl.engine.node import Like, Node, next_sequence, script_place, step
from vardsl.engine.pending import Pending
from vardsl.engine.signature import wrong_kind
from vardsl.engine.temporaries import BY_CALL, spare
from vardsl.engine.value import Tracked, Value, make_view
from vardsl.errors import ScriptTypeError, ShapeError

ndarray = np.ndarray
_new, _getframe = object.__new__, sys._getframe


def mismatch(a: tuple[int, ...], b: tuple[int, ...]) -> str | None:
    """PyTorch's sentence for shapes that do not broadcast, or None."""
    n = max(len(a), len(b))
    for k in range(1, n + 1):
        x = a[-k] if k <= len(a) else 1
        y = b[-k] if k <= len(b) else 1
        if x != y and x != 1 and y != 1:
            return (
                f"The size of tensor a ({x}) must match the size of tensor b ({y}) "
                f"at non-singleton dimension {n - k}"
            )
    return None


class Op(Binary):
    """An operation that can be called; see `Declared` for what it is made of."""

    # ---- calling -------------------------------------------------------------------------------------------
    def __call__(self, *args: Any, **keywords: Any) -> Any:
        if not keywords:
            n = len(args)
            if n == 1 and self.tail is not None:
                a = args[0]
                if type(a) is Value:
                    if type(self) is Op:
                        if self.alone:
                            v = self._alone(a)
                            if v is not None:
                                return v
                        if self.light:
                            return self._unary([a, *self.tail])
                        if self.leading:
                            return self.fn(a)
                    return self.run([a, *self.tail])
                if type(a) is ndarray and (self.direct or (self.pointwise and a.dtype.kind == "f")):
                    return self.kernel(a, *self.tail)
            if 1 < n <= self.leading and n >= self.signature.required and type(self) is Op:
                for a in args:
                    if type(a) is not Value:
                        break
                else:
                    return self.fn(*args)
            if n == 2 and self.two and type(args[0]) is ndarray and type(args[1]) is ndarray:
                return self.kernel(*args)
            if self.direct and n == len(self.signature.parameters):
                for i in self.arrays:
                    if type(args[i]) is not ndarray and (args[i] is not None or i not in self.optional):
                        break
                else:
                    return self.kernel(*args)
            if self.single and n == len(self.arrays):
                return self.run(list(args))
        return self.run(self.signature.bind(self.name, args, keywords))

    def _alone(self, a: Value) -> Value | None:
        """`_unary` of a small array of reals and nothing else, in one call; None where it is not that."""
        x = a.array
        ctx = state.ctx
        if (
            type(x) is not ndarray
            or ((dtype := x.dtype) is not f4 and dtype is not f8)
            or x.size >= LARGE
            or ctx.tracer is not None
            or ctx.anomaly
        ):
            return None
        y = self.kernel(x)
        v = Value(y)
        if not ctx.grad_enabled:
            return v
        edge: Any = a._node if a.base is None else a.node
        if edge is None:
            if not a._requires:
                return v
            edge = a
        made = y.shape
        node = v._node = _new(Node)
        node.op = self
        node.left = edge
        node.shape = made
        node.dtype = y.dtype
        node.y = y if self.keeps_y else None
        node.seq = next_sequence()
        node.right = node.many = node.rare = node.versions = node.likes = None
        if self.keeps_a:
            node.args = [a]
            if a.vc is not None and a.vc[0]:
                node.versions = (a.vc[0],)
        else:
            node.args = self.statics
        if self.keeps_likes or (self.sums and (made != x.shape or y.dtype is not dtype)):
            node.likes = (Like(x.shape, dtype),)
        frame = _getframe(2)
        if "__vardsl__" in frame.f_globals:
            node.code = frame.f_code
            node.lasti = frame.f_lasti
        else:
            node.where = script_place(3)
        if edge is not a and a.index:
            node.indices = (a.index,)
        return v

    def _unary(self, bound: list[Any]) -> Any:
        """A bound call with one array, of a family that makes new memory."""
        a = bound[0]
        x = a.array
        dtype = x.dtype
        if dtype is not f4 and dtype is not f8:
            return self._general(bound)
        if type(x) is not ndarray and type(x) not in SCALAR_TYPES:
            return self._general(bound)
        if type(x) is not ndarray and self.family != "elementwise":
            x = np.asarray(x)
        ctx = state.ctx
        if ctx.tracer is not None and ctx.tracer.defers:
            return self._general(bound)
        try:
            if x.size >= LARGE and self.pointwise and type(x) is ndarray:
                kept = 0 in self.saved and state.ctx.grad_enabled and (a._requires or a._node is not None)
                out = None if kept else spare(a, BY_CALL)
                y = pointwise(self.kernel, [x, *bound[1:]], out)
            else:
                y = self.kernel(*[x, *bound[1:]]) if len(bound) > 1 else self.kernel(x)
        except ValueError:
            return self._general(bound)
        if type(y) is not ndarray and type(y) not in SCALAR_TYPES:
            if type(y) is tuple:
                return self._finished(self._wrap(y, bound, [x, *bound[1:]]), bound)
            y = np.asarray(y)
        v = Value(y)
        if ctx.tracer is not None:
            v.array = y = np.asarray(y)
            ctx.tracer.operation(self, bound, v)
        if ctx.anomaly:
            check_finite(self, v)
        if ctx.grad_enabled and self.differentiable:
            self._record_one(bound, a, x, v)
        return v

    def _record_one(self, bound: list[Any], a: Value, x: Any, v: Value) -> None:
        """Gives `v`, made of the one array `x` of `a`, its node where that takes part in the graph."""
        y = v.array
        edge: Any = a._node if a.base is None else a.node
        index = a.index
        if edge is None:
            if not a._requires:
                return
            edge, index = a, 0
        if y.dtype.kind != "f":
            return
        saves = 0 in self.saved
        likes = None
        if self.keeps_likes or (self.sums and (y.shape != x.shape or y.dtype is not x.dtype)):
            likes = (Like(x.shape, x.dtype),)
        kept = bound if saves else self.statics if len(bound) == 1 else [None, *bound[1:]]
        node = v._node = step(self, edge, None, kept, y if self.keeps_y else None, likes, y, 4)
        if index:
            node.indices = (index,)
        if saves and a.vc is not None and a.vc[0]:
            node.versions = (a.vc[0],)

    def _view(self, bound: list[Any]) -> Any:
        """A bound call of an operation whose result shares the memory of its one array."""
        a = bound[0]
        x = a.array
        if type(x) is not ndarray:
            if type(x) is Pending:
                return self._general(bound)
            x = a.memory()
        try:
            y = self.kernel(x, *bound[1:])
        except ValueError:
            return self._general(bound)
        if type(y) is tuple:
            return self._finished(self._wrap(y, bound, [x, *bound[1:]]), bound)
        return self.view_of(a, y if type(y) is ndarray else np.asarray(y), bound)

    def view_of(self, a: Value, y: Any, bound: Sequence[Any]) -> Value:
        """The value for a view `y` of the memory of `a`, with its node where one is recorded."""
        ctx = state.ctx
        recorded = ctx.grad_enabled
        v = make_view(y, a, self, (tuple(bound), None), differentiable=recorded)
        if ctx.tracer is not None:
            ctx.tracer.operation(self, bound, v)
        if recorded and y.dtype.kind == "f":
            edge: Any = a._node if a.base is None else a.node
            index = a.index
            if edge is None:
                if not a._requires:
                    return v
                edge, index = a, 0
            likes = None
            if self.keeps_likes:
                likes = (Like(a.array.shape, a.array.dtype), *[None] * (len(bound) - 1))
            node = v._node = step(self, edge, None, [None, *bound[1:]], None, likes, y)
            if index:
                node.indices = (index,)
        return v

    def run(self, bound: list[Any]) -> Any:
        """Runs a bound call: on arrays, on values, or for a pointwise operation on plain numbers."""
        if bound and type(bound[0]) is Value:
            if self.light:
                return self._unary(bound)
            if self.viewing:
                return self._view(bound)
            if self.family == "composite":
                return self.kernel(*bound)
            if self.several:
                return self._several(bound)
        elif self.direct and type(bound[0]) is ndarray and self.arrays == (0,):
            return self.kernel(*bound)
        return self._general(bound)

    def _several(self, bound: list[Any]) -> Any:
        """A bound call with several arrays, of an operation that makes new memory and promotes nothing."""
        ctx = state.ctx
        if ctx.tracer is not None or ctx.anomaly:
            return self._general(bound)
        arrays = bound.copy()
        for i in self.arrays:
            a = bound[i]
            if type(a) is Value:
                a = arrays[i] = a.array
            if type(a) is not ndarray and a is not None:
                return self._general(bound)
        y = self.kernel(*arrays)
        if type(y) is not ndarray:
            if type(y) not in SCALAR_TYPES:
                return self._wrap(y, bound, arrays)
            y = np.asarray(y)
        v = Value(y)
        if ctx.grad_enabled and y.dtype.kind == "f":
            v._node = self.record_first(bound, y)
        return v

    def _general(self, bound: list[Any]) -> Any:
        tracer = state.ctx.tracer
        if tracer is not None and tracer.defers and self.family != "composite":
            found = tracer.defer(self, bound)
            if found is not None:
                return found
        arrays = bound.copy()
        has_value = has_array = False
        for i in self.arrays:
            a = bound[i]
            t = type(a)
            if t is Value:
                x = a.array
                arrays[i] = x if type(x) is ndarray else a.memory() if self.family == "view" else np.array(x)
                has_value = True
            elif t is Pending:
                bound[i] = arrays[i] = a.real()
                has_array = True
            elif t is list:
                has_value |= any(type(x) is Value for x in a)
                has_array = True
                arrays[i] = [np.asarray(x.array) if type(x) is Value else x for x in a]
            elif t is ndarray or isinstance(a, np.generic):
                has_array = True
        if not has_value and not has_array:
            if self.family == "elementwise" or self.facts.get("pointwise"):
                return self._plain(bound)
            if self.arrays and self.family != "composite":
                self._refuse_numbers(bound)
        if self.family == "composite":
            return self.kernel(*bound)
        if self.promote is not None:
            self._promote(arrays)
        try:
            if self.family == "elementwise":
                if len(self.arrays) > 1:
                    self._reserve(arrays)
                # in a rule NumPy itself computes in the memory of temporary arrays, if that is theirs
                y = pointwise(self.kernel, arrays) if has_value else self.kernel(*arrays)
            else:
                y = self.kernel(*arrays)
        except ValueError as error:
            raise self._broadcasting(error, bound, arrays) from None
        if not has_value and (has_array or not self.facts.get("creates")):
            return y
        return self._finished(self._wrap(y, bound, arrays), bound)

    def _finished(self, result: Any, bound: list[Any]) -> Any:
        ctx = state.ctx
        if ctx.tracer is not None:
            ctx.tracer.operation(self, bound, result)
        if ctx.anomaly:
            check_finite(self, result)
        return result

    def _reserve(self, arrays: list[Any]) -> None:
        """Asks for the memory of what several shapes broadcast to, where that may be much."""
        pairs = 1
        for i in self.arrays:
            a = arrays[i]
            if a is not None:
                pairs *= a.size or 1
        if pairs > 1 << 24:
            given = [arrays[i] for i in self.arrays if arrays[i] is not None]
            size = 1
            for n in np.broadcast_shapes(*[a.shape for a in given]):
                size *= n
            state.ctx.budget.reserve(size * given[-1].dtype.itemsize, f"{self.name.lstrip('_')}()")

    def _refuse_numbers(self, bound: list[Any]) -> None:
        i = self.arrays[0]
        p = self.signature.parameters[i]
        raise ScriptTypeError(
            f"{self.name}(): argument '{p.name}' (position {i + 1}) must be Tensor, not "
            f"{type(bound[i]).__name__}"
        )

    def _plain(self, bound: list[Any]) -> Any:
        """On plain numbers: plain numbers, in double precision; integers stay integers where tensors of them
        would."""
        if len(bound) == 1 and isinstance(bound[0], Tracked):
            return bound[0].combined(self)
        for i in self.arrays:
            if not isinstance(bound[i], (int, float)) and not (
                bound[i] is None and self.signature.parameters[i].optional
            ):
                raise wrong_kind(self.name, i, self.signature.parameters[i], bound[i])
        plain = self.facts.get("plain")
        if plain is not None:
            return plain(*bound)
        given = [bound[i] for i in self.arrays if bound[i] is not None]
        whole = self.promote == "same" and all(isinstance(x, int) and abs(x) < 1 << 53 for x in given)
        dtype = (b1 if all(type(x) is bool for x in given) else i8) if whole else f8
        numbers = [
            np.asarray(b, dtype) if i in self.arrays and b is not None else b for i, b in enumerate(bound)
        ]
        with np.errstate(all="ignore"):
            y = self.kernel(*numbers)
        if isinstance(y, tuple):
            return tuple(np.asarray(v).item() for v in y)
        return np.asarray(y).item()

    def _broadcasting(self, error: ValueError, bound: list[Any], arrays: list[Any]) -> Exception:
        """PyTorch's sentence where NumPy found shapes that do not broadcast; else the error itself."""
        if self.family != "elementwise":
            return error
        operands = [
            (self.signature.parameters[i].name, arrays[i].shape) for i in self.arrays if arrays[i] is not None
        ]
        shape = operands[0][1]
        for _, other in operands[1:]:
            clash = mismatch(shape, other)
            if clash is not None:
                named = [(n, str(list(a))) for n, a in operands]
                return ShapeError(clash, operands=named)
            shape = np.broadcast_shapes(shape, other)
        return error

    def _promote(self, arrays: list[Any]) -> None:
        if self._agree(arrays):
            return
        ctx_default = state.ctx.default_dtype
        inputs = [arrays[i] for i in self.arrays if arrays[i] is not None]
        if len(inputs) == 1 and isinstance(inputs[0], ndarray):
            dtype: NpDType = inputs[0].dtype
        else:
            flat = [x for a in inputs for x in (a if type(a) is list else (a,))]
            dtype = result_dtype(flat, ctx_default)
        if self.promote == "float" and dtype.kind != "f":
            dtype = ctx_default
        for i in self.arrays:
            a = arrays[i]
            if a is None:
                continue
            if type(a) is list:
                arrays[i] = [cast(x, dtype) for x in a]
            elif type(a) is not ndarray or a.dtype is not dtype:
                if not isinstance(a, (ndarray, np.generic)) and (
                    not self.numbers or not isinstance(a, (int, float))
                ):
                    raise wrong_kind(self.name, i, self.signature.parameters[i], a)
                arrays[i] = cast(a, dtype)

    def _agree(self, arrays: list[Any]) -> bool:
        """Whether all inputs are arrays of one dtype, and that is the one to compute in."""
        dtype = None
        for i in self.arrays:
            a = arrays[i]
            if type(a) is ndarray:
                if dtype is None:
                    dtype = a.dtype
                elif a.dtype is not dtype:
                    return False
            elif a is not None:
                return False
        return dtype is not None and (self.promote != "float" or dtype.kind == "f")

    def _wrap(self, y: Any, bound: list[Any], arrays: list[Any]) -> Any:
        if type(y) is tuple:
            values = tuple([self._value(a, bound, k) for k, a in enumerate(y)])
            if not values:
                return values
            node = self.record(bound, arrays, y)
            if node is not None:
                for k, v in enumerate(values):
                    if v.array.dtype.kind == "f":
                        v._node, v.index = node, k
            return values
        v = self._value(y, bound)
        if v.array.dtype.kind == "f":
            node = self.record(bound, arrays, v.array)
            if node is not None:
                v._node = node
                if v.vc is not None and node.y is not None:
                    node.vc, node.y_version = v.vc, v.vc[0]
        return v

    def _value(self, a: Any, bound: list[Any], k: int | None = None) -> Value:
        if type(a) is not ndarray and type(a) is not Pending:
            a = np.asarray(a)
        if self.family == "view":
            source = bound[self.arrays[0]]
            if type(source) is Value:
                return make_view(a, source, self, (tuple(bound), k), differentiable=state.ctx.grad_enabled)
        return Value(a)

    def apply_view(self, value: Value, args: Any) -> Value:
        """The same view of another value; of several outputs the one that `args` says."""
        bound, k = args
        again = list(bound)
        again[self.arrays[0]] = value
        result = self.run(again)
        return result if k is None else result[k]  # type: ignore[no-any-return]
