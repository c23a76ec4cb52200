"""The syntax tree, one frozen class per construct, in the order of the grammar.

Every node has `.span` in code points of its source, and nodes are compared by identity. A name is a `Name`
where it is used, and a plain `str` (with its span beside it) where it is only a label, as of an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, dataclass_transform

from vardsl.source import Span


@dataclass_transform(eq_default=False, frozen_default=True)
class Kind(type):
    """The kind of a node: it has the fields of its base and those that are declared in it, in this order.

    A dataclass would be the same, but Python text is written and compiled for each one of them, and that
    takes longer than all else that a short script needs.
    """

    fields: tuple[str, ...]
    setters: tuple[Callable[[Any, Any], None], ...]

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> Kind:
        own = tuple(body.get("__annotations__", ()))
        fields = (*bases[0].fields, *own) if bases else own  # type: ignore[attr-defined]
        made = super().__new__(cls, name, bases, {**body, "__slots__": own, "__match_args__": fields})
        made.fields = fields
        made.setters = tuple([getattr(made, field).__set__ for field in fields])
        return made


class Node(metaclass=Kind):
    """Made of the values of its fields in order; the type checker sees that they are as many."""

    span: Span

    def __init__(self, *values: Any) -> None:
        for k, put in enumerate(type(self).setters):
            put(self, values[k])

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} is never changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} is never changed")

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self).fields)
        return f"{type(self).__name__}({given})"


class Expr(Node):
    pass


class Stmt(Node):
    pass


class Program(Node):
    body: tuple[Stmt, ...]


class Block(Node):
    """`{ … }`; the span includes the braces."""

    body: tuple[Stmt, ...]


# ---- targets: Name, Index, Member, TupleExpr of targets -------------------------------------------------


# ---- statements -------------------------------------------------------------------------------------------
class Let(Stmt):
    """`let a = e`, `let a, (b, c) = e`; target is a Name or TupleExpr of Names."""

    target: Expr
    value: Expr


class Assign(Stmt):
    """`a = e`; target is Name, Index, Member or a TupleExpr of those."""

    target: Expr
    value: Expr


class AugAssign(Stmt):
    """`a += e`; `op` is the operator without `=`: `+ - * / // % ** @`."""

    target: Expr
    op: str
    value: Expr


class Update(Stmt):
    """`update w -= e`: in place and outside the graph."""

    target: Expr
    op: str
    value: Expr


class Print(Stmt):
    values: tuple[Expr, ...]


class ExprStmt(Stmt):
    value: Expr


class Backward(Stmt):
    """`backward a, b with g, h retain create step`; `gradients` is empty or as long as `roots`."""

    roots: tuple[Expr, ...]
    gradients: tuple[Expr, ...]
    retain: bool
    create: bool
    step: bool


class ZeroGrad(Stmt):
    """`zero_grad a, b`; no targets: every variable in scope."""

    targets: tuple[Expr, ...]


class If(Stmt):
    """`otherwise` is None, a Block, or another If for `else if`."""

    condition: Expr
    body: Block
    otherwise: Block | If | None


class While(Stmt):
    condition: Expr
    body: Block


class For(Stmt):
    """`for i in e { }`; target is a Name or TupleExpr of Names."""

    target: Expr
    iterable: Expr
    body: Block


class Break(Stmt):
    pass


class Continue(Stmt):
    pass


class NoGrad(Stmt):
    body: Block


class Param(Node):
    name: str
    default: Expr | None


class FnDef(Stmt):
    """`fn f(x, y=2) = e` (body is an Expr) or `fn f(x) { … }` (body is a Block)."""

    name: str
    name_span: Span
    params: tuple[Param, ...]
    body: Expr | Block


class Return(Stmt):
    value: Expr | None


class Minimize(Stmt):
    """`minimize e over a, b using o steps n until t`."""

    objective: Expr
    over: tuple[Expr, ...]
    using: Expr | None
    steps: Expr | None
    until: Expr | None


class Graph(Stmt):
    value: Expr
    to: Expr | None


class Explain(Stmt):
    value: Expr
    wrt: tuple[Expr, ...]
    to: Expr | None


class Why(Stmt):
    """`why e`, `why nan`, `why error`; the two words arrive as Names."""

    value: Expr


class Plot(Stmt):
    values: tuple[Expr, ...]
    to: Expr | None


class Import(Stmt):
    path: str
    path_span: Span
    alias: str | None


class Assert(Stmt):
    condition: Expr
    message: Expr | None


class Del(Stmt):
    names: tuple[Name, ...]


# ---- expressions ------------------------------------------------------------------------------------------
class Number(Expr):
    """An integer, or a real (also `inf`-sized literals); `text` is the spelling."""

    value: int | float
    text: str


class Bool(Expr):
    value: bool


class NoneLit(Expr):
    pass


class String(Expr):
    value: str
    text: str


class Field(Node):
    """`{expr:spec}` of an f-string; the spec may hold fields itself."""

    value: Expr
    spec: tuple[str | Field, ...]


class FString(Expr):
    """`parts` alternates literal text (escapes resolved) and fields."""

    parts: tuple[str | Field, ...]
    text: str


class ListLit(Expr):
    """`[a, b]`: a tensor, or the sequence that a parameter takes when written directly as that argument."""

    items: tuple[Expr, ...]


class NumberRow(Expr):
    """An innermost row of plain numbers, kept as values: a fast path of `ListLit` for long literals.

    `values` are ints, floats or (all) bools; `kind` is "int", "real" or "bool".
    """

    values: tuple[int | float | bool, ...]
    kind: str
    text: str


class TupleExpr(Expr):
    """`(a, b)` with parentheses in the span, or bare `a, b`; `parens` says which."""

    items: tuple[Expr, ...]
    parens: bool


class Paren(Expr):
    """`( e )`, kept for the formatter and for spans."""

    inner: Expr


class Name(Expr):
    """A use or a binding of a name, NFKC-normalised."""

    id: str


class Conditional(Expr):
    """`value if condition else otherwise`"""

    value: Expr
    condition: Expr
    otherwise: Expr


class Pipe(Expr):
    """`x |> f` or `x |> f(y)`: `call` is the right side as written."""

    value: Expr
    call: Expr


class BoolOp(Expr):
    """A flat chain of `and` or of `or`."""

    op: str
    values: tuple[Expr, ...]


class Not(Expr):
    value: Expr


class Compare(Expr):
    """`first ops[0] rest[0] ops[1] rest[1] …` with ops of `== != < <= > >= in`, `not in`."""

    first: Expr
    ops: tuple[str, ...]
    rest: tuple[Expr, ...]


class Chain(Expr):
    """A flat left-associative chain of binary operators of one level (`|`, `&`, `+ -`, or `* / // % @`).

    `a + b - c` is Chain(first=a, ops=("+", "-"), rest=(b, c)). The span of the k-th operation runs from
    `first.span.start` to `rest[k].span.end`.
    """

    first: Expr
    ops: tuple[str, ...]
    rest: tuple[Expr, ...]


class Unary(Expr):
    """`-x`, `+x`, `~x`"""

    op: str
    value: Expr


class Power(Expr):
    base: Expr
    exponent: Expr


class Var(Expr):
    """`var OPERAND [DTYPE] [grad]`"""

    operand: Expr
    dtype: str | None
    grad: bool


class Arg(Node):
    """A positional (`name` is None) or keyword argument."""

    name: str | None
    value: Expr


class Call(Expr):
    function: Expr
    args: tuple[Arg, ...]


class Slice(Expr):
    """`a:b:c` within an index."""

    start: Expr | None
    stop: Expr | None
    step: Expr | None


class Ellipsis_(Expr):
    """`...` within an index."""


class Index(Expr):
    """`x[i, a:b, ...]`"""

    value: Expr
    items: tuple[Expr, ...]


class Member(Expr):
    value: Expr
    name: str
    name_span: Span


class Lambda(Expr):
    """`fn(x, y=2) = e`"""

    params: tuple[Param, ...]
    body: Expr
