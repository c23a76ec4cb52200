"""Tensors put together: end to end, on a new dimension, in blocks."""

from __future__ import annotations

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.value import Value
from vardsl.errors import ScriptValueError, ShapeError
from vardsl.ops.define import Bool, Int, Str, Tensor, Tensors, Varargs, composite, general, op
from vardsl.ops.dims import as_like, dtype_of, wrap_dim


def _legacy(shape):
    # an empty vector stands for nothing at all, whatever the shapes of the others
    return shape == (0,)


def _cat_vjp(g, tensors_like, dim):
    real = next((t for t in tensors_like if not _legacy(t.shape)), None)
    if real is None:
        return [g for _ in tensors_like]
    axis, at, parts = wrap_dim(dim, real.ndim), 0, []
    for t in tensors_like:
        if _legacy(t.shape) and real.ndim != 1:
            parts.append(op.zeros_like(op.narrow(op.reshape(g, (-1,)), 0, 0, 0)))
            continue
        parts.append(as_like(op.narrow(g, axis, at, t.shape[axis]), t))
        at += t.shape[axis]
    return parts


def _check_cat(shapes: list[tuple[int, ...]], dim: int) -> int:
    first = next((s for s in shapes if not _legacy(s)), (0,))
    for k, s in enumerate(shapes):
        if not s:
            raise ShapeError(f"zero-dimensional tensor (at position {k}) cannot be concatenated")
    axis = wrap_dim(dim, len(first))
    for k, s in enumerate(shapes):
        if _legacy(s):
            continue
        if len(s) != len(first):
            raise ShapeError(f"Tensors must have same number of dimensions: got {len(first)} and {len(s)}")
        for d, (a, b) in enumerate(zip(first, s, strict=True)):
            if d != axis and a != b:
                raise ShapeError(
                    f"Sizes of tensors must match except in dimension {axis}. "
                    f"Expected size {a} but got size {b} for tensor number {k} in the list."
                )
    return axis


def _cat_into(out, scratch, tensors, dim):
    if any(_legacy(a.shape) or a.dtype != out.dtype for a in tensors):
        return None
    return [(np.concatenate, (tensors, wrap_dim(dim, out.ndim), out))]


@general(vjp=_cat_vjp, promote="same", aliases=("concat", "concatenate"), batch="dims", into=_cat_into)
def cat(tensors: Tensors, dim: Int = 0):
    """The tensors one after the other along the dimension `dim`.

    Derivative: to each tensor its part of g

    >>> cat([tensor([1., 2.]), tensor([3.])])
    tensor([1., 2., 3.])
    """
    if not tensors:
        raise ScriptValueError("torch.cat(): expected a non-empty list of Tensors")
    axis = _check_cat([a.shape for a in tensors], dim)
    real = [a for a in tensors if not _legacy(a.shape)] or tensors
    return np.concatenate(real, axis)


def _stack_vjp(g, tensors_like, dim):
    axis = wrap_dim(dim, g.ndim)
    return [as_like(x, t) for x, t in zip(op.unbind(g, axis), tensors_like, strict=True)]


@general(vjp=_stack_vjp, promote="same", batch="new dim")
def stack(tensors: Tensors, dim: Int = 0):
    """Tensors of one shape along a new dimension `dim`.

    Derivative: to each tensor its slice of g

    >>> stack([tensor([1., 2.]), tensor([3., 4.])])
    tensor([[1., 2.],
            [3., 4.]])
    """
    if not tensors:
        raise ScriptValueError("stack expects a non-empty TensorList")
    first = tensors[0].shape
    for k, a in enumerate(tensors):
        if a.shape != first:
            raise ShapeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and "
                f"{list(a.shape)} "
                f"at entry {k}"
            )
    return np.stack(tensors, wrap_dim(dim, len(first) + 1))


@composite()
def hstack(tensors: Tensors):
    """Vectors end to end, other tensors side by side along their second dimension.

    >>> hstack([tensor([1.]), tensor([2., 3.])])
    tensor([1., 2., 3.])
    """
    _refuse_empty("hstack", tensors)
    full = [op.atleast_1d(x) for x in tensors]
    return op.cat(full, 0 if full[0].ndim == 1 else 1)


@composite()
def vstack(tensors: Tensors):
    """Tensors one above the other; vectors are rows.

    >>> vstack([tensor([1., 2.]), tensor([3., 4.])])
    tensor([[1., 2.],
            [3., 4.]])
    """
    _refuse_empty("vstack", tensors)
    return op.cat([op.atleast_2d(x) for x in tensors], 0)


@composite()
def dstack(tensors: Tensors):
    """Tensors one behind the other along the third dimension.

    >>> dstack([tensor([1., 2.]), tensor([3., 4.])])
    tensor([[[1., 3.],
             [2., 4.]]])
    """
    _refuse_empty("dstack", tensors)
    return op.cat([op.atleast_3d(x) for x in tensors], 2)


def _refuse_empty(name, tensors):
    if not tensors:
        raise ScriptValueError(f"{name} expects a non-empty TensorList")


@composite()
def column_stack(tensors: Tensors):
    """Tensors side by side; vectors are columns.

    >>> column_stack([tensor([1., 2.]), tensor([3., 4.])])
    tensor([[1., 3.],
            [2., 4.]])
    """
    _refuse_empty("column_stack", tensors)
    columns = [x if x.ndim > 1 else op.reshape(x, (-1 if x.ndim else 1, 1)) for x in tensors]
    return op.hstack(columns)


def _block_diag_vjp(g, tensors_like):
    row = column = 0
    parts = []
    for t in tensors_like:
        rows, columns = t.shape if t.ndim == 2 else (1, t.size)
        part = op.narrow(op.narrow(g, 0, row, rows), 1, column, columns)
        parts.append(as_like(op.reshape(part, t.shape), t))
        row, column = row + rows, column + columns
    return parts


@general(vjp=_block_diag_vjp, promote="same", grad_fn="BlockDiagBackward0")
def _block_diag(tensors: Tensors):
    for k, a in enumerate(tensors):
        if a.ndim > 2:
            raise ShapeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {k} has {a.ndim} "
                "dimensions"
            )
    blocks = [a if a.ndim == 2 else a.reshape(1, -1) for a in tensors]
    shape = tuple(np.add.reduce([b.shape for b in blocks], 0)) if blocks else (1, 0)
    dtype = blocks[0].dtype if blocks else state.ctx.default_dtype
    state.ctx.budget.reserve(int(shape[0]) * int(shape[1]) * dtype.itemsize, "block_diag()")
    out = np.zeros(shape, dtype)
    row = column = 0
    for b in blocks:
        out[row : row + b.shape[0], column : column + b.shape[1]] = b
        row, column = row + b.shape[0], column + b.shape[1]
    return out


def listed(tensors):
    """Spread tensors as a list, where a single one may stand for itself."""
    return tensors if type(tensors) is list else [tensors]


@composite()
def block_diag(tensors: Varargs):
    """The matrices along the diagonal of one that is zero elsewhere; a vector counts as a row.

    >>> block_diag([[1., 2.]], [[3.]])
    tensor([[1., 2., 0.],
            [0., 0., 3.]])
    """
    return op._block_diag(listed(tensors))


def _refuse_many(sizes, itemsize, copies, name):
    n = itemsize * copies
    for k in sizes:
        n *= k
    state.ctx.budget.reserve(n, name)


@composite()
def meshgrid(tensors: Varargs, *, indexing: Str | None = None):
    """Grids of coordinates: each vector along a dimension of its own, expanded over the others.

    `indexing="ij"` takes the dimensions in order, `"xy"` swaps the first two.

    >>> meshgrid(tensor([1., 2.]), tensor([3., 4.]), indexing="ij")[0]
    tensor([[1., 1.],
            [2., 2.]])
    """
    given = listed(tensors)
    if not given:
        raise ScriptValueError("meshgrid expects a non-empty TensorList")
    for x in given:
        if x.ndim > 1:
            raise ShapeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {list(x.shape)}"
            )
        if dtype_of(x) != dtype_of(given[0]):
            raise ScriptValueError("torch.meshgrid expects all tensors to have the same dtype")
    if indexing not in (None, "ij", "xy"):
        raise ScriptValueError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    swap = indexing == "xy" and len(given) >= 2
    if swap:
        given = [given[1], given[0], *given[2:]]
    sizes = tuple([x.shape[0] if x.ndim else 1 for x in given])
    grids = []
    for k, x in enumerate(given):
        lined = op.view(x, tuple([n if j == k else 1 for j, n in enumerate(sizes)]))
        grids.append(op.expand(lined, sizes))
    if swap:
        grids = [grids[1], grids[0], *grids[2:]]
    return tuple(grids)


@composite()
def cartesian_prod(tensors: Varargs):
    """All tuples of an element of each vector, as the rows of a matrix.

    >>> cartesian_prod(tensor([1, 2]), tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    given = listed(tensors)
    for x in given:
        if x.ndim != 1:
            raise ShapeError(f"Expect a 1D vector, but got shape {list(x.shape)}")
    if len(given) == 1:
        return given[0]
    _refuse_many([x.shape[0] for x in given], dtype_of(given[0]).itemsize, len(given), "cartesian_prod()")
    grids = op.meshgrid(given, indexing="ij")
    return op.stack([op.flatten(x) for x in grids], 1)


@composite()
def combinations(input: Tensor, r: Int = 2, with_replacement: Bool = False):
    """All choices of `r` elements of a vector, as the rows of a matrix.

    >>> combinations(tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.ndim != 1:
        raise ShapeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise ScriptValueError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return op.empty(0, dtype=dtype_of(input))
    n = input.shape[0]
    grids = op.meshgrid([input] * r, indexing="ij")
    mask = _chosen(n, r, with_replacement)
    return op.stack([op.masked_select(x, mask) for x in grids], 1)


def _chosen(n: int, r: int, again: bool) -> Value:
    """A mask over the grid of `r` indices that keeps those in rising order."""
    state.ctx.budget.reserve(n**r, "combinations()")
    mask = np.ones((n,) * r, bool)
    places = np.arange(n)
    for k in range(r - 1):
        a = places.reshape((-1,) + (1,) * (r - 1 - k))
        b = places.reshape((-1,) + (1,) * (r - 2 - k))
        mask &= (a <= b) if again else (a < b)
    return Value(mask)
