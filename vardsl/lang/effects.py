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
IsBuiltin = Callable[[ast.Name], bool]


def lasting(call: ast.Call, is_builtin: IsBuiltin) -> bool:
    """Whether the call may change a value, a gradient or the random state."""
    f = call.function
    if isinstance(f, ast.Name) and is_builtin(f):
        return f.id.endswith("_") or f.id in RANDOM or f.id in CALLING
    if isinstance(f, ast.Member):
        return f.name.endswith("_") or f.name in RANDOM or not builtins.has_operation(f.name)
    return True


def needs_journal(statement: ast.Stmt, is_builtin: IsBuiltin) -> bool:
    """Whether the statement must be able to take back what it did.

    A lasting call that is the last thing to happen needs nothing: it happens wholly or not at all by itself.
    """
    last: ast.Expr | None = None
    if isinstance(statement, (ast.ExprStmt, ast.Return)) or (
        isinstance(statement, (ast.Let, ast.Assign)) and isinstance(statement.target, ast.Name)
    ):
        last = statement.value
    while isinstance(last, ast.Paren):
        last = last.inner
    stack: list[ast.Node] = [statement]
    while stack:
        node = stack.pop()
        if type(node) in (ast.Lambda, ast.Number, ast.NumberRow, ast.String, ast.Name):
            continue
        if type(node) is ast.Call and node is not last and lasting(node, is_builtin):
            return True
        stack.extend(sub_nodes(node))
    return False
