"""A checked program as Python code whose positions are the script's.

The statements of the file become module code, a few at a time. What is nested in the file (loops, branches)
becomes a function of its own, so that the file's variables are Python locals while it runs; they are
written back when it is left, by an error too. Functions of the script are Python functions. Loops go
through their range in pieces, between which interrupts and limits are looked at, so that a turn costs
nothing extra.
"""

from __future__ import annotations

import ast as py
from collections.abc import Callable, Iterator, Sequence
from types import CodeType
from typing import Any

from vardsl.errors import InternalError
from vardsl.lang.check import Checked
from vardsl.lang.code import (
    DEL,
    LOAD,
    STORE,
    Stmts,
    const,
    do,
    function,
    global_name,
    helper,
    load,
    put,
    store,
    tuple_of,
)
from vardsl.lang.places import FileName
from vardsl.lang.regions import Run
from vardsl.lang.runs import Runs
from vardsl.lang.scope import FileSlot, sub_nodes
from vardsl.lang.sites import operands
from vardsl.lang.units import Unit, unwrapped
from vardsl.source import Span
from vardsl.syntax import ast

P = dict[str, Any]
CHUNK = 200
_TARGETS = (ast.Name, ast.TupleExpr, ast.Paren)


def code_of(body: Stmts, file_name: str) -> CodeType:
    """Statements of Python that were made here, of a script or of what is derived from one, as code."""
    return compile(py.Module(body, []), file_name, "exec")


class Compiler(Runs):
    """Compiles the statements of one program."""

    def __init__(self, checked: Checked, *, shown: bool = False, plan: bool = False) -> None:
        super().__init__(checked, plan=plan)
        self.told = 0  # how many sites are known to the code so far
        self.file_name = FileName.of(checked.source)
        self.shown = shown

    def chunks(self) -> Iterator[CodeType]:
        """The program's code, piece by piece; the value of a last expression is left under `.last`."""
        body = list(self._runs(self.checked.program.body, nested=False))
        for start in range(0, max(len(body), 1), CHUNK):
            part = body[start : start + CHUNK]
            out: Stmts = []
            for k, s in enumerate(part):
                if isinstance(s, Run):
                    made = self._file_run(s)
                else:
                    made = self._file_statement(s, is_last=start + k == len(body) - 1)
                out += [*self._new_sites(), *made]
            if out:
                yield self._code(out)

    def _code(self, body: Stmts) -> CodeType:
        return code_of(body, self.file_name)

    def _file_statement(self, s: ast.Stmt, *, is_last: bool) -> Stmts:
        p = self.at(s.span)
        tick = do(helper("tick", [], p), p)
        if self.plan and isinstance(s, (ast.Print, ast.ExprStmt)):
            run = self.splitter.shown(s)
            if run is not None:
                return [tick, *self._deferred(s, run, is_last=is_last)]
        if isinstance(s, (ast.If, ast.While, ast.For, ast.NoGrad)):
            return [tick, *self._compound(s)]
        if isinstance(s, (ast.ExprStmt, ast.Minimize)):
            return [tick, *self._valued(s, keep=is_last)]
        return [tick, *self.statement(s)]

    def _deferred(self, s: ast.Print | ast.ExprStmt, run: Run, *, is_last: bool) -> Stmts:
        """A statement that shows what it computes: its region may let the numbers come last."""
        p = self.at(s.span)
        found = self.fresh("r")
        name = self._new_region(s.span, [n.id for n in run.reads])
        reads = tuple_of([self.expr(n) for n in run.reads], p)
        defer = py.Call(py.Attribute(load(name, p), "defer", LOAD, **p), [load(found, p)], [], **p)
        end = py.Call(py.Attribute(load(name, p), "end", LOAD, **p), [tuple_of([], p)], [], **p)
        body = self.statement(s) if isinstance(s, ast.Print) else self._valued(s, keep=is_last)
        return [self._if_bound(found, reads, p, do(defer, p)), *body, do(end, p)]

    def _new_sites(self) -> Stmts:
        """Makes the sites known that stand in what was compiled last."""
        first, self.told = self.told, len(self.sites)
        return [
            do(helper("site", [const(name, p), plain, const(numbers, p)], p), p)
            for name, plain, numbers, p in self.sites[first:]
        ]

    def new_site(self, k: int) -> str:
        return f".F{self.digest:x}.{k}"

    def _valued(self, s: ast.ExprStmt | ast.Minimize, *, keep: bool) -> Stmts:
        p = self.at(s.span)

        def build() -> Stmts:
            value = self.expr(s.value) if isinstance(s, ast.ExprStmt) else self._minimize_value(s)
            if self.shown:
                value = helper("show", [value], p)
            return [put(".last", value, p)] if keep else [do(value, p)]

        # each turn of `minimize` is whole by itself
        return self._with_before(build) if isinstance(s, ast.Minimize) else self._journaled(s, build)

    def _compound(self, s: ast.Stmt) -> Stmts:
        """A nested statement of the file as a function whose locals are the file's variables."""
        p = self.at(s.span)
        name = self.fresh("part")
        used = {n for n in _file_names(s, self.checked) if n not in self.checked.captured}
        self.localised = {n: self.fresh("v") for n in sorted(used)}
        outer, self.unit = self.unit, Unit(self.unit, "compound")
        self.local_owner = self.unit
        body = self.statement(s)
        before: Stmts = self._declarations()
        for n, local in self.localised.items():
            present = py.Compare(const(global_name(n), p), [py.In()], [load(".names", p)], **p)
            orelse: Stmts = []
            if n in self.builtin_names:
                self.builtins_used.add(n)
                orelse = [put(local, load(global_name(n), p), p)]
            before.append(py.If(present, [put(local, load(global_name(n), p), p)], orelse, **p))
        sync = helper(
            "sync", [load(".names", p), self._pairs(p), py.Call(load(".locals", p), [], [], **p)], p
        )
        whole = [*before, *body]
        if self.localised:
            whole = [*before, py.Try(body, [], [], [do(sync, p)], **p)]
        self.unit, self.local_owner, self.localised = outer, None, {}
        return [function(name, [], whole, p), do(py.Call(load(name, p), [], [], **p), p)]

    def _pairs(self, p: P) -> py.expr:
        return const(tuple((global_name(n), local) for n, local in self.localised.items()), p)

    def statement(self, s: ast.Stmt) -> Stmts:
        method = _STATEMENTS.get(type(s))
        if method is None:
            raise InternalError(f"no code for {type(s).__name__}")
        if type(s) in _JOURNALED:
            return self._journaled(s, lambda: method(self, s))
        return self._with_before(lambda: method(self, s))

    def _let(self, s: ast.Let | ast.Assign) -> Stmts:
        p = self.at(s.span)
        target = unwrapped(s.target)
        value = self.expr(s.value)
        if isinstance(target, ast.Name):
            return [put(self._bind(target.id, target.span.start), value, p)]
        if isinstance(target, ast.Index):
            args = [value, self.expr(target.value), self.index_key(target)]
            return [do(helper("set_item", args, self.at(target.span)), p)]
        if isinstance(target, ast.Member):
            args = [value, self.expr(target.value), const(target.name, p)]
            return [do(helper("set_member", args, self.at(target.span)), p)]
        assert isinstance(target, ast.TupleExpr)
        items = [unwrapped(t) for t in target.items]
        if all(isinstance(t, ast.Name) for t in items):
            names = [
                store(self._bind(t.id, t.span.start), self.at(t.span))
                for t in items
                if isinstance(t, ast.Name)
            ]
            if not names:
                return [py.Assign([py.Tuple([], STORE, **self.at(target.span))], value, **p)]
            return [
                py.Assign([py.Tuple(names, STORE, **self.at(target.span))], value, **self.at(s.value.span))
            ]
        return self._destructure(target, value, s)

    def _destructure(self, target: ast.TupleExpr, value: py.expr, s: ast.Let | ast.Assign) -> Stmts:
        """Takes everything apart first and stores then, so that nothing is bound when a part does not fit."""
        p = self.at(s.span)
        leaves: list[tuple[ast.Expr, str]] = []

        def temporary(t: ast.Expr) -> py.expr:
            t = unwrapped(t)
            if isinstance(t, ast.TupleExpr):
                return py.Tuple([temporary(k) for k in t.items], STORE, **self.at(t.span))
            name = self.fresh("u")
            leaves.append((t, name))
            return store(name, self.at(t.span))

        out: Stmts = [py.Assign([temporary(target)], value, **self.at(s.value.span))]
        bind: Stmts = []
        for leaf, name in leaves:
            q = self.at(leaf.span)
            if isinstance(leaf, ast.Name):
                bind.append(put(self._bind(leaf.id, leaf.span.start), load(name, q), p))
            elif isinstance(leaf, ast.Index):
                args = [load(name, q), self.expr(leaf.value), self.index_key(leaf)]
                out.append(do(helper("set_item", args, q), p))
            else:
                assert isinstance(leaf, ast.Member)
                args = [load(name, q), self.expr(leaf.value), const(leaf.name, q)]
                out.append(do(helper("set_member", args, q), p))
        return out + bind

    def _augmented(self, s: ast.AugAssign) -> Stmts:
        p = self.at(s.span)
        target = unwrapped(s.target)
        op = const(s.op, p)
        if isinstance(target, ast.Name):

            def build() -> py.expr:
                return helper(_AUGMENTED[s.op], [self.expr(target), self.expr(s.value)], p)

            names = None
            if s.op in "+-*/" and self.repeats() and not self.is_builtin(target):
                names = operands(s.value, self.is_builtin, target)
            new = build() if names is None else self.at_site(build, names, s.value)
            return [put(self._bind(target.id, target.span.start), new, p)]
        if isinstance(target, ast.Index):
            args = [self.expr(target.value), self.index_key(target), op, self.expr(s.value)]
            return [do(helper("augmented_item", args, p), p)]
        assert isinstance(target, ast.Member)
        args = [self.expr(target.value), const(target.name, p), op, self.expr(s.value)]
        return [do(helper("augmented_member", args, p), p)]

    def _update(self, s: ast.Update) -> Stmts:
        return self._outside_graph(
            s.span, lambda: self._augmented(ast.AugAssign(s.span, s.target, s.op, s.value))
        )

    def _outside_graph(self, span: Span, build: Callable[[], Stmts]) -> Stmts:
        if self.unit.outside_graph:
            return build()
        p = self.at(span)
        before = self.fresh("g")
        self.unit.blocks += 1
        self.unit.outside_graph = True
        inner = build()
        self.unit.outside_graph = False
        self.unit.blocks -= 1
        on = do(helper("set_grad", [load(before, p)], p), p)
        return [put(before, helper("no_grad", [], p), p), py.Try(inner, [], [], [on], **p)]

    def _print(self, s: ast.Print) -> Stmts:
        p = self.at(s.span)
        return [do(helper("print", self.exprs(s.values), p), p)]

    def _expr_stmt(self, s: ast.ExprStmt) -> Stmts:
        return [do(self.expr(s.value), self.at(s.span))]

    def _backward(self, s: ast.Backward) -> Stmts:
        p = self.at(s.span)
        roots = tuple_of(self.exprs(s.roots), p)
        gradients = tuple_of(self.exprs(s.gradients), p)
        flags = [const(s.retain, p), const(s.create, p), const(s.step, p)]
        return [do(helper("backward", [roots, gradients, *flags], p), p)]

    def _zero_grad(self, s: ast.ZeroGrad) -> Stmts:
        p = self.at(s.span)
        if s.targets:
            return [do(helper("zero_grad", self.exprs(s.targets), p), p)]
        here = py.Call(load(".locals", p), [], [], **p)
        return [do(helper("zero_all", [load(".names", p), here], p), p)]

    def _if(self, s: ast.If) -> Stmts:
        p = self.at(s.condition.span)
        first, test = self._header(s.condition, truth=True)
        body = self.block(s.body)
        if s.otherwise is None:
            orelse: Stmts = []
        elif isinstance(s.otherwise, ast.Block):
            orelse = self.block(s.otherwise)
        else:
            orelse = self.statement(s.otherwise)
        return [*first, py.If(test, body, orelse, **p)]

    def _no_grad_block(self, s: ast.NoGrad) -> Stmts:
        return self._outside_graph(s.span, lambda: self.block(s.body))

    def _import(self, s: ast.Import) -> Stmts:
        p = self.at(s.path_span)
        if s.alias is None:
            return [do(helper("import_names", [const(s.path, p), load(".names", p)], p), p)]
        module = helper("import_module", [const(s.path, p), const(s.alias, p)], p)
        return [put(self._bind(s.alias, s.path_span.start), module, p)]

    def _assert(self, s: ast.Assert) -> Stmts:
        p = self.at(s.condition.span)
        test = py.UnaryOp(py.Not(), self.expr(s.condition), **p)
        message = const(None, p) if s.message is None else self.expr(s.message)
        return [py.If(test, [do(helper("failed", [message], p), p)], [], **p)]

    def _del(self, s: ast.Del) -> Stmts:
        out: Stmts = []
        # all of them are looked at before one of them goes
        if len(s.names) > 1:
            out += [do(self.expr(n), self.at(n.span)) for n in s.names]
        for n in s.names:
            p = self.at(n.span)
            name = self._bind(n.id, n.span.start)
            out.append(py.Delete([py.Name(name, DEL, **p)], **p))
            if n.id in self.builtin_names and not name.startswith(":"):
                self.builtins_used.add(n.id)
                out.append(put(name, load(global_name(n.id), p), p))
        return out

    def _later(self, s: ast.Stmt) -> Stmts:
        """Statements about the recorded graph: handed to the session's services, which are found by name."""
        p = self.at(s.span)
        word = type(s).__name__.lower()
        if isinstance(s, ast.Why) and isinstance(s.value, ast.Name) and s.value.id in ("nan", "error"):
            values: Sequence[ast.Expr] = ()
            args = [const(s.value.id, p)]
        else:
            values = s.values if isinstance(s, ast.Plot) else (s.value,)  # type: ignore[attr-defined]
            args = self.exprs(values)
        wrt = self.exprs(s.wrt) if isinstance(s, ast.Explain) else []
        to = getattr(s, "to", None)
        options = [tuple_of(wrt, p), const(None, p) if to is None else self.expr(to)]
        return [do(helper("service", [const(word, p), tuple_of(args, p), *options], p), p)]


def _file_names(s: ast.Node, checked: Checked) -> Iterator[str]:
    """Names of the file that a nested statement uses or binds."""
    stack: list[ast.Node] = [s]
    while stack:
        node = stack.pop()
        if type(node) is ast.Name:
            if isinstance(checked.names.get(node.span.start), FileSlot):
                yield node.id
        elif type(node) not in (ast.Number, ast.NumberRow, ast.String):
            stack.extend(sub_nodes(node))


_AUGMENTED = {
    "+": "iadd", "-": "isub", "*": "imul", "/": "idiv", "//": "ifloordiv", "%": "imod", "**": "ipow",
    "@": "imatmul",
}  # fmt: skip
_JOURNALED = frozenset({
    ast.Let, ast.Assign, ast.AugAssign, ast.Update, ast.Print, ast.ExprStmt, ast.Backward, ast.ZeroGrad,
    ast.Assert, ast.FnDef,
})  # fmt: skip
_STATEMENTS: dict[type, Callable[[Compiler, Any], Stmts]] = {
    ast.Let: Compiler._let,
    ast.Assign: Compiler._let,
    ast.AugAssign: Compiler._augmented,
    ast.Update: Compiler._update,
    ast.Print: Compiler._print,
    ast.ExprStmt: Compiler._expr_stmt,
    ast.Backward: Compiler._backward,
    ast.ZeroGrad: Compiler._zero_grad,
    ast.If: Compiler._if,
    ast.While: Compiler._while,
    ast.For: Compiler._for,
    ast.Break: Compiler._break,
    ast.Continue: Compiler._continue,
    ast.NoGrad: Compiler._no_grad_block,
    ast.FnDef: Compiler._fn_def,
    ast.Return: Compiler._return,
    ast.Minimize: Compiler._minimize,
    ast.Import: Compiler._import,
    ast.Assert: Compiler._assert,
    ast.Del: Compiler._del,
    ast.Graph: Compiler._later,
    ast.Explain: Compiler._later,
    ast.Why: Compiler._later,
    ast.Plot: Compiler._later,
}
