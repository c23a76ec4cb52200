"""From an exception that left generated code to the error a user sees: place, words, what the operands were."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from vardsl.engine.op import Op
from vardsl.engine.value import Value
from vardsl.errors import (
    Error,
    Frame,
    InternalError,
    Interrupted,
    LimitError,
    ScriptIndexError,
    ScriptNameError,
    ScriptTypeError,
    ScriptValueError,
    ShapeError,
)
from vardsl.lang.places import Place, resolve, script_entries
from vardsl.lang.scope import sub_nodes
from vardsl.lang.suggest import hint_for_name
from vardsl.source import Source, Span
from vardsl.syntax import ast
from vardsl.syntax.parse import parse

Entries = list[tuple[TracebackType, Place]]
_VERBS = {
    "+": "add {a} and {b}", "-": "subtract {b} from {a}", "*": "multiply {a} and {b}", "/": "divide {a} by {b}",
    "//": "divide {a} by {b}", "%": "divide {a} by {b}", "**": "raise {a} to {b}", "@": "multiply {a} by {b} with @",
    "|": "join {a} and {b} with |", "&": "join {a} and {b} with &",
}  # fmt: skip
_WORDS = {
    "int": "an integer", "float": "a real", "bool": "a boolean", "str": "a string", "tuple": "a tuple",
    "NoneType": "none", "Value": "a tensor", "Shape": "a shape", "function": "a function", "DType": "a dtype",
    "range": "a range", "result": "a tuple", "ndarray": "an array", "numpy.ndarray": "an array", "list": "a tuple",
    "builtin_function_or_method": "a function", "method": "a function", "Op": "a function", "Derived": "a function",
    "slice": "a slice", "ellipsis": "...", "Node": "a node of the graph", "Counted": "an iterator",
}  # fmt: skip
MAX_ROLE = 32


def located(error: BaseException, known: Iterable[str] = (), builtins: Iterable[str] = ()) -> Error:
    """The error with its place, its calls and its operands. `known` are names for did-you-mean."""
    entries = script_entries(error.__traceback__)
    facts = _Facts(entries, known, builtins)
    found = error if isinstance(error, Error) else _translated(error, facts)
    if entries and found.place is None:
        found.labels.insert(0, entries[-1][1].label())
        _improve(found, facts)
        found.frames = list(_calls(entries))
    elif entries and not found.frames:
        found.frames = list(_calls(entries))
    node = getattr(error, "forward_node", None)
    if node is not None:
        _forward(found, node)
    return found


def _forward(found: Error, node: Any) -> None:
    """An error in backward also shows the forward expression that it belongs to."""
    place = resolve(node.where)
    if place is not None:
        found.labels.append(place.label(f"this made the {node.grad_fn} in whose backward it happened", False))


def _calls(entries: Entries) -> Iterator[Frame]:
    for (_, caller), (_, callee) in pairwise(entries):
        name = script_function(callee.function)
        if name is not None:
            yield Frame(name, caller.source, caller.span)


def script_function(code_name: str) -> str | None:
    """The script's name of a function, from that of its code; None for parts of one."""
    head, _, name = code_name.partition(" ")
    return name if name and head.startswith(".f") else None


class _Facts:
    """What is known about the place of an error, worked out when it is asked for."""

    def __init__(self, entries: Entries, known: Iterable[str], builtins: Iterable[str]) -> None:
        self.entries = entries
        self.known = known
        self.builtins = builtins
        self._node: ast.Node | None = None
        self._looked = False

    @property
    def text(self) -> str:
        """The script's text at the place."""
        if not self.entries:
            return ""
        place = self.entries[-1][1]
        return place.source.text[place.span.start : place.span.end]

    @property
    def node(self) -> ast.Node | None:
        """The expression at the place; a partial chain for an operation inside one."""
        if not self._looked:
            self._looked = True
            if self.entries:
                place = self.entries[-1][1]
                self._node = _node_at(place.source, place.span.start, place.span.end)
        return self._node

    def operands(self) -> tuple[ast.Expr, str, ast.Expr] | None:
        """Left operand, operator and right operand of the binary operation at the place."""
        node, end = self.node, self.entries[-1][1].span.end if self.entries else 0
        if isinstance(node, ast.Power):
            return node.base, "**", node.exponent
        if isinstance(node, (ast.AugAssign, ast.Update)):
            return node.target, node.op, node.value
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return node.first, node.ops[0], node.rest[0]
        if isinstance(node, ast.Chain):
            for k, right in enumerate(node.rest):
                if right.span.end == end:
                    left = (
                        node.first
                        if k == 0
                        else ast.Chain(
                            Span(node.first.span.start, node.rest[k - 1].span.end),
                            node.first,
                            node.ops[:k],
                            node.rest[:k],
                        )
                    )
                    return left, node.ops[k], right
        return None

    def source_text(self, e: ast.Node) -> str:
        return self.entries[-1][1].source.text[e.span.start : e.span.end]

    def values(self) -> tuple[Any, Any] | None:
        """The two operands' values, from the frame of the operator that failed."""
        for frame in self._inner_frames():
            code = frame.f_code
            names = code.co_varnames[: code.co_argcount]
            here = frame.f_locals
            if "a" in names and "b" in names:
                return here.get("a"), here.get("b")
            if "other" in names and "self" in names and code.co_name.startswith("__"):
                pair = here.get("self"), here.get("other")
                return pair if not code.co_name.startswith("__r") else (pair[1], pair[0])
        return None

    def arguments(self) -> tuple[Any, ...] | None:
        """The positional arguments of the operation that was called."""
        for frame in self._inner_frames():
            if "args" in frame.f_locals and isinstance(frame.f_locals["args"], tuple):
                return frame.f_locals["args"]
        return None

    def _inner_frames(self) -> Iterator[FrameType]:
        tb = self.entries[-1][0].tb_next if self.entries else None
        for _ in range(6):
            if tb is None:
                return
            yield tb.tb_frame
            tb = tb.tb_next


def _node_at(source: Source, start: int, end: int) -> ast.Node | None:
    try:
        program = parse(source)
    except Error:
        return None
    best: ast.Node | None = None
    stack: list[ast.Node] = list(program.body)
    while stack:
        n = stack.pop()
        if n.span.start > start or n.span.end < end:
            continue
        if n.span.start == start and (n.span.end == end or isinstance(n, ast.Chain)):
            exact = n.span.end == end
            if best is None or exact or best.span.end != end:
                best = n
        if type(n) not in (ast.Number, ast.NumberRow, ast.String):
            stack.extend(sub_nodes(n))
    return best


# ---- better words --------------------------------------------------------------------------------
def _improve(error: Error, facts: _Facts) -> None:
    """Names the operands as the script does, and says in our words what PyTorch says in its own."""
    if error.message.startswith("_") and isinstance(facts.node, ast.Call):
        _public_name(error, facts.node.function)
    if not isinstance(error, ShapeError):
        return
    binary = facts.operands()
    if binary is not None:
        values = facts.values()
        if values is not None:
            _name_operands(error, facts, binary, values)
        return
    node = facts.node
    if isinstance(node, ast.Pipe):
        node = node.call
    if isinstance(node, ast.Call):
        args = facts.arguments()
        if args is not None:
            exprs: list[ast.Expr] = [a.value for a in node.args if a.name is None]
            if isinstance(node.function, ast.Member) and len(args) == len(exprs) + 1:
                exprs.insert(0, node.function.value)
            if len(exprs) == len(args):
                error.operands = [
                    (facts.source_text(e), show_shape(v))
                    for e, v in zip(exprs, args)
                    if isinstance(v, Value)
                    and _short(facts.source_text(e))
                    and not isinstance(e, ast.ListLit)
                ]


def _public_name(error: Error, function: ast.Expr) -> None:
    """The name that the script called in place of an operation behind it."""
    if isinstance(function, (ast.Name, ast.Member)):
        name = function.id if isinstance(function, ast.Name) else function.name
        error.message = re.sub(r"^_\w+\(\)", f"{name}()", error.message)


def show_shape(v: Any) -> str:
    """`[2, 3]`"""
    return str(list(v.shape))


def _short(text: str) -> bool:
    return len(text) <= MAX_ROLE and "\n" not in text


def _name_operands(
    error: Error, facts: _Facts, binary: tuple[ast.Expr, str, ast.Expr], values: tuple[Any, Any]
) -> None:
    left, op, right = binary
    a, b = values
    if not all(isinstance(v, (Value, np.ndarray)) for v in (a, b)):
        return
    names = [facts.source_text(left), facts.source_text(right)]
    roles = [n if _short(n) else side for n, side in zip(names, ("the left side", "the right side"))]
    error.operands = [(roles[0], show_shape(a)), (roles[1], show_shape(b))]
    if roles[0] == roles[1] and _short(names[0]):
        del error.operands[1]
    sa, sb = show_shape(a), show_shape(b)
    if op == "@" and a.ndim and b.ndim:
        m, n = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
        if m != n:
            error.torch = error.torch or error.message
            error.message = f"cannot multiply {sa} by {sb} with @: inner sizes {m} and {n} differ"
            if a.ndim == 2 and b.ndim == 2 and a.shape[1] == b.shape[1] and _short(names[1]):
                error.hint = error.hint or f"try: {roles[0]} @ {_postfix(right, names[1])}.T"
    elif error.message.startswith("The size of tensor a"):
        error.torch = error.message
        verb = _VERBS.get(op, "compare {a} and {b}")
        named = all(isinstance(e, (ast.Name, ast.Member, ast.Index)) for e in (left, right))
        if named and roles[0] != roles[1]:
            error.message = f"cannot {verb.format(a=roles[0], b=roles[1])}: {sa} and {sb} do not broadcast"
        else:
            error.message = f"cannot {verb.format(a=sa, b=sb)}: the shapes do not broadcast"


def _postfix(e: ast.Expr, text: str) -> str:
    return text if isinstance(e, (ast.Name, ast.Member, ast.Index, ast.Call, ast.Paren)) else f"({text})"


# ---- Python's exceptions -------------------------------------------------------------------------
def _translated(error: BaseException, facts: _Facts) -> Error:
    message = str(error)
    if isinstance(error, NameError):
        return _unbound(facts)
    if isinstance(error, ZeroDivisionError):
        return ScriptValueError("division by zero", hint="tensors divide as IEEE says: tensor(1.) / 0 is inf")
    if isinstance(error, OverflowError):
        return LimitError(f"a number is too large here: {message}")
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


def _called(facts: _Facts) -> str:
    """What the call at the place calls, as the script writes it."""
    node = facts.node
    text = facts.source_text(node.function) if isinstance(node, ast.Call) else ""
    return text if text and _short(text) else "this"


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


def _unbound(facts: _Facts) -> Error:
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


def _bindings(facts: _Facts, name: str) -> Iterator[ast.Node]:
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


def _operand_error(m: re.Match[str], facts: _Facts) -> Error:
    op, a, b = m[1].split()[0].rstrip("="), word(m[2]), word(m[3])
    verb = _VERBS.get(op, f"use {op} on {{a}} and {{b}}").format(a=a, b=b)
    hint = None
    if "none" in (a, b):
        hint = "one side is none: a function without a result gives none, and so does .grad before backward"
    elif "a string" in (a, b):
        hint = 'text is put together with f"{x}"; float("1.5") makes a number of text'
    return ScriptTypeError(f"cannot {verb}", hint=hint)


def _not_callable(m: re.Match[str], facts: _Facts) -> Error:
    node = facts.node
    what = facts.source_text(node.function) if isinstance(node, ast.Call) else "this"
    what = what if _short(what) else "this"
    return ScriptTypeError(
        f"{what} is {word(m[1])} and cannot be called",
        hint="a product is written with *"
        if isinstance(node, ast.Call) and isinstance(node.function, (ast.Number, ast.Paren))
        else None,
    )


def _unpack(m: re.Match[str], facts: _Facts) -> Error:
    if "got" in m.re.pattern:
        return ScriptValueError(f"there are not enough values to unpack: {m[1]} names and {m[2]} values")
    return ScriptValueError(
        f"there are too many values to unpack: only {m[1]} name{'' if m[1] == '1' else 's'}"
    )


def _arity(m: re.Match[str], facts: _Facts) -> Error:
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
                re.compile(r"(string|tuple|range object) index out of range"),
                lambda m, f: ScriptIndexError(f"the index is outside this {m[1].split()[0]}"),
            ),
        ),
    ),
)

__all__ = ["located", "script_function", "show_shape", "word"]
