"""A step of a large parameter, part by part: what its rule makes in between stays in the cache, and two
threads share the work. An update rule is elementwise, so the parts give the bits of the whole."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.engine.tiles import aligned, power_below
from vardsl.engine.together import Runner, processors

LARGE = 1 << 17  # elements from which on a parameter is worth it
THREADED = 1_000_000  # elements from which on a second thread is
CACHE = 3 << 20  # bytes of a part: the parameter, its gradient, two arrays of state and two of scratch


def in_parts(p: Array, g: Array) -> bool:
    """Whether a parameter with this gradient is updated part by part."""
    return p.size >= LARGE and p.flags.c_contiguous and g.flags.c_contiguous and g.dtype == p.dtype


def update_in_parts(optimizer: Any, k: int, p: Array, g: Array, maximize: bool) -> None:
    """What `optimizer.update(k, p, g)` does; with `maximize`, along the gradient."""
    step = _Step(optimizer, optimizer.state[k], p, g, maximize)
    size = power_below(CACHE // (6 * p.itemsize))
    bounds = [(i, min(i + size, p.size)) for i in range(0, p.size, size)]
    step.worker(size)(*bounds[0])  # which finds out what state there will be
    threads = min(2, processors()) if p.size >= THREADED else 1
    workers = [step.worker(size) for _ in range(threads)]
    Runner([[[(update, at)] for at in bounds[1:]] for update in workers], [])()
    step.end()


class _Step:
    """The step of one parameter. `before` is its rule's state but for arrays, `arrays` are these in a row,
    and `new` those that the step makes."""

    def __init__(self, optimizer: Any, state: dict[str, Any], p: Array, g: Array, maximize: bool) -> None:
        self.optimizer, self.state = optimizer, state
        self.shape = p.shape
        self.p, self.g, self.maximize = p.reshape(-1), g.reshape(-1), maximize
        self.before = {name: x for name, x in self.state.items() if type(x) is not np.ndarray}
        self.arrays = {name: x.reshape(-1) for name, x in self.state.items() if type(x) is np.ndarray}
        self.new: dict[str, Array] = {}
        self.after: dict[str, Any] = {}

    def worker(self, size: int) -> Any:
        """What updates a part of at most so many elements, in scratch memory of its own."""
        part = copy(self.optimizer)
        scratch = aligned((3, size), self.p.dtype)

        def update(i: int, j: int) -> None:
            given = {name: a[i:j] for name, a in self.arrays.items()}
            part.state = [{**self.before, **given}]
            part.scratch = [(scratch[0, : j - i], scratch[1, : j - i])]
            g = self.g[i:j]
            part.update(0, self.p[i:j], np.negative(g, scratch[2, : j - i]) if self.maximize else g)
            self._keep(part.state[0], given, i, j)

        return update

    def _keep(self, state: dict[str, Any], given: dict[str, Array], i: int, j: int) -> None:
        for name, x in state.items():
            if type(x) is not np.ndarray:
                self.after[name] = x
            elif name in given:
                if x is not given[name]:  # the rule has put another array in its place
                    self.arrays[name][i:j] = x
            else:
                if name not in self.new:
                    self.new[name] = np.empty(self.p.size, x.dtype)
                self.new[name][i:j] = x

    def end(self) -> None:
        """Gives the parameter its state after the step."""
        self.state.update(self.after)
        self.state.update((name, a.reshape(self.shape)) for name, a in self.new.items())
