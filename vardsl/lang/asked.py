"""The sites of expressions that a session's code asks for their value: see `sites.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PATIENCE = 120  # times that a site is asked before it is looked at what it is asked about
"""Code of its own takes about a millisecond to make, and saves five to ten microseconds each time."""
Ask = Callable[..., Any]
Place = Callable[[Ask], None]


class Sites:
    """The sites of a session, which its code finds in `table`.

    `start(plain, numbers, place)` gives what is asked once a site has been met often enough; `place` puts
    another function in its place.
    """

    def __init__(self, table: dict[str, Any], start: Callable[[Ask, tuple[int, ...], Place], Ask]) -> None:
        self.table = table
        self.start = start
        self.plain: dict[str, Ask] = {}

    def __call__(self, name: str, plain: Ask, numbers: tuple[int, ...]) -> None:
        """Makes a site known, unless that is known. `plain` evaluates its expression, in which the operands
        `numbers` are summands and factors."""
        known = self.plain.get(name)
        if known is not None and known.__code__ == plain.__code__:
            return
        self.plain[name] = plain
        self.table[name] = self._waiting(name, plain, numbers)

    def _waiting(self, name: str, plain: Ask, numbers: tuple[int, ...]) -> Ask:
        left = PATIENCE

        def ask(*operands: Any) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                place(self.start(plain, numbers, place))

        def place(found: Ask) -> None:
            self.table[name] = found

        return ask
