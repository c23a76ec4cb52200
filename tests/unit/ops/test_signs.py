"""Decompositions hold whatever the signs, and the signs are those recorded from PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from vardsl.ops.define import op

RNG = np.random.default_rng(13)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 12, 25, 26])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("uplo", ["L", "U"])
def test_eigenvectors_diagonalize(n, dtype, uplo):
    a = RNG.standard_normal((2, n, n)).astype(dtype)
    values, vectors = op.linalg_eigh(a, uplo)
    half = np.tril(a, -1) if uplo == "L" else np.swapaxes(np.triu(a, 1), -1, -2)
    whole = half + np.swapaxes(half, -1, -2) + np.eye(n, dtype=dtype) * a
    assert values.dtype == vectors.dtype == dtype
    np.testing.assert_allclose(
        whole @ vectors, vectors * values[:, None], atol=1e-4 if dtype == np.float32 else 1e-12
    )


@pytest.mark.parametrize("matrix", [np.zeros((4, 4)), np.eye(5), np.diag([3.0, 1.0, 2.0]), np.ones((6, 6))])
def test_eigenvectors_of_matrices_with_equal_eigenvalues(matrix):
    values, vectors = op.linalg_eigh(matrix)
    np.testing.assert_allclose(vectors * values @ vectors.T, matrix, atol=1e-12)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(matrix)), atol=1e-12)


@pytest.mark.parametrize(
    "shape", [(1, 3), (2, 3), (2, 39), (2, 40), (3, 5), (2, 3, 6), (5, 9), (4, 3), (0, 3)]
)
@pytest.mark.parametrize("full", [True, False])
def test_singular_vectors_give_the_matrix_back(shape, full):
    a = RNG.standard_normal(shape)
    u, s, vh = op.linalg_svd(a, full)
    k = min(shape[-2:])
    np.testing.assert_allclose(u[..., :k] * s[..., None, :] @ vh[..., :k, :], a, atol=1e-12)
    np.testing.assert_allclose(
        vh @ np.swapaxes(vh, -1, -2),
        np.broadcast_to(np.eye(vh.shape[-2]), vh.shape[:-1] + vh.shape[-2:-1]),
        atol=1e-12,
    )


@pytest.mark.parametrize("matrix", [np.zeros((2, 4)), np.ones((3, 6)), np.eye(3, 6)])
def test_wide_matrices_of_low_rank(matrix):
    u, s, vh = op.linalg_svd(matrix, False)
    np.testing.assert_allclose(u * s @ vh, matrix, atol=1e-12)


# torch.linalg.eigh and torch.linalg.svd of PyTorch 2.13 on the CPU
SYMMETRIC = [[2.0, -1.0, 0.0, 3.0], [-1.0, 0.0, 4.0, 1.0], [0.0, 4.0, -3.0, 2.0], [3.0, 1.0, 2.0, 1.0]]
LOWER = [
    [0.0069, 0.5842, 0.5362, -0.6092],
    [0.533, 0.3749, -0.7121, -0.2613],
    [-0.8309, 0.1088, -0.4532, -0.3039],
    [0.1595, -0.7116, -0.0042, -0.6843],
]
UPPER = [
    [-0.0069, -0.5842, -0.5362, 0.6092],
    [-0.533, -0.3749, 0.7121, 0.2613],
    [0.8309, -0.1088, 0.4532, 0.3039],
    [-0.1595, 0.7116, 0.0042, 0.6843],
]
WIDE = [[1.0, 2.0, 0.0, -1.0, 3.0], [0.0, -2.0, 1.0, 4.0, 1.0]]
LEFT = [[-0.4618, -0.887], [0.887, -0.4618]]
RIGHT = [[-0.0931, -0.5438, 0.1788, 0.8084, -0.1005], [-0.2519, -0.2415, -0.1312, -0.2727, -0.8869]]


def test_signs_are_pytorchs():
    np.testing.assert_allclose(op.linalg_eigh(np.array(SYMMETRIC))[1], LOWER, atol=1e-4)
    np.testing.assert_allclose(op.linalg_eigh(np.array(SYMMETRIC), "U")[1], UPPER, atol=1e-4)
    u, _, vh = op.linalg_svd(np.array(WIDE), False)
    np.testing.assert_allclose(u, LEFT, atol=1e-4)
    np.testing.assert_allclose(vh, RIGHT, atol=1e-4)
