"""The gradient of a cross entropy, whose two rules are one in the usual pass."""

from __future__ import annotations

import numpy as np
import pytest

import vardsl
from vardsl.errors import Error
from vardsl.ops import classify

SETUP = """
let x = var tensor(scores) grad; let t = tensor(classes); let z = x * 1
let ignored = tensor(classes); ignored[1] = -100; let seventh = tensor(classes); seventh[0] = 7
let w = rand(9); let narrow = tensor(classes).to(uint8)
"""
LOSSES = {
    "mean": "cross_entropy(z, t)",
    "sum": 'cross_entropy(z, t, reduction="sum")',
    "each": 'sum(cross_entropy(z, t, reduction="none") * 2)',
    "of a leaf": "cross_entropy(x, t)",
    "turned": "-cross_entropy(z, t)",
    "twice": "2.5 * cross_entropy(z, t) + cross_entropy(z, t)",
    "never": "0 * cross_entropy(z, t)",
    "without end": "cross_entropy(z, t) * inf",
    "nan": "cross_entropy(z, t) * nan",
    "with weights": "cross_entropy(z, t, w)",
    "some ignored": "cross_entropy(z, ignored)",
    "a class ignored": "cross_entropy(z, seventh, ignore_index=7)",
    "bytes": "cross_entropy(z, narrow)",
    "smoothed": "cross_entropy(z, t, label_smoothing=0.1)",
    "in two": "nll_loss(log_softmax(z, 1), t)",
    "along the last": "nll_loss(log_softmax(z, -1), t)",
    "along the first": "nll_loss(log_softmax(z, 0), t)",
    "and more of it": "nll_loss(log_softmax(z, 1), t) + mean(log_softmax(z, 1)**2)",
    "far away": "cross_entropy(z * 1e4, t)",
}


def session(dtype: type) -> vardsl.Session:
    s = vardsl.Session(plan=False, seed=0)
    rng = np.random.default_rng(0)
    s["scores"], s["classes"] = rng.standard_normal((40, 9)).astype(dtype), rng.integers(0, 9, 40)
    s.run(SETUP)
    return s


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", LOSSES)
def test_it_has_the_bits_of_the_two_rules(loss: str, dtype: type) -> None:
    """A pass that keeps the graph takes one rule after the other."""
    found = []
    for how in ("", " retain"):
        s = session(dtype)
        s.run(f"loss = {LOSSES[loss]}; backward loss{how}")
        found.append(s.eval("x.grad").numpy())
    assert found[0].tobytes() == found[1].tobytes()


def test_the_usual_pass_takes_them_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rules: list[str] = []
    op = classify._nll_rows
    monkeypatch.setattr(op, "ways", _counted(op.ways, "ways", rules))
    monkeypatch.setattr(op.onto, "rule", _counted(op.onto.rule, "onto", rules))
    s = session(np.float32)
    s.run("backward cross_entropy(z, t)")
    assert rules == ["onto"]


def _counted(what: object, name: str, seen: list[str]) -> object:
    if isinstance(what, tuple):
        return tuple(_counted(w, name, seen) for w in what)

    def counted(*args: object) -> object:
        seen.append(name)
        assert callable(what)
        return what(*args)

    return counted


def test_what_is_between_can_keep_its_gradient_and_be_looked_at() -> None:
    s = session(np.float64)
    s.run("logs = log_softmax(x, 1); logs.retain_grad(); loss = nll_loss(logs, t); backward loss")
    assert np.array_equal(s.eval("logs.grad").numpy()[np.arange(40), s["classes"]], np.full(40, -1 / 40))
    s.run("logs = log_softmax(x, 1); logs.register_hook(fn(g) = g * 2); loss = nll_loss(logs, t)")
    s.run("zero_grad x; backward loss; let doubled = x.grad; zero_grad x; backward cross_entropy(x, t)")
    assert np.allclose(s.eval("doubled").numpy(), 2 * s.eval("x.grad").numpy(), rtol=1e-12)


@pytest.mark.parametrize("change", ["t[0] = 3", "no_grad { logs += 1 }"])
def test_changes_since_are_found(change: str) -> None:
    s = session(np.float32)
    s.run(f"logs = log_softmax(z, 1); loss = nll_loss(logs, t); {change}")
    with pytest.raises(Error, match="modified by an inplace operation"):
        s.run("backward loss")


@pytest.mark.parametrize("again", ["loss", "sum(logs)"])
def test_a_second_pass_is_refused(again: str) -> None:
    s = session(np.float32)
    s.run("logs = log_softmax(z, 1); loss = nll_loss(logs, t); backward loss")
    with pytest.raises(Error, match="backward through the graph a second time"):
        s.run(f"backward {again}")
