"""Memory for large results: that of the last ones, as soon as nothing holds those any more.

Fresh memory comes from the system page by page, as it is first written to, which takes longer than most of
what is computed in it. A pool knows the blocks that it has given lately; one that only the pool refers to is
given again. What a pool holds is a small share of the memory that is free, and what no run needs goes back.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np

LARGE = 1 << 18  # bytes below which the allocator keeps memory at hand by itself
SHARE = 8  # of the memory that is free, one part in so many is kept
SMALL = 1 << 26  # bytes that a pool may hold without a look at the machine
MOST = 64  # blocks, so that a search is short
LINE = 64  # bytes of a cache line
IDLE = 2  # runs after which a block that none of them needed goes back


def free_memory() -> int:
    """Bytes that the machine can still give without swapping; a terabyte where it does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as f:
            for line in f:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 1 << 40


class _Block:
    """A piece of memory; all arrays in it refer to that one."""

    __slots__ = ("memory", "run", "size", "start")

    def __init__(self, size: int, run: int) -> None:
        self.size = size
        self.run = run
        self.memory: Any = np.empty(size + LINE, np.uint8)
        self.start: int = -self.memory.__array_interface__["data"][0] % LINE


def _holders(a: Any) -> int:
    """References to the memory that an array lies in, as many as this Python counts from here."""
    memory = a.base
    return getrefcount(memory)


_PROBE = _Block(0, 0)
_UNUSED = getrefcount(_PROBE.memory)  # references to the memory of a block that no array is in
_ALONE = _holders(_PROBE.memory[:0])  # and to that of a block with one array


class Pool:
    """The blocks that one session has given for its results."""

    __slots__ = ("_blocks", "_run")

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._run = 0

    def array(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Uninitialised memory of its own for an array."""
        size = dtype.itemsize
        for n in shape:
            size *= n
        if size < LARGE:
            return np.empty(shape, dtype)
        block = self._block(size)
        block.run = self._run
        return block.memory[block.start : block.start + size].view(dtype).reshape(shape)

    def _block(self, size: int) -> _Block:
        blocks = self._blocks
        for k, block in enumerate(blocks):
            if block.size == size and getrefcount(block.memory) == _UNUSED:
                blocks.append(blocks.pop(k))
                return block
        try:
            made = _Block(size, self._run)
        except MemoryError:
            self.clear()
            made = _Block(size, self._run)
        blocks.append(made)
        self._bound()
        return made

    def _bound(self) -> None:
        """Forgets the blocks that were given longest ago where there are many, or all are more than the
        pool's share."""
        blocks = self._blocks
        del blocks[:-MOST]
        total = sum([block.size for block in blocks])
        if total > SMALL:
            most = max(SMALL, (free_memory() + total) // SHARE)
            while total > most:
                total -= blocks.pop(0).size

    def owns(self, a: Any) -> bool:
        """Whether an array is the only one in a block of this pool."""
        for block in self._blocks:
            if block.memory is a.base:
                return _holders(a) == _ALONE
        return False

    @property
    def nbytes(self) -> int:
        """How much memory is held for results to come."""
        return sum(b.size for b in self._blocks if getrefcount(b.memory) == _UNUSED)

    def clear(self) -> None:
        """Gives everything back that nothing refers to."""
        self._blocks = []

    def end_run(self) -> None:
        """Gives back what the last runs have not needed."""
        if self._blocks:
            self._run += 1
            self._blocks = [
                b for b in self._blocks if self._run - b.run <= IDLE or getrefcount(b.memory) != _UNUSED
            ]
