"""Elements chosen by a mask or by their place among all elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP
from vardsl.engine.value import Value
from vardsl.errors import ScriptIndexError, ScriptTypeError, ShapeError
from vardsl.ops.broadcast import broadcast_shape
from vardsl.ops.define import Bool, Index, Int, Sizes, Tensor, composite, general, op
from vardsl.ops.dims import as_like, dtype_of, wrap_dim
from vardsl.ops.indexing import add_at, onto_zeros


# ---- filling -----------------------------------------------------------------------------------------------
def _filled(input: Any, mask: Any, value: Any) -> Any:
    if mask.dtype.kind != "b":
        raise ScriptTypeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {_c_name(mask)}"
        )
    shape = broadcast_shape([mask.shape, input.shape])
    out = np.array(np.broadcast_to(input, shape), order="C")
    np.copyto(out, np.asarray(value).astype(out.dtype), where=mask)
    return out


def _c_name(a: Any) -> str:
    """What the language that PyTorch is written in calls the dtype."""
    integers = {8: "long int", 4: "int", 2: "short int", 1: "signed char"}
    kinds = {"f": {4: "float", 8: "double"}, "u": {1: "unsigned char"}, "i": integers}
    return kinds[a.dtype.kind][a.dtype.itemsize]


def _unfilled(g, mask, input_like):
    return op.sum_to_size(op._fill_number_at(g, mask, 0), input_like.shape)


@general(vjp={"input": _unfilled}, grad_fn="MaskedFillBackward0", batch="pointwise")
def _fill_number_at(input: Tensor, mask: Index, value: Any):
    return _filled(input, mask, value)


@general(
    vjp={
        "input": _unfilled,
        "value": lambda g, mask, value_like: as_like(op.sum(op.where(mask, g, op.zeros_like(g))), value_like),
    },
    grad_fn="MaskedFillBackward1",
)
def _fill_tensor_at(input: Tensor, mask: Index, value: Tensor):
    return _filled(input, mask, value)


@composite(inplace=True)
def masked_fill(input: Tensor, mask: Index, value: Any):
    """The tensor with one number wherever the mask is true.

    >>> masked_fill([1., 2.], [true, false], 0)
    tensor([0., 2.])
    """
    if type(value) is Value or isinstance(value, np.ndarray):
        if value.ndim:
            raise ShapeError(
                "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
        return op._fill_tensor_at.run([input, mask, value])
    return op._fill_number_at.run([input, mask, value])


# ---- choosing ----------------------------------------------------------------------------------------------
def _select_vjp(g, input_like, mask):
    shape = broadcast_shape([input_like.shape, mask.shape])
    return op.sum_to_size(op._put_masked(g, mask, shape), input_like.shape)


@general(vjp={"input": _select_vjp})
def masked_select(input: Tensor, mask: Index):
    """The elements where the mask is true, in one dimension.

    Derivative: g at the places where the mask is true

    >>> masked_select([1., 2., 3.], [true, false, true])
    tensor([1., 3.])
    """
    if mask.dtype.kind != "b":
        raise ScriptTypeError("masked_select: expected BoolTensor for mask")
    shape = broadcast_shape([mask.shape, input.shape])
    return np.broadcast_to(input, shape)[np.broadcast_to(mask, shape)].reshape(-1)


def _put_where(out, input, mask, sizes):
    out[np.broadcast_to(mask, sizes)] = input


@general(
    vjp={"input": lambda g, mask: op.masked_select(g, mask)},
    grad_fn="MaskedScatterBackward0",
    into=onto_zeros(_put_where),
)
def _put_masked(input: Tensor, mask: Index, sizes: Sizes):
    """Zeros with the elements of a vector where the mask is true."""
    out = np.zeros(sizes, input.dtype)
    _put_where(out, input, mask, sizes)
    return out


def _scatter_source_vjp(g, mask, source_like):
    chosen = op.masked_select(g, mask)
    rest = source_like.size - chosen.shape[0]
    if rest:
        chosen = op.cat(
            [chosen, op.zeros((rest,), dtype=dtype_of(g)) if type(g) is Value else np.zeros(rest, g.dtype)]
        )
    return op.reshape(chosen, source_like.shape)


@general(vjp={"input": _unfilled, "source": _scatter_source_vjp}, inplace=True)
def masked_scatter(input: Tensor, mask: Index, source: Tensor):
    """The tensor with the elements of `source`, one after the other, where the mask is true.

    Derivative: g with zeros where the mask is true; g where it is true

    >>> masked_scatter(zeros(3), [true, false, true], tensor([5., 6.]))
    tensor([5., 0., 6.])
    """
    if source.dtype != input.dtype:
        raise ScriptTypeError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{BY_NP[input.dtype].type_name} and {BY_NP[source.dtype].type_name}"
        )
    if mask.dtype.kind != "b":
        raise ScriptTypeError(
            "masked_scatter_ only supports boolean masks, but got mask with dtype "
            f"{BY_NP[mask.dtype].type_name}"
        )
    shape = broadcast_shape([input.shape, mask.shape])
    out = np.array(np.broadcast_to(input, shape), order="C")
    where = np.broadcast_to(mask, shape)
    count = int(np.count_nonzero(where))
    if count > source.size:
        raise ShapeError("Number of elements of source < number of ones in mask")
    out[where] = source.reshape(-1)[:count]
    return out


# ---- places among all elements -----------------------------------------------------------------------------
def _check_flat(name: str, index: Any, size: int) -> None:
    if index.dtype != np.int64:
        raise ScriptIndexError(
            f"{name}(): Expected a long tensor for index, but got {BY_NP[index.dtype].type_name}"
        )
    flat = index.reshape(-1)
    wrong = flat[(flat < -size) | (flat >= size)]
    if size == 0 and index.size:
        raise ScriptIndexError(f"{name}(): tried to {name} from an empty tensor" if name == "take"
                               else "put_(): Tried to put elements into an empty tensor")  # fmt: skip
    if wrong.size:
        raise ScriptIndexError(
            f"out of range: tried to access index {wrong[0]} on a tensor of {size} elements."
        )


def _take_vjp(g, input_like, index):
    return op._put_sum(g, index, input_like.shape)


@general(vjp={"input": _take_vjp})
def take(input: Tensor, index: Index):
    """The elements at the places `index` among all elements.

    Value: y[i] = input.flatten()[index[i]]
    Derivative: g added to where each element came from

    >>> take([[1., 2.], [3., 4.]], [0, 3])
    tensor([1., 4.])
    """
    _check_flat("take", index, input.size)
    return input.reshape(-1)[index] if index.size else np.empty(index.shape, input.dtype)


def _add_flat(out, input, index, sizes):
    add_at(out.reshape(-1), (index.reshape(-1),), np.asarray(input).reshape(-1))


@general(
    vjp={"input": lambda g, index: op.take(g, index)}, grad_fn="PutBackward0", into=onto_zeros(_add_flat)
)
def _put_sum(input: Tensor, index: Index, sizes: Sizes):
    out = np.zeros(sizes, input.dtype)
    _add_flat(out, input, index, sizes)
    return out


def _put_input_vjp(g, index, accumulate):
    return g if accumulate else op._put_number(g, index, 0)


@general(vjp={"input": _put_input_vjp, "source": lambda g, index, source_like: op.reshape(op.take(g, index),
                                                                                         source_like.shape)},
         inplace=True)  # fmt: skip
def put(input: Tensor, index: Index, source: Tensor, accumulate: Bool = False):
    """The tensor with the elements of `source` at the places `index` among all elements.

    With `accumulate` they are added to what is there.

    Derivative: g with zeros at index; g at index

    >>> put([1., 2., 3.], [0, 2], tensor([5., 6.]))
    tensor([5., 2., 6.])
    """
    if index.dtype != np.int64:
        raise ScriptIndexError(
            f"put_(): Expected a long tensor for index, but got {BY_NP[index.dtype].type_name}"
        )
    if source.dtype != input.dtype:
        raise ScriptTypeError(
            f"put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{BY_NP[input.dtype].type_name} and source.dtype = {BY_NP[source.dtype].type_name}"
        )
    if index.size != source.size:
        raise ShapeError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source.size}, index.numel() = {index.size}"
        )
    _check_flat("put_", index, input.size)
    out = np.array(input, order="C")
    flat, where, values = out.reshape(-1), index.reshape(-1), source.reshape(-1)
    if accumulate:
        np.add.at(flat, where, values)
    else:
        flat[where] = values
    return out


@general(vjp={"input": lambda g, index: op._put_number(g, index, 0)})
def _put_number(input: Tensor, index: Index, value: Any):
    out = np.array(input, order="C")
    out.reshape(-1)[index.reshape(-1)] = value
    return out


@composite()
def take_along_dim(input: Tensor, indices: Index, dim: Int | None = None):
    """The elements at `indices` along `dim`; without `dim`, among all. The other dimensions broadcast.

    >>> take_along_dim([[3., 1.], [2., 4.]], [[1], [0]], 1)
    tensor([[1.],
            [2.]])
    """
    if dtype_of(indices) != np.int64:
        name = BY_NP[dtype_of(indices)].type_name
        raise ScriptIndexError(f"torch.take_along_dim(): dtype of indices should be Long but got {name}")
    if dim is None:
        return op.gather(op.view(op.contiguous(input), (-1,)), 0, op.view(op.contiguous(indices), (-1,)))
    if input.ndim != indices.ndim:
        raise ShapeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    axis = wrap_dim(dim, input.ndim)
    a, b = list(input.shape), list(indices.shape)
    if input.ndim:
        a[axis] = b[axis] = 1
        # places count round and round
        n = input.shape[axis]
        indices = op.remainder(indices, n) if n else indices
    full = list(broadcast_shape([tuple(a), tuple(b)]))
    sizes, places = list(full), list(full)
    if input.ndim:
        sizes[axis], places[axis] = input.shape[axis], indices.shape[axis]
    return op.gather(op.expand(input, tuple(sizes)), dim, op.expand(indices, tuple(places)))
