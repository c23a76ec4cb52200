"""What generated code calls where Python's own operators will not do: guarded, in place, other errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from vardsl.engine.context import state
from vardsl.engine.dtypes import DType
from vardsl.engine.infix import plus, times
from vardsl.engine.value import OPS, Tracked, Value
from vardsl.errors import LimitError, ScriptTypeError
from vardsl.lang import literals, members
from vardsl.lang.assignment import assign
from vardsl.lang.members import kind_of

MAX_BITS = 1 << 20
MAX_LENGTH = {str: 1 << 28, tuple: 1 << 25}  # a quarter of a gigabyte


def add(a: Any, b: Any) -> Any:
    """`a + b`, with a bound on how long strings and tuples may become."""
    t = type(a)
    if t is Value:
        y = plus(a, b)  # as `a + b` does, in fewer calls
        return a + b if y is NotImplemented else y
    if (t is str or t is tuple) and type(b) is t:
        _check_length(a, len(a) + len(b))
    return a + b


def _check_length(x: str | tuple[Any, ...], length: int) -> None:
    limit = MAX_LENGTH[str if isinstance(x, str) else tuple]
    if length > limit:
        raise LimitError(f"{kind_of(x)} of {length:,} elements is longer than {limit:,}, the limit")


def mul(a: Any, b: Any) -> Any:
    """`a * b`, with a bound on integers and repeated strings."""
    t, u = type(a), type(b)
    if t is Value or u is Value:
        y = times(a, b) if t is Value else times(b, a)  # as `a * b` does, in fewer calls
        return a * b if y is NotImplemented else y
    if t is float or u is float:
        return a * b
    if t is int and u is int:
        if a.bit_length() + b.bit_length() > MAX_BITS:
            raise _too_large(a.bit_length() + b.bit_length())
        return a * b
    for x, n in ((a, b), (b, a)):
        if isinstance(x, (str, tuple)) and isinstance(n, int):
            _check_length(x, len(x) * n)
    return a * b


def _too_large(bits: int) -> LimitError:
    return LimitError(f"an integer of {bits:,} bits is larger than {MAX_BITS:,} bits, the limit for a number")


def mod(a: Any, b: Any) -> Any:
    """`a % b`; strings have no such operator here."""
    if isinstance(a, str):
        raise ScriptTypeError("a string has no %", hint='text is put together with f"{x}"')
    return a % b


def or_(a: Any, b: Any) -> Any:
    """`a | b` of integers, booleans and tensors of them."""
    return _bits("|", a, b, lambda: a | b)


def and_(a: Any, b: Any) -> Any:
    """`a & b` of integers, booleans and tensors of them."""
    return _bits("&", a, b, lambda: a & b)


def _bits(op: str, a: Any, b: Any, run: Callable[[], Any]) -> Any:
    for x in (a, b):
        if not isinstance(x, (int, Value, np.ndarray)):
            word = "or" if op == "|" else "and"
            raise ScriptTypeError(
                f"{op} is for integers and booleans, not {kind_of(x)}",
                hint=f"conditions are joined with {word}",
            )
    return run()


def invert(a: Any) -> Any:
    """`~a`"""
    if not isinstance(a, (int, Value, np.ndarray)):
        raise ScriptTypeError(
            f"~ is for integers and booleans, not {kind_of(a)}", hint="a condition is denied with not"
        )
    if type(a) is Value and a.array.dtype.kind == "f":
        raise ScriptTypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return ~int(a) if type(a) is bool else ~a


def power(a: Any, b: Any) -> Any:
    """`a ** b`; of plain numbers an IEEE value, nan where no real number is the result."""
    if type(a) is Value or type(b) is Value:
        return a**b
    if isinstance(a, Tracked) or isinstance(b, Tracked):
        return _followed_power(a, b)
    if isinstance(a, int) and isinstance(b, int) and b >= 0:
        if (abs(a) - 1).bit_length() * b > MAX_BITS and abs(a) > 1:
            raise _too_large((abs(a) - 1).bit_length() * b)
        return a**b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return float_power(float(a), float(b))
    return a**b


def _followed_power(a: Any, b: Any) -> Any:
    """A power of which at least one number is followed by a recording."""
    if isinstance(a, Tracked):
        return a.combined(lambda x: power(x, b)) if not isinstance(b, Tracked) else power(a, b.pinned())
    return b.combined(lambda x: power(a, x))


def float_power(a: float, b: float) -> float:
    """IEEE 754's power."""
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        if a == 0:
            return math.copysign(math.inf, a) if b % 2 == 1 else math.inf
        return math.nan


def _in_place(name: str, plain: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def augmented(a: Any, b: Any) -> Any:
        if type(a) is Value:
            if type(b) is not Value and isinstance(b, Tracked):
                b = b.beside(name, a)
            change = OPS[name]
            return a if change.outside(a, b) else change(a, b)
        return plain(a, b)

    return augmented


AUGMENTED: dict[str, Callable[[Any, Any], Any]] = {
    "+": _in_place("add_", add),
    "-": _in_place("sub_", lambda a, b: a - b),
    "*": _in_place("mul_", mul),
    "/": _in_place("div_", lambda a, b: a / b),
    "//": _in_place("floor_divide_", lambda a, b: a // b),
    "%": _in_place("remainder_", mod),
    "**": _in_place("pow_", power),
    # a product has no in-place form in PyTorch: `a @= b` is `a = a @ b`
    "@": lambda a, b: a @ b,
}


def augmented_item(x: Any, key: Any, op: str, value: Any) -> None:
    """`x[key] op= value`"""
    part = x[key]
    set_item(AUGMENTED[op](part, value), x, key)


def augmented_member(x: Any, name: str, op: str, value: Any) -> None:
    """`x.name op= value`"""
    before = members.get(x, name)
    after = AUGMENTED[op](before, value)
    if after is not before:
        assign(x, name, after)


def set_item(value: Any, x: Any, key: Any) -> None:
    """`x[key] = value`"""
    if type(x) is Value:
        OPS["setitem_"](x, key, value)
    elif isinstance(x, np.ndarray):
        if state.ctx.savepoint is not None:
            state.ctx.savepoint.keep(x)
        x[key] = value
    else:
        raise ScriptTypeError(f"elements of {kind_of(x)} cannot be assigned")


def set_member(value: Any, x: Any, name: str) -> None:
    """`x.name = value`"""
    assign(x, name, value)


def part(x: Any, key: Any) -> Any:
    """`x[key]` where numbers in the key may differ from turn to turn of a planned run."""
    ctx = state.ctx
    if not ctx.followed:
        return x[key]
    tracer = ctx.tracer
    return x[_bare(key)] if tracer is None or not tracer.records else tracer.moving_part(x, key)


def pinned(x: Any) -> Any:
    """A number that a recording follows as a bare one, which is the only one that will do from here on."""
    return x.pinned() if isinstance(x, Tracked) else x


def bare(x: Any) -> Any:
    """A number that a recording follows as a bare one."""
    return x.bare() if isinstance(x, Tracked) else x


def _bare(key: Any) -> Any:
    """A key without numbers that a recording which has ended followed."""
    if isinstance(key, Tracked):
        return key.bare()
    if type(key) is slice:
        return slice(_bare(key.start), _bare(key.stop), _bare(key.step))
    return tuple(map(_bare, key)) if type(key) is tuple else key


def element(x: Any) -> Any:
    """`x.item()` whose number only goes on into numbers that a planned run binds."""
    tracer = state.ctx.tracer
    if tracer is not None and tracer.records and type(x) is Value and x.array.size == 1:
        return tracer.numbers.item(x)
    return members.method("item")(x)


def same_shape(sizes: Any, sequence: tuple[Any, ...], tensor: Value) -> Any:
    """`sizes == [2, 3]`"""
    return tuple(sizes) == sequence if isinstance(sizes, tuple) else sizes == tensor


def differ(same: Any) -> Any:
    """The other answer."""
    return not same if isinstance(same, bool) else OPS["logical_not"](same)


def function(f: Any, name: str, shown: str, *defaults: Any) -> Any:
    """Makes a Python function a script's: with its defaults, its name for messages and its text."""
    if defaults:
        f.__defaults__ = defaults
    f.__qualname__ = name
    f.__dict__["shown"] = shown
    return f


def make_tensor(data: Any, *args: Any, **keywords: Any) -> Any:
    """`tensor(data, dtype=…, requires_grad=…)`, with the numbers of a literal as they are written."""
    if isinstance(data, list):
        dtype = keywords.get("dtype")
        array = literals.raw(data, dtype.np if isinstance(dtype, DType) else None)
        data = Value(array) if array is not None else literals.tensor(data)
    elif isinstance(data, tuple):
        data = literals.tensor(list(data))
    return OPS["tensor"](data, *args, **keywords)


def itself(x: Any) -> Any:
    return x


def joined(parts: tuple[str, ...]) -> str:
    """The text of an f-string."""
    return "".join(parts)


# The names under which generated code finds these.
HELPERS: dict[str, Callable[..., Any]] = {
    ".add": add, ".mul": mul, ".mod": mod, ".or": or_, ".and": and_, ".invert": invert, ".power": power,
    ".iadd": AUGMENTED["+"], ".isub": AUGMENTED["-"], ".imul": AUGMENTED["*"], ".idiv": AUGMENTED["/"],
    ".ifloordiv": AUGMENTED["//"], ".imod": AUGMENTED["%"], ".ipow": AUGMENTED["**"],
    ".imatmul": AUGMENTED["@"], ".augmented_item": augmented_item, ".augmented_member": augmented_member,
    ".set_item": set_item, ".set_member": set_member, ".same_shape": same_shape, ".differ": differ,
    ".function": function, ".make_tensor": make_tensor, ".joined": joined, ".itself": itself,
    ".part": part, ".element": element, ".pinned": pinned,
}  # fmt: skip
