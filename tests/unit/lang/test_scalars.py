"""Loops over tensors of one element: what is run on plain numbers, and what is as it would be otherwise."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest

import vardsl
from vardsl.engine import value
from vardsl.engine.condensed import LIVE
from vardsl.lang.scalars import Recurrence, Stretch

CHAIN = "x = v; for i in range(20000) { x = x * 1.0001 + 0.001 }"


def session(start: str = "let v = var 1.0 float64 grad", **options: Any) -> vardsl.Session:
    s = vardsl.Session(**options)
    s.run(start)
    return s


def both(source: str, *names: str, start: str = "let v = var 1.0 float64 grad") -> list[Any]:
    """What the names are after a source that leaves the same planned and not."""
    found = []
    for plan in (True, False):
        s = session(start, plan=plan)
        try:
            s.run(source)
            error = ""
        except vardsl.Error as e:
            error = str(e)
        found.append([error, *[repr(s.eval(n)) for n in names]])
    assert found[0] == found[1]
    return found[0]


def nodes_and_stretches(monkeypatch: pytest.MonkeyPatch, source: str, start: str) -> tuple[int, int]:
    """How many nodes are made by a source, and how many stretches of turns it was run in."""
    made = [0, 0]
    s = session(start)
    node, stretch = value.Node.__init__, Stretch.__init__

    def counted(self: Any, *args: Any) -> None:
        made[0] += 1
        node(self, *args)

    def counted_stretch(self: Any, *args: Any) -> None:
        made[1] += 1
        stretch(self, *args)

    monkeypatch.setattr(value.Node, "__init__", counted)
    monkeypatch.setattr(Stretch, "__init__", counted_stretch)
    s.run(source)
    return made[0], made[1]


@pytest.mark.parametrize(
    "source",
    [
        CHAIN,
        "x = v; for i in range(20000) { x = 3.9 * x * (1 - x); if x > 0.9 { x = x - 0.5 } }; ",
        "x = v; n = 0; while n < 20000 { x = v / (x + 1) - x ** 2 * 0.1; n = n + 1 }",
        "x = v; s = v * 0; for i in range(20000) { x = x * 0.9 + v / (i + 1); s = s + x }",
        "fn f() { x = v; for i in range(20000) { x = x * 0.99 + 0.1 }; x }; x = f()",
    ],
)
def test_turns_make_no_nodes(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, stretches = nodes_and_stretches(
        monkeypatch, source + "; backward x", "let v = var 0.4 float32 grad"
    )
    assert stretches
    # the first turns, and one at the end of each piece, are run as they are written
    assert nodes < 1000 and nodes < 400 + 16 * stretches


def test_turns_call_no_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [0]
    s = session()
    for name in ("add", "mul"):
        op = value.OPS[name]
        for way in ("ufunc", "on_scalars"):

            plain = getattr(op, way)

            def counted(a: Any, b: Any, plain: Any = plain) -> Any:
                calls[0] += 1
                return plain(a, b)

            monkeypatch.setattr(op, way, counted)
    s.run(CHAIN)
    assert 0 < calls[0] < 2000


def test_values_gradients_and_names_are_those_of_the_loop_as_written() -> None:
    both(CHAIN + "; backward x", "x.item()", "v.grad.item()", "x.grad_fn")


ODD = {
    "the loop's own name is bound anew": "for i in range(3000) { i = i + 1; x = x * 1.0001 + i * 1e-9 }",
    "a break at the end": "for i in range(3000) { x = x * 1.0001; break }",
    "a break behind other statements": "for i in range(3000) { x = x * 1.001; if x > 2 { y = x * 3; break } }",
    "a break in the other branch": "for i in range(3000) { if x < 2 { x = x * 1.001 } else { y = x * 3; break } }",
    "a name of one branch": "for i in range(3000) { if i % 2 == 0 { t = x * 2; x = t * 0.5001 } else { x = x * 1.0001 } }; y = t * 2",
    "a number in one branch, a tensor in the other": "for i in range(3000) { if i % 2 == 0 { y = 1.5 } else { y = x * 1.0 }; x = x * 0.999 + y * 1e-3 }",
    "two names of one value": "y = x * 2; for i in range(3000) { if i % 3 == 0 { x = y } else { y = y * 1.0001; x = x * 0.9999 + y * 1e-4 } }",
    "a tensor decides": "for i in range(3000) { if x { x = x * 0.9999 } else { x = x + 1 } }",
    "a tensor ends it": "n = 0; while x > 0.5 { x = x * 0.999; n = n + 1 }; y = x * n",
    "a number by a tensor": "k = 2.5; for i in range(3000) { k = k * 0.9999; x = k / (x * x + 1) + x * 0.1 }",
    "an integer that no real holds": "for i in range(3000) { x = x * 0.5 + 9007199254740993 }",
    "a vector": "q = [1.0, 2.0]; for i in range(300) { x = x * q * 0.7 }; x = sum(x)",
    "a string": 's = "a"; for i in range(300) { x = x * 1.001; s = "b" }',
    "a name that is not there yet": "for i in range(300) { x = x * 1.001 + late; late = 0.5 }",
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("start", ["let v = var 1.0 float64 grad", "let v = var 0.75 grad", "let v = 0.75"])
def test_odd_loops_are_the_loops_as_written(name: str, start: str) -> None:
    both(f"y = v; x = v * 1; {ODD[name]}", "x", "y", start=start)
    if "grad" in start:
        both(f"y = v; x = v * 1; {ODD[name]}; backward sum(x) + sum(y)", "x", "y", "v.grad", start=start)


def test_the_graph_is_there_when_somebody_looks() -> None:
    source = CHAIN + "; a = x.grad_fn; n = 0; while a != none and n < 20000 { a = a.next_functions[0]; n = n + 1 }"
    both(source, "n", "a")


def test_second_derivatives() -> None:
    source = "x = v; for i in range(300) { x = sin(x) + x * x * 0.1 }; backward x create; g = v.grad * 1; backward g"
    both(source, "v.grad.item()", start="let v = var 0.3 float64 grad")


def test_a_second_pass_is_refused_at_the_same_expression() -> None:
    again = "; backward x; backward x"
    assert "second time" in both("x = v; for i in range(500) { x = x * x * 0.5 }" + again)[0]
    # where no rule needs a value nothing was freed
    assert both("x = v; for i in range(500) { x = x + 0.5 }" + again, "v.grad.item()")[0] == ""
    # the last turn needs none, those before it do
    source = "x = v; for i in range(500) { if i < 490 { x = sin(x) } else { x = x + 0.5 } }" + again
    assert "sin(x)" in both(source)[0]


def test_a_changed_factor_is_noticed() -> None:
    start = "let v = var 1.0 float64 grad; let w = var 0.5 float64 grad"
    loop = "x = v + 0; for i in range(500) { if i < 400 { x = x * w + v } else { x = x + v } }"
    assert both(loop + "; no_grad { v += 1 }; backward x", "w.grad.item()", start=start)[0] == ""
    for plan in (True, False):
        s = session(start, plan=plan)
        s.run(loop + "; no_grad { w -= 0 }")
        with pytest.raises(vardsl.Error, match="modified by an inplace operation"):
            s.run("backward x")


def test_an_error_leaves_the_turns_before_it() -> None:
    source = "x = v; n = 0.0; for i in range(5000) { x = x * 1.001; n = n + 1; y = 1 / (4000 - i) }"
    assert "division" in both(source, "x.item()", "n")[0]


def test_a_break_and_a_temporary() -> None:
    source = "x = v; for i in range(5000) { t = x * 2; if t > 50 { break }; x = t * 0.501; u = t }"
    both(source + "; backward u", "u.item()", "x.item()", "v.grad.item()")


def test_outside_the_graph() -> None:
    assert both(f"no_grad {{ {CHAIN} }}", "x.item()", "x.requires_grad")[2] == "False"


def test_numbers_are_not_confused_with_tensors() -> None:
    s = session("a = 1.0")
    s.run("for i in range(3000) { a = a * 1.0001 + i }")
    assert type(s["a"]) is float


def test_an_integer_and_a_real_literal_are_two_loops() -> None:
    s = session("let v = var 1.0 float64 grad; n = 1")
    s.run("x = v; n = 1\nfor i in range(100) { x = x * n; n = n * 0x1 }")
    assert type(s["n"]) is int
    s.run("x = v; n = 1\nfor i in range(100) { x = x * n; n = n * 1.0 }")
    assert type(s["n"]) is float


def test_mixed_precision_is_run_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    start = "let v = var 1.0 float64 grad; let w = var 0.5 float32 grad"
    assert nodes_and_stretches(monkeypatch, "x = v; for i in range(300) { x = x * w }", start)[1] == 0


def test_steps_are_counted_and_interrupts_seen() -> None:
    s = session(limits={"max_steps": 500})
    with pytest.raises(vardsl.Error, match="steps"):
        s.run(CHAIN)
    s = session()
    timer = threading.Timer(0.2, s.interrupt)
    timer.start()
    with pytest.raises(vardsl.Error) as caught:
        s.run("x = v; while true { x = x * 0.5 + 0.1 }")
    assert caught.value.kind == "interrupt" and s["x"].requires_grad


def test_a_loop_that_must_often_be_left_is_left_alone() -> None:
    loop = ("i", (), (("=", "x", ("/", ("v", "x"), ("n", 0, "0"), (1, 1, 0, 1))),))
    recurrence = Recurrence(loop)
    here = {"x": vardsl.engine.value.Value(np.array(1.0), True)}
    context = vardsl.engine.context.state.ctx
    for _ in range(20):
        assert recurrence.run(range(100), here, {}, context, "") is None
    assert recurrence.left == 9


def test_condensed_nodes_go_with_the_values() -> None:
    s = session()
    gc.collect()
    before = len(LIVE)
    s.run(CHAIN)
    assert len(LIVE) > before
    s.run("x = 0")
    assert len(LIVE) == before
