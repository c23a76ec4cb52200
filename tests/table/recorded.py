"""Cases recorded from PyTorch: how they are written to a file and read back, with NumPy alone.

A file is a zip of two byte arrays: `meta`, a JSON list of cases, and `data`, the bytes of every array one
after the other. A case names its arrays by number, `{"t": 3}`; tuples, dtypes and named results are small
objects too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "recorded"


@dataclass(eq=False)
class Tensor:
    """An array of a case, and whether it takes part in the graph."""

    array: np.ndarray[Any, Any]
    requires_grad: bool = False


@dataclass(frozen=True)
class Dtype:
    """A dtype handed over as an argument."""

    name: str


@dataclass
class Result:
    """Several results, with their field names where PyTorch has them."""

    items: list[Any]
    fields: list[str] = field(default_factory=list)


@dataclass
class Case:
    """One call and what PyTorch makes of it."""

    name: str
    label: str
    args: list[Any]
    kwargs: dict[str, Any]
    inputs: list[
        Tensor
    ]  # every distinct tensor argument, in order; gradients run along those that require it
    out: Any = None
    grad_fns: list[str | None] = field(default_factory=list)
    first: list[np.ndarray[Any, Any] | None] | None = None
    first_error: str | None = None
    second: list[np.ndarray[Any, Any] | None] | None = None
    second_error: str | None = None
    error: str | None = None
    error_type: str | None = None
    random: bool = False  # drawn after manual_seed(0)
    unset: bool = False  # the values mean nothing
    changed: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict)  # inputs as the call left them


def cotangent(shape: tuple[int, ...], position: int, order: int) -> np.ndarray[Any, Any]:
    """The fixed weights that results (order 1) and first gradients (order 2) are summed with."""
    count = int(np.prod(shape, dtype=np.int64))
    return np.cos(np.arange(count) + position + 0.5 * order).reshape(shape)


class Writer:
    """Collects cases and the bytes of their arrays."""

    def __init__(self) -> None:
        self.cases: list[dict[str, Any]] = []
        self.blobs: list[bytes] = []
        self.at = 0

    def array(self, array: np.ndarray[Any, Any], grad: bool = False) -> dict[str, Any]:
        """The record of one array; strides are kept, in elements, where it is not contiguous."""
        record: dict[str, Any] = {"dtype": array.dtype.name, "shape": list(array.shape), "at": self.at}
        if grad:
            record["grad"] = True
        if not array.flags.c_contiguous:
            record["strides"] = [s // array.itemsize for s in array.strides]
        blob = np.ascontiguousarray(array).tobytes()
        self.blobs.append(blob)
        self.at += len(blob)
        return record

    def save(self, path: Path) -> None:
        meta = np.frombuffer(json.dumps(self.cases, separators=(",", ":")).encode(), dtype=np.uint8)
        data = np.frombuffer(b"".join(self.blobs), dtype=np.uint8)
        np.savez_compressed(path, meta=meta, data=data)


def strided(array: np.ndarray[Any, Any], strides: list[int]) -> np.ndarray[Any, Any]:
    """The same values laid out with these strides (in elements, none negative)."""
    extent = 1 + sum((n - 1) * s for n, s in zip(array.shape, strides, strict=True)) if array.size else 1
    base = np.zeros(extent, dtype=array.dtype)
    steps = [s * array.itemsize for s in strides]
    view = np.lib.stride_tricks.as_strided(base, array.shape, steps)
    view[...] = array
    return view


def _read_array(record: dict[str, Any], data: bytes) -> Tensor:
    dtype, shape = np.dtype(record["dtype"]), tuple(record["shape"])
    count = int(np.prod(shape, dtype=np.int64))
    array = np.frombuffer(data, dtype=dtype, count=count, offset=record["at"]).reshape(shape).copy()
    if "strides" in record:
        array = strided(array, record["strides"])
    return Tensor(array, bool(record.get("grad")))


def decode(value: Any, tensors: list[Tensor]) -> Any:
    """A JSON value of a case as Python: tensors by number, tuples, dtypes, named results."""
    if isinstance(value, list):
        return [decode(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    if "t" in value:
        return tensors[value["t"]]
    if "dtype" in value:
        return Dtype(value["dtype"])
    if "result" in value:
        return Result([decode(v, tensors) for v in value["result"]], value["fields"])
    return tuple(decode(v, tensors) for v in value["tuple"])


def _gradients(
    numbers: list[int | None] | None, tensors: list[Tensor]
) -> list[np.ndarray[Any, Any] | None] | None:
    return None if numbers is None else [None if n is None else tensors[n].array for n in numbers]


def _read_case(name: str, raw: dict[str, Any], data: bytes) -> Case:
    tensors = [_read_array(record, data) for record in raw["arrays"]]
    return Case(
        name=name,
        label=raw["label"],
        args=[decode(a, tensors) for a in raw["args"]],
        kwargs={k: decode(v, tensors) for k, v in raw["kwargs"].items()},
        inputs=tensors[: raw["inputs"]],
        out=decode(raw.get("out"), tensors),
        grad_fns=raw.get("grad_fns", []),
        first=_gradients(raw.get("first"), tensors),
        first_error=raw.get("first_error"),
        second=_gradients(raw.get("second"), tensors),
        second_error=raw.get("second_error"),
        error=raw.get("error"),
        error_type=raw.get("error_type"),
        random=raw.get("random", False),
        unset=raw.get("unset", False),
        changed={int(k): tensors[n].array for k, n in raw.get("changed", {}).items()},
    )


def cases(name: str, folder: Path = FOLDER) -> list[Case]:
    """The recorded cases of one operation."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as archive:
        raw, data = json.loads(archive["meta"].tobytes()), archive["data"].tobytes()
    return [_read_case(name, case, data) for case in raw]


def names(folder: Path = FOLDER) -> list[str]:
    """The operations that have recorded cases."""
    return sorted(path.stem for path in folder.glob("*.npz"))
