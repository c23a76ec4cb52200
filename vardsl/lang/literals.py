"""The tensors that `[…]` literals make, and `var`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vardsl.engine.context import no_grad, state
from vardsl.engine.dtypes import BY_NAME, BY_NP, NpDType, result_dtype
from vardsl.engine.value import OPS, Value, fixed
from vardsl.errors import LimitError, ScriptTypeError, ShapeError
from vardsl.lang.members import kind_of

MAX_DIMS = 64
TUPLE_HINT = "a tuple (…) may hold anything"


def unpacked(data: bytes, shape: tuple[int, ...], kind: str) -> Value:
    """The tensor of a packed literal: a new one each time."""
    array = np.frombuffer(data, kind).reshape(shape)
    return fixed(array.astype(state.ctx.default_dtype if kind == "d" else array.dtype))


def tensor(items: list[Any]) -> Value:
    """The tensor of a literal whose structure is nested lists. Raises ShapeError and ScriptTypeError."""
    leaves = _flat(items)
    if any(type(x) is Value or isinstance(x, np.ndarray) for x in leaves):
        arrays = [x.array if type(x) is Value else x for x in leaves]
        return _stack(items, result_dtype(arrays, state.ctx.default_dtype))
    shape = _shape(items)
    return fixed(_array(leaves, state.ctx.default_dtype).reshape(shape))


def raw(items: Any, dtype: NpDType | None) -> Any:
    """An array of a literal's numbers in `dtype` as they are written; None where tensors are among them."""
    leaves = _flat(items)
    if any(type(x) is Value or isinstance(x, np.ndarray) for x in leaves):
        return None
    shape = _shape(items)
    array = _array(leaves, state.ctx.default_dtype if dtype is None else dtype)
    if dtype is not None and array.dtype != dtype:
        array = array.astype(dtype)
    return array.reshape(shape)


def _flat(items: Any) -> list[Any]:
    """What stands in nested lists and tuples, in order. Raises ScriptTypeError for what is no number."""
    leaves: list[Any] = []
    stack = [iter(items)]
    while stack:
        for x in stack[-1]:
            if isinstance(x, (list, tuple)):
                stack.append(iter(x))
                break
            _refuse(x)
            leaves.append(x)
        else:
            stack.pop()
    return leaves


def _array(leaves: Sequence[Any], default: NpDType) -> Any:
    kinds = {type(x) for x in leaves}
    if float in kinds or not leaves:
        try:
            return np.array(leaves, np.float64).astype(default)
        except OverflowError:
            raise LimitError("a number in this literal is too large for a real") from None
    if kinds == {bool}:
        return np.array(leaves, np.bool_)
    try:
        return np.array(leaves, np.int64)
    except OverflowError:
        big = next(x for x in leaves if not -(1 << 63) <= x < 1 << 63)
        raise LimitError(
            f"the integer {_short(big)} is too large for a tensor, which holds integers of 64 bits",
            hint="write it with a point, as a real",
        ) from None


def _short(n: int) -> str:
    return str(n) if n.bit_length() < 400 else f"of {n.bit_length()} bits"


def _shape(items: Any) -> tuple[int, ...]:
    """The shape of nested lists or tuples of numbers. Raises ShapeError where rows differ."""
    level: list[Any] = [items]
    shape: list[int] = []
    while level and isinstance(level[0], (list, tuple)):
        n = len(level[0])
        for x in level:
            got = len(x) if isinstance(x, (list, tuple)) else 0
            if got != n or not isinstance(x, (list, tuple)):
                raise _ragged(n, len(shape), got)
        shape.append(n)
        level = [y for x in level for y in x]
    for y in level:
        if isinstance(y, (list, tuple)):
            raise _ragged(0, len(shape), len(y))
    if len(shape) > MAX_DIMS:
        raise LimitError(f"a tensor of {len(shape)} dimensions has more than {MAX_DIMS}, the limit")
    return tuple(shape)


def _ragged(n: int, dim: int, got: int) -> ShapeError:
    if not n or not got:
        message = "the rows of this tensor are not equally deep: numbers and rows stand side by side"
        return ShapeError(
            message, torch=f"expected sequence of length {n} at dim {dim} (got {got})", hint=TUPLE_HINT
        )
    return ShapeError(
        f"expected sequence of length {n} at dim {dim} (got {got})",
        hint="the rows of a tensor are equally long; a tuple (…) may hold rows of any length",
    )


def _refuse(x: Any) -> None:
    if isinstance(x, (bool, int, float, Value, list, tuple, np.ndarray, np.generic)):
        return
    torch = "too many dimensions 'str'" if isinstance(x, str) else None
    raise ScriptTypeError(f"a tensor holds numbers, not {kind_of(x)}", torch=torch, hint=TUPLE_HINT)


def _stack(item: Any, dtype: NpDType) -> Value:
    if isinstance(item, (list, tuple)):
        rows = [_stack(x, dtype) for x in item]
        first = rows[0].array.shape
        for k, r in enumerate(rows):
            if r.array.shape != first:
                raise ShapeError(
                    f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and "
                    f"{list(r.array.shape)} at entry {k}",
                    hint=TUPLE_HINT,
                )
        return OPS["stack"](tuple(rows))  # type: ignore[no-any-return]
    if type(item) is Value:
        return item if item.array.dtype == dtype else OPS["_cast"](item, dtype)
    if isinstance(item, (np.ndarray, np.generic)):
        return fixed(np.asarray(item).astype(dtype))
    return fixed(np.array(item).astype(dtype))


def var(x: Any, dtype_name: str | None, grad: bool) -> Value:
    """`var x DTYPE grad`: a new leaf with a copy; what is not of a real dtype becomes the default one."""
    dtype = None if dtype_name is None else BY_NAME[dtype_name].np
    default = state.ctx.default_dtype
    array: Any = None
    if isinstance(x, (bool, int, float)):
        array = raw([x], default if dtype is None else dtype).reshape(())
    elif isinstance(x, (list, tuple)):
        array = raw(list(x), default if dtype is None else dtype)
        if array is None:
            with no_grad():
                array = tensor(list(x)).array
    elif type(x) is Value:
        array = x.array
    elif isinstance(x, (np.ndarray, np.generic)):
        array = np.asarray(x)
    else:
        raise ScriptTypeError(f"a variable holds numbers, not {kind_of(x)}", hint=TUPLE_HINT)
    if dtype is None:
        dtype = array.dtype if array.dtype in BY_NP and array.dtype.kind == "f" else default
    value = Value(np.array(array, dtype=dtype, order="C"))
    return value.requires_grad_() if grad else value
