"""Functions of the script as functions of Python, which count how deep their calls are."""

from __future__ import annotations

import ast as py
from collections.abc import Callable, Sequence
from typing import Any

from vardsl.lang.code import (
    LOAD,
    STORE,
    Stmts,
    const,
    do,
    function,
    global_name,
    helper,
    load,
    local_name,
    put,
    tuple_of,
)
from vardsl.lang.effects import changes, needs_journal
from vardsl.lang.scope import sub_nodes
from vardsl.lang.units import Unit, Units
from vardsl.source import Span
from vardsl.syntax import ast

P = dict[str, Any]


class Functions(Units):
    """Compiles `fn`, `return`, and the objective of `minimize`, which is a function of its own."""

    def _fn_def(self, s: ast.FnDef) -> Stmts:
        p = self.at(s.span)
        made = self.make_function(s.name, s.span, s.params, s.body)
        return [put(self._bind(s.name, s.name_span.start), made, p)]

    def make_function(
        self, name: str, span: Span, params: Sequence[ast.Param], body: ast.Expr | ast.Block
    ) -> py.expr:
        p = self.at(span)
        defaults = [self.expr(d.default) for d in params if d.default is not None]
        # the name of the code tells a call of the script's function from parts of one
        python_name = f"{self.fresh('f')} {name}"
        outer, self.unit = self.unit, Unit(self.unit, "function")
        outer_before, self.before = self.before, []
        self._own(span.start, self.checked.functions)
        self.unit.counted = not _is_leaf(body)
        code = self._function_body(body, p)
        code = [*self._declarations(), *self._shadowing(span, body, p), *self._entry(p), *code]
        self.unit, self.before = outer, outer_before
        self.before.append(function(python_name, [local_name(a.name) for a in params], code, p))
        text = ", ".join(self._param_text(a) for a in params)
        args = [load(python_name, p), const(name, p), const(f"{name}({text})", p), *defaults]
        return helper("function", args, p)

    def _param_text(self, a: ast.Param) -> str:
        if a.default is None:
            return a.name
        return f"{a.name}={self.checked.source.text[a.default.span.start : a.default.span.end]}"

    def _shadowing(self, span: Span, body: ast.Expr | ast.Block, p: P) -> Stmts:
        """Locals that are named as a builtin start as that builtin."""
        scope = self.checked.functions.get(span.start)
        out: Stmts = []
        if scope is None or not isinstance(body, ast.Block):
            return out
        for slot in scope.slots.values():
            if slot.name in self.builtin_names and slot.py != slot.name:
                self.builtins_used.add(slot.name)
                out.append(put(local_name(slot.py), load(global_name(slot.name), p), p))
        return out

    def _entry(self, p: P) -> Stmts:
        """Counts the call, and looks whether it is one too many."""
        if not self.unit.counted:
            return []
        level = py.Subscript(load(".level", p), const(0, p), LOAD, **p)
        limit = py.Subscript(load(".level", p), const(1, p), LOAD, **p)
        return [
            put(".d", py.BinOp(level, py.Add(), const(1, p), **p), p),
            py.If(
                py.Compare(load(".d", p), [py.Gt()], [limit], **p),
                [do(helper("too_deep", [load(".d", p)], p), p)], [], **p,
            ),
            self._set_level(load(".d", p), p),
        ]  # fmt: skip

    def _set_level(self, value: py.expr, p: P) -> py.stmt:
        return py.Assign([py.Subscript(load(".level", p), const(0, p), STORE, **p)], value, **p)

    def _function_body(self, body: ast.Expr | ast.Block, p: P) -> Stmts:
        if isinstance(body, ast.Expr):
            if changes(body, self.is_builtin):
                return self._return(ast.Return(body.span, body))
            value = self.expr(body)
            return [*self.before, *self._leave(value, self.at(body.span))]
        self._own(body.span.start, self.checked.blocks)
        out: Stmts = []
        last = body.body[-1] if body.body else None
        for s in body.body:
            if s is last and isinstance(s, (ast.ExprStmt, ast.Minimize)):
                out += self._last_value(s)
            else:
                out += self.statement(s)
        return [*out, *self._leave(const(None, p), p)]

    def _last_value(self, s: ast.ExprStmt | ast.Minimize) -> Stmts:
        value = s.value if isinstance(s, ast.ExprStmt) else None
        if value is not None:
            return self._return(ast.Return(s.span, value))
        assert isinstance(s, ast.Minimize)
        p = self.at(s.span)
        return self._with_before(lambda: self._leave(self._minimize_value(s), p))

    def _return(self, s: ast.Return) -> Stmts:
        p = self.at(s.span)
        if s.value is None:
            return self._leave(const(None, p), p)
        value = s.value
        if not needs_journal(s, self.is_builtin):
            return self._with_before(lambda: self._leave(self.expr(value), p))
        r = self.fresh("r")
        as_statement = ast.ExprStmt(s.span, value)
        out = self._journaled(as_statement, lambda: [put(r, self.expr(value), p)])
        return [*out, *self._leave(load(r, p), p)]

    def _leave(self, value: py.expr, p: P) -> Stmts:
        """Returns from the script's function, out of a turn's own function if need be."""
        if self.unit.kind == "turn":
            return [py.Return(tuple_of([value], p), **p)]
        if not self.unit.counted:
            return [py.Return(value, **p)]
        down = self._set_level(py.BinOp(load(".d", p), py.Sub(), const(1, p), **p), p)
        if isinstance(value, (py.Constant, py.Name)):
            return [down, py.Return(value, **p)]
        return [put(".r", value, p), down, py.Return(load(".r", p), **p)]

    def _journaled(self, s: ast.Stmt, build: Callable[[], Stmts]) -> Stmts:
        if not needs_journal(s, self.is_builtin):
            return self._with_before(build)
        return self._undone(build, self.at(s.span))

    def _header(self, e: ast.Expr, *, truth: bool) -> tuple[Stmts, py.expr]:
        """What a loop or branch begins with: code that goes before, and the value or its truth."""
        if not changes(e, self.is_builtin):
            return [], self.expr(e)
        p = self.at(e.span)
        name = self.fresh("h")

        def build() -> Stmts:
            value = self.expr(e)
            if truth:
                value = py.IfExp(value, const(True, p), const(False, p), **p)
            return [put(name, value, p)]

        return self._undone(build, p), load(name, p)

    def _undone(self, build: Callable[[], Stmts], p: P) -> Stmts:
        """Code that takes back what it did where it fails."""
        outer, self.before = self.before, []
        self.unit.blocks += 1
        inner = build()
        self.unit.blocks -= 1
        before, self.before = self.before, outer
        j = ".j"
        undo: Stmts = [do(helper("rollback", [load(j, p)], p), p), py.Raise(None, None, **p)]
        handler = py.ExceptHandler(load(".anything", p), None, undo, **p)
        commit = do(helper("commit", [load(j, p)], p), p)
        return [*before, put(j, helper("begin", [], p), p), py.Try(inner, [handler], [commit], [], **p)]

    def _minimize_value(self, s: ast.Minimize) -> py.expr:
        p = self.at(s.span)
        name = self.fresh("objective")
        outer, self.unit = self.unit, Unit(self.unit, "turn")
        outer_before, self.before = self.before, []
        value = self.expr(s.objective)
        body: Stmts = [*self.before, py.Return(value, **self.at(s.objective.span))]
        self.unit, self.before = outer, outer_before
        self.before.append(function(name, [], body, self.at(s.objective.span)))
        over = tuple_of(self.exprs(s.over), p)
        options = [const(None, p) if e is None else self.expr(e) for e in (s.using, s.steps, s.until)]
        region = self.region_of(s.span)
        planned = [] if region is None else [load(region, p)]
        return helper("minimize", [load(name, p), over, *options, *planned], p)

    def region_of(self, span: Span) -> str | None:
        """The name of a new region for what repeats there, or None where nothing is planned."""
        raise NotImplementedError

    def _minimize(self, s: ast.Minimize) -> Stmts:
        return [do(self._minimize_value(s), self.at(s.span))]


def _is_leaf(body: ast.Expr | ast.Block) -> bool:
    """Whether a function only computes: it calls nothing that could call it, and changes nothing."""
    stack: list[ast.Node] = [body]
    while stack:
        node = stack.pop()
        if type(node) in _BUSY or (type(node) is ast.Assign and not isinstance(node.target, ast.Name)):
            return False
        if type(node) not in (ast.Number, ast.NumberRow, ast.String, ast.Name):
            stack.extend(sub_nodes(node))
    return True


_BUSY = frozenset({
    ast.Call, ast.Pipe, ast.AugAssign, ast.Update, ast.Backward, ast.Minimize, ast.Import, ast.ZeroGrad,
})  # fmt: skip
