"""Connectionist temporal classification: the likelihood of a label sequence over all its alignments."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import (
    Bool,
    Int,
    NotImplementedRule,
    Str,
    Tensor,
    array,
    composite,
    general,
    looked_at,
    op,
)


class Alignment:
    """The labels of a batch with blanks between them, and which steps along them are allowed.

    labels   [sample, 2 S + 1]: blank, first label, blank, …
    skip     where a step from two places before is allowed: to a label that differs from the one before
    inside   places that belong to the sample's own labels
    """

    def __init__(self, targets: Array, times: Array, lengths: Array, blank: int) -> None:
        n, s = targets.shape
        self.times, self.lengths = times, lengths
        self.width = 2 * s + 1
        self.labels = np.full((n, self.width), blank, np.int64)
        self.labels[:, 1::2] = targets
        places = np.arange(self.width)
        self.inside = places < (2 * lengths + 1)[:, None]
        before = np.full_like(self.labels, -1)
        before[:, 2:] = self.labels[:, :-2]
        self.skip = (places % 2 == 1) & (places >= 2) & (self.labels != before)

    def emitted(self, log_probs: Array) -> Array:
        """Log probability of each place's label: [time, sample, place]."""
        index = np.broadcast_to(self.labels, (log_probs.shape[0], *self.labels.shape))
        return np.take_along_axis(log_probs, index, 2)


def _add_logs(*terms: Array) -> Array:
    """log Σ exp, of terms that may be minus infinity."""
    top = np.maximum.reduce(terms)
    safe = np.where(np.isneginf(top), 0, top)
    total = np.exp(terms[0] - safe)
    for t in terms[1:]:
        total = total + np.exp(t - safe)
    with np.errstate(divide="ignore"):
        return np.log(total) + safe


def _moved(x: Array, by: int) -> Array:
    """`x` shifted along the places, minus infinity coming in."""
    made = np.full_like(x, -np.inf)
    if by > 0:
        made[:, by:] = x[:, :-by]
    else:
        made[:, :by] = x[:, -by:]
    return made


def _forward(emitted: Array, a: Alignment) -> Array:
    """log α: [time, sample, place], the likelihood of all ways to be there then."""
    alpha = np.full(emitted.shape, -np.inf, emitted.dtype)
    if not len(emitted):
        return alpha
    alpha[0, :, :2] = emitted[0, :, :2]
    alpha[0] = np.where(a.inside, alpha[0], -np.inf)
    for t in range(1, len(emitted)):
        last = alpha[t - 1]
        jump = np.where(a.skip, _moved(last, 2), -np.inf)
        alpha[t] = np.where(a.inside, _add_logs(last, _moved(last, 1), jump) + emitted[t], -np.inf)
    return alpha


def _losses(alpha: Array, a: Alignment) -> Array:
    """Minus the log likelihood of each sample, at the end of its time and labels."""
    n = alpha.shape[1]
    every = np.arange(n)
    end = (
        alpha[np.maximum(a.times - 1, 0), every]
        if len(alpha)
        else np.full((n, a.width), -np.inf, alpha.dtype)
    )
    last = end[every, 2 * a.lengths]
    before = np.where(a.lengths > 0, end[every, np.maximum(2 * a.lengths - 1, 0)], -np.inf)
    found = _add_logs(last, before)
    return -np.where(a.times > 0, found, np.where(a.lengths == 0, 0.0, -np.inf)).astype(alpha.dtype)


def _backward(emitted: Array, a: Alignment) -> Array:
    """log β: the likelihood of all ways from there and then to the end."""
    beta = np.full(emitted.shape, -np.inf, emitted.dtype)
    n = emitted.shape[1]
    every = np.arange(n)
    skip_on = np.zeros_like(a.skip)
    skip_on[:, :-2] = a.skip[:, 2:]
    ends = np.zeros(a.inside.shape, bool)
    ends[every, 2 * a.lengths] = True
    ends[every, np.maximum(2 * a.lengths - 1, 0)] |= a.lengths > 0
    for t in range(len(emitted) - 1, -1, -1):
        here = np.where(ends, emitted[t], -np.inf)
        if t + 1 < len(emitted):
            later = beta[t + 1]
            jump = np.where(skip_on, _moved(later, -2), -np.inf)
            on = np.where(a.inside, _add_logs(later, _moved(later, -1), jump) + emitted[t], -np.inf)
            here = np.where(
                (a.times - 1 == t)[:, None], here, np.where((t < a.times - 1)[:, None], on, -np.inf)
            )
        else:
            here = np.where((a.times - 1 == t)[:, None], here, -np.inf)
        beta[t] = here
    return beta


@general(
    vjp=lambda g, y, log_probs, alignment, zero_infinity: op._ctc_backward(
        g, log_probs, alignment, looked_at(y), zero_infinity
    ),
    grad_fn="CtcLossBackward0",
)
def _ctc(log_probs: Tensor, alignment: Any, zero_infinity: Bool):
    return _losses(_forward(alignment.emitted(log_probs), alignment), alignment)


_CTC = NotImplementedRule("derivative for aten::_ctc_loss_backward is not implemented")


@general(vjp={"g": _CTC, "log_probs": _CTC}, grad_fn="CtcLossBackwardBackward0")
def _ctc_backward(g: Tensor, log_probs: Tensor, alignment: Any, losses: Any, zero_infinity: Bool):
    """The derivative, taken as if a softmax had made the log probabilities: exp(log_probs) − posterior."""
    a: Alignment = alignment
    emitted = a.emitted(log_probs)
    both = _forward(emitted, a) + _backward(emitted, a)
    posterior = np.full(log_probs.shape, -np.inf, log_probs.dtype)
    for s in range(a.width):  # places of one label add up; each sample has one label at a place
        index = np.broadcast_to(a.labels[:, s, None], (len(log_probs), a.labels.shape[0], 1))
        old = np.take_along_axis(posterior, index, 2)
        np.put_along_axis(posterior, index, _add_logs(old, both[:, :, s, None]), 2)
    with np.errstate(invalid="ignore", over="ignore"):
        made = np.exp(log_probs) - np.exp(posterior + losses[:, None] - log_probs)
        made = made * g[:, None]
    if zero_infinity:
        made = np.where(np.isinf(losses)[:, None], 0, made)
    passed = np.arange(len(log_probs))[:, None] >= a.times
    return np.where(passed[:, :, None], 0, made).astype(log_probs.dtype)


def _lengths(name: str, given: Any, n: int) -> Array:
    a = np.asarray(given if isinstance(given, (tuple, list)) else looked_at(given))
    if a.dtype.kind not in "iu":
        raise ScriptTypeError(f"{name} must be integral")
    a = a.reshape(-1).astype(np.int64)
    if a.size != n:
        raise ShapeError(f"{name} must be of size batch_size")
    return a


def _table(targets: Array, lengths: Array, n: int) -> Array:
    """Targets by sample, also where they are written one after the other."""
    longest = int(lengths.max(initial=0))
    if targets.ndim == 1:
        if targets.size != int(lengths.sum()):
            raise ShapeError(
                f"Expected targets to have {int(lengths.sum())} elements, the sum of target_lengths, but got "
                f"{targets.size}"
            )
        made = np.zeros((n, longest), np.int64)
        made[np.arange(longest) < lengths[:, None]] = targets
        return made
    if targets.shape[0] != n:
        raise ShapeError(
            f"Expected tensor to have size {n} at dimension 0, but got size {targets.shape[0]} for argument "
            "#2 "
            "'targets' (while checking arguments for ctc_loss_allocate_outputs)"
        )
    if longest > targets.shape[1]:
        raise ShapeError(
            f"Expected tensor to have size at least {longest} at dimension 1, but got size "
            f"{targets.shape[1]} for argument #2 'targets' "
            "(while checking arguments for ctc_loss_allocate_outputs)"
        )
    return np.where(np.arange(targets.shape[1]) < lengths[:, None], targets, 0)[:, :longest].astype(np.int64)


@composite()
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: Int = 0,
    reduction: Str = "mean",
    zero_infinity: Bool = False,
):
    """Minus the log likelihood of a sequence of labels, summed over all ways to spread it over time.

    `log_probs` is [time, sample, label] after a log_softmax; `targets` is [sample, label], or all labels one
    after the
    other. The mean divides each loss by the number of its labels first.

    >>> ctc_loss(log([[[0.5, 0.5]], [[0.5, 0.5]]]), [[1]], [2], [1])
    tensor(0.2877)
    """
    if reduction not in ("mean", "sum", "none"):
        raise ScriptValueError(f"{reduction} is not a valid value for reduction")
    batched = log_probs.ndim == 3
    x = log_probs if batched else op.unsqueeze(log_probs, 1)
    time, n, labels = x.shape
    if not 0 <= blank < labels:
        raise ScriptValueError("blank must be in label range")
    t = looked_at(targets)
    if t.dtype.kind == "f":
        t = t.astype(np.int64)
    times, lengths = (
        _lengths("input_lengths", input_lengths, n),
        _lengths("target_lengths", target_lengths, n),
    )
    if times.size and times.max() > time:
        raise ScriptValueError(
            f"Expected input_lengths to have value at most {time}, but got value {int(times.max())} (while "
            "checking "
            "arguments for ctc_loss_allocate_outputs)"
        )
    table = _table(t if batched or t.ndim > 1 else t[None], lengths, n)
    losses = op._ctc(x, Alignment(table, times, lengths, blank), zero_infinity)
    if not batched and reduction == "none":
        losses = op.squeeze(losses, 0)
    if zero_infinity:
        losses = op.where(np.isposinf(looked_at(losses)), op.zeros_like(losses), losses)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return op.sum(losses)
    return op.mean(losses / _like(losses, np.maximum(lengths, 1).astype(array(losses).dtype)))


def _like(x: Any, a: Array) -> Any:
    return Value(a) if type(x) is Value else a
