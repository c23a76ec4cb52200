"""ctc_loss against a sum over all alignments, and its gradient against differences."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from vardsl.engine.backward import grad
from vardsl.engine.value import Value
from vardsl.ops.define import op

RNG = np.random.default_rng(5)


def collapsed(path, blank):
    """What an alignment spells: repeated labels once, blanks left out."""
    return [c for i, c in enumerate(path) if c != blank and (i == 0 or path[i - 1] != c)]


def by_enumeration(log_probs, target, blank):
    total = 0.0
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        if collapsed(path, blank) == list(target):
            total += np.exp(sum(log_probs[t, c] for t, c in enumerate(path)))
    return -np.log(total) if total else np.inf


def normalized(x):
    return x - np.log(np.sum(np.exp(x), -1, keepdims=True))


@pytest.mark.parametrize("target", [[1, 2], [1, 1], [2], [], [1, 2, 1]])
@pytest.mark.parametrize("blank", [0, 3])
def test_loss_is_the_sum_over_all_alignments(target, blank):
    log_probs = normalized(RNG.standard_normal((5, 1, 4)))
    padded = np.array([[*target, 0][: max(len(target), 1)]])
    loss = op.ctc_loss(log_probs, padded, [5], [len(target)], blank, "none")
    assert loss[0] == pytest.approx(by_enumeration(log_probs[:, 0], target, blank))


def test_samples_of_different_lengths_do_not_disturb_each_other():
    log_probs = normalized(RNG.standard_normal((6, 3, 4)))
    targets, times, lengths = np.array([[1, 2, 3], [2, 2, 0], [3, 0, 0]]), [6, 4, 2], [3, 2, 1]
    losses = op.ctc_loss(log_probs, targets, times, lengths, 0, "none")
    for i in range(3):
        alone = by_enumeration(log_probs[: times[i], i], targets[i, : lengths[i]], 0)
        assert losses[i] == pytest.approx(alone)
    flat = np.array([1, 2, 3, 2, 2, 3])
    np.testing.assert_allclose(op.ctc_loss(log_probs, flat, times, lengths, 0, "none"), losses)


def test_what_does_not_fit_is_infinite_or_zero():
    log_probs = normalized(RNG.standard_normal((2, 1, 3)))
    arguments = (np.array([[1, 1]]), [2], [2], 0, "none")
    assert np.isposinf(op.ctc_loss(log_probs, *arguments)[0])
    x = Value(log_probs, True)
    loss = op.ctc_loss(x, *arguments, True)
    assert loss.array[0] == 0
    assert not grad([op.sum(loss)], [x])[0].array.any()


def test_gradient_through_log_softmax():
    scores = RNG.standard_normal((5, 2, 4))
    targets, times, lengths = np.array([[1, 1], [2, 3]]), [5, 4], [2, 2]

    def loss(s):
        return op.ctc_loss(op.log_softmax(s, -1), targets, times, lengths)

    x = Value(scores, True)
    slope = grad([loss(x)], [x])[0].array
    for place in [(0, 0, 1), (2, 1, 3), (4, 1, 0), (3, 0, 2)]:
        step = np.zeros_like(scores)
        step[place] = 1e-6
        numeric = (loss(scores + step) - loss(scores - step)) / 2e-6
        assert slope[place] == pytest.approx(float(numeric), abs=1e-7)
