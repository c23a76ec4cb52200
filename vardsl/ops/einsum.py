"""Sums of products over named dimensions."""

from __future__ import annotations

from math import prod
from typing import Any

from vardsl.engine.dtypes import Array
from vardsl.errors import ScriptValueError, ShapeError
from vardsl.ops.define import (
    Str,
    Tensor,
    Varargs,
    composite,
    general,
    op,
)
from vardsl.ops.join import listed
from vardsl.ops.linalg import product

Labels = tuple[str, ...]


def _contract_rows(contract, args, at, n):
    """The rows are one label more."""
    left, right, *labels = args
    marks = [["rows"] if p is not None else [] for p in at[:2]]
    return contract.run([left, right, *[[*m, *k] for m, k in zip([*marks, ["rows"]], labels, strict=True)]])


@general(
    vjp={
        "left": lambda g, right, left_labels, right_labels, out: op._contract(
            g, right, out, right_labels, left_labels
        ),
        "right": lambda g, left, left_labels, right_labels, out: op._contract(
            g, left, out, left_labels, right_labels
        ),
    },
    grad_fn="ViewBackward0",
    batch=_contract_rows,
)
def _contract(left: Tensor, right: Tensor, left_labels: Any, right_labels: Any, out: Any):
    """Product of two tensors, summed over the labels that both have and `out` has not, as one matrix product.

    No label is repeated, and a label of only one of them is in `out`.
    """
    batch = [c for c in left_labels if c in right_labels and c in out]
    summed = [c for c in left_labels if c in right_labels and c not in out]
    rows = [c for c in left_labels if c not in right_labels]
    columns = [c for c in right_labels if c not in left_labels]
    size = dict(zip(left_labels, left.shape, strict=True)) | dict(zip(right_labels, right.shape, strict=True))
    a = _grouped(left, left_labels, (batch, rows, summed), size)
    b = _grouped(right, right_labels, (batch, summed, columns), size)
    if not batch:
        a, b = a[0], b[0]
    made = product(a, b).reshape([size[c] for c in (*batch, *rows, *columns)])
    order = [*batch, *rows, *columns]
    return made.transpose([order.index(c) for c in out])


def _grouped(x: Array, labels: Labels, groups: tuple[list[str], ...], size: dict[str, int]) -> Array:
    """`x` with one dimension for each group of labels."""
    moved = x.transpose([labels.index(c) for group in groups for c in group])
    return moved.reshape([prod(size[c] for c in group) for group in groups])


def _sublists(equation: str, operands: list[Any]) -> tuple[list[Labels], Labels]:
    """Labels of the operands' dimensions, and of the result; `…0`, `…1` are those an ellipsis stands for."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) < len(operands):
        raise ScriptValueError("einsum(): more operands were provided than specified in the equation")
    if len(terms) > len(operands):
        raise ScriptValueError("einsum(): fewer operands were provided than specified in the equation")
    _check_letters(left, terms)
    widest = 0
    for k, (term, x) in enumerate(zip(terms, operands, strict=True)):
        named = len(term.replace("...", ""))
        if "..." in term:
            if named > x.ndim:
                raise ShapeError(_count_sentence(term, named, x.ndim, k, True))
            widest = max(widest, x.ndim - named)
        elif named != x.ndim:
            raise ShapeError(_count_sentence(term, named, x.ndim, k, False))
    labels = [_expanded(term, x.ndim, widest) for term, x in zip(terms, operands, strict=True)]
    return labels, _result_labels(right if arrow else None, labels, widest, len(left) + 2)


def _check_letters(left: str, terms: list[str]) -> None:
    for k, term in enumerate(terms):
        if term.count("...") > 1:
            raise ScriptValueError(
                f"einsum(): found '.' for operand {k} for which an ellipsis was already found"
            )
        bare = term.replace("...", "")
        for c in bare:
            if c == ".":
                raise ScriptValueError(
                    f"einsum(): found '.' for operand {k} that is not part of any ellipsis"
                )
            if not (c.isascii() and c.isalpha()):
                raise ScriptValueError(
                    f"einsum(): invalid subscript given at index {left.index(c)} in the equation string, "
                    "subscripts must be in [a-zA-Z]"
                )


def _count_sentence(term: str, named: int, dims: int, k: int, ellipsis: bool) -> str:
    if ellipsis:
        return (
            f"einsum(): the number of subscripts in the equation ({named}) is more than the number of "
            "dimensions "
            f"({dims}) for operand {k}"
        )
    return (
        f"einsum(): the number of subscripts in the equation ({named}) does not match the number of "
        "dimensions "
        f"({dims}) for operand {k} and no ellipsis was given"
    )


def _expanded(term: str, ndim: int, widest: int) -> Labels:
    if "..." not in term:
        return tuple(term)
    before, after = term.split("...")
    n = ndim - len(before) - len(after)
    return (*before, *(f"…{widest - n + i}" for i in range(n)), *after)


def _result_labels(text: str | None, labels: list[Labels], widest: int, start: int) -> Labels:
    every = [c for term in labels for c in term]
    dots = tuple(f"…{i}" for i in range(widest))
    if text is None:
        return (*dots, *sorted(c for c in set(every) if every.count(c) == 1 and not c.startswith("…")))
    result: list[str] = []
    bare = text.replace("...", ".", 1)
    for c in bare:
        if c == ".":
            if "..." not in text:
                raise ScriptValueError(
                    "einsum(): found '.' for output but an ellipsis (...) was already found"
                )
            result += dots
            continue
        if not (c.isascii() and c.isalpha()):
            raise ScriptValueError(
                f"einsum(): invalid subscript given at index {start + bare.index(c)} in the equation string, "
                "subscripts must be in [a-zA-Z]"
            )
        if c in result:
            raise ScriptValueError(f"einsum(): output subscript {c} appears more than once in the output")
        if c not in every:
            raise ScriptValueError(
                f"einsum(): output subscript {c} does not appear in the equation for any input operand"
            )
        result.append(c)
    return tuple(result)


def _diagonals(x: Any, labels: Labels, number: int) -> tuple[Any, Labels]:
    """Repeated labels become one: the diagonal of their dimensions."""
    k = 0
    while k < len(labels):
        c = labels[k]
        j = labels.index(c)
        if j < k:
            if x.shape[j] != x.shape[k]:
                raise ShapeError(
                    f"einsum(): subscript {c} is repeated for operand {number} but the sizes don't match, "
                    f"{x.shape[k]} != {x.shape[j]}"
                )
            x = op.movedim(op.diagonal(x, 0, j, k), -1, j)
            labels = labels[:k] + labels[k + 1 :]
        else:
            k += 1
    return x, labels


def _sum_labels(x: Any, labels: Labels, gone: list[str]) -> tuple[Any, Labels]:
    if not gone:
        return x, labels
    return op.sum(x, tuple(labels.index(c) for c in gone)), tuple(c for c in labels if c not in gone)


def _pair(a: Any, la: Labels, b: Any, lb: Labels, needed: set[str]) -> tuple[Any, Labels]:
    """The product of two operands, summed over the labels that nothing later needs."""
    whole = needed.issuperset((*la, *lb))
    # a label of only one operand that is not needed is summed at once, as is a size against one of 1
    for c in [c for c in la if c in lb]:
        p, q = a.shape[la.index(c)], b.shape[lb.index(c)]
        if p != q:
            if p == 1:
                a, la = _sum_labels(a, la, [c])
            elif q == 1:
                b, lb = _sum_labels(b, lb, [c])
    a, la = _sum_labels(a, la, [c for c in la if c not in lb and c not in needed])
    b, lb = _sum_labels(b, lb, [c for c in lb if c not in la and c not in needed])
    out = tuple(dict.fromkeys(c for c in (*la, *lb) if c in needed))
    if whole:
        return _aligned(a, la, out) * _aligned(b, lb, out), out
    return op._contract(a, b, la, lb, out), out


def _aligned(x: Any, labels: Labels, out: Labels) -> Any:
    """`x` with dimensions in the order of `out`, of size one where it has not the label."""
    x = op.permute(x, tuple(labels.index(c) for c in out if c in labels))
    missing = [k for k, c in enumerate(out) if c not in labels]
    for k in missing:
        x = op.unsqueeze(x, k)
    return x


@composite()
def einsum(equation: Str, operands: Varargs):
    """Sums of products of elements, by Einstein's convention.

    Each letter names a dimension. Letters that the right side of `->` lacks are summed over; without `->`
    those that
    occur once are kept, in alphabetical order. `...` stands for any further dimensions, which broadcast.

    >>> einsum("ij,jk->ik", [[1., 2.], [3., 4.]], [[1., 0.], [1., 1.]])
    tensor([[3., 2.],
            [7., 4.]])
    >>> einsum("ii", [[1., 2.], [3., 4.]])
    tensor(5.)
    """
    values = listed(operands)
    if not values:
        raise ScriptValueError("einsum(): must provide at least one operand")
    labels, out = _sublists(equation, values)
    pairs = [_diagonals(x, term, k) for k, (x, term) in enumerate(zip(values, labels, strict=True))]
    _check_sizes(pairs)
    x, current = pairs[0]
    for k in range(1, len(pairs)):
        b, lb = pairs[k]
        needed = {*out, *(c for _, later in pairs[k + 1 :] for c in later)}
        last = k == len(pairs) - 1
        x, current = _pair(x, current, b, lb, needed)
        if last and set(current) == set(out) and current != out:
            return op.permute(x, tuple(current.index(c) for c in out))
    if len(pairs) == 1:
        gone = [c for c in current if c not in out]
        order = (*out, *gone)
        x = op.permute(x, tuple(current.index(c) for c in order))
        return op.sum(x, tuple(range(len(out), len(order)))) if gone else x
    return x


def _check_sizes(pairs: list[tuple[Any, Labels]]) -> None:
    size: dict[str, int] = {}
    for k, (x, labels) in enumerate(pairs):
        for c, n in zip(labels, x.shape, strict=True):
            before = size.get(c, n)
            if before != n and 1 not in (before, n):
                raise ShapeError(
                    f"einsum(): subscript {c} has size {n} for operand {k} which does not broadcast with "
                    "previously "
                    f"seen size {before}"
                )
            size[c] = max(before, n) if before and n else 0
