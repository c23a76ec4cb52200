"""An array whose numbers are still to be computed.

While a run over large tensors is executed for the first time, its operations only say what there will be:
a value then holds a `Pending` in place of its array. Whoever looks at more than shape, dtype and strides has
the numbers computed, together with all others that wait, and goes on with the real array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


class Pending(NDArrayOperatorsMixin):
    """`memory` is where the numbers will be, `compute` has them computed and is None once they are there.

    slot     what a recording knows the numbers as
    root     of a view, what it is a view of
    holders  the values that hold this as their array
    """

    __slots__ = ("__weakref__", "compute", "holders", "memory", "root", "slot")

    def __init__(self, memory: Any, compute: Callable[[], None], root: Pending | None = None) -> None:
        self.memory = memory
        self.compute: Callable[[], None] | None = compute
        self.root = root
        self.slot: Any = None
        self.holders: list[ref[Any]] = []

    def real(self) -> Any:
        """The array with its numbers."""
        if self.compute is not None:
            self.compute()
        return self.memory

    def settled(self) -> None:
        """The numbers are there: those who hold this hold the array itself from now on."""
        self.compute = None
        for holder in self.holders:
            v = holder()
            if v is not None and v.array is self:
                v.array = self.memory
        self.holders.clear()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return np.ndarray  # for isinstance

    # ---- what is known before ------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]:
        return self.memory.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        return self.memory.dtype

    @property
    def ndim(self) -> int:
        return self.memory.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        return self.memory.size  # type: ignore[no-any-return]

    @property
    def itemsize(self) -> int:
        return self.memory.itemsize  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        return self.memory.nbytes  # type: ignore[no-any-return]

    @property
    def strides(self) -> tuple[int, ...]:
        return self.memory.strides  # type: ignore[no-any-return]

    @property
    def flags(self) -> Any:
        return self.memory.flags

    # ---- everything else looks at the numbers --------------------------------------------------------------
    def __getattr__(self, name: str) -> Any:
        return getattr(self.real(), name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.real(), dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        keywords = {name: real(x) for name, x in keywords.items()}
        return getattr(ufunc, method)(*map(real, inputs), **keywords)

    def __array_function__(self, fn: Any, types: Any, args: Any, keywords: Any) -> Any:
        return fn(*map(real, args), **{name: real(x) for name, x in keywords.items()})

    def __len__(self) -> int:
        return len(self.memory)

    def __iter__(self) -> Any:
        return iter(self.real())

    def __getitem__(self, key: Any) -> Any:
        return self.real()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.real()[key] = real(value)

    def __bool__(self) -> bool:
        return bool(self.real())

    def __float__(self) -> float:
        return float(self.real())

    def __int__(self) -> int:
        return int(self.real())

    def __index__(self) -> int:
        return self.real().__index__()  # type: ignore[no-any-return]

    def __contains__(self, x: Any) -> bool:
        return x in self.real()

    def __repr__(self) -> str:
        return repr(self.real())


def pending(a: Any) -> Pending | None:
    """`a` if it is one whose numbers may have to be waited for, else None."""
    return a if type(a) is Pending else None


def held(a: Any) -> Any:
    """`a` as a value may hold it: as an array, or waiting."""
    if type(a) is Pending:
        return a if a.compute is not None else a.memory
    return a if type(a) is np.ndarray else np.asarray(a)


def real(x: Any) -> Any:
    """`x`, with the arrays for all that waits in it."""
    if type(x) is Pending:
        return x.real()
    if type(x) is tuple or type(x) is list:
        return type(x)(map(real, x))
    return x
