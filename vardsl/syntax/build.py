"""From children to tree: one callback per alternative of the grammar, named as its alias or rule.

Children are syntax nodes, tokens, or the lists that list rules grow in place. What the grammar cannot say
(what may be assigned to, an option given twice) is checked here and raised as a `Slip`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vardsl.source import Span
from vardsl.syntax import ast
from vardsl.syntax.lexer import Token
from vardsl.syntax.literals import Slip
from vardsl.syntax.words import DTYPES

Children = list[Any]


def span(children: Children) -> Span:
    """From the start of the first child to the end of the last."""
    return Span(children[0].span.start, children[-1].span.end)


def _reach(token: Token, last: Any) -> Span:
    return Span(token.start, last.span.end)


# ---- lists ----------------------------------------------------------------------------------------
def first(c: Children) -> list[Any]:
    return [c[0]]


def more(c: Children) -> list[Any]:
    c[0].append(c[2])
    return c[0]  # type: ignore[no-any-return]


def pair(c: Children) -> list[Any]:
    return [c[0], c[2]]


def parts(c: Children) -> list[Any]:
    return c


def more_parts(c: Children) -> list[Any]:
    c[0] += c[1:]
    return c[0]  # type: ignore[no-any-return]


def no_statements(c: Children) -> list[Any]:
    return []


def statements_end(c: Children) -> list[Any]:
    return c[0]  # type: ignore[no-any-return]


def no_params(c: Children) -> list[Any]:
    return []


no_options = no_statements


def option(c: Children) -> list[Any]:
    c[0].append(c[1:])
    return c[0]  # type: ignore[no-any-return]


def no_bound(c: Children) -> None:
    return None


# ---- statements -----------------------------------------------------------------------------------
def program(c: Children) -> ast.Program:
    body = c[0]
    return ast.Program(span(body) if body else Span(0, 0), tuple(body))


def lone_expression(c: Children) -> ast.Expr:
    return c[0]  # type: ignore[no-any-return]


field = lone_expression


def block(c: Children) -> ast.Block:
    return ast.Block(Span(c[0].start, c[2].end), tuple(c[1]))


def let(c: Children) -> ast.Let:
    return ast.Let(_reach(c[0], c[3]), c[1], c[3])


def assign(c: Children) -> ast.Assign:
    return ast.Assign(span(c), target(c[0]), c[2])


def aug_assign(c: Children) -> ast.AugAssign:
    return ast.AugAssign(span(c), single_target(c[0], c[1]), c[1].text[:-1], c[2])


def update(c: Children) -> ast.Update:
    return ast.Update(_reach(c[0], c[3]), single_target(c[1], c[2]), c[2].text[:-1], c[3])


def expr_stmt(c: Children) -> ast.ExprStmt:
    value = c[0]
    if isinstance(value, ast.TupleExpr) and not value.parens:
        raise Slip(
            value.span,
            "a tuple as a statement needs parentheses",
            "a tuple stands bare right of =, after return and after in",
        )
    return ast.ExprStmt(value.span, value)


def print_(c: Children) -> ast.Print:
    if len(c) == 1:
        return ast.Print(c[0].span, ())
    values = tuple(c[1])
    where = _reach(c[0], values[-1])
    only = values[0]
    if len(values) == 1 and isinstance(only, ast.TupleExpr):
        # print(1, 2) is print 1, 2; in print ((1, 2)) the tuple is inside a Paren
        values = only.items
    return ast.Print(where, values)


def fn_def(c: Children) -> ast.FnDef:
    return ast.FnDef(_reach(c[0], c[-1]), c[1].id, c[1].span, c[2], c[-1])


def return_(c: Children) -> ast.Return:
    return ast.Return(span(c), c[1] if len(c) > 1 else None)


def if_(c: Children) -> ast.If:
    return ast.If(_reach(c[0], c[-1]), c[1], c[2], c[4] if len(c) > 3 else None)


def while_(c: Children) -> ast.While:
    return ast.While(_reach(c[0], c[2]), c[1], c[2])


def for_(c: Children) -> ast.For:
    return ast.For(_reach(c[0], c[4]), c[1], c[3], c[4])


def break_(c: Children) -> ast.Break:
    return ast.Break(c[0].span)


def continue_(c: Children) -> ast.Continue:
    return ast.Continue(c[0].span)


def no_grad(c: Children) -> ast.NoGrad:
    return ast.NoGrad(_reach(c[0], c[1]), c[1])


def backward(c: Children) -> ast.Backward:
    options, end = _options(c[0], c[1], c[2])
    gradients = options.get("with", [])
    if gradients and len(gradients) != len(c[1]):
        raise Slip(
            span(gradients),
            f"backward has {len(c[1])} roots and {len(gradients)} gradients: with gives one for each",
        )
    return ast.Backward(
        Span(c[0].start, end),
        tuple(c[1]),
        tuple(gradients),
        "retain" in options,
        "create" in options,
        "step" in options,
    )


def zero_grad(c: Children) -> ast.ZeroGrad:
    if len(c) == 1:
        return ast.ZeroGrad(c[0].span, ())
    return ast.ZeroGrad(_reach(c[0], c[1][-1]), tuple(c[1]))


def minimize(c: Children) -> ast.Minimize:
    options, end = _options(c[0], [c[1]], c[2])
    where = Span(c[0].start, end)
    if "over" not in options:
        raise Slip(where, "minimize needs the variables to change", "write minimize loss over w, b")
    over = tuple(options["over"])
    return ast.Minimize(where, c[1], over, options.get("using"), options.get("steps"), options.get("until"))


def graph(c: Children) -> ast.Graph:
    options, end = _options(c[0], [c[1]], c[2])
    return ast.Graph(Span(c[0].start, end), c[1], options.get("to"))


def explain(c: Children) -> ast.Explain:
    options, end = _options(c[0], [c[1]], c[2])
    return ast.Explain(Span(c[0].start, end), c[1], tuple(options.get("wrt", ())), options.get("to"))


def why(c: Children) -> ast.Why:
    return ast.Why(_reach(c[0], c[1]), c[1])


def plot(c: Children) -> ast.Plot:
    options, end = _options(c[0], c[1], c[2])
    return ast.Plot(Span(c[0].start, end), tuple(c[1]), options.get("to"))


def _options(statement: Token, operands: Children, given: Children) -> tuple[dict[str, Any], int]:
    """Options by their word, and where the statement ends."""
    options: dict[str, Any] = {}
    end: int = operands[-1].span.end
    for word, *value in given:
        if word.text in options:
            raise Slip(word.span, f"{statement.text} has {word.text} twice")
        options[word.text] = value[0] if value else True
        last = (value[0][-1] if isinstance(value[0], list) else value[0]) if value else word
        end = last.span.end
    return options, end


def import_(c: Children) -> ast.Import:
    alias = c[3] if len(c) > 2 else None
    return ast.Import(_reach(c[0], alias or c[1]), c[1].value, c[1].span, alias and alias.id)


def assert_(c: Children) -> ast.Assert:
    values = c[1]
    if len(values) > 2:
        raise Slip(span(values[2:]), "assert has a condition and at most one message")
    if isinstance(values[0], ast.TupleExpr) and values[0].items:
        raise Slip(
            values[0].span, "this asserts a tuple, which is always true", "write assert condition, message"
        )
    return ast.Assert(_reach(c[0], values[-1]), values[0], values[1] if len(values) > 1 else None)


def del_(c: Children) -> ast.Del:
    return ast.Del(_reach(c[0], c[1][-1]), tuple(c[1]))


# ---- targets and names ----------------------------------------------------------------------------
def target(value: ast.Expr) -> ast.Expr:
    """An expression as what is assigned to; targets nest at most as deep as brackets do."""
    match value:
        case ast.Name() | ast.Index() | ast.Member():
            return value
        case ast.Paren(_, inner):
            return target(inner)
        case ast.TupleExpr(where, items, parens) if items:
            return ast.TupleExpr(where, tuple(target(item) for item in items), parens)
    hint = "what can be assigned to: a name, x[i], x.grad, or several of these with commas"
    if isinstance(value, ast.Compare | ast.BoolOp):
        hint = "to compare, write =="
    raise Slip(value.span, f"cannot assign to {described(value)}", hint)


def single_target(value: ast.Expr, operator: Token) -> ast.Expr:
    if isinstance(value, ast.TupleExpr):
        raise Slip(value.span, f"{operator.text} changes one target, not a tuple")
    return target(value)


_DESCRIBED = {
    ast.Call: "the result of a call",
    ast.Chain: "the result of an operator",
    ast.Power: "the result of an operator",
    ast.Unary: "the result of an operator",
    ast.BoolOp: "the result of an operator",
    ast.Not: "the result of an operator",
    ast.Compare: "a comparison",
    ast.Number: "a number",
    ast.Bool: "a boolean",
    ast.NoneLit: "none",
    ast.String: "a string",
    ast.FString: "a string",
    ast.ListLit: "a tensor literal",
    ast.NumberRow: "a tensor literal",
    ast.TupleExpr: "an empty tuple",
    ast.Conditional: "a conditional expression",
    ast.Pipe: "the result of a pipe",
    ast.Var: "a new variable",
    ast.Lambda: "a function",
}


def described(value: ast.Expr) -> str:
    """What an expression is, in words."""
    return _DESCRIBED.get(type(value), "this")


def name_paren(c: Children) -> ast.Expr:
    inner = c[1]
    if isinstance(inner, ast.TupleExpr):
        return ast.TupleExpr(span(c), inner.items, True)
    return inner  # type: ignore[no-any-return]


def name_tuple(c: Children) -> ast.TupleExpr:
    return bare_tuple(c)


def params(c: Children) -> tuple[ast.Param, ...]:
    given: list[ast.Param] = c[1]
    seen: set[str] = set()
    defaults = False
    for parameter in given:
        if parameter.name in seen:
            raise Slip(parameter.span, f"two parameters are named {parameter.name}")
        if defaults and parameter.default is None:
            raise Slip(parameter.span, f"{parameter.name} has no default, but a parameter before it has one")
        seen.add(parameter.name)
        defaults = parameter.default is not None
    return tuple(given)


def param(c: Children) -> ast.Param:
    return ast.Param(span(c), c[0].id, c[2] if len(c) > 1 else None)


# ---- expressions ----------------------------------------------------------------------------------
def bare_tuple(c: Children) -> ast.TupleExpr:
    items = c[0] if isinstance(c[0], list) else [c[0]]
    end = c[1].end if len(c) > 1 else items[-1].span.end
    return ast.TupleExpr(Span(items[0].span.start, end), tuple(items), False)


def lambda_(c: Children) -> ast.Lambda:
    return ast.Lambda(_reach(c[0], c[3]), tuple(c[1]), c[3])


def conditional(c: Children) -> ast.Conditional:
    return ast.Conditional(span(c), c[0], c[2], c[4])


def pipe(c: Children) -> ast.Pipe:
    return ast.Pipe(span(c), c[0], c[2])


def bool_op(c: Children) -> ast.BoolOp:
    operands = c[0]
    return ast.BoolOp(span(operands), operands[1].text, tuple(operands[::2]))


def not_(c: Children) -> ast.Not:
    return ast.Not(_reach(c[0], c[1]), c[1])


def not_in(c: Children) -> Token:
    return Token("IN", "not in", c[0].start, c[1].end)


def compare(c: Children) -> ast.Compare:
    all_ = c[0]
    return ast.Compare(span(all_), all_[0], tuple([op.text for op in all_[1::2]]), tuple(all_[2::2]))


def chain(c: Children) -> ast.Chain:
    all_ = c[0]
    return ast.Chain(span(all_), all_[0], tuple([op.text for op in all_[1::2]]), tuple(all_[2::2]))


def unary(c: Children) -> ast.Unary:
    return ast.Unary(_reach(c[0], c[1]), c[0].text, c[1])


def power(c: Children) -> ast.Power:
    return ast.Power(span(c), c[0], c[2])


def var(c: Children) -> ast.Var:
    dtype = next((child for child in c[2:] if isinstance(child, ast.Name)), None)
    if dtype is not None and dtype.id not in DTYPES:
        near = dtype.id.startswith(("g", "req"))
        hint = "to take part in the graph, write var x grad" if near else None
        raise Slip(
            dtype.span,
            f"{dtype.id} is no dtype",
            hint or f"the dtypes are {', '.join(DTYPES[:8])}",
            "var OPERAND DTYPE grad",
        )
    grad = isinstance(c[-1], Token)
    return ast.Var(_reach(c[0], c[-1]), c[1], dtype.id if dtype else None, grad)


def call(c: Children) -> ast.Call:
    arguments = c[2] if isinstance(c[2], list) else []
    named = False
    for argument in arguments:
        if named and argument.name is None:
            raise Slip(argument.span, "a positional argument cannot follow a keyword argument")
        named = named or argument.name is not None
    return ast.Call(Span(c[0].span.start, c[-1].end), c[0], tuple(arguments))


def positional(c: Children) -> ast.Arg:
    return ast.Arg(c[0].span, None, c[0])


def keyword(c: Children) -> ast.Arg:
    return ast.Arg(span(c), c[0].id, c[2])


def index(c: Children) -> ast.Index:
    if isinstance(c[0], ast.NumberRow) and len(c[2]) > 1 and all(isinstance(i, ast.Number) for i in c[2]):
        raise Slip(span(c[1:]), "two rows stand side by side", "perhaps a comma is missing between them")
    return ast.Index(Span(c[0].span.start, c[-1].end), c[0], tuple(c[2]))


def slice_(c: Children) -> ast.Slice:
    bounds = [child for child in c if not isinstance(child, Token)]
    there = [child for child in c if child is not None]
    return ast.Slice(span(there), bounds[0], bounds[1], bounds[2] if len(bounds) > 2 else None)


def member(c: Children) -> ast.Member:
    return ast.Member(Span(c[0].span.start, c[2].span.end), c[0], c[2].id, c[2].span)


def paren(c: Children) -> ast.Paren:
    return ast.Paren(Span(c[0].start, c[2].end), c[1])


def empty_tuple(c: Children) -> ast.TupleExpr:
    return ast.TupleExpr(Span(c[0].start, c[1].end), (), True)


def tuple_(c: Children) -> ast.TupleExpr:
    return ast.TupleExpr(Span(c[0].start, c[2].end), c[1].items, True)


def list_(c: Children) -> ast.ListLit:
    items = c[1] if isinstance(c[1], list) else []
    return ast.ListLit(Span(c[0].start, c[-1].end), tuple(items))


def callbacks(names: set[str]) -> dict[str, Callable[[Children], Any]]:
    """The callbacks by what the grammar calls them; a Python word has an underscore behind it here."""
    here = globals()
    return {name: here[name + "_"] if name + "_" in here else here[name] for name in names}
