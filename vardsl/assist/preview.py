"""What an expression would give, found while it is typed: quickly, and only where nothing can happen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vardsl.assist.describe import facts, small
from vardsl.assist.editing import open_brackets
from vardsl.engine.dtypes import BY_NAME
from vardsl.engine.value import Value
from vardsl.errors import Error, ShapeError
from vardsl.lang import members
from vardsl.lang.effects import CALLING, RANDOM
from vardsl.lang.permissions import Permissions
from vardsl.lang.scope import sub_nodes
from vardsl.ops.index import FAMILIES
from vardsl.session import Session
from vardsl.source import Source
from vardsl.syntax import ast
from vardsl.syntax.parse import parse

DEADLINE = 0.030
MOST_ELEMENTS = 100_000
LONGEST = 2_000

_PLAIN = frozenset(
    ["len", "shape", "dtype", "type", "min", "max", "abs", "round", "sum", "int", "float", "bool", *BY_NAME]
)
_METHODS = frozenset(
    ["item", "numel", "size", "dim", "detach", "is_floating_point", "element_size", "nelement", "ndimension"]
)
# Besides what draws random numbers: what changes an argument, or leaves memory as it is.
_NEVER = RANDOM | CALLING | {"batch_norm", "instance_norm", "rrelu", "empty", "empty_like"}
_PURE_NODES = (
    ast.Name, ast.Number, ast.Bool, ast.NoneLit, ast.String, ast.NumberRow, ast.ListLit, ast.TupleExpr,
    ast.Paren, ast.Conditional, ast.BoolOp, ast.Not, ast.Compare, ast.Chain, ast.Unary, ast.Power, ast.Member,
    ast.Index, ast.Slice, ast.Ellipsis_, ast.Call, ast.Arg, ast.FString, ast.Field, ast.Pipe, ast.Var,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preview:
    """`→ [2, 2] float32 …`, or what is wrong."""

    text: str
    ok: bool = True


def expression_of(text: str) -> tuple[Source, ast.Expr] | None:
    """The expression that the last statement of a text computes, its brackets closed, or None."""
    if len(text) > LONGEST:
        return None
    closers = "".join({"(": ")", "[": "]", "{": "}"}[text[at]] for at in reversed(open_brackets(text)))
    source = Source("<preview>", text + closers)
    try:
        body = parse(source).body
    except Error:
        return None
    last = body[-1] if body else None
    if isinstance(last, ast.ExprStmt | ast.Let | ast.Assign):
        return None if isinstance(last.value, ast.Name | ast.Number) else (source, last.value)
    if isinstance(last, ast.Print) and len(last.values) == 1:
        return source, last.values[0]
    return None


def is_pure(e: ast.Expr, names: Mapping[str, Any]) -> bool:
    """Whether computing the expression can change nothing, and surely comes to an end."""
    stack: list[ast.Node] = [e]
    while stack:
        node = stack.pop()
        if not isinstance(node, _PURE_NODES):
            return False
        if isinstance(node, ast.Call) and not _is_pure_call(node, names):
            return False
        if isinstance(node, ast.Pipe) and not _is_pure_target(node.call, names):
            return False
        if isinstance(node, ast.Member) and not _is_pure_member(node.name):
            return False
        stack.extend(sub_nodes(node))
    return True


def _is_pure_call(call: ast.Call, names: Mapping[str, Any]) -> bool:
    return _is_pure_target(call.function, names)


def _is_pure_target(f: ast.Expr, names: Mapping[str, Any]) -> bool:
    """Whether calling this, an operation by name or a method, can change nothing."""
    if isinstance(f, ast.Call):
        return True  # the right of a pipe, looked at as a call
    if isinstance(f, ast.Name):
        return _is_pure_name(f.id, names)
    return isinstance(f, ast.Member) and _is_pure_member(f.name)


def _is_pure_name(name: str, names: Mapping[str, Any]) -> bool:
    if name in names or name in _NEVER or "dropout" in name:
        return False
    return name in _PLAIN or name in FAMILIES


def _is_pure_member(name: str) -> bool:
    if name in members.PROPERTIES:
        return True
    if name in _NEVER or name.endswith("_") or "dropout" in name:
        return False
    return name in _METHODS or any(space + name in FAMILIES for space in ("", "linalg.", "special."))


def _used(e: ast.Expr, names: Mapping[str, Any]) -> dict[str, Any]:
    used: dict[str, Any] = {}
    stack: list[ast.Node] = [e]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name) and node.id in names:
            used[node.id] = names[node.id]
        stack.extend(sub_nodes(node))
    return used


class Previews:
    """Computes previews in a session of its own, which sees the names of another and leaves them alone."""

    def __init__(self, names: Callable[[], Mapping[str, Any]], dtype: Callable[[], Any]) -> None:
        self.names = names
        self.dtype = dtype
        nothing = Permissions(Path.cwd(), (), ())
        limits = {"max_memory": 8 * MOST_ELEMENTS * 8, "max_time": DEADLINE, "max_steps": 100_000}
        self.scratch = Session(0, plan=False, limits=limits, permissions=nothing, emit=lambda outcome: None)

    def compute(self, text: str) -> Preview | None:
        """The preview of a text that is being typed; None where there is nothing to say."""
        found = expression_of(text)
        if found is None:
            return None
        source, e = found
        names = self.names()
        if not is_pure(e, names):
            return None
        used = _used(e, names)
        if sum(v.array.size for v in used.values() if type(v) is Value) > MOST_ELEMENTS:
            return None
        return self._evaluate(source, e, used)

    def _evaluate(self, source: Source, e: ast.Expr, used: Mapping[str, Any]) -> Preview | None:
        space, ctx = self.scratch.space, self.scratch.ctx
        for name in list(self.scratch):
            del space.names[":" + name]
        for name, value in used.items():
            self.scratch.bind(name, value)
        ctx.grad_enabled = False
        ctx.default_dtype = self.dtype()
        try:
            value = self.scratch.run_expression(source, e)
        except ShapeError as error:
            return Preview(error.message.split("\n")[0], ok=False)
        except Error as error:
            if error.kind not in ("index", "type"):
                return None
            return Preview(error.message.split("\n")[0], ok=False)
        finally:
            ctx.grad_enabled = True
        return None if value is None else Preview(said(value))


def said(value: Any) -> str:
    """A value on a line: `7.5`, `[2] float32 [1, 2]`, `[64, 10] float32`."""
    if type(value) is not Value:
        return facts(value)
    elements = small(value)
    if value.array.ndim == 0:
        return f"{elements} {value.dtype.name}"
    return f"{facts(Value(value.array))} {elements}".rstrip()


class Worker:
    """A thread that computes the preview of the latest text, and tells when it has one."""

    def __init__(self, previews: Previews, ready: Callable[[], None]) -> None:
        self.previews = previews
        self.ready = ready
        self.wanted: str | None = None
        self.text = ""
        self.found: Preview | None = None
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._work, name="vardsl-preview", daemon=True)
        self.thread.start()

    def request(self, text: str) -> None:
        """Asks for the preview of a text; an older wish is dropped."""
        with self.changed:
            self.wanted = text
            self.changed.notify()

    def answer(self, text: str) -> Preview | None:
        """The preview of exactly this text, if it is there."""
        return self.found if self.text == text else None

    def _work(self) -> None:
        while True:
            with self.changed:
                while self.wanted is None:
                    self.changed.wait()
                text, self.wanted = self.wanted, None
            found = self._in_time(text)
            if self.wanted is None:
                self.found, self.text = found, text
                self.ready()

    def _in_time(self, text: str) -> Preview | None:
        """The preview, if this thread computes no longer than the deadline for it.

        A try that ran out of time while others had the machine is made again.
        """
        spent = 0.0
        while spent <= DEADLINE and self.wanted is None:
            began, own = time.monotonic(), time.thread_time()
            found = self._compute(text)
            spent += time.thread_time() - own
            if spent <= DEADLINE and (found is not None or time.monotonic() - began <= DEADLINE):
                return found
        return None

    def _compute(self, text: str) -> Preview | None:
        try:
            return self.previews.compute(text)
        except Exception:  # a preview that fails is none; running the text will tell
            return None
