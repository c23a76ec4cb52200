"""Norms of vectors and matrices, and distances between vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import BY_NP, Array
from vardsl.engine.tiles import add_up
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.decompose import check_matrix, check_real, check_square
from vardsl.ops.define import (
    Bool,
    Dtype,
    Int,
    Ints,
    Number,
    Tensor,
    array,
    composite,
    fused,
    general,
    nondiff,
    op,
)
from vardsl.ops.dims import dtype_of, wrap_dim, wrap_dims
from vardsl.ops.select import steps

# ---- vector norms ------------------------------------------------------------------------------------------


def norm_of(x: Array, p: float, axes: tuple[int, ...], keepdim: bool) -> Array:
    kind = x.dtype.type
    if p == 2:
        return np.sqrt(add_up(x * x, axes, x.dtype, keepdim))
    a = np.abs(x)
    if p == 1:
        return np.add.reduce(a, axes, keepdims=keepdim)
    if p == 0:
        return np.add.reduce((x != 0).astype(x.dtype), axes, keepdims=keepdim)
    if math.isinf(p):
        if p > 0:
            return np.maximum.reduce(a, axes, keepdims=keepdim, initial=0)
        return np.minimum.reduce(a, axes, keepdims=keepdim, initial=np.inf)
    with np.errstate(divide="ignore"):
        return np.add.reduce(a ** kind(p), axes, keepdims=keepdim) ** kind(1 / p)


def _spread(x, like, axes, keepdim):
    """A reduced value, so that it broadcasts with what was reduced."""
    if keepdim or x.ndim == len(like.shape):
        return x
    return op.reshape(x, tuple(1 if k in axes else n for k, n in enumerate(like.shape)))


def norm_vjp(g, y, x, p, dim, keepdim):
    """The derivative of a norm, with PyTorch's values at zero and at ties."""
    axes = wrap_dims(dim, x.ndim)
    g, y = _spread(g, x, axes, keepdim), _spread(y, x, axes, keepdim)
    if p == 0:
        return op.zeros_like(x) * g
    if p == 1:
        return op.sign(x) * g
    zero = y == 0
    if p == 2:
        if type(g) is Value and state.ctx.grad_enabled:
            return g * op.masked_fill(x / y, zero, 0)
        return g * (x / op._where(zero, math.inf, y))  # the same, where nothing differentiates it again
    if math.isinf(p):
        hit = op._hits(x, y, axes)
        return op.sign(x) * (g * hit)
    if p < 1:
        scaled = op.sign(x) * op.masked_fill(op.pow(op.abs(x), p - 1), x == 0, 0)
        return scaled * g * op.pow(y, 1 - p)
    if p < 2:
        scaled = op.sign(x) * op.pow(op.abs(x), p - 1)
    else:
        scaled = x * op.pow(op.abs(x), p - 2)
    return scaled * op.masked_fill(g / op.pow(y, p - 1), zero, 0)


@nondiff()
def _hits(x: Tensor, y: Tensor, axes: Ints):
    """Where an extreme is attained, each place with its share."""
    hit = (np.abs(x) == y) | np.isnan(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        return hit.astype(x.dtype) / np.add.reduce(hit, tuple(axes), keepdims=True).astype(x.dtype)


def _norm_steps(x, ord, dim, keepdim):
    if ord != 2:
        return None
    return op.sqrt(op._sum_dim.run([x * x, dim, keepdim, None]))


@general(
    vjp=lambda g, y, x, ord, dim, keepdim: norm_vjp(g, y, x, ord, dim, keepdim),
    grad_fn="LinalgVectorNormBackward0",
    lowered=steps(_norm_steps),
)
def _vector_norm(x: Tensor, ord: Number, dim: Ints | None, keepdim: Bool):
    return np.asarray(norm_of(x, ord, wrap_dims(dim, x.ndim), keepdim))


@general(
    vjp=lambda g, y, x, ord, dim, keepdim: norm_vjp(g, y, x, ord, dim, keepdim),
    grad_fn="NormBackward1",
    lowered=steps(_norm_steps),
)
def _norm_along(x: Tensor, ord: Number, dim: Ints | None, keepdim: Bool):
    return np.asarray(norm_of(x, ord, wrap_dims(dim, x.ndim), keepdim))


@composite()
def linalg_vector_norm(
    x: Tensor, ord: Number = 2, dim: Ints | None = None, keepdim: Bool = False, *, dtype: Dtype | None = None
):
    """Norm of the elements, over all or over some dimensions: (Σ |x|ᵖ)^(1/p), p = `ord`.

    Infinity gives the largest, minus infinity the smallest absolute value, 0 the number of elements that are
    not 0.
    At zero the derivative is 0.

    >>> linalg.vector_norm([3., -4.])
    tensor(5.)
    """
    check_real("linalg.vector_norm", x)
    if dtype is not None:
        if dtype.itemsize < dtype_of(x).itemsize:
            raise ScriptTypeError(
                f"linalg.vector_norm: the dtype of the input ({BY_NP[dtype_of(x)].type_name}) should be "
                f"convertible without narrowing to the specified dtype ({BY_NP[dtype].type_name})"
            )
        x = op._cast(x, dtype)
    _check_reducible("linalg.vector_norm", x, ord, dim)
    return op._vector_norm(x, ord, dim, keepdim)


def _check_reducible(name, x, p, dim):
    if p >= 0 and not math.isinf(p):
        return
    axes = wrap_dims(dim, x.ndim)
    if any(x.shape[k] == 0 for k in axes):
        which = "inf" if p == math.inf else "-inf" if p == -math.inf else f"{p:g}"
        if dim is None or (len(axes) == x.ndim and not dim):
            raise ShapeError(
                f"{name} cannot compute the {which} norm on an empty tensor because the operation does not "
                "have an "
                "identity"
            )
        bad = next(k for k in axes if x.shape[k] == 0)
        raise ShapeError(
            f"{name} cannot compute the {which} norm on the dimension {bad}because this dimension is empty "
            "and the "
            "operation does not have an identity"
        )


# ---- matrix norms ------------------------------------------------------------------------------------------


def _matrix_dims(name, A, dim):
    check_matrix(name, A)
    check_real(name, A)
    if len(dim) != 2:
        raise ScriptValueError(f"{name}: dim must be a 2-tuple. Got {' '.join(map(str, dim))}")
    a, b = wrap_dim(dim[0], A.ndim), wrap_dim(dim[1], A.ndim)
    if a == b:
        raise ScriptValueError(f"{name}: dims must be different. Got ({dim[0]}, {dim[1]})")
    return a, b


def _at_end(A, a, b):
    rest = [k for k in range(A.ndim) if k not in (a, b)]
    return op.permute(A, (*rest, a, b))


@composite()
def linalg_matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Ints = (-2, -1), keepdim: Bool = False, *, dtype: Dtype | None = None
):
    """Norm of matrices.

    `ord` is "fro" (root of the sum of squares), "nuc" (sum of singular values), 2 or −2 (largest or smallest
    singular
    value), 1 or −1 (columns), infinity or minus infinity (rows).

    >>> linalg.matrix_norm([[1., 2.], [3., 4.]], 1)
    tensor(6.)
    """
    name = "linalg.matrix_norm"
    a, b = _matrix_dims(name, A, dim)
    if dtype is not None:
        A = op._cast(A, dtype)
    if isinstance(ord, str):
        if ord == "fro":
            return op._vector_norm(A, 2, (a, b), keepdim)
        if ord != "nuc":
            raise ScriptValueError(f"linalg.matrix_norm: Order {ord} not supported.")
        return _kept(op.sum(op.linalg_svdvals(_at_end(A, a, b)), -1, keepdim), A, a, b, keepdim)
    if abs(ord) not in (1, 2, math.inf):
        raise ScriptValueError(f"linalg.matrix_norm: Order {ord:g} not supported.")
    extreme = op.amax if ord > 0 else op.amin
    if abs(ord) == 2:
        return _kept(extreme(op.linalg_svdvals(_at_end(A, a, b)), (-1,), keepdim), A, a, b, keepdim)
    if math.isinf(ord):
        a, b = b, a
    sums = op._vector_norm(A, 1, (a,), keepdim)
    return extreme(sums, (b if keepdim or b < a else b - 1,), keepdim)


def _kept(x, A, a, b, keepdim):
    """A result without its matrix dimensions, with ones in the places of those."""
    if not keepdim:
        return x
    x = op.unsqueeze(x, -1)
    rest = [k for k in range(A.ndim) if k not in (a, b)]
    order = [*rest, a, b]
    return op.permute(x, tuple(order.index(k) for k in range(A.ndim)))


@composite()
def linalg_norm(
    A: Tensor,
    ord: Any | None = None,
    dim: Ints | None = None,
    keepdim: Bool = False,
    *,
    dtype: Dtype | None = None,
):
    """Norm of a vector or of a matrix: `linalg.vector_norm` or `linalg.matrix_norm`, by `ord` and `dim`.

    Value: √Σ A², or by ord

    >>> linalg.norm([[3., 0.], [0., 4.]])
    tensor(5.)
    """
    if ord is None:
        return op.linalg_vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is not None and len(dim) not in (1, 2):
        raise ScriptValueError(
            f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dim)}"
        )
    if dim is None and A.ndim not in (1, 2):
        raise ShapeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.ndim}D."
        )
    if (dim is not None and len(dim) == 2) or (dim is None and A.ndim == 2):
        return op.linalg_matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    if isinstance(ord, str):
        return op.linalg_matrix_norm(A, ord, (-2, -1), keepdim, dtype=dtype)
    return op.linalg_vector_norm(A, ord, dim, keepdim, dtype=dtype)


@composite()
def linalg_cond(A: Tensor, p: Any | None = None):
    """Condition number of matrices: the norm times the norm of the inverse, in the norm `p` (2 unless given).

    >>> linalg.cond([[2., 0.], [0., 1.]])
    tensor(2.)
    """
    if A.ndim < 2:
        raise ShapeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p is None or (not isinstance(p, str) and abs(p) == 2):
        if 0 in A.shape:
            return op._no_conditions(A)
        s = op.linalg_svdvals(A)
        n = s.shape[-1]
        first, last = op.narrow(s, -1, 0, 1), op.narrow(s, -1, n - 1, 1)
        return op.squeeze(last / first if p == -2 else first / last, -1)
    if isinstance(p, str) and p not in ("fro", "nuc"):
        raise ScriptValueError(f"linalg.cond got an invalid norm type: {p}")
    check_square(f"linalg.cond(ord={p if isinstance(p, str) else f'{p:g}'})", A)
    if p == "nuc":
        s = op.linalg_svdvals(A)
        return op.sum(s, -1) * op.sum(op.reciprocal(s), -1)
    inverse = op._inverse_or_infinite(A)
    product = op.linalg_matrix_norm(A, p) * op.linalg_matrix_norm(inverse, p)
    return op.nan_to_num(product, math.inf, math.inf, -math.inf)


@general(
    vjp=lambda g, y: -op.matmul(op._swapped(y), op.matmul(g, op._swapped(y))), grad_fn="LinalgInvExBackward0"
)
def _inverse_or_infinite(A: Tensor):
    """The inverse; infinities where there is none."""
    try:
        return np.linalg.inv(A)
    except np.linalg.LinAlgError:
        flat = A.reshape(-1, *A.shape[-2:])
        made = np.full(flat.shape, np.inf, A.dtype)
        for k, matrix in enumerate(flat):
            if np.linalg.matrix_rank(matrix) == matrix.shape[0]:
                made[k] = np.linalg.inv(matrix)
        return made.reshape(A.shape)


@nondiff()
def linalg_matrix_rank(
    input: Tensor,
    tol: Any | None = None,
    hermitian: Bool = False,
    *,
    atol: Any | None = None,
    rtol: Any | None = None,
):
    """Rank of matrices: the number of singular values above max(atol, rtol · largest).

    >>> linalg.matrix_rank([[1., 2.], [2., 4.]])
    tensor(1)
    """
    if input.ndim < 2:
        raise ShapeError("torch.linalg.matrix_rank: The input tensor input must have at least 2 dimensions.")
    if input.dtype.kind != "f":
        raise ScriptTypeError("This function doesn't handle types other than float and double")
    m, n = input.shape[-2:]
    if input.size == 0:
        return np.zeros(input.shape[:-2], np.int64)
    s = np.abs(np.linalg.eigvalsh(input)) if hermitian else np.linalg.svd(input, compute_uv=False)
    top = np.maximum.reduce(s, -1, keepdims=True)
    if tol is not None:
        bound = _per_matrix(tol)
    else:
        low = _per_matrix(0.0 if atol is None else atol)
        if rtol is None:
            relative = np.where(low > 0, 0.0, float(np.finfo(input.dtype).eps) * max(m, n))
        else:
            relative = _per_matrix(rtol)
        bound = np.maximum(low, relative * top)
    return np.count_nonzero(s > bound, axis=-1)


def _per_matrix(x: Any) -> Array:
    a = array(x)
    return a[..., None] if a.ndim else a


@composite()
def linalg_diagonal(A: Tensor, *, offset: Int = 0, dim1: Int = -2, dim2: Int = -1):
    """Diagonals of matrices.

    >>> linalg.diagonal([[1., 2.], [3., 4.]])
    tensor([1., 4.])
    """
    return op.diagonal(A, offset, dim1, dim2)


# ---- norms in use ------------------------------------------------------------------------------------------


@fused()
def _renorm(input: Tensor, p: Number, dim: Int, maxnorm: Number):
    axes = tuple(k for k in range(input.ndim) if k != dim)
    norm = op._vector_norm(input, p, axes, True)
    return input * op.where(norm > maxnorm, maxnorm / (norm + 1e-7), op.ones_like(norm))


@composite(inplace=True)
def renorm(input: Tensor, p: Number, dim: Int, maxnorm: Number):
    """The slices along `dim`, each scaled down to norm `maxnorm` where it is longer.

    >>> renorm([[3., 4.], [0., 1.]], 2, 0, 1)
    tensor([[0.6000, 0.8000],
            [0.0000, 1.0000]])
    """
    if p <= 0:
        raise ScriptValueError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise ScriptValueError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if input.ndim < 2:
        raise ShapeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    return op._renorm(input, p, wrap_dim(dim, input.ndim), maxnorm)


@composite()
def normalize(input: Tensor, p: Number = 2.0, dim: Any = 1, eps: Number = 1e-12):
    """Vectors along `dim` divided by their norm, or by `eps` where that is larger.

    >>> normalize([[3., 4.]])
    tensor([[0.6000, 0.8000]])
    """
    axes = (dim,) if isinstance(dim, int) else tuple(dim)
    check_real("linalg.vector_norm", input)
    norm = op._vector_norm(input, p, wrap_dims(axes, input.ndim), True)
    return input / op.expand(op.clamp_min(norm, eps), input.shape)


@composite()
def cosine_similarity(x1: Tensor, x2: Tensor, dim: Int = 1, eps: Number = 1e-08):
    """Cosine of the angle between vectors along `dim`.

    Value: x1 · x2 / (max(|x1|, eps) max(|x2|, eps))

    >>> cosine_similarity([[1., 0.]], [[1., 1.]])
    tensor([0.7071])
    """
    if array(x1).dtype.kind != "f" or array(x2).dtype.kind != "f":
        kind = "expected common dtype to be floating point, yet common dtype is "
        raise ScriptTypeError(kind + np.result_type(array(x1).dtype, array(x2).dtype).name)
    if x1.shape != x2.shape:
        pair = op.broadcast_tensors([x1, x2])
        x1, x2 = pair[0], pair[1]
    axis = wrap_dim(dim, x1.ndim)
    n1 = op._raised(op._vector_norm(x1, 2, (axis,), True), eps)
    n2 = op._raised(op._vector_norm(x2, 2, (axis,), True), eps)
    return op.sum((x1 / n1) * (x2 / n2), axis)


@composite()
def pairwise_distance(x1: Tensor, x2: Tensor, p: Number = 2.0, eps: Number = 1e-06, keepdim: Bool = False):
    """Distance of vectors along the last dimension.

    Value: |x1 − x2 + eps|ₚ

    >>> pairwise_distance([[0., 0.]], [[3., 4.]])
    tensor([5.0000])
    """
    d = x1 - x2 + eps
    return op._norm_along(d, p, (-1,), keepdim)


def _dist_vjp(g, y, input, other, p, like):
    return op.sum_to_size(norm_vjp(g, y, input - other, p, None, False), like.shape)


@general(
    vjp={
        "input": lambda g, y, input, other, p: _dist_vjp(g, y, input, other, p, input),
        "other": lambda g, y, input, other, p: _dist_vjp(-g, y, input, other, p, other),
    },
    promote="same",
    grad_fn="DistBackward0",
)  # fmt: skip
def _dist(input: Tensor, other: Tensor, p: Number):
    d = input - other
    return np.asarray(norm_of(d, p, tuple(range(d.ndim)), False))


@composite()
def dist(input: Tensor, other: Tensor, p: Number = 2):
    """Norm of the difference of two tensors.

    >>> dist([0., 0.], [3., 4.])
    tensor(5.)
    """
    if input.shape != other.shape:
        input, other = op.broadcast_tensors([input, other])
    return op._dist(input, other, p)
