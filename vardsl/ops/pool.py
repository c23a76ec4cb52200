"""Pooling over windows: largest elements with their places, means, and putting elements back to their places."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.engine.value import Value
from vardsl.errors import ScriptIndexError, ScriptValueError, ShapeError
from vardsl.ops.define import Bool, Index, Int, Ints, Tensor, composite, general, op
from vardsl.ops.dims import wrap_dim

Sizes = tuple[int, ...]


def named(y: Any, grad_fn: str) -> Any:
    """Gives the node of a new value the name that PyTorch has for this use of the operation."""
    if type(y) is Value and y._node is not None:
        y._node.name = grad_fn
    return y


# ---- windows ---------------------------------------------------------------------------------------------------


def _spread(name: str, value: Any, dims: int, default: Sizes | None = None) -> Sizes:
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
    made = np.full((x.shape[0], *(max(f, n + p) for f, n, p in zip(far, spatial, padding, strict=True))), fill, x.dtype)
    made[(slice(None), *(slice(p, p + n) for p, n in zip(padding, spatial, strict=True)))] = x
    return made


def _reach(out: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Sizes:
    return tuple((o - 1) * s + d * (k - 1) + 1 for o, k, s, d in zip(out, kernel, stride, dilation, strict=True))


def _places(offset: Sizes, out: Sizes, stride: Sizes, dilation: Sizes) -> tuple[slice, ...]:
    """Where in the padded input the element at `offset` of every window lies."""
    return tuple(
        slice(k * d, k * d + (o - 1) * s + 1, s) for k, o, s, d in zip(offset, out, stride, dilation, strict=True)
    )


def _planes(x: Array, dims: int) -> Array:
    lead = prod(x.shape[: x.ndim - dims])
    return x.reshape(lead, *x.shape[x.ndim - dims :])


# ---- places in planes ------------------------------------------------------------------------------------------


@general(
    vjp=lambda g, indices, size: op._gather_planes(g, indices, size),
    grad_fn="MaxPoolBackward0",
)
def _scatter_planes(input: Tensor, indices: Index, size: Ints):
    """Elements added up at their places in planes of `size`."""
    dims = len(size)
    lead = input.shape[: input.ndim - dims]
    planes, area = prod(lead), prod(size)
    places = indices.reshape(planes, -1) + np.arange(planes)[:, None] * area if planes else indices.reshape(-1)
    sums = np.bincount(places.reshape(-1), weights=input.reshape(-1), minlength=planes * area)
    return sums.astype(input.dtype, copy=False).reshape(*lead, *size)


@general(
    vjp=lambda g, indices, size: op._scatter_planes(g, indices, size),
    grad_fn="MaxPoolBackwardBackward0",
)
def _gather_planes(input: Tensor, indices: Index, size: Ints):
    """The elements at these places in planes of `size`."""
    dims = len(size)
    lead = prod(input.shape[: input.ndim - dims])
    flat = indices.reshape(lead, prod(indices.shape[indices.ndim - dims :]))
    area = prod(size)
    return np.take_along_axis(input.reshape(lead, area), flat, 1).reshape(indices.shape)


def _by_places(g, y, input_like, dims):
    shape = input_like.shape
    return op._scatter_planes(g[0], y[1], shape[len(shape) - dims :])


# ---- the largest of a window -----------------------------------------------------------------------------------


def _first_inside(n_out: int, s: int, p: int, d: int) -> Array:
    """Where in the input the first element of each window lies that is not padding."""
    start = np.arange(n_out) * s - p
    return np.where(start < 0, start + -(start // d) * d, start)


def _flat_places(rows: list[Array], size: Sizes) -> Array:
    """Indices into a plane from indices for each of its dimensions."""
    flat = np.zeros((1,) * len(size), np.int64)
    for k, (r, n) in enumerate(zip(rows, size, strict=True)):
        shape = [1] * len(size)
        shape[k] = -1
        flat = flat * n + r.reshape(shape)
    return flat


@general(
    vjp=lambda g, y, input_like, kernel: _by_places(g, y, input_like, len(kernel)),
    grad_fn="MaxPool2DWithIndicesBackward0",
)
def _max_pool(input: Tensor, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints):
    dims = len(kernel)
    x = _planes(input, dims)
    size = x.shape[1:]
    low = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    padded = _padded(x, _reach(out, kernel, stride, dilation), padding, low)
    best = np.full((x.shape[0], *out), low, x.dtype)
    jump = np.full(best.shape, -1, np.int64)  # from a window's first place to its largest; -1: none so far
    nans = x.dtype.kind == "f" and bool(np.isnan(np.add.reduce(x, axis=None)))
    steps = [prod(size[i + 1 :]) for i in range(dims)]
    for offset in np.ndindex(*kernel):
        candidate = padded[(slice(None), *_places(offset, out, stride, dilation))]
        better = candidate > best
        if nans:
            better |= np.isnan(candidate)
            np.copyto(best, candidate, where=better)
        else:
            np.maximum(best, candidate, out=best)
        np.copyto(jump, sum(k * d * f for k, d, f in zip(offset, dilation, steps, strict=True)), where=better)
    first = _flat_places([np.arange(o) * s - p for o, s, p in zip(out, stride, padding, strict=True)], size)
    where = first + jump
    if (jump < 0).any():
        inside = [_first_inside(o, s, p, d) for o, s, p, d in zip(out, stride, padding, dilation, strict=True)]
        where = np.where(jump < 0, _flat_places(inside, size), where)
    shape = (*input.shape[: input.ndim - dims], *out)
    return best.reshape(shape), where.reshape(shape)


def _check_window(kernel, stride, padding, dilation):
    if min(kernel) <= 0:
        raise ScriptValueError("kernel size should be greater than zero, but got kH: %d" % kernel[0])  # noqa: UP031
    if min(stride) <= 0:
        raise ScriptValueError("stride should be greater than zero, but got dH: %d" % stride[0])  # noqa: UP031
    if min(dilation) <= 0:
        raise ScriptValueError("dilation should be greater than zero")
    if min(padding) < 0:
        raise ScriptValueError(f"pad must be non-negative, but got pad: {min(padding)}")
    for k, p, d in zip(kernel, padding, dilation, strict=True):
        if p > ((k - 1) * d + 1) // 2:
            raise ScriptValueError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and "
                f"dilation={d}"
            )


def _check_result(dims, input, out):
    if min(out) < 1:
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
            "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:"
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
        f"Expected {dims + 1}D or {dims + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got:"
        f"{list(input.shape)}"
    )


def _max(dims, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    name = f"max_pool{dims}d"
    kernel = _spread(f"{name}: kernel_size", kernel_size, dims)
    steps = _spread(f"{name}: stride", stride, dims, kernel)
    pads = _spread(f"{name}: padding", padding, dims)
    gaps = _spread(f"{name}: dilation", dilation, dims)
    if dims == 1:
        _check_rank(name, dims, input, False)
        _check_line(input, kernel[0], steps[0], pads[0], gaps[0], ceil_mode, return_indices)
    _check_window(kernel, steps, pads, gaps)
    _check_rank(name, dims, input, False)
    out = tuple(
        _out_size(n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(input.shape[input.ndim - dims :], kernel, steps, pads, gaps, strict=True)
    )
    _check_result(dims, input, out)
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
            f"max_pool1d() padding should be at most half of kernel size, but got padding={p} and kernel_size={k}"
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


# ---- the mean of a window --------------------------------------------------------------------------------------


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


@general(
    vjp=lambda g, input_like, kernel, stride, padding, include, override: op._avg_pool_adjoint(
        g, input_like.shape[len(input_like.shape) - len(kernel):], kernel, stride, padding, include, override
    ),
    grad_fn="AvgPool2DBackward0",
)  # fmt: skip
def _avg_pool(
    input: Tensor, out: Ints, kernel: Ints, stride: Ints, padding: Ints, include: Bool, override: Int
):
    dims = len(kernel)
    x = _planes(input, dims)
    one = (1,) * dims
    padded = _padded(x, _reach(out, kernel, stride, one), padding, 0)
    total = np.zeros((x.shape[0], *out), x.dtype)
    for offset in np.ndindex(*kernel):
        total += padded[(slice(None), *_places(offset, out, stride, one))]
    divisors = _divisors(x.shape[1:], kernel, stride, padding, out, include, override).astype(x.dtype)
    if total.dtype.kind == "f":
        total /= divisors
    else:  # as C divides integers
        total = np.sign(total) * np.sign(divisors) * (np.abs(total) // np.abs(divisors))
    return total.reshape(*input.shape[: input.ndim - dims], *out)


@general(
    vjp=lambda g, input_like, kernel, stride, padding, include, override: op._avg_pool(
        g, input_like.shape[len(input_like.shape) - len(kernel):], kernel, stride, padding, include, override
    ),
    grad_fn="AvgPool2DBackwardBackward0",
)  # fmt: skip
def _avg_pool_adjoint(
    input: Tensor, size: Ints, kernel: Ints, stride: Ints, padding: Ints, include: Bool, override: Int
):
    dims = len(kernel)
    g = _planes(input, dims)
    out, one = g.shape[1:], (1,) * dims
    g = g / _divisors(size, kernel, stride, padding, out, include, override).astype(g.dtype)
    far = _reach(out, kernel, stride, one)
    made = np.zeros((g.shape[0], *(max(f, n + p) for f, n, p in zip(far, size, padding, strict=True))), g.dtype)
    for offset in np.ndindex(*kernel):
        made[(slice(None), *_places(offset, out, stride, one))] += g
    made = made[(slice(None), *(slice(p, p + n) for p, n in zip(padding, size, strict=True)))]
    return made.reshape(*input.shape[: input.ndim - dims], *size)


def _average(dims, input, kernel_size, stride, padding, ceil_mode, include, override):
    name = f"avg_pool{dims}d"
    kernel = _spread(f"{name}: kernel_size", kernel_size, dims)
    steps = _spread(f"{name}: stride", stride, dims, kernel)
    pads = _spread(f"{name}: padding", padding, dims)
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
    _check_result(dims, input, out)
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


# ---- back to their places --------------------------------------------------------------------------------------


@general(vjp=lambda g, indices, size: op._gather_planes(g, indices, size), grad_fn="MaxUnpool2DBackward0")
def _max_unpool(input: Tensor, indices: Index, size: Ints):
    dims = len(size)
    lead = input.shape[: input.ndim - dims]
    planes, area = prod(lead), prod(size)
    made = np.zeros((planes, area), input.dtype)
    if input.size:
        flat = indices.reshape(planes, -1)
        bad = (flat < 0) | (flat >= area)
        if bad.any():
            shown = (*size, 1) if dims == 1 else size
            raise ScriptIndexError(
                f"Found an invalid max index: {flat[bad].flat[0]} (output volumes are of size "
                f"{'x'.join(map(str, shown))})"
            )
        np.put_along_axis(made, flat, input.reshape(planes, -1), 1)
    return made.reshape(*lead, *size)


def _unpool(dims, input, indices, kernel_size, stride, padding, output_size):
    kernel = _spread("kernel_size", kernel_size, dims)
    steps = _spread("stride", stride, dims, kernel)
    pads = _spread("padding", padding, dims)
    size = tuple(
        (n - 1) * s + k - 2 * p
        for n, s, k, p in zip(input.shape[input.ndim - dims :], steps, kernel, pads, strict=True)
    )
    if output_size is not None:
        given = tuple(output_size)
        given = given[2:] if len(given) == dims + 2 else given
        if len(given) != dims:
            raise ScriptValueError(
                f"output_size should be a sequence containing {dims} or {dims + 2} elements, but it has a length of "
                f"'{len(given)}'"
            )
        for d, (o, n, s) in enumerate(zip(given, size, steps, strict=True)):
            if not n - s < o < n + s:
                raise ScriptValueError(
                    f'invalid output_size "{list(given)}" (dim {d} must be between {n - s} and {n + s})'
                )
        size = given
    if tuple(indices.shape) != tuple(input.shape):
        one = [1] if dims == 1 else []
        raise ShapeError(
            "Expected shape of indices to be same as that of the input tensor "
            f"({list(input.shape) + one}) but got indices tensor with shape: {list(indices.shape) + one}"
        )
    y = op._max_unpool(input, indices, size)
    return named(y, ("SqueezeBackward1", "MaxUnpool2DBackward0", "MaxUnpool3DBackward0")[dims - 1])


@composite()
def max_unpool1d(
    input: Tensor, indices: Index, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
    output_size: Ints | None = None,
):  # fmt: skip
    """Puts the elements that `max_pool1d` took back to their places, and zeros elsewhere.

    >>> max_unpool1d([[3., 4.]], [[1, 3]], 2)
    tensor([[0., 3., 0., 4.]])
    """
    return _unpool(1, input, indices, kernel_size, stride, padding, output_size)


@composite()
def max_unpool2d(
    input: Tensor, indices: Index, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
    output_size: Ints | None = None,
):  # fmt: skip
    """Puts the elements that `max_pool2d` took back to their places, and zeros elsewhere.

    >>> max_unpool2d([[[4.]]], [[[3]]], 2)
    tensor([[[0., 0.],
             [0., 4.]]])
    """
    return _unpool(2, input, indices, kernel_size, stride, padding, output_size)


@composite()
def max_unpool3d(
    input: Tensor, indices: Index, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
    output_size: Ints | None = None,
):  # fmt: skip
    """Puts the elements that `max_pool3d` took back to their places, and zeros elsewhere.

    >>> max_unpool3d([[[[4.]]]], [[[[0]]]], (1, 1, 2))
    tensor([[[[4., 0.]]]])
    """
    return _unpool(3, input, indices, kernel_size, stride, padding, output_size)


# ---- adaptive pooling ------------------------------------------------------------------------------------------


def adaptive_windows(n: int, o: int) -> tuple[Array, Array]:
    """First element and length of `o` windows that together cover `n` elements."""
    i = np.arange(o)
    start = i * n // max(o, 1)
    return start, -(-(i + 1) * n // max(o, 1)) - start


@general(
    vjp=lambda g, y, input_like, out: _by_places(g, y, input_like, len(out)), grad_fn="AdaptiveMaxPool2DBackward0"
)
def _adaptive_max(input: Tensor, out: Ints):
    dims = len(out)
    x = _planes(input, dims)
    size = x.shape[1:]
    windows = [adaptive_windows(n, o) for n, o in zip(size, out, strict=True)]
    low = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    best = np.full((x.shape[0], *out), low, x.dtype)
    where = np.broadcast_to(_flat_places([start for start, _ in windows], size), best.shape).copy()
    for offset in np.ndindex(*(int(length.max(initial=0)) for _, length in windows)):
        rows = [np.minimum(start + t, n - 1) for (start, _), t, n in zip(windows, offset, size, strict=True)]
        inside = np.ones((1,) * dims, bool)
        for k, ((_, length), t) in enumerate(zip(windows, offset, strict=True)):
            shape = [1] * dims
            shape[k] = -1
            inside = inside & (t < length).reshape(shape)
        candidate = x[(slice(None), *np.ix_(*rows))]
        better = candidate > best
        if x.dtype.kind == "f":
            better |= np.isnan(candidate)
        better &= inside
        np.copyto(best, candidate, where=better)
        np.copyto(where, np.broadcast_to(_flat_places(rows, size), best.shape), where=better)
    shape = (*input.shape[: input.ndim - dims], *out)
    return best.reshape(shape), where.reshape(shape)


def adaptive_size(name: str, dims: int, input: Any, output_size: Any) -> Sizes:
    """The size of the result, where none in a tuple stands for that of the input. Raises ShapeError."""
    n = input.ndim
    sizes = tuple(input.shape[n - dims :])
    values = (output_size,) * dims if isinstance(output_size, int) or output_size is None else tuple(output_size)
    if dims == 1:
        if n not in (2, 3):
            raise ShapeError(
                f"Expected 2 to 3 dimensions, but got {n}-dimensional tensor for argument #1 'self' "
                f"(while checking arguments for {name})"
            )
        if len(values) != 1:
            raise ScriptValueError(f"{name}() argument 'output_size' should contain one int (got {len(values)})")
    elif n < dims + 1 or n > dims + 2:
        if dims == 3 or n < 2:
            raise ShapeError(f"Input dimension should be at least {dims + 1}")
        colon = ":" if "max" in name else ""
        raise ShapeError(f"{name}(): Expected {dims + 1}D or {dims + 2}D tensor, but got{colon} {list(input.shape)}",
                         notes=[f"Input dimension should be at least {dims + 1}"])  # fmt: skip
    if len(values) != dims:
        if "max" in name:
            raise ScriptValueError(f"{name}(): internal error: output_size.size() must be {dims}")
        raise ScriptValueError(f"{name}: output_size must be {dims}")
    out = tuple(m if v is None else int(v) for v, m in zip(values, sizes, strict=True))
    if min(out) < 0:
        if "max" in name:
            lead = list(input.shape[: n - dims])
            shown = [*lead, *((1, *out) if dims == 1 else out)]
            raise ShapeError(f"Trying to create tensor with negative dimension {min(out)}: {shown}")
        shown_out = (1, *out) if dims == 1 else out
        text = ", ".join(map(str, shown_out[:2])) + "".join(f",{v}" for v in shown_out[2:])
        raise ScriptValueError(
            f"adaptive_avg_pool{max(dims, 2)}d: elements of output_size must be greater than or equal to 0 but received "
            f"{{{text}}}"
        )
    for k in range(n - dims, n):
        if input.shape[k] == 0:
            raise ShapeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
                f"{list(input.shape)} with dimension {k} being empty"
            )
    return out


def _adaptive(dims, input, output_size, return_indices):
    out = adaptive_size(f"adaptive_max_pool{dims}d", dims, input, output_size)
    y, places = op._adaptive_max(input, out)
    names = ("SqueezeBackward1", "AdaptiveMaxPool2DBackward0", "AdaptiveMaxPool3DBackward0")
    named(y, names[dims - 1])
    return (y, places) if return_indices else y


@composite()
def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: Bool = False):
    """The largest element of each of `output_size` windows that cover a sequence.

    >>> adaptive_max_pool1d([[1., 3., 2., 4.]], 2)
    tensor([[3., 4.]])
    """
    return _adaptive(1, input, output_size, return_indices)


@composite()
def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: Bool = False):
    """The largest element of each of `output_size` windows that cover an image.

    >>> adaptive_max_pool2d([[[1., 3.], [2., 4.]]], 1)
    tensor([[[4.]]])
    """
    return _adaptive(2, input, output_size, return_indices)


@composite()
def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: Bool = False):
    """The largest element of each of `output_size` windows that cover a volume.

    >>> adaptive_max_pool3d(ones(1, 2, 2, 2), 1)
    tensor([[[[1.]]]])
    """
    return _adaptive(3, input, output_size, return_indices)


