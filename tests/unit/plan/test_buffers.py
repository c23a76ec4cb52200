"""NumPy's buffers are short where that is faster and changes no bit."""

from __future__ import annotations

import numpy as np
import pytest

import vardsl
from vardsl.engine.together import buffers_of
from vardsl.plan import buffers
from vardsl.plan.buffers import SHORT, buffer_size

LOSSES = [
    "sum(softmax(x, dim=1) * w)",
    "sum(layer_norm(x, (512,))**2 * w)",
    "sum((x - x.mean(dim=1, keepdim=true)) / x.std(dim=1, keepdim=true) * w)",
    "sum(tanh(x + w[0]) * w)",
    "cross_entropy(x, t)",
    "sum(maximum(x, w[:, :1]) ** w[0].abs())",
]


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [np.ones(shape, np.float32) for shape in shapes]


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (((256, 512), (256, 1), (256, 512)), SHORT),
        (((256, 512), (512,), (256, 512)), SHORT),
        (((16, 32, 256), (32, 1), (16, 32, 256)), SHORT),
        (((256, 512), (256, 512), (256, 512)), 0),
        (((256, 512), (), (256, 512)), 0),
        (((4096, 32), (4096, 1), (4096, 32)), 0),
        (((32, 5000), (32, 1), (32, 5000)), 0),
        (((8, 512), (8, 1), (8, 512)), 0),
    ],
)
def test_wide_rows_ask_for_short_buffers(shapes: tuple[tuple[int, ...], ...], expected: int) -> None:
    if not buffers._adds_alike():
        pytest.skip("this NumPy adds up in another order then")
    assert buffer_size([(np.subtract, tuple(arrays(*shapes)))]) == expected


def test_ufuncs_with_loops_of_their_own_do_not() -> None:
    wide = tuple(arrays((256, 512), (256, 1), (256, 512)))
    assert buffer_size([(np.subtract, wide), (np.power, wide)]) == 0


@pytest.mark.parametrize("size", [(300, 512), (700, 512)])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_bits(loss: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for plan, adds_alike in ((True, True), (True, False), (False, False)):
        if not adds_alike:
            monkeypatch.setattr(buffers, "_adds_alike", lambda: False)
        s = vardsl.Session(seed=0, plan=plan)
        s.run(f"let x = var randn({size}) grad; let w = randn({size}); let t = randint(0, 512, [{size[0]}])")
        s.run(f"for i in range(7) {{ zero_grad x; l = {loss}; backward l }}")
        found.append((s.eval("x.grad").array.tobytes(), s.eval("l").array.tobytes()))
    assert found[0] == found[1] == found[2]


def test_the_usual_size_comes_back() -> None:
    before = np.getbufsize()
    with buffers_of(SHORT):
        assert np.getbufsize() == SHORT
    assert np.getbufsize() == before
    s = vardsl.Session(seed=0)
    s.run("let x = var randn(300, 512) grad\nfor i in range(9) { zero_grad x; backward sum(softmax(x, dim=1)**2) }")
    assert np.getbufsize() == before
