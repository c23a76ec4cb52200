"""A run of statements that may repeat, and the decision when to record it.

The program asks its region before each time it comes to the run: the answer is the values that the run would
bind, or None, and then the program executes the statements itself. The first times pass unseen; then one is
recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from vardsl.engine.context import state
from vardsl.engine.value import Value

WARM_UP = 3  # turns before one is recorded: recording costs about ten
RECORDINGS = 4  # recordings before a region that keeps changing is left alone
LARGE = 200_000  # elements from which a single repetition is worth a plan


class Region:
    """The state of one run of statements: not yet recorded, being recorded, planned, or left alone."""

    __slots__ = (
        "ask", "binds", "given_up", "label", "mode", "names", "plain", "plan", "reads", "recordings",
        "seen", "stopped", "tracer", "turns",
    )  # fmt: skip

    def __init__(self, label: str = "", names: Sequence[str] = (), binds: Sequence[str] = ()) -> None:
        # for those who ask what became of it: where it stands, the names that it reads and binds
        self.label = label
        self.names = names
        self.binds = binds
        self.turns = 0  # that ran as planned
        self.plain = 0  # that were executed as they stand
        self.given_up = 0  # plans that did not apply any more
        self.mode = 0
        # what records and plans is loaded where something repeats
        self.plan: Any = None
        self.tracer: Any = None
        self.reads: Sequence[Any] = ()
        self.seen = 0
        self.recordings = 0
        self.stopped: str | None = None
        self.ask: Callable[[Sequence[Any]], tuple[Any, ...] | None] = self.consider

    def consider(self, reads: Sequence[Any]) -> tuple[Any, ...] | None:
        """While there is no plan: whether to record this time. Always None."""
        self.seen += 1
        self.plain += 1
        ctx = state.ctx
        if ctx.tracer is not None or ctx.anomaly or ctx.journal is not None:
            return None
        if self.seen > WARM_UP or (
            self.seen > 1 and any(type(v) is Value and v.array.size >= LARGE for v in reads)
        ):
            self.recordings += 1
            if self.recordings > RECORDINGS:
                self._stop("what it works on keeps changing")
                return None
            self.tracer = ctx.tracer = import_module("vardsl.plan.trace").Tracer(reads)
            self.reads = reads
        return None

    def planned(self, reads: Sequence[Any]) -> tuple[Any, ...] | None:
        """The results of the plan; where it does not apply any more it is given up for another recording."""
        if state.ctx.tracer is not None:
            return None  # who listens wants to see the operations
        plan = self.plan
        assert plan is not None
        results: tuple[Any, ...] | None = plan.run(reads)
        if results is None:
            self.plan, self.ask = None, self.consider
            self.seen = WARM_UP - 1
            self.given_up += 1
        else:
            self.turns += 1
        return results

    def ahead(self, reads: Sequence[Any], turns: int, stopping: Callable[[], bool]) -> int:
        """Runs at most so many turns that another turn follows, where a plan can; how many it has run."""
        plan = self.plan
        done: int = 0 if plan is None or turns < 1 else plan.repeat(reads, turns, stopping)
        self.turns += done
        return done

    @property
    def tracing(self) -> bool:
        return self.tracer is not None

    def end(self, results: Sequence[Any]) -> None:
        """The recorded run is over and has bound `results`."""
        if self.mode == 0:
            self.mode = self.plain = 1
            return
        tracer, self.tracer = self.tracer, None
        ctx = state.ctx
        if tracer is None or ctx.tracer is not tracer:
            return
        ctx.tracer = None
        execute = import_module("vardsl.plan.execute")
        try:
            self.plan = execute.Plan(tracer, self.reads, results)
            self.ask = self.planned
        except execute.Unplannable as reason:
            self._stop(str(reason))

    def _stop(self, why: str) -> None:
        self.stopped, self.mode = why, 2

    def describe(self) -> str:
        """What became of the region, as text."""
        text: str = import_module("vardsl.plan.describe").describe([self])
        return text
