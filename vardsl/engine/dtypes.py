"""The dtypes of the language and PyTorch's promotion between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]


class DType:
    """A dtype as scripts see it; `np` is NumPy's, `category` 0 for bool, 1 for integers, 2 for reals."""

    __slots__ = ("category", "name", "np", "type_name")

    def __init__(self, name: str, category: int, type_name: str) -> None:
        self.name = name
        self.np = np.dtype(name)
        self.category = category
        self.type_name = type_name

    def __repr__(self) -> str:
        return self.name

    def __call__(self, x: Any) -> Any:
        """Converts: a tensor or array is cast, text and plain numbers become plain numbers of this
        category."""
        cast = getattr(x, "to_dtype", None)
        if cast is not None:
            return cast(self)
        if isinstance(x, np.ndarray):
            return x.astype(self.np)
        if isinstance(x, str) and self.category == 1:
            return int(x)
        return (bool, int, float)[self.category](x)

    @property
    def is_floating(self) -> bool:
        return self.category == 2

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.np.itemsize


BOOL = DType("bool", 0, "Bool")
UINT8 = DType("uint8", 1, "Byte")
INT8 = DType("int8", 1, "Char")
INT16 = DType("int16", 1, "Short")
INT32 = DType("int32", 1, "Int")
INT64 = DType("int64", 1, "Long")
FLOAT32 = DType("float32", 2, "Float")
FLOAT64 = DType("float64", 2, "Double")
ALL = (FLOAT32, FLOAT64, INT64, INT32, INT16, INT8, UINT8, BOOL)
BY_NP: dict[np.dtype[np.generic], DType] = {d.np: d for d in ALL}
BY_NAME: dict[str, DType] = {d.name: d for d in ALL} | {
    "float": FLOAT32,
    "double": FLOAT64,
    "long": INT64,
    "int": INT32,
    "short": INT16,
}

NpDType = np.dtype[np.generic]
b1, f4, f8, i8 = BOOL.np, FLOAT32.np, FLOAT64.np, INT64.np

_RANK = {UINT8: 1, INT8: 1, INT16: 2, INT32: 3, INT64: 4}


def promote_dtypes(a: DType, b: DType) -> DType:
    """PyTorch's `promote_types`: categories first, then width; uint8 with int8 is int16."""
    if a is b:
        return a
    if a.category != b.category:
        return a if a.category > b.category else b
    if a.category == 2:
        return FLOAT64
    if {a, b} == {UINT8, INT8}:
        return INT16
    return a if _RANK[a] > _RANK[b] else b


def _combine(higher: DType | None, lower: DType | None) -> DType | None:
    if higher is None or lower is None:
        return higher or lower
    if higher.is_floating:
        return higher
    if higher is BOOL or lower.is_floating:
        return promote_dtypes(higher, lower)
    return higher


def number_dtype(x: object, default: NpDType) -> DType:
    """The dtype that a plain number stands for where no tensor decides."""
    if isinstance(x, bool):
        return BOOL
    return INT64 if isinstance(x, int) else BY_NP[default]


def result_dtype(arguments: Iterable[object], default: NpDType) -> NpDType:
    """PyTorch's `result_type`: tensors with dimensions, then 0-d tensors, then numbers, each only by
    category.

    `arguments` are arrays and plain numbers; `default` is the default real dtype.
    """
    dims: DType | None = None
    zero: DType | None = None
    wrapped: DType | None = None
    for x in arguments:
        if isinstance(x, (np.ndarray, np.generic)):
            d = BY_NP[x.dtype]
            if x.ndim:
                dims = d if dims is None else promote_dtypes(dims, d)
            else:
                zero = d if zero is None else promote_dtypes(zero, d)
        else:
            d = number_dtype(x, default)
            wrapped = d if wrapped is None else promote_dtypes(wrapped, d)
    result = _combine(dims, _combine(zero, wrapped))
    return default if result is None else result.np


def is_float(d: NpDType) -> bool:
    return d is f4 or d is f8 or d.kind == "f"


def is_integral(d: NpDType, *, or_bool: bool = False) -> bool:
    return d.kind in "iu" or (or_bool and d.kind == "b")
