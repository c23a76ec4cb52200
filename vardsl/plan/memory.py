"""How much memory plans may hold on to between runs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

from vardsl.engine.pool import free_memory
from vardsl.plan.region import Region

SMALL = 1 << 20  # bytes of a region's plans that are not worth a thought
UNASKED = 1 << 24  # bytes that all may hold without a look at the machine
SHARE = 8  # of the memory that is free, plans may hold one part in so many

_time = count(1).__next__


def look_after(regions: Iterable[Region]) -> None:
    """Lets the regions that were used longest ago forget their plans where all hold too much memory."""
    large = []
    for region in regions:
        if region.plans:
            if region.turns != region.used[0]:
                region.used = (region.turns, _time(), held(region))
            _, last, size = region.used
            if size > SMALL:
                large.append((last, size, region))
    total = sum(size for _, size, _ in large)
    if len(large) < 2 or total <= UNASKED:
        return
    most = free_memory() // SHARE
    for _, size, region in sorted(large, key=lambda entry: entry[0])[:-1]:
        if total <= most:
            return
        region.forget()
        total -= size


def held(region: Region) -> int:
    """The bytes of the arrays that a region's plans work on, which other things may hold as well."""
    arrays: dict[int, Any] = {}
    for planned in region.plans:
        for array in planned.plan.layout.buffers.values():
            root = array if array.base is None else array.base
            arrays[id(root)] = root
    return sum(getattr(a, "nbytes", 0) for a in arrays.values())
