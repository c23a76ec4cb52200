"""Text to tokens: words, line ends, brackets, rows of numbers, and how deep things nest.

The parser pulls one token at a time and leaves in `actions` what may stand next; so a word such as `over`
is a keyword exactly where the grammar has room for it, and a line end separates statements exactly where
one can end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module

from vardsl.source import Span
from vardsl.syntax.grammar import END, Tables
from vardsl.syntax.words import HARD_KEYWORDS, SOFT_KEYWORDS, TERMINAL_OF

MAX_DEPTH = 200

_OPENERS = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}
_CLOSERS = {"RPAR": "(", "RSQB": "[", "RBRACE": "{"}
_HARD = frozenset(HARD_KEYWORDS)
_SOFT = frozenset(word.upper() for word in SOFT_KEYWORDS)
_BINDING = re.compile(r"[ \t\f]*(?:=(?!=)|(?:\*\*|//|[-+*/%@])=(?!=))")
_LINE_END = re.compile(r"[\r\n]")
_ELSE = re.compile(r"[ \t\f]*else\b")

# After these a line end is a blank.
GOES_ON = frozenset(
    [
        "PLUS",
        "MINUS",
        "MULTIPLY",
        "POWER",
        "COMPARE",
        "IN",
        "NOT",
        "AND",
        "OR",
        "PIPE",
        "AMP",
        "BAR",
        "TILDE",
        "COMMA",
        "EQ",
        "AUG",
        "LBRACE",
        "IF",
        "ELSE",
    ]
)
# After these a sign is binary, and a bracket is a call or an index.
OPERAND_ENDS = frozenset(
    [
        "NAME",
        "INTEGER",
        "REAL",
        "STRING",
        "FSTRING",
        "ROW",
        "TRUE",
        "FALSE",
        "NONE",
        "RPAR",
        "RSQB",
        "ELLIPSIS",
        "GRAD",
        "BAD_NUMBER",
        "BAD_STRING",
    ]
)
_PREFIXES = frozenset(["PLUS", "MINUS", "TILDE"])
# What nests without brackets comes to an end: all of it, or what binds tighter than these operators.
_ENDS_ALL = frozenset(["COMMA", "COLON", "SEP"])
_ENDS_TIGHT = frozenset(
    [
        "PLUS",
        "MINUS",
        "MULTIPLY",
        "COMPARE",
        "IN",
        "AND",
        "OR",
        "AMP",
        "BAR",
        "PIPE",
        "IF",
        "ELSE",
        "EQ",
        "AUG",
    ]
)
_ENDS_NOT = frozenset(["AND", "OR", "PIPE", "IF", "ELSE", "EQ"])
_COUNTED = _PREFIXES | _ENDS_ALL | _ENDS_TIGHT | {"POWER", "DOT", "NOT", *_OPENERS, *_CLOSERS}

_DIGITS = r"[0-9](?:_?[0-9])*+"
_EXPONENT = rf"[eE][-+]?+{_DIGITS}"
_WHOLE = r"(?:0(?:_?0)*+|[1-9](?:_?[0-9])*+)"
_INT = rf"[-+]?+{_WHOLE}"
_REAL = (
    rf"[-+]?+(?:{_DIGITS}(?:\.(?:{_DIGITS})?+(?:{_EXPONENT})?+|{_EXPONENT})"
    rf"|\.{_DIGITS}(?:{_EXPONENT})?+|{_WHOLE})"
)
_BLANK = r"[ \t\f\r\n]*+"
ROW = re.compile(
    rf"\[{_BLANK}(?:"
    rf"(?P<int>{_INT}(?:{_BLANK},{_BLANK}{_INT})*+)"
    rf"|(?P<bool>(?:true|false|True|False)\b(?:{_BLANK},{_BLANK}(?:true|false|True|False)\b)*+)"
    rf"|(?P<real>{_REAL}(?:{_BLANK},{_BLANK}{_REAL})*+)"
    rf"){_BLANK}(?:,{_BLANK})?\]"
)


def _normalized(word: str) -> str:
    """The name that a word with other than ASCII letters spells."""
    name: str = import_module("unicodedata").normalize("NFKC", word)
    return name


class TooDeep(Exception):
    """Brackets or operators nest deeper than `MAX_DEPTH`."""

    def __init__(self, span: Span) -> None:
        super().__init__(span)
        self.span = span


class Token:
    """A terminal of the grammar with its place in the source."""

    __slots__ = ("end", "start", "text", "type")

    def __init__(self, type: str, text: str, start: int, end: int) -> None:
        self.type = type
        self.text = text
        self.start = start
        self.end = end

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


class Bracket:
    """An open bracket: what closes it, what stands before it, and the nesting of its content on top of it."""

    __slots__ = ("after", "closer", "loose", "named_function", "nots", "tight", "token")

    def __init__(self, token: Token, closer: str, after: str = "SEP", named_function: bool = False) -> None:
        self.token = token
        self.closer = closer
        self.after = after
        self.named_function = named_function
        self.loose = self.nots = self.tight = 0


class Lexer:
    """Tokens of `text[start:end]`; the last one is `$END`.

    actions   what the grammar allows next, kept up to date by the parser
    in_field  inside a field of an f-string: `}`, `:` and `!` outside brackets end the text
    """

    def __init__(
        self,
        text: str,
        tables: Tables,
        start: int = 0,
        end: int = -1,
        *,
        in_field: bool = False,
        depth: int = 0,
    ) -> None:
        self.text = text
        self.tables = tables
        self.position = start
        self.end = end if end >= 0 else len(text)
        self.in_field = in_field
        self.depth = depth
        self.actions: dict[str, int] = {}
        self.brackets: list[Bracket] = []
        self.last = self.before = "SEP"
        self.closed: Bracket | None = None
        # the nesting of the text outside all brackets is kept in a bracket that is never closed
        self.bottom = Bracket(Token("LBRACE", "", start, start), "")
        self.top = self.bottom

    def __iter__(self) -> Iterator[Token]:
        text, match, end = self.text, self.tables.scanner.match, self.end
        while True:
            found = match(text, self.position, end)
            assert found is not None, "the scanner matches everything"
            kind = found.lastgroup or "END"
            start, stop = found.span(kind)
            self.position = stop
            if kind == "NAME":
                kind, stop = self._word(start, stop)
                word = text[start:stop]
                if not word.isascii() and kind == "NAME":
                    word = _normalized(word)
            elif kind == "NEWLINE" or kind == "SEMICOLON":
                if not self._separates(kind):
                    continue
                word, kind = text[start:stop], "SEP"
            elif kind == "END" or (self.in_field and self._ends_field(text[start], start, stop)):
                self.position = start
                yield Token(END, "", start, start)
                return
            else:
                if kind == "LSQB" and "ROW" in self.actions:
                    kind, stop = self._row(start, stop)
                word = text[start:stop]
            token = Token(kind, word, start, stop)
            if kind in _COUNTED:
                self._nest(token)
            self.before, self.last = self.last, token.type
            yield token
            if kind == "RBRACE" and not _ELSE.match(text, stop, end):
                token = Token("SEP", "", stop, stop)
                self._nest(token)
                self.last = "SEP"
                yield token

    def _word(self, start: int, stop: int) -> tuple[str, int]:
        text = self.text
        while stop < self.end and text[stop] > "\x7f" and ("a" + text[stop]).isidentifier():
            stop += 1  # combining marks belong to the word
            while stop < self.end and ("a" + text[stop]).isidentifier():
                stop += 1
        self.position = stop
        word = text[start:stop]
        if word in ("f", "F") and text[stop : stop + 1] in ('"', "'") and stop < self.end:
            line_end = _LINE_END.search(text, stop, self.end)
            self.position = line_end.start() if line_end else self.end
            return "BAD_STRING", self.position
        if not word.isascii():
            if not word.isidentifier():
                return "BAD_CHAR", stop
            word = _normalized(word)
        kind = TERMINAL_OF.get(word)
        if kind is None or self.last == "DOT":
            return "NAME", stop
        if word in _HARD:
            return kind, stop
        if kind not in self.actions or (kind in _SOFT and _BINDING.match(text, stop, self.end)):
            return "NAME", stop
        return kind, stop

    def _separates(self, kind: str) -> bool:
        """Whether a line end or `;` ends a statement here; several in a row count once."""
        if kind == "SEMICOLON":
            return self.last not in ("SEP", "LBRACE") or self.top.closer in (")", "]")
        return self.top.closer not in (")", "]") and self.last not in GOES_ON and self.last != "SEP"

    def _ends_field(self, char: str, start: int, stop: int) -> bool:
        if self.brackets:
            return False
        return char in "}:" or (char == "!" and stop == start + 1)

    def _row(self, start: int, stop: int) -> tuple[str, int]:
        row = ROW.match(self.text, start, self.end)
        if row is None:
            return "LSQB", stop
        self.position = row.end()
        return "ROW", row.end()

    def _nest(self, token: Token) -> None:
        """Count brackets, and what nests without them: signs, powers, postfixes, pipes, `else`, lambdas."""
        kind, top = token.type, self.top
        if kind in _OPENERS:
            if self.last in ("RPAR", "RSQB"):
                top.tight += 1
                self._deeper(token)
            elif self.last == "FN":  # a function without a name
                top.loose += 1
                self._deeper(token)
            self.top = Bracket(token, _OPENERS[kind], self.last, self.before == "FN")
            self.brackets.append(self.top)
            self._deeper(token)
        elif kind in _CLOSERS:
            self._close(token)
        elif kind in _ENDS_ALL:
            self.depth -= top.loose + top.nots + top.tight
            top.loose = top.nots = top.tight = 0
        elif kind == "POWER" or kind == "DOT" or (kind in _PREFIXES and self.last not in OPERAND_ENDS):
            top.tight += 1
            self._deeper(token)
        elif kind in _ENDS_TIGHT:
            self._operator(token)
        elif kind == "NOT":
            top.nots += 1
            self._deeper(token)

    def _operator(self, token: Token) -> None:
        top = self.top
        self.depth -= top.tight
        top.tight = 0
        if token.type in _ENDS_NOT:
            self.depth -= top.nots
            top.nots = 0
        if token.type == "PIPE" or token.type == "ELSE":
            top.loose += 1
            self._deeper(token)

    def _deeper(self, token: Token) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooDeep(token.span)

    def _close(self, token: Token) -> None:
        """A closer takes its opener off; one that does not fit is left to the parser, which refuses it."""
        top = self.top
        if top.closer != token.text:
            token.type = "BAD_" + token.type
            return
        self.depth -= 1 + top.loose + top.nots + top.tight
        self.closed = self.brackets.pop()
        self.top = self.brackets[-1] if self.brackets else self.bottom

    def leave_line(self, token: Token, previous: int, brackets: int) -> None:
        """Give up the brackets above the first few, and go on at the line end behind the text that was read.

        `token` is where reading stopped and `previous` where the token before it ended: a line end between
        them ends the statement, and so does a `}`.
        """
        for bracket in self.brackets[brackets:]:
            self.depth -= 1 + bracket.loose + bracket.nots + bracket.tight
        del self.brackets[brackets:]
        self.top = self.brackets[-1] if self.brackets else self.bottom
        between = _LINE_END.search(self.text, previous, token.start)
        if between is not None:
            self.position = between.start()
        elif token.type == "BAD_RBRACE":
            self.position = token.start
        else:
            line_end = _LINE_END.search(self.text, token.end, self.end)
            self.position = line_end.start() if line_end else self.end
        self.last = "NAME"
