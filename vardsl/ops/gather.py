"""Elements picked, put, added and reduced at places that an index tensor along one dimension names."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.inplace import change, check_may_change
from vardsl.engine.value import Value
from vardsl.errors import ScriptIndexError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import (
    Bool,
    Index,
    Int,
    NotImplementedRule,
    Sizes,
    Str,
    Tensor,
    composite,
    general,
    inplace_op,
    op,
)
from vardsl.ops.dims import wrap_dim
from vardsl.ops.indexing import add_at, onto_zeros


# ---- where an index tensor points --------------------------------------------------------------------------
def one(a: Any) -> Any:
    """A 0-d array as a vector of one element."""
    return a if a.ndim else np.asarray(a).reshape(1)


def _check(name: str, input: Any, dim: int, index: Any, src: Any = None) -> int:
    axis = wrap_dim(dim, input.ndim)
    if index.size == 0:
        return axis
    if index.dtype.kind != "i" or index.dtype.itemsize < 4:
        raise ScriptIndexError(f"{name}(): Expected dtype int32/int64 for index")
    if max(index.ndim, 1) != max(input.ndim, 1):
        other = "input" if name == "gather" else "self"
        raise ShapeError(f"Index tensor must have the same number of dimensions as {other} tensor")
    if src is not None and max(src.ndim, 1) != max(index.ndim, 1):
        raise ShapeError("Index tensor must have the same number of dimensions as src tensor")
    a, b = one(input).shape, one(index).shape
    wrong = any(k != axis and b[k] > n for k, n in enumerate(a))
    short = src is not None and any(b[k] > n for k, n in enumerate(one(src).shape))
    if name == "gather":
        for k, n in enumerate(a):
            if k != axis and b[k] > n:
                raise ShapeError(
                    f"Size does not match at dimension {k} expected index {list(b)} to be no larger than "
                    "self "
                    f"{list(a)} apart from dimension {axis}"
                )
    elif wrong or short:
        also = f" and to be no larger size than src {list(src.shape)}" if src is not None else ""
        raise ShapeError(
            f"Expected index {list(index.shape)} to be no larger than self {list(input.shape)} apart from "
            "dimension "
            f"{axis}{also}"
        )
    wild = one(index)[(one(index) < 0) | (one(index) >= a[axis])]
    if wild.size:
        raise ScriptIndexError(f"index {wild[0]} is out of bounds for dimension {axis} with size {a[axis]}")
    return axis


def places(index: Any, axis: int) -> tuple[Any, ...]:
    """NumPy's index for the places to which an index along `axis` points."""
    index = one(index)
    grid = [
        np.arange(n).reshape([-1 if j == k else 1 for j in range(index.ndim)])
        for k, n in enumerate(index.shape)
    ]
    return tuple([index if k == axis else g for k, g in enumerate(grid)])


def _part(src: Any, index: Any) -> Any:
    """The part of a source that an index of possibly smaller shape uses."""
    index, src = one(index), one(src)
    return src if src.shape == index.shape else src[tuple([slice(n) for n in index.shape])]


def start(input: Any) -> Any:
    """A copy of the input that is written into, and a view of it with at least one dimension."""
    out = np.array(input, order="C")
    return out, out.reshape(1) if not out.ndim else out


# ---- gather and scatter ------------------------------------------------------------------------------------
def _gather_vjp(g, input_like, dim, index):
    return op._scatter_sum(g, dim, index, input_like.shape)


@general(vjp={"input": _gather_vjp}, batch="dims")
def gather(input: Tensor, dim: Int, index: Index, *, sparse_grad: Bool = False):
    """The elements at the places that `index` names along `dim`: y[i, j] = x[index[i, j], j] for `dim=0`.

    Value: y[i] = input[index[i]] along dim
    Derivative: g added to where each element came from

    >>> gather([[1., 2.], [3., 4.]], 1, [[0], [1]])
    tensor([[1.],
            [4.]])
    """
    axis = _check("gather", input, dim, index)
    if index.size == 0:
        return np.empty(index.shape, input.dtype)
    return one(input)[places(index, axis)].reshape(index.shape)


def _scatter_onto(out, input, dim, index, sizes):
    if index.size:
        target = out if out.ndim else out.reshape(1)
        add_at(target, places(index, wrap_dim(dim, len(sizes))), _part(input, index))


@general(
    vjp={"input": lambda g, dim, index: op.gather(g, dim, index)},
    grad_fn="ScatterAddBackward0",
    batch="dims",
    into=onto_zeros(_scatter_onto),
)
def _scatter_sum(input: Tensor, dim: Int, index: Index, sizes: Sizes):
    """Zeros with the elements of `input` added at the places that `index` names."""
    out = np.zeros(sizes, input.dtype)
    _scatter_onto(out, input, dim, index, sizes)
    return out


def _padded(x, like, index):
    """A gradient of index shape as one of the source's, which may be larger."""
    if x.shape == like.shape:
        return x
    pads = []
    for a, b in zip(reversed(like.shape), reversed(x.shape), strict=True):
        pads += [0, a - b]
    return op.constant_pad_nd(x, tuple(pads))


def _source_vjp(g, dim, index, src_like):
    return _padded(op.gather(g, dim, index), src_like, index)


def _erased(g, dim, index):
    return op._scatter_value(g, dim, index, 0)


@general(vjp={"input": _erased, "src": _source_vjp}, grad_fn="ScatterBackward0")
def _scatter_src(input: Tensor, dim: Int, index: Index, src: Tensor):
    axis = _check("scatter", input, dim, index, src)
    _same_dtype("scatter", input, src)
    out, target = start(input)
    if index.size:
        target[places(index, axis)] = _part(src, index)
    return out


def _same_dtype(name: str, input: Any, src: Any) -> None:
    if src.dtype != input.dtype:
        raise ScriptTypeError(f"{name}(): Expected self.dtype to be equal to src.dtype")


@general(vjp={"input": _erased}, grad_fn="ScatterBackward1")
def _scatter_value(input: Tensor, dim: Int, index: Index, value: Any):
    axis = _check("scatter", input, dim, index)
    out, target = start(input)
    if index.size:
        target[places(index, axis)] = value
    return out


def _no(name: str) -> NotImplementedRule:
    return NotImplementedRule(f"derivative for aten::{name} is not implemented")


_UFUNCS = {"add": np.add, "multiply": np.multiply}


@general(vjp={"input": _no("scatter"), "src": _no("scatter")}, grad_fn="NotImplemented")
def _scatter_with(input: Tensor, dim: Int, index: Index, src: Tensor, reduce: Str):
    axis = _check("scatter", input, dim, index, src if np.ndim(src) else None)
    out, target = start(input)
    if index.size:
        part = _part(src, index) if np.ndim(src) else src
        _UFUNCS[reduce].at(target, places(index, axis), np.asarray(part, out.dtype))
    return out


@general(vjp={"input": _no("scatter_"), "src": _no("scatter_")}, grad_fn="NotImplemented")
def _scatter_with_in_place(input: Tensor, dim: Int, index: Index, src: Tensor, reduce: Str):
    return op._scatter_with.kernel(input, dim, index, src, reduce)


def _scattered(input, dim, index, src, value, reduce, with_):
    source = value if src is None else src
    if reduce is not None:
        if reduce not in _UFUNCS:
            raise ScriptValueError("reduce argument must be either add or multiply.")
        return with_(input, dim, index, source, reduce)
    if type(source) is Value or isinstance(source, np.ndarray):
        if source.ndim == 0 and input.ndim and src is None:
            return op._scatter_value(input, dim, index, source.item())
        return op._scatter_src(input, dim, index, source)
    if not isinstance(source, (int, float)):
        raise ScriptTypeError(f"scatter(): argument 'src' must be Tensor, not {type(source).__name__}")
    return op._scatter_value(input, dim, index, source)


@composite()
def scatter(
    input: Tensor, dim: Int, index: Index, src: Any = None, *, value: Any = None, reduce: Str | None = None
):
    """The tensor with elements of `src` (or a number) put where `index` points along `dim`.

    With `reduce="add"` or `"multiply"` they are added to, or multiplied with, what is there.

    >>> scatter(zeros(3), 0, [0, 2], tensor([1., 2.]))
    tensor([1., 0., 2.])
    """
    return _scattered(input, dim, index, src, value, reduce, op._scatter_with)


@inplace_op(name="scatter_")
def scatter_(
    input: Tensor, dim: Int, index: Index, src: Any = None, *, value: Any = None, reduce: Str | None = None
):
    """Puts elements of `src` (or a number) where `index` points along `dim`.

    >>> zeros(3).scatter_(0, [0, 2], 5)
    tensor([5., 0., 5.])
    """
    check_may_change(input)
    return change(input, _scattered(input, dim, index, src, value, reduce, op._scatter_with_in_place))


@general(vjp={"input": lambda g: g, "src": _source_vjp}, inplace=True, batch="dims")
def scatter_add(input: Tensor, dim: Int, index: Index, src: Tensor):
    """The tensor with the elements of `src` added where `index` points along `dim`.

    Derivative: g; g at index

    >>> scatter_add(zeros(3), 0, [0, 0, 2], tensor([1., 2., 3.]))
    tensor([3., 0., 3.])
    """
    axis = _check("scatter_add", input, dim, index, src)
    _same_dtype("scatter", input, src)
    out, target = start(input)
    if index.size:
        np.add.at(target, places(index, axis), _part(src, index))
    return out


# ---- reductions into places: one kernel and one rule for scatter_reduce and index_reduce -------------------
_REDUCTIONS = {"sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def _neutral(reduce: str, dtype: Any) -> Any:
    if reduce in ("amax", "amin"):
        low, high = (-np.inf, np.inf) if dtype.kind == "f" else (False, True) if dtype.kind == "b" else (
            np.iinfo(dtype).min, np.iinfo(dtype).max)  # fmt: skip
        return low if reduce == "amax" else high
    return 1 if reduce == "prod" else 0


def reduced_at(input: Any, where: tuple[Any, ...], src: Any, reduce: str, include_self: bool) -> Any:
    """The input with the source reduced into the places `where`."""
    out, target = start(input)
    if not include_self:
        target[where] = _neutral(reduce, out.dtype)
    _REDUCTIONS[reduce].at(target, where, src)
    if reduce == "mean":
        count = np.ones(target.shape, target.dtype) if include_self else np.zeros(target.shape, target.dtype)
        np.add.at(count, where, target.dtype.type(1))
        count[count == 0] = 1
        if out.dtype.kind == "f":
            target /= count
        else:
            np.floor_divide(target, count, target)
    return out


def _kind(x):
    return x.array.dtype if type(x) is Value else x.dtype


def _flag(condition, like):
    return op._cast(condition, _kind(like))


class Places:
    """How a rule reaches the places: `pick(x)` reads them, `add(x, s)` adds there, `clear(x)` zeroes them."""

    def __init__(self, pick, add, clear, reduce):
        self.pick, self.add, self.clear, self.reduce = pick, add, clear, reduce


def reduce_vjp(at, g, input, src, y, reduce, include_self, needs):
    if reduce == "sum":
        to_self, to_src = g, at.pick(g)
    elif reduce == "mean":
        count = at.add(op.ones_like(g) if include_self else op.zeros_like(g), op.ones_like(src))
        count = op.masked_fill(count, count == 0, 1)
        to_self, to_src = g / count, at.pick(g) / at.pick(count)
    elif reduce == "prod":
        whole = op.masked_fill(input, input == 0, 1.0)
        to_self = g * at.reduce(whole, src) / whole
        to_src = _prod_source(at, g, input, src, y) if needs[-1] else None
    else:
        mine, theirs = _flag(input == y, g), _flag(src == at.pick(y), g)
        shared = g / at.add(mine, theirs)
        to_self, to_src = mine * shared, theirs * at.pick(shared)
    return [to_self if include_self else at.clear(to_self), None, to_src]


def _prod_source(at, g, input, src, y):
    zero = src == 0
    zeros = at.pick(at.add(op.zeros_like(input), _flag(zero, input)))
    single = op.logical_and(zero, zeros == 1)
    others = at.reduce(input, op.masked_fill(src, single, 1.0))
    return op.where(single, at.pick(g * others), at.pick(g * y) / op.masked_fill(src, zero, 1.0))


def _scatter_reduce_vjp(g, input, dim, index, src, y, reduce, include_self, needs):
    at = Places(
        lambda x: op.gather(x, dim, index),
        lambda x, s: op.scatter_add(x, dim, index, s),
        lambda x: op._scatter_value(x, dim, index, 0),
        lambda x, s: op.scatter_reduce(x, dim, index, s, reduce, include_self=include_self),
    )
    if src.shape != index.shape:
        part = src
        for k, n in enumerate(index.shape):
            part = op.narrow(part, k, 0, n)
        found = reduce_vjp(at, g, input, part, y, reduce, include_self, needs)
        return [*found[:2], None if found[2] is None else _padded(found[2], src, index)]
    return reduce_vjp(at, g, input, src, y, reduce, include_self, needs)


def check_reduce(name: str, reduce: str, choices: tuple[str, ...]) -> None:
    if reduce not in choices:
        if name == "index_reduce":
            raise ScriptValueError(
                f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}."
            )
        raise ScriptValueError("reduce argument must be either sum, prod, mean, amax or amin, got " + reduce)


@general(shared=_scatter_reduce_vjp, inplace=True)
def scatter_reduce(
    input: Tensor, dim: Int, index: Index, src: Tensor, reduce: Str, *, include_self: Bool = True
):
    """The tensor with the elements of `src` reduced into the places where `index` points along `dim`.

    `reduce` is "sum", "prod", "mean", "amax" or "amin"; without `include_self` what was there does not count.

    Derivative: by the kind of reduction: g, quotients of the product, shares of g for amax and amin, g
    over the count for mean

    >>> scatter_reduce(zeros(2), 0, [0, 0, 1], tensor([1., 2., 3.]), "mean", include_self=false)
    tensor([1.5000, 3.0000])
    """
    check_reduce("scatter_reduce", reduce, tuple(_REDUCTIONS))
    axis = _check("scatter", input, dim, index, src)
    _same_dtype("scatter", input, src)
    if not index.size:
        return np.array(input)
    return reduced_at(input, places(index, axis), _part(src, index), reduce, include_self)
