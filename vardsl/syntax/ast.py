"""The syntax tree, one frozen class per construct, in the order of the grammar.

Every node has `.span` in code points of its source, and nodes are compared by identity. A name is a `Name`
where it is used, and a plain `str` (with its span beside it) where it is only a label, as of an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from vardsl.source import Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Node:
    span: Span

    def __repr__(self) -> str:
        # one for all of them: generated in each class it costs at start-up, as comparing would
        given = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return f"{type(self).__name__}({given})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Expr(Node):
    pass


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Stmt(Node):
    pass


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Program(Node):
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Block(Node):
    """`{ … }`; the span includes the braces."""

    body: tuple[Stmt, ...]


# ---- targets: Name, Index, Member, TupleExpr of targets -------------------------------------------------


# ---- statements -------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Let(Stmt):
    """`let a = e`, `let a, (b, c) = e`; target is a Name or TupleExpr of Names."""

    target: Expr
    value: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Assign(Stmt):
    """`a = e`; target is Name, Index, Member or a TupleExpr of those."""

    target: Expr
    value: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AugAssign(Stmt):
    """`a += e`; `op` is the operator without `=`: `+ - * / // % ** @`."""

    target: Expr
    op: str
    value: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Update(Stmt):
    """`update w -= e`: in place and outside the graph."""

    target: Expr
    op: str
    value: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Print(Stmt):
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ExprStmt(Stmt):
    value: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Backward(Stmt):
    """`backward a, b with g, h retain create step`; `gradients` is empty or as long as `roots`."""

    roots: tuple[Expr, ...]
    gradients: tuple[Expr, ...]
    retain: bool
    create: bool
    step: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ZeroGrad(Stmt):
    """`zero_grad a, b`; no targets: every variable in scope."""

    targets: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class If(Stmt):
    """`otherwise` is None, a Block, or another If for `else if`."""

    condition: Expr
    body: Block
    otherwise: Block | If | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class While(Stmt):
    condition: Expr
    body: Block


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class For(Stmt):
    """`for i in e { }`; target is a Name or TupleExpr of Names."""

    target: Expr
    iterable: Expr
    body: Block


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Break(Stmt):
    pass


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Continue(Stmt):
    pass


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NoGrad(Stmt):
    body: Block


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Param(Node):
    name: str
    default: Expr | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FnDef(Stmt):
    """`fn f(x, y=2) = e` (body is an Expr) or `fn f(x) { … }` (body is a Block)."""

    name: str
    name_span: Span
    params: tuple[Param, ...]
    body: Expr | Block


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Return(Stmt):
    value: Expr | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Minimize(Stmt):
    """`minimize e over a, b using o steps n until t`."""

    objective: Expr
    over: tuple[Expr, ...]
    using: Expr | None
    steps: Expr | None
    until: Expr | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Graph(Stmt):
    value: Expr
    to: Expr | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Explain(Stmt):
    value: Expr
    wrt: tuple[Expr, ...]
    to: Expr | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Why(Stmt):
    """`why e`, `why nan`, `why error`; the two words arrive as Names."""

    value: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plot(Stmt):
    values: tuple[Expr, ...]
    to: Expr | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Import(Stmt):
    path: str
    path_span: Span
    alias: str | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Assert(Stmt):
    condition: Expr
    message: Expr | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Del(Stmt):
    names: tuple[Name, ...]


# ---- expressions ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Number(Expr):
    """An integer, or a real (also `inf`-sized literals); `text` is the spelling."""

    value: int | float
    text: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bool(Expr):
    value: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NoneLit(Expr):
    pass


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class String(Expr):
    value: str
    text: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Field(Node):
    """`{expr:spec}` of an f-string; the spec may hold fields itself."""

    value: Expr
    spec: tuple[str | Field, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FString(Expr):
    """`parts` alternates literal text (escapes resolved) and fields."""

    parts: tuple[str | Field, ...]
    text: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ListLit(Expr):
    """`[a, b]`: a tensor, or the sequence that a parameter takes when written directly as that argument."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NumberRow(Expr):
    """An innermost row of plain numbers, kept as values: a fast path of `ListLit` for long literals.

    `values` are ints, floats or (all) bools; `kind` is "int", "real" or "bool".
    """

    values: tuple[int | float | bool, ...]
    kind: str
    text: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TupleExpr(Expr):
    """`(a, b)` with parentheses in the span, or bare `a, b`; `parens` says which."""

    items: tuple[Expr, ...]
    parens: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Paren(Expr):
    """`( e )`, kept for the formatter and for spans."""

    inner: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Name(Expr):
    """A use or a binding of a name, NFKC-normalised."""

    id: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conditional(Expr):
    """`value if condition else otherwise`"""

    value: Expr
    condition: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pipe(Expr):
    """`x |> f` or `x |> f(y)`: `call` is the right side as written."""

    value: Expr
    call: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BoolOp(Expr):
    """A flat chain of `and` or of `or`."""

    op: str
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Not(Expr):
    value: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Compare(Expr):
    """`first ops[0] rest[0] ops[1] rest[1] …` with ops of `== != < <= > >= in`, `not in`."""

    first: Expr
    ops: tuple[str, ...]
    rest: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Chain(Expr):
    """A flat left-associative chain of binary operators of one level (`|`, `&`, `+ -`, or `* / // % @`).

    `a + b - c` is Chain(first=a, ops=("+", "-"), rest=(b, c)). The span of the k-th operation runs from
    `first.span.start` to `rest[k].span.end`.
    """

    first: Expr
    ops: tuple[str, ...]
    rest: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Unary(Expr):
    """`-x`, `+x`, `~x`"""

    op: str
    value: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Power(Expr):
    base: Expr
    exponent: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Var(Expr):
    """`var OPERAND [DTYPE] [grad]`"""

    operand: Expr
    dtype: str | None
    grad: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Arg(Node):
    """A positional (`name` is None) or keyword argument."""

    name: str | None
    value: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call(Expr):
    function: Expr
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Slice(Expr):
    """`a:b:c` within an index."""

    start: Expr | None
    stop: Expr | None
    step: Expr | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ellipsis_(Expr):
    """`...` within an index."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Index(Expr):
    """`x[i, a:b, ...]`"""

    value: Expr
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Member(Expr):
    value: Expr
    name: str
    name_span: Span


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Lambda(Expr):
    """`fn(x, y=2) = e`"""

    params: tuple[Param, ...]
    body: Expr
