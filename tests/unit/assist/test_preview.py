"""Previews: right, quick, and without effects."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from vardsl.assist.preview import DEADLINE, Preview, Previews, Worker
from vardsl.session import Session


@pytest.fixture(scope="module")
def session() -> Session:
    s = Session(seed=0)
    s.run(
        "let v = var [[1, 2], [3, 4]] grad; let w = ones(3); let a = 2; fn f(x) { print x; return x }; "
        "let big = ones(1000, 1000); backward sum(v)"
    )
    return s


@pytest.fixture(scope="module")
def previews(session: Session) -> Previews:
    return Previews(session.names, lambda: session.ctx.default_dtype)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mean(v*v)", "7.5 float32"),
        ("mean(v*v", "7.5 float32"),
        ("let out = v.sum(dim=0)", "[2] float32 [4, 6]"),
        ("x = v.T", "[2, 2] float32 [[1, 3], [2, 4]]"),
        ("v |> softmax(dim=1) |> sum", "2 float32"),
        ("print v[0", "[2] float32 [1, 2]"),
        ("zeros(40, 10)", "[40, 10] float32"),
        ("a * 3", "6"),
        ("a == 2 and true", "True"),
        ("v.grad * 2", "[2, 2] float32 [[2, 2], [2, 2]]"),
        ("let q = 1; a + 1", "3"),
    ],
)
def test_shape_and_small_values(previews: Previews, text: str, shown: str) -> None:
    found = previews.compute(text)
    assert found is not None and found.ok and found.text == shown


def test_shapes_that_do_not_fit_are_said(previews: Previews) -> None:
    found = previews.compute("v @ w")
    assert found is not None and not found.ok
    assert found.text == "cannot multiply [2, 2] by [3] with @: inner sizes 2 and 3 differ"


_EFFECTS = """
f(v) | v.zero_() | w.add_(1) | rand(3) | v.normal_() | dropout(v) | backward sum(v) | w[0] = 1 | print
manual_seed(1)
v.requires_grad_() | minimize sum(v) over v | grad(f)(2.0) | (fn(x) = x)(1) | f
save(v, "x.npy") | randn_like(v)
v.register_hook(f) | set_default_dtype(float64) | nope + 1 | 1 + | v | 3 | batch_norm(v, w, w) | empty(3)
bernoulli(v) | v.backward() | v.retain_grad()
"""


@pytest.mark.parametrize("text", [t.strip() for t in _EFFECTS.replace("\n", "|").split("|") if t.strip()])
def test_what_could_have_effects_is_not_computed(session: Session, previews: Previews, text: str) -> None:
    before = session.run_captured("print v, v.grad, w, a"), session.ctx.generator.get_state()
    assert previews.compute(text) is None
    after = session.run_captured("print v, v.grad, w, a"), session.ctx.generator.get_state()
    assert str(before) == str(after)


def test_no_large_tensors(previews: Previews) -> None:
    assert previews.compute("big * 2") is None
    assert previews.compute("zeros(100000, 100000)") is None
    assert previews.compute("2 ** 100000000") is None


def test_a_preview_leaves_no_graph(session: Session, previews: Previews) -> None:
    before = session["v"]._version if hasattr(session["v"], "_version") else session["v"].version
    previews.compute("sum(v * v)")
    assert session["v"].version == before and session.eval("v.grad_fn") is None
    assert session.eval("(v*2).requires_grad") is True


def test_the_worker_answers_the_latest_wish(previews: Previews) -> None:
    ready: list[int] = []
    worker = Worker(previews, lambda: ready.append(1))
    previews.compute("a * 7")
    for text in ("a", "a *", "a * 7"):
        worker.request(text)
    end = time.monotonic() + 2
    while worker.answer("a * 7") is None and time.monotonic() < end:
        time.sleep(0.005)
    found = worker.answer("a * 7")
    assert found is not None and found.text == "14" and ready
    assert worker.answer("a * 8") is None


class _Slow:
    """Previews that are there after so many tries, each of which takes longer than the deadline."""

    def __init__(self, tries: int, pass_time: Callable[[], None]) -> None:
        self.tries = tries
        self.pass_time = pass_time
        self.tried = 0

    def compute(self, text: str) -> Preview | None:
        self.tried += 1
        self.pass_time()
        return Preview(text) if self.tried >= self.tries else None


def _answer(previews: Any) -> Preview | None:
    done = threading.Event()
    worker = Worker(previews, done.set)
    worker.request("a")
    assert done.wait(10)
    return worker.answer("a")


@pytest.mark.parametrize("tries", [1, 3])
def test_a_preview_is_tried_again_when_others_had_the_machine(tries: int) -> None:
    slow = _Slow(tries, lambda: time.sleep(2 * DEADLINE))
    assert _answer(slow) == Preview("a") and slow.tried == tries


def test_a_preview_that_takes_long_itself_is_not_shown() -> None:
    def compute() -> None:
        end = time.thread_time() + 2 * DEADLINE
        while time.thread_time() < end:
            pass

    slow = _Slow(1, compute)
    assert _answer(slow) is None and slow.tried == 1


def test_most_previews_take_less_than_the_deadline(previews: Previews) -> None:
    texts = ["mean(v*v)", "v.sum(dim=0) + 1", "softmax(v, dim=1)", "v @ v.T", "v[0] * 2"]
    for text in texts:
        previews.compute(text)
    began = time.thread_time()
    for text in texts:
        previews.compute(text)
    assert (time.thread_time() - began) / len(texts) < 0.030
