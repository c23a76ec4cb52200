"""Losses of classification: cross entropy and negative log likelihood."""

from __future__ import annotations

import numpy as np

from vardsl.engine.declared import Onto
from vardsl.engine.dtypes import BY_NP, Array
from vardsl.engine.large import LARGE
from vardsl.engine.tiles import perform, starts
from vardsl.engine.value import Value
from vardsl.errors import ScriptIndexError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import (
    Bool,
    Index,
    Int,
    Number,
    Str,
    Tensor,
    array,
    composite,
    general,
    looked_at,
    nondiff,
    op,
)
from vardsl.ops.loss import reduction_of

CLASSES = (np.dtype(np.int64), np.dtype(np.uint8))  # what targets may be

# ---- targets -----------------------------------------------------------------------------------------------


def _by_class(target: Array) -> Array:
    """Class indices with a dimension of one in the place of the classes."""
    return np.expand_dims(target, 1 if target.ndim else 0)


def _check_targets(target: Array, classes: int, ignore_index: int) -> Array:
    """Which targets count. Raises ScriptIndexError for one that is no class."""
    counts = target != ignore_index
    bad = counts & ((target < 0) | (target >= classes))
    if bad.any():
        raise ScriptIndexError(
            f"Target {target[bad].flat[0]} is out of bounds.",
            hint=f"there are {classes} classes, 0 … {classes - 1}",
        )
    return counts


def _target_weights(
    target: Array, weight: Array | None, classes: int, ignore_index: int, dtype: np.dtype
) -> Array:
    """What each sample counts: 0 where it is ignored, else the weight of its class."""
    counts = _check_targets(target, classes, ignore_index)
    if weight is None:
        return counts.astype(dtype)
    return np.where(counts, weight[np.where(counts, target, 0)], dtype.type(0))


def _picked(x: Array, target: Array, classes_dim: int) -> Array:
    safe = _safe(target, x.shape[classes_dim])
    return np.take_along_axis(x, np.expand_dims(safe, classes_dim), classes_dim).squeeze(classes_dim)


def _weighted(losses: Array, weights: Array, reduction: str) -> Array:
    losses = np.where(weights == 0, losses.dtype.type(0), losses * weights)
    if reduction == "none":
        return losses
    total = np.add.reduce(losses, axis=None)
    if reduction == "sum":
        return total
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.divide(total, np.add.reduce(weights, axis=None))


@nondiff(likes=("input",), model="input")
def _class_slopes(input: Tensor, target: Index, weight: Tensor | None, reduction: Str, ignore_index: Int):
    """By sample and class: the loss by that class's score; the mean's division included."""
    made = np.zeros(input.shape, input.dtype)
    places = _plain_rows(input, target, weight, ignore_index)
    if places is not None:
        made.reshape(-1)[places] = -1 / len(places) if reduction == "mean" else -1
        return made
    dim = 1 if input.ndim > 1 else 0
    shares = _shares(input, target, weight, reduction, ignore_index)
    safe = _safe(target, input.shape[dim])
    np.put_along_axis(made, np.expand_dims(safe, dim), np.expand_dims(shares, dim), dim)
    return made


def _shares(input: Array, target: Array, weight: Array | None, reduction: str, ignore_index: int) -> Array:
    """By sample: the loss by the score of its class; the mean's division included."""
    w = _target_weights(target, weight, input.shape[1 if input.ndim > 1 else 0], ignore_index, input.dtype)
    if reduction == "mean":
        with np.errstate(invalid="ignore", divide="ignore"):
            w = np.where(w == 0, w, w / np.add.reduce(w, axis=None))
    return -w


def _safe(target: Array, classes: int) -> Array:
    return np.where((target >= 0) & (target < classes), target, 0)


def _for_classes(g, reduction, dim):
    """A cotangent of the losses, to be multiplied with a value per class."""
    return op.unsqueeze(g, dim) if reduction == "none" else g


# ---- for plans: the gradient of a cross entropy without the zeros of the likelihood's ----------------------


@nondiff(likes=("input",))
def _class_shares(input: Tensor, target: Index, weight: Tensor | None, reduction: Str, ignore_index: Int):
    """What `_class_slopes` has at each sample's class, as a column."""
    places = _plain_rows(input, target, weight, ignore_index)
    if places is None:
        return _shares(input, target, weight, reduction, ignore_index)[:, None]
    share = -1 / len(places) if reduction == "mean" else -1
    return np.full((len(places), 1), share, input.dtype)


@nondiff(likes=("input",))
def _class_places(input: Tensor, target: Index):
    """Each sample's class, as a column; 0 for what is none."""
    return _safe(target, input.shape[1]).astype(np.int64)[:, None]


def _class_gradient_into(out, scratch, logs, places, shares, g=None):
    """With p for what a row has at its class, the row's sum is p: `0 - exp(y) p` elsewhere is `exp(y) (-p)`,
    and at the class p is added."""
    share, minus = scratch(shares.shape, out.dtype), scratch((1, *shares.shape), out.dtype)[0, ...]
    return [
        (np.exp, (logs, out)),
        (np.multiply, (shares, 1 if g is None else g, share)),
        (np.negative, (share, minus)),
        (np.multiply, (out, minus, out)),
        (_add_at_classes, (out, logs, places, shares, share, g)),
    ]


def _add_at_classes(
    out: Array, logs: Array, places: Array, shares: Array, share: Array, g: Array | None
) -> None:
    rows, classes = out.shape
    out.reshape(-1)[places[:, 0] + starts(rows, classes)] += share[:, 0]
    known = share / share  # nan where that is 0, infinite or nan: signs and nan then come from the zeros too
    if np.add.reduce(known, axis=None) != rows:
        odd = np.flatnonzero(known[:, 0] != 1)
        made = np.zeros((len(odd), classes), out.dtype)
        np.put_along_axis(made, places[odd], shares[odd], 1)
        if g is not None:
            made *= g[odd] if g.ndim else g
        out[odd] = made - np.exp(logs[odd]) * np.add.reduce(made, 1, None, None, True)


@nondiff(stream="pointwise", into=_class_gradient_into)
def _class_gradient(logs: Tensor, places: Tensor, shares: Tensor, g: Tensor | None):
    """`s g - exp(logs) sum(s g)`, row by row, for slopes `s` that are the shares at the places, else zero."""
    out = np.empty(logs.shape, logs.dtype)
    perform(_class_gradient_into(out, np.empty, logs, places, shares, g))
    return out


# ---- negative log likelihood -------------------------------------------------------------------------------


def _nll_vjp(g, input, target, weight, reduction, ignore_index):
    if type(input) is np.ndarray and reduction != "none":
        places = _plain_rows(input, target, weight, ignore_index)
        if places is not None:
            # what is below, with one product in place of one for each element
            one = input.dtype.type
            made = np.empty(input.shape, input.dtype)
            made.fill(one(0) * g)
            made.reshape(-1)[places] = one(-1 / len(places) if reduction == "mean" else -1) * g
            return made
    dim = 1 if input.ndim > 1 else 0
    slopes = op._class_slopes(input, target, weight, reduction, ignore_index)
    return slopes * _for_classes(g, reduction, dim)


def _onto_scores(g, logs, target, weight, reduction, ignore_index):
    """The rules of the likelihood and of the log softmax `logs` in one: zeros are neither made nor added
    up."""
    if logs.ndim != 2 or logs.size >= LARGE or reduction == "none":
        return None
    places = _plain_rows(logs, target, weight, ignore_index)
    if places is None:
        return None
    share = logs.dtype.type(-1 / len(logs) if reduction == "mean" else -1) * g
    if not -np.inf < share < 0:
        return None
    # a row's sum is its share: `0 - exp(y) share` elsewhere, and at the class the share is added to that
    made = np.exp(logs)
    np.multiply(made, -share, made)
    made.reshape(-1)[places] += share
    return made


def _plain_rows(input: Array, target: Array, weight: Array | None, ignore_index: int) -> Array | None:
    """Where in the flat scores each sample's class stands, where every sample counts as one."""
    if weight is not None or input.ndim != 2 or not input.size or not input.flags.c_contiguous:
        return None
    rows, classes = input.shape
    if target.dtype.kind != "i" or 0 <= ignore_index < classes:
        return None
    if target.dtype.itemsize == 8:
        # a negative one is larger than any class where its bits are read without a sign
        bits = target.view(np.uint64)
        if bits.item(bits.argmax()) >= classes:
            return None
    elif np.minimum.reduce(target) < 0 or np.maximum.reduce(target) >= classes:
        return None
    return target + starts(rows, classes)


def _nll(input: Array, target: Array, weight: Array | None, reduction: str, ignore_index: int) -> Array:
    places = _plain_rows(input, target, weight, ignore_index)
    if places is not None:
        losses = input.reshape(-1).take(places)
        if reduction == "none":
            return -losses
        total = np.add.reduce(losses)
        return -total if reduction == "sum" else -total / len(losses)
    dim = 1 if input.ndim > 1 else 0
    weights = _target_weights(target, weight, input.shape[dim], ignore_index, input.dtype)
    return _weighted(-_picked(input, target, dim), weights, reduction)


@general(
    vjp={"input": _nll_vjp},
    grad_fn="NllLossBackward0",
    onto=Onto("_log_softmax", _onto_scores, lambda dim: dim in (1, -1)),
)
def _nll_rows(input: Tensor, target: Index, weight: Tensor | None, reduction: Str, ignore_index: Int):
    return _nll(input, target, weight, reduction, ignore_index)


@general(vjp={"input": _nll_vjp}, grad_fn="NllLoss2DBackward0")
def _nll_maps(input: Tensor, target: Index, weight: Tensor | None, reduction: Str, ignore_index: Int):
    return _nll(input, target, weight, reduction, ignore_index)


@general(vjp={"input": _nll_vjp}, grad_fn="ViewBackward0")
def _nll_stacks(input: Tensor, target: Index, weight: Tensor | None, reduction: Str, ignore_index: Int):
    return _nll(input, target, weight, reduction, ignore_index)


for _likelihood in (_nll_rows, _nll_maps, _nll_stacks):
    _likelihood.kernel = _nll  # what they all do, in one call


def _nll_op(input, reduction):
    """The operation whose node has the name that PyTorch gives it for an input of these dimensions."""
    if input.ndim <= 2:
        return _nll_rows
    return _nll_maps if input.ndim == 4 or reduction != "none" else _nll_stacks


def _check_nll(input, target, weight):
    x, t = array(input), array(target)
    if x.ndim == 2 and t.shape == x.shape[:1] and t.dtype in CLASSES and weight is None:
        return
    n = input.ndim
    if n == 0 or target.ndim > n:
        raise ShapeError("input tensor should be 1D or 2D")
    classes = input.shape[1] if n > 1 else input.shape[0]
    if n == 1:
        if target.ndim > 1 or (target.ndim == 1 and target.shape[0] != 1):
            raise ShapeError(
                f"For 1D input, 1D target must have size 1, but got target size: {target.shape[0]}"
            )
    elif target.ndim == 0 or input.shape[0] != target.shape[0]:
        got = target.shape[0] if target.ndim else 1
        raise ScriptValueError(
            f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({got})."
        )
    elif n == 2:
        if target.ndim > 1:
            raise ShapeError("0D or 1D target tensor expected, multi-target not supported")
    elif input.shape[2:] != target.shape[1:] or target.ndim != n - 1:
        expected = [input.shape[0], *input.shape[2:]]
        if n == 4 and target.ndim == 3:
            raise ShapeError(f"size mismatch (got input: {list(input.shape)} , target: {list(target.shape)}")
        raise ShapeError(f"Expected target size {expected}, got {list(target.shape)}")
    a = array(target)
    if a.dtype not in CLASSES:
        raise ScriptTypeError(
            f"expected target dtype to be Long or Byte, but got {BY_NP[a.dtype].type_name}",
            hint="targets are classes: x.long()",
        )
    if weight is not None and (weight.ndim != 1 or weight.shape[0] != classes):
        raise ShapeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight "
            "tensor "
            f"of shape: {list(weight.shape)}"
        )


@composite()
def nll_loss(
    input: Tensor,
    target: Index,
    weight: Tensor | None = None,
    size_average: Bool | None = None,
    ignore_index: Int = -100,
    reduce: Bool | None = None,
    reduction: Str = "mean",
):
    """Negative log likelihood: minus the log probability of each sample's class.

    Classes are the second dimension of `input`. The mean is weighted by the classes' `weight`.

    Value: −weight[target] · input[target]

    >>> nll_loss([[-1., -2.], [-3., -4.]], [0, 1])
    tensor(2.5000)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    _check_nll(input, target, weight)
    return _nll_loss(input, target, weight, reduction, ignore_index)


def _nll_loss(input, target, weight, reduction, ignore_index):
    if input.ndim == 1 and target.ndim == 1:
        return _nll_rows(op.unsqueeze(input, 0), target, weight, reduction, ignore_index)
    return _nll_op(input, reduction).run([input, target, weight, reduction, ignore_index])


# ---- cross entropy -----------------------------------------------------------------------------------------


@composite()
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Bool | None = None,
    ignore_index: Int = -100,
    reduce: Bool | None = None,
    reduction: Str = "mean",
    label_smoothing: Number = 0.0,
):
    """Cross entropy between scores of classes and the true classes, or their probabilities.

    Classes are the second dimension of `input`, or the only one. Scores need no softmax; the loss applies it.

    Value: −log softmax(input)[target]
    Derivative: g (softmax(input) − onehot(target)) / n

    >>> cross_entropy([[2., 0.], [0., 0.]], [0, 1])
    tensor(0.4100)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if weight is None and label_smoothing == 0.0 and type(input) is Value and type(target) is Value:
        x, t = input.array, target.array
        if x.ndim == 2 and t.ndim == 1 and len(t) == len(x) and t.dtype in CLASSES:
            return _nll_rows.run([op._log_softmax.run([input, 1]), target, None, reduction, ignore_index])
    if not 0.0 <= label_smoothing <= 1.0:
        raise ScriptValueError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    shape = array(input).shape
    dim = 0 if len(shape) == 1 else 1
    if array(target).shape == shape:
        return _soft_targets(input, target, weight, reduction, label_smoothing, dim)
    _check_nll(input, target, weight)
    if label_smoothing > 0:
        return _smoothed(input, target, weight, reduction, ignore_index, label_smoothing, dim)
    return _nll_loss(op._log_softmax.run([input, dim]), target, weight, reduction, ignore_index)


def _class_column(weight, ndim):
    return op.reshape(weight, (1, -1) + (1,) * (ndim - 2)) if ndim > 1 else weight


def _soft_targets(input, target, weight, reduction, smoothing, dim):
    """Cross entropy with probabilities for targets."""
    if array(target).dtype.kind != "f":
        raise ScriptTypeError("Expected floating point type for target with class probabilities, got "
                              f"{BY_NP[array(target).dtype].type_name}")  # fmt: skip
    classes = input.shape[dim]
    if weight is not None and (weight.ndim != 1 or weight.shape[0] != classes):
        raise ShapeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes or no classes "
            "but got "
            f"weight tensor of shape: {list(weight.shape)}"
        )
    logs = op.log_softmax(input, dim)
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / classes
    terms = logs * target
    if weight is not None:
        terms = terms * _class_column(weight, input.ndim)
    if reduction == "none":
        return -op.sum(terms, dim)
    total = -op.sum(terms)
    if reduction == "sum":
        return total
    size = 1
    for n in input.shape:
        size *= n
    return op._by_samples(total, size / classes if classes else float("nan"))


@general(vjp=lambda g, count: op._by_samples(g, count), grad_fn="DivBackward1")
def _by_samples(input: Tensor, count: Number):
    return np.divide(input, input.dtype.type(count))


@nondiff()
def _kept(target: Index, ignore_index: Int):
    return target != ignore_index


@nondiff()
def _weights_of(target: Index, weight: Tensor, ignore_index: Int):
    return _target_weights(target, weight, weight.shape[0], ignore_index, weight.dtype)


def _smoothed(input, target, weight, reduction, ignore_index, smoothing, dim):
    """Cross entropy with a share of the target given to all classes."""
    logs = op.log_softmax(input, dim)
    if input.ndim == 1 and target.ndim == 1:
        target = op.reshape(target, ())
    nll = _nll_loss(logs, target, weight, reduction, ignore_index)
    spread = -op.sum(logs if weight is None else logs * _class_column(weight, input.ndim), dim)
    kept = op._kept(target, ignore_index)
    spread = op.where(kept, spread, op.zeros_like(spread))
    if reduction != "none":
        spread = op.sum(spread)
    if reduction == "mean":
        if weight is None:
            count = int(np.count_nonzero(looked_at(kept)))
            spread = spread / (count if count else float("nan"))
        else:
            spread = spread / op.sum(op._weights_of(target, weight, ignore_index))
    classes = input.shape[dim]
    return nll * (1 - smoothing) + spread * (smoothing / classes)
