"""Limits on memory, time, steps and output, asked before anything is done that could exceed them."""

from __future__ import annotations

import time

from vardsl.engine.pool import Pool, free_memory
from vardsl.errors import LimitError

SMALL = 1 << 24  # bytes that are granted without a look at the machine
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def show_bytes(n: float) -> str:
    """`8000000000000` as `8.0 TB`."""
    for unit in _UNITS[:-1]:
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} {_UNITS[-1]}"


class Budget:
    """What a session may use. None is no limit; memory is always limited by what the machine has free.

    `pool` keeps memory at hand for large results; where memory is short it gives that back.
    """

    __slots__ = (
        "deadline", "max_memory", "max_output", "max_steps", "max_time", "out_bytes", "pool", "steps",
    )  # fmt: skip

    def __init__(
        self,
        *,
        max_memory: int | None = None,
        max_time: float | None = None,
        max_steps: int | None = None,
        max_output: int | None = None,
    ) -> None:
        self.max_memory = max_memory
        self.max_time = max_time
        self.max_steps = max_steps
        self.max_output = max_output
        self.deadline = None if max_time is None else time.monotonic() + max_time
        self.steps = 0
        self.out_bytes = 0
        self.pool = Pool()

    def reserve(self, nbytes: int, what: str) -> None:
        """Refuses an allocation of `nbytes` for `what` that the limit or the machine cannot hold.

        Raises LimitError that names the limit.
        """
        if nbytes <= SMALL and self.max_memory is None:
            return
        if self.max_memory is not None and nbytes > self.max_memory:
            raise LimitError(
                f"{what} needs {show_bytes(nbytes)}; the limit is {show_bytes(self.max_memory)} "
                "(--max-memory)"
            )
        if nbytes > SMALL:
            free = free_memory()
            if nbytes > free * 0.9 and self.pool.nbytes:
                self.pool.clear()
                free = free_memory()
            if nbytes > free * 0.9:
                raise LimitError(
                    f"{what} needs {show_bytes(nbytes)}; the machine has {show_bytes(free)} of memory free",
                    hint="use smaller sizes, or work through the data in parts",
                )
