"""Tensors made from sizes, numbers and nested lists."""

from __future__ import annotations

from math import ceil, isfinite, prod
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import BY_NP, b1, i8
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import Bool, Dtype, Int, Number, Sizes, Tensor, array, creation
from vardsl.ops.dims import refuse_negative


def _reserve(size: tuple[int, ...], dtype: Any, name: str) -> Any:
    """The dtype (or the default) after the sizes are found possible. Raises ShapeError, LimitError."""
    refuse_negative(size)
    dtype = dtype if dtype is not None else state.ctx.default_dtype
    state.ctx.budget.reserve(prod(size) * dtype.itemsize, name)
    return dtype


@creation()
def zeros(size: Sizes, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """A tensor of zeros.

    >>> zeros(2, 2)
    tensor([[0., 0.],
            [0., 0.]])
    """
    if any(n < 0 for n in size):
        raise ShapeError("zeros: Dimension size must be non-negative.")
    return np.zeros(size, _reserve(size, dtype, "zeros()"))


@creation()
def ones(size: Sizes, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """A tensor of ones.

    >>> ones(2)
    tensor([1., 1.])
    """
    return np.ones(size, _reserve(size, dtype, "ones()"))


@creation()
def empty(size: Sizes, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """A tensor whose elements are to be set; here they are zeros.

    >>> empty(2).shape
    [2]
    """
    return np.zeros(size, _reserve(size, dtype, "empty()"))


def number_dtype(x: Any) -> Any:
    return b1 if isinstance(x, bool) else i8 if isinstance(x, int) else state.ctx.default_dtype


@creation()
def full(size: Sizes, fill_value: Any, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """A tensor with `fill_value` everywhere; its dtype is that of the value.

    >>> full((2,), 7.)
    tensor([7., 7.])
    """
    value = array(fill_value) if type(fill_value) is Value else fill_value
    of = dtype if dtype is not None else value.dtype if isinstance(value, np.ndarray) else number_dtype(value)
    return np.full(size, value, _reserve(size, of, "full()"))


def _model(input: Any, dtype: Any, name: str) -> tuple[tuple[int, ...], Any]:
    if type(input) in (bool, int, float):
        raise ScriptTypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    a = array(input)
    return a.shape, a.dtype if dtype is None else dtype


@creation()
def zeros_like(input: Tensor, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """Zeros in the shape and dtype of `input`.

    >>> zeros_like([1., 2.])
    tensor([0., 0.])
    """
    return np.zeros(*_model(input, dtype, "zeros_like"))


@creation()
def ones_like(input: Tensor, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """Ones in the shape and dtype of `input`.

    >>> ones_like([1., 2.])
    tensor([1., 1.])
    """
    return np.ones(*_model(input, dtype, "ones_like"))


@creation()
def empty_like(input: Tensor, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """A tensor in the shape and dtype of `input` whose elements are to be set; here they are zeros.

    >>> empty_like([1., 2.]).shape
    [2]
    """
    return np.zeros(*_model(input, dtype, "empty_like"))


@creation()
def full_like(input: Tensor, fill_value: Number, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """A tensor in the shape and dtype of `input` with `fill_value` everywhere.

    >>> full_like([1., 2.], 5)
    tensor([5., 5.])
    """
    shape, of = _model(input, dtype, "full_like")
    return np.full(shape, fill_value, of)


@creation()
def arange(
    start: Number = 0,
    end: Number | None = None,
    step: Number = 1,
    *,
    dtype: Dtype | None = None,
    requires_grad: Bool = False,
):
    """The numbers from `start` (0) up to, and without, `end`, `step` apart. Integers give int64.

    >>> arange(3)
    tensor([0, 1, 2])
    >>> arange(0, 1, 0.25)
    tensor([0.0000, 0.2500, 0.5000, 0.7500])
    """
    if end is None:
        start, end = 0, start
    whole = not any(isinstance(x, float) for x in (start, end, step))
    of = dtype if dtype is not None else i8 if whole else state.ctx.default_dtype
    if step == 0:
        raise ScriptValueError("step must be nonzero")
    if not (isfinite(start) and isfinite(end)):
        raise ScriptValueError(f"unsupported range: {start:g} -> {end:g}")
    if (end - start) * step < 0:
        raise ScriptValueError("upper bound and lower bound inconsistent with step sign")
    if of.kind in "iu":
        start, end, step = int(start), int(end), int(step) if int(step) else step
    n = (
        -(-(end - start) // step)
        if isinstance(step, int) and isinstance(end - start, int)
        else ceil((end - start) / step)
    )
    _reserve((n,), np.dtype(np.float64), "arange()")
    if of.kind in "iub":
        return (start + step * np.arange(n, dtype=i8)).astype(of)
    return (float(start) + float(step) * np.arange(n, dtype=np.float64)).astype(of)


def _ends(start: Any, end: Any, name: str) -> tuple[Any, Any]:
    """Both ends as numbers; 0-d tensors are taken too."""
    dims = [x.ndim if type(x) is Value else 0 for x in (start, end)]
    said = f"start with {dims[0]} dimension(s) and end with {dims[1]} dimension(s)."
    return _scalar(start, name, said), _scalar(end, name, said)


def _scalar(x: Any, name: str, said: str) -> Any:
    if type(x) is Value:
        if x.ndim:
            raise ShapeError(f"{name} only supports 0-dimensional start and end tensors, but got {said}")
        return x.item()
    return x


def _spaced(start: Any, end: Any, steps: int, of: Any, name: str) -> Any:
    """`steps` numbers from start to end, counted from both ends towards the middle."""
    if steps < 0:
        raise ScriptValueError("number of steps must be non-negative")
    _reserve((steps,), np.dtype(np.float64), name + "()")
    if steps == 1:
        return np.full((1,), start, np.float64 if of.kind != "f" else of)
    work = of if of.kind == "f" else np.dtype(np.float64)
    a, b = work.type(start), work.type(end)
    step = (b - a) / work.type(max(steps - 1, 1))
    k = np.arange(steps, dtype=work)
    half = steps // 2
    out = np.empty(steps, work)
    out[:half] = a + step * k[:half]
    out[half:] = b - step * k[: steps - half][::-1]
    return out


@creation()
def linspace(start: Any, end: Any, steps: Int, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """`steps` numbers from `start` to `end`, both included, equally far apart.

    >>> linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    of = dtype if dtype is not None else state.ctx.default_dtype
    return _spaced(*_ends(start, end, "linspace"), steps, of, "linspace").astype(of)


@creation()
def logspace(
    start: Any,
    end: Any,
    steps: Int,
    base: Number = 10.0,
    *,
    dtype: Dtype | None = None,
    requires_grad: Bool = False,
):
    """`base` to the power of `steps` numbers from `start` to `end`.

    >>> logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    of = dtype if dtype is not None else state.ctx.default_dtype
    exponents = _spaced(*_ends(start, end, "logspace"), steps, of, "logspace")
    return np.power(exponents.dtype.type(base), exponents).astype(of)


@creation()
def eye(n: Int, m: Int | None = None, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """Ones on the diagonal of a matrix of zeros.

    >>> eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    if n < 0:
        raise ShapeError(f"n must be greater or equal to 0, got {n}")
    if m is not None and m < 0:
        raise ShapeError(f"m must be greater or equal to 0, got {m}")
    columns = n if m is None else m
    return np.eye(n, columns, dtype=_reserve((n, columns), dtype, "eye()"))


def _nested(data: Any, path: tuple[int, ...] = ()) -> Any:
    """Nested sequences of numbers and 0-d tensors as nested lists of numbers."""
    if type(data) in (list, tuple):
        return [_nested(x) for x in data]
    if type(data) is Value:
        return data.tolist()
    if isinstance(data, (np.ndarray, np.generic)):
        return data.tolist()
    if isinstance(data, (bool, int, float)):
        return data
    if type(data) is str:
        raise ScriptValueError(
            "too many dimensions 'str'", hint="a tensor holds numbers; a tuple holds anything"
        )
    raise ScriptTypeError(f"Could not infer dtype of {type(data).__name__}")


def _shape(data: Any) -> tuple[int, ...]:
    shape: list[int] = []
    while type(data) is list:
        shape.append(len(data))
        if not data:
            break
        data = data[0]
    return tuple(shape)


def _refuse_ragged(data: Any, shape: tuple[int, ...], depth: int = 0) -> None:
    if depth == len(shape):
        if type(data) is list:
            raise ScriptTypeError("'list' object cannot be interpreted as an integer")
        return
    if type(data) is not list:
        raise ScriptTypeError("not a sequence")
    if len(data) != shape[depth]:
        raise ShapeError(f"expected sequence of length {shape[depth]} at dim {depth} (got {len(data)})")
    for x in data:
        _refuse_ragged(x, shape, depth + 1)


def _kind(data: Any) -> int:
    """0 for booleans only, 1 for integers, 2 where a real is among the leaves."""
    if type(data) is list:
        return max((_kind(x) for x in data), default=-1)
    return 0 if isinstance(data, bool) else 1 if isinstance(data, int) else 2


def from_nested(data: Any, dtype: Any = None) -> Any:
    """An array of nested lists of numbers; booleans, integers and reals each give their dtype.

    Raises ShapeError for ragged rows, ScriptValueError for integers that do not fit.
    """
    numbers = _nested(data)
    shape = _shape(numbers)
    if dtype is None:
        kind = _kind(numbers)
        dtype = b1 if kind == 0 else i8 if kind == 1 else state.ctx.default_dtype
    _refuse_ragged(numbers, shape)
    try:
        a = np.array(numbers, np.float64 if dtype.kind == "f" else None)
        if dtype.kind in "iu" and a.dtype.kind in "iu" and a.size:
            bounds = np.iinfo(dtype)
            if a.min() < bounds.min or a.max() > bounds.max:
                raise OverflowError
        return (a.astype(dtype) if a.size else np.zeros(shape, dtype)).reshape(shape)
    except (OverflowError, TypeError, ValueError):
        raise ScriptValueError(
            f"value cannot be converted to type {BY_NP[dtype].name} without overflow",
            torch="Overflow when unpacking long long" if dtype == i8 else None,
        ) from None


@creation()
def tensor(data: Any | None, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """A new tensor with a copy of a number, of nested tuples or of another tensor. Integers stay integers.

    >>> tensor([1, 2])
    tensor([1, 2])
    >>> tensor(3, dtype=float64)
    tensor(3., dtype=torch.float64)
    """
    if type(data) is Value or isinstance(data, (np.ndarray, np.generic)):
        a = array(data)
        return np.array(a, dtype=a.dtype if dtype is None else dtype)
    if isinstance(data, np.generic):
        return np.asarray(data)
    return from_nested(data, dtype)
