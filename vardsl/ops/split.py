"""Parts of a tensor: slices and selections, and whole tensors cut into pieces, all as views."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.value import Value
from vardsl.errors import ScriptIndexError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import Int, Ints, Sizes, Tensor, composite, general, op, view
from vardsl.ops.dims import wrap_dim


@view(
    vjp=lambda g, input_like, dim, index: op._select_backward(g, input_like.shape, dim, index), batch="dims"
)
def select(input: Tensor, dim: Int, index: Int):
    """The part of the tensor at `index` of the dimension `dim`, without that dimension.

    Derivative: g in that place of zeros

    >>> select([[1., 2.], [3., 4.]], 1, 0)
    tensor([1., 3.])
    """
    if input.ndim == 0:
        raise ScriptIndexError("select() cannot be applied to a 0-dim tensor.")
    axis = wrap_dim(dim, input.ndim)
    n = input.shape[axis]
    if not -n <= index < n:
        raise ScriptIndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {axis}"
        )
    return input[(slice(None),) * axis + (index, Ellipsis)]


def _select_into(out, scratch, input, input_sizes, dim, index):
    return _placed(out, out[(slice(None),) * wrap_dim(dim, out.ndim) + (index, ...)], input)


@general(
    vjp=lambda g, dim, index: op.select(g, dim, index),
    grad_fn="SelectBackwardBackward0",
    batch="dims",
    into=_select_into,
)
def _select_backward(input: Tensor, input_sizes: Sizes, dim: Int, index: Int):
    out = np.zeros(input_sizes, input.dtype)
    out[(slice(None),) * wrap_dim(dim, out.ndim) + (index,)] = input
    return out


def _placed(out, part, input):
    """The calls that put `input` into a part of zeros."""
    return [(np.copyto, (out, np.zeros((), out.dtype))), (np.copyto, (part, input))]


def bounds(n: int, start: int | None, end: int | None) -> tuple[int, int]:
    """Where a slice of a dimension of size `n` begins and ends, as PyTorch counts."""
    a = 0 if start is None else min(max(start + n if start < 0 else start, 0), n)
    b = n if end is None else end + n if end < 0 else end
    return a, min(max(b, a), n)


def _slice_into(out, scratch, input, input_sizes, dim, start, end, step):
    axis = wrap_dim(dim, out.ndim)
    return _placed(out, out[_sliced(out.ndim, dim, out.shape[axis], start, end, step)], input)


def _slice_vjp(g, input_like, dim, start, end, step):
    return op._slice_backward(g, input_like.shape, dim, start, end, step)


def _sliced(ndim, dim, n, start, end, step):
    return (slice(None),) * wrap_dim(dim, ndim) + (slice(*bounds(n, start, end), step),)


@view(vjp=_slice_vjp, batch="dims")
def slice_(input: Tensor, dim: Int = 0, start: Int | None = None, end: Int | None = None, step: Int = 1):
    """The part of the tensor from `start` to `end` of the dimension `dim`, each `step`th.

    Derivative: g in that place of zeros

    >>> slice([1., 2., 3., 4.], 0, 1, 3)
    tensor([2., 3.])
    """
    if input.ndim == 0:
        raise ScriptIndexError("slice() cannot be applied to a 0-dim tensor.")
    if step <= 0:
        raise ScriptValueError("slice step must be positive", hint="flip reverses a tensor")
    return input[_sliced(input.ndim, dim, input.shape[wrap_dim(dim, input.ndim)], start, end, step)]


@general(
    vjp=lambda g, dim, start, end, step: op.slice(g, dim, start, end, step),
    grad_fn="SliceBackwardBackward0",
    batch="dims",
    into=_slice_into,
)
def _slice_backward(
    input: Tensor, input_sizes: Sizes, dim: Int, start: Int | None, end: Int | None, step: Int
):
    out = np.zeros(input_sizes, input.dtype)
    out[_sliced(out.ndim, dim, out.shape[wrap_dim(dim, out.ndim)], start, end, step)] = input
    return out


@composite()
def narrow(input: Tensor, dim: Int, start: Any, length: Int):
    """The `length` elements of the dimension `dim` that begin at `start`.

    >>> narrow([1., 2., 3., 4.], 0, 1, 2)
    tensor([2., 3.])
    """
    if type(input) is not Value and type(start) is int and dim >= 0:
        return input[(slice(None),) * dim + (slice(start, start + length),)]
    if type(start) is Value:
        if start.ndim or start.array.dtype.kind not in "iu":
            raise ScriptTypeError("start must be an 0-dim integral Tensor.")
        start = int(start)
    if input.ndim == 0:
        raise ShapeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise ShapeError("narrow(): length must be non-negative.")
    n = input.shape[wrap_dim(dim, input.ndim)]
    if not -n <= start <= n:
        raise ScriptIndexError(
            f"start out of range (expected to be in range of [{-n}, {n}], but got {start})"
        )
    if start < 0:
        start += n
    if start > n - length:
        raise ShapeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return op.slice.run([input, dim, start, start + length, 1])


@view(vjp=lambda g, dim: op.stack(list(g), dim), batch="dims")
def unbind(input: Tensor, dim: Int = 0):
    """The parts of the tensor along the dimension `dim`, as a tuple.

    Derivative: the parts of g stacked

    >>> unbind([[1., 2.], [3., 4.]])
    (tensor([1., 2.]), tensor([3., 4.]))
    """
    if input.ndim == 0:
        raise ScriptIndexError("Dimension specified as 0 but tensor has no dimensions")
    a = np.moveaxis(input, wrap_dim(dim, input.ndim), 0)
    return tuple([a[k, ...] for k in range(a.shape[0])])


def _pieces(input, axis, sizes):
    parts, at = [], 0
    for n in sizes:
        parts.append(input[(slice(None),) * axis + (slice(at, at + n),)])
        at += n
    return tuple(parts)


def _rejoined(g, dim):
    return op.cat(list(g), dim)


@view(vjp=_rejoined, grad_fn="SplitBackward0", batch="dims")
def _split_size(input: Tensor, split_size: Int, dim: Int = 0):
    if input.ndim == 0:
        raise ShapeError("split expects at least a 1-dimensional tensor")
    if split_size < 0:
        raise ShapeError(f"split expects split_size be non-negative, but got split_size={split_size}")
    axis = wrap_dim(dim, input.ndim)
    n = input.shape[axis]
    if split_size == 0 and n:
        raise ShapeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    count = max((n + split_size - 1) // split_size, 1) if split_size else 1
    sizes = [split_size] * (count - 1) + [n - split_size * (count - 1)]
    return _pieces(input, axis, sizes)


@view(vjp=_rejoined, batch="dims")
def split_with_sizes(input: Tensor, split_sizes: Ints, dim: Int = 0):
    """The tensor cut along `dim` into parts of the given sizes.

    Derivative: the parts of g joined

    >>> split_with_sizes([1., 2., 3.], [1, 2])
    (tensor([1.]), tensor([2., 3.]))
    """
    if input.ndim == 0:
        raise ShapeError("split expects at least a 1-dimensional tensor")
    axis = wrap_dim(dim, input.ndim)
    n = input.shape[axis]
    if any(k < 0 for k in split_sizes):
        raise ShapeError(
            "split_with_sizes expects split_sizes have only non-negative entries, but got "
            f"split_sizes={list(split_sizes)}"
        )
    if sum(split_sizes) != n:
        raise ShapeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension "
            f"{dim}), "
            f"but got split_sizes={list(split_sizes)}"
        )
    return _pieces(input, axis, split_sizes)


@composite()
def split(tensor: Tensor, split_size_or_sections: Any, dim: Int = 0):
    """The tensor cut along `dim` into parts of one size (the last may be smaller), or of the given sizes.

    >>> split([1., 2., 3.], 2)
    (tensor([1., 2.]), tensor([3.]))
    """
    if type(split_size_or_sections) in (tuple, list):
        return op.split_with_sizes(tensor, split_size_or_sections, dim)
    return op._split_size(tensor, split_size_or_sections, dim)


@composite()
def chunk(input: Tensor, chunks: Int, dim: Int = 0):
    """The tensor cut along `dim` into `chunks` parts of one size; the last may be smaller or missing.

    >>> chunk([1., 2., 3.], 2)
    (tensor([1., 2.]), tensor([3.]))
    """
    if input.ndim == 0:
        raise ShapeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise ShapeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input.shape[wrap_dim(dim, input.ndim)]
    size = (n + chunks - 1) // chunks
    if size == 0 and n == 0:
        return op.split_with_sizes(input, (0,) * chunks, dim)
    return op._split_size(input, size, dim)


@composite()
def tensor_split(input: Tensor, indices_or_sections: Any, dim: Int = 0):
    """The tensor cut along `dim` into as many parts of nearly one size, or before the given indices.

    >>> tensor_split([1., 2., 3.], (1,))
    (tensor([1.]), tensor([2., 3.]))
    """
    if input.ndim == 0:
        raise ShapeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    axis = wrap_dim(dim, input.ndim)
    where = indices_or_sections
    if type(where) is Value:
        if where.array.dtype.kind != "i" or where.array.dtype.itemsize != 8:
            raise ScriptTypeError(
                "tensor_split expected tensor_indices_or_sections to have dtype of long, but got "
                f"{where.dtype.type_name}"
            )
        if where.ndim > 1:
            raise ShapeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or "
                "one-dimensional tensor, "
                f"but got a tensor with {where.ndim} dims"
            )
        where = where.tolist()
    n = input.shape[axis]
    if type(where) not in (int, list, tuple):
        raise ScriptTypeError(
            "tensor_split() received an invalid combination of arguments - got (Tensor, "
            f"{type(where).__name__}), but expected one of:\n * (Tensor input, tuple of ints indices, int "
            "dim = 0)"
        )
    if type(where) is int:
        if where <= 0:
            raise ShapeError(f"number of sections must be larger than 0, got {where}")
        small, more = divmod(n, where)
        ends = [k * small + min(k, more) for k in range(1, where + 1)]
    else:
        ends = [int(k) for k in where] + [n]
    parts, at = [], 0
    for end in ends:
        parts.append(op.slice.run([input, axis, at, end, 1]))
        at = end
    return tuple(parts)


def _stacked_split(name, input, where, axis, least):
    if input.ndim < least:
        raise ShapeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a "
            f"tensor with {input.ndim} dimensions!"
        )
    n = input.shape[axis]
    if type(where) is not int and type(where) not in (list, tuple, Value):
        raise ScriptTypeError(
            f"{name}() received an invalid combination of arguments - got (Tensor, {type(where).__name__}), "
            "but "
            f"expected one of:\n * (Tensor input, int sections)"
        )
    if type(where) is int and (where <= 0 or n % where):
        raise ShapeError(
            f"torch.{name} attempted to split along dimension {axis}, but the size of the dimension {n} is "
            "not "
            f"divisible by the split_size {where}!"
        )
    return op.tensor_split(input, where, axis)


@composite()
def hsplit(input: Tensor, indices_or_sections: Any):
    """The tensor cut along its second dimension, a vector along its only one.

    >>> hsplit([1., 2., 3., 4.], 2)
    (tensor([1., 2.]), tensor([3., 4.]))
    """
    return _stacked_split("hsplit", input, indices_or_sections, 0 if input.ndim == 1 else 1, 1)


@composite()
def vsplit(input: Tensor, indices_or_sections: Any):
    """The tensor cut along its first dimension.

    >>> vsplit([[1., 2.], [3., 4.]], 2)
    (tensor([[1., 2.]]), tensor([[3., 4.]]))
    """
    return _stacked_split("vsplit", input, indices_or_sections, 0, 2)


@composite()
def dsplit(input: Tensor, indices_or_sections: Any):
    """The tensor cut along its third dimension.

    >>> dsplit([[[1., 2.]]], 2)
    (tensor([[[1.]]]), tensor([[[2.]]]))
    """
    return _stacked_split("dsplit", input, indices_or_sections, 2, 3)
