"""Backward through operations whose inputs have several widths computes in the dtypes of PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import vardsl
from vardsl.engine.backward import backward
from vardsl.engine.value import Value
from vardsl.ops.define import op


def test_a_0d_float64_beside_float32_leaves_the_backward_pass_in_float32() -> None:
    f = Value(np.array([0.3, 1.7, 2.9], np.float32), True)
    w = Value(np.array(1.7), True)
    y = op.pow(f, w)
    backward([op.sum(y)])
    slope = np.float32(1.7) * np.power(f.array, np.float32(1.7 - 1))
    assert f._grad is not None and np.array_equal(f._grad.array, slope)
    assert w._grad is not None and w._grad.array.dtype == np.float64


def test_a_change_of_the_wider_operand_is_noticed() -> None:
    session = vardsl.Session(plan=False)
    session.run("let f = var [1., 2.] grad; let w = tensor(1.5, dtype=float64); let y = sum(f ** w); w += 1")
    with pytest.raises(vardsl.Error, match="modified by an inplace operation"):
        session.run("backward y")


def test_second_derivatives_go_the_same_way() -> None:
    source = "fn g(f) = sum(f ** w); print hessian(g, [0.5, 2.])"
    setup = "let w = tensor(2.5, dtype=float64); "
    assert vardsl.Session().run_captured(setup + source) == (
        "tensor([[2.6517, 0.0000],\n        [0.0000, 5.3033]])\n"
    )


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("layer_norm(ones(1, 2), (2,), ones(2).double())", "expect parameter to have scalar type of Float"),
        ("group_norm(ones(1, 2, 1), 1, none, ones(2).double())", "expect parameter to have scalar type of Float"),
        ("batch_norm(ones(2, 2).double(), zeros(2), ones(2))", "all inputs must share same datatype."),
        ("instance_norm(ones(1, 2, 2), weight=ones(2).double())", "expect parameter to have scalar type of Float"),
    ],
)
def test_normalizations_take_parameters_of_their_inputs_dtype(call: str, sentence: str) -> None:
    with pytest.raises(vardsl.Error, match="mixed dtype \\(CPU\\): " + sentence):
        vardsl.Session().run(call)
