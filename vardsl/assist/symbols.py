"""The outline of a text: what it binds and where, for editors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vardsl.errors import Error
from vardsl.lang.scope import target_names
from vardsl.source import Source, Span
from vardsl.syntax import ast
from vardsl.syntax.parse import parse

Kind = Literal["function", "variable", "module", "parameter"]


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name that is bound: `span` is the name's place, `whole` that of the statement."""

    name: str
    kind: Kind
    span: Span
    whole: Span
    children: tuple[Symbol, ...] = ()


def outline(text: str) -> list[Symbol]:
    """The names that the file's own statements bind, each at its first place; none of a broken text."""
    try:
        body = parse(Source("<outline>", text)).body
    except Error:
        return []
    return _first_places(symbol for statement in body for symbol in _bound(statement))


def _first_places(symbols: Iterator[Symbol]) -> list[Symbol]:
    found: dict[str, Symbol] = {}
    for symbol in symbols:
        found.setdefault(symbol.name, symbol)
    return list(found.values())


def _bound(s: ast.Stmt) -> Iterator[Symbol]:
    if isinstance(s, ast.Let | ast.Assign):
        kind: Kind = "function" if isinstance(s.value, ast.Lambda) else "variable"
        for name in target_names(s.target):
            yield Symbol(name.id, kind, name.span, s.span)
    elif isinstance(s, ast.FnDef):
        yield Symbol(s.name, "function", s.name_span, s.span, tuple(_inside(s)))
    elif isinstance(s, ast.Import) and s.alias is not None:
        yield Symbol(s.alias, "module", s.path_span, s.span)
    elif isinstance(s, ast.For | ast.While | ast.NoGrad):
        for inner in s.body.body:
            if isinstance(inner, ast.Assign):
                yield from _bound(inner)


def _inside(s: ast.FnDef) -> Iterator[Symbol]:
    for p in s.params:
        yield Symbol(p.name, "parameter", p.span, p.span)
    if isinstance(s.body, ast.Block):
        yield from _first_places(symbol for inner in s.body.body for symbol in _bound(inner))


def definition(text: str, name: str) -> Span | None:
    """Where a name of the file is bound first."""
    return next((symbol.span for symbol in outline(text) if symbol.name == name), None)
