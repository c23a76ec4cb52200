"""Tensors made wider at their ends: with a number, mirrored, repeated at the edge, or round and round."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.errors import ScriptValueError, ShapeError
from vardsl.ops.define import Ints, Number, Sizes, Str, Tensor, composite, general, op
from vardsl.ops.dims import named

_COMBINATIONS = (
    "Padding size {} is not supported for {}D input tensor.\nSupported combinations for non-constant "
    "padding:\n"
    "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
    "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
    "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
)


def _pairs(pad: tuple[int, ...], ndim: int) -> list[tuple[int, int]]:
    """The widths before and after each dimension; `pad` begins with the last one."""
    pairs = [(0, 0)] * ndim
    for k in range(len(pad) // 2):
        pairs[ndim - 1 - k] = (pad[2 * k], pad[2 * k + 1])
    return pairs


def _check_pairs(shape: tuple[int, ...], pad: tuple[int, ...]) -> None:
    if len(pad) % 2:
        raise ScriptValueError("Padding length must be divisible by 2")
    if len(pad) // 2 > len(shape):
        raise ShapeError(
            "Padding length should be less than or equal to two times the input dimension but got padding "
            "length "
            f"{len(pad)} and input of dimension {len(shape)}"
        )
    for k, (n, (a, b)) in enumerate(zip(shape, _pairs(pad, len(shape)), strict=True)):
        if n + a + b < 0 or n + min(a, 0) + min(b, 0) < 0:
            raise ShapeError("narrow(): length must be non-negative." if n + min(a, 0) + min(b, 0) < 0 else (
                f"The input size {n}, plus negative padding {a} and {b} resulted in a negative output size, "
                "which is "
                f"invalid. Check dimension {k} of your input."))  # fmt: skip


@general(vjp=lambda g, pad: op.constant_pad_nd(g, tuple([-k for k in pad])), batch="leading")
def constant_pad_nd(input: Tensor, pad: Ints, value: Number = 0):
    """The tensor with a number around it: `pad` has two widths for each dimension, from the last on.

    Derivative: g without its margins

    >>> constant_pad_nd([1., 2.], (1, 1))
    tensor([0., 1., 2., 0.])
    """
    _check_pairs(input.shape, pad)
    pairs = _pairs(pad, input.ndim)
    shape = [n + a + b for n, (a, b) in zip(input.shape, pairs, strict=True)]
    state.ctx.budget.reserve(prod(shape) * input.itemsize, "pad()")
    out = (
        np.full(shape, value).astype(input.dtype)
        if input.dtype.kind != "f"
        else np.full(shape, value, input.dtype)
    )
    of, to = [], []
    for n, (a, b) in zip(input.shape, pairs, strict=True):
        of.append(slice(max(-a, 0), n + min(b, 0)))
        to.append(slice(max(a, 0), n + a + min(b, 0)))
    out[tuple(to)] = input[tuple(of)]
    return out


# ---- mirrored and repeated edges: every new place copies an old one ----------------------------------------
def _sources(mode: str, n: int, a: int, b: int) -> Any:
    """For each place of the padded dimension the place that it copies."""
    at = np.arange(-a, n + b)
    if mode == "replicate":
        return np.clip(at, 0, n - 1)
    at = np.abs(at)
    return np.where(at >= n, 2 * (n - 1) - at, at)


@general(vjp=lambda g, pad, mode: op._edge_pad(g, pad, mode))
def _edge_sum(input: Tensor, sizes: Sizes, pad: Ints, mode: Str):
    """The transpose of the padding: every copy added to where it came from."""
    y = input
    for axis, (a, b) in enumerate(_pairs(pad, len(sizes))):
        if a or b:
            moved = np.moveaxis(y, axis, 0)
            out = np.zeros((sizes[axis], *moved.shape[1:]), input.dtype)
            np.add.at(out, _sources(mode, sizes[axis], a, b), moved)
            y = np.moveaxis(out, 0, axis)
    return np.array(y)


@general(vjp=lambda g, input_like, pad, mode: op._edge_sum(g, input_like.shape, pad, mode))
def _edge_pad(input: Tensor, pad: Ints, mode: Str):
    y = input
    for axis, (a, b) in enumerate(_pairs(pad, input.ndim)):
        if a or b:
            y = y.take(_sources(mode, input.shape[axis], a, b), axis)
    return np.array(y) if y is input else y


def _check_edges(shape: tuple[int, ...], pad: tuple[int, ...], mode: str) -> None:
    dims = len(pad) // 2
    if 0 in shape[len(shape) == dims + 2 :]:
        raise ShapeError(
            f"Expected {dims + 1}D or {dims + 2}D (batch mode) tensor with possibly 0 batch size and other "
            "non-zero "
            f"dimensions for input, but got: {list(shape)}"
        )
    for axis, (n, (a, b)) in enumerate(zip(shape, _pairs(pad, len(shape)), strict=True)):
        if mode == "reflect" and (a >= n or b >= n) and (a or b):
            raise ShapeError(
                f"Argument #{4 + 2 * (len(shape) - 1 - axis)}: Padding size should be less than the "
                "corresponding "
                f"input dimension, but got: padding ({a}, {b}) at dimension {axis} of input {list(shape)}"
            )
        if n + a + b < 1 and (a or b):
            raise ShapeError(f"input (W: {n}) is too small. Calculated output W: {n + a + b}")


def _circular(input: Any, pad: tuple[int, ...]) -> Any:
    """Each dimension's far end before it and its near end after it."""
    x = input
    for axis, (a, b) in enumerate(_pairs(pad, input.ndim)):
        n = input.shape[axis]
        if a > n or b > n:
            raise ShapeError("Padding value causes wrapping around more than once.")
        if n + a + b < 0:
            raise ShapeError("Negative padding value is resulting in an empty dimension")
        inner = op.slice(x, axis, max(-a, 0), n + min(b, 0))
        before = [op.slice(x, axis, n + min(b, 0) - a, n + min(b, 0))] if a > 0 else []
        after = [op.slice(x, axis, max(-a, 0), max(-a, 0) + b)] if b > 0 else []
        if a or b:
            x = op.cat([*before, inner, *after], axis)
    return op.clone(x) if x is input else x


@composite()
def pad(input: Tensor, pad: Ints, mode: Str = "constant", value: Number | None = None):
    """The tensor made wider: `pad` has two widths for each dimension, from the last on.

    Negative widths make it narrower.

    `mode` is "constant" (with `value`), "reflect", "replicate" or "circular".

    >>> pad([1., 2., 3.], (1, 0))
    tensor([0., 1., 2., 3.])
    """
    if mode == "constant":
        return op.constant_pad_nd(input, pad, 0 if value is None else value)
    _check_pairs(
        (1,) * max(input.ndim, len(pad) // 2 if len(pad) % 2 == 0 else 1), tuple([max(p, 0) for p in pad])
    )
    if mode not in ("reflect", "replicate", "circular"):
        raise ScriptValueError(f"Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise ScriptValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    dims = len(pad) // 2
    if dims not in (1, 2, 3) or input.ndim not in (dims + 1, dims + 2):
        raise ShapeError(_COMBINATIONS.format(len(pad), input.ndim))
    if mode == "circular":
        return named(_circular(input, pad), "CopySlices")
    _check_edges(input.shape, pad, mode)
    kind = "Reflection" if mode == "reflect" else "Replication"
    return named(op._edge_pad(input, pad, mode), f"{kind}Pad{dims}DBackward0")
