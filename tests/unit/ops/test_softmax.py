"""Softmax of large matrices, which goes through memory block by block."""

from __future__ import annotations

import numpy as np
import pytest

import vardsl


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", [(700, 300), (30_000, 7), (3, 80_000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_a_large_matrix_are_what_they_are_alone(
    op: str, shape: tuple[int, int], dtype: type[np.floating]
) -> None:
    s = vardsl.Session(plan=False)
    s["x"] = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    s.run(f"y = {op}(tensor(x), 1); part = {op}(tensor(x)[1:3], 1)")
    y = s.eval("y").numpy()
    assert y.dtype == dtype
    np.testing.assert_array_equal(y[1:3], s.eval("part").numpy())
