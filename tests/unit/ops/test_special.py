"""The error function of float32 numbers, which is computed here."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

import vardsl
from vardsl.ops.special import erf_of


def test_erf_of_float32_is_right_to_a_few_units_in_the_last_place() -> None:
    x = np.concatenate([np.linspace(-5, 5, 40_001), np.logspace(-38, 0, 4001)]).astype("f4")
    right = np.array([math.erf(v) for v in x.tolist()])
    off = np.abs(erf_of(x) - right) / np.spacing(np.abs(right).astype("f4"))
    assert off.max() < 4 and off.mean() < 0.6


def test_erf_of_float32_grows_to_one() -> None:
    x = np.linspace(-6, 6, 100_001).astype("f4")
    y = erf_of(x)
    assert (np.diff(y) >= 0).all()
    assert (np.abs(y[np.abs(x) > 4]) == 1).all()
    np.testing.assert_array_equal(y, -erf_of(-x))


def test_erf_of_what_is_no_usual_number() -> None:
    found = erf_of(np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e-45], "f4"))
    np.testing.assert_array_equal(found, np.array([np.nan, 1, -1, 0, -0.0, 1e-45], "f4"))
    assert np.signbit(found[4])


def test_gelu_of_float32_needs_no_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    s = vardsl.Session()
    s.run("let x = var [-1., 0.5, 2.] grad; for i in range(6) { zero_grad x; y = gelu(x); backward sum(y) }")
    np.testing.assert_allclose(s.eval("y.detach()").numpy(), [-0.15865525, 0.34573123, 1.95449974], 1e-6)
    np.testing.assert_allclose(s.eval("x.grad").numpy(), [-0.08331547, 0.86749532, 1.08523199], 1e-5)
    with pytest.raises(vardsl.Error, match="SciPy"):
        s.run("erf([0.5].double())")
