"""Values on their way from Python into scripts and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from vardsl.engine.dtypes import BY_NP, DType
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError
from vardsl.lang.literals import tensor as literal_tensor

Call = Callable[[Callable[..., Any], Iterable[Any], Mapping[str, Any]], Any]
Text = Callable[[Any], str]


class ScriptFunction:
    """A script's function as Python sees it: it may be called with arrays."""

    def __init__(self, function: Callable[..., Any], call: Call, text: Text) -> None:
        self.function = function
        self.call = call
        self.text = text

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.call(self.function, args, keywords)

    def __repr__(self) -> str:
        return self.text(self.function)


def inward(x: Any) -> Any:
    """A Python value as a value of the language. Raises ScriptTypeError."""
    if isinstance(x, np.generic):
        x = x.item()
    if x is None or isinstance(x, (bool, int, float, str, Value, DType, range)):
        return x
    if isinstance(x, np.ndarray):
        if x.dtype not in BY_NP:
            raise ScriptTypeError(
                f"arrays of {x.dtype} have no dtype here", hint="use x.astype(…) with another dtype"
            )
        return Value(np.array(x, dtype=x.dtype.newbyteorder("="), order="C"))
    if isinstance(x, tuple):
        return tuple(inward(k) for k in x)
    if isinstance(x, list):
        return literal_tensor([_element(k) for k in x])
    if isinstance(x, ScriptFunction):
        return x.function
    if callable(x):
        return x
    raise ScriptTypeError(
        f"a {type(x).__name__} cannot be used in a script", hint="arrays, numbers, strings and tuples can"
    )


def _element(x: Any) -> Any:
    return [_element(k) for k in x] if isinstance(x, list) else inward(x)


def outward(x: Any, call: Call, text: Text) -> Any:
    """A value of the language as Python uses it; its session calls functions and makes text of them."""
    if type(x) is tuple:
        return tuple(outward(k, call, text) for k in x)
    if callable(x) and not isinstance(x, (Value, DType)) and hasattr(x, "__dict__"):
        return ScriptFunction(x, call, text)
    return x
