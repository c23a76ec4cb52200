"""What is kept for taking back does not fill the memory."""

from __future__ import annotations

import gc
import weakref

import pytest

from vardsl.apps.repl import steps
from vardsl.apps.repl.conversation import Conversation


def test_old_values_are_let_go_when_they_are_too_much(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = conversation
    monkeypatch.setattr(steps, "MOST_BYTES", 10_000_000)
    first = None
    for k in range(30):
        c.submit(f"let x = ones(1000, 250) * {k}")  # 1 MB each
        if k == 0:
            first = weakref.ref(c.session["x"])
    gc.collect()
    assert first is not None and first() is None
    assert 5 <= len(c.steps.done) <= 12
    assert c.steps._held <= 12_000_000
    for _ in range(5):
        c.undo()
    assert c.session.eval("x[0, 0].item()") == 24


def test_small_statements_stay_many_deep(conversation: Conversation) -> None:
    c = conversation
    for k in range(150):
        c.submit(f"let x = {k}")
    assert len(c.steps.done) == 100
    c.settings.set("undo", "3")  # never fewer than twenty
    c.submit("let x = 1")
    assert len(c.steps.done) == 20


def test_a_machine_that_is_full_keeps_one_step(
    conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = conversation
    c.submit("let a = 1")
    monkeypatch.setattr(steps, "free_memory", lambda: 1000)
    c.submit("let b = 2")
    assert len(c.steps.done) == 1 and c.undo() is not None and "b" not in c.session


def test_what_is_held_is_counted_down_again(conversation: Conversation) -> None:
    c = conversation
    c.submit("let x = ones(1000)")
    c.submit("let y = ones(2000)")
    c.undo()
    c.undo()
    c.submit("let z = 1")  # forgets what was taken back
    assert c.steps._held == sum(c.steps.done[0][1].sizes.values()) == 0
