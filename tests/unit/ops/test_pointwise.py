"""What the recorded calls do not reach: plain numbers, operands of errors, wrap-around, masks, methods."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import vardsl
from vardsl.engine.backward import grad
from vardsl.engine.tiles import perform
from vardsl.engine.value import Value, leaf
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import OPS
from vardsl.ops.select import LARGE, bounded, bounded_into, choose, choose_into, kept, sign_into, sign_of

PLAIN = [
    ("sin", (1,), 0.8414709848078965),
    ("log", (0,), -math.inf),
    ("exp", (1000,), math.inf),
    ("add", (2, 3), 5),
    ("floor", (2.5,), 2.0),
    ("pow", (2, -1), 0.5),
    ("pow", (0, -1), math.inf),
    ("pow", (2, 200), 2**200),
    ("maximum", (2, 3), 3),
    ("eq", (1, 1.0), True),
    ("isnan", (math.nan,), True),
    ("gcd", (4, 6), 2),
    ("bitwise_not", (5,), -6),
    ("bitwise_not", (True,), False),
    ("clamp", (5, None, 2), 2),
    ("gelu", (1,), 0.8413447460685429),
    ("polygamma", (1, 2.0), 0.6449340668481563),
    ("mul", (10**20, 10**20), 10**40),
    ("sigmoid", (-1000,), 0.0),
    ("where", (True, 1, 2), 1),
    ("lerp", (0, 10, 0.25), 2.5),
    ("addcdiv", (1, 2, 4), 1.5),
    ("relu6", (7,), 6),
]


@pytest.mark.parametrize(("name", "numbers", "result"), PLAIN)
def test_plain_numbers_give_plain_numbers_without_warnings(name, numbers, result):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = OPS[name](*numbers)
    assert type(y) in (int, float, bool)
    assert y == pytest.approx(result, rel=1e-9)
    assert isinstance(y, bool) == isinstance(result, bool)


@pytest.mark.parametrize(
    ("name", "numbers"), [("sqrt", (-1,)), ("pow", (-8, 1 / 3)), ("acos", (2,)), ("log", (-1,))]
)
def test_no_real_result_is_nan(name, numbers):
    assert math.isnan(OPS[name](*numbers))


def test_shapes_that_do_not_broadcast_name_both_operands():
    with pytest.raises(ShapeError) as error:
        leaf(np.ones((2, 3))) + leaf(np.ones(4))
    assert error.value.message == (
        "The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1"
    )
    assert error.value.operands == [("input", "[2, 3]"), ("other", "[4]")]


def test_the_clash_of_a_third_tensor_is_with_what_the_first_two_broadcast_to():
    with pytest.raises(ShapeError, match=r"tensor a \(3\) must match the size of tensor b \(4\)"):
        OPS["addcmul"](leaf(np.ones((2, 1))), leaf(np.ones(3)), leaf(np.ones(4)))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_integers_wrap_around(dtype):
    largest = np.iinfo(dtype).max
    assert int(leaf([largest], dtype) + 1) == np.iinfo(dtype).min
    assert int(leaf([1], dtype) * (largest + 1)) == np.iinfo(dtype).min or dtype == "int64"


def test_a_number_of_more_than_64_bits_has_no_place_in_a_tensor():
    with pytest.raises(ScriptValueError, match="int too big to convert"):
        leaf([1.0]) + 2**70


@pytest.mark.parametrize("operator", ["floor_divide", "remainder", "fmod"])
def test_integer_tensors_are_not_divided_by_zero(operator):
    with pytest.raises(ScriptValueError, match="ZeroDivisionError"):
        OPS[operator](leaf([1, 2]), leaf([1, 0]))


@pytest.mark.parametrize("operator", [np.add, np.subtract])
def test_a_mask_is_not_subtracted(operator):
    mask = leaf([True, False])
    if operator is np.add:
        assert (mask + mask).array.dtype == bool
        return
    with pytest.raises(ScriptTypeError, match="two bool tensors"):
        mask - mask
    with pytest.raises(ScriptTypeError, match="with a bool tensor"):
        leaf([1.0, 2.0]) - mask


def test_a_cast_to_the_same_dtype_is_the_same_value():
    x = leaf([1.0, 2.0])
    assert OPS["double"](x) is x
    assert OPS["to"](x, x) is x
    assert OPS["positive"](x) is x


def test_methods_whose_function_has_another_order():
    x = leaf([1.0, -1.0])
    chosen = OPS[OPS["where"].facts["method"]](x, x > 0, 0.0)
    assert chosen.array.tolist() == [1.0, 0.0]
    assert OPS[OPS["polygamma"].facts["method"]](x, 0).array[0] == pytest.approx(-0.5772156649)


def test_a_rule_sees_the_numbers_from_before_a_change_in_place():
    x = leaf([1.0, 2.0], requires_grad=True)
    y = x * 1
    w = leaf([3.0, 4.0], requires_grad=True)
    OPS["mul_"](y, w)
    assert [g.array.tolist() for g in grad([y], [x, w], [Value(np.ones(2))])] == [[3.0, 4.0], [1.0, 2.0]]


@pytest.mark.parametrize("size", [8, LARGE, LARGE + 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_choosing_by_bits_is_choosing(size, dtype):
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, size)).astype(dtype)
    a[::5], b[::7] = np.nan, -0.0
    mask = random.random(size) < 0.5
    for x, y in ((a, b), (a, dtype(0)), (dtype(0), b), (a[::-1], b), (a, dtype(-0.0))):
        x, y = np.asarray(x), np.asarray(y)
        chosen, expected = choose(mask, x, y), np.where(mask, x, y)
        assert chosen.dtype == dtype
        assert chosen.tobytes() == expected.tobytes()
        for out in (np.empty(size, dtype), x.copy(), y.copy()):  # also in the place of an operand
            if out.shape == mask.shape:
                given = [out if out.tobytes() == v.tobytes() else v for v in (x, y)]
                perform(choose_into(out, np.empty, mask, *given))
                assert out.tobytes() == expected.tobytes()
    assert kept(mask, a).tobytes() == np.where(mask, a, dtype(0)).tobytes()


@pytest.mark.parametrize("mask", [False, True])
def test_choosing_into_memory_without_dimensions(mask):
    a, b, out = np.array(-2.0), np.array(3.0), np.empty(())
    perform(choose_into(out, np.empty, np.array(mask), a, b))
    assert out == (-2.0 if mask else 3.0)
    perform(choose_into(out, np.empty, np.array(mask), a, 0))
    assert out == (-2.0 if mask else 0.0)
    b[...] = 0.0
    calls = choose_into(out, np.empty, np.array(mask), a, b)
    b[...] = 5.0  # what is in memory may be another number when the calls are made
    perform(calls)
    assert out == (-2.0 if mask else 5.0)


def test_third_derivatives():
    x = leaf([0.3, -0.7], requires_grad=True)
    for name, third in (
        ("sin", lambda v: -math.cos(v)),
        ("exp", math.exp),
        ("tanh", None),
        ("log1p", None),
    ):
        h = 1e-4
        g = OPS[name](x)
        for _ in range(3):
            (g,) = grad([g], [x], [Value(np.ones(2))], create_graph=True)
        if third is not None:
            assert g.array.tolist() == pytest.approx([third(v) for v in x.array.tolist()])
            continue
        second = []
        for shifted in (x.array + h, x.array - h):
            y = leaf(shifted, requires_grad=True)
            s = OPS[name](y)
            for _ in range(2):
                (s,) = grad([s], [y], [Value(np.ones(2))], create_graph=True)
            second.append(s.array)
        assert g.array == pytest.approx((second[0] - second[1]) / (2 * h), rel=1e-5)


@pytest.mark.parametrize("size", [5, LARGE, 70_001])
def test_bounds_keep_what_equals_them(size):
    x = np.resize(np.array([-0.0, 0.0, math.nan, math.inf, -math.inf, 1, -1, 2, 0.5], np.float32), size)
    for low, high in ((0, None), (None, 0), (0, 1), (-1, 1), (1, 0)):
        out = np.empty_like(x)
        perform(bounded_into(out, x, low, high))
        y = bounded(x, low, high)
        expected = [v if math.isnan(v) else _between(v, low, high) for v in x.tolist()]
        for made in (y, out):
            assert [str(v) for v in made.tolist()] == [str(v) for v in expected]


def _between(v, low, high):
    v = low if low is not None and v < low else v
    return float(high if high is not None and v > high else v)


@pytest.mark.parametrize("size", [7, 3000])
def test_signs(size):
    x = np.resize(np.array([-0.0, 0.0, math.nan, math.inf, -math.inf, 3, -3]), size)
    out = np.empty_like(x)
    perform(sign_into(out, np.empty, x))
    for made in (sign_of(x), out):
        assert made[:7].tolist() == [0, 0, 0, 1, -1, 1, -1] and not np.signbit(made[:3]).any()


@pytest.mark.parametrize("name", ["elu", "selu", "softplus", "hardswish", "softshrink", "leaky_relu", "hardtanh"])
def test_large_tensors_are_computed_as_small_ones(name):
    """The formulas for many elements give the same bits, forwards and backwards."""
    x = np.random.default_rng(0).standard_normal(40_000).astype(np.float32) * 8
    small, large = leaf(x[:1000], requires_grad=True), leaf(x, requires_grad=True)
    y, z = OPS[name](small), OPS[name](large)
    assert y.array.tobytes() == z.array[:1000].tobytes()
    (g,), (h,) = grad([OPS["sum"](y)], [small]), grad([OPS["sum"](z)], [large])
    assert g.array.tobytes() == h.array[:1000].tobytes()


@pytest.mark.parametrize("size", [(20, 10), (300, 400)])
@pytest.mark.parametrize("name", ["exp", "gelu", "relu", "elu", "mul", "add"])
def test_results_lie_as_their_operands(name, size):
    """PyTorch keeps the order of memory, also of large tensors."""
    x = Value(np.ones(size, np.float32).T)
    y = OPS[name](x, x) if name in ("mul", "add") else OPS[name](x)
    assert y.array.strides == x.array.strides
    assert (x + 1).array.strides == (x * x).array.strides == x.array.strides


@pytest.mark.parametrize("size", [100, 4096])
def test_softplus_of_small_and_large_tensors(size: int) -> None:
    """From the threshold on it is the element itself, and its slope 1; nan and infinities go through."""
    s = vardsl.Session()
    far = [20.0, 20.5, 50.0, 88.0, 89.0, 500.0, math.inf]
    s["x0"] = np.array([*far, -math.inf, math.nan, 0.0] * (size // 10), np.float32)
    s.run("let x = var x0 grad; y = softplus(x); backward sum(y * 2)")
    y, g = s.eval("y").array[:10].tolist(), s.eval("x.grad").array[:10].tolist()
    assert y[:8] == [*far, 0.0]
    assert g[1:8] == [2.0] * 6 + [0.0]
    assert math.isnan(y[8])
    assert math.isnan(g[8])
    assert y[9] == pytest.approx(math.log(2))
    assert g[9] == 1.0
