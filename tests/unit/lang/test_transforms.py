"""Transforms against recorded PyTorch, and what is the language's own: plain numbers, nesting, errors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance.record_transforms import FUNCTIONS
from vardsl import errors
from vardsl.engine.backward import backward
from vardsl.engine.context import no_grad, state
from vardsl.engine.value import OPS, Value, leaf
from vardsl.lang.transforms import (
    check_grad,
    checkpoint,
    custom_grad,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
    vmap,
)
from vardsl.ops.define import op

DATA = json.loads((Path(__file__).parents[2] / "conformance" / "transforms.json").read_text(encoding="utf-8"))


def x64(name: str) -> Value:
    return leaf(DATA[name], "float64")


def fn(name: str) -> Callable[..., Any]:
    return lambda *args: FUNCTIONS[name](op, *args)


def computed() -> dict[str, Callable[[], Any]]:
    x, y, a = x64("x"), x64("y"), x64("a")
    table: dict[str, Callable[[], Any]] = {}
    for n in ("cube sum", "sine product", "quadratic", "linear"):
        f = fn(n)
        table[f"grad {n}"] = lambda f=f: grad(f)(x)
        table[f"hessian {n}"] = lambda f=f: hessian(f, x)
        table[f"hvp {n}"] = lambda f=f: hvp(f, x, y)
        table[f"second {n}"] = lambda f=f: grad(lambda v: op.sum(op.sin(grad(f)(v))))(x)
    for n in ("elementwise", "mixed", "cube sum", "two outputs"):
        f = fn(n)
        table[f"jacobian {n}"] = lambda f=f: jacobian(f, x)
        table[f"jvp {n}"] = lambda f=f: jvp(f, x, y)
    table["vjp elementwise"] = lambda: vjp(fn("elementwise"), x, y)
    table["vjp cube sum"] = lambda: vjp(fn("cube sum"), x)
    table["vjp two outputs"] = lambda: vjp(fn("two outputs"), x, (leaf(2.0, "float64"), y))
    table["grad two 1"] = lambda: grad(fn("two"), argnums=1)(x, y)
    table["grad two both"] = lambda: grad(fn("two"), argnums=(0, 1))(x, y)
    table["grad constant"] = lambda: grad(fn("constant in y"), argnums=(0, 1))(x, y)
    table["jacobian two"] = lambda: jacobian(fn("two vectors"), (x, y))
    table["hessian two"] = lambda: hessian(fn("two"), (x, y))
    table["vjp two"] = lambda: vjp(fn("two vectors"), (x, y), x)
    table["jvp two"] = lambda: jvp(fn("two vectors"), (x, y), (y, x))
    table["hvp two"] = lambda: hvp(fn("two"), (x, y), (y, x))
    table["vmap grad"] = lambda: vmap(grad(fn("sine product")))(a)
    table["vmap dims"] = lambda: vmap(lambda u, v: op.sum(u * v), in_dims=(0, 1))(
        a, leaf(a.array.T, "float64")
    )
    table["vmap out"] = lambda: vmap(lambda u: u * 2, out_dims=1)(a)
    table["vmap none"] = lambda: vmap(lambda u, v: u * v, in_dims=(0, None))(a, y)
    table["vmap nested"] = lambda: vmap(vmap(lambda u: u * u))(a)
    table["grad of vmap"] = lambda: grad(lambda w: op.sum(vmap(lambda u: op.sum(op.sin(u * w)))(a)))(x)
    table["jacobian of grad"] = lambda: jacobian(grad(fn("sine product")), x)
    return table


def compare(got: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert isinstance(got, tuple)
        for g, e in zip(got, expected["tuple"], strict=True):
            compare(g, e)
        return
    np.testing.assert_allclose(got.array, expected, rtol=1e-12, atol=1e-14)
    assert got.array.shape == np.shape(expected)
    assert got.array.dtype == np.float64
    assert not got.requires_grad


@pytest.mark.parametrize("name", DATA["results"])
def test_recorded(name: str) -> None:
    compare(computed()[name](), DATA["results"][name])


def test_every_record_is_checked() -> None:
    assert set(computed()) == set(DATA["results"])


# ---- plain numbers -------------------------------------------------------------------------------------
def test_plain_numbers_in_double_precision() -> None:
    assert grad(grad(lambda x: x**3))(2.0) == 12.0
    assert grad(op.sin)(1.0) == math.cos(1.0)
    assert grad(op.sin)(1) == math.cos(1)
    assert type(grad(op.sin)(1.0)) is float
    assert value_and_grad(lambda x: x**2)(3.0) == (9.0, 6.0)
    assert grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 5.0) == (5.0, 2.0)
    assert grad(lambda p: p[0] * p[1])((2.0, 5.0)) == (5.0, 2.0)
    assert jacobian(lambda x: x**2, 3.0) == 6.0
    assert hessian(lambda x: x**3, 2.0) == 12.0
    assert vjp(lambda x: x**2, 3.0, 2.0) == (9.0, 12.0)
    assert jvp(lambda x: x**2, 3.0, 2.0) == (9.0, 12.0)
    assert hvp(lambda x: x**3, 2.0, 2.0) == (8.0, 24.0)
    assert grad(lambda x: 5)(2.0) == 0.0


def test_nested_seven_times() -> None:
    f: Any = lambda x: x**7  # noqa: E731
    for _ in range(7):
        f = grad(f)
    assert f(1.5) == 5040.0


def test_inner_with_a_constant_argument() -> None:
    # d/dx of d/dy (x y²) at y = 3, which is 2xy
    assert grad(lambda x: grad(lambda y: x * y**2)(3.0))(5.0) == 6.0


def test_perturbations_do_not_mix() -> None:
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1.0


# ---- the graph around a transform ----------------------------------------------------------------------
def test_grad_of_a_variable_stays_on_its_graph() -> None:
    v = leaf([1.0, 2.0], "float64", True)
    g = grad(lambda x: op.sum(x**3))(v)
    assert g.requires_grad
    backward([op.sum(g)])
    assert v.grad.tolist() == [6.0, 12.0]


def test_grad_follows_captured_variables() -> None:
    w = leaf(3.0, "float64", True)
    g = grad(lambda x: w * x**2)(2.0)
    assert g.item() == 12.0
    backward([g])
    assert w.grad.item() == 4.0


def test_functional_transforms_are_off_the_graph_unless_asked() -> None:
    v = leaf([1.0, 2.0], "float64", True)
    assert not jacobian(lambda x: x**2, v).requires_grad
    j = jacobian(lambda x: x**2, v, create_graph=True)
    backward([op.sum(j)])
    assert v.grad.tolist() == [2.0, 2.0]


def test_transforms_touch_no_gradients() -> None:
    v = leaf([1.0, 2.0], "float64", True)
    hessian(lambda x: op.sum(x**3), v)
    grad(lambda x: op.sum(x * v))(leaf([1.0, 1.0], "float64"))
    assert v._grad is None


def test_grad_works_inside_no_grad() -> None:
    v = leaf([1.0, 2.0], "float64", True)
    with no_grad():
        g = grad(lambda x: op.sum(x**2))(v)
    assert g.tolist() == [2.0, 4.0]
    assert not g.requires_grad


def test_third_derivative_through_functional() -> None:
    third = grad(lambda x: op.sum(hessian(lambda v: op.sum(v**4), x)))(leaf([1.0, 2.0], "float64"))
    assert third.tolist() == [24.0, 48.0]


def test_has_aux() -> None:
    g, aux = grad(lambda x: (x**2, x + 1), has_aux=True)(3.0)
    assert g == 6.0
    assert aux.item() == 4.0
    (y, _), g = value_and_grad(lambda x: (x**2, 1), has_aux=True)(3.0)
    assert (y, g) == (9.0, 6.0)


# ---- errors --------------------------------------------------------------------------------------------
V = [1.0, 2.0]


@pytest.mark.parametrize(
    ("make", "kind", "sentence"),
    [
        (
            lambda: grad(lambda x: x * 2)(leaf(V)),
            "shape",
            "to return a scalar Tensor, got tensor with 1 dims",
        ),
        (
            lambda: grad(lambda x: "a")(leaf(V)),
            "type",
            "Expected f(*args) to return a Tensor, got <class 'str'>",
        ),
        (
            lambda: grad(lambda x: x, argnums=1)(leaf(V)),
            "value",
            "Got argnum=1, but only 1 positional inputs",
        ),
        (lambda: grad(lambda x: x, argnums=())(leaf(V)), "value", "argnums must be non-empty"),
        (
            lambda: grad(lambda x: x, argnums=(0, 0))(1.0),
            "value",
            "argnums elements must be unique, got (0, 0)",
        ),
        (lambda: grad(lambda x: x, argnums="a")(1.0), "type", "argnums must be int or Tuple[int, ...]"),
        (lambda: grad(lambda x: x, has_aux=True)(1.0), "type", "should be a tuple: (output, aux)"),
        (lambda: grad(lambda x: op.sum(x))(leaf([1, 2])), "grad", "only Tensors of floating point dtype"),
        (lambda: grad(lambda x: x)("a"), "type", "Thing passed to transform API must be Tensor"),
        (lambda: grad(3), "type", "expects a function"),
        (lambda: hessian(lambda x: x, leaf(V)), "shape", "given to hessian should contain a single element"),
        (
            lambda: hvp(lambda x: (x, x), leaf(V), leaf(V)),
            "type",
            "given to hvp should return a single Tensor",
        ),
        (
            lambda: vjp(lambda x: x, leaf(V)),
            "shape",
            "can only be None if the user-provided function returns",
        ),
        (lambda: jvp(lambda x: x, leaf(V)), "shape", "can only be None if the input to the user-provided"),
        (
            lambda: vjp(lambda x: x, leaf(V), leaf([1.0])),
            "shape",
            "v has invalid size: should be torch.Size([2])",
        ),
        (lambda: vjp(lambda x: x, leaf(V), (leaf(V), leaf(V))), "shape", "should contain a single Tensor"),
        (
            lambda: jacobian(lambda x: "a", leaf(V)),
            "type",
            "outputs of the user-provided function given to jacobian",
        ),
        (
            lambda: jacobian(lambda x: leaf(V), leaf(V), strict=True),
            "grad",
            "Output 0 of the user-provided function",
        ),
        (lambda: vmap(lambda x: x)(), "type", "got no inputs"),
        (lambda: vmap(lambda x: x)(3.0), "type", "We cannot vmap over non-Tensor arguments"),
        (lambda: vmap(lambda x: 1.0)(leaf(V)), "type", "must only return Tensors, got type <class 'float'>"),
        (
            lambda: vmap(lambda x: x, in_dims=1)(leaf(V)),
            "shape",
            "expected in_dim to satisfy -1 <= in_dim < 1",
        ),
        (lambda: vmap(lambda x: x, in_dims=None)(leaf(V)), "type", "expected `in_dims` to be int"),
        (
            lambda: vmap(lambda x, y: x, in_dims=(None, None))(leaf(V), 1),
            "type",
            "at least one Tensor to vmap over",
        ),
        (lambda: vmap(lambda x, y: x)(leaf(V), leaf([1.0])), "shape", "to have the same size in the mapped"),
        (lambda: vmap(3), "type", "expects a function"),
    ],
)
def test_errors(make: Callable[[], Any], kind: str, sentence: str) -> None:
    with pytest.raises(errors.Error) as caught:
        make()
    assert sentence in caught.value.message
    assert caught.value.kind == kind


# ---- vmap, check_grad, custom_grad, checkpoint ---------------------------------------------------------
def test_vmap_of_tuples() -> None:
    a, b = vmap(lambda x: (x * 2, op.sum(x)), out_dims=(1, 0))(leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert a.shape == (3, 2)
    assert b.tolist() == [6.0, 15.0]
    s = vmap(lambda p: p[0] + p[1])((leaf([1.0, 2.0]), leaf([10.0, 20.0])))
    assert s.tolist() == [11.0, 22.0]


def test_check_grad_is_true() -> None:
    assert check_grad(lambda x: op.sum(op.sin(x) * x), leaf([1.0, 2.0], "float32")) is True
    assert check_grad(lambda x, y: op.exp(x) * y, (leaf([0.5, 2.0], "float32"), 3.0)) is True
    assert check_grad(lambda x: x**3, 2.0) is True


def test_check_grad_shows_the_worst_element() -> None:
    wrong = custom_grad(lambda x: x**2, lambda g, x: g * op.stack([x[0] * 2, x[1] * 3], 0))
    with pytest.raises(errors.GradError) as caught:
        check_grad(wrong, leaf([1.0, 2.0], "float64"))
    assert caught.value.message == (
        "the gradient is wrong: the derivative of the output[1] with respect to x[1] is 6 by backward "
        "and 4 by differences"
    )


def test_check_grad_repeats_random_numbers_and_leaves_them() -> None:
    before = state.ctx.generator.get_state()
    assert check_grad(lambda x: x * op.rand(1), 2.0) is True
    after = state.ctx.generator.get_state()
    assert before[1] == after[1]
    np.testing.assert_array_equal(before[0], after[0])


def test_custom_grad_has_its_rule_and_name() -> None:
    f = custom_grad(lambda x: x * x, lambda g, x: g * 10)
    v = leaf([1.0, 2.0], "float64", True)
    y = f(v)
    assert repr(y.grad_fn) == "<CustomBackward0>"
    assert y.tolist() == [1.0, 4.0]
    backward([op.sum(y)])
    assert v.grad.tolist() == [10.0, 10.0]
    assert f(3.0) == 9.0
    assert grad(f)(3.0) == 10.0


def test_custom_grad_of_higher_order() -> None:
    square = custom_grad(lambda x: x * x, lambda g, x: g * 2 * x)
    assert grad(grad(square))(3.0) == 2.0


def test_custom_grad_with_several_arguments() -> None:
    f = custom_grad(lambda x, y: x * y, lambda g, x, y: (g * y, g * x))
    assert grad(f, argnums=(0, 1))(2.0, 5.0) == (5.0, 2.0)
    one = custom_grad(lambda x, y: x * y, lambda g, x, y: g * y)
    with pytest.raises(errors.GradError, match=r"incorrect number of gradients \(expected 2, got 1\)"):
        grad(one)(2.0, 5.0)


def test_custom_grad_checks_shapes() -> None:
    f = custom_grad(lambda x: op.sum(x), lambda g, x: op.ones(3))
    with pytest.raises(errors.ShapeError, match="returned an invalid gradient at index 0"):
        grad(f)(leaf([1.0, 2.0]))


def test_custom_grad_of_two_outputs() -> None:
    f = custom_grad(lambda x: (x * 2, x * 3), lambda g, x: g[0] * 2 + g[1] * 3)
    v = leaf([1.0, 2.0], "float64", True)
    a, b = f(v)
    backward([op.sum(a)], retain_graph=True)
    assert v.grad.tolist() == [2.0, 2.0]
    backward([op.sum(b)])
    assert v.grad.tolist() == [5.0, 5.0]


def test_custom_grad_notices_changed_arguments() -> None:
    f = custom_grad(lambda x: op.sum(x * x), lambda g, x: g * 2 * x)
    v = leaf([1.0, 2.0], "float64", True)
    u = v * 1
    y = f(u)
    OPS["add_"](u, 1.0)
    with pytest.raises(errors.GradError, match="modified by an inplace operation"):
        backward([y])


def test_checkpoint_gives_the_same_gradients() -> None:
    w = leaf([0.5, -0.3], "float64", True)
    scale = w * 2

    def f(x: Value) -> Value:
        return op.sum(op.sin(x * scale) * op.exp(x))

    v = leaf([1.0, 2.0], "float64", True)
    backward([f(v)], retain_graph=True)
    plain, w_plain = v.grad.array.copy(), w.grad.array.copy()
    v.grad = w.grad = None
    y = checkpoint(f, v)
    assert y.grad_fn.args[0] is v
    backward([y])
    np.testing.assert_array_equal(v.grad.array, plain)
    np.testing.assert_array_equal(w.grad.array, w_plain)


def test_checkpoint_repeats_random_numbers() -> None:
    seen = []

    def f(x: Value) -> Value:
        r = op.rand(2)
        seen.append(r.tolist())
        return op.sum(x * x * r)

    v = leaf([1.0, 2.0], "float64", True)
    y = checkpoint(f, v)
    after = state.ctx.generator.get_state()
    backward([y])
    assert len(seen) == 2
    assert seen[0] == seen[1]
    np.testing.assert_array_equal(state.ctx.generator.get_state()[0], after[0])


def test_checkpoint_of_higher_order() -> None:
    assert grad(grad(lambda x: checkpoint(lambda u: u**3, x)))(2.0) == 12.0
