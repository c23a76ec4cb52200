"""What functions lead to is found, fetched again, and refused where it cannot be followed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vardsl
from vardsl.engine.value import Value
from vardsl.plan.reach import MISSING, Reach, Unfollowed


def names(source: str) -> dict[str, Any]:
    session = vardsl.Session()
    session.run("let w = [1., 2.]; let k = 3; " + source)
    return session.names()


def reached(source: str, name: str = "f") -> list[Any]:
    return Reach([names(source)[name]]).given[1:]


def test_names_of_the_file_are_reached_through_calls() -> None:
    found = reached("fn g(x) = x*w; fn f(x) = g(x) + k")
    assert any(type(v) is int and v == 3 for v in found)
    assert any(type(v) is Value for v in found)


def test_variables_that_a_function_keeps_are_reached() -> None:
    found = reached("fn made(s) { let t = s*w; return fn(x) = x + t + s }; let f = made(2.5)")
    assert 2.5 in found
    assert sum(type(v) is Value for v in found) == 1


def test_functions_inside_functions_defaults_and_tuples_are_looked_through() -> None:
    found = reached("let pair = (w, 7); fn f(x, s=9) { let h = fn(y) = y*pair[0]; return h(x)*s }")
    assert {7, 9} <= {v for v in found if type(v) is int}


def test_what_a_transformed_function_reads_is_reached() -> None:
    found = reached("fn g(x) = sum(x*w)*k; let f = grad(fn(x) = sum(grad(g)(x)))")
    assert any(type(v) is int and v == 3 for v in found)


@pytest.mark.parametrize("c", ["2.0", "tensor(2.0)"])
def test_a_transformed_function_sees_what_it_reads_change(c: str) -> None:
    source = f"""
let c = {c}; let x = [1., 2., 3.]
fn f(x) = c*sum(x**2)
let df = grad(f)
for j in range(3) {{ c = c + 1.0; for i in range(12) {{ x = x - 0.01*df(x) }} }}
"""
    found = []
    for plan in (True, False):
        session = vardsl.Session(plan=plan)
        session.run(source)
        found.append(session["x"].numpy().tobytes())
        assert not plan or any(r.turns for r in session.regions.values())
    assert found[0] == found[1]


def test_a_recursive_function_is_reached_once() -> None:
    assert len(reached("fn f(n) = 1 if n == 0 else n*f(n - 1)")) == 1


def test_the_same_places_are_fetched_again() -> None:
    session = vardsl.Session()
    session.run("let w = [1., 2.]; fn f(x) = x*w*missing; let missing = 1; del missing")
    reach = Reach([session.names()["f"]])
    assert any(v is MISSING for v in reach.given)
    session.run("w = [3., 4.]; missing = 5")
    again = reach.again([session.names()["f"]])
    assert again is not None
    assert any(type(v) is int and v == 5 for v in again)
    assert any(type(v) is Value and v.array.tolist() == [3.0, 4.0] for v in again)


def test_a_tuple_of_another_length_is_another_thing() -> None:
    a, b = Value(np.zeros(1)), Value(np.ones(1))
    reach = Reach([(a, 2)])
    assert reach.given[1:] == [a, 2]
    assert reach.again([(b, 3)])[1:] == [b, 3]  # type: ignore[index]
    assert reach.again([(b, 3, 4)]) is None
    assert reach.again([b]) is None


@pytest.mark.parametrize(
    "source",
    [
        "fn made() { let n = 0; fn count(x) { n = n + 1; return x*n }; return count }; let f = made()",
        "fn f(x) { import \"other.vd\" as o; return x }",
        "fn f(x) { graph x; return x }",
        "let f = zeros(3).numpy()",
        "let h = step_lr(sgd((var w grad,)), 3); let s = w.register_hook if false else h; fn f(x) = clip_grad_norm((x,), 1)",
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused(source: str) -> None:
    with pytest.raises(Unfollowed):
        reached(source)


def test_a_name_of_the_file_that_a_function_binds_anew_is_noticed() -> None:
    session = vardsl.Session()
    session.run("let n = 1; let w = var [1.] grad; fn same() { update w -= 1 }; fn other() { n = n + 1 }")
    for name, changed in (("same", False), ("other", True)):
        f = session.names()[name]
        reach = Reach([f])
        session[name]()
        if changed:
            with pytest.raises(Unfollowed, match="binds names of its file"):
                reach.check()
        else:
            reach.check()
