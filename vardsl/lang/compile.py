"""A checked program as Python code whose positions are the script's.

The statements of the file become module code, a few at a time. What is nested in the file (loops, branches)
becomes a function of its own, so that the file's variables are Python locals while it runs; they are
written back when it is left, by an error too. Functions of the script are Python functions. Loops go
through their range in pieces, between which interrupts and limits are looked at, so that a turn costs
nothing extra.
"""

from __future__ import annotations

import ast as py
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType
from typing import Any
from zlib import crc32

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
    local_name,
    put,
    store,
    tuple_of,
)
from vardsl.lang.effects import needs_journal
from vardsl.lang.expressions import Expressions
from vardsl.lang.places import FileName
from vardsl.lang.regions import Run, split
from vardsl.lang.scope import FileSlot, Slot, blocks_of, sub_nodes
from vardsl.source import Span
from vardsl.syntax import ast

P = dict[str, Any]
CHUNK = 200
# Python allows 20 nested blocks; deeper loops get a function of their own.
MAX_BLOCKS = 12
_TARGETS = (ast.Name, ast.TupleExpr, ast.Paren)


class Unit:
    """A Python function that is being built.

    foreign   names that it stores and that are locals of a unit around it
    hosted    its locals that only units inside it store
    globals   names of the file that it stores
    """

    def __init__(self, outer: Unit | None, kind: str) -> None:
        self.outer = outer
        self.kind = kind  # "file", "compound", "function", "turn"
        self.foreign: set[str] = set()
        self.hosted: set[str] = set()
        self.globals: set[str] = set()
        self.loops: list[str] = []  # how each open loop is left: "here" or, at a turn's own function, "turn"
        self.blocks = 0
        self.counted = False  # whether the call was counted as a level of depth


class Compiler(Expressions):
    """Compiles the statements of one program."""

    def __init__(self, checked: Checked, *, shown: bool = False, plan: bool = False) -> None:
        super().__init__(checked)
        self.plan = plan
        self.regions: list[tuple[str, str]] = []  # the names of this program's regions, and what to call them
        self.file_name = FileName.of(checked.source)
        self.unit = Unit(None, "file")
        self.shown = shown
        self.owners: dict[int, Unit] = {}  # of blocks, by identity
        self.local_owner: Unit | None = None

    # ---- the file --------------------------------------------------------------------------------
    def chunks(self) -> Iterator[CodeType]:
        """The program's code, piece by piece; the value of a last expression is left under `.last`."""
        body = list(self._runs(self.checked.program.body))
        for start in range(0, max(len(body), 1), CHUNK):
            part = body[start : start + CHUNK]
            out: Stmts = []
            for k, s in enumerate(part):
                if isinstance(s, Run):
                    out += self._file_run(s)
                else:
                    out += self._file_statement(s, is_last=start + k == len(body) - 1)
            if out:
                yield self._code(out)

    def _code(self, body: Stmts) -> CodeType:
        return compile(py.Module(body, []), self.file_name, "exec")

    def _file_statement(self, s: ast.Stmt, *, is_last: bool) -> Stmts:
        p = self.at(s.span)
        tick = do(helper("tick", [], p), p)
        if isinstance(s, (ast.If, ast.While, ast.For, ast.NoGrad)):
            return [tick, *self._compound(s)]
        if isinstance(s, (ast.ExprStmt, ast.Minimize)):
            return [tick, *self._valued(s, keep=is_last)]
        return [tick, *self.statement(s)]

    def _runs(self, body: Sequence[ast.Stmt]) -> Iterable[ast.Stmt | Run]:
        return split(body, self.is_builtin) if self.plan else body

    def _file_run(self, run: Run) -> Stmts:
        out: Stmts = []
        for s in run.statements:
            p = self.at(s.span)
            out.append(do(helper("tick", [], p), p))
        return [*out, *self._region(run)]

    def _region(self, run: Run) -> Stmts:
        """The run with its region asked first; `if` the answer is None the statements are executed here."""
        p = self.at(run.span)
        digest = crc32(f"{self.checked.source.name}\0{self.checked.source.text}".encode(errors="replace"))
        name = f".R{digest:x}.{len(self.regions)}"
        line = self.checked.source.position(run.span.start)[0]
        self.regions.append((name, f"{self.checked.source.name}:{line}"))

        def mode(op: py.cmpop, value: int) -> py.expr:
            return py.Compare(py.Attribute(load(name, p), "mode", LOAD, **p), [op], [const(value, p)], **p)

        reads = tuple_of([self.expr(n) for n in run.reads], p)
        ask = py.Call(py.Attribute(load(name, p), "ask", LOAD, **p), [reads], [], **p)
        answer = self.fresh("t")
        body: Stmts = []
        for s in run.statements:
            body += self.statement(s)
        bound = tuple_of([load(self._bind(n.id, n.span.start), self.at(n.span)) for n in run.binds], p)
        end = py.Call(py.Attribute(load(name, p), "end", LOAD, **p), [bound], [], **p)
        body.append(py.If(mode(py.NotEq(), 2), [do(end, p)], [], **p))
        names = [store(self._bind(n.id, n.span.start), self.at(n.span)) for n in run.binds]
        take: Stmts = (
            [py.Assign([py.Tuple(names, STORE, **p)], load(answer, p), **p)] if names else [py.Pass(**p)]
        )
        return [
            put(answer, py.IfExp(mode(py.Eq(), 1), ask, const(None, p), **p), p),
            py.If(py.Compare(load(answer, p), [py.Is()], [const(None, p)], **p), body, take, **p),
        ]

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

    def _declarations(self) -> Stmts:
        """`nonlocal` and `global` of the unit that is finished."""
        out: Stmts = []
        p: P = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
        if self.unit.foreign:
            out.append(py.Nonlocal(sorted(self.unit.foreign), **p))
        if self.unit.globals:
            out.append(py.Global(sorted(self.unit.globals), **p))
        if self.unit.hosted:
            # never run: it makes them locals of this function
            never: Stmts = [put(name, const(None, p), p) for name in sorted(self.unit.hosted)]
            out.append(py.If(const(False, p), never, [], **p))
        return out

    # ---- names that are bound --------------------------------------------------------------------
    def _bind(self, name: str, offset: int) -> str:
        """The Python name under which a value is stored, declared where it is another unit's."""
        slot = self.checked.names.get(offset)
        if isinstance(slot, Slot):
            owner = self.owners.get(id(slot.block))
            if owner is not None and owner is not self.unit:
                self.unit.foreign.add(local_name(slot.py))
                owner.hosted.add(local_name(slot.py))
            return local_name(slot.py)
        here = self.localised.get(name)
        if here is not None:
            if self.local_owner is not self.unit:
                self.unit.foreign.add(here)
            return here
        if self.unit.kind != "file":
            self.unit.globals.add(global_name(name))
        return global_name(name)

    def _own(self, key: int, table: dict[int, Any]) -> None:
        scope = table.get(key)
        if scope is not None:
            self.owners[id(scope)] = self.unit

    # ---- statements ------------------------------------------------------------------------------
    def statement(self, s: ast.Stmt) -> Stmts:
        method = _STATEMENTS.get(type(s))
        if method is None:
            raise InternalError(f"no code for {type(s).__name__}")
        if type(s) in _JOURNALED:
            return self._journaled(s, lambda: method(self, s))
        return self._with_before(lambda: method(self, s))

    def _with_before(self, build: Callable[[], Stmts]) -> Stmts:
        """The code of `build`, after the function bodies that it needs."""
        outer, self.before = self.before, []
        out = build()
        out = [*self.before, *out]
        self.before = outer
        return out

    def _journaled(self, s: ast.Stmt, build: Callable[[], Stmts]) -> Stmts:
        if not needs_journal(s, self.is_builtin):
            return self._with_before(build)
        p = self.at(s.span)
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

    def block(self, b: ast.Block) -> Stmts:
        """The statements of a nested block; never empty."""
        self._own(b.span.start, self.checked.blocks)
        out: Stmts = []
        for s in self._runs(b.body):
            out += self._region(s) if isinstance(s, Run) else self.statement(s)
        return out or [py.Pass(**self.at(b.span))]

    def _let(self, s: ast.Let | ast.Assign) -> Stmts:
        p = self.at(s.span)
        target = _unwrapped(s.target)
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
        items = [_unwrapped(t) for t in target.items]
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
            t = _unwrapped(t)
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
        target = _unwrapped(s.target)
        op = const(s.op, p)
        if isinstance(target, ast.Name):
            new = helper(_AUGMENTED[s.op], [self.expr(target), self.expr(s.value)], p)
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
        p = self.at(span)
        before = self.fresh("g")
        self.unit.blocks += 1
        inner = build()
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
        test = self.expr(s.condition)
        body = self.block(s.body)
        if s.otherwise is None:
            orelse: Stmts = []
        elif isinstance(s.otherwise, ast.Block):
            orelse = self.block(s.otherwise)
        else:
            orelse = self.statement(s.otherwise)
        return [py.If(test, body, orelse, **p)]

    def _no_grad_block(self, s: ast.NoGrad) -> Stmts:
        return self._outside_graph(s.span, lambda: self.block(s.body))

    # ---- loops -----------------------------------------------------------------------------------
    def _for(self, s: ast.For) -> Stmts:
        p, q = self.at(s.span), self.at(s.iterable.span)
        pieces = helper("turns", [self.expr(s.iterable)], q)
        if self._own_function(s):
            item = self.fresh("i")
            inner: Stmts = self._turn_function(s.body, s.target, item, p)
            target: py.expr = store(item, p)
        else:
            self._own(s.body.span.start, self.checked.blocks)
            target = self._loop_target(s.target)
            inner = self._loop_body(s.body)
        return self._pieces(pieces, target, inner, p)

    def _loop_target(self, t: ast.Expr) -> py.expr:
        t = _unwrapped(t)
        p = self.at(t.span)
        if isinstance(t, ast.TupleExpr):
            return py.Tuple([self._loop_target(k) for k in t.items], STORE, **p)
        assert isinstance(t, ast.Name)
        return store(self._bind(t.id, t.span.start), p)

    def _while(self, s: ast.While) -> Stmts:
        p = self.at(s.span)
        own = self._own_function(s)
        stop: Stmts = [py.Break(**p)]

        def condition() -> Stmts:
            return [
                py.If(
                    py.UnaryOp(py.Not(), self.expr(s.condition), **self.at(s.condition.span)), stop, [], **p
                )
            ]

        test = self._with_before(condition)
        inner = self._turn_function(s.body, None, "", p) if own else self._loop_body(s.body)
        return self._pieces(helper("forever", [], p), store(self.fresh("w"), p), [*test, *inner], p)

    def _loop_body(self, b: ast.Block) -> Stmts:
        self.unit.loops.append("here")
        self.unit.blocks += 2
        out = self.block(b)
        self.unit.blocks -= 2
        self.unit.loops.pop()
        return out

    def _pieces(self, pieces: py.expr, target: py.expr, inner: Stmts, p: P) -> Stmts:
        piece = self.fresh("c")
        turn = py.For(target, load(piece, p), inner, [py.Continue(**p)], None, **p)
        return [py.For(store(piece, p), pieces, [turn, py.Break(**p)], [], None, **p)]

    def _own_function(self, s: ast.For | ast.While) -> bool:
        """Whether each turn needs variables of its own, or the nesting is too deep for Python."""
        return self.unit.blocks >= MAX_BLOCKS or _closes_over_turn(s, self.checked)

    def _turn_function(self, b: ast.Block, target: ast.Expr | None, item: str, p: P) -> Stmts:
        """Calls a function for each turn, so that closures made in it keep that turn's variables."""
        name, answer = self.fresh("turn"), self.fresh("a")
        outer, self.unit = self.unit, Unit(self.unit, "turn")
        self.unit.loops = ["turn"]
        self._own(b.span.start, self.checked.blocks)
        body: Stmts = []
        if target is not None:
            body.append(py.Assign([self._loop_target(target)], load(item + "p", p), **self.at(target.span)))
        body += self.block(b)
        body = [*self._declarations(), *body]
        self.unit = outer
        params = [item + "p"] if target is not None else []
        self.before.append(function(name, params, body, p))
        args = [load(item, p)] if target is not None else []
        out: Stmts = [put(answer, py.Call(load(name, p), args, [], **p), p)]
        done = py.Compare(load(answer, p), [py.IsNot()], [const(None, p)], **p)
        left: Stmts = [
            py.If(py.Compare(load(answer, p), [py.Is()], [const(True, p)], **p), [py.Break(**p)], [], **p)
        ]
        if self._in_function():
            value = py.Subscript(load(answer, p), const(0, p), LOAD, **p)
            left += self._leave(value, p)
        return [*out, py.If(done, left, [], **p)]

    def _in_function(self) -> bool:
        unit: Unit | None = self.unit
        while unit is not None:
            if unit.kind == "function":
                return True
            unit = unit.outer
        return False

    def _break(self, s: ast.Break) -> Stmts:
        p = self.at(s.span)
        if self.unit.loops[-1] == "turn":
            return [py.Return(const(True, p), **p)]
        return [py.Break(**p)]

    def _continue(self, s: ast.Continue) -> Stmts:
        p = self.at(s.span)
        if self.unit.loops[-1] == "turn":
            return [py.Return(const(None, p), **p)]
        return [py.Continue(**p)]

    # ---- functions -------------------------------------------------------------------------------
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

    # ---- the rest --------------------------------------------------------------------------------
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
        return helper("minimize", [load(name, p), over, *options], p)

    def _minimize(self, s: ast.Minimize) -> Stmts:
        return [do(self._minimize_value(s), self.at(s.span))]

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


def _unwrapped(e: ast.Expr) -> ast.Expr:
    while isinstance(e, ast.Paren):
        e = e.inner
    return e


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


def _closes_over_turn(s: ast.For | ast.While, checked: Checked) -> bool:
    """Whether a function made in the loop's body uses a variable that each turn has anew."""
    turn: set[int] = set()
    blocks: list[ast.Block] = [s.body]
    while blocks:
        b = blocks.pop()
        scope = checked.blocks.get(b.span.start)
        if scope is not None:
            turn.add(id(scope))
        for inner in b.body:
            if not isinstance(inner, (ast.For, ast.While)):
                blocks += [block for block, _ in blocks_of(inner)]
    stack: list[tuple[ast.Node, bool]] = [(s.body, False)]
    while stack:
        node, inside = stack.pop()
        if type(node) is ast.Name:
            slot = checked.names.get(node.span.start)
            if inside and isinstance(slot, Slot) and id(slot.block) in turn:
                return True
        elif type(node) not in (ast.Number, ast.NumberRow, ast.String):
            inside = inside or type(node) in (ast.FnDef, ast.Lambda)
            stack.extend((n, inside) for n in sub_nodes(node))
    return False


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


_AUGMENTED = {
    "+": "iadd", "-": "isub", "*": "imul", "/": "idiv", "//": "ifloordiv", "%": "imod", "**": "ipow",
    "@": "imatmul",
}  # fmt: skip
_BUSY = frozenset({
    ast.Call, ast.Pipe, ast.AugAssign, ast.Update, ast.Backward, ast.Minimize, ast.Import, ast.ZeroGrad,
})  # fmt: skip
_JOURNALED = frozenset({
    ast.Let, ast.Assign, ast.AugAssign, ast.Update, ast.Print, ast.ExprStmt, ast.Backward, ast.ZeroGrad,
    ast.Assert,
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


def execute(code: CodeType, names: dict[str, Any]) -> None:
    """Runs compiled statements in the namespace of their file."""
    exec(code, names)
