"""A run of statements that may repeat, and the decision when to record it.

The program asks its region before each time it comes to the run: the answer is the values that the run would
bind, or None, and then the program executes the statements itself. The first times pass unseen; then one is
recorded. What the run works on may be of several kinds (a last batch that is smaller): each has its plan.

Where that is very large it is recorded the second time, and as long as there is no plan the numbers of the
run are computed last, all in one go (`plan/deferring.py`).
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
HUGE = 1_000_000  # elements from which numbers come last: that takes some milliseconds
PAYS = 8  # turns that a plan must have run, on average, for a region to go on recording
REPLAYS = [0]  # of all plans: whether loops inside a run are planned shows in it


class Region:
    """The state of one run of statements: not yet recorded, being recorded, planned, or left alone.

    `numbers(places)` gives, while the run is recorded, the numbers read there in a form that is followed.
    """

    __slots__ = (
        "ask", "before", "binds", "given_up", "huge", "label", "mode", "moving", "names", "outer", "plain",
        "plan", "plans", "recording", "recordings", "replays", "seen", "stopped", "streamed", "turns",
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
        self.huge = False  # whether it has worked on so much that its numbers come last
        self.streamed: list[str] = []  # what streamed when its numbers came last
        self.outer: Any = None  # who listens to what is around the run
        self.mode = 1
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
        self.ask: Callable[[Sequence[Any]], tuple[Any, ...] | None] = self.begin

    def begin(self, reads: Sequence[Any]) -> tuple[Any, ...] | None:
        """Before the first time: whether its numbers come last. Always None."""
        self.ask = self.consider
        self.replays = REPLAYS[0]
        self._notice(reads)
        return self.defer(reads)

    def defer(self, reads: Sequence[Any]) -> tuple[Any, ...] | None:
        """Before a time that is not planned for: whether its numbers come last. Always None."""
        self.plain += 1
        if self._is_huge(reads) and _unwatched(state.ctx):
            if state.ctx.tracer is not None:
                return None  # they do so already
            recorded, deferring = map(import_module, ("vardsl.plan.recorded", "vardsl.plan.deferring"))
            self.recording = recorded.Unplanned(deferring.Unrecorded())
            self._listen()
        return None

    def _listen(self) -> None:
        ctx = state.ctx
        self.outer, ctx.tracer = ctx.tracer, self.recording.tracer

    def _is_huge(self, reads: Sequence[Any]) -> bool:
        found = _largest(reads) >= HUGE
        self.huge |= found
        return found

    def consider(self, reads: Sequence[Any]) -> tuple[Any, ...] | None:
        """While there is no plan that fits: whether to record this time. Always None."""
        others = REPLAYS[0] - self.turns
        replays, self.replays = self.replays, others
        self.recording = None
        self._notice(reads)
        if others - replays > 1:
            return self.defer(reads)  # a loop in it is planned by itself
        self.seen += 1
        if not _unwatched(state.ctx) or not self._is_time(reads):
            return self.defer(reads)
        if self.recordings >= RECORDINGS and self.turns < PAYS * self.recordings:
            self._stop("what it works on keeps changing")
            return self.defer(reads)
        self.recordings += 1
        self.plain += 1
        self._record(reads, self._is_huge(reads))
        return None

    def _is_time(self, reads: Sequence[Any]) -> bool:
        """Whether it has passed often enough, for what it works on, to be recorded."""
        return self.seen > WARM_UP or self._is_huge(reads) or (self.seen > 1 and _largest(reads) >= LARGE)

    def _record(self, reads: Sequence[Any], huge: bool) -> None:
        if state.ctx.tracer is not None:
            state.ctx.tracer.settle()
        recorded = import_module("vardsl.plan.recorded")
        tracer = import_module("vardsl.plan.deferring").Deferring if huge else recorded.Tracer
        try:
            self.recording = recorded.Recording(reads, tracer)
        except import_module("vardsl.plan.reach").Unfollowed as reason:
            self._stop(str(reason))
        else:
            self._listen()

    def _notice(self, reads: Sequence[Any]) -> None:
        """Remembers which of the numbers that are read change: those are worth following."""
        numbers = {k: v for k, v in enumerate(reads) if type(v) is float or type(v) is int}
        self.moving.update(k for k, v in numbers.items() if self.before.get(k, v) != v)
        self.before = numbers

    def planned(self, reads: Sequence[Any]) -> tuple[Any, ...] | None:
        """The results of the plan that applies; where none does any more another recording is considered."""
        tracer = state.ctx.tracer
        if tracer is not None and not _only_defers(tracer):
            return None  # who listens wants to see the operations
        results: tuple[Any, ...] | None
        for plan in self.plans:
            results = plan.run(reads) if tracer is None else _alone(plan.run, reads)
            if results is not None:
                self.turns += 1
                REPLAYS[0] += 1
                return results
        if self.seen < WARM_UP:
            self.given_up += 1  # the first time since it was recorded
        return self.consider(reads)

    def ahead(self, reads: Sequence[Any], turns: int, stopping: Callable[[], bool]) -> int:
        """Runs at most so many turns that another turn follows, where a plan can; how many it has run."""
        if not self.plans or turns < 1:
            return 0
        repeat, tracer = self.plans[0].repeat, state.ctx.tracer
        if tracer is not None and not _only_defers(tracer):
            return 0
        done: int = (
            repeat(reads, turns, stopping) if tracer is None else _alone(repeat, reads, turns, stopping)
        )
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
        return self.recording is not None and self.recording.repeats

    def end(
        self, results: Sequence[Any] | None, changed: Sequence[Any] = (), places: Sequence[int] = ()
    ) -> tuple[Any, ...]:
        """The run is over and has bound `results` (None: not all of its names); the same, in bare numbers.

        `changed` are variables that were read at `places` and that the run changes in place.
        """
        if not self.plain:  # a name that it reads was not bound before the first time
            self.ask, self.plain = self.consider, 1
        recording, self.recording = self.recording, None
        if recording is None:
            return tuple(results or ())
        recording.tracer.settle()
        if recording.tracer.defers:
            self.streamed = recording.tracer.streamed
        if not recording.repeats:
            self._heard(recording)
            return tuple(results or ())
        if recording.handed:
            state.ctx.followed -= 1
        bare = tuple([r.bare() if isinstance(r, Tracked) else r for r in results or ()])
        ctx = state.ctx
        if ctx.tracer is not recording.tracer and recording.tracer.failed is None:
            return bare
        ctx.tracer = recording.tracer  # which stops listening when it fails
        self._heard(recording)
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

    def _heard(self, recording: Any) -> None:
        """The run is over: who listened before goes on."""
        outer, self.outer = self.outer, None
        if state.ctx.tracer is recording.tracer:
            state.ctx.tracer = outer

    def _stop(self, why: str) -> None:
        """Records no more; where there is no plan and nothing huge the region is left alone."""
        self.recordings = RECORDINGS
        if not self.plans:
            self.stopped, self.ask = why, self.defer
            if not self.huge:
                self.mode = 2

    def describe(self) -> str:
        """What became of the region, as text."""
        text: str = import_module("vardsl.plan.describe").describe([self])
        return text


def _largest(reads: Sequence[Any]) -> int:
    """How many elements the largest tensor has."""
    return max((v.array.size for v in reads if type(v) is Value), default=0)


def _unwatched(ctx: Any) -> bool:
    """Whether nobody listens already, or wants every number as soon as it is there."""
    if ctx.anomaly or ctx.journal is not None or ctx.followed:
        return False
    return ctx.tracer is None or _only_defers(ctx.tracer)


def _only_defers(tracer: Any) -> bool:
    """Whether who listens lets numbers wait, and has no need to see every operation."""
    return tracer.defers and not tracer.records


def _alone(fn: Callable[..., Any], *args: Any) -> Any:
    """`fn(*args)` while nobody listens and nothing waits."""
    ctx = state.ctx
    tracer = ctx.tracer
    tracer.settle()
    ctx.tracer = None
    try:
        return fn(*args)
    finally:
        ctx.tracer = tracer
