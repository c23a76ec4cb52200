"""Every operation of the table, by one body: documents, examples, values, derivatives, forms, errors."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.table import laws, make_index, planned, recorded, replay, rows
from tests.table.recorded import Case, Tensor
from vardsl.engine.dtypes import FLOAT64
from vardsl.engine.op import Op
from vardsl.engine.value import OPS, Value
from vardsl.errors import ScriptTypeError
from vardsl.lang.outcome import Outcome, Printed, Shown
from vardsl.ops import define, reference
from vardsl.ops.index import FAMILIES
from vardsl.session import Session

EVERY = define.names()
PRIMARY = [n for n in EVERY if define.get(n).name == n]
RECORDED = frozenset(recorded.names())
# What is no call of PyTorch's with arguments of its own, or gives nothing that one could compare with it.
NOT_RECORDED = frozenset(
    [
        "bernoulli_",
        "detach",
        "dim",
        "empty_like",
        "exponential",
        "getitem",
        "is_floating_point",
        "item",
        "manual_seed",
        "normal_",
        "numel",
        "setitem_",
        "size",
        "sum_to_size",
        "tolist",
        "type",
        "uniform",
    ]
)
ALIASES = {n: define.get(n).name for n in EVERY if n not in PRIMARY}
IN_PLACE = [n + "_" for n in PRIMARY if define.get(n).facts.get("inplace") and not n.endswith("_")]
POINTWISE = [n for n in PRIMARY if type(define.get(n)) is Op and define.get(n).family == "elementwise"]
# Random, or piecewise constant in what a difference would change.
DRAWS = frozenset(["bernoulli", "multinomial", "normal", "poisson", "dropout", "exponential", "uniform"])


@pytest.mark.parametrize("name", PRIMARY)
def test_documented(name: str) -> None:
    entry = reference.entry(name)
    assert entry.summary and "\n" not in entry.summary and len(entry.summary) <= 140
    assert entry.summary.endswith(".")
    assert entry.examples, f"{name} has no example"
    assert entry.derivative, f"{name} does not say what its derivative is"
    assert entry.torch.startswith("torch.")
    assert name in reference.as_text(entry)
    assert entry.call in reference.as_markdown(entry)
    for parameter in define.get(name).signature.parameters:
        assert parameter.kind == "Any" or parameter.kind in KINDS, f"{parameter.name}: {parameter.kind}"


KINDS = frozenset(
    ["Tensor", "Tensors", "Index", "Number", "Int", "Ints", "Sizes", "Bool", "Str", "Dtype", "Varargs"]
)


@pytest.mark.parametrize("name", PRIMARY)
def test_examples_print_what_they_say(name: str) -> None:
    shown: list[str] = []

    def emit(outcome: Outcome) -> None:
        if isinstance(outcome, Printed):
            shown.append(outcome.text.rstrip("\n"))
        elif isinstance(outcome, Shown):
            shown.append(session.text(outcome.value))

    session = Session(seed=0, emit=emit)
    for example in reference.entry(name).examples:
        shown.clear()
        session.run(example.code, shown=True)
        assert "\n".join(shown) == example.output, example.code


def cases_of(name: str) -> list[Case]:
    return recorded.cases(name)


@pytest.mark.parametrize("name", [n for n in PRIMARY if n not in NOT_RECORDED])
def test_enough_is_recorded(name: str) -> None:
    assert len(cases_of(name)) >= 8


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_agrees_with_pytorch(name: str) -> None:
    failures = []
    for case in cases_of(name):
        failures += [f"{replay.call_text(case)}\n    {line}" for line in replay.check(case)]
    assert not failures, "\n".join(failures)


def lawful_cases(name: str, at_most: int = laws.SAMPLES) -> list[Case]:
    return list(laws.smooth_cases(cases_of(name), at_most)) if name in RECORDED and name not in DRAWS else []


@pytest.mark.parametrize("name", [n for n in PRIMARY if lawful_cases(n, 1)])
def test_forward_reverse_and_differences_agree(name: str) -> None:
    for case in lawful_cases(name):
        found = laws.problems(case)
        assert not found, "\n".join([replay.call_text(case), *found])


@pytest.mark.parametrize("name", [n for n in PRIMARY if lawful_cases(n, 1)])
def test_rows_at_once_are_the_rows_one_by_one(name: str) -> None:
    for case in lawful_cases(name):
        found = rows.differences(case)
        assert not found, "\n".join([replay.call_text(case), *found])


@pytest.mark.parametrize("name", [n for n in PRIMARY if n in RECORDED and n not in DRAWS])
def test_a_plan_gives_the_same_bits(name: str) -> None:
    for case in cases_of(name):
        if planned.plannable(case):
            found, _ = planned.problems(case)
            assert not found, "\n".join([replay.call_text(case), *found])


@pytest.mark.parametrize("name", [n for n in PRIMARY if n in RECORDED and n not in DRAWS])
def test_a_plan_gives_the_same_bits_where_widths_are_mixed(name: str) -> None:
    cases = [c for case in cases_of(name) if planned.plannable(case) for c in planned.mixed(case)]
    for case in cases[:6]:
        found, _ = planned.problems(case)
        assert not found, "\n".join([replay.call_text(case), *found])


def test_most_calls_are_planned() -> None:
    names = ("tanh", "mul", "layer_norm", "matmul", "sum", "cross_entropy")
    cases = [case for name in names for case in cases_of(name) if planned.plannable(case) and case.first]
    assert sum(planned.problems(case)[1] for case in cases) > 0.8 * len(cases)


@pytest.mark.parametrize("name", [n for n in PRIMARY if lawful_cases(n, 1)])
def test_examples_at_once_are_the_examples_one_by_one(name: str) -> None:
    for case in lawful_cases(name):
        found = rows.example_differences(case)
        assert not found, "\n".join([replay.call_text(case), *found])


@pytest.mark.parametrize("name", [n for n in IN_PLACE if n[:-1] in RECORDED])
def test_in_place_is_the_same_on_the_same_memory(name: str) -> None:
    plain, changed = OPS[name[:-1]], OPS[name]
    tried = 0
    for case in cases_of(name[:-1]):
        first = case.args[0] if case.args else None
        if case.error or case.random or not isinstance(first, Tensor) or first.array.dtype.kind == "b":
            continue
        values: dict[int, Value] = {id(t): Value(t.array.copy()) for t in case.inputs}
        args = [replay.live(a, values) for a in case.args[1:]]
        keywords = {k: replay.live(v, values) for k, v in case.kwargs.items()}
        x = Value(first.array.copy())
        with np.errstate(all="ignore"):
            expected = plain(Value(first.array.copy()), *args, **keywords)
            if not isinstance(expected, Value) or expected.dtype.category > x.dtype.category:
                continue
            if expected.shape != x.shape and name not in RESHAPES:
                continue
            if name == "float_power_" and x.dtype is not FLOAT64:
                continue  # refused: what it gives is always float64
            memory = x.array
            result = changed(x, *args, **keywords)
        assert result is x
        assert np.shares_memory(x.array, memory) or not memory.size
        same = expected.array.astype(x.array.dtype)
        assert np.array_equal(x.array, same, equal_nan=same.dtype.kind == "f")
        tried += 1
    assert tried, f"no recorded call of {name[:-1]} can be done in place"


RESHAPES = frozenset(["squeeze_", "unsqueeze_", "transpose_", "swapaxes_", "swapdims_", "t_"])


@pytest.mark.parametrize("name", POINTWISE)
def test_plain_numbers(name: str) -> None:
    op = define.get(name)
    tried = 0
    for case in cases_of(name) if name in RECORDED else ():
        arrays = [a for a in (*case.args, *case.kwargs.values()) if isinstance(a, Tensor)]
        if case.error or not arrays or any(not t.array.size or t.array.dtype != np.float64 for t in arrays):
            continue
        bare = [t.array.flat[0].item() for t in arrays]
        with np.errstate(all="ignore"):
            given = sum(isinstance(a, Tensor) for a in case.args)
            keywords = dict(zip(case.kwargs, replaced(case.kwargs.values(), bare[given:]), strict=True))
            try:
                numbers = op(*replaced(case.args, bare), **keywords)
            except ScriptTypeError:
                continue  # PyTorch takes no number there
            expected = call_on_numbers(case)
        assert type(numbers) in (float, int, bool, tuple), type(numbers)
        assert np.allclose(numbers, [v.array.item() for v in expected], rtol=1e-12, atol=0, equal_nan=True)
        tried += 1
        if tried == 3:
            return


def replaced(arguments: Any, numbers: list[float]) -> list[Any]:
    rest = iter(numbers)
    return [next(rest) if isinstance(a, Tensor) else replay.live(a, {}) for a in arguments]


def call_on_numbers(case: Case) -> list[Value]:
    values: dict[int, Value] = {id(t): Value(np.array(t.array.flat[0])) for t in case.inputs if t.array.size}
    args = [replay.live(a, values) for a in case.args]
    keywords = {k: replay.live(v, values) for k, v in case.kwargs.items()}
    return list(replay.values_of(replay.operation(case.name)(*args, **keywords)))


def takes_any_number(op: Any) -> bool:
    return any(p.kind in ("Sizes", "Varargs", "Any") for p in op.signature.positional)


@pytest.mark.parametrize("name", PRIMARY)
def test_unknown_keywords_and_wrong_arity(name: str) -> None:
    op = define.get(name)
    if type(op) is not Op:
        pytest.skip("has a way of its own to be called: indexing, or the arguments of another form")
    one = Value(np.ones(()))
    with pytest.raises(ScriptTypeError) as caught:
        op(one, no_such_keyword=1)
    assert "unexpected keyword argument 'no_such_keyword'" in caught.value.message
    assert caught.value.hint
    if not takes_any_number(op):
        with pytest.raises(ScriptTypeError) as caught:
            op(*[one] * (len(op.signature.positional) + 1))
        assert "positional argument" in caught.value.message
        assert op.name in (caught.value.hint or "")


def test_the_index_is_what_the_files_declare() -> None:
    assert make_index.index() == FAMILIES


def test_every_name_is_declared_where_the_index_says() -> None:
    define.load_all()
    for name, family in FAMILIES.items():
        op = OPS[name]
        assert op.fn.__module__ == "vardsl.ops." + family, name


def test_aliases_are_the_same_operation() -> None:
    for alias, name in ALIASES.items():
        assert define.get(alias) is define.get(name)


def loaded_families(code: str) -> set[str]:
    listing = "print(*[m.rpartition('.')[2] for m in sys.modules if m.startswith('vardsl.ops.')])"
    script = f"{code}\nimport sys\n{listing}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split()) & set(FAMILIES.values())


def test_families_are_loaded_on_first_use() -> None:
    assert loaded_families("import vardsl.ops.define") == set()
    assert loaded_families("from vardsl.ops import define; define.get('tanh')") == {FAMILIES["tanh"]}
