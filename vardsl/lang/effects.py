"""Which statements need a journal: where something lasting can happen before something else fails."""

from __future__ import annotations

from collections.abc import Callable

from vardsl.lang import builtins
from vardsl.lang.scope import sub_nodes
from vardsl.syntax import ast

RANDOM = frozenset(
    [
        "rand",
        "randn",
        "randint",
        "randperm",
        "bernoulli",
        "multinomial",
        "normal",
        "uniform",
        "exponential",
        "poisson",
        "rand_like",
        "randn_like",
        "randint_like",
        "dropout",
        "scaled_dot_product_attention",
        "manual_seed",
        "seed",
    ]
)
CALLING = frozenset(
    [
        "jacobian",
        "hessian",
        "vjp",
        "jvp",
        "hvp",
        "check_grad",
        "checkpoint",
        "clip_grad_norm",
        "clip_grad_value",
    ]
)
SETTING = frozenset({"set_default_dtype", "detect_anomaly", "set_printoptions"})
IsBuiltin = Callable[[ast.Name], bool]


def lasting(call: ast.Call, is_builtin: IsBuiltin) -> bool:
    """Whether the call may change a value, a gradient or the random state."""
    f = call.function
    if isinstance(f, ast.Name) and is_builtin(f):
        return f.id.endswith("_") or f.id in RANDOM or f.id in CALLING or f.id in SETTING
    if isinstance(f, ast.Member):
        return f.name.endswith("_") or f.name in RANDOM or not builtins.has_operation(f.name)
    return True


def needs_journal(statement: ast.Stmt, is_builtin: IsBuiltin) -> bool:
    """Whether the statement must be able to take back what it did.

    A lasting call that is the last thing to happen needs nothing: it happens wholly or not at all by itself.
    """
    last: ast.Expr | None = None
    stack: list[ast.Node] = [statement]
    if isinstance(statement, (ast.ExprStmt, ast.Return)):
        last = statement.value
    elif isinstance(statement, (ast.Let, ast.Assign)):
        if isinstance(statement.target, ast.Name):
            last = statement.value
        elif _several_places(statement.target):
            return True
    elif isinstance(statement, ast.FnDef):
        stack = [p.default for p in statement.params if p.default is not None]
    while isinstance(last, ast.Paren):
        last = last.inner
    while stack:
        node = stack.pop()
        if type(node) in (ast.Lambda, ast.Number, ast.NumberRow, ast.String, ast.Name):
            continue
        if type(node) is ast.Call and node is not last and lasting(node, is_builtin):
            return True
        stack.extend(sub_nodes(node))
    return False


def _several_places(target: ast.Expr) -> bool:
    """Whether the target has elements or members among several parts: one may be stored and another fail."""
    while isinstance(target, ast.Paren):
        target = target.inner
    if not isinstance(target, ast.TupleExpr):
        return False
    stack: list[ast.Expr] = list(target.items)
    while stack:
        t = stack.pop()
        if isinstance(t, ast.Paren):
            stack.append(t.inner)
        elif isinstance(t, ast.TupleExpr):
            stack += t.items
        elif not isinstance(t, ast.Name):
            return True
    return False


def changes(e: ast.Expr, is_builtin: IsBuiltin) -> bool:
    """Whether the expression itself, apart from the script's functions that it calls, changes something."""
    stack: list[ast.Node] = [e]
    while stack:
        node = stack.pop()
        if type(node) in (ast.Lambda, ast.Number, ast.NumberRow, ast.String, ast.Name):
            continue
        if type(node) is ast.Call:
            f = node.function
            known = isinstance(f, ast.Member) or (isinstance(f, ast.Name) and is_builtin(f))
            if known and lasting(node, is_builtin):
                return True
        stack.extend(sub_nodes(node))
    return False
