"""The usual way down: from one number to the leaves, on bare arrays, without what few passes need."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

from vardsl.engine.bundle import Bundle, row_of, unfold
from vardsl.engine.context import state
from vardsl.engine.large import LARGE, total
from vardsl.engine.node import Node
from vardsl.engine.rule import check_versions
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
    target: Node,
    node: Node | None,
    k: int,
    r: Any,
    heap: list[tuple[int, Node]],
    pending: dict[Node, Any],
) -> None:
    """Adds a cotangent to what the output at edge `k` of `node`, or else output `k` of `target`, has
    received; that waits for its turn."""
    sofar = pending.get(target)
    if sofar is None:
        heappush(heap, (-target.seq, target))
    if target.rare is None or target.rare.outputs is None:
        pending[target] = r if sofar is None else total(sofar, r)
        return
    if sofar is None:
        sofar = pending[target] = [None] * len(target.rare.outputs)
    index = k if node is None else 0 if node.indices is None else node.indices[k]
    sofar[index] = r if sofar[index] is None else total(sofar[index], r)


def _receive(leaves: dict[Value, Any], leaf: Value, r: Any, node: Node, g: Any) -> None:
    """Adds a cotangent to what a leaf has received so far."""
    sofar = leaves.get(leaf)
    if sofar is not None:
        leaves[leaf] = sofar + r if r.size < LARGE else total(sofar, r)
    else:
        # what a rule passes on unchanged must not become two leaves' gradient
        leaves[leaf] = +r if r is g or r is node.y else r


def _deliver(
    node: Node, g: Any, results: Sequence[Any], heap: list[tuple[int, Node]], pending: dict[Node, Any],
    leaves: dict[Value, Any],
) -> None:  # fmt: skip
    """Hands the cotangents of a node's inputs on to whatever made those."""
    edges = node.many
    if edges is None:
        edges = (node.left,) if node.right is None else (node.left, node.right)
    for k, target in enumerate(edges):
        r = results[k]
        if r is None or target is None:
            continue
        if type(target) is Value:
            _receive(leaves, target, r, node, g)
        else:
            _wait(target, node, k, r, heap, pending)


def walk(
    node: Node, g: Any, heap: list[tuple[int, Node]], pending: dict[Node, Any], leaves: dict[Value, Any]
) -> tuple[Node, Any] | None:
    """Goes down from a node with its cotangent; ends with None, or before a node that wants more than the
    usual.

    In a chain the node that follows is at hand; where the graph branches, nodes wait in `heap` and what they
    have received so far in `pending`.
    """
    ctx = state.ctx
    try:
        while True:
            rare = node.rare
            if ctx.cancel or (
                rare is not None
                and (
                    rare.hooks is not None
                    or rare.retained is not None
                    or (rare.outputs is not None and type(node) is not Node)
                )
            ):
                return node, g
            target: Any = None
            k = 0
            if type(node) is Bundle and (form := node.form) is not None:
                pull = form.pull
                if rare is not None and node.changed:
                    pull = None
                r = None
                if pull is not None:
                    try:
                        r = pull(node.kept, g, leaves)
                    except MemoryError:
                        raise
                    except Exception:
                        r = None  # the nodes, one by one, tell which of them it was
                if r is None:
                    unfold(node)
                    g = row_of(node, g)
                    continue
                kept = node.kept
                if form.spent is not form:
                    node.form, node.kept = form.spent, kept[: len(form.edges)]
                if form.chain >= 0:
                    target = kept[form.chain]
                    if target.rare is not None:
                        _wait(target, None, form.outputs[form.chain], r, heap, pending)
                        target = None
                else:
                    for i, c in zip(form.nodes, r):
                        _wait(kept[i], None, form.outputs[i], c, heap, pending)
            elif (args := node.args) is None:
                raise GradError(SECOND_TIME, hint="backward … retain keeps the graph")
            elif (
                (type(node) is not Node and type(node) is not Bundle)
                or node.many is not None
                or (ways := (op := node.op).ways) is None
                or (rare is not None and rare.outputs is not None)
            ):
                op = node.op
                several = rare is not None and rare.outputs is not None
                results = op.pullback(node, g, False) if several else op.pull(node, g)
                _deliver(node, g, results, heap, pending, leaves)
                if op.saves(node):
                    node.args = node.y = None
            else:
                if rare is not None or node.versions is not None:
                    check_versions(node)
                target, other = node.left, node.right
                if other is None:
                    r = None
                    if (
                        op.onto is not None
                        and not heap  # nothing else has to do with what is between the two
                        and type(target) is Node
                        and target.rare is None
                        and target.many is None
                        and target.args is not None
                    ):
                        r = op.onto.nodes(node, g, target)
                    if r is None:
                        r = ways[0](node, g)
                    else:
                        if op.saves(node):
                            node.args = node.y = None
                        node, op, args, target = target, target.op, target.args, target.left
                elif target is None:
                    target, r, k = other, ways[1](node, g), 1
                else:
                    if op.both is not None:
                        r, q = op.both(node, g)
                    else:
                        r = ways[0](node, g)
                        q = r if op.mirrored and args[0] is args[1] else ways[1](node, g)
                    if type(target) is Value:
                        if r is not None:
                            _receive(leaves, target, r, node, g)
                        target, r, k = other, q, 1
                    elif q is not None:
                        if type(other) is Value:
                            if q is g or q is node.y or other in leaves:
                                _receive(leaves, other, q, node, g)
                            else:
                                leaves[other] = q
                        elif target is other and r is not None:
                            if heap or target.rare is not None:
                                _wait(target, node, 0, r, heap, pending)
                                target, r, k = other, q, 1
                            else:
                                r = r + q if r.size < LARGE else total(r, q)
                        else:
                            _wait(other, node, 1, q, heap, pending)
                if r is None:
                    target = None
                elif type(target) is Value:
                    if r is g or r is node.y or target in leaves:
                        _receive(leaves, target, r, node, g)
                    else:
                        leaves[target] = r
                    target = None
                if op.holds and (node.y is not None or args[op.first] is not None or op.saves(node)):
                    node.args = node.y = None
            if target is not None:
                if not heap and target.rare is None:
                    node, g = target, r
                    continue
                _wait(target, node, k, r, heap, pending)
            if not heap:
                return None
            node = heappop(heap)[1]
            g = pending.pop(node)
    except Exception as error:
        located(error, node)
        raise
