"""The atoms of one statement as lines: spaces, indentation, and more breaks where a line is too long."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from vardsl.syntax.lexer import OPERAND_ENDS

WIDTH = 100
INDENT = 2


@dataclass(slots=True)
class Comment:
    """A comment on a line of its own; `kept` is expected output, which no indentation may move."""

    text: str
    kept: bool
    blank: bool

    def at(self, indent: int) -> str:
        if self.kept:
            return self.text
        # at column 1 it would become expected output
        return " " * (indent or int(self.text[1:2] in (">", "!"))) + self.text


@dataclass(slots=True)
class Atom:
    """A token with the comments above it and behind it, and the line ends before it."""

    type: str
    text: str
    newline: bool = False
    blank: bool = False
    separated: bool = False
    leading: list[Comment] = field(default_factory=list)
    trailing: str = ""


# ---- spaces ---------------------------------------------------------------------------------------
_OPENERS = {"LPAR": "RPAR", "LSQB": "RSQB"}
_CLOSERS = frozenset(_OPENERS.values())
_ENDS_SUM = frozenset(
    [
        "COMMA",
        "COLON",
        "EQ",
        "AUG",
        "COMPARE",
        "IN",
        "NOT",
        "AND",
        "OR",
        "PIPE",
        "BAR",
        "AMP",
        "IF",
        "ELSE",
        "LBRACE",
        "RBRACE",
        "GRAD",
        "OVER",
        "USING",
        "STEPS",
        "UNTIL",
        "WITH",
        "TO",
        "WRT",
        "STEP",
        "RETAIN",
        "CREATE",
    ]
)
_SIGNS = frozenset(["PLUS", "MINUS", "TILDE"])
_EXPONENT = re.compile(r"[eE][0-9]")


def spaces(atoms: list[Atom]) -> list[bool]:
    """Whether a blank stands before each atom when it is on the line of the one before it."""
    wide = [False] * len(atoms)
    tight = _tight(atoms)
    brackets: list[str] = []
    unary = False
    for k, atom in enumerate(atoms):
        before = atoms[k - 1] if k else None
        if before is not None:
            close = k in tight or k - 1 in tight
            wide[k] = not close and _is_wide(atoms, k, brackets[-1] if brackets else "", unary)
        # a sign is a prefix unless a value stands before it
        unary = atom.type in _SIGNS and (before is None or before.type not in OPERAND_ENDS)
        if atom.type in _OPENERS:
            brackets.append(atom.type)
        elif atom.type in _CLOSERS and brackets:
            brackets.pop()
    return wide


def _tight(atoms: list[Atom]) -> set[int]:
    """The products that stand in a sum, which are written without blanks: `3*x + y`, but `3 * x`."""
    found: set[int] = set()
    stack: list[_Sum] = [_Sum()]
    for k, atom in enumerate(atoms):
        kind = atom.type
        if kind in _OPENERS:
            stack.append(_Sum())
        elif kind in _CLOSERS:
            found |= stack.pop().tight()
        elif kind == "MULTIPLY":
            stack[-1].products.append(k)
            stack[-1].plain = stack[-1].plain and atom.text != "@"
        elif kind in ("PLUS", "MINUS"):
            stack[-1].sum = stack[-1].sum or (k > 0 and atoms[k - 1].type in OPERAND_ENDS)
        elif kind in _ENDS_SUM:
            found |= stack[-1].tight()
            stack[-1] = _Sum()
    return found.union(*(level.tight() for level in stack))


@dataclass(slots=True)
class _Sum:
    """What is known of a sum as it is read: its products, whether it is one, whether none is of matrices."""

    products: list[int] = field(default_factory=list)
    sum: bool = False
    plain: bool = True

    def tight(self) -> set[int]:
        return set(self.products) if self.sum and self.plain else set()


def _is_wide(atoms: list[Atom], k: int, bracket: str, unary: bool) -> bool:
    before, kind = atoms[k - 1], atoms[k].type
    last = before.type
    if (
        unary
        or last in _OPENERS
        or kind in _CLOSERS
        or kind in ("COMMA", "POWER")
        or last in ("POWER", "DOT")
    ):
        return False
    if kind == "COLON":
        return last == "COMMA"
    if kind == "DOT":
        # 2.e1 and 2...x would be other tokens
        name = atoms[k + 1].text if k + 1 < len(atoms) else ""
        return before.text.endswith(".") or (last == "INTEGER" and bool(_EXPONENT.match(name)))
    if last == "COLON":
        return False
    if kind == "LPAR" and last == "PRINT":
        return not _closes_all(atoms, k)
    if kind in _OPENERS:
        return last not in OPERAND_ENDS and last != "FN"
    if "EQ" in (kind, last) and bracket == "LPAR":
        named = before if kind == "EQ" else atoms[k - 2]
        return named.type != "NAME"
    return True


def _closes_all(atoms: list[Atom], opener: int) -> bool:
    """Whether a bracket closes at the end of the statement that it is in."""
    depth = 0
    for k in range(opener, len(atoms)):
        depth += (atoms[k].type in _OPENERS) - (atoms[k].type in _CLOSERS)
        if depth == 0:
            following = atoms[k + 1] if k + 1 < len(atoms) else None
            return following is None or following.separated or following.type == "RBRACE"
    return False


def joined(atoms: list[Atom]) -> str:
    """Atoms on one line."""
    return "".join(" " + atom.text if wide else atom.text for atom, wide in zip(atoms, spaces(atoms)))


# ---- lines ----------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Open:
    """An open bracket: which atom, its line's indentation, where its content starts, whether it hangs."""

    index: int
    indent: int
    column: int
    hangs: bool


@dataclass(slots=True)
class _Line:
    """A line as laid out: its atoms, what encloses its start, and where lines under it start."""

    text: str
    start: int
    end: int
    indent: int
    inner: int
    comment: str = ""
    comments: list[str] = field(default_factory=list)

    @property
    def too_long(self) -> bool:
        # a string may hold line ends
        return any(len(part) > WIDTH for part in self.text.splitlines())


def lay_out(atoms: list[Atom], indent: int) -> list[str]:
    """The lines of a statement, or of a part of it that ends with a `{`."""
    wide = spaces(atoms)
    breaks = [_breaks(atoms, k) for k in range(len(atoms))]
    pairs = _pairs(atoms)
    while True:
        lines = _lines(atoms, wide, breaks, indent)
        grown = [_break_more(atoms, wide, breaks, pairs, line) for line in lines if line.too_long]
        if not any(grown):
            break
    out: list[str] = []
    for line in lines:
        out += line.comments
        out.append(line.text + (f"  {line.comment}" if line.comment else ""))
    return out


def _breaks(atoms: list[Atom], k: int) -> bool:
    if k == 0:
        return False
    return bool(atoms[k - 1].trailing) or (atoms[k].newline and atoms[k].type not in ("LBRACE", "RBRACE"))


def _pairs(atoms: list[Atom]) -> dict[int, int]:
    """The closing bracket of every opening one."""
    pairs, stack = {}, []
    for k, atom in enumerate(atoms):
        if atom.type in _OPENERS:
            stack.append(k)
        elif atom.type in _CLOSERS:
            pairs[stack.pop()] = k
    return pairs


def _lines(atoms: list[Atom], wide: list[bool], breaks: list[bool], indent: int) -> list[_Line]:
    lines: list[_Line] = []
    stack: list[_Open] = []
    parts: list[str] = [" " * indent]
    start, margin, column = 0, indent, indent
    inner = indent + INDENT
    comments: list[str] = []
    for k, atom in enumerate(atoms):
        if breaks[k]:
            lines.append(_Line("".join(parts), start, k, margin, inner, atoms[k - 1].trailing, comments))
            top = stack[-1] if stack else None
            inner = _inner(top, indent)
            closes = top is not None and atom.type in _CLOSERS
            margin = top.indent if top is not None and closes and top.hangs else inner
            comments = [comment.at(inner) for comment in atom.leading]
            parts, start, column = [" " * margin, atom.text], k, margin + len(atom.text)
        else:
            text = " " + atom.text if wide[k] else atom.text
            parts.append(text)
            column += len(text)
        if atom.type in _OPENERS:
            stack.append(_Open(k, margin, column, k + 1 < len(atoms) and breaks[k + 1]))
        elif atom.type in _CLOSERS:
            stack.pop()
    lines.append(_Line("".join(parts), start, len(atoms), margin, inner, atoms[-1].trailing, comments))
    return lines


def _inner(top: _Open | None, indent: int) -> int:
    if top is None:
        return indent + INDENT
    return top.indent + INDENT if top.hangs else top.column


def _break_more(
    atoms: list[Atom], wide: list[bool], breaks: list[bool], pairs: dict[int, int], line: _Line
) -> bool:
    """Break a line that is too long: inside its widest outer bracket, or behind commas."""
    commas, groups, depth = [], [], 0
    for k in range(line.start, line.end):
        kind = atoms[k].type
        if kind in _OPENERS:
            if depth == 0 and pairs[k] > k + 1 and not breaks[k + 1]:
                groups.append(k)
            depth += 1
        elif kind in _CLOSERS:
            depth -= 1
        elif kind == "COMMA" and depth == 0 and k + 1 < line.end and atoms[k + 1].type not in _CLOSERS:
            commas.append(k)
    enclosed = line.start > 0
    if commas and (enclosed or not groups):
        _fill(atoms, wide, breaks, commas, line)
        return True
    if not groups:
        return False
    widest = max(groups, key=lambda k: min(pairs[k], line.end) - k)
    breaks[widest + 1] = True
    breaks[pairs[widest]] = True
    return True


def _fill(atoms: list[Atom], wide: list[bool], breaks: list[bool], commas: list[int], line: _Line) -> None:
    """Put as many items on each line as fit: a break behind the last comma before the width."""
    column, at, last = line.indent, line.start, -1
    broke = False
    for comma in commas:
        width = _width(atoms, wide, at, comma + 1)
        if column + width > WIDTH and last >= 0:
            breaks[last + 1] = broke = True
            column = line.inner
        column += width
        at, last = comma + 1, comma
    if column + _width(atoms, wide, at, line.end) > WIDTH or not broke:
        breaks[last + 1] = True


def _width(atoms: list[Atom], wide: list[bool], start: int, end: int) -> int:
    return sum(len(atoms[k].text) + wide[k] for k in range(start, end))
