"""Which runs of statements may be handed to a plan when they repeat, and what they read and bind.

A run is a straight line of simple statements over tensors: bindings of names to expressions of operations,
`backward`, `zero_grad`, `update` and `no_grad` blocks of these. What cannot be told from the text (a number
that is looked at, a tensor of unknown origin) the recording finds out. `RegionLike` is what the program asks
of a planner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from vardsl.lang import builtins
from vardsl.lang.effects import lasting, needs_journal
from vardsl.lang.scope import target_names
from vardsl.source import Span
from vardsl.syntax import ast

IsBuiltin = Callable[[ast.Name], bool]

# Operations whose results are numbers that the text goes on with, or that only a run by hand can do.
_LOOKS = frozenset(
    [
        "item",
        "tolist",
        "numpy",
        "equal",
        "allclose",
        "is_floating_point",
        "backward",
        "register_hook",
        "retain_grad",
        "requires_grad_",
        "print",
        "unique",
        "unique_consecutive",
        "nonzero",
        "argwhere",
        "masked_select",
        "bincount",
        "tensor",
        "load",
        "save",
    ]
)
_TRANSFORMS = frozenset(["grad", "value_and_grad", "jacobian", "hessian", "vjp", "jvp", "hvp"])
_MEMBERS = frozenset(["grad", "data", "T", "mT", "shape", "dtype", "ndim"])


class RegionLike(Protocol):
    """One run in the running program.

    mode      0 before its first passing, 1 while it may be planned, 2 when it is left alone
    ask       with the values read: the values bound, or None where the statements are to be executed
    end       with the values bound, after the statements were executed
    ahead     runs turns of a loop whose body the run is, where another follows: with the values read, how
              many at most, and what tells it to stop; how many it has run
    """

    mode: int

    @property
    def ask(self) -> Callable[[Sequence[Any]], tuple[Any, ...] | None]: ...

    def end(self, results: Sequence[Any]) -> None: ...

    def ahead(self, reads: Sequence[Any], turns: int, stopping: Callable[[], bool]) -> int: ...


class Run:
    """A run with the names that it reads before it binds them, and those that it binds, each at its first
    place."""

    __slots__ = ("binds", "reads", "statements")

    def __init__(
        self, statements: Sequence[ast.Stmt], reads: Iterable[ast.Name], binds: Iterable[ast.Name]
    ) -> None:
        self.statements = tuple(statements)
        self.reads = tuple(reads)
        self.binds = tuple(binds)

    @property
    def carries(self) -> bool:
        """Whether a turn reads what the turn before it bound."""
        bound = {n.id for n in self.binds}
        return any(n.id in bound for n in self.reads)

    @property
    def span(self) -> Span:
        return self.statements[0].span.to(self.statements[-1].span)


def split(body: Sequence[ast.Stmt], is_builtin: IsBuiltin) -> Iterator[Run | ast.Stmt]:
    """The statements of a block in order, runs that may be planned as one."""
    run: list[ast.Stmt] = []
    for s in body:
        if _plannable(s, is_builtin):
            run.append(s)
            continue
        yield from _closed(run, is_builtin)
        run = []
        yield s
    yield from _closed(run, is_builtin)


def _closed(run: list[ast.Stmt], is_builtin: IsBuiltin) -> Iterator[Run | ast.Stmt]:
    if not run:
        return
    if not any(_worth(s, is_builtin) for s in run):
        yield from run
        return
    names = _Names(is_builtin)
    for s in run:
        names.statement(s)
    yield Run(run, names.reads.values(), names.binds.values())


def _plannable(s: ast.Stmt, is_builtin: IsBuiltin) -> bool:
    if isinstance(s, ast.NoGrad):
        return all(
            isinstance(k, (ast.AugAssign, ast.Update)) and _updates(k, is_builtin) for k in s.body.body
        )
    if isinstance(s, ast.Update):
        return _updates(s, is_builtin)
    if needs_journal(s, is_builtin):
        return False
    if isinstance(s, (ast.Let, ast.Assign)):
        return isinstance(s.target, ast.Name) and _pure(s.value, is_builtin)
    if isinstance(s, ast.Backward):
        plain = not (s.gradients or s.retain or s.create or s.step)
        return plain and all(isinstance(r, ast.Name) or _pure(r, is_builtin) for r in s.roots)
    if isinstance(s, ast.ZeroGrad):
        return bool(s.targets) and all(isinstance(t, ast.Name) for t in s.targets)
    return False


def _updates(s: ast.AugAssign | ast.Update, is_builtin: IsBuiltin) -> bool:
    return (
        isinstance(s.target, ast.Name)
        and not is_builtin(s.target)
        and s.op in ("+", "-", "*", "/")
        and not needs_journal(s, is_builtin)
        and _pure(s.value, is_builtin)
    )


def _worth(s: ast.Stmt, is_builtin: IsBuiltin) -> bool:
    """Whether a statement works on tensors, as far as the text shows."""
    if isinstance(s, ast.Backward):
        return True
    if not isinstance(s, (ast.Let, ast.Assign)):
        return False
    stack: list[ast.Node] = [s.value]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Call) or (isinstance(node, ast.Chain) and "@" in node.ops):
            return True
        stack.extend(_parts(node))
    return False


def _pure(e: ast.Expr, is_builtin: IsBuiltin) -> bool:
    """Whether an expression only computes, with operations that a recording can follow."""
    stack: list[ast.Node] = [e]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Call):
            if lasting(node, is_builtin) and not _transform(node, is_builtin):
                return False
            f = node.function
            name = f.name if isinstance(f, ast.Member) else f.id if isinstance(f, ast.Name) else ""
            known = isinstance(f, ast.Member) or (isinstance(f, ast.Name) and is_builtin(f))
            if (
                name in _LOOKS
                or not known
                or not (builtins.has_operation(name) or _transform(node, is_builtin))
            ):
                return False
            if isinstance(f, ast.Member):
                stack.append(f.value)
            stack.extend(a.value for a in node.args)
        elif isinstance(node, ast.Member):
            if node.name not in _MEMBERS:
                return False
            stack.append(node.value)
        elif isinstance(node, _SIMPLE):
            stack.extend(_parts(node))
        else:
            return False
    return True


def _transform(call: ast.Call, is_builtin: IsBuiltin) -> bool:
    f = call.function
    return isinstance(f, ast.Name) and is_builtin(f) and f.id in _TRANSFORMS


_SIMPLE = (
    ast.Name, ast.Number, ast.Bool, ast.NoneLit, ast.Paren, ast.Chain, ast.Unary, ast.Power, ast.TupleExpr,
    ast.Index,
    ast.Slice, ast.Ellipsis_, ast.String,
)  # fmt: skip


def _parts(node: ast.Node) -> list[ast.Node]:
    if isinstance(node, (ast.Paren,)):
        return [node.inner]
    if isinstance(node, ast.Chain):
        return [node.first, *node.rest]
    if isinstance(node, ast.Unary):
        return [node.value]
    if isinstance(node, ast.Power):
        return [node.base, node.exponent]
    if isinstance(node, ast.TupleExpr):
        return list(node.items)
    if isinstance(node, ast.Index):
        return [node.value, *node.items]
    if isinstance(node, ast.Slice):
        return [b for b in (node.start, node.stop, node.step) if b is not None]
    if isinstance(node, ast.Call):
        of = [node.function.value] if isinstance(node.function, ast.Member) else []
        return [*of, *[a.value for a in node.args]]
    if isinstance(node, ast.Member):
        return [node.value]
    return []


class _Names:
    """Collects what a run reads and binds."""

    def __init__(self, is_builtin: IsBuiltin) -> None:
        self.is_builtin = is_builtin
        self.reads: dict[str, ast.Name] = {}
        self.binds: dict[str, ast.Name] = {}

    def statement(self, s: ast.Stmt) -> None:
        if isinstance(s, (ast.Let, ast.Assign)):
            self._expression(s.value)
            for n in target_names(s.target):
                self.binds.setdefault(n.id, n)
        elif isinstance(s, (ast.AugAssign, ast.Update)):
            self._expression(s.target)
            self._expression(s.value)
        elif isinstance(s, ast.NoGrad):
            for k in s.body.body:
                self.statement(k)
        elif isinstance(s, ast.Backward):
            for r in s.roots:
                self._expression(r)
        elif isinstance(s, ast.ZeroGrad):
            for t in s.targets:
                self._expression(t)

    def _expression(self, e: ast.Expr) -> None:
        stack: list[ast.Node] = [e]
        while stack:
            node = stack.pop()
            if isinstance(node, ast.Name):
                if node.id not in self.binds and not self.is_builtin(node):
                    self.reads.setdefault(node.id, node)
            else:
                stack.extend(_parts(node))
