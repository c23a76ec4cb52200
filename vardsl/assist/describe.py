"""What a value is, in a few words: for menus, listings, the toolbar and hover."""

from __future__ import annotations

from typing import Any

import numpy as np

from vardsl.engine.budget import show_bytes
from vardsl.engine.dtypes import BY_NP, DType
from vardsl.engine.value import Value
from vardsl.lang import members

_TEXT = 40


def facts(value: Any) -> str:
    """`[2, 3] float32 grad` of a tensor, and the text of what is short."""
    if type(value) is Value:
        grad = " grad" if value._requires or value._node is not None else ""
        return f"{members.Shape(value.array.shape)!r} {BY_NP[value.array.dtype].name}{grad}"
    if isinstance(value, np.ndarray):
        return f"array {members.Shape(value.shape)!r} {value.dtype.name}"
    if isinstance(value, str):
        return repr(value if len(value) <= _TEXT else value[: _TEXT - 1] + "…")
    if isinstance(value, bool | int | float | DType | members.Shape | type(None)):
        return _cut(repr(value) if not isinstance(value, int) or abs(value) < 1 << 256 else "a long integer")
    if isinstance(value, tuple):
        return f"tuple of {len(value)}"
    shown = getattr(value, "shown", None)
    if isinstance(shown, str):
        return _cut(shown)
    return _cut(repr(value)) if members.type_word(value) != "function" else f"<fn {function_name(value)}>"


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"


def function_name(value: Any) -> str:
    """The name of something that can be called."""
    return str(getattr(value, "name", None) or getattr(value, "__name__", "") or "fn")


def contents(value: Any) -> str:
    """The value of a number, the range of a tensor's; empty where there is nothing to say."""
    if type(value) is not Value:
        return facts(value)
    a = value.array
    if a.size == 0:
        return ""
    if a.size == 1:
        return f"{a.reshape(-1)[0].item():.6g}"
    if a.size > 100_000:
        return ""
    if a.dtype.kind == "b":
        return f"{int(a.sum())} of {a.size} true"
    finite = a[np.isfinite(a)] if a.dtype.kind == "f" else a
    if finite.size == 0:
        return "nan" if np.isnan(a).all() else "inf"
    low, high = f"{finite.min().item():.4g}", f"{finite.max().item():.4g}"
    span = low if low == high else f"{low}..{high}"
    bad = a.size - finite.size
    return f"{span}, {bad} not finite" if bad else span


def gradient(value: Any) -> str:
    """`|grad| 2.7` where a tensor has a gradient."""
    g = value._grad if type(value) is Value else None
    if g is None or g.array.size > 100_000:
        return "" if g is None else "has grad"
    with np.errstate(all="ignore"):
        return f"|grad| {float(np.sqrt(np.square(g.array.astype(np.float64)).sum())):.4g}"


def memory(value: Any) -> str:
    """How much memory a tensor or array takes."""
    a = value.array if type(value) is Value else value
    return show_bytes(a.nbytes) if isinstance(a, np.ndarray) else ""


def small(value: Any, width: int = 40) -> str:
    """The elements themselves where they fit, `7.5` or `[1, 2.5, 3]`; else empty."""
    if type(value) is not Value:
        return facts(value)
    a = value.array
    if a.size > 12:
        return ""
    text = _nested(a.tolist())
    return text if len(text) <= width else ""


def _nested(x: Any) -> str:
    if isinstance(x, list):
        return "[" + ", ".join(_nested(k) for k in x) + "]"
    return str(x).lower() if isinstance(x, bool) else f"{x:.4g}"
