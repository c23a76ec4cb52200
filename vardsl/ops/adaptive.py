"""Pooling to a given size, and putting pooled elements back to their places."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP, Array
from vardsl.errors import ScriptIndexError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import Bool, Index, Ints, Tensor, array, composite, general, op
from vardsl.ops.pool import Sizes, as_planes, by_places, flat_places, named, spread

# ---- back to their places ----------------------------------------------------------------------------------


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
    kernel = spread("kernel_size", kernel_size, dims)
    steps = spread("stride", stride, dims, kernel)
    pads = spread("padding", padding, dims)
    size = tuple(
        (n - 1) * s + k - 2 * p
        for n, s, k, p in zip(input.shape[input.ndim - dims :], steps, kernel, pads, strict=True)
    )
    if output_size is not None:
        given = tuple(output_size)
        given = given[2:] if len(given) == dims + 2 else given
        if len(given) != dims:
            raise ScriptValueError(
                f"output_size should be a sequence containing {dims} or {dims + 2} elements, but it has a "
                "length of "
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
    if array(indices).dtype != np.int64:
        raise ScriptTypeError(
            f"elements in indices should be type int64 but got: {BY_NP[array(indices).dtype].type_name}"
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


# ---- adaptive pooling --------------------------------------------------------------------------------------


def adaptive_windows(n: int, o: int) -> tuple[Array, Array]:
    """First element and length of `o` windows that together cover `n` elements."""
    i = np.arange(o)
    start = i * n // max(o, 1)
    return start, -(-(i + 1) * n // max(o, 1)) - start


@general(
    vjp=lambda g, y, input_like, out: by_places(g, y, input_like, len(out)),
    grad_fn="AdaptiveMaxPool2DBackward0",
)
def _adaptive_max(input: Tensor, out: Ints):
    dims = len(out)
    x = as_planes(input, dims)
    size = x.shape[1:]
    windows = [adaptive_windows(n, o) for n, o in zip(size, out, strict=True)]
    low = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    best = np.full((x.shape[0], *out), low, x.dtype)
    where = np.broadcast_to(flat_places([start for start, _ in windows], size), best.shape).copy()
    for offset in np.ndindex(*(int(length.max(initial=0)) for _, length in windows)):
        rows = [np.minimum(start + t, n - 1) for (start, _), t, n in zip(windows, offset, size, strict=True)]
        inside = np.ones((1,) * dims, bool)
        for k, ((_, length), t) in enumerate(zip(windows, offset, strict=True)):
            along = [1] * dims
            along[k] = -1
            inside = inside & (t < length).reshape(along)
        candidate = x[(slice(None), *np.ix_(*rows))]
        better = candidate > best
        if x.dtype.kind == "f":
            better |= np.isnan(candidate)
        better &= inside
        np.copyto(best, candidate, where=better)
        np.copyto(where, np.broadcast_to(flat_places(rows, size), best.shape), where=better)
    shape = (*input.shape[: input.ndim - dims], *out)
    return best.reshape(shape), where.reshape(shape)


def adaptive_size(name: str, dims: int, input: Any, output_size: Any) -> Sizes:
    """The size of the result, where none in a tuple stands for that of the input. Raises ShapeError."""
    n = input.ndim
    sizes = tuple(input.shape[n - dims :])
    values = (
        (output_size,) * dims if isinstance(output_size, int) or output_size is None else tuple(output_size)
    )
    if dims == 1:
        if n not in (2, 3):
            raise ShapeError(
                f"Expected 2 to 3 dimensions, but got {n}-dimensional tensor for argument #1 'self' "
                f"(while checking arguments for {name})"
            )
        if len(values) != 1:
            raise ScriptValueError(
                f"{name}() argument 'output_size' should contain one int (got {len(values)})"
            )
    elif n < dims + 1 or n > dims + 2:
        if dims == 3 or n < 2:
            raise ShapeError(f"Input dimension should be at least {dims + 1}")
        colon = ":" if "max" in name else ""
        raise ShapeError(
            f"{name}(): Expected {dims + 1}D or {dims + 2}D tensor, but got{colon} {list(input.shape)}",
            notes=[f"Input dimension should be at least {dims + 1}"],
        )
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
            f"adaptive_avg_pool{max(dims, 2)}d: elements of output_size must be greater than or equal to 0 "
            "but received "
            f"{{{text}}}"
        )
    for k in range(n - dims, n):
        if input.shape[k] == 0:
            raise ShapeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has "
                "sizes "
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
