"""An operation, and `apply`: the only way in which one runs.

A call is bound to the parameters, its inputs are promoted, the kernel runs on arrays, and where an input takes part
in the graph a node is recorded. A call without any Value in it runs on bare arrays and gives bare arrays: that is how
derivative rules, which are written over operations, run at full speed when the backward pass itself is not recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine.context import enable_grad, state
from vardsl.engine.dtypes import NpDType, b1, f4, f8, i8, result_dtype
from vardsl.engine.tiles import add_up, folded_axes
from vardsl.engine.signature import REQUIRED, Signature, wrong_kind
from vardsl.engine.value import OPS, Like, Node, Value, make_view, script_place
from vardsl.errors import GradError, InternalError, ScriptTypeError, ScriptValueError, ShapeError

ndarray = np.ndarray
multiply = np.multiply
MODIFIED = (
    "one of the variables needed for gradient computation has been modified by an inplace operation: "
    "[{type} {shape}]{which}, is at version {now}; expected version {then} instead. Hint: enable anomaly detection "
    "to find the operation that failed to compute its gradient, with "
    "torch.autograd.set_detect_anomaly(True, check_nan=False)."
)


class NotImplementedRule:
    """Stands where PyTorch says that a derivative is not implemented."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence


class Rule:
    """One derivative rule. Its parameters' names say what it needs, and so what a node keeps:

    `g` the cotangent, `y` the output, an operation's parameter its value, `NAME_like` only shape and dtype of that
    parameter (`y_like` of the output), `needs` which inputs want a gradient (a tuple of bools).
    """

    __slots__ = ("arguments", "fn", "likes", "only", "takes_y")

    def __init__(self, fn: Callable[..., Any], signature: Signature) -> None:
        self.fn = fn
        self.arguments: list[tuple[str, int]] = []
        code = fn.__code__
        for name in code.co_varnames[: code.co_argcount]:
            self.arguments.append(_source_of(name, signature))
        self.takes_y = any(kind == "y" for kind, _ in self.arguments)
        self.likes = any(kind in ("like", "y_like") for kind, _ in self.arguments)
        # most rules of pointwise operations need one thing: found without the general way
        self.only = -2
        if len(self.arguments) == 1:
            kind, i = self.arguments[0]
            self.only = i if kind == "arg" else -1 if kind == "y" else -2

    def __call__(self, node: Node, g: Any, as_values: bool) -> Any:
        only = self.only
        if only != -2 and not as_values:
            if only == -1:
                return self.fn(node.y)
            a = node.args[only]
            if type(a) is Value:
                return self.fn(a.array)
        if as_values:
            return self.fn(*[_fetch(kind, i, node, g, True) for kind, i in self.arguments])
        given: list[Any] = []
        for kind, i in self.arguments:
            if kind == "g":
                given.append(g)
            elif kind == "arg":
                a = node.args[i]
                given.append(a.array if type(a) is Value else _fetch(kind, i, node, g, False))
            elif kind == "like":
                given.append(node.likes[i])
            elif kind == "y":
                given.append(node.y)
            else:
                given.append(_fetch(kind, i, node, g, False))
        return self.fn(*given)


def _source_of(name: str, signature: Signature) -> tuple[str, int]:
    if name in ("g", "y", "needs", "y_like"):
        return name, 0
    if name in signature.index:
        return "arg", signature.index[name]
    stem = name.removesuffix("_like")
    if stem != name and stem in signature.index:
        return "like", signature.index[stem]
    raise InternalError(f"a rule names {name!r}, which is no parameter")


def _fetch(kind: str, i: int, node: Node, g: Any, as_values: bool) -> Any:
    if kind == "g":
        return g
    if kind == "arg":
        a = node.args[i]
        if as_values:
            return a
        if type(a) is Value:
            return a.array
        if type(a) is list:
            return [x.array if type(x) is Value else x for x in a]
        return a
    if kind == "y":
        return _output(node) if as_values else node.y
    if kind == "like":
        return node.likes[i]
    if kind == "y_like":
        return Like(node.shape, node.dtype) if node.outputs is None else node.outputs
    return tuple(e is not None for e in node.edges)


def _output(node: Node) -> Any:
    """The node's output(s) as values on the graph."""
    if node.outputs is None:
        return _on_graph(node.y, node, 0)
    return tuple(_on_graph(a, node, k) for k, a in enumerate(node.y))


def _on_graph(array: Any, node: Node, index: int) -> Value:
    v = Value(array)
    if array.dtype.kind == "f":
        v._node, v.index = node, index
    return v


def check_versions(node: Node) -> None:
    """Raises GradError where a value that the node saved has been changed in place since."""
    versions, k = node.versions, 0
    if versions is None and node.vc is None:
        for a in node.args or ():
            if (type(a) is Value and a.vc is not None and a.vc[0]) or type(a) is list:
                break
        else:
            return
    for a in node.args or ():
        if type(a) is Value:
            then = versions[k] if versions is not None else 0
            k += 1
            if a.version != then:
                raise _modified(a.array, a.version, then, a.node)
        elif type(a) is list:
            for x in a:
                if type(x) is Value:
                    then = versions[k] if versions is not None else 0
                    k += 1
                    if x.version != then:
                        raise _modified(x.array, x.version, then, x.node)
    if node.vc is not None and node.y is not None and node.vc[0] != node.y_version:
        y = node.y if node.outputs is None else node.y[0]
        raise _modified(y, node.vc[0], node.y_version, node)


def _modified(array: Any, now: int, then: int, maker: Node | None) -> GradError:
    which = f", which is output 0 of {maker.stem}" if maker is not None else ""
    return GradError(
        MODIFIED.format(type=Value(array).type_name, shape=list(array.shape), which=which, now=now, then=then),
        hint="the backward pass needs the value from before the change: write x = x + … in place of x += …",
    )


def unbroadcast(g: Any, like: Like) -> Any:
    """Sums a cotangent down to the shape, and casts it to the dtype, of an input that was broadcast."""
    if g.shape != like.shape:
        if type(g) is Value:
            g = OPS["sum_to_size"](g, like.shape)
        else:
            g = sum_to(g, like.shape)
    if g.dtype != like.dtype if type(g) is not Value else g.array.dtype != like.dtype:
        g = OPS["_cast"](g, like.dtype)
    return g


def sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    """`g` summed over the dimensions in which `shape` is smaller; `shape` broadcasts to that of `g`."""
    axes = folded_axes(g.shape, shape)
    return np.asarray(add_up(g, axes, g.dtype, True)).reshape(shape) if axes else g.reshape(shape)


def mismatch(a: tuple[int, ...], b: tuple[int, ...]) -> str | None:
    """PyTorch's sentence for shapes that do not broadcast, or None."""
    n = max(len(a), len(b))
    for k in range(1, n + 1):
        x = a[-k] if k <= len(a) else 1
        y = b[-k] if k <= len(b) else 1
        if x != y and x != 1 and y != 1:
            return (
                f"The size of tensor a ({x}) must match the size of tensor b ({y}) at non-singleton dimension {n - k}"
            )
    return None


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


class Op:
    """An operation of the table. `kernel` takes the bound arguments with arrays for values.

    family    "elementwise" | "general" | "view" | "composite" | "fused" | "nondiff"
    promote   None, or how the array inputs are brought to one dtype: "same" (PyTorch's result_type), "float"
              (integers become the default real dtype), "bool" and "int" as "same" with results of that kind
    rules     by parameter name: a Rule, 1 or -1 (the factor of a linear elementwise operation), or a
              NotImplementedRule; `shared` is one Rule that gives the gradients of all array parameters
    """

    def __init__(self, name: str, fn: Callable[..., Any], signature: Signature, family: str) -> None:
        self.name = name
        self.fn = fn
        self.signature = signature
        self.family = family
        self.kernel: Callable[..., Any] = fn
        self.promote: str | None = None
        self.rules: dict[str, Any] = {}
        self.shared: Rule | None = None
        self.factor = family == "elementwise"
        self.grad_fn = ""
        self.fields: str | None = None
        self.number_result = False
        self.numbers = True  # whether plain numbers may stand for tensors next to one
        self.arrays = signature.arrays
        self.single = len(self.arrays) == len(signature.parameters) and not signature.has_lists
        self.saved: frozenset[int] = frozenset()
        self.keeps_y = False
        self.keeps_likes = False
        self.facts: dict[str, Any] = {}
        self.ufunc: Any = None
        self.rest = tuple(p.default for p in signature.parameters[2:])
        self.keep_a_for_a = self.keep_b_for_a = self.keep_a_for_b = self.keep_b_for_b = False
        self.inputs: list[tuple[int, Any]] = []
        self.short: tuple[Any, int] | None = None
        # a call with one array and nothing else needs no binding: `tail` are the other parameters' defaults
        tail = [p.default for p in signature.parameters[1:]]
        plain = self.arrays[:1] == (0,) and signature.parameters[0].kind == "Tensor"
        self.tail: list[Any] | None = tail if plain and all(d is not REQUIRED for d in tail) else None
        self.bare = family == "composite"  # a composite whose other parameters have their defaults is its body
        # on bare arrays (in a rule) the kernel is all that happens
        self.direct = family in ("general", "view", "nondiff") and bool(self.arrays) and not signature.has_lists
        self.light = family in ("elementwise", "general", "nondiff") and self.arrays == (0,)
        self.viewing = family == "view" and self.arrays == (0,)

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def doc(self) -> str:
        return self.fn.__doc__ or ""

    def set_rules(self, rules: dict[str, Any], shared: Rule | None) -> None:
        """Fixes what a node of this operation keeps."""
        self.rules, self.shared = rules, shared
        every = [r for r in rules.values() if isinstance(r, Rule)] + ([shared] if shared else [])
        self.saved = frozenset(i for r in every for kind, i in r.arguments if kind == "arg")
        self.keeps_y = any(r.takes_y for r in every)
        self.keeps_likes = any(r.likes for r in every)
        self.inputs = [(i, rules.get(self.signature.parameters[i].name)) for i in self.arrays]
        self.short = None
        if len(self.inputs) == 1 and shared is None and not self.signature.has_lists and self.family != "fused":
            i, rule = self.inputs[0]
            if type(rule) is Rule or (self.factor and type(rule) is int):
                self.short = (rule, i)
        if len(self.inputs) == 2:
            first, second = [
                {j for kind, j in r.arguments if kind == "arg"} if isinstance(r, Rule) else set() for _, r in self.inputs
            ]
            a, b = self.arrays
            self.keep_a_for_a, self.keep_b_for_a = a in first, b in first
            self.keep_a_for_b, self.keep_b_for_b = a in second, b in second

    # ---- calling ---------------------------------------------------------------------------------------------
    def __call__(self, *args: Any, **keywords: Any) -> Any:
        if not keywords:
            if len(args) == 1 and self.tail is not None:
                a = args[0]
                if type(a) is Value:
                    if type(self) is Op:
                        if self.light:
                            return self._unary([a, *self.tail])
                        if self.bare:
                            return self.fn(a)
                    return self.run([a, *self.tail])
                if self.direct and type(a) is ndarray:
                    return self.kernel(a, *self.tail)
            if self.direct and len(args) == len(self.signature.parameters):
                for i in self.arrays:
                    if type(args[i]) is not ndarray:
                        break
                else:
                    return self.kernel(*args)
            if self.single and len(args) == len(self.arrays):
                return self.run(list(args))
        return self.run(self.signature.bind(self.name, args, keywords))

    def _unary(self, bound: list[Any]) -> Any:
        """A bound call with one array, of a family that makes new memory."""
        a = bound[0]
        x = a.array
        if x.dtype.kind != "f":
            return self._general(bound)
        statics = bound[1:]
        try:
            y = self.kernel(x, *statics)
        except ValueError:
            return self._general(bound)
        if type(y) is tuple:
            return self._finished(self._wrap(y, bound, [x, *statics]), bound)
        v = Value(y if type(y) is ndarray else np.asarray(y))
        y = v.array
        ctx = state.ctx
        if ctx.tracer is not None:
            ctx.tracer.operation(self, bound, v)
        if ctx.anomaly:
            check_finite(self, v)
        if ctx.grad_enabled and y.dtype.kind == "f" and self.family != "nondiff":
            edge: Any = a._node if a.base is None else a.node
            index = a.index
            if edge is None:
                if not a._requires:
                    return v
                edge, index = a, 0
            node = Node(self, (edge,), (index,) if index else None)
            if 0 in self.saved:
                node.args = bound
                if a.vc is not None and a.vc[0]:
                    node.versions = (a.vc[0],)
            else:
                node.args = [None, *statics]
            node.shape, node.dtype = y.shape, y.dtype
            if self.keeps_y:
                node.y = y
            if self.keeps_likes or (self.factor and (y.shape != x.shape or y.dtype != x.dtype)):
                node.likes = (Like(x.shape, x.dtype), *[None] * len(statics))
            node.where = script_place()
            v._node = node
        return v

    def _view(self, bound: list[Any]) -> Any:
        """A bound call of an operation whose result shares the memory of its one array."""
        a = bound[0]
        try:
            y = self.kernel(a.array, *bound[1:])
        except ValueError:
            return self._general(bound)
        if type(y) is tuple:
            return self._finished(self._wrap(y, bound, [a.array, *bound[1:]]), bound)
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
            node = Node(self, (edge,), (index,) if index else None)
            node.args = [None, *bound[1:]]
            node.shape, node.dtype = y.shape, y.dtype
            if self.keeps_likes:
                node.likes = (Like(a.array.shape, a.array.dtype), *[None] * (len(bound) - 1))
            node.where = script_place()
            v._node = node
            node.vc, node.y_version = v.vc, v.seen
        return v

    def operator(self, a: Any, b: Any) -> Any:
        """The call that an infix operator makes: NotImplemented for what is no tensor or number."""
        if type(a) is not Value and not isinstance(a, (int, float, ndarray, np.generic)):
            return NotImplemented
        if type(b) is not Value and not isinstance(b, (int, float, ndarray, np.generic)):
            return NotImplemented
        return self.run([a, b, *self.rest])

    def infix(self, ufunc: Callable[..., Any]) -> None:
        """Lets the infix operator of this operation call `ufunc` directly."""
        self.ufunc = ufunc

    def binary(self, a: Any, b: Any) -> Any:
        """The infix operator on values and numbers of one real dtype, without the general way's questions."""
        if self.ufunc is None:
            return self.operator(a, b)
        if type(a) is Value:
            x = a.array
            dtype = x.dtype
            if type(b) is Value:
                z = b.array
                if z.dtype is not dtype or (dtype is not f4 and dtype is not f8):
                    return self.operator(a, b)
            elif (type(b) is float or type(b) is int) and (dtype is f4 or dtype is f8):
                z = _SCALARS[dtype].get(b)
                if z is None:
                    z = scalar(b, dtype)
            else:
                return self.operator(a, b)
        elif type(b) is Value and (type(a) is float or type(a) is int):
            z = b.array
            dtype = z.dtype
            if dtype is not f4 and dtype is not f8:
                return self.operator(a, b)
            x = _SCALARS[dtype].get(a)
            if x is None:
                x = scalar(a, dtype)
        else:
            return self.operator(a, b)
        if x.shape != z.shape and x.size * z.size > 1 << 24:
            return self.operator(a, b)
        try:
            y = self.ufunc(x, z)
        except ValueError:
            return self.operator(a, b)
        v = Value(y if type(y) is ndarray else np.asarray(y))
        ctx = state.ctx
        if ctx.tracer is not None:
            ctx.tracer.operation(self, [a, b, *self.rest], v)
        if ctx.anomaly:
            check_finite(self, v)
        if ctx.grad_enabled and self.rules:
            node = self._record_binary(a, b, v.array)
            if node is not None:
                v._node = node
        return v

    def _record_binary(self, a: Any, b: Any, y: Any) -> Node | None:
        ea: Any = None
        eb: Any = None
        indexed = 0
        if type(a) is Value:
            ea = a._node if a.base is None else a.node
            if ea is not None:
                indexed = a.index
            elif a._requires:
                ea = a
        if type(b) is Value:
            eb = b._node if b.base is None else b.node
            if eb is not None:
                indexed |= b.index
            elif b._requires:
                eb = b
        if ea is None and eb is None:
            return None
        node = Node(self, (ea, eb), (_index(a, ea), _index(b, eb)) if indexed else None)
        kept_a = kept_b = None
        if ea is not None:
            if self.keep_a_for_a:
                kept_a = a
            if self.keep_b_for_a:
                kept_b = b
        if eb is not None:
            if self.keep_a_for_b:
                kept_a = a
            if self.keep_b_for_b:
                kept_b = b
        node.args = (kept_a, kept_b, *self.rest) if self.rest else (kept_a, kept_b)
        va = 0 if kept_a is None or type(a) is not Value or a.vc is None else a.vc[0]
        vb = 0 if kept_b is None or type(b) is not Value or b.vc is None else b.vc[0]
        if va or vb:
            node.versions = tuple(v for v, x in ((va, kept_a), (vb, kept_b)) if type(x) is Value)
        shape = node.shape = y.shape
        node.dtype = y.dtype
        if self.keeps_y:
            node.y = y
        if (
            (ea is not None and a.array.shape != shape)
            or (eb is not None and b.array.shape != shape)
            or self.keeps_likes
        ):
            node.likes = (_like(a), _like(b), *[None] * len(self.rest))
        node.where = script_place()
        return node

    def run(self, bound: list[Any]) -> Any:
        """Runs a bound call: on arrays, on values, or for a pointwise operation on plain numbers."""
        if bound and type(bound[0]) is Value:
            if self.light:
                return self._unary(bound)
            if self.viewing:
                return self._view(bound)
            if self.family == "composite":
                return self.kernel(*bound)
        return self._general(bound)

    def _general(self, bound: list[Any]) -> Any:
        arrays = bound.copy()
        has_value = has_array = False
        for i in self.arrays:
            a = bound[i]
            t = type(a)
            if t is Value:
                arrays[i] = a.array
                has_value = True
            elif t is list:
                has_value |= any(type(x) is Value for x in a)
                has_array = True
                arrays[i] = [x.array if type(x) is Value else x for x in a]
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
            if self.family == "elementwise" and len(self.arrays) > 1:
                self._reserve(arrays)
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
        given = [arrays[i] for i in self.arrays if arrays[i] is not None]
        pairs = 1
        for a in given:
            pairs *= a.size or 1
        if pairs > 1 << 24:
            size = 1
            for n in np.broadcast_shapes(*[a.shape for a in given]):
                size *= n
            state.ctx.budget.reserve(size * given[-1].dtype.itemsize, f"{self.name.lstrip('_')}()")

    def _refuse_numbers(self, bound: list[Any]) -> None:
        i = self.arrays[0]
        p = self.signature.parameters[i]
        raise ScriptTypeError(
            f"{self.name}(): argument '{p.name}' (position {i + 1}) must be Tensor, not {type(bound[i]).__name__}"
        )

    def _plain(self, bound: list[Any]) -> Any:
        """On plain numbers: plain numbers, in double precision; integers stay integers where tensors of them would."""
        for i in self.arrays:
            if not isinstance(bound[i], (int, float)) and not (bound[i] is None and self.signature.parameters[i].optional):
                raise wrong_kind(self.name, i, self.signature.parameters[i], bound[i])
        plain = self.facts.get("plain")
        if plain is not None:
            return plain(*bound)
        given = [bound[i] for i in self.arrays if bound[i] is not None]
        whole = self.promote == "same" and all(isinstance(x, int) and abs(x) < 1 << 53 for x in given)
        dtype = (b1 if all(type(x) is bool for x in given) else i8) if whole else f8
        numbers = [np.asarray(b, dtype) if i in self.arrays and b is not None else b for i, b in enumerate(bound)]
        with np.errstate(all="ignore"):
            y = self.kernel(*numbers)
        if isinstance(y, tuple):
            return tuple(np.asarray(v).item() for v in y)
        return np.asarray(y).item()

    def _broadcasting(self, error: ValueError, bound: list[Any], arrays: list[Any]) -> Exception:
        """PyTorch's sentence where NumPy found shapes that do not broadcast; else the error itself."""
        if self.family != "elementwise":
            return error
        operands = [(self.signature.parameters[i].name, arrays[i].shape) for i in self.arrays if arrays[i] is not None]
        shape = operands[0][1]
        for _, other in operands[1:]:
            clash = mismatch(shape, other)
            if clash is not None:
                named = [(n, str(list(a))) for n, a in operands]
                return ShapeError(clash, operands=named)
            shape = np.broadcast_shapes(shape, other)
        return error

    def _promote(self, arrays: list[Any]) -> None:
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

    # ---- recording -------------------------------------------------------------------------------------------
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
                if v.vc is not None:
                    node.vc, node.y_version = v.vc, v.vc[0]
        return v

    def _value(self, a: Any, bound: list[Any], k: int | None = None) -> Value:
        if type(a) is not ndarray:
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

    def record(self, bound: list[Any], arrays: list[Any], y: Any) -> Node | None:
        """The node of this call, or None where nothing in it takes part in the graph."""
        if self.family == "nondiff" or not state.ctx.grad_enabled:
            return None
        edges: list[Any] = []
        indices: list[int] | None = None
        live = False
        for i in self.arrays:
            a = bound[i]
            for x in a if type(a) is list else (a,):
                edge: Any = None
                if type(x) is Value:
                    edge = x.node
                    if edge is not None:
                        live = True
                        if x.index:
                            indices = indices or [0] * len(edges)
                    elif x._requires:
                        edge, live = x, True
                if indices is not None:
                    indices += [0] * (len(edges) - len(indices))
                    indices.append(x.index if edge is not None and edge is not x else 0)
                edges.append(edge)
        if not live:
            return None
        node = Node(self, tuple(edges), tuple(indices) if indices is not None else None)
        self._save(node, bound, arrays, y)
        node.where = script_place()
        return node

    def _save(self, node: Node, bound: list[Any], arrays: list[Any], y: Any) -> None:
        if self.family == "fused":
            node.args = bound
        else:
            saved = self._saved_for(node) if self.rules and len(self.arrays) > 1 else self.saved
            node.args = [b if i in saved else None for i, b in enumerate(bound)]
        versions = [x.version for a in node.args for x in (a if type(a) is list else (a,)) if type(x) is Value]
        if any(versions):
            node.versions = tuple(versions)
        if type(y) is tuple:
            node.outputs = tuple(Like(a.shape, a.dtype) for a in y)
            node.shape, node.dtype = node.outputs[0].shape, node.outputs[0].dtype
        else:
            node.shape, node.dtype = y.shape, y.dtype
        if self.keeps_y:
            node.y = y
        if self.keeps_likes or self.family == "fused" or (self.factor and self._mixed(bound, node)):
            node.likes = [_like(b) if i in self.arrays else None for i, b in enumerate(bound)]

    def _saved_for(self, node: Node) -> set[int]:
        """Which arguments the rules of those inputs need that want a gradient."""
        if self.shared is not None or self.signature.has_lists:
            return set(self.saved)
        wanted: set[int] = set()
        for k, i in enumerate(self.arrays):
            rule = self.rules.get(self.signature.parameters[i].name)
            if node.edges[k] is not None and isinstance(rule, Rule):
                wanted.update(j for kind, j in rule.arguments if kind == "arg")
        return wanted

    def _mixed(self, bound: list[Any], node: Node) -> bool:
        for i in self.arrays:
            a = bound[i]
            if type(a) is Value and (a.array.shape != node.shape or a.array.dtype != node.dtype):
                return True
        return False

    def saves(self, node: Node) -> bool:
        """Whether freeing the node's arrays makes another backward impossible."""
        if not self.saved and self.family != "fused":
            return node.y is not None
        return node.y is not None or any(
            type(a) is Value or (i in self.arrays and a is not None) for i, a in enumerate(node.args)
        )

    # ---- backward -------------------------------------------------------------------------------------------
    def pull(self, node: Node, g: Any) -> Sequence[Any]:
        """The pullback on arrays. One-array operations, the bulk of most graphs, take a short way."""
        if self.short is None:
            return self.pullback(node, g, False)
        rule, i = self.short
        if self.saved or node.vc is not None:
            check_versions(node)
        likes = node.likes
        if self.factor:
            if likes is not None and g.shape != node.shape:
                g = _spread(g, node.shape)
            if type(rule) is Rule:
                r = multiply(g, rule(node, g, False))
            else:
                r = g if rule == 1 else -g
            return (r if likes is None else unbroadcast(r, likes[i]),)
        if g.shape != node.shape:
            g = _spread(g, node.shape)
        return (rule(node, g, False),)

    def pullback(self, node: Node, g: Any, as_values: bool) -> Sequence[Any]:
        """Cotangents of the inputs, one for each edge of the node, from that of its output."""
        if self.factor and not as_values and node.likes is None:
            if self.saved or node.vc is not None:
                check_versions(node)
            return self._factors(node, g)
        if self.saved or node.vc is not None:
            check_versions(node)
        if type(g) is list:
            g = self._filled(node, g, as_values)
        if node.outputs is None and g.shape != node.shape and (not self.factor or node.likes is not None):
            g = _spread(g, node.shape)
        if self.family == "fused":
            return self._recompute(node, g, as_values)
        if self.shared is not None:
            results = self.shared(node, g, as_values)
            if type(results) not in (tuple, list):
                results = (results,)
            return _flat(results, node)
        edges = node.edges
        if len(self.inputs) == 1 and not self.signature.has_lists:
            i, rule = self.inputs[0]
            return (None if rule is None else self._one(rule, i, node, g, as_values),)
        if not self.signature.has_lists:
            return [
                None if edges[k] is None or rule is None else self._one(rule, i, node, g, as_values)
                for k, (i, rule) in enumerate(self.inputs)
            ]
        results = []
        k = 0
        for i, rule in self.inputs:
            count = len(node.likes[i]) if node.likes is not None and type(node.likes[i]) is list else 1
            wanted = any(e is not None for e in node.edges[k : k + count])
            k += count
            if not wanted or rule is None:
                results.extend([None] * count)
                continue
            r = self._one(rule, i, node, g, as_values)
            results.extend(r if count > 1 or type(r) in (list, tuple) else [r])
        return results

    def _factors(self, node: Node, g: Any) -> Sequence[Any]:
        """The pullback on arrays of a pointwise operation whose inputs have the output's shape and dtype."""
        results: list[Any] = []
        edges = node.edges
        for k, (_, rule) in enumerate(self.inputs):
            if edges[k] is None or rule is None:
                results.append(None)
                continue
            factor = rule
            if type(rule) is Rule:
                only = rule.only
                if only >= 0:
                    a = node.args[only]
                    factor = rule.fn(a.array if type(a) is Value else a)
                elif only == -1:
                    factor = rule.fn(node.y)
                else:
                    factor = rule(node, g, False)
            if type(factor) is int and (factor == 1 or factor == -1):
                results.append(g if factor == 1 else -g)
            elif type(factor) is NotImplementedRule:
                raise GradError(factor.sentence)
            else:
                results.append(multiply(g, factor))
        return results

    def _one(self, rule: Any, i: int, node: Node, g: Any, as_values: bool) -> Any:
        if type(rule) is NotImplementedRule:
            raise GradError(rule.sentence)
        if not self.factor:
            return rule(node, g, as_values)
        factor = rule(node, g, as_values) if type(rule) is Rule else rule
        if type(factor) is int and (factor == 1 or factor == -1):
            r = g if factor == 1 else -g
        else:
            r = g * factor
        return r if node.likes is None else unbroadcast(r, node.likes[i])

    def _filled(self, node: Node, row: list[Any], as_values: bool) -> tuple[Any, ...]:
        """Zeros stand for cotangents of outputs that nothing used."""
        assert node.outputs is not None
        full = []
        for g, like in zip(row, node.outputs, strict=True):
            if g is None:
                g = np.zeros(like.shape, like.dtype)
                g = Value(g) if as_values else g
            elif type(g) is not Value and g.shape != like.shape:
                g = _spread(g, like.shape)
            full.append(g)
        return tuple(full)

    def _recompute(self, node: Node, g: Any, as_values: bool) -> Sequence[Any]:
        """Differentiates the body of a fused composite by running it again on the graph."""
        from_graph: list[Value] = []
        again = list(node.args)
        k = 0
        for i in self.arrays:
            a = node.args[i]
            items = a if type(a) is list else [a]
            fresh = []
            for x in items:
                if node.edges[k] is not None and type(x) is Value and not as_values:
                    x = Value(x.array, True)
                if node.edges[k] is not None:
                    from_graph.append(x)
                fresh.append(x)
                k += 1
            again[i] = fresh if type(a) is list else fresh[0]
        with enable_grad():
            if self.promote is not None:
                self._promote_values(again)
            y = self.kernel(*again)
        outs = list(y) if type(y) is tuple else [y]
        gs = list(g) if type(g) is tuple else [g]
        pairs = [(o, c if as_values else Value(np.asarray(c))) for o, c in zip(outs, gs) if o.requires_grad]
        found = iter(_grad([o for o, _ in pairs], from_graph, [c for _, c in pairs], as_values))
        results = [next(found) if e is not None else None for e in node.edges]
        return results if as_values else [None if r is None else r.array for r in results]

    def _promote_values(self, bound: list[Any]) -> None:
        arrays = [b.array if type(b) is Value else b for b in bound]
        self._promote(arrays)
        for i in self.arrays:
            if type(bound[i]) is Value and bound[i].array.dtype != arrays[i].dtype:
                bound[i] = OPS["_cast"](bound[i], arrays[i].dtype)


def _grad(outs: list[Value], ins: list[Value], gs: list[Value], create: bool) -> Sequence[Value | None]:
    if not outs:
        return [None] * len(ins)
    return GRAD[0](outs, ins, gs, create_graph=create)  # type: ignore[no-any-return]


GRAD: list[Callable[..., Any]] = []


def _flat(results: Sequence[Any], node: Node) -> list[Any]:
    flat: list[Any] = []
    for r in results:
        if type(r) is list:
            flat.extend(r)
        else:
            flat.append(r)
    if len(flat) != len(node.edges):
        raise InternalError(f"the rule of {node.op.name} gave {len(flat)} gradients for {len(node.edges)} inputs")
    return [r if e is not None else None for r, e in zip(flat, node.edges, strict=True)]


def _like(b: Any) -> Any:
    if type(b) is Value:
        return Like(b.array.shape, b.array.dtype)
    if type(b) is list:
        return [_like(x) for x in b]
    if isinstance(b, (ndarray, np.generic)):
        return Like(b.shape, b.dtype)
    return Like((), f4) if b is not None else None


def _index(x: Any, edge: Any) -> int:
    return 0 if edge is None or edge is x else x.index


def constant(g: Any, shape: tuple[int, ...]) -> Any:
    """A 0-d cotangent as one for all elements of `shape`, for the rules of full reductions.

    An array stays 0-d: `pullback` broadcasts it where an operation needs its size.
    """
    return OPS["expand"](g, shape) if type(g) is Value else g


def _spread(g: Any, shape: tuple[int, ...]) -> Any:
    """A cotangent at full size, where `constant` left it 0-d."""
    size = 1
    for n in shape:
        size *= n
    if size > 65_536:
        return np.broadcast_to(g, shape)
    full = np.empty(shape, g.dtype)
    full.fill(g)
    return full


_SCALARS: dict[NpDType, dict[int | float, Any]] = {f4: {}, f8: {}}


def scalar(x: int | float, dtype: NpDType) -> Any:
    """A plain number as a read-only 0-d array of a real dtype; the common ones are kept."""
    array = cast(x, dtype)
    kept = _SCALARS[dtype]
    if x and len(kept) < 1024:  # 0.0 and -0.0 are one key
        kept[x] = array
    return array


_INTERNED: dict[tuple[NpDType, type, Any], Any] = {}


def cast(x: Any, dtype: NpDType) -> Any:
    """An array of `dtype`; plain numbers wrap as PyTorch's do, and small common ones are kept."""
    if isinstance(x, (ndarray, np.generic)):
        return x.astype(dtype, copy=False)
    key = (dtype, type(x), x)
    found = _INTERNED.get(key)
    if found is not None and x:
        return found
    if isinstance(x, int) and (x >> 64 if x > 0 else x >> 63 != -1 and x):
        raise ScriptValueError("int too big to convert", hint="a tensor's integers have at most 64 bits")
    if isinstance(x, int) and dtype.kind in "iu":
        bits = dtype.itemsize * 8
        x = int(x) & ((1 << bits) - 1)
        array = np.array(x, np.uint64).astype(dtype) if bits == 64 else np.array(x, np.int64).astype(dtype)
    else:
        array = np.array(x).astype(dtype) if not isinstance(x, float) or dtype.kind != "f" else np.array(x, dtype)
    array.flags.writeable = False
    if len(_INTERNED) < 4096:
        _INTERNED[key] = array
    return array
