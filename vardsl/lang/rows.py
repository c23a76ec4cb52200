"""Small parameters of an optimizer in one row, so that a step of all of them is one of one long array.

An update rule is elementwise, and each element's numbers are the same wherever it stands: a row gives the
same bits as its parameters one by one. The state of the parameters are views of the row's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vardsl.engine.dtypes import Array

SMALL = 4096  # elements of a parameter up to which copying it costs less than a step of its own

Changed = Sequence[tuple[int, Array, Array]]


class Row:
    """Parameters of one dtype side by side: `values`, their gradients, and the state of their update rule."""

    def __init__(self, members: Changed) -> None:
        self.ks = [k for k, _, _ in members]
        self.shapes = [p.shape for _, p, _ in members]
        size = sum(p.size for _, p, _ in members)
        dtype = members[0][1].dtype
        self.values: Array = np.empty(size, dtype)
        self.grads: Array = np.empty(size, dtype)
        self.scratch = (np.empty(size, dtype), np.empty(size, dtype))
        self.parts = list(zip(self.split(self.values), self.split(self.grads), strict=True))
        self.state: dict[str, Any] = {}

    def split(self, row: Array) -> list[Array]:
        """The parameters' parts of an array like the row."""
        found, start = [], 0
        for shape in self.shapes:
            end = start + int(np.prod(shape))
            found.append(row[start:end].reshape(shape))
            start = end
        return found

    def fits(self, members: Changed) -> bool:
        return len(members) == len(self.ks) and all(
            k == mine and p.shape == shape for (k, p, _), mine, shape in zip(members, self.ks, self.shapes)
        )

    def fill(self, members: Changed) -> None:
        for (_, p, g), (value, grad) in zip(members, self.parts):
            np.copyto(value, p)
            np.copyto(grad, g)

    def put(self, members: Changed) -> None:
        for (_, p, _), (value, _) in zip(members, self.parts):
            np.copyto(p, value)

    def gather(self, states: Sequence[dict[str, Any]]) -> bool:
        """Takes over the state of the parameters; False where they have not come equally far."""
        mine = [states[k] for k in self.ks]
        first = mine[0]
        if any(s.keys() != first.keys() for s in mine):
            return False
        for name, x in first.items():
            if not isinstance(x, np.ndarray):
                if any(s[name] != x for s in mine):
                    return False
                self.state[name] = x
                continue
            row = self.state[name] = np.empty_like(self.values)
            for s, part in zip(mine, self.split(row), strict=True):
                np.copyto(part, s[name])
        return True

    def hand_out(self, states: list[dict[str, Any]]) -> None:
        """Makes the parameters' state what the row's is."""
        for name, x in self.state.items():
            parts = self.split(x) if isinstance(x, np.ndarray) else [x] * len(self.ks)
            for k, part in zip(self.ks, parts, strict=True):
                states[k][name] = part


def members_of(changed: Changed) -> list[tuple[int, Array, Array]]:
    """The parameters that are worth a row: the small ones of the first dtype, if there are several."""
    small = [c for c in changed if c[1].size <= SMALL]
    found = [c for c in small if c[1].dtype == small[0][1].dtype and c[2].dtype == c[1].dtype]
    return found if len(found) > 1 else []
