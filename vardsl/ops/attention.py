"""Attention, and dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.engine.tiles import add_along, sums_along
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import (
    Bool,
    NotImplementedRule,
    Number,
    Tensor,
    array,
    composite,
    creation,
    general,
    looked_at,
    op,
)
from vardsl.ops.linalg import C_NAMES, type_of
from vardsl.ops.sampling import stream

# ---- dropout -----------------------------------------------------------------------------------------------


@creation()
def _dropout_noise(input: Tensor, p: Number):
    dtype = array(input).dtype
    if p == 1:
        return np.zeros(input.shape, dtype)
    return np.asarray(stream().bernoulli_scalar(1 - p, tuple(input.shape), dtype) / dtype.type(1 - p), dtype)


@composite()
def dropout(input: Tensor, p: Number = 0.5, training: Bool = True, inplace: Bool = False):
    """Elements set to 0 with probability `p`, the others divided by 1 − p; only in `training`.

    >>> dropout([1., 2.], 0.5, training=false)
    tensor([1., 2.])
    """
    if p < 0 or p > 1:
        raise ScriptValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if p == 0 or not training or 0 in input.shape:
        return input
    dtype = array(input).dtype
    if dtype.kind != "f":
        raise ScriptTypeError(
            f"result type Float can't be cast to the desired output type {np.dtype(dtype).name}",
            hint="x.float() or x.double()",
        )
    y = input * op._dropout_noise(input, p)
    if inplace:
        return op.copy_(input, y)
    return y


# ---- attention ---------------------------------------------------------------------------------------------


def _causal(rows: int, columns: int) -> Array:
    """Which earlier places each place may look at."""
    return np.tril(np.ones((rows, columns), bool))


def _safely(scores: Array) -> Array:
    """Softmax over the last dimension, 0 where everything is minus infinity."""
    top = np.maximum.reduce(scores, -1, keepdims=True, initial=-np.inf)
    _finite(top)
    e = np.exp(scores - top)
    total = sums_along(e, -1)
    _positive(total)
    return np.divide(e, total, e)


def _finite(top: Array) -> None:
    np.copyto(top, 0, where=np.isneginf(top))


def _positive(total: Array) -> None:
    np.copyto(total, 1, where=total == 0)


def _safely_into(out: Array, scratch: Any, input: Array) -> Any:
    if input.dtype != out.dtype or not input.size or not input.flags.c_contiguous:
        return None
    row = scratch((*input.shape[:-1], 1), out.dtype)
    return [
        (np.maximum.reduce, (input, -1, None, row, True)),
        (_finite, (row,)),
        (np.subtract, (input, row, out)),
        (np.exp, (out, out)),
        *add_along(out, -1, row),
        (_positive, (row,)),
        (np.divide, (out, row, out)),
    ]


@general(
    vjp=lambda g, y: y * (g - op.sum(g * y, -1, True)), grad_fn="SafeSoftmaxBackward0", into=_safely_into
)
def _safe_softmax(input: Tensor):
    return _safely(np.ascontiguousarray(input))


def _weights(q, k, mask, scale):
    """Softmax of the scores, of arrays or values; rows in which everything is masked are 0."""
    scores = op._matmul_stacks(q, op._swapped(k)) * scale
    if mask is not None:
        scores = op._where(mask, scores, -math.inf) if mask.dtype.kind == "b" else scores + mask
    return op._safe_softmax(scores)


_FLASH = NotImplementedRule(
    "derivative for aten::_scaled_dot_product_flash_attention_for_cpu_backward is not implemented"
)


def _flash_vjp(g, query, key, value, mask, scale):
    return op._flash_backward(g, query, key, value, mask, scale)


def _attended(query, key, value, mask, scale):
    return op._matmul_stacks(_weights(query, key, mask, scale), value)


@general(
    shared=_flash_vjp, grad_fn="ScaledDotProductFlashAttentionForCpuBackward0", lowered=_attended
)
def _flash(query: Tensor, key: Tensor, value: Tensor, mask: Any | None, scale: Number):
    return _attended(query, key, value, mask, scale)


def _attended_back(g, query, key, value, mask, scale):
    w = _weights(query, key, mask, scale)
    dv = op._matmul_stacks(op._swapped(w), g)
    dw = op._matmul_stacks(g, op._swapped(value))
    ds = w * (dw - op._row_dot(dw, w)) * scale
    return op._matmul_stacks(ds, key), op._matmul_stacks(op._swapped(ds), query), dv


@general(
    vjp={"g": _FLASH, "query": _FLASH, "key": _FLASH, "value": _FLASH},
    grad_fn="ScaledDotProductFlashAttentionForCpuBackwardBackward0",
    lowered=_attended_back,
)
def _flash_backward(g: Tensor, query: Tensor, key: Tensor, value: Tensor, mask: Any | None, scale: Number):
    return _attended_back(g, query, key, value, mask, scale)


def _by_parts(query, key, value, mask, dropout_p, scale):
    """Attention as its steps."""
    root = math.sqrt(scale) if scale >= 0 else None
    if root is None:
        scores = op.matmul(query * scale, op._swapped(key))
    else:
        scores = op.matmul(query * root, op._swapped(key) * root)
    if mask is not None:
        a = looked_at(mask)
        if a.dtype.kind == "b":
            scores = op.masked_fill(scores, ~a, -math.inf)
        else:
            scores = scores + mask
    weights = op._safe_softmax(scores)
    if dropout_p > 0:
        weights = op.dropout(weights, dropout_p)
    return op.matmul(weights, value)


def _repeated(x, heads):
    """Each head of keys and values as often as query heads share it."""
    n = x.shape[-3]
    return x if n == heads else op.repeat_interleave(x, heads // n, x.ndim - 3)


def _c_name(x):
    return C_NAMES[type_of(array(x))]


def _check_attention(query, key, value, mask, is_causal, gqa):
    name = "scaled_dot_product_attention"
    types = {array(x).dtype for x in (query, key, value)}
    if len(types) > 1:
        raise ScriptTypeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            + " ".join(
                f"{which}{_c_name(x)}"
                for which, x in (("", query), ("key.dtype: ", key), ("and value.dtype: ", value))
            )
            + " instead."
        )
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise ShapeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    if mask is not None:
        if is_causal:
            raise ScriptValueError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
            )
        a = array(mask)
        if a.dtype.kind != "b" and a.dtype != array(query).dtype:
            raise ScriptTypeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
                "attn_mask.dtype: "
                f"{_c_name(a)} and  query.dtype: {_c_name(query)} instead.",
                notes=[name],
            )
    if gqa and (query.ndim < 3 or query.shape[-3] % key.shape[-3]):
        raise ShapeError("Number of heads in key and value must divide the number of heads in query")


@composite()
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: Number = 0.0,
    is_causal: Bool = False,
    scale: Number | None = None,
    enable_gqa: Bool = False,
):
    """Attention: means of the values, weighted by how well the query fits their keys.

    A boolean `attn_mask` says what takes part, another one is added to the scores; `is_causal` hides later
    places.
    With `enable_gqa` several heads of queries share one of keys and values.

    Value: softmax(query keyᵀ · scale + mask) value, scale = 1/√E unless given

    >>> scaled_dot_product_attention([[1., 0.]], [[1., 0.], [1., 0.]], [[2.], [4.]])
    tensor([[3.]])
    """
    _check_attention(query, key, value, attn_mask, is_causal, enable_gqa)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None and query.shape[-1] else scale or 0.0
    flash = (
        query.ndim == key.ndim == value.ndim == 4
        and dropout_p == 0
        and query.shape[-1] == key.shape[-1] == value.shape[-1]
        and query.shape[0] == key.shape[0] == value.shape[0]
        and (enable_gqa or query.shape[1] == key.shape[1] == value.shape[1])
        and not (type(attn_mask) is Value and attn_mask.requires_grad)
        and 0 not in (*query.shape, *key.shape)
    )
    if enable_gqa:
        key, value = _repeated(key, query.shape[-3]), _repeated(value, query.shape[-3])
    mask = _causal(query.shape[-2], key.shape[-2]) if is_causal else attn_mask
    if flash:
        return op._flash(query, key, value, None if mask is None else looked_at(mask), factor)
    return _by_parts(query, key, value, mask, dropout_p, factor)
