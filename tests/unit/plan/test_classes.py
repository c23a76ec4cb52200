"""The gradient of a cross entropy in a plan: the same bits as slopes with all their zeros give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import vardsl
from vardsl.engine.value import OPS
from vardsl.plan import classes

FACTORS = ["1", "-1", "c", "-c", "inf", "zero", "-zero", "inf * zero"]
OPTIONS = ["", ", ignore_index=1", ", reduction='sum'", ", weight=w, ignore_index=2"]
NAMES = "let c = 0.3; let inf = tensor(1e38) * 100; let zero = 0.0 * tensor(1.0); let w = rand(5)"


def gradients(loss: str, scale: float, *, plan: bool) -> tuple[bytes, str]:
    s = vardsl.Session(seed=0, plan=plan)
    s.run(f"let x = var (randn(40, 5) * {scale}) grad; let y = randint(0, 5, [40]); {NAMES}")
    s.run(f"for i in range(7) {{ zero_grad x; l = {loss}; backward l }}")
    plans = [r.plan for r in s.regions.values() if r.plan is not None]
    assert bool(plans) is plan
    ops = " ".join(step.op.name for p in plans for step in p.steps if hasattr(step, "op"))
    return s.eval("x.grad").array.tobytes(), ops


@pytest.mark.parametrize("scale", [1, 200])
def test_the_same_bits(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "LARGE", 1)
    losses = [f"cross_entropy(x, y{o}) * {f}" for o, f in itertools.product(OPTIONS, FACTORS)]
    losses += [f"sum(cross_entropy(x, y, reduction='none'{o}) * {f} * x[:, 0].detach())" for o, f in
               itertools.product(["", ", ignore_index=1"], FACTORS)]  # fmt: skip
    for loss in losses:
        planned, ops = gradients(loss, scale, plan=True)
        assert "_class_gradient" in ops, loss
        assert planned == gradients(loss, scale, plan=False)[0], loss


def test_slopes_that_something_else_needs_stay() -> None:
    text = (
        "let x = var randn(700, 100) grad; let y = randint(0, 100, [700])\n"
        "for i in range(7) { zero_grad x; z = log_softmax(x, 1); z.retain_grad(); l = nll_loss(z, y); backward l; "
        "r = z.grad }"
    )
    found = []
    for plan in (True, False):
        s = vardsl.Session(seed=0, plan=plan)
        s.run(text)
        found.append((s.eval("x.grad").array.tobytes(), s.eval("r").array.tobytes()))
    assert found[0] == found[1]


def test_a_class_that_is_none_is_found() -> None:
    s = vardsl.Session(seed=0)
    s.run("let x = var randn(700, 100) grad; let y = randint(0, 100, [700])")
    s.run("for i in range(7) { zero_grad x; l = cross_entropy(x, y); backward l }")
    with pytest.raises(vardsl.Error, match="Target 100 is out of bounds"):
        s.run("y[3] = 100; for i in range(7) { zero_grad x; l = cross_entropy(x, y); backward l }")


def test_large_ones_stream_without_zeros() -> None:
    s = vardsl.Session(seed=0)
    s.run("let x = var randn(2000, 200) grad; let y = randint(0, 200, [2000])")
    s.run("for i in range(7) { zero_grad x; l = cross_entropy(x, y); backward l }")
    notes = [note for r in s.regions.values() if r.plan for note in r.plan.layout.notes]
    assert any("log_softmax class_gradient" in note for note in notes)
    assert np.isfinite(s.eval("x.grad").array).all()


def test_a_first_run_makes_no_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    slopes = OPS["_class_slopes"]
    kernel = slopes.kernel
    monkeypatch.setattr(slopes, "kernel", lambda *args: made.append(args[0].size) or kernel(*args))
    s = vardsl.Session(seed=0)
    s.run("let x = var randn(2000, 200) grad; let y = randint(0, 200, [2000])")
    s.run("l = cross_entropy(x, y); backward l")
    assert not made
    plain = vardsl.Session(seed=0, plan=False)
    plain.run("let x = var randn(2000, 200) grad; let y = randint(0, 200, [2000])")
    plain.run("l = cross_entropy(x, y); backward l")
    assert s.eval("x.grad").array.tobytes() == plain.eval("x.grad").array.tobytes()
