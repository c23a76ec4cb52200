"""What is wrong with a text that is no program, in the language's own words."""

from __future__ import annotations

from dataclasses import dataclass

from vardsl.errors import Error, Label, ScriptSyntaxError
from vardsl.source import Source
from vardsl.syntax.lexer import Lexer, Token


@dataclass(frozen=True, slots=True)
class Situation:
    """A token that cannot stand where it stands, what came before it, and what could stand there."""

    source: Source
    lexer: Lexer
    token: Token
    recent: tuple[Token, ...]
    accepts: frozenset[str]


def unexpected(at: Situation) -> Error:
    """The error for a token that cannot stand where it stands."""
    return ScriptSyntaxError(f"unexpected {at.token.text!r}", labels=[Label(at.source, at.token.span, "")])


def is_unclosed(lexer: Lexer, token: Token) -> bool:
    """Whether a bracket that is open at a token is never closed as far as one can see."""
    return False
