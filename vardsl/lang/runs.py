"""Runs of statements that a plan may take: code asks their region first, and tells it what it executed."""

from __future__ import annotations

import ast as py
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any
from zlib import crc32

from vardsl.lang.check import Checked
from vardsl.lang.code import LOAD, Stmts, const, do, helper, load, put, put_several, store, tuple_of
from vardsl.lang.loops import Loops
from vardsl.lang.pieces import RegionFacts
from vardsl.lang.regions import Run, Splitter
from vardsl.lang.scope import Slot, target_names
from vardsl.source import Span
from vardsl.syntax import ast

P = dict[str, Any]


class Runs(Loops):
    """Compiles runs of statements, and blocks that consist of them."""

    def __init__(self, checked: Checked, *, plan: bool) -> None:
        super().__init__(checked)
        self.plan = plan
        self.regions: list[RegionFacts] = []
        self.names_of: dict[int, str] = {}
        self.whole: dict[int, tuple[str, Run]] = {}  # by their start, the blocks that are one region
        self.splitter = Splitter(lambda n: self.python_name(n.id, n.span.start), self.is_builtin)

    def _runs(self, body: Sequence[ast.Stmt], *, nested: bool) -> Iterable[ast.Stmt | Run]:
        return self.splitter.split(body, nested=nested) if self.plan else body

    def _file_run(self, run: Run) -> Stmts:
        out: Stmts = []
        for s in run.statements:
            p = self.at(s.span)
            out.append(do(helper("tick", [], p), p))
        return [*out, *self._region(run)]

    @cached_property
    def digest(self) -> int:
        """What tells this text from others."""
        source = self.checked.source
        text = f"{source.name}\0{source.text}".encode(errors="replace")
        return crc32(text) << 64 | crc32(text[::-1]) << 32 | len(text)

    def _new_region(self, span: Span, reads: Iterable[str] = (), binds: Iterable[str] = ()) -> str:
        source = self.checked.source
        name = f".R{self.digest:x}.{len(self.regions)}"
        place = f"{source.name}:{source.position(span.start)[0]}"
        self.regions.append((name, place, tuple(reads), tuple(binds)))
        return name

    def region_of(self, span: Span) -> str | None:
        return self._new_region(span) if self.plan else None

    def _region(self, run: Run) -> Stmts:
        """The run with its region asked first; `if` the answer is None the statements are executed here."""
        p = self.at(run.span)
        name = self._new_region(run.span, [n.id for n in run.reads], [n.id for n in run.binds])
        self.names_of[id(run)] = name
        self.followed |= run.parts
        self.elements |= run.elements
        self.pins |= run.pins
        answer, found = self.fresh("t"), self.fresh("r")
        reads = tuple_of([self.expr(n) for n in run.reads], p)
        ask = py.Call(py.Attribute(load(name, p), "ask", LOAD, **p), [load(found, p)], [], **p)
        asked = self._if_bound(found, reads, p, put(answer, ask, p))
        take: Stmts = [put_several(self._stores(run.binds), load(answer, p), p)] if run.binds else []
        return [
            put(answer, const(None, p), p),
            py.If(_mode(name, py.Eq(), 1, p), [asked], [], **p),
            py.If(
                py.Compare(load(answer, p), [py.Is()], [const(None, p)], **p),
                self._executed(run, name, p),
                take or [py.Pass(**p)],
                **p,
            ),
        ]

    def _stores(self, names: Iterable[ast.Name]) -> list[py.expr]:
        return [store(self._bind(n.id, n.span.start), self.at(n.span)) for n in names]

    def _if_bound(self, name: str, value: py.expr, p: P, *then: py.stmt) -> py.stmt:
        """Takes the value of names; None where one of them is not bound, and otherwise goes on."""
        missing = py.ExceptHandler(load(".unbound", p), None, [put(name, const(None, p), p)], **p)
        return py.Try([put(name, value, p)], [missing], list(then), [], **p)

    def _executed(self, run: Run, name: str, p: P) -> Stmts:
        """The statements of a run, which its region may be recording."""
        followed = tuple([k for k in run.followed if self._at_hand(run.reads[k])])
        numbers = [run.reads[k] for k in followed]
        bound = {n.id for n in run.binds}
        body: Stmts = []
        for s in run.statements if run.inner is None else run.inner:
            body += self._region(s) if isinstance(s, Run) else self.statement(s)
        kept = [n for n in numbers if n.id not in bound]
        held = self.fresh("k")
        if numbers:
            tracing = py.Attribute(load(name, p), "tracing", LOAD, **p)
            given = py.Call(
                py.Attribute(load(name, p), "numbers", LOAD, **p), [const(followed, p)], [], **p
            )
            hand_in: Stmts = [
                put(held, tuple_of([self.expr(n) for n in kept], p), p),
                put_several(self._stores(numbers), given, p),
            ]
            body = [put(held, const(None, p), p), py.If(tracing, hand_in, [], **p), *body]
        body.append(py.If(_mode(name, py.NotEq(), 2, p), self._ended(run, name, p), [], **p))
        if kept:
            taken = py.Compare(load(held, p), [py.IsNot()], [const(None, p)], **p)
            body.append(py.If(taken, [put_several(self._stores(kept), load(held, p), p)], [], **p))
        return body

    def _at_hand(self, n: ast.Name) -> bool:
        """Whether a variable may hold another number for a while: a function leaves those outside alone."""
        slot = self.checked.names.get(n.span.start)
        if isinstance(slot, Slot):
            return self.owners.get(id(slot.block)) is self.unit
        return not self._in_function()

    def _ended(self, run: Run, name: str, p: P) -> Stmts:
        """Tells the region that the run was executed, and takes back bare numbers for followed ones."""
        bound = tuple_of([load(self._bind(n.id, n.span.start), self.at(n.span)) for n in run.binds], p)
        args: list[py.expr] = [bound]
        before: Stmts = []
        if not run.sure:
            found = self.fresh("e")
            before, args = [self._if_bound(found, bound, p)], [load(found, p)]
        if run.changed:
            first = {n.id: k for k, n in enumerate(run.reads)}
            args += [
                tuple_of([self.expr(n) for n in run.changed], p),
                const(tuple(first[n.id] for n in run.changed), p),
            ]
        end = py.Call(py.Attribute(load(name, p), "end", LOAD, **p), args, [], **p)
        if not run.binds or not (run.followed or run.elements):
            return [*before, do(end, p)]
        answer = self.fresh("b")
        back: Stmts = [put_several(self._stores(run.binds), load(answer, p), p)]
        return [*before, put(answer, end, p), py.If(load(answer, p), back, [], **p)]

    def block(self, b: ast.Block) -> Stmts:
        """The statements of a nested block; never empty."""
        self._own(b.span.start, self.checked.blocks)
        out: Stmts = []
        runs = list(self._runs(b.body, nested=True))
        for s in runs:
            out += self._region(s) if isinstance(s, Run) else self.statement(s)
        if len(runs) == 1 and isinstance(runs[0], Run) and not runs[0].carries:
            self.whole[b.span.start] = (self.names_of[id(runs[0])], runs[0])
        return out or [py.Pass(**self.at(b.span))]

    def _ahead(self, s: ast.For | ast.While, piece: str) -> Stmts:
        """Where one run is the whole body of a loop, its region may take all turns but the last at once."""
        if not self.plan:
            return []
        if isinstance(s, ast.While) or s.body.span.start not in self.whole:
            return self._scalars(s, piece)
        name, run = self.whole.get(s.body.span.start, ("", None))
        if run is None or run.nested or {n.id for n in target_names(s.target)} & {n.id for n in run.reads}:
            return []
        p = self.at(s.span)
        reads = tuple_of([self.expr(n) for n in run.reads], p)
        found = self.fresh("r")
        ahead = py.Attribute(load(name, p), "ahead", LOAD, **p)
        ask = helper("ahead", [ahead, load(piece, p), load(found, p)], p)
        planned = py.Attribute(load(name, p), "plans", LOAD, **p)
        return [py.If(planned, [self._if_bound(found, reads, p, put(piece, ask, p))], [], **p)]


def _mode(name: str, op: py.cmpop, value: int, p: P) -> py.expr:
    return py.Compare(py.Attribute(load(name, p), "mode", LOAD, **p), [op], [const(value, p)], **p)
