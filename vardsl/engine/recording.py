"""Recording: the node of a call, with as much of the call as its rules will need."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.declared import Declared
from vardsl.engine.dtypes import f4
from vardsl.engine.node import Like, Node, step
from vardsl.engine.rule import Rule
from vardsl.engine.value import Value
from vardsl.engine.widths import mixes, on_values

ndarray = np.ndarray


class Recording(Declared):
    """The part of an operation that adds to the graph."""

    def record(self, bound: list[Any], arrays: list[Any], y: Any) -> Node | None:
        """The node of this call, or None where nothing in it takes part in the graph."""
        if self.family == "nondiff" or not state.ctx.grad_enabled:
            return None
        edges: list[Any] = []
        indices: list[int] | None = None
        live, bit = 0, 1
        for i in self.arrays:
            a = bound[i]
            for x in a if type(a) is list else (a,):
                edge: Any = None
                if type(x) is Value:
                    edge = x._node if x.base is None else x.node
                    if edge is not None:
                        live |= bit
                        if x.index:
                            indices = indices or []
                            indices += [0] * (len(edges) - len(indices)) + [x.index]
                    elif x._requires:
                        edge = x
                        live |= bit
                edges.append(edge)
            bit += bit
        if not live:
            return None
        return self._node(bound, edges, indices, self._kept_of(bound, live), y)

    def record_first(self, bound: list[Any], y: Any) -> Node | None:
        """As `record` of a call with one result, which mostly only the first input takes part in."""
        edge: Any = None
        simple = self.ways is not None and not self.keeps_likes and not self.sums
        for i in self.arrays:
            a = bound[i]
            if type(a) is not Value:
                continue
            made: Any = a._node if a.base is None else a.node
            if made is not None or a._requires:
                simple &= i == self.first and not a.index
                edge = a if made is None else made
            if a.vc is not None:
                simple = False
            dtype = a.array.dtype
            if dtype is not y.dtype and mixes(self, dtype):
                simple = False
        if edge is None:
            return None
        if not simple:
            return self.record(bound, bound, y)
        kept = self.kept_for.get(1)
        if kept is None:
            args = self._kept_of(bound, 1)
        else:
            args = [b if k else None for b, k in zip(bound, kept)] if kept else bound
        return step(self, edge, None, args, y if self.keeps_y else None, None, y, 4)

    def _node(self, bound: list[Any], edges: list[Any], indices: list[int] | None, args: Any, y: Any) -> Node:
        several = type(y) is tuple
        node = step(self, edges[0], None, args, y if self.keeps_y else None, None, y[0] if several else y, 6)
        if self.ways is None or (len(edges) > 2 and edges[1:].count(None) < len(edges) - 1):
            node.left, node.many = None, tuple(edges)
        elif len(edges) == 2:
            node.right = edges[1]
        if indices is not None:
            node.indices = (*indices, *[0] * (len(edges) - len(indices)))
        if several:
            node.outputs = tuple([Like(a.shape, a.dtype) for a in y])
        for i in self.arrays:
            a = args[i]
            if type(a) is list or (type(a) is Value and a.vc is not None):
                _note_versions(node)
                break
        if self.keeps_likes or self.family == "fused" or (self.sums and self._mixed(bound, node)):
            node.likes = [like(b) if i in self.arrays else None for i, b in enumerate(bound)]
        if len(edges) > 1:
            for i in self.arrays:
                a = bound[i]
                if type(a) is Value:
                    dtype = a.array.dtype
                    if dtype is not node.dtype and mixes(self, dtype):
                        node.op = on_values(self)
                        break
        return node

    def _kept_of(self, bound: list[Any], live: int) -> list[Any]:
        """Those of a call's arguments that the rules of the inputs need whose bit is set in `live`."""
        kept = self.kept_for.get(live)
        if kept is None:
            saved = self.saved
            if self.rules and self.shared is None and not self.signature.has_lists:
                saved = frozenset().union(*[n for k, n in enumerate(self._needed()) if live >> k & 1])
            whole = self.family == "fused" or len(saved) == len(bound)
            kept = () if whole else tuple([i in saved for i in range(len(bound))])
            self.kept_for[live] = kept
        return [b if k else None for b, k in zip(bound, kept)] if kept else bound

    def _needed(self) -> list[frozenset[int]]:
        """Which arguments the rule of each input names."""
        rules = [rule for _, rule in self.inputs]
        return [
            frozenset(i for kind, i in r.arguments if kind == "arg") if isinstance(r, Rule) else frozenset()
            for r in rules
        ]

    def _mixed(self, bound: list[Any], node: Node) -> bool:
        for i in self.arrays:
            a = bound[i]
            x = a.array if type(a) is Value else a
            if isinstance(x, (ndarray, np.generic)) and (x.shape != node.shape or x.dtype != node.dtype):
                return True
        return False

    def record_pair(self, a: Any, b: Any, x: Any, z: Any, v: Value, depth: int = 4) -> None:
        """Gives `v`, made of the operands `a` and `b` with the arrays `x` and `z`, its node where one takes
        part in the graph; the script's expression is `depth` calls away from `step`."""
        left: Any = None
        right: Any = None
        indexed = 0
        if type(a) is Value:
            left = a._node if a.base is None else a.node
            if left is not None:
                indexed = a.index
            elif a._requires:
                left = a
        if type(b) is Value:
            right = b._node if b.base is None else b.node
            if right is not None:
                indexed |= b.index
            elif b._requires:
                right = b
        if right is None:
            if left is None:
                return
            keep_a, keep_b = self.for_left
        else:
            keep_a, keep_b = self.for_right if left is None else self.for_both
        y = v.array
        likes = None
        if self.keeps_likes:
            likes = (like(a), like(b), *[None] * len(self.rest))
        elif self.sums and y.shape:
            shape = y.shape
            # also of an operand that takes no part and has dimensions: a 0-d cotangent times it has not the
            # size of the other
            short_a = x.shape != shape and (left is not None or x.ndim)
            short_b = z.shape != shape and (right is not None or z.ndim)
            if short_a or short_b:
                likes = (like(a) if short_a else None, like(b) if short_b else None)
        if not keep_a and not keep_b:
            args = self.nothing
        else:
            args = self.keeping(a if keep_a else None, b if keep_b else None)
        node = v._node = step(self, left, right, args, y if self.keeps_y else None, likes, y, depth)
        if indexed:
            node.indices = (_index(a, left), _index(b, right))
        if keep_a or keep_b:
            va = a.vc[0] if keep_a and type(a) is Value and a.vc is not None else 0
            vb = b.vc[0] if keep_b and type(b) is Value and b.vc is not None else 0
            if va or vb:
                both = keep_a and keep_b and type(a) is type(b)
                node.versions = (va, vb) if both else (va,) if keep_a and type(a) is Value else (vb,)

    def keeping(self, a: Any, b: Any) -> Any:
        """The arguments of a node that keeps these operands."""
        if a is None and type(b) is float and not self.rest:
            args = self.by_number.get(b)
            if args is None:
                args = (None, b)
                if b and len(self.by_number) < 64:  # 0.0 and -0.0 are one key
                    self.by_number[b] = args
            return args
        return (a, b, *self.rest) if self.rest else (a, b)


def _note_versions(node: Node) -> None:
    """The versions of what a node keeps, where one is not 0."""
    versions = [x.version for a in node.args for x in (a if type(a) is list else (a,)) if type(x) is Value]
    if any(versions):
        node.versions = tuple(versions)


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
