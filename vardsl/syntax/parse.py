"""Source to tree: drives lark's tables over the lexer's tokens, and goes on after an error."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

from vardsl.encoding import MAX_SOURCE
from vardsl.errors import Error, Label, LimitError, ManyErrors, ScriptSyntaxError
from vardsl.source import Source, Span
from vardsl.syntax import ast, literals
from vardsl.syntax.build import callbacks
from vardsl.syntax.grammar import END, Tables, tables
from vardsl.syntax.lexer import MAX_DEPTH, Lexer, Token, TooDeep
from vardsl.syntax.literals import Slip

MAX_ERRORS = 20


def parse(source: Source, max_source: int = MAX_SOURCE) -> ast.Program:
    """The program, or every syntax error in it: one is raised as itself, several as `ManyErrors`."""
    check_text(source, max_source)
    result = Parser(source, "program", start=after_mark(source)).run()
    assert isinstance(result, ast.Program)
    return result


def parse_expression(source: Source, max_source: int = MAX_SOURCE) -> ast.Expr:
    """A text that is one expression."""
    check_text(source, max_source)
    result = Parser(source, "lone_expression", start=after_mark(source)).run()
    assert isinstance(result, ast.Expr)
    return result


def tokens_of(source: Source) -> list[Token]:
    """The tokens of a program as the parser took them; what is no program is an error."""
    check_text(source, MAX_SOURCE)
    parser = Parser(source, "program", start=after_mark(source))
    parser.tokens = []
    parser.run()
    return parser.tokens


_REFUSED = re.compile(
    "[\x00\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ud800-\udfff]"
)


def after_mark(source: Source) -> int:
    """Where the text begins, behind a byte-order mark."""
    return 1 if source.text.startswith("\ufeff") else 0


def check_text(source: Source, max_source: int) -> None:
    """Refuse a text that is too long, and characters that nobody can see."""
    if len(source.text) > max_source:
        raise LimitError(f"this source is longer than {max_source:,} characters, the limit for a program")
    found = _REFUSED.search(source.text, after_mark(source))
    if found is None:
        return
    code = ord(found[0])
    name = import_module("unicodedata").name(found[0], "a surrogate").lower() if code else "NUL"
    line, column = source.position(found.start())
    raise ScriptSyntaxError(
        f"the invisible character U+{code:04X} ({name}) is not allowed at line {line}, column {column}",
        labels=[Label(source, Span(found.start(), found.end()), "it stands here and cannot be seen")],
        hint="delete it; in a string it is written as an escape, such as "
        + (f"\\u{code:04x}" if code else "\\0"),
    )


@cache
def _reductions() -> list[tuple[str, int, Callable[[list[Any]], Any] | None]]:
    """Origin, size and callback of every rule; a rule without callback passes its only child on."""
    rules = tables().rules
    functions = callbacks({rule.name for rule in rules if rule.name})
    return [(rule.origin, rule.size, functions[rule.name] if rule.name else None) for rule in rules]


@cache
def _hops() -> dict[tuple[int, int, str], int]:
    """Where a run of passing-on rules ends, by (state below, state, lookahead); filled as it is met."""
    return {}


def _mistakes() -> Any:
    """What there is to say about a text that is no program; loaded for the first one."""
    return import_module("vardsl.syntax.mistakes")


class Mark:
    """Where a statement began: how many brackets were open, how high the stack was, its first token."""

    __slots__ = ("brackets", "head", "height")

    def __init__(self, brackets: int, height: int) -> None:
        self.brackets = brackets
        self.height = height
        self.head: Token | None = None


class Parser:
    """One pass over a text, from a start rule of the grammar."""

    def __init__(
        self,
        source: Source,
        rule: str,
        start: int = 0,
        end: int = -1,
        *,
        field: bool = False,
        depth: int = 0,
        first_error_only: bool = False,
    ) -> None:
        self.source = source
        self.tables: Tables = tables()
        self.lexer = Lexer(source.text, self.tables, start, end, in_field=field, depth=depth)
        self.state, self.accepting = self.tables.starts[rule]
        self.stack = [self.state]
        self.values: list[Any] = []
        self.recent: deque[Token] = deque(maxlen=4)
        # the statements that are being read, each in a block of the one before; whether a new one begins
        self.marks = [Mark(0, 1)]
        self.fresh = True
        self.errors: list[Error] = []
        self.first_error_only = first_error_only
        self.failed_at: Token | None = None
        self.tokens: list[Token] | None = None

    def run(self) -> Any:
        """The value of the start rule."""
        try:
            result = self._parse()
        except TooDeep as deep:
            raise LimitError(
                f"this nests deeper than {MAX_DEPTH} levels, the limit for brackets and operators",
                labels=[Label(self.source, deep.span, "one level too many")],
                hint="give parts of it names with let",
            ) from None
        if self.errors:
            raise self.errors[0] if len(self.errors) == 1 else ManyErrors(self.errors)
        return result

    def _parse(self) -> Any:
        lexer, actions = self.lexer, self.tables.actions
        lexer.actions = actions[self.stack[-1]]
        tokens = iter(lexer)
        while True:
            token = next(tokens)
            try:
                if self._feed(token):
                    return self.values[-1]
            except Slip as slip:
                self._fail(self._slip(slip))
            except (ScriptSyntaxError, ManyErrors) as error:
                self._fail(error)
            else:
                self.recent.append(token)
                if self.fresh and token.type != "RBRACE":
                    self.marks[-1].head = token
                self.fresh = token.type == "SEP" or token.type == "LBRACE"
                if self.tokens is not None:
                    self.tokens.append(token)
                lexer.actions = actions[self.stack[-1]]
                continue
            self.failed_at = self.failed_at or token
            if self.first_error_only:
                return None
            token = self._skip(token, tokens)
            self.fresh = token.type == "SEP"
            if token.type == END or len(self.errors) >= MAX_ERRORS:
                return None
            lexer.actions = actions[self.stack[-1]]

    def _feed(self, token: Token) -> bool:
        """Shift a token after the reductions that it calls for; true when the start rule is complete."""
        stack, values, actions, gotos = self.stack, self.values, self.tables.actions, self.tables.gotos
        reductions, hops, kind = _reductions(), _hops(), token.type
        while True:
            state = stack[-1]
            action = actions[state].get(kind)
            if action is None:
                raise self._unexpected(token)
            if action >= 0:
                convert = _VALUES.get(kind)
                values.append(token if convert is None else convert(token, self))
                stack.append(action)
                if kind in _MARKS:
                    self._mark(kind)
                return False
            origin, size, callback = reductions[~action]
            if callback is None:
                key = (stack[-2], state, kind)
                hop = hops.get(key)
                stack[-1] = self._hop(key) if hop is None else hop
                continue
            if size:
                children = values[-size:]
                del values[-size:], stack[-size:]
            else:
                children = []
            try:
                values.append(callback(children))
            except Slip:
                values.append(None)
                stack.append(gotos[stack[-1]][origin])
                raise
            stack.append(gotos[stack[-1]][origin])
            if kind == END and stack[-1] == self.accepting:
                return True

    def _hop(self, key: tuple[int, int, str]) -> int:
        below, state, kind = key
        while True:
            action = self.tables.actions[state].get(kind)
            if action is None or action >= 0:
                break
            origin, _, callback = _reductions()[~action]
            if callback is not None:
                break
            state = self.tables.gotos[below][origin]
        _hops()[key] = state
        return state

    def parse_field(self, start: int, end: int) -> tuple[ast.Expr, int]:
        """The expression of an f-string's field, and where it ended."""
        parser = Parser(self.source, "field", start, end, field=True, depth=self.lexer.depth)
        return parser.run(), parser.lexer.position

    def _mark(self, kind: str) -> None:
        if kind == "SEP":
            self.marks[-1].height = len(self.stack)
        elif kind == "LBRACE":
            self.marks.append(Mark(len(self.lexer.brackets), len(self.stack)))
        elif kind == "RBRACE":
            self.marks.pop()

    # ---- errors -----------------------------------------------------------------------------------
    def _unexpected(self, token: Token) -> Error:
        head = self.marks[-1].head
        if self.fresh or head is None:
            head = token
        mistakes, stands = _mistakes(), accepts(self.tables, self.stack)
        at = mistakes.Situation(self.source, self.lexer, token, tuple(self.recent), head, stands)
        error: Error = mistakes.unexpected(at)
        return error

    def _slip(self, slip: Slip) -> Error:
        kind = LimitError if slip.limit else ScriptSyntaxError
        return kind(slip.message, labels=[Label(self.source, slip.span, slip.label)], hint=slip.hint)

    def _fail(self, error: Error) -> None:
        if isinstance(error, LimitError):
            raise error
        self.errors += error.errors if isinstance(error, ManyErrors) else [error]

    def _skip(self, token: Token, tokens: Iterator[Token]) -> Token:
        """Pass over the rest of a statement that failed, and stand before the next one."""
        brackets, height = self.marks[-1].brackets, self.marks[-1].height
        del self.stack[height:], self.values[height - 1 :]
        lexer = self.lexer
        if lexer.in_field:
            return Token(END, "", token.start, token.start)
        mismatched = token.type in ("BAD_RPAR", "BAD_RSQB") and lexer.top.closer in (")", "]")
        if token.type != END and (mismatched or _mistakes().is_unclosed(lexer, token)):
            lexer.leave_line(token, self.recent[-1].end if self.recent else token.start, brackets)
            token = next(tokens)
        while True:
            if token.type == END:
                return token
            if token.type == "SEP" and len(lexer.brackets) <= brackets:
                self.recent.clear()
                return token
            if token.type == "RBRACE" and len(lexer.brackets) < brackets:
                self._feed(token)
                self.recent.clear()
                return token
            token = next(tokens)


def accepts(tables_: Tables, stack: list[int]) -> frozenset[str]:
    """The terminals that may really stand next: LALR states list some that a later reduction would refuse."""
    return frozenset(kind for kind in tables_.actions[stack[-1]] if _takes(tables_, stack, kind))


def _takes(tables_: Tables, stack: list[int], kind: str) -> bool:
    states = list(stack)
    while True:
        action = tables_.actions[states[-1]].get(kind)
        if action is None:
            return False
        if action >= 0:
            return True
        rule = tables_.rules[~action]
        if rule.size:
            del states[-rule.size :]
        goto = tables_.gotos[states[-1]].get(rule.origin)
        if goto is None:
            return True
        states.append(goto)


# How the tree holds a token; any other is passed to the callbacks as it is.
_VALUES: dict[str, Callable[[Token, Parser], Any]] = {
    "NAME": lambda token, _: ast.Name(token.span, token.text),
    "INTEGER": lambda token, _: literals.integer(token),
    "REAL": lambda token, _: literals.real(token),
    "ROW": lambda token, _: literals.row(token),
    "STRING": lambda token, _: literals.string(token),
    "FSTRING": lambda token, parser: literals.fstring(token, parser.parse_field),
    "TRUE": lambda token, _: ast.Bool(token.span, True),
    "FALSE": lambda token, _: ast.Bool(token.span, False),
    "NONE": lambda token, _: ast.NoneLit(token.span),
    "ELLIPSIS": lambda token, _: ast.Ellipsis_(token.span),
}
_MARKS = frozenset(["SEP", "LBRACE", "RBRACE"])
