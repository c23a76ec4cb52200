"""The parse tables of `grammar/vardsl.lark`: built once by lark, or loaded from tables built before.

Only the tables are lark's; they are driven by `syntax/parse.py`, which lets the lexer ask what may stand at a
place, skips the single-child rules of the precedence ladder, and can go on after an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from vardsl.syntax.words import TERMINAL_OF

START_RULES = ("program", "lone_expression")
END = "$END"


@dataclass(frozen=True, slots=True)
class Rule:
    """`origin` is made of `size` values by the callback `name`; None passes a single value on as it is."""

    origin: str
    size: int
    name: str | None


@dataclass(frozen=True)
class Tables:
    """LALR tables: `actions[state][terminal]` is a state to shift to, or `~k` to reduce by `rules[k]`."""

    actions: tuple[dict[str, int], ...]
    gotos: tuple[dict[str, int], ...]
    rules: tuple[Rule, ...]
    starts: dict[str, tuple[int, int]]
    terminals: dict[str, str]
    scanner: re.Pattern[str]


def grammar_text() -> str:
    """The grammar: of the checkout if this is one, else of the installed package."""
    checkout = Path(__file__).parents[2] / "grammar" / "vardsl.lark"
    if checkout.is_file():
        return checkout.read_text(encoding="utf-8")
    return (files("vardsl") / "grammar" / "vardsl.lark").read_text(encoding="utf-8")


@cache
def tables() -> Tables:
    """The tables of this process, made at the first use."""
    return build(grammar_text())


def build(grammar: str) -> Tables:
    """Let lark make the tables of a grammar."""
    from lark import Lark
    from lark.lexer import Lexer

    class NoLexer(Lexer):  # type: ignore[misc]  # lark compiles no terminal for a lexer that is not its own
        def __init__(self, conf: object) -> None:
            pass

        def lex(self, lexer_state: object, parser_state: object) -> object:
            return iter(())

    lark = Lark(
        grammar, parser="lalr", lexer=NoLexer, start=list(START_RULES), keep_all_tokens=True, maybe_placeholders=False
    )
    confs = {start: lark.parse_interactive("", start=start).parser_state.parse_conf for start in START_RULES}
    table = confs[START_RULES[0]].parse_table
    rules = {rule: k for k, rule in enumerate(lark.rules)}
    actions, gotos = [], []
    for state in range(len(table.states)):
        row: dict[str, int] = {}
        goto: dict[str, int] = {}
        for symbol, (action, argument) in table.states[state].items():
            if str(action) == "Reduce":
                if argument in rules:
                    row[symbol] = ~rules[argument]
            elif symbol.isupper() or symbol == END:
                row[symbol] = argument
            else:
                goto[symbol] = argument
        actions.append(row)
        gotos.append(goto)
    return Tables(
        actions=tuple(actions),
        gotos=tuple(gotos),
        rules=tuple(_rule(rule) for rule in lark.rules),
        starts={start: (conf.start_state, conf.end_state) for start, conf in confs.items()},
        terminals={t.name: t.pattern.to_regexp() for t in lark.terminals},
        scanner=scanner({t.name: (t.priority, t.pattern.to_regexp()) for t in lark.terminals}),
    )


def _rule(rule: object) -> Rule:
    origin, size = rule.origin.name, len(rule.expansion)  # type: ignore[attr-defined]
    passes_on = rule.options.expand1 and size == 1 and not rule.alias  # type: ignore[attr-defined]
    name = None if passes_on else rule.alias or origin  # type: ignore[attr-defined]
    return Rule(str(origin), size, name and str(name))


def scanner(terminals: dict[str, tuple[int, str]]) -> re.Pattern[str]:
    """One pattern for the next token with its blanks and comment before it; words are told apart by a dict."""
    keywords = set(TERMINAL_OF.values())
    order = sorted(
        (name for name in terminals if name not in keywords),
        key=lambda name: (-terminals[name][0], -len(terminals[name][1]), name),
    )
    alternatives = [f"(?P<{name}>{terminals[name][1]})" for name in order]
    return re.compile(r"(?:[ \t\f]|#[^\r\n]*)*+(?:" + "|".join([*EXTRA_FIRST, *alternatives, *EXTRA_LAST]) + ")")


# What the lexer knows beyond the grammar: line ends, what other languages write, and what is no token at all.
EXTRA_FIRST = [
    r"(?P<NEWLINE>\r\n|\r|\n)",
    r"(?P<SLIP>&&|\|\||:=|<>|\^=?|\.\*|\./|\.\^|->|=>|!(?!=)|\+\+(?=[ \t]*(?:[;#})\]\r\n]|\Z))"
    r"|--(?=[ \t]*(?:[;#})\]\r\n]|\Z))|(?<!\.)\.\.(?!\.)|<<|>>|[&|^]=)",
]
EXTRA_LAST = [
    r"(?P<SEMICOLON>;)",
    r"(?P<BAD_NUMBER>\.?[0-9]\w*)",
    r"(?P<BAD_STRING>[fF]?[\"'][^\r\n]*)",
    r"(?P<BAD_CHAR>.)",
    r"(?P<END>\Z)",
]
