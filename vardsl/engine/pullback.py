"""Pullbacks: from the cotangent of a node's output to those of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine.context import enable_grad
from vardsl.engine.cotangents import spread, unbroadcast
from vardsl.engine.node import Node
from vardsl.engine.recording import Recording
from vardsl.engine.rule import NotImplementedRule, Rule, check_versions
from vardsl.engine.value import OPS, Value, fixed
from vardsl.errors import GradError, InternalError

GRAD: list[Callable[..., Any]] = []
"""`backward.grad`, which a fused operation differentiates its body with; `ops/define.py` puts it here."""


def constant(g: Any, shape: tuple[int, ...]) -> Any:
    """A 0-d cotangent as one for all elements of `shape`, for the rules of full reductions.

    An array stays 0-d: `pullback` broadcasts it where an operation needs its size.
    """
    return OPS["expand"](g, shape) if type(g) is Value else g


class Pullback(Recording):
    """The part of an operation that a backward pass calls."""

    def pull(self, node: Node, g: Any) -> Sequence[Any]:
        """The pullback on arrays. Operations with one or two inputs, the bulk of most graphs, take a short
        way."""
        ways = self.ways
        if ways is None or node.many is not None:
            return self.pullback(node, g, False)
        if node.versions is not None or node.rare is not None:
            check_versions(node)
        if node.right is None:
            return (ways[0](node, g), *(None,) * (len(self.inputs) - 1))
        if node.left is None:
            return (None, ways[1](node, g))
        first = ways[0](node, g)
        same = self.mirrored and node.args[0] is node.args[1]
        return (first, first if same else ways[1](node, g))

    def pullback(self, node: Node, g: Any, as_values: bool) -> Sequence[Any]:
        """Cotangents of the inputs, one for each edge of the node, from that of its output."""
        if self.saved or node.versions is not None or node.rare is not None:
            check_versions(node)
        if type(g) is list:
            g = self._filled(node, g, as_values)
        if node.outputs is None and g.shape != node.shape and (not self.factor or node.likes is not None):
            g = spread(g, node.shape)
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
        like = None if node.likes is None else node.likes[i]
        return r if like is None else unbroadcast(r, like)

    def _filled(self, node: Node, row: list[Any], as_values: bool) -> tuple[Any, ...]:
        """Zeros stand for cotangents of outputs that nothing used."""
        assert node.outputs is not None
        full = []
        for g, like in zip(row, node.outputs, strict=True):
            if g is None:
                g = np.zeros(like.shape, like.dtype)
                g = fixed(g) if as_values else g
            elif type(g) is not Value and g.shape != like.shape:
                g = spread(g, like.shape)
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

    def _promote(self, arrays: list[Any]) -> None:
        raise NotImplementedError


def _grad(outs: list[Value], ins: list[Value], gs: list[Value], create: bool) -> Sequence[Value | None]:
    if not outs:
        return [None] * len(ins)
    return GRAD[0](outs, ins, gs, create_graph=create)  # type: ignore[no-any-return]


def _flat(results: Sequence[Any], node: Node) -> list[Any]:
    flat: list[Any] = []
    for r in results:
        if type(r) is list:
            flat.extend(r)
        else:
            flat.append(r)
    if len(flat) != len(node.edges):
        raise InternalError(
            f"the rule of {node.op.name} gave {len(flat)} gradients for {len(node.edges)} inputs"
        )
    return [r if e is not None else None for r, e in zip(flat, node.edges, strict=True)]
