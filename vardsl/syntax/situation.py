"""Where the parser stands when it meets a token that cannot stand there."""

from __future__ import annotations

from vardsl.errors import Label
from vardsl.source import Source, Span
from vardsl.syntax.grammar import END
from vardsl.syntax.lexer import Lexer, Token

_NOTHING = Token("SEP", "", 0, 0)


class Situation:
    """A token that cannot stand where it stands, what came before it, and what could stand there.

    recent   the last few tokens of the statement before `token`
    head     the first token of the statement, `token` itself if there is none before it
    """

    def __init__(
        self,
        source: Source,
        lexer: Lexer,
        token: Token,
        recent: tuple[Token, ...],
        head: Token,
        accepts: frozenset[str],
    ) -> None:
        self.source = source
        self.lexer = lexer
        self.token = token
        self.recent = recent
        self.head = head
        self.accepts = accepts

    @property
    def previous(self) -> Token:
        return self.recent[-1] if self.recent else _NOTHING

    @property
    def before(self) -> Token:
        """The token before the previous one."""
        return self.recent[-2] if len(self.recent) > 1 else _NOTHING

    @property
    def touches(self) -> bool:
        """Whether no blank is between the previous token and this one."""
        return bool(self.recent) and self.previous.end == self.token.start

    def place(self) -> Span:
        """Where to point: at the token, or behind the one before it where the token is an end."""
        if self.token.type in (END, "SEP") and self.token.text != ";" and self.recent:
            end = self.previous.end
            return Span(end, end + 1)
        return self.token.span

    def label(self, span: Span, text: str, *, primary: bool = True) -> Label:
        return Label(self.source, span, text, primary)

    def lambda_before(self) -> bool:
        """Whether the bracket that was closed last held the parameters of a function without a name."""
        return self.lexer.closed is not None and self.lexer.closed.after == "FN"


def shown(text: str, most: int = 30) -> str:
    """A piece of the source that is safe and short enough to be quoted."""
    text = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(char if char.isprintable() else f"U+{ord(char):04X}" for char in text)
