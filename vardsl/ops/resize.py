"""Resizing by separable weights: interpolation, and means over adaptive windows.

Along each dimension an output element is a weighted sum of a few input elements, its taps. The derivative is
the
transposed map, and so is the derivative of that.
"""

from __future__ import annotations

import math
from math import prod
from typing import Any

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.adaptive import adaptive_size, adaptive_windows
from vardsl.ops.define import Bool, Int, Ints, Str, Tensor, array, composite, general, looked_at, op
from vardsl.ops.pool import named

Taps = tuple[
    Array, Array | None
]  # [tap, output]: indices into the input, and weights (None: a single tap of 1)


# ---- the map and its transpose -----------------------------------------------------------------------------


def _gather(x: Array, taps: Taps, axis: int) -> Array:
    index, weight = taps
    if weight is None:
        return np.take(x, index[0], axis)
    shape = [1] * x.ndim
    shape[axis] = -1
    if x.dtype.kind != "f":  # rounded as PyTorch rounds bytes
        return np.floor(_gather(x.astype(np.float64), taps, axis) + 0.5).astype(x.dtype)
    weight = weight.astype(x.dtype)
    total = np.take(x, index[0], axis) * weight[0].reshape(shape)
    for i, w in zip(index[1:], weight[1:], strict=True):
        total += np.take(x, i, axis) * w.reshape(shape)
    return total


def _matrix(taps: Taps, n: int, dtype: np.dtype) -> Array:
    """The map along one dimension, [input, output]."""
    index, weight = taps
    made = np.zeros((n, index.shape[1]), dtype)
    np.add.at(made, (index, np.arange(index.shape[1])), 1 if weight is None else weight)
    return made


def _scatter(g: Array, taps: Taps, axis: int, n: int) -> Array:
    lead, tail = g.shape[:axis], g.shape[axis + 1 :]
    flat = g.reshape(prod(lead), g.shape[axis], prod(tail))
    m = _matrix(taps, n, g.dtype)
    if flat.shape[2] == 1:
        return np.matmul(flat[:, :, 0], m.T).reshape(*lead, n, *tail)
    return np.matmul(m, flat).reshape(*lead, n, *tail)


@general(
    vjp=lambda g, input_like, plan: op._resized_back(g, plan, input_like.shape[-len(plan) :]),
    grad_fn="UpsampleBackward0",
    batch="leading",
)
def _resized(input: Tensor, plan: Any):
    y = input
    for k, taps in enumerate(plan):
        y = _gather(y, taps, input.ndim - len(plan) + k)
    return y


@general(vjp=lambda g, plan: op._resized(g, plan), grad_fn="UpsampleBackwardBackward0", batch="leading")
def _resized_back(input: Tensor, plan: Any, size: Ints):
    g = input
    for k, (taps, n) in enumerate(zip(plan, size, strict=True)):
        g = _scatter(g, taps, input.ndim - len(plan) + k, n)
    return g


# ---- taps --------------------------------------------------------------------------------------------------


def _scale(n: int, o: int, align: bool, factor: float | None) -> float:
    """Input elements per output element."""
    if align:
        return (n - 1) / (o - 1) if o > 1 else 0.0
    return 1.0 / factor if factor is not None and factor > 0 else n / o


def _nearest(n: int, o: int, factor: float | None, exact: bool, dtype: np.dtype) -> Taps:
    real = np.float32 if dtype == np.float32 else np.float64
    scale = real(_scale(n, o, False, factor))
    i = np.arange(o, dtype=real) + real(0.5 if exact else 0.0)
    return np.minimum(np.floor(i * scale).astype(np.int64), n - 1)[None], None


def _source(n: int, o: int, align: bool, factor: float | None) -> Array:
    scale = _scale(n, o, align, factor)
    i = np.arange(o)
    return scale * i if align else scale * (i + 0.5) - 0.5


def _linear(n: int, o: int, align: bool, factor: float | None) -> Taps:
    source = np.maximum(_source(n, o, align, factor), 0)
    first = np.minimum(source.astype(np.int64), n - 1)
    second = first + (first < n - 1)
    part = np.clip(source - first, 0, 1)
    return np.stack([first, second]), np.stack([1 - part, part])


def _near(x: Array, a: float) -> Array:
    return ((a + 2) * x - (a + 3)) * x * x + 1


def _far(x: Array, a: float) -> Array:
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a


def cubic_weights(t: Array) -> Array:
    """Weights of the four neighbours of a point `t` behind the second of them."""
    a = -0.75
    return np.stack([_far(t + 1, a), _near(t, a), _near(1 - t, a), _far(2 - t, a)])


def _cubic(n: int, o: int, align: bool, factor: float | None) -> Taps:
    source = _source(n, o, align, factor)
    first = np.floor(source).astype(np.int64)
    index = np.clip(np.stack([first - 1, first, first + 1, first + 2]), 0, n - 1)
    return index, cubic_weights(source - first)


def _triangle(x: Array) -> Array:
    return np.maximum(1 - np.abs(x), 0)


def _smooth_cubic(x: Array) -> Array:
    x = np.abs(x)
    return np.where(x < 1, _near(x, -0.5), np.where(x < 2, _far(x, -0.5), 0))


def _lanczos(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


FILTERS = {"bilinear": (_triangle, 2), "bicubic": (_smooth_cubic, 4), "lanczos": (_lanczos, 6)}


def _smoothed(n: int, o: int, align: bool, factor: float | None, mode: str) -> Taps:
    """Taps with a filter as wide as what is left out (`antialias`)."""
    shape, width = FILTERS[mode]
    scale = _scale(n, o, align, factor)
    support = width * 0.5 * max(scale, 1.0)
    inverse = 1 / scale if scale >= 1 else 1.0
    centre = scale * (np.arange(o) + 0.5)
    low = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    count = np.minimum((centre + support + 0.5).astype(np.int64), n) - low
    j = np.arange(int(count.max(initial=0)))[:, None]
    weight = np.where(j < count, shape((j + low - centre + 0.5) * inverse), 0)
    total = np.add.reduce(weight, 0)
    weight = np.where(total != 0, weight / np.where(total != 0, total, 1), weight)
    return np.minimum(low + j, n - 1), weight


def _mean_taps(n: int, o: int) -> Taps:
    start, length = adaptive_windows(n, o)
    j = np.arange(int(length.max(initial=1)))[:, None]
    return np.minimum(start + j, n - 1), (j < length) / np.maximum(length, 1)


# ---- adaptive means ----------------------------------------------------------------------------------------


def _adaptive_mean(dims, input, output_size):
    name = f"adaptive_avg_pool{dims}d"
    out = adaptive_size(name, dims, input, output_size)
    size = tuple(input.shape[input.ndim - dims :])
    grad_fn = ("SqueezeBackward1", "AdaptiveAvgPool2DBackward0", "AdaptiveAvgPool3DBackward0")[dims - 1]
    if all(o == 1 for o in out):
        y = op.mean(input, tuple(range(-dims, 0)), True)
        return named(y, grad_fn) if dims == 1 else y
    batched = input.ndim == dims + 2
    x = input if batched else op.unsqueeze(input, 0)
    y = op._resized(x, tuple(_mean_taps(n, o) for n, o in zip(size, out, strict=True)))
    return named(y if batched else op.squeeze(y, 0), grad_fn)


@composite()
def adaptive_avg_pool1d(input: Tensor, output_size: Any):
    """The mean of each of `output_size` windows that cover a sequence.

    >>> adaptive_avg_pool1d([[1., 3., 2., 4.]], 2)
    tensor([[2., 3.]])
    """
    return _adaptive_mean(1, input, output_size)


@composite()
def adaptive_avg_pool2d(input: Tensor, output_size: Any):
    """The mean of each of `output_size` windows that cover an image.

    >>> adaptive_avg_pool2d([[[1., 3.], [2., 4.]]], 1)
    tensor([[[2.5000]]])
    """
    return _adaptive_mean(2, input, output_size)


@composite()
def adaptive_avg_pool3d(input: Tensor, output_size: Any):
    """The mean of each of `output_size` windows that cover a volume.

    >>> adaptive_avg_pool3d(ones(1, 2, 2, 2), 1)
    tensor([[[[1.]]]])
    """
    return _adaptive_mean(3, input, output_size)


# ---- interpolation -----------------------------------------------------------------------------------------

_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3, "lanczos": 2}
_NAMES = {
    "nearest": "UpsampleNearest{}DBackward0",
    "nearest-exact": "UpsampleNearestExact{}DBackward0",
    "linear": "UpsampleLinear1DBackward0",
    "bilinear": "UpsampleBilinear2DBackward0",
    "trilinear": "UpsampleTrilinear3DBackward0",
    "bicubic": "UpsampleBicubic2DBackward0",
}
_SMOOTH_NAMES = {
    "bilinear": "UpsampleBilinear2DAaBackward0",
    "bicubic": "UpsampleBicubic2DAaBackward0",
    "lanczos": "UpsampleLanczos2DAaBackward0",
}


def _numbers(value: Any, dims: int) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return list(value)
    a = value if isinstance(value, (int, float)) else looked_at(value).tolist()
    return list(a) if isinstance(a, list) else [a] * dims


def _sizes(
    input: Any, size: Any, scale_factor: Any, recompute: bool | None, area: bool
) -> tuple[list[int], list[Any]]:
    """Output sizes, and the factors where they say more than those do."""
    dims = input.ndim - 2
    if size is not None and scale_factor is not None:
        raise ScriptValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ScriptValueError("either size or scale_factor should be defined")
    spatial = list(input.shape[2:])
    if size is not None:
        out = _numbers(size, dims)
        if len(out) != dims:
            raise ScriptValueError(
                "Input and output must have the same number of spatial dimensions, but got input with "
                "spatial "
                f"dimensions of {spatial} and output size of {size}. Please provide input tensor in (N, C, "
                "d1, d2, "
                "...,dK) format and output size in (o1, o2, ...,oK) format."
            )
        if not all(isinstance(v, int) for v in out):
            raise ScriptTypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], "
                "but got "
                f"size with types {[type(v) for v in out]}"
            )
        if recompute:
            raise ScriptValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return out, [None] * dims
    factors = _numbers(scale_factor, dims)
    if len(factors) != dims:
        raise ScriptValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got input with "
            "spatial "
            f"dimensions of {spatial} and scale_factor of shape {scale_factor}. Please provide input tensor "
            "in (N, C, "
            "d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format."
        )
    out = [math.floor(n * f) for n, f in zip(spatial, factors, strict=True)]
    return out, [None] * dims if recompute or area else factors


def _check_mode(input: Any, mode: str, align: bool | None, antialias: bool) -> None:
    if mode in ("nearest", "area", "nearest-exact") and align is not None:
        raise ScriptValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | "
            "bicubic | trilinear"
        )
    if antialias and not (mode in FILTERS and input.ndim == 4):
        raise ScriptValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D "
            "tensor as input"
        )


def _check_rank(input: Any, mode: str) -> None:
    n = input.ndim
    if mode in _DIMS and _DIMS[mode] + 2 == n:
        return
    if mode in ("nearest", "area", "nearest-exact") and 3 <= n <= 5:
        return
    if mode in ("linear", "bilinear", "trilinear") and 3 <= n <= 5:
        raise ShapeError(f"Got {n}D input, but {mode} mode needs {_DIMS[mode] + 2}D input")
    raise ShapeError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {n}D) for the modes: nearest | linear "
        "| "
        f"bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
    )


@composite()
def interpolate(
    input: Tensor,
    size: Any | None = None,
    scale_factor: Any | None = None,
    mode: Str = "nearest",
    align_corners: Bool | None = None,
    recompute_scale_factor: Bool | None = None,
    antialias: Bool = False,
):
    """Sequences, images or volumes [batch, channel, …] in another size.

    `mode` is "nearest", "nearest-exact", "area", "linear" (sequences), "bilinear", "bicubic" (images) or
    "trilinear"
    (volumes). With `align_corners` the corner elements keep their places.

    >>> interpolate([[[1., 2.]]], scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    >>> interpolate([[[1., 3.]]], size=3, mode="linear", align_corners=true)
    tensor([[[1., 2., 3.]]])
    """
    _check_mode(input, mode, align_corners, antialias)
    out, factors = _sizes(input, size, scale_factor, recompute_scale_factor, mode == "area")
    _check_mode(input, mode, align_corners, antialias)
    _check_rank(input, mode)
    if mode == "lanczos" and not antialias:
        raise ScriptValueError("Lanczos mode requires antialias=True")
    if mode == "area":
        return (op.adaptive_avg_pool1d, op.adaptive_avg_pool2d, op.adaptive_avg_pool3d)[input.ndim - 3](
            input, out
        )
    spatial = input.shape[2:]
    if min(out) <= 0 or 0 in spatial:
        raise ShapeError(
            f"Input and output sizes should be greater than 0, but got input ({_shown(spatial)}) output "
            f"({_shown(out)})"
        )
    taps = [
        _taps(mode, n, o, bool(align_corners), f, antialias, array(input).dtype)
        for n, o, f in zip(spatial, out, factors, strict=True)
    ]
    names = _SMOOTH_NAMES if antialias else _NAMES
    return named(op._resized(input, tuple(taps)), names[mode].format(input.ndim - 2))


def _shown(size: Any) -> str:
    parts = [f"{k}: {n}" for k, n in zip("DHW"[-len(size) :], size, strict=True)]
    return ", ".join(parts)


def _taps(
    mode: str, n: int, o: int, align: bool, factor: float | None, smooth: bool, dtype: np.dtype
) -> Taps:
    if smooth:
        return _smoothed(n, o, align, factor, mode)
    if mode in ("nearest", "nearest-exact"):
        return _nearest(n, o, factor, mode == "nearest-exact", dtype)
    return (_cubic if mode == "bicubic" else _linear)(n, o, align, factor)


@composite()
def upsample_nearest(input: Tensor, size: Any | None = None, scale_factor: Any | None = None):
    """Another size, each element repeated: `interpolate` with mode "nearest".

    >>> upsample_nearest([[[1., 2.]]], scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    return op.interpolate(input, size, scale_factor, "nearest")


@composite()
def upsample_bilinear(input: Tensor, size: Any | None = None, scale_factor: Any | None = None):
    """Another size of images, by `interpolate` with mode "bilinear" and corners in their places.

    >>> upsample_bilinear([[[[1., 3.]]]], (1, 3))
    tensor([[[[1., 2., 3.]]]])
    """
    return op.interpolate(input, size, scale_factor, "bilinear", True)


# ---- channels and pixels -----------------------------------------------------------------------------------


def _check_pixels(name, input, factor, which):
    if input.ndim < 3:
        raise ShapeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {input.ndim} "
            "dimension(s)"
        )
    if factor <= 0:
        raise ScriptValueError(f"{name} expects a positive {which}, but got {factor}")


def _unshuffled(g: Any, shape: tuple[int, ...], r: int) -> Any:
    # of nothing, pixel_unshuffle does not change the shape
    return op.reshape(g, shape) if 0 in shape else op.pixel_unshuffle(g, r)


@general(
    vjp=lambda g, input_like, upscale_factor: _unshuffled(g, input_like.shape, upscale_factor),
)
def pixel_shuffle(input: Tensor, upscale_factor: Int):
    """r² channels become r by r pixels of one: [C r², H, W] as [C, H r, W r].

    Derivative: pixel_unshuffle(g)

    >>> pixel_shuffle([[[1.]], [[2.]], [[3.]], [[4.]]], 2)
    tensor([[[1., 2.],
             [3., 4.]]])
    """
    r = upscale_factor
    _check_pixels("pixel_shuffle", input, r, "upscale_factor")
    *lead, c, h, w = input.shape
    if c % (r * r):
        raise ShapeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
            "upscale_factor, "
            f"but input.size(-3)={c} is not divisible by {r * r}"
        )
    n = len(lead)
    x = input.reshape(*lead, c // (r * r), r, r, h, w)
    x = x.transpose(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return x.reshape(*lead, c // (r * r), h * r, w * r)


@general(vjp=lambda g, downscale_factor: op.pixel_shuffle(g, downscale_factor))
def pixel_unshuffle(input: Tensor, downscale_factor: Int):
    """r by r pixels become r² channels: [C, H r, W r] as [C r², H, W].

    Derivative: pixel_shuffle(g)

    >>> pixel_unshuffle([[[1., 2.], [3., 4.]]], 2).shape
    [4, 1, 1]
    """
    r = downscale_factor
    _check_pixels("pixel_unshuffle", input, r, "downscale_factor")
    if input.size == 0:
        return input.copy()
    *lead, c, h, w = input.shape
    for size, which, k in ((h, "height", -2), (w, "width", -1)):
        if size % r:
            raise ShapeError(
                f"pixel_unshuffle expects {which} to be divisible by downscale_factor, but "
                f"input.size({k})={size} is "
                f"not divisible by {r}"
            )
    n = len(lead)
    x = input.reshape(*lead, c, h // r, r, w // r, r)
    x = x.transpose(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return x.reshape(*lead, c * r * r, h // r, w // r)


@general(vjp=lambda g, input_like, groups: op.channel_shuffle(g, input_like.shape[1] // groups))
def channel_shuffle(input: Tensor, groups: Int):
    """The channels of `groups` groups dealt out in turn.

    Derivative: g with its channels dealt back

    >>> channel_shuffle([[[1.], [2.], [3.], [4.]]], 2)
    tensor([[[1.],
             [3.],
             [2.],
             [4.]]])
    """
    if input.ndim <= 2:
        raise ShapeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}"
        )
    if groups <= 0:
        raise ScriptValueError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    n, c, *rest = input.shape
    if c % groups:
        raise ShapeError(
            f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups."
        )
    return input.reshape(n, groups, c // groups, *rest).swapaxes(1, 2).reshape(input.shape)
