"""Binary cross entropy, of probabilities and of scores."""

from __future__ import annotations

import numpy as np

from vardsl.engine.large import pointwise
from vardsl.errors import ScriptValueError
from vardsl.ops.define import Bool, Str, Tensor, composite, general, op
from vardsl.ops.loss import input_size, no_gradient, over, reduced, reduction_of, share, streams


def _bce_vjp(g, input, target, weight, reduction):
    slope = (input - target) / op.clamp_min((1 - input) * input, 1e-12)
    slope = slope * share(g, input_size(input), reduction)
    return slope if weight is None else slope * weight


def _bce_target_vjp(g, input, weight, reduction):
    slope = (op.log(1 - input) - op.log(input)) * share(g, input_size(input), reduction)
    return slope if weight is None else slope * weight


@general(vjp={"input": _bce_vjp, "target": _bce_target_vjp}, grad_fn="BinaryCrossEntropyBackward0")
def _bce(input: Tensor, target: Tensor, weight: Tensor | None, reduction: Str):
    if input.size and not ((input >= 0) & (input <= 1)).all():
        raise ScriptValueError(
            "all elements of input should be between 0 and 1",
            hint="for scores without a sigmoid there is binary_cross_entropy_with_logits",
        )
    def each(input, target):
        return (target - 1) * np.maximum(np.log1p(-input), -100) - target * np.maximum(np.log(input), -100)

    with np.errstate(divide="ignore"):
        loss = pointwise(each, (input, target))
    return reduced(loss if weight is None else loss * weight, reduction)


@composite()
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
):
    """Cross entropy of probabilities and targets between 0 and 1. Logarithms are cut off at −100.

    Value: −target log(input) − (1 − target) log(1 − input)

    >>> binary_cross_entropy([0.5, 0.9], [1., 1.])
    tensor(0.3993)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ScriptValueError(
            f"Using a target size (torch.Size({list(target.shape)})) that is different to the input size "
            f"(torch.Size({list(input.shape)})) is deprecated. Please ensure they have the same size."
        )
    if weight is not None:
        no_gradient("binary_cross_entropy", weight=weight)
        weight = op.expand(weight, np.broadcast_shapes(target.shape, weight.shape))
    return op._bce(input, target, weight, reduction)


def _logits_vjp(g, input, target, weight, pos_weight, reduction):
    def each(input, target, pos_weight, g):
        s = op.sigmoid(input)
        if pos_weight is None:
            return (s - target) * g
        t = pos_weight * target
        return ((t + 1 - target) * s - t) * g

    slope = pointwise(each, (input, target, pos_weight, share(g, input_size(input), reduction)))
    return slope if weight is None else slope * weight


def _logits_target_vjp(g, input, weight, pos_weight, reduction):
    slope = -input if pos_weight is None else op.logsigmoid(-input) - pos_weight * op.logsigmoid(input)
    slope = slope * share(g, input_size(input), reduction)
    return slope if weight is None else slope * weight


def _logits_steps(input, target, weight, pos_weight, reduction):
    if weight is not None or pos_weight is not None or not streams(input, target):
        return None
    loss = op.log1p(op.exp(-op.abs(input))) - op.clamp_max(input, 0)
    return over(loss + (1 - target) * input, reduction)


@general(
    vjp={"input": _logits_vjp, "target": _logits_target_vjp},
    grad_fn="BinaryCrossEntropyWithLogitsBackward0",
    lowered=_logits_steps,
)
def _bce_logits(
    input: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None, reduction: Str
):
    def each(input, target, pos_weight):
        # log(1 + exp(-x)) = log1p(exp(-|x|)) + max(-x, 0)
        loss = np.log1p(np.exp(-np.abs(input))) - np.minimum(input, 0)
        if pos_weight is not None:
            loss = loss * ((pos_weight - 1) * target + 1)
        loss += (1 - target) * input
        return loss

    loss = pointwise(each, (input, target, pos_weight))
    return reduced(loss if weight is None else loss * weight, reduction)


@composite()
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Bool | None = None,
    reduce: Bool | None = None,
    reduction: Str = "mean",
    pos_weight: Tensor | None = None,
):
    """Cross entropy of scores, whose sigmoids are probabilities, and targets between 0 and 1.

    Value: (1 − target) input + log(1 + exp(−input))
    Derivative: g (sigmoid(input) − target)

    >>> binary_cross_entropy_with_logits([0., 2.], [1., 1.])
    tensor(0.4100)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ScriptValueError(
            f"Target size (torch.Size({list(target.shape)})) must be the same as input size "
            f"(torch.Size({list(input.shape)}))"
        )
    no_gradient("binary_cross_entropy_with_logits", weight=weight, pos_weight=pos_weight)
    return op._bce_logits(input, target, weight, pos_weight, reduction)
