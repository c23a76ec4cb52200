"""Taking whole statements of a session back: its names and settings, and all that its names lead to."""

from __future__ import annotations

from typing import Any

from vardsl.engine.context import Context
from vardsl.engine.undo import Savepoint
from vardsl.lang.modules import FileSpace

_SETTINGS = ("default_dtype", "anomaly", "print_options", "seed")


class Undo:
    """A moment of a session. `swap` goes back to it, and a second `swap` forward again.

    While statements run that may be taken back, `memory` is the context's savepoint.
    """

    def __init__(self, space: FileSpace, ctx: Context) -> None:
        self.space = space
        self.ctx = ctx
        self.names = _names(space)
        self.captured = space.captured
        self.settings = [getattr(ctx, name) for name in _SETTINGS]
        self.random = _random(ctx)
        self.memory = Savepoint(self.names.values())

    @property
    def bytes_kept(self) -> int:
        """How much memory the copies take."""
        return self.memory.bytes_kept

    @property
    def sizes(self) -> dict[int, int]:
        """Bytes of the memory that all names led to, by storage."""
        return self.memory.sizes

    def has_changed(self) -> bool:
        """Whether anything is other than it was."""
        now = _names(self.space)
        if now.keys() != self.names.keys() or any(now[key] is not self.names[key] for key in now):
            return True
        if any(getattr(self.ctx, name) is not value for name, value in zip(_SETTINGS, self.settings)):
            return True
        return self.memory.has_changed()

    def swap(self) -> None:
        """Puts everything back as it was, and keeps how it is now."""
        space, ctx = self.space, self.ctx
        names, captured, random = _names(space), space.captured, _random(ctx)
        settings = [getattr(ctx, name) for name in _SETTINGS]
        for key in names:
            del space.names[key]
        space.names.update(self.names)
        space.captured = self.captured
        for name, value in zip(_SETTINGS, self.settings):
            setattr(ctx, name, value)
        if self.random is None:
            ctx._generator = None
        else:
            ctx.generator.set_state(self.random)
        self.memory.swap()
        self.names, self.captured, self.settings, self.random = names, captured, settings, random


def _names(space: FileSpace) -> dict[str, Any]:
    return {key: value for key, value in space.names.items() if key[0] == ":"}


def _random(ctx: Context) -> Any:
    return None if ctx._generator is None else ctx._generator.get_state()
