"""The parameters of an operation, and how a call is bound to them.

Kinds, written as annotations of the declaring function:
    Tensor     an array that may be differentiated; a plain number stands for a 0-d one
    Tensors    a sequence of them
    Index      an array that is never differentiated (indices, targets, masks)
    Number Int Bool Str Dtype Any     static values
    Ints       a sequence of integers; a single integer stands for a sequence of one
    Sizes      the same, and may also be spread over the call: `view(2, 3)`
    Varargs    tensors spread over the call, or a sequence of them; a single tensor stays as it is
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NAME, DType
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ScriptValueError

REQUIRED = object()
ARRAY_KINDS = frozenset({"Tensor", "Tensors", "Index"})
PLAIN_KINDS = frozenset({"Number", "Int", "Ints", "Sizes", "Bool", "Str", "Dtype"})  # of no memory
SEQUENCE_KINDS = frozenset({"Tensors", "Ints", "Sizes", "Varargs"})
ALIASES = {"axis": "dim", "keepdims": "keepdim"}


# The types of what is taken as it is, by kind.
EXACT: dict[str, type] = {
    "Tensor": Value, "Index": Value, "Bool": bool, "Int": int, "Str": str, "Number": float,
}  # fmt: skip


class Parameter:
    """A parameter; `default` is REQUIRED where there is none, `optional` where `none` may be given. What has
    the type `exact` is taken as it is."""

    __slots__ = ("default", "exact", "keyword_only", "kind", "name", "optional", "tensor")

    def __init__(self, name: str, kind: str, default: Any, optional: bool, keyword_only: bool) -> None:
        self.name = name
        self.kind = kind
        self.default = default
        self.optional = optional
        self.keyword_only = keyword_only
        self.tensor = kind in ("Tensor", "Index")
        self.exact = EXACT.get(kind)

    @property
    def takes_sequence(self) -> bool:
        return self.kind in SEQUENCE_KINDS


def type_name(x: object) -> str:
    """What PyTorch's sentences call the type of `x`."""
    return "Tensor" if isinstance(x, (Value, np.ndarray)) else "NoneType" if x is None else type(x).__name__


class Signature:
    """The parameters of one operation, in PyTorch's order."""

    def __init__(self, parameters: tuple[Parameter, ...]) -> None:
        self.parameters = parameters
        self.index = {p.name: i for i, p in enumerate(parameters)}
        self.arrays = tuple(i for i, p in enumerate(parameters) if p.kind in ARRAY_KINDS)
        self.has_lists = any(p.kind == "Tensors" for p in parameters)
        self.keyword_only = tuple(p.name for p in parameters if p.keyword_only)
        self.positional = tuple(p for p in parameters if not p.keyword_only)
        self.defaults = tuple(p.default for p in parameters)
        self.required = max([i + 1 for i, p in enumerate(parameters) if p.default is REQUIRED], default=0)

    @classmethod
    def of(cls, fn: Callable[..., Any]) -> Signature:
        """Reads the parameters off a declaring function (its annotations are strings)."""
        code = fn.__code__
        n, k = code.co_argcount, code.co_kwonlyargcount
        names = code.co_varnames[: n + k]
        defaults = fn.__defaults__ or ()
        kw_defaults = fn.__kwdefaults__ or {}
        parameters = []
        for i, name in enumerate(names):
            if i < n:
                default = defaults[i - (n - len(defaults))] if i >= n - len(defaults) else REQUIRED
            else:
                default = kw_defaults.get(name, REQUIRED)
            kind = str(fn.__annotations__.get(name, "Any"))
            optional = kind.endswith(" | None") or default is None
            parameters.append(Parameter(name, kind.removesuffix(" | None"), default, optional, i >= n))
        return cls(tuple(parameters))

    def __str__(self) -> str:
        parts, star = [], False
        for p in self.parameters:
            if p.keyword_only and not star:
                parts.append("*")
                star = True
            parts.append(p.name if p.default is REQUIRED else f"{p.name}={_spelled(p.default)}")
        return ", ".join(parts)

    def bind(self, op: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> list[Any]:
        """Values for all parameters, in order. Raises ScriptTypeError for arity, keywords and kinds."""
        positional = self.positional
        if len(args) > len(positional):
            args = self._spread(op, args)
        given = len(args)
        bound: list[Any] = [*args, *self.defaults[given:]]
        for key, value in keywords.items():
            i = self.index.get(key)
            if i is None:
                i = self.index.get(ALIASES.get(key, ""))
                if i is None:
                    raise self._unknown(op, key)
            if i < given:
                raise ScriptTypeError(f"{op}() got multiple values for argument '{key}'")
            bound[i] = value
        # what has its default needs no look
        looked_at = self.parameters if keywords or given < self.required else self.parameters[:given]
        for i, p in enumerate(looked_at):
            v = bound[i]
            if type(v) is p.exact or (v is p.default and v is not REQUIRED):
                continue
            if v is REQUIRED:
                raise ScriptTypeError(
                    f'{op}() missing 1 required positional arguments: "{p.name}"', hint=f"{op}({self})"
                )
            if v is None:
                if not p.optional:
                    raise wrong_kind(op, i, p, v)
            elif p.kind in CHECKS:
                bound[i] = CHECKS[p.kind](op, i, p, v)
        return bound

    def _spread(self, op: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        positional = self.positional
        if positional and positional[-1].kind in ("Sizes", "Varargs"):
            n = len(positional) - 1
            return (*args[:n], tuple(args[n:]))
        n = len(positional)
        raise ScriptTypeError(
            f"{op}() takes {n} positional argument{'s' if n != 1 else ''} but {len(args)} were given",
            hint=f"{op}({self})",
        )

    def _unknown(self, op: str, key: str) -> ScriptTypeError:
        near = import_module("difflib").get_close_matches(key, list(self.index), 1)
        return ScriptTypeError(
            f"{op}() got an unexpected keyword argument '{key}'",
            hint=f"did you mean {near[0]}=?" if near else f"{op}({self})",
        )


def _spelled(default: Any) -> str:
    if default is None or isinstance(default, bool):
        return str(default).lower()
    return repr(default)


def wrong_kind(op: str, i: int, p: Parameter, v: object) -> ScriptTypeError:
    """PyTorch's sentence for an argument of a wrong kind."""
    wanted = {
        "Tensor": "Tensor", "Index": "Tensor", "Tensors": "tuple of Tensors", "Number": "Number",
        "Int": "int",
        "Bool": "bool", "Str": "str", "Dtype": "torch.dtype", "Ints": "tuple of ints",
        "Sizes": "tuple of ints",
    }.get(p.kind, p.kind)  # fmt: skip
    where = f"'{p.name}'" if p.keyword_only else f"'{p.name}' (position {i + 1})"
    return ScriptTypeError(f"{op}(): argument {where} must be {wanted}, not {type_name(v)}")


Check = Callable[[str, int, Parameter, Any], Any]


def _tensor(op: str, i: int, p: Parameter, v: Any) -> Any:
    if type(v) is Value or isinstance(v, (np.ndarray, np.generic, int, float)):
        return v
    raise wrong_kind(op, i, p, v)


def _tensors(op: str, i: int, p: Parameter, v: Any) -> list[Any]:
    if isinstance(v, (tuple, list)):
        for k, x in enumerate(v):
            if type(x) is not Value and not isinstance(x, (np.ndarray, np.generic)):
                raise ScriptTypeError(
                    f"expected Tensor as element {k} in argument {i}, but got {type_name(x)}"
                )
        return list(v)
    raise wrong_kind(op, i, p, v)


def _varargs(op: str, i: int, p: Parameter, v: Any) -> Any:
    return v if type(v) is Value or isinstance(v, np.ndarray) else _tensors(op, i, p, v)


def _number(op: str, i: int, p: Parameter, v: Any) -> Any:
    if isinstance(v, (int, float)):
        return v
    if type(v) is Value and v.array.ndim == 0:
        return v.array.item()
    if isinstance(v, (np.generic, np.ndarray)) and v.ndim == 0:
        return v.item()
    raise wrong_kind(op, i, p, v)


def _int(op: str, i: int, p: Parameter, v: Any) -> int:
    if isinstance(v, int) and not isinstance(v, bool):
        return v
    if type(v) is Value and v.array.ndim == 0 and v.array.dtype.kind in "iu":
        return int(v.array.item())
    if isinstance(v, np.integer):
        return int(v)
    raise wrong_kind(op, i, p, v)


def _ints(op: str, i: int, p: Parameter, v: Any) -> tuple[int, ...]:
    if type(v) is int:
        return (v,)
    if type(v) is tuple:
        for k in v:
            if type(k) is not int:
                break
        else:
            return v
    if type(v) is Value and v.array.ndim <= 1 and v.array.dtype.kind in "iu":
        return tuple(int(k) for k in np.atleast_1d(v.array))
    if isinstance(v, (tuple, list)):
        if len(v) == 1 and isinstance(v[0], (tuple, list)):
            v = v[0]
        if len(v) == 1 and type(v[0]) is Value and v[0].array.ndim == 1:
            return tuple(int(k) for k in v[0].array)
        try:
            return tuple(_int(op, i, p, k) for k in v)
        except ScriptTypeError:
            bad = next(k for k, x in enumerate(v) if not isinstance(x, int) or isinstance(x, bool))
            raise ScriptTypeError(
                f"{op}(): argument '{p.name}' (position {i + 1}) must be tuple of ints, "
                f"but found element of type {type_name(v[bad])} at pos {bad}"
            ) from None
    raise wrong_kind(op, i, p, v)


def _bool(op: str, i: int, p: Parameter, v: Any) -> bool:
    if isinstance(v, bool):
        return v
    if isinstance(v, np.bool_) or (type(v) is Value and v.array.ndim == 0 and v.array.dtype.kind == "b"):
        return bool(v)
    raise wrong_kind(op, i, p, v)


def _str(op: str, i: int, p: Parameter, v: Any) -> str:
    if isinstance(v, str):
        return v
    raise wrong_kind(op, i, p, v)


def _dtype(op: str, i: int, p: Parameter, v: Any) -> Any:
    if isinstance(v, DType):
        return v.np
    if isinstance(v, np.dtype):
        return v
    if isinstance(v, str) and v in BY_NAME:
        raise ScriptValueError(f"write the dtype without quotes: {v}")
    raise wrong_kind(op, i, p, v)


CHECKS: dict[str, Check] = {
    "Tensor": _tensor, "Index": _tensor, "Tensors": _tensors, "Number": _number, "Int": _int, "Ints": _ints,
    "Sizes": _ints, "Bool": _bool, "Str": _str, "Dtype": _dtype, "Varargs": _varargs,
}  # fmt: skip
