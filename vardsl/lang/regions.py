"""Which runs of statements may be handed to a plan when they repeat, and what they read and bind.

A run is a line of statements that a recording may be able to follow (`plannable.py`). What cannot be told
from the text (a number that is looked at, a tensor of unknown origin) the recording finds out. Where more
stands in a run than straight statements, its straight parts are runs of their own, for when the whole cannot
be planned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vardsl.lang.flow import Flow, IsBuiltin, Key
from vardsl.lang.plannable import calls_operations, loose, parts, pure, sure, works_on_tensors
from vardsl.lang.scope import sub_nodes, target_names
from vardsl.source import Span
from vardsl.syntax import ast


class Run:
    """A run of statements.

    reads     the names that it reads before it binds them, each at its first place
    binds     the names that it binds
    changed   names among `reads` that it changes in place, outside the graph
    followed  which of `reads` may be numbers that a recording follows
    sure      whether each name in `binds` is bound on every way through it
    inner     None, or what to execute in its place: statements and smaller runs
    """

    __slots__ = (
        "binds", "changed", "elements", "followed", "inner", "nested", "parts", "pins", "reads", "statements",
        "sure",
    )  # fmt: skip

    def __init__(
        self,
        statements: Sequence[ast.Stmt],
        names: _Names,
        flow: Flow,
        inner: tuple[Run | ast.Stmt, ...] | None,
        unseen: frozenset[str],
    ) -> None:
        self.statements = tuple(statements)
        self.reads = tuple(names.reads.values())
        self.binds = tuple(n for key, n in names.binds.items() if key not in unseen)
        self.changed = tuple(names.changed.values())
        self.followed = tuple(k for k, key in enumerate(names.reads) if key not in flow.lost)
        self.sure = names.sure >= set(names.binds)
        self.nested = names.nested
        self.inner = inner
        # where followed numbers stand, or may not: see `Flow`
        self.parts, self.elements, self.pins = flow.parts, flow.elements, flow.pins

    @property
    def carries(self) -> bool:
        """Whether a turn reads what the turn before it bound."""
        bound = {n.id for n in self.binds}
        return any(n.id in bound for n in self.reads)

    @property
    def span(self) -> Span:
        return self.statements[0].span.to(self.statements[-1].span)


class Splitter:
    """Finds the runs among statements. `key` names a variable, whatever the block."""

    def __init__(self, key: Key, is_builtin: IsBuiltin) -> None:
        self.key = key
        self.is_builtin = is_builtin

    def split(self, body: Sequence[ast.Stmt], *, nested: bool) -> Iterator[Run | ast.Stmt]:
        """The statements of a block in order, runs that may be planned as one. `nested`: not those of the
        file itself, whose values may be shown."""
        run: list[ast.Stmt] = []
        for k, s in enumerate(body):
            if loose(s, self.is_builtin, nested=nested):
                run.append(s)
                continue
            yield from self._closed(run, body[k:] if nested else None)
            run = []
            yield s
        yield from self._closed(run, () if nested else None)

    def shown(self, s: ast.Print | ast.ExprStmt) -> Run | None:
        """A statement of the file that shows what it computes with operations alone, as a run; else None."""
        values = s.values if isinstance(s, ast.Print) else (s.value,)
        if not all(pure(e, self.is_builtin) for e in values):
            return None
        if not any(calls_operations(e) for e in values):
            return None
        return self._run([s])

    def _closed(self, run: list[ast.Stmt], after: Sequence[ast.Stmt] | None) -> Iterator[Run | ast.Stmt]:
        """A run that is over, if it is worth one; `after` are the statements that follow it in its block."""
        if not any(works_on_tensors(s, self.is_builtin) for s in run):
            yield from run
            return
        inner = None if all(sure(s, self.is_builtin) for s in run) else tuple(self._straight(run))
        yield self._run(run, inner, self._unseen(run, after) if after is not None else frozenset())

    def _unseen(self, run: Sequence[ast.Stmt], after: Sequence[ast.Stmt]) -> frozenset[str]:
        """The variables of a block that a run makes with `let` and that nothing after it names."""
        own = {self.key(n) for s in run if isinstance(s, ast.Let) for n in target_names(s.target)}
        stack: list[ast.Node] = list(after)
        while stack and own:
            node = stack.pop()
            if isinstance(node, ast.Name):
                if not self.is_builtin(node):
                    own.discard(self.key(node))
            elif not isinstance(node, (ast.Number, ast.NumberRow, ast.String)):
                stack.extend(sub_nodes(node))
        return frozenset(own)

    def _straight(self, body: Sequence[ast.Stmt]) -> Iterator[Run | ast.Stmt]:
        """The smaller runs of straight statements."""
        run: list[ast.Stmt] = []
        for s in (*body, None):
            if s is not None and sure(s, self.is_builtin):
                run.append(s)
                continue
            if any(works_on_tensors(k, self.is_builtin) for k in run):
                yield self._run(run)
            else:
                yield from run
            run = []
            if s is not None:
                yield s

    def _run(
        self,
        statements: list[ast.Stmt],
        inner: tuple[Run | ast.Stmt, ...] | None = None,
        unseen: frozenset[str] = frozenset(),
    ) -> Run:
        names = _Names(self.key, self.is_builtin)
        for s in statements:
            names.statement(s)
        # what is bound on some ways only is on the others what it was before
        for key, n in names.binds.items():
            if key not in names.sure:
                names.reads.setdefault(key, n)
        flow = Flow(statements, self.key, self.is_builtin, names.reads)
        return Run(statements, names, flow, inner, unseen)


class _Names:
    """Collects what a run reads, binds and changes in place.

    sure    what is bound by now on every way; `own` is bound in inner blocks and not seen outside them
    """

    def __init__(self, key: Key, is_builtin: IsBuiltin) -> None:
        self.key = key
        self.is_builtin = is_builtin
        self.reads: dict[str, ast.Name] = {}
        self.binds: dict[str, ast.Name] = {}
        self.changed: dict[str, ast.Name] = {}
        self.sure: set[str] = set()
        self.own: set[str] = set()
        self.depth = 0
        self.nested = False
        self.outside = False  # in a `no_grad` block

    def statement(self, s: ast.Stmt) -> None:
        if isinstance(s, (ast.Let, ast.Assign)):
            self._expression(s.value)
            self._target(s.target, own=isinstance(s, ast.Let) and self.depth > 0)
        elif isinstance(s, (ast.AugAssign, ast.Update)):
            self._expression(s.target)
            self._expression(s.value)
            if isinstance(s.target, ast.Name):
                self._augmented(s.target, self.outside or isinstance(s, ast.Update))
        elif isinstance(s, ast.NoGrad):
            before, self.outside = self.outside, True
            self._inner(s.body.body)
            self.outside = before
        elif isinstance(s, ast.Backward):
            for r in s.roots:
                self._expression(r)
        elif isinstance(s, ast.ZeroGrad):
            for t in s.targets:
                self._expression(t)
        elif isinstance(s, ast.ExprStmt):
            self._expression(s.value)
        elif isinstance(s, ast.Print):
            for e in s.values:
                self._expression(e)
        elif isinstance(s, ast.For):
            self._expression(s.iterable)
            self._block(s.body, s.target)
        elif isinstance(s, ast.While):
            self._expression(s.condition)
            self._block(s.body)
        elif isinstance(s, ast.If):
            self._branch(s)

    def _branch(self, s: ast.If) -> None:
        self._expression(s.condition)
        self._block(s.body)
        if isinstance(s.otherwise, ast.Block):
            self._block(s.otherwise)
        elif s.otherwise is not None:
            before = set(self.sure)
            self._branch(s.otherwise)
            self.sure = before

    def _block(self, b: ast.Block, target: ast.Expr | None = None) -> None:
        """A block that may be passed over: what it binds is not sure after it."""
        self.nested = True
        before = set(self.sure)
        if target is not None:
            self._target(target, own=True)
        self._inner(b.body)
        self.sure = before

    def _inner(self, body: Sequence[ast.Stmt]) -> None:
        self.depth += 1
        for s in body:
            self.statement(s)
        self.depth -= 1

    def _target(self, t: ast.Expr, *, own: bool) -> None:
        if isinstance(t, ast.Member):
            self._expression(t.value)
            return
        for n in target_names(t):
            key = self.key(n)
            self.sure.add(key)
            if own:
                self.own.add(key)
            if key not in self.own:
                self.binds.setdefault(key, n)

    def _augmented(self, n: ast.Name, in_place: bool) -> None:
        key = self.key(n)
        if not in_place:
            self._target(n, own=False)
        elif key in self.reads:
            self.changed.setdefault(key, n)

    def _expression(self, e: ast.Node, given: frozenset[str] = frozenset()) -> None:
        """The names in an expression but those `given`, which are parameters of functions around it."""
        stack: list[ast.Node] = [e]
        while stack:
            node = stack.pop()
            if isinstance(node, ast.Name):
                if node.id in given or self.is_builtin(node):
                    continue
                key = self.key(node)
                if key not in self.sure:
                    self.reads.setdefault(key, node)
            elif isinstance(node, ast.Lambda):
                for p in node.params:
                    if p.default is not None:
                        self._expression(p.default, given)
                self._expression(node.body, given | {p.name for p in node.params})
            else:
                stack.extend(reversed(parts(node)))
