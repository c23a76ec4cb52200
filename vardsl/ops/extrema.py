"""Largest and smallest elements, and where they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import i8
from vardsl.engine.tiles import add_up
from vardsl.engine.value import Value
from vardsl.errors import ScriptIndexError, ScriptTypeError, ShapeError
from vardsl.ops.define import Bool, Index, Int, Ints, Sizes, Tensor, composite, general, nondiff, op
from vardsl.ops.dims import wrap_dim, wrap_dims
from vardsl.ops.indexing import onto_zeros
from vardsl.ops.reduce import restore
from vardsl.ops.select import steps


# ---- what selects one element along a dimension ------------------------------------------------------------
def _axis(a: Any, dim: int) -> int:
    return wrap_dim(dim, a.ndim)


def _put_selected(out, input, indices, dim, keepdim, sizes):
    if not out.ndim:
        out[...] = np.asarray(input).reshape(())
        return
    axis = wrap_dim(dim, out.ndim)
    a, k = (input, indices) if keepdim else (np.expand_dims(input, axis), np.expand_dims(indices, axis))
    np.put_along_axis(out, k, a, axis)


@general(
    vjp=lambda g, indices, dim, keepdim: op._selected(g, indices, dim, keepdim),
    grad_fn="ScatterBackward0",
    batch="dims",
    into=onto_zeros(_put_selected),
)
def _spread_selected(input: Tensor, indices: Index, dim: Int, keepdim: Bool, sizes: Sizes):
    """Zeros of `sizes` with the elements of `input` at `indices` of the dimension."""
    out = np.zeros(sizes, input.dtype)
    _put_selected(out, input, indices, dim, keepdim, sizes)
    return out


@general(
    vjp=lambda g, indices, dim, keepdim, input_like: op._spread_selected(
        g, indices, dim, keepdim, input_like.shape
    ),
    grad_fn="GatherBackward0",
    batch="dims",
)
def _selected(input: Tensor, indices: Index, dim: Int, keepdim: Bool):
    """The elements of `input` at `indices` of the dimension."""
    if not input.ndim:
        return np.array(input)
    axis = wrap_dim(dim, input.ndim)
    y = np.take_along_axis(input, indices if keepdim else np.expand_dims(indices, axis), axis)
    return y if keepdim else y.reshape(y.shape[:axis] + y.shape[axis + 1 :])


def selected_vjp(g, y, input_like, dim, keepdim):
    """The rule of all reductions that pick one element: its cotangent goes back to where it was."""
    return op._spread_selected(g[0], y[1], dim, keepdim, input_like.shape)


def refuse_empty(name: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    for k in axes:
        if shape[k] == 0:
            raise ScriptIndexError(f"{name}(): Expected reduction dim {k} to have non-zero size.")


def refuse_empty_all(name: str, input: Any) -> None:
    if input.size == 0:
        raise ScriptIndexError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )


# ---- evenly shared extrema ---------------------------------------------------------------------------------
def _shares_steps(input, value, dim, keepdim, with_nan):
    if not keepdim or with_nan:
        return None
    mask = op._cast(op.eq(input, value), input.array.dtype)
    return mask / op._sum_dim.run([mask, dim, True, None])


@nondiff(batch="dims", lowered=steps(_shares_steps))
def _shares(input: Tensor, value: Tensor, dim: Ints, keepdim: Bool, with_nan: Bool):
    """For each element its share of the extremum: 1/n for n that are equal to it (or NaN with it)."""
    axes = wrap_dims(dim, input.ndim)
    v = value if keepdim else np.expand_dims(value, axes)
    mask = input == v
    if with_nan and input.dtype.kind == "f":
        mask |= np.isnan(input) & np.isnan(v)
    return np.divide(mask, np.add.reduce(mask, axes, keepdims=True), dtype=input.dtype)


def _even_vjp(g, input, y):
    return op.expand(g, input.shape) * op._shares(input, y, (), False, True)


def _extreme_all(name, ufunc, input):
    refuse_empty_all(name, input)
    return ufunc.reduce(input, axis=None)


@general(vjp=_even_vjp, grad_fn="MaxBackward1")
def _max_all(input: Tensor):
    return _extreme_all("max", np.maximum, input)


@general(vjp=_even_vjp, grad_fn="MinBackward1")
def _min_all(input: Tensor):
    return _extreme_all("min", np.minimum, input)


def _with_index(name, find, input, dim, keepdim):
    if not input.ndim:
        wrap_dim(dim, 0)
        return np.array(input), np.zeros((), i8)
    axis = wrap_dim(dim, input.ndim)
    refuse_empty(name, input.shape, (axis,))
    at = np.expand_dims(find(input, axis), axis)
    y = np.take_along_axis(input, at, axis)
    if keepdim:
        return y, at
    shape = input.shape[:axis] + input.shape[axis + 1 :]
    return y.reshape(shape), at.reshape(shape)


@general(vjp=selected_vjp, fields="values indices", grad_fn="MaxBackward0", batch="dims")
def _max_dim(input: Tensor, dim: Int, keepdim: Bool = False):
    return _with_index("max", np.argmax, input, dim, keepdim)


@general(vjp=selected_vjp, fields="values indices", grad_fn="MinBackward0", batch="dims")
def _min_dim(input: Tensor, dim: Int, keepdim: Bool = False):
    return _with_index("min", np.argmin, input, dim, keepdim)


def _extremum(name, input, dim, keepdim, other, pairwise):
    if other is not None or type(dim) is Value or isinstance(dim, np.ndarray):
        return pairwise(input, dim if other is None else other)
    if dim is None:
        return (op._max_all if name == "max" else op._min_all)(input)
    if isinstance(dim, bool) or not isinstance(dim, (int, np.integer)):
        raise ScriptTypeError(f"{name}(): argument 'dim' (position 2) must be int, not {type(dim).__name__}")
    return (op._max_dim if name == "max" else op._min_dim)(input, dim, keepdim)


@composite()
def max(input: Tensor, dim: Any = None, keepdim: Bool = False, *, other: Tensor | None = None):
    """The largest element; over a dimension with its first index; of two tensors, element by element.

    The gradient of `max(x)` is shared evenly by all elements that are the largest.

    >>> max([1., 3., 2.])
    tensor(3.)
    >>> max([[1., 3.], [4., 2.]], dim=1).indices
    tensor([1, 0])
    """
    return _extremum("max", input, dim, keepdim, other, op.maximum)


@composite()
def min(input: Tensor, dim: Any = None, keepdim: Bool = False, *, other: Tensor | None = None):
    """The smallest element; over a dimension with its first index; of two tensors, element by element.

    The gradient of `min(x)` is shared evenly by all elements that are the smallest.

    >>> min([2., 1., 3.])
    tensor(1.)
    >>> min([[1., 3.], [4., 2.]], dim=1).values
    tensor([1., 2.])
    """
    return _extremum("min", input, dim, keepdim, other, op.minimum)


def _even_dims_vjp(g, input, y, dim, keepdim):
    if not keepdim and y.ndim != input.ndim:
        axes = wrap_dims(dim, input.ndim)
        y = op.reshape(y, tuple([1 if k in axes else n for k, n in enumerate(input.shape)]))
    return restore(g, input, dim, keepdim) * op._shares(input, y, dim, True, False)


def _extreme(name, ufunc, input, dim, keepdim):
    axes = wrap_dims(dim, input.ndim)
    if not dim:
        refuse_empty_all(name, input)
    refuse_empty(name, input.shape, axes)
    return ufunc.reduce(input, axes, keepdims=keepdim)


def _extreme_into(ufunc):
    def into(out, scratch, input, dim, keepdim):
        axes = wrap_dims(dim, input.ndim)
        kept = out.reshape([1 if k in axes else n for k, n in enumerate(input.shape)])
        return [(ufunc.reduce, (input, axes, out.dtype, kept, True))]

    return into


@general(vjp=_even_dims_vjp, stream="along", into=_extreme_into(np.maximum), batch="dims")
def amax(input: Tensor, dim: Ints = (), keepdim: Bool = False):
    """The largest elements over the dimensions `dim`; the gradient is shared evenly by equal ones.

    Derivative: g, shared evenly by all elements that equal the largest

    >>> amax([[1., 3.], [4., 2.]], 1)
    tensor([3., 4.])
    """
    return _extreme("amax", np.maximum, input, dim, keepdim)


@general(vjp=_even_dims_vjp, stream="along", into=_extreme_into(np.minimum), batch="dims")
def amin(input: Tensor, dim: Ints = (), keepdim: Bool = False):
    """The smallest elements over the dimensions `dim`; the gradient is shared evenly by equal ones.

    Derivative: g, shared evenly by all elements that equal the smallest

    >>> amin([[1., 3.], [4., 2.]], 1)
    tensor([1., 2.])
    """
    return _extreme("amin", np.minimum, input, dim, keepdim)


def _both_vjp(g, y, input, dim, keepdim):
    dims = () if dim is None else (dim,)
    low = _even_dims_vjp(g[0], input, y[0], dims, keepdim)
    return low + _even_dims_vjp(g[1], input, y[1], dims, keepdim)


@general(vjp=_both_vjp, fields="min max")
def aminmax(input: Tensor, *, dim: Int | None = None, keepdim: Bool = False):
    """The smallest and the largest elements, of all or along a dimension.

    Derivative: each g, shared evenly by all elements that equal the smallest or the largest

    >>> aminmax([2., 1., 3.]).max
    tensor(3.)
    """
    if dim is None:
        if input.size == 0:
            raise ScriptIndexError(
                "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
            )
        axes = tuple(range(input.ndim))
    else:
        axes = (wrap_dim(dim, input.ndim),) if input.ndim else ()
        for k in axes:
            if input.shape[k] == 0:
                raise ScriptIndexError(f"aminmax: Expected reduction dim {k} to have non-zero size.")
    return np.minimum.reduce(input, axes, keepdims=keepdim), np.maximum.reduce(input, axes, keepdims=keepdim)


def _place(name: str, find: Any, input: Any, dim: int | None, keepdim: bool) -> Any:
    if input.dtype.kind == "b":
        raise ScriptTypeError(f"{name}(): does not support bool input")
    if dim is None:
        if input.size == 0:
            raise ScriptIndexError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
            )
        at = np.asarray(find(input))
        return at.reshape((1,) * input.ndim) if keepdim else at
    axis = wrap_dim(dim, input.ndim)
    if not input.ndim:
        return np.zeros((), i8)
    refuse_empty(name, input.shape, (axis,))
    return find(input, axis, keepdims=keepdim)


@nondiff(batch="dims")
def argmax(input: Tensor, dim: Int | None = None, keepdim: Bool = False):
    """The place of the (first) largest element, among all or along a dimension.

    >>> argmax([1., 3., 2.])
    tensor(1)
    """
    return _place("argmax", np.argmax, input, dim, keepdim)


@nondiff(batch="dims")
def argmin(input: Tensor, dim: Int | None = None, keepdim: Bool = False):
    """The place of the (first) smallest element, among all or along a dimension.

    >>> argmin([2., 1., 3.])
    tensor(1)
    """
    return _place("argmin", np.argmin, input, dim, keepdim)


def _logsumexp_vjp(g, input, y, dim, keepdim):
    if not keepdim and y.ndim != input.ndim:
        axes = wrap_dims(dim, input.ndim)
        y = op.reshape(y, tuple([1 if k in axes else n for k, n in enumerate(input.shape)]))
    return restore(g, input, dim, keepdim) * op.exp(input - y)


def _logsumexp_steps(input, dim, keepdim):
    top = op.amax(input, dim, True)
    top = op._where(op.isfinite(top), top, 0)
    y = op.log(op._sum_dim.run([op.exp(input - top), dim, True, None])) + top
    if keepdim:
        return y
    axes = wrap_dims(dim, input.ndim)
    return op.reshape(y, tuple([n for k, n in enumerate(input.shape) if k not in axes]))


@general(
    vjp=_logsumexp_vjp,
    lowered=steps(_logsumexp_steps),
    promote="float",
    aliases=("special.logsumexp",),
    batch="dims",
)
def logsumexp(input: Tensor, dim: Ints, keepdim: Bool = False):
    """Logarithm of the sum of exponentials over the dimensions `dim`, without overflow.

    Value: log Σ exp(input)
    Derivative: exp(input − y)

    >>> logsumexp([0., 0.], 0)
    tensor(0.6931)
    """
    if dim == () and input.ndim:
        raise ShapeError(f"output with shape [] doesn't match the broadcast shape {[1] * input.ndim}")
    axes = wrap_dims(dim, input.ndim)
    if input.size == 0:
        return np.log(np.add.reduce(np.exp(input), axes, keepdims=keepdim))
    top = np.maximum.reduce(input, axes, keepdims=True)
    top = np.where(np.isfinite(top), top, np.zeros((), input.dtype))
    total = np.log(add_up(np.exp(input - top), axes, input.dtype, keepdim))
    return total + (top if keepdim else top.reshape(np.shape(total)))
