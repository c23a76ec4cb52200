"""Loops of assignments of arithmetic, as plain tuples that translated code carries with it.

What such a loop computes can be told from its text; whether its names are bound to numbers, or to tensors of
one element, is seen when it runs. `at` is the position of an expression, names are those of the Python code:

expressions  ("n", number, how it is written), ("v", name), (operator, a, b, at), ("neg", a, at),
             ("f", a, at, operation)
conditions   (comparison, a, b), ("and", …), ("or", …), ("not", c), ("t", expression)
statements   ("=", name, expression), ("if", condition, then, otherwise), ("break",)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vardsl.lang import builtins
from vardsl.source import Span
from vardsl.syntax import ast

Term = tuple[Any, ...]
_ARITHMETIC = frozenset("+-*/")
_COMPARISONS = frozenset(["<", "<=", ">", ">=", "==", "!="])
MAX_TERMS = 200


class _NotSuch(Exception):
    """The loop does something else."""


class _Reader:
    def __init__(
        self,
        name_of: Callable[[ast.Name], str],
        is_builtin: Callable[[ast.Name], bool],
        at: Callable[[Span], dict[str, Any]],
    ) -> None:
        self.name_of = name_of
        self.at = at
        self.is_builtin = is_builtin
        self.left = MAX_TERMS

    def block(self, b: ast.Block) -> Term:
        return tuple(self.statement(s) for s in b.body)

    def statement(self, s: ast.Stmt) -> Term:
        if isinstance(s, (ast.Let, ast.Assign)) and isinstance(s.target, ast.Name):
            return ("=", self.name_of(s.target), self.value(s.value))
        if isinstance(s, ast.If):
            otherwise: Term = ()
            if isinstance(s.otherwise, ast.Block):
                otherwise = self.block(s.otherwise)
            elif s.otherwise is not None:
                otherwise = (self.statement(s.otherwise),)
            return ("if", self.condition(s.condition), self.block(s.body), otherwise)
        if isinstance(s, ast.Break):
            return ("break",)
        raise _NotSuch

    def value(self, e: ast.Expr) -> Term:
        self.left -= 1
        if self.left < 0:
            raise _NotSuch
        if isinstance(e, ast.Paren):
            return self.value(e.inner)
        if isinstance(e, ast.Number):
            return ("n", e.value, repr(e.value))
        if isinstance(e, ast.Name) and not self.is_builtin(e):
            return ("v", self.name_of(e))
        if isinstance(e, ast.Unary) and e.op == "-":
            if isinstance(e.value, ast.Number):
                return ("n", -e.value.value, repr(-e.value.value))
            return ("neg", self.value(e.value), self.position(e.span))
        if isinstance(e, ast.Chain) and _ARITHMETIC.issuperset(e.ops):
            left = self.value(e.first)
            for op, operand in zip(e.ops, e.rest, strict=True):
                span = Span(e.first.span.start, operand.span.end)
                left = (op, left, self.value(operand), self.position(span))
            return left
        if isinstance(e, ast.Power) and isinstance(e.exponent, ast.Number) and e.exponent.value in (2, 3):
            return ("**", self.value(e.base), self.value(e.exponent), self.position(e.span))
        if isinstance(e, ast.Call) and len(e.args) == 1 and e.args[0].name is None:
            f = e.function
            if isinstance(f, ast.Name) and self.is_builtin(f) and builtins.has_operation(f.id):
                return ("f", self.value(e.args[0].value), self.position(e.span), f.id)
        raise _NotSuch

    def position(self, span: Span) -> Term:
        p = self.at(span)
        return (p["lineno"], p["end_lineno"], p["col_offset"], p["end_col_offset"])

    def condition(self, e: ast.Expr) -> Term:
        self.left -= 1
        if self.left < 0:
            raise _NotSuch
        if isinstance(e, ast.Paren):
            return self.condition(e.inner)
        if isinstance(e, ast.BoolOp):
            return (e.op, *[self.condition(v) for v in e.values])
        if isinstance(e, ast.Not):
            return ("not", self.condition(e.value))
        if isinstance(e, ast.Compare):
            if len(e.ops) != 1 or e.ops[0] not in _COMPARISONS:
                raise _NotSuch
            return (e.ops[0], self.value(e.first), self.value(e.rest[0]))
        return ("t", self.value(e))


def recurrence(
    s: ast.For | ast.While,
    name_of: Callable[[ast.Name], str],
    is_builtin: Callable[[ast.Name], bool],
    at: Callable[[Span], dict[str, Any]],
) -> Term | None:
    """The loop as (target or "", condition or (), body), or None where it is another kind of loop."""
    reader = _Reader(name_of, is_builtin, at)
    try:
        body = reader.block(s.body)
        if isinstance(s, ast.While):
            return ("", reader.condition(s.condition), body)
        if not isinstance(s.target, ast.Name):
            return None
        return (name_of(s.target), (), body)
    except _NotSuch:
        return None


def bound_names(body: Term) -> list[str]:
    """The names that statements bind, in alphabetical order."""
    found: set[str] = set()
    stack = list(body)
    while stack:
        s = stack.pop()
        if s[0] == "=":
            found.add(s[1])
        elif s[0] == "if":
            stack += [*s[2], *s[3]]
    return sorted(found)
