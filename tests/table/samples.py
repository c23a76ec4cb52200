"""Calls written by hand where torch's generators are thin: kinks, ties, edges, defaults, dtypes, refusals."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import torch

from tests.table import names
from tests.table.calls import CALLS
from tests.table.notation import Call, c, ints, mask, real, strided, t, transposed

inf, nan = float("inf"), float("nan")
KINKS = [-inf, -3.0, -2.5, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 1.5, 3.0, 6.0, inf, nan]
i64, f32, b1 = torch.int64, torch.float32, torch.bool


def unary() -> list[Call]:
    return [
        c(t(KINKS)),
        c(t([0.3, 0.7, 0.9])),
        c(t([1.5, 2.5, 20.0])),
        c(t(0.4)),
        c(t([])),
        c(real(2, 0)),
        c(transposed(2, 3)),
        c(strided(4)),
        c(t(KINKS, f32)),
        c(t([-2, 0, 1, 3], i64)),
        c(t([True, False], b1)),
        c(t([0, 1, 200], torch.uint8)),
        c(t([-7, 2], torch.int32)),
    ]


def binary() -> list[Call]:
    left, right = (
        [-inf, -2.0, -0.0, 0.0, 1.0, 1.0, 2.5, inf, nan, 3.0],
        [-inf, -2.0, 0.0, 2.0, 1.0, 0.5, -1.0, inf, 1.0, nan],
    )
    return [
        c(t(left), t(right)),
        c(real(2, 1), real(3)),
        c(real(), real(2, 2)),
        c(real(2, 2), real()),
        c(real(), real()),
        c(real(2), 2.0),
        c(real(2), 2),
        c(real(2), -1.5),
        c(real(2), 0.0),
        c(real(0, 3), real(3)),
        c(real(3, 1), real(0)),
        c(transposed(2, 3), real(2, 3)),
        c(strided(3), real(3)),
        c(real(1, 2, 1), real(3, 1, 2)),
        c(t([1, 2, 3], i64), real(3)),
        c(real(3), t([1, 0, 3], i64)),
        c(t([7, -7, 3], i64), t([2, 2, -2], i64)),
        c(t([7, -7, 3], i64), 2),
        c(t([7, -7, 3], i64), 2.5),
        c(t([7, -7], i64), t(2.5)),
        c(t([True, False], b1), t([3, 4], i64)),
        c(t([True, False], b1), t([True, True], b1)),
        c(t([1.5], f32), t(2.5)),
        c(t([1.5], f32), t([2.5])),
        c(t([3, 250], torch.uint8), t([4, -5], torch.int8)),
        c(t([1, 2], torch.int32), True),
        c(real(2), real(3)),
        c(real(2), "a"),
        c(real(2)),
    ]


def ternary() -> list[Call]:
    return [
        c(real(2, 1), real(3), real(1)),
        c(real(), real(), real(2)),
        c(real(2), real(2), real(0)),
        c(t(KINKS), t(KINKS[::-1]), t(KINKS)),
        c(t([1.0, 2.0], f32), t([1.0, 3.0], f32), t([2.0, 4.0], f32)),
        c(real(2), real(3), real(2)),
    ]


def reduction() -> list[Call]:
    ties = [[1.0, 3.0, 3.0], [3.0, -1.0, nan]]
    return [
        c(real(2, 3)),
        c(real()),
        c(real(0)),
        c(real(2, 0)),
        c(real(2, 0), dim=1),
        c(real(2, 0), dim=0),
        c(t(ties)),
        c(t(ties), dim=0),
        c(t([2.0, 2.0, 1.0])),
        c(t([2.0, 2.0, 1.0]), dim=0),
        c(real(2, 3), dim=-1),
        c(real(2, 3), 1),
        c(real(2, 3), 0, True),
        c(real(2, 3), dim=1, keepdim=True),
        c(real(2, 3, 2), dim=(0, -1)),
        c(real(2, 3, 2), dim=(0, 2), keepdim=True),
        c(real(2, 3), dim=()),
        c(real(), dim=0),
        c(real(), dim=-1),
        c(transposed(2, 3), dim=0),
        c(t([0.0, 0.0, 2.0])),
        c(t([0.0, 3.0, 2.0])),
        c(t([inf, -inf, 1.0])),
        c(t([nan, nan])),
        c(t([[1, 2], [3, 4]], i64)),
        c(t([[1, 2], [3, 4]], i64), dim=0),
        c(t([True, False, True], b1)),
        c(t([[True, False]], b1), dim=1),
        c(t([1.5, 2.5], f32)),
        c(t([[1.5, 2.5]], f32), dim=0),
        c(t([200, 100], torch.uint8)),
        c(real(2, 3), dim=2),
        c(real(2, 3), dim=(0, 0)),
        c(real(2, 3), dim=-3),
        c(real(2, 3), dtype=f32),
        c(t([1, 2], i64), dtype=torch.float64),
    ]


def along() -> list[Call]:
    """Cumulative operations and others that need a dimension."""
    return [
        c(real(3), 0),
        c(real(2, 3), -1),
        c(real(2, 3), dim=0),
        c(real(), 0),
        c(real(0), 0),
        c(real(2, 0), 1),
        c(transposed(2, 3), 1),
        c(t([1.0, 3.0, 3.0, nan, 2.0]), 0),
        c(t([0.0, 2.0, 0.0, 3.0]), 0),
        c(t([2.0, 0.0, 5.0]), 0),
        c(t([[1, 2], [3, 1]], i64), 0),
        c(t([True, False, True], b1), 0),
        c(t([1.0, 2.5], f32), 0),
        c(t([inf, 1.0, -inf]), 0),
        c(real(2), 1),
        c(real(2)),
    ]


def shape_of_one() -> list[Call]:
    """Operations that are happy with one tensor."""
    return [
        c(real(2, 3)),
        c(real(3)),
        c(real()),
        c(real(0)),
        c(real(2, 0)),
        c(transposed(2, 3)),
        c(real(2, 3, 2)),
        c(t([[1, 2], [3, 4]], i64)),
        c(t([[True, False]], b1)),
        c(real(1, 3, 1)),
    ]


def activation() -> list[Call]:
    return [
        c(t([-6.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0])),
        c(t([-inf, inf, nan, 30.0, -30.0])),
        c(real()),
        c(real(0)),
        c(real(2, 3)),
        c(transposed(2, 3)),
        c(t([-1.0, 0.0, 2.0], f32)),
        c(t([-1, 0, 2], i64)),
        c(t([True], b1)),
    ]


def loss() -> list[Call]:
    return [
        c(real(3), real(3)),
        c(real(2, 3), real(2, 3), reduction="sum"),
        c(real(2, 3), real(2, 3), reduction="none"),
        c(real(), real()),
        c(t([1.0, 2.0, 3.0]), t([1.0, 0.0, 4.0])),
        c(real(0), real(0)),
        c(real(2, 3), real(3)),
        c(real(2), real(2), reduction="bad"),
        c(t([1.0, 2.0], f32), t([1.5, 0.0], f32)),
    ]


def square_matrix() -> list[Call]:
    return [
        c(real(2, 2)),
        c(real(3, 3)),
        c(real(2, 2, 2)),
        c(real(0, 0)),
        c(real(0, 2, 2)),
        c(t([[2.0, 1.0], [1.0, 3.0]])),
        c(t([[4.0]])),
        c(real(2, 3)),
        c(real(3)),
        c(t([[1.0, 2.0], [2.0, 4.0]])),
        c(t([[2, 1], [1, 3]], i64)),
        c(t([[2.0, 1.0], [1.0, 3.0]], f32)),
        c(transposed(3, 3)),
        c(t([[0.0, 0.0], [0.0, 0.0]])),
        c(t([[1.0, 2.0], [3.0, 4.0]])),
    ]


REDUCTIONS = """
all amax amin aminmax any argmax argmin count_nonzero logsumexp max mean median min mode nanmean nanmedian
nansum norm prod std std_mean sum var var_mean
"""
ALONG = "cummax cummin cumprod cumsum logcumsumexp softmax log_softmax softmin"
OF_ONE = """
T mT argsort argwhere atleast_1d atleast_2d atleast_3d clone contiguous diag diag_embed diagflat diagonal
flatten fliplr flipud msort nonzero ravel repeat_interleave sort squeeze t trace tril triu unbind unique
unique_consecutive block_diag cartesian_prod column_stack dstack hstack vstack combinations diff corrcoef cov
trapezoid trapz cumulative_trapezoid gradient meshgrid broadcast_tensors
"""
LOSSES = """
binary_cross_entropy_with_logits hinge_embedding_loss huber_loss kl_div l1_loss mse_loss poisson_nll_loss
smooth_l1_loss soft_margin_loss
"""
SQUARE = """
cholesky cholesky_inverse det inverse logdet lu matrix_exp pinverse qr slogdet svd linalg.cholesky linalg.cond
linalg.det linalg.eigh linalg.eigvalsh linalg.inv linalg.lu linalg.matrix_norm linalg.matrix_rank linalg.norm
linalg.pinv linalg.qr linalg.slogdet linalg.svd linalg.svdvals linalg.vector_norm linalg.diagonal
"""
UNARY_APART = {"polygamma", "special.polygamma", "mvlgamma", "clamp_max", "clamp_min"}
ACTIVATIONS_APART = {"softmax", "log_softmax", "softmin", "prelu", "threshold"}

FAMILIES: list[tuple[set[str], Callable[[], list[Call]]]] = [
    (set(names.POINTWISE_UNARY) - UNARY_APART, unary),
    (set(names.POINTWISE_BINARY), binary),
    (set(names.POINTWISE_TERNARY) - {"where"}, ternary),
    (set(REDUCTIONS.split()), reduction),
    (set(ALONG.split()), along),
    (set(OF_ONE.split()), shape_of_one),
    (set(names.ACTIVATIONS) - ACTIVATIONS_APART, activation),
    (set(LOSSES.split()), loss),
    (set(SQUARE.split()), square_matrix),
]


def of(name: str) -> list[tuple[str, list[Any], dict[str, Any]]]:
    """The calls written for one operation: those of its family and its own."""
    torch.manual_seed(zlib.crc32(name.encode()))
    made: list[Call] = []
    for members, family in FAMILIES:
        if name in members:
            made += family()
    if name in CALLS:
        made += CALLS[name]()
    return [("own", args, kwargs) for args, kwargs in made]


__all__ = ["ints", "mask", "of"]
