"""Functions with a node of their own: `custom_grad` with the user's rule, `checkpoint` that recomputes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from vardsl.engine import backward as _backward
from vardsl.engine.context import enable_grad, no_grad, state
from vardsl.engine.node import Like, Node, script_place
from vardsl.engine.rule import check_versions
from vardsl.engine.value import Value
from vardsl.errors import GradError, ScriptTypeError, ShapeError
from vardsl.lang.lift import alias, fresh, function_name, mark
from vardsl.ops.define import op

Function = Callable[..., Any]


def custom_grad(f: Function, backward: Function) -> Function:
    """`f` with its own derivative: `backward(g, x…)` gets the incoming gradient and the arguments of `f`.

    It gives one gradient, or a tuple of one for each argument; written in differentiable operations it can be
    differentiated again.

    >>> let square = custom_grad(fn(x) = x*x, fn(g, x) = g * 2*x)
    >>> grad(square)(3.0)
    6.0
    """
    for name, x in (("f", f), ("backward", backward)):
        if not callable(x):
            raise ScriptTypeError(
                f"custom_grad(f, backward): {name} must be a function, not {type(x).__name__}"
            )
    return _Custom(f, backward)


def checkpoint(f: Function, *args: Any, **keywords: Any) -> Any:
    """`f(x…)` without its intermediate values: backward computes them again, with the same random numbers.

    >>> let v = var [1., 2.] grad
    >>> backward sum(checkpoint(fn(x) = exp(x)*x, v))
    """
    if not callable(f):
        raise ScriptTypeError(f"checkpoint(f, x…): f must be a function, not {type(f).__name__}")
    if not state.ctx.grad_enabled:
        return f(*args, **keywords)
    return _Checkpoint(f, keywords).run(args)


class _Custom:
    """A function with the user's rule; also the `op` of the nodes that it makes."""

    grad_fn = "CustomBackward0"
    facts: ClassVar[dict[str, Any]] = {}
    runs_functions = True

    def __init__(self, f: Function, rule: Function) -> None:
        self.f = f
        self.rule = rule
        self.name = self.__name__ = function_name(f)

    def __repr__(self) -> str:
        return f"<{self.name}>" if self.name.startswith("fn(") else f"<fn {self.name}>"

    def __call__(self, *args: Any) -> Any:
        with no_grad():
            y = self.f(*[Value(a.memory()) if type(a) is Value else a for a in args])
        return _attach(self, args, y)

    def saves(self, node: Node) -> bool:
        return True

    def pull(self, node: Node, g: Any) -> Sequence[Any]:
        return self.pullback(node, g, False)

    def pullback(self, node: Node, g: Any, as_values: bool) -> Sequence[Any]:
        check_versions(node)
        g = _cotangent(node, g, as_values)
        args = node.args if as_values else [Value(a.memory()) if type(a) is Value else a for a in node.args]
        with enable_grad(as_values):
            given = self.rule(g, *args)
        return self._checked(node, given, as_values)

    def _checked(self, node: Node, given: Any, as_values: bool) -> list[Any]:
        grads = tuple(given) if isinstance(given, (tuple, list)) else (given,)
        if len(grads) != len(node.args):
            raise GradError(
                f"function {self.name}'s backward returned an incorrect number of gradients "
                f"(expected {len(node.args)}, got {len(grads)})"
            )
        results: list[Any] = []
        for k, (r, a) in enumerate(zip(grads, node.args, strict=True)):
            if node.edges[k] is None or r is None:
                results.append(None)
                continue
            results.append(self._one(k, r, a, as_values))
        return results

    def _one(self, k: int, r: Any, a: Value, as_values: bool) -> Any:
        v = r if type(r) is Value else Value(np.asarray(r, a.array.dtype))
        if v.array.shape != a.array.shape:
            if v.array.size != 1:
                raise ShapeError(
                    f"Function {self.name}'s backward returned an invalid gradient at index {k} - got "
                    f"{list(v.shape)} but expected shape compatible with {list(a.shape)}"
                )
            v = v + Value(np.zeros(a.array.shape, a.array.dtype))
        if v.array.dtype != a.array.dtype:
            v = v * Value(np.ones((), a.array.dtype)) if as_values else Value(v.array.astype(a.array.dtype))
        return v if as_values else v.array


def _attach(maker: Any, args: Sequence[Any], y: Any, edges: Sequence[Any] | None = None) -> Any:
    """The outputs as new values, outcomes of one node where an argument takes part in the graph."""
    outs = y if isinstance(y, tuple) else (y,)
    values = [Value(o.memory()) if type(o) is Value else o for o in outs]
    if edges is None:
        edges, indices = _edges(args)
    else:
        edges, indices = [e for e, _ in edges], [i for _, i in edges]
    real = [v for v in values if type(v) is Value]
    if state.ctx.grad_enabled and real and any(e is not None for e in edges):
        node = Node(maker, tuple(edges), tuple(indices) if any(indices) else None)
        node.args = list(args)
        versions = tuple(a.version for a in args if type(a) is Value)
        node.versions = versions if any(versions) else None
        node.shape, node.dtype = real[0].array.shape, real[0].array.dtype
        if isinstance(y, tuple):
            node.outputs = tuple(Like(v.array.shape, v.array.dtype) for v in real)
        node.where = script_place()
        for k, v in enumerate(real):
            if v.array.dtype.kind == "f":
                v._node, v.index = node, k
    if not isinstance(y, tuple):
        return values[0]
    return type(y)(*values) if hasattr(y, "_fields") else tuple(values)


def _edges(args: Sequence[Any]) -> tuple[list[Any], list[int]]:
    edges: list[Any] = []
    indices: list[int] = []
    for a in args:
        live = type(a) is Value and a.requires_grad
        edges.append((a.node if a.node is not None else a) if live else None)
        indices.append(a.index if live and a.node is not None else 0)
    return edges, indices


def _cotangent(node: Node, g: Any, as_values: bool) -> Any:
    """What the user's rule sees: a value, or for several outputs a tuple with zeros where nothing came in."""
    if node.outputs is None:
        g = g if as_values else Value(np.asarray(g))
        return g if g.array.shape == node.shape else op.expand(g, node.shape)
    return tuple(
        Value(np.zeros(like.shape, like.dtype)) if x is None else x if as_values else Value(np.asarray(x))
        for x, like in zip(g, node.outputs, strict=True)
    )


class _Checkpoint:
    """The `op` of one checkpointed call."""

    name = "checkpoint"
    grad_fn = "CheckpointFunctionBackward"
    facts: ClassVar[dict[str, Any]] = {}
    runs_functions = True

    def __init__(self, f: Function, keywords: dict[str, Any]) -> None:
        self.f = f
        self.keywords = keywords
        self.random = state.ctx.generator.get_state()
        self.captured: list[tuple[Any, int]] = []
        self.dtypes: list[Any] = []

    def run(self, args: tuple[Any, ...]) -> Any:
        since = mark()
        own = [fresh(a, linked=False) if _live(a) else a for a in args]
        y = self.f(*own, **self.keywords)
        self._find_captured(y, own, since)
        edges, indices = _edges(args)
        both = [*zip(edges, indices, strict=True), *self.captured]
        return _attach(self, args, y, both)

    def _find_captured(self, y: Any, own: Sequence[Any], since: int) -> None:
        """Leaves and older nodes that the function reached outside its arguments: they get gradients too."""
        mine = {id(v) for v in own}
        stack: list[tuple[Any, int]] = [
            (v.node if v.node is not None else v, v.index) for v in _values(y) if v.requires_grad
        ]
        seen: set[tuple[int, int]] = set()
        while stack:
            x, index = stack.pop()
            key = (id(x), index if type(x) is Node and x.seq < since else 0)
            if key in seen:
                continue
            seen.add(key)
            if type(x) is Value:
                if id(x) not in mine:
                    self.captured.append((x, 0))
            elif x.seq < since:
                self.captured.append((x, index))
            else:
                indices = x.indices or (0,) * len(x.edges)
                stack.extend((e, i) for e, i in zip(x.edges, indices, strict=True) if e is not None)

    def saves(self, node: Node) -> bool:
        return True

    def pull(self, node: Node, g: Any) -> Sequence[Any]:
        return self.pullback(node, g, False)

    def pullback(self, node: Node, g: Any, as_values: bool) -> Sequence[Any]:
        check_versions(node)
        gs = _cotangent(node, g, as_values)
        own = [_again(a, as_values) for a in node.args]
        with enable_grad():
            y = self._recompute(own)
        live = [(o, c) for o, c in zip(_values(y), gs if isinstance(gs, tuple) else (gs,)) if o.requires_grad]
        inputs = [a for a in own if _live(a)] + [_handle(x, i) for x, i in self.captured]
        ys, seeds = [o for o, _ in live], [c for _, c in live]
        found = iter(_backward.grad(ys, inputs, seeds, create_graph=as_values))
        return [_bare(next(found), as_values) if e is not None else None for e in node.edges]

    def _recompute(self, own: Sequence[Any]) -> Any:
        generator = state.ctx.generator
        now = generator.get_state()
        generator.set_state(self.random)
        try:
            return self.f(*own, **self.keywords)
        finally:
            generator.set_state(now)


def _live(a: Any) -> bool:
    return type(a) is Value and a.requires_grad


def _values(y: Any) -> list[Value]:
    return [v for v in (y if isinstance(y, tuple) else (y,)) if type(v) is Value]


def _again(a: Any, as_values: bool) -> Any:
    if not _live(a):
        return a
    return alias(a) if as_values else Value(a.array, True)


def _handle(x: Any, index: int) -> Value:
    """A value that stands for an output of a node in a call of `backward.grad`."""
    if type(x) is Value:
        return x
    v = Value(np.empty((), x.dtype))
    v._node, v.index = x, index
    return v


def _bare(g: Value | None, as_values: bool) -> Any:
    return g if as_values or g is None else g.array
