"""Replays recorded calls on the operations of the table and says where they differ from PyTorch.

    python -m tests.table.replay NAME... | --all  [--full DIR] [-v] [--no-names]

Results must agree to 1e-7, gradients to 1e-6, second gradients to 1e-5, dtypes, shapes and `grad_fn` names
exactly, and a call that PyTorch refuses must be refused with its sentence somewhere in the error. Random
results are those of the stream after `manual_seed(0)`; of `empty` only shape and dtype count.
"""

from __future__ import annotations

import argparse
import re
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.table import recorded
from tests.table.recorded import Case, Dtype, Result, Tensor
from vardsl.engine.backward import grad
from vardsl.engine.context import state
from vardsl.engine.dtypes import BY_NAME
from vardsl.engine.value import Value
from vardsl.errors import Error
from vardsl.ops.define import OPS

RTOL = {"result": 1e-7, "first gradient": 1e-6, "second gradient": 1e-5}
FLOAT32_RTOL = {"result": 1e-5, "first gradient": 1e-4, "second gradient": 1e-3}
FREE_SIGNS = {"linalg.eigh": (1,), "linalg.svd": (0, 2), "svd": (0, 2)}  # results that hold vectors
MEANT = re.compile(
    r"not implemented|not differentiable|depends on|singular"
)  # PyTorch's refusals to differentiate
Array = np.ndarray[Any, Any]


def live(argument: Any, values: dict[int, Value]) -> Any:
    """A recorded argument as the engine takes it; one array stays one value however often it is used."""
    if isinstance(argument, Tensor):
        key = id(argument)
        if key not in values:
            values[key] = Value(argument.array, argument.requires_grad)
        return values[key]
    if isinstance(argument, Dtype):
        return BY_NAME[argument.name]
    if isinstance(argument, (list, tuple)):
        return type(argument)(live(a, values) for a in argument)
    return argument


def operation(name: str) -> Callable[..., Any]:
    """The operation, or the member of a value where the name is one; in place it works on a copy."""
    if name.endswith("_"):
        change, clone = OPS[name], OPS["clone"]
        return lambda input, *args, **kwargs: change(clone(input), *args, **kwargs)
    try:
        return OPS[name]  # type: ignore[no-any-return]
    except KeyError:
        if not hasattr(Value, name):
            raise
    member = getattr(Value, name)
    return member if callable(member) else member.fget  # type: ignore[no-any-return]


def values_of(result: Any) -> Iterator[Value]:
    if isinstance(result, Value):
        yield result
    elif isinstance(result, (list, tuple)):
        for r in result:
            yield from values_of(r)


def arrays_of(result: Any) -> Iterator[Array]:
    if isinstance(result, Tensor):
        yield result.array
    elif isinstance(result, Result):
        yield from arrays_of(result.items)
    elif isinstance(result, (list, tuple)):
        for r in result:
            yield from arrays_of(r)


def compare(what: str, kind: str, mine: Array, theirs: Array) -> str | None:
    """What is wrong with an array, in words, or None."""
    if mine.dtype != theirs.dtype:
        return f"{what}: dtype {mine.dtype}, PyTorch {theirs.dtype}"
    if mine.shape != theirs.shape:
        return f"{what}: shape {list(mine.shape)}, PyTorch {list(theirs.shape)}"
    if mine.dtype.kind != "f":
        equal = mine == theirs
    else:
        single = mine.dtype == np.float32
        rtol = (FLOAT32_RTOL if single else RTOL)[kind]
        finite = np.abs(theirs[np.isfinite(theirs)])
        # what cancels to nearly nothing is measured by the size of what it is made of
        atol = rtol * 1e-2 * (float(finite.max()) if finite.size else 1.0) + rtol * (2e-2 if single else 1e-4)
        equal = np.isclose(mine, theirs, rtol=rtol, atol=atol, equal_nan=True)
    if np.all(equal):
        return None
    at = tuple(int(i) for i in np.argwhere(~np.asarray(equal))[0])
    wrong = int(np.sum(~np.asarray(equal)))
    return f"{what}: {mine[at]!s} at {list(at)}, PyTorch {theirs[at]!s} ({wrong} of {mine.size} differ)"


def compare_structure(mine: Any, theirs: Any) -> str | None:
    """Whether both are tensors, tuples of the same length and names, or the same plain value."""
    if isinstance(theirs, Tensor):
        return None if isinstance(mine, Value) else f"result: {type(mine).__name__}, PyTorch a tensor"
    if isinstance(theirs, (Result, list, tuple)):
        items = theirs.items if isinstance(theirs, Result) else theirs
        if not isinstance(mine, (list, tuple)):
            return f"result: {type(mine).__name__}, PyTorch {len(items)} of them"
        if len(mine) != len(items):
            return f"result: {len(mine)} of them, PyTorch {len(items)}"
        fields = theirs.fields if isinstance(theirs, Result) else []
        if fields and list(getattr(mine, "_fields", ())) != fields:
            return f"result: fields {list(getattr(mine, '_fields', ()))}, PyTorch {fields}"
        return next((m for a, b in zip(mine, items, strict=True) if (m := compare_structure(a, b))), None)
    if type(mine) is type(theirs) and (mine == theirs or (mine != mine and theirs != theirs)):
        return None
    return f"result: {mine!r}, PyTorch {theirs!r}"


def compare_gradients(kind: str, mine: Sequence[Any], theirs: Sequence[Array | None]) -> list[str]:
    """A gradient that is absent on one side counts as zeros on the other."""
    found = []
    for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        what = f"{kind} of input {i}"
        if a is None and b is None:
            continue
        if a is None or b is None:
            there = np.asarray(b if a is None else a.array)
            if np.any(there != 0):
                found.append(
                    f"{what}: {'absent' if a is None else there}, PyTorch {'absent' if b is None else b}"
                )
        elif problem := compare(what, kind, np.asarray(a.array), b):
            found.append(problem)
    return found


def weights(values: Sequence[Value], order: int) -> list[Value]:
    return [
        Value(recorded.cotangent(v.array.shape, i, order).astype(v.array.dtype)) for i, v in enumerate(values)
    ]


PRINTED = re.compile(r"(?<=in the tensor list but got: ).*")
"""What a sentence says by printing a tensor as C++ does."""


def refusal(error: Exception, sentence: str | None, what: str, kind: str | None = None) -> list[str]:
    """Nothing, where PyTorch refuses too with that sentence; of wrong signatures, whatever the error says."""
    if not isinstance(error, Error):
        frames = traceback.extract_tb(error.__traceback__)[-2:]
        places = [f"{Path(f.filename).name}:{f.lineno} in {f.name}: {f.line}" for f in frames]
        return ["\n".join([f"{what}: {type(error).__name__}: {error}", *places])]
    if sentence is None:
        return [f"{what}: refused: {error}"]
    said = "\n".join([str(error), error.torch or "", *error.notes])
    if what.endswith("gradient") and not MEANT.search(sentence):
        return []
    first = PRINTED.split(sentence.split(". ")[0])[0].rstrip(".")
    return (
        []
        if first in said or kind == "TypeError"
        else [f"{what}: error {str(error)!r}, PyTorch {sentence!r}"]
    )


def check_call(case: Case, values: dict[int, Value]) -> tuple[Any, list[str]]:
    args = [live(a, values) for a in case.args]
    kwargs = {k: live(v, values) for k, v in case.kwargs.items()}
    try:
        run = operation(case.name)
    except KeyError:
        return None, [f"{case.name} is not in the table"]
    state.ctx.generator.manual_seed(0)
    try:
        out = run(*args, **kwargs)
    except Exception as error:  # whatever comes out is the finding
        return None, refusal(error, case.error, "call", case.error_type)
    if case.error is not None:
        return None, [f"call: gave {type(out).__name__}, PyTorch {case.error_type}: {case.error}"]
    if problem := compare_structure(out, case.out):
        return None, [problem]
    return out, []


def without_rest(case: Case, mine: list[Value], position: int) -> Array:
    """A result; vectors that only fill up a square matrix are PyTorch's, as none is better than another."""
    array, theirs = mine[position].array, list(arrays_of(case.out))[position]
    if position not in FREE_SIGNS.get(case.name, ()) or array.shape != theirs.shape:
        return array
    rank = min(v.array.shape[-1] for v in mine)
    made = array.copy()
    rest = (
        (..., slice(rank, None), slice(None))
        if case.name == "linalg.svd" and position
        else (..., slice(rank, None))
    )
    made[rest] = theirs[rest]
    return made


def check_results(case: Case, out: Any) -> list[str]:
    found = []
    mine, theirs = list(values_of(out)), list(arrays_of(case.out))
    for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        expected = np.resize(a.array, b.shape).astype(b.dtype) if case.unset and a.array.size else b
        kind = "first gradient" if case.random else "result"  # normal samples agree to 1e-6
        what = f"result {i}" if len(mine) > 1 else "result"
        if problem := compare(what, kind, without_rest(case, mine, i), expected):
            found.append(problem)
    return found


def check_names(case: Case, out: Any) -> list[str]:
    names = [v.grad_fn.grad_fn if v.grad_fn is not None else None for v in values_of(out)]
    return [f"grad_fn: {names}, PyTorch {case.grad_fns}"] if names != case.grad_fns else []


def aligned(case: Case, out: Any) -> Any:
    """Singular vectors and eigenvectors with PyTorch's signs, which no one has promised."""
    if case.name not in FREE_SIGNS or case.out is None:
        return out
    mine, theirs = list(values_of(out)), list(arrays_of(case.out))
    if len(mine) < 2 or any(a.array.shape != b.shape for a, b in zip(mine, theirs, strict=True)):
        return out
    which = FREE_SIGNS[case.name]
    left = which[0]
    rank = min(v.array.shape[-1] for v in mine)
    signs = np.where((mine[left].array * theirs[left]).sum(-2, keepdims=True) < 0, -1.0, 1.0)[..., :rank]
    signs = signs.astype(mine[left].array.dtype)
    for position in which:
        columns = position == left or case.name == "svd"
        count = mine[position].array.shape[-1 if columns else -2]
        some = signs[..., :count]
        if some.shape[-1] < count:
            some = np.concatenate([some, np.ones((*some.shape[:-1], count - some.shape[-1]), some.dtype)], -1)
        mine[position] = mine[position] * Value(some if columns else np.swapaxes(some, -1, -2))
    return tuple(mine)


def check_changes(case: Case, values: dict[int, Value]) -> list[str]:
    """Running statistics and the like: what the call has written to its inputs."""
    found = []
    for i, expected in case.changed.items():
        now = values[id(case.inputs[i])].array
        if problem := compare(f"input {i} after the call", "result", now, expected):
            found.append(problem)
    return found


def check_gradients(case: Case, out: Any, values: dict[int, Value]) -> list[str]:
    if case.first is None and case.first_error is None:
        return []
    outs = [v for v in values_of(out) if v.requires_grad and v.array.dtype.kind == "f"]
    inputs = [values[id(t)] for t in case.inputs if t.requires_grad]
    if not outs:
        return ["first gradient: no result requires grad"]
    try:
        plain = grad(outs, inputs, weights(outs, 1), retain_graph=True)  # on arrays
        first = grad(outs, inputs, weights(outs, 1), create_graph=True)  # on values
    except Exception as error:  # as above
        return refusal(error, case.first_error, "first gradient")
    if case.first is None and not MEANT.search(case.first_error or ""):
        return []  # a fault of PyTorch's own, and no fault not to have it
    if case.first is None:
        return [f"first gradient: exists, PyTorch: {case.first_error}"]
    found = compare_gradients("first gradient", first, case.first)
    if not found:
        unrecorded = compare_gradients("first gradient", plain, case.first)
        found = [f"{problem} (where the pass is not recorded)" for problem in unrecorded]
    if found or (case.second is None and case.second_error is None):
        return found
    return check_second(case, [g for g in first if g is not None and g.requires_grad], inputs)


def check_second(case: Case, first: list[Value], inputs: list[Value]) -> list[str]:
    if case.second_error is not None and not first:
        return []
    try:
        second = grad(first, inputs, weights(first, 2)) if first else [None] * len(inputs)
    except Exception as error:  # as above
        return refusal(error, case.second_error, "second gradient")
    if case.second is None:
        # PyTorch has no second derivative here; having one is no fault
        return []
    return compare_gradients("second gradient", second, case.second)


def check(case: Case, grad_names: bool = True) -> list[str]:
    """Every way in which the operation differs from what was recorded."""
    values: dict[int, Value] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        out, found = check_call(case, values)
        if found or case.error is not None:
            return found
        found = check_names(case, out) if grad_names else []
        out = aligned(case, out)
        found += check_results(case, out)
        found += check_changes(case, values)
        found += check_gradients(case, out, values)
    return found


def describe(argument: Any) -> str:
    if isinstance(argument, Tensor):
        a = argument.array
        text = np.array2string(a, precision=4, separator=",", threshold=8).replace("\n", "")
        return (
            f"{a.dtype}{list(a.shape)}" + (f"={text}" if a.size <= 8 else "") + ("'" * argument.requires_grad)
        )
    if isinstance(argument, (list, tuple)):
        return "(" + ", ".join(describe(a) for a in argument) + ")"
    return argument.name if isinstance(argument, Dtype) else repr(argument)


def call_text(case: Case) -> str:
    parts = [describe(a) for a in case.args] + [f"{k}={describe(v)}" for k, v in case.kwargs.items()]
    return f"{case.name}({', '.join(parts)})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--full", type=Path, default=recorded.FOLDER, help="another folder of recorded cases")
    parser.add_argument("--no-names", action="store_true", help="leave grad_fn names out")
    parser.add_argument("-v", "--verbose", action="store_true", help="every mismatch, not the first three")
    options = parser.parse_args()
    total = passed = 0
    missing = []
    for name in recorded.names(options.full) if options.all else options.names:
        cases = recorded.cases(name, options.full)
        failures = [(c, f) for c in cases if (f := check(c, not options.no_names))]
        total, passed = total + len(cases), passed + len(cases) - len(failures)
        if failures and failures[0][1] == [f"{name} is not in the table"]:
            missing.append(name)
            continue
        if not options.all or failures:
            print(f"{name:32} {len(cases) - len(failures):3}/{len(cases)}")
        if options.all and not options.verbose:
            continue
        for case, found in failures if options.verbose else failures[:3]:
            print(f"  [{case.label}] {call_text(case)[:400]}")
            for line in found:
                print("      " + line.rstrip().replace("\n", "\n      "))
    if missing:
        print(f"not in the table ({len(missing)}):", " ".join(missing))
    print(f"{passed}/{total} cases")


if __name__ == "__main__":
    main()
