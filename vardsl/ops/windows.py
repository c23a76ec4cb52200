"""The windows of a convolution as columns, and the three products that are made with them.

The windows are gathered by strides, not copied one by one, and there is one product for each group.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from vardsl.engine.dtypes import Array

CHUNK = 1 << 22  # bytes of columns that are worked on at a time, so that they stay in the cache
Sizes = tuple[int, ...]


def _padded(x: Array, padding: Sizes, far: Sizes) -> Array:
    """`x` in zeros: `padding` before each spatial dimension, and behind it up to the size `far`."""
    spatial = x.shape[2:]
    if not any(padding) and all(f <= n for f, n in zip(far, spatial, strict=True)):
        return x
    size = tuple(max(f, n + 2 * p) for f, n, p in zip(far, spatial, padding, strict=True))
    made = np.zeros(x.shape[:2] + size, x.dtype)
    made[(slice(None), slice(None), *(slice(p, p + n) for p, n in zip(padding, spatial, strict=True)))] = x
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

    def columns(self, x: Array, groups: int) -> Array:
        """The windows of padded `x`: [group, channel · kernel, sample · run]."""
        x = np.ascontiguousarray(x)
        n, c = x.shape[:2]
        item, plane = x.itemsize, prod(x.shape[2:])
        per = c // groups
        reads = ((self.run,), (1,)) if self.dense else (self.out, self.moves)
        lengths = (plane * per, plane, *self.jumps, c * plane, *reads[1])
        view = as_strided(
            x, (groups, per, *self.kernel, n, *reads[0]), tuple(k * item for k in lengths), writeable=False
        )
        return view.reshape(groups, per * prod(self.kernel), n * self.run)

    def meant(self, rows: Array) -> Array:
        """The positions that are meant, of [group, channel, sample, run]: [group, channel, sample, …]."""
        *lead, item = rows.strides
        return as_strided(rows, (*rows.shape[:3], *self.out), (*lead, *(k * item for k in self.places)))

    def rows(self, g: Array, groups: int) -> Array:
        """[sample, channel, …] as [group, channel, sample · run], zeros at positions that are not meant."""
        n, c = g.shape[:2]
        made = np.zeros((groups, c // groups, n, self.run), g.dtype)
        self.meant(made)[...] = np.moveaxis(g.reshape(n, groups, c // groups, *self.out), 0, 2)
        return made.reshape(groups, c // groups, n * self.run)

    def add(self, target: Array, columns: Array) -> None:
        """Adds columns [group, channel, kernel …, sample, run] to planes [group, channel, sample, plane]."""
        *lead, item = target.strides
        for offset in np.ndindex(*self.kernel):
            part = columns[(slice(None), slice(None), *offset)]
            start = sum(k * j for k, j in zip(offset, self.jumps, strict=True))
            if self.dense:
                target[..., start : start + self.run] += part
                continue
            where = as_strided(
                target[..., start:], (*target.shape[:3], *self.out), (*lead, *(k * item for k in self.moves))
            )
            where += part.reshape(where.shape)


def _step(samples: int, column_bytes: int) -> int:
    """How many samples to work on at a time."""
    return max(1, min(samples, CHUNK // max(column_bytes, 1)))


def _reach(out: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Sizes:
    """How far windows at `out` positions reach."""
    return tuple(
        (o - 1) * s + d * (k - 1) + 1 for o, k, s, d in zip(out, kernel, stride, dilation, strict=True)
    )


def convolved(
    x: Array, w: Array, out: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Array:
    n, o = x.shape[0], w.shape[0]
    kernel = w.shape[2:]
    y = np.zeros((n, o, *out), x.dtype)
    if y.size == 0 or w.size == 0:
        return y
    x = _padded(x, padding, _reach(out, kernel, stride, dilation))
    windows = Windows(x.shape[2:], kernel, out, stride, dilation)
    flat = np.ascontiguousarray(w).reshape(groups, o // groups, -1)
    target = np.moveaxis(y.reshape(n, groups, o // groups, *out), 0, 2)
    step = _step(n, flat.shape[2] * groups * windows.run * x.itemsize)
    for i in range(0, n, step):
        part = x[i : i + step]
        made = np.matmul(flat, windows.columns(part, groups))
        target[:, :, i : i + step] = windows.meant(made.reshape(groups, o // groups, len(part), windows.run))
    return y


def scattered(
    g: Array, w: Array, size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Array:
    """What each input element receives: columns are made, and added up by kernel offset."""
    n, o = g.shape[:2]
    per, kernel, out = w.shape[1], w.shape[2:], g.shape[2:]
    far = _reach(out, kernel, stride, dilation)
    wide = tuple(max(f, s + 2 * p) for f, s, p in zip(far, size, padding, strict=True))
    made = np.zeros((groups, per, n, prod(wide)), g.dtype)
    if g.size and w.size:
        windows = Windows(wide, kernel, out, stride, dilation)
        flat = np.ascontiguousarray(w).reshape(groups, o // groups, -1).swapaxes(1, 2)
        step = _step(n, flat.shape[1] * groups * windows.run * g.itemsize)
        for i in range(0, n, step):
            part = g[i : i + step]
            columns = np.matmul(flat, windows.rows(part, groups))
            windows.add(
                made[:, :, i : i + step], columns.reshape(groups, per, *kernel, len(part), windows.run)
            )
    inner = tuple(slice(p, p + s) for p, s in zip(padding, size, strict=True))
    cut = made.reshape(groups, per, n, *wide)[(slice(None), slice(None), slice(None), *inner)]
    return np.ascontiguousarray(np.moveaxis(cut, 2, 0)).reshape(n, groups * per, *size)


def weight_of(
    x: Array, g: Array, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Array:
    n, o = g.shape[:2]
    per, out = x.shape[1] // groups, g.shape[2:]
    made = np.zeros((groups, o // groups, per * prod(kernel)), x.dtype)
    if g.size and x.size:
        x = _padded(x, padding, _reach(out, kernel, stride, dilation))
        windows = Windows(x.shape[2:], kernel, out, stride, dilation)
        step = _step(n, made.shape[2] * groups * windows.run * x.itemsize)
        for i in range(0, n, step):
            columns = windows.columns(x[i : i + step], groups)
            made += np.matmul(windows.rows(g[i : i + step], groups), columns.swapaxes(1, 2))
    return made.reshape(o, per, *kernel)
