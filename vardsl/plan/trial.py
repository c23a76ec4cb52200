"""Whether code that was made for an expression gives what its operations give, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vardsl.engine.bundle import Form
from vardsl.engine.casting import SCALAR_TYPES
from vardsl.engine.node import Node
from vardsl.engine.value import Value

ndarray = np.ndarray


def alike(form: Form, v: Value, nodes: Sequence[Node | None], operands: Sequence[Any]) -> bool:
    """Whether the code's backward gives what the nodes give, bit by bit."""
    assert form.pull is not None
    seed = np.cos(np.arange(v.array.size, dtype=v.array.dtype)).reshape(v.array.shape)
    wanted = _by_nodes(nodes, seed)
    leaves: dict[Value, Any] = {}
    r = form.pull(v._node.kept, seed, leaves)  # type: ignore[union-attr]
    if r is None:
        return False
    places = (form.chain,) if form.chain >= 0 else form.nodes
    sent = (r,) if form.chain >= 0 else r
    found: dict[Any, Any] = {}
    for i, c in zip(places, sent, strict=True):
        key = operands[form.edges[i]]._node, form.outputs[i]
        found[key] = found[key] + c if key in found else c
    found.update({(leaf, 0): c for leaf, c in leaves.items()})
    return wanted.keys() == found.keys() and all(same(wanted[e], found[e]) for e in wanted)


def _by_nodes(nodes: Sequence[Node | None], seed: Any) -> dict[Any, Any]:
    """What leaves, and outputs of nodes before the expression, receive from a cotangent of its last node."""
    received: dict[Any, Any] = {(nodes[-1], 0): seed}
    for node in reversed(nodes):
        if node is None:
            continue
        row = [received.pop((node, j), None) for j in range(len(node.outputs or (0,)))]
        if all(g is None for g in row):
            continue
        results = node.op.pull(node, row[0] if node.outputs is None else row)
        for k, (e, r) in enumerate(zip(node.edges, results, strict=True)):
            if e is not None and r is not None:
                key = e, 0 if node.indices is None else node.indices[k]
                received[key] = received[key] + r if key in received else r
    return received


def same(a: Any, b: Any) -> bool:
    if type(a) is not ndarray and type(a) not in SCALAR_TYPES:
        return False
    if a.dtype is not b.dtype or a.shape != b.shape:
        return False
    return _order(a) == _order(b) and a.tobytes() == b.tobytes()


def _order(a: Any) -> list[int]:
    """How an array lies in memory, as far as anybody can tell."""
    return [s for s, n in zip(a.strides, a.shape) if n > 1] if a.size else []
