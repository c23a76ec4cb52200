"""How a region is run: one block of rows after another, all its steps on each, on two threads where it pays.

Temporaries are as large as a block. They share buffers as soon as their last reader has run, and borrow the
memory of results that are not there yet. Sums over the rows are put together in the order of
`engine/tiles.py`, whatever the blocks and threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vardsl.engine.tall import multiply_pieces, multiply_rows, rows_of_piece
from vardsl.engine.tiles import (
    TILES,
    add_neighbours,
    add_pieces,
    add_rows,
    aligned,
    in_blocks,
    inner_size,
    multiply_along,
    parts_over_rows,
    power_below,
    rows_per_block,
    rows_per_part,
    rows_per_piece,
    spare_along,
    sums_to_one,
)
from vardsl.engine.together import Runner, processors
from vardsl.plan.blocks import PRODUCT, ROW_DOT, VIEWS, Blocked, dims_of
from vardsl.plan.buffers import buffer_size
from vardsl.plan.moved import Moved, between
from vardsl.plan.pointwise import Calls, overwrites, pointwise_calls
from vardsl.plan.trace import Slot, Step

CACHE = 7 << 18  # bytes that one thread works on at a time: they stay in its second-level cache
LONGER = 2  # times as much where two threads work: in longer calls they wait less for each other
THREADED = 4_000_000  # elements, all calls together, from which a second thread pays: to wake it takes time
PIECES = 32  # of a region are handed out: neighbouring blocks on one thread read memory faster

Find = Callable[[Any], Any]


def runner(region: Blocked, array: Find, allocate: Callable[[Slot], Any], needed: set[Slot]) -> Runner:
    """What runs the region when it is called.

    `array(x)` finds buffers made before, `allocate` makes those that are needed later.
    """
    whole = {s: allocate(s) for s in region.made if s in needed}
    places = _Places(region, whole)
    folds = {step: _Fold(step, allocate(step.outs[0])) for step in region.steps if step in region.folds}
    scratch, work, buffer = _Block(region, places, array, folds, places.rows_at_once(CACHE)).per_row()
    several = work * region.rows >= THREADED and processors() > 1
    rows = places.rows_at_once(CACHE * LONGER if several else CACHE, scratch)
    # a part of a sum is never shared between threads
    each = max([rows, *(f.rows_of_part for f in folds.values())])
    each *= max(1, region.rows // each // PIECES)
    threads = 2 if several and region.rows > each else 1
    runs = [_Pieces(_Block(region, places, array, folds, rows), each) for _ in range(threads)]
    region.laid_out = _laid_out(-(-region.rows // rows), rows, len(places.widths), threads)
    return Runner(runs, [f.finish for f in folds.values()], buffer)


def _laid_out(blocks: int, rows: int, buffers: int, threads: int) -> str:
    text = f", {blocks} blocks of {rows}, {buffers} buffer{'s' if buffers != 1 else ''}"
    return text + (" for each of two threads" if threads > 1 else "")


def _row_bytes(s: Slot) -> int:
    return inner_size(s.shape) * int(s.array.dtype.itemsize)


class _Places:
    """Where the results of a region's steps lie: in whole arrays, or in numbered buffers of a block.

    of      the buffer's number, or the slot whose whole array is borrowed
    widths  bytes per row of each buffer
    """

    def __init__(self, region: Blocked, whole: dict[Slot, Any]) -> None:
        self.region = region
        self.whole = whole
        self.of: dict[Slot, int | Slot] = {}
        self.widths: list[int] = []
        self.alias: dict[Slot, Slot] = {}
        self.free: dict[int, list[int | Slot]] = {}
        self.made_at = {step.outs[0]: k for k, step in enumerate(region.steps)}
        self.last = self._last_uses()
        for s, a in whole.items():
            if a.flags.c_contiguous:
                self.free.setdefault(_row_bytes(s), []).append(s)
        for k, step in enumerate(region.steps):
            self._place(k, step)

    def _last_uses(self) -> dict[Slot, int]:
        last: dict[Slot, int] = {}
        for k, step in enumerate(self.region.steps):
            for s in step.slots():
                last[self.alias.get(s, s)] = k
            if step.op.facts.get("stream") in VIEWS and step.outs[0] not in self.whole:
                source = step.args[0]
                self.alias[step.outs[0]] = self.alias.get(source, source)
        return last

    def _place(self, k: int, step: Step) -> None:
        out = step.outs[0]
        reads = {self.alias.get(s, s) for s in step.slots()}
        ended = [s for s in reads if s in self.of and self.last[s] == k]
        in_place = overwrites(step)
        if in_place:
            self._release(ended)
        if step not in self.region.folds and out not in self.whole and out not in self.alias:
            self.of[out] = self._find(out)
            if out not in self.last:
                self._release([out])
        if not in_place:
            self._release(ended)

    def _release(self, ended: list[Slot]) -> None:
        for s in ended:
            self.free.setdefault(_row_bytes(s), []).append(self.of[s])

    def _find(self, out: Slot) -> int | Slot:
        width = _row_bytes(out)
        free = self.free.get(width, [])
        for k in reversed(range(len(free))):
            place = free[k]
            if type(place) is not Slot or self._over_before(out, place):
                return free.pop(k)
        self.widths.append(width)
        return len(self.widths) - 1

    def _over_before(self, s: Slot, result: Slot) -> bool:
        """Whether a temporary is no longer needed when a result is made."""
        end, begin = self.last.get(s, self.made_at[s]), self.made_at[result]
        return end < begin or (end == begin and overwrites(self.region.steps[begin]))

    def rows_at_once(self, room: int, scratch: int = 0) -> int:
        """How many rows make a block of so many bytes: a power of two, a whole number of tiles.

        `scratch` are the bytes per row that the steps need beside their arguments and results.
        """
        outer = {s for step in self.region.steps for s in step.slots()} - self.region.made
        streams = [s for s in (*outer, *self.whole) if self.region.cut(s) and not _spread(s)]
        per_row = scratch + sum(self.widths) + sum(map(_row_bytes, streams))
        per_row += sum(step.outs[0].array.nbytes // _piece(step) for step in self.region.folds)
        unit = max(map(_unit, self.region.steps))
        return max(power_below(room // max(per_row, 1)), unit)


def _size(a: Any) -> int:
    return a.size if type(a) is np.ndarray else 0


def _spread(s: Slot) -> bool:
    """Whether a slot is one number for all elements."""
    return s.kind == "const" and not any(s.array.strides)


def _unit(step: Step) -> int:
    """The rows that a step needs to have at once: of the tiles that it works in."""
    stream = step.op.facts.get("stream")
    source = step.slots()[0].shape if step.slots() else ()
    if stream == PRODUCT:
        return rows_per_block(source)
    if stream in ("sum", "mean") and in_blocks(source):
        return max(rows_per_block(source), rows_per_part(source)) if 0 in (dims_of(step) or ()) else 1
    return 1


def _piece(step: Step) -> int:
    """How many rows a sum over the rows takes at once."""
    shapes = [s.shape for s in step.slots()]
    if step.op.facts.get("stream") == PRODUCT:
        return rows_of_piece(shapes[0], shapes[1], True)
    return rows_per_part(shapes[0]) if step.outs[0].array.size == 1 else rows_per_piece(shapes[0])


class _Fold:
    """A sum over the rows on its way: the parts that the blocks give."""

    def __init__(self, step: Step, out: Any) -> None:
        self.step = step
        self.out = out
        self.product = step.op.facts.get("stream") == PRODUCT
        self.source = step.slots()[0]
        shape = self.source.shape
        self.dims = () if self.product else dims_of(step) or ()
        self.total = not self.product and sums_to_one(shape, self.dims)
        if self.total:
            self.rows_of_part = rows_per_part(shape)
            self.parts = np.empty(-(-shape[0] // self.rows_of_part), out.dtype)
        else:
            self.piece = _piece(step)
            self.rows_of_part = rows_per_block(shape) * TILES
            kept = out.shape if self.product else _without(shape, self.dims)
            self.parts = np.empty((parts_over_rows(shape), *kept), out.dtype)

    def calls(self, i: int, sources: list[Any], spare: Any) -> Calls:
        """What rows from `i` on add."""
        x = sources[0]
        if self.total:
            n = self.rows_of_part
            return add_neighbours(x, self.parts[i // n : -(-(i + len(x)) // n)])
        if self.product:
            return multiply_pieces(x, sources[1], i // self.piece, self.parts, spare)
        return add_pieces(x, self.dims, i // self.piece, self.parts, spare)

    def spare(self, rows: int) -> Any:
        """Room for the sums of the pieces of so many rows."""
        if self.total:
            return None
        return aligned((rows // self.piece + 2, *self.parts.shape[1:]), self.out.dtype)

    def finish(self) -> None:
        """Puts the parts together."""
        out = self.out
        total = np.asarray(np.add.reduce(self.parts, 0)).reshape(out.shape)
        if self.step.op.facts.get("stream") == "mean":
            size = int(np.prod(self.source.shape)) // max(1, out.size)
            np.divide(total, np.array(size, out.dtype), out)
        else:
            np.copyto(out, total)


def _without(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for k, n in enumerate(shape) if k not in dims)


class _Pieces:
    """The calls of one thread for each piece of work, made when it first takes that piece: where a region
    runs once, each piece is taken by one thread only."""

    def __init__(self, block: _Block, each: int) -> None:
        self.block = block
        self.each = each
        self.made: list[Calls | None] = [None] * -(-block.region.rows // each)

    def __len__(self) -> int:
        return len(self.made)

    def __getitem__(self, k: int) -> Calls:
        calls = self.made[k]
        if calls is None:
            i = k * self.each
            calls = self.made[k] = self.block.several(i, min(i + self.each, self.block.region.rows))
        return calls


class _Block:
    """Makes the calls of one thread's blocks, which all work in the same buffers."""

    def __init__(
        self, region: Blocked, places: _Places, array: Find, folds: dict[Step, _Fold], rows: int
    ) -> None:
        self.region = region
        self.places = places
        self.array = array
        self.folds = folds
        self.rows = rows
        self.buffers = [aligned((rows * width,), np.uint8) for width in places.widths]
        self.scratches: dict[Any, Any] = {}
        self.views: dict[Any, Any] = {}
        self.spares = {f: f.spare(rows) for f in folds.values()}
        self.repeated: dict[int, Calls] = {}  # by the step's place
        self.made: dict[int, tuple[int, Calls]] = {}  # the first calls of a step, with their block
        self.moved: dict[int, Moved | None] = {}

    def several(self, i: int, j: int) -> Calls:
        """The calls for rows `i:j`, block by block."""
        calls: Calls = []
        for k in range(i, j, self.rows):
            calls += self.calls(k, min(k + self.rows, j))
        return calls

    def per_row(self) -> tuple[int, int, int]:
        """The bytes that the steps need for a row beside their arguments and results, the elements of it that
        all calls go over, and the size of NumPy's buffer that suits them."""
        rows = min(self.rows, self.region.rows)
        calls = self.calls(0, rows)
        scratch = sum(int(a.nbytes) for a in self.scratches.values())
        work = sum(max(map(_size, args), default=0) for _, args in calls) // rows
        return scratch // rows, work, buffer_size(calls, self.region.rows / rows)

    def calls(self, i: int, j: int) -> Calls:
        """The calls for rows `i:j`."""
        self.i, self.j = i, j
        self.local: dict[Slot, Any] = {}
        calls: Calls = []
        for k, step in enumerate(self.region.steps):
            again = self._again(k) if j - i == self.rows else None
            if again is not None:
                self.local[step.outs[0]] = self._result(step.outs[0])
                calls.extend(again)
                continue
            self.moving = False
            made = self._step(step)
            calls.extend(made)
            if j - i == self.rows and step not in self.folds and step.op.facts.get("stream") not in VIEWS:
                self._keep(k, made)
        return calls

    def _again(self, k: int) -> Calls | None:
        """The calls of a step for this block from those for blocks before, where they are known so far."""
        moved, n = self.moved.get(k), self.i // self.rows
        return self.repeated.get(k) if moved is None or n < moved.first else moved.at(n)

    def _keep(self, k: int, made: Calls) -> None:
        """Keeps the calls of a step, or how they move from block to block."""
        n = self.i // self.rows
        if not self.moving:
            self.repeated[k] = made
        elif k not in self.made:
            self.made[k] = n, made
        elif k not in self.moved:
            first, one = self.made[k]
            self.moved[k] = between(first, one, n, made, self.region.rows // self.rows)

    def _step(self, step: Step) -> Calls:
        stream, out = step.op.facts.get("stream"), step.outs[0]
        if step in self.folds:
            self.moving = True
            before: Calls = []
            fold = self.folds[step]
            sources = [self._contiguous(s, before) for s in step.slots()]
            return before + fold.calls(self.i, sources, self.spares[fold])
        if stream in VIEWS:
            return self._view(step, stream == "expand")
        result = self.local[out] = self._result(out)
        if step.op.family == "elementwise" or stream == "pointwise":
            args = [self._operand(a, len(out.shape)) for a in step.args]
            return pointwise_calls(step, args, result, self.scratch)
        before = []
        source = self._contiguous(step.args[0], before)
        if stream == PRODUCT:
            return before + multiply_rows(source, self.array(step.args[1]), result)
        if stream == ROW_DOT:
            return before + self._row_dot(step, source, result, before)
        if stream in ("rows", "along"):
            rest = [self.array(a) if type(a) is Slot else a for a in step.args[1:]]
            return before + list(step.op.facts["into"](result, self.scratch, source, *rest))
        return before + self._reduce(step, source, result)

    def _view(self, step: Step, expand: bool) -> Calls:
        """A local view, or a copy where the result is needed as a whole."""
        out, source = step.outs[0], self._operand(step.args[0], len(step.outs[0].shape) if expand else 0)
        if not expand:
            source = source.reshape((self.j - self.i, *out.shape[1:]))
        if out not in self.places.whole:
            self.local[out] = source
            return []
        result = self.local[out] = self._result(out)
        return [(np.copyto, (result, source))]

    def _row_dot(self, step: Step, source: Any, result: Any, before: Calls) -> Calls:
        second = step.args[1]
        whole = self.region.cut(second) and len(second.shape) == source.ndim
        other = self._contiguous(second, before) if whole else np.ascontiguousarray(self.array(second))
        shape = spare_along(source.shape, result.dtype)
        spare = None if shape is None else self.scratch(shape, result.dtype)
        return multiply_along(source, other, result, spare)

    def _reduce(self, step: Step, source: Any, result: Any) -> Calls:
        dims = dims_of(step) or ()
        shape = step.args[0].shape
        if in_blocks(shape):
            calls = add_rows(source, dims, result)
        else:
            kept = tuple(1 if k in dims else n for k, n in enumerate(source.shape))
            calls = [(np.add.reduce, (source, dims, result.dtype, result.reshape(kept), True))]
        if step.op.facts.get("stream") == "mean":
            n = int(np.prod(shape)) // max(1, int(np.prod(step.outs[0].shape)))
            calls.append((np.divide, (result, np.array(n, result.dtype), result)))
        return calls

    # ---- arrays ----
    def _result(self, out: Slot) -> Any:
        if out in self.places.whole:
            self.moving = True
            return self.places.whole[out][self.i : self.j]
        place = self.places.of[out]
        if type(place) is Slot:
            self.moving = True
            memory = self.places.whole[place][self.i : self.j]
            return memory.view(out.array.dtype).reshape((self.j - self.i, *out.shape[1:]))
        key = place, out.shape[1:], out.array.dtype, self.j - self.i
        found = self.views.get(key)
        if found is None:
            size = (self.j - self.i) * _row_bytes(out)
            view = self.buffers[place][:size].view(out.array.dtype)  # type: ignore[index]
            found = self.views[key] = view.reshape((self.j - self.i, *out.shape[1:]))
        return found

    def _operand(self, x: Any, ndim: int) -> Any:
        """An argument for these rows; `ndim` is that of the result that it broadcasts to."""
        if type(x) is not Slot:
            return x
        found = self.local.get(x)
        if found is not None:
            self.moving |= self._moves(x)
            return found
        a: Any = self.places.whole[x] if x in self.places.whole else self.array(x)
        if len(x.shape) == (ndim or len(x.shape)) and x.shape[0] == self.region.rows:
            if a.size > 1 and not any(a.strides):
                return a[(*(0,) * a.ndim, ...)]
            self.moving = True
            return a[self.i : self.j]
        return a

    def _moves(self, x: Slot) -> bool:
        """Whether a local slot lies elsewhere for each block."""
        root = self.places.alias.get(x, x)
        return type(self.places.of.get(root)) is not int

    def _contiguous(self, x: Slot, before: Calls) -> Any:
        """The rows of an argument of a step that is not pointwise, copied where they do not lie in a row."""
        a = self._operand(x, len(x.shape))
        shape = (self.j - self.i, *x.shape[1:])
        if a.shape == shape and a.flags.c_contiguous:
            return a
        copy = self.scratch(shape, x.array.dtype)
        before.append((np.copyto, (copy, a)))
        return copy

    def scratch(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A buffer that a step needs only while it runs."""
        found = self.scratches.get((shape, dtype))
        if found is None:
            found = self.scratches[shape, dtype] = aligned(shape, dtype)
        return found
