"""Building Python syntax that carries a script's positions; every name in it is ours or mangled.

Names of the script's file are keys `:name` of its namespace, our helpers are keys that begin with a point,
and locals are the script's names with a number: none of them can be spelled as another.
"""

from __future__ import annotations

import ast as py
from bisect import bisect_right
from typing import Any

from vardsl.source import Source, Span

Stmts = list[py.stmt]
Place = dict[str, Any]  # the position fields of a Python node
LOAD, STORE, DEL = py.Load(), py.Store(), py.Del()


class Positions:
    """Lines and columns of a source in the form that Python's nodes carry."""

    def __init__(self, source: Source) -> None:
        self.starts = source.line_starts
        self.last: tuple[int, int, Place] = (-1, -1, {})

    def __call__(self, span: Span) -> Place:
        start, end = span.start, span.end
        if self.last[0] == start and self.last[1] == end:
            return self.last[2]
        starts = self.starts
        line = bisect_right(starts, start)
        end_line = bisect_right(starts, end) if end > start else line
        found = {
            "lineno": line,
            "col_offset": start - starts[line - 1],
            "end_lineno": end_line,
            "end_col_offset": end - starts[end_line - 1],
        }
        self.last = (start, end, found)
        return found


def global_name(name: str) -> str:
    """The key of a file's name, or a builtin's, in a namespace."""
    return ":" + name


def local_name(name: str) -> str:
    """A parameter's name in the generated code: as the script spells it, since keywords must find it."""
    return name + " " if name == "__debug__" else name


def load(name: str, p: Place) -> py.expr:
    return py.Name(name, LOAD, **p)


def store(name: str, p: Place) -> py.expr:
    return py.Name(name, STORE, **p)


def const(value: Any, p: Place) -> py.expr:
    return py.Constant(value, **p)


def helper(name: str, args: list[py.expr], p: Place) -> py.Call:
    """A call of one of our own functions."""
    return py.Call(py.Name("." + name, LOAD, **p), args, [], **p)


def do(e: py.expr, p: Place) -> py.stmt:
    return py.Expr(e, **p)


def put(name: str, value: py.expr, p: Place) -> py.stmt:
    return py.Assign([store(name, p)], value, **p)


def put_several(targets: list[py.expr], value: py.expr, p: Place) -> py.stmt:
    """`a, b = value`"""
    return py.Assign([py.Tuple(targets, STORE, **p)], value, **p)


def tuple_of(items: list[py.expr], p: Place) -> py.expr:
    return py.Tuple(items, LOAD, **p)


def function(name: str, params: list[str], body: Stmts, p: Place) -> py.stmt:
    """A Python function definition without defaults."""
    made: dict[str, Any] = {"type_params": []} if "type_params" in py.FunctionDef._fields else {}
    arguments = py.arguments([], [py.arg(a, None, **p) for a in params], None, [], [], None, [])
    return py.FunctionDef(name, arguments, body, [], None, **made, **p)
