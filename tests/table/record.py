"""Records what PyTorch makes of many calls of every operation: results, gradients, second gradients, errors.

    python -m tests.table.record [--full DIR] [NAME...]

Run it where torch is installed, from the root of the repository. Arguments come from torch's own sample
generators and from `samples.py`. The repository keeps a small, varied selection; `--full` writes all of them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

from tests.table import recorded, samples
from tests.table.names import FUNCTIONAL, IN_PLACE, LINEAR_ALGEBRA, MAKING, NAMES

Call = tuple[str, list[Any], dict[str, Any]]  # label, args, kwargs

DTYPES = {
    torch.float64: "float64",
    torch.float32: "float32",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.int16: "int16",
    torch.int8: "int8",
    torch.uint8: "uint8",
    torch.bool: "bool",
}
PLACED = frozenset(
    {"device", "layout", "pin_memory", "memory_format", "generator"}
)  # where a tensor lies is no matter
UNSET = frozenset({"empty"})  # results whose values mean nothing
MAX_INPUT = 2000
NOISE = 1e12
IMPRECISE = {
    ("logcumsumexp", torch.float32),  # samples with 1e4 in them, whose gradients have three digits
    ("gelu", torch.float32),  # 1 + erf(x) of a negative x, of which four digits are left
}
KEPT = 9  # cases of an operation that the repository keeps, besides errors and other dtypes

ADAPTED: dict[str, Callable[..., list[Any]]] = {
    "where": lambda a, condition, *rest: [condition, a, *rest],
    "polygamma": lambda x, n: [n, x],
    "special.polygamma": lambda x, n: [n, x],
    "einsum": lambda tensors, equation: [equation, *tensors],
    "embedding": lambda weight, index: [index, weight],
}
METHODS: dict[str, Callable[..., Any]] = {
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "slice": torch.ops.aten.slice.Tensor,
    "empty": torch.empty,
}


class Unrecordable(Exception):
    """An argument that has no place in a recorded case."""


def functions(name: str) -> list[Callable[..., Any]]:
    """What PyTorch offers under this name, the preferred one first."""
    if name.endswith("_"):
        return [in_place(getattr(torch.Tensor, name))]
    if name in METHODS:
        return [METHODS[name]]
    if "." in name:
        module, short = name.split(".")
        return [getattr(getattr(torch, module), short)]
    places: list[Any] = [torch, torch.Tensor, torch.nn.functional]
    if name in FUNCTIONAL:
        places = [torch.nn.functional, torch, torch.Tensor]
    if name in ("float", "double", "long", "int", "short", "bool", "to", "type_as"):
        places = [torch.Tensor]
    return [found for place in places if callable(found := getattr(place, name, None))]


def in_place(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method on a copy, which is no leaf and so may be changed."""
    return lambda input, *args, **kwargs: method(input.clone(), *args, **kwargs)


def op_infos(name: str) -> list[Any]:
    # `unfold` is the windows of a tensor; the function of that name makes columns of images
    wanted = {name} if name == "unfold" else {name, f"nn.functional.{name}"}
    found = [o for o in op_db if wanted & {o.name, *(a.name for a in o.aliases)}]
    skipped = {("linalg.pinv", "singular")}
    return [o for o in found if (o.name, o.variant_test_name) not in skipped]


def as_call(name: str, label: str, sample: Any) -> Call:
    args = [sample.input, *sample.args]
    if name in ADAPTED:
        args = ADAPTED[name](*args)
    return label, args, {k: v for k, v in sample.kwargs.items() if k not in PLACED}


def limited(calls: Iterable[Any], count: int, seconds: float) -> Iterator[Any]:
    """The first `count`, as far as they come within the time; a generator that fails ends there."""
    start, iterator = time.monotonic(), iter(calls)
    for _ in range(count):
        try:
            yield next(iterator)
        except Exception:  # StopIteration, or a generator that needs something this machine has not
            return
        if time.monotonic() - start > seconds:
            return


def generated(name: str, dtype: torch.dtype, reference: bool = False) -> list[Call]:
    calls: list[Call] = []
    if (name, dtype) in IMPRECISE:
        return calls
    for op in op_infos(name):
        if dtype not in op.supported_dtypes("cpu") and name not in ("where",):
            continue
        needs = dtype.is_floating_point and op.supports_autograd
        torch.manual_seed(0)
        make = op.reference_inputs if reference else op.sample_inputs
        label = f"{op.variant_test_name or 'sample'}"
        for sample in limited(make("cpu", dtype, requires_grad=needs), 400, 6.0):
            try:
                calls.append(as_call(name, label, sample))
            except TypeError:
                continue
    return calls


def refused(name: str) -> list[Call]:
    calls = []
    for op in op_infos(name):
        if op.error_inputs_func is None:
            continue
        torch.manual_seed(0)
        for error in limited(op.error_inputs("cpu"), 60, 3.0):
            try:
                calls.append(as_call(name, "error", error.sample_input))
            except TypeError:
                continue
    return calls


def shape_of(value: Any) -> Any:
    """What makes two arguments alike: kind and rank, not numbers."""
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), value.ndim, value.numel() == 0, value.is_contiguous())
    if isinstance(value, (list, tuple)):
        return tuple(shape_of(v) for v in value[:3])
    if isinstance(value, (bool, str, torch.dtype)) or value is None:
        return str(value)
    return type(value).__name__


def alike(call: Call) -> Any:
    return (
        call[0],
        tuple(shape_of(a) for a in call[1]),
        tuple((k, shape_of(v)) for k, v in sorted(call[2].items())),
    )


def tensors_of(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from tensors_of(v)
    elif isinstance(value, dict):
        yield from tensors_of(list(value.values()))


def size_of(call: Call) -> int:
    return sum(t.numel() for t in tensors_of([call[1], call[2]]))


def spread(calls: list[Call], count: int, limit: int = MAX_INPUT) -> list[Call]:
    """Up to `count` calls, as different from each other as can be: one of each kind in turn."""
    groups: dict[Any, list[Call]] = {}
    for call in calls:
        if size_of(call) <= limit:
            groups.setdefault(alike(call), []).append(call)
    queues = list(groups.values())
    if len(queues) > count:  # more kinds than room: take them evenly from the whole list
        queues = [queues[i * len(queues) // count] for i in range(count)]
    turns = itertools.zip_longest(*queues)
    return [c for c in itertools.chain.from_iterable(turns) if c is not None][:count]


class Encoder:
    """One case in the making: its arrays, and the torch tensors rebuilt from them."""

    def __init__(self, writer: recorded.Writer) -> None:
        self.writer = writer
        self.arrays: list[dict[str, Any]] = []
        self.numbers: dict[int, int] = {}
        self.inputs: list[torch.Tensor] = []
        self.alive: list[torch.Tensor] = []

    def store(self, array: np.ndarray[Any, Any], grad: bool = False) -> int:
        self.arrays.append(self.writer.array(array, grad))
        return len(self.arrays) - 1

    def tensor(self, tensor: torch.Tensor) -> tuple[dict[str, int], torch.Tensor]:
        if id(tensor) not in self.numbers:
            plain = tensor.device.type == "cpu" and tensor.layout == torch.strided and not tensor.is_neg()
            if tensor.dtype not in DTYPES or not plain or tensor.ndim > 16:
                raise Unrecordable(str(tensor.dtype))
            array = tensor.detach().numpy()
            self.numbers[id(tensor)] = self.store(array, tensor.requires_grad)
            self.inputs.append(rebuild(array, tensor.requires_grad))
            self.alive.append(tensor)
        number = self.numbers[id(tensor)]
        return {"t": number}, self.inputs[number]

    def argument(self, value: Any) -> tuple[Any, Any]:
        """The JSON of an argument, and the argument itself over rebuilt tensors."""
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if isinstance(value, torch.dtype):
            if value not in DTYPES:
                raise Unrecordable(str(value))
            return {"dtype": DTYPES[value]}, value
        if isinstance(value, (list, tuple)):
            pairs = [self.argument(v) for v in value]
            plain, live = [p[0] for p in pairs], [p[1] for p in pairs]
            return (plain, live) if isinstance(value, list) else ({"tuple": plain}, tuple(live))
        if value is None or isinstance(value, (bool, int, float, str)):
            return value, value
        if isinstance(value, np.generic):
            return self.argument(value.item())
        raise Unrecordable(type(value).__name__)

    def changed(self) -> dict[str, int]:
        """The inputs that the call has written to, as it left them."""
        found = {}
        for i, (before, now) in enumerate(zip(self.alive, self.inputs, strict=True)):
            if not torch.equal(before.detach().nan_to_num(), now.detach().nan_to_num()):
                found[str(i)] = self.store(now.detach().contiguous().numpy())
        return found

    def gradients(self, grads: Iterable[torch.Tensor | None]) -> list[int | None]:
        return [None if g is None else self.store(g.detach().contiguous().numpy(force=True)) for g in grads]

    def result(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if value.dtype not in DTYPES:
                raise Unrecordable(str(value.dtype))
            return {"t": self.store(value.detach().contiguous().numpy(force=True))}
        if isinstance(value, torch.Size):
            return [int(v) for v in value]
        if isinstance(value, tuple) and hasattr(value, "n_fields"):
            return {"result": [self.result(v) for v in value], "fields": field_names(value)}
        if isinstance(value, tuple):
            return {"tuple": [self.result(v) for v in value]}
        if isinstance(value, list):
            return [self.result(v) for v in value]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise Unrecordable(type(value).__name__)


def rebuild(array: np.ndarray[Any, Any], grad: bool) -> torch.Tensor:
    """A leaf with exactly the values and strides that the file will hold."""
    if array.flags.c_contiguous:
        tensor = torch.from_numpy(array.copy())
    else:
        laid = recorded.strided(np.ascontiguousarray(array), [s // array.itemsize for s in array.strides])
        tensor = torch.from_numpy(laid)
    return tensor.requires_grad_(grad)


def field_names(value: Any) -> list[str]:
    members = (types.MemberDescriptorType, types.GetSetDescriptorType)
    found = [k for k, v in vars(type(value)).items() if isinstance(v, members) and not k.startswith("_")]
    return found[: len(value)]


def run(name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The call; where the first function of that name does not take these arguments, the next."""
    refusal: Exception | None = None
    for function in functions(name):
        try:
            torch.manual_seed(0)
            return function(*args, **kwargs)
        except TypeError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def same(a: Any, b: Any) -> bool:
    left, right = ([t.detach() for t in tensors_of(x)] for x in (a, b))
    return all(
        x.shape == y.shape and torch.equal(x.nan_to_num(), y.nan_to_num()) for x, y in zip(left, right)
    )


def is_random(name: str, args: list[Any], kwargs: dict[str, Any], out: Any) -> bool:
    for seed in (7, 8):
        torch.manual_seed(seed)
        for function in functions(name):
            try:
                if not same(out, function(*args, **kwargs)):
                    return True
                break
            except TypeError:
                continue
    return False


def weights(tensors: list[torch.Tensor], order: int) -> list[torch.Tensor]:
    made = [recorded.cotangent(tuple(t.shape), i, order) for i, t in enumerate(tensors)]
    return [torch.from_numpy(np.asarray(m)).to(t.dtype) for m, t in zip(made, tensors, strict=True)]


def differentiate(name: str, case: dict[str, Any], encoder: Encoder, out: Any) -> None:
    """First gradients of the weighted sum of the results, then second ones of that of the first."""
    outs = [t for t in tensors_of(out) if t.requires_grad and t.is_floating_point()]
    inputs = [t for t in encoder.inputs if t.requires_grad]
    if not outs or not inputs:
        return
    try:
        first = torch.autograd.grad(outs, inputs, weights(outs, 1), create_graph=True, allow_unused=True)
    except (RuntimeError, NotImplementedError) as error:
        case["first_error"] = sentence(error)
        return
    case["first"] = encoder.gradients(first)
    again = [g for g in first if g is not None and g.requires_grad]
    if not again:
        case["second"] = [None] * len(inputs)
        return
    try:
        second = torch.autograd.grad(again, inputs, weights(again, 2), allow_unused=True)
    except (RuntimeError, NotImplementedError) as error:
        case["second_error"] = sentence(error)
        return
    if any(g is not None and (g.abs() > NOISE).any() for g in second) and name in LINEAR_ALGEBRA:
        return  # of a matrix that is singular up to rounding
    case["second"] = encoder.gradients(second)


def sentence(error: Exception) -> str:
    return str(error).split("\n")[0]


def record(name: str, call: Call, writer: recorded.Writer) -> dict[str, Any]:
    """The whole record of one call."""
    encoder = Encoder(writer)
    label, args, kwargs = call
    pairs = [encoder.argument(a) for a in args]
    named = {k: encoder.argument(v) for k, v in kwargs.items()}
    if not encoder.inputs and name not in (*MAKING, "tril_indices", "triu_indices"):
        raise Unrecordable("plain numbers only")
    live, live_named = [p[1] for p in pairs], {k: p[1] for k, p in named.items()}
    case: dict[str, Any] = {
        "label": label,
        "args": [p[0] for p in pairs],
        "kwargs": {k: p[0] for k, p in named.items()},
        "inputs": len(encoder.arrays),
        "arrays": encoder.arrays,
    }
    try:
        out = run(name, live, live_named)
    except Exception as error:
        case["error"], case["error_type"] = sentence(error), type(error).__name__
        return case
    case["out"] = encoder.result(out)
    # an integer tensor has a node only by accident (a comparison in place): nothing can be done with it
    case["grad_fns"] = [
        type(t.grad_fn).__name__ if t.grad_fn is not None and t.is_floating_point() else None for t in tensors_of(out)
    ]
    if changed := encoder.changed():
        case["changed"] = changed
    if name in UNSET:
        case["unset"] = True
        return case
    differentiate(name, case, encoder, out)
    # last, as more calls may change running statistics once more
    if is_random(name, live, live_named, out):
        case["random"] = True
    return case


def collect(name: str) -> list[tuple[str, Call]]:
    """(family, call): own samples first, then torch's in float64, then other dtypes, then refused ones."""
    own = [("own", call) for call in samples.of(name)]
    real = generated(name, torch.float64)
    chosen = [("real", c) for c in spread(real, 40)]
    if chosen:
        chosen += [("real", c) for c in spread(generated(name, torch.float64, reference=True), 10, 150)]
    others: list[tuple[str, Call]] = []
    for dtype, count in (
        (torch.int64, 6),
        (torch.bool, 3),
        (torch.float32, 4),
        (torch.uint8, 1),
        (torch.int32, 1),
    ):
        count = count if chosen or dtype != torch.int64 else 20
        others += [
            ("other", (f"{DTYPES[dtype]} {c[0]}", *c[1:])) for c in spread(generated(name, dtype), count, 400)
        ]
    return own + chosen + others + [("error", c) for c in spread(refused(name), 16, 400)]


def collect_in_place(name: str) -> list[tuple[str, Call]]:
    """Some of the calls of the operation that leaves its input alone."""
    base = name[:-1]
    own = spread(samples.of(base), 16)
    real = spread(generated(base, torch.float64), 8, 400)
    others = spread(generated(base, torch.int64), 3, 400) + spread(generated(base, torch.bool), 1, 400)
    families = (("own", own), ("real", real), ("other", others))
    made = [(family, call) for family, calls in families for call in calls]
    if base == "polygamma":
        made = [(family, (label, [args[1], args[0]], kwargs)) for family, (label, args, kwargs) in made]
    return [(f, c) for f, c in made if c[1] and isinstance(c[1][0], torch.Tensor)]


def record_all(name: str, writer: recorded.Writer) -> list[tuple[str, Call, dict[str, Any]]]:
    done = []
    for family, call in collect_in_place(name) if name.endswith("_") else collect(name):
        try:
            case = record(name, call, writer)
        except (Unrecordable, MemoryError):
            continue
        if family in ("real", "other") and "error" in case:
            continue  # a sample made for another overload than the one of this name
        if family == "error" and "error" not in case:
            family = "other"
        done.append(("error" if "error" in case else family, call, case))
    return done


def weight(case: dict[str, Any]) -> int:
    return sum(int(np.prod(a["shape"])) for a in case["arrays"])


def selection(done: list[tuple[str, Call, dict[str, Any]]]) -> list[tuple[str, Call]]:
    """The cases the repository keeps: small ones, of different kinds."""
    by_size = sorted(done, key=lambda d: weight(d[2]))
    own = [d for d in by_size if d[0] == "own"]
    real = [d for d in by_size if d[0] == "real"]
    picked = varied(real, max(KEPT - min(len(own), 7), 4))
    picked = varied(own, KEPT + 3 - min(len(picked), 5)) + picked
    picked += varied([d for d in by_size if d[0] == "other"], 2 if len(picked) >= 6 else 8)
    picked += varied([d for d in by_size if d[0] == "error"], 2)
    return [(d[0], d[1]) for d in picked]


def varied(
    done: list[tuple[str, Call, dict[str, Any]]], count: int
) -> list[tuple[str, Call, dict[str, Any]]]:
    groups: dict[Any, list[tuple[str, Call, dict[str, Any]]]] = {}
    for item in done:
        groups.setdefault(alike(item[1]), []).append(item)
    turns = itertools.zip_longest(*groups.values())
    return [d for d in itertools.chain.from_iterable(turns) if d is not None][:count]


def write(name: str, folder: Path, full: Path | None) -> tuple[int, int]:
    everything = recorded.Writer()
    done = record_all(name, everything)
    everything.cases = [case for _, _, case in done]
    if full is not None:
        everything.save(full / f"{name}.npz")
    kept = recorded.Writer()
    kept.cases = [record(name, call, kept) for _, call in selection(done)]
    kept.save(folder / f"{name}.npz")
    return len(done), len(kept.cases)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--full", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for folder in (recorded.FOLDER, options.full):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    for name in options.names or NAMES + IN_PLACE:
        start = time.monotonic()
        every, kept = write(name, recorded.FOLDER, options.full)
        print(
            json.dumps([name, every, kept, round(time.monotonic() - start, 1)]), flush=True, file=sys.stdout
        )


if __name__ == "__main__":
    main()
