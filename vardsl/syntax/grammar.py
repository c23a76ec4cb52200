"""The parse tables of `grammar/vardsl.lark`: made by lark, shipped beside this file, and made anew where
the grammar is another than theirs. `python -m vardsl.syntax.grammar` writes them.

Only the tables are lark's; they are driven by `syntax/parse.py`, which lets the lexer ask what may stand at a
place, skips the single-child rules of the precedence ladder, and can go on after an error.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from functools import cache

from vardsl.syntax.words import TERMINAL_OF

START_RULES = ("program", "lone_expression", "field")
END = "$END"
HERE = os.path.dirname(os.path.abspath(__file__))
SHIPPED = os.path.join(HERE, "tables.json")


class Rule:
    """`origin` is made of `size` values by the callback `name`; None passes a single value on as it is."""

    __slots__ = ("name", "origin", "size")

    def __init__(self, origin: str, size: int, name: str | None) -> None:
        self.origin = origin
        self.size = size
        self.name = name


class Tables:
    """LALR tables: `actions[state][terminal]` is a state to shift to, or `~k` to reduce by `rules[k]`."""

    __slots__ = ("actions", "gotos", "rules", "scanner", "starts", "terminals")

    def __init__(
        self,
        actions: Iterable[dict[str, int]],
        gotos: Iterable[dict[str, int]],
        rules: Iterable[Rule],
        starts: dict[str, tuple[int, int]],
        terminals: dict[str, tuple[int, str]],
    ) -> None:
        self.actions = tuple(actions)
        self.gotos = tuple(gotos)
        self.rules = tuple(rules)
        self.starts = starts
        self.terminals = terminals
        self.scanner = scanner(terminals)


def grammar_text() -> str:
    """The grammar: of the checkout if this is one, else of the installed package."""
    package = os.path.dirname(HERE)
    checkout, installed = (
        os.path.join(folder, "grammar", "vardsl.lark") for folder in (os.path.dirname(package), package)
    )
    return _read(checkout if os.path.isfile(checkout) else installed)


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


@cache
def tables() -> Tables:
    """The tables of this process: those that are shipped if they were made of this grammar, else made now."""
    grammar = grammar_text()
    if os.path.isfile(SHIPPED):
        loaded = load(_read(SHIPPED), grammar)
        if loaded is not None:
            return loaded
    return build(grammar)


def dump(made: Tables, grammar: str) -> str:
    """Tables as JSON; equal rows are written once."""
    rows: dict[str, int] = {}
    states = [
        [rows.setdefault(json.dumps(row), len(rows)) for row in pair]
        for pair in zip(made.actions, made.gotos)
    ]
    content = {
        "grammar": _digest(grammar),
        "starts": made.starts,
        "terminals": made.terminals,
        "rules": [[rule.origin, rule.size, rule.name] for rule in made.rules],
        "states": states,
        "rows": [json.loads(row) for row in rows],
    }
    return (
        "{\n"
        + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
        + "\n}\n"
    )


def load(text: str, grammar: str) -> Tables | None:
    """Tables from JSON, or None where they were made of another grammar."""
    content = json.loads(text)
    if content["grammar"] != _digest(grammar):
        return None
    rows = content["rows"]
    return Tables(
        actions=[rows[action] for action, _ in content["states"]],
        gotos=[rows[goto] for _, goto in content["states"]],
        rules=[Rule(*rule) for rule in content["rules"]],
        starts={start: (first, last) for start, (first, last) in content["starts"].items()},
        terminals={name: (priority, pattern) for name, (priority, pattern) in content["terminals"].items()},
    )


def _digest(grammar: str) -> str:
    return f"{zlib.crc32(grammar.encode()):08x}"


def build(grammar: str) -> Tables:
    """Let lark make the tables of a grammar."""
    from lark import Lark
    from lark import Token as LarkToken
    from lark.lexer import Lexer

    class NoLexer(Lexer):  # lark compiles no terminal for a lexer that is not its own
        def __init__(self, conf: object) -> None:
            pass

        def lex(self, lexer_state: object, parser_state: object) -> Iterator[LarkToken]:
            return iter(())

    lark = Lark(
        grammar,
        parser="lalr",
        lexer=NoLexer,
        start=list(START_RULES),
        keep_all_tokens=True,
        maybe_placeholders=False,
    )
    confs = {start: lark.parse_interactive("", start=start).parser_state.parse_conf for start in START_RULES}
    table = confs[START_RULES[0]].parse_table
    numbers = _numbering(table.states, [confs[start].start_state for start in START_RULES])
    rules = {rule: k for k, rule in enumerate(lark.rules)}
    actions: list[dict[str, int]] = [{} for _ in numbers]
    gotos: list[dict[str, int]] = [{} for _ in numbers]
    for state, number in numbers.items():
        for symbol, (action, argument) in sorted(table.states[state].items()):
            if str(action) == "Reduce":
                if argument in rules:
                    actions[number][symbol] = ~rules[argument]
            elif symbol.isupper() or symbol == END:
                actions[number][symbol] = numbers[argument]
            else:
                gotos[number][symbol] = numbers[argument]
    return Tables(
        actions,
        gotos,
        rules=[_rule(rule) for rule in lark.rules],
        starts={start: (numbers[conf.start_state], numbers[conf.end_state]) for start, conf in confs.items()},
        terminals={t.name: (t.priority, t.pattern.to_regexp()) for t in lark.terminals},
    )


def _numbering(states: dict[int, dict[str, tuple[object, int]]], starts: list[int]) -> dict[int, int]:
    """States in the order in which they are met, so that equal grammars have equal tables."""
    numbers = {start: k for k, start in enumerate(starts)}
    queue = list(starts)
    for state in queue:
        for _, (action, argument) in sorted(states[state].items()):
            if str(action) != "Reduce" and argument not in numbers:
                numbers[argument] = len(numbers)
                queue.append(argument)
    return numbers


def _rule(rule: object) -> Rule:
    origin, size = rule.origin.name, len(rule.expansion)  # type: ignore[attr-defined]
    passes_on = rule.options.expand1 and size == 1 and not rule.alias  # type: ignore[attr-defined]
    name = None if passes_on else rule.alias or origin  # type: ignore[attr-defined]
    return Rule(str(origin), size, name and str(name))


def scanner(terminals: dict[str, tuple[int, str]]) -> re.Pattern[str]:
    """One pattern for the next token, with the blanks and comments before it."""
    keywords = set(TERMINAL_OF.values())
    order = sorted(
        (name for name in terminals if name not in keywords),
        key=lambda name: (-terminals[name][0], -len(terminals[name][1]), name),
    )
    alternatives = [f"(?P<{name}>{terminals[name][1]})" for name in order]
    return re.compile(
        r"(?:[ \t\f]|#[^\r\n]*)*+(?:" + "|".join([*EXTRA_FIRST, *alternatives, *EXTRA_LAST]) + ")"
    )


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


if __name__ == "__main__":
    with open(SHIPPED, "w", encoding="utf-8") as shipped:
        shipped.write(dump(build(grammar_text()), grammar_text()))
