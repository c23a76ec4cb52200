"""Text of any value of a script, as `print` shows it."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np

from vardsl.display.tensors import (
    DEFAULT,
    PrintOptions,
    format_array,
    format_fields,
    format_tensor,
    format_tuple,
)
from vardsl.engine.context import Context
from vardsl.engine.inplace import InPlace
from vardsl.engine.op import Op
from vardsl.engine.value import Node, Value
from vardsl.errors import LimitError, ScriptTypeError

MAX_NESTING = 200


class ValueTexts:
    """Makes text of values by the session's print options."""

    def text(self, value: Any, ctx: Context) -> str:
        return text(value, ctx)

    def set_printoptions(self, ctx: Context, **options: Any) -> None:
        before = ctx.print_options or DEFAULT
        known = {*PrintOptions.__slots__, "profile"}
        for name in options:
            if name not in known:
                raise ScriptTypeError(
                    f"set_printoptions() got an unexpected keyword argument '{name}'",
                    hint=f"it takes {', '.join(sorted(known))}",
                )
        ctx.print_options = before.changed(**options)


def text(value: Any, ctx: Context, *, quoted: bool = False, depth: int = 0) -> str:
    """How a value prints; `quoted`: inside a tuple, where strings have quotes."""
    options: PrintOptions = ctx.print_options or DEFAULT
    if type(value) is Value:
        node = value.grad_fn
        return format_tensor(
            value.array,
            requires_grad=value.requires_grad,
            grad_fn=None if node is None else node.grad_fn,
            default_dtype=ctx.default_dtype.name,
            options=options,
        )
    if isinstance(value, str):
        return repr(value) if quoted else value
    if isinstance(value, np.ndarray):
        return format_array(value, options, nested=quoted)
    if isinstance(value, np.generic):
        return str(value.item())
    if isinstance(value, (Op, InPlace)):
        return f"<fn {value.name}>"
    if isinstance(value, FunctionType):
        return f"<{_function(value)}>"
    if (
        isinstance(value, tuple)
        and type(value).__repr__ is not tuple.__repr__
        and not hasattr(value, "_fields")
    ):
        return repr(value)
    if isinstance(value, tuple):
        if depth > MAX_NESTING:
            raise LimitError(f"a tuple is nested more than {MAX_NESTING} deep, the limit for printing")
        parts = [text(v, ctx, quoted=True, depth=depth + 1) for v in value]
        fields = getattr(type(value), "_fields", None)
        if fields is not None:
            return format_fields(type(value).__name__, fields, parts)
        return format_tuple(parts)
    if isinstance(value, int) and not isinstance(value, bool):
        return _integer(value)
    if isinstance(value, Node):
        return f"<{value.grad_fn}>"
    return str(value)


def _function(f: FunctionType) -> str:
    shown = f.__dict__.get("shown")
    if shown is None:
        return f"fn {f.__name__.rstrip('_')}"
    return "fn" + shown.removeprefix("fn") if shown.startswith("fn(") else f"fn {shown}"


def _integer(n: int) -> str:
    try:
        return str(n)
    except ValueError:
        raise LimitError(
            f"an integer of {n.bit_length():,} bits has more digits than are written at a time",
            hint="float(n) shows its size",
        ) from None
