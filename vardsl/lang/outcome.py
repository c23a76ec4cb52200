"""What a running script tells its surroundings: data, to be shown by whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vardsl.errors import Warning_


class Printed:
    """Text of a `print`, with its newline."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return type(other) is Printed and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


class Shown:
    """The value of an expression at the top level of a REPL."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is Shown and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]


class Progress:
    """A finished turn of `minimize`."""

    __slots__ = ("loss", "steps", "turn")

    def __init__(self, turn: int, steps: int, loss: float) -> None:
        self.turn = turn
        self.steps = steps
        self.loss = loss


class Warned:
    """A warning was given."""

    __slots__ = ("warning",)

    def __init__(self, warning: Warning_) -> None:
        self.warning = warning


Outcome = Printed | Shown | Progress | Warned
Emit = Callable[[Outcome], None]
