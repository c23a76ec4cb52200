"""Running sums, products and extrema, differences, and integrals of samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.dtypes import i8
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import Bool, Dtype, Int, Ints, Number, Tensor, composite, general, op
from vardsl.ops.dims import as_like, dtype_of, named, refuse_no_dims, wrap_dim


def _running(ufunc: Any, input: Any, dim: int, dtype: Any) -> Any:
    axis = wrap_dim(dim, input.ndim)
    of = dtype if dtype is not None else i8 if input.dtype.kind in "biu" else input.dtype
    return ufunc.accumulate(input, axis, of) if input.ndim else np.asarray(input, of)


def backwards(x, dim):
    """The values summed from each place to the end of the dimension."""
    return op.flip(op.cumsum(op.flip(x, (dim,)), dim), (dim,)) if x.ndim else x


def _running_into(ufunc):
    def into(out, scratch, input, dim, dtype):
        if not input.ndim:
            return None
        return [(ufunc.accumulate, (input, wrap_dim(dim, input.ndim), out.dtype, out))]

    return into


@general(
    vjp=lambda g, dim, input_like: as_like(backwards(g, dim), input_like),
    inplace=True,
    stream="rows",
    into=_running_into(np.add),
    batch="dims",
)
def cumsum(input: Tensor, dim: Int, *, dtype: Dtype | None = None):
    """Sums of the elements so far along a dimension. Integers and booleans sum to int64.

    Value: yₖ = Σᵢ≤ₖ inputᵢ
    Derivative: Σₖ≥ᵢ gₖ

    >>> cumsum([1., 2., 3.], 0)
    tensor([1., 3., 6.])
    """
    return _running(np.add, input, dim, dtype)


# ---- a linear recurrence, which running products and logarithms of running sums lead to --------------------
def _shifted(x, dim):
    """Zero first, then the elements of the dimension without the last."""
    n = x.shape[dim]
    return op.cat([op.zeros_like(op.narrow(x, dim, 0, 1)), op.narrow(x, dim, 0, n - 1)], dim)


def _scan_input_vjp(g, a, dim, reverse):
    return op._scan(g, a, dim, not reverse)


def _scan_a_vjp(g, a, y, dim, reverse):
    moved = op._scan(g, a, dim, not reverse)
    return _shifted(moved, dim) * y if reverse else moved * _shifted(y, dim)


@general(vjp={"input": _scan_input_vjp, "a": _scan_a_vjp}, batch="dims")
def _scan(input: Tensor, a: Tensor, dim: Int, reverse: Bool):
    """y[k] = x[k] + a[k] y[k-1]; in reverse its transpose, y[k] = x[k] + a[k+1] y[k+1]."""
    b, c = np.moveaxis(input, dim, 0), np.moveaxis(a, dim, 0)
    if reverse:
        b, c = b[::-1], np.concatenate([c[:1], c[:0:-1]])
    y = _by_division(b, c)
    if y is None:
        y = np.array(b)
        for k in range(1, len(y)):
            y[k] += c[k] * y[k - 1]
    return np.moveaxis(y[::-1] if reverse else y, 0, dim)


def _by_division(b: Any, c: Any) -> Any:
    """The recurrence through running products and sums, or None where a product is too large or small."""
    if len(b) < 8:
        return None
    p = np.multiply.accumulate(np.concatenate([np.ones_like(c[:1]), c[1:]]))
    size = np.abs(p)
    bound = 1e100 if p.dtype == np.float64 else 1e12
    if not size.size or not (size.min() > 1 / bound and size.max() < bound):
        return None
    return p * np.add.accumulate(b / p)


def _numbers(x):
    return x.array if type(x) is Value else x


def _cumprod_vjp(g, input, y, input_like, dim):
    g = as_like(g, input_like)
    if not input.ndim or input_like.size < 2:
        return g
    axis = wrap_dim(dim, input.ndim)
    if not (_numbers(input) == 0).any():
        return backwards(g * y, axis) / input
    first = op.ones_like(op.narrow(input, axis, 0, 1))
    before = op.cat([first, op.cumprod(op.narrow(input, axis, 0, input.shape[axis] - 1), axis)], axis)
    return before * op._scan(g, input, axis, True)


@general(vjp=_cumprod_vjp, inplace=True, batch="dims")
def cumprod(input: Tensor, dim: Int, *, dtype: Dtype | None = None):
    """Products of the elements so far along a dimension; exact derivatives where elements are zero.

    Value: yₖ = Πᵢ≤ₖ inputᵢ
    Derivative: Σₖ≥ᵢ gₖ yₖ / inputᵢ, with products formed anew where an element is zero

    >>> cumprod([1., 2., 3.], 0)
    tensor([1., 2., 6.])
    """
    return _running(np.multiply, input, dim, dtype)


def _logcumsumexp_vjp(g, input, y, dim):
    if not input.ndim or 0 in input.shape:
        return g
    axis = wrap_dim(dim, input.ndim)
    before = op.cat([op.narrow(y, axis, 0, 1), op.narrow(y, axis, 0, y.shape[axis] - 1)], axis)
    # equal infinities are in the ratio 1, but an element that is +inf has no gradient in PyTorch either
    nothing = _numbers(y) == -np.inf
    own = op.exp(op.masked_fill(input - y, nothing, 0.0))
    return own * op._scan(g, op.exp(op.masked_fill(before - y, before == y, 0.0)), axis, True)


@general(vjp=_logcumsumexp_vjp, batch="dims")
def logcumsumexp(input: Tensor, dim: Int):
    """Logarithm of the running sum of exponentials along a dimension, without overflow.

    Value: yₖ = log Σᵢ≤ₖ exp(inputᵢ)
    Derivative: Σₖ≥ᵢ gₖ exp(inputᵢ − yₖ)

    >>> logcumsumexp([0., 0.], 0)
    tensor([0.0000, 0.6931])
    """
    if input.dtype.kind != "f":
        raise ScriptTypeError(f"\"logcumsumexp_out_cpu\" not implemented for '{_name(input)}'")
    axis = wrap_dim(dim, input.ndim)
    return np.logaddexp.accumulate(input, axis) if input.ndim else np.asarray(input)


def _name(input: Any) -> str:
    return Value(np.asarray(input)).dtype.type_name


def _running_extreme(ufunc: Any, input: Any, dim: int) -> Any:
    axis = wrap_dim(dim, input.ndim)
    if not input.ndim:
        return np.asarray(input), np.zeros((), i8)
    values = ufunc.accumulate(input, axis)
    new = input == values
    if input.dtype.kind == "f":
        new |= np.isnan(input)
    places = np.arange(input.shape[axis]).reshape([-1 if k == axis else 1 for k in range(input.ndim)])
    return values, np.maximum.accumulate(np.where(new, places, 0), axis)


def _running_vjp(g, y, dim):
    return op.scatter_add(op.zeros_like(g[0]), dim, y[1], g[0])


@general(vjp=_running_vjp, fields="values indices", batch="dims")
def cummax(input: Tensor, dim: Int):
    """The largest element so far along a dimension, and where it is (of equal ones the last).

    Derivative: each g to the place of the largest element so far

    >>> cummax([1., 3., 2.], 0).values
    tensor([1., 3., 3.])
    """
    return _running_extreme(np.maximum, input, dim)


@general(vjp=_running_vjp, fields="values indices", batch="dims")
def cummin(input: Tensor, dim: Int):
    """The smallest element so far along a dimension, and where it is (of equal ones the last).

    Derivative: each g to the place of the smallest element so far

    >>> cummin([3., 1., 2.], 0).values
    tensor([3., 1., 1.])
    """
    return _running_extreme(np.minimum, input, dim)


# ---- differences -------------------------------------------------------------------------------------------
@composite()
def diff(
    input: Tensor, n: Int = 1, dim: Int = -1, prepend: Tensor | None = None, append: Tensor | None = None
):
    """Differences of neighbours along a dimension, `n` times over.

    >>> diff([1., 4., 9.])
    tensor([3., 5.])
    """
    if input.ndim == 0:
        raise ShapeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise ScriptValueError(f"order must be non-negative but got {n}")
    axis = wrap_dim(dim, input.ndim)
    for extra in (prepend, append):
        if extra is not None:
            _check_extra(input, extra, axis)
    if n == 0:
        return op._copy(op.zeros_like(input), input)
    parts = [x for x in (prepend, input, append) if x is not None]
    x = op.cat(parts, axis) if len(parts) > 1 else input
    for _ in range(min(n, x.shape[axis])):
        size = x.shape[axis]
        later, before = op.narrow(x, axis, 1, size - 1), op.narrow(x, axis, 0, size - 1)
        x = op.logical_xor(later, before) if dtype_of(x).kind == "b" else later - before
    return x


def _check_extra(input: Any, extra: Any, axis: int) -> None:
    if extra.ndim != input.ndim:
        raise ShapeError("diff expects prepend or append to be the same dimension as input")
    for k, (a, b) in enumerate(zip(extra.shape, input.shape, strict=True)):
        if k != axis and a != b:
            raise ShapeError(
                "diff expects the shape of tensor to prepend or append to match that of input except along "
                "the "
                f"differencing dimension; input.size({k}) = {b}, but got tensor.size({k}) = {a}"
            )


def _slice(x, dim, start=None, end=None):
    return op.slice(x, dim, start, end)


def _even(x: Any, step: Any, dim: int, order: int) -> Any:
    """The derivative along a dimension of samples that are `step` apart."""
    middle = (_slice(x, dim, 2) - _slice(x, dim, 0, -2)) / step
    if order == 1:
        first = (_slice(x, dim, 1, 2) - _slice(x, dim, 0, 1)) / step
        last = (_slice(x, dim, -1) - _slice(x, dim, -2, -1)) / step
    else:
        first = (-1.5 * _slice(x, dim, 0, 1) + 2 * _slice(x, dim, 1, 2) - 0.5 * _slice(x, dim, 2, 3)) / step
        last = (0.5 * _slice(x, dim, -3, -2) - 2 * _slice(x, dim, -2, -1) + 1.5 * _slice(x, dim, -1)) / step
    return op.cat([first, middle / 2, last], dim)


def _uneven(x: Any, at: Any, dim: int, order: int) -> Any:
    """The derivative along a dimension of samples at the coordinates `at`."""
    h = op.diff(at, 1, 0)
    shape = tuple([-1 if k == dim else 1 for k in range(x.ndim)])
    h1, h2 = _slice(h, 0, 0, -1), _slice(h, 0, 1)
    a = op.reshape(-h2 / (h1 * (h1 + h2)), shape)
    b = op.reshape((h2 - h1) / (h1 * h2), shape)
    c = op.reshape(h1 / (h2 * (h1 + h2)), shape)
    middle = a * _slice(x, dim, 0, -2) + b * _slice(x, dim, 1, -1) + c * _slice(x, dim, 2)
    if order == 1:
        first = (_slice(x, dim, 1, 2) - _slice(x, dim, 0, 1)) / h[0]
        last = (_slice(x, dim, -1) - _slice(x, dim, -2, -1)) / h[-1]
    else:
        p, q = h[0], h[1]
        a, b, c = -(2 * p + q) / (p * (p + q)), (p + q) / (p * q), -p / (q * (p + q))
        first = a * _slice(x, dim, 0, 1) + b * _slice(x, dim, 1, 2) + c * _slice(x, dim, 2, 3)
        p, q = h[-2], h[-1]
        a, b, c = q / (p * (p + q)), -(p + q) / (q * p), (2 * q + p) / (q * (p + q))
        last = a * _slice(x, dim, -3, -2) + b * _slice(x, dim, -2, -1) + c * _slice(x, dim, -1)
    return op.cat([first, middle, last], dim)


@composite()
def gradient(input: Tensor, *, spacing: Any | None = 1, dim: Ints | None = None, edge_order: Int = 1):
    """Derivatives of sampled values along dimensions, by central differences; a tuple of tensors.

    `spacing` is a number, one number for each dimension, or one tensor of coordinates for each.

    >>> gradient([1., 4., 9., 16.])[0]
    tensor([3., 4., 6., 7.])
    """
    dims = tuple([wrap_dim(d, input.ndim) for d in dim]) if dim is not None else tuple(range(input.ndim))
    for k, d in enumerate(dims):
        if d in dims[:k]:
            raise ShapeError(f"dim {d} appears multiple times in the list of dims")
    if edge_order not in (1, 2):
        raise ScriptValueError("torch.gradient only supports edge_order=1 and edge_order=2.")
    steps = _steps(spacing, dims, dim is not None)
    for d in dims:
        if input.shape[d] < edge_order + 1:
            raise ShapeError("torch.gradient expected each dimension size to be at least edge_order+1")
    return tuple(
        _uneven(input, s, d, edge_order)
        if type(s) is Value and s.ndim == 1
        else _even(input, s, d, edge_order)
        for s, d in zip(steps, dims, strict=True)
    )


def _steps(spacing: Any, dims: tuple[int, ...], given: bool) -> list[Any]:
    if type(spacing) not in (list, tuple):
        return [1 if spacing is None else spacing] * len(dims)
    if len(spacing) != len(dims):
        said = (
            "expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have the "
            "same length, "
            f"but got a spacing argument of length {len(spacing)} and a dim argument of length {len(dims)}."
            if given
            else "expected spacing to be unspecified, a scalar, or a list of length equal to 'self.dim() = "
            f"{len(dims)}', since dim argument was not given, but got a list of length {len(spacing)}"
        )
        raise ShapeError("torch.gradient " + said)
    return list(spacing)


# ---- integrals ---------------------------------------------------------------------------------------------
def _steps_between(name: str, y: Any, x: Any, dim: int) -> Any:
    """The distances of the coordinates `x`, shaped to go with the samples `y`."""
    if dtype_of(y).kind == "b" or dtype_of(x).kind == "b":
        raise ScriptTypeError(f"{name}: received a bool input for `x` or `y`, but bool is not supported")
    if x.ndim == 1:
        if x.shape[0] != y.shape[dim]:
            raise ShapeError(f"{name}: There must be one `x` value for each sample point")
        x = op.view(x, tuple([-1 if k == dim else 1 for k in range(y.ndim)]))
    elif x.ndim < y.ndim:
        x = op.view(x, (1,) * (y.ndim - x.ndim) + x.shape)
    return op.slice(x, dim, 1) - op.slice(x, dim, 0, -1)


@composite(aliases=("trapz",))
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Number | None = None, dim: Int = -1):
    """Integral of samples `y` along a dimension by the trapezoidal rule, at coordinates `x` or `dx` apart.

    >>> trapezoid([1., 2., 3.])
    tensor(4.)
    """
    axis = wrap_dim(dim, y.ndim)
    refuse_no_dims(y.ndim, dim)
    if y.shape[axis] == 0:
        return op.zeros(tuple([n for k, n in enumerate(y.shape) if k != axis]), dtype=dtype_of(y))
    if x is not None:
        h = _steps_between("trapezoid", y, x, axis)
        return named(
            op.sum(h * (op.slice(y, axis, 0, -1) + op.slice(y, axis, 1)), axis) / 2.0, "DivBackward1"
        )
    if dtype_of(y).kind == "b":
        raise ScriptTypeError("trapezoid: received a bool input for `y`, but bool is not supported")
    ends = op.select(y, axis, 0) + op.select(y, axis, -1)
    return named((op.sum(y, axis) - ends * 0.5) * (1 if dx is None else dx), "MulBackward1")


@composite()
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Number | None = None, dim: Int = -1):
    """Integrals of samples `y` from the first to each later one by the trapezoidal rule.

    >>> cumulative_trapezoid([1., 2., 3.])
    tensor([1.5000, 4.0000])
    """
    axis = wrap_dim(dim, y.ndim)
    if x is not None:
        h = _steps_between("cumulative_trapezoid", y, x, axis)
        return named(
            op.cumsum(h * (op.slice(y, axis, 0, -1) + op.slice(y, axis, 1)), axis) / 2.0, "DivBackward1"
        )
    if dtype_of(y).kind == "b":
        raise ScriptTypeError(
            "cumulative_trapezoid: received a bool input for `y`, but bool is not supported"
        )
    return op.cumsum(
        (1 if dx is None else dx) / 2.0 * (op.slice(y, axis, 1) + op.slice(y, axis, 0, -1)), axis
    )
