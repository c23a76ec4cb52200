"""The outermost scope: every operation, the plain functions, dtypes, numbers with names, and two namespaces.

Names are found on first use, so that a script pays for what it uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np

from vardsl.engine import dtypes
from vardsl.engine.context import state
from vardsl.engine.dtypes import BY_NAME, BY_NP, DType
from vardsl.engine.op import Op
from vardsl.engine.signature import Signature, type_name
from vardsl.engine.value import OPS, Tracked, Value
from vardsl.errors import ScriptTypeError, ScriptValueError
from vardsl.lang import members
from vardsl.lang.journal import keep_setting
from vardsl.ops import define
from vardsl.ops.define import NAMESPACES, Tensors
from vardsl.ops.index import FAMILIES

CONSTANTS: dict[str, float] = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan}

# Which module of this folder has a function that is no operation.
ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(
        (
            "grad", "value_and_grad", "jacobian", "hessian", "vjp", "jvp", "hvp", "vmap", "check_grad",
            "custom_grad", "checkpoint",
        ),
        "transforms",
    ),
    **dict.fromkeys(["sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta", "nadam"], "optimizers"),
    "lbfgs": "lbfgs",
    **dict.fromkeys(["load", "save"], "data"),
    **dict.fromkeys(
        ["step_lr", "exponential_lr", "cosine_lr", "reduce_on_plateau", "clip_grad_norm", "clip_grad_value"],
        "schedules",
    ),
}
NEEDS_SESSION = ("str", "set_printoptions")


class Namespace:
    """`linalg` and `special`: their members are operations."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<namespace {self.name}>"


class Counted:
    """What `enumerate` and `zip` give: pairs made while a loop goes through them."""

    __slots__ = ("make", "what")
    WORDS = "what enumerate or zip gives"

    def __init__(self, what: str, make: Callable[[], Iterator[Any]]) -> None:
        self.what = what
        self.make = make

    def __iter__(self) -> Iterator[Any]:
        return self.make()

    def __repr__(self) -> str:
        return f"<{self.what}>"


# ---- plain functions -----------------------------------------------------------------------------
def len_(x: Any) -> int:
    """The number of elements of a tuple or string, or of a tensor's rows."""
    if isinstance(x, (str, tuple, range, Value, np.ndarray)):
        return len(x)
    raise ScriptTypeError(f"{members.kind_of(x)} has no length")


def range_(start: int, stop: int | None = None, step: int = 1) -> range:
    """The integers from `start` up to, not including, `stop`."""
    numbers = [whole(x, "range()") for x in ((start,) if stop is None else (start, stop))]
    k = whole(step, "range()")
    if k == 0:
        raise ScriptValueError("range() cannot go by steps of 0")
    return range(0, numbers[0], k) if stop is None else range(numbers[0], numbers[1], k)


def whole(x: Any, where: str) -> int:
    """A plain integer, or one in a tensor."""
    if isinstance(x, int):
        return int(x)
    if isinstance(x, (Value, np.integer)):
        return x.__index__()
    hint = f"int(x) makes {int(x)} of it" if isinstance(x, float) and math.isfinite(x) else None
    raise ScriptTypeError(f"{where} needs integers, not {members.kind_of(x)}", hint=hint)


def enumerate_(iterable: Any, start: int = 0) -> Counted:
    """Pairs of a count and an element."""
    members.check_iterable(iterable)
    first = whole(start, "enumerate()")
    return Counted("enumerate", lambda: enumerate(iterable, first))


def zip_(*iterables: Any) -> Counted:
    """Tuples of elements that stand at the same place; it ends with the shortest."""
    for x in iterables:
        members.check_iterable(x)
    return Counted("zip", lambda: zip(*iterables))


def type_(x: Any, dtype: Any = None) -> Any:
    """What a value is: `"int"`, `"float"`, `"tensor"`, …; with a dtype the tensor cast to it."""
    if dtype is not None:
        return members.method("type")(x, dtype)
    return members.type_word(x)


def shape_(x: Any) -> Any:
    """The sizes of a tensor's dimensions; a number has none."""
    if isinstance(x, (Value, np.ndarray)):
        return members.Shape(x.shape)
    if isinstance(x, (int, float)):
        return members.Shape(())
    raise ScriptTypeError(f"{members.kind_of(x)} has no shape")


def dtype_(x: Any) -> DType:
    """The dtype of a tensor, or the one that a plain number stands for."""
    if isinstance(x, (Value, np.ndarray)):
        return BY_NP[x.dtype] if isinstance(x, np.ndarray) else x.dtype
    if isinstance(x, (int, float)):
        return dtypes.number_dtype(x, state.ctx.default_dtype)
    raise ScriptTypeError(f"{members.kind_of(x)} has no dtype")


def _is_tensor(x: Any) -> bool:
    return type(x) is Value or isinstance(x, np.ndarray)


def _either(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    """Python's function on plain values, the operation of that name on tensors."""

    def chosen(*args: Any, **keywords: Any) -> Any:
        if args and not any(_is_tensor(a) for a in args) and _plain_fits(args):
            return plain(*args, **keywords)
        args = tuple([a.pinned() if isinstance(a, Tracked) else a for a in args])
        return OPS[name](*args, **keywords)

    def _plain_fits(args: tuple[Any, ...]) -> bool:
        # one number alone is no sequence: that stays PyTorch's error
        return name in ("abs", "round") or len(args) > 1 or not isinstance(args[0], (int, float))

    chosen.__name__ = name
    chosen.__doc__ = plain.__doc__
    return chosen


def _min(*args: Any) -> Any:
    return min(*args)


def _max(*args: Any) -> Any:
    return max(*args)


def _abs(input: Any) -> Any:
    return abs(input)


def _round(input: Any, decimals: int | None = None) -> Any:
    return round(input, decimals)


def _sum(values: Any, start: Any = 0) -> Any:
    for v in values:
        start = start + v
    return start


def is_grad_enabled() -> bool:
    """Whether operations are put on the graph now."""
    return state.ctx.grad_enabled


def set_default_dtype(d: DType) -> None:
    """Sets the dtype of tensors made from reals."""
    if not isinstance(d, DType):
        raise ScriptTypeError(f"set_default_dtype() needs a dtype, not {members.kind_of(d)}")
    if not d.is_floating:
        raise ScriptTypeError(f"only floating-point types are supported as the default type, not {d.name}")
    keep_setting(state.ctx, "default_dtype")
    state.ctx.default_dtype = d.np


def get_default_dtype() -> DType:
    """The dtype of tensors made from reals."""
    return BY_NP[state.ctx.default_dtype]


def detect_anomaly(mode: bool = True) -> None:
    """Makes the first NaN or infinity an error that points at its expression."""
    keep_setting(state.ctx, "anomaly")
    state.ctx.anomaly = bool(mode)


def manual_seed(seed: int) -> None:
    """Starts the random numbers that belong to `seed`."""
    n = whole(seed, "manual_seed()")
    if not -(1 << 63) <= n < 1 << 64:
        raise ScriptValueError(f"Overflow when unpacking long: the seed {n} does not fit 64 bits")
    generator = state.ctx.generator
    journal = state.ctx.journal
    if journal is not None:
        before = generator.get_state()
        journal.append(lambda: generator.set_state(before))
    generator.manual_seed(n)


_PLAIN: dict[str, Any] = {
    "len": len_, "range": range_, "enumerate": enumerate_, "zip": zip_, "type": type_, "shape": shape_,
    "dtype": dtype_, "min": _either("min", _min), "max": _either("max", _max), "abs": _either("abs", _abs),
    "round": _either("round", _round), "sum": _either("sum", _sum), "is_grad_enabled": is_grad_enabled,
    "set_default_dtype": set_default_dtype, "get_default_dtype": get_default_dtype,
    "detect_anomaly": detect_anomaly, "manual_seed": manual_seed, "seed": manual_seed,
    **CONSTANTS,
    **BY_NAME,
    **{name: Namespace(name) for name in NAMESPACES},
}  # fmt: skip


# ---- the table -----------------------------------------------------------------------------------
def has_operation(name: str) -> bool:
    """Whether an operation of that name, in place or not, is in the table."""
    return name in FAMILIES or (name.endswith("_") and name[:-1] in FAMILIES)


def has(name: str) -> bool:
    """Whether `name` is a builtin."""
    return name in all_names() or (name.endswith("_") and _found(name))


def _found(name: str) -> bool:
    if name.startswith("_") or name.endswith("__"):
        return False
    try:
        define.get(name)
    except KeyError:
        return False
    return True


@cache
def all_names() -> frozenset[str]:
    """Every builtin's name, the in-place forms apart."""
    hidden = ("var",)
    plain = [n for n in define.names() if "." not in n and n not in hidden]
    return frozenset([*plain, *define.names(), *_PLAIN, *ELSEWHERE, *NEEDS_SESSION, *members.METHODS])


def lookup(name: str) -> Any:
    """The builtin of that name. Raises KeyError."""
    if name in _PLAIN:
        return _PLAIN[name]
    if name in ELSEWHERE:
        found = import_module("vardsl.lang." + ELSEWHERE[name])
        return vars(found)[name]
    if name in members.METHODS:
        return members.METHODS[name]
    if name.startswith("_"):
        raise KeyError(name)
    return define.get(name)


def is_constant(name: str) -> bool:
    return name in CONSTANTS


def signature(name: str) -> Signature | None:
    """The parameters of a builtin function, or None where it takes anything or is no function."""
    if name in ("min", "max", "sum", "round", "zip", "str", "set_printoptions", "size", "type"):
        return None
    if name in NAMESPACES or name in CONSTANTS or name in BY_NAME:
        return None
    try:
        found = lookup(name)
    except KeyError:
        return None
    return signature_of(found, name)


def signature_of(f: Any, name: str) -> Signature | None:
    """The parameters of an operation or of one of our own functions."""
    if isinstance(f, Op):
        return f.signature
    if isinstance(f, FunctionType):
        flags = f.__code__.co_flags
        if flags & 0x0C or name in ("abs",):  # *args or **keywords
            return None
        return Signature.of(f)
    return getattr(f, "signature", None)


def call_parameters(name: str) -> Signature | None:
    """The parameters by which a `[…]` argument of a builtin is a sequence or a tensor."""
    if name in ("min", "max", "sum", "round", "abs"):
        return OPS[name].signature if name in FAMILIES else None
    return signature(name)


__all__ = [
    "CONSTANTS", "Counted", "Namespace", "Tensors", "all_names", "call_parameters", "has", "has_operation",
    "is_constant", "lookup", "signature", "type_name", "whole",
]  # fmt: skip
