"""What stands behind a name: its signature, one line about it, and which argument is being typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from types import FunctionType
from typing import Any

from vardsl.assist.describe import facts
from vardsl.engine.value import Value
from vardsl.lang import builtins, members
from vardsl.lang.modules import Module
from vardsl.ops import define
from vardsl.ops.index import FAMILIES
from vardsl.syntax.tokens import Piece, tokens

_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Call:
    """The innermost call whose arguments surround the cursor.

    name      of what is called; `receiver` is what stands before its dot, or empty
    position  how many commas stand before the cursor
    keyword   the argument's name where it has been typed
    fresh     whether nothing of the argument stands there yet but a word
    used      keywords that the call has already
    """

    name: str
    receiver: str
    position: int
    keyword: str
    fresh: bool
    used: frozenset[str]


@dataclass(frozen=True, slots=True)
class Help:
    """A signature in pieces, and which of them is meant; -1 where none is."""

    name: str
    parameters: tuple[str, ...]
    active: int

    @property
    def text(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"


def call_at(before: str) -> Call | None:
    """The call that is open at the end of a text."""
    pieces = [p for p in tokens(before) if p.kind not in ("comment", "output")]
    depth = 0
    for k in range(len(pieces) - 1, -1, -1):
        char = before[pieces[k].start] if pieces[k].kind == "bracket" else ""
        if char and char in _CLOSE:
            depth += 1
        elif char and char in _OPEN:
            if depth == 0:
                return _call(before, pieces, k) if char == "(" else _outer(before, pieces[:k], char)
            depth -= 1
    return None


def _outer(before: str, pieces: list[Piece], char: str) -> Call | None:
    """A list stands in the argument of a call; a block in none."""
    return None if char == "{" or not pieces else call_at(before[: pieces[-1].end])


def _call(before: str, pieces: list[Piece], opener: int) -> Call | None:
    if opener == 0 or pieces[opener - 1].kind not in ("call", "member", "name", "dtype"):
        return None
    name = before[pieces[opener - 1].start : pieces[opener - 1].end]
    if opener >= 2 and before[pieces[opener - 2].start : pieces[opener - 2].end] == "fn":
        return None
    of = receiver(before, pieces[: opener - 1]) if pieces[opener - 1].kind == "member" else ""
    position, depth, first = 0, 0, opener + 1
    used = set()
    for k in range(opener + 1, len(pieces)):
        text = before[pieces[k].start : pieces[k].end]
        if text in ("(", "[", "{"):
            depth += 1
        elif text in (")", "]", "}"):
            depth -= 1
        elif depth == 0 and text == ",":
            position, first = position + 1, k + 1
        elif depth == 0 and text == "=" and k == first + 1:
            used.add(before[pieces[first].start : pieces[first].end])
    rest = pieces[first:]
    keyword = ""
    if len(rest) > 1 and before[rest[1].start : rest[1].end] == "=":
        keyword = before[rest[0].start : rest[0].end]
    fresh = not rest or (len(rest) == 1 and rest[0].kind in ("name", "option", "dtype", "keyword"))
    return Call(name, of, position, keyword, fresh, frozenset(used))


def receiver(before: str, pieces: list[Piece]) -> str:
    """`a.b` before the last dot; `?` for anything but a path of names."""
    path: list[str] = []
    k = len(pieces) - 1
    while k >= 1 and before[pieces[k].start] == "." and pieces[k - 1].kind in ("name", "member"):
        path.insert(0, before[pieces[k - 1].start : pieces[k - 1].end])
        if pieces[k - 1].kind == "name":
            return ".".join(path)
        k -= 2
    return "?"


def parameters(call: Call, names: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """Names and spellings (`dim=none`) of what a call takes, in order; None where that is not known."""
    if call.receiver:
        if call.receiver in define.NAMESPACES:
            return _builtin(f"{call.receiver}.{call.name}")
        found = _builtin(call.name)
        return found[1:] if found else None
    if call.name in names:
        return _function(names[call.name])
    return _builtin(call.name)


def _builtin(name: str) -> list[tuple[str, str]] | None:
    try:
        signature = builtins.call_parameters(name)
        if signature is None and name in FAMILIES:
            signature = define.get(name).signature
    except KeyError:
        return None
    if signature is None:
        return None
    texts = [t for t in _split(str(signature)) if t != "*"]
    if len(texts) != len(signature.parameters):
        texts = [p.name for p in signature.parameters]
    return [(p.name, text) for p, text in zip(signature.parameters, texts)]


def _split(text: str) -> list[str]:
    """Parts between the commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for k, char in enumerate(text):
        depth += (char in _OPEN) - (char in _CLOSE)
        if char == "," and depth == 0:
            parts.append(text[start:k].strip())
            start = k + 1
    return [*parts, text[start:].strip()] if text[start:].strip() else parts


def _function(value: Any) -> list[tuple[str, str]] | None:
    if isinstance(value, FunctionType):
        code = value.__code__
        given = code.co_varnames[: code.co_argcount]
        shown = value.__dict__.get("shown", "")
        texts = _split(shown[shown.find("(") + 1 : shown.rfind(")")])
        if len(texts) != len(given):
            texts = list(given)
        return [(text.split("=")[0].strip(), text) for text in texts] if given else []
    signature = getattr(value, "signature", None)
    return [(p.name, p.name) for p in signature.parameters] if signature is not None else None


def signature_at(before: str, names: Mapping[str, Any]) -> Help | None:
    """The signature of the call that is being typed, with the argument at the cursor marked."""
    call = call_at(before)
    if call is None:
        return None
    known = parameters(call, names)
    if known is None:
        return None
    order = [name for name, _ in known]
    if call.keyword:
        active = order.index(call.keyword) if call.keyword in order else -1
    else:
        active = call.position if call.position < len(order) else -1
    return Help(call.name, tuple(text for _, text in known), active)


@cache
def one_line(name: str) -> str:
    """The first line about a builtin; empty for what has none."""
    try:
        found = define.get(name) if name in FAMILIES else builtins.lookup(name)
    except KeyError:
        return ""
    doc = found.doc if hasattr(found, "facts") else (found.__doc__ if callable(found) else "")
    lines = cleandoc(doc or "").splitlines()
    return lines[0] if lines else ""


def load_documentation() -> None:
    """Loads what `one_line` needs, so that no key waits for it."""
    define.load_all()
    for name in builtins.all_names():
        one_line(name)


def resolve(path: str, names: Mapping[str, Any]) -> Any:
    """The value of a path of names such as `v.grad`, looked up and never computed. Raises KeyError."""
    first, *rest = path.split(".")
    value = names[first]
    for name in rest:
        if type(value) is Value and name == "grad":
            value = value._grad
        elif type(value) is Value and name == "data":
            value = Value(value.array)
        elif isinstance(value, Module) and name in value.space:
            value = value.space.get(name)
        elif isinstance(value, tuple) and name in getattr(value, "_fields", ()):
            value = members.get(value, name)
        else:
            raise KeyError(path)
    return value


def hover(text: str, at: int, names: Mapping[str, Any]) -> str:
    """A few words on the name at an offset: a variable's facts, or a builtin's signature and first line."""
    piece = next((p for p in tokens(text) if p.start <= at < p.end), None)
    if piece is None or piece.kind not in ("name", "call", "member", "dtype"):
        return ""
    name = text[piece.start : piece.end]
    if piece.kind != "member" and name in names:
        return f"{name}: {facts(names[name])}"
    if piece.kind == "member" and name in PROPERTIES:
        return f"{name}: {PROPERTIES[name]}"
    known = _builtin(name)
    line = one_line(name) or (one_line_of_member(name) if piece.kind == "member" else "")
    head = f"{name}({', '.join(t for _, t in known)})" if known is not None else name
    return f"{head}: {line}" if line else ""


def one_line_of_member(name: str) -> str:
    """What a member of a tensor is."""
    found = members.METHODS.get(name)
    if found is not None and found.__doc__:
        return found.__doc__.splitlines()[0]
    return PROPERTIES.get(name, "")


PROPERTIES = {
    "grad": "the accumulated gradient, or none",
    "data": "the values, out of the graph, in the same memory",
    "grad_fn": "the node that made it, or none",
    "requires_grad": "whether it takes part in the graph",
    "is_leaf": "whether nothing computed it",
    "shape": "the sizes of its dimensions",
    "dtype": "the type of its elements",
    "ndim": "the number of its dimensions",
    "T": "transposed: all dimensions reversed",
    "mT": "the last two dimensions exchanged",
    "retains_grad": "whether backward keeps its gradient although it is no leaf",
    "itemsize": "bytes of one element",
    "nbytes": "bytes of all elements",
}
