"""The windows of a convolution as columns, and the three products that are made with them.

The windows are gathered by strides, not copied one by one, and there is one product for each group. The calls
that put each into memory are listed first, for plans; outside of plans they are made at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from vardsl.engine.dtypes import Array
from vardsl.engine.tiles import Calls, perform

CHUNK = 1 << 22  # bytes of columns that are worked on at a time, so that they stay in the cache
Sizes = tuple[int, ...]
Scratch = Callable[..., Any]


def _padded(x: Array, padding: Sizes, far: Sizes, before: Calls) -> Array:
    """`x` in zeros: `padding` before each spatial dimension, and behind it up to the size `far`; contiguous.

    What puts it there is added to `before`.
    """
    spatial = x.shape[2:]
    if not any(padding) and all(f <= n for f, n in zip(far, spatial, strict=True)):
        return _contiguous(x, before)
    size = tuple(max(f, n + 2 * p) for f, n, p in zip(far, spatial, padding, strict=True))
    made = np.zeros(x.shape[:2] + size, x.dtype)
    inner = (slice(None), slice(None), *(slice(p, p + n) for p, n in zip(padding, spatial, strict=True)))
    before.append((np.copyto, (made[inner], x)))
    return made


def _contiguous(x: Array, before: Calls) -> Array:
    if x.flags.c_contiguous:
        return x
    made = np.empty(x.shape, x.dtype)
    before.append((np.copyto, (made, x)))
    return made


class Windows:
    """Where the windows of a padded input lie, along rows of columns that memory can be read in.

    Without strides the positions of a plane are read as one long run, which passes over the ends of its rows:
    `run` positions, of which `out` are meant. With strides the run is just those.
    """

    def __init__(self, size: Sizes, kernel: Sizes, out: Sizes, stride: Sizes, dilation: Sizes) -> None:
        steps = [prod(size[i + 1 :]) for i in range(len(size))]
        self.kernel, self.out = kernel, out
        self.jumps = tuple(d * f for d, f in zip(dilation, steps, strict=True))
        self.moves = tuple(s * f for s, f in zip(stride, steps, strict=True))
        self.dense = all(s == 1 for s in stride)
        last = sum((o - 1) * f for o, f in zip(out, steps, strict=True)) + 1
        self.run = last if self.dense else prod(out)
        self.places = tuple(steps) if self.dense else tuple(prod(out[i + 1 :]) for i in range(len(out)))

    def columns(self, x: Array, groups: int, scratch: Scratch) -> tuple[Array, Calls]:
        """Memory for the windows of padded `x`, as [group, channel · kernel, sample · run], and the calls
        that fill it."""
        n, c = x.shape[:2]
        item, plane = x.itemsize, prod(x.shape[2:])
        per = c // groups
        reads = ((self.run,), (1,)) if self.dense else (self.out, self.moves)
        lengths = (plane * per, plane, *self.jumps, c * plane, *reads[1])
        view = as_strided(
            x, (groups, per, *self.kernel, n, *reads[0]), tuple(k * item for k in lengths), writeable=False
        )
        made = scratch(view.shape, x.dtype)
        return made.reshape(groups, per * prod(self.kernel), n * self.run), [(np.copyto, (made, view))]

    def meant(self, rows: Array) -> Array:
        """The positions that are meant, of [group, channel, sample, run]: [group, channel, sample, …]."""
        *lead, item = rows.strides
        return as_strided(rows, (*rows.shape[:3], *self.out), (*lead, *(k * item for k in self.places)))

    def rows(self, g: Array, groups: int) -> tuple[Array, Calls]:
        """Memory for [sample, channel, …] as [group, channel, sample · run], with zeros at positions that are
        not meant, and the calls that fill it."""
        n, c = g.shape[:2]
        made = np.zeros((groups, c // groups, n, self.run), g.dtype)
        given = np.moveaxis(g.reshape(n, groups, c // groups, *self.out), 0, 2)
        return made.reshape(groups, c // groups, n * self.run), [(np.copyto, (self.meant(made), given))]

    def add(self, target: Array, columns: Array) -> Calls:
        """Adds columns [group, channel, kernel …, sample, run] to planes [group, channel, sample, plane]."""
        *lead, item = target.strides
        calls: Calls = []
        for offset in np.ndindex(*self.kernel):
            part = columns[(slice(None), slice(None), *offset)]
            start = sum(k * j for k, j in zip(offset, self.jumps, strict=True))
            where = target[..., start : start + self.run]
            if not self.dense:
                strides = (*lead, *(k * item for k in self.moves))
                where = as_strided(target[..., start:], (*target.shape[:3], *self.out), strides)
            calls.append((np.add, (where, part.reshape(where.shape), where)))
        return calls


def _step(samples: int, column_bytes: int) -> int:
    """How many samples to work on at a time."""
    return max(1, min(samples, CHUNK // max(column_bytes, 1)))


def _reach(out: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Sizes:
    """How far windows at `out` positions reach."""
    return tuple(
        (o - 1) * s + d * (k - 1) + 1 for o, k, s, d in zip(out, kernel, stride, dilation, strict=True)
    )


def _made(into: Callable[..., Calls], shape: Sizes, *given: Any) -> Array:
    """What the calls of `into` put into memory, at once."""
    y = np.empty(shape, given[0].dtype)
    perform(into(y, cache(np.empty), *given))
    return y


def convolved(
    x: Array, w: Array, out: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Array:
    return _made(convolved_into, (x.shape[0], w.shape[0], *out), x, w, stride, padding, dilation, groups)


def convolved_into(
    y: Array, scratch: Scratch, x: Array, w: Array,
    stride: Sizes, padding: Sizes, dilation: Sizes, groups: int,
) -> Calls:  # fmt: skip
    """The calls that put the convolution of `x` with `w` into `y`."""
    n, o, *out = y.shape
    kernel, calls = w.shape[2:], list[Any]()
    if y.size == 0 or w.size == 0:
        return [(y.fill, (0,))]
    x = _padded(x, padding, _reach(tuple(out), kernel, stride, dilation), calls)
    windows = Windows(x.shape[2:], kernel, tuple(out), stride, dilation)
    flat = _contiguous(w, calls).reshape(groups, o // groups, -1)
    target = np.moveaxis(y.reshape(n, groups, o // groups, *out), 0, 2)
    step = _step(n, flat.shape[2] * groups * windows.run * x.itemsize)
    for i in range(0, n, step):
        columns, gather = windows.columns(x[i : i + step], groups, scratch)
        made = scratch((groups, o // groups, min(step, n - i), windows.run), x.dtype)
        calls += gather
        calls.append((np.matmul, (flat, columns, made.reshape(groups, o // groups, -1))))
        calls.append((np.copyto, (target[:, :, i : i + step], windows.meant(made))))
    return calls


def scattered(
    g: Array, w: Array, size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Array:
    """What each input element receives: columns are made, and added up by kernel offset."""
    shape = (g.shape[0], groups * w.shape[1], *size)
    return _made(scattered_into, shape, g, w, stride, padding, dilation, groups)


def scattered_into(
    y: Array, scratch: Scratch, g: Array, w: Array,
    stride: Sizes, padding: Sizes, dilation: Sizes, groups: int,
) -> Calls:  # fmt: skip
    """The calls that put what each input element receives into `y`."""
    n, o = g.shape[:2]
    per, kernel, out, size = w.shape[1], w.shape[2:], g.shape[2:], y.shape[2:]
    if g.size == 0 or w.size == 0:
        return [(y.fill, (0,))]
    far = _reach(out, kernel, stride, dilation)
    wide = tuple(max(f, s + 2 * p) for f, s, p in zip(far, size, padding, strict=True))
    windows = Windows(wide, kernel, out, stride, dilation)
    sums = scratch((groups, per, n, prod(wide)), g.dtype)
    calls: Calls = [(sums.fill, (0,))]
    flat = _contiguous(w, calls).reshape(groups, o // groups, -1).swapaxes(1, 2)
    step = _step(n, flat.shape[1] * groups * windows.run * g.itemsize)
    for i in range(0, n, step):
        rows, spread = windows.rows(g[i : i + step], groups)
        columns = scratch((groups, per, *kernel, min(step, n - i), windows.run), g.dtype)
        calls += spread
        calls.append((np.matmul, (flat, rows, columns.reshape(*flat.shape[:2], -1))))
        calls += windows.add(sums[:, :, i : i + step], columns)
    inner = tuple(slice(p, p + s) for p, s in zip(padding, size, strict=True))
    cut = sums.reshape(groups, per, n, *wide)[(slice(None), slice(None), slice(None), *inner)]
    calls.append((np.copyto, (y.reshape(n, groups, per, *size), np.moveaxis(cut, 2, 0))))
    return calls


def weight_of(
    x: Array, g: Array, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Array:
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    return _made(weight_into, shape, x, g, stride, padding, dilation, groups)


def weight_into(
    y: Array, scratch: Scratch, x: Array, g: Array,
    stride: Sizes, padding: Sizes, dilation: Sizes, groups: int,
) -> Calls:  # fmt: skip
    """The calls that put what each kernel element receives into `y`.

    The longer side of the result comes first in the product, for which the library is up to twice as fast.
    """
    n, o = g.shape[:2]
    kernel, out, calls = y.shape[2:], g.shape[2:], list[Any]()
    if g.size == 0 or x.size == 0:
        return [(y.fill, (0,))]
    x = _padded(x, padding, _reach(out, kernel, stride, dilation), calls)
    windows = Windows(x.shape[2:], kernel, out, stride, dilation)
    flat = y.reshape(groups, o // groups, -1)
    turned = flat.shape[2] > flat.shape[1]
    shape = (groups, *flat.shape[:0:-1]) if turned else flat.shape
    step = _step(n, flat.shape[2] * groups * windows.run * x.itemsize)
    sums = scratch((1 if step >= n else 2, *shape), x.dtype)
    total, more = sums[0], sums[-1]
    for i in range(0, n, step):
        columns, gather = windows.columns(x[i : i + step], groups, scratch)
        rows, spread = windows.rows(g[i : i + step], groups)
        pair = (columns, rows.swapaxes(1, 2)) if turned else (rows, columns.swapaxes(1, 2))
        calls += [*gather, *spread, (np.matmul, (*pair, total if i == 0 else more))]
        if i:
            calls.append((np.add, (total, more, total)))
    calls.append((np.copyto, (flat, total.swapaxes(1, 2) if turned else total)))
    return calls
