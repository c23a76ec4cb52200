"""Where the numbers of a run go, as far as its text shows.

A number that a run reads may be followed by a recording if all that the text does with it, and with what
is computed from it, is arithmetic, comparing, indexing and binding. One that is handed to a function or
stands in a tuple may not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from vardsl.lang.plannable import parts
from vardsl.lang.scope import target_names
from vardsl.source import Span
from vardsl.syntax import ast

Key = Callable[[ast.Name], str]
IsBuiltin = Callable[[ast.Name], bool]
# Functions of one plain number that a recording notes.
_MATHS = frozenset(["sin", "cos", "tan", "exp", "log", "sqrt", "tanh", "sigmoid", "floor", "ceil"])
_CHOICES = frozenset(["min", "max", "abs"])
# Operations that refuse plain numbers, so that what they give is a tensor.
_OF_TENSORS = frozenset(
    ["mean", "matmul", "mm", "bmm", "softmax", "log_softmax", "cross_entropy", "conv2d", "linear", "zeros",
     "ones", "randn", "rand", "zeros_like", "ones_like", "reshape", "flatten", "norm"]
)  # fmt: skip
_NONE: frozenset[str] = frozenset()


class Flow:
    """What becomes of numbers in some statements. `key` names a variable, `reads` are the variables that are
    read before they are bound.

    lost      the variables whose numbers cannot be followed
    parts     the spans of index expressions in which followed numbers may stand
    elements  the spans of calls `x.item()` whose number only goes on into such numbers
    pins      the spans of expressions whose number, if it is one, is taken as it is
    """

    def __init__(
        self, statements: Sequence[ast.Node], key: Key, is_builtin: IsBuiltin, reads: Iterable[str] = ()
    ) -> None:
        self.key = key
        self.is_builtin = is_builtin
        self.lost: set[str] = set()
        self.into: dict[str, set[str]] = {}  # from what a variable's number is computed
        self.parts: set[Span] = set()
        self.pins: set[Span] = set()
        self._items: dict[str, Span] = {}
        self._never: set[str] = set(reads)  # variables that may be numbers
        self._tensors: set[str] = set()
        for s in statements:  # what is always bound to a tensor
            self._statement(s)
        self._tensors.difference_update(self._never)
        self.lost.clear()
        self.into.clear()
        self.pins.clear()
        for s in statements:
            self._statement(s)
        self._settle()
        self.elements = {span for name, span in self._items.items() if name not in self.lost}

    def _settle(self) -> None:
        """What flows into a variable that is lost is lost."""
        stack = list(self.lost)
        while stack:
            for k in self.into.get(stack.pop(), ()):
                if k not in self.lost:
                    self.lost.add(k)
                    stack.append(k)

    # ---- statements ----------------------------------------------------------------------------------------
    def _statement(self, s: Any, *, outside: bool = False) -> None:
        if isinstance(s, (ast.Let, ast.Assign)):
            self._bound(s.target, s.value)
        elif isinstance(s, (ast.AugAssign, ast.Update)):
            self._augmented(s, outside or isinstance(s, ast.Update))
        elif isinstance(s, (ast.For, ast.While, ast.NoGrad)):
            if isinstance(s, ast.For):
                self._lose(s.iterable)
            elif isinstance(s, ast.While):
                self._number(s.condition)
            for k in s.body.body:
                self._statement(k, outside=outside or isinstance(s, ast.NoGrad))
        elif isinstance(s, ast.If):
            self._number(s.condition)
            for k in s.body.body:
                self._statement(k, outside=outside)
            if s.otherwise is not None:
                for k in s.otherwise.body if isinstance(s.otherwise, ast.Block) else [s.otherwise]:
                    self._statement(k, outside=outside)
        elif isinstance(s, ast.ExprStmt):
            self._number(s.value)
        elif isinstance(s, (ast.Backward, ast.ZeroGrad)):
            for e in s.roots if isinstance(s, ast.Backward) else s.targets:
                self._lose(e)

    def _bound(self, target: ast.Expr, value: ast.Expr) -> None:
        if isinstance(target, ast.Name):
            found = self._number(value)
            key = self.key(target)
            self.into.setdefault(key, set()).update(found - {key})
            if found or not self._surely_tensor(value):
                self._never.add(key)
            else:
                self._tensors.add(key)
            return
        several = isinstance(target, ast.TupleExpr) and isinstance(value, ast.TupleExpr)
        if several and len(target.items) == len(value.items):  # type: ignore[attr-defined]
            for t, v in zip(target.items, value.items):  # type: ignore[attr-defined]
                self._bound(t, v)
            return
        self._lose(value)
        self._never.update(self.key(n) for n in target_names(target))

    def _augmented(self, s: ast.AugAssign | ast.Update, outside: bool) -> None:
        found = self._number(s.value)
        if not isinstance(s.target, ast.Name):
            self._lose(s.value)
        elif not outside:  # outside the graph it is a tensor that is changed
            key = self.key(s.target)
            self._never.add(key)
            self.into.setdefault(key, set()).update(found - {key})

    # ---- expressions ---------------------------------------------------------------------------------------
    def _lose(self, e: Any) -> None:
        """An expression stands where a number in it cannot be followed from."""
        while isinstance(e, ast.Paren):
            e = e.inner
        found = self._number(e)
        if isinstance(e, ast.Name):
            self.lost |= found
        elif found:
            self.pins.add(e.span)

    def _number(self, e: Any) -> frozenset[str]:
        """The variables whose numbers may be, or be part of, the number that an expression gives."""
        if isinstance(e, ast.Name):
            return _NONE if self.is_builtin(e) or self.key(e) in self._tensors else frozenset([self.key(e)])
        if isinstance(e, ast.Paren):
            return self._number(e.inner)
        if isinstance(e, ast.Unary) and e.op != "~":
            return self._number(e.value)
        if isinstance(e, ast.Power):
            return self._mixed(e.base, e.exponent)
        if isinstance(e, ast.Chain):
            if any(o in "|&" for o in e.ops):
                return self._all_lost(e.first, *e.rest)
            found = self._mixed(e.first, *e.rest)
            return _NONE if "@" in e.ops else found
        if isinstance(e, ast.BoolOp):
            return self._any(*e.values)
        if isinstance(e, ast.Conditional):
            self._number(e.condition)
            return self._number(e.value) | self._number(e.otherwise)
        if isinstance(e, ast.Compare):
            if any("in" in o for o in e.ops):
                return self._all_lost(e.first, *e.rest)
            self._any(e.first, *e.rest)
            return _NONE
        if isinstance(e, ast.Not):
            self._number(e.value)
            return _NONE
        if isinstance(e, ast.Index):
            return self._indexed(e)
        return self._called(e) if isinstance(e, ast.Call) else self._all_lost(*parts(e))

    def _any(self, *items: Any) -> frozenset[str]:
        return frozenset().union(*[self._number(k) for k in items])

    def _mixed(self, *items: Any) -> frozenset[str]:
        """Of numbers and tensors: a tensor where one of them surely is one."""
        found = self._any(*items)
        return _NONE if any(map(self._surely_tensor, items)) else found

    def _all_lost(self, *items: Any) -> frozenset[str]:
        for k in items:
            self._lose(k)
        return _NONE

    def _surely_tensor(self, e: Any) -> bool:
        """Whether an expression gives a tensor, or fails, whatever its variables are."""
        while isinstance(e, ast.Paren):
            e = e.inner
        if isinstance(e, ast.Name):
            return not self.is_builtin(e) and self.key(e) in self._tensors
        if isinstance(e, ast.Unary):
            return self._surely_tensor(e.value)
        if isinstance(e, ast.Power):
            return self._surely_tensor(e.base) or self._surely_tensor(e.exponent)
        if isinstance(e, ast.Chain):
            return "@" in e.ops or any(map(self._surely_tensor, (e.first, *e.rest)))
        if isinstance(e, ast.Member):
            return e.name in ("grad", "data", "T", "mT")
        if not isinstance(e, ast.Call):
            return False
        f = e.function
        name = f.name if isinstance(f, ast.Member) else f.id if isinstance(f, ast.Name) else ""
        known = isinstance(f, ast.Member) or (isinstance(f, ast.Name) and self.is_builtin(f))
        return known and name in _OF_TENSORS

    def _indexed(self, e: ast.Index) -> frozenset[str]:
        self._number(e.value)
        places: list[Any] = []
        for item in e.items:
            if isinstance(item, ast.Slice):
                places += [b for b in (item.start, item.stop, item.step) if b is not None]
            else:
                places.append(item)
        if self._any(*places):
            self.parts.add(e.span)
        return _NONE

    def _called(self, e: ast.Call) -> frozenset[str]:
        f = e.function
        if isinstance(f, ast.Member):
            self._lose(f.value)
            if f.name == "item" and not e.args:
                name = f".item {e.span.start} {e.span.end}"
                self._items[name] = e.span
                return frozenset([name])
        elif self._computes(f, e.args):
            return self._any(*[a.value for a in e.args])
        elif isinstance(f, (ast.Index, ast.Call)):
            self._number(f)
        return self._all_lost(*[a.value for a in e.args])

    def _computes(self, f: ast.Expr, args: Sequence[ast.Arg]) -> bool:
        """Whether a call makes a number of numbers in a way that a recording notes."""
        if not (isinstance(f, ast.Name) and self.is_builtin(f)) or any(a.name for a in args):
            return False
        return (f.id in _MATHS and len(args) == 1) or f.id in _CHOICES
