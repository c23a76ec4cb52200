"""What the running program asks of a planner, one region for each run of statements that may repeat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class RegionLike(Protocol):
    """One run in the running program.

    mode      1 while it may be planned, 2 when it is left alone
    ask       with the values read: the values bound, or None where the statements are to be executed
    defer     with the values read, before statements that are executed: whether their numbers come last
    numbers   while the run is recorded: what is read at some places, the numbers that change followed
    end       with the values bound, after the statements were executed; gives them back as bare values.
              `changed` are variables that the run changes in place, read at `places`
    plans     those that there are
    ahead     runs turns of a loop whose body the run is, where another follows: with the values read, how
              many at most, and what tells it to stop; how many it has run
    whole     whether the run is one statement, so that its gradients must be as before where it is stopped
    """

    mode: int
    plans: list[Any]
    whole: bool

    @property
    def ask(self) -> Callable[[Sequence[Any]], tuple[Any, ...] | None]: ...

    @property
    def tracing(self) -> bool: ...

    def defer(self, reads: Sequence[Any]) -> tuple[Any, ...] | None: ...

    def numbers(self, places: Sequence[int]) -> tuple[Any, ...]: ...

    def end(
        self, results: Sequence[Any] | None, changed: Sequence[Any] = (), places: Sequence[int] = ()
    ) -> tuple[Any, ...]: ...

    def ahead(self, reads: Sequence[Any], turns: int, stopping: Callable[[], bool]) -> int: ...
