"""What the graphs that a recorded run leaves behind may still be used for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vardsl.engine.dtypes import DType
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
