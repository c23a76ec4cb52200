"""The statements that can be taken back and done again, as many as their memory allows."""

from __future__ import annotations

from collections import Counter

from vardsl.apps.repl.pages import Entry
from vardsl.engine.pool import free_memory
from vardsl.lang.undo import Undo

# What may be held only for taking back: copies, and values that no name leads to any more.
MOST_BYTES = 1 << 30
# Where the machine has less free than this, only the last statement can be taken back.
LEAST_FREE = 1 << 29


class Steps:
    """Statements with the moments before them, the last one last; those taken back wait to be done again."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.done: list[tuple[Entry, Undo]] = []
        self.undone: list[tuple[Entry, Undo]] = []
        self._holders: Counter[int] = Counter()
        self._held = 0

    def add(self, entry: Entry, undo: Undo) -> None:
        """Remembers a statement; what was taken back is forgotten, and the oldest where there is no room."""
        for _, old in self.undone:
            self._release(old)
        self.undone.clear()
        self.done.append((entry, undo))
        self._hold(undo)
        live = sum(undo.sizes.values())
        short = free_memory() < LEAST_FREE
        while len(self.done) > 1 and (
            len(self.done) > max(20, self.most) or self._held - live > MOST_BYTES or short
        ):
            self._release(self.done.pop(0)[1])

    def back(self) -> Entry | None:
        """Takes the last statement back."""
        if not self.done:
            return None
        entry, undo = self.done.pop()
        undo.swap()
        self.undone.append((entry, undo))
        return entry

    def forward(self) -> Entry | None:
        """Does the statement again that was taken back last, with the same outcome."""
        if not self.undone:
            return None
        entry, undo = self.undone.pop()
        undo.swap()
        self.done.append((entry, undo))
        return entry

    def clear(self) -> None:
        """Forgets all."""
        self.done.clear()
        self.undone.clear()
        self._holders.clear()
        self._held = 0

    def _hold(self, undo: Undo) -> None:
        self._held += undo.bytes_kept
        for key, size in undo.sizes.items():
            if not self._holders[key]:
                self._held += size
            self._holders[key] += 1

    def _release(self, undo: Undo) -> None:
        self._held -= undo.bytes_kept
        for key, size in undo.sizes.items():
            self._holders[key] -= 1
            if not self._holders[key]:
                del self._holders[key]
                self._held -= size
