"""What stands in a piece of a program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vardsl.lang.scope import assigned_in, sub_nodes, target_names
from vardsl.syntax import ast

IN_PLACE = frozenset(
    ["t_", "transpose_", "swapaxes_", "swapdims_", "squeeze_", "unsqueeze_", "resize_", "resize_as_", "set_"]
)


def nodes(roots: Iterable[ast.Node]) -> Iterator[ast.Node]:
    stack = list(roots)
    while stack:
        n = stack.pop()
        yield n
        if not isinstance(n, (ast.Number, ast.NumberRow, ast.String)):
            stack.extend(sub_nodes(n))


def index_items(s: ast.Node) -> Iterator[ast.Node]:
    for n in nodes([s]):
        if isinstance(n, ast.Index):
            yield from n.items


def reshapes(n: ast.Node) -> bool:
    """Whether a node may give a tensor another shape or dtype in place."""
    if isinstance(n, (ast.Call, ast.Pipe)):
        f = n.function if isinstance(n, ast.Call) else n.call
        return isinstance(f, ast.Member) and f.name in IN_PLACE
    return isinstance(n, ast.Assign) and isinstance(n.target, ast.Member) and n.target.name == "data"


def calls(s: ast.Node) -> bool:
    return any(isinstance(n, (ast.Call, ast.Pipe)) for n in nodes([s]))


def bound(statements: Iterable[ast.Stmt]) -> Iterator[str]:
    """The names that statements bind, anywhere in them."""
    for n in nodes(statements):
        if isinstance(n, (ast.Let, ast.Assign, ast.For, ast.AugAssign, ast.Update)):
            yield from (t.id for t in target_names(n.target))
        elif isinstance(n, ast.FnDef):
            yield n.name
            yield from (p.name for p in n.params)
        elif isinstance(n, ast.Lambda):
            yield from (p.name for p in n.params)
        elif isinstance(n, ast.Import) and n.alias is not None:
            yield n.alias


def augmented(statements: Iterable[ast.Stmt]) -> Iterator[str]:
    for n in nodes(statements):
        if isinstance(n, (ast.AugAssign, ast.Update)) and isinstance(n.target, ast.Name):
            yield n.target.id


def bound_by_functions(statements: Iterable[ast.Stmt]) -> Iterator[str]:
    """The names that functions bind, some of which may be the file's."""
    for n in nodes(statements):
        if isinstance(n, ast.FnDef) and isinstance(n.body, ast.Block):
            yield from assigned_in(n.body.body, frozenset(p.name for p in n.params))
            yield from augmented(n.body.body)


def has_else(s: ast.If) -> bool:
    branch = s.otherwise
    while isinstance(branch, ast.If):
        branch = branch.otherwise
    return branch is not None
