"""Sums with a weighted product or quotient, and interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP
from vardsl.engine.op import Op
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError
from vardsl.ops.define import Number, Tensor, composite, elementwise, op
from vardsl.ops.kinds import is_number
from vardsl.ops.select import steps


def _alike(body):
    """As `steps`, of tensors of one dtype that broadcast: about others the operation itself has something to
    say, or casts them first."""
    made = steps(body)

    def lowered(*given):
        arrays = [v.array for v in given if type(v) is Value]
        try:
            np.broadcast_shapes(*[a.shape for a in arrays])
        except ValueError:
            return None
        return made(*given) if len({a.dtype for a in arrays}) == 1 else None

    return lowered


class _WeightedQuotient(Op):
    """PyTorch divides no integer tensors by integer tensors here."""

    def _promote(self, arrays: list[Any]) -> None:
        if all(isinstance(a, np.ndarray) and a.dtype.kind != "f" for a in arrays[1:3]):
            raise ScriptTypeError(INTEGER_ADDCDIV)
        super()._promote(arrays)


class _Interpolation(Op):
    """PyTorch wants all tensors in one dtype."""

    def _promote(self, arrays: list[Any]) -> None:
        first = arrays[0]
        for name, a in zip(("end", "weight"), arrays[1:], strict=True):
            if isinstance(a, np.ndarray) and isinstance(first, np.ndarray) and a.dtype != first.dtype:
                raise ScriptTypeError(
                    f"expected dtype {_c_name(first)} for `{name}` but got dtype {_c_name(a)}"
                )
        if isinstance(first, np.ndarray) and first.dtype.kind != "f":
            raise ScriptTypeError(
                f"\"lerp_kernel_scalar\" not implemented for '{BY_NP[first.dtype].type_name}'"
            )
        super()._promote(arrays)


def _weighted(tensor, value):
    return tensor if type(value) is not bool and value == 1 else tensor * value


@elementwise(
    d={
        "input": 1,
        "tensor1": lambda tensor2, value: tensor2 * value,
        "tensor2": lambda tensor1, value: tensor1 * value,
    },
    lowered=_alike(lambda input, tensor1, tensor2, value: input + _weighted(tensor1, value) * tensor2),
    batch="pointwise",
)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1):
    """input plus `value` times a product.

    Value: input + value * tensor1 * tensor2
    Derivative: 1, value * tensor2 and value * tensor1

    >>> addcmul([1., 1.], [2., 3.], [4., 5.], value=0.5)
    tensor([5.0000, 8.5000])
    """
    return input + np.asarray(value).astype(input.dtype) * tensor1 * tensor2


@elementwise(
    vjp={
        "input": lambda g: g,
        "tensor1": lambda g, tensor2, value: g * op.div(value, tensor2),
        "tensor2": lambda g, tensor1, tensor2, value: -g * (value * tensor1 / (tensor2 * tensor2)),
    },
    lowered=_alike(lambda input, tensor1, tensor2, value: input + _weighted(tensor1, value) / tensor2),
    batch="pointwise",
    plain=lambda input, tensor1, tensor2, value: op.add(input, op.div(value * tensor1, tensor2)),
    kind=_WeightedQuotient,
)
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1):
    """input plus `value` times a quotient.

    Value: input + value * tensor1 / tensor2
    Derivative: 1, value / tensor2 and -value * tensor1 / tensor2**2

    >>> addcdiv([1., 1.], [2., 3.], [4., 5.])
    tensor([1.5000, 1.6000])
    """
    return input + input.dtype.type(value) * tensor1 / tensor2


INTEGER_ADDCDIV = (
    "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will "
    "perform a true division of tensor1 and tensor2. The historic addcdiv behavior can be implemented "
    "as (input + value * torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as "
    "(input + value * tensor1 / tensor2) for float inputs. The future addcdiv behavior is just the "
    "latter implementation: (input + value * tensor1 / tensor2), for all dtypes."
)


def _lerp(input, end, weight):
    """From whichever end is nearer, as PyTorch does, so that both ends are met exactly."""
    gap = end - input
    return np.where(np.abs(weight) < 0.5, input + weight * gap, end - gap * (1 - weight))


def _lerp_by(input, end, weight):
    """The same with a number for the weight."""
    gap = end - input
    return input + gap * weight if abs(weight) < 0.5 else end - gap * (1 - weight)


def _lerp_steps(input, end, weight):
    gap = end - input
    return op._where(op.abs(weight) < 0.5, input + weight * gap, end - gap * (1 - weight))


def _c_name(a):
    return {"float32": "float", "float64": "double", "int64": "long int"}.get(
        a.dtype.name, BY_NP[a.dtype].name
    )


@elementwise(
    d={"input": lambda weight: 1 - weight, "end": lambda weight: weight},
    lowered=_alike(_lerp_by),
    batch="pointwise",
    grad_fn="LerpBackward0",
    kind=_Interpolation,
)
def _lerp_number(input: Tensor, end: Tensor, weight: Number):
    return _lerp_by(input, end, weight)


@elementwise(
    d={
        "input": lambda weight: 1 - weight,
        "end": lambda weight: weight,
        "weight": lambda input, end: end - input,
    },
    lowered=_alike(_lerp_steps),
    batch="pointwise",
    grad_fn="LerpBackward1",
    kind=_Interpolation,
)
def _lerp_tensor(input: Tensor, end: Tensor, weight: Tensor):
    return _lerp(input, end, weight)


@composite(pointwise=True, inplace=True)
def lerp(input: Tensor, end: Tensor, weight: Tensor):
    """The point between `input` and `end` that `weight` says: 0 is `input`, 1 is `end`.

    Value: input + weight * (end - input)
    Derivative: 1 - weight, weight, and end - input

    >>> lerp([0., 10.], [10., 20.], 0.25)
    tensor([ 2.5000, 12.5000])
    """
    return op._lerp_number(input, end, weight) if is_number(weight) else op._lerp_tensor(input, end, weight)
