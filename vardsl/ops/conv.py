"""Convolutions over one, two and three dimensions, and transposed ones.

Three bilinear maps, each the derivative of another: the convolution itself, its adjoint in the input (which is the
transposed convolution), and its adjoint in the weight. So they can be differentiated to any order. Each gathers the
windows of the input by strides into columns and multiplies once for each group.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from vardsl.engine.dtypes import BY_NP, Array
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import Int, Ints, Tensor, composite, general, op

CHUNK = 1 << 22  # bytes of columns that are worked on at a time, so that they stay in the cache
Sizes = tuple[int, ...]


# ---- kernels ---------------------------------------------------------------------------------------------------


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
        """Adds columns [group, channel, kernel …, sample, run] to the planes [group, channel, sample, plane]."""
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


def _forward(x: Array, w: Array, out: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int) -> Array:
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


def _adjoint(g: Array, w: Array, size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int) -> Array:
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
            windows.add(made[:, :, i : i + step], columns.reshape(groups, per, *kernel, len(part), windows.run))
    inner = tuple(slice(p, p + s) for p, s in zip(padding, size, strict=True))
    cut = made.reshape(groups, per, n, *wide)[(slice(None), slice(None), slice(None), *inner)]
    return np.ascontiguousarray(np.moveaxis(cut, 2, 0)).reshape(n, groups * per, *size)


def _weight_adjoint(
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


# ---- the three maps --------------------------------------------------------------------------------------------


def _sum_of_channels(g, bias_like):
    return op.sum(g, (0, *range(2, g.ndim)))


def _with_bias(y: Array, bias: Array | None) -> Array:
    if bias is not None:
        y += bias.reshape((-1,) + (1,) * (y.ndim - 2))
    return y


@general(
    vjp={
        "input": lambda g, weight, input_like, stride, padding, dilation, groups: op._conv_adjoint(
            g, weight, None, input_like.shape[2:], stride, padding, dilation, groups
        ),
        "weight": lambda g, input, weight_like, stride, padding, dilation, groups: op._conv_weight(
            input, g, weight_like.shape[2:], stride, padding, dilation, groups
        ),
        "bias": _sum_of_channels,
    },
    grad_fn="ConvolutionBackward0",
)
def _conv(
    input: Tensor, weight: Tensor, bias: Tensor | None, size: Ints, stride: Ints, padding: Ints, dilation: Ints,
    groups: Int,
):  # fmt: skip
    """The convolution; `size` of the result, which crops it where a transposed one was padded."""
    return _with_bias(_forward(input, weight, tuple(size), stride, padding, dilation, groups), bias)


@general(
    vjp={
        "input": lambda g, weight, input_like, stride, padding, dilation, groups: op._conv(
            g, weight, None, input_like.shape[2:], stride, padding, dilation, groups
        ),
        "weight": lambda g, input, weight_like, stride, padding, dilation, groups: op._conv_weight(
            g, input, weight_like.shape[2:], stride, padding, dilation, groups
        ),
        "bias": _sum_of_channels,
    },
    grad_fn="ConvolutionBackward0",
)
def _conv_adjoint(
    input: Tensor, weight: Tensor, bias: Tensor | None, size: Ints, stride: Ints, padding: Ints, dilation: Ints,
    groups: Int,
):  # fmt: skip
    """The transposed convolution; `size` of the result."""
    return _with_bias(_adjoint(input, weight, tuple(size), stride, padding, dilation, groups), bias)


@general(
    vjp={
        "input": lambda g, grad, input_like, stride, padding, dilation, groups: op._conv_adjoint(
            grad, g, None, input_like.shape[2:], stride, padding, dilation, groups
        ),
        "grad": lambda g, input, grad_like, stride, padding, dilation, groups: op._conv(
            input, g, None, grad_like.shape[2:], stride, padding, dilation, groups
        ),
    },
    grad_fn="ConvolutionBackwardBackward0",
)
def _conv_weight(
    input: Tensor, grad: Tensor, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: Int
):
    return _weight_adjoint(input, grad, tuple(kernel), stride, padding, dilation, groups)


# ---- checks ----------------------------------------------------------------------------------------------------


def _spread(name: str, value: Sizes, dims: int) -> Sizes:
    """One number for every dimension, or one for each."""
    if len(value) == 1:
        return tuple(value) * dims
    if len(value) != dims:
        raise ShapeError(
            f"expected {name} to be a single integer value or a list of {dims} values to match the convolution "
            f"dimensions, but got {name}={list(value)}"
        )
    return tuple(value)


def _times(shape: Sizes) -> str:
    return " x ".join(map(str, shape))


def _check_numbers(stride: Sizes, padding: Sizes, dilation: Sizes, groups: int) -> None:
    if min(padding) < 0:
        raise ScriptValueError("negative padding is not supported")
    if min(stride) <= 0:
        raise ScriptValueError("non-positive stride is not supported")
    if min(dilation) <= 0:
        raise ScriptValueError("dilation should be greater than zero")
    if groups <= 0:
        raise ScriptValueError("non-positive groups is not supported")


def _check_types(input: Any, weight: Any, bias: Any) -> None:
    for name, x in (("weight", weight), ("bias", bias)):
        if x is not None and x.dtype != input.dtype:
            raise ScriptTypeError(
                f"Input type ({_c_type(input)}) and {name} type ({_c_type(x)}) should be the same",
                hint="cast one of them: x.double(), x.float()",
            )


def _c_type(x: Any) -> str:
    name = BY_NP[x.dtype].type_name if isinstance(x.dtype, np.dtype) else x.dtype.type_name
    return {"Long": "long int", "Double": "double", "Float": "float"}.get(name, name.lower())


def _check_rank(name: str, input: Any, weight: Any, dims: int) -> None:
    if input.ndim not in (dims + 1, dims + 2):
        raise ShapeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got input of size: "
            f"{list(input.shape)}"
        )
    if weight.ndim != dims + 2:
        raise ShapeError(
            "weight should have at least three dimensions"
            if weight.ndim < 3
            else f"Expected {weight.ndim}-dimensional input for {weight.ndim}-dimensional weight"
            f"{list(weight.shape)}, but got {dims + 2}-dimensional input of size {list(input.shape)} instead"
        )


def _check_shapes(
    input: Any, weight: Any, bias: Any, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int, transposed: bool
) -> None:
    shape, w = list(input.shape), list(weight.shape)
    if w[0] < groups:
        raise ShapeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{w} instead"
        )
    if w[0] % groups:
        raise ShapeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of "
            f"size {w} instead"
        )
    channels = w[0] if transposed else w[1] * groups
    if shape[1] != channels:
        kind = "transposed=1, " if transposed else f"groups={groups}, "
        raise ShapeError(
            f"Given {kind}weight of size {w}, expected input{shape} to have {channels} channels, "
            f"but got {shape[1]} channels instead"
        )
    out = w[1] * groups if transposed else w[0]
    if bias is not None and (bias.ndim != 1 or bias.shape[0] != out):
        kind = f"transposed={int(transposed)}, " if transposed else ""
        raise ShapeError(
            f"Given {kind}weight of size {w}, expected bias to be 1-dimensional with {out} elements, but got bias of "
            f"size {list(bias.shape)} instead"
        )
    if not transposed:
        padded = tuple(n + 2 * p for n, p in zip(shape[2:], padding, strict=True))
        kernel = tuple(d * (k - 1) + 1 for k, d in zip(w[2:], dilation, strict=True))
        if any(k > n for k, n in zip(kernel, padded, strict=True)):
            raise ShapeError(
                f"Calculated padded input size per channel: ({_times(padded)}). Kernel size: ({_times(kernel)}). "
                "Kernel size can't be greater than actual input size"
            )


# ---- convolutions ----------------------------------------------------------------------------------------------


def _padding_of(padding: Any, weight: Any, stride: Sizes, dilation: Sizes, dims: int) -> tuple[Sizes, list[int]]:
    """Padding on both sides of each dimension, and what is missing behind (for constant_pad_nd)."""
    if isinstance(padding, str):
        if padding == "valid":
            return (0,) * dims, []
        if padding != "same":
            raise ScriptValueError(f"Invalid padding string: '{padding}'", hint='"same" or "valid"')
        if any(s != 1 for s in stride):
            raise ScriptValueError("padding='same' is not supported for strided convolutions")
        total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        missing: list[int] = []
        for t in reversed(total):
            missing += [0, t % 2]
        return tuple(t // 2 for t in total), missing if any(missing) else []
    return _spread("padding", (padding,) if isinstance(padding, int) else tuple(padding), dims), []


def _convolve(name, dims, input, weight, bias, stride, padding, dilation, groups):
    _check_rank(name, input, weight, dims)
    stride, dilation = _spread("stride", stride, dims), _spread("dilation", dilation, dims)
    padding, missing = _padding_of(padding, weight, stride, dilation, dims)
    _check_types(input, weight, bias)
    _check_numbers(stride, padding, dilation, groups)
    batched = input.ndim == dims + 2
    if not batched:
        input = op.unsqueeze(input, 0)
    if missing:
        input = op.constant_pad_nd(input, missing, 0)
    _check_shapes(input, weight, bias, stride, padding, dilation, groups, False)
    size = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(input.shape[2:], padding, dilation, weight.shape[2:], stride, strict=True)
    )
    y = op._conv(input, weight, bias, size, stride, padding, dilation, groups)
    return y if batched else op.squeeze(y, 0)


@composite()
def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: Any = 0,
    dilation: Ints = 1, groups: Int = 1,
):  # fmt: skip
    """Convolution of sequences [batch, channel, position] with kernels [out, channel / groups, position].

    `padding` may also be "same" or "valid".

    Value: y[o, i] = bias[o] + Σ input[c, stride · i + dilation · k − padding] weight[o, c, k]

    >>> conv1d([[[1., 2., 3.]]], [[[1., -1.]]])
    tensor([[[-1., -1.]]])
    """
    return _convolve("conv1d", 1, input, weight, bias, _ints(stride), padding, _ints(dilation), groups)


@composite()
def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: Any = 0,
    dilation: Ints = 1, groups: Int = 1,
):  # fmt: skip
    """Convolution of images [batch, channel, row, column] with kernels [out, channel / groups, row, column].

    `padding` may also be "same" or "valid".

    >>> conv2d([[[[1., 2.], [3., 4.]]]], [[[[1., 1.], [1., 1.]]]])
    tensor([[[[10.]]]])
    """
    return _convolve("conv2d", 2, input, weight, bias, _ints(stride), padding, _ints(dilation), groups)


@composite()
def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: Any = 0,
    dilation: Ints = 1, groups: Int = 1,
):  # fmt: skip
    """Convolution of volumes [batch, channel, depth, row, column].

    >>> conv3d(ones(1, 1, 2, 2, 2), ones(1, 1, 2, 2, 2)).item()
    8.0
    """
    return _convolve("conv3d", 3, input, weight, bias, _ints(stride), padding, _ints(dilation), groups)


def _ints(value: Any) -> Sizes:
    return (value,) if isinstance(value, int) else tuple(value)


def _transposed(name, dims, input, weight, bias, stride, padding, output_padding, groups, dilation):
    _check_rank(name, input, weight, dims)
    stride, dilation = _spread("stride", stride, dims), _spread("dilation", dilation, dims)
    padding = _spread("padding", padding, dims)
    extra = _spread("output_padding", output_padding, dims)
    _check_types(input, weight, bias)
    _check_numbers(stride, padding, dilation, groups)
    if min(extra) < 0:
        raise ScriptValueError("negative output_padding is not supported")
    batched = input.ndim == dims + 2
    if not batched:
        input = op.unsqueeze(input, 0)
    _check_shapes(input, weight, bias, stride, padding, dilation, groups, True)
    for e, s, d in zip(extra, stride, dilation, strict=True):
        if e >= s and e >= d:
            raise ScriptValueError(
                "output padding must be smaller than either stride or dilation, but got "
                + _padding_facts(extra, stride, dilation)
            )
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(input.shape[2:], stride, padding, dilation, weight.shape[2:], extra, strict=True)
    )
    if min(size) <= 0:
        raise ShapeError(
            f"Given input size per channel: ({_times(input.shape[2:])}). Calculated output size per channel: "
            f"({_times(size)}). Output size is too small"
        )
    y = op._conv_adjoint(input, weight, bias, size, stride, padding, dilation, groups)
    return y if batched else op.squeeze(y, 0)


def _padding_facts(extra: Sizes, stride: Sizes, dilation: Sizes) -> str:
    names = ("depth", "height", "width")[-len(extra) :] if len(extra) > 1 else ("height", "width")
    if len(extra) == 1:
        extra, stride, dilation = (0, *extra), (1, *stride), (1, *dilation)
    parts = []
    for what, values in (("output_padding", extra), ("stride", stride), ("dilation", dilation)):
        parts += [f"{what}_{n}: {v}" for n, v in zip(names, values, strict=True)]
    return " ".join(parts)


@composite()
def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: Ints = 0,
    output_padding: Ints = 0, groups: Int = 1, dilation: Ints = 1,
):  # fmt: skip
    """Transposed convolution of sequences: the adjoint of `conv1d`, with kernels [channel, out / groups, position].

    >>> conv_transpose1d([[[1., 2.]]], [[[1., 1.]]])
    tensor([[[1., 3., 2.]]])
    """
    return _transposed(
        "conv_transpose1d", 1, input, weight, bias, _ints(stride), _ints(padding), _ints(output_padding), groups,
        _ints(dilation),
    )  # fmt: skip


@composite()
def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: Ints = 0,
    output_padding: Ints = 0, groups: Int = 1, dilation: Ints = 1,
):  # fmt: skip
    """Transposed convolution of images: the adjoint of `conv2d`, with kernels [channel, out / groups, row, column].

    >>> conv_transpose2d([[[[2.]]]], [[[[1., 1.], [1., 1.]]]])
    tensor([[[[2., 2.],
              [2., 2.]]]])
    """
    return _transposed(
        "conv_transpose2d", 2, input, weight, bias, _ints(stride), _ints(padding), _ints(output_padding), groups,
        _ints(dilation),
    )  # fmt: skip


@composite()
def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: Ints = 0,
    output_padding: Ints = 0, groups: Int = 1, dilation: Ints = 1,
):  # fmt: skip
    """Transposed convolution of volumes: the adjoint of `conv3d`.

    >>> conv_transpose3d(ones(1, 1, 1, 1, 1), ones(1, 1, 1, 1, 2))
    tensor([[[[[1., 1.]]]]])
    """
    return _transposed(
        "conv_transpose3d", 3, input, weight, bias, _ints(stride), _ints(padding), _ints(output_padding), groups,
        _ints(dilation),
    )  # fmt: skip
