"""Taking statements back, and forward again: values, gradients, graphs, random state, closures."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from vardsl.apps.repl import commands
from vardsl.apps.repl.conversation import Conversation
from vardsl.engine.value import Value


def state(c: Conversation) -> dict[str, Any]:
    """Everything that a user could see, as plain data."""
    seen: dict[str, Any] = {}
    for name, value in c.session.names().items():
        if type(value) is Value:
            g = value._grad
            seen[name] = (
                value.array.tobytes(), value.array.dtype.name, value.array.shape, value.requires_grad,
                value.node.grad_fn if value.node is not None else None, value.version,
                None if g is None else g.array.tobytes(), id(value),
            )  # fmt: skip
        else:
            seen[name] = repr(value)
    ctx = c.session.ctx
    seen["."] = (ctx.default_dtype, ctx.anomaly, ctx.print_options)
    return seen


def back_and_forth(c: Conversation, *statements: str) -> None:
    """Runs statements one by one, undoes all, does all again; the states must be the same each time."""
    states = [state(c)]
    for text in statements:
        for part in text.split("; ") if "{" not in text else [text]:
            assert c.submit(part), part
            states.append(state(c))
    for before in reversed(states[:-1]):
        assert c.undo() is not None
        assert state(c) == before
    assert c.undo() is None
    for after in states[1:]:
        assert c.redo() is not None
        assert state(c) == after
    assert c.redo() is None
    for _ in states[1:]:
        c.undo()
    assert state(c) == states[0]


@pytest.mark.parametrize("n", [2, 300])
@pytest.mark.parametrize(
    "statement",
    [
        "let b = 2",
        "v2 = v * 2",
        "del out",
        "backward out",
        "backward out retain",
        "update v -= 0.1",
        "update v -= 0.1 * v.data",
        "w[0] = 5",
        "w += 1",
        "no_grad { w.mul_(3.0) }",
        "let z = w.T; z.add_(1)",
        "let u = w[0]; u.fill_(9)",
        "w.data = zeros(2)",
        "v.requires_grad = false",
        "v.grad = ones_like(v)",
        "zero_grad",
        "w.detach().add_(1)",
        "let a = w.numpy()\na[0] = 7",
        "for i in range(40) { zero_grad v; backward sum(v * v); update v -= 0.01 * v.grad }",
        "for i in range(40) { backward sum(v * v) }",
        "minimize sum(v**2) over v using adam(lr=0.1) steps 5",
        "minimize sum(v**2) over v using lbfgs() steps 2",
        "opt.step()",
        "opt.lr = 5",
        "clip_grad_norm(v, 0.01)",
        "set_default_dtype(float64)",
        "set_printoptions(precision=2)",
        "detect_anomaly(true)",
        "c()",
        "out.retain_grad(); backward out",
    ],
)
def test_every_change_is_taken_back(conversation: Conversation, statement: str, n: int) -> None:
    c = conversation
    setup = f"""
let v = var ones({n}, {n}) grad
let w = ones({n}, {n})
out = mean(v * v)
backward sum(v)
let opt = adam(v, lr=0.1)
fn counter() {{ let n = 0; fn next() {{ n = n + 1; return n }} return next }}
let c = counter()
"""
    assert c.submit(setup)
    c.steps.clear()
    back_and_forth(c, *statement.split("\n"), "out3 = sum(v * 3)")


def test_a_closure_counts_from_where_it_was(conversation: Conversation) -> None:
    c = conversation
    c.submit("fn counter() { let n = 0; fn next() { n = n + 1; return n } return next }\nlet c = counter()")
    c.submit("let a = c()")
    c.submit("let a = c()")
    c.undo()
    c.submit("let a = c()")
    assert c.session["a"] == 2


def test_random_numbers_come_again(conversation: Conversation) -> None:
    c = conversation
    c.submit("let a = rand(3)")
    c.submit("let b = rand(3)")
    c.undo()
    c.submit("let d = rand(3)")
    np.testing.assert_array_equal(c.session["d"].numpy(), _second_draw())
    c.undo()
    c.undo()
    c.submit("let a2 = rand(3)")
    c.submit("let b2 = rand(3)")
    np.testing.assert_array_equal(c.session["b2"].numpy(), _second_draw())


def _second_draw() -> np.ndarray[Any, Any]:
    from vardsl.session import Session

    s = Session(seed=0)
    s.run("rand(3)")
    return s.eval("rand(3)").numpy()  # type: ignore[no-any-return]


def test_a_graph_that_backward_freed_is_whole_again(conversation: Conversation) -> None:
    c = conversation
    c.submit("let v = var [1.0, 2.0] grad; out = sum(v**3)")
    assert c.submit("backward out")
    assert not c.submit("backward out")
    c.undo()
    assert c.submit("backward out")
    assert c.session["v"].grad.tolist() == [3.0, 12.0]


def test_twenty_and_more_deep(conversation: Conversation) -> None:
    c = conversation
    c.submit("let n = 0")
    for _ in range(60):
        c.submit("n += 1")
    for _ in range(40):
        assert c.undo() is not None
    assert c.session["n"] == 20


def test_large_tensors_are_copied_only_when_changed(conversation: Conversation) -> None:
    c = conversation
    c.submit("let big = ones(500, 500); let small = ones(2)")
    c.submit("let other = big * 2")
    assert c.steps.done[-1][1].bytes_kept == 0
    c.submit("big[0, 0] = 5")
    assert c.steps.done[-1][1].bytes_kept == 1_000_000
    c.submit("for i in range(50) { update big -= 1 }")
    assert c.steps.done[-1][1].bytes_kept == 1_000_000


def test_what_fails_leaves_nothing_to_take_back(
    conversation: Conversation, capsys: pytest.CaptureFixture[str]
) -> None:
    c = conversation
    c.submit("let a = 1")
    assert not c.submit("a = nope")
    assert not c.submit("a = 1 // 0")
    assert c.undo() is not None and "a" not in c.session
    c.submit("let a = 1")
    assert not c.submit("for i in range(5) { a += 1; a // (3 - i) }")
    assert c.session["a"] == 5
    capsys.readouterr()
    commands.run(c, ":undo")
    assert capsys.readouterr().err.startswith("undone: for i in")
    assert c.session["a"] == 1


def test_an_interrupted_loop_keeps_its_turns_and_undo_takes_it_back(
    conversation: Conversation, capsys: pytest.CaptureFixture[str]
) -> None:
    c = conversation
    c.submit("let n = 0; let v = var ones(3) grad")
    timer = threading.Timer(0.15, c.session.interrupt)
    timer.start()
    assert not c.submit("while true {\n  n += 1\n  update v += 1\n}")
    err = capsys.readouterr().err
    assert "error[interrupt]" in err and " --> <2>:1:1" in err and "in turn" in err
    n = c.session["n"]
    assert n > 0 and c.session["v"].tolist() == [1.0 + n] * 3
    c.undo()
    assert c.session["n"] == 0 and c.session["v"].tolist() == [1.0] * 3
    c.redo()
    assert c.session["n"] == n


def test_redo_is_forgotten_after_something_new(conversation: Conversation) -> None:
    c = conversation
    c.submit("let a = 1")
    c.undo()
    c.submit("let b = 2")
    assert c.redo() is None


_PARTS = (
    "let x{k} = var randn({n}, {n}) grad",
    "let y{k} = x{j} * 2 + x{j}",
    "backward sum(x{j} * x{j})",
    "update x{j} -= 0.1",
    "no_grad {{ x{j}[0] = 3.0 }}",
    "zero_grad x{j}",
    "let x{j} = x{j}.detach().clone().requires_grad_()",
    "for i in range(3) {{ backward mean(x{j}); update x{j} += 1 }}",
    "let t{k} = (x{j}, x{j}.data)",
    "minimize mean(x{j}**2) over x{j} steps 2",
    "let r{k} = rand(2)",
    "x{j}.grad = none",
)


@pytest.mark.parametrize("seed", range(12))
def test_any_sequence_goes_back_and_forth(conversation: Conversation, seed: int) -> None:
    chance = random.Random(seed)
    c = conversation
    c.submit("let x0 = var ones(3, 3) grad; let x1 = var ones(40, 40) grad")
    statements = []
    for k in range(2, 14):
        part = chance.choice(_PARTS).format(k=k, j=chance.randrange(2), n=chance.choice((2, 40)))
        statements.append(part)
    c.steps.clear()
    back_and_forth(c, *statements)


def test_a_long_statement_stops_between_its_operations(
    conversation: Conversation, capsys: pytest.CaptureFixture[str]
) -> None:
    c = conversation
    c.submit("let a = ones(600, 600); let v = var ones(3) grad; fn slow(x) { v.data.add_(1); return x @ a }")
    v = c.session.names()["v"]

    def interrupt() -> None:
        while v.array[0] == 1:  # until the statement has begun
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    began = time.thread_time()
    assert not c.submit("let x = slow(a)" + " @ a" * 3000)
    assert time.thread_time() - began < 1.2 and sys.getprofile() is None
    err = capsys.readouterr().err
    assert "error[interrupt]" in err and "--> <2>:1:9" in err
    # a binding happens wholly or not at all, the function that it called included
    assert "x" not in c.session and c.session["v"].tolist() == [1.0] * 3
    assert c.submit("let x = 1")
