"""Which expressions may get code of their own where they are met again and again.

Such an expression is made of operations on variables and constants alone: one call, which may be several of
them, or two at least. In loops and functions the generated code asks its site first (`asked.py`):
`(site(x, w) or (x @ w + 1,))[0]`.
"""

from __future__ import annotations

from vardsl.lang.plannable import TRANSFORMS, IsBuiltin, operation, parts
from vardsl.ops.index import FAMILIES
from vardsl.syntax import ast

MOST_NODES = 60
_OPERATORS = frozenset("+-*/@")
_ORDER = frozenset(["<", ">", "<=", ">=", "==", "!="])
_CONSTANTS = (ast.Number, ast.Bool, ast.NoneLit, ast.String, ast.Ellipsis_)
_INNER = (ast.Paren, ast.Power, ast.Index, ast.TupleExpr, ast.Slice, ast.ListLit, ast.NumberRow)
_VIEWS = frozenset(["shape", "split", "dims", "broadcast", "diagonal"])
_MEMBERS = frozenset(["T", "mT", "grad", "values", "indices"])

Operand = ast.Name | ast.Index


def operands(e: ast.Expr, is_builtin: IsBuiltin, changes: ast.Name | None = None) -> list[Operand] | None:
    """What an expression that may get code of its own works on, each variable at its first place; else None.

    `changes` is what a statement changes in place by the expression, and then the first of them. A part
    `x[i]` is one if it is the first thing that is done.
    """
    if isinstance(e, ast.Call) and _shares(e):
        return None  # what it works on may
    found = _Operands(is_builtin)
    if changes is not None:
        found.names[changes.id] = changes
    if not found.visit(e) or not found.tensors or not found.names:
        return None
    enough = 1 if changes is not None or isinstance(e, ast.Call) else 2
    return [*found.names.values()] if found.operations >= enough else None


def free(e: ast.Expr, given: list[Operand]) -> tuple[int, ...]:
    """Which of the operands stand in the expression as summands and factors alone: where one is a number, it
    may be another one every time."""
    bound: set[str] = set()
    stack: list[tuple[ast.Node, bool]] = [(e, False)]
    while stack:
        node, term = stack.pop()
        if isinstance(node, ast.Name) and not term:
            bound.add(node.id)
        inner = isinstance(node, ast.Chain) or (term and isinstance(node, ast.Paren))
        stack.extend((n, inner) for n in parts(node))
    return tuple([k for k, n in enumerate(given) if isinstance(n, ast.Name) and n.id not in bound])


class _Operands:
    """Goes through an expression in the order in which it is evaluated."""

    def __init__(self, is_builtin: IsBuiltin) -> None:
        self.is_builtin = is_builtin
        self.names: dict[str, Operand] = {}
        self.nodes = 0
        self.operations = 0
        self.begun = False  # whether something has been done that may fail, or be seen in the graph
        self.tensors = False  # whether something in it is only done with tensors

    def visit(self, e: ast.Node) -> bool:
        """Whether this may be part of such an expression."""
        self.nodes += 1
        if self.nodes > MOST_NODES:
            return False
        if isinstance(e, ast.Name):
            if not self.is_builtin(e):
                self.names.setdefault(e.id, e)
            return True
        if isinstance(e, _CONSTANTS):
            return True
        if isinstance(e, ast.Index) and not all(map(_constant, e.items)):
            return self._part(e)
        if not self._fits(e) or not all(map(self.visit, self._below(e))):
            return False
        self.begun |= not isinstance(e, (ast.Paren, ast.TupleExpr, ast.ListLit))
        if isinstance(e, ast.Chain):
            self.operations += len(e.ops)
        elif isinstance(e, (ast.Call, ast.Power, ast.Unary, ast.Compare)):
            self.operations += 1
        return True

    def _below(self, e: ast.Node) -> list[ast.Node]:
        if isinstance(e, ast.Call) and isinstance(e.function, ast.Name):
            return [a.value for a in e.args]
        return parts(e)

    def _fits(self, e: ast.Node) -> bool:
        if isinstance(e, ast.Chain):
            self.tensors |= "@" in e.ops
            return _OPERATORS.issuperset(e.ops)
        if isinstance(e, ast.Compare):
            return len(e.ops) == 1 and e.ops[0] in _ORDER
        if isinstance(e, ast.Member):
            self.tensors |= e.name == "grad"
            return e.name in _MEMBERS
        if isinstance(e, ast.Call):
            self.tensors = True
            f = e.function
            return operation(e, self.is_builtin) and not (isinstance(f, ast.Name) and f.id in TRANSFORMS)
        if isinstance(e, ast.Unary):
            return e.op == "-"
        return isinstance(e, _INNER)

    def _part(self, e: ast.Index) -> bool:
        """A part of a variable at a place that may differ from time to time."""
        if self.begun or not isinstance(e.value, ast.Name) or self.is_builtin(e.value):
            return False
        self.begun = True
        self.names[f"{e.span.start}"] = e
        return True


def _shares(e: ast.Call) -> bool:
    """Whether what a call gives is, as far as its name tells, a view of what it works on, or several."""
    f = e.function
    name = f.name if isinstance(f, ast.Member) else f.id if isinstance(f, ast.Name) else ""
    return FAMILIES.get(name) in _VIEWS


def _constant(e: ast.Node) -> bool:
    if isinstance(e, (ast.Slice, ast.Unary)):
        return all(map(_constant, parts(e)))
    return isinstance(e, _CONSTANTS)
