"""Plain numbers and arrays of other dtypes as arrays of one dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import NpDType, f4, f8
from vardsl.errors import ScriptValueError

ndarray = np.ndarray
SCALAR_TYPES: frozenset[type] = frozenset((np.float32, np.float64))
SCALARS: dict[NpDType, dict[int | float, Any]] = {f4: {}, f8: {}}
"""Common real numbers as read-only 0-d arrays, by dtype."""


def scalar(x: int | float, dtype: NpDType) -> Any:
    """A plain number as a read-only 0-d array of a real dtype; the common ones are kept."""
    kept = SCALARS[dtype]
    array = kept.get(x)
    if array is not None:
        return array
    array = cast(x, dtype)
    if x and len(kept) < 1024:  # 0.0 and -0.0 are one key
        kept[x] = array
    return array


_INTERNED: dict[tuple[NpDType, type, Any], Any] = {}


def cast(x: Any, dtype: NpDType) -> Any:
    """An array of `dtype`; plain numbers wrap as PyTorch's do, and small common ones are kept."""
    if isinstance(x, (ndarray, np.generic)):
        return x.astype(dtype, copy=False)
    key = (dtype, type(x), x)
    found = _INTERNED.get(key)
    if found is not None and (x or type(x) is not float):  # 0.0 and -0.0 are one key
        return found
    if isinstance(x, int) and (x >> 64 if x > 0 else x >> 63 != -1 and x):
        raise ScriptValueError("int too big to convert", hint="a tensor's integers have at most 64 bits")
    if isinstance(x, int) and dtype.kind in "iu":
        bits = dtype.itemsize * 8
        x = int(x) & ((1 << bits) - 1)
        array = np.array(x, np.uint64).astype(dtype) if bits == 64 else np.array(x, np.int64).astype(dtype)
    else:
        array = (
            np.array(x).astype(dtype) if not isinstance(x, float) or dtype.kind != "f" else np.array(x, dtype)
        )
    array.flags.writeable = False
    if len(_INTERNED) < 4096:
        _INTERNED[key] = array
    return array
