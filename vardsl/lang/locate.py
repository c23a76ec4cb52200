"""From an exception that left generated code to the error a user sees: place, words, operands, calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from vardsl.engine.value import Value
from vardsl.errors import (
    Error,
    Frame,
    ShapeError,
)
from vardsl.lang.facts import Entries, Facts, short
from vardsl.lang.places import resolve, script_entries
from vardsl.lang.wording import VERBS, translated
from vardsl.syntax import ast


def located(error: BaseException, known: Iterable[str] = (), builtins: Iterable[str] = ()) -> Error:
    """The error with its place, its calls and its operands. `known` are names for did-you-mean."""
    entries = script_entries(error.__traceback__)
    facts = Facts(entries, known, builtins)
    found = error if isinstance(error, Error) else translated(error, facts)
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


# ---- better words --------------------------------------------------------------------------------
def _improve(error: Error, facts: Facts) -> None:
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
                    if isinstance(v, Value) and short(facts.source_text(e)) and not isinstance(e, ast.ListLit)
                ]


def _public_name(error: Error, function: ast.Expr) -> None:
    """The name that the script called in place of an operation behind it."""
    if isinstance(function, (ast.Name, ast.Member)):
        name = function.id if isinstance(function, ast.Name) else function.name
        error.message = re.sub(r"^_\w+\(\)", f"{name}()", error.message)


def show_shape(v: Any) -> str:
    """`[2, 3]`"""
    return str(list(v.shape))


def _name_operands(
    error: Error, facts: Facts, binary: tuple[ast.Expr, str, ast.Expr], values: tuple[Any, Any]
) -> None:
    left, op, right = binary
    a, b = values
    if not all(isinstance(v, (Value, np.ndarray)) for v in (a, b)):
        return
    names = [facts.source_text(left), facts.source_text(right)]
    roles = [n if short(n) else side for n, side in zip(names, ("the left side", "the right side"))]
    error.operands = [(roles[0], show_shape(a)), (roles[1], show_shape(b))]
    if roles[0] == roles[1] and short(names[0]):
        del error.operands[1]
    sa, sb = show_shape(a), show_shape(b)
    if op == "@" and a.ndim and b.ndim:
        m, n = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
        if m != n:
            error.torch = error.torch or error.message
            error.message = f"cannot multiply {sa} by {sb} with @: inner sizes {m} and {n} differ"
            if a.ndim == 2 and b.ndim == 2 and a.shape[1] == b.shape[1] and short(names[1]):
                error.hint = error.hint or f"try: {roles[0]} @ {_postfix(right, names[1])}.T"
    elif error.message.startswith("The size of tensor a"):
        error.torch = error.message
        verb = VERBS.get(op, "compare {a} and {b}")
        named = all(isinstance(e, (ast.Name, ast.Member, ast.Index)) for e in (left, right))
        if named and roles[0] != roles[1]:
            error.message = f"cannot {verb.format(a=roles[0], b=roles[1])}: {sa} and {sb} do not broadcast"
        else:
            error.message = f"cannot {verb.format(a=sa, b=sb)}: the shapes do not broadcast"


def _postfix(e: ast.Expr, text: str) -> str:
    return text if isinstance(e, (ast.Name, ast.Member, ast.Index, ast.Call, ast.Paren)) else f"({text})"
