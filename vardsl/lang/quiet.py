"""Which functions of the script do nothing but compute, so that one call may stand for many."""

from __future__ import annotations

import dis
from types import CodeType, FunctionType
from typing import Any

from vardsl.engine.dtypes import DType
from vardsl.engine.inplace import InPlace
from vardsl.engine.op import Op
from vardsl.engine.value import Value
from vardsl.lang.builtins import Namespace, has_operation

# What generated code may call; operations, also those that change memory, tell who listens what they do.
_HELPERS = frozenset(
    [
        ".level", ".too_deep", ".tick", ".turns", ".forever", ".ahead", ".begin", ".commit", ".rollback",
        ".anything", ".no_grad", ".set_grad", ".add", ".mul", ".mod", ".or", ".and", ".invert", ".power",
        ".iadd", ".isub", ".imul", ".idiv", ".ifloordiv", ".imod", ".ipow", ".imatmul", ".augmented_item",
        ".set_item", ".same_shape", ".differ", ".function", ".make_tensor", ".joined", ".itself", ".tensor",
        ".array", ".slice", ".member", ".space", ".pinned", ".part", ".element", ".unbound", ".scalars",
        ".len", ".locals", ".names",
    ]
)  # fmt: skip
_QUIET = {
    "vardsl.lang.transforms": frozenset(
        ["grad", "value_and_grad", "jacobian", "hessian", "vjp", "jvp", "hvp"]
    ),
    "vardsl.lang.batch": frozenset(["vmap"]),
}
_SETTINGS = frozenset(["set_default_dtype", "detect_anomaly", "manual_seed"])
_PLAIN = (Op, InPlace, DType, Namespace, int, float, str, range, slice, type(None), type(...))
_codes: dict[CodeType, tuple[str, ...] | None] = {}


def values_read(*functions: Any) -> list[Value] | None:
    """The tensors that functions, and all that they call, read from outside; None where they may do more than
    compute: bind an outer name, put something out."""
    seen: set[int] = set()
    found: list[Value] = []
    stack: list[Any] = list(functions)
    while stack:
        x = stack.pop()
        if id(x) in seen or isinstance(x, _PLAIN):
            continue
        seen.add(id(x))
        if type(x) is Value:
            found.append(x)
            continue
        if isinstance(x, tuple):
            stack.extend(x)
        elif not isinstance(x, FunctionType):
            if not hasattr(x, "of"):
                return None
            stack.append(x.of)  # a function that a transform has made
        elif "__vardsl__" in x.__globals__:
            names = _names_of(x.__code__)
            if names is None:
                return None
            builtins = x.__globals__["__builtins__"]
            stack += [x.__globals__[n] if n in x.__globals__ else builtins.get(n) for n in names]
            stack += [c.cell_contents for c in x.__closure__ or () if _is_bound(c)]
            stack += x.__defaults__ or ()
        elif x.__module__ == "vardsl.lang.builtins":
            if x.__name__ in _SETTINGS:
                return None
        elif x.__name__ not in _QUIET.get(x.__module__, ()):
            return None
    return found


def _is_bound(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _operation(name: str) -> bool:
    """Whether a helper is a method of tensors that is an operation, a region of statements or a site."""
    return name.startswith((".R", ".F")) or (name.startswith(".m:") and has_operation(name[3:]))


def _names_of(code: CodeType) -> tuple[str, ...] | None:
    """The outer names that the code reads; None where it binds one, or does more than compute."""
    if code not in _codes:
        if len(_codes) > 4096:
            _codes.clear()
        _codes[code] = _read_names(code, frozenset())
    return _codes[code]


def _read_names(code: CodeType, own: frozenset[str]) -> tuple[str, ...] | None:
    """As `_names_of`; `own` are variables of the code around this one that it may bind."""
    names: list[str] = []
    for instruction in dis.get_instructions(code):
        what, name = instruction.opname, instruction.argval
        if what in ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_NAME", "DELETE_NAME", "IMPORT_NAME"):
            return None
        if what in ("STORE_DEREF", "DELETE_DEREF") and name in code.co_freevars and name not in own:
            return None
        if what in ("LOAD_GLOBAL", "LOAD_NAME"):
            if not name.startswith("."):
                names.append(name)
            elif name not in _HELPERS and not _operation(name):
                return None
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            below = _read_names(inner, own | frozenset(code.co_cellvars))
            if below is None:
                return None
            names += below
    return tuple(names)
