"""The statement `minimize`: objective, backward, optimizer step, turn after turn.

A turn happens wholly or not at all: when it fails or is interrupted, values, gradients, the state of the
optimizer, what the objective changed in place and random numbers are as before it; finished turns stay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from vardsl.engine import backward as _backward
from vardsl.engine.context import Context, enable_grad, state
from vardsl.engine.value import Value
from vardsl.errors import GradError, Interrupted, LimitError, ScriptTypeError, ScriptValueError
from vardsl.lang.journal import Journal
from vardsl.lang.lbfgs import Lbfgs
from vardsl.lang.operators import element
from vardsl.lang.optimizer import Optimizer, Recipe, number
from vardsl.lang.optimizers import sgd
from vardsl.lang.planned import RegionLike

Objective = Callable[[], Value]
Progress = Callable[[int, int, float], None]
DEFAULT_STEPS = 100
DEFAULT_RATE = 0.01
OFTEN = 0.05  # seconds after which progress is told again


def minimize(
    objective: Objective,
    over: Sequence[Value],
    using: Any = None,
    steps: Any = DEFAULT_STEPS,
    until: Any = None,
    progress: Progress | None = None,
    region: RegionLike | None = None,
) -> float:
    """Runs `steps` turns, or until the loss changes by at most `until`; the last loss.

    `progress(turn, steps, loss)` is called after each turn, or several times a second where turns of a
    `region` are planned and made without a look at the loss. Raises what a turn raises, and Interrupted.
    """
    variables = _variables(over)
    optimizer = _optimizer(using, variables)
    n = _steps(steps)
    tolerance = None if until is None else number(until, "until")
    ctx = state.ctx
    if ctx.journal is not None:
        ctx.journal.append(optimizer.undo())
        ctx.journal.append(_undo_grads(variables))
    run = _Turn(ctx, objective, variables, optimizer, region)
    loss = before = float("nan")
    turn = 0
    while turn < n:
        _safe_point(ctx, turn + 1, n)
        if tolerance is None:
            turn += run.ahead(n - turn - 1)
        turn += 1
        try:
            loss = run()
        except Interrupted as stopped:
            stopped.notes.append(f"in turn {turn:,} of {n:,}")
            raise
        if progress is not None:
            progress(turn, n, loss)
        if tolerance is not None and turn > 1 and abs(loss - before) <= tolerance:
            break
        before = loss
    return loss


def _variables(over: Sequence[Any]) -> tuple[Value, ...]:
    for v in over:
        if type(v) is not Value:
            raise ScriptTypeError(
                f"minimize is over variables, and this is {type(v).__name__}", hint="let w = var … grad"
            )
        if not v.requires_grad:
            raise GradError(
                "minimize is over variables that take part in the graph, and this tensor does not require "
                "grad",
                torch=_backward.NO_GRAPH.format(0),
                hint="declare it with grad: let w = var … grad",
            )
        if v.node is not None:
            raise GradError(
                "can't optimize a non-leaf Tensor",
                hint="minimize over the variables that it was computed from",
            )
    return tuple(over)


def _optimizer(using: Any, variables: tuple[Value, ...]) -> Optimizer:
    if using is None:
        using = sgd(lr=DEFAULT_RATE)
    if callable(using) and not isinstance(using, (Optimizer, Recipe)):
        raise ScriptTypeError(
            "using needs an optimizer, and this is a function", hint="call it: using adam(lr=0.05)"
        )
    if isinstance(using, Recipe):
        return using.bind(variables)
    if not isinstance(using, Optimizer):
        raise ScriptTypeError(
            f"using needs an optimizer, and this is {type(using).__name__}", hint="using adam(lr=0.05)"
        )
    if {id(p) for p in using.params} != {id(v) for v in variables}:
        raise ScriptValueError(
            "this optimizer was made for other variables than minimize is over",
            hint="name the same ones, or leave them to minimize: using adam(lr=0.05)",
        )
    return using


def _steps(steps: Any) -> int:
    if type(steps) is Value and steps.array.size == 1 and steps.array.dtype.kind in "iu":
        steps = int(steps.array.item())
    if isinstance(steps, bool) or not isinstance(steps, int):
        raise ScriptTypeError(f"steps must be an integer, not {type(steps).__name__}")
    if steps < 0:
        raise ScriptValueError(f"steps must not be negative, and this is {steps}")
    return steps


def _safe_point(ctx: Context, turn: int, n: int) -> None:
    if ctx.cancel:
        raise Interrupted("interrupted", notes=[f"in turn {turn:,} of {n:,}"])
    budget = ctx.budget
    if budget.max_steps is not None:
        budget.steps += 1
        if budget.steps > budget.max_steps:
            raise LimitError(f"the script took more than {budget.max_steps:,} steps, the limit (--max-steps)")
    if budget.deadline is not None and time.monotonic() > budget.deadline:
        raise LimitError(f"the script ran for more than {budget.max_time:g} s, the limit (--max-time)")


def _undo_grads(variables: Sequence[Value]) -> Callable[[], None]:
    before = [v._grad for v in variables]

    def undo() -> None:
        for v, g in zip(variables, before, strict=True):
            v._grad = g

    return undo


class _Turn:
    """One turn, to be called again and again."""

    def __init__(
        self,
        ctx: Context,
        objective: Objective,
        variables: tuple[Value, ...],
        optimizer: Optimizer,
        region: RegionLike | None,
    ) -> None:
        self.ctx, self.objective, self.variables, self.optimizer = ctx, objective, variables, optimizer
        self.only = frozenset(variables)
        self.several = isinstance(optimizer, Lbfgs)
        self.region = region
        if region is not None:
            region.whole = True
        self.reads = (objective, optimizer, *variables)

    def __call__(self) -> float:
        region = self.region
        if region is None or region.mode == 2:
            return float(self._executed())
        if region.mode == 1:
            planned = region.ask(self.reads)
            if planned is not None:
                return float(planned[0])
        return float(region.end((self._executed(),))[0])

    def ahead(self, turns: int) -> int:
        """Makes at most so many turns that another follows, where they are planned; how many it has made."""
        region, budget = self.region, self.ctx.budget
        if region is None or region.mode != 1 or budget.max_steps is not None:
            return 0
        end = time.monotonic() + OFTEN
        if budget.deadline is not None:
            end = min(end, budget.deadline)
        return region.ahead(self.reads, turns, lambda: self.ctx.cancel or time.monotonic() > end)

    def _executed(self) -> Any:
        ctx = self.ctx
        outer = ctx.journal
        random = self._watch()
        undo_grads = _undo_grads(self.variables)
        journal = Journal(outer.level if isinstance(outer, Journal) else [0])
        ctx.journal = journal
        try:
            if self.several:
                return float(self.optimizer.step(self._evaluate))
            loss = self._evaluate()
            number = element(loss)
            ctx.journal = None
            self.optimizer.apply()
            return number
        except BaseException:
            ctx.journal = None
            journal.undo()
            undo_grads()
            self._put_back(random)
            raise
        finally:
            if ctx._generator is not None:
                ctx._generator.watch(None)
            ctx.journal = outer
            if isinstance(outer, Journal):
                outer.take(journal)
            elif outer is not None:
                outer.extend(journal)

    def _evaluate(self) -> Value:
        """The objective, with its gradient in the variables."""
        tracer = self.ctx.tracer
        for v in self.variables:
            v._grad = None
            if tracer is not None:
                tracer.cleared(v)
        with enable_grad():
            loss = self.objective()
        if type(loss) is not Value:
            raise ScriptTypeError(
                f"minimize needs a tensor that depends on its variables, and this is {type(loss).__name__}"
            )
        _backward.backward([loss], only=self.only)
        return loss

    def _watch(self) -> list[Any] | None:
        """Where the random state from before this turn comes once something draws; None: nothing ever did."""
        generator = self.ctx._generator
        if generator is None:
            return None
        before: list[Any] = []
        generator.watch(before)
        return before

    def _put_back(self, before: list[Any] | None) -> None:
        if before is None:
            self.ctx._generator = None
        elif before:
            self.ctx.generator.set_state(before[0])
