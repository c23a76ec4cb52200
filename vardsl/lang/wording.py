"""Python's exceptions in the language's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from vardsl.engine.op import Op
from vardsl.engine.value import Value
from vardsl.errors import (
    Error,
    InternalError,
    Interrupted,
    LimitError,
    ScriptIndexError,
    ScriptNameError,
    ScriptTypeError,
    ScriptValueError,
)
from vardsl.lang.facts import Facts, short
from vardsl.lang.scope import sub_nodes
from vardsl.lang.suggest import hint_for_name
from vardsl.syntax import ast
from vardsl.syntax.parse import parse

VERBS = {
    "+": "add {a} and {b}", "-": "subtract {b} from {a}", "*": "multiply {a} and {b}",
    "/": "divide {a} by {b}", "//": "divide {a} by {b}", "%": "divide {a} by {b}", "**": "raise {a} to {b}",
    "@": "multiply {a} by {b} with @", "|": "join {a} and {b} with |", "&": "join {a} and {b} with &",
}  # fmt: skip
_WORDS = {
    "int": "an integer", "float": "a real", "bool": "a boolean", "str": "a string", "tuple": "a tuple",
    "NoneType": "none", "Value": "a tensor", "Shape": "a shape", "function": "a function",
    "DType": "a dtype", "range": "a range", "result": "a tuple", "ndarray": "an array",
    "numpy.ndarray": "an array", "list": "a tuple", "builtin_function_or_method": "a function",
    "method": "a function", "Op": "a function", "Derived": "a function", "slice": "a slice",
    "ellipsis": "...", "Node": "a node of the graph", "Counted": "an iterator",
}  # fmt: skip


def translated(error: BaseException, facts: Facts) -> Error:
    message = str(error)
    if isinstance(error, NameError):
        return _unbound(facts)
    if isinstance(error, ZeroDivisionError):
        return ScriptValueError("division by zero", hint="tensors divide as IEEE says: tensor(1.) / 0 is inf")
    if isinstance(error, OverflowError):
        return LimitError(f"a number is too large here: {message}")
    if isinstance(error, RecursionError) and not facts.entries:
        return LimitError("blocks are nested too deep in this program, the limit is about 150")
    if isinstance(error, RecursionError):
        return LimitError(
            "calls are nested too deep for this machine, the limit is 1000",
            hint="does the function reach an end that does not call it again?",
        )
    if isinstance(error, MemoryError):
        return LimitError("there is not enough memory for this")
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("interrupted")
    misused = _misused(error)
    if misused is not None:
        return misused
    for kind, patterns in _PATTERNS:
        if isinstance(error, kind):
            for pattern, make in patterns:
                found = pattern.search(message)
                if found:
                    return make(found, facts)  # type: ignore[no-any-return]
    if isinstance(error, TypeError) and facts.entries:
        return ScriptTypeError(_clean(_CALL.sub(f"{_called(facts)}()", message)))
    if isinstance(error, IndexError):
        return ScriptIndexError(_clean(message))
    if isinstance(error, (ValueError, np.linalg.LinAlgError)) and facts.entries:
        return ScriptValueError(_clean(message))
    return InternalError(
        f"{type(error).__name__}: {message}", hint="this is a mistake of vardsl itself; please report it"
    )


_CALL = re.compile(r"^[\w.<>]*\.__call__\(\)")


def _called(facts: Facts) -> str:
    """What the call at the place calls, as the script writes it."""
    node = facts.node
    text = facts.source_text(node.function) if isinstance(node, ast.Call) else ""
    return text if text and short(text) else "this"


_TENSORS = (Value, np.ndarray, np.generic, type(None))


def _misused(error: BaseException) -> Error | None:
    """PyTorch's sentence for an operation that broke on what is no tensor."""
    tb = error.__traceback__
    while tb is not None:
        here = tb.tb_frame.f_locals
        op, bound = here.get("self"), here.get("bound", here.get("args"))
        if isinstance(op, Op) and isinstance(bound, (list, tuple)):
            for i in op.arrays:
                p = op.signature.parameters[i]
                given = bound[i] if i < len(bound) else None
                if p.kind in ("Tensor", "Index") and not isinstance(given, _TENSORS):
                    return ScriptTypeError(
                        f"{op.name.lstrip('_')}(): argument '{p.name}' (position {i + 1}) must be Tensor, "
                        f"not {type(given).__name__}"
                    )
        tb = tb.tb_next
    return None


def _unbound(facts: Facts) -> Error:
    name = facts.text
    known = list(facts.known)
    if name in known:
        return ScriptNameError(
            f"{name} has no value here", hint=f"{name} is bound later, or in a branch that was not taken"
        )
    hint = hint_for_name(name, known, facts.builtins)
    node = facts.node
    if isinstance(node, ast.Name) and any(True for _ in _bindings(facts, name)):
        return ScriptNameError(
            f"{name} has no value here", hint=f"{name} is bound later, or in a branch that was not taken"
        )
    return ScriptNameError(f"unknown name {name}", hint=hint)


def _bindings(facts: Facts, name: str) -> Iterator[ast.Node]:
    """Where the source binds a name."""
    try:
        program = parse(facts.entries[-1][1].source)
    except Error:
        return
    stack: list[ast.Node] = list(program.body)
    while stack:
        n = stack.pop()
        target = n.target if isinstance(n, (ast.Let, ast.Assign)) else None
        if (isinstance(target, ast.Name) and target.id == name) or (
            isinstance(n, ast.FnDef) and n.name == name
        ):
            yield n
        stack.extend(sub_nodes(n))


def word(python_type: str) -> str:
    """`an integer` for `int`, and so on."""
    return _WORDS.get(python_type, f"a {python_type.lower()}")


def _clean(message: str) -> str:
    for python_type, ours in _WORDS.items():
        for form in ("'{}' object", "object of type '{}'", "'{}'"):
            message = message.replace(form.format(python_type), ours)
    return message


def _operand_error(m: re.Match[str], facts: Facts) -> Error:
    op, a, b = m[1].split()[0].rstrip("="), word(m[2]), word(m[3])
    verb = VERBS.get(op, f"use {op} on {{a}} and {{b}}").format(a=a, b=b)
    hint = None
    if "none" in (a, b):
        hint = "one side is none: a function without a result gives none, and so does .grad before backward"
    elif "a string" in (a, b):
        hint = 'text is put together with f"{x}"; float("1.5") makes a number of text'
    return ScriptTypeError(f"cannot {verb}", hint=hint)


def _not_callable(m: re.Match[str], facts: Facts) -> Error:
    node = facts.node
    what = facts.source_text(node.function) if isinstance(node, ast.Call) else "this"
    what = what if short(what) else "this"
    return ScriptTypeError(
        f"{what} is {word(m[1])} and cannot be called",
        hint="a product is written with *"
        if isinstance(node, ast.Call) and isinstance(node.function, (ast.Number, ast.Paren))
        else None,
    )


def _unpack(m: re.Match[str], facts: Facts) -> Error:
    if "got" in m.re.pattern:
        return ScriptValueError(f"there are not enough values to unpack: {m[1]} names and {m[2]} values")
    return ScriptValueError(
        f"there are too many values to unpack: only {m[1]} name{'' if m[1] == '1' else 's'}"
    )


def _arity(m: re.Match[str], facts: Facts) -> Error:
    """A call of a script's function whose arguments are not its parameters."""
    name, rest = m[1], m[2]
    shown = None
    for tb, _ in facts.entries[-1:]:
        for table in (tb.tb_frame.f_locals, tb.tb_frame.f_globals):
            for key, f in table.items():
                if key.strip(":").split(".")[0] == name and hasattr(f, "__dict__"):
                    shown = f.__dict__.get("shown", shown)
    hint = f"it is {shown}" if shown else None
    found = re.match(r"missing \d+ required positional arguments?: (.*)", rest)
    if found:
        names = found[1].replace("'", "")
        plural = "s" if " and " in names else ""
        return ScriptTypeError(f"{name}() misses its argument{plural} {names}", hint=hint)
    found = re.match(r"takes (?:from \d+ to )?(\d+) positional arguments? but (\d+) (\w+) given", rest)
    if found:
        plural = "" if found[1] == "1" else "s"
        message = f"{name}() takes {found[1]} argument{plural} but {found[2]} {found[3]} given"
        return ScriptTypeError(message, hint=hint)
    found = re.match(r"got an unexpected keyword argument '(.*)'", rest)
    if found:
        return ScriptTypeError(f"{name}() has no parameter {found[1]}", hint=hint)
    return ScriptTypeError(f"{name}() {rest}", hint=hint)


_PATTERNS: tuple[tuple[type[BaseException], tuple[tuple[re.Pattern[str], Any], ...]], ...] = (
    (
        TypeError,
        (
            (re.compile(r"^(\w+)\(\) ((?:missing|takes|got) .*)"), _arity),
            (re.compile(r"unsupported operand type\(s\) for (.+): '(.+)' and '(.+)'"), _operand_error),
            (
                re.compile(r"bad operand type for unary ([-+~]|abs\(\)):? '(.+)'"),
                lambda m, f: ScriptTypeError(
                    f"{word(m[2])} has no sign" if m[1] in "+-" else f"cannot use {m[1]} on {word(m[2])}"
                ),
            ),
            (
                re.compile(r"can only concatenate (\w+) \(not \"(.+)\"\) to"),
                lambda m, f: ScriptTypeError(
                    f"cannot add {word(m[1])} and {word(m[2])}",
                    hint='text is put together with f"{x}"' if m[1] == "str" else None,
                ),
            ),
            (
                re.compile(r"can't multiply sequence by non-int of type '(.+)'"),
                lambda m, f: ScriptTypeError(
                    f"a string or tuple is repeated by an integer, not by {word(m[1])}"
                ),
            ),
            (re.compile(r"'(.+)' object is not callable"), _not_callable),
            (
                re.compile(r"'(.+)' object is not subscriptable"),
                lambda m, f: ScriptTypeError(f"{word(m[1])} has no elements to index"),
            ),
            (
                re.compile(r"cannot unpack non-iterable (.+) object"),
                lambda m, f: ScriptValueError(f"{word(m[1])} cannot be unpacked"),
            ),
            (
                re.compile(
                    r"(?:argument of type '(.+)' is not iterable|argument of type '(.+)' is not a container)"
                ),
                lambda m, f: ScriptTypeError(
                    f"{word(m[1] or m[2])} contains nothing: in needs a tensor, a tuple or a string"
                ),
            ),
            (
                re.compile(r"'in <string>' requires string as left operand, not (.+)"),
                lambda m, f: ScriptTypeError(f"a string contains strings, not {word(m[1])}"),
            ),
            (
                re.compile(r"'(.+)' object is not iterable"),
                lambda m, f: ScriptTypeError(f"{word(m[1])} cannot be gone through"),
            ),
            (
                re.compile(r"'(.+)' not supported between instances of '(.+)' and '(.+)'"),
                lambda m, f: ScriptTypeError(f"cannot compare {word(m[2])} and {word(m[3])} with {m[1]}"),
            ),
            (
                re.compile(
                    r"(string|tuple|range object) (?:indices|index) must be integers"
                    r"(?: or slices)?, not '?([\w.]+)'?"
                ),
                lambda m, f: ScriptTypeError(
                    f"a {m[1].split()[0]} is indexed by integers and slices, not by {word(m[2])}"
                ),
            ),
            (
                re.compile(r"slice indices must be integers"),
                lambda m, f: ScriptTypeError("the bounds of a slice are integers or none"),
            ),
        ),
    ),
    (
        ValueError,
        (
            (re.compile(r"not enough values to unpack \(expected (?:at least )?(\d+), got (\d+)\)"), _unpack),
            (re.compile(r"too many values to unpack \(expected (\d+)"), _unpack),
            (
                re.compile(r"Exceeds the limit \((\d+) digits\)"),
                lambda m, f: LimitError(
                    f"an integer of more than {m[1]} digits is neither read nor written at a time"
                ),
            ),
            (
                re.compile(r"could not convert string to float: (.+)"),
                lambda m, f: ScriptValueError(f"the text {m[1]} is not a number"),
            ),
            (
                re.compile(r"invalid literal for int\(\) with base \d+: (.+)"),
                lambda m, f: ScriptValueError(f"the text {m[1]} is not an integer"),
            ),
            (
                re.compile(r"Maximum allowed (?:dimension|size) exceeded|array is too big"),
                lambda m, f: LimitError("this tensor is too large"),
            ),
        ),
    ),
    (
        IndexError,
        (
            (
                re.compile(r"number of dimensions must be within \[0, (\d+)\]"),
                lambda m, f: LimitError(f"a tensor of more than {m[1]} dimensions, the limit"),
            ),
            (
                re.compile(r"(string|tuple|range object) index out of range"),
                lambda m, f: ScriptIndexError(f"the index is outside this {m[1].split()[0]}"),
            ),
        ),
    ),
)
