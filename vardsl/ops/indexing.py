"""`x[…]`: PyTorch's indexing with integers, slices, `...`, `none`, masks and integer tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP, i8
from vardsl.engine.op import Op
from vardsl.engine.tiles import inner_size
from vardsl.engine.value import Value
from vardsl.errors import ScriptIndexError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.creation import from_nested
from vardsl.ops.define import Bool, Sizes, Tensor, Tensors, composite, general, get, op
from vardsl.ops.dims import as_like
from vardsl.ops.order import order
from vardsl.ops.split import bounds

WRONG = (
    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
    "(got {})"
)


# ---- integer tensors and masks -----------------------------------------------------------------------------
def _located(indices: list[Any], places: tuple[int | None, ...]) -> tuple[Any, ...]:
    """The index tuple for NumPy: an index array at each place that has one, else all of the dimension."""
    return tuple([slice(None) if k is None else indices[k] for k in places])


def _check_masks(shape: tuple[int, ...], indices: list[Any], places: tuple[int | None, ...]) -> None:
    d = 0
    for k in places:
        if k is None or indices[k].dtype.kind != "b":
            d += 1
            continue
        for j, n in enumerate(indices[k].shape):
            if n != shape[d + j]:
                raise ScriptIndexError(
                    f"The shape of the mask {list(indices[k].shape)} at index {j} does not match the shape "
                    "of the "
                    f"indexed tensor {list(shape)} at index {d + j}"
                )
        d += indices[k].ndim


def _bad_index(
    error: IndexError, shape: tuple[int, ...], indices: list[Any], places: tuple[int | None, ...]
) -> Exception:
    text = str(error)
    if text.startswith("shape mismatch"):
        lengths = [k.nonzero()[0].shape if k.dtype.kind == "b" else k.shape for k in indices]
        shapes = ", ".join(str(list(s)) for s in lengths)
        return ScriptIndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        )
    if text.endswith("with size 0"):
        return ScriptIndexError("index is out of bounds for dimension with size 0")
    return ScriptIndexError(_out_of_bounds(shape, indices, places) or text)


def _out_of_bounds(shape: tuple[int, ...], indices: list[Any], places: tuple[int | None, ...]) -> str | None:
    """PyTorch's sentence, which counts the index tensors, not the dimensions."""
    d = count = 0
    for k in places:
        if k is None:
            d += 1
            continue
        t = indices[k]
        if t.dtype.kind == "b":
            d, count = d + t.ndim, count + t.ndim
            continue
        wrong = t[(t < -shape[d]) | (t >= shape[d])]
        if wrong.size:
            return f"index {wrong[0]} is out of bounds for dimension {count} with size {shape[d]}"
        d, count = d + 1, count + 1
    return None


def _indexed(a: Any, indices: list[Any], places: tuple[int | None, ...]) -> Any:
    _check_masks(a.shape, indices, places)
    try:
        return a[_located(indices, places)]
    except IndexError as error:
        raise _bad_index(error, a.shape, indices, places) from None


def _index_vjp(g, input_like, indices, places):
    return op._index_backward(g, indices, places, input_like.shape)


def _index_in_rows(index, args, at, n):
    """The rows are a dimension in front that is taken whole; index tensors apart would come before it."""
    input, indices, places, *sizes = args
    used = [k for k, p in enumerate(places) if p is not None]
    if at[0] is None or at[1] is not None or used[-1] - used[0] >= len(used):
        return NotImplemented
    return index.run([input, indices, (None, *places), *[(n, *size) for size in sizes]])


@general(vjp={"input": _index_vjp}, grad_fn="IndexBackward0", batch=_index_in_rows)
def _index(input: Tensor, indices: Tensors, places: Any):
    return _indexed(input, indices, places)


WIDE, MANY = 32, 2048  # numbers of a row, and of all rows, from which on they are added as rows
ROUNDS = 8


def add_rows(out: Any, places: Any, rows: Any) -> None:
    """Adds rows into the rows of a fresh array of zeros that `places` names, each in its turn: what comes
    first to its place, then what comes second, each time all rows at once."""
    if rows.shape[1] < WIDE or rows.size < MANY:
        np.add.at(out, places, rows)
        return
    at = order(places, 0)
    turn = _turns(places[at])
    for k in range(ROUNDS):
        picked = at[turn == k]
        if not picked.size:
            return
        out[places[picked]] += rows[picked]
    rest = np.sort(at[turn >= ROUNDS])
    np.add.at(out, places[rest], rows[rest])


def _turns(ordered: Any) -> Any:
    """How often each element has occurred before, in an ordered array."""
    n = np.arange(len(ordered))
    first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], first[1:])
    return n - np.maximum.accumulate(np.where(first, n, 0))


def _as_rows(out: Any, where: tuple[Any, ...], values: Any) -> tuple[Any, Any] | None:
    """The places and the rows, where an index names whole rows of a matrix or of more dimensions."""
    places = where[0]
    if type(places) is not np.ndarray or places.dtype.kind != "i" or out.ndim < 2:
        return None
    if any(type(w) is not slice or w != slice(None) for w in where[1:]):
        return None
    values = np.broadcast_to(values, (*places.shape, *out.shape[1:]))
    places = np.where(places < 0, places + len(out), places).reshape(-1)
    return places, values.reshape(len(places), inner_size(out.shape))


def add_at(out: Any, where: tuple[Any, ...], values: Any) -> None:
    """Adds `values` into the places `where` of a fresh array of zeros; places that occur twice get both."""
    found = _as_rows(out, where, values)
    if found is not None and found[1].shape[1] >= WIDE and out.flags.c_contiguous:
        add_rows(out.reshape(len(out), inner_size(out.shape)), *found)
        return
    if values.size * 8 < out.size or out.dtype.kind != "f":
        np.add.at(out, where, values)
        return
    flat = np.arange(out.size).reshape(out.shape)[where]
    values = np.broadcast_to(values, flat.shape)
    out += (
        np.bincount(flat.ravel(), values.ravel(), out.size).reshape(out.shape).astype(out.dtype, copy=False)
    )


def onto_zeros(put: Callable[..., None]) -> Callable[..., Any]:
    """For plans: the calls of an operation that makes zeros and lets `put(zeros, *arguments)` do the rest."""

    def into(out: Any, scratch: Any, input: Any, *given: Any) -> Any:
        if input.dtype != out.dtype or not out.flags.c_contiguous:
            return None
        return [(out.fill, (0,)), (put, (out, input, *given))]

    return into


def _put_back(out: Any, input: Any, indices: list[Any], places: tuple[int | None, ...]) -> None:
    """Puts what an index has taken into the places of an array of zeros."""
    where = _located(indices, places)
    if all(k.dtype.kind == "b" for k in indices) and len(indices) == 1:
        out[where] = input  # a mask names each place once
    else:
        add_at(out, where, input)


def _index_backward_into(out: Any, scratch: Any, input: Any, indices: Any, places: Any, sizes: Any) -> Any:
    if input.dtype != out.dtype or not all(isinstance(k, np.ndarray) for k in indices):
        return None
    return [(out.fill, (0,)), (_put_back, (out, input, list(indices), places))]


@general(
    vjp={"input": lambda g, indices, places: op._index(g, indices, places)},
    grad_fn="IndexPutBackward0",
    into=_index_backward_into,
    batch=_index_in_rows,
)
def _index_backward(input: Tensor, indices: Tensors, places: Any, sizes: Sizes):
    out = np.zeros(sizes, input.dtype)
    _put_back(out, input, indices, places)
    return out


def _put_input_vjp(g, indices, places, accumulate):
    if accumulate:
        return g
    return op._index_put(g, indices, op.zeros((), dtype=_np(g)), places, False)


def _np(g):
    return g.array.dtype if type(g) is Value else g.dtype


def _put_values_vjp(g, indices, places, values_like):
    return as_like(op.sum_to_size(op._index(g, indices, places), values_like.shape), values_like)


@general(vjp={"input": _put_input_vjp, "values": _put_values_vjp}, grad_fn="IndexPutBackward0")
def _index_put(input: Tensor, indices: Tensors, values: Tensor, places: Any, accumulate: Bool):
    values = np.asarray(values)
    out = np.array(input, order="K")
    shape = _indexed(out, indices, places).shape
    try:
        full = np.broadcast_to(values, shape)
    except ValueError:
        raise ShapeError(
            f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing "
            "result of "
            f"shape {list(shape)}"
        ) from None
    if values.dtype != input.dtype:
        raise ScriptIndexError(
            "Index put requires the source and destination dtypes match, got "
            f"{BY_NP[input.dtype].type_name} for the destination and {BY_NP[values.dtype].type_name} for the "
            "source."
        )
    where = _located(indices, places)
    if accumulate:
        np.add.at(out, where, full)
    else:
        out[where] = full
    return out


def _index_tensor(x: Value) -> Value:
    """A tensor as index: bytes are masks. Raises ScriptIndexError for other dtypes."""
    d = x.array.dtype
    if d.kind == "b" or d == i8 or d == np.int32:
        return x
    if d == np.uint8:
        return Value(x.array != 0)
    raise ScriptIndexError("tensors used as indices must be long, int, byte or bool tensors")


def given_indices(indices: Any, ndim: int) -> tuple[list[Any], tuple[int | None, ...]]:
    """The tensors of a tuple of tensors and nones, and their places."""
    tensors: list[Any] = []
    places: list[int | None] = []
    used = 0
    for k in indices:
        if k is None:
            places.append(None)
            used += 1
            continue
        t = _index_tensor(k if type(k) is Value else Value(np.asarray(k)))
        places.append(len(tensors))
        tensors.append(t)
        used += t.ndim if t.array.dtype.kind == "b" else 1
    if used > ndim:
        raise ScriptIndexError(f"too many indices for tensor of dimension {ndim} (got {used})")
    return tensors, tuple(places)


@composite(inplace=True)
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: Bool = False):
    """The tensor with `values` at the places that the tuple `indices` of integer tensors or masks names.

    With `accumulate` they are added to what is there.

    >>> index_put([1., 2., 3.], (tensor([0, 2]),), tensor([5., 6.]))
    tensor([5., 2., 6.])
    """
    tensors, places = given_indices(indices if type(indices) in (tuple, list) else (indices,), input.ndim)
    return op._index_put.run([input, tensors, values, places, accumulate])


# ---- reading an index --------------------------------------------------------------------------------------
class _Reader:
    """Walks an index from left to right: views for its basic parts, tensors kept for the end."""

    def __init__(self, x: Value) -> None:
        self.x = x
        self.tensors: list[Value] = []
        self.places: list[int | None] = []
        self.dim = 0

    def keep(self, t: Value, dims: int) -> None:
        self.places += [None] * (self.dim - self._placed())
        self.places.append(len(self.tensors))
        self.tensors.append(t)
        self.dim += dims

    def _placed(self) -> int:
        """How many dimensions the places so far stand for."""
        return sum(1 if k is None or self.tensors[k].array.dtype.kind != "b" else self.tensors[k].ndim
                   for k in self.places)  # fmt: skip

    def read(self, items: tuple[Any, ...]) -> None:
        x = self.x
        specified = sum(_dims_of(k) for k in items)
        if specified > x.ndim:
            raise ScriptIndexError(f"too many indices for tensor of dimension {x.ndim}")
        for position, k in enumerate(items):
            self.one(k, position, x.ndim - specified)

    def one(self, k: Any, position: int, rest: int) -> None:
        t = type(k)
        if t is int:
            self.x = _selected_at(self.x, self.dim, k, position)
        elif t is slice:
            a, b, step = slice_bounds(k)
            n = self.x.shape[self.dim]
            if not ((a is None or a == 0) and (b is None or b >= n) and step == 1):
                self.x = op.slice.run([self.x, self.dim, a, b, step])
            self.dim += 1
        elif k is None:
            self.x = op.unsqueeze.run([self.x, self.dim])
            self.dim += 1
        elif k is Ellipsis:
            self.dim += rest
        elif t is bool:
            self.x = op.unsqueeze.run([self.x, self.dim])
            self.keep(Value(np.array([k])), 1)
        elif t is Value:
            self.tensor(k, position)
        else:
            raise ScriptIndexError(WRONG.format(t.__name__))

    def tensor(self, k: Value, position: int) -> None:
        k = _index_tensor(k)
        if k.ndim:
            self.keep(k, k.ndim if k.array.dtype.kind == "b" else 1)
        elif k.array.dtype.kind == "b":
            self.x = op.unsqueeze.run([self.x, self.dim])
            self.keep(Value(k.array.reshape(1)), 1)
        else:
            self.x = _selected_at(self.x, self.dim, int(k), position)


def _dims_of(k: Any) -> int:
    if k is None or k is Ellipsis or type(k) is bool:
        return 0
    if (type(k) is Value and k.array.dtype.kind == "b") or (type(k) is Value and k.array.dtype == np.uint8):
        return k.ndim
    return 1


def _selected_at(x: Value, dim: int, k: int, position: int) -> Value:
    n = x.array.shape[dim]
    if not -n <= k < n:
        raise ScriptIndexError(f"index {k} is out of bounds for dimension {position} with size {n}")
    return op.select.run([x, dim, k])


def _bound(k: Any) -> int | None:
    if k is None or type(k) is int:
        return k
    if isinstance(k, (int, np.integer)) or (
        type(k) is Value and k.array.size == 1 and k.array.dtype.kind in "iu"
    ):
        return int(k)
    raise ScriptTypeError("slice indices must be integers or None or have an __index__ method")


def slice_bounds(k: slice) -> tuple[int | None, int | None, int]:
    """Start, end and step of a slice. Raises ScriptValueError for a step that is not positive."""
    step = _bound(k.step)
    if step is None:
        step = 1
    elif step == 0:
        raise ScriptValueError("slice step cannot be zero")
    elif step < 0:
        raise ScriptValueError("step must be greater than zero", hint="flip(x, dim) reverses a dimension")
    return _bound(k.start), _bound(k.stop), step


def _item(k: Any) -> Any:
    """One part of an index: sequences and NumPy's numbers and arrays as ours."""
    t = type(k)
    if t is int or t is slice or k is None or k is Ellipsis or t is Value or t is bool:
        return k
    if t in (list, tuple, range, str):
        if t is str:
            raise ScriptTypeError("new(): invalid data type 'str'")
        a = from_nested(list(k))
        return Value(a if a.size else a.astype(i8))
    if isinstance(k, (np.bool_, np.integer)):
        return k.item()
    return Value(k) if isinstance(k, np.ndarray) else k


def _no_number(k: Any) -> bool:
    return k is None or k is Ellipsis or type(k) in (Value, list, tuple, slice, range)


def _items(index: Any) -> tuple[Any, ...]:
    """The parts of an index; a short list with anything but numbers in it is a tuple, as in PyTorch."""
    if type(index) is list and len(index) < 32 and any(map(_no_number, index)):
        index = tuple(index)
    return tuple([_item(k) for k in index]) if type(index) is tuple else (_item(index),)


def read_index(x: Value, index: Any) -> _Reader:
    reader = _Reader(x)
    reader.read(_items(index))
    return reader


def refuse_scalar(x: Value, index: Any) -> None:
    if x.array.ndim:
        return
    if type(index) is int:
        raise ScriptIndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to "
            "convert "
            "a 0-dim tensor to a number",
            hint="x.item() gives the number",
        )
    if type(index) is slice:
        raise ScriptIndexError("slice() cannot be applied to a 0-dim tensor.")


_SELECT, _SLICE = get("select"), get("slice")


class GetItem(Op):
    """`x[index]`; a single integer or slice goes straight to its view."""

    def __call__(self, x: Any, index: Any) -> Any:
        if type(x) is not Value:
            return self(Value(np.asarray(x)), index).array
        t = type(index)
        if t is int and x.array.ndim:
            n = x.array.shape[0]
            if not -n <= index < n:
                raise ScriptIndexError(f"index {index} is out of bounds for dimension 0 with size {n}")
            return _SELECT.view_of(x, x.array[index, ...], (x, 0, index))
        if t is slice and x.array.ndim:
            a, b, step = slice_bounds(index)
            part = x.array[slice(*bounds(x.array.shape[0], a, b), step)]
            return _SLICE.view_of(x, part, (x, 0, a, b, step))
        if t is tuple and index and all(type(k) is int for k in index) and len(index) <= x.array.ndim:
            for position, k in enumerate(index):
                n = x.array.shape[0]
                if not -n <= k < n:
                    raise ScriptIndexError(
                        f"index {k} is out of bounds for dimension {position} with size {n}"
                    )
                x = _SELECT.view_of(x, x.array[k, ...], (x, 0, k))
            return x
        if index is None:
            return op.unsqueeze.run([x, 0])
        if index is Ellipsis:
            return op._alias.run([x])
        refuse_scalar(x, index)
        reader = read_index(x, index)
        if reader.tensors:
            return op._index.run([reader.x, reader.tensors, tuple(reader.places)])
        return op._alias.run([x]) if reader.x is x else reader.x


@composite()
def getitem(input: Tensor, index: Any | None):
    """The part of a tensor that `x[index]` names: integers, slices, `...`, `none`, masks, integer tensors.

    >>> tensor([[1., 2.], [3., 4.]])[:, 1]
    tensor([2., 4.])
    """
    raise NotImplementedError


getitem.__class__ = GetItem
