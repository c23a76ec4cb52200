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
    if isinstance(n, (ast.Name, ast.Member)):
        return (n.id if isinstance(n, ast.Name) else n.name) in IN_PLACE
    return isinstance(n, (ast.Assign, ast.AugAssign)) and any(m.name == "data" for m in members_written(n))


def members_written(s: ast.Node) -> Iterator[ast.Member]:
    """The members that a statement assigns to."""
    stack = [s.target] if isinstance(s, (ast.Assign, ast.AugAssign, ast.Update)) else []
    while stack:
        t = stack.pop()
        if isinstance(t, ast.TupleExpr):
            stack.extend(t.items)
        elif isinstance(t, ast.Paren):
            stack.append(t.inner)
        elif isinstance(t, ast.Member):
            yield t


def called_name(n: ast.Node) -> str | None:
    """What a call or a pipe calls, by its last name; "" for what has none, None where nothing is called."""
    if not isinstance(n, (ast.Call, ast.Pipe)):
        return None
    f = n.function if isinstance(n, ast.Call) else n.call
    if isinstance(f, ast.Call):
        f = f.function
    return f.id if isinstance(f, ast.Name) else f.name if isinstance(f, ast.Member) else ""


def used_by_functions(statements: Iterable[ast.Stmt]) -> Iterator[str]:
    """The names that functions use of what is around them."""
    for f in nodes(statements):
        if isinstance(f, (ast.FnDef, ast.Lambda)):
            own = {p.name for p in f.params}
            yield from (n.id for n in nodes([f.body]) if isinstance(n, ast.Name) and n.id not in own)


def unforeseen(statements: tuple[ast.Stmt, ...]) -> bool:
    """Whether a part that may be skipped could bind any name, or change what new tensors are like."""
    for n in nodes(statements):
        if isinstance(n, ast.Import) and n.alias is None and n not in statements:
            return True
        if isinstance(n, (ast.FnDef, ast.Lambda)) and any(
            isinstance(m, ast.Name) and m.id == "set_default_dtype" for m in nodes([n.body])
        ):
            return True
    return False


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


def written(statements: Iterable[ast.Stmt]) -> Iterator[str]:
    """The names that `=` and its kin write, anywhere in the statements."""
    for n in nodes(statements):
        if isinstance(n, (ast.Assign, ast.AugAssign, ast.Update)):
            yield from (t.id for t in target_names(n.target))


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
