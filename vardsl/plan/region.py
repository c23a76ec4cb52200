"""A run of statements that may repeat, and the decision when to record it.

The program asks its region before each time it comes to the run: the answer is the values that the run would
bind, or None, and then the program executes the statements itself. The first times pass unseen; then one is
recorded. What the run works on may be of several kinds (a last batch that is smaller): each has its plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from vardsl.engine.context import state
from vardsl.engine.value import Tracked, Value

WARM_UP = 3  # turns before one is recorded: recording costs about ten
RECORDINGS = 4  # recordings before a region that keeps changing is left alone, and plans that it keeps
LARGE = 200_000  # elements from which a single repetition is worth a plan
PAYS = 8  # turns that a plan must have run, on average, for a region to go on recording
REPLAYS = [0]  # of all plans: whether loops inside a run are planned shows in it


class Region:
    """The state of one run of statements: not yet recorded, being recorded, planned, or left alone.

    `numbers(places)` gives, while the run is recorded, the numbers read there in a form that is followed.
    """

    __slots__ = (
        "ask", "before", "binds", "given_up", "label", "mode", "moving", "names", "plain", "plan", "plans",
        "recording", "recordings", "replays", "seen", "stopped", "turns",
        "used", "whole",
    )  # fmt: skip

    def __init__(self, label: str = "", names: Sequence[str] = (), binds: Sequence[str] = ()) -> None:
        # for those who ask what became of it: where it stands, the names that it reads and binds
        self.label = label
        self.names = names
        self.binds = binds  # once there is a plan: of its results
        self.turns = 0  # that ran as planned
        self.used = (0, 0, 0)  # those, the time, and the bytes held, when memory was looked after
        self.plain = 0  # that were executed as they stand
        self.given_up = 0  # plans that did not apply any more
        self.mode = 0
        self.whole = False
        # what records and plans is loaded where something repeats
        self.plan: Any = None
        self.plans: list[Any] = []
        self.recording: Any = None
        self.seen = 0
        self.replays = 0
        self.before: dict[int, Any] = {}
        self.moving: set[int] = set()
        self.recordings = 0
        self.stopped: str | None = None
        self.ask: Callable[[Sequence[Any]], tuple[Any, ...] | None] = self.consider

    def consider(self, reads: Sequence[Any]) -> tuple[Any, ...] | None:
        """While there is no plan that fits: whether to record this time. Always None."""
        others = REPLAYS[0] - self.turns
        replays, self.replays = self.replays, others
        self.recording = None
        self._notice(reads)
        if self.seen and others - replays > 1:
            return None  # a loop in it is planned by itself
        self.seen += 1
        self.plain += 1
        ctx = state.ctx
        if ctx.tracer is not None or ctx.anomaly or ctx.journal is not None or ctx.followed:
            return None
        if self.seen > WARM_UP or (
            self.seen > 1 and any(type(v) is Value and v.array.size >= LARGE for v in reads)
        ):
            if self.recordings >= RECORDINGS and self.turns < PAYS * self.recordings:
                self._stop("what it works on keeps changing")
                return None
            self.recordings += 1
            try:
                self.recording = import_module("vardsl.plan.recorded").Recording(reads)
            except import_module("vardsl.plan.reach").Unfollowed as reason:
                self._stop(str(reason))
                return None
            ctx.tracer = self.recording.tracer
        return None

    def _notice(self, reads: Sequence[Any]) -> None:
        """Remembers which of the numbers that are read change: those are worth following."""
        numbers = {k: v for k, v in enumerate(reads) if type(v) is float or type(v) is int}
        self.moving.update(k for k, v in numbers.items() if self.before.get(k, v) != v)
        self.before = numbers

    def planned(self, reads: Sequence[Any]) -> tuple[Any, ...] | None:
        """The results of the plan that applies; where none does any more another recording is considered."""
        if state.ctx.tracer is not None:
            return None  # who listens wants to see the operations
        results: tuple[Any, ...] | None
        for plan in self.plans:
            results = plan.run(reads)
            if results is not None:
                self.turns += 1
                REPLAYS[0] += 1
                return results
        if self.seen < WARM_UP:
            self.given_up += 1  # the first time since it was recorded
        return self.consider(reads)

    def ahead(self, reads: Sequence[Any], turns: int, stopping: Callable[[], bool]) -> int:
        """Runs at most so many turns that another turn follows, where a plan can; how many it has run."""
        done: int = 0 if not self.plans or turns < 1 else self.plans[0].repeat(reads, turns, stopping)
        self.turns += done
        REPLAYS[0] += done
        return done

    def forget(self) -> None:
        """Gives up its plans, and their memory; what repeats is recorded anew."""
        self.plans, self.plan, self.ask, self.seen = [], None, self.consider, WARM_UP - 1

    def numbers(self, places: Sequence[int]) -> tuple[Any, ...]:
        """What is read at these places, the numbers among it followed."""
        found: tuple[Any, ...] = self.recording.numbers(places, self.moving)
        state.ctx.followed += 1
        return found

    @property
    def tracing(self) -> bool:
        return self.recording is not None

    def end(
        self, results: Sequence[Any] | None, changed: Sequence[Any] = (), places: Sequence[int] = ()
    ) -> tuple[Any, ...]:
        """The run is over and has bound `results` (None: not all of its names); the same, in bare numbers.

        `changed` are variables that were read at `places` and that the run changes in place.
        """
        if self.mode == 0:
            self.mode = self.plain = 1
        recording, self.recording = self.recording, None
        if recording is None:
            return tuple(results or ())
        if recording.handed:
            state.ctx.followed -= 1
        bare = tuple([r.bare() if isinstance(r, Tracked) else r for r in results or ()])
        ctx = state.ctx
        if ctx.tracer is not recording.tracer and recording.tracer.failed is None:
            return bare
        ctx.tracer = None
        self.seen = WARM_UP - 1
        unplannable = import_module("vardsl.plan.execute").Unplannable
        try:
            if results is None:
                raise unplannable("a name is bound on some ways only")
            if not all(v is recording.reads[k] for v, k in zip(changed, places, strict=True)):
                raise unplannable("a number is changed where tensors are")
            planned = recording.finished(results)
        except unplannable as reason:
            self._stop(str(reason))
            return bare
        planned.plan.whole |= self.whole
        self.plans.insert(0, planned)
        del self.plans[RECORDINGS:]
        self.plan = planned.plan
        self.binds = planned.named(self.binds)
        self.ask = self.planned
        return bare

    def _stop(self, why: str) -> None:
        """Records no more; where there is no plan the region is left alone."""
        self.recordings = RECORDINGS
        if not self.plans:
            self.stopped, self.mode = why, 2

    def describe(self) -> str:
        """What became of the region, as text."""
        text: str = import_module("vardsl.plan.describe").describe([self])
        return text
