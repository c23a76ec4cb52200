"""Regions of large row-local steps, run block by block through the cache, on two threads where that pays.

A step is row-local where rows `i:j` of its result need only rows `i:j` of its arguments: pointwise steps,
reductions over other dimensions than the first, softmax and the like. A fold adds up over the rows (a sum
over everything or over the first dimension): each block gives a part, and the parts are added in the order of
the blocks, so that the result does not depend on the number of threads. Temporaries that only such a region
needs are never as large as the data: they live in the cache, one set for each thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from vardsl.engine.casting import scalar
from vardsl.engine.op import Op
from vardsl.engine.tiles import BLOCK, add_up_block, rows_per_block
from vardsl.plan.trace import Slot, Step, Write

LARGE = 200_000  # elements below which a region is not worth its loop over blocks
THREADED = 1_000_000  # elements from which a second thread pays

Steps = list[Step | Write]


class Blocked:
    """Steps that run together, one block of rows at a time. `folds` are the steps among them that add up."""

    def __init__(self, rows: int, shape: tuple[int, ...]) -> None:
        self.rows = rows
        self.shape = shape
        self.steps: list[Step] = []
        self.folds: set[Step] = set()
        self.made: set[Slot] = set()
        self.folded: set[Slot] = set()
        self.outer: set[Slot] = set()

    def __str__(self) -> str:
        names = " ".join(s.op.name for s in self.steps)
        return f"streamed over {self.rows} rows of {list(self.shape)}: {names}"

    # ---- which steps fit -----------------------------------------------------------------------------------
    def take(self, step: Step) -> bool:
        """Adds a step if it is row-local over these rows, or folds them."""
        if any(s in self.folded for s in step.slots()) or len(step.outs) != 1:
            return False
        if self._local(step):
            self.made.add(step.outs[0])
        elif self._folds(step):
            self.folds.add(step)
            self.folded.add(step.outs[0])
        else:
            return False
        self.steps.append(step)
        return True

    def _local(self, step: Step) -> bool:
        op, out = step.op, step.outs[0]
        if not out.shape or out.shape[0] != self.rows:
            return False
        if op.family == "elementwise" or op.facts.get("stream") == "expand":
            return all(self._aligned(s, len(out.shape)) for s in step.slots())
        if op.facts.get("stream") == "reshape":
            source = step.args[0]
            return bool(source.shape) and source.shape[0] == self.rows and source in self.made
        if op.facts.get("stream") in ("sum", "mean", "max", "rows"):
            dims = _dims(step)
            source = step.args[0]
            return (
                dims is not None
                and 0 not in dims
                and source.shape[:1] == (self.rows,)
                and self._rest_outer(step)
            )
        return False

    def _aligned(self, s: Slot, ndim: int) -> bool:
        """Whether an operand of a pointwise step is cut into the same rows, or is the same for all of
        them."""
        if len(s.shape) == ndim and s.shape[0] == self.rows:
            return True
        return s not in self.made and (len(s.shape) < ndim or s.shape[0] == 1)

    def _rest_outer(self, step: Step) -> bool:
        return all(s not in self.made for s in step.slots()[1:])

    def _folds(self, step: Step) -> bool:
        if step.op.facts.get("stream") not in ("sum", "mean"):
            return False
        source = step.args[0]
        if source.shape[:1] != (self.rows,) or source not in self.made:
            return False
        dims = _dims(step)
        return dims is not None and 0 in dims

    # ---- layout --------------------------------------------------------------------------------------------
    def instruction(
        self, array: Callable[[Any], Any], allocate: Callable[[Slot], Any], needed: set[Slot]
    ) -> Any:
        """The call that runs the region. `array(x)` finds buffers made before, `allocate` makes those for
        later."""
        whole = {s: allocate(s) for s in self.made if s in needed}
        parts: list[tuple[Step, Any, Any]] = []
        sizes = [
            max(
                (
                    int(np.prod(s.outs[0].shape[1:]))
                    for s in self.steps
                    if s.outs[0].shape[:1] == (self.rows,)
                ),
                default=1,
            )
        ]
        per_block = rows_per_block((self.rows, max(sizes)))
        cuts = [(i, min(i + per_block, self.rows)) for i in range(0, self.rows, per_block)]
        for step in self.steps:
            if step in self.folds:
                out = allocate(step.outs[0])
                parts.append((step, np.empty((len(cuts), *out.shape), out.dtype), out))
        threads = 2 if self.rows * max(sizes) >= THREADED and len(cuts) > 1 else 1
        half = (len(cuts) + threads - 1) // threads
        runs = []
        for t in range(threads):
            temps = _Temporaries(self, whole, per_block)
            run = []
            for k in range(t * half, min((t + 1) * half, len(cuts))):
                run.extend(self._block(k, *cuts[k], array, whole, temps, {id(s): p for s, p, _ in parts}))
            runs.append(run)
        finish = [_finish(step, p, out) for step, p, out in parts]
        return Runner(runs, finish), ()

    def _block(
        self,
        k: int,
        i: int,
        j: int,
        array: Callable[[Any], Any],
        whole: dict[Slot, Any],
        temps: _Temporaries,
        parts: Any,
    ) -> list[tuple[Any, tuple[Any, ...]]]:
        calls: list[tuple[Any, tuple[Any, ...]]] = []
        local: dict[Slot, Any] = {}

        def operand(x: Any, ndim: int) -> Any:
            if type(x) is not Slot:
                return x
            found = local.get(x)
            if found is not None:
                return found
            a: Any = whole[x] if x in whole else array(x)
            if len(x.shape) == ndim and x.shape[0] == self.rows:
                if a.size > 1 and not any(a.strides):
                    return a[(*(0,) * a.ndim, ...)]
                return a[i:j]
            return a

        for step in self.steps:
            ndim = len(step.outs[0].shape)
            stream = step.op.facts.get("stream")
            if step in self.folds:
                source = operand(step.args[0], len(step.args[0].shape))
                calls.append(
                    (_fold_of(step), (source, parts[id(step)][k : k + 1].reshape(step.outs[0].shape)))
                )
                continue
            out_slot = step.outs[0]
            if stream == "expand" and out_slot not in whole:
                local[out_slot] = operand(step.args[0], ndim)
                continue
            if stream == "reshape" and out_slot not in whole:
                source = operand(step.args[0], len(step.args[0].shape))
                local[out_slot] = source.reshape((j - i, *out_slot.shape[1:]))
                continue
            out = whole[out_slot][i:j] if out_slot in whole else temps.give(out_slot, j - i)
            local[out_slot] = out
            if stream is None:
                calls.extend(_pointwise(step, [operand(a, ndim) for a in step.args], out, temps.scratch))
            elif stream == "expand":
                calls.append((np.copyto, (out, operand(step.args[0], ndim))))
            elif stream == "reshape":
                source = operand(step.args[0], len(step.args[0].shape))
                calls.append((np.copyto, (out, source.reshape(out.shape))))
            else:
                args = [operand(a, len(a.shape) if type(a) is Slot else 0) for a in step.args]
                calls.extend(_rowwise(step, args, out, temps.scratch))
        return calls


class _Temporaries:
    """Block-sized buffers of one thread, each used again as soon as its last reader has run."""

    def __init__(self, region: Blocked, whole: dict[Slot, Any], rows: int) -> None:
        self.of: dict[Slot, Any] = {}
        self.scratches: dict[Any, Any] = {}
        last: dict[Slot, int] = {}
        alias: dict[Slot, Slot] = {}
        for k, step in enumerate(region.steps):
            for s in step.slots():
                last[alias.get(s, s)] = k
            if step.op.facts.get("stream") in ("expand", "reshape"):
                source = step.args[0]
                alias[step.outs[0]] = alias.get(source, source)
        free: dict[Any, list[Any]] = {}
        for k, step in enumerate(region.steps):
            out = step.outs[0]
            ended = [s for s in {alias.get(s, s) for s in step.slots()} if last.get(s) == k and s in self.of]
            inplace = step.op.facts.get("stream") is None
            if inplace:
                _release(free, self.of, ended)
            if step not in region.folds and out not in whole and out not in alias:
                key = (out.shape[1:], out.array.dtype)
                kept = free.get(key)
                self.of[out] = kept.pop() if kept else np.empty((rows, *out.shape[1:]), out.array.dtype)
                if out not in last:
                    _release(free, self.of, [out])
            if not inplace:
                _release(free, self.of, ended)

    def scratch(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A buffer that a step needs only while it runs."""
        found = self.scratches.get((shape, dtype))
        if found is None:
            found = self.scratches[shape, dtype] = np.empty(shape, dtype)
        return found

    def give(self, slot: Slot, rows: int) -> Any:
        buffer = self.of[slot]
        return buffer if rows == len(buffer) else buffer[:rows]


def _release(free: dict[Any, list[Any]], of: dict[Slot, Any], ended: list[Slot]) -> None:
    for s in ended:
        b = of[s]
        free.setdefault((b.shape[1:], b.dtype), []).append(b)


def _dims(step: Step) -> tuple[int, ...] | None:
    """The dimensions that a reduction or row-wise step works over, or None where they cannot be told."""
    ndim = len(step.args[0].shape)
    if step.op.name == "sum_to_size":
        out = step.outs[0].shape
        lead = ndim - len(out)
        return tuple(range(lead)) + tuple(
            lead + k for k, n in enumerate(out) if n == 1 and step.args[0].shape[lead + k] != 1
        )
    if step.op.signature.index.get("dim") is None:
        return tuple(range(ndim)) if step.op.facts.get("stream") in ("sum", "mean") else None
    dim = step.args[step.op.signature.index["dim"]]
    if dim is None or dim == ():
        return tuple(range(ndim))
    return tuple(d % ndim for d in (dim if isinstance(dim, tuple) else (dim,)))


def _pointwise(
    step: Step, args: list[Any], out: Any, scratch: Callable[..., Any]
) -> list[tuple[Any, tuple[Any, ...]]]:
    ufunc = pointwise_ufunc(step.op, step.args)
    given = None if ufunc is None else operands(ufunc, args, out)
    if given is not None:
        return [(positional(ufunc), (*given, out))]
    into = step.op.facts.get("into")
    calls = None if into is None else into(out, scratch, *args)
    return calls if calls is not None else [(_Pointwise(step.op), (out, *args))]


def pointwise_ufunc(op: Op, args: Sequence[Any]) -> Any:
    """The ufunc that an elementwise step amounts to, or None."""
    if op.family != "elementwise":
        return None
    if isinstance(op.kernel, np.ufunc) and op.kernel.nout == 1 and op.kernel.nin == len(args):
        return op.kernel
    if isinstance(op.ufunc, np.ufunc) and len(args) > 2 and tuple(args[2:]) == op.rest:
        return op.ufunc
    return None


def operands(ufunc: Any, args: Sequence[Any], out: Any) -> list[Any] | None:
    """What a ufunc is called with where no operand needs a cast, or None.

    All arrays must be of one dtype, which is the result's unless that is a truth value. A plain number
    becomes an array only beside reals: next to others it may make the result a real.
    """
    given = args[: ufunc.nin]
    dtypes = {a.dtype for a in given if isinstance(a, (np.ndarray, np.generic))}
    if len(dtypes) != 1:
        return None
    (dtype,) = dtypes
    if dtype != out.dtype and out.dtype.kind != "b":
        return None
    numbers = any(not isinstance(a, (np.ndarray, np.generic)) for a in given)
    if numbers and dtype.kind != "f":
        return None
    return [a if isinstance(a, (np.ndarray, np.generic)) else scalar(a, dtype) for a in given]


def positional(ufunc: Any) -> Callable[..., Any]:
    """The ufunc as something that takes its `out` by position, which NumPy deprecates for these two."""
    found: Callable[..., Any] = _POSITIONAL.get(ufunc, ufunc)
    return found


_POSITIONAL: dict[Any, Callable[..., Any]] = {
    np.maximum: lambda a, b, out: np.maximum(a, b, out=out),
    np.minimum: lambda a, b, out: np.minimum(a, b, out=out),
}


class _Pointwise:
    """A pointwise step whose body is no single ufunc."""

    def __init__(self, op: Op) -> None:
        self.op = op

    def __call__(self, out: Any, *args: Any) -> None:
        given = list(args)
        if self.op.promote is not None:
            self.op._promote(given)
        np.copyto(out, self.op.kernel(*given), "unsafe")


def _rowwise(
    step: Step, args: list[Any], out: Any, scratch: Callable[..., Any]
) -> list[tuple[Any, tuple[Any, ...]]]:
    into = step.op.facts.get("into")
    if into is not None and step.op.name != "sum_to_size":
        return into(out, scratch, *args)  # type: ignore[no-any-return]
    return [(_Rowwise(step.op), (out, *args))]


class _Rowwise:
    """A reduction over other dimensions than the first, or another row-local step."""

    def __init__(self, op: Op) -> None:
        self.op = op

    def __call__(self, out: Any, *args: Any) -> None:
        if self.op.name == "sum_to_size":
            args = (args[0], out.shape)
        np.copyto(out, np.asarray(self.op.kernel(*args)).reshape(out.shape))


def _fold_of(step: Step) -> Callable[[Any, Any], None]:
    dims = _dims(step)
    assert dims is not None
    ndim = len(step.args[0].shape)
    if len(dims) == ndim:
        return _fold_all

    def fold(x: Any, part: Any) -> None:
        np.copyto(part, add_up_block(x, dims, part.dtype).reshape(part.shape))

    return fold


def _fold_all(x: Any, part: Any) -> None:
    np.add.reduce(x.reshape(-1), 0, None, part.reshape(()))


def _finish(step: Step, parts: Any, out: Any) -> Callable[[], None]:
    factor = None
    if step.op.facts.get("stream") == "mean":
        n = int(np.prod(step.args[0].shape)) // max(1, int(np.prod(out.shape)))
        factor = np.array(n, out.dtype)

    def finish() -> None:
        np.copyto(out, np.add.reduce(parts, axis=0))
        if factor is not None:
            np.divide(out, factor, out)

    return finish


@cache
def _pool() -> Any:
    return import_module("concurrent.futures").ThreadPoolExecutor(1, "vardsl-blocks")


class Runner:
    """The calls of all blocks, the first half here and the second on another thread."""

    def __init__(self, runs: list[list[Any]], finish: list[Callable[[], None]]) -> None:
        self.runs = runs
        self.finish = finish

    def __call__(self) -> None:
        if len(self.runs) > 1:
            other = _pool().submit(_run_quietly, self.runs[1])
            _run(self.runs[0])
            other.result()
        else:
            _run(self.runs[0])
        for f in self.finish:
            f()


def _run(calls: list[Any]) -> None:
    for fn, args in calls:
        fn(*args)


def _run_quietly(calls: list[Any]) -> None:
    with np.errstate(all="ignore"):
        _run(calls)


def cluster(steps: Steps) -> list[Any]:
    """The steps in an order that keeps their meaning, those that can stream together as one `Blocked`."""
    ordered: list[Any] = []
    segment: list[Step] = []
    for step in steps:
        if type(step) is Write:
            ordered.extend(_segment(segment))
            segment = []
            ordered.append(step)
        else:
            assert type(step) is Step
            segment.append(step)
    ordered.extend(_segment(segment))
    return ordered


def _segment(steps: list[Step]) -> list[Any]:
    """Clusters a run of steps without writes: each region with what must come before and after it."""
    ordered: list[Any] = []
    while steps:
        first = next((k for k, s in enumerate(steps) if _large(s)), None)
        if first is None:
            return ordered + steps
        region = Blocked(steps[first].outs[0].shape[0], steps[first].outs[0].shape)
        before, after = steps[:first], list[Step]()
        late: set[Slot] = set()
        for step in steps[first:]:
            reads = step.slots()
            if any(s in late for s in reads) or not region.take(step):
                if any(s in late or s in region.made or s in region.folded for s in reads):
                    after.append(step)
                    late.update(step.outs)
                else:
                    before.append(step)
        if len(region.steps) < 2:
            ordered.extend(before)
            ordered.extend(region.steps or [steps[first]])
        else:
            ordered.extend([*before, region])
        steps = after
    return ordered


def _large(step: Step) -> bool:
    out = step.outs[0]
    if step.op.family != "elementwise" or len(step.outs) != 1 or not out.shape:
        return False
    size = int(np.prod(out.shape))
    return size >= LARGE and size // out.shape[0] <= BLOCK // 2 and out.shape[0] >= 8
