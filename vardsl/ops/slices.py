"""Whole slices picked, put, added and reduced at a vector of places."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP
from vardsl.engine.value import Value
from vardsl.errors import ScriptIndexError, ScriptTypeError, ShapeError
from vardsl.ops.define import (
    Bool,
    Index,
    Int,
    Sizes,
    Str,
    Tensor,
    composite,
    general,
    op,
)
from vardsl.ops.dims import wrap_dim
from vardsl.ops.gather import Places, check_reduce, one, reduce_vjp, reduced_at, start
from vardsl.ops.indexing import add_at, onto_zeros


# ---- whole slices at a vector of places
# ---------------------------------------------------------------------------
def slices(index: Any, axis: int) -> tuple[Any, ...]:
    """NumPy's index for the slices that a vector names along `axis`."""
    return (slice(None),) * axis + (one(index),)


def _index_error(n: int, index: Any, name: str) -> None:
    wrong = one(index)[(one(index) < 0) | (one(index) >= n)]
    if wrong.size:
        raise ScriptIndexError(
            "index out of range in self" if name == "index_select" else f"index out of range in {name}"
        )


def _check_vector(name: str, input: Any, dim: int, index: Any) -> int:
    axis = wrap_dim(dim, input.ndim)
    if index.dtype.kind != "i" or index.dtype.itemsize < 4:
        raise ScriptIndexError(f"{name}(): Expected dtype int32 or int64 for index")
    if index.ndim > 1:
        raise ShapeError(f"{name}(): Index is supposed to be a vector")
    return axis


def _named_dtype(a: Any) -> str:
    return BY_NP[a.dtype].type_name


def _check_added(name: str, input: Any, dim: int, index: Any, source: Any) -> int:
    """What index_add_ and index_reduce_ ask of their arguments."""
    axis = wrap_dim(dim, input.ndim)
    if index.dtype.kind != "i" or index.dtype.itemsize < 4:
        raise ScriptIndexError(
            f"{name}(): Expected dtype int32/int64 for index but got: {_named_dtype(index)}"
        )
    if source.dtype != input.dtype:
        raise ScriptTypeError(
            f"{name}(): self ({_named_dtype(input)}) and source ({_named_dtype(source)}) must have the same "
            "scalar type"
        )
    if index.ndim > 1:
        raise ShapeError(
            f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim} with type: "
            f"{_named_dtype(index)} "
            f"and size: {list(index.shape)}"
        )
    n = one(index).shape[0]
    if input.ndim and source.ndim > axis and source.shape[axis] != n:
        raise ShapeError(
            f"{name}(): Number of indices ({n}) should be equal to source.size(dim): ({source.shape[axis]}), "
            "for "
            f"dim: {axis}"
        )
    a, b = list(input.shape), list(source.shape)
    del a[axis : axis + 1], b[axis : axis + 1]
    if a != b or input.ndim != source.ndim:
        raise ShapeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. Got "
            f"self.shape = {list(input.shape)} source.shape = {list(source.shape)}"
        )
    if not input.ndim and index.ndim and n != 1:
        raise ScriptIndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return axis


def _check_copied(input: Any, dim: int, index: Any, source: Any) -> int:
    """What index_copy_ asks of its arguments."""
    axis = wrap_dim(dim, input.ndim)
    n = one(index).shape[0]
    if index.ndim > 1:
        raise ScriptIndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {index.ndim})")
    if source.ndim == 0 and n != 1:
        raise ScriptIndexError(
            f"index_copy_(): When source is scalar, index should have one element (got {n})"
        )
    if source.ndim and input.ndim and source.ndim != input.ndim:
        raise ScriptIndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. "
            "Source "
            f"dimensionality ({source.ndim}), destination dimensionality ({input.ndim})"
        )
    if index.dtype != np.int64:
        raise ScriptIndexError(
            f"index_copy_(): Expected a long tensor for index, but got {_named_dtype(index)}"
        )
    if source.dtype != input.dtype:
        raise ScriptTypeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{_named_dtype(input)} and (source) {_named_dtype(source)}"
        )
    a, b = list(input.shape), list(source.shape)
    del a[axis : axis + 1], b[axis : axis + 1]
    if a != b:
        spelled = [", ".join(map(str, s)) for s in (a, b)]
        raise ShapeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: "
            f"{spelled[0]} at dimension {axis} and source slice shape: {spelled[1]} at dimension 0."
        )
    if source.ndim and source.shape[axis] != n:
        raise ScriptIndexError(
            f"index_copy_(): Number of indices ({n}) should be equal to source.size(dim) "
            f"({source.shape[axis]})"
        )
    size = one(input).shape[axis]
    wild = one(index)[(one(index) < 0) | (one(index) >= size)]
    if wild.size:
        raise ScriptIndexError(
            f"index_copy_(): index {wild[0]} is out of bounds for dimension {axis} with size {size}"
        )
    return axis


@general(
    vjp={"input": lambda g, input_like, dim, index: op._index_sum(g, dim, index, input_like.shape)},
    batch="one dims",
)
def index_select(input: Tensor, dim: Int, index: Index):
    """The slices of the tensor that the vector `index` names along `dim`.

    Derivative: g added to where each slice came from

    >>> index_select([[1., 2.], [3., 4.]], 1, [1])
    tensor([[2.],
            [4.]])
    """
    axis = _check_vector("index_select", input, dim, index)
    if not input.ndim:
        if one(index).shape[0] != 1:
            raise ShapeError("index_select(): Index to scalar can have only 1 value, got "
                             f"{one(index).shape[0]} value(s)")  # fmt: skip
        _index_error(1, index, "index_select")
        return np.array(input)
    _index_error(input.shape[axis], index, "index_select")
    return input.take(one(index), axis)


def _add_slices(out, input, dim, index, sizes):
    add_at(out if out.ndim else out.reshape(1), slices(index, wrap_dim(dim, len(sizes))), one(input))


@general(
    vjp={"input": lambda g, dim, index: op.index_select(g, dim, index)},
    grad_fn="IndexAddBackward0",
    batch="one dims",
    into=onto_zeros(_add_slices),
)
def _index_sum(input: Tensor, dim: Int, index: Index, sizes: Sizes):
    out = np.zeros(sizes, input.dtype)
    _add_slices(out, input, dim, index, sizes)
    return out


def _like_shape(x, like):
    return op.reshape(x, like.shape) if x.shape != like.shape else x


@general(
    vjp={
        "input": lambda g: g,
        "source": lambda g, dim, index, alpha, source_like: (
            _like_shape(op.index_select(g, dim, index), source_like) * alpha
        ),
    },
    inplace=True,
)
def index_add(input: Tensor, dim: Int, index: Index, source: Tensor, *, alpha: Any = 1):
    """The tensor with `alpha` times the slices of `source` added at the places `index` along `dim`.

    Value: input, with alpha source added at index
    Derivative: g; alpha g at index

    >>> index_add(zeros(3), 0, [0, 0], tensor([1., 2.]))
    tensor([3., 0., 0.])
    """
    axis = _check_added("index_add_", input, dim, index, source)
    _index_error(one(input).shape[axis], index, "self")
    out, target = start(input)
    scaled = source if alpha == 1 else np.multiply(source, np.asarray(alpha).astype(input.dtype))
    np.add.at(target, slices(index, axis), one(scaled))
    return out


@general(
    vjp={
        "input": lambda g, dim, index: op._index_fill_number(g, dim, index, 0),
        "source": lambda g, dim, index, source_like: _like_shape(op.index_select(g, dim, index), source_like),
    },
    inplace=True,
)
def index_copy(input: Tensor, dim: Int, index: Index, source: Tensor):
    """The tensor with the slices of `source` put at the places `index` along `dim`.

    Derivative: g with zeros at index; g at index

    >>> index_copy(zeros(3), 0, [2, 0], tensor([1., 2.]))
    tensor([2., 0., 1.])
    """
    axis = _check_copied(input, dim, index, source)
    out, target = start(input)
    target[slices(index, axis)] = one(source)
    return out


@general(
    vjp={"input": lambda g, dim, index: op._index_fill_number(g, dim, index, 0)},
    grad_fn="IndexFillBackward0",
    batch="one dims",
)
def _index_fill_number(input: Tensor, dim: Int, index: Index, value: Any):
    return _filled(input, dim, index, value)


@general(
    vjp={
        "input": lambda g, dim, index: op._index_fill_number(g, dim, index, 0),
        "value": lambda g, dim, index: op.sum(op.index_select(g, dim, op.unique(index))),
    },
    grad_fn="IndexFillBackward1",
)
def _index_fill_tensor(input: Tensor, dim: Int, index: Index, value: Tensor):
    return _filled(input, dim, index, value)


def _filled(input: Any, dim: int, index: Any, value: Any) -> Any:
    if index.dtype.kind != "i" or index.dtype.itemsize < 4:
        raise ScriptIndexError("index_fill_(): Expected dtype int64 for index.")
    axis = wrap_dim(dim, input.ndim)
    if index.ndim > 1:
        raise ShapeError("Index has to be a vector/scalar")
    out, target = start(input)
    n = target.shape[axis]
    wrong = one(index)[(one(index) < -n) | (one(index) >= n)]
    if wrong.size:
        raise ScriptIndexError(f"index {wrong[0]} is out of bounds for dimension {axis} with size {n}")
    target[slices(index, axis)] = value
    return out


@composite(inplace=True)
def index_fill(input: Tensor, dim: Int, index: Index, value: Any):
    """The tensor with one number at the slices that `index` names along `dim`.

    >>> index_fill(zeros(3), 0, [0, 2], 5)
    tensor([5., 0., 5.])
    """
    if type(value) is Value:
        if value.ndim:
            raise ShapeError(
                "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
        return op._index_fill_tensor(input, dim, index, value)
    return op._index_fill_number(input, dim, index, value)


def _index_reduce_vjp(g, input, dim, index, source, y, reduce, include_self, needs):
    at = Places(
        lambda x: op.index_select(x, dim, index),
        lambda x, s: op.index_add(x, dim, index, s),
        lambda x: op._index_fill_number(x, dim, index, 0),
        lambda x, s: op.index_reduce(x, dim, index, s, reduce, include_self=include_self),
    )
    return reduce_vjp(at, g, input, source, y, reduce, include_self, needs)


@general(shared=_index_reduce_vjp, inplace=True)
def index_reduce(
    input: Tensor, dim: Int, index: Index, source: Tensor, reduce: Str, *, include_self: Bool = True
):
    """The tensor with the slices of `source` reduced into the places `index` along `dim`.

    `reduce` is "prod", "mean", "amax" or "amin"; without `include_self` what was there does not count.

    Derivative: by the kind of reduction: shares of g for amax and amin, quotients of the product, g over
    the count for mean

    >>> index_reduce(ones(2), 0, [0, 0], tensor([3., 5.]), "prod")
    tensor([15.,  1.])
    """
    axis = _check_added("index_reduce_", input, dim, index, source)
    check_reduce("index_reduce", reduce, ("prod", "mean", "amax", "amin"))
    _index_error(one(input).shape[axis], index, "self")
    return reduced_at(input, slices(index, axis), one(source), reduce, include_self)
