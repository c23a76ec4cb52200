"""The linear layer, and tables of rows: linear, embedding, one_hot, bilinear."""

from __future__ import annotations

from math import prod

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import Array
from vardsl.engine.value import Value
from vardsl.errors import ScriptIndexError, ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.addmm import fits
from vardsl.ops.define import Bool, Index, Int, Number, Tensor, composite, general, looked_at, nondiff, op
from vardsl.ops.indexing import add_rows
from vardsl.ops.linalg import laid_out, operands, same_matrix_types, show

# ---- linear ------------------------------------------------------------------------------------------------


def _flat(x):
    """All leading dimensions as rows."""
    if x.ndim == 2:
        return x
    rows = 1
    for n in x.shape[:-1]:
        rows *= n
    return op.reshape(x, (rows, x.shape[-1]))


_RULES = {
    "input": lambda g, weight: op.matmul(g, weight),
    "weight": lambda g, input: op.mm(op._swapped(_flat(g)), _flat(input)),
    "bias": lambda g, bias_like: op.sum_to_size(g, bias_like.shape),
}


def _linear(input: Array, weight: Array, bias: Array | None) -> Array:
    rows = prod(input.shape[:-1])
    flat = laid_out(input).reshape(rows, input.shape[-1])
    if flat.shape[1] != weight.shape[1]:
        raise ShapeError(
            f"mat1 and mat2 shapes cannot be multiplied ({show(flat)} and "
            f"{weight.shape[1]}x{weight.shape[0]})",
            operands=operands(input, weight),
        )
    same_matrix_types(input, weight)
    y = np.matmul(flat, laid_out(weight).T)
    if bias is not None:
        if bias.dtype != weight.dtype:
            raise ScriptTypeError("self and mat2 must have the same dtype")
        fits(bias, y.shape)
        y += bias
    return y.reshape(*input.shape[:-1], weight.shape[0])


def _layer_of_rows(layer, args, at, n):
    bias = args[2] if len(args) > 2 else None
    if at[0] is None or any(p is not None for p in at[1:]) or (bias is not None and bias.ndim != 1):
        return NotImplemented
    return op.linear(args[0], args[1], bias)


@general(vjp=_RULES, grad_fn="AddmmBackward0", batch=_layer_of_rows)
def _linear_rows(input: Tensor, weight: Tensor, bias: Tensor):
    return _linear(input, weight, bias)


@general(vjp=_RULES, grad_fn="ViewBackward0", batch=_layer_of_rows)
def _linear_stack(input: Tensor, weight: Tensor, bias: Tensor):
    return _linear(input, weight, bias)


_PLAIN = {"input": _RULES["input"], "weight": _RULES["weight"]}


@general(vjp=_PLAIN, grad_fn="MmBackward0", batch=_layer_of_rows)
def _linear_plain_rows(input: Tensor, weight: Tensor):
    return _linear(input, weight, None)


@general(vjp=_PLAIN, grad_fn="UnsafeViewBackward0", batch=_layer_of_rows)
def _linear_plain_stack(input: Tensor, weight: Tensor):
    return _linear(input, weight, None)


@general(
    vjp={
        "input": lambda g, weight: op.mv(op._swapped(weight), g),
        "weight": lambda g, input: op.reshape(g, (g.shape[0], 1)) * input,
    },
    grad_fn="SqueezeBackward4",
    batch=_layer_of_rows,
)
def _linear_plain_vector(input: Tensor, weight: Tensor):
    return _linear(input, weight, None)


@composite()
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None):
    """The linear layer.

    Value: y = input weightᵀ + bias
    Derivative: g weight, gᵀ input and Σ g

    >>> linear([1., 2.], [[1., 0.], [1., 1.]], [10., 20.])
    tensor([11., 23.])
    """
    if weight.ndim == 1 and bias is not None and input.ndim == 2:
        raise ShapeError(f"mat2 must be a matrix, got {weight.ndim}-D tensor")
    if weight.ndim == 1:
        y = op.matmul(input, weight)
        return y if bias is None else y + bias
    if input.ndim == 0 or weight.ndim != 2:
        raise ShapeError(
            f"both arguments to linear need to be at least 1D, but they are {input.ndim}D and {weight.ndim}D"
        )
    if bias is None:
        if input.ndim == 1:
            return op._linear_plain_vector(input, weight)
        return (op._linear_plain_rows if input.ndim == 2 else op._linear_plain_stack)(input, weight)
    return (op._linear_rows if input.ndim == 2 else op._linear_stack)(input, weight, bias)


@general(
    vjp={
        "input1": lambda g, input2, weight: op.einsum("...k,kij,...j->...i", g, weight, input2),
        "input2": lambda g, input1, weight: op.einsum("...k,kij,...i->...j", g, weight, input1),
        "weight": lambda g, input1, input2: op.einsum("...k,...i,...j->kij", g, input1, input2),
    },
    grad_fn="ViewBackward0",
)
def _bilinear(input1: Tensor, input2: Tensor, weight: Tensor):
    half = np.tensordot(input1, weight, ((-1,), (1,)))  # [..., k, j]
    return np.matmul(half, input2[..., None])[..., 0]


@composite()
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None):
    """A linear function of each of two inputs.

    Value: yₖ = Σᵢⱼ input1ᵢ weightₖᵢⱼ input2ⱼ + biasₖ

    >>> bilinear([[1., 2.]], [[3.]], ones(1, 2, 1))
    tensor([[9.]])
    """
    if input1.ndim != input2.ndim:
        raise ShapeError(f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}")
    for i in range(input1.ndim - 1):
        if input1.shape[i] != input2.shape[i]:
            raise ShapeError(
                f"bilinear(): input batch dimensions do not match at dim {i}: "
                f"got {input1.shape[i]} and {input2.shape[i]}"
            )
    for k, x in ((1, input1), (2, input2)):
        if x.shape[-1] != weight.shape[k]:
            raise ShapeError(
                f"bilinear(): input{k} size does not match weight size: got {x.shape[-1]} but expected "
                f"{weight.shape[k]}"
            )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise ShapeError(
            f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected "
            f"{weight.shape[0]}"
        )
    y = op._bilinear(input1, input2, weight)
    return y if bias is None else y + bias


# ---- tables of rows ----------------------------------------------------------------------------------------


def in_table(indices: Array, rows: int) -> None:
    """Raises ScriptIndexError where an index has no row."""
    if indices.size and (indices.min() < 0 or indices.max() >= rows):
        raise ScriptIndexError(
            "index out of range in self", hint=f"the table has {rows} rows, 0 … {rows - 1}"
        )


def _embedding_vjp(g, input, weight_like, padding_idx, scale_grad_by_freq):
    return op._embedding_dense_backward(g, input, weight_like.shape[0], padding_idx, scale_grad_by_freq)


def _dense_into(out, scratch, grad_output, indices, num_weights, padding_idx, scale_grad_by_freq):
    plain = padding_idx < 0 and not scale_grad_by_freq
    given = (grad_output, indices)
    if not plain or grad_output.dtype != out.dtype or not all(a.flags.c_contiguous for a in given):
        return None
    rows = grad_output.reshape(indices.size, out.shape[1])
    return [(out.fill, (0,)), (add_rows, (out, indices.reshape(-1), rows))]


@general(
    into=_dense_into,
    vjp={"grad_output": lambda g, indices, padding_idx, scale_grad_by_freq, num_weights: op._embedding_rows(
        g, indices, num_weights, padding_idx, scale_grad_by_freq
    )},
    grad_fn="EmbeddingDenseBackwardBackward0",
)  # fmt: skip
def _embedding_dense_backward(
    grad_output: Tensor, indices: Index, num_weights: Int, padding_idx: Int, scale_grad_by_freq: Bool
):
    """Rows of cotangents added up by index."""
    flat = indices.reshape(-1)
    rows = grad_output.reshape(flat.size, grad_output.shape[-1])
    factor = _row_factor(flat, padding_idx, num_weights, scale_grad_by_freq, rows.dtype)
    if factor is not None:
        rows = rows * factor[:, None]
    made = np.zeros((num_weights, rows.shape[1]), rows.dtype)
    add_rows(made, flat, rows)
    return made


def _row_factor(
    flat: Array, padding_idx: int, rows: int, by_frequency: bool, dtype: np.dtype
) -> Array | None:
    factor = None
    if by_frequency:
        factor = 1 / np.bincount(flat, minlength=rows)[flat].astype(dtype)
    if padding_idx >= 0:
        kept = (flat != padding_idx).astype(dtype)
        factor = kept if factor is None else factor * kept
    return factor


@general(
    vjp=lambda g, indices, num_weights, padding_idx, scale_grad_by_freq: op._embedding_dense_backward(
        g, indices, num_weights, padding_idx, scale_grad_by_freq
    ),
    grad_fn="EmbeddingBackward0",
)
def _embedding_rows(
    input: Tensor, indices: Index, num_weights: Int, padding_idx: Int, scale_grad_by_freq: Bool
):
    """The adjoint of `_embedding_dense_backward`: rows by index, scaled as the gradient is."""
    flat = indices.reshape(-1)
    rows = input[flat]
    factor = _row_factor(flat, padding_idx, num_weights, scale_grad_by_freq, rows.dtype)
    if factor is not None:
        rows = rows * factor[:, None]
    return rows.reshape(*indices.shape, input.shape[1])


@general(vjp={"weight": _embedding_vjp}, grad_fn="EmbeddingBackward0")
def _embedding(input: Index, weight: Tensor, padding_idx: Int, scale_grad_by_freq: Bool):
    in_table(input, weight.shape[0])
    return np.take(weight, input, axis=0)


@composite()
def embedding(
    input: Index,
    weight: Tensor,
    padding_idx: Int | None = None,
    max_norm: Number | None = None,
    norm_type: Number = 2.0,
    scale_grad_by_freq: Bool = False,
    sparse: Bool = False,
):
    """Rows of a table by their indices.

    The row `padding_idx` gets no gradient. With `max_norm` the rows that are used are first scaled down in
    place to
    that norm; with `scale_grad_by_freq` a row's gradient is divided by the number of its uses.

    Value: yᵢ = weight[inputᵢ]

    >>> embedding([1, 0], [[1., 2.], [3., 4.]])
    tensor([[3., 4.],
            [1., 2.]])
    """
    indices = input.array if isinstance(input, Value) else np.asarray(input)
    if indices.dtype.name not in ("int64", "int32"):
        raise ScriptTypeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; "
            "but got "
            f"torch.{Value(indices).dtype.type_name}Tensor instead (while checking arguments for embedding)",
            hint="indices are integers: x.long()",
        )
    if weight.ndim != 2:
        raise ShapeError("'weight' must be 2-D")
    rows = weight.shape[0]
    if padding_idx is not None:
        if padding_idx >= rows or padding_idx < -rows:
            raise ScriptValueError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    if max_norm is not None:
        looked_at(weight)
        _renorm_rows(weight, indices, max_norm, norm_type)
    return op._embedding(input, weight, -1 if padding_idx is None else padding_idx, scale_grad_by_freq)


def _renorm_rows(weight: Value | Array, indices: Array, max_norm: float, norm_type: float) -> None:
    """Scales the rows in use down to `max_norm`, in place."""
    in_table(indices, weight.shape[0])
    table = weight.array if isinstance(weight, Value) else weight
    used = np.unique(indices)
    norms = np.linalg.norm(table[used], norm_type, axis=1)
    large = norms > max_norm
    table[used[large]] *= (max_norm / (norms[large] + 1e-7))[:, None].astype(table.dtype)


@nondiff()
def one_hot(input: Index, num_classes: Int = -1):
    """A row of zeros with a single one for each class index.

    >>> one_hot([0, 2])
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if input.dtype != np.int64:
        raise ScriptTypeError("one_hot is only applicable to index tensor of type LongTensor.")
    if input.size == 0:
        if num_classes <= 0:
            raise ScriptValueError("Can not infer total number of classes from empty tensor.")
        return np.zeros((*input.shape, num_classes), np.int64)
    if input.min() < 0:
        raise ScriptValueError("Class values must be non-negative.")
    largest = int(input.max())
    if num_classes == -1:
        num_classes = largest + 1
    elif largest >= num_classes:
        raise ScriptValueError("Class values must be smaller than num_classes.")
    state.ctx.budget.reserve(input.size * num_classes * 8, "one_hot()")
    return (input[..., None] == np.arange(num_classes)).astype(np.int64)
