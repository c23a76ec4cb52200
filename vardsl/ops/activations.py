"""Activation functions of neural networks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vardsl.engine.casting import cast
from vardsl.engine.dtypes import BY_NP
from vardsl.engine.inplace import InPlace
from vardsl.engine.op import Op
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.arithmetic import zeros
from vardsl.ops.define import (
    Bool,
    Int,
    NotImplementedRule,
    Number,
    Tensor,
    composite,
    elementwise,
    fused,
    general,
    op,
)
from vardsl.ops.dims import wrap_dim
from vardsl.ops.select import (
    LARGE,
    bounded,
    bounded_into,
    choose,
    choose_into,
    kept,
    kept_into,
    larger_into,
    steps,
)


class Activation(Op):
    """With PyTorch's `inplace=`: if true, the input is changed and given back.

    Those with a `kernel_name` take reals only; `promote="float"` makes plain integers reals there.
    """

    def run(self, bound: list[Any]) -> Any:
        at = self.signature.index.get("inplace")
        if at is None or not bound[at]:
            return super().run(bound)
        kept = list(bound)
        kept[at] = False
        return InPlace(self, self.name + "_")(*kept)

    def _promote(self, arrays: list[Any]) -> None:
        kernel = self.facts.get("kernel_name")
        if kernel is not None and arrays[0].dtype.kind != "f":
            raise ScriptTypeError(f"\"{kernel}\" not implemented for '{BY_NP[arrays[0].dtype].type_name}'")


# ---- masks ----
# PyTorch's backward functions take part in the graph of a second pass with a zero derivative in the input.


def _threshold_into(out, scratch, grad_output, input, threshold):
    if input.dtype != out.dtype or input.shape != out.shape:
        return None
    mask = scratch(out.shape, np.dtype(bool))
    calls = kept_into(out, scratch, mask, grad_output, but=True)
    return None if calls is None else [(np.less_equal, (input, cast(threshold, input.dtype), mask)), *calls]


@general(
    vjp={
        "grad_output": lambda g, input, threshold: op._threshold_backward(g, input, threshold),
        "input": zeros,
    },
    grad_fn="ThresholdBackwardBackward0",
    batch="pointwise",
    stream="pointwise",
    overwrites=True,
    into=_threshold_into,
)
def _threshold_backward(grad_output: Tensor, input: Tensor, threshold: Number):
    return kept(np.logical_not(input <= threshold), grad_output)


VECTOR_BYTES = 32


def _tail(input: Any, vectors: int) -> Any:
    """The elements of a small tensor, in a row, that PyTorch looks at one by one: those after the last full
    row of so many vectors."""
    n = vectors * VECTOR_BYTES // input.dtype.itemsize
    whole = input.size - input.size % n if input.flags.c_contiguous else 0
    return input.reshape(-1)[whole if input.size < LARGE else input.size :]


def with_tail(mask: Any, input: Any, vectors: int) -> Any:
    """The mask, and nan in it where PyTorch lets a nan pass: in the tail."""
    if not mask.ndim:
        return mask | np.isnan(input)
    tail = _tail(input, vectors)
    if not tail.size:
        return mask
    flat = mask.reshape(-1)
    flat[-tail.size :] |= np.isnan(tail)
    return flat.reshape(mask.shape)


def _inner_steps(grad_output, input, low, high):
    return op._where(op.bitwise_and(input > low, input < high), grad_output, 0)


@general(
    vjp={
        "grad_output": lambda g, input, low, high: op._inner_backward(g, input, low, high),
        "input": zeros,
    },
    grad_fn="HardtanhBackwardBackward0",
    lowered=steps(_inner_steps),
)
def _inner_backward(grad_output: Tensor, input: Tensor, low: Number, high: Number):
    """The cotangent where the input is strictly between two numbers."""
    return kept(with_tail(np.logical_and(input > low, input < high), input, 2), grad_output)


def _outer_steps(grad_output, input, lambd):
    return op._where(op.bitwise_or(input < -lambd, input > lambd), grad_output, 0)


@general(
    vjp={"grad_output": lambda g, input, lambd: op._outer_backward(g, input, lambd), "input": zeros},
    grad_fn="HardshrinkBackwardBackward0",
    lowered=steps(_outer_steps),
)
def _outer_backward(grad_output: Tensor, input: Tensor, lambd: Number):
    """The cotangent where the input is outside of [-lambd, lambd]."""
    return kept(with_tail(np.logical_or(input < -lambd, input > lambd), input, 2), grad_output)


# ---- piecewise linear ----


@elementwise(
    vjp=lambda g, y: op._threshold_backward(g, y, 0),
    overwrites=True,
    into=lambda out, scratch, input, inplace: bounded_into(out, input, 0),
    plain=lambda input, inplace: max(input, 0 * input),
    kind=Activation,
)
def relu(input: Tensor, inplace: Bool = False):
    """Positive elements as they are, 0 for the others.

    Value: max(input, 0)
    Derivative: 1 where input > 0, else 0

    >>> relu([-1., 0., 2.])
    tensor([0., 0., 2.])
    """
    if input.dtype.kind == "b":
        raise ScriptTypeError("Boolean inputs not supported for relu")
    return bounded(input, 0) if input.dtype.kind == "f" else np.maximum(input, input.dtype.type(0))


@elementwise(
    vjp=lambda g, input, threshold: op._threshold_backward(g, input, threshold),
    lowered=steps(lambda input, threshold, value, inplace: op._where(input <= threshold, value, input)),
    batch="pointwise",
    inplace_grad_fn="ThresholdBackward1",
    kind=Activation,
)
def threshold(input: Tensor, threshold: Number, value: Number, inplace: Bool = False):
    """Elements above `threshold` as they are, `value` for the others.

    Derivative: 1 above the threshold, else 0

    >>> threshold([0.5, 2.], 1., 20.)
    tensor([20.,  2.])
    """
    return choose(input <= threshold, np.asarray(value).astype(input.dtype), input)


@elementwise(
    vjp=lambda g, input, min_val, max_val: op._inner_backward(g, input, min_val, max_val),
    overwrites=True,
    into=lambda out, scratch, input, low, high, inplace: bounded_into(out, input, low, high),
    kind=Activation,
)
def hardtanh(input: Tensor, min_val: Number = -1.0, max_val: Number = 1.0, inplace: Bool = False):
    """Each element, moved between `min_val` and `max_val`.

    Derivative: 1 strictly between them, else 0

    >>> hardtanh([-2., 0.5, 2.])
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if input.dtype.kind == "b":
        raise ScriptTypeError("Bool inputs not supported for hardtanh")
    if input.dtype == np.uint8 and (min_val < 0 or max_val < 0):
        raise ScriptValueError("cannot do hardtanh on an unsigned type with negative limits")
    if min_val > max_val:
        raise ScriptValueError("min_val cannot be greater than max_val")
    if input.dtype.kind == "f":
        return bounded(input, min_val, max_val)
    low, high = (np.asarray(v).astype(input.dtype) for v in (min_val, max_val))
    return np.minimum(np.maximum(input, low), high)


@composite(pointwise=True, inplace=False)
def relu6(input: Tensor, inplace: Bool = False):
    """Each element, moved between 0 and 6.

    Value: min(max(0, input), 6)
    Derivative: 1 strictly between them, else 0

    >>> relu6([-1., 3., 8.])
    tensor([0., 3., 6.])
    """
    return op.hardtanh(input, 0.0, 6.0, inplace)


def _slopes(positive: Any, slope: Any) -> Any:
    """1 where the mask holds, and a slope between 0 and 1 elsewhere."""
    return bounded(positive.astype(slope.dtype), slope, 1)


def _leaky_slope_into(out, scratch, grad_output, input, negative_slope):
    if input.dtype != out.dtype or grad_output.dtype != out.dtype or input.shape != out.shape:
        return None
    mask = scratch(out.shape, np.dtype(bool))
    less = scratch((1, *out.shape), out.dtype)[0, ...]
    compare = (np.greater, (input, cast(0, input.dtype), mask))
    slope = cast(negative_slope, out.dtype)
    if 0 <= slope <= 1:
        bounds = bounded_into(less, less, slope, 1) or []
        return [compare, (np.copyto, (less, mask)), *bounds, (np.multiply, (grad_output, less, out))]
    calls = choose_into(out, scratch, mask, grad_output, less)
    return None if calls is None else [compare, (np.multiply, (grad_output, slope, less)), *calls]


def _leaky_into(out, scratch, input, negative_slope, inplace):
    slope = cast(negative_slope, out.dtype)
    if not 0 < slope <= 1:
        return _leaky_slope_into(out, scratch, input, input, negative_slope)
    if input.dtype != out.dtype or out.dtype.kind != "f":
        return None
    less = scratch(out.shape, out.dtype)
    return [(np.multiply, (input, slope, less)), *larger_into(out, input, less)]


@general(
    vjp={
        "grad_output": lambda g, input, negative_slope: op._leaky_relu_backward(g, input, negative_slope),
        "input": zeros,
    },
    grad_fn="LeakyReluBackwardBackward0",
    batch="pointwise",
    stream="pointwise",
    into=_leaky_slope_into,
)
def _leaky_relu_backward(grad_output: Tensor, input: Tensor, negative_slope: Number):
    slope = cast(negative_slope, grad_output.dtype)
    if 0 <= slope <= 1:
        return grad_output * _slopes(input > 0, slope)
    return choose(input > 0, grad_output, grad_output * slope)


@elementwise(
    vjp=lambda g, input, negative_slope: op._leaky_relu_backward(g, input, negative_slope),
    kernel_name="leaky_relu_cpu",
    overwrites=True,
    into=_leaky_into,
    inplace_grad_fn="LeakyReluBackward1",
    promote="float",
    kind=Activation,
)
def leaky_relu(input: Tensor, negative_slope: Number = 0.01, inplace: Bool = False):
    """Positive elements as they are, the others times `negative_slope`.

    Value: input above 0, negative_slope input below
    Derivative: 1 where input > 0, else negative_slope

    >>> leaky_relu([-1., 2.])
    tensor([-0.0100,  2.0000])
    """
    slope = cast(negative_slope, input.dtype)
    less = input * slope
    return np.maximum(input, less) if 0 < slope <= 1 else choose(input > 0, input, less)


def _hardshrink_steps(input, lambd):
    return op._where(op.bitwise_and(input >= -lambd, input <= lambd), 0, input)


@elementwise(
    vjp=lambda g, input, lambd: op._outer_backward(g, input, lambd),
    lowered=steps(_hardshrink_steps),
    batch="pointwise",
    inplace=False,
    kernel_name="hardshrink_cpu",
    promote="float",
    kind=Activation,
)
def hardshrink(input: Tensor, lambd: Number = 0.5):
    """0 for elements between -lambd and lambd, the others as they are.

    Derivative: 0 between them and on them, else 1

    >>> hardshrink([-1., 0.25, 2.])
    tensor([-1.,  0.,  2.])
    """
    return choose((input >= -lambd) & (input <= lambd), input.dtype.type(0), input)


@elementwise(
    vjp=lambda g, input, lambd: op._outer_backward(g, input, lambd),
    lowered=steps(lambda input, lambd: input - op.clamp(input, -lambd, lambd)),
    batch="pointwise",
    inplace=False,
    kernel_name="softshrink_check",
    promote="float",
    kind=Activation,
)
def softshrink(input: Tensor, lambd: Number = 0.5):
    """Each element moved towards 0 by `lambd`, and 0 where that would pass it.

    Derivative: 0 between -lambd and lambd and on them, else 1

    >>> softshrink([-1., 0.25, 2.])
    tensor([-0.5000,  0.0000,  1.5000])
    """
    if lambd < 0:
        largest = float(np.finfo(input.dtype).max)
        raise ScriptValueError(
            f"lambda must be in range [0, {largest:g}] for input dtype {BY_NP[input.dtype].type_name}, "
            f"but found {lambd:g}"
        )
    moved = np.asarray(input - bounded(input, -lambd, lambd))
    tail = _tail(input, 2)
    if tail.size:  # there 0 keeps the sign
        one_by_one = np.arange(input.size).reshape(input.shape) >= input.size - tail.size
        np.copyto(moved, input * 0, where=one_by_one & (np.abs(input) <= lambd))
    return moved


_HARDSIGMOID_TWICE = NotImplementedRule("derivative for aten::hardsigmoid_backward is not implemented")
SIXTH = float(np.float32(1) / np.float32(6))  # PyTorch's constant has single precision in every dtype


def _hardsigmoid_slope_steps(grad_output, input):
    return op._where(op.bitwise_and(input > -3, input < 3), grad_output * SIXTH, 0)


@general(
    vjp={"grad_output": _HARDSIGMOID_TWICE, "input": _HARDSIGMOID_TWICE},
    grad_fn="NotImplemented",
    batch="pointwise",
    stream="pointwise",
    lowered=steps(_hardsigmoid_slope_steps),
)
def _hardsigmoid_backward(grad_output: Tensor, input: Tensor):
    return kept((input > -3) & (input < 3), grad_output * grad_output.dtype.type(SIXTH))


@elementwise(
    vjp=lambda g, input: op._hardsigmoid_backward(g, input),
    lowered=steps(lambda input, inplace: op.clamp(input + 3, 0, 6) / 6),
    batch="pointwise",
    inplace=False,
    kernel_name="hardsigmoid_cpu",
    promote="float",
    kind=Activation,
)
def hardsigmoid(input: Tensor, inplace: Bool = False):
    """A sigmoid of three straight pieces: 0 below -3, 1 above 3.

    Value: min(max(input + 3, 0), 6) / 6
    Derivative: 1/6 strictly between -3 and 3, else 0

    >>> hardsigmoid([-4., 0., 4.])
    tensor([0.0000, 0.5000, 1.0000])
    """
    return bounded(input + 3, 0, 6) / 6


def _hardswish_vjp(g, input):
    inner = op._where(input <= -3, 0, g * (input / 3 + 0.5))
    if math.prod(input.shape) >= LARGE:  # PyTorch's vectors keep a nan, its single numbers do not
        return op._where(input >= 3, g, inner)
    return op._where(input < 3, inner, g)


@elementwise(
    vjp=_hardswish_vjp,
    lowered=steps(lambda input, inplace: input * op.clamp(input + 3, 0, 6) / 6),
    batch="pointwise",
    inplace=False,
    kernel_name="hardswish_cpu",
    promote="float",
    kind=Activation,
)
def hardswish(input: Tensor, inplace: Bool = False):
    """The element times its hard sigmoid.

    Value: input * min(max(input + 3, 0), 6) / 6
    Derivative: 0 up to -3, 1 from 3 on, input / 3 + 1/2 between

    >>> hardswish([-4., 1., 4.])
    tensor([-0.0000, 0.6667, 4.0000])
    """
    return input * bounded(input + 3, 0, 6) / 6


# ---- gates and slopes learned ----


@fused(inplace=False)
def glu(input: Tensor, dim: Int = -1):
    """The first half along `dim` times the sigmoid of the second half.

    >>> glu([1., 2., 0., 0.])
    tensor([0.5000, 1.0000])
    """
    if input.ndim == 0:
        raise ShapeError("glu does not support scalars because halving size must be even")
    dim = wrap_dim(dim, input.ndim)
    size = input.shape[dim]
    if size % 2:
        raise ShapeError(f"Halving dimension must be even, but dimension {dim} is size {size}")
    return op.narrow(input, dim, 0, size // 2) * op.sigmoid(op.narrow(input, dim, size // 2, size // 2))


# In a second pass PyTorch counts 0 among the positive elements.


@elementwise(
    vjp={
        "grad": lambda g, input, weight: op._where(input >= 0, g, weight * g),
        "input": zeros,
        "weight": lambda g, grad, input: op._where(input >= 0, 0, g * grad),
    },
    grad_fn="PreluKernelBackwardBackward0",
    lowered=steps(lambda grad, input, weight: op._where(input > 0, grad, weight * grad)),
    batch="pointwise",
)
def _prelu_to_input(grad: Tensor, input: Tensor, weight: Tensor):
    return choose(input > 0, grad, weight * grad)


@elementwise(
    vjp={
        "grad": lambda g, input: op._where(input >= 0, 0, input * g),
        "input": lambda g, grad, input: op._where(input >= 0, 0, g * grad),
    },
    grad_fn="PreluKernelBackwardBackward0",
    lowered=steps(lambda grad, input: op._where(input > 0, 0, input * grad)),
    batch="pointwise",
)
def _prelu_to_weight(grad: Tensor, input: Tensor):
    return choose(input > 0, grad.dtype.type(0), input * grad)


@elementwise(
    vjp={
        "input": lambda g, input, weight: op._prelu_to_input(g, input, weight),
        "weight": lambda g, input: op._prelu_to_weight(g, input),
    },
    grad_fn="PreluKernelBackward0",
    lowered=steps(lambda input, weight: op._where(input > 0, input, weight * input)),
    batch="pointwise",
)
def _prelu_kernel(input: Tensor, weight: Tensor):
    return choose(input > 0, input, weight * input)


@composite()
def prelu(input: Tensor, weight: Tensor):
    """A leaky relu whose slope is learned, one for all elements or one for each channel (dimension 1).

    Derivative: 1 where input > 0, else weight; in weight, 0 and input

    >>> prelu([-1., 2.], [0.25])
    tensor([-0.2500,  2.0000])
    """
    if input.dtype != weight.dtype:
        given = f"{input.dtype.type_name} and {weight.dtype.type_name}"
        raise ScriptTypeError(f"prelu: Type promoting not supported. Got {given}")
    size = math.prod(weight.shape)
    if size != 1:
        if input.ndim == 0:
            raise ShapeError("Not allow zero-dim input tensor.")
        channels = input.shape[1] if input.ndim > 1 else 1
        if channels != size:
            raise ShapeError(
                f"Mismatch of parameter numbers and input channel size. "
                f"Found parameter numbers = {size} and channel size = {channels}."
            )
    if weight.ndim > 1:
        raise ShapeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}"
        )
    if weight.ndim and input.ndim > 1:
        weight = op.reshape(weight, (1, size, *[1] * (input.ndim - 2)))
    elif weight.ndim and input.ndim == 0:
        weight = op.reshape(weight, ())
    return op._prelu_kernel(input, weight)
