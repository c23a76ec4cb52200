"""The gradient of a cross entropy, without the zeros of the likelihood's.

By a sample's scores the negative log likelihood has a slope that is zero but for the sample's class. The rule
of log softmax makes `s - exp(y) sum(s)` of such slopes: four passes over all scores, and one for the zeros.
Here that becomes one operation, which knows where the slopes are (`ops/classify.py`); the bits are the same.
Small ones are left: there the calls count, and slopes that are the same in each turn are made once.
"""

from __future__ import annotations

from typing import Any

from vardsl.engine.value import OPS
from vardsl.plan.trace import Slot, Step, Write

LARGE = 1 << 16  # scores from which on this is faster


def known_classes(steps: list[Step | Write]) -> list[Step | Write]:
    """The steps with such gradients in one; what only they have read is left for nobody."""
    made: dict[Slot, Step] = {}
    found: list[Step | Write] = []
    for step in steps:
        if isinstance(step, Write):
            made.clear()  # the classes may be others now
            found.append(step)
            continue
        made.update(dict.fromkeys(step.outs, step))
        parts = _parts(step, made)
        found.extend([step] if parts is None else _gradient(*parts))
    return found


def _parts(step: Step, made: dict[Slot, Step]) -> tuple[Slot, Slot, Step, Slot | None, Slot] | None:
    """Of `s - exp(y) sum(s)`: the result, y, the step that makes the slopes s, their factor, and the sums."""
    if step.op.name != "sub" or step.args[2] != 1 or step.outs[0].array.size < LARGE:
        return None
    slopes, product = step.args[:2]
    times = _maker(product, made, "mul")
    if times is None:
        return None
    power, sums = _maker(times.args[0], made, "exp"), _maker(times.args[1], made, "_sum_dim")
    if power is None or sums is None or sums.args[0] is not slopes or sums.args[1:3] != [(1,), True]:
        return None
    source, g = _maker(slopes, made, "_class_slopes"), None
    if source is None:
        source, g = _scaled(_maker(slopes, made, "mul"), made)
    if source is None or len(slopes.shape) != 2 or power.outs[0].array.dtype != slopes.array.dtype:
        return None
    return step.outs[0], power.args[0], source, g, sums.outs[0]


def _maker(x: Any, made: dict[Slot, Step], name: str) -> Step | None:
    step = made.get(x) if type(x) is Slot else None
    return step if step is not None and step.op.name == name else None


def _scaled(times: Step | None, made: dict[Slot, Step]) -> tuple[Step | None, Slot | None]:
    """Slopes and what they are multiplied with: a number, or one for each row."""
    if times is None:
        return None, None
    source, g = _maker(times.args[0], made, "_class_slopes"), times.args[1]
    if source is None or type(g) is not Slot or g.array.dtype != times.outs[0].array.dtype:
        return None, None
    rows = times.outs[0].shape[0]
    return (source, g) if g.shape in ((), (rows, 1)) else (None, None)


def _gradient(out: Slot, logs: Slot, source: Step, g: Slot | None, sums: Slot) -> list[Step | Write]:
    scores, target = source.args[:2]
    shares = Slot(source.outs[0].number, "temp", sums.array)
    places = Slot(sums.number, "temp", sums.array.astype("int64"))
    return [
        Step(OPS["_class_shares"], list(source.args), (shares,)),
        Step(OPS["_class_places"], [scores, target], (places,)),
        Step(OPS["_class_gradient"], [logs, places, shares, g], (out,)),
    ]
