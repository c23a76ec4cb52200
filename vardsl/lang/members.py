"""What stands after a dot: closed tables of properties, methods and assignable members, by kind of value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np

from vardsl.engine.backward import backward as run_backward
from vardsl.engine.context import state, unfollowed
from vardsl.engine.dtypes import BY_NP, DType
from vardsl.engine.node import Node
from vardsl.engine.value import EPOCH, OPS, HookHandle, Value, leaf
from vardsl.errors import GradError, ScriptIndexError, ScriptNameError, ScriptTypeError
from vardsl.ops import define
from vardsl.ops.define import Tensors
from vardsl.ops.index import FAMILIES

Method = Callable[..., Any]


class Shape(tuple[int, ...]):
    """The sizes of a tensor's dimensions; it prints as `[2, 3]`."""

    __slots__ = ()

    def __getitem__(self, k: Any) -> Any:
        found = tuple.__getitem__(self, k)
        return Shape(found) if isinstance(k, slice) else found

    def __add__(self, other: Any) -> Any:
        return Shape(tuple.__add__(self, other)) if isinstance(other, tuple) else NotImplemented

    def numel(self) -> int:
        n = 1
        for k in self:
            n *= k
        return n

    def __repr__(self) -> str:
        return f"[{', '.join(map(str, self))}]"


class Row(tuple[Any, ...]):
    """What `tolist()` gives: a tuple that prints as PyTorch's list, `[1.0, 2.0]`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"[{', '.join(map(repr, self))}]"


class Bound:
    """A method of a value that is not called yet."""

    __slots__ = ("method", "name", "owner")

    def __init__(self, owner: Any, name: str, method: Method) -> None:
        self.owner = owner
        self.name = name
        self.method = method

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.method(self.owner, *args, **keywords)

    def __repr__(self) -> str:
        return f"<fn {self.name}>"


# ---- what a value is, in words -------------------------------------------------------------------
_WORDS: tuple[tuple[type, str, str], ...] = (
    (bool, "bool", "a boolean"),
    (int, "int", "an integer"),
    (float, "float", "a real"),
    (str, "str", "a string"),
    (Value, "tensor", "a tensor"),
    (Shape, "shape", "a shape"),
    (tuple, "tuple", "a tuple"),
    (np.ndarray, "array", "an array"),
    (DType, "dtype", "a dtype"),
    (range, "range", "a range"),
    (Node, "node", "a node of the graph"),
    (FunctionType, "function", "a function"),
)


def kind_of(x: Any) -> str:
    """`a string`, `a tensor`, …, for error messages."""
    if x is None:
        return "none"
    for t, _, words in _WORDS:
        if isinstance(x, t):
            return words
    own = getattr(type(x), "WORDS", None)
    return own or ("a function" if callable(x) else f"a {type(x).__name__.lower()}")


def type_word(x: Any) -> str:
    """`int`, `tensor`, …: the answer of `type(x)`."""
    if x is None:
        return "none"
    for t, word, _ in _WORDS:
        if isinstance(x, t):
            return word
    return "function" if callable(x) else type(x).__name__.lower()


def check_iterable(x: Any) -> None:
    """Raises ScriptTypeError for what a loop cannot go through."""
    if isinstance(x, (str, tuple, range, Value, np.ndarray)) or hasattr(type(x), "__iter__"):
        return
    hint = f"range({x}) counts from 0 to {x - 1}" if type(x) is int and x > 0 else None
    raise ScriptTypeError(f"{kind_of(x)} cannot be gone through", hint=hint)


# ---- tensors -------------------------------------------------------------------------------------
def _op(name: str) -> Callable[[Value], Any]:
    return lambda v: OPS[name](v)


def _grad(v: Value) -> Value | None:
    if state.ctx.tracer is not None:
        state.ctx.tracer.looked_at_grad(v)
    g = v._grad
    return v.grad if g is None else g


PROPERTIES: dict[str, Callable[[Value], Any]] = {
    "grad": _grad,
    "data": lambda v: v.data,
    "grad_fn": lambda v: v.grad_fn,
    "requires_grad": lambda v: v.requires_grad,
    "is_leaf": lambda v: v.is_leaf,
    "shape": lambda v: Shape(v.array.shape),
    "dtype": lambda v: v.dtype,
    "ndim": lambda v: v.array.ndim,
    "T": _op("T"),
    "mT": _op("mT"),
    "retains_grad": lambda v: v.retains_grad,
    "itemsize": lambda v: v.array.itemsize,
    "nbytes": lambda v: v.array.nbytes,
    "output_nr": lambda v: v.index,
    "_version": lambda v: _version(v),
}


def _version(v: Value) -> int:
    unfollowed("a version is looked at")
    return v.version


def _value(v: Any, name: str) -> Value:
    if type(v) is not Value:
        raise ScriptTypeError(f"{name}() is for tensors, and this is {kind_of(v)}")
    return v


def tolist(input: Any) -> Any:
    """The elements as nested tuples of plain numbers, which print as Python's lists."""
    return _rows(_value(input, "tolist").tolist())


def _rows(x: Any) -> Any:
    return Row(_rows(k) for k in x) if isinstance(x, list) else x


def size(input: Any, dim: int | None = None) -> Any:
    """The shape, or the size of one dimension."""
    shape = _value(input, "size").array.shape
    if dim is None:
        return Shape(shape)
    n = len(shape)
    k = dim.__index__() if isinstance(dim, Value) else dim
    if not isinstance(k, int) or isinstance(k, bool):
        raise ScriptTypeError(f"size(): argument 'dim' must be int, not {type(k).__name__}")
    if not -n <= k < n:
        low, high = (-n, n - 1) if n else (-1, 0)
        if not n and k in (0, -1):
            raise ScriptIndexError(f"Dimension specified as {k} but tensor has no dimensions")
        raise ScriptIndexError(_RANGE.format(low, high, k))
    return shape[k]


_RANGE = "Dimension out of range (expected to be in range of [{}, {}], but got {})"


def numpy(input: Any) -> Any:
    """The values as an array that shares memory."""
    return _value(input, "numpy").numpy()


def retain_grad(input: Any) -> None:
    """Lets backward keep the gradient of a tensor that is no leaf."""
    unfollowed("a gradient is retained")
    _value(input, "retain_grad").retain_grad()


def requires_grad_(input: Any, requires_grad: bool = True) -> Value:
    """Makes a leaf take part in the graph, or not."""
    unfollowed("requires_grad is changed")
    v = _value(input, "requires_grad_")
    journal, before = state.ctx.journal, v._requires
    if journal is not None:
        journal.append(lambda: put_requires(v, before))
    return v.requires_grad_(bool(requires_grad))


def put_requires(v: Value, on: bool) -> None:
    v._requires = on
    EPOCH[0] += 1


def detach_(input: Any) -> Value:
    """Takes the tensor itself out of the graph."""
    unfollowed("detach_() is called")
    v = _value(input, "detach_")
    if v.base is not None and v.chain is not None:
        raise GradError("Can't detach views in-place. Use detach() instead.")
    v._node, v.index, v._requires = None, 0, False
    EPOCH[0] += 1
    return v


def zero_grad(input: Any) -> None:
    """Sets the gradient to none."""
    clear_grad(_value(input, "zero_grad"))


def clear_grad(v: Value) -> None:
    ctx, before = state.ctx, v._grad
    if ctx.journal is not None and before is not None:
        ctx.journal.append(lambda: put_grad(v, before))
    v._grad = None
    if ctx.tracer is not None:
        ctx.tracer.cleared(v)


def put_grad(v: Value, g: Value | None) -> None:
    v._grad = g


def backward(
    input: Any,
    gradient: Any = None,
    retain_graph: Any = None,
    create_graph: bool = False,
    inputs: Tensors = None,
) -> None:
    """Adds the gradients to the leaves' `.grad`."""
    if inputs is not None and not isinstance(inputs, (tuple, list)):
        inputs = (inputs,)
    run_backward(
        [_value(input, "backward")],
        None if gradient is None else [as_tensor(gradient)],
        retain_graph=retain_graph if retain_graph is None else bool(retain_graph),
        create_graph=bool(create_graph),
        inputs=inputs,
    )


def as_tensor(x: Any) -> Value:
    """A tensor; plain numbers become 0-d ones."""
    if type(x) is Value:
        return x
    if isinstance(x, (int, float)):
        dtype = (
            np.bool_ if isinstance(x, bool) else np.int64 if isinstance(x, int) else state.ctx.default_dtype
        )
        return leaf(x, dtype)
    raise ScriptTypeError(f"this must be a tensor, not {kind_of(x)}")


def register_hook(input: Any, hook: Any) -> HookHandle:
    """Calls `hook` with the gradient whenever it is computed."""
    unfollowed("a hook")
    if not callable(hook):
        raise ScriptTypeError(f"register_hook() needs a function, not {kind_of(hook)}")
    return _value(input, "register_hook").register_hook(hook)


def element_size(input: Any) -> int:
    """Bytes per element."""
    return _value(input, "element_size").array.itemsize


def is_contiguous(input: Any) -> bool:
    """Whether the elements lie in memory in their own order."""
    return bool(_value(input, "is_contiguous").array.flags.c_contiguous)


def ndim(input: Any) -> int:
    """The number of dimensions."""
    return _value(input, "ndim").array.ndim


def data(input: Any) -> Value:
    """The values as a tensor that shares memory and is out of the graph."""
    return _value(input, "data").data


METHODS: dict[str, Method] = {
    f.__name__: f
    for f in (
        tolist, size, numpy, retain_grad, requires_grad_, detach_, zero_grad, backward, register_hook,
        element_size, is_contiguous, ndim, data,
    )
}  # fmt: skip
METHODS["ndimension"] = ndim


def tensor_method(name: str) -> Method | None:
    """The operation or method of that name whose first argument is a tensor."""
    if name.startswith("_") or "." in name:
        return None
    found = METHODS.get(name)
    if found is None and name in FAMILIES and name != "tensor":
        op = define.get(name)
        return define.get(op.facts.get("method", name))  # type: ignore[no-any-return]
    if found is None and name.endswith("_"):
        try:
            return define.get(name)  # type: ignore[no-any-return]
        except KeyError:
            return None
    return found


# ---- reading -------------------------------------------------------------------------------------
def _array_members(a: Any, name: str) -> Any:
    table: dict[str, Callable[[Any], Any]] = {
        "shape": lambda a: Shape(a.shape), "dtype": lambda a: BY_NP[a.dtype], "ndim": lambda a: a.ndim,
        "T": lambda a: a.T, "size": lambda a: a.size,
        "tolist": lambda a: Bound(a, "tolist", lambda b: _rows(b.tolist())),
        "item": lambda a: Bound(a, "item", lambda b: b.item()),
        "copy": lambda a: Bound(a, "copy", lambda b: b.copy()),
    }  # fmt: skip
    if name not in table:
        raise unknown(a, name, table)
    return table[name](a)


def _node_members(n: Node, name: str) -> Any:
    if name == "next_functions":
        return tuple(e if isinstance(e, Node) else None for e in n.edges)
    if name == "name":
        return Bound(n, "name", lambda m: m.grad_fn)
    raise unknown(n, name, ("next_functions", "name"))


def _dtype_members(d: DType, name: str) -> Any:
    table = {"is_floating_point": d.is_floating, "itemsize": d.itemsize}
    if name not in table:
        raise unknown(d, name, table)
    return table[name]


def get(x: Any, name: str) -> Any:
    """`x.name`. Raises ScriptNameError for a member that is not in the tables."""
    if type(x) is Value:
        if name == "grad" and x._grad is not None and state.ctx.tracer is None:
            return x._grad
        prop = PROPERTIES.get(name)
        if prop is not None:
            return prop(x)
        method = tensor_method(name)
        if method is None:
            raise unknown(x, name, tensor_members())
        return Bound(x, name, method)
    fields = getattr(type(x), "_fields", ()) if isinstance(x, tuple) else ()
    if name in fields:
        return x[fields.index(name)]
    if isinstance(x, Shape):
        if name == "numel":
            return Bound(x, "numel", Shape.numel)
        raise unknown(x, name, ("numel",))
    if isinstance(x, np.ndarray):
        return _array_members(x, name)
    if isinstance(x, Node):
        return _node_members(x, name)
    if isinstance(x, DType):
        return _dtype_members(x, name)
    if isinstance(x, HookHandle):
        if name == "remove":
            return Bound(x, "remove", HookHandle.remove)
        raise unknown(x, name, ("remove",))
    own = getattr(type(x), "script_members", None)
    if own is not None:
        return own(x, name)
    if isinstance(x, (int, float)) and name in FAMILIES and _works_on_numbers(name):
        return Bound(x, name, define.get(name))
    raise unknown(x, name, ())


def _works_on_numbers(name: str) -> bool:
    found = define.get(name)
    return name == "item" or found.family == "elementwise" or bool(found.facts.get("pointwise"))


def tensor_members() -> list[str]:
    """Every name that may stand after a tensor's dot."""
    return [*PROPERTIES, *METHODS, *(n for n in define.names() if "." not in n)]


def _hint(name: str, known: Iterable[str]) -> str | None:
    """What to write instead of an unknown member; what finds it is loaded for the first one."""
    found: str | None = import_module("vardsl.lang.suggest").hint_for_member(name, known)
    return found


def unknown(x: Any, name: str, known: Any) -> ScriptNameError:
    """The error for a member that there is not."""
    what = "a tensor" if type(x) is Value else kind_of(x)
    return ScriptNameError(f"{what} has no member {name}", hint=_hint(name, list(known)))


def method(name: str) -> Method:
    """What `x.name(…)` calls, with `x` as its first argument."""
    found = tensor_method(name)
    if found is None:

        def other(x: Any, /, *args: Any, **keywords: Any) -> Any:
            return get(x, name)(*args, **keywords)

        return other

    def call(x: Any, /, *args: Any, **keywords: Any) -> Any:
        if type(x) is Value:
            return found(x, *args, **keywords)
        return get(x, name)(*args, **keywords)

    return call


def namespace_member(space: str, name: str) -> Any:
    """`linalg.inv`. Raises ScriptNameError."""
    full = f"{space}.{name}"
    if full in FAMILIES:
        return define.get(full)
    prefix = space + "."
    known = [n.removeprefix(prefix) for n in define.names() if n.startswith(prefix)]
    raise ScriptNameError(f"{space} has no function {name}", hint=_hint(name, known))
