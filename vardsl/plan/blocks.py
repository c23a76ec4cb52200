"""Regions of large row-local steps: which steps can run together, block by block through the cache.

A step is row-local where rows `i:j` of its result need only rows `i:j` of its arguments: pointwise steps,
reductions over other dimensions than the first, softmax and the like, a tall matrix times a small one. A fold
adds up over the rows: a sum over everything or over the first dimension, the transpose of a tall matrix times
another. How a region is laid out and run is told in `plan/sweep.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from vardsl.engine.tall import tall
from vardsl.engine.tiles import BLOCK, in_blocks
from vardsl.engine.value import OPS
from vardsl.plan.trace import Slot, Step, Write

LARGE = 200_000  # elements below which a region is not worth its loop over blocks
ALONE = 4_000_000  # elements from which on a single step is one

Steps = list[Step | Write]
# What an operation declares as `stream`, beside being pointwise.
REDUCTIONS = ("sum", "mean", "rows", "along")
VIEWS = ("expand", "reshape")
PRODUCT, TURN, ROW_DOT = "product", "turn", "row_dot"


class Blocked:
    """Steps that run together, one block of rows at a time.

    made    slots that are cut into rows
    folds   the steps that add up over the rows; their results are there when all blocks are done
    turned  transposes of slots that are cut into rows, for folds only
    """

    def __init__(self, shape: tuple[int, ...], turned: dict[Slot, Slot]) -> None:
        self.rows = shape[0]
        self.shape = shape
        self.turned = turned
        self.steps: list[Step] = []
        self.folds: set[Step] = set()
        self.made: set[Slot] = set()
        self.folded: set[Slot] = set()
        self.laid_out = ""

    def __str__(self) -> str:
        names = [s.op.name.strip("_") + ("*" if s in self.folds else "") for s in self.steps]
        text = f"streamed over {self.rows} rows of {list(self.shape)}{self.laid_out}: {' '.join(names)}"
        return text + (" (* added up over the rows)" if self.folds else "")

    def reads(self, step: Step) -> list[Slot]:
        """The arrays that the step reads here: a product over the rows reads what lies turned as it lies."""
        found = step.slots()
        if _is_product(step) and found[0] in self.turned:
            found[0] = self.turned[found[0]]
        return found

    def take(self, step: Step) -> bool:
        """Adds a step if it is row-local over these rows, or folds them."""
        if len(step.outs) != 1 or any(isinstance(a, np.ndarray) and a.ndim for a in step.args):
            return False
        if any(s in self.folded for s in self.reads(step)):
            return False
        if self._local(step):
            self.made.add(step.outs[0])
        elif self._folds(step):
            step = Step(step.op, [*self.reads(step)] if _is_product(step) else step.args, step.outs)
            self.folds.add(step)
            self.folded.add(step.outs[0])
        else:
            return False
        self.steps.append(step)
        return True

    def cut(self, s: Slot) -> bool:
        """Whether a slot has these rows."""
        return bool(s.shape[:1] == (self.rows,))

    def _local(self, step: Step) -> bool:
        stream, out = step.op.facts.get("stream"), step.outs[0]
        if not self.cut(out):
            return False
        if not _is_product(step) and any(s.order is not None for s in (out, *step.slots()) if self.cut(s)):
            return False
        if step.op.family == "elementwise" or stream in ("pointwise", "expand"):
            return all(self._aligned(s, len(out.shape)) for s in step.slots())
        if stream == "reshape":
            return step.args[0] in self.made and self.cut(step.args[0])
        if _is_product(step):
            first, second = step.slots()
            return self.cut(first) and second not in self.made and _tall(first, second, False)
        if stream == ROW_DOT and len(step.slots()) == 2:
            return self._dot_of_rows(*step.slots())
        if stream in REDUCTIONS:
            dims = dims_of(step)
            return dims is not None and 0 not in dims and self.cut(step.args[0]) and self._rest_outer(step)
        return False

    def _dot_of_rows(self, first: Slot, second: Slot) -> bool:
        ndim = len(first.shape)
        return (
            self.cut(first)
            and ndim > 1
            and first.shape[-1:] == second.shape[-1:]
            and self._aligned(second, ndim)
        )

    def _aligned(self, s: Slot, ndim: int) -> bool:
        """Whether an operand of a pointwise step is cut into the same rows, or is the same for all of
        them."""
        if len(s.shape) == ndim and s.shape[0] == self.rows:
            return True
        return s not in self.made and (len(s.shape) < ndim or s.shape[0] == 1)

    def _rest_outer(self, step: Step) -> bool:
        return all(s not in self.made for s in step.slots()[1:])

    def _folds(self, step: Step) -> bool:
        stream = step.op.facts.get("stream")
        if _is_product(step):
            if step.slots()[0] not in self.turned:
                return False
            first, second = self.reads(step)
            return self.cut(first) and self.cut(second) and _tall(first, second, True)
        if stream not in ("sum", "mean"):
            return False
        dims = dims_of(step)
        source = step.args[0]
        usual = source.order is None
        return dims is not None and 0 in dims and usual and self.cut(source) and in_blocks(source.shape)


def _is_product(step: Step) -> bool:
    return step.op.facts.get("stream") == PRODUCT and all(type(a) is Slot for a in step.args)


def _tall(first: Slot, second: Slot, turned: bool) -> bool:
    """Whether the operation multiplies these in tiles of rows also where it stands alone."""
    dtype = first.array.dtype
    alike: bool = dtype == second.array.dtype and dtype.char in "fd"
    return alike and tall(first.shape, second.shape, turned)


def dims_of(step: Step) -> tuple[int, ...] | None:
    """The dimensions that a reduction or row-wise step works over, or None where they cannot be told."""
    ndim = len(step.args[0].shape)
    if step.op.name == "sum_to_size":
        out = step.outs[0].shape
        lead = ndim - len(out)
        return tuple(range(lead)) + tuple(
            lead + k for k, n in enumerate(out) if n == 1 and step.args[0].shape[lead + k] != 1
        )
    at = step.op.signature.index.get("dim", step.op.signature.index.get("dims"))
    if at is None:
        return tuple(range(ndim)) if step.op.facts.get("stream") in ("sum", "mean") else None
    dim = step.args[at]
    if dim is None or dim == ():
        return tuple(range(ndim))
    return tuple(sorted(d % ndim for d in (dim if isinstance(dim, tuple) else (dim,))))


# ---- finding regions ---------------------------------------------------------------------------------------


def cluster(steps: Steps, kept: Iterable[Slot] = ()) -> list[Any]:
    """The steps in an order that keeps their meaning, those that can stream together as one `Blocked`.

    `kept` are slots that are needed after all steps.
    """
    ordered: list[Any] = []
    segment: list[Step] = []
    for step in _differences(steps, set(kept)):
        if type(step) is Write:
            ordered.extend(_segment(segment))
            segment = []
            ordered.append(step)
        else:
            assert type(step) is Step
            segment.append(step)
    ordered.extend(_segment(segment))
    return _without_turns(ordered, set(kept))


def _differences(steps: Steps, kept: set[Slot]) -> Steps:
    """The steps with c + (-b) as c - b, where nothing else reads -b: the same bits with a pass less."""
    readers = Counter(s for t in steps for s in _slots(t))
    negated = {
        t.outs[0]: t
        for t in steps
        if type(t) is Step and t.op.name == "neg" and readers[t.outs[0]] == 1 and t.outs[0] not in kept
    }
    gone: set[Step] = set()
    found: Steps = []
    for t in steps:
        if type(t) is Step and t.op.name == "add" and len(t.args) == 3 and t.args[2] == 1:
            for k in (0, 1):
                other, minus = t.args[k], t.args[1 - k]
                negation = negated.get(minus) if type(minus) is Slot else None
                if negation is not None and _alike(t, other, negation):
                    gone.add(negation)
                    t = Step(OPS["sub"], [other, negation.args[0], 1], t.outs)
                    break
        found.append(t)
    return [t for t in found if t not in gone]


def _slots(step: Step | Write) -> Iterable[Slot]:
    return (step.source, step.target) if isinstance(step, Write) else step.slots()


def _alike(step: Step, *terms: Any) -> bool:
    """Whether the terms are reals of the result's dtype."""
    dtype = step.outs[0].array.dtype
    given = [t.args[0] if type(t) is Step else t for t in terms]
    return dtype.kind == "f" and all(type(s) is Slot and s.array.dtype == dtype for s in given)


def _segment(steps: list[Step]) -> list[Any]:
    """Clusters a run of steps without writes: each region with what must come before and after it."""
    ordered: list[Any] = []
    turns = [s for s in steps if s.op.facts.get("stream") == TURN and s.slots() and len(s.args[0].shape) == 2]
    turned = {s.outs[0]: s.args[0] for s in turns}
    while steps:
        first = next((k for k, s in enumerate(steps) if _large(s)), None)
        if first is None:
            return ordered + steps
        region, before, after = _grown(steps, first, turned)
        # a step that no region takes is one of those before it
        ordered.extend([*before, region] if _pays(region) else before + region.steps)
        steps = after
    return ordered


def _pays(region: Blocked) -> bool:
    """Whether to stream the region: several steps for the cache's sake, a single one for two threads'."""
    return len(region.steps) > 1 or (len(region.steps) == 1 and int(np.prod(region.shape)) >= ALONE)


def _grown(steps: list[Step], first: int, turned: dict[Slot, Slot]) -> tuple[Blocked, list[Step], list[Step]]:
    """The region that begins with a step, and the steps that must come before and after it."""
    region = Blocked(_rows_of(steps[first]), turned)
    before, after = steps[:first], list[Step]()
    late: set[Slot] = set()
    for step in steps[first:]:
        reads = region.reads(step)
        if any(s in late for s in reads) or not region.take(step):
            if any(s in late or s in region.made or s in region.folded for s in reads):
                after.append(step)
                late.update(step.outs)
            else:
                before.append(step)
    return region, before, after


def _rows_of(step: Step) -> tuple[int, ...]:
    """The shape whose rows a region around this step is cut into."""
    reduces = step.op.facts.get("stream") in (*REDUCTIONS, PRODUCT) and step.slots()
    shape: tuple[int, ...] = step.slots()[0].shape if reduces else step.outs[0].shape
    return shape


def _large(step: Step) -> bool:
    if len(step.outs) != 1:
        return False
    if _is_product(step):
        first, second = step.slots()
        return _tall(first, second, False)
    shape = _rows_of(step)
    if not shape or (step.op.family != "elementwise" and step.op.facts.get("stream") not in REDUCTIONS):
        return False
    size = int(np.prod(shape))
    return size >= LARGE and size // shape[0] <= BLOCK // 2 and shape[0] >= 8


def _without_turns(ordered: list[Any], kept: set[Slot]) -> list[Any]:
    """Leaves out transposes that only folds would have read."""
    readers: Counter[Slot] = Counter()
    for item in ordered:
        if type(item) is Blocked:
            readers.update(s for step in item.steps for s in step.slots())
        else:
            readers.update(_slots(item))
    return [
        item
        for item in ordered
        if type(item) is not Step
        or item.op.facts.get("stream") != TURN
        or readers[item.outs[0]]
        or item.outs[0] in kept
    ]
