"""Derivative rules: what they need of a call, how they get it, and whether it is still what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vardsl.engine.node import Like, Node
from vardsl.engine.pending import held
from vardsl.engine.signature import Signature
from vardsl.engine.value import Value
from vardsl.errors import GradError, InternalError

MODIFIED = (
    "one of the variables needed for gradient computation has been modified by an inplace operation: "
    "[{type} {shape}]{which}, is at version {now}; expected version {then} instead. Hint: enable anomaly "
    "detection "
    "to find the operation that failed to compute its gradient, with "
    "torch.autograd.set_detect_anomaly(True, check_nan=False)."
)


class NotImplementedRule:
    """Stands where PyTorch says that a derivative is not implemented."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence


_ITSELF = (lambda other: other).__code__.co_code


class Rule:
    """One derivative rule. Its parameters' names say what it needs, and so what a node keeps:

    `g` the cotangent, `y` the output, an operation's parameter its value, `NAME_like` only shape and dtype of
    that parameter (`y_like` of the output), `needs` which inputs want a gradient (a tuple of bools).
    """

    __slots__ = ("arguments", "fn", "itself", "likes", "only", "takes_y", "with_g", "with_like")

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
        self.itself = self.only >= 0 and code.co_code == _ITSELF
        # and most others the cotangent and one input
        self.with_g = self.with_like = -1
        if len(self.arguments) == 2 and self.arguments[0][0] == "g":
            kind, i = self.arguments[1]
            self.with_g, self.with_like = i if kind == "arg" else -1, i if kind == "like" else -1

    def __call__(self, node: Node, g: Any, as_values: bool) -> Any:
        only = self.only
        if only != -2 and not as_values:
            if only == -1:
                return self.fn(node.y)
            a = node.args[only]
            if type(a) is Value:
                return self.fn(a.array)
        if as_values:
            return self.fn(*[fetch(kind, i, node, g, True) for kind, i in self.arguments])
        if self.with_g >= 0:
            a = node.args[self.with_g]
            if type(a) is Value:
                if a.vc is not None and a.vc[0]:
                    check_versions(node)
                return self.fn(g, a.array)
        elif self.with_like >= 0:
            return self.fn(g, node.likes[self.with_like])
        given: list[Any] = []
        for kind, i in self.arguments:
            if kind == "g":
                given.append(g)
            elif kind == "arg":
                a = node.args[i]
                given.append(a.array if type(a) is Value else bare(a) if type(a) is list else a)
            elif kind == "like":
                given.append(node.likes[i])
            elif kind == "y":
                given.append(node.y)
            else:
                given.append(fetch(kind, i, node, g, False))
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


def fetch(kind: str, i: int, node: Node, g: Any, as_values: bool) -> Any:
    """What a rule names, of a node and its cotangent."""
    if kind == "g":
        return g
    if kind == "arg":
        a = node.args[i]
        if as_values:
            return a
        return a.array if type(a) is Value else bare(a) if type(a) is list else a
    if kind == "y":
        return _output(node) if as_values else node.y
    if kind == "like":
        return node.likes[i]
    if kind == "y_like":
        return Like(node.shape, node.dtype) if node.outputs is None else node.outputs
    return tuple(e is not None for e in node.edges)


def bare(values: list[Any]) -> list[Any]:
    """Arrays of what may be values."""
    return [x.array if type(x) is Value else x for x in values]


def _output(node: Node) -> Any:
    """The node's output(s) as values on the graph."""
    if node.outputs is None:
        return _on_graph(node.y, node, 0)
    return tuple(_on_graph(a, node, k) for k, a in enumerate(node.y))


def _on_graph(array: Any, node: Node, index: int) -> Value:
    v = Value(held(array))
    if array.dtype.kind == "f":
        v._node, v.index = node, index
    return v


def check_versions(node: Node) -> None:
    """Raises GradError where a value that the node saved has been changed in place since."""
    rare, versions, k = node.rare, node.versions, 0
    if rare is None and versions is None:
        for a in node.args or ():
            if (type(a) is Value and a.vc is not None and a.vc[0]) or type(a) is list:
                break
        else:
            return
    for a in node.args or ():
        if type(a) is Value:
            then = versions[k] if versions is not None else 0
            k += 1
            if (0 if a.vc is None else a.vc[0]) != then:
                raise _modified(a.array, a.version, then, a.node)
        elif type(a) is list:
            for x in a:
                if type(x) is Value:
                    then = versions[k] if versions is not None else 0
                    k += 1
                    if x.version != then:
                        raise _modified(x.array, x.version, then, x.node)
    if rare is not None and rare.vc is not None and node.y is not None and rare.vc[0] != rare.y_version:
        y = node.y if node.outputs is None else node.y[0]
        raise _modified(y, rare.vc[0], rare.y_version, node)


def _modified(array: Any, now: int, then: int, maker: Node | None) -> GradError:
    which = f", which is output 0 of {maker.stem}" if maker is not None else ""
    return GradError(
        MODIFIED.format(
            type=Value(np.asarray(array)).type_name, shape=list(array.shape), which=which, now=now, then=then
        ),
        hint="the backward pass needs the value from before the change: write x = x + … in place of x += …",
    )
