"""Loops, which go through their range in pieces: between two pieces interrupts and limits are looked at.

A turn whose variables a function keeps runs in a function of its own, and so does a loop nested deeper than
Python's own blocks can be.
"""

from __future__ import annotations

import ast as py
from collections.abc import Sequence
from typing import Any

from vardsl.lang.check import Checked
from vardsl.lang.code import LOAD, STORE, Stmts, const, function, helper, load, put, store
from vardsl.lang.functions import Functions
from vardsl.lang.recurrences import bound_names, recurrence
from vardsl.lang.scope import Slot, blocks_of, sub_nodes
from vardsl.lang.units import Unit, unwrapped
from vardsl.syntax import ast

P = dict[str, Any]
# Python allows 20 nested blocks; deeper loops get a function of their own.
MAX_BLOCKS = 12
# Shorter pieces of a loop over single numbers are run as they are written.
MIN_TURNS = 31


class Loops(Functions):
    """Compiles `for`, `while`, `break` and `continue`."""

    def _for(self, s: ast.For) -> Stmts:
        p, q = self.at(s.span), self.at(s.iterable.span)
        first, iterable = self._header(s.iterable, truth=False)
        pieces = helper("turns", [iterable], q)
        if self._own_function(s):
            item = self.fresh("i")
            inner: Stmts = self._turn_function(s.body, s.target, item, p)
            target: py.expr = store(item, p)
        else:
            self._own(s.body.span.start, self.checked.blocks)
            target = self._loop_target(s.target)
            inner = self._loop_body(s.body)
        piece = self.fresh("c")
        return [*first, *self._pieces(pieces, piece, target, inner, p, self._ahead(s, piece))]

    def _ahead(self, s: ast.For | ast.While, piece: str) -> Stmts:
        """What comes before the turns of a piece."""
        raise NotImplementedError

    def _scalars(self, s: ast.For | ast.While, piece: str) -> Stmts:
        """Where the loop may be a recurrence of single numbers, its piece may be run but for the end."""
        loop = None if self._own_function(s) else recurrence(s, self._name_here, self.is_builtin, self.at)
        if loop is None:
            return []
        p = self.at(s.span)
        bound = bound_names(loop[2])
        answer = self.fresh("t")
        here = py.Call(load(".locals", p), [], [], **p)
        ask = helper("scalars", [const(loop, p), load(piece, p), here, load(".names", p)], p)
        targets: list[py.expr] = [store(piece, p)]
        targets.append(py.Tuple([store(n, p) for n in bound], STORE, **p))
        take: Stmts = [py.Assign([py.Tuple(targets, STORE, **p)], load(answer, p), **p)]
        found = py.Compare(load(answer, p), [py.IsNot()], [const(None, p)], **p)
        long = py.Compare(helper("len", [load(piece, p)], p), [py.Gt()], [const(MIN_TURNS, p)], **p)
        return [py.If(long, [put(answer, ask, p), py.If(found, take, [], **p)], [], **p)]

    def _name_here(self, e: ast.Name) -> str:
        return self.python_name(e.id, e.span.start)

    def _loop_target(self, t: ast.Expr) -> py.expr:
        t = unwrapped(t)
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
            first, test = self._header(s.condition, truth=True)
            q = self.at(s.condition.span)
            return [*first, py.If(py.UnaryOp(py.Not(), test, **q), stop, [], **q)]

        test = self._with_before(condition)
        inner = self._turn_function(s.body, None, "", p) if own else self._loop_body(s.body)
        turns, piece = helper("forever", [], p), self.fresh("c")
        target = store(self.fresh("w"), p)
        return self._pieces(turns, piece, target, [*test, *inner], p, self._ahead(s, piece))

    def _loop_body(self, b: ast.Block) -> Stmts:
        self.unit.loops.append("here")
        self.unit.blocks += 2
        out = self.block(b)
        self.unit.blocks -= 2
        self.unit.loops.pop()
        return out

    def _pieces(
        self, pieces: py.expr, piece: str, target: py.expr, inner: Stmts, p: P, ahead: Sequence[py.stmt] = ()
    ) -> Stmts:
        turn = py.For(target, load(piece, p), inner, [py.Continue(**p)], None, **p)
        return [py.For(store(piece, p), pieces, [*ahead, turn, py.Break(**p)], [], None, **p)]

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
