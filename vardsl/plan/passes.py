"""What is done to the steps of a recorded run before they are laid out: folding, common subexpressions, dead
code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from vardsl.plan.classes import known_classes
from vardsl.plan.trace import Slot, Step, Write, copied

Steps = list[Step | Write]


def fold(steps: Steps) -> Steps:
    """Steps over constants alone have happened while recording: their results are constants."""
    kept: Steps = []
    for step in steps:
        if (
            type(step) is Step
            and all(s.kind == "const" for s in step.slots())
            and not step.op.facts.get("random")
        ):
            for out in step.outs:
                out.kind = "const"
                if any(out.array.strides) or out.array.size <= 1:
                    out.array = copied(out.array)
        else:
            kept.append(step)
    return kept


def models(steps: Steps) -> None:
    """Where an operation looks only at the shape and dtype of an argument, a constant stands for it."""
    for step in steps:
        if type(step) is not Step:
            continue
        for name in step.op.facts.get("likes", ()):
            k = step.op.signature.index[name]
            a = step.args[k]
            if type(a) is Slot and a.kind != "const":
                step.args[k] = Slot(a.number, "const", np.empty(a.shape, a.array.dtype))


def _is_one(x: Any) -> bool:
    if type(x) is Slot:
        if x.kind != "const" or x.array.size == 0:
            return False
        a = x.array if any(x.array.strides) else x.array[(0,) * x.array.ndim]
        return bool(np.all(a == 1))
    return isinstance(x, (int, float)) and x == 1


def _rename(step: Step | Write, same: dict[Slot, Slot]) -> None:
    if not same:
        return
    if type(step) is Write:
        step.source = final(step.source, same)
        return
    assert type(step) is Step
    step.args = [
        final(a, same) if type(a) is Slot
        else [final(x, same) if type(x) is Slot else x for x in a] if type(a) is list
        else a
        for a in step.args
    ]  # fmt: skip


def _key(step: Step) -> Any:
    parts: list[Any] = [step.op.name]
    for a in step.args:
        if type(a) is Slot:
            parts.append(a)
        elif type(a) is list:
            parts.append(tuple(x if type(x) is Slot else repr(x) for x in a))
        else:
            parts.append(repr(a))
    return tuple(parts)


def dead(steps: Steps, wanted: Iterable[Slot]) -> Steps:
    """Drops steps whose results nothing uses."""
    alive = set(wanted)
    kept: Steps = []
    for step in reversed(steps):
        if type(step) is Write:
            alive.update((step.source, step.target))
            kept.append(step)
        elif type(step) is Step and any(o in alive for o in step.outs):
            alive.update(step.slots())
            kept.append(step)
    kept.reverse()
    return kept


def optimise(
    steps: Steps, outputs: Callable[[dict[Slot, Slot]], list[Slot]]
) -> tuple[Steps, dict[Slot, Slot]]:
    """All passes in order. `outputs(same)` gives the wanted slots after merging; also returns what was
    merged."""
    same: dict[Slot, Slot] = {}
    models(steps)
    steps = fold(steps)
    for merge in (units, common):
        steps = merge(steps, same)
    doubled(steps)
    return dead(known_classes(steps), outputs(same)), same


def merged(steps: list[Step], wanted: Iterable[Slot]) -> tuple[list[Step], dict[Slot, Slot]]:
    """Steps of which nothing is folded, without what is computed twice or for nobody; and what was
    merged."""
    same: dict[Slot, Slot] = {}
    left: Steps = list(steps)
    models(left)
    for merge in (units, common):
        left = merge(left, same)
    doubled(left)
    left = dead(known_classes(left), [final(s, same) for s in wanted])
    return [s for s in left if type(s) is Step], same


def forget(steps: Steps) -> None:
    """Lets go of the memory that the recorded run's results had; their shapes and dtypes stay known."""
    for step in steps:
        for out in step.outs if type(step) is Step else ():
            if out.kind == "temp":
                out.array = np.broadcast_to(np.empty((), out.array.dtype), out.shape)


def final(s: Slot, same: dict[Slot, Slot]) -> Slot:
    """The slot that stands for `s` after merging."""
    while s in same:
        s = same[s]
    return s


def doubled(steps: Steps) -> None:
    """c x + c x with a constant c is 2c x: to double is exact."""
    made = {s.outs[0]: s for s in steps if type(s) is Step and len(s.outs) == 1}
    moving = _changed(steps)
    for step in steps:
        if type(step) is not Step or step.op.name != "add" or len(step.args) != 3 or step.args[2] != 1:
            continue
        a, b = step.args[:2]
        source = made.get(a) if type(a) is Slot and a is b else None
        if source is None or source.op.name != "mul":
            continue
        for k in (0, 1):
            c = source.args[k]
            if type(c) is Slot and c.kind == "const" and c.array.dtype.kind == "f":
                if source.args[1 - k] in moving:  # it may have been changed between the product and the sum
                    break
                twice = Slot(c.number, "const", c.array + c.array)
                step.op, step.args = source.op, [twice, source.args[1 - k]]
                break


def units(steps: Steps, same: dict[Slot, Slot]) -> Steps:
    """Products with a constant one are the other factor, unless that is memory that is changed: it may have
    other numbers when it is read."""
    moving = _changed(steps)
    kept: Steps = []
    for step in steps:
        _rename(step, same)
        other = _unit(step) if type(step) is Step else None
        if other is None or other in moving:
            kept.append(step)
        else:
            assert type(step) is Step
            same[step.outs[0]] = other
    return kept


def _unit(step: Step) -> Slot | None:
    """The other factor of a product with one."""
    if step.op.name != "mul":
        return None
    a, b = step.args[:2]
    other = b if _is_one(a) else a if _is_one(b) else None
    out = step.outs[0]
    if type(other) is Slot and other.shape == out.shape and other.array.dtype == out.array.dtype:
        return other
    return None


def common(steps: Steps, same: dict[Slot, Slot]) -> Steps:
    """Of steps that compute the same from the same only the first stays; a write forgets what was known
    before."""
    known: dict[Any, tuple[Slot, ...]] = {}
    kept: Steps = []
    for step in steps:
        _rename(step, same)
        if type(step) is Write:
            known.clear()
            kept.append(step)
            continue
        assert type(step) is Step
        key = _key(step)
        first = known.get(key)
        if first is None:
            known[key] = step.outs
            kept.append(step)
        else:
            same.update(zip(step.outs, first, strict=True))
    return kept


def _changed(steps: Steps) -> set[Slot]:
    """What lies in memory that is changed in the run."""
    of = viewed(steps)
    targets = {of.get(s.target, s.target) for s in steps if type(s) is Write}
    return targets | {view for view, root in of.items() if root in targets}


def viewed(steps: Steps) -> dict[Slot, Slot]:
    """What a view is a view of, in the end."""
    of: dict[Slot, Slot] = {}
    for step in steps:
        if type(step) is Step and step.op.family == "view":
            source = step.args[step.op.arrays[0]]
            for o in step.outs:
                of[o] = of.get(source, source)
    return of


def writes_last(steps: Steps) -> Steps:
    """The steps with changes in memory behind the last one that may find a wrong index, since until there all
    can be undone; as they are where something in between reads what is changed."""
    end = max((k + 1 for k, s in enumerate(steps) if type(s) is Step and s.fallible), default=0)
    early = [k for k, s in enumerate(steps[:end]) if type(s) is Write]
    if not early:
        return steps
    of = viewed(steps)
    own = {o for s in steps if type(s) is Step and not s.op.facts.get("direct") for o in s.outs}
    changed: set[Slot] = set()
    for step in steps[early[0] : end]:
        if isinstance(step, Write):
            changed.add(of.get(step.target, step.target))
            if of.get(step.source, step.source) not in own:
                return steps
        elif any(of.get(s, s) in changed for s in step.slots()):
            return steps
    kept = [s for k, s in enumerate(steps[:end]) if k not in early]
    return kept + [steps[k] for k in early] + steps[end:]
