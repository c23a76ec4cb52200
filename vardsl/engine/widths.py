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
from vardsl.engine.value import OPS, Value


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
            results = self.pullback(node, Value(np.asarray(g)), True)
        return [r.array if type(r) is Value else r for r in results]

    def pullback(self, node: Node, g: Any, as_values: bool) -> Sequence[Any]:
        """The pullback on values, or on arrays; each cotangent has the dtype of its input."""
        if not as_values:
            return self.pull(node, g)
        results = self.op.pullback(node, g, True)
        return [_fitting(r, node, k) for k, r in enumerate(results)]


def _fitting(r: Any, node: Node, k: int) -> Any:
    """The cotangent of input `k` in the dtype that the input had."""
    source = node.edges[k]
    if r is None or source is None:
        return r
    if type(source) is Value:
        dtype = source.array.dtype
    elif source.outputs is None:
        dtype = source.dtype
    else:
        dtype = source.outputs[0 if node.indices is None else node.indices[k]].dtype
    return r if r.array.dtype == dtype else OPS["_cast"](r, dtype)


@cache
def on_values(op: Any) -> OnValues:
    """What stands for an operation at such nodes."""
    return OnValues(op)


def mixes(op: Any, dtype: Any) -> bool:
    """Whether an input of another dtype than the result's makes a difference; masks and indices do not."""
    return bool(dtype.kind == "f" or (dtype.kind != "b" and op.promote is not None))
