"""The usual way down: from one number to the leaves, on bare arrays, without what few passes need."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

from vardsl.engine.context import state
from vardsl.engine.node import Node
from vardsl.engine.value import Value
from vardsl.errors import GradError

SECOND_TIME = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have "
    "already "
    "been freed). Saved intermediate values of the graph are freed when you call .backward() or "
    "autograd.grad(). "
    "Specify retain_graph=True if you need to backward through the graph a second time or if you need to "
    "access "
    "saved tensors after calling backward."
)


def located(error: Exception, node: Node) -> Exception:
    """Remembers the forward expression that an error in backward belongs to."""
    if not hasattr(error, "forward_node"):
        error.forward_node = node  # type: ignore[attr-defined]
    return error


def _wait(
    target: Node, node: Node, k: int, r: Any, heap: list[tuple[int, Node]], pending: dict[Node, Any]
) -> None:
    """Adds a cotangent to what the output at edge `k` of `node` has received; its node waits for its turn."""
    sofar = pending.get(target)
    if sofar is None:
        heappush(heap, (-target.seq, target))
    if target.rare is None or target.rare.outputs is None:
        pending[target] = r if sofar is None else sofar + r
        return
    if sofar is None:
        sofar = pending[target] = [None] * len(target.rare.outputs)
    index = 0 if node.indices is None else node.indices[k]
    sofar[index] = r if sofar[index] is None else sofar[index] + r


def walk(
    node: Node, g: Any, heap: list[tuple[int, Node]], pending: dict[Node, Any], leaves: dict[Value, Any]
) -> tuple[Node, Any] | None:
    """Goes down from a node with its cotangent; ends with None, or before a node that wants more than the
    usual.

    In a chain the node that follows is at hand; where the graph branches, nodes wait in `heap` and what they
    have received so far in `pending`.
    """
    ctx = state.ctx
    following: Any
    g_next: Any = None
    try:
        while True:
            rare = node.rare
            if ctx.cancel or (
                rare is not None
                and (rare.hooks is not None or rare.retained is not None or rare.outputs is not None)
            ):
                return node, g
            if node.args is None:
                raise GradError(SECOND_TIME, hint="backward … retain keeps the graph")
            op = node.op
            results = op.pull(node, g)
            edges = node.many
            if edges is None:
                edges = (node.left,) if node.right is None else (node.left, node.right)
            following = None
            for k, target in enumerate(edges):
                r = results[k]
                if r is None or target is None:
                    continue
                if type(target) is Value:
                    sofar = leaves.get(target)
                    if sofar is None:
                        # what a rule passes on unchanged must not become two leaves' gradient
                        leaves[target] = +r if r is g or r is node.y else r
                    else:
                        leaves[target] = sofar + r
                elif target is following:
                    g_next = g_next + r
                elif heap or following is not None or target.rare is not None:
                    _wait(target, node, k, r, heap, pending)
                else:
                    following, g_next = target, r
            if op.saves(node):
                node.args = node.y = None
            if following is not None:
                if not heap:
                    node, g = following, g_next
                    continue
                pending[following] = g_next
                heappush(heap, (-following.seq, following))
            if not heap:
                return None
            node = heappop(heap)[1]
            g = pending.pop(node)
    except Exception as error:
        located(error, node)
        raise
