"""Conversions between dtypes, and plain facts about a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NAME, BY_NP, DType
from vardsl.engine.op import Op
from vardsl.engine.value import Value
from vardsl.errors import ScriptIndexError, ScriptTypeError
from vardsl.ops.define import Bool, Int, Tensor, array, composite, op
from vardsl.ops.dims import wrap_dim


def converted(input: Any, dtype: Any, copy: bool = False) -> Any:
    """The tensor in that dtype: itself where it has it, else a copy on the graph."""
    target = dtype.np if isinstance(dtype, DType) else np.dtype(dtype)
    if isinstance(input, (bool, int, float)) and not isinstance(input, np.generic):
        return np.asarray(input).astype(target).item()
    return input if array(input).dtype == target and not copy else op._cast(input, target)


def _target(wanted: Any, op_name: str) -> Any:
    if isinstance(wanted, (DType, np.dtype)):
        return wanted
    if isinstance(wanted, (Value, np.ndarray)):
        return array(wanted).dtype
    raise ScriptTypeError(
        f"{op_name}() received an invalid combination of arguments: {type(wanted).__name__}"
    )


class _To(Op):
    """PyTorch's `to` may name a device first; there is one."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        if len(args) > 1 and args[1] == "cpu" and type(args[1]) is str:
            args = (args[0], *args[2:])
        return super().__call__(*args, **keywords)


@composite(kind=_To)
def to(
    input: Tensor,
    dtype: Any = None,
    non_blocking: Bool = False,
    copy: Bool = False,
    *,
    other: Tensor | None = None,
):
    """The tensor in another dtype, or in that of another tensor; itself where it has that dtype already.

    Derivative: the cotangent, in the dtype of the input

    >>> [1, 2].to(float64)
    tensor([1., 2.], dtype=torch.float64)
    """
    wanted = other if other is not None else dtype
    target = array(input).dtype if wanted is None else _target(wanted, "to")
    return converted(input, target, copy)


@composite()
def type_as(input: Tensor, other: Tensor):
    """The tensor in the dtype of `other`.

    >>> [1, 2].type_as([1.])
    tensor([1., 2.])
    """
    return converted(input, array(other).dtype)


@composite()
def type_(input: Tensor, dtype: Any = None, non_blocking: Bool = False):
    """The name of the tensor's type, or the tensor in another dtype.

    >>> [1., 2.].type()
    torch.FloatTensor
    """
    if dtype is None:
        return f"torch.{BY_NP[array(input).dtype].type_name}Tensor"
    if isinstance(dtype, str):
        named = {f"torch.{d.type_name}Tensor": d for d in BY_NP.values()}
        if dtype not in named and dtype not in BY_NAME:
            raise ScriptTypeError(f"invalid type: '{dtype}'")
        dtype = named.get(dtype) or BY_NAME[dtype]
    return converted(input, _target(dtype, "type"))


@composite()
def float_(input: Tensor):
    """The tensor as float32.

    >>> [1, 2].float()
    tensor([1., 2.])
    """
    return converted(input, np.float32)


@composite()
def double(input: Tensor):
    """The tensor as float64.

    >>> [1, 2].double()
    tensor([1., 2.], dtype=torch.float64)
    """
    return converted(input, np.float64)


@composite()
def long(input: Tensor):
    """The tensor as int64, reals without their fractional part.

    >>> [1.7, -1.7].long()
    tensor([ 1, -1])
    """
    return converted(input, np.int64)


@composite()
def int_(input: Tensor):
    """The tensor as int32, reals without their fractional part.

    >>> [1.7, -1.7].int()
    tensor([ 1, -1], dtype=torch.int32)
    """
    return converted(input, np.int32)


@composite()
def short(input: Tensor):
    """The tensor as int16, reals without their fractional part.

    >>> [1.7, -1.7].short()
    tensor([ 1, -1], dtype=torch.int16)
    """
    return converted(input, np.int16)


@composite()
def bool_(input: Tensor):
    """The tensor as booleans: where it is not zero.

    >>> [0, 2].bool()
    tensor([False,  True])
    """
    return converted(input, np.bool_)


# ---- facts ----


@composite()
def item(input: Tensor):
    """The only element, as a plain number.

    >>> [2.5].item()
    2.5
    """
    return _value(input).item()


@composite()
def tolist(input: Tensor):
    """The elements as nested lists of plain numbers; of a 0-d tensor, the number.

    >>> tensor(2.5).tolist()
    2.5
    """
    return _value(input).tolist()


@composite()
def numel(input: Tensor):
    """How many elements the tensor has.

    >>> numel([[1., 2.], [3., 4.]])
    4
    """
    return int(array(input).size)


@composite()
def size(input: Tensor, dim: Int | None = None):
    """The sizes of all dimensions, or of one.

    >>> size([[1., 2.], [3., 4.]], 0)
    2
    """
    shape = array(input).shape
    if dim is None:
        return shape
    if not shape:
        wrap_dim(dim, 0)
        raise ScriptIndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return shape[wrap_dim(dim, len(shape))]


@composite()
def dim(input: Tensor):
    """How many dimensions the tensor has.

    >>> dim([[1., 2.], [3., 4.]])
    2
    """
    return array(input).ndim


@composite()
def is_floating_point(input: Tensor):
    """Whether the tensor is of a real dtype.

    >>> is_floating_point([1., 2.])
    True
    """
    return array(input).dtype.kind == "f"


@composite()
def detach(input: Tensor):
    """The same memory outside the graph.

    >>> detach(var [1., 2.] grad)
    tensor([1., 2.])
    """
    return _value(input).detach()


def _value(input: Any) -> Value:
    return input if isinstance(input, Value) else Value(np.asarray(input))
