"""What a running script tells its surroundings: data, to be shown by whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vardsl.errors import Warning_


@dataclass(frozen=True, slots=True)
class Printed:
    """Text of a `print`, with its newline."""

    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """The value of an expression at the top level of a REPL."""

    value: Any


@dataclass(frozen=True, slots=True)
class Progress:
    """A finished turn of `minimize`."""

    turn: int
    steps: int
    loss: float


@dataclass(frozen=True, slots=True)
class Warned:
    warning: Warning_


Outcome = Printed | Shown | Progress | Warned
Emit = Callable[[Outcome], None]
