"""Which functions are known to do nothing but compute."""

from __future__ import annotations

from typing import Any

import pytest

import vardsl
from vardsl.engine.value import Value
from vardsl.lang.quiet import values_read

SCRIPT = """
k = 1
let w = var [1., 2.] grad
fn computes(x) = (x**2 * w).sum()
fn loops(x) { let y = x[0] * 2; for i in range(3) { y = y + computes(x) }; if k > 0 { y = -y }; return y }
fn derives(x) = grad(computes)(x)
let made = grad(loops)
fn calls_made(x) = made(x)
fn binds_its_own(x) { let y = x; fn inner(z) { y = z; return y }; return inner(x) }
fn binds_outer(x) { k = k + 1; return x }
fn prints(x) { print x; return x }
fn calls_one(x) = computes(binds_outer(x))
fn has_one_as_default(x, f=prints) = f(x)
fn sets(x) { manual_seed(0); return x }
fn hooks(x) { x.register_hook(fn(g) = g); return x }
fn customs(x) = custom_grad(fn(y) = y*y, fn(g, y) = g)(x)
"""


@pytest.fixture(scope="module")
def script() -> vardsl.Session:
    s = vardsl.Session()
    s.run(SCRIPT)
    return s


def read(s: vardsl.Session, name: str) -> list[Value] | None:
    seen: list[Any] = []
    s["look"] = seen.append
    s.run(f"look({name})")
    return values_read(seen[0])


@pytest.mark.parametrize("name", ["computes", "loops", "derives", "calls_made"])
def test_what_only_computes_tells_the_tensors_it_reads(script: vardsl.Session, name: str) -> None:
    found = read(script, name)
    assert found is not None
    assert [v.tolist() for v in found] == [[1.0, 2.0]]


def test_a_function_may_bind_variables_of_its_own(script: vardsl.Session) -> None:
    assert read(script, "binds_its_own") == []


@pytest.mark.parametrize(
    "name", ["binds_outer", "prints", "calls_one", "has_one_as_default", "sets", "hooks", "customs"]
)
def test_what_does_more_is_told_apart(script: vardsl.Session, name: str) -> None:
    assert read(script, name) is None


def test_functions_of_python_are_not_looked_into() -> None:
    assert values_read(lambda x: x) is None
