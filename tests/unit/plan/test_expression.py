"""Code of its own for an expression: when it is made, for what, and when it is given up."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vardsl
from vardsl.engine.bundle import Bundle
from vardsl.engine.node import Node
from vardsl.errors import Interrupted
from vardsl.lang import asked
from vardsl.plan import expression, listening, straight
from vardsl.plan.trace import Tracer


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "PATIENCE", 2)
    monkeypatch.setattr(expression, "OFTEN", 2)


@pytest.fixture
def s() -> vardsl.Session:
    s = vardsl.Session(plan=False, seed=0)
    s.run("let w = var randn(3, 3) grad; let x = randn(2, 3); let b = var randn(3) grad; let lr = 0.1")
    return s


def node(s: vardsl.Session, name: str) -> Any:
    return s.names()[name]._node


def asks(s: vardsl.Session) -> list[Callable[..., Any]]:
    """What the sites of a session are at the moment."""
    return [f for name, f in s.builtins.items() if name.startswith(".F")]


def test_what_repeats_has_one_node(s: vardsl.Session) -> None:
    text = "for i in range(3) { h = tanh(x @ w + b) }"
    s.run(text)
    assert type(node(s, "h")) is Node
    s.run(text)
    assert type(node(s, "h")) is Bundle
    assert np.array_equal(s.eval("h.data"), s.eval("tanh(x @ w + b).data"))


def test_only_loops_and_functions_have_sites(s: vardsl.Session) -> None:
    s.run("h = tanh(x @ w + b)\nif true { h = tanh(x @ w + b) }")
    assert not asks(s)
    s.run("fn f(x) = tanh(x @ w + b)")
    assert len(asks(s)) == 1


@pytest.mark.parametrize(
    "text, count",
    [
        ("y = a + 1", 0),
        ("y = a * 2 + 1", 0),
        ("y = x @ w", 0),
        ("y = x @ w + 1", 1),
        ("y = tanh(x)", 1),
        ("y = f(x) + tanh(x @ w)", 1),
        ("y = tanh(f(x) @ w) + 1", 0),
        ("y = x.sum() + 1", 1),
        ("y = rand(3) @ w + 1", 0),
        ("y = dropout(x, 0.5) @ w", 0),
        ("y = x.item() + 1", 0),
        ("y = tanh(x[i] @ w)", 1),
        ("y = tanh(w) @ x[i]", 1),
        ("y = where(x > 0, x, 0.1 * x)", 1),
        ("w -= lr * w.grad", 1),
        ("w -= w", 0),
        ("w @= tanh(w)", 1),
        ("y = grad(f)(x)", 0),
        ("y = fn(v) = tanh(v) + 1", 1),
        ("y = x.relu_() + 1", 0),
    ],
)
def test_which_expressions_have_one(s: vardsl.Session, text: str, count: int) -> None:
    s.run("fn f(x) = x")
    s.run("let a = 1; let i = 0; let y = 0")
    s.run(f"fn unused() {{ for i in range(2) {{ {text} }} }}")
    assert len(asks(s)) == count


def test_the_nodes_are_there_for_who_looks(s: vardsl.Session) -> None:
    s.run("for i in range(9) { h = tanh(x @ w + b) }")
    n = node(s, "h")
    assert repr(n) == "<TanhBackward0>"
    assert n.form is not None, "its name alone does not take it apart"
    assert repr(n.next_functions) == "(<AddBackward0>,)"
    assert n.form is None
    mm, bias = n.next_functions[0].next_functions
    assert repr(mm) == "<MmBackward0>"
    assert bias is s.names()["b"]
    assert mm.next_functions == (None, s.names()["w"])
    assert n.seq > n.next_functions[0].seq > mm.seq > n.seq - 1


def test_a_pass_frees_what_bundles_keep(s: vardsl.Session) -> None:
    s.run("for i in range(9) { h = tanh(x @ w + b); o = sum(h * h) }")
    saved = weakref.ref(s.names()["h"].array)
    s.run("h = o")
    assert saved() is not None
    s.run("backward o")
    gc.collect()
    assert saved() is None
    with pytest.raises(vardsl.Error, match="second time"):
        s.run("backward o")


def test_what_saves_nothing_is_passed_twice(s: vardsl.Session) -> None:
    s.run("for i in range(9) { o = sum(w + 1) }")
    assert type(node(s, "o")) is Bundle
    s.run("backward o; backward o")
    assert s.eval("w.grad").numpy().tolist() == [[2.0] * 3] * 3


def test_a_long_chain_is_freed_without_recursion(s: vardsl.Session) -> None:
    s.run("let y = b; for i in range(200000) { y = tanh(y) * 0.9 + b }")
    assert type(node(s, "y")) is Bundle
    s.run("backward sum(y); y = b")
    s.run("for i in range(200000) { y = tanh(y) * 0.9 + b }; y = b")


def test_a_function_of_several_kinds_has_code_for_each(s: vardsl.Session) -> None:
    s.run("fn f(x) = tanh(x) * 2 + x")
    for _ in range(9):
        for n in (1, 2, 3, 4, 5, 6):
            s.run(f"y = f(var ones({n}) grad)")
            assert s.names()["y"].array.tolist() == [float(np.tanh(np.float32(1)) * 2 + 1)] * n
    kinds = []
    for n in (1, 2, 3, 4, 5, 6):
        s.run(f"y = f(var ones({n}) grad)")
        kinds.append(type(node(s, "y")) is Bundle)
    assert kinds.count(True) == expression.MOST_KINDS


def test_a_site_whose_operands_are_never_alike_is_given_up(s: vardsl.Session) -> None:
    s.run("for i in range(300) { y = tanh(x) * i }")
    assert asks(s) == [expression._never]


def test_a_site_whose_nodes_are_always_looked_at_is_given_up(s: vardsl.Session) -> None:
    s.run("for i in range(200) { o = sum(w * w); n = o.grad_fn.next_functions }")
    assert asks(s)[0] is expression._never


def test_plain_numbers_have_no_code(s: vardsl.Session) -> None:
    s.run("let a = 0.5; for i in range(300) { a = exp(-a) * 0.5 }")
    assert asks(s) == [expression._never]


@pytest.mark.parametrize("wrong", ["forward", "backward"])
def test_code_that_gives_other_bits_is_not_used(
    s: vardsl.Session, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    made = straight.Text.function

    def function(self: straight.Text, name: str, parameters: str) -> Any:
        if (name == "pull") is (wrong == "backward"):
            self.lines = [line.replace("r1 = ", "r1 = 1.0000001 * ") for line in self.lines]
            self.lines = [line.replace("t0 = ", "t0 = 1.0000001 * ") for line in self.lines]
        return made(self, name, parameters)

    monkeypatch.setattr(straight.Text, "function", function)
    s.run("for i in range(9) { h = tanh(x @ w + b) }")
    assert type(node(s, "h")) is Node


def test_an_update_is_one_call(s: vardsl.Session) -> None:
    s.run("for i in range(9) { zero_grad w; backward sum(w * w); no_grad { w -= lr * w.grad } }")
    before = s.eval("w.data").numpy().copy()
    version = s.names()["w"].version
    s.run("for i in range(9) { zero_grad w; backward sum(w * w); no_grad { w -= lr * w.grad } }")
    now = before
    for _ in range(9):
        now = now - np.float32(0.1) * (now + now)
    assert np.allclose(s.eval("w.data").numpy(), now, 1e-6)
    assert s.names()["w"].version == version + 9


def test_a_program_that_is_run_again_has_its_code(s: vardsl.Session) -> None:
    for _ in range(3):
        s.run("for i in range(3) { h = tanh(x @ w + b) }")
    assert type(node(s, "h")) is Bundle


def test_sessions_do_not_share_code(s: vardsl.Session) -> None:
    other = vardsl.Session(plan=False)
    other.run("let x = ones(2)")
    for _ in range(2):
        s.run("for i in range(9) { y = tanh(x) * 2 }")
        other.run("for i in range(9) { y = tanh(x) * 2 }")
    assert s.names()["y"].array.shape == (2, 3)
    assert other.names()["y"].array.shape == (2,)


def test_a_view_or_a_copy_out_of_the_graph_takes_nothing_apart(s: vardsl.Session) -> None:
    s.run("for i in range(200) { h = tanh(x @ w + b); d = h.detach(); v = h[0]; backward sum(h * 2) + sum(v) }")
    assert type(node(s, "h")) is Bundle
    assert asks(s)[0] is not expression._never
    with pytest.raises(vardsl.Error, match="modified by an inplace operation"):
        s.run("for i in range(9) { h = tanh(x @ w + b); d = h.detach(); d += 1; backward sum(h * 2) }")


def test_kinds_without_code_do_not_end_the_others(s: vardsl.Session) -> None:
    s.run("for i in range(900) { y = tanh(ones(i % 3 + 1) * 2) * (i // 300) }")
    s.run("fn f(v) = tanh(v) * 2; for i in range(9) { y = f(x) }; for i in range(1, 400) { y = f(ones(i)) }")
    s.run("for i in range(3) { y = f(w) }")
    s.run("y = f(b * 1)")
    assert type(node(s, "y")) is Node, "that is a kind without code"


def test_a_builtin_that_is_bound_later_is_another_one(s: vardsl.Session) -> None:
    s.run("fn f(x) = tanh(x) * 2; for i in range(9) { y = f(ones(2)) }")
    s.run("let tanh = fn(x) = x * 100")
    assert s.eval("f(ones(2))").tolist() == [200.0, 200.0]
    s.run("del tanh")
    assert s.eval("f(ones(2))").tolist() == [float(np.tanh(np.float32(1)) * 2)] * 2


def test_recorders_know_all_that_tracers_are_told() -> None:
    told = {name for name in vars(Tracer) if not name.startswith("_") and callable(getattr(Tracer, name))}
    assert told <= set(vars(listening.Recorder))


def test_an_interrupt_while_code_is_made_is_not_lost(s: vardsl.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise Interrupted("interrupted")

    s.run("fn f(x) = tanh(x) * 2; for i in range(2) { y = f(w) }")
    monkeypatch.setattr(listening.Recorder, "operation", interrupted)
    with pytest.raises(Interrupted):
        s.run("for i in range(9) { y = f(w) }")


def test_a_rate_may_be_another_number_every_time(s: vardsl.Session) -> None:
    s.run(
        "for i in range(400) { lr = 0.001 / (i + 1); h = tanh(w) * lr + w; backward sum(h); no_grad { w -= lr * w.grad } }"
    )
    assert type(node(s, "h")) is Bundle
    assert expression._never not in asks(s)
    with_code = s.eval("w.data").numpy().copy()
    other = vardsl.Session(plan=False, seed=0)
    other.run("let w = var randn(3, 3) grad; let lr = 0.0")
    other.run("fn step(i) { let lr = 0.001 / (i + 1); let h = add(mul(tanh(w), lr), w); backward sum(h); no_grad { w.sub_(mul(w.grad, lr)) } }")
    for i in range(400):
        other.run(f"step({i})")
    assert np.array_equal(other.eval("w.data").numpy(), with_code)
