"""Arguments of transforms: lifted to values of their own, and results brought back.

A transform differentiates with respect to values that nobody else holds. Where the argument takes part in the
graph, and the caller wants that connection (a transform around this one, or `create_graph`), the new value
is an alias on the graph, so that the result can be differentiated again; elsewhere it is a leaf.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine.context import enable_grad, state
from vardsl.engine.node import Node
from vardsl.engine.value import Value, fixed, shared_counter
from vardsl.errors import GradError, ScriptTypeError

INT_INPUT = "only Tensors of floating point dtype can require gradients"


class _Alias:
    """The node of a value that is another one under a new name."""

    name = "alias"
    grad_fn = "ViewBackward0"

    def saves(self, node: Node) -> bool:
        return False

    def pull(self, node: Node, g: Any) -> Sequence[Any]:
        return self.pullback(node, g, False)

    def pullback(self, node: Node, g: Any, as_values: bool) -> Sequence[Any]:
        return (g,)


ALIAS = _Alias()


class _Depth(threading.local):
    """How many transforms are running their functions in this thread."""

    n = 0


_depth = _Depth()


def inside() -> bool:
    """Whether a transform around this one is running."""
    return _depth.n > 0


def call(f: Callable[..., Any], args: Sequence[Any], keywords: dict[str, Any] | None = None) -> Any:
    """Runs a function that is being differentiated, on the graph."""
    _depth.n += 1
    try:
        with enable_grad():
            return f(*args, **(keywords or {}))
    finally:
        _depth.n -= 1


MOST_NAME = 200  # letters of what a function is called in what is made of it


def function_name(f: Callable[..., Any]) -> str:
    """What a function is called in messages and in the text of what was made of it."""
    shown = getattr(f, "shown", None)
    if isinstance(shown, str):
        return shown if shown.startswith("fn(") else f.__qualname__
    name = getattr(f, "name", None) or getattr(f, "__name__", "fn")
    return "fn" if not isinstance(name, str) or name == "<lambda>" else name.rstrip("_")


def name_of_derived(transform: str, f: Callable[..., Any]) -> str:
    """What the function is called that a transform makes of another: `grad(grad(f))`, of bounded length."""
    inner = function_name(f)
    return f"{transform}({inner if len(inner) <= MOST_NAME else '…'})"


def mark() -> int:
    """A sequence number: nodes made from now on have greater ones."""
    return Node(ALIAS, (), None).seq


def is_number(x: object) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool)


def lift(x: Any) -> Value:
    """A value for a tensor, an array, or a plain number, which is computed in double precision."""
    if type(x) is Value:
        return x
    if is_number(x):
        return fixed(np.array(float(x)))
    if isinstance(x, (np.ndarray, np.generic)):
        return Value(np.asarray(x))
    raise ScriptTypeError(f"Thing passed to transform API must be Tensor, got {type(x)}")


def alias(v: Value) -> Value:
    """The same memory as `v` and on its graph, but another value."""
    node = Node(ALIAS, (v.node if v.node is not None else v,), (v.index,) if v.index else None)
    node.shape, node.dtype = v.array.shape, v.array.dtype
    new = Value(v.memory())
    new._node = node
    new.vc = shared_counter(v)
    _seen(v, new)
    return new


def fresh(v: Value, *, linked: bool) -> Value:
    """A value of its own to differentiate with respect to."""
    if v.array.dtype.kind != "f":
        raise GradError(INT_INPUT, hint="give a real number or a real tensor: float(x), or 2.0 in place of 2")
    if linked and v.requires_grad:
        return alias(v)
    new = Value(v.memory(), True)
    _seen(v, new)
    return new


def _seen(of: Value, new: Value) -> None:
    """Tells who listens that a value is another one outside the graph."""
    tracer = state.ctx.tracer
    if tracer is not None:
        tracer.alias(of, new)


def connected(outputs: Sequence[Any], own: Sequence[Value], since: int) -> bool:
    """Whether something in the graph since `since` leads to a leaf or node that is not one of `own`."""
    mine = {id(v) for v in own if v.node is None}
    stack: list[Any] = []
    for v in outputs:
        if type(v) is Value and v.requires_grad:
            stack.append(v.node if v.node is not None else v)
    seen: set[int] = set()
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if type(x) is Value:
            if id(x) not in mine:
                return True
        elif x.seq < since:
            return True
        else:
            stack.extend(e for e in x.edges if e is not None)
    return False


def released(x: Any) -> Any:
    """The same numbers outside the graph; tuples part by part, other things as they are."""
    if type(x) is Value:
        if not x.requires_grad:
            return x
        new = Value(x.memory())
        _seen(x, new)
        return new
    if type(x) is tuple:
        return tuple(released(e) for e in x)
    return x


def plain(x: Value) -> Any:
    """A plain number for a 0-d value of double precision that is on no graph."""
    if x.array.ndim == 0 and not x.requires_grad and x.array.dtype.kind == "f":
        return x.item()
    return x


def zeros(shape: tuple[int, ...], dtype: Any) -> Value:
    return fixed(np.zeros(shape, dtype))


def grad_enabled() -> bool:
    return state.ctx.grad_enabled
