"""Random tensors, drawn from the session's stream."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import BY_NP, i8
from vardsl.engine.inplace import change, check_may_change
from vardsl.engine.random import Generator
from vardsl.engine.signature import type_name
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.broadcast import broadcast_shape
from vardsl.ops.define import (
    Bool,
    Dtype,
    Int,
    NotImplementedRule,
    Number,
    Sizes,
    Tensor,
    composite,
    creation,
    general,
    inplace_op,
    nondiff,
    op,
)  # fmt: skip
from vardsl.ops.dims import refuse_negative


def stream() -> Generator:
    """The session's generator; where statements may be taken back, its state is kept before it moves."""
    generator = state.ctx.generator
    journal = state.ctx.journal
    if journal is not None:
        before = generator.get_state()
        journal.append(lambda: generator.set_state(before))
    return generator


def _blank(g):
    return op.zeros_like(g)


def _real(dtype: Any, kernel: str) -> Any:
    of = dtype if dtype is not None else state.ctx.default_dtype
    if of.kind != "f":
        raise ScriptTypeError(f"\"{kernel}\" not implemented for '{BY_NP[of].type_name}'")
    return of


def _sized(size: tuple[int, ...], dtype: Any, name: str) -> Any:
    refuse_negative(size)
    state.ctx.budget.reserve(prod(size) * 2 * dtype.itemsize, name)
    return dtype


# ---- by size -----------------------------------------------------------------------------------------------
@creation()
def rand(size: Sizes, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """Samples that are uniform from 0 up to, and without, 1.

    >>> rand(2, 3).shape
    [2, 3]
    """
    of = _sized(size, _real(dtype, "check_uniform_bounds"), "rand()")
    return stream().uniform(size, of)


@creation()
def randn(size: Sizes, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """Samples of the standard normal distribution.

    >>> randn(2, 3).shape
    [2, 3]
    """
    of = _sized(size, _real(dtype, "normal_kernel_cpu"), "randn()")
    return stream().normal(size, of)


def _model(input: Any, dtype: Any) -> tuple[Any, Any]:
    a = input.array if type(input) is Value else np.asarray(input)
    return a, a.dtype if dtype is None else dtype


def laid_out(a: Any, flat: Any) -> Any:
    """Samples in the shape of an array, drawn in the order of its memory."""
    if a.flags.c_contiguous:
        return flat.reshape(a.shape)
    out = np.empty_like(a, flat.dtype)
    out.ravel(order="K")[...] = flat
    return out


@creation()
def rand_like(input: Tensor, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """Uniform samples in the shape and dtype of `input`.

    >>> rand_like([1., 2.]).shape
    [2]
    """
    a, of = _model(input, dtype)
    return laid_out(a, stream().uniform((a.size,), _real(of, "check_uniform_bounds")))


@creation()
def randn_like(input: Tensor, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """Standard normal samples in the shape and dtype of `input`.

    >>> randn_like([1., 2.]).shape
    [2]
    """
    a, of = _model(input, dtype)
    return laid_out(a, stream().normal((a.size,), _real(of, "normal_kernel_cpu")))


_C_NAMES = {
    "bool": "bool", "uint8": "unsigned char", "int8": "signed char", "int16": "short", "int32": "int",
    "int64": "long",
    "float32": "float", "float64": "double",
}  # fmt: skip


def _integers(low: int, high: int, size: tuple[int, ...], dtype: Any) -> Any:
    if low >= high:
        raise ScriptValueError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    if dtype.kind in "iub":
        least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        for word, n in (("from", low), ("to - 1", high - 1)):
            if not least <= n <= most:
                raise ScriptValueError(f"{word} is out of bounds for {_C_NAMES[dtype.name]}")
    _sized(size, dtype, "randint()")
    return stream().integers(low, high, size, dtype)


@creation()
def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    dtype: Dtype | None = None,
    requires_grad: Bool = False,
):
    """Integers from `low` up to, and without, `high`: `randint(high, size)` or `randint(low, high, size)`.

    >>> randint(10, (3,)).shape
    [3]
    """
    if size is None and high is not None and type(high) is not int:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None:
        raise ScriptTypeError('randint() missing 1 required positional arguments: "size"')
    size = (size,) if type(size) is int else tuple([int(n) for n in size])
    refuse_negative(size)
    return _integers(int(low), int(high), size, dtype if dtype is not None else i8)


@creation()
def randint_like(
    input: Tensor,
    low: Int = 0,
    high: Int | None = None,
    *,
    dtype: Dtype | None = None,
    requires_grad: Bool = False,
):
    """Integers from `low` (0) up to, and without, `high`, in the shape and dtype of `input`.

    >>> randint_like([1., 2.], 5).shape
    [2]
    """
    a, of = _model(input, dtype)
    return laid_out(a, _integers(*((0, low) if high is None else (low, high)), (a.size,), of))


@creation()
def randperm(n: Int, *, dtype: Dtype | None = None, requires_grad: Bool = False):
    """The integers from 0 up to, and without, `n` in random order.

    >>> randperm(4).shape
    [4]
    """
    of = dtype if dtype is not None else i8
    refuse_negative((n,))
    state.ctx.budget.reserve(n * 64, "randperm()")
    return stream().permutation(n).astype(of)


# ---- by parameters -----------------------------------------------------------------------------------------
def _check_std(std: Any) -> None:
    if isinstance(std, np.ndarray):
        if (std < 0).any():
            raise ScriptValueError("normal expects all elements of std >= 0.0")
    elif std < 0:
        raise ScriptValueError(f"normal expects std >= 0.0, but found std {std:g}")


@general(vjp={"mean": _blank}, grad_fn="NormalBackward1")
def _normal_mean(mean: Tensor, std: Number):
    _check_std(std)
    of = _real(mean.dtype, "normal_kernel_cpu")
    return stream().normal(mean.shape, of, 0.0, float(std)) + mean


@general(vjp={"std": _blank}, grad_fn="NormalBackward2")
def _normal_std(mean: Number, std: Tensor):
    _check_std(np.asarray(std))
    of = _real(std.dtype, "normal_kernel_cpu")
    return stream().normal(std.shape, of) * std + of.type(mean)


def _shape_back(g, like):
    return op.sum_to_size(op.zeros_like(g), like.shape)


@general(
    vjp={
        "mean": lambda g, mean_like: _shape_back(g, mean_like),
        "std": lambda g, std_like: _shape_back(g, std_like),
    },
    grad_fn="NormalBackward3",
)
def _normal_both(mean: Tensor, std: Tensor):
    _check_std(np.asarray(std))
    of = _real(mean.dtype, "normal_kernel_cpu")
    shape = broadcast_shape([mean.shape, std.shape])
    return (stream().normal(shape, of) * std + mean).astype(of, copy=False)


@composite()
def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Sizes | None = None, *, dtype: Dtype | None = None,
    requires_grad: Bool = False,
):  # fmt: skip
    """Normal samples with these means and standard deviations: numbers with a `size`, or tensors.

    >>> normal(0., 1., (2, 3)).shape
    [2, 3]
    """
    tensors = type(mean) is Value, type(std) is Value
    if any(tensors) and size is not None:
        raise ScriptTypeError(
            f"normal() received an invalid combination of arguments - got ({type_name(mean)}, "
            f"{type_name(std)}, tuple)",
            hint="tensors bring their size with them",
        )
    if tensors == (True, True):
        return op._normal_both(mean, std)
    if tensors[0]:
        return op._normal_mean(mean, std)
    if tensors[1]:
        return op._normal_std(mean, std)
    if size is None:
        raise ScriptTypeError(
            f"normal() received an invalid combination of arguments - got ({type(mean).__name__}, "
            f"{type(std).__name__})",
            hint="normal(mean, std, size) for numbers",
        )
    _check_std(std)
    of = _sized(size, _real(dtype, "normal_kernel_cpu"), "normal()")
    return Value(stream().normal(size, of, float(mean), float(std)), requires_grad)


@general(vjp=_blank, grad_fn="BernoulliBackward0")
def _bernoulli_each(input: Tensor):
    _real(input.dtype, "bernoulli_tensor_cpu_p_")
    p = np.asarray(input)
    if not ((p >= 0) & (p <= 1)).all():
        raise ScriptValueError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    return stream().bernoulli(p)


def _check_p(p: float) -> None:
    if not 0 <= p <= 1:
        raise ScriptValueError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")


@general(
    vjp=NotImplementedRule("derivative for aten::bernoulli is not implemented"), grad_fn="NotImplemented"
)
def _bernoulli_all(input: Tensor, p: Number):
    _check_p(p)
    return stream().bernoulli_scalar(float(p), input.shape, input.dtype)


@composite()
def bernoulli(input: Tensor, p: Number | None = None):
    """Ones with the probability of each element (or with `p`), else zeros.

    >>> bernoulli([0., 1.])
    tensor([0., 1.])
    """
    return op._bernoulli_each(input) if p is None else op._bernoulli_all(input, p)


def _check_weights(p: Any, again: bool) -> None:
    if not again:
        if not np.isfinite(p).all() or (p < 0).any():
            raise ScriptValueError("probability tensor contains either `inf`, `nan` or element < 0")
    elif (p < 0).any():
        raise ScriptValueError("invalid multinomial distribution (encountering probability entry < 0)")
    elif not np.isfinite(p).all():
        raise ScriptValueError(
            "invalid multinomial distribution (encountering probability entry = infinity or NaN)"
        )


@nondiff()
def multinomial(input: Tensor, num_samples: Int, replacement: Bool = False):
    """Places drawn with the weights of a vector, or of each row of a matrix.

    >>> multinomial([0., 1.], 1)
    tensor([1])
    """
    if input.dtype.kind != "f":
        raise ScriptTypeError(
            f"multinomial only supports floating-point dtypes for input, got: {BY_NP[input.dtype].type_name}"
        )
    if input.ndim not in (1, 2):
        raise ShapeError("prob_dist must be 1 or 2 dim")
    if num_samples <= 0:
        raise ScriptValueError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > input.shape[-1]:
        raise ScriptValueError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    _check_weights(input, replacement and num_samples > 1)
    if input.size and (np.add.reduce(input, -1) <= 0).any():
        raise ScriptValueError("invalid multinomial distribution (sum of probabilities <= 0)")
    return stream().multinomial(input, num_samples, replacement)


@general(vjp=_blank)
def poisson(input: Tensor):
    """Counts of the Poisson distribution with the rate of each element.

    Derivative: zero

    >>> poisson([0., 0.])
    tensor([0., 0.])
    """
    _real(input.dtype, "poisson_cpu")
    rates = np.asarray(input)
    if (rates < 0).any():
        raise ScriptValueError("invalid Poisson rate, expected rate to be non-negative")
    return stream().poisson(rates)


# ---- in a tensor's shape, and in place ---------------------------------------------------------------------
@general(vjp=_blank, inplace=True)
def uniform(input: Tensor, low: Number = 0.0, high: Number = 1.0):
    """Uniform samples from `low` up to, and without, `high`, in the shape of `input`; also in place.

    Derivative: zero

    >>> uniform([0., 0.]).shape
    [2]
    """
    of = _real(input.dtype, "check_uniform_bounds")
    if low > high:
        raise ScriptValueError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}"
        )
    return stream().uniform(input.shape, of, float(low), float(high))


@general(vjp=_blank, inplace=True)
def exponential(input: Tensor, lambd: Number = 1.0):
    """Samples of the exponential distribution with the rate `lambd`, in the shape of `input`; also in place.

    Derivative: zero

    >>> exponential([0., 0.]).shape
    [2]
    """
    if input.dtype.kind != "f":
        raise ScriptTypeError(
            "Exponential distribution is a continuous probability distribution. dtype must be a floating "
            "point but you "
            f"specified {BY_NP[input.dtype].type_name}"
        )
    if lambd <= 0:
        raise ScriptValueError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    return stream().exponential(input.shape, input.dtype, float(lambd))


@general(vjp=_blank, grad_fn="NormalBackward0")
def _normal_like(input: Tensor, mean: Number, std: Number):
    _check_std(std)
    return stream().normal(input.shape, _real(input.dtype, "normal_kernel_cpu"), float(mean), float(std),
                           contiguous=bool(input.flags.c_contiguous))  # fmt: skip


@inplace_op(name="normal_")
def normal_(input: Tensor, mean: Number = 0.0, std: Number = 1.0):
    """Puts normal samples into the tensor.

    >>> zeros(2).normal_().shape
    [2]
    """
    check_may_change(input)
    return change(input, op._normal_like.run([input, mean, std]))


@general(vjp=_blank, grad_fn="BernoulliBackward2")
def _bernoulli_like(input: Tensor, p: Number):
    _check_p(p)
    return stream().bernoulli_scalar(float(p), input.shape, input.dtype)


@general(vjp={"input": _blank, "p": lambda g, p_like: _shape_back(g, p_like)}, grad_fn="BernoulliBackward1")
def _bernoulli_with(input: Tensor, p: Tensor):
    odds = np.broadcast_to(p, input.shape)
    return stream().bernoulli(odds).astype(input.dtype)


@inplace_op(name="bernoulli_")
def bernoulli_(input: Tensor, p: Any = 0.5):
    """Puts ones with the probability `p` (a number or a tensor), else zeros, into the tensor.

    >>> zeros(2).bernoulli_(1.)
    tensor([1., 1.])
    """
    check_may_change(input)
    if type(p) is Value:
        return change(input, op._bernoulli_with.run([input, p]))
    return change(input, op._bernoulli_like.run([input, p]))


# ---- the stream itself -------------------------------------------------------------------------------------
@composite(aliases=("seed",))
def manual_seed(seed: Int):
    """Starts the random stream that belongs to a number, as PyTorch's CPU generator does.

    >>> manual_seed(0)
    >>> rand(1)
    tensor([0.4963])
    """
    if not -(2**63) <= seed < 2**64:
        raise ScriptValueError("Overflow when unpacking long")
    stream().manual_seed(seed)
