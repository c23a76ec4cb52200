"""Nodes whose inputs have several dtypes: their rules run on values, also where nothing is recorded.

On bare arrays NumPy would have the last word on dtypes, and to it a 0-d float64 is wider than any float32,
where PyTorch takes the dtype of what has dimensions. So a pass comes to the same bits as a plan of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from vardsl.engine.context import no_grad
from vardsl.engine.cotangents import spread
from vardsl.engine.node import Node
from vardsl.engine.value import Value


class OnValues:
    """Stands for an operation at a node that mixes dtypes."""

    ways = None

    def __init__(self, op: Any) -> None:
        self.op = op

    def __getattr__(self, name: str) -> Any:
        return getattr(self.op, name)

    def pull(self, node: Node, g: Any) -> Sequence[Any]:
        """The pullback on arrays."""
        if not isinstance(g, (np.ndarray, np.generic)):
            return self.op.pull(node, g)  # type: ignore[no-any-return]
        if node.outputs is None and g.shape != node.shape:
            g = spread(g, node.shape)
        with no_grad():
            results = self.op.pullback(node, Value(np.asarray(g)), True)
        return [r.array if type(r) is Value else r for r in results]

    def pullback(self, node: Node, g: Any, as_values: bool) -> Sequence[Any]:
        """The pullback on values, or on arrays."""
        return self.op.pullback(node, g, True) if as_values else self.pull(node, g)


@cache
def on_values(op: Any) -> OnValues:
    """What stands for an operation at such nodes."""
    return OnValues(op)


def mixes(op: Any, bound: Sequence[Any], dtype: Any) -> bool:
    """Whether a call whose result has this dtype had tensors of others, masks apart."""
    for i in op.arrays:
        a = bound[i]
        if type(a) is Value and a.array.dtype is not dtype and a.array.dtype.kind != "b":
            return True
    return False
