"""Transforms in loops: recorded with the derivatives that they take, equal to the run without plans."""

from __future__ import annotations

import re

import numpy as np
import pytest

import vardsl

SETUP = """
fn rosen(x) = sum(100.0 * (x[1:] - x[:-1]**2)**2 + (1.0 - x[:-1])**2)
fn parts(x) = cat((tanh(x) * x[0], softmax(x, 0)))
fn net(w) = cross_entropy(tanh(X @ w.reshape(3, 4)) @ V, T)
let second = grad(fn(x) = sum(grad(rosen)(x)**2))
"""
LINES = {
    "hvp": "H = hvp(rosen, x, v)[1]",
    "hessian": "H = hessian(rosen, x)",
    "hessian of a network": "H = hessian(net, w)",
    "jacobian": "H = jacobian(parts, x)",
    "vjp": "H = vjp(rosen, x)[1]",
    "jvp": "H = jvp(parts, x, v)[1]",
    "grad": "H = grad(rosen)(x)",
    "value and grad": "y, H = value_and_grad(rosen)(x)",
    "a gradient of a gradient": "H = second(x)",
    "a function on the spot": "let t = sum(x); H = hessian(fn(y) = rosen(y) * t, x)",
    "create_graph": "H = hessian(rosen, x, create_graph=true)",
}
TURN = "x = x * 0.99 + 0.01 * v; w = w * 0.9"


def session(plan: bool) -> vardsl.Session:
    s = vardsl.Session(plan=plan)
    rng = np.random.default_rng(0)
    s["x"], s["v"], s["w"] = rng.normal(size=12), rng.normal(size=12), rng.normal(size=12)
    s["X"], s["V"], s["T"] = rng.normal(size=(6, 3)), rng.normal(size=(4, 2)), np.arange(6) % 2
    s.run(SETUP)
    return s


def after(plan: bool, line: str, turns: int) -> tuple[bytes, vardsl.Session]:
    s = session(plan)
    s.run(f"for i in range({turns}) {{ {line}; {TURN} }}")
    return np.ascontiguousarray(s.eval("H.detach()").numpy()).tobytes(), s


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("turns", [1, 4, 5, 9])
def test_turns_have_the_bits_of_a_run_without_plans(name: str, turns: int) -> None:
    found, s = after(True, LINES[name], turns)
    assert found == after(False, LINES[name], turns)[0]
    if turns == 9 and name != "create_graph":
        assert most_turns(s) >= 4, [r.describe() for r in s.regions.values()]


def most_turns(s: vardsl.Session) -> int:
    return max(r.turns for r in s.regions.values())


def test_a_planned_hessian_is_few_calls() -> None:
    _, s = after(True, LINES["hessian"], 9)
    text = next(r.describe() for r in s.regions.values() if r.turns)
    found = re.search(r"(\d+) NumPy calls a turn in", text)
    assert found is not None, text
    assert int(found[1]) <= 40


WHOLE = {
    "descent": "g = grad(rosen)(x); x = x - 0.001*g",
    "descent in one line": "x = x - 0.001*grad(rosen)(x)",
    "newton, element by element": "x = x - grad(fn(z) = sum(z**4 - z))(x)/(12.0*x**2 + 1.0)",
    "newton": "x = x - linalg.solve(hessian(rosen, x) + 5.0*eye(12), grad(rosen)(x))",
    "a gradient of a gradient": "x = x - 0.01*grad(fn(z) = sum(grad(fn(y) = sum(sin(y)*v))(z)*v))(x)",
    "one element": "t = t - 0.01*grad(grad(fn(z) = z**4))(t)",
    "a number around it changes": "x = x - 0.01*grad(fn(z) = sum(z**2)*k + sum(z*k))(x); k = k*1.05",
    "the turn's number": "x = x - 0.01*grad(fn(z) = sum(i*z**2))(x)",
    "a part by number": "x = x - 0.01*grad(fn(z) = sum((X[i % 6]@z[:3])**2))(x)",
    "a tensor around it changes": "x = x - 0.01*grad(fn(z) = sum(v*z**2))(x); v = v*1.05",
    "changed in place": "x = x - 0.01*grad(fn(z) = sum(v*z**2))(x); update v *= 1.05",
    "bound after it was made": "let f = fn(z) = sum(v*z**2); v = v*1.01; x = x - 0.01*grad(f)(x)",
    "made by a function": "x = x - 0.01*grad(weighted(v))(x); v = v*1.1",
    "a default": "x = x - 0.01*grad(fn(z, a=v) = sum(z**2*a))(x); v = v*1.1",
    "parameters named as variables": "x = x - 0.01*grad(fn(v) = sum(grad(fn(k) = sum(k**2*x))(v)))(x); v = x*k",
    "another function from some turn on": "x = x - 0.01*grad(h)(x); if i == 12 { h = fn(z) = sum(z**3) }",
    "auxiliary results": "g, y = grad(fn(z) = (sum(z**2), z*2.0), 0, has_aux=true)(x); x = x - 0.01*g + 0.001*y",
    "several arguments": "a, b = grad(fn(z, u) = sum(z**2*u), (0, 1))(x, v); x = x - 0.01*a; v = v - 0.01*b",
    "random numbers": "x = x - 0.01*grad(fn(z) = sum(dropout(z, 0.5)**2))(x)",
    "within a network's loss": (
        "zero_grad p; loss = sum(grad(rosen)(p)**2); backward loss; update p -= 0.00001*p.grad"
    ),
}
# What is right as it stands: a number that must be the very one, a function that stays, a number looked at.
LEFT = {
    "a number in a call": "x = x - 0.01*grad(fn(z) = scaled(z, k))(x); k = k + 0.05",
    "a number for a function that makes one": "x = x - 0.01*grad(weighted(k))(x); k = k + 0.1",
    "a number as a default": "x = x - 0.01*grad(fn(z, a=k) = sum(z**2)*a)(x); k = k + 0.1",
    "a function is kept": "h = fn(z) = sum(z*v*i); x = x - 0.01*grad(h)(x)",
    "a transformed function is kept": "d = grad(fn(z) = sum(z**2*v)); x = x - 0.01*d(x)",
    "plain numbers": "k = k - 0.01*grad(fn(z) = z**4)(k); x = x*k",
    "an error in some turn": "x = x - 0.01*grad(fn(z) = sum(z[:12 - i//20]*v))(x)",
}
MORE = """
let k = 1.0; let t = tensor(0.7); let p = (x*1.0).requires_grad_(); let d = none
let h = fn(z) = sum(z**2)
fn weighted(a) = fn(z) = sum(z**2*a)
fn scaled(z, a) = sum(z**2)*a
"""


def variables(plan: bool, turn: str) -> tuple[dict[str, bytes | float], str, vardsl.Session]:
    """What a loop of such turns leaves in the variables, and the error that ended it."""
    s = session(plan)
    s.run(MORE + "manual_seed(1)")
    error = ""
    try:
        s.run(f"for i in range(25) {{ {turn} }}")
    except vardsl.Error as e:
        error = str(e)
    found: dict[str, bytes | float] = {n: s.eval(f"{n}.detach()").numpy().tobytes() for n in "xvtp"}
    found |= {"k": s["k"], "h": s.eval("h(x)").numpy().tobytes()}
    return found, error, s


@pytest.mark.parametrize("name", WHOLE)
def test_loops_with_transforms_are_planned_and_equal(name: str) -> None:
    found, _, s = variables(True, WHOLE[name])
    assert found == variables(False, WHOLE[name])[0]
    assert most_turns(s) >= 17, [r.describe() for r in s.regions.values()]


@pytest.mark.parametrize("name", LEFT)
def test_what_no_plan_can_do_runs_as_it_stands(name: str) -> None:
    found, error, _ = variables(True, LEFT[name])
    assert (found, error) == variables(False, LEFT[name])[:2]
    assert bool(error) is (name == "an error in some turn")


def test_a_loop_in_a_function_is_planned_with_the_functions_it_makes() -> None:
    source = """
fn go(x, n) {
    let a = 1.0
    for i in range(n) { let g = grad(fn(z) = sum(z**2)*a)(x); x = x - 0.01*g; a = a*1.1 }
    return x
}
x = go(x, 20)
x = go(x, 9)
"""
    found = []
    for plan in (True, False):
        s = session(plan)
        s.run(source)
        found.append(s["x"].numpy().tobytes())
        assert not plan or most_turns(s) >= 20
    assert found[0] == found[1]


def test_a_function_that_is_kept_comes_with_what_to_change() -> None:
    _, _, s = variables(True, LEFT["a function is kept"])
    assert any("a function is made\n    make it before the loop" in r.describe() for r in s.regions.values())
