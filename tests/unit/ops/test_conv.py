"""Convolutions against sums written out, in every combination of stride, padding, dilation and groups."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from vardsl.ops.define import op

RNG = np.random.default_rng(3)


def slow_conv(x, w, stride, padding, dilation, groups):
    """The definition: one sum for each position."""
    dims = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    kernel = w.shape[2:]
    out = [
        (n - d * (k - 1) - 1) // s + 1
        for n, d, k, s in zip(x.shape[2:], dilation, kernel, stride, strict=True)
    ]
    y = np.zeros((x.shape[0], w.shape[0], *out), x.dtype)
    per_out, per_in = w.shape[0] // groups, w.shape[1]
    for o in range(w.shape[0]):
        first = o // per_out * per_in
        for place in np.ndindex(*out):
            for offset in np.ndindex(*kernel):
                at = tuple(place[i] * stride[i] + offset[i] * dilation[i] for i in range(dims))
                pixels = x[(slice(None), slice(first, first + per_in), *at)]
                y[(slice(None), o, *place)] += pixels @ w[(o, slice(None), *offset)]
    return y


CASES = list(product((1, 2), (0, 1, 2), (1, 2), (1, 2)))


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), CASES)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_convolution_and_its_adjoints(dims, stride, padding, dilation, groups):
    x = RNG.standard_normal((2, 4, *(5, 6, 5)[:dims]))
    w = RNG.standard_normal((6, 4 // groups, *(2, 3, 2)[:dims]))
    s, p, d = ((v,) * dims for v in (stride, padding, dilation))
    conv = getattr(op, f"conv{dims}d")
    y = conv(x, w, None, stride, padding, dilation, groups)
    np.testing.assert_allclose(y, slow_conv(x, w, s, p, d, groups), atol=1e-12)

    # <conv(x, w), g> = <x, adjoint(g, w)> = <w, weight adjoint(x, g)>
    g = RNG.standard_normal(y.shape)
    total = np.sum(y * g)
    back = op._conv_adjoint(g, w, None, x.shape[2:], s, p, d, groups)
    assert np.sum(x * back) == pytest.approx(total)
    slope = op._conv_weight(x, g, w.shape[2:], s, p, d, groups)
    assert np.sum(w * slope) == pytest.approx(total)


def test_transposed_convolution_with_output_padding_is_the_adjoint_of_a_larger_input():
    g, w = RNG.standard_normal((1, 3, 4)), RNG.standard_normal((3, 2, 3))
    y = op.conv_transpose1d(g, w, None, 3, 1, 2)
    assert y.shape == (1, 2, 3 * 3 - 2 + 2 + 2 + 1)
    x = RNG.standard_normal(y.shape)
    assert np.sum(x * y) == pytest.approx(np.sum(op.conv1d(x, w, None, 3, 1) * g))


def test_many_samples_are_worked_on_in_parts(monkeypatch):
    x, w = RNG.standard_normal((7, 2, 6, 6)), RNG.standard_normal((3, 2, 3, 3))
    whole = op.conv2d(x, w, None, 1, 1)
    back = op._conv_adjoint(whole, w, None, (6, 6), (1, 1), (1, 1), (1, 1), 1)
    monkeypatch.setattr("vardsl.ops.windows.CHUNK", 4096)
    np.testing.assert_allclose(op.conv2d(x, w, None, 1, 1), whole, atol=1e-12)
    parts = op._conv_adjoint(whole, w, None, (6, 6), (1, 1), (1, 1), (1, 1), 1)
    np.testing.assert_allclose(parts, back, atol=1e-12)


def test_inputs_that_are_not_contiguous():
    x, w = RNG.standard_normal((5, 6, 2, 3)), RNG.standard_normal((3, 3, 2, 4))
    turned, kernel = x.transpose(3, 2, 1, 0), w.transpose(3, 2, 1, 0)[:, :2]
    plain = op.conv2d(turned.copy(), kernel.copy())
    np.testing.assert_allclose(op.conv2d(turned, kernel), plain, atol=1e-12)
