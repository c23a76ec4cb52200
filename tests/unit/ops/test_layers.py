"""Layers with state or randomness, and the two ways in which attention is computed."""

from __future__ import annotations

import numpy as np
import pytest

from vardsl.engine.backward import grad
from vardsl.engine.context import state
from vardsl.engine.value import Value
from vardsl.ops.define import op

RNG = np.random.default_rng(11)


def test_running_statistics_move_in_place_and_count_as_changes():
    x = RNG.standard_normal((6, 3))
    mean, var = Value(np.zeros(3)), Value(np.ones(3))
    op.batch_norm(Value(x), mean, var, training=True, momentum=0.25)
    np.testing.assert_allclose(mean.array, 0.25 * x.mean(0))
    np.testing.assert_allclose(var.array, 0.75 + 0.25 * x.var(0, ddof=1))
    assert mean.version == var.version == 1
    op.batch_norm(Value(x), mean, var)
    assert mean.version == 1


def test_embedding_scales_the_rows_in_use_to_max_norm():
    table = Value(np.array([[3.0, 4.0], [30.0, 40.0], [0.3, 0.4]]))
    y = op.embedding(Value(np.array([0, 2])), table, max_norm=1.0)
    np.testing.assert_allclose(np.linalg.norm(y.array, axis=1), [1, 0.5], rtol=1e-6)
    np.testing.assert_allclose(table.array[1], [30, 40])


def test_dropout_keeps_the_mean_and_its_mask_is_that_of_the_gradient():
    state.ctx.generator.manual_seed(1)
    x = Value(np.ones(20_000), True)
    y = op.dropout(x, 0.25)
    assert set(np.unique(y.array)) == {0.0, 1 / 0.75}
    assert y.array.mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(grad([op.sum(y)], [x])[0].array, y.array)
    assert not op.dropout(x, 1.0).array.any()
    assert op.dropout(x, 0.0) is x


@pytest.mark.parametrize("masked", [None, "causal", "bool", "added"])
def test_attention_at_once_is_attention_by_steps(masked):
    q, k, v = (Value(RNG.standard_normal((2, 2, 4, 3)), True) for _ in range(3))
    hidden = np.tril(np.ones((4, 4), bool))
    hidden[2] = False  # a row that may look at nothing
    options = {
        None: {}, "causal": {"is_causal": True}, "bool": {"attn_mask": Value(hidden)},
        "added": {"attn_mask": Value(np.where(hidden, 0.5, -np.inf))},
    }[masked]  # fmt: skip
    at_once = op.scaled_dot_product_attention(q, k, v, **options)
    parts = [op.scaled_dot_product_attention(q[i], k[i], v[i], **options) for i in range(2)]
    by_steps = op.stack(parts)
    np.testing.assert_allclose(at_once.array, by_steps.array, atol=1e-12)
    g = RNG.standard_normal(at_once.shape)
    both = (grad([op.sum(y * g)], [q, k, v]) for y in (at_once, by_steps))
    for a, b in zip(*both, strict=True):
        np.testing.assert_allclose(a.array, b.array, atol=1e-12)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_pooled_elements_are_found_where_the_indices_say(dims, dilation):
    x = RNG.standard_normal((2, 3, 9, 8, 7)[: 2 + dims])
    pool = getattr(op, f"max_pool{dims}d")
    y, places = pool(x, 2, 2, 1, dilation, True, True)
    flat = x.reshape(2, 3, -1)
    found = np.take_along_axis(flat, places.reshape(2, 3, -1), 2)
    np.testing.assert_array_equal(found.reshape(y.shape), y)


def test_a_window_with_nan_gives_nan():
    x = np.array([[[1.0, np.nan, 3.0, 4.0]]])
    y, places = op.max_pool1d(x, 2, return_indices=True)
    assert np.isnan(y[0, 0, 0]) and places[0, 0, 0] == 1 and y[0, 0, 1] == 4
