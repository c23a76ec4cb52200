"""From text to code: parses, checks and compiles; loaded only where a text has not been translated before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from vardsl.errors import Error
from vardsl.lang import check as checking
from vardsl.lang.compile import Compiler
from vardsl.lang.pieces import Piece, Translation
from vardsl.lang.scope import assigned_in, declared_in
from vardsl.source import Source
from vardsl.syntax import ast
from vardsl.syntax.parse import parse, parse_expression

Imported = Callable[[ast.Import], Iterable[str] | None]


def translate(
    source: Source,
    program: ast.Program | None,
    *,
    known: Iterable[str],
    captured: Iterable[str],
    complete: bool,
    imported: Imported,
    shown: bool,
    plan: bool,
) -> Translation:
    """The code of a program, or of a part of one that is parsed already. Raises what is wrong with it."""
    if program is None:
        program = parse(source)
    outside = False

    def brought(statement: ast.Import) -> Iterable[str] | None:
        nonlocal outside
        outside = True
        return imported(statement)

    checked = checking.check(
        source, program, known=known, captured=captured, complete=complete, imported=brought
    )
    checking.raise_errors(checked.errors)
    return Translation(
        _pieces(Compiler(checked, shown=shown, plan=plan)),
        checked.captured,
        expression=bool(program.body) and isinstance(program.body[-1], ast.ExprStmt),
        lasting=not outside,
    )


def _pieces(compiler: Compiler) -> Iterator[Piece]:
    for code in compiler.chunks():
        yield Piece(
            code,
            tuple(sorted(compiler.builtins_used)),
            tuple(sorted(compiler.methods)),
            tuple(compiler.regions),
        )
        compiler.builtins_used.clear()
        compiler.methods.clear()


def program_of(source: Source, *, known: Iterable[str], complete: bool, imported: Imported) -> ast.Program:
    """The program in a text. Raises what is known to be wrong with it before it runs."""
    program = parse(source)
    checked = checking.check(source, program, known=known, complete=complete, imported=imported)
    checking.raise_errors(checked.errors)
    return program


def statement_alone(statement: ast.Stmt) -> ast.Program:
    """A statement as a program."""
    return ast.Program(statement.span, (statement,))


def expression_alone(expression: ast.Expr) -> ast.Program:
    """An expression as a program."""
    return ast.Program(expression.span, (ast.ExprStmt(expression.span, expression),))


def expression_in(source: Source) -> ast.Program:
    """A text that is one expression, as a program."""
    return expression_alone(parse_expression(source))


def names_brought(source: Source) -> list[str] | None:
    """The names that a file binds when it is imported; None where that cannot be told before it runs."""
    try:
        program = parse(source)
    except Error:
        return None
    if any(isinstance(s, ast.Import) and s.alias is None for s in program.body):
        return None
    return [*declared_in(program.body), *assigned_in(program.body, frozenset())]
