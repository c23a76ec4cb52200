"""An interrupt is seen between the blocks of a streamed region, and leaves no half of a turn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest

import vardsl
from vardsl.engine import together

SETUP = "seed(0); let w = var randn(300000) grad; let x = randn(300000); let n = 0"
STATEMENTS = {
    "a loop": "for i in range(40) { zero_grad w; loss = sum(tanh(w) * w * x); backward loss; update w -= 0.1 * w.grad; n += 1 }",
    "a loop that runs ahead": "for i in range(40) { zero_grad w; loss = sum(tanh(w) * w * x); backward loss; update w -= 0.1 * w.grad }",
    "minimize": "minimize sum(tanh(w) * w * x) over w using sgd(lr=0.1) steps 40",
    "a function": "fn turn() { zero_grad w; loss = sum(tanh(w) * w * x); backward loss; update w -= 0.1 * w.grad }; for i in range(40) { turn(); n += 1 }",
}


def state(session: vardsl.Session) -> tuple[bytes, bytes | None]:
    w = session.names()["w"]
    return w.array.tobytes(), None if w._grad is None else w._grad.array.tobytes()


@cache
def states(statement: str) -> list[tuple[bytes, bytes | None]]:
    """What there is after each of the turns."""
    session = vardsl.Session(plan=False)
    session.run(SETUP)
    found = []
    for _ in range(40):
        session.run(statement.replace("40", "1"))
        found.append(state(session))
    return found


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("after", [2, 7, 30])
@pytest.mark.parametrize("name", STATEMENTS)
def test_an_interrupt_between_blocks_leaves_whole_turns(
    name: str, after: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = STATEMENTS[name]
    monkeypatch.setattr("vardsl.plan.sweep.THREADED", 1 if threads == 2 else 1 << 60)
    monkeypatch.setattr("vardsl.plan.sweep.processors", lambda: threads)
    session = vardsl.Session()
    session.run(SETUP)
    taken: list[int] = []
    _interrupt_at(monkeypatch, taken, after, session.interrupt)
    with pytest.raises(vardsl.Error) as caught:
        session.run(statement)
    assert caught.value.kind == "interrupt" and len(taken) <= after + 100
    turns = states(statement)
    w, g = state(session)
    turn = [x for x, _ in turns].index(w)
    # the statement that cleared the gradient was finished; a turn of minimize is one statement
    assert g == turns[turn][1] or (g is None and name != "minimize")
    if "n += 1" in statement:
        assert turn == session["n"] - 1
    session.run("n = 0; " + statement)  # and all goes on
    if "n += 1" in statement:
        assert session["n"] == 40


def _interrupt_at(
    monkeypatch: pytest.MonkeyPatch, taken: list[int], after: int, interrupt: Callable[[], Any]
) -> None:
    real = together._take

    def take(run: Any, left: Iterable[int]) -> None:
        real(run, left)
        taken.append(1)
        if len(taken) == after:
            interrupt()

    monkeypatch.setattr(together, "_take", take)


def test_what_lasts_is_not_left_in_the_middle() -> None:
    """A region behind a change in place, and one behind random numbers, run to their end."""
    session = vardsl.Session()
    session.run(
        "let x = randn(300000); let k = zeros(3); let w = var randn(300000) grad\n"
        "for i in range(9) { y = tanh(x) * x + x; no_grad { k += 1 }; z = sin(x) * x + x }\n"
        "for i in range(9) { y = dropout(tanh(x), 0.5); z = sin(y) * x + x }"
    )
    stops = [
        [call.stops for call, _ in region.plan.layout.program if isinstance(call, together.Runner)]
        for region in session.regions.values()
        if region.plan is not None
    ]
    assert stops and any(not all(s) for s in stops)


def test_threads_take_turns_sooner_only_while_two_work(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = sys.getswitchinterval()
    seen: set[float] = set()
    real = together._take

    def take(run: Any, left: Iterable[int]) -> None:
        seen.add(sys.getswitchinterval())
        real(run, left)

    monkeypatch.setattr(together, "_take", take)
    calls = [[[(lambda: None, ())]] * 4] * 2
    together.Runner(calls[:1], [])()
    assert seen == {usual}
    together.Runner(calls, [])()
    assert together.SOON in {round(s, 9) for s in seen} and sys.getswitchinterval() == usual
    with together._taking.turns_soon():  # of another session, in another thread
        together.Runner(calls, [])()
        assert sys.getswitchinterval() < usual
    assert sys.getswitchinterval() == usual
    with pytest.raises(ZeroDivisionError), together._taking.turns_soon():
        raise ZeroDivisionError
    assert sys.getswitchinterval() == usual
