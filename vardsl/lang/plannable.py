"""Which statements a recording can follow, as far as the text shows.

`sure` are straight statements over tensors with nothing but operations in them. `loose` are also calls of
the script's functions, branches and loops, numbers: whether a plan can do what they do shows when one is
recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vardsl.lang import builtins
from vardsl.lang.effects import RANDOM, lasting, needs_journal
from vardsl.syntax import ast

IsBuiltin = Callable[[ast.Name], bool]

# Operations whose results are numbers that the text goes on with, or that only a run by hand can do.
_LOOKS = frozenset(
    [
        "item", "tolist", "numpy", "equal", "allclose", "is_floating_point", "backward", "register_hook",
        "retain_grad", "requires_grad_", "print", "unique", "unique_consecutive", "nonzero", "argwhere",
        "masked_select", "bincount", "tensor", "load", "save",
    ]
)  # fmt: skip
TRANSFORMS = frozenset(["grad", "value_and_grad", "jacobian", "hessian", "vjp", "jvp", "hvp"])
_MEMBERS = frozenset(["grad", "data", "T", "mT", "shape", "dtype", "ndim"])
_FIELDS = _MEMBERS | {"values", "indices"}
_NUMBERS = frozenset(
    ["len", "range", "enumerate", "zip", "min", "max", "abs", "round", "sum", "shape", "dtype"]
)
_DRAWS = RANDOM - {"manual_seed", "seed"}
_STEPS = frozenset(["step", "zero_grad", "backward"])
_SIMPLE = (
    ast.Name, ast.Number, ast.Bool, ast.NoneLit, ast.Paren, ast.Chain, ast.Unary, ast.Power, ast.TupleExpr,
    ast.Index,
    ast.Slice, ast.Ellipsis_, ast.String,
)  # fmt: skip
_LOOSE = (
    *_SIMPLE, ast.Compare, ast.BoolOp, ast.Not, ast.Conditional, ast.Pipe, ast.ListLit, ast.NumberRow,
    ast.Lambda,
)  # fmt: skip
_PARTS: dict[type, Callable[[Any], list[ast.Node]]] = {
    ast.Paren: lambda e: [e.inner],
    ast.Chain: lambda e: [e.first, *e.rest],
    ast.Unary: lambda e: [e.value],
    ast.Power: lambda e: [e.base, e.exponent],
    ast.TupleExpr: lambda e: list(e.items),
    ast.Index: lambda e: [e.value, *e.items],
    ast.Slice: lambda e: [b for b in (e.start, e.stop, e.step) if b is not None],
    ast.Call: lambda e: [*called(e), *[a.value for a in e.args]],
    ast.Member: lambda e: [e.value],
    ast.Compare: lambda e: [e.first, *e.rest],
    ast.BoolOp: lambda e: list(e.values),
    ast.Not: lambda e: [e.value],
    ast.Conditional: lambda e: [e.condition, e.value, e.otherwise],
    ast.Pipe: lambda e: [e.value, e.call],
    ast.ListLit: lambda e: list(e.items),
    ast.Lambda: lambda e: [*[p.default for p in e.params if p.default is not None], e.body],
}


def parts(node: ast.Node) -> list[ast.Node]:
    """The expressions directly below one that may stand in a run."""
    found = _PARTS.get(type(node))
    return [] if found is None else found(node)


def called(call: ast.Call) -> list[ast.Node]:
    """What of a call's function is an expression of its own: the receiver, or the function's name."""
    f = call.function
    return [f.value] if isinstance(f, ast.Member) else [f]


def sure(s: ast.Stmt, is_builtin: IsBuiltin) -> bool:
    """Whether a statement is a straight one, with nothing but operations on what it reads."""
    if isinstance(s, ast.NoGrad):
        return all(
            isinstance(k, (ast.AugAssign, ast.Update)) and _updates(k, is_builtin) for k in s.body.body
        )
    if isinstance(s, ast.Update):
        return _updates(s, is_builtin)
    if needs_journal(s, is_builtin):
        return False
    if isinstance(s, (ast.Let, ast.Assign)):
        return isinstance(s.target, ast.Name) and pure(s.value, is_builtin)
    if isinstance(s, ast.Backward):
        return _plain_backward(s) and all(isinstance(r, ast.Name) or pure(r, is_builtin) for r in s.roots)
    if isinstance(s, ast.ZeroGrad):
        return bool(s.targets) and all(isinstance(t, ast.Name) for t in s.targets)
    return False


def _plain_backward(s: ast.Backward) -> bool:
    return not (s.gradients or s.retain or s.create or s.step)


def _updates(s: ast.AugAssign | ast.Update, is_builtin: IsBuiltin) -> bool:
    return (
        isinstance(s.target, ast.Name)
        and not is_builtin(s.target)
        and s.op in ("+", "-", "*", "/")
        and not needs_journal(s, is_builtin)
        and pure(s.value, is_builtin)
    )


def pure(e: ast.Expr, is_builtin: IsBuiltin) -> bool:
    """Whether an expression only computes, with operations that a recording can follow."""
    stack: list[ast.Node] = [e]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Call):
            if not operation(node, is_builtin):
                return False
            if isinstance(node.function, ast.Member):
                stack.append(node.function.value)
            stack.extend(a.value for a in node.args)
        elif isinstance(node, ast.Member):
            if node.name not in _MEMBERS:
                return False
            stack.append(node.value)
        elif isinstance(node, _SIMPLE):
            stack.extend(parts(node))
        else:
            return False
    return True


def operation(call: ast.Call, is_builtin: IsBuiltin) -> bool:
    """Whether a call is one of an operation that a recording can follow, or of a transform."""
    f = call.function
    transform = isinstance(f, ast.Name) and is_builtin(f) and f.id in TRANSFORMS
    if lasting(call, is_builtin) and not transform:
        return False
    name = f.name if isinstance(f, ast.Member) else f.id if isinstance(f, ast.Name) else ""
    known = isinstance(f, ast.Member) or (isinstance(f, ast.Name) and is_builtin(f))
    return name not in _LOOKS and known and (builtins.has_operation(name) or transform)


def loose(s: ast.Stmt, is_builtin: IsBuiltin, *, nested: bool, looping: bool = False) -> bool:
    """Whether a recording may find that a plan can do what a statement does. `nested` are those that stand in
    a block, `looping` those in a loop that is part of the run."""
    if sure(s, is_builtin):
        return True
    if isinstance(s, (ast.Let, ast.Assign)):
        return _target(s) and loosely(s.value, is_builtin)
    if isinstance(s, (ast.AugAssign, ast.Update)):
        return _changes(s, is_builtin) and loosely(s.value, is_builtin)
    if isinstance(s, ast.Backward):
        return _plain_backward(s) and all(loosely(r, is_builtin) for r in s.roots)
    if not nested:
        return False
    if isinstance(s, ast.ExprStmt):
        return _acts(s.value, is_builtin)
    if isinstance(s, (ast.Break, ast.Continue)):
        return looping
    return _block(s, is_builtin, looping)


def _block(s: ast.Stmt, is_builtin: IsBuiltin, looping: bool) -> bool:
    def all_of(b: ast.Block, looping: bool) -> bool:
        return all(loose(k, is_builtin, nested=True, looping=looping) for k in b.body)

    if isinstance(s, ast.NoGrad):
        return all_of(s.body, looping)
    if isinstance(s, ast.For):
        return loosely(s.iterable, is_builtin) and all_of(s.body, True)
    if isinstance(s, ast.While):
        return loosely(s.condition, is_builtin) and all_of(s.body, True)
    if isinstance(s, ast.If):
        if not (loosely(s.condition, is_builtin) and all_of(s.body, looping)):
            return False
        if isinstance(s.otherwise, ast.Block):
            return all_of(s.otherwise, looping)
        return s.otherwise is None or _block(s.otherwise, is_builtin, looping)
    return False


def _target(s: ast.Let | ast.Assign) -> bool:
    t = s.target
    if isinstance(t, ast.Member):
        return t.name == "grad" and isinstance(s.value, ast.NoneLit) and isinstance(t.value, ast.Name)
    if isinstance(t, ast.TupleExpr):
        return all(isinstance(k, ast.Name) for k in t.items)
    return isinstance(t, ast.Name)


def _changes(s: ast.AugAssign | ast.Update, is_builtin: IsBuiltin) -> bool:
    t = s.target
    if isinstance(t, ast.Member):
        return t.name == "data" and isinstance(t.value, ast.Name) and not is_builtin(t.value)
    return isinstance(t, ast.Name) and not is_builtin(t) and s.op != "@"


def _acts(e: ast.Expr, is_builtin: IsBuiltin) -> bool:
    """Whether an expression that stands alone is a call that a recording may follow."""
    if not isinstance(e, ast.Call):
        return False
    f = e.function
    acts = isinstance(f, ast.Member) and (f.name in _STEPS or f.name.endswith("_"))
    if isinstance(f, ast.Member) and acts and f.name not in _LOOKS - _STEPS:
        return loosely(f.value, is_builtin) and all(loosely(a.value, is_builtin) for a in e.args)
    return not (isinstance(f, ast.Name) and is_builtin(f)) and loosely(e, is_builtin)


def loosely(e: ast.Expr, is_builtin: IsBuiltin) -> bool:
    """Whether a recording may follow an expression: nothing in it that surely only a run by hand can do."""
    stack: list[ast.Node] = [e]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Call):
            if not _may_call(node, is_builtin):
                return False
        elif isinstance(node, ast.Member):
            if node.name not in _FIELDS:
                return False
        elif not isinstance(node, _LOOSE):
            return False
        if isinstance(node, ast.Pipe) and not isinstance(node.call, (ast.Call, ast.Name)):
            return False
        stack.extend(parts(node))
    return True


def _may_call(call: ast.Call, is_builtin: IsBuiltin) -> bool:
    f = call.function
    if isinstance(f, ast.Member):
        if f.name == "item":
            return not call.args
        return f.name not in _LOOKS and f.name not in RANDOM and not f.name.endswith("_")
    if isinstance(f, ast.Name) and is_builtin(f):
        return f.id in _NUMBERS or f.id in _DRAWS or operation(call, is_builtin)
    return isinstance(f, (ast.Name, ast.Index, ast.Call))


def works_on_tensors(s: ast.Node, is_builtin: IsBuiltin) -> bool:
    """Whether a statement works on tensors, as far as the text shows."""
    if isinstance(s, ast.Backward):
        return True
    if isinstance(s, (ast.For, ast.While, ast.NoGrad)):
        return any(works_on_tensors(k, is_builtin) for k in s.body.body)
    if isinstance(s, ast.If):
        b = s.otherwise
        other: Sequence[ast.Stmt] = () if b is None else b.body if isinstance(b, ast.Block) else (b,)
        return any(works_on_tensors(k, is_builtin) for k in (*s.body.body, *other))
    return isinstance(s, (ast.Let, ast.Assign, ast.ExprStmt)) and calls_operations(s.value)


def calls_operations(e: ast.Expr) -> bool:
    """Whether something is called in an expression, or matrices are multiplied."""
    stack: list[ast.Node] = [e]
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.Call, ast.Pipe)) or (isinstance(node, ast.Chain) and "@" in node.ops):
            return True
        stack.extend(parts(node))
    return False
