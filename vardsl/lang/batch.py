"""`vmap`: a function of one example made one of a batch of them, as `torch.func.vmap`.

The function runs once for each example and its results are stacked: every operation works under it, to any
depth and differentiably.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vardsl.engine.context import state
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.lang.lift import function_name
from vardsl.ops.define import op


def vmap(
    f: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error"
) -> Callable[..., Any]:
    """The function that applies `f` to each slice of its arguments along `in_dims` and stacks the results.

    >>> vmap(fn(x) = sum(x**2))([[1., 2.], [3., 4.]])
    tensor([ 5., 25.])
    """
    if not callable(f):
        raise ScriptTypeError(f"vmap() expects a function, and this is {type(f).__name__}")
    if randomness not in ("error", "different", "same"):
        raise ScriptValueError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
        )
    return _Batched(f, _as_tuples(in_dims), _as_tuples(out_dims), randomness)


def _as_tuples(dims: Any) -> Any:
    """Dims written as a list are a tuple; an integer tensor too."""
    if type(dims) is Value:
        dims = dims.tolist()
    return tuple(_as_tuples(d) for d in dims) if type(dims) in (list, tuple) else dims


class _Batched:
    """A function under `vmap`."""

    def __init__(self, f: Callable[..., Any], in_dims: Any, out_dims: Any, randomness: str) -> None:
        self.f, self.in_dims, self.out_dims, self.randomness = f, in_dims, out_dims, randomness
        self.of_name = function_name(f)
        self.__name__ = f"vmap({self.of_name})"

    def __repr__(self) -> str:
        return f"<fn {self.__name__}>"

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        if not args:
            raise ScriptTypeError(
                f"vmap({self.of_name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you "
                "are trying to "
                "vmap over a function with no inputs. The latter is unsupported."
            )
        slices, n = self._slices(args)
        outputs = []
        before = state.ctx.generator.get_state() if self.randomness == "same" else None
        for k in range(n):
            if before is not None:
                state.ctx.generator.set_state(before)
            outputs.append(self.f(*[_pick(s, k) for s in slices], **keywords))
        return self._gather(outputs, self.out_dims)

    def _slices(self, args: tuple[Any, ...]) -> tuple[list[Any], int]:
        dims = self.in_dims
        where = f"vmap({self.of_name}, in_dims={dims}, ...)(<inputs>): "
        if isinstance(dims, bool) or not isinstance(dims, (int, tuple)):
            raise ScriptTypeError(
                f"{where}expected `in_dims` to be int or a (potentially nested) tuple matching the "
                "structure of "
                f"inputs, got: {type(dims)}."
            )
        if isinstance(dims, int):
            dims = (dims,) * len(args)
        if len(dims) != len(args):
            raise ScriptTypeError(
                f"{where}in_dims is not compatible with the structure of `inputs`: "
                f"{len(dims)} for {len(args)} inputs."
            )
        sizes: list[int] = []
        slices = [_sliced(a, d, sizes, where) for a, d in zip(args, dims, strict=True)]
        if not sizes:
            raise ScriptTypeError("vmap: Expected at least one Tensor to vmap over")
        if any(s != sizes[0] for s in sizes):
            raise ShapeError(
                "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
                f"{sizes} for the mapped dimension"
            )
        if sizes[0] == 0:
            raise ShapeError("vmap over a dimension of size 0: there is no example to run the function on")
        return slices, sizes[0]

    def _gather(self, outputs: list[Any], dims: Any) -> Any:
        first = outputs[0]
        if isinstance(first, tuple):
            several = dims if type(dims) is tuple else (dims,) * len(first)
            if len(several) != len(first):
                raise ScriptTypeError(
                    f"vmap({self.of_name}, ..., out_dims={self.out_dims})(<inputs>): out_dims is not "
                    "compatible with "
                    f"the structure of `outputs`: {len(several)} for {len(first)} outputs."
                )
            return tuple(self._gather([o[k] for o in outputs], d) for k, d in enumerate(several))
        if type(dims) is tuple and len(dims) == 1:
            dims = dims[0]
        if dims is None and type(first) is not Value:
            return first
        if isinstance(dims, bool) or not isinstance(dims, int):
            raise ScriptTypeError(
                f"vmap({self.of_name}, ..., out_dims={self.out_dims}): `out_dims` must be an int, None or "
                "a python "
                "collection of ints representing where in the outputs the vmapped dimension should appear."
            )
        if type(first) is not Value:
            raise ScriptTypeError(
                f"vmap({self.of_name}, ...): `{self.of_name}` must only return Tensors, got type "
                f"{type(first)}. "
                "Did you mean to set out_dims= to None for output?"
            )
        return op.stack(outputs, dims)


class _Rows:
    """An argument that is mapped over: its slices."""

    __slots__ = ("rows",)

    def __init__(self, rows: Any) -> None:
        self.rows = rows


def _sliced(a: Any, dim: Any, sizes: list[int], where: str) -> Any:
    if isinstance(a, tuple) and dim is not None:
        dims = dim if type(dim) is tuple else (dim,) * len(a)
        return tuple(_sliced(e, d, sizes, where) for e, d in zip(a, dims, strict=True))
    if dim is None:
        return a
    if isinstance(dim, bool) or not isinstance(dim, int):
        raise ScriptTypeError(
            f"{where}Got in_dim={dim} for an input but in_dim must be either an integer dimension or None."
        )
    if type(a) is not Value:
        raise ScriptTypeError(
            f"{where}Got in_dim={dim} for an input but the input is of type {type(a)}. We cannot vmap over "
            "non-Tensor "
            "arguments, please use None as the respective in_dim"
        )
    n = a.array.ndim
    if not -n <= dim < n:
        raise ShapeError(
            f"{where}Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {n} so "
            "expected "
            f"in_dim to satisfy -{n} <= in_dim < {n}."
        )
    sizes.append(a.array.shape[dim])
    return _Rows(op.unbind(a, dim))


def _pick(s: Any, k: int) -> Any:
    if type(s) is _Rows:
        return s.rows[k]
    return tuple(_pick(e, k) for e in s) if type(s) is tuple else s
