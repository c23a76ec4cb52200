"""The elements in other places: flipped, rolled, repeated, in triangles, with a part replaced."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import BY_NP, i8
from vardsl.engine.value import Value
from vardsl.errors import ScriptIndexError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import (
    Dtype,
    Index,
    Int,
    Ints,
    Sizes,
    Tensor,
    composite,
    creation,
    general,
    get,
    nondiff,
    op,
)  # fmt: skip
from vardsl.ops.dims import check_part, dtype_of, refuse_repeated, wrap_dim, zeros_of
from vardsl.ops.split import bounds


# ---- flips and rolls ---------------------------------------------------------------------------------------
def _flip_into(out, scratch, input, dims):
    if not input.ndim:
        return None
    return [(np.copyto, (out, np.flip(input, tuple([wrap_dim(d, input.ndim) for d in dims]))))]


@general(vjp=lambda g, dims: op.flip(g, dims), stream="rows", into=_flip_into, batch="dims")
def flip(input: Tensor, dims: Sizes):
    """The tensor with the order of the dimensions' elements reversed.

    Derivative: g flipped

    >>> flip([1., 2., 3.], 0)
    tensor([3., 2., 1.])
    """
    axes = tuple([wrap_dim(d, input.ndim) for d in dims])
    refuse_repeated(axes)
    return np.array(np.flip(input, axes) if input.ndim else input, order="K")


@composite()
def fliplr(input: Tensor):
    """The tensor with its second dimension reversed.

    >>> fliplr([[1., 2.]])
    tensor([[2., 1.]])
    """
    if input.ndim < 2:
        raise ShapeError("Input must be >= 2-d.")
    return op.flip(input, (1,))


@composite()
def flipud(input: Tensor):
    """The tensor with its first dimension reversed.

    >>> flipud([1., 2.])
    tensor([2., 1.])
    """
    if input.ndim < 1:
        raise ShapeError("Input must be >= 1-d.")
    return op.flip(input, (0,))


@general(vjp=lambda g, shifts, dims: op.roll(g, tuple([-s for s in shifts]), dims))
def roll(input: Tensor, shifts: Ints, dims: Ints = ()):
    """The elements shifted along dimensions, those that leave at one end coming in at the other.

    Derivative: g rolled back

    >>> roll([1., 2., 3.], 1)
    tensor([3., 1., 2.])
    """
    if not dims:
        if len(shifts) != 1:
            raise ShapeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}"
                             if shifts else "`shifts` required")  # fmt: skip
        return np.roll(input, shifts[0])
    if len(shifts) != len(dims):
        raise ShapeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if not input.ndim:
        raise ScriptIndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
    return np.roll(input, shifts, tuple([wrap_dim(d, input.ndim) for d in dims]))


@general(vjp=lambda g, k, dims: op.rot90(g, -k, dims))
def rot90(input: Tensor, k: Int = 1, dims: Ints = (0, 1)):
    """The tensor turned `k` times by 90 degrees in the plane of two dimensions.

    Derivative: g turned back

    >>> rot90([[1., 2.], [3., 4.]])
    tensor([[2., 4.],
            [1., 3.]])
    """
    if len(dims) != 2:
        raise ShapeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise ShapeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == input.ndim:
        raise ShapeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    for d in dims:
        wrap_dim(d, input.ndim)
    return np.array(np.rot90(input, k % 4, dims))


# ---- repetition --------------------------------------------------------------------------------------------
def _repeat_vjp(g, input_like, repeats):
    shape = input_like.shape
    lead = len(repeats) - len(shape)
    if 0 in repeats:
        return (
            op.zeros(shape, dtype=input_like.dtype) if type(g) is Value else np.zeros(shape, input_like.dtype)
        )
    split: list[int] = []
    for k, r in enumerate(repeats):
        split += [r, 1 if k < lead else shape[k - lead]]
    axes = tuple(range(0, 2 * len(repeats), 2))
    return op.reshape(op.sum(op.reshape(g, tuple(split)), axes), shape) if axes else g


@general(vjp=_repeat_vjp)
def repeat(input: Tensor, repeats: Sizes):
    """The tensor repeated along its dimensions; more numbers than dimensions make new ones in front.

    Derivative: the sum of g over the copies

    >>> repeat([1., 2.], 2, 2)
    tensor([[1., 2., 1., 2.],
            [1., 2., 1., 2.]])
    """
    if len(repeats) < input.ndim:
        raise ShapeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    for r in repeats:
        if r < 0:
            sizes = [
                n * m for n, m in zip(repeats, (1,) * (len(repeats) - input.ndim) + input.shape, strict=True)
            ]
            raise ShapeError(f"Trying to create tensor with negative dimension {min(sizes)}: {sizes}")
    state.ctx.budget.reserve(prod(repeats) * input.size * input.itemsize, "repeat()")
    return np.tile(input, repeats)


@composite()
def tile(input: Tensor, dims: Sizes):
    """The tensor repeated along its last dimensions as often as `dims` says.

    >>> tile([1., 2.], 2)
    tensor([1., 2., 1., 2.])
    """
    return op.repeat(input, (1,) * (input.ndim - len(dims)) + tuple(dims))


@composite()
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: Int | None = None, *, output_size: Int | None = None
):
    """Each element (or slice along `dim`) repeated, `repeats` times or as often as a vector says for each.

    >>> repeat_interleave([1., 2.], 2)
    tensor([1., 1., 2., 2.])
    """
    if repeats is None:
        return _counted_places(input)
    if isinstance(repeats, (tuple, list)):
        repeats = Value(np.asarray(repeats, i8))
    if type(repeats) is Value or isinstance(repeats, np.ndarray):
        return _interleave_tensor(input, repeats, dim)
    if isinstance(repeats, bool) or not isinstance(repeats, int):
        raise ScriptTypeError(
            f"repeat_interleave(): argument 'repeats' must be Tensor or int, not {type(repeats).__name__}"
        )
    if repeats < 0:
        raise ScriptValueError(f"Repeats must be non-negative, got {repeats}")
    if dim is None:
        input, dim = op.flatten(input), 0
    axis = wrap_dim(dim, input.ndim)
    if not input.ndim:
        input = op.flatten(input)
    state.ctx.budget.reserve(prod(input.shape) * repeats * dtype_of(input).itemsize, "repeat_interleave()")
    shape = input.shape
    wide = op.expand(op.unsqueeze(input, axis + 1), (*shape[: axis + 1], repeats, *shape[axis + 1 :]))
    return op.view(op._contiguous_clone(wide), (*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :]))


def _counted_places(repeats: Any) -> Any:
    r = _counts(repeats)
    if r.ndim != 1:
        raise ShapeError("repeat_interleave only accept 1D vector as repeat")
    return Value(np.repeat(np.arange(r.size), r))


def _counts(repeats: Any) -> Any:
    r = repeats.array if type(repeats) is Value else repeats
    if r.dtype not in (np.int64, np.int32):
        name = BY_NP[r.dtype].type_name
        raise ScriptTypeError(f"\"repeat_interleave_cpu\" not implemented for '{name}'")
    if r.size and r.min() < 0:
        raise ScriptValueError("repeats can not be negative")
    return r


def _interleave_tensor(input: Any, repeats: Any, dim: int | None) -> Any:
    x, axis = (op.flatten(input), 0) if dim is None else (input, wrap_dim(dim, input.ndim))
    if not x.ndim:
        x = op.flatten(x)
    r = _counts(repeats)
    n = x.shape[axis]
    if r.ndim == 0 or (r.ndim == 1 and r.shape[0] == 1):
        r = np.broadcast_to(r.reshape(-1), (n,))
    elif r.ndim != 1:
        raise ShapeError("repeats must be 0-dim or 1-dim tensor")
    elif r.shape[0] != n:
        raise ShapeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {r.shape[0]} and "
            f"input.size({axis}) = {n}"
        )
    return op.index_select(x, axis, Value(np.repeat(np.arange(n), r)))


# ---- triangles ---------------------------------------------------------------------------------------------
def _triangle(name: str, keep: Any, input: Any, diagonal: int) -> Any:
    if input.ndim < 2:
        raise ShapeError(f"{name}: input tensor must have at least 2 dimensions")
    return keep(input, diagonal).astype(input.dtype, copy=False)


@general(vjp=lambda g, diagonal: op.tril(g, diagonal), inplace=True, batch="leading")
def tril(input: Tensor, diagonal: Int = 0):
    """The lower triangle of the matrices: what is above the diagonal is zero.

    Derivative: g below the diagonal, zero above

    >>> tril([[1., 2.], [3., 4.]])
    tensor([[1., 0.],
            [3., 4.]])
    """
    return _triangle("tril", np.tril, input, diagonal)


@general(vjp=lambda g, diagonal: op.triu(g, diagonal), inplace=True, batch="leading")
def triu(input: Tensor, diagonal: Int = 0):
    """The upper triangle of the matrices: what is below the diagonal is zero.

    Derivative: g above the diagonal, zero below

    >>> triu([[1., 2.], [3., 4.]])
    tensor([[1., 2.],
            [0., 4.]])
    """
    return _triangle("triu", np.triu, input, diagonal)


def _triangle_indices(name: str, row: int, col: int, places: Any, dtype: Any) -> Any:
    for word, n in (("row", row), ("col", col)):
        if n < 0:
            raise ShapeError(f"{word} must be non-negative, got{n}")
    of = dtype if dtype is not None else i8
    if of not in (np.int64, np.int32):
        raise ScriptTypeError(f"\"{name}\" not implemented for '{BY_NP[of].type_name}'")
    state.ctx.budget.reserve(row * col * 2 * of.itemsize, f"{name}()")
    return np.stack(places()).astype(of)


@creation()
def tril_indices(row: Int, col: Int, offset: Int = 0, *, dtype: Dtype | None = None):
    """Rows and columns of the lower triangle of a matrix of that size.

    >>> tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _triangle_indices("tril_indices", row, col, lambda: np.tril_indices(row, offset, col), dtype)


@creation()
def triu_indices(row: Int, col: Int, offset: Int = 0, *, dtype: Dtype | None = None):
    """Rows and columns of the upper triangle of a matrix of that size.

    >>> triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return _triangle_indices("triu_indices", row, col, lambda: np.triu_indices(row, offset, col), dtype)


# ---- a part replaced ---------------------------------------------------------------------------------------
def _blank(g):
    return op.zeros_like(g)


@general(
    vjp={
        "input": lambda g, dim, index, src_like: op.select_scatter(g, zeros_of(g, src_like), dim, index),
        "src": lambda g, dim, index: op.select(g, dim, index),
    }
)
def select_scatter(input: Tensor, src: Tensor, dim: Int, index: Int):
    """The tensor with `src` at `index` of the dimension `dim`.

    Derivative: g without that slice; the slice of g

    >>> select_scatter(zeros(2, 2), [1., 2.], 0, 1)
    tensor([[0., 0.],
            [1., 2.]])
    """
    out = np.array(input, order="C")
    part = get("select").kernel(out, dim, index)
    check_part(part.shape, src.shape)
    part[...] = src
    return out


@general(
    vjp={
        "input": lambda g, dim, start, end, step, src_like: op.slice_scatter(
            g, zeros_of(g, src_like), dim, start, end, step
        ),
        "src": lambda g, dim, start, end, step, src_like: op.slice(g, dim, start, end, step),
    }
)
def slice_scatter(
    input: Tensor, src: Tensor, dim: Int = 0, start: Int | None = None, end: Int | None = None, step: Int = 1
):
    """The tensor with `src` in place of a slice of the dimension `dim`.

    Derivative: g without that slice; the slice of g

    >>> slice_scatter(zeros(3), [1., 2.], 0, 1)
    tensor([0., 1., 2.])
    """
    out = np.array(input, order="C")
    axis = wrap_dim(dim, out.ndim)
    if step <= 0:
        raise ScriptValueError("slice step must be positive")
    part = out[(slice(None),) * axis + (slice(*bounds(out.shape[axis], start, end), step),)]
    check_part(part.shape, src.shape)
    part[...] = src
    return out


@general(vjp=_blank, grad_fn="FillBackward0")
def _fill_scalar(input: Tensor, value: Any):
    return np.full(input.shape, value).astype(input.dtype)


@general(vjp={"input": _blank, "value": lambda g: op.sum(g)}, grad_fn="FillBackward1")
def _fill_tensor(input: Tensor, value: Tensor):
    return np.full(input.shape, value).astype(input.dtype)


@composite()
def fill(input: Tensor, value: Any):
    """A tensor of that shape with one number everywhere.

    >>> fill([1., 2.], 5)
    tensor([5., 5.])
    """
    if type(value) is Value:
        if value.ndim:
            raise ShapeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions."
            )
        return op._fill_tensor(input, value)
    return op._fill_scalar(input, value)


@nondiff()
def _unravel(input: Index, shape: Sizes):
    flat = np.asarray(input)
    if flat.dtype.kind not in "iu":
        raise ScriptTypeError(
            f"expected 'indices' to be integer dtype, but got torch.{BY_NP[flat.dtype].name}"
        )
    steps = [1] * len(shape)
    for k in range(len(shape) - 2, -1, -1):
        steps[k] = steps[k + 1] * shape[k + 1]
    return tuple([((flat // s) % n).astype(i8) for s, n in zip(steps, shape, strict=True)])


@composite()
def unravel_index(indices: Index, shape: Sizes):
    """The coordinates, in a tensor of that shape, of places among all elements: a tensor per dimension.

    >>> unravel_index(tensor([1, 3]), (2, 2))
    (tensor([0, 1]), tensor([1, 1]))
    """
    if any(n < 0 for n in shape):
        raise ScriptValueError(f"'shape' cannot have negative values, but got {tuple(shape)}")
    return op._unravel(indices, shape)
