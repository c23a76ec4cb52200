"""What the tests of the syntax share: parse a text, find its error, read nodes back as text."""

from __future__ import annotations

from vardsl.errors import Error, ManyErrors
from vardsl.source import Source
from vardsl.syntax import ast
from vardsl.syntax.parse import parse, parse_expression


def program(text: str) -> tuple[ast.Stmt, ...]:
    return parse(Source("<test>", text)).body


def statement(text: str) -> ast.Stmt:
    (only,) = program(text)
    return only


def expression(text: str) -> ast.Expr:
    return parse_expression(Source("<test>", text))


def errors(text: str) -> list[Error]:
    """The errors of a text; none if it is a program."""
    try:
        program(text)
    except ManyErrors as many:
        return list(many.errors)
    except Error as error:
        return [error]
    return []


def error(text: str) -> Error:
    (only,) = errors(text)
    return only


def accepted(text: str) -> bool:
    return not errors(text)


def shape(node: object) -> object:
    """A tree without its spans and spellings: equal for equal meaning."""
    if isinstance(node, ast.NumberRow):
        return ("NumberRow", node.kind, node.values)
    if isinstance(node, ast.Node):
        left_out = ("span", "name_span", "path_span", "text")
        return (
            type(node).__name__,
            *(shape(getattr(node, f)) for f in type(node).fields if f not in left_out),
        )
    if isinstance(node, tuple):
        return tuple(map(shape, node))
    return node


def written(node: ast.Expr) -> str:
    """An expression with all its brackets, to see how it was grouped."""
    match node:
        case ast.Name(_, name):
            return name
        case ast.Number(_, _, text):
            return text
        case ast.Chain(_, head, ops, rest) | ast.Compare(_, head, ops, rest):
            return "(" + written(head) + "".join(f" {op} {written(e)}" for op, e in zip(ops, rest)) + ")"
        case ast.BoolOp(_, op, values):
            return "(" + f" {op} ".join(map(written, values)) + ")"
        case ast.Unary(_, op, value):
            return f"({op}{written(value)})"
        case ast.Not(_, value):
            return f"(not {written(value)})"
        case ast.Power(_, base, exponent):
            return f"({written(base)} ** {written(exponent)})"
        case ast.Pipe(_, value, call):
            return f"({written(value)} |> {written(call)})"
        case ast.Conditional(_, value, condition, otherwise):
            return f"({written(value)} if {written(condition)} else {written(otherwise)})"
        case ast.Lambda(_, params, body):
            return f"(fn({', '.join(p.name for p in params)}) = {written(body)})"
        case ast.Var(_, operand, dtype, grad):
            return f"(var {written(operand)}{' ' + dtype if dtype else ''}{' grad' if grad else ''})"
        case ast.Call(_, function, args):
            return f"{written(function)}({', '.join(written(a.value) for a in args)})"
        case ast.Member(_, value, name, _):
            return f"{written(value)}.{name}"
        case ast.Index(_, value, items):
            return f"{written(value)}[{', '.join(written(i) for i in items)}]"
        case ast.Paren(_, inner):
            return written(inner)
    return type(node).__name__
