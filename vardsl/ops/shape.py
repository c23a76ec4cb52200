"""The same elements in another shape: views that share storage, and reshapes that copy where they must."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from vardsl.engine.inplace import check_may_change, reshape_in_place
from vardsl.engine.value import Value
from vardsl.errors import ShapeError
from vardsl.ops.define import Int, Ints, Sizes, Tensor, Varargs, composite, general, inplace_op, op, view
from vardsl.ops.dims import infer_size, wrap_dim, wrap_dims

NOT_VIEWABLE = (
    "view size is not compatible with input tensor's size and stride (at least one dimension spans across "
    "two "
    "contiguous subspaces). Use .reshape(...) instead."
)


def viewed(a: Any, shape: tuple[int, ...]) -> Any:
    """The array in another shape without a copy, or None where its strides do not allow that."""
    b = a.reshape(shape)
    if a.flags.c_contiguous or not a.size or np.may_share_memory(a, b):
        return b
    return None


def _reshaped_rows(view, args, at, n):
    return op.reshape(args[0], (n, *args[1]))


@view(
    vjp=lambda g, input_like: op.reshape(g, input_like.shape), grad_fn="ViewBackward0", batch=_reshaped_rows
)
def view_(input: Tensor, shape: Sizes):
    """The same storage in another shape; one size may be -1.

    Derivative: g in the old shape

    >>> view([1., 2., 3., 4.], 2, -1)
    tensor([[1., 2.],
            [3., 4.]])
    """
    b = viewed(input, infer_size(shape, input.size))
    if b is None:
        raise ShapeError(NOT_VIEWABLE, hint="reshape copies where it must")
    return b


@general(
    vjp=lambda g, input_like: op.reshape(g, input_like.shape),
    grad_fn="UnsafeViewBackward0",
    batch=_reshaped_rows,
)
def _unsafe_view(input: Tensor, shape: Sizes):
    return input.reshape(shape)


@composite()
def reshape(input: Tensor, shape: Sizes):
    """The same elements in another shape, a view where the strides allow it; one size may be -1.

    >>> reshape([1., 2., 3., 4.], 2, 2)
    tensor([[1., 2.],
            [3., 4.]])
    """
    if type(input) is not Value:
        return input.reshape(shape)
    a = input.array
    size = infer_size(shape, a.size)
    if a.flags.c_contiguous or viewed(a, size) is not None:
        return op.view.run([input, size])
    return op._unsafe_view.run([op._contiguous_clone.run([input]), size])


@composite()
def reshape_as(input: Tensor, other: Tensor):
    """The elements of `input` in the shape of `other`.

    >>> reshape_as([1., 2.], [[1.], [2.]])
    tensor([[1.],
            [2.]])
    """
    return op.reshape(input, other.shape)


@composite()
def view_as(input: Tensor, other: Tensor):
    """The storage of `input` in the shape of `other`.

    >>> view_as([1., 2.], [[1.], [2.]])
    tensor([[1.],
            [2.]])
    """
    return op.view(input, other.shape)


def _dense(a: Any) -> bool:
    """Whether the array's elements lie without overlap, so that a copy may keep the order of its strides."""
    return a.flags.c_contiguous or a.flags.f_contiguous or 0 not in a.strides


@general(
    vjp=lambda g: g,
    batch="leading",
    stream="pointwise",
    into=lambda out, scratch, input: [(np.copyto, (out, input))],
)
def clone(input: Tensor):
    """A copy that stays on the graph.

    Value: input
    Derivative: g

    >>> clone([1., 2.])
    tensor([1., 2.])
    """
    return np.array(input, order="K" if _dense(input) else "C")


@general(vjp=lambda g: g, grad_fn="CloneBackward0", batch="leading")
def _contiguous_clone(input: Tensor):
    return np.array(input, order="C")


@composite()
def contiguous(input: Tensor):
    """The tensor itself where its elements lie in order in memory, else a copy.

    >>> contiguous([1., 2.])
    tensor([1., 2.])
    """
    a = input.array if type(input) is Value else input
    return input if a.flags.c_contiguous else op._contiguous_clone(input)


@view(vjp=lambda g: g, batch="leading")
def _alias(input: Tensor):
    return input[...]


def _untransposed(g, dim0, dim1):
    return op.transpose(g, dim0, dim1)


@view(
    vjp=_untransposed, grad_fn="TransposeBackward0", aliases=("swapaxes", "swapdims"), inplace=1, batch="dims"
)
def transpose(input: Tensor, dim0: Int, dim1: Int):
    """The tensor with two dimensions swapped.

    Derivative: g transposed

    >>> transpose([[1., 2.], [3., 4.]], 0, 1)
    tensor([[1., 3.],
            [2., 4.]])
    """
    a, b = wrap_dim(dim0, input.ndim), wrap_dim(dim1, input.ndim)
    return input.swapaxes(a, b) if input.ndim else input[...]


def _permutation(dims: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    if len(dims) != ndim:
        raise ShapeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the "
            "desired "
            f"ordering of dimensions i.e. input.dim() = {ndim} is not equal to len(dims) = {len(dims)}"
        )
    axes = tuple([wrap_dim(d, ndim) for d in dims])
    if len(set(axes)) != len(axes):
        raise ShapeError("permute(): duplicate dims are not allowed.")
    return axes


def _unpermuted(g, dims, input_like):
    axes = _permutation(dims, input_like.ndim)
    return op.permute(g, tuple([axes.index(k) for k in range(len(axes))]))


def _permuted_rows(permute, args, at, n):
    rank = args[0].ndim - 1
    return permute.run([args[0], (0, *[d % rank + 1 for d in args[1]])])


@view(vjp=_unpermuted, batch=_permuted_rows)
def permute(input: Tensor, dims: Sizes):
    """The tensor with its dimensions in the order `dims`.

    Derivative: g with its dimensions put back

    >>> permute([[1., 2.], [3., 4.]], 1, 0)
    tensor([[1., 3.],
            [2., 4.]])
    """
    return input.transpose(_permutation(dims, input.ndim))


@composite()
def T(input: Tensor):
    """The tensor with its dimensions in reverse order; the transpose of a matrix. Written `x.T`.

    >>> T([[1., 2.], [3., 4.]])
    tensor([[1., 3.],
            [2., 4.]])
    """
    return op.permute.run([input, tuple(range(input.ndim - 1, -1, -1))])


@composite()
def mT(input: Tensor):
    """The tensor with its last two dimensions swapped: every matrix transposed. Written `x.mT`.

    >>> mT([[1., 2.], [3., 4.]])
    tensor([[1., 3.],
            [2., 4.]])
    """
    if not input.ndim:
        return input
    if input.ndim < 2:
        raise ShapeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {input.ndim}-D tensor."
        )
    return op.transpose.run([input, -2, -1])


def _transposed_rows(t, args, at, n):
    return op._swapped(args[0]) if args[0].ndim > 2 else op._alias(args[0])


@view(vjp=lambda g: op.t(g), grad_fn="TBackward0", batch=_transposed_rows)
def t(input: Tensor):
    """The transpose of a matrix; vectors and 0-d tensors stay as they are.

    Value: inputᵀ
    Derivative: gᵀ

    >>> t([[1., 2.], [3., 4.]])
    tensor([[1., 3.],
            [2., 4.]])
    """
    if input.ndim > 2:
        raise ShapeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return input.T


@inplace_op(name="t_")
def t_(input: Tensor):
    """Turns a matrix into its transpose, without moving its elements.

    >>> x = tensor([[1., 2.], [3., 4.]])
    >>> x.t_()
    tensor([[1., 3.],
            [2., 4.]])
    """
    check_may_change(input)
    if input.ndim > 2:
        raise ShapeError(f"t_() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return reshape_in_place(input, op.t(input), 1)


@composite(aliases=("moveaxis",))
def movedim(input: Tensor, source: Ints, destination: Ints):
    """The tensor with the dimensions `source` moved to the places `destination`.

    >>> movedim([[1., 2., 3.]], 0, 1)
    tensor([[1.],
            [2.],
            [3.]])
    """
    n = input.ndim
    if len(source) != len(destination):
        raise ShapeError(
            "movedim: Invalid source or destination dims: source "
            f"({list(source)} dims) should contain the same number of dims as destination "
            f"({list(destination)} dims)"
        )
    of, to = [wrap_dim(d, n) for d in source], [wrap_dim(d, n) for d in destination]
    for word, given, axes in (("source", source, of), ("destination", destination, to)):
        if len(set(axes)) != len(axes):
            raise ShapeError(f"movedim: repeated dim in `{word}` ({list(given)})")
    if not n:
        return op._alias(input)
    order = [-1] * n
    for a, b in zip(of, to, strict=True):
        order[b] = a
    rest = iter([k for k in range(n) if k not in of])
    return op.permute(input, tuple([k if k >= 0 else next(rest) for k in order]))


def _unsqueezed(g, input_like):
    return op.reshape(g, input_like.shape)


def _without(a: Any, axes: tuple[int, ...]) -> Any:
    """The array without those of the dimensions `axes` that have size 1, sharing memory."""
    drop = [k for k in axes if a.shape[k] == 1]
    return a.squeeze(tuple(drop)) if drop else a[...]


def _squeezed_rows(squeeze, args, at, n):
    return op.reshape(args[0], (n, *[k for k in at[0].shape if k != 1]))


@view(vjp=_unsqueezed, grad_fn="SqueezeBackward0", batch=_squeezed_rows)
def _squeeze_all(input: Tensor):
    return _without(input, tuple(range(input.ndim)))


@view(vjp=_unsqueezed, grad_fn="SqueezeBackward1", batch="dims")
def _squeeze_dim(input: Tensor, dim: Int):
    axis = wrap_dim(dim, input.ndim)
    return _without(input, (axis,)) if input.ndim else input[...]


@view(vjp=_unsqueezed, grad_fn="SqueezeBackward2", batch="dims")
def _squeeze_dims(input: Tensor, dim: Ints):
    return _without(input, wrap_dims(dim, input.ndim) if dim else ())


@composite(inplace=3)
def squeeze(input: Tensor, dim: Any = None):
    """The tensor without its dimensions of size 1, or without those of `dim` that have size 1.

    >>> squeeze([[1.], [2.]])
    tensor([1., 2.])
    """
    if dim is None:
        return op._squeeze_all(input)
    return (op._squeeze_dims if type(dim) in (tuple, list) else op._squeeze_dim)(input, dim)


@view(
    vjp=lambda g, dim, input_like: op.squeeze(g, wrap_dim(dim, input_like.ndim + 1)),
    inplace=1,
    batch="new dim",
)
def unsqueeze(input: Tensor, dim: Int):
    """The tensor with a new dimension of size 1 at `dim`.

    Derivative: g without that dimension

    >>> unsqueeze([1., 2.], 0)
    tensor([[1., 2.]])
    """
    axis = wrap_dim(dim, input.ndim + 1)
    return input[(slice(None),) * axis + (None,) + (slice(None),) * (input.ndim - axis) + (Ellipsis,)]


@composite()
def flatten(input: Tensor, start_dim: Int = 0, end_dim: Int = -1):
    """The tensor with the dimensions `start_dim` to `end_dim` joined into one.

    >>> flatten([[1., 2.], [3., 4.]])
    tensor([1., 2., 3., 4.])
    """
    n = input.ndim
    a, b = wrap_dim(start_dim, n), wrap_dim(end_dim, n)
    if a > b:
        raise ShapeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if n == 0:
        return op.reshape(input, (1,))
    if a == b:
        return input
    return op.reshape(input, (*input.shape[:a], prod(input.shape[a : b + 1]), *input.shape[b + 1 :]))


@composite()
def ravel(input: Tensor):
    """All elements in one dimension, a view where the elements lie in order.

    >>> ravel([[1., 2.], [3., 4.]])
    tensor([1., 2., 3., 4.])
    """
    return op.view(op.contiguous(input), (prod(input.shape),))


@composite()
def unflatten(input: Tensor, dim: Int, sizes: Sizes):
    """The tensor with dimension `dim` split into `sizes`, one of which may be -1.

    >>> unflatten([1., 2., 3., 4.], 0, (2, 2))
    tensor([[1., 2.],
            [3., 4.]])
    """
    axis = wrap_dim(dim, input.ndim)
    if not sizes:
        raise ShapeError("unflatten: sizes must be non-empty")
    if input.ndim == 0:
        raise ShapeError("unflatten: expected a tensor with at least one dimension")
    n = input.shape[axis]
    try:
        full = infer_size(tuple(sizes), n)
    except ShapeError as error:
        if not error.message.startswith("shape '"):
            raise ShapeError(f"unflatten got an unexpected error:\n{error.message}") from None
        raise ShapeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {axis} ({n}) in "
            "the input "
            "tensor"
        ) from None
    return op.view(input, (*input.shape[:axis], *full, *input.shape[axis + 1 :]))


def _refuse_scalar(name: str, ndim: int) -> None:
    if ndim == 0:
        raise ShapeError(f"{name}() cannot be applied to a 0-dim tensor.")


@composite()
def atleast_1d(tensors: Varargs):
    """The tensor with at least one dimension; a tuple of tensors gives a tuple.

    >>> atleast_1d(tensor(1.))
    tensor([1.])
    """
    return _each(tensors, lambda x: op.reshape(x, (1,)) if x.ndim == 0 else x)


@composite()
def atleast_2d(tensors: Varargs):
    """The tensor with at least two dimensions; a vector becomes a row.

    >>> atleast_2d([1., 2.])
    tensor([[1., 2.]])
    """
    return _each(tensors, _two)


@composite()
def atleast_3d(tensors: Varargs):
    """The tensor with at least three dimensions; a matrix gets a last dimension.

    >>> atleast_3d([1., 2.]).shape
    [1, 2, 1]
    """
    return _each(tensors, _three)


def _two(x):
    if x.ndim == 0:
        return op.reshape(x, (1, 1))
    return op.unsqueeze(x, 0) if x.ndim == 1 else x


def _three(x):
    if x.ndim == 0:
        return op.reshape(x, (1, 1, 1))
    if x.ndim == 1:
        return op.unsqueeze(op.unsqueeze(x, 0), 2)
    return op.unsqueeze(x, -1) if x.ndim == 2 else x


def _each(tensors, function):
    return tuple([function(x) for x in tensors]) if type(tensors) is list else function(tensors)
