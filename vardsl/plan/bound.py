"""How what a run binds is made: of its plan's results, of what it reads, of the numbers of its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vardsl.engine.context import no_grad
from vardsl.engine.value import OPS, Value
from vardsl.plan.trace import Key, Tracer


class Same:
    """What was read, as it is."""

    def __init__(self, place: int) -> None:
        self.place = place

    def made(self, found: Sequence[Any], values: Sequence[Any], given: Sequence[Any]) -> Any:
        return given[self.place]


class Number:
    """A number of the table."""

    def __init__(self, entry: int) -> None:
        self.entry = entry

    def made(self, found: Sequence[Any], values: Sequence[Any], given: Sequence[Any]) -> Any:
        return values[self.entry]


class Constant:
    """A plain value that is the same each time."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def made(self, found: Sequence[Any], values: Sequence[Any], given: Sequence[Any]) -> Any:
        return self.value


class Several:
    """A tuple of parts."""

    def __init__(self, kind: type, parts: list[Any]) -> None:
        self.kind = kind
        self.parts = parts

    def made(self, found: Sequence[Any], values: Sequence[Any], given: Sequence[Any]) -> Any:
        parts = [found[m] if type(m) is int else m.made(found, values, given) for m in self.parts]
        return self.kind(*parts) if hasattr(self.kind, "_fields") else self.kind(parts)


class Gradient:
    """The gradient that a leaf has after the run."""

    def __init__(self, place: int) -> None:
        self.place = place

    def made(self, found: Sequence[Any], values: Sequence[Any], given: Sequence[Any]) -> Any:
        return given[self.place]._grad


class Sharing:
    """What shares the memory of another value, its source: made once for all names that it has.

    `place` is where it stands behind the results of the plan.
    """

    place = 0

    def __init__(self, source: Any) -> None:
        self.source = source

    def made(self, found: Sequence[Any], values: Sequence[Any], given: Sequence[Any]) -> Any:
        return found[self.place]

    def make(self, found: Sequence[Any], values: Sequence[Any], given: Sequence[Any]) -> Value:
        m = self.source
        return self.of(found[m] if type(m) is int else m.made(found, values, given))

    def of(self, v: Value) -> Value:
        raise NotImplementedError


class Detached(Sharing):
    """`v.detach()`"""

    def of(self, v: Value) -> Value:
        return v.detach()


class Data(Sharing):
    """`v.data`"""

    def of(self, v: Value) -> Value:
        return v.data


class View(Sharing):
    """A view as it was recorded, or the part that `key` names this time."""

    def __init__(self, source: Any, view: Value, key: Key | None) -> None:
        super().__init__(source)
        self.chain, self.node, self.index = view.chain, view._node, view.index
        self.key = key

    def of(self, v: Value) -> Value:
        if self.key is not None:
            return OPS["getitem"](v, self.key.now if len(self.key.now) > 1 else self.key.now[0])  # type: ignore[no-any-return]
        with no_grad():
            for op, args in self.chain:
                v = op.apply_view(v, args)
        v.chain, v._node, v.index = self.chain, self.node, self.index
        return v


def source_of(r: Value, tracer: Tracer) -> Value | None:
    """What the run made of which a value is a view or another name; None for what else shares memory."""
    if r.base is None or r.chain is None:
        source = tracer.aliases.get(id(r))
    else:
        source = r.base if r.chain else None
    if source is None or r._requires or (r.base is not None and r.vc is not source.vc):
        return None
    return source if _is_made(source, tracer) else None


def stands_alone(r: Value, tracer: Tracer, every: Sequence[Value]) -> bool:
    """Whether nothing could tell after the run that a value outside the graph has memory of its own."""
    base = r.base
    if base is not None and (r.chain or r._requires or not _is_made(base, tracer)):
        return False
    if base is not None and r.chain is not None and base.requires_grad:
        return False
    if not r.array.flags.writeable or np.empty_like(r.array).strides != r.array.strides:
        return False
    return not any(
        o is not r and (np.may_share_memory(o.array, r.array) or (o.vc is not None and o.vc is r.vc))
        for o in every
    )


def of_its_own(r: Value, tracer: Tracer) -> Value:
    """A value like another, with memory of its own in the plan."""
    if r.base is None:
        return r
    own = Value(r.array)
    tracer.alias(r, own)
    return own


def _is_made(v: Value, tracer: Tracer) -> bool:
    slot = tracer.slots.get(id(v))
    return slot is not None and slot.kind == "temp"
