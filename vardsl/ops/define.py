"""How an operation is declared: one decorated function, from which everything else derives.

    @elementwise(np.tanh, d=lambda y: 1 - y * y)
    def tanh(input: Tensor):
        '''Hyperbolic tangent of each element.

        >>> tanh([0., 1.])
        tensor([0.0000, 0.7616])
        '''

The function's name, parameters (with kinds as annotations, see `engine/signature.py`), defaults, docstring
and examples are the entry; a trailing underscore is dropped (`sum_` declares `sum`), `linalg_inv` declares
`linalg.inv`. Families:

    elementwise  ufunc or body on promoted arrays; `d` is the local derivative ∂y/∂x for each array parameter:
    a rule, or
                 1 or -1, or None; `vjp` instead of `d` where the cotangent must not be multiplied (masks,
                 infinities)
    general      body on arrays and explicit rules: `vjp` is one rule for the only array parameter, or a dict
    by
                 parameter name, or (`shared=`) one rule that gives the gradients of all array parameters in
                 order
    view         as general, and the body returns a NumPy view: the result shares storage
    composite    a body over operations, with no node of its own
    fused        a body over operations that is one node; its derivative is that of the body, run again
    nondiff      body on arrays, never on the graph
    creation     body without array inputs, or one that only lends its shape: gives a leaf

What a rule names is what its node keeps (`engine/op.py`, class Rule). Rules are written over operations,
never over `np.`: operators, indexing, `.shape .ndim`, and `op.NAME(...)` for the rest. They run on arrays in
a first-order pass and on values when the pass is recorded, so every rule can be differentiated again.
"""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from vardsl.engine import backward as _backward
from vardsl.engine.context import state
from vardsl.engine.cotangents import Unbroadcast
from vardsl.engine.dtypes import Array
from vardsl.engine.inplace import InPlace
from vardsl.engine.op import Op
from vardsl.engine.pullback import GRAD
from vardsl.engine.rule import NotImplementedRule, Rule
from vardsl.engine.signature import Signature
from vardsl.engine.value import OPS, Value
from vardsl.errors import GradError, InternalError
from vardsl.ops.index import FAMILIES

GRAD[:] = [_backward.grad]

# Kinds of parameters, for annotations (read by name; see engine/signature.py).
Tensor = Any
Tensors = Any
Index = Any
Number = Any
Int = int
Bool = bool
Str = str
Dtype = Any
Ints = Any
Sizes = Any
Varargs = Any

Body = Callable[..., Any]
NOT_REAL = "Only Tensors of floating point and complex dtype can require gradients"
NAMESPACES = ("linalg", "special")


class _Namespace:
    """`op.sum(g, dim=0)`: operations for the bodies of rules, found on first use."""

    def __getattr__(self, name: str) -> Any:
        found = get(name if name in OPS or name in FAMILIES else name.replace("_", ".", 1))
        setattr(self, name, found)
        return found


op: Any = _Namespace()


def get(name: str) -> Any:
    """The operation of that name; loads its family on first use. Raises KeyError."""
    found = OPS.get(name)
    if found is None:
        module = FAMILIES.get(name)
        if module is None and name.endswith("_"):
            return _inplace(name)
        if module is None:
            raise KeyError(name)
        import_module("vardsl.ops." + module)
        found = OPS.get(name)
        if found is None:
            raise InternalError(f"ops/{module}.py does not declare {name}, and the index says that it does")
    return found


def _inplace(name: str) -> Any:
    base = get(name[:-1])
    if not base.facts.get("inplace"):
        raise KeyError(name)
    OPS[name] = InPlace(base, name)
    return OPS[name]


OPS.loader = get


def names() -> list[str]:
    """The names of all public operations and their aliases, sorted."""
    return sorted(n for n in FAMILIES if not n.startswith("_"))


def load_all() -> None:
    """Loads every family, for documentation and tests."""
    for module in sorted(set(FAMILIES.values())):
        import_module("vardsl.ops." + module)


def camel(name: str) -> str:
    """`log_softmax` as `LogSoftmax`, `linalg.inv` as `LinalgInv`, `log10` as `Log10`."""
    return "".join(part[:1].upper() + part[1:] for part in name.replace(".", "_").split("_"))


def _public_name(fn: Body) -> str:
    name = fn.__name__
    if name.startswith("_"):
        return name
    for space in NAMESPACES:
        if name.startswith(space + "_"):
            return f"{space}.{name.removeprefix(space + '_').rstrip('_')}"
    return name.rstrip("_")


def _rules(given: Any, signature: Signature) -> dict[str, Any]:
    """Rules by parameter from one rule, a tuple in order, or a dict."""
    arrays = [signature.parameters[i].name for i in signature.arrays]
    if given is None:
        return {}
    if isinstance(given, dict):
        by_name = given
    elif isinstance(given, tuple):
        by_name = dict(zip(arrays, given, strict=True))
    else:
        by_name = {arrays[0]: given}
    for name in by_name:
        if name not in arrays:
            raise InternalError(f"a rule for {name!r}, which is no array parameter")
    return {n: Rule(r, signature) if callable(r) else r for n, r in by_name.items() if r is not None}


def _declare(
    fn: Body,
    family: str,
    *,
    name: str = "",
    grad_fn: str | None = None,
    aliases: tuple[str, ...] = (),
    kind: type[Op] = Op,
    **facts: Any,
) -> Op:
    name = name or _public_name(fn)
    signature = Signature.of(fn)
    o = kind(name, fn, signature, family)
    # `python -OO` has no docstrings
    if sys.flags.optimize < 2 and not name.startswith("_") and not (fn.__doc__ or "").strip():
        raise InternalError(f"{name} has no documentation")
    if signature.keyword_only and family != "creation":
        o.kernel = _positional(fn, signature)
    o.grad_fn = grad_fn or camel(name) + "Backward0"
    o.facts = {k: v for k, v in facts.items() if v is not None}
    o.facts["aliases"] = aliases
    for n in (name, *aliases):
        if n in OPS:
            raise InternalError(f"operation {n} is declared twice")
        OPS[n] = o
    return o


def _promoted(o: Op, promote: str | None) -> None:
    """How inputs are brought to one dtype; a call on bare arrays is that of the kernel where they are not."""
    o.promote = promote
    o.direct = o.direct and promote is None
    o.two = o.two and promote is None


def _positional(fn: Body, signature: Signature) -> Body:
    n, names_ = len(signature.positional), signature.keyword_only
    defaults = tuple(p.default for p in signature.parameters[n:])

    def kernel(*bound: Any) -> Any:
        for a, default in zip(bound[n:], defaults):
            if a is not default:
                break
        else:
            return fn(*bound[:n])
        return fn(*bound[:n], **dict(zip(names_, bound[n:], strict=True)))

    return kernel


def elementwise(
    ufunc: Body | None = None,
    *,
    d: Any = None,
    vjp: Any = None,
    promote: str = "same",
    inplace: bool = True,
    infix: Body | None = None,
    numbers: bool = True,
    **facts: Any,
) -> Callable[[Body], Op]:
    """Declares a pointwise operation. `promote="float"`: integers are computed in the default real dtype.

    `numbers=False`: PyTorch takes no plain number there. `infix` is the ufunc of an infix operator whose
    static parameters have their defaults; else `ufunc` is.
    """

    def declare(fn: Body) -> Op:
        o = _declare(fn, "elementwise", inplace=inplace, **facts)
        if ufunc is not None:
            o.kernel = ufunc
        _promoted(o, promote)
        o.numbers = numbers
        operator = infix or ufunc
        if operator is not None and len(o.arrays) == 2:
            o.infix(operator)
        o.factor = vjp is None
        if vjp is not None:
            rules = _rules(vjp, o.signature)
            where = o.signature.index
            o.set_rules(
                {n: Unbroadcast(r, where[n]) if type(r) is Rule else r for n, r in rules.items()}, None
            )
        else:
            o.set_rules(_rules(d, o.signature), None)
        return o

    return declare


def general(
    *,
    vjp: Any = None,
    shared: Body | None = None,
    promote: str | None = None,
    fields: str | None = None,
    **facts: Any,
) -> Callable[[Body], Op]:
    """Declares an operation with explicit rules. `fields="values indices"` names the parts of a tuple
    result."""

    def declare(fn: Body) -> Op:
        o = _declare(fn, facts.pop("_family", "general"), **facts)
        _promoted(o, promote)
        o.set_rules(_rules(vjp, o.signature), Rule(shared, o.signature) if shared is not None else None)
        _name_fields(o, fields)
        return o

    return declare


def view(*, vjp: Any = None, shared: Body | None = None, **facts: Any) -> Callable[[Body], Op]:
    """Declares an operation whose result shares its input's storage."""
    return general(vjp=vjp, shared=shared, _family="view", **facts)


def composite(*, fields: str | None = None, **facts: Any) -> Callable[[Body], Op]:
    """Declares a body over operations. `pointwise=True`: it works on plain numbers too."""

    def declare(fn: Body) -> Op:
        o = _declare(fn, "composite", **facts)
        _name_fields(o, fields)
        return o

    return declare


def fused(*, promote: str | None = None, fields: str | None = None, **facts: Any) -> Callable[[Body], Op]:
    """Declares a body over operations that is a single node."""

    def declare(fn: Body) -> Op:
        o = _declare(fn, "fused", **facts)
        _promoted(o, promote)
        _name_fields(o, fields)
        return o

    return declare


def nondiff(*, promote: str | None = None, fields: str | None = None, **facts: Any) -> Callable[[Body], Op]:
    """Declares an operation that is never on the graph."""

    def declare(fn: Body) -> Op:
        o = _declare(fn, "nondiff", **facts)
        _promoted(o, promote)
        _name_fields(o, fields)
        return o

    return declare


def creation(**facts: Any) -> Callable[[Body], Op]:
    """Declares an operation that makes a new leaf from sizes and numbers; `requires_grad` is its last
    keyword."""

    def declare(fn: Body) -> Op:
        o = _declare(fn, "creation", creates=True, **facts)
        o.__class__ = Creation
        return o

    return declare


class Creation(Op):
    """An operation that makes a leaf; called with an array as model (`zeros_like`) in a rule it gives an
    array."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        bound = self.signature.bind(self.name, args, keywords)
        raw = any(isinstance(bound[i], np.ndarray) for i in self.arrays)
        n = len(self.signature.positional)
        a = self.fn(*bound[:n], **dict(zip(self.signature.keyword_only, bound[n:], strict=True)))
        if raw:
            return a
        v = Value(np.asarray(a))
        if state.ctx.tracer is not None:
            state.ctx.tracer.created(self, bound, v)
        i = self.signature.index.get("requires_grad")
        if i is None or not bound[i]:
            return v
        if v.array.dtype.kind != "f":
            raise GradError(NOT_REAL)
        return v.requires_grad_()


def inplace_op(*, name: str, **facts: Any) -> Callable[[Body], Op]:
    """Declares an operation `name_` that changes its first argument by itself, with `check_may_change` and
    `change`."""

    def declare(fn: Body) -> Op:
        return _declare(fn, "composite", name=name, **facts)

    return declare


def array(x: Any) -> Array:
    """The array of a value, an array itself, or a 0-d array of a number."""
    return x.array if type(x) is Value else np.asarray(x)


def looked_at(x: Any) -> Array:
    """As `array`, where the numbers themselves decide what is done: a plan cannot repeat that."""
    if type(x) is Value:
        x._escapes()
        return x.array
    return np.asarray(x)


_TUPLES: dict[str, Any] = {}


def _name_fields(o: Op, fields: str | None) -> None:
    """Tuple results get PyTorch's field names; the language's tuples know them by `_fields`."""
    if fields is None:
        return
    o.fields = fields
    # `_max_dim` stands behind `max`
    name = o.name.replace(".", "_").strip("_").removesuffix("_dim").removesuffix("_stable")
    o.facts["result"] = result_type(fields, name)
    run = o.run

    def named(bound: list[Any]) -> Any:
        y = run(bound)
        if type(y) is tuple:
            return o.facts["result"](*y)
        return y

    o.run = named  # type: ignore[method-assign]
    o.light, o.leading = False, 0


def result_type(fields: str, name: str = "result") -> Any:
    """A tuple class with these field names, made once for each operation's name."""
    found = _TUPLES.get(f"{name} {fields}")
    if found is None:
        found = _TUPLES[f"{name} {fields}"] = namedtuple(name, fields.split())
    return found


__all__ = [
    "OPS", "Bool", "Dtype", "Index", "Int", "Ints", "NotImplementedRule", "Number", "Sizes", "Str",
    "Tensor", "Tensors",
    "Varargs",
    "array", "composite", "creation", "elementwise", "fused", "general", "get", "inplace_op", "looked_at",
    "names", "nondiff",
    "op", "result_type", "view",
]  # fmt: skip
