"""What a run may contain and still be planned: functions, optimizers, loops, branches, numbers that change."""

from __future__ import annotations

import re
from threading import Timer
from typing import Any

import pytest

import vardsl
from vardsl.engine.value import Value
from vardsl.plan.region import Region

SETUP = """
seed(3)
let X = randn(24, 5); let Y = randn(24, 2); let S = randn(6, 4, 5)
let W = var (0.3*randn(5, 2)) grad; let b = var zeros(2) grad; let U = var (0.3*randn(2, 2)) grad
let rate = 0.1
fn model(x) = tanh(x @ W + b)
"""
STEP = "zero_grad W, b; {}; backward e; no_grad {{ W -= rate*W.grad; b -= rate*b.grad }}"


def seen(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(seen, x))
    if isinstance(x, Value):
        g = None if x._grad is None else x._grad.array.tobytes()
        return x.array.tobytes(), x.array.shape, x.version, g, x.node and x.node.grad_fn
    return None if callable(x) else repr(x)


def run(source: str, *, plan: bool, setup: str = SETUP) -> tuple[vardsl.Session, str, dict[str, Any]]:
    session = vardsl.Session(plan=plan)
    session.run(setup)
    text = session.run_captured(source)
    return session, text, {k: seen(v) for k, v in session.names().items() if not hasattr(v, "params")}


def regions(session: vardsl.Session) -> list[Region]:
    """Those that were passed at all, the outermost first."""
    return [r for r in session.regions.values() if r.recordings]


def both(source: str, setup: str = SETUP) -> list[Region]:
    """Compares all that can be seen, planned and not; the regions."""
    session, text, names = run(source, plan=True, setup=setup)
    _, plain_text, plain_names = run(source, plan=False, setup=setup)
    assert text == plain_text
    assert names == plain_names
    return regions(session)


def planned(source: str, setup: str = SETUP) -> Region:
    """The region that was planned, the largest of them; its turns were the same as without."""
    found = both(source, setup)
    assert found, "nothing was recorded"
    assert found[0].plan is not None, [r.describe() for r in found]
    assert found[0].turns > 0
    return found[0]


def loop(body: str, turns: int = 12) -> str:
    return f"for i in range({turns}) {{ {body} }}"


TRAINING = {
    "a function of the script": loop(STEP.format("e = mse_loss(model(X), Y)")),
    "a pipe": loop(STEP.format("e = X |> model |> mse_loss(Y)")),
    "a function that trains": "fn turn() { zero_grad W, b; let e = mse_loss(model(X), Y); backward e; "
    "update W -= rate*W.grad; update b -= rate*b.grad; return e }\n" + loop("e = turn()"),
    "a function with a loop": "fn deep(x, k=2) { let h = model(x); for j in range(k) { h = tanh(h @ U) }; return h }\n"
    + loop(STEP.format("e = mse_loss(deep(X, k=3), Y)")),
    "a closure": "fn made(s) { return fn(x) = x*s }\nlet f = made(0.5)\n"
    + loop(STEP.format("e = mse_loss(f(model(X)), Y)")),
    "a recursive function": "fn power(x, n) = x if n == 0 else model(x @ W @ W.T) @ W.T*0 + power(x, n - 1)*0.9\n"
    + loop(STEP.format("e = mean(power(X, 3)**2)")),
    "a function in a tuple": "let fs = (model, fn(x) = x*0.5)\n"
    + loop(STEP.format("e = mse_loss(fs[1](fs[0](X)), Y)")),
    "a tuple of data": "let data = (X, Y)\n" + loop(STEP.format("e = mse_loss(model(data[0]), data[1])")),
    "a rate that decays": loop(STEP.format("e = mse_loss(model(X), Y)") + "; rate = rate*0.9"),
    "a rate by the turn": loop("rate = 0.1*(1 + cos(3.0*i/12))/2; " + STEP.format("e = mse_loss(model(X), Y)")),
    "a rate with a floor": loop(STEP.format("e = mse_loss(model(X), Y)") + "; rate = max(rate*0.8, 0.05)"),
    "parts of the data": loop(
        "let x = X[i % 3*8:(i % 3 + 1)*8]; let y = Y[i % 3*8:(i % 3 + 1)*8]; " + STEP.format("e = mse_loss(model(x), y)")
    ),
    "one row": loop(STEP.format("e = mean((X[i] @ W + b - Y[i])**2)")),
    "a sum of losses": "let total = 0.0\n" + loop(STEP.format("e = mse_loss(model(X), Y)") + "; total += e.item()"),
    "a recurrent loop": loop(
        STEP.format("h = zeros(4, 2); for s in S { h = tanh(s @ W + h @ U + b) }; e = mean((h - 0.5)**2)")
    ),
    "a gated recurrent loop": loop(
        STEP.format(
            "h = zeros(4, 2); c = zeros(4, 2); for s in S { z = cat([s @ W + b, h @ U], 1); f, g = chunk(z, 2, 1); "
            "c = sigmoid(f) * c + tanh(g); h = tanh(c) }; e = mean((h - 0.5)**2)"
        )
    ),
    "an inner loop with a break": loop(
        STEP.format("h = zeros(4, 2); for k in range(6) { h = tanh(S[k] @ W + h + b); if k == 3 { break } }; e = mean(h**2)")
    ),
    "a branch on the turn": loop(STEP.format("e = mse_loss(model(X), Y)") + "; if i % 2 == 0 { rate = rate*0.9 }", 30),
    "an optimizer": "let opt = adam((W, b), lr=0.05)\n"
    + loop("opt.zero_grad(); e = mse_loss(model(X), Y); e.backward(); opt.step()"),
    "momentum": "let opt = sgd((W, b), lr=0.05, momentum=0.9, nesterov=true, weight_decay=0.01)\n"
    + loop("zero_grad opt; e = mse_loss(model(X), Y); backward e; opt.step()"),
    "several results": loop(STEP.format("let e, m = mse_loss(model(X), Y), max(Y, dim=0)") + "; out = m.values"),
    "two largest": loop(STEP.format("e = mse_loss(model(X), Y)") + "; let v, k = topk(X[0], 2); best = v"),
    "a detached value": loop(STEP.format("let p = model(X); e = mse_loss(p, Y)") + "; last = p.detach()"),
    "data of a leaf": loop("zero_grad W; e = mse_loss(model(X), Y); backward e; W.data -= rate*W.grad"),
    "a gradient set to none": loop("e = mse_loss(model(X), Y); backward e; update W -= rate*W.grad; W.grad = none; b.grad = none"),
    "dropout": loop(STEP.format("e = mse_loss(dropout(model(X), 0.4), Y)") + "; n = rand(2)"),
    "noise": loop(STEP.format("e = mse_loss(model(X + 0.1*randn(24, 5)), Y)")),
    "a literal": loop(STEP.format("e = mse_loss(model(X) * [1., 0.5], Y)")),
}  # fmt: skip


@pytest.mark.parametrize("source", TRAINING.values(), ids=list(TRAINING))
def test_a_training_loop_is_planned_and_the_same(source: str) -> None:
    planned(source)


@pytest.mark.parametrize(
    "using",
    [
        "sgd(lr=0.1)", "sgd(lr=0.1, momentum=0.9)", "sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.1)",
        "adam(lr=0.05)", "adam(lr=0.05, amsgrad=true, weight_decay=0.1)", "adamw(lr=0.05)", "rmsprop()",
        "rmsprop(lr=0.01, centered=true, momentum=0.5)", "adagrad()", "adadelta()", "nadam()",
        "adam(lr=0.05, maximize=true)",
    ],
)  # fmt: skip
def test_minimize_is_planned_with(using: str) -> None:
    region = planned(f"l = 0; minimize mse_loss(model(X), Y) over W, b using {using} steps 15; print W.grad")
    assert "mm(" in region.describe()


def test_minimize_stops_where_it_would() -> None:
    planned("minimize mse_loss(model(X), Y) over W, b using adam(lr=0.3) steps 400 until 1e-3; print W")


def test_a_step_of_lbfgs_is_not_planned() -> None:
    (region,) = both("minimize mse_loss(model(X), Y) over W, b using lbfgs() steps 6; print W")
    assert region.stopped == "a step of lbfgs"


def test_a_rate_that_a_schedule_changes_is_seen() -> None:
    source = "let opt = adam((W, b), lr=0.05); let s = step_lr(opt, 3)\n" + loop(
        "opt.zero_grad(); e = mse_loss(model(X), Y); e.backward(); opt.step(); s.step()"
    )
    planned(source)


def test_a_last_batch_that_is_smaller_has_a_plan_of_its_own() -> None:
    source = (
        "for epoch in range(8) { for k in range(3) { let x = X[k*10:(k + 1)*10]; let y = Y[k*10:(k + 1)*10]\n"
    )
    source += STEP.format("e = mse_loss(model(x), y)") + "\n print e } }"
    region = planned(source)
    assert len(region.plans) == 2


def test_other_data_of_the_same_kind_is_taken_in() -> None:
    planned(
        "for x, y in zip(X.reshape(6, 4, 5), Y.reshape(6, 4, 2)) { "
        + STEP.format("e = mse_loss(model(x), y)")
        + " }"
    )


def test_a_function_that_is_bound_anew_is_seen() -> None:
    body = STEP.format("e = mse_loss(model(X), Y)")
    both(f"{loop(body)}\nfn model(x) = x @ W*2 + b\n{loop(body)}\nprint W")


def test_a_name_that_a_function_reads_may_change() -> None:
    body = STEP.format("e = mean(scaled(model(X))**2)")
    both("let k = 1.0; fn scaled(x) = x*k\n" + loop(body + "; if i == 6 { k = 2.0 }; print e"))


def test_a_tensor_that_a_function_reads_may_be_exchanged() -> None:
    body = STEP.format("e = mean((model(X)*mask())**2)")
    both("let m = ones(2); fn mask() = m\n" + loop(body + "; m = m*0.9; print e"))


def test_a_function_that_binds_names_of_its_file_is_not_planned() -> None:
    both(
        "let calls = 0; fn counted(x) { calls = calls + 1; return model(x) }\n"
        + loop(STEP.format("e = mean(counted(X)**2)"))
        + "\nprint calls"
    )


def test_what_a_function_prints_is_printed_each_time() -> None:
    both("fn told(x) { print x.shape; return model(x) }\n" + loop(STEP.format("e = mean(told(X)**2)")))


def test_a_decision_on_a_loss_is_taken_each_time() -> None:
    both(
        "let best = 1e9\n"
        + loop(STEP.format("e = mse_loss(model(X), Y)") + "; if e.item() < best { best = e.item() }")
    )


def test_a_hook_that_comes_later_is_called() -> None:
    body = STEP.format("e = mse_loss(model(X), Y)")
    both(f"{loop(body)}\nW.register_hook(fn(g) = g*0.5)\n{loop(body)}\nprint W")


def test_random_numbers_that_nobody_uses_are_drawn() -> None:
    planned(
        loop(
            "zero_grad W; rand(3); e = mean(model(X)**2); backward e; update W -= 0.1*W.grad".replace(
                "rand(3)", "let z = rand(3)"
            )
        )
        + "\nprint rand(2)"
    )


def test_a_wrong_index_is_found_where_it_is_and_draws_nothing() -> None:
    source = "let t = tensor([0, 1, 0, 1])\n" + loop(
        "if i == 9 { t = tensor([0, 1, 7, 1]) }; zero_grad W; e = cross_entropy(dropout(model(X[:4]), 0.5), t); backward e; update W -= W.grad"
    )
    sessions = []
    for plan in (True, False):
        session = vardsl.Session(plan=plan)
        session.run(SETUP)
        with pytest.raises(vardsl.Error) as caught:
            session.run(source)
        sessions.append((str(caught.value), seen(session["W"]), session.run_captured("print rand(3)")))
    assert sessions[0] == sessions[1]


def test_an_error_while_a_run_is_recorded_leaves_bare_numbers() -> None:
    session = vardsl.Session()
    session.run(SETUP)
    with pytest.raises(vardsl.Error):
        session.run(loop("rate = rate*0.9; e = mse_loss(model(X), Y); backward e; out = X[i*8]"))
    assert type(session["rate"]) is float
    assert session.run_captured("print rate*1.0") == f"{session['rate']}\n"


def test_an_interrupted_minimize_keeps_its_finished_turns() -> None:
    turns: list[Any] = []
    session = vardsl.Session(
        emit=lambda outcome: turns.append(outcome) or (len(turns) == 12 and session.interrupt())
    )
    session.run(SETUP)
    with pytest.raises(vardsl.Error) as caught:
        # with `until` the loss of each turn is looked at
        session.run("minimize mse_loss(model(X), Y) over W, b using adam(lr=0.05) steps 50 until 0")
    assert caught.value.kind == "interrupt"
    other = vardsl.Session(plan=False)
    other.run(SETUP)
    other.run("minimize mse_loss(model(X), Y) over W, b using adam(lr=0.05) steps 12")
    assert seen(session["W"]) == seen(other["W"])


def test_an_interrupt_finds_a_minimize_that_has_run_ahead_with_whole_turns() -> None:
    session = vardsl.Session()
    session.run(SETUP)
    Timer(0.1, session.interrupt).start()
    with pytest.raises(vardsl.Error) as caught:
        session.run("minimize mse_loss(model(X), Y) over W, b using adam(lr=1e-5) steps 1000000000")
    turn = re.search(r"in turn ([\d,]+) of", str(caught.value))
    assert turn is not None
    other = vardsl.Session(plan=False)
    other.run(SETUP)
    done = int(turn[1].replace(",", "")) - 1
    other.run(f"minimize mse_loss(model(X), Y) over W, b using adam(lr=1e-5) steps {done}")
    for name in ("W", "b"):
        assert seen(session[name]) == seen(other[name])
        assert seen(session[name].grad) == seen(other[name].grad)


@pytest.mark.parametrize("steps", [1, 4, 6, 7, 40])
@pytest.mark.parametrize(
    "optimizer",
    ["sgd(lr=0.1)", "sgd(lr=0.1, momentum=0.9, nesterov=true)", "adam(lr=0.05, amsgrad=true)", "adamw(lr=0.05)",
     "rmsprop(lr=0.01)", "adagrad(lr=0.1)", "adadelta(lr=1.0)", "nadam(lr=0.05)"],
)  # fmt: skip
def test_minimize_ends_where_it_ends_without_plans(optimizer: str, steps: int) -> None:
    found = []
    for plan in (True, False):
        session = vardsl.Session(plan=plan)
        session.run(SETUP)
        for _ in range(3):
            loss = session.run(f"minimize mse_loss(model(X), Y) over W, b using {optimizer} steps {steps}")
        found.append([loss, *[(seen(session[n]), seen(session[n].grad)) for n in ("W", "b")]])
    assert found[0] == found[1]


def test_a_minimize_that_is_started_again_and_again_is_planned_each_time() -> None:
    session = vardsl.Session()
    session.run(SETUP)
    for _ in range(12):
        session.run("minimize mse_loss(model(X), Y) over W, b using adam(lr=0.05) steps 100")
    (region,) = [r for r in session.regions.values() if r.turns]
    assert region.turns > 12 * 90
    assert len(region.plans) <= 4


def test_a_planned_loop_can_be_taken_back() -> None:
    session = vardsl.Session()
    session.run(SETUP)
    session.run("let opt = adam((W, b), lr=0.05)")
    body = loop("opt.zero_grad(); e = mse_loss(model(X), Y); e.backward(); opt.step()")
    session.run(body)
    before = seen(session["W"])
    undo = session.undo_point()
    (program,) = [session.program(vardsl.source.Source("<t>", body))]
    for statement in program.body:
        session.run_statement(vardsl.source.Source("<t>", body), statement, undo=undo)
    after = seen(session["W"])
    assert after != before
    undo.swap()
    assert seen(session["W"])[:2] == before[:2]
    session.run(body)
    assert seen(session["W"])[:2] == after[:2]


def test_numbers_of_other_kinds_or_signs_are_other_numbers() -> None:
    source = "for z in (0.0, 0.0, 0.0, 0.0, 0.0, -0.0, 0.0, 0, true, 0.0) { y = 1/(X*z); m = max(y); q = y.sum() }\nprint m"
    both(source)


def test_a_number_that_no_plan_made_can_be_changed_in_place_by_one() -> None:
    source = """
let x = tensor(0.5); let w = var tensor(0.7) grad
for i in range(9) {
    let y = tanh(abs(x.mean()))
    loss = (huber_loss(y, x) - (y + x)).sum() + sum(w*w) + y.mean()
    backward loss retain
    y += 1
    x = x*sum(3*x**2*0.5)
}
"""
    planned, plain = (run(source, plan=plan)[2] for plan in (True, False))
    assert planned == plain
