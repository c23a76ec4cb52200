"""The one layout of a program: spaces, indentation and blank lines are the formatter's, line breaks and
comments the author's.

It works on the tokens of a parsed program, so that what it means cannot change. Line breaks inside a
statement are kept and indented; a line of more than 100 columns gets more of them, inside brackets and
after commas. `#>` and `#!` lines at column 1 hold expected output and stay as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from vardsl.source import Source
from vardsl.syntax.layout import INDENT, WIDTH, Atom, Comment, joined, lay_out
from vardsl.syntax.lexer import Token
from vardsl.syntax.parse import tokens_of


def format_source(source: Source) -> str:
    """The formatted text; syntax errors are raised."""
    atoms, end = _atoms(source.text, tokens_of(source))
    position, statements = _statements(atoms, 0)
    assert position == len(atoms), "blocks are balanced in a parsed program"
    lines: list[str] = []
    _write_all(lines, statements, 0, end)
    return "\n".join(lines) + "\n" if lines else ""


# ---- tokens with their comments and line breaks ---------------------------------------------------
_GAP = re.compile(r"#[^\r\n]*|\r\n|\r|\n")
_ROW_PART = re.compile(r"[\[\],]|[^\s\[\],]+")
_ROW_TYPES = {"[": "LSQB", "]": "RSQB", ",": "COMMA"}


def _atoms(text: str, tokens: list[Token]) -> tuple[list[Atom], list[Comment]]:
    """The tokens as atoms, separators left out, and the comments behind the last one."""
    atoms: list[Atom] = []
    at = 1 if text.startswith("\ufeff") else 0
    separated = False
    for token in tokens:
        if token.type == "SEP":
            separated = True
            continue
        for kind, word, start, end in _split(text, token):
            atom = Atom(kind, word, separated=separated)
            _comments(text, at, start, atoms[-1] if atoms else None, atom)
            atoms.append(atom)
            at, separated = end, False
    last = Atom("END", "")
    _comments(text, at, len(text), atoms[-1] if atoms else None, last)
    return atoms, last.leading


def _split(source: str, token: Token) -> list[tuple[str, str, int, int]]:
    if token.type != "ROW":
        # the spelling of the source, not the normalised name
        return [(token.type, source[token.start : token.end], token.start, token.end)]
    return [
        (_ROW_TYPES.get(part[0], "REAL"), part[0], token.start + part.start(), token.start + part.end())
        for part in _ROW_PART.finditer(token.text)
    ]


def _comments(text: str, start: int, end: int, before: Atom | None, atom: Atom) -> None:
    """Hand the comments between two atoms to the one whose line they end, or that they stand above."""
    line_ends = 0
    for part in _GAP.finditer(text, start, end):
        if part[0][0] != "#":
            line_ends += 1
            continue
        if line_ends == 0 and before is not None:
            before.trailing = part[0].rstrip()
            continue
        first_column = part.start() == 0 or text[part.start() - 1] in "\r\n\ufeff"
        kept = first_column and part[0][1:2] in (">", "!")
        blank = line_ends > 1 and (before is not None or bool(atom.leading))
        atom.leading.append(Comment(part[0] if kept else part[0].rstrip(), kept, blank))
        line_ends = 0
    atom.newline = line_ends > 0 or bool(atom.leading)
    atom.blank = line_ends > 1


# ---- statements and blocks ------------------------------------------------------------------------
@dataclass(slots=True)
class Block:
    """`{ … }`: its statements, and the comments before its `}`."""

    open: Atom
    statements: list[Statement]
    close: Atom


@dataclass(slots=True)
class Statement:
    parts: list[Atom | Block] = field(default_factory=list)

    @property
    def first(self) -> Atom:
        part = self.parts[0]
        assert isinstance(part, Atom), "no statement begins with a block"
        return part


def _statements(atoms: list[Atom], at: int) -> tuple[int, list[Statement]]:
    """The statements from `at` up to the `}` that ends them."""
    found: list[Statement] = []
    current: Statement | None = None
    while at < len(atoms) and atoms[at].type != "RBRACE":
        atom = atoms[at]
        if current is None or atom.separated:
            current = Statement()
            found.append(current)
        if atom.type == "LBRACE":
            at, inner = _statements(atoms, at + 1)
            current.parts.append(Block(atom, inner, atoms[at]))
        else:
            current.parts.append(atom)
        at += 1
    return at, found


def _write_all(lines: list[str], statements: list[Statement], indent: int, end: list[Comment]) -> None:
    top = len(lines)
    k = 0
    while k < len(statements):
        first = statements[k].first
        _write_comments(lines, first.leading, indent, top)
        if first.blank and len(lines) > top:
            lines.append("")
        stop = k + 1
        while stop < len(statements) and not statements[stop].first.newline:
            stop += 1
        below = statements[stop].first.leading if stop < len(statements) else end
        if stop > k + 1 and below and below[0].kept and all(map(_is_simple, statements[k:stop])):
            # the output below belongs to all statements of the line
            _write_line(lines, statements[k:stop], indent)
            k = stop
        else:
            _write(lines, statements[k], indent)
            k += 1
    _write_comments(lines, end, indent, top)


def _write_comments(lines: list[str], comments: list[Comment], indent: int, top: int) -> None:
    for comment in comments:
        if comment.blank and len(lines) > top:
            lines.append("")
        lines.append(comment.at(indent))


def _is_simple(statement: Statement) -> bool:
    return all(
        isinstance(part, Atom) and (part is statement.first or not part.newline) for part in statement.parts
    )


def _write_line(lines: list[str], statements: list[Statement], indent: int) -> None:
    texts = [joined(_flat(statement)) for statement in statements]
    lines.append(" " * indent + "; ".join(texts) + _tail(statements[-1]))


def _tail(statement: Statement) -> str:
    last = statement.parts[-1]
    trailing = last.close.trailing if isinstance(last, Block) else last.trailing
    return f"  {trailing}" if trailing else ""


def _write(lines: list[str], statement: Statement, indent: int) -> None:
    if any(isinstance(part, Block) for part in statement.parts) and _fits_a_line(statement, indent):
        lines.append(" " * indent + joined(_flat(statement)) + _tail(statement))
        return
    segment: list[Atom] = []
    for part in statement.parts:
        if isinstance(part, Atom):
            segment.append(part)
            continue
        segment.append(part.open)
        if not part.statements and not part.close.leading and not part.open.trailing:
            segment.append(part.close)
            continue
        lines += lay_out(segment, indent)
        _write_all(lines, part.statements, indent + INDENT, part.close.leading)
        part.close.leading = []
        segment = [part.close]
    lines += lay_out(segment, indent)


def _fits_a_line(statement: Statement, indent: int) -> bool:
    """Whether a statement with blocks was written on one line and may stay there."""
    atoms = _flat(statement)
    alone = not any(atom.newline or atom.leading for atom in atoms[1:]) and not any(
        a.trailing for a in atoms[:-1]
    )
    return alone and _single(statement) and indent + len(joined(atoms)) <= WIDTH


def _single(statement: Statement) -> bool:
    """Whether no block in it has more than one statement."""
    blocks = [part for part in statement.parts if isinstance(part, Block)]
    return all(len(block.statements) <= 1 and all(map(_single, block.statements)) for block in blocks)


def _flat(statement: Statement) -> list[Atom]:
    atoms: list[Atom] = []
    for part in statement.parts:
        if isinstance(part, Atom):
            atoms.append(part)
        else:
            atoms += [part.open, *(atom for inner in part.statements for atom in _flat(inner)), part.close]
    return atoms
