"""Many runs of the same operations as one run on values with a dimension more.

A `Follower` (following.py) has listened to one run; `batched` does each of the operations that it noted once
for all rows, whose dimension lies in front. An operation says as its fact `batch` how that is done
(`batch_rule`); one that says nothing is done row by row, so that everything works. Where the follower has
failed the caller runs the rows one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine.backward import grad, reachable
from vardsl.engine.context import enable_grad, state
from vardsl.engine.following import Call, Follower, Part, following
from vardsl.engine.value import OPS, Value, fixed
from vardsl.errors import Interrupted

BatchRule = Callable[[Any, list[Any], list[Any], int], Any]
# Elements of the largest array of a pass: few enough for the cache, so many that calls cost little.
AT_ONCE = 65_536
FEW = 3  # rows that are not worth a pass more
# Names of parameters that are dimensions and sizes, which the dimension in front shifts and lengthens.
DIMS = frozenset(["dim", "dims", "dim0", "dim1", "dim2"])
SIZES = frozenset(["sizes", "input_sizes"])


# ---- many rows at once -------------------------------------------------------------------------------------
class Impossible(Exception):
    """The rows cannot be done as one."""


class Program:
    """The noted operations that some results need, for any number of rows."""

    def __init__(self, follower: Follower, outputs: Sequence[Part]) -> None:
        alive = set(outputs)
        self.outputs = outputs
        self.calls: list[Call] = []
        for call in reversed(follower.calls):
            if any(o in alive for o in call.outs):
                alive.update(call.parts())
                self.calls.append(call)
        self.calls.reverse()
        sizes = [product(p.shape) for p in alive]
        self.largest = max(sizes, default=1)
        last: dict[Part, int] = {}
        for k, call in enumerate(self.calls):
            for p in (*call.parts(), *call.outs):
                last[p] = k
        kept = set(outputs)
        self.done: list[list[Part]] = [[] for _ in self.calls]
        for p, k in last.items():
            if p not in kept:
                self.done[k].append(p)

    def rows_at_once(self) -> int:
        """How many rows keep the largest array in the cache."""
        return max(1, AT_ONCE // max(self.largest, 1))

    def run(self, given: dict[Part, Any], n: int) -> list[Any]:
        """The results for `n` rows from the given values or arrays, which have a dimension more."""
        known = dict(given)
        on_values = any(type(a) is Value for a in known.values())
        ctx = state.ctx
        for call, done in zip(self.calls, self.done, strict=True):
            args, at = _given(call.args, known, on_values)
            before, ctx.grad_enabled = ctx.grad_enabled, call.recorded and ctx.grad_enabled
            try:
                result = batched(call.op, args, at, n)
            finally:
                ctx.grad_enabled = before
            results = result if isinstance(result, tuple) else (result,)
            for part, r in zip(call.outs, results, strict=True):
                a = r.array if type(r) is Value else r
                if a.shape != (n, *part.shape) or a.dtype != part.dtype:
                    raise Impossible(call.op.name)
                known[part] = r
            for part in done:
                del known[part]
        return [known[p] for p in self.outputs]


def product(shape: tuple[int, ...]) -> int:
    n = 1
    for k in shape:
        n *= k
    return n


def _given(args: list[Any], known: dict[Part, Any], on_values: bool) -> tuple[list[Any], list[Any]]:
    """The arguments with what the parts are in all rows, and for each the part that it is, or None."""
    new: list[Any] = []
    at: list[Any] = []
    for a in args:
        if type(a) is Part:
            new.append(known[a])
            at.append(a)
        elif type(a) is list:
            items, places = _given(a, known, on_values)
            new.append(items)
            at.append(places if any(p is not None for p in places) else None)
        else:
            new.append(a if on_values or type(a) is not Value else a.array)
            at.append(None)
    return new, at


def batched(op: Any, args: list[Any], at: list[Any], n: int) -> Any:
    """One operation for `n` rows. `at` says of each argument which part it is, or None."""
    rule = batch_rule(op)
    if rule is not None and all(p is None or i in op.arrays for i, p in enumerate(at)):
        result = rule(op, args, at, n)
        if result is not NotImplemented:
            return result
    return _one_by_one(op, args, at, n)


def batch_rule(op: Any) -> BatchRule | None:
    """How an operation is done for many rows, from its fact `batch`, or its family.

    "dims"      its parameters that are dimensions and sizes count one dimension more
    "one dims"  so, and only its first array may differ from row to row
    "new dim"   the dimension that it names is one that it makes
    "pointwise" it works element by element, as the family "elementwise" does
    "leading"   it works on the last dimensions, whatever lies before them
    a function  of the operation, the arguments, the parts and the number of rows

    A rule gives NotImplemented for a call that it does not know: that one is done row by row.
    """
    how = op.facts.get("batch")
    if how is None:
        return _pointwise if op.family == "elementwise" else None
    return RULES[how] if type(how) is str else how


def _pointwise(op: Any, args: list[Any], at: list[Any], n: int) -> Any:
    """Each row's dimensions are counted from the back, where those of the others are."""
    ranks = [len(at[i].shape) if at[i] is not None else getattr(args[i], "ndim", 0) for i in op.arrays]
    rank, given = max(ranks), args
    if min(ranks) != rank:
        if min(ranks) == 0 and _mixed(args):
            return NotImplemented  # a 0-d tensor's dtype counts less than one with the rows' dimension
        given = list(args)
        for i, r in zip(op.arrays, ranks, strict=True):
            if at[i] is not None and r < rank:
                given[i] = spaced(args[i], rank - r)
    return op.ufunc(*given[:2]) if _at_once(op, given) else op.run(given)


def _at_once(op: Any, args: list[Any]) -> bool:
    """Whether the ufunc of an infix operator is all that is to be done: reals of one dtype and numbers."""
    if op.ufunc is None or tuple(args[2:]) != op.rest:
        return False
    a, b = args[:2]
    if type(a) is not np.ndarray:
        return type(b) is np.ndarray and type(a) is float and b.dtype.kind == "f"
    return a.dtype.kind == "f" and (type(b) is float or (type(b) is np.ndarray and b.dtype is a.dtype))


def _mixed(args: list[Any]) -> bool:
    """Whether there are tensors of several dtypes; conditions do not count."""
    dtypes = {dtype_of(x) for x in args if isinstance(x, (Value, np.ndarray))}
    return len([d for d in dtypes if d.kind != "b"]) > 1


def dtype_of(x: Any) -> Any:
    return x.array.dtype if type(x) is Value else x.dtype


def spaced(x: Any, count: int) -> Any:
    """`x` with dimensions of size one behind that of the rows."""
    return OPS["reshape"](x, (x.shape[0], *(1,) * count, *x.shape[1:]))


def all_rows(op: Any, args: list[Any], at: list[Any], n: int) -> list[Any]:
    """The arguments with the rows' dimension on every array among them."""
    given = list(args)
    for i in op.arrays:
        a = args[i]
        if type(a) is list:
            places = at[i] or [None] * len(a)
            given[i] = [in_rows(x, n) if p is None else x for x, p in zip(a, places, strict=True)]
        elif at[i] is None and a is not None:
            given[i] = in_rows(a, n)
    return given


def in_rows(x: Any, n: int) -> Any:
    return OPS["expand"](x, (n, *x.shape)) if isinstance(x, (Value, np.ndarray)) else x


def _dims(op: Any, args: list[Any], at: list[Any], n: int) -> Any:
    return _shifted(op, all_rows(op, args, at, n), n)


def _one_dims(op: Any, args: list[Any], at: list[Any], n: int) -> Any:
    return _shifted(op, list(args), n) if only_first(op, at) else NotImplemented


def only_first(op: Any, at: list[Any]) -> bool:
    """Whether nothing but the first array of a call differs from row to row."""
    return at[op.arrays[0]] is not None and all(p is None or i == op.arrays[0] for i, p in enumerate(at))


def _shifted(op: Any, given: list[Any], n: int) -> Any:
    """The call with its dimensions and sizes counted with the rows' dimension in front."""
    first = given[op.arrays[0]]
    rank = (first[0] if type(first) is list else first).ndim - 1
    names = [p.name for p in op.signature.parameters]
    for k, name in enumerate(names):
        if name in SIZES:
            rank = len(given[k])
            given[k] = (n, *given[k])
    for k, name in enumerate(names):
        if name in DIMS:
            d = given[k]
            if not rank or (d is None and op.signature.parameters[k].kind == "Int"):
                return NotImplemented
            given[k] = d % rank + 1 if type(d) is int else moved(d or range(rank), rank)
    return op.run(given)


def moved(dims: Sequence[int], rank: int) -> tuple[int, ...]:
    """Dimensions of a row among those of all rows."""
    return tuple([d % rank + 1 for d in dims])


def _new_dim(op: Any, args: list[Any], at: list[Any], n: int) -> Any:
    given = all_rows(op, args, at, n)
    for k, p in enumerate(op.signature.parameters):
        if p.name in DIMS and given[k] >= 0:
            given[k] += 1
    return op.run(given)


def _leading(op: Any, args: list[Any], at: list[Any], n: int) -> Any:
    given = all_rows(op, args, at, n)
    ranks = {given[i].ndim for i in op.arrays if isinstance(given[i], (Value, np.ndarray))}
    return op.run(given) if len(ranks) == 1 else NotImplemented


RULES: dict[str, BatchRule] = {
    "dims": _dims, "one dims": _one_dims, "new dim": _new_dim, "pointwise": _pointwise, "leading": _leading,
}  # fmt: skip


def _one_by_one(op: Any, args: list[Any], at: list[Any], n: int) -> Any:
    results = [op.run([_row(a, p, k) for a, p in zip(args, at, strict=True)]) for k in range(n)]
    if not isinstance(results[0], tuple):
        return _stacked(results)
    return tuple([_stacked(parts) for parts in zip(*results, strict=True)])


def _row(a: Any, p: Any, k: int) -> Any:
    if p is None:
        return a
    if type(a) is list:
        return [_row(x, q, k) for x, q in zip(a, p, strict=True)]
    return OPS["select"](a, 0, k) if type(a) is Value else a[k, ...]


def _stacked(rows: Sequence[Any]) -> Any:
    return OPS["stack"](list(rows), 0) if type(rows[0]) is Value else np.stack(rows)


# ---- the rows of a Jacobian --------------------------------------------------------------------------------
def gradients(y: Value, inputs: Sequence[Value], *, create_graph: bool) -> list[Value | None] | None:
    """The gradients of every element of `y`, in rows: for each input one value with the rows in front.

    None where the rows must be computed one by one: few of them, or a pass that runs functions of the script.
    An input that `y` does not depend on gets None.
    """
    n = y.array.size
    if n < FEW or state.ctx.anomaly or _runs_functions(y):
        return None
    follower = Follower(state.ctx.tracer)
    seed = Value(np.ones(y.array.shape, y.array.dtype))
    given = follower.add(seed)
    with following(follower):
        found = grad([y], inputs, [seed], retain_graph=True, create_graph=create_graph)
    if follower.failed:
        return None
    parts = [None if g is None else follower.part(g) for g in found]
    program = Program(follower, [p for p in parts if p is not None])
    try:
        with enable_grad(create_graph):
            rows = iter(_in_chunks(program, given, y.array, n, create_graph))
            # what does not depend on the seed is the same in every row
            return [
                next(rows) if p is not None else g if g is None else in_rows(g, n)
                for p, g in zip(parts, found, strict=True)
            ]
    except Exception:  # whatever went wrong goes wrong in the rows one by one, in its own words
        return None


def _runs_functions(y: Value) -> bool:
    """Whether a backward pass from `y` calls hooks or functions of the script."""
    for node in reachable([y]):
        if node.hooks is not None or node.retained is not None or getattr(node.op, "runs_functions", False):
            return True
        if any(type(e) is Value and e.hooks is not None for e in node.edges):
            return True
    return False


def _in_chunks(program: Program, given: Part, y: Any, n: int, create_graph: bool) -> list[Value]:
    """The results for the unit vectors as seeds, so many at once as the cache holds."""
    ctx = state.ctx
    on_values = create_graph or ctx.tracer is not None
    at_once = program.rows_at_once()
    if at_once == 1:
        raise Impossible("the arrays are large")
    chunks = []
    for start in range(0, n, at_once):
        if ctx.cancel:
            raise Interrupted("interrupted")
        count = min(at_once, n - start)
        seeds: Any = np.eye(count, n, start, y.dtype).reshape(count, *y.shape)
        chunks.append(program.run({given: fixed(seeds) if on_values else seeds}, count))
    return [_joined(column) for column in zip(*chunks, strict=True)]


def _joined(chunks: Sequence[Any]) -> Value:
    if len(chunks) == 1:
        return chunks[0] if type(chunks[0]) is Value else Value(chunks[0])
    return OPS["cat"](list(chunks), 0) if type(chunks[0]) is Value else Value(np.concatenate(chunks))
