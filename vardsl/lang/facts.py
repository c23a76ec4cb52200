"""What is known about the place of an error: its expression, its operands, their values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any

from vardsl.errors import Error
from vardsl.lang.places import Place
from vardsl.lang.scope import sub_nodes
from vardsl.source import Source, Span
from vardsl.syntax import ast
from vardsl.syntax.parse import parse

Entries = list[tuple[TracebackType, Place]]
MAX_ROLE = 32


class Facts:
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
                self._node = node_at(place.source, place.span.start, place.span.end)
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


def node_at(source: Source, start: int, end: int) -> ast.Node | None:
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


def short(text: str) -> bool:
    return len(text) <= MAX_ROLE and "\n" not in text
