"""Expressions that a script meets again and again, each of which gets code of its own.

Where an expression stands that works on tensors alone, in a loop or a function, the script first asks the
`Site` for its value. That gives None at first, so that the expression is evaluated as it stands; after
`OFTEN` times with operands of one kind it is recorded once, operation by operation, and code is made of that
(`straight.py`). The code is for operands of that kind: shapes, dtypes, numbers, and which of them take part
in the graph. Others are asked about here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine.bundle import Form
from vardsl.engine.casting import SCALAR_TYPES
from vardsl.engine.context import state
from vardsl.engine.large import LARGE
from vardsl.engine.value import Value
from vardsl.errors import GradError
from vardsl.plan.listening import Recorder
from vardsl.plan.steps import Steps
from vardsl.plan.straight import FREE, LEAF, NODE, NONE, Backward, Call, Key, Unfit
from vardsl.plan.trial import alike, same

ndarray = np.ndarray
OFTEN = 8  # times after which code for operands of a kind pays
MOST_KINDS = 4
MOST_MISSES = 200  # operands of kinds that there is no code for, after which there will be no more
MOST_UNFOLDED = 30  # bundles that are taken apart, after which there will be none
MOST_STEPS = 24
_PLAIN = (int, float, bool, str, type(None))


class Site:
    """Where an expression stands. `plain` evaluates it as a function of its operands.

    `ask(*operands)` gives its value in a tuple, or None where it has to be evaluated as it stands.
    """

    def __init__(
        self, plain: Callable[..., Any], numbers: Sequence[int], place: Callable[[Callable[..., Any]], None]
    ) -> None:
        self.plain = plain
        self.free = frozenset(numbers)  # the operands that may be any real number
        self.place = place  # puts the function where the script asks
        code: Any = plain.__code__
        self.builtins = [name for name in code.co_names if name.startswith(":")]
        self.first = self.ask  # what the script asks; each function asks the one that was there before it
        self.counts: dict[Any, int] = {}
        self.kinds = 0  # of operands that there is code for
        self.misses = 0
        self.closed = False  # whether there will be no more
        self.unfolded = 0
        self.grads: tuple[int, ...] = ()  # the operands whose gradients are operands too

    def ask(self, *operands: Any) -> Any:
        """What is asked as long as there is no code for operands of a kind."""
        ctx = state.ctx
        if self.closed or ctx.tracer is not None or ctx.anomaly:
            return None
        try:
            key = self._key(operands)
        except GradError:  # a view whose history has become impossible
            return None
        if key is not None and self.kinds < MOST_KINDS:
            count = self.counts.get(key, 0) + 1
            if count == OFTEN:
                return self._made(key, operands)
            if key in self.counts or len(self.counts) < 4 * MOST_KINDS:
                self.counts[key] = count
        return self._missed()

    def _missed(self) -> None:
        self.misses += 1  # of this kind there will be no code, or not yet
        if self.misses > MOST_MISSES + OFTEN:
            self.closed = True
            if not self.kinds:
                self.place(_never)

    def _key(self, operands: Sequence[Any]) -> Any:
        return _key(self._all(operands), state.ctx.grad_enabled, self.free)

    def _all(self, operands: Sequence[Any]) -> Sequence[Any]:
        """The operands, and the gradients that belong to them."""
        if not self.grads:
            return operands
        return [*operands, *[getattr(operands[i], "_grad", None) for i in self.grads]]

    def _made(self, key: Any, operands: Sequence[Any]) -> Any:
        """Records the expression once more, and makes code of it."""
        ctx = state.ctx
        recorder = Recorder(operands, changes=not ctx.grad_enabled)
        ctx.tracer = recorder
        try:
            value = self.plain(*recorder.numbered(self.free))
        finally:
            if ctx.tracer is recorder:
                ctx.tracer = None
        looked_at = {n.place for n in recorder.numbers if n.looked_at}
        if looked_at:
            self.free -= looked_at  # the next time it is recorded as the number that it is
            self.counts[self._key(operands)] = OFTEN - 2
            return (value,)
        if recorder.written is not None and (ctx.journal is not None or ctx.savepoint is not None):
            self.counts[key] = 0  # that can be taken back now, and what has code cannot
            return (value,)
        try:
            if recorder.grads != self.grads:
                self.grads = recorder.grads
                key = self._key(operands)
            found = self._code(recorder, key, self._all(operands), value)
        except Unfit:
            self.counts[key] = OFTEN  # not again
            return (value,)
        self.kinds += 1
        self.misses = 0
        self.first = found
        self.place(found)
        return (value,)

    def _code(self, recorder: Recorder, key: Any, operands: Sequence[Any], value: Any) -> Callable[..., Any]:
        """The function for such operands. Raises Unfit."""
        told = _told(recorder, key, value)
        recorded, facts = key[0], key[2:]
        steps = Steps(operands, recorder.numbers)
        for op, bound, v in told:
            steps.add(op, bound, v)
        form = self._form(steps, facts)
        calls = list(steps.calls(form))
        changed = recorder.written is not None
        if changed:
            calls[-1] = steps.in_place(calls[-1])
        call = Call(
            facts,
            self.grads,
            calls,
            recorded=recorded,
            changes=changed,
            several=isinstance(told[-1][2], tuple),
            numbers=steps.numbers,
            builtins=self.builtins,
            space=self.plain.__globals__,
        )
        found = call.function(form)
        if changed:
            operands = [Value(recorder.written), *operands[1:]]
            operands[0]._grad = value._grad
        again = found(*operands[: len(recorder.operands)])
        if again is None or not same(again[0].array, value.array):
            raise Unfit("other bits")
        if form is not None and not alike(form, again[0], steps.nodes, operands):
            raise Unfit("other bits in backward")
        call.ask(self.first)
        return found

    def _form(self, steps: Steps, facts: Key) -> Form | None:
        """What the bundles will have in common; None where nothing is on the graph."""
        nodes = [s.node for s in steps.steps if s.node is not None]
        if not nodes:
            return None
        form = steps.form(facts)
        form.notice = self.notice
        form.outputs = tuple([facts[i][4] for i in form.edges])
        parts = {i: f[3] if f[0] is Value else FREE for i, f in enumerate(facts)}
        form.pull = Backward(form, parts).function()
        if any(node.saves for node in nodes):
            form.spent = form.freed()
        return form

    def notice(self) -> None:
        """A bundle was taken apart. Where that happens all the time, code of its own does not pay."""
        self.unfolded += 1
        if self.unfolded >= MOST_UNFOLDED:
            self.closed = True
            self.place(_never)


def _told(recorder: Recorder, key: Any, value: Any) -> list[tuple[Any, list[Any], Any]]:
    """The operations that gave a value and were all that happened. Raises Unfit."""
    told = recorder.told
    if key is None or not told or len(told) > MOST_STEPS:
        raise Unfit("not operations alone")
    op, _, last = told[-1]
    if recorder.written is not None:
        last = recorder.operands[0]
    elif isinstance(last, tuple):
        last = last[0]
    if value is not last:
        raise Unfit("another result")
    if op.family == "view":
        raise Unfit("the result shares memory")
    return told


def _never(*operands: Any) -> None:
    return None


def _key(operands: Sequence[Any], grad_enabled: bool, free: frozenset[int]) -> Any:
    """What is the same of operands of one kind; None where there is no code for such."""
    key: list[Any] = [grad_enabled, state.ctx.default_dtype]
    for i, a in enumerate(operands):
        if type(a) is Value:
            x = a.array
            if type(x) is not ndarray and type(x) not in SCALAR_TYPES:
                return None
            if x.size >= LARGE:
                return None
            part = NONE
            if grad_enabled:
                made = a._node if a.base is None else a.node
                part = NODE if made is not None else LEAF if a._requires else NONE
            key.append((Value, x.shape, x.dtype, part, a.index if part is NODE else 0))
        elif type(a) is float and i in free:
            key.append((FREE,))
        elif type(a) in _PLAIN:
            if a != a or (type(a) is float and not a):
                return None  # nan, and zeros, which are equal whatever their sign
            key.append((type(a), a))
        else:
            return None
    return tuple(key)
