"""What the graphs that a recorded run leaves behind may still be used for."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from vardsl.engine.dtypes import DType
from vardsl.engine.node import next_sequence
from vardsl.engine.value import Node, Value


def unfinished(v: Value) -> bool:
    """Whether a value's graph could still be used for a backward pass."""
    freed = False
    for node in _below(v):
        if node.hooks or node.retained or (not node.freed and node.op.saves(node)):
            return True
        freed |= node.freed
    return v._node is not None and not freed


def leaves_of_fixed(v: Value) -> set[Value] | None:
    """The leaves below a value whose graph gives the same derivative each time, however often: it saves
    nothing, and has no numbers but those that stand in the text. None where that is not so."""
    leaves: set[Value] = set()
    for node in _below(v):
        if type(node) is not Node or node.hooks or node.retained or node.freed or node.op.saves(node):
            return None
        if not all(map(_fixed, node.args)):
            return None
        leaves.update(e for e in node.edges if type(e) is Value)
    return leaves


class Patterns:
    """Graphs of which every run's results get a copy of their own: what is done to one result's node, as a
    hook, is not done to another's."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []  # in order of creation
        self.leaves: set[Value] = set()

    def add(self, v: Value, leaves: set[Value]) -> None:
        self.nodes = sorted({*self.nodes, *_below(v)}, key=_by_creation)
        self.leaves |= leaves

    def copies(self) -> dict[Node | None, Node]:
        """A new node for each one."""
        made: dict[Any, Node] = {}
        for node in self.nodes:
            made[node] = _copy(node, made)
        return made


_by_creation = attrgetter("seq")


def _copy(node: Node, made: dict[Any, Node]) -> Node:
    """A node like another, with those that take the place of its inputs' nodes, and without hooks."""
    copy: Node = object.__new__(Node)
    for name in Node.__slots__:
        setattr(copy, name, getattr(node, name))
    copy.seq, copy.rare = next_sequence(), None
    copy.left, copy.right = made.get(node.left, node.left), made.get(node.right, node.right)
    if node.many is not None:
        copy.many = tuple([made.get(e, e) for e in node.many])
    copy.indices, copy.name, copy.outputs = node.indices, node.name, node.outputs
    return copy


def _fixed(arg: Any) -> bool:
    if isinstance(arg, (tuple, list)):
        return all(map(_fixed, arg))
    return arg is None or isinstance(arg, (bool, int, float, str, DType))


def _below(v: Value) -> Iterator[Node]:
    """The nodes of a value's graph."""
    seen: set[Node] = set()
    stack: list[Node | None] = [v._node]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        stack.extend(e for e in node.edges if isinstance(e, Node))
