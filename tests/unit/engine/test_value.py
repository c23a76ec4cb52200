"""Tensors without dimensions: NumPy scalars for as long as nobody shares or changes their memory."""

from __future__ import annotations

import numpy as np
import pytest

import vardsl
from vardsl.engine.undo import Savepoint

BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])


def session(dtype: str) -> vardsl.Session:
    s = vardsl.Session(plan=False)
    s.run(f"let v = var 1.5 {dtype} grad; let w = var 0.3 {dtype}")
    return s


@BOTH
def test_a_result_without_dimensions_is_a_scalar(dtype: str) -> None:
    s = session(dtype)
    s.run("x = v*1.1 + w; y = 2 - x / 3")
    assert type(s.eval("x").array) is type(s.eval("y").array) is np.dtype(dtype).type
    assert type(s.eval("x.detach().numpy()")) is np.ndarray


@BOTH
@pytest.mark.parametrize("op", ["+", "-", "*", "/", "**", "//", "%", "<", "=="])
@pytest.mark.parametrize("other", ["1.1", "3", "w", "v", "0.0", "1e300", "123456789"])
def test_scalars_compute_what_arrays_do(dtype: str, op: str, other: str) -> None:
    s = session(dtype)
    s.run(f"a = v*1.7; b = {other}*1; one = (a {op} b).detach()")
    s.run(f"whole = ((v*1.7).reshape(1) {op} ({other}*1)).detach()")
    one, whole = s.eval("one"), s.eval("whole")
    assert one.dtype is whole.dtype
    assert one.shape == ()
    np.testing.assert_array_equal(one.array, whole.array[0])


@BOTH
def test_gradients_of_scalars_have_memory_of_their_own(dtype: str) -> None:
    s = session(dtype)
    s.run("let u = var 2.0 grad" + f"; let u = var 2.0 {dtype} grad; y = v*u + v; backward y")
    g = s.eval("v.grad").array
    assert type(g) is np.ndarray
    assert g.dtype == dtype
    assert (float(g), s.eval("u.grad.item()")) == (3.0, 1.5)


@BOTH
def test_a_scalar_can_be_changed_in_place(dtype: str) -> None:
    s = session(dtype)
    s.run("x = w*2; y = x.detach(); x += 1; z = x.view(1); z *= 2")
    assert s.eval("x.item()") == s.eval("y.item()") == s.eval("z.item()")
    np.testing.assert_allclose(s.eval("x.item()"), (2 * 0.3 + 1) * 2, rtol=1e-6)


def test_a_scalar_that_was_saved_and_changed_since_is_noticed() -> None:
    s = session("float32")
    s.run("x = v*2; y = x*x; no_grad { x += 1 }")
    with pytest.raises(vardsl.errors.GradError, match="is at version 1; expected version 0"):
        s.run("backward y")


def test_the_change_of_a_scalar_is_taken_back() -> None:
    s = session("float32")
    s.run("x = w*2")
    x = s.eval("x")
    before = x.item()
    then = Savepoint([x])
    s.run("x += 1")
    then.swap()
    assert x.item() == before
    then.swap()
    assert x.item() == np.float32(before) + 1


def test_a_long_chain_is_built_differentiated_and_freed_without_recursion() -> None:
    s = session("float64")
    s.run("x = v; for i in range(100000) { x = x*1.0 + 0.0 }; backward x; x = v")
    assert s.eval("v.grad.item()") == 1.0
