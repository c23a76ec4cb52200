"""Losses that ask for a margin: between the scores of classes, and between examples that are alike or not."""

from __future__ import annotations

import numpy as np

from vardsl.engine.dtypes import BY_NP, Array
from vardsl.errors import ScriptIndexError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import (
    Bool,
    Index,
    Int,
    NotImplementedRule,
    Number,
    Str,
    Tensor,
    array,
    composite,
    general,
    op,
)
from vardsl.ops.loss import over, reduced, reduction_of

# ---- between classes ---------------------------------------------------------------------------------------


def _as_rows(x: Array) -> Array:
    return x if x.ndim == 2 else x.reshape(1, x.size)


def _check_margin(name, input, target, matrix, weight=None):
    """Raises what PyTorch says of scores and targets that do not fit."""
    shape = list(input.shape)
    if input.ndim > 2 or 0 in input.shape[1:] or (input.ndim == 1 and input.shape[0] == 0):
        raise ShapeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {shape}"
        )
    rows = input.shape[0] if input.ndim == 2 else 1
    t = list(target.shape)
    if matrix and t != shape:
        raise ShapeError(f"inconsistent target size: {t} for input of size: {shape}")
    if not matrix and (len(t) > 1 or (t[0] if t else 1) != rows):
        raise ShapeError(
            f"{name}: target tensor should be 1-D with size equal to the number of input samples (batch "
            "size). "
            f"Expected target size [{rows}], but got {t}. Input has shape {shape}."
        )
    if weight is not None and weight.shape[0] != (input.shape[-1] if input.ndim else 1):
        raise ShapeError(
            f"inconsistent weight size, expected {input.shape[-1] if input.ndim else 1} but got "
            f"{list(weight.shape)}"
        )
    a = array(target)
    if a.dtype != np.int64:
        raise ScriptTypeError(
            f"expected scalar type Long but found {BY_NP[a.dtype].type_name}",
            hint="targets are classes: x.long()",
        )


def _margins(input: Array, target: Array, margin: float) -> tuple[Array, Array]:
    """What each class lacks to `margin` below the right one (0 for that one), and the one-hot targets."""
    rows = _as_rows(input)
    t = target.reshape(-1)
    if t.size and (t.min() < 0 or t.max() >= rows.shape[1]):
        raise ScriptIndexError("target out of range")
    right = t[:, None] == np.arange(rows.shape[1])
    z = margin - rows[np.arange(t.size), t][:, None] + rows
    return np.where(right | (z <= 0), rows.dtype.type(0), z), right


@general(
    vjp={
        "input": lambda g, input, target, p, margin, weight, reduction: op._multi_margin_backward(
            g, input, target, p, margin, weight, reduction
        )
    },
    grad_fn="MultiMarginLossBackward0",
)
def _multi_margin(
    input: Tensor, target: Index, p: Int, margin: Number, weight: Tensor | None, reduction: Str
):
    z, _ = _margins(input, target, margin)
    z = z if p == 1 else z * z
    if weight is not None:
        z = z * weight[target.reshape(-1)][:, None]
    losses = np.add.reduce(z, 1) / z.dtype.type(z.shape[1])
    y = reduced(losses, reduction)
    return y.reshape(target.shape) if reduction == "none" else y


_MARGIN = NotImplementedRule("derivative for aten::multi_margin_loss_backward is not implemented")


@general(vjp={"g": _MARGIN, "input": _MARGIN}, grad_fn="NotImplemented")
def _multi_margin_backward(
    g: Tensor, input: Tensor, target: Index, p: Int, margin: Number, weight: Tensor | None, reduction: Str
):
    z, right = _margins(input, target, margin)
    slope = (z > 0).astype(z.dtype) if p == 1 else 2 * z
    if weight is not None:
        slope *= weight[target.reshape(-1)][:, None]
    slope = np.where(right, -np.add.reduce(slope, 1, keepdims=True), slope) / z.dtype.type(z.shape[1])
    if reduction == "mean":
        slope /= z.dtype.type(z.shape[0])
    made = slope * (g.reshape(-1, 1) if reduction == "none" else g)
    return made.reshape(input.shape)


@composite()
def multi_margin_loss(
    input: Tensor,
    target: Index,
    p: Int = 1,
    margin: Number = 1.0,
    weight: Tensor | None = None,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
):
    """Hinge loss between the score of the right class and those of all others.

    Value: Σⱼ weight[t] max(0, margin − input[t] + input[j])ᵖ / classes, over j ≠ t

    >>> multi_margin_loss([[1., 2., 0.5]], [1])
    tensor(0.)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ScriptValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ScriptValueError("weight must be one-dimensional")
    _check_margin("multi_margin_loss", input, target, False, weight)
    return op._multi_margin(input, target, p, margin, weight, reduction)


def _label_terms(input: Array, target: Array) -> tuple[Array, Array, Array]:
    """Rows of scores, which classes are targets, and max(0, 1 − x[t] + x[j]) by row, target and class."""
    rows = _as_rows(input)
    t = target.reshape(rows.shape)
    counts = np.logical_and.accumulate(t >= 0, axis=1)
    safe = np.where(counts, t, 0)
    if t.size and (t.max() >= rows.shape[1] or t.min() < -1):
        raise ScriptIndexError("argument #2 'target' is out of range")
    chosen = np.zeros(rows.shape, bool)
    np.logical_or.at(chosen, (np.nonzero(counts)[0], safe[counts]), True)
    z = 1 - np.take_along_axis(rows, safe, 1)[:, :, None] + rows[:, None, :]
    z = np.where(counts[:, :, None] & ~chosen[:, None, :] & (z > 0), z, rows.dtype.type(0))
    return rows, safe, z


@general(
    vjp={
        "input": lambda g, input, target, reduction: op._multilabel_margin_backward(
            g, input, target, reduction
        )
    },
    grad_fn="MultilabelMarginLossBackward0",
)
def _multilabel_margin(input: Tensor, target: Index, reduction: Str):
    rows, _, z = _label_terms(input, target)
    losses = np.add.reduce(z, (1, 2)) / rows.dtype.type(max(rows.shape[1], 1))
    y = reduced(losses, reduction)
    return y.reshape(input.shape[:-1]) if reduction == "none" else y


_LABELS = NotImplementedRule("derivative for aten::multilabel_margin_loss_backward is not implemented")


@general(vjp={"g": _LABELS, "input": _LABELS}, grad_fn="NotImplemented")
def _multilabel_margin_backward(g: Tensor, input: Tensor, target: Index, reduction: Str):
    rows, safe, z = _label_terms(input, target)
    active = (z > 0).astype(rows.dtype)
    slope = np.add.reduce(active, 1)
    i = np.broadcast_to(np.arange(rows.shape[0])[:, None], safe.shape)
    np.subtract.at(slope, (i, safe), np.add.reduce(active, 2))
    slope /= rows.dtype.type(max(rows.shape[1], 1) * (rows.shape[0] if reduction == "mean" else 1))
    made = slope * (g.reshape(-1, 1) if reduction == "none" else g)
    return made.reshape(input.shape)


@composite()
def multilabel_margin_loss(
    input: Tensor,
    target: Index,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
):
    """Hinge loss between the scores of several right classes and those of all others.

    A row of `target` lists the right classes, ended by −1.

    Value: Σₜⱼ max(0, 1 − input[t] + input[j]) / classes, over targets t and other classes j

    >>> multilabel_margin_loss([[0.1, 0.2, 0.4, 0.8]], [[3, 0, -1, 1]])
    tensor(0.8500)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    _check_margin("multilabel_margin_loss", input, target, True)
    return op._multilabel_margin(input, target, reduction)


# ---- between examples --------------------------------------------------------------------------------------


@composite()
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: Number = 1.0,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
):
    """A distance for target 1, what it lacks to `margin` for target −1.

    >>> hinge_embedding_loss([0.5, 0.2], [1., -1.])
    tensor(0.6500)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    zeros = op.zeros_like(input)
    apart = op.where(target != 1, op.clamp_min(margin - input, 0), zeros)
    together = op.where(target != -1, input, zeros)
    return over(apart + together, reduction)


@composite()
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: Number = 0,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
):
    """One minus the cosine of two vectors for target 1, what the cosine exceeds `margin` by for target −1.

    >>> cosine_embedding_loss([[1., 0.]], [[1., 1.]], [1])
    tensor(0.2929)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    _check_cosine(input1, input2, target)
    dim = target.ndim
    magnitude1 = op.sum(input1 * input1, dim) + 1e-12
    magnitude2 = op.sum(input2 * input2, dim) + 1e-12
    cosine = op.sum(input1 * input2, dim) / op.sqrt(magnitude1 * magnitude2)
    zeros = op.zeros_like(cosine)
    together = op.where(target == 1, 1 - cosine, zeros)
    apart = op.where(target == -1, op.clamp_min(cosine - margin, 0), zeros)
    return over(together + apart, reduction)


def _check_cosine(input1, input2, target):
    sizes = f"input1 ({list(input1.shape)}), input2 ({list(input2.shape)}), target ({list(target.shape)})"
    if target.ndim not in (0, 1):
        raise ShapeError("0D or 1D target tensor expected, multi-target not supported")
    if target.ndim == 1 and (input1.ndim != 2 or input2.ndim != 2):
        raise ShapeError(
            "1D target tensor expects 2D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}.",
            notes=[sizes],
        )
    if target.ndim == 0 and (input1.ndim != 1 or input2.ndim != 1):
        raise ShapeError(
            "0D target tensor expects 1D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}.",
            notes=[sizes],
        )


@composite()
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: Number = 0,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
):
    """Zero where the first is larger than the second by `margin` (target 1), or smaller (target −1).

    Value: max(0, −target (input1 − input2) + margin)

    >>> margin_ranking_loss([1.], [2.], [1.])
    tensor(1.)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if input1.ndim != input2.ndim or input1.ndim != target.ndim:
        raise ShapeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: torch.Size({list(input1.shape)}), input2: torch.Size({list(input2.shape)}), "
            f"target: torch.Size({list(target.shape)}) "
        )
    return over(op.clamp_min(-target * (input1 - input2) + margin, 0), reduction)


@composite()
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: Number = 1.0,
    p: Number = 2,
    eps: Number = 1e-06,
    swap: Bool = False,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
):
    """Zero where the anchor is nearer to the positive than to the negative example by `margin`.

    >>> triplet_margin_loss([[0., 0.]], [[1., 0.]], [[3., 0.]])
    tensor(0.)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if margin <= 0:
        raise ScriptValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ShapeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, "
            "but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    near = op.pairwise_distance(anchor, positive, p, eps)
    far = op.pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = op.minimum(far, op.pairwise_distance(positive, negative, p, eps))
    return over(op.clamp_min(margin + near - far, 0), reduction)
