"""Numbers put into a tensor: `x[…] = y`, `copy_`, `fill_`, `zero_`."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.inplace import bump, change, check_may_change, write
from vardsl.engine.value import Value, shared_counter
from vardsl.errors import ScriptTypeError, ShapeError
from vardsl.ops.broadcast import expanded_size
from vardsl.ops.define import (
    Tensor,
    general,
    inplace_op,
    op,
)
from vardsl.ops.dims import as_like
from vardsl.ops.indexing import read_index, refuse_scalar


def _stripped(value: Value) -> Value:
    """The value without its leading dimensions of size 1."""
    shape = value.shape
    k = 0
    while k < len(shape) and shape[k] == 1:
        k += 1
    return op.view.run([value, shape[k:]]) if k else value


def _put(target: Value, value: Value) -> None:
    """Copies a value into a view, broadcast to its shape."""
    check_may_change(target)
    if value.shape == target.shape:
        change(target, op._copy.run([target, value]))
    elif not value.ndim:
        change(target, op._fill_with.run([target, value]))
    else:
        value = _stripped(value)
        size = expanded_size(target.shape, value.shape, value.type_name)
        change(target, op._copy.run([target, op.expand.run([value, size])]))


def _assigned(x: Value, value: Any) -> Value:
    if type(value) is Value:
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float)):
        return op.full((), value, dtype=x.array.dtype)
    raise ScriptTypeError(f"can't assign a {_type_name(value)} to a {x.type_name}")


def _type_name(value: Any) -> str:
    return "NoneType" if value is None else type(value).__name__


def _plain(k: Any) -> bool:
    """Whether NumPy reads this part of an index as PyTorch does: an integer, or a slice that goes forward."""
    t = type(k)
    return (
        t is int or k is Ellipsis or (t is slice and (k.step is None or (type(k.step) is int and k.step > 0)))
    )


def _put_directly(x: Value, index: Any, value: Any) -> bool:
    """The assignment of a number, or of a like tensor, where nothing is recorded: straight into memory."""
    ctx, base = state.ctx, x.base
    if ctx.tracer is not None or not (
        _plain(index) or (type(index) is tuple and all(_plain(k) for k in index))
    ):
        return False
    whole = x.memory()
    if type(value) is Value:
        source: Any = value.array
        if source.dtype is not whole.dtype or (ctx.grad_enabled and value.requires_grad):
            return False
    elif type(value) is int or (type(value) is float and whole.dtype.kind == "f"):
        source = value
    else:
        return False
    if ctx.grad_enabled and (
        x.requires_grad or (base is not None and x.chain is not None and base.requires_grad)
    ):
        return False
    where = index if type(index) is tuple else (index,)
    try:
        part = Value(whole[where if Ellipsis in where else (*where, Ellipsis)])
    except (IndexError, TypeError):
        return False
    if type(value) is Value and source.shape != part.array.shape:
        return False
    part.vc = shared_counter(x)
    try:
        write(part, source)
    except OverflowError:
        return False
    bump(x)
    return True


@inplace_op(name="setitem_")
def setitem_(input: Tensor, index: Any | None, value: Any | None):
    """Puts numbers or a tensor into the part of a tensor that the index names: `x[index] = value`.

    >>> x = zeros(3)
    >>> x[1:] = 5
    >>> x
    tensor([0., 5., 5.])
    """
    if _put_directly(input, index, value):
        return input
    value = _assigned(input, value)
    if index is False:
        return input
    if index is True:
        index = None
    refuse_scalar(input, index)
    reader = read_index(input, index)
    if not reader.tensors:
        _put(reader.x, value)
        return input
    target = reader.x
    check_may_change(target)
    places = tuple(reader.places)
    change(target, op._index_put.run([target, reader.tensors, _stripped(value), places, False]))
    return input


@general(vjp={"input": lambda g: op.zeros_like(g), "src": lambda g, src_like: _copied(g, src_like)},
         grad_fn="CopyBackwards")  # fmt: skip
def _copy(input: Tensor, src: Tensor):
    return np.broadcast_to(src, input.shape).astype(input.dtype)


def _copied(g, src_like):
    return as_like(op.sum_to_size(g, src_like.shape), src_like)


@general(
    vjp={"input": lambda g: op.zeros_like(g), "value": lambda g, value_like: as_like(op.sum(g), value_like)},
    grad_fn="FillBackward3",
)
def _fill_with(input: Tensor, value: Tensor):
    return np.broadcast_to(value, input.shape).astype(input.dtype)


@general(vjp=lambda g: op.zeros_like(g), grad_fn="FillBackward2")
def _fill_number(input: Tensor, value: Any):
    return np.full(input.shape, value).astype(input.dtype)


@general(vjp=lambda g: op.zeros_like(g), grad_fn="ZeroBackward0")
def _zeroed(input: Tensor):
    return np.zeros(input.shape, input.dtype)


@inplace_op(name="copy_")
def copy_(input: Tensor, src: Tensor):
    """Puts the numbers of `src`, broadcast and cast, into the tensor.

    >>> x = zeros(2)
    >>> x.copy_([1., 2.])
    tensor([1., 2.])
    """
    check_may_change(input)
    if not isinstance(src, (Value, np.ndarray)):
        raise ScriptTypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {_type_name(src)}")
    if src.shape != input.shape:
        _check_copy(src.shape, input.shape)
    return change(input, op._copy.run([input, src]))


def _check_copy(of: tuple[int, ...], to: tuple[int, ...]) -> None:
    lead = len(to) - len(of)
    for k, n in enumerate(of):
        if lead < 0 or n not in (1, to[lead + k]):
            if lead < 0:
                raise ShapeError(f"output with shape {list(to)} doesn't match the broadcast shape {list(of)}")
            raise ShapeError(
                f"The size of tensor a ({to[lead + k]}) must match the size of tensor b ({n}) at "
                "non-singleton "
                f"dimension {lead + k}"
            )


@inplace_op(name="fill_")
def fill_(input: Tensor, value: Tensor):
    """Puts one number everywhere into the tensor.

    >>> x = zeros(2)
    >>> x.fill_(3)
    tensor([3., 3.])
    """
    check_may_change(input)
    if type(value) is Value:
        if value.ndim:
            raise ShapeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions."
            )
        return change(input, op._fill_with.run([input, value]))
    return change(input, op._fill_number.run([input, value]))


@inplace_op(name="zero_")
def zero_(input: Tensor):
    """Puts zero everywhere into the tensor.

    >>> x = ones(2)
    >>> x.zero_()
    tensor([0., 0.])
    """
    check_may_change(input)
    return change(input, op._zeroed.run([input]))
