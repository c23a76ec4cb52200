"""`vmap`: a function of one example made one of a batch of them, as `torch.func.vmap`.

The function runs once for each example and its results are stacked: every operation works under it, to any
depth and differentiably. A function that only computes runs for the first example alone: its operations are
then done for all of them at once (`engine/batching.py`), with the same results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from vardsl.engine.batching import FEW, Program
from vardsl.engine.context import state
from vardsl.engine.following import Follower, Part, following
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.lang.lift import function_name, name_of_derived
from vardsl.lang.quiet import values_read
from vardsl.ops.define import op
from vardsl.ops.dims import named


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
        self.of, self.in_dims, self.out_dims, self.randomness = f, in_dims, out_dims, randomness
        self.of_name = function_name(f)
        self.__name__ = name_of_derived("vmap", f)

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
        same = self._same(n, args, keywords)
        first = _first(self.of, slices, keywords, same) if same is not None else None
        together = first.together(slices, n) if first is not None else None
        if together is not None:
            return self._gather(together, self.out_dims)
        outputs = [] if first is None else [first.output]
        before = state.ctx.generator.get_state() if self.randomness == "same" else None
        for k in range(len(outputs), n):
            if before is not None:
                state.ctx.generator.set_state(before)
            outputs.append(self.of(*[_pick(s, k) for s in slices], **keywords))
        return self._gather(_Stack(outputs), self.out_dims)

    def _same(self, n: int, args: tuple[Any, ...], keywords: dict[str, Any]) -> list[Value] | None:
        """The tensors that are the same in every example; None where each example needs a run of its own."""
        ctx = state.ctx
        if n < FEW or self.randomness != "error" or ctx.anomaly:
            return None
        if ctx.tracer is not None and type(ctx.tracer) is not Follower:
            return None  # a plan follows numbers too
        return values_read(self.of, *args, *keywords.values())

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

    def _gather(self, outputs: _Stack | _Together, dims: Any) -> Any:
        first = outputs.first
        if isinstance(first, tuple):
            several = dims if type(dims) is tuple else (dims,) * len(first)
            if len(several) != len(first):
                raise ScriptTypeError(
                    f"vmap({self.of_name}, ..., out_dims={self.out_dims})(<inputs>): out_dims is not "
                    "compatible with "
                    f"the structure of `outputs`: {len(several)} for {len(first)} outputs."
                )
            return tuple(self._gather(outputs.part(k), d) for k, d in enumerate(several))
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
        return outputs.stacked(dims)


class _Rows:
    """An argument that is mapped over: its slices."""

    __slots__ = ("dim", "of", "rows")

    def __init__(self, of: Value, dim: int) -> None:
        self.of, self.dim = of, dim
        self.rows: Any = None

    def row(self, k: int) -> Value:
        if self.rows is None:
            self.rows = op.unbind(self.of, self.dim)
        return self.rows[k]  # type: ignore[no-any-return]

    def first(self) -> Value:
        return op.select(self.of, self.dim, 0)  # type: ignore[no-any-return]

    def at_once(self) -> Value:
        """All of them, in front."""
        return op.movedim(self.of, self.dim, 0) if self.dim else self.of


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
    return _Rows(a, dim)


def _pick(s: Any, k: int) -> Any:
    if type(s) is _Rows:
        return s.row(k)
    return tuple(_pick(e, k) for e in s) if type(s) is tuple else s


# ---- all examples at once ----------------------------------------------------------------------------------
class _Stack:
    """The outputs of the examples, one by one."""

    def __init__(self, outputs: list[Any]) -> None:
        self.outputs = outputs
        self.first = outputs[0]

    def part(self, k: int) -> _Stack:
        return _Stack([o[k] for o in self.outputs])

    def stacked(self, dim: int) -> Value:
        return op.stack(self.outputs, dim)  # type: ignore[no-any-return]


class _Together:
    """The output of the first example, with what its values are in all of them."""

    def __init__(self, first: Any, rows: dict[int, Value], n: int) -> None:
        self.first, self.rows, self.n = first, rows, n

    def part(self, k: int) -> _Together:
        return _Together(self.first[k], self.rows, self.n)

    def stacked(self, dim: int) -> Value:
        rows = self.rows.get(id(self.first))
        if rows is None:  # it is the same in every example
            return op.stack([self.first] * self.n, dim)  # type: ignore[no-any-return]
        if not -rows.ndim <= dim < rows.ndim:
            return op.stack([self.first], dim)  # type: ignore[no-any-return]
        copy = op._contiguous_clone(op.movedim(rows, 0, dim))
        return named(copy, "StackBackward0")  # type: ignore[no-any-return]


class _First:
    """The run for the first example, with the operations that depend on the example."""

    def __init__(self, output: Any, follower: Follower, given: list[Part]) -> None:
        self.output = output
        self.follower = follower
        self.given = given

    def together(self, slices: list[Any], n: int) -> _Together | None:
        """The outputs of all examples; None where they must be run one by one."""
        if self.follower.failed:
            return None
        values = [v for v in _values(self.output) if self.follower.part(v) is not None]
        parts = [self.follower.part(v) for v in values]
        program = Program(self.follower, [p for p in parts if p is not None])
        whole = [rows.at_once() for rows in _mapped(slices)]
        at_once = program.rows_at_once() * 4
        if at_once < FEW:
            return None
        try:
            chunks = []
            for k in range(0, n, at_once):
                some = [w[k : k + at_once] for w in whole] if n > at_once else whole
                chunks.append(program.run(dict(zip(self.given, some, strict=True)), min(at_once, n - k)))
        except Exception:  # whatever went wrong goes wrong in the examples one by one, in its own words
            return None
        joined = [c[0] if len(c) == 1 else op.cat(list(c), 0) for c in zip(*chunks, strict=True)]
        return _Together(self.output, {id(v): rows for v, rows in zip(values, joined, strict=True)}, n)


def _first(
    f: Callable[..., Any], slices: list[Any], keywords: dict[str, Any], same: list[Value]
) -> _First:
    follower = Follower(state.ctx.tracer, same)
    given: list[Part] = []

    def example(s: Any) -> Any:
        if type(s) is _Rows:
            v = s.first()
            given.append(follower.add(v))
            return v
        return tuple(example(e) for e in s) if type(s) is tuple else s

    args = [example(s) for s in slices]
    with following(follower):
        output = f(*args, **keywords)
    return _First(output, follower, given)


def _mapped(slices: Any) -> Iterator[_Rows]:
    for s in slices:
        if type(s) is _Rows:
            yield s
        elif type(s) is tuple:
            yield from _mapped(s)


def _values(output: Any) -> Iterator[Value]:
    if type(output) is Value:
        yield output
    elif isinstance(output, tuple):
        for part in output:
            yield from _values(part)
