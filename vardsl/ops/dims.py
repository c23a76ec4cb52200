"""Dimensions and sizes as callers write them: negative dims, inferred sizes, PyTorch's sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.value import Value, fixed
from vardsl.errors import ScriptIndexError, ShapeError
from vardsl.ops.define import op


def wrap_dim(dim: int, ndim: int) -> int:
    """A dimension counted from the front. Raises ScriptIndexError with PyTorch's sentence."""
    n = ndim or 1
    if -n <= dim < n:
        return dim + n if dim < 0 else dim
    raise ScriptIndexError(
        f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})"
    )


def wrap_dims(dim: tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """Dimensions counted from the front; none or an empty tuple are all of them."""
    if not dim:
        return tuple(range(ndim))
    if len(dim) == 1 and 0 <= dim[0] < ndim:
        return (dim[0],)
    axes = tuple([wrap_dim(d, ndim) for d in dim])
    if len(axes) > 1:
        refuse_repeated(axes)
    return axes if ndim else ()


def refuse_repeated(axes: tuple[int, ...]) -> None:
    """Raises ShapeError where a dimension is named twice."""
    for k, a in enumerate(axes):
        if a in axes[:k]:
            raise ShapeError(f"dim {a} appears multiple times in the list of dims")


def infer_size(shape: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """`shape` with its -1 worked out for `numel` elements. Raises ShapeError with PyTorch's sentences."""
    known, open_at = 1, -1
    for k, n in enumerate(shape):
        if n == -1:
            if open_at >= 0:
                raise ShapeError("only one dimension can be inferred")
            open_at = k
        elif n < 0:
            raise ShapeError(f"invalid shape dimension {n} at index {k} of shape {list(shape)}")
        else:
            known *= n
    if open_at < 0:
        if known == numel:
            return shape
    elif known == 0:
        raise (
            ShapeError(
                f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified "
                "dimension size -1 "
                "can be any value and is ambiguous"
            )
            if numel == 0
            else _invalid(shape, numel)
        )
    elif numel % known == 0:
        return (*shape[:open_at], numel // known, *shape[open_at + 1 :])
    raise _invalid(shape, numel)


def _invalid(shape: tuple[int, ...], numel: int) -> ShapeError:
    return ShapeError(f"shape '{list(shape)}' is invalid for input of size {numel}")


def refuse_no_dims(ndim: int, dim: int) -> None:
    """Raises ScriptIndexError where a dimension of a 0-d tensor is named that it must have."""
    if ndim == 0:
        raise ScriptIndexError(f"Dimension specified as {dim} but tensor has no dimensions")


def refuse_negative(size: tuple[int, ...]) -> None:
    """Raises ShapeError for a size that no tensor can have."""
    for n in size:
        if n < 0:
            raise ShapeError(f"Trying to create tensor with negative dimension {n}: {list(size)}")


def dtype_of(x: Any) -> Any:
    """NumPy's dtype of a value or an array."""
    return x.array.dtype if type(x) is Value else x.dtype


def named(y: Any, name: str) -> Any:
    """The result with PyTorch's name of its node, where that is not the name of ours."""
    if type(y) is Value and y._node is not None:
        y._node.name = name
    return y


def as_like(g, like):
    """A cotangent in the dtype of an input that was promoted or cast."""
    return g if dtype_of(g) == like.dtype else op._cast(g, like.dtype)


def zeros_of(g, like):
    """Zeros of another shape than a cotangent's, an array or a value as it is."""
    a = np.zeros(like.shape, dtype_of(g))
    return fixed(a) if type(g) is Value else a


def check_part(part: tuple[int, ...], src: tuple[int, ...]) -> None:
    """Raises ShapeError where what replaces a part of a tensor has another shape."""
    if part != src:
        raise ShapeError(
            "expected src to have a size equal to the slice of self. "
            f"src size = {list(src)}, slice size = {list(part)}"
        )
