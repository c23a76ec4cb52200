"""`[…]` literals of plain numbers alone, packed into bytes when they are compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.lang.literals import MAX_DIMS
from vardsl.syntax import ast

Packed = tuple[bytes, tuple[int, ...], str]


def _plain(e: ast.Expr) -> Any:
    """The number that an expression is, sign and all; None for anything else."""
    if isinstance(e, ast.Number):
        return e.value
    if isinstance(e, ast.Bool):
        return e.value
    if isinstance(e, ast.Unary) and e.op in "+-" and isinstance(e.value, ast.Number):
        return -e.value.value if e.op == "-" else e.value.value
    return None


def _nested(e: ast.Expr) -> Any:
    """Nested lists of plain numbers, or None where something else is among them."""
    if isinstance(e, ast.NumberRow):
        return list(e.values)
    if isinstance(e, ast.ListLit):
        items = [_nested(i) for i in e.items]
        return None if any(i is None for i in items) else items
    return _plain(e)


def pack(e: ast.ListLit | ast.NumberRow) -> Packed | None:
    """Bytes, shape and kind of a literal of plain numbers; None where that is to be seen at run time."""
    nested = _nested(e)
    if nested is None or not _regular(nested) or _depth(nested) > MAX_DIMS:
        return None
    leaves = _leaves(nested)
    kinds = {type(x) for x in leaves}
    kind = "d" if float in kinds or not leaves else "?" if kinds == {bool} else "q"
    if kind == "q" and not all(-(1 << 63) <= x < 1 << 63 for x in leaves):
        return None
    if kind == "d" and any(isinstance(x, int) and abs(x) >= 1 << 1000 for x in leaves):
        return None
    array = np.array(nested, np.dtype(kind))
    return array.tobytes(), array.shape, kind


def _regular(nested: Any) -> bool:
    """Whether all rows of a level are equally long."""
    level = [nested]
    while isinstance(level[0], list):
        if any(not isinstance(x, list) or len(x) != len(level[0]) for x in level):
            return False
        level = [y for x in level for y in x]
        if not level:
            return True
    return not any(isinstance(x, list) for x in level)


def _depth(nested: Any) -> int:
    n = 0
    while isinstance(nested, list):
        n, nested = n + 1, nested[0] if nested else None
    return n


def _leaves(nested: Any) -> list[Any]:
    level = nested
    while level and isinstance(level[0], list):
        level = [y for x in level for y in x]
    return level  # type: ignore[no-any-return]
