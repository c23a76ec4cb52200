"""Pooling over windows: largest elements with their places, and means."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.engine.value import Value
from vardsl.errors import ScriptValueError, ShapeError
from vardsl.ops.define import Bool, Index, Int, Ints, Tensor, composite, general, op
from vardsl.ops.dims import wrap_dim

Sizes = tuple[int, ...]


def named(y: Any, grad_fn: str) -> Any:
    """Gives the node of a new value the name that PyTorch has for this use of the operation."""
    if type(y) is Value and y._node is not None:
        y._node.name = grad_fn
    return y


# ---- windows -----------------------------------------------------------------------------------------------


def spread(name: str, value: Any, dims: int, default: Sizes | None = None) -> Sizes:
    """A number for each dimension, from one or several."""
    if value is None or (not isinstance(value, int) and len(value) == 0):
        assert default is not None
        return default
    values = (value,) if isinstance(value, int) else tuple(value)
    if len(values) == 1:
        return values * dims
    if len(values) != dims:
        raise ShapeError(f"{name} must either be a single int, or a tuple of {_count(dims)} ints")
    return values


def _count(n: int) -> str:
    return {1: "one", 2: "two", 3: "three"}[n]


def _out_size(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    reach = n + 2 * p - d * (k - 1) - 1
    o = (reach + (s - 1 if ceil_mode else 0)) // s + 1
    if ceil_mode and (o - 1) * s >= n + p:  # the last window must begin inside the input
        o -= 1
    return o


def _padded(x: Array, far: Sizes, padding: Sizes, fill: float) -> Array:
    """`x` [plane, …], with `fill` before and behind so that windows reach up to `far`."""
    spatial = x.shape[1:]
    if not any(padding) and all(f <= n for f, n in zip(far, spatial, strict=True)):
        return x
    made = np.full(
        (x.shape[0], *(max(f, n + p) for f, n, p in zip(far, spatial, padding, strict=True))), fill, x.dtype
    )
    made[(slice(None), *(slice(p, p + n) for p, n in zip(padding, spatial, strict=True)))] = x
    return made


def _reach(out: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Sizes:
    return tuple(
        (o - 1) * s + d * (k - 1) + 1 for o, k, s, d in zip(out, kernel, stride, dilation, strict=True)
    )


def _places(offset: Sizes, out: Sizes, stride: Sizes, dilation: Sizes) -> tuple[slice, ...]:
    """Where in the padded input the element at `offset` of every window lies."""
    return tuple(
        slice(k * d, k * d + (o - 1) * s + 1, s)
        for k, o, s, d in zip(offset, out, stride, dilation, strict=True)
    )


def as_planes(x: Array, dims: int) -> Array:
    lead = prod(x.shape[: x.ndim - dims])
    return x.reshape(lead, *x.shape[x.ndim - dims :])


# ---- places in planes --------------------------------------------------------------------------------------


@general(
    vjp=lambda g, indices, size: op._gather_planes(g, indices, size),
    grad_fn="MaxPoolBackward0",
    batch="leading",
)
def _scatter_planes(input: Tensor, indices: Index, size: Ints):
    """Elements added up at their places in planes of `size`."""
    dims = len(size)
    lead = input.shape[: input.ndim - dims]
    planes, area = prod(lead), prod(size)
    places = (
        indices.reshape(planes, -1) + np.arange(planes)[:, None] * area if planes else indices.reshape(-1)
    )
    sums = np.bincount(places.reshape(-1), weights=input.reshape(-1), minlength=planes * area)
    return sums.astype(input.dtype, copy=False).reshape(*lead, *size)


@general(
    vjp=lambda g, indices, size: op._scatter_planes(g, indices, size),
    grad_fn="MaxPoolBackwardBackward0",
    batch="leading",
)
def _gather_planes(input: Tensor, indices: Index, size: Ints):
    """The elements at these places in planes of `size`."""
    dims = len(size)
    lead = prod(input.shape[: input.ndim - dims])
    flat = indices.reshape(lead, prod(indices.shape[indices.ndim - dims :]))
    area = prod(size)
    return np.take_along_axis(input.reshape(lead, area), flat, 1).reshape(indices.shape)


def by_places(g, y, input_like, dims):
    shape = input_like.shape
    return op._scatter_planes(g[0], y[1], shape[len(shape) - dims :])


# ---- the largest of a window -------------------------------------------------------------------------------


def _first_inside(n_out: int, s: int, p: int, d: int) -> Array:
    """Where in the input the first element of each window lies that is not padding."""
    start = np.arange(n_out) * s - p
    return np.where(start < 0, start + -(start // d) * d, start)


def flat_places(rows: list[Array], size: Sizes) -> Array:
    """Indices into a plane from indices for each of its dimensions."""
    flat = np.zeros((1,) * len(size), np.int64)
    for k, (r, n) in enumerate(zip(rows, size, strict=True)):
        shape = [1] * len(size)
        shape[k] = -1
        flat = flat * n + r.reshape(shape)
    return flat


@general(
    vjp=lambda g, y, input_like, kernel: by_places(g, y, input_like, len(kernel)),
    grad_fn="MaxPool2DWithIndicesBackward0",
    batch="leading",
)
def _max_pool(input: Tensor, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints):
    dims = len(kernel)
    x = as_planes(input, dims)
    size = x.shape[1:]
    low = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    padded = _padded(x, _reach(out, kernel, stride, dilation), padding, low)
    best = np.full((x.shape[0], *out), low, x.dtype)
    nans = x.dtype.kind == "f" and bool(np.isnan(np.add.reduce(x, axis=None)))
    steps = [prod(size[i + 1 :]) for i in range(dims)]
    jumps = [-1]  # from a window's first place to each of its places; -1: none so far
    chosen: Array = np.zeros(best.shape, np.uint8 if prod(kernel) < 255 else np.intp)
    for k, offset in enumerate(np.ndindex(*kernel), 1):
        candidate = np.ascontiguousarray(padded[(slice(None), *_places(offset, out, stride, dilation))])
        better = candidate > best
        if nans:
            better |= np.isnan(candidate)
            np.copyto(best, candidate, where=better)
        else:
            np.maximum(best, candidate, out=best)
        np.maximum(chosen, better * chosen.dtype.type(k), out=chosen)
        jumps.append(sum(o * d * f for o, d, f in zip(offset, dilation, steps, strict=True)))
    first = flat_places([np.arange(o) * s - p for o, s, p in zip(out, stride, padding, strict=True)], size)
    where = first + np.array(jumps).take(chosen)
    if not chosen.all():
        inside = [
            _first_inside(o, s, p, d) for o, s, p, d in zip(out, stride, padding, dilation, strict=True)
        ]
        where = np.where(chosen == 0, flat_places(inside, size), where)
    shape = (*input.shape[: input.ndim - dims], *out)
    return best.reshape(shape), where.reshape(shape)


def _check_window(kernel, stride, padding, dilation):
    if 0 in stride:
        raise ScriptValueError("stride should not be zero")
    for what, name, values in (
        ("kernel size", "k", kernel), ("stride", "d", stride), ("dilation", "dilation", dilation)
    ):  # fmt: skip
        if min(values) <= 0:
            named_values = zip("THW"[-len(values) :], values, strict=True)
            shown = " ".join(f"{name}{letter}: {v}" for letter, v in named_values)
            raise ScriptValueError(f"{what} should be greater than zero, but got {shown}")
    if min(padding) < 0:
        raise ScriptValueError(f"pad must be non-negative, but got pad: {min(padding)}")
    for k, p, d in zip(kernel, padding, dilation, strict=True):
        if p > ((k - 1) * d + 1) // 2:
            raise ScriptValueError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and "
                f"dilation={d}"
            )


def _check_result(dims, input, out, kernel, average):
    if min(out) < 1:
        if dims == 3 and average:
            sizes = zip("THW", input.shape[-3:], kernel, strict=True)
            image, windows = zip(*((f"{c}: {n}", f"k{c}: {k}") for c, n, k in sizes), strict=True)
            raise ShapeError(
                f"input image ({' '.join(image)}) smaller than kernel size ({' '.join(windows)})"
            )
        channels = (input.shape[input.ndim - dims - 1],)
        before, after = (channels + tuple(input.shape[input.ndim - dims :])), channels + out
        if dims == 1:
            before, after = (channels[0], 1, before[1]), (channels[0], 1, after[1])
        raise ShapeError(
            f"Given input size: ({'x'.join(map(str, before))}). Calculated output size: "
            f"({'x'.join(map(str, after))}). Output size is too small"
        )


def _check_rank(name, dims, input, average):
    n = input.ndim
    if n in (dims + 1, dims + 2) and 0 not in input.shape[n - dims - 1 :]:
        return
    if dims == 1:
        if average:
            if n not in (2, 3):
                raise ShapeError(
                    f"Expected 2 to 3 dimensions, but got {n}-dimensional tensor for argument #1 'self' "
                    f"(while checking arguments for {name})"
                )
            return
        raise ShapeError(
            "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but "
            "got:"
            f"{list(input.shape)}"
        )
    if n not in (dims + 1, dims + 2):
        if dims == 2 and average:
            wrap_dim(-3, n)
        raise ShapeError(f"non-empty {dims + 1}D or {dims + 2}D (batch mode) tensor expected for input")
    if dims == 3:
        where = "avg_pool3d()" if average else "max_pool3d_with_indices_out_cpu_template()"
        raise ShapeError(
            f"{where}: Expected input's non-batch dimensions to have positive "
            f"length, but input has a shape of {list(input.shape)} and non-batch dimension 0 has length zero!"
        )
    raise ShapeError(
        f"Expected {dims + 1}D or {dims + 2}D (batch mode) tensor with optional 0 dim batch size for input, "
        "but got:"
        f"{list(input.shape)}"
    )


def _max(dims, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    name = f"max_pool{dims}d"
    kernel = spread(f"{name}: kernel_size", kernel_size, dims)
    steps = spread(f"{name}: stride", stride, dims, kernel)
    pads = spread(f"{name}: padding", padding, dims)
    gaps = spread(f"{name}: dilation", dilation, dims)
    if dims == 1:
        _check_rank(name, dims, input, False)
        _check_line(input, kernel[0], steps[0], pads[0], gaps[0], ceil_mode, return_indices)
    _check_window(kernel, steps, pads, gaps)
    _check_rank(name, dims, input, False)
    out = tuple(
        _out_size(n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(input.shape[input.ndim - dims :], kernel, steps, pads, gaps, strict=True)
    )
    _check_result(dims, input, out, kernel, False)
    y, places = op._max_pool(input, kernel, steps, pads, gaps, out)
    names = ("SqueezeBackward1", "MaxPool2DWithIndicesBackward0", "MaxPool3DWithIndicesBackward0")
    named(y, names[dims - 1])
    return (y, places) if return_indices else y


def _check_line(input, k, s, p, d, ceil_mode, return_indices):
    """The sentences that max_pool1d has for itself where it needs no derivative."""
    if return_indices:
        return
    for name, x in (("kernel_size", k), ("stride", s)):
        if x <= 0:
            raise ScriptValueError(f"max_pool1d() {name} must be greater than zero, but got {x}")
    if p < 0:
        raise ScriptValueError(f"max_pool1d() padding must be non-negative, but got {p}",
                               torch=f"pad must be non-negative, but got pad: {p}")  # fmt: skip
    if p > k // 2:
        raise ScriptValueError(
            f"max_pool1d() padding should be at most half of kernel size, but got padding={p} and "
            f"kernel_size={k}"
        )
    if d <= 0:
        raise ScriptValueError(f"max_pool1d() dilation must be greater than zero, but got {d}")
    o = _out_size(input.shape[-1], k, s, p, d, ceil_mode)
    if o <= 0:
        raise ShapeError(f"max_pool1d() Invalid computed output size: {o}")


@composite()
def max_pool1d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
    ceil_mode: Bool = False, return_indices: Bool = False,
):  # fmt: skip
    """The largest element of each window of a sequence; with `return_indices` also where it lies.

    >>> max_pool1d([[1., 3., 2., 4.]], 2)
    tensor([[3., 4.]])
    """
    return _max(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@composite()
def max_pool2d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
    ceil_mode: Bool = False, return_indices: Bool = False,
):  # fmt: skip
    """The largest element of each window of an image; with `return_indices` also where it lies.

    >>> max_pool2d([[[1., 3.], [2., 4.]]], 2)
    tensor([[[4.]]])
    """
    return _max(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@composite()
def max_pool3d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
    ceil_mode: Bool = False, return_indices: Bool = False,
):  # fmt: skip
    """The largest element of each window of a volume; with `return_indices` also where it lies.

    >>> max_pool3d(ones(1, 2, 2, 2), 2)
    tensor([[[[1.]]]])
    """
    return _max(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# ---- the mean of a window ----------------------------------------------------------------------------------


def _divisors(
    size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, out: Sizes, include: bool, override: int
) -> Array:
    """What the sum of each window is divided by."""
    if override:
        return np.full((1,) * len(size), override)
    made = np.ones((1,) * len(size), np.int64)
    for k, (n, w, s, p, o) in enumerate(zip(size, kernel, stride, padding, out, strict=True)):
        start = np.arange(o) * s - p
        end = np.minimum(start + w, n + p)
        count = end - start if include else np.minimum(end, n) - np.maximum(start, 0)
        shape = [1] * len(size)
        shape[k] = -1
        made = made * count.reshape(shape)
    return made


def _along(axis: int, k: int, o: int, s: int) -> tuple[slice, ...]:
    """The k-th element of every window along one dimension."""
    return (slice(None),) * axis + (slice(k, k + (o - 1) * s + 1, s),)


def _window_sums(x: Array, axis: int, kernel: int, out: int, stride: int) -> Array:
    """Sums over windows along one dimension; those over several are sums of such sums."""
    total = x[_along(axis, 0, out, stride)].copy()
    for k in range(1, kernel):
        total += x[_along(axis, k, out, stride)]
    return total


def _window_shares(g: Array, axis: int, kernel: int, out: int, stride: int, size: int) -> Array:
    """The adjoint of `_window_sums`."""
    made = np.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype)
    for k in range(kernel):
        made[_along(axis, k, out, stride)] += g
    return made


@general(
    vjp=lambda g, input_like, kernel, stride, padding, include, override: op._avg_pool_adjoint(
        g, input_like.shape[len(input_like.shape) - len(kernel):], kernel, stride, padding, include, override
    ),
    grad_fn="AvgPool2DBackward0",
    batch="leading",
)  # fmt: skip
def _avg_pool(
    input: Tensor, out: Ints, kernel: Ints, stride: Ints, padding: Ints, include: Bool, override: Int
):
    dims = len(kernel)
    x = as_planes(input, dims)
    one = (1,) * dims
    padded = _padded(x, _reach(out, kernel, stride, one), padding, 0)
    total = padded
    for axis, (k, o, s) in enumerate(zip(kernel, out, stride, strict=True), 1):
        total = _window_sums(total, axis, k, o, s)
    divisors = _divisors(x.shape[1:], kernel, stride, padding, out, include, override).astype(x.dtype)
    if total.dtype.kind == "f":
        total = total / divisors
    else:  # as C divides integers
        total = np.sign(total) * np.sign(divisors) * (np.abs(total) // np.abs(divisors))
    return total.reshape(*input.shape[: input.ndim - dims], *out)


@general(
    vjp=lambda g, input_like, kernel, stride, padding, include, override: op._avg_pool(
        g, input_like.shape[len(input_like.shape) - len(kernel):], kernel, stride, padding, include, override
    ),
    grad_fn="AvgPool2DBackwardBackward0",
    batch="leading",
)  # fmt: skip
def _avg_pool_adjoint(
    input: Tensor, size: Ints, kernel: Ints, stride: Ints, padding: Ints, include: Bool, override: Int
):
    dims = len(kernel)
    g = as_planes(input, dims)
    out, one = g.shape[1:], (1,) * dims
    g = g / _divisors(size, kernel, stride, padding, out, include, override).astype(g.dtype)
    far = _reach(out, kernel, stride, one)
    made = g
    for axis, (k, o, s, f, n, p) in enumerate(zip(kernel, out, stride, far, size, padding, strict=True), 1):
        made = _window_shares(made, axis, k, o, s, max(f, n + p))
    made = made[(slice(None), *(slice(p, p + n) for p, n in zip(padding, size, strict=True)))]
    return made.reshape(*input.shape[: input.ndim - dims], *size)


def _average(dims, input, kernel_size, stride, padding, ceil_mode, include, override):
    name = f"avg_pool{dims}d"
    kernel = spread(f"{name}: kernel_size", kernel_size, dims)
    steps = spread(f"{name}: stride", stride, dims, kernel)
    pads = spread(f"{name}: padding", padding, dims)
    if override == 0:
        raise ScriptValueError("divisor must be not zero")
    if dims == 1:
        _check_rank(name, dims, input, True)
    _check_window(kernel, steps, pads, (1,) * dims)
    _check_rank(name, dims, input, True)
    out = tuple(
        _out_size(n, k, s, p, 1, ceil_mode)
        for n, k, s, p in zip(input.shape[input.ndim - dims :], kernel, steps, pads, strict=True)
    )
    _check_result(dims, input, out, kernel, True)
    y = op._avg_pool(input, out, kernel, steps, pads, include, override or 0)
    return named(y, ("SqueezeBackward1", "AvgPool2DBackward0", "AvgPool3DBackward0")[dims - 1])


@composite()
def avg_pool1d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: Bool = False,
    count_include_pad: Bool = True,
):  # fmt: skip
    """The mean of each window of a sequence.

    >>> avg_pool1d([[1., 3., 2., 4.]], 2)
    tensor([[2., 3.]])
    """
    return _average(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@composite()
def avg_pool2d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: Bool = False,
    count_include_pad: Bool = True, divisor_override: Int | None = None,
):  # fmt: skip
    """The mean of each window of an image; `divisor_override` divides by another number.

    >>> avg_pool2d([[[1., 3.], [2., 4.]]], 2)
    tensor([[[2.5000]]])
    """
    return _average(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@composite()
def avg_pool3d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: Bool = False,
    count_include_pad: Bool = True, divisor_override: Int | None = None,
):  # fmt: skip
    """The mean of each window of a volume.

    >>> avg_pool3d(ones(1, 2, 2, 2), 2)
    tensor([[[[1.]]]])
    """
    return _average(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
