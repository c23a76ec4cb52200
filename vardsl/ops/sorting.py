"""Order: sorting, the largest few, distinct elements, and places in sorted sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP, i8
from vardsl.engine.value import Value
from vardsl.errors import ScriptIndexError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import (
    Bool,
    Index,
    Int,
    NotImplementedRule,
    Str,
    Tensor,
    composite,
    general,
    nondiff,
    op,
)  # fmt: skip
from vardsl.ops.dims import wrap_dim
from vardsl.ops.order import order


def _sorted(input: Any, dim: int, descending: bool) -> tuple[Any, Any]:
    axis = wrap_dim(dim, input.ndim)
    if not input.ndim:
        return np.array(input), np.zeros((), i8)
    k = order(input, axis, descending)
    return np.take_along_axis(input, k, axis), k


def _picked_vjp(g, y, input_like, dim):
    return op._spread_selected(g[0], y[1], dim, True, input_like.shape)


@general(vjp=_picked_vjp, fields="values indices", grad_fn="SortBackward0")
def _sort(input: Tensor, dim: Int, descending: Bool):
    return _sorted(input, dim, descending)


@general(vjp=_picked_vjp, fields="values indices", grad_fn="SortBackward1")
def _sort_stable(input: Tensor, dim: Int, descending: Bool):
    return _sorted(input, dim, descending)


@composite()
def sort(input: Tensor, dim: Int = -1, descending: Bool = False, *, stable: Bool | None = None):
    """The elements in order along a dimension, and where they came from. Equal elements keep their order.

    >>> sort([3., 1., 2.]).values
    tensor([1., 2., 3.])
    """
    return (op._sort if stable is None else op._sort_stable)(input, dim, descending)


@composite()
def msort(input: Tensor):
    """The elements in order along the first dimension.

    >>> msort([3., 1., 2.])
    tensor([1., 2., 3.])
    """
    return op._sort(input, 0, False)[0]


@nondiff()
def argsort(input: Tensor, dim: Int = -1, descending: Bool = False, *, stable: Bool = False):
    """The places of the elements in order along a dimension.

    >>> argsort([3., 1., 2.])
    tensor([1, 2, 0])
    """
    return _sorted(input, dim, descending)[1]


@general(vjp=_picked_vjp, fields="values indices")
def topk(input: Tensor, k: Int, dim: Int = -1, largest: Bool = True, sorted: Bool = True):
    """The `k` largest (or smallest) elements along a dimension, and where they are.

    Derivative: g at the places of those elements

    >>> topk([3., 1., 2.], 2).values
    tensor([3., 2.])
    """
    axis = wrap_dim(dim, input.ndim)
    n = input.shape[axis] if input.ndim else 1
    if not 0 <= k <= n:
        raise ScriptIndexError("selected index k out of range")
    if not input.ndim:
        return np.array(input), np.zeros((), i8)
    at = order(input, axis, largest, k)
    return np.take_along_axis(input, at, axis), at


# ---- distinct elements -------------------------------------------------------------------------------------
def _no(name: str) -> NotImplementedRule:
    return NotImplementedRule(f"the derivative for '{name}' is not implemented.")


@general(vjp={"input": _no("_unique2")}, grad_fn="Unique2Backward0")
def _unique_all(input: Tensor):
    return np.unique(input, return_inverse=True, return_counts=True, equal_nan=False)[:3]


@general(vjp={"input": _no("unique_dim")}, grad_fn="UniqueDimBackward0")
def _unique_dim(input: Tensor, dim: Int):
    axis = wrap_dim(dim, input.ndim)
    if not input.size and input.shape[axis] and 0 in input.shape:
        raise ShapeError(
            "There are 0 sized dimensions, and they aren't selected by `dim`, so unique cannot be applied"
        )
    if not input.ndim:
        return np.array(input).reshape(1), np.zeros(1, i8), np.ones(1, i8)
    y, inverse, counts = np.unique(input, return_inverse=True, return_counts=True, axis=axis)
    return y, inverse.reshape(-1), counts


def _runs(input: Any, dim: int | None) -> tuple[Any, Any, Any]:
    a = np.asarray(input)
    if dim is None or not a.ndim:
        flat = a.reshape(-1)
        new = flat[1:] != flat[:-1]
    else:
        axis = wrap_dim(dim, a.ndim)
        flat = np.moveaxis(a, axis, 0)
        if not len(flat):
            return a, np.zeros(0, i8), np.zeros(0, i8)
        rows = flat.reshape(flat.shape[0], -1)
        new = (rows[1:] != rows[:-1]).any(1)
    first = np.flatnonzero(np.concatenate([np.ones(min(len(flat), 1), bool), new]))
    counts = np.diff(np.append(first, len(flat)))
    inverse = np.repeat(np.arange(len(first)), counts)
    if dim is None:
        return flat[first], inverse.reshape(a.shape), counts
    return (np.moveaxis(flat[first], 0, axis) if a.ndim else flat[first]), inverse, counts


@general(vjp={"input": _no("unique_consecutive")}, grad_fn="UniqueConsecutiveBackward0")
def _unique_runs(input: Tensor, dim: Int | None):
    return _runs(input, dim)


def _chosen(parts: Any, return_inverse: bool, return_counts: bool) -> Any:
    found = [parts[0]]
    if return_inverse:
        found.append(parts[1])
    if return_counts:
        found.append(parts[2])
    return found[0] if len(found) == 1 else tuple(found)


@composite()
def unique(
    input: Tensor,
    sorted: Bool = True,
    return_inverse: Bool = False,
    return_counts: Bool = False,
    dim: Int | None = None,
):
    """The distinct elements (or slices along `dim`) in order, with where each went and how many there were.

    >>> unique([2, 1, 2])
    tensor([1, 2])
    """
    parts = op._unique_all(input) if dim is None else op._unique_dim(input, dim)
    return _chosen(parts, return_inverse, return_counts)


@composite()
def unique_consecutive(
    input: Tensor, return_inverse: Bool = False, return_counts: Bool = False, dim: Int | None = None
):
    """The first of each run of equal elements (or slices along `dim`).

    >>> unique_consecutive([1, 1, 2, 1])
    tensor([1, 2, 1])
    """
    return _chosen(op._unique_runs(input, dim), return_inverse, return_counts)


# ---- places in sorted sequences ----------------------------------------------------------------------------
def _places(sequence: Any, values: Any, right: bool, out_int32: bool) -> Any:
    side = "right" if right else "left"
    of = np.int32 if out_int32 else np.int64
    v = np.asarray(values)
    if sequence.ndim == 1 and not _has_nan(sequence, v):
        return np.searchsorted(sequence, v, side).astype(of)
    # all values at once, and step by step as PyTorch halves the range: what NaN makes of it shows
    low, high = np.zeros(v.shape, i8), np.full(v.shape, sequence.shape[-1])
    while (low < high).any():
        middle = low + (high - low) // 2
        at = np.minimum(middle, sequence.shape[-1] - 1)
        there = sequence[at] if sequence.ndim == 1 else np.take_along_axis(sequence, at, -1)
        later = (low < high) & (~(there > v) if right else ~(there >= v))
        high = np.where((low < high) & ~later, middle, high)
        low = np.where(later, middle + 1, low)
    return low.astype(of)


def _has_nan(*arrays: Any) -> bool:
    return any(a.dtype.kind == "f" and np.isnan(a).any() for a in arrays)


def _value_array(name: str, x: Any, sequence: Any) -> Any:
    if isinstance(x, (int, float)):
        return np.asarray(x, sequence.dtype if sequence.dtype.kind == "f" or isinstance(x, int) else None)
    return x


@nondiff()
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: Bool = False,
    right: Bool = False,
    side: Str | None = None,
    sorter: Index | None = None,
):
    """Where each value goes in the sorted last dimension, before equal elements or (`right`) after them.

    >>> searchsorted([1., 3., 5.], [2., 3.])
    tensor([1, 1])
    """
    values = input.array if type(input) is Value else input
    if side is not None and side not in ("left", "right"):
        raise ScriptValueError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise ScriptValueError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left "
            "while right was True"
        )
    sequence = np.asarray(sorted_sequence)
    _check_search(sequence, values, sorter)
    if sorter is not None:
        sequence = np.take_along_axis(sequence, sorter, -1)
    return _places(
        sequence, _value_array("searchsorted", values, sequence), right or side == "right", out_int32
    )


def _check_search(sequence: Any, values: Any, sorter: Any) -> None:
    if isinstance(values, (int, float)):
        if sequence.ndim != 1:
            raise ShapeError(
                "torch.searchsorted(): input value can be a scalar only when boundaries tensor dimension is "
                "1, but we "
                f"got boundaries tensor dim({sequence.ndim}) and input value's dim(0) numel(1)"
            )
        return
    if sorter is not None:
        if sorter.shape != sequence.shape:
            raise ShapeError(
                "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor "
                f"{list(sequence.shape)}and got sorter tensor {list(sorter.shape)}"
            )
        if sorter.dtype != np.int64:
            raise ScriptTypeError(
                "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype "
                f"{BY_NP[sorter.dtype].type_name}"
            )
        if sorter.size and (sorter.min() < 0 or sorter.max() >= sequence.shape[-1]):
            raise ScriptIndexError("torch.searchsorted(): sorter index out of range")
    if sequence.ndim == 0 or (values.ndim == 0 and sequence.ndim != 1):
        raise ShapeError(
            "torch.searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, "
            "but we got "
            f"boundaries tensor dim({sequence.ndim}) and input value's dim({values.ndim}) "
            f"numel({values.size})"
        )
    if sequence.ndim != 1 and sequence.shape[:-1] != values.shape[:-1]:
        raise ShapeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of "
            "boundaries "
            f"tensor and input value tensor must match, but we got boundaries tensor {list(sequence.shape)} "
            "and input "
            f"value tensor {list(values.shape)}"
        )


@nondiff()
def bucketize(input: Any, boundaries: Tensor, *, out_int32: Bool = False, right: Bool = False):
    """The bucket of each value between sorted boundaries.

    >>> bucketize([0., 2., 4.], [1., 3.])
    tensor([0, 1, 2])
    """
    values = input.array if type(input) is Value else input
    if boundaries.ndim != 1:
        raise ShapeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return _places(boundaries, _value_array("bucketize", values, boundaries), right, out_int32)


@nondiff()
def argwhere(input: Tensor):
    """The places of the elements that are not zero, one in each row.

    >>> argwhere([0., 2., 3.])
    tensor([[1],
            [2]])
    """
    return np.argwhere(input)


@nondiff()
def nonzero(input: Tensor, *, as_tuple: Bool = False):
    """The places of the elements that are not zero: one in each row, or a tensor for each dimension.

    >>> nonzero([0., 2., 3.])
    tensor([[1],
            [2]])
    """
    if as_tuple:
        return tuple(np.nonzero(np.asarray(input).reshape(1) if not input.ndim else input))
    return np.argwhere(input)
