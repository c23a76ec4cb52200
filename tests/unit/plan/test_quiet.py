"""Turns that another turn follows at once bind nothing, and leave the same as turns that bind."""

from __future__ import annotations

import re
from threading import Timer
from typing import Any

import numpy as np
import pytest

import vardsl
from vardsl.plan.execute import Plan
from vardsl.plan.quiet import Quiet

NETWORK = """
let W = var (0.1*randn(8, 5)) grad; let b = var zeros(5) grad; let lr = 0.1; let loss = 0; let h = 0
for i in range(TURNS) {
    zero_grad W, b
    h = tanh(X @ W + b)
    loss = cross_entropy(h, y)
    backward loss
    no_grad { W -= lr * W.grad; b -= lr * b.grad }
}
print loss, W, b, W.grad, h
"""


def session(plan: bool = True, **names: Any) -> vardsl.Session:
    s = vardsl.Session(seed=0, plan=plan)
    rng = np.random.default_rng(0)
    s["X"] = rng.standard_normal((16, 8)).astype(np.float32)
    s["y"] = rng.integers(0, 5, 16)
    for name, value in names.items():
        s[name] = value
    return s


def quiet_of(s: vardsl.Session) -> Quiet | None:
    plans = [r.plan for r in s.regions.values() if isinstance(r.plan, Plan)]
    assert len(plans) == 1, [r.describe() for r in s.regions.values()]
    return plans[0].quiet


@pytest.mark.parametrize("turns", [1, 2, 5, 17, 200])
def test_a_training_loop_ends_where_it_ends_without_plans(turns: int) -> None:
    text = NETWORK.replace("TURNS", str(turns))
    assert session().run_captured(text) == session(plan=False).run_captured(text)


def test_what_only_names_show_is_left_out_and_what_stays_is_computed_once() -> None:
    s = session()
    s.run(NETWORK.replace("TURNS", "200"))
    quiet = quiet_of(s)
    assert quiet is not None
    assert quiet.certain
    once, each = quiet.once.program, quiet.program
    assert once, "the classes' weights depend on the classes alone"
    plan = next(r.plan for r in s.regions.values())
    assert len(each) < len(plan.layout.program) - len(once)


def test_the_loop_sees_what_another_statement_changed() -> None:
    text = """
    let v = var [1., 2.] grad; let x = [3., 4.]; let k = 0
    for j in range(6) {
        for i in range(40) { zero_grad v; out = sum(v * exp(x)); backward out; update v -= 0.01 * v.grad }
        x.data[0] = j / 3
        print out, v, v.grad
    }
    """
    assert session().run_captured(text) == session(plan=False).run_captured(text)


def test_a_loop_that_carries_a_value_is_not_run_ahead() -> None:
    text = "x = ones(3)\nfor i in range(50) { x = tanh(x * 1.01); y = sum(x) }\nprint x, y"
    assert session().run_captured(text) == session(plan=False).run_captured(text)


def test_versions_count_the_turns_nobody_saw() -> None:
    text = "let v = var [1., 2.] grad\nfor i in range(100) { zero_grad v; backward sum(v*v); update v -= 0.1*v.grad }"
    versions = []
    for plan in (True, False):
        s = session(plan)
        s.run(text)
        versions.append(s.space.get("v").version)
    assert versions[0] == versions[1] == 100


def test_accumulated_gradients_need_every_turn() -> None:
    text = (
        "let v = var [1., 2.] grad\nfor i in range(50) { out = sum(exp(v)); backward out }\nprint v.grad, out"
    )
    assert session().run_captured(text) == session(plan=False).run_captured(text)


def test_an_index_that_goes_wrong_is_found_in_its_turn() -> None:
    text = """
    let v = var (ones(4, 3)) grad; let t = [0, 1, 2, 0]; let loss = 0.0; let done = 0
    for i in range(30) {
        zero_grad v; loss = cross_entropy(v, t); backward loss; update v -= 0.1 * v.grad
        done = i
        if i == 20 { t[1] = 7 }
    }
    """
    said = []
    for plan in (True, False):
        s = session(plan)
        with pytest.raises(vardsl.Error) as caught:
            s.run(text)
        said.append(
            (str(caught.value), s["done"], s.eval("loss.item()"), s.eval("v.tolist()"), s.eval("v.grad"))
        )
    assert said[0] == said[1]


def test_a_stop_leaves_whole_turns() -> None:
    s = vardsl.Session(limits={"max_steps": 5000})
    with pytest.raises(vardsl.Error, match="steps"):
        s.run(
            "let v = var [1.] grad\nfor i in range(100000) { zero_grad v; backward sum(v); update v -= v.grad }"
        )
    assert s["v"].item() == -s.space.get("v").version + 1
    assert -5000 < s["v"].item() < 0


UPDATES = {
    "plain": "W -= lr * W.grad; b -= lr * b.grad; c -= lr * c.grad",
    "decay": "W -= lr * (W.grad + 0.01*W); b -= lr * (b.grad + 0.01*b); c -= lr * (c.grad + 0.01*c)",
    "two rates": "W -= lr * W.grad; b -= 0.01 * b.grad; c -= lr * c.grad",
    "read afterwards": "W -= lr * W.grad; b -= lr * b.grad; c -= lr * c.grad + 0.1 * sum(W)",
    "twice": "W -= lr * W.grad; b -= lr * b.grad; W -= 0.1 * lr * W.grad; c -= lr * c.grad",
    "clipped": "W -= lr * clamp(W.grad, -0.1, 0.1); b -= lr * clamp(b.grad, -0.1, 0.1); c -= lr * c.grad",
    "one for all": "W -= lr * W.grad * sum(b.grad); b -= lr * b.grad * sum(b.grad); c -= lr * c.grad",
}


@pytest.mark.parametrize("updates", UPDATES.values(), ids=UPDATES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_updates_in_a_row_are_what_they_are_one_by_one(updates: str, dtype: str) -> None:
    text = f"""
    set_default_dtype({dtype}); let x = X.to({dtype})
    let W = var (0.1*randn(8, 5)) grad; let b = var zeros(5) grad; let c = var ones(5) grad; let lr = 0.1
    for i in range(60) {{
        zero_grad W, b, c
        loss = cross_entropy(tanh(x @ W + b) * c, y)
        backward loss
        no_grad {{ {updates} }}
    }}
    print loss.item(), W.tolist(), b.tolist(), c.tolist(), W.grad
    """
    text = text.replace("let lr = 0.1", "let lr = 0.1; let loss = 0")
    assert session().run_captured(text) == session(plan=False).run_captured(text)


def test_updates_of_one_form_are_one() -> None:
    calls = {}
    for layers in (2, 6):
        s = session()
        names = [f"W{k}" for k in range(layers)]
        s.run("; ".join(f"let {n} = var (0.3*randn(8, 8)) grad" for n in names))
        forward = "X" + "".join(f" @ {n}" for n in names)
        update = "; ".join(f"{n} -= 0.01 * {n}.grad" for n in names)
        s.run(
            f"for i in range(60) {{ zero_grad {', '.join(names)}; loss = sum({forward}); backward loss; "
            f"no_grad {{ {update} }} }}"
        )
        quiet = quiet_of(s)
        assert quiet is not None
        calls[layers] = [getattr(fn, "__name__", "") for fn, _ in quiet.program].count("subtract")
    assert calls == {2: 1, 6: 1}


def test_a_stop_ends_a_loop_that_has_run_ahead() -> None:
    """The names are those of the last turn that was made, and the message tells how many there were."""
    for kind in ("time", "interrupt"):
        s = session()
        if kind == "time":
            s = vardsl.Session(limits={"max_time": 0.3})
        else:
            Timer(0.3, s.interrupt).start()
        text = (
            "let v = var [0.] float64 grad; let out = 0\n"
            "for i in range(1000000000) { zero_grad v; out = sum(v*v); backward out; update v += 1 + 0*v.grad }"
        )
        with pytest.raises(vardsl.Error) as caught:
            s.run(text)
        v = s.space.get("v")
        assert v.array[0] == v.version > 1000
        assert s.eval("out.item()") == (v.version - 1) ** 2
        if kind == "interrupt":
            turns = re.search(r"in turns? ([\d,]+)", str(caught.value))
            assert turns is not None
            assert int(turns[1].replace(",", "")) == v.version + 1


def test_parameters_are_no_spare_memory() -> None:
    text = """
    let w = var (0.1*randn(30, 30)) grad; let x = randn(30, 30)
    for i in range(60) { zero_grad w; out = sum(tanh(x @ w) ** 2); backward out; update w -= 0.01 * w.grad }
    print w.tolist(), w.grad.tolist()
    """
    text = text.replace("let x", "let out = 0; let x")
    assert session().run_captured(text) == session(plan=False).run_captured(text)
