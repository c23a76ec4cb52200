"""Linear algebra beyond recorded cases: memory layouts, singular matrices, elimination, third orders."""

from __future__ import annotations

import numpy as np
import pytest

from vardsl.engine.backward import grad
from vardsl.engine.value import Value
from vardsl.errors import ShapeError
from vardsl.ops.define import op
from vardsl.ops.lu import eliminate, permutation

RNG = np.random.default_rng(7)


def layouts(a):
    """The same numbers, differently in memory."""
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    wide[..., ::2] = a
    yield a
    yield wide[..., ::2]
    yield np.asfortranarray(a)
    yield np.flip(np.flip(a, -1).copy(), -1)


@pytest.mark.parametrize(
    "shapes", [((4, 5), (5, 3)), ((2, 4, 5), (5, 3)), ((2, 4, 5), (2, 5, 3)), ((4, 5), (5,))]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_products_do_not_depend_on_the_layout(shapes, dtype):
    a, b = ((10 * RNG.standard_normal(s)).astype(dtype) for s in shapes)
    expected = np.matmul(a, b)
    for left in layouts(a):
        for right in layouts(b):
            y = op.matmul(left, right)
            assert y.dtype == dtype
            np.testing.assert_allclose(y, expected, rtol=1e-4 if dtype is np.float32 else 1e-12)


def test_a_cotangent_that_was_expanded_multiplies_as_any_other():
    a, b = Value(RNG.standard_normal((4, 5)), True), Value(RNG.standard_normal((5, 3)), True)
    ga, gb = grad([op.sum(a @ b)], [a, b])
    np.testing.assert_allclose(ga.array, np.ones((4, 3)) @ b.array.T)
    np.testing.assert_allclose(gb.array, a.array.T @ np.ones((4, 3)))


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 4), (0, 0), (2, 0, 3)])
def test_elimination_gives_the_matrix_back(shape):
    a = RNG.standard_normal(shape)
    p, low, up = op.linalg_lu(a)
    np.testing.assert_allclose(p @ low @ up, a, atol=1e-12)
    factors, pivots = eliminate(a)
    assert pivots.dtype == np.int32
    order = permutation(pivots, shape[-2])
    np.testing.assert_allclose(np.take_along_axis(a, order[..., None], -2), low @ up, atol=1e-12)
    if a.size:
        assert np.abs(np.tril(factors, -1)).max() <= 1


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_derivatives_of_the_determinant_of_singular_matrices(rank):
    a = RNG.standard_normal((3, rank)) @ RNG.standard_normal((rank, 3))
    x = Value(a, True)
    (first,) = grad([op.linalg_det(x)], [x], create_graph=True)
    minors = [[np.delete(np.delete(a, i, 0), j, 1) for j in range(3)] for i in range(3)]
    cofactors = np.linalg.det(minors) * np.array([[1, -1, 1], [-1, 1, -1], [1, -1, 1]])
    np.testing.assert_allclose(first.array, cofactors, atol=1e-12)
    direction = RNG.standard_normal((3, 3))
    (second,) = grad([op.sum(first * direction)], [x])
    step = 1e-5
    moves = step * np.eye(9).reshape(9, 3, 3)
    numeric = [np.sum(direction * (op._cofactors(a + e) - op._cofactors(a - e))) for e in moves]
    np.testing.assert_allclose(second.array.reshape(-1), np.array(numeric) / (2 * step), atol=1e-7)


def test_third_derivative_of_the_determinant():
    a = RNG.standard_normal((3, 3)) + 2 * np.eye(3)
    x = Value(a, True)
    g, h, k = RNG.standard_normal((3, 3, 3))
    (first,) = grad([op.linalg_det(x)], [x], create_graph=True)
    (second,) = grad([op.sum(first * g)], [x], create_graph=True)
    (third,) = grad([op.sum(second * h)], [x])
    # det is cubic: its third derivative in three directions is a sum over signs of determinants
    signs = np.array(np.meshgrid([1, -1], [1, -1], [1, -1])).reshape(3, -1).T
    polar = sum(np.prod(s) * np.linalg.det(s[0] * g + s[1] * h + s[2] * k) for s in signs) / 8
    assert np.sum(third.array * k) == pytest.approx(polar)


def test_triangles_with_a_zero_on_the_diagonal_give_infinities():
    a, b = np.array([[2.0, 1.0], [0.0, 0.0]]), np.array([[1.0], [1.0]])
    assert np.isinf(op.linalg_solve_triangular(a, b, upper=True)[1, 0])


@pytest.mark.parametrize(
    "equation",
    [
        "ij,jk->ik",
        "ij,jk->ki",
        "bij,bjk->bik",
        "i,j->ij",
        "ii->i",
        "ii",
        "...ij,...j->...i",
        "ij,kj,lj->ikl",
        "ij,ij->",
    ],
)
def test_einsum_is_numpys(equation):
    sizes = {"i": 3, "j": 4, "k": 2, "l": 5, "b": 2}
    terms = equation.split("->")[0].split(",")
    arrays = [RNG.standard_normal([n for c in t.replace("...", "b") for n in [sizes[c]]]) for t in terms]
    np.testing.assert_allclose(op.einsum(equation, *arrays), np.einsum(equation, *arrays), atol=1e-12)


def test_the_sentence_of_a_product_says_what_would_fit():
    with pytest.raises(ShapeError, match="2x3 and 2x3") as caught:
        op.mm(np.ones((2, 3)), np.ones((2, 3)))
    assert caught.value.operands == [("left", "[2, 3]"), ("right", "[2, 3]")]
    assert caught.value.hint is not None
