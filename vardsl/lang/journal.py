"""What a failed statement takes back: undo functions, each with the depth of the call that recorded it."""

from __future__ import annotations

from collections.abc import Callable

from vardsl.engine.context import Context, unfollowed

Undo = Callable[[], None]


class Journal(list[Undo]):
    """The effects of one simple statement, in order.

    A called function that failed keeps what its finished statements did; all else is undone.
    """

    def __init__(self, level: list[int]) -> None:
        super().__init__()
        self.level = level
        self.depth = level[0]
        self.depths: list[int] = []

    def append(self, undo: Undo) -> None:
        list.append(self, undo)
        self.depths.append(self.level[0])

    def take(self, inner: list[Undo]) -> None:
        """Adds the effects of a statement that is finished."""
        list.extend(self, inner)
        self.depths.extend(inner.depths if isinstance(inner, Journal) else [self.level[0]] * len(inner))

    def undo(self, *, in_call: bool = False) -> None:
        """Takes everything back, the last first; `in_call`: except what the failed call at the end did."""
        end = len(self)
        while in_call and end and self.depths[end - 1] > self.depth:
            end -= 1
        for undo in reversed(self[:end]):
            undo()
        self.clear()
        self.depths.clear()


def keep_setting(ctx: Context, name: str) -> None:
    """Lets a failed statement put a setting of the session back."""
    unfollowed("a setting is changed")
    if ctx.journal is not None:
        before = getattr(ctx, name)
        ctx.journal.append(lambda: setattr(ctx, name, before))
