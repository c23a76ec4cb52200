"""Recording: the node of a call, with as much of the call as its rules will need."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.declared import Declared
from vardsl.engine.dtypes import f4
from vardsl.engine.rule import Rule
from vardsl.engine.value import Like, Node, Value, script_place

ndarray = np.ndarray


class Recording(Declared):
    """The part of an operation that adds to the graph."""

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
        versions = [
            x.version for a in node.args for x in (a if type(a) is list else (a,)) if type(x) is Value
        ]
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
            node.likes = [like(b) if i in self.arrays else None for i, b in enumerate(bound)]

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

    def record_binary(self, a: Any, b: Any, y: Any) -> Node | None:
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
            node.likes = (like(a), like(b), *[None] * len(self.rest))
        node.where = script_place()
        return node


def like(b: Any) -> Any:
    if type(b) is Value:
        return Like(b.array.shape, b.array.dtype)
    if type(b) is list:
        return [like(x) for x in b]
    if isinstance(b, (ndarray, np.generic)):
        return Like(b.shape, b.dtype)
    return Like((), f4) if b is not None else None


def _index(x: Any, edge: Any) -> int:
    return 0 if edge is None or edge is x else x.index
