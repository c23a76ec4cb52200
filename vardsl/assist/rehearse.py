"""Goes through a program without its effects, to find the errors that only its shapes and dtypes decide.

Statements run in a session of their own, one after another, with stand-ins: tensors of the right shape and
dtype, whatever their elements. What cannot be told that way (`assist/known.py`) is skipped, and what it binds
is unknown from there on. A loop is gone through once as it would be, and then again without a word until
nothing changes any more; a branch that may not be taken is gone through without a word. So what is found
would happen; not all that would happen is found.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from vardsl.assist.known import EXACT, LIKENESS, UNKNOWN, Judge
from vardsl.assist.parts import (
    augmented,
    bound,
    bound_by_functions,
    called_name,
    calls,
    has_else,
    index_items,
    members_written,
    nodes,
    reshapes,
    unforeseen,
    used_by_functions,
    written,
)
from vardsl.engine.backward import NOT_SCALAR
from vardsl.engine.value import Value
from vardsl.errors import Error, GradError, ScriptIndexError, ScriptTypeError, ShapeError
from vardsl.lang import builtins
from vardsl.lang.check import raise_errors
from vardsl.lang.code import global_name
from vardsl.lang.permissions import Permissions
from vardsl.lang.scope import assigned_in, blocks_of, declared_in, target_names
from vardsl.session import Session
from vardsl.session import check as session_check
from vardsl.source import Source
from vardsl.syntax import ast

SECONDS = 2.0  # after which what is left is skipped
MEMORY = 1 << 25  # bytes that a stand-in may take
ROUNDS = 4  # of a loop, until nothing changes
MOST = 20  # errors that are told of


def rehearse(source: Source, program: ast.Program) -> list[Error]:
    """The errors that would happen, of a program that is right as far as its names tell, in order."""
    if unforeseen(program.body):
        return []
    found = _Rehearsal(source, program)
    with suppress(_Enough):
        found.body(program.body)
    return found.errors


# By name: how much is known of it, which function it is, and its stand-in.
Noted = dict[str, tuple[int | None, ast.FnDef | None, Any]]


class _Enough(Exception):
    """Nothing more can be said."""


class _Leave(Exception):
    """A `break` or `continue` that would happen."""

    def __init__(self, again: bool) -> None:
        self.again = again


class _Rehearsal:
    """
    known     how much is known of a name of the file (EXACT or LIKENESS)
    certain   whether what stands here would be reached. Where it is not, names are bound, and nothing else is
              done: no gradients, no changes in place
    grads     whether gradients are what they would be; `whole`: whether nothing has been skipped
    dtypes    whether new tensors have the dtype that they would have
    recording whether no `no_grad` is around
    reshapes  whether the program has what may give a tensor another shape in place
    """

    def __init__(self, source: Source, program: ast.Program) -> None:
        self.source = source
        self.session = Session(
            0, plan=False, limits={"max_memory": MEMORY, "max_time": SECONDS},
            permissions=Permissions(".", [], []), emit=lambda outcome: None,
        )  # fmt: skip
        self.until = time.monotonic() + SECONDS
        self.known: dict[str, int] = {}
        self.functions: dict[str, ast.FnDef] = {}
        self.reshapes = any(map(reshapes, nodes(program.body)))
        self.never = frozenset(bound_by_functions(program.body))
        names = frozenset(bound(program.body))
        self.judge = Judge(self.known, names, self.functions, self._value, lambda: self.grads)
        self.used = frozenset(used_by_functions(program.body))
        self.certain = self.grads = self.whole = self.dtypes = self.recording = True
        self.errors: list[Error] = []

    @property
    def certain(self) -> bool:
        return not self.judge.pure

    @certain.setter
    def certain(self, certain: bool) -> None:
        self.judge.pure = not certain

    # ---- names ---------------------------------------------------------------------------------------------
    def _value(self, name: str) -> Any:
        return self.session.space.names.get(global_name(name))

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            self.known.pop(name, None)
            self.functions.pop(name, None)

    def _note(self, name: str, known: int) -> None:
        """What is known of a name that has just been bound to something known."""
        self._forget([name])
        tensor = _holds_tensor(self._value(name))
        if name not in self.never and (tensor or known == EXACT):
            self.known[name] = LIKENESS if tensor else EXACT

    # ---- running -------------------------------------------------------------------------------------------
    def _run(self, statement: ast.Stmt) -> bool:
        """Runs a statement whose parts are known; whether it went well."""
        if time.monotonic() > self.until:
            raise _Enough
        self.session.ctx.grad_enabled = self.recording  # a run leaves it on
        try:
            self.session.run_statement(self.source, statement)
        except Error as error:
            if self.certain and self._would_happen(error, statement):
                self.errors.append(error)
                if len(self.errors) == MOST:
                    raise _Enough from None
            self.whole = False
            return False
        return True

    def _would_happen(self, error: Error, statement: ast.Stmt) -> bool:
        """Whether the error is one that shapes and dtypes decide."""
        if isinstance(error, ScriptIndexError):
            exact = all(map(self._is_exact, index_items(statement))) and not calls(statement)
            return exact or error.message.startswith("Dimension out of range")
        if isinstance(error, GradError):
            return error.message == NOT_SCALAR
        if isinstance(error, ScriptTypeError):
            return self.dtypes and (self.whole or "none" not in error.message.lower())
        return isinstance(error, ShapeError)

    def _is_exact(self, item: ast.Node) -> bool:
        return isinstance(item, (ast.Slice, ast.Ellipsis_, ast.NoneLit)) or self.judge.of(item) == EXACT

    def _look(self, e: ast.Expr) -> None:
        """Evaluates an expression for its errors."""
        if self.certain and self.judge.of(e):
            self._run(ast.ExprStmt(e.span, e))
        else:
            self._skip(e)

    def _skip(self, *parts: ast.Node) -> None:
        """Leaves something out, with all that it may do."""
        self.whole = False
        for n in nodes(parts):
            if isinstance(n, (ast.Backward, ast.ZeroGrad, ast.Minimize)) or [*members_written(n)]:
                self.grads = False
            if isinstance(n, ast.Import) and n.alias is None:
                raise _Enough
            if self.reshapes and reshapes(n):
                self._forget_tensors()
            name = called_name(n)
            if name is None:
                continue
            self.grads = False
            if name == "set_default_dtype":
                raise _Enough
            if self.reshapes and not builtins.has_operation(name):
                self._forget_tensors()

    def _forget_tensors(self) -> None:
        self._forget([m for m, known in self.known.items() if known == LIKENESS])

    # ---- statements ----------------------------------------------------------------------------------------
    def body(self, statements: Iterable[ast.Stmt]) -> None:
        for s in statements:
            rule = _STATEMENTS.get(type(s))
            if rule is None:
                self._skip(s)
            else:
                rule(self, s)

    def _let(self, s: ast.Let | ast.Assign) -> None:
        if isinstance(s, ast.Assign) and isinstance(s.target, (ast.Index, ast.Member)):
            self._change(s)
            return
        names = [n.id for n in target_names(s.target)]
        known = self.judge.of(s.value)
        plain = all(isinstance(n, (ast.Name, ast.TupleExpr, ast.Paren)) for n in nodes([s.target]))
        if known and plain and self._run(s):
            for name in names:
                self._note(name, known)
        else:
            if not known or not plain:
                self._skip(s)
                names += [n.id for n in nodes([s.target]) if isinstance(n, ast.Name)]
            self._forget(names)

    def _change(self, s: ast.Assign | ast.AugAssign | ast.Update) -> None:
        """`x += e`, `x[i] = e`: in place where it is a tensor."""
        target = s.target
        name = target.id if isinstance(target, ast.Name) else None
        tensor = name is not None and type(self._value(name)) is Value and name in self.known
        read = target.value if isinstance(target, ast.Member) and isinstance(s, ast.Assign) else target
        known = self.judge.least((s.value, read))
        if isinstance(target, ast.Member) and target.name != "grad":
            known = UNKNOWN
        if not known or not (self.certain or (known == EXACT and not tensor)):
            self._skip(s)
            if name is not None and not tensor:  # a tensor keeps its shape
                self._forget([name])
        elif self._run(s) and name is not None:
            self._note(name, known)

    def _shown(self, s: ast.Print | ast.Plot) -> None:
        for e in s.values:
            self._look(e)

    def _expression(self, s: ast.ExprStmt | ast.Graph | ast.Explain) -> None:
        self._look(s.value)

    def _assert(self, s: ast.Assert) -> None:
        self._look(s.condition)

    def _backward(self, s: ast.Backward) -> None:
        known = self.certain and not s.step and self.judge.least((*s.roots, *s.gradients))
        if not known or not self._run(s):
            self._skip(s)

    def _zero_grad(self, s: ast.ZeroGrad) -> None:
        known = self.certain and s.targets and self.judge.least(s.targets)
        if not known or not self._run(s):
            self._skip(s)

    def _minimize(self, s: ast.Minimize) -> None:
        if s.steps is None or (isinstance(s.steps, ast.Number) and s.steps.value > 0):
            self._look(s.objective)
        self._skip(s)

    def _fn_def(self, s: ast.FnDef) -> None:
        self._forget([s.name])
        if not any(p.default is not None for p in s.params) and self._run(s) and self.certain:
            self.functions[s.name] = s

    def _import(self, s: ast.Import) -> None:
        if s.alias is None:
            raise _Enough  # it may bind any name
        self.dtypes = False  # it may have another one for new tensors
        self._forget([s.alias])

    def _del(self, s: ast.Del) -> None:
        self._forget([n.id for n in s.names])

    def _leave(self, s: ast.Break | ast.Continue) -> None:
        if self.certain:
            raise _Leave(isinstance(s, ast.Continue))

    # ---- blocks --------------------------------------------------------------------------------------------
    def _noted(self, names: Iterable[str]) -> Noted:
        """What is known of names now."""
        return {n: (self.known.get(n), self.functions.get(n), self._value(n)) for n in names}

    def _put_back(self, noted: Noted) -> None:
        table = self.session.space.names
        for name, (known, function, value) in noted.items():
            self._forget([name])
            table.pop(global_name(name), None)
            if known is not None or function is not None:
                table[global_name(name)] = value
            if known is not None:
                self.known[name] = known
            if function is not None:
                self.functions[name] = function

    @contextmanager
    def _scope(self, block: ast.Block, names: Iterable[str] = ()) -> Iterator[None]:
        """What the block binds for itself is as before when it is over."""
        own = {*declared_in(block.body), *names}
        before = self._noted(own)
        hides = bool(own & self.used)  # from functions, which know of no block that they are called in
        self.judge.shadowed += hides
        try:
            yield
        finally:
            self.judge.shadowed -= hides
            self._put_back(before)
            # what is assigned before it is declared is the name of the surroundings
            self._forget(own.intersection(written(block.body)))

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        before, self.certain = self.certain, False
        try:
            yield
        finally:
            self.certain = before

    def _block(self, block: ast.Block) -> None:
        with self._scope(block):
            self.body(block.body)

    def _no_grad(self, s: ast.NoGrad) -> None:
        before, self.recording = self.recording, False
        try:
            self._block(s.body)
        finally:
            self.recording = before

    def _if(self, s: ast.If) -> None:
        if self.judge.of(s.condition) == EXACT:
            taken = self._truth(s.condition)
            if taken is not None:
                branch = s.body if taken else s.otherwise
                if isinstance(branch, ast.If):
                    self._if(branch)
                elif branch is not None:
                    self._block(branch)
                return
        else:
            self._look(s.condition)
        self._either(s)

    def _either(self, s: ast.If) -> None:
        """Goes through all branches without a word; what is the same after each of them stays known."""
        names = sorted({*bound([s])})
        before = self._noted(names)
        ends = []
        for branch in (*[b for b, _ in blocks_of(s)], None):
            self._put_back(before)
            if branch is not None:
                with self._quietly():
                    self._block(branch)
            ends.append(self._noted(names))
            if branch is None and has_else(s):
                ends.pop()
        self._put_back(ends[0])
        alike = [{n: (known, f, _likeness(v)) for n, (known, f, v) in end.items()} for end in ends]
        self._forget([n for n in names if any(end[n] != alike[0][n] for end in alike)])
        if any(isinstance(n, (ast.Break, ast.Continue, ast.Return)) for n in nodes([s])):
            self.certain = False

    def _truth(self, condition: ast.Expr) -> bool | None:
        """The truth of a condition that is known."""
        try:
            return bool(self.session.run_expression(self.source, condition))
        except Error:
            return None

    def _maybe(self, s: ast.Stmt) -> None:
        """What may happen or not: what it binds is unknown, and what comes after it may not come."""
        self._skip(*[b for b, _ in blocks_of(s)])
        self._forget(bound([s]))
        if any(isinstance(n, (ast.Break, ast.Continue, ast.Return)) for n in nodes([s])):
            self.certain = False

    def _while(self, s: ast.While) -> None:
        self._look(s.condition)
        self._maybe(s)

    # ---- loops ---------------------------------------------------------------------------------------------
    def _for(self, s: ast.For) -> None:
        before = self.certain
        changed = sorted({*assigned_in(s.body.body, frozenset(n.id for n in target_names(s.target)))})
        changed += sorted({*augmented(s.body.body)})
        with self._scope(s.body, [n.id for n in target_names(s.target)]):
            entered, alike = self._enter(s)
            if entered is False:
                return
            with self._quietly() if entered is None else nullcontext():
                left = self._turn(s)
            if not alike:
                self._forget([n.id for n in target_names(s.target)])
            self._settle(s, changed, left)
        self.certain = before
        if entered is None:
            self._forget(changed)
        if any(isinstance(n, (ast.Break, ast.Continue, ast.Return)) for n in nodes([s.body])):
            self._forget(changed)

    def _enter(self, s: ast.For) -> tuple[bool | None, bool]:
        """Binds what the first turn has; whether there is one, None where that is unknown, and whether the
        turns' elements are all alike."""
        known = self.judge.of(s.iterable)
        names = [n.id for n in target_names(s.target)]
        self._forget(names)
        written_in = any((called_name(n) or "").endswith("_") for n in nodes([s.iterable]))
        if not known or written_in:
            self._skip(s.iterable)
            return None, True
        try:
            value = self.session.run_expression(self.source, s.iterable)
            if len(value) == 0:
                return False, True
        except (Error, TypeError):
            return None, True
        alike = not isinstance(value, tuple) or len(set(map(repr, map(_likeness, value)))) == 1
        zero = ast.Number(s.iterable.span, 0, "0")
        first = ast.Index(s.iterable.span, s.iterable, (zero,))
        if self._run(ast.Let(s.target.span, s.target, first)):
            for name in names:
                self._note(name, known)
        return True, alike

    def _turn(self, s: ast.For) -> bool:
        """One turn; whether it leaves the loop."""
        certain = self.certain
        try:
            self.body(s.body.body)
        except _Leave as leave:
            return not leave.again
        finally:
            self.certain = certain
        return False

    def _settle(self, s: ast.For, changed: list[str], left: bool) -> None:
        """More turns, whose numbers are unknown, until shapes stay as they are."""
        if left:
            return
        names = [*changed, *(n.id for n in target_names(s.target))]
        for _ in range(ROUNDS):
            self._forget_numbers(names)
            before = {n: self._likeness(n) for n in changed}
            with self._quietly():
                self._turn(s)
            self._forget_numbers(names)
            other = [n for n in changed if self._likeness(n) != before[n]]
            self._forget(other)
            if not other:
                return
        self._forget(changed)

    def _forget_numbers(self, names: Iterable[str]) -> None:
        self._forget([n for n in names if self.known.get(n) == EXACT])

    def _likeness(self, name: str) -> Any:
        return _likeness(self._value(name)) if name in self.known else None


def _likeness(v: Any) -> Any:
    if type(v) is Value:
        return v.array.shape, v.array.dtype, v.requires_grad
    return tuple(map(_likeness, v)) if isinstance(v, tuple) else v


def _holds_tensor(v: Any) -> bool:
    return type(v) is Value or (isinstance(v, tuple) and any(map(_holds_tensor, v)))


_STATEMENTS: Mapping[type, Any] = {
    ast.Let: _Rehearsal._let,
    ast.Assign: _Rehearsal._let,
    ast.AugAssign: _Rehearsal._change,
    ast.Update: _Rehearsal._change,
    ast.Print: _Rehearsal._shown,
    ast.Plot: _Rehearsal._shown,
    ast.ExprStmt: _Rehearsal._expression,
    ast.Graph: _Rehearsal._expression,
    ast.Explain: _Rehearsal._expression,
    ast.Assert: _Rehearsal._assert,
    ast.Backward: _Rehearsal._backward,
    ast.ZeroGrad: _Rehearsal._zero_grad,
    ast.Minimize: _Rehearsal._minimize,
    ast.FnDef: _Rehearsal._fn_def,
    ast.Import: _Rehearsal._import,
    ast.Del: _Rehearsal._del,
    ast.Break: _Rehearsal._leave,
    ast.Continue: _Rehearsal._leave,
    ast.NoGrad: _Rehearsal._no_grad,
    ast.If: _Rehearsal._if,
    ast.While: _Rehearsal._while,
    ast.For: _Rehearsal._for,
}


def check(source: Source) -> None:
    """Raises what is wrong with a program that can be known before it runs, its shapes among it."""
    program = session_check(source)
    raise_errors(rehearse(source, program))
