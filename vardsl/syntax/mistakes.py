"""What is wrong with a text that is no program, in the language's own words.

A token that cannot stand where it stands is looked at together with the tokens before it, the brackets that
are open and what could stand there. The slips that people bring from other languages have sentences of
their own (`syntax/slips.py`); whatever is none of those is told by what was expected.
"""

from __future__ import annotations

from vardsl.errors import Error, Label, ScriptSyntaxError
from vardsl.syntax import slips
from vardsl.syntax.grammar import END
from vardsl.syntax.lexer import Lexer, Token
from vardsl.syntax.situation import Situation, shown

# ---- every terminal in words ----------------------------------------------------------------------
VALUE, OPERATOR, STATEMENT, FINISH = "a value", "an operator", "a statement", "the end of the statement"

ENGLISH: dict[str, str] = {
    "SEP": FINISH, END: FINISH, "NAME": "a name", "STRING": "a string", "FSTRING": "an f-string",
    "INTEGER": "a number", "REAL": "a number", "ROW": "a tensor literal", "TRUE": "true", "FALSE": "false",
    "NONE": "none", "ELLIPSIS": "'...'", "AUG": "an operator such as '-='", "COMPARE": "a comparison",
    "POWER": "'**'", "MULTIPLY": "'*'", "PLUS": "'+'", "MINUS": "'-'", "PIPE": "'|>'", "BAR": "'|'",
    "AMP": "'&'",
    "TILDE": "'~'", "EQ": "'='", "DOT": "'.'", "COMMA": "','", "COLON": "':'", "LPAR": "'('", "RPAR": "')'",
    "LSQB": "'['", "RSQB": "']'", "LBRACE": "'{'", "RBRACE": "'}'",
    "LET": "let", "FN": "fn", "RETURN": "return", "IF": "if", "ELSE": "else", "WHILE": "while", "FOR": "for",
    "IN": "in", "BREAK": "break", "CONTINUE": "continue", "IMPORT": "import", "ASSERT": "assert",
    "DEL": "del",
    "AND": "and", "OR": "or", "NOT": "not", "VAR": "var", "NO_GRAD": "no_grad", "PRINT": "print",
    "BACKWARD": "backward", "ZERO_GRAD": "zero_grad", "UPDATE": "update", "MINIMIZE": "minimize",
    "GRAPH": "graph", "EXPLAIN": "explain", "WHY": "why", "PLOT": "plot", "OVER": "over", "USING": "using",
    "STEPS": "steps", "UNTIL": "until", "WITH": "with", "TO": "to", "WRT": "wrt", "STEP": "step",
    "RETAIN": "retain", "CREATE": "create", "AS": "as", "GRAD": "grad",
}  # fmt: skip

_OPERATORS = frozenset(
    ["PLUS", "MINUS", "MULTIPLY", "POWER", "COMPARE", "IN", "NOT", "AND", "OR", "PIPE", "AMP", "BAR"]
)
_POSTFIX = frozenset(["LPAR", "LSQB", "DOT"])
_MOST = 5


def expected(accepts: frozenset[str]) -> list[str]:
    """What may stand at a place, in at most five phrases, the telling ones first."""
    left = set(accepts)
    tail = []
    if "LET" in left:
        return [STATEMENT, *(ENGLISH[t] for t in ("RBRACE", "SEP") if t in left and t == "RBRACE")]
    if {"NAME", "INTEGER"} <= left:
        tail.append(VALUE)
        left -= slips.VALUE_STARTS
    elif "MULTIPLY" in left:
        left -= _POSTFIX | _OPERATORS | ({"IF"} if "PLUS" in accepts else set()) | {"AUG"}
        if "EQ" in left and "COMMA" in left:
            left -= {"EQ", "COMMA"}
        tail.append(OPERATOR)
    if left & {"SEP", END}:
        left -= {"SEP", END}
        if not left & {"RPAR", "RSQB"}:
            tail.append(FINISH)
    if len(left) > 1:
        left.discard("RBRACE")
    first = sorted({ENGLISH.get(terminal, terminal.lower()) for terminal in left}, key=_rank)
    return (first + tail)[:_MOST] if len(first) + len(tail) <= _MOST else first[: _MOST - len(tail)] + tail


def _rank(phrase: str) -> tuple[int, str]:
    return (0 if phrase.startswith("a ") else 1 if phrase[0] == "'" else 2, phrase)


def listed(phrases: list[str]) -> str:
    """`a, b or c`"""
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " or " + phrases[-1]


# ---- the error ------------------------------------------------------------------------------------
def unexpected(at: Situation) -> Error:
    """The error for a token that cannot stand where it stands."""
    found = _brackets(at) or slips.find(at)
    return found or _general(at)


def _general(at: Situation) -> Error:
    phrases = expected(at.accepts)
    where = slips.construct(at)
    message = f"expected {listed(phrases)}{where}, found {found_words(at.token)}" if phrases else (
        f"{found_words(at.token)} cannot stand here"
    )  # fmt: skip
    return ScriptSyntaxError(message, labels=[at.label(at.place(), slips.point(at))])


def found_words(token: Token) -> str:
    """A token in words."""
    if token.type == END:
        return "the end of the text"
    if token.type == "SEP":
        return "';'" if token.text == ";" else "the end of the line" if token.text else "the end of the block"
    text = shown(token.text)
    kinds = {"NAME": "the name ", "INTEGER": "the number ", "REAL": "the number ",
    "ROW": "the tensor literal ",
             "STRING": "the string ", "FSTRING": "the f-string "}  # fmt: skip
    if token.type in kinds:
        return kinds[token.type] + text
    return f"the word '{text}'" if text.isidentifier() else f"'{text}'"


# ---- brackets -------------------------------------------------------------------------------------
_LINE_STARTERS = frozenset(
    [
        "LET",
        "RETURN",
        "WHILE",
        "BREAK",
        "CONTINUE",
        "IMPORT",
        "ASSERT",
        "DEL",
        "PRINT",
        "NO_GRAD",
        "SEP",
        "BACKWARD",
        "MINIMIZE",
        "UPDATE",
        "ZERO_GRAD",
    ]
)


def _brackets(at: Situation) -> Error | None:
    token, top = at.token, at.lexer.top
    if is_unclosed(at.lexer, token):
        opener = next(b.token for b in reversed(at.lexer.brackets) if token.type == END or b.closer != "}")
        labels = [Label(at.source, opener.span, "opened here")]
        if token.type != END:
            labels.append(at.label(at.place(), "still open here", primary=False))
        return ScriptSyntaxError(f"'{opener.text}' was never closed", labels=labels)
    if token.type in ("BAD_RPAR", "BAD_RSQB", "BAD_RBRACE"):
        if not at.lexer.brackets or top.closer == "}":
            hint = f"take it away, or open it with '{_OPENER[token.text]}'"
            return ScriptSyntaxError(
                f"'{token.text}' closes nothing", labels=[at.label(token.span, "")], hint=hint
            )
        labels = [
            at.label(token.span, f"expected '{top.closer}'"),
            at.label(top.token.span, "opened here", primary=False),
        ]
        return ScriptSyntaxError(f"'{top.token.text}' is closed by '{token.text}'", labels=labels)
    return None


_OPENER = {")": "(", "]": "[", "}": "{"}


def is_unclosed(lexer: Lexer, token: Token) -> bool:
    """Whether a bracket that is open at a token is never closed as far as one can see."""
    if not lexer.brackets:
        return False
    if token.type == END or (lexer.in_field and token.type == "BAD_RBRACE"):
        return True
    if lexer.in_field:
        return False
    if lexer.top.closer == "}" or token.type in ("BAD_RPAR", "BAD_RSQB"):
        return False
    if token.type == "BAD_RBRACE":
        return any(bracket.closer == "}" for bracket in lexer.brackets)
    new_line = not lexer.text[: token.start].rpartition("\n")[2].strip(" \t")
    if token.type in _LINE_STARTERS and new_line:
        return True
    if token.type in ("LBRACE", "SEP"):
        return True
    return not _closes(lexer, token)


_LOOK_AHEAD = 20_000


def _closes(lexer: Lexer, token: Token) -> bool:
    """Whether the text behind closes the innermost bracket; far away it is taken to do so."""
    depth, at, match = 1, token.end, lexer.tables.scanner.match
    depth += token.type in ("LPAR", "LSQB", "LBRACE")
    for _ in range(_LOOK_AHEAD):
        found = match(lexer.text, at, lexer.end)
        assert found is not None, "the scanner matches everything"
        kind = found.lastgroup
        if kind == "END":
            return False
        depth += (kind in ("LPAR", "LSQB", "LBRACE")) - (kind in ("RPAR", "RSQB", "RBRACE"))
        if depth == 0:
            return True
        at = found.end()
    return True
