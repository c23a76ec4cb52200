"""Transforms of functions: from a function to its derivatives.

Provided:  grad value_and_grad        named and shaped as in torch.func
           jacobian hessian vjp jvp hvp   as in torch.autograd.functional
           vmap check_grad custom_grad checkpoint   from `batch`, `gradcheck` and `custom`

All take and give values (`engine.value.Value`), plain numbers, and tuples of them; a function of a script is
a Python callable. Plain numbers are computed in double precision, and plain numbers come back for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine import backward as _backward
from vardsl.engine.batching import gradients
from vardsl.engine.context import enable_grad
from vardsl.engine.value import Value, fixed
from vardsl.errors import GradError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.lang.batch import vmap
from vardsl.lang.custom import checkpoint, custom_grad
from vardsl.lang.gradcheck import check_grad
from vardsl.lang.lift import (
    call,
    connected,
    fresh,
    grad_enabled,
    inside,
    is_number,
    lift,
    mark,
    name_of_derived,
    plain,
    released,
    zeros,
)
from vardsl.ops.define import op

Function = Callable[..., Any]
Argnums = int | tuple[int, ...]
NOT_A_FUNCTION = "{}() expects a function, and this is {}"


class Derived:
    """A function that a transform has made; it is called like any other."""

    def __init__(self, name: str, f: Function, run: Function) -> None:
        if not callable(f):
            raise ScriptTypeError(NOT_A_FUNCTION.format(name, type(f).__name__))
        self.of = f
        self.run = run
        self.__name__ = name_of_derived(name, f)

    def followed(self) -> list[Function]:
        """How to come by what it reads when it is called."""
        return [lambda: self.of]

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.run(*args, **keywords)

    def __repr__(self) -> str:
        return f"<fn {self.__name__}>"


# ---- torch.func --------------------------------------------------------------------------------------
def grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Derived:
    """The function that computes the gradient of the scalar function `f`.

    >>> grad(fn(x) = x**3)(2.0)
    12.0
    """

    def run(*args: Any, **keywords: Any) -> Any:
        _, g, aux = _value_and_grad(f, argnums, has_aux, args, keywords)
        return (g, aux) if has_aux else g

    return Derived("grad", f, run)


def value_and_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Derived:
    """The function that computes the pair of value and gradient of the scalar function `f`.

    >>> value_and_grad(fn(x) = x**3)(2.0)
    (8.0, 12.0)
    """

    def run(*args: Any, **keywords: Any) -> Any:
        y, g, aux = _value_and_grad(f, argnums, has_aux, args, keywords)
        return ((y, aux), g) if has_aux else (y, g)

    return Derived("value_and_grad", f, run)


def _value_and_grad(
    f: Function, argnums: Argnums, has_aux: bool, args: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[Any, Any, Any]:
    places = _places(argnums, len(args))
    linked = grad_enabled()
    own: list[Value] = []
    given: list[Any] = []
    since = mark()
    called = list(args)
    for i in places:
        called[i] = _lift_tree(args[i], own, given, linked)
    y = call(f, called, keywords)
    aux = None
    if has_aux:
        if type(y) is not tuple or len(y) != 2:
            raise ScriptTypeError(
                "grad_and_value(f)(*args): output of function f should be a tuple: (output, aux) if "
                "has_aux is True"
            )
        y, aux = y
    y = _scalar(y, all(is_number(x) for x in given))
    keep = linked and connected([y, *(aux if type(aux) is tuple else (aux,))], own, since)
    found = iter(_grads([y], own, None, create=keep))
    results = [_assemble(args[i], found, keep) for i in places]
    if not keep:
        y, aux = released(y), released(aux)
    if all(is_number(x) for x in given) and y.array.dtype == np.float64:
        y = plain(y)
    return y, results[0] if isinstance(argnums, int) else tuple(results), aux


def _places(argnums: Any, n: int) -> list[int]:
    several = type(argnums) in (tuple, list)
    if not several and not is_number(argnums):
        raise ScriptTypeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    places = []
    for k in argnums if several else (argnums,):
        if not isinstance(k, int):
            raise ScriptTypeError(f"argnum must be int, got: {type(k)}")
        if not -n <= k < n:
            raise ScriptValueError(f"Got argnum={k}, but only {n} positional inputs")
        places.append(k % n)
    if not places:
        raise ScriptValueError("argnums must be non-empty")
    if len(set(places)) != len(places):
        raise ScriptValueError(f"argnums elements must be unique, got {tuple(argnums)}")
    return places


def _lift_tree(x: Any, own: list[Value], given: list[Any], linked: bool) -> Any:
    """`x` with a value of its own for each tensor and number in it; tuples may nest."""
    if type(x) in (tuple, list):
        return tuple(_lift_tree(e, own, given, linked) for e in x)
    v = fresh(lift(x), linked=linked)
    own.append(v)
    given.append(x)
    return v


def _assemble(x: Any, found: Any, keep: bool) -> Any:
    """Gradients in the shape of the argument: tuples for tuples, plain numbers for plain numbers."""
    if type(x) in (tuple, list):
        return tuple(_assemble(e, found, keep) for e in x)
    g = next(found)
    return plain(g) if is_number(x) else g


def _scalar(y: Any, numbers: bool) -> Value:
    if is_number(y) and numbers:
        return lift(y)
    if type(y) is not Value:
        raise ScriptTypeError(
            f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(y)}"
        )
    if y.array.ndim != 0:
        raise ShapeError(
            "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with "
            f"{y.array.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs instead?",
            hint="take a sum or a mean in the function, or use jacobian(f, x)",
        )
    return y


def _grads(
    outputs: Sequence[Value], inputs: Sequence[Value], cotangents: Sequence[Value] | None, *, create: bool
) -> list[Value]:
    """Gradients, zeros for inputs that the outputs do not depend on."""
    found = _maybe_grads(outputs, inputs, cotangents, create=create)
    return [_or_zeros(g, v) for g, v in zip(found, inputs, strict=True)]


def _or_zeros(g: Value | None, v: Value) -> Value:
    return zeros(v.array.shape, v.array.dtype) if g is None else g


def _maybe_grads(
    outputs: Sequence[Value], inputs: Sequence[Value], cotangents: Sequence[Value] | None, *, create: bool
) -> Sequence[Value | None]:
    gs: Sequence[Value | None] = cotangents if cotangents is not None else [None] * len(outputs)
    live = [(y, g) for y, g in zip(outputs, gs, strict=True) if y.requires_grad]
    if not live:
        return [None] * len(inputs)
    ys, seeds = [y for y, _ in live], [g for _, g in live]
    return _backward.grad(ys, inputs, seeds, retain_graph=True, create_graph=create)


# ---- torch.autograd.functional ---------------------------------------------------------------------
class _Call:
    """One call of the function under a transform: its inputs as values of their own, and its outputs."""

    def __init__(self, name: str, f: Function, inputs: Any, create_graph: bool, strict: bool) -> None:
        if not callable(f):
            raise ScriptTypeError(NOT_A_FUNCTION.format(name, type(f).__name__))
        self.name = name
        self.strict = strict
        self.several, given = _as_tuple(inputs, "inputs", name)
        self.plain = tuple(is_number(x) for x in given)
        linked = create_graph or (inside() and grad_enabled())
        since = mark()
        self.inputs = tuple(fresh(lift(x), linked=linked) for x in given)
        outputs = call(f, self.inputs)
        if is_number(outputs) and all(self.plain):
            outputs = lift(outputs)
        self.several_out, out = _as_tuple(outputs, "outputs of the user-provided function", name)
        self.outputs = tuple(lift(y) for y in out)
        if strict:
            self._check_outputs()
        self.keep = create_graph or (linked and connected(self.outputs, self.inputs, since))

    def _check_outputs(self) -> None:
        for i, y in enumerate(self.outputs):
            if not y.requires_grad:
                raise GradError(
                    f"Output {i} of the user-provided function does not require gradients. The outputs "
                    "must be "
                    "computed in a differentiable manner from the input when running in strict mode."
                )

    def vector(self, v: Any, like: Sequence[Value], several: bool, default: str) -> tuple[Value, ...]:
        """The given vector, checked against what it stands beside; a one where it may be left out."""
        if v is None:
            if len(like) != 1 or like[0].array.size != 1:
                raise ShapeError(default)
            return (_one(like[0]),)
        _, given = _as_tuple(v, "v", self.name)
        if len(given) != len(like):
            if several:
                raise ShapeError(
                    f"v is a tuple of invalid length: should be {len(like)} but got {len(given)}."
                )
            raise ShapeError("The given v should contain a single Tensor.")
        vs = []
        for k, (x, other) in enumerate(zip(given, like, strict=True)):
            x = lift(x)
            if x.array.shape != other.array.shape:
                entry = f"Entry {k} in " if several else ""
                raise ShapeError(
                    f"{entry}v has invalid size: should be torch.Size({list(other.shape)}) but got "
                    f"torch.Size({list(x.shape)})."
                )
            if x.array.dtype != other.array.dtype:
                x = op._cast(x, other.array.dtype)
            vs.append(x if self.keep else released(x))
        return tuple(vs)

    def of_inputs(self, results: Sequence[Value]) -> Any:
        """Results that belong to the inputs, in their shape."""
        done = [self.done(r, p) for r, p in zip(results, self.plain, strict=True)]
        return tuple(done) if self.several else done[0]

    def of_outputs(self, results: Sequence[Value]) -> Any:
        """Results that belong to the outputs, in their shape."""
        numbers = all(self.plain)
        done = [self.done(r, numbers) for r in results]
        return tuple(done) if self.several_out else done[0]

    def done(self, r: Value, number: bool) -> Any:
        r = r if self.keep else released(r)
        return plain(r) if number and r.array.dtype == np.float64 else r

    def filled(self, found: Sequence[Value | None]) -> list[Value]:
        """Zeros for gradients that are none; in strict mode an error."""
        full = []
        for i, (g, v) in enumerate(zip(found, self.inputs, strict=True)):
            if g is None and self.strict:
                raise GradError(
                    f"The output of the user-provided function is independent of input {i}. "
                    "This is not allowed in strict mode."
                )
            full.append(_or_zeros(g, v))
        return full


def _as_tuple(x: Any, what: str, name: str) -> tuple[bool, tuple[Any, ...]]:
    several = type(x) is list or isinstance(x, tuple)
    parts = tuple(x) if several else (x,)
    for i, e in enumerate(parts):
        if type(e) is not Value and not is_number(e) and not isinstance(e, (np.ndarray, np.generic)):
            which = f"value at index {i}" if several else f"given {what}"
            raise ScriptTypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the {which} "
                "has type "
                f"{type(e)}."
            )
    return several, parts


def jacobian(
    f: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """All derivatives of the outputs of `f` with respect to its inputs: output shape, then input shape.

    >>> jacobian(fn(x) = x**2, [1., 2.])
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ScriptValueError('Expected strategy to be either "forward-mode" or "reverse-mode".')
    c = _Call("jacobian", f, inputs, create_graph, strict)
    rows = []
    for i, y in enumerate(c.outputs):
        blocks = _rows(y, c, i)
        rows.append(c.of_inputs(blocks))
    return tuple(rows) if c.several_out else rows[0]


def _rows(y: Value, c: _Call, i: int) -> list[Value]:
    """For each input the derivatives of all elements of `y`: in one backward pass where that can be done."""
    found: list[Value | None] = [None] * len(c.inputs)
    if y.requires_grad:
        found = gradients(y, c.inputs, create_graph=c.keep) or _row_by_row(y, c)
    blocks = []
    for j, (rows, x) in enumerate(zip(found, c.inputs, strict=True)):
        shape = y.array.shape + x.array.shape
        if rows is not None:
            blocks.append(op.reshape(rows, shape) if c.keep else op._unsafe_view(rows, shape))
        elif c.strict and y.array.size:
            raise GradError(
                f"Output {i} of the user-provided function is independent of input {j}. "
                "This is not allowed in strict mode."
            )
        else:
            blocks.append(zeros(shape, x.array.dtype))
    return blocks


def _row_by_row(y: Value, c: _Call) -> list[Value | None]:
    """The gradients of the elements of `y`, each by a pass of its own, stacked; None where there are none."""
    columns: list[list[Value]] = [[] for _ in c.inputs]
    for k in range(y.array.size):
        seed = np.zeros(y.array.shape, y.array.dtype)
        seed.reshape(-1)[k] = 1
        found = _maybe_grads([y], c.inputs, [fixed(seed)], create=c.keep)
        for column, g in zip(columns, found, strict=True):
            if g is not None:
                column.append(g)
    return [op.stack(column, 0) if column else None for column in columns]


def hessian(
    f: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """All second derivatives of the scalar function `f`; of several inputs a tuple of tuples.

    >>> hessian(fn(x) = sum(x**3), [1., 2.])
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    c = _Call("hessian", f, inputs, create_graph, strict)
    y = _single(c)
    firsts = c.filled(_maybe_grads([y], c.inputs, [_one(y)], create=True))
    if strict:
        _check_dependent(firsts)
    rows = []
    for i, g in enumerate(firsts):
        rows.append(c.of_inputs(_rows(g, c, i)))
    return tuple(rows) if c.several else rows[0]


def _check_dependent(firsts: Sequence[Value]) -> None:
    for i, g in enumerate(firsts):
        if not g.requires_grad:
            raise GradError(
                "While computing the hessian, found that the jacobian of the user-provided function with "
                "respect to "
                f"input {i} is independent of the input. This is not allowed in strict mode. You should "
                "ensure that "
                "your function is twice differentiable and that the jacobian depends on the inputs (this "
                "would be "
                "violated by a linear function for example)."
            )


def _one(y: Value) -> Value:
    return fixed(np.ones(y.array.shape, y.array.dtype))


def _single(c: _Call) -> Value:
    """The output of a function that must give one element."""
    if c.several_out:
        raise ScriptTypeError(f"The function given to {c.name} should return a single Tensor")
    if c.outputs[0].array.size != 1:
        raise ShapeError(
            f"The Tensor returned by the function given to {c.name} should contain a single element",
            hint="take a sum or a mean in the function",
        )
    return c.outputs[0]


def vjp(f: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """The pair of the value and the product of the vector `v` with the Jacobian of `f`: vᵀJ.

    >>> vjp(fn(x) = x**2, [1., 2.], [1., 1.])
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    c = _Call("vjp", f, inputs, create_graph, strict)
    seeds = c.vector(
        v,
        c.outputs,
        c.several_out,
        "The vector v can only be None if the user-provided function returns a single Tensor with a single "
        "element.",
    )
    product = c.filled(_maybe_grads(c.outputs, c.inputs, seeds, create=c.keep))
    return c.of_outputs(c.outputs), c.of_inputs(product)


INPUT_VECTOR = (
    "The vector v can only be None if the input to the user-provided function is a single Tensor "
    "with a single element."
)


def jvp(f: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """The pair of the value and the product of the Jacobian of `f` with the vector `v`: Jv.

    >>> jvp(fn(x) = x**2, [1., 2.], [1., 1.])
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    c = _Call("jvp", f, inputs, create_graph, strict)
    tangents = c.vector(v, c.inputs, c.several, INPUT_VECTOR)
    with enable_grad():
        # gᵀJ is linear in g: its derivative along g, against v, is Jv
        gs = [fixed(np.zeros(y.array.shape, y.array.dtype), True) for y in c.outputs]
        products = c.filled(_maybe_grads(c.outputs, c.inputs, gs, create=True))
        found = _maybe_grads(products, gs, tangents, create=c.keep)
    result = [_or_zeros(g, y) for g, y in zip(found, c.outputs, strict=True)]
    return c.of_outputs(c.outputs), c.of_outputs(result)


def hvp(f: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """The pair of the value and the product of the Hessian of the scalar function `f` with the vector `v`.

    >>> hvp(fn(x) = sum(x**3), [1., 2.], [1., 1.])
    (tensor(9.), tensor([ 6., 12.]))
    """
    c = _Call("hvp", f, inputs, create_graph, strict)
    tangents = c.vector(v, c.inputs, c.several, INPUT_VECTOR)
    y = _single(c)
    firsts = c.filled(_maybe_grads([y], c.inputs, [_one(y)], create=True))
    if strict:
        _check_dependent(firsts)
    product = c.filled(_maybe_grads(firsts, c.inputs, tangents, create=c.keep))
    return c.of_outputs([y]), c.of_inputs(product)


__all__ = [
    "Derived", "check_grad", "checkpoint", "custom_grad", "grad", "hessian", "hvp", "jacobian", "jvp",
    "value_and_grad", "vjp", "vmap",
]  # fmt: skip
