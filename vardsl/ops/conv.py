"""Convolutions over one, two and three dimensions, and transposed ones.

Three bilinear maps, each the derivative of another: the convolution itself, its adjoint in the input (which
is the
transposed convolution), and its adjoint in the weight. So they can be differentiated to any order. Each
gathers the
windows of the input by strides into columns and multiplies once for each group.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP, Array
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import Int, Ints, Tensor, array, composite, general, op
from vardsl.ops.windows import (
    Sizes,
    convolved,
    convolved_into,
    scattered,
    scattered_into,
    weight_into,
    weight_of,
)

# ---- the three maps ----------------------------------------------------------------------------------------


def _sum_of_channels(g, bias_like):
    return op.sum(g, (0, *range(2, g.ndim)))


def _with_bias(y: Array, bias: Array | None) -> Array:
    if bias is not None:
        y += bias.reshape((-1,) + (1,) * (y.ndim - 2))
    return y


def _bias_into(calls, y, bias):
    if bias is not None:
        calls.append((np.add, (y, bias.reshape((-1,) + (1,) * (y.ndim - 2)), y)))
    return calls


def _conv_into(out, scratch, input, weight, bias, size, *how):
    return _bias_into(convolved_into(out, scratch, input, weight, *how), out, bias)


def _adjoint_into(out, scratch, input, weight, bias, size, *how):
    return _bias_into(scattered_into(out, scratch, input, weight, *how), out, bias)


# ---- convolutions in rows ----------------------------------------------------------------------------------


def _inside(x, axis):
    """The rows of `x` as part of another dimension."""
    shape = x.shape[1:]
    return op.reshape(op.movedim(x, 0, axis), (*shape[:axis], -1, *shape[axis + 1 :]))


def _in_front(x, axis, n):
    """What `_inside` has made, with the rows in front again."""
    return op.movedim(op.reshape(x, (*x.shape[:axis], n, -1, *x.shape[axis + 1 :])), axis, 0)


def _conv_rows(conv, args, at, n):
    """Rows of inputs are more samples, rows of kernels are more channels."""
    input, weight, bias, *rest = args
    if at[1] is None and at[2] is None:
        return _in_front(conv.run([_inside(input, 0), weight, bias, *rest]), 0, n)
    if at[0] is not None or bias is not None or rest[-1] != 1:
        return NotImplemented
    return _in_front(conv.run([input, _inside(weight, 0 if conv is op._conv else 1), None, *rest]), 1, n)


def _kernel_rows(kernel, args, at, n):
    """Rows of cotangents give rows of kernels, rows of inputs more channels in each."""
    input, grad, *rest = args
    if (at[0] is not None and at[1] is not None) or rest[-1] != 1:
        return NotImplemented
    if at[0] is None:
        return _in_front(kernel.run([input, _inside(grad, 1), *rest]), 0, n)
    return _in_front(kernel.run([_inside(input, 1), grad, *rest]), 1, n)


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
    batch=_conv_rows,
    into=_conv_into,
)
def _conv(
    input: Tensor, weight: Tensor, bias: Tensor | None, size: Ints, stride: Ints, padding: Ints,
    dilation: Ints, groups: Int,
):  # fmt: skip
    """The convolution; `size` of the result, which crops it where a transposed one was padded."""
    return _with_bias(convolved(input, weight, tuple(size), stride, padding, dilation, groups), bias)


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
    batch=_conv_rows,
    into=_adjoint_into,
)
def _conv_adjoint(
    input: Tensor, weight: Tensor, bias: Tensor | None, size: Ints, stride: Ints, padding: Ints,
    dilation: Ints, groups: Int,
):  # fmt: skip
    """The transposed convolution; `size` of the result."""
    return _with_bias(scattered(input, weight, tuple(size), stride, padding, dilation, groups), bias)


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
    batch=_kernel_rows,
    into=lambda out, scratch, input, grad, kernel, *how: weight_into(out, scratch, input, grad, *how),
)
def _conv_weight(
    input: Tensor, grad: Tensor, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: Int
):
    return weight_of(input, grad, tuple(kernel), stride, padding, dilation, groups)


# ---- checks ------------------------------------------------------------------------------------------------


def _spread(name: str, value: Sizes, dims: int) -> Sizes:
    """One number for every dimension, or one for each."""
    if len(value) == 1:
        return tuple(value) * dims
    if len(value) != dims:
        raise ShapeError(
            f"expected {name} to be a single integer value or a list of {dims} values to match the "
            "convolution "
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
        raise ScriptValueError(f"dilation should be greater than zero, but got {list(dilation)}")
    if groups <= 0:
        raise ScriptValueError("non-positive groups is not supported")


def _check_types(input: Any, weight: Any, bias: Any) -> None:
    a = array(input).dtype
    if array(weight).dtype != a:
        raise ScriptTypeError(
            f"expected scalar type {BY_NP[a].type_name} but found {BY_NP[array(weight).dtype].type_name}",
            hint="cast one of them: x.double(), x.float()",
        )
    if bias is not None and array(bias).dtype != a:
        raise ScriptTypeError(
            f"Input type ({_c_type(input)}) and bias type ({_c_type(bias)}) should be the same",
            hint="cast one of them: x.double(), x.float()",
        )


def _c_type(x: Any) -> str:
    name = BY_NP[array(x).dtype].type_name
    return {"Long": "long int", "Double": "double", "Float": "float"}.get(name, name.lower())


def _check_rank(name: str, input: Any, weight: Any, dims: int, stride: Sizes | None) -> None:
    if input.ndim not in (dims + 1, dims + 2):
        raise ShapeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got input of "
            "size: "
            f"{list(input.shape)}"
        )
    if stride is not None and weight.ndim not in (dims + 2, 2, 1, 0):
        steps = list(stride) * dims if len(stride) == 1 else list(stride)
        raise ShapeError(
            f"expected stride to be a single integer value or a list of {weight.ndim - 2} values to match "
            f"the convolution dimensions, but got stride={steps}"
        )
    if weight.ndim != dims + 2:
        raise ShapeError(
            "weight should have at least three dimensions"
            if weight.ndim < 3
            else f"Expected {weight.ndim}-dimensional input for {weight.ndim}-dimensional weight"
            f"{list(weight.shape)}, but got {dims + 2}-dimensional input of size {list(input.shape)} instead"
        )


def _check_shapes(
    input: Any,
    weight: Any,
    bias: Any,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    transposed: bool,
) -> None:
    shape, w = list(input.shape), list(weight.shape)
    if w[0] < groups:
        raise ShapeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight "
            "of size "
            f"{w} instead"
        )
    if w[0] % groups:
        raise ShapeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got "
            "weight of "
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
            f"Given {kind}weight of size {w}, expected bias to be 1-dimensional with {out} elements, but got "
            "bias of "
            f"size {list(bias.shape)} instead"
        )
    if not transposed:
        padded = tuple(n + 2 * p for n, p in zip(shape[2:], padding, strict=True))
        kernel = tuple(d * (k - 1) + 1 for k, d in zip(w[2:], dilation, strict=True))
        if any(k > n for k, n in zip(kernel, padded, strict=True)):
            raise ShapeError(
                f"Calculated padded input size per channel: ({_times(padded)}). Kernel size: "
                f"({_times(kernel)}). "
                "Kernel size can't be greater than actual input size"
            )


# ---- convolutions ------------------------------------------------------------------------------------------


def _padding_of(
    padding: Any, weight: Any, stride: Sizes, dilation: Sizes, dims: int
) -> tuple[Sizes, list[int]]:
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
    _check_rank(name, input, weight, dims, None if isinstance(padding, str) else stride)
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
    _check_rank(name, input, weight, dims, stride)
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
        for n, s, p, d, k, e in zip(
            input.shape[2:], stride, padding, dilation, weight.shape[2:], extra, strict=True
        )
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
    """Transposed convolution of sequences: the adjoint of `conv1d`.

    Kernels are [channel, out / groups, position].

    >>> conv_transpose1d([[[1., 2.]]], [[[1., 1.]]])
    tensor([[[1., 3., 2.]]])
    """
    return _transposed(
        "conv_transpose1d", 1, input, weight, bias, _ints(stride), _ints(padding), _ints(output_padding),
        groups, _ints(dilation),
    )  # fmt: skip


@composite()
def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Ints = 1, padding: Ints = 0,
    output_padding: Ints = 0, groups: Int = 1, dilation: Ints = 1,
):  # fmt: skip
    """Transposed convolution of images: the adjoint of `conv2d`.

    Kernels are [channel, out / groups, row, column].

    >>> conv_transpose2d([[[[2.]]]], [[[[1., 1.], [1., 1.]]]])
    tensor([[[[2., 2.],
              [2., 2.]]]])
    """
    return _transposed(
        "conv_transpose2d", 2, input, weight, bias, _ints(stride), _ints(padding), _ints(output_padding),
        groups, _ints(dilation),
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
        "conv_transpose3d", 3, input, weight, bias, _ints(stride), _ints(padding), _ints(output_padding),
        groups, _ints(dilation),
    )  # fmt: skip
