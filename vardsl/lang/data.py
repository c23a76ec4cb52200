"""`load` and `save`: tensors in `.csv`, `.npy` and `.npz` files.

Nothing in a file is trusted: sizes are checked against what the file can hold and against the memory limit
before anything is read, and only numbers and booleans are taken.
"""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
import zipfile
import zlib
from collections import namedtuple
from collections.abc import Iterable, Sequence
from keyword import iskeyword
from typing import Any, BinaryIO, cast

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import BY_NP, Array, number_dtype
from vardsl.engine.value import Value
from vardsl.errors import Error, IoError, LimitError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.lang.files import problem
from vardsl.lang.members import kind_of
from vardsl.lang.permissions import Permissions

FORMATS = (".csv", ".npy", ".npz")
MAX_HEADER = 1 << 16
MAX_MEMBERS = 10_000
_PIECE = 1 << 24
_WHOLE = re.compile(rb"[\d\s,;+\-\"]*")


def load(path: Any) -> Any:
    """The numbers in a `.csv`, `.npy` or `.npz` file.

    A `.csv` is a tensor with a row for each line: int64 where all are integers, else of the default real
    dtype; a first line that is no numbers is skipped, and a file of one column is a 1-d tensor. A `.npz` is
    its only array, or a tuple of all with their names: `load("weights.npz").w1`.
    """
    ending = _ending(path, "load")
    permissions: Permissions = state.ctx.files
    with permissions.open(path) as file:
        try:
            if ending == ".csv":
                return Value(_read_csv(file, path))
            if ending == ".npy":
                return Value(_read_npy(file, _size(file), path))
            return _read_npz(file, path)
        except OSError as error:
            raise IoError(f"{path} cannot be read: {error.strerror}") from None


def save(path: Any, /, *values: Any, **named: Any) -> None:
    """Writes tensors to a `.csv`, `.npy` or `.npz` file, which is replaced whole or not at all.

    A `.csv` holds one tensor of at most two dimensions, a `.npy` one of any, a `.npz` several:
    `save("weights.npz", w1=w1, w2=w2)`. Their gradients are not saved.
    """
    ending = _ending(path, "save")
    arrays = _arrays(ending, values, named)
    permissions: Permissions = state.ctx.files
    if ending == ".npz":
        permissions.replace(path, lambda out: _write_npz(out, arrays))
        return
    if len(arrays) != 1:
        raise ScriptTypeError(
            f"save() writes one tensor to a {ending} file, and {len(arrays)} were given",
            hint='several go into one .npz file: save("w.npz", w=w, b=b)' if arrays else "save(path, x)",
        )
    array = next(iter(arrays.values()))
    if ending == ".npy":
        permissions.replace(path, lambda out: np.lib.format.write_array(out, array, allow_pickle=False))
        return
    if array.ndim > 2:
        raise ShapeError(
            f"a .csv file holds at most 2 dimensions, and this tensor has {array.ndim}",
            hint="x.flatten(1) has two; a .npy file holds any number of them",
        )
    permissions.replace(path, lambda out: _write_csv(out, array))


def _ending(path: Any, what: str) -> str:
    if not isinstance(path, str):
        raise ScriptTypeError(f"{what}() needs the name of a file first, not {kind_of(path)}")
    for ending in FORMATS:
        if path.lower().endswith(ending):
            return ending
    raise ScriptValueError(f"{what}() knows files that end in .csv, .npy or .npz, not {path!r}")


def _size(file: BinaryIO) -> int:
    """Bytes from here to the end."""
    here = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(here)
    return end - here


# ---- .npy ------------------------------------------------------------------------------------------------
def _read_npy(file: Any, size: int, shown: str) -> Array:
    """The array of a `.npy` stream of `size` bytes. Raises IoError and LimitError."""
    dtype, fortran, shape, start = _header(file, shown)
    count = math.prod(shape)
    nbytes = count * dtype.itemsize
    if nbytes > size - start:
        rest = max(0, size - start)
        raise problem(shown, f"its header promises {nbytes:,} bytes of numbers, and only {rest:,} follow")
    if math.prod(n for n in shape if n) >= 1 << 60:
        raise problem(shown, f"its shape {list(shape)} is too large")
    into = _taken(dtype, shown)
    state.ctx.budget.reserve(nbytes + (0 if into == dtype else count * into.itemsize), f"load({shown!r})")
    flat = np.empty(count, dtype)
    _fill(file, flat.view(np.uint8), shown)
    if dtype.kind == "u" and dtype.itemsize == 8 and count and flat.max() > np.iinfo(np.int64).max:
        raise problem(shown, "it holds integers above the largest int64")
    if dtype.kind == "b":
        flat = flat.view(np.uint8) != 0  # a byte that is neither 0 nor 1 is no boolean
    return flat.astype(into, copy=False).reshape(shape, order="F" if fortran else "C")


def _fill(file: Any, into: Array, shown: str) -> None:
    at = 0
    while at < len(into):
        piece = file.read(min(_PIECE, len(into) - at))
        if not piece:
            raise problem(shown, "it ends before its numbers do")
        into[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
        at += len(piece)


def _header(file: Any, shown: str) -> tuple[np.dtype[Any], bool, tuple[int, ...], int]:
    """dtype, whether columns come first, shape, and the bytes before the numbers."""
    head = file.read(10)
    if len(head) < 10 or head[:6] != b"\x93NUMPY":
        raise problem(shown, "this is no .npy file")
    if head[6] not in (1, 2, 3):
        raise problem(shown, f"this is version {head[6]} of the .npy format; 1, 2 and 3 are known")
    length, start = int.from_bytes(head[8:10], "little"), 10
    if head[6] > 1:
        length, start = length | int.from_bytes(file.read(2), "little") << 16, 12
    if length > MAX_HEADER:
        raise problem(shown, f"its header of {length:,} bytes is longer than {MAX_HEADER:,}")
    text = file.read(length).decode("latin-1" if head[6] < 3 else "utf-8", "replace")
    descr = re.search(r"""['"]descr['"]\s*:\s*(['"])([^'"]*)\1""", text)
    order = re.search(r"""['"]fortran_order['"]\s*:\s*(True|False)""", text)
    shape = re.search(r"""['"]shape['"]\s*:\s*\(([\d\s,]*)\)""", text)
    if order is None or shape is None:
        raise problem(shown, "its header cannot be read")
    if descr is None:
        raise problem(shown, "it holds records, and only arrays of numbers and booleans are taken")
    sizes = tuple(int(n) for n in shape[1].replace(" ", "").split(",") if n and len(n) < 20)
    if len(sizes) > 64:
        raise problem(shown, f"it has {len(sizes)} dimensions, and at most 64 are possible")
    return _dtype(descr[2], shown), order[1] == "True", sizes, start + length


def _dtype(text: str, shown: str) -> np.dtype[Any]:
    known = re.fullmatch(r"[<>|=]?(f(?:2|4|8|16)|[iu][1248]|b1)", text)
    if known is not None:
        return np.dtype(text)
    refused = {"O": "Python objects, which are never loaded", "c": "complex numbers, of no dtype here"}
    what = refused.get(text.lstrip("<>|=")[:1], f"{text!r}, which has no dtype here")
    raise problem(shown, f"it holds {what}")


def _taken(dtype: np.dtype[Any], shown: str) -> np.dtype[Any]:
    """The dtype of the language that holds all of another one's numbers."""
    native = dtype.newbyteorder("=")
    if native in BY_NP:
        return native
    wider = {"f2": "f4", "f16": "f8", "u2": "i4", "u4": "i8", "u8": "i8"}
    return np.dtype(wider[f"{dtype.kind}{dtype.itemsize}"])


# ---- .npz ------------------------------------------------------------------------------------------------
class _Pieces:
    """A file that is never read in one large piece: a directory of an archive may not be longer than that."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable
        self.file = file

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(_PIECE + 1 if size < 0 else min(size, _PIECE + 1))
        if len(data) > _PIECE:
            raise LimitError(f"an archive's directory is larger than {_PIECE:,} bytes, the limit")
        return data


def _read_npz(file: BinaryIO, shown: str) -> Any:
    try:
        with zipfile.ZipFile(cast(Any, _Pieces(file))) as archive:
            return _members(archive, shown)
    except Error:
        raise
    except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError, NotImplementedError) as error:
        raise problem(shown, f"this is no .npz file that can be read ({error})") from None


def _members(archive: zipfile.ZipFile, shown: str) -> Any:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise LimitError(f"{shown} holds {len(infos):,} arrays, and {MAX_MEMBERS:,} is the limit")
    state.ctx.budget.reserve(sum(i.file_size for i in infos), f"load({shown!r})")
    names: list[str] = []
    values: list[Value] = []
    for info in infos:
        if not info.filename.endswith(".npy"):
            raise problem(shown, f"its member {info.filename!r} is no array")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
            raise problem(shown, f"its member {info.filename!r} is packed in a way that is not read")
        with archive.open(info) as member:
            values.append(Value(_read_npy(member, info.file_size, f"{shown}, {info.filename}")))
        names.append(_field(info.filename.removesuffix(".npy"), names))
    if len(values) == 1:
        return values[0]
    return namedtuple("arrays", names)(*values)


def _field(name: str, taken: Sequence[str]) -> str:
    """The name of an array as one that can stand after a dot."""
    name = re.sub(r"\W", "_", name).strip("_") or "array"
    if name[0].isdigit() or iskeyword(name) or not name.isidentifier():
        name = "array_" + name if name[0].isdigit() else name + "_"
    found, k = name, 1
    while found in taken:
        k += 1
        found = f"{name}_{k}"
    return found


# ---- .csv ------------------------------------------------------------------------------------------------
def _read_csv(file: BinaryIO, shown: str) -> Array:
    size = _size(file)
    reserve = state.ctx.budget.reserve
    reserve(3 * size, f"load({shown!r})")
    data = file.read(size).removeprefix(b"\xef\xbb\xbf")
    if b"\0" in data:
        raise problem(shown, "this is no text")
    rows = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    kept = [k for k, line in enumerate(rows) if line.strip() and not line.lstrip().startswith(b"#")]
    delimiter = _delimiter([rows[k] for k in kept[:10]])
    if kept and _is_header(rows[kept[0]], delimiter):
        del kept[0]
    lines = [rows[k] for k in kept]
    cells = sum(line.count(delimiter) for line in lines) + len(lines) if delimiter else len(lines)
    reserve(12 * cells + 80 * len(rows), f"load({shown!r})")
    table = _numbers(lines, delimiter.decode(), [k + 1 for k in kept], shown)
    return table.reshape(-1) if table.shape[1] == 1 else table


def _delimiter(lines: list[bytes]) -> bytes:
    """The character between the values: the one that stands as often in every line."""
    best, most = b"", 0
    for mark in (b",", b";", b"\t"):
        counts = {line.count(mark) for line in lines}
        if len(counts) == 1 and 0 not in counts:
            return mark
        if sum(line.count(mark) for line in lines) > most:
            best, most = mark, sum(line.count(mark) for line in lines)
    return best


def _is_header(line: bytes, delimiter: bytes) -> bool:
    """Whether a cell is neither a number nor empty."""
    cells = line.split(delimiter) if delimiter else [line]
    return any(_number(c.decode("utf-8", "replace").strip(' "\t')) is None for c in cells)


def _number(cell: str) -> float | None:
    if not cell:
        return math.nan
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


def _numbers(lines: list[bytes], delimiter: str, numbers: list[int], shown: str) -> Array:
    """The values as a table; the quick way first, and where it fails the one that finds out why."""
    if not lines:
        return np.zeros((0, 0), state.ctx.default_dtype)
    whole = all(_WHOLE.fullmatch(line) for line in lines)
    try:
        with warnings.catch_warnings():
            # an integer that is too large: NumPy before 2.3 warns, and gives another one
            warnings.simplefilter("error", DeprecationWarning)
            table: Array = np.loadtxt(
                lines, dtype=np.int64 if whole else np.float64, delimiter=delimiter or None, comments=None,
                quotechar='"', ndmin=2, encoding="utf-8",
            )  # fmt: skip
        if len(table) == len(lines):
            return table if whole else table.astype(state.ctx.default_dtype)
    except (ValueError, OverflowError, DeprecationWarning):
        pass
    return _slowly(lines, delimiter, numbers, shown)


def _slowly(lines: list[bytes], delimiter: str, numbers: list[int], shown: str) -> Array:
    """Row by row; empty cells are nan. Raises IoError that names line and column."""
    table: list[list[float]] = []
    for line, number in zip(lines, numbers, strict=True):
        try:
            text = line.decode("utf-8")
            cells = next(csv.reader([text], delimiter=delimiter or ",", skipinitialspace=True))
        except UnicodeDecodeError:
            raise problem(shown, f"line {number} is not UTF-8") from None
        except csv.Error as error:
            raise problem(shown, f"line {number}: {error}") from None
        if table and len(cells) != len(table[0]):
            first = f"line {numbers[0]} has {_count(len(table[0]))}"
            raise problem(shown, f"line {number} has {_count(len(cells))}, and {first}")
        table.append([_cell(c.strip(), number, k, shown) for k, c in enumerate(cells, start=1)])
    return np.array(table, state.ctx.default_dtype)


def _count(n: int) -> str:
    return "1 value" if n == 1 else f"{n} values"


def _cell(cell: str, line: int, column: int, shown: str) -> float:
    x = _number(cell)
    if x is None:
        text = cell if len(cell) <= 40 else cell[:40] + "…"
        raise problem(shown, f"line {line}, value {column}: {text!r} is no number")
    if abs(x) >= 1 << 63 and not re.search(r"[.eEnN]", cell):
        raise problem(shown, f"line {line}, value {column}: the integer {cell[:40]} does not fit int64")
    return x


# ---- writing ---------------------------------------------------------------------------------------------
def _arrays(ending: str, values: Iterable[Any], named: dict[str, Any]) -> dict[str, Array]:
    """What is to be saved, by name."""
    found: dict[str, Array] = {}
    for k, x in enumerate(values):
        if isinstance(x, tuple) and ending == ".npz":
            names = getattr(x, "_fields", None) or [f"arr_{k + i}" for i in range(len(x))]
            items = dict(zip(names, x, strict=True))
        else:
            items = {f"arr_{k}": x}
        for name, item in items.items():
            found[_free(name, found)] = _array(item)
    for name, x in named.items():
        found[_free(name, found)] = _array(x)
    return found


def _free(name: str, taken: dict[str, Array]) -> str:
    if name in taken:
        hint = "give them names: save(path, a=x, b=y)"
        raise ScriptTypeError(f"save() got two arrays for the name {name}", hint=hint)
    return name


def _array(x: Any) -> Array:
    if isinstance(x, Value):
        return x.data.array
    if isinstance(x, (bool, int, float)):
        dtype = number_dtype(x, state.ctx.default_dtype).np
        try:
            return np.array(x, dtype)
        except OverflowError:
            raise ScriptValueError(f"the integer {x:.3e} does not fit int64") from None
    if isinstance(x, np.ndarray) and x.dtype in BY_NP:
        return x
    raise ScriptTypeError(f"save() writes tensors and numbers, not {kind_of(x)}")


def _write_npz(out: BinaryIO, arrays: dict[str, Array]) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            # a fixed time: the same numbers make the same file
            info = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))
            with archive.open(info, "w", force_zip64=array.nbytes >= 1 << 31) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _write_csv(out: BinaryIO, array: Array) -> None:
    """A line for each row, with as many digits as bring the same number back."""
    table = array.reshape(-1, 1) if array.ndim < 2 else array
    if table.dtype.kind == "b":
        table = table.astype(np.uint8)
    rows = max(1, 65_536 // max(1, table.shape[1]))
    for k in range(0, len(table), rows):
        part = table[k : k + rows].astype(str).tolist()
        out.write("".join(",".join(row) + "\n" for row in part).encode())
