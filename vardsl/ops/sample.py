"""Reading images and volumes at points between their elements: grid_sample."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import Array
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import Bool, Int, Str, Tensor, array, composite, fused, op
from vardsl.ops.resize import cubic_weights

MODES = ("bilinear", "nearest", "bicubic")
PADDINGS = ("zeros", "border", "reflection")


# ---- coordinates -------------------------------------------------------------------------------------------


def _unnormalized(x, n, align):
    """From −1 … 1 to elements."""
    return (x + 1) * ((n - 1) / 2) if align else ((x + 1) * n - 1) * 0.5


def _mirrored(x: Array, n: int, align: bool) -> tuple[Array, Array]:
    """Sign and offset that reflect coordinates into the image: reflected = sign · x + offset."""
    low, span = (0.0, n - 1.0) if align else (-0.5, float(n))
    if span == 0:
        return np.zeros_like(x), np.zeros_like(x)
    sign = np.where(x < low, -1.0, 1.0)
    away = np.abs(x - low)
    flips = np.floor(away / span)
    even = flips % 2 == 0
    # even: away − flips · span + low; odd: span − (away − flips · span) + low
    slope = np.where(even, sign, -sign)
    offset = np.where(even, -sign * low - flips * span + low, span + sign * low + flips * span + low)
    return slope.astype(x.dtype), offset.astype(x.dtype)


def _inside(x, n, padding, align):
    """Coordinates after the padding mode; beyond the border they do not move any more."""
    if padding == 0:
        return x
    if padding == 2:
        slope, offset = _mirrored(array(x), n, align)
        x = x * slope + offset
    a = array(x)
    moving = ((a > 0) & (a < n - 1)).astype(a.dtype)
    return x * moving + np.where(a >= n - 1, n - 1, 0).astype(a.dtype) * (1 - moving)


def _wrapped(index: Array, n: int, padding: int, align: bool) -> Array:
    """Whole coordinates after the padding mode."""
    if padding == 0:
        return index
    if padding == 2:
        slope, offset = _mirrored(index.astype(np.float64), n, align)
        index = np.floor(index * slope + offset + 0.5).astype(np.int64)
    return np.clip(index, 0, n - 1)


def _whole(x: Array) -> Array:
    """As integers; what is no number is far outside."""
    return np.where(np.isfinite(x), x, -100).clip(-(2**31), 2**31).astype(np.int64)


# ---- reading -----------------------------------------------------------------------------------------------


def _read(flat, size, corner, shape):
    """Elements at whole coordinates, 0 outside: [batch, channel, point]."""
    place = np.zeros(corner[0].shape, np.int64)
    valid = np.ones(corner[0].shape, bool)
    for c, n in zip(corner, size, strict=True):
        valid &= (c >= 0) & (c < n)
        place = place * n + np.clip(c, 0, n - 1)
    n, channels = shape
    index = np.ascontiguousarray(np.broadcast_to(place[:, None], (n, channels, place.shape[-1])))
    found = op.gather(flat, 2, index)
    return found if valid.all() else found * valid[:, None].astype(array(flat).dtype)


def _points(input, grid, padding, align, clip):
    """Coordinates of the points by dimension of the input, outermost first: each [batch, point]."""
    dims = input.ndim - 2
    n = grid.shape[0]
    points = 1
    for k in grid.shape[1:-1]:
        points *= k
    flat = op.reshape(grid, (n, points, dims))
    made = []
    for k in range(dims):
        size = input.shape[2 + k]
        x = _unnormalized(op.select(flat, 2, dims - 1 - k), size, align)
        made.append(_inside(x, size, padding, align) if clip else x)
    return made


def _sampled(input, grid, mode, padding, align):
    size = tuple(input.shape[2:])
    shape = (input.shape[0], input.shape[1])
    area = 1
    for k in size:
        area *= k
    flat = op.reshape(input, (*shape, area))
    coordinates = _points(input, grid, padding, align, mode != 2)
    if mode == 1:
        corner = [_whole(np.rint(array(x))) for x in coordinates]
        made = _read(flat, size, corner, shape)
        made = op.where(
            np.zeros((), bool), op.sum(grid), made
        )  # the derivative in the grid is zero, not missing
    elif mode == 0:
        made = _linear(flat, size, shape, coordinates)
    else:
        made = _cubic(flat, size, shape, coordinates, padding, align)
    return op.reshape(made, (*shape, *grid.shape[1:-1]))


def _linear(flat, size, shape, coordinates):
    floors = [np.floor(array(x)) for x in coordinates]
    parts = [x - f for x, f in zip(coordinates, floors, strict=True)]
    total = None
    for offsets in product((0, 1), repeat=len(size)):
        corner = [_whole(f) + o for f, o in zip(floors, offsets, strict=True)]
        weight = None
        for p, o in zip(parts, offsets, strict=True):
            factor = p if o else 1 - p
            weight = factor if weight is None else weight * factor
        term = _read(flat, size, corner, shape) * op.unsqueeze(weight, 1)
        total = term if total is None else total + term
    return total


def _cubic(flat, size, shape, coordinates, padding, align):
    floors = [np.floor(array(x)) for x in coordinates]
    weights = [_cubic_parts(x - f) for x, f in zip(coordinates, floors, strict=True)]
    total = None
    for i in range(4):
        row = None
        for j in range(4):
            corner = [
                _wrapped(_whole(f) + o - 1, n, padding, align)
                for f, o, n in zip(floors, (i, j), size, strict=True)
            ]
            term = _read(flat, size, corner, shape) * op.unsqueeze(weights[1][j], 1)
            row = term if row is None else row + term
        term = row * op.unsqueeze(weights[0][i], 1)
        total = term if total is None else total + term
    return total


def _cubic_parts(t):
    if isinstance(t, np.ndarray):
        return cubic_weights(t)
    a = -0.75
    far, near = (
        (lambda x: ((a * x - 5 * a) * x + 8 * a) * x - 4 * a),
        (lambda x: ((a + 2) * x - (a + 3)) * x * x + 1),
    )
    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


@fused(grad_fn="GridSampler2DBackward0")
def _sample_images(input: Tensor, grid: Tensor, mode: Int, padding: Int, align: Bool):
    return _sampled(input, grid, mode, padding, align)


@fused(grad_fn="GridSampler3DBackward0")
def _sample_volumes(input: Tensor, grid: Tensor, mode: Int, padding: Int, align: Bool):
    return _sampled(input, grid, mode, padding, align)


# ---- operations --------------------------------------------------------------------------------------------


def _check(input: Any, grid: Any, mode: int) -> None:
    dims = input.ndim - 2
    if array(input).dtype != array(grid).dtype:
        raise ScriptTypeError(
            "grid_sampler(): expected input and grid to have same dtype, but input has "
            f"{array(input).dtype.name} and "
            f"grid has {array(grid).dtype.name}"
        )
    if input.shape[0] != grid.shape[0]:
        raise ShapeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with sizes "
            f"{list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if dims not in (2, 3) or grid.ndim != input.ndim:
        raise ShapeError(
            f"grid_sampler(): expected {4 if input.ndim == 4 else 5}D input and grid with same number of "
            f"dimensions, but got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.shape[-1] != dims:
        raise ShapeError(
            f"grid_sampler(): expected grid to have size {dims} in last dimension, but got grid with sizes "
            f"{list(grid.shape)}"
        )
    for k, n in enumerate(input.shape[2:]):
        if n == 0:
            raise ShapeError(
                f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
                f"{list(input.shape)} with dimension {k + 2} being empty"
            )
    if dims == 3 and mode == 2:
        raise ScriptValueError("grid_sampler(): bicubic interpolation only supports 4D input")


@composite()
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: Str = "bilinear",
    padding_mode: Str = "zeros",
    align_corners: Bool | None = None,
):
    """Images or volumes [batch, channel, …] read at points [batch, …, coordinates], from −1 to 1, x first.

    `mode` is "bilinear", "nearest" or "bicubic"; beyond the border there are zeros, the border, or a
    reflection.

    >>> grid_sample([[[[1., 3.]]]], [[[[0., 0.]]]], align_corners=true)
    tensor([[[[2.]]]])
    """
    name = "nn.functional.grid_sample()"
    if mode not in MODES:
        raise ScriptValueError(
            f"{name}: expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in PADDINGS:
        raise ScriptValueError(
            f"{name}: expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if align_corners is None:
        state.ctx.warn(
            "default",
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. "
            "Please "
            "specify align_corners=True if the old behavior is desired.",
            "align_corners=false says that this is meant",
        )
    return _grid_sampler(input, grid, MODES.index(mode), PADDINGS.index(padding_mode), bool(align_corners))


def _grid_sampler(input, grid, mode, padding, align):
    _check(input, grid, mode)
    return (op._sample_images if input.ndim == 4 else op._sample_volumes)(input, grid, mode, padding, align)


@composite()
def grid_sampler_2d(
    input: Tensor, grid: Tensor, interpolation_mode: Int, padding_mode: Int, align_corners: Bool
):
    """`grid_sample` of images, with numbers for the modes in the order of their names there.

    >>> grid_sampler_2d([[[[1., 3.]]]], [[[[0., 0.]]]], 0, 0, true)
    tensor([[[[2.]]]])
    """
    return _grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


@composite()
def grid_sampler_3d(
    input: Tensor, grid: Tensor, interpolation_mode: Int, padding_mode: Int, align_corners: Bool
):
    """`grid_sample` of volumes, with numbers for the modes in the order of their names there.

    >>> grid_sampler_3d([[[[[1., 3.]]]]], [[[[[0., 0., 0.]]]]], 0, 0, true)
    tensor([[[[[2.]]]]])
    """
    return _grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)
