"""Special functions: error function, gamma and its relatives, Bessel functions, zeta, entropy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vardsl.engine.inplace import InPlace
from vardsl.engine.tiles import perform
from vardsl.errors import ScriptTypeError, ScriptValueError
from vardsl.ops.define import (
    Int,
    NotImplementedRule,
    Number,
    Tensor,
    composite,
    elementwise,
    inplace_op,
    op,
)
from vardsl.ops.kinds import is_number

ROOT_PI = math.sqrt(math.pi)
ROOT_TWO_PI = math.sqrt(2 * math.pi)
ROOT_HALF = math.sqrt(0.5)


def functions() -> Any:
    """SciPy's special functions, loaded on first use. Raises ScriptValueError without SciPy."""
    try:
        from scipy import special
    except ImportError:
        raise ScriptValueError("this function needs SciPy", hint="pip install scipy") from None
    return special


def of_scipy(name: str) -> Any:
    """A kernel that calls SciPy's function of this name, in the dtype of its arguments."""

    def kernel(*arrays: Any) -> Any:
        y = getattr(functions(), name)(*arrays)
        return y if y.dtype == arrays[0].dtype else y.astype(arrays[0].dtype)

    return kernel


# ---- error function ----

# erf(x) = tanh(x r(x²)), with this polynomial for r: the least relative error of erf up to where it is 1 in
# float32, found by weighted least squares on atanh(erf(x)) / x. With float32's roundings the result is off by
# three units in the last place at most, by half of one on average.
_R = tuple(
    np.array(c, np.float32)
    for c in (
        1.128379247226462, 0.10276986370833857, -1.9528705738864173e-4, -6.148393958546874e-4,
        8.459714110155662e-5, -4.794736325720128e-6, 2.759046679343349e-8, 5.421022685381232e-9,
    )
)  # fmt: skip
_WHERE_ONE = np.array(3.95, np.float32)
_WHERE_MINUS_ONE = -_WHERE_ONE


def _erf_calls(out: Any, square: Any, r: Any, input: Any) -> Any:
    """The calls that put erf of float32 numbers into `out`, with memory for two intermediate results."""
    yield np.clip, (input, _WHERE_MINUS_ONE, _WHERE_ONE, out)
    yield np.multiply, (out, out, square)
    yield np.multiply, (square, _R[-1], r)
    for c in _R[-2:0:-1]:
        yield np.add, (r, c, r)
        yield np.multiply, (r, square, r)
    yield np.add, (r, _R[0], r)
    yield np.multiply, (out, r, out)
    yield np.tanh, (out, out)


_erf_of_scipy = of_scipy("erf")


def erf_of(input: Any) -> Any:
    """The error function of an array of reals."""
    if input.dtype != np.float32:
        return _erf_of_scipy(input)
    out = np.empty_like(input)
    perform(list(_erf_calls(out, np.empty_like(out), np.empty_like(out), input)))
    return out


def _erf_into(out: Any, scratch: Any, input: Any) -> Any:
    if out.dtype != np.float32 or input.dtype != np.float32:
        return None
    # an operation's scratch is the same memory for each that asks for its kind
    both = scratch((2, *out.shape), out.dtype)
    return list(_erf_calls(out, both[0, ...], both[1, ...], input))


@elementwise(
    erf_of,
    into=_erf_into,
    vjp=lambda g, input: 2 / ROOT_PI * op.exp(-(input * input)) * g,
    promote="float",
    aliases=("special.erf",),
)
def erf(input: Tensor):
    """The error function.

    Value: 2 / sqrt(pi) times the integral of exp(-t**2) from 0 to input
    Derivative: 2 / sqrt(pi) * exp(-input**2)

    >>> erf([0., 1.])
    tensor([0.0000, 0.8427])
    """


@elementwise(
    of_scipy("erfc"),
    vjp=lambda g, input: -2 / ROOT_PI * op.exp(-(input * input)) * g,
    promote="float",
    aliases=("special.erfc",),
)
def erfc(input: Tensor):
    """1 - erf(input), exact for large elements.

    Value: 1 − erf(input)
    Derivative: -2 / sqrt(pi) * exp(-input**2)

    >>> erfc([0., 1.])
    tensor([1.0000, 0.1573])
    """


def _erfinv_vjp(g, input):
    y = op.erfinv(input)
    return ROOT_PI / 2 * op.exp(y * y) * g


@elementwise(of_scipy("erfinv"), vjp=_erfinv_vjp, promote="float", aliases=("special.erfinv",))
def erfinv(input: Tensor):
    """The inverse of the error function; infinite at -1 and 1.

    Derivative: sqrt(pi) / 2 * exp(erfinv(input)**2)

    >>> erfinv([0., 0.5])
    tensor([0.0000, 0.4769])
    """


@elementwise(
    of_scipy("erfcx"),
    vjp=lambda g, input, y: (2 * input * y - 2 / ROOT_PI) * g,
    promote="float",
    inplace=False,
)
def special_erfcx(input: Tensor):
    """exp(input**2) * erfc(input), without underflow.

    Derivative: 2 * input * y - 2 / sqrt(pi)

    >>> special.erfcx([0., 1.])
    tensor([1.0000, 0.4276])
    """


@elementwise(
    d=lambda input: op.exp(-0.5 * input * input) * (1 / ROOT_TWO_PI),
    promote="float",
    inplace=False,
    grad_fn="MulBackward1",
)
def special_ndtr(input: Tensor):
    """The share of a normal distribution below each element.

    Derivative: exp(-input**2 / 2) / sqrt(2 pi)

    >>> special.ndtr([0., 1.])
    tensor([0.5000, 0.8413])
    """
    return (1 + erf_of(input * input.dtype.type(ROOT_HALF))) * input.dtype.type(0.5)


@elementwise(
    of_scipy("ndtri"), vjp=lambda g, y: g * ROOT_TWO_PI * op.exp(y * y / 2), promote="float", inplace=False
)
def special_ndtri(input: Tensor):
    """The element below which that share of a normal distribution is.

    Derivative: sqrt(2 pi) * exp(y**2 / 2)

    >>> special.ndtri([0.5, 0.8413])
    tensor([0.0000, 0.9998])
    """


@elementwise(
    of_scipy("log_ndtr"),
    vjp=lambda g, input, y: g / ROOT_TWO_PI * op.exp(-(y + input * input / 2)),
    promote="float",
    inplace=False,
)
def special_log_ndtr(input: Tensor):
    """Logarithm of the share of a normal distribution below each element.

    Derivative: exp(-y - input**2 / 2) / sqrt(2 pi)

    >>> special.log_ndtr([0., 1.])
    tensor([-0.6931, -0.1728])
    """


# ---- gamma ----


@elementwise(d=lambda input: op.digamma(input), promote="float", aliases=("special.gammaln",))
def lgamma(input: Tensor):
    """Logarithm of the absolute value of the gamma function.

    Value: ln |Γ(input)|
    Derivative: digamma(input)

    >>> lgamma([1., 5.])
    tensor([0.0000, 3.1781])
    """
    y = of_scipy("gammaln")(input)
    return np.where(input == -np.inf, y.dtype.type(np.inf), y)


def _trigamma(x: Any) -> Any:
    """Derivative of digamma, as PyTorch has it: reflection, six steps up, then the asymptotic series.

    Negative integers give the large finite numbers that sin(pi x) leaves there.
    """
    low = x < 0.5
    sine = np.sin(math.pi * x)
    shift = np.where(low, (math.pi * math.pi) / (sine * sine), 0)
    x = np.where(low, 1 - x, x)
    total = 0
    for _ in range(6):
        total = total + 1 / (x * x)
        x = x + 1
    square = 1 / (x * x)
    total = total + (1 + 1 / (2 * x) + square * (1 / 6 - square * (1 / 30 - square * (1 / 42)))) / x
    return np.where(low, shift - total, total)


@elementwise(
    of_scipy("psi"),
    d=lambda input: op._polygamma(1, input),
    promote="float",
    aliases=("special.digamma", "special.psi"),
)
def digamma(input: Tensor):
    """Derivative of lgamma.

    Value: d/dx ln Γ(x)
    Derivative: polygamma(1, input)

    >>> digamma([1., 2.])
    tensor([-0.5772,  0.4228])
    """


@elementwise(d=lambda n, input: op._polygamma(n + 1, input), promote="float", grad_fn="PolygammaBackward0")
def _polygamma(n: Int, input: Tensor):
    if n == 0:
        return of_scipy("psi")(input)
    if n == 1:
        return _trigamma(input).astype(input.dtype, copy=False)
    factor = math.exp(math.lgamma(n + 1)) * (1 if n % 2 else -1)
    return _zeta(np.asarray(n + 1, input.dtype), input) * input.dtype.type(factor)


@composite(pointwise=True, method="_polygamma_method", aliases=("special.polygamma",))
def polygamma(n: Int, input: Tensor):
    """The n-th derivative of digamma; as a method, `x.polygamma(n)`.

    Derivative: polygamma(n + 1, input)

    >>> polygamma(1, [1., 2.])
    tensor([1.6449, 0.6449])
    """
    if n < 0:
        raise ScriptValueError("polygamma(n, x) does not support negative n.")
    return op._polygamma(n, input)


@composite(pointwise=True)
def _polygamma_method(input: Tensor, n: Int):
    return op.polygamma(n, input)


_polygamma_method.name = "polygamma"


@inplace_op(name="polygamma_")
def polygamma_(input: Tensor, n: Int):
    """The in-place form of `x.polygamma(n)`.

    >>> [1., 2.].polygamma_(1)
    tensor([1.6449, 0.6449])
    """
    return InPlace(_polygamma_method, "polygamma_", lambda n: "PolygammaBackward1")(input, n)


def _mvlgamma_slope(input, p):
    total = op.digamma(input)
    for k in range(1, p):
        total = total + op.digamma(input - k / 2)
    return total


def _keeps_dtype(v, result):
    if v.array.dtype != result.array.dtype:
        raise ScriptTypeError(
            f"mvlgamma: result type {v.dtype.type_name} can't be cast to the desired output type "
            f"{result.dtype.type_name}"
        )


@elementwise(
    d=_mvlgamma_slope, promote="float", aliases=("special.multigammaln",), inplace_check=_keeps_dtype
)
def mvlgamma(input: Tensor, p: Int):
    """Logarithm of the multivariate gamma function of dimension `p`.

    Value: p (p - 1) / 4 * log(pi) + the sum of lgamma(input - k / 2) for k = 0 … p - 1
    Derivative: the sum of digamma(input - k / 2)

    >>> mvlgamma([3., 4.], 2)
    tensor([1.5502, 3.5651])
    """
    if p < 1:
        raise ScriptValueError("p has to be greater than or equal to 1")
    lgamma_of = of_scipy("gammaln")
    total = lgamma_of(input)
    for k in range(1, p):
        total = total + lgamma_of(input - k / 2)
    return total + p * (p - 1) / 4 * math.log(math.pi)


# ---- zeta and entropy ----


def _zeta(x: Any, q: Any) -> Any:
    y = functions().zeta(x, q)
    lost = np.isposinf(q) | ((y == 0) & (x > ZETA_LIMIT))
    return np.where(lost, q.dtype.type(np.nan), y).astype(q.dtype, copy=False)


ZETA_LIMIT = 10 ** (308.25 / 23)
"""Beyond it 23 factors in PyTorch's series overflow: infinity times an underflown term is nan."""

NO_ZETA = NotImplementedRule("the derivative for 'zeta' is not implemented.")


def _zeta_other(g, input, other):
    return g * -input * op.special_zeta(input + 1.0, other)


@elementwise(vjp=(NO_ZETA, _zeta_other), promote="float", grad_fn="SpecialZetaBackward0")
def _zeta_tensor(input: Tensor, other: Tensor):
    return _zeta(input, other)


@elementwise(vjp={"other": _zeta_other}, promote="float", grad_fn="SpecialZetaBackward1")
def _zeta_of_number(input: Tensor, other: Tensor):
    return _zeta(input, other)


@elementwise(vjp={"input": NO_ZETA}, promote="float", grad_fn="SpecialZetaBackward2")
def _zeta_at_number(input: Tensor, other: Tensor):
    return _zeta(input, other)


@composite(pointwise=True)
def special_zeta(input: Tensor, other: Tensor):
    """The Hurwitz zeta function.

    Value: the sum of (k + other) ** -input over k = 0, 1, …
    Derivative: in other, -input * zeta(input + 1, other); PyTorch has none in input

    >>> special.zeta([2., 4.], 1)
    tensor([1.6449, 1.0823])
    """
    if is_number(other):
        return op._zeta_at_number(input, other)
    return op._zeta_of_number(input, other) if is_number(input) else op._zeta_tensor(input, other)


@elementwise(vjp=lambda g, input: g * (-(1 + op.log(input))), promote="float", inplace=False)
def special_entr(input: Tensor):
    """-input * log(input), 0 at 0 and -inf below.

    Derivative: -(1 + log(input))

    >>> special.entr([0., 0.5])
    tensor([0.0000, 0.3466])
    """
    positive = np.where(
        input > 0, -input * np.log(np.where(input > 0, input, 1)), np.where(input == 0, 0.0, -np.inf)
    )
    return np.where(np.isnan(input), input, positive).astype(input.dtype, copy=False)


def _xlog1py(input: Any, other: Any) -> Any:
    product = np.multiply(input, np.log1p(other))
    return np.where((input == 0) & ~np.isnan(other), product.dtype.type(0), product)


def _xlog1py_input(g, input, other):
    still = (input == 0) & (other <= -1)
    return op._where(still, 0, op.special_xlog1py(g, other))


def _xlog1py_other(g, input, other):
    return g * input / (other + 1)


@elementwise(vjp=(_xlog1py_input, _xlog1py_other), promote="float", grad_fn="SpecialXlog1PyBackward0")
def _xlog1py_tensor(input: Tensor, other: Tensor):
    return _xlog1py(input, other)


@elementwise(vjp={"other": _xlog1py_other}, promote="float", grad_fn="SpecialXlog1PyBackward1")
def _xlog1py_of_number(input: Tensor, other: Tensor):
    return _xlog1py(input, other)


@elementwise(
    vjp={
        "input": lambda g, input, other: (
            op.special_xlog1py(g, other) if other > -1 else _xlog1py_input(g, input, other)
        )
    },
    promote="float",
    grad_fn="SpecialXlog1PyBackward2",
)
def _xlog1py_at_number(input: Tensor, other: Tensor):
    return _xlog1py(input, other)


@composite(pointwise=True)
def special_xlog1py(input: Tensor, other: Tensor):
    """input * log(1 + other), and 0 where `input` is 0, whatever `other` is.

    Derivative: log(1 + other) and input / (1 + other)

    >>> special.xlog1py([0., 2.], [-1., 1.])
    tensor([0.0000, 1.3863])
    """
    if is_number(other):
        return op._xlog1py_at_number(input, other)
    return op._xlog1py_of_number(input, other) if is_number(input) else op._xlog1py_tensor(input, other)


def _logit_vjp(g, input, eps):
    low, high = (0.0, 1.0) if eps is None else (eps, 1 - eps)
    outside = (input < low) | (input > high)
    return op._where(outside, math.nan if eps is None else 0.0, g / (input * (1 - input)))


@elementwise(vjp=_logit_vjp, promote="float", aliases=("special.logit",))
def logit(input: Tensor, eps: Number | None = None):
    """The inverse of the sigmoid; with `eps`, elements are first moved between eps and 1 - eps.

    Value: log(input / (1 - input))
    Derivative: 1 / (input * (1 - input))

    >>> logit([0.5, 0.9])
    tensor([0.0000, 2.1972])
    """
    x = (
        input
        if eps is None
        else np.minimum(np.maximum(input, input.dtype.type(eps)), input.dtype.type(1 - eps))
    )
    return np.log(x / (1 - x))
