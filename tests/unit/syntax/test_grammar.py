"""The grammar file, its tables, and what ties them to the words and the callbacks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vardsl.syntax import grammar, mistakes, slips, words
from vardsl.syntax.build import callbacks

TABLES = grammar.tables()


def test_grammar_is_free_of_conflicts_and_collisions() -> None:
    lark = pytest.importorskip("lark")
    pytest.importorskip("interegular")
    text = grammar.grammar_text()
    lark.Lark(text, parser="lalr", lexer="contextual", strict=True, start=list(grammar.START_RULES))


def test_shipped_tables_are_those_of_the_grammar() -> None:
    text = grammar.grammar_text()
    shipped = grammar.load(Path(grammar.SHIPPED).read_text(encoding="utf-8"), text)
    assert shipped is not None, "run python -m vardsl.syntax.grammar"
    made = grammar.build(text)
    assert grammar.dump(made, text) == grammar.dump(shipped, text)
    assert made.scanner.pattern == shipped.scanner.pattern


def test_tables_of_another_grammar_are_not_taken() -> None:
    text = grammar.grammar_text()
    assert grammar.load(Path(grammar.SHIPPED).read_text(encoding="utf-8"), text + "// changed") is None


def test_every_keyword_has_its_terminal_and_ends_at_a_word_boundary() -> None:
    for word, terminal in words.TERMINAL_OF.items():
        pattern = TABLES.terminals[terminal][1]
        assert pattern.endswith(r"\b")
        assert re.fullmatch(pattern, word)
        assert not re.match(pattern, word + "x")


def test_every_terminal_has_an_english_name() -> None:
    used = {terminal for row in TABLES.actions for terminal in row}
    assert used - set(mistakes.ENGLISH) == set()
    assert set(mistakes.ENGLISH) - used == set()


def test_every_rule_has_a_callback() -> None:
    names = {rule.name for rule in TABLES.rules if rule.name}
    assert set(callbacks(names)) == names


def test_every_sign_of_another_language_has_a_sentence() -> None:
    scanned = [
        s for s in slips._SIGNS if TABLES.scanner.match(s if s not in ("..",) else "..").lastgroup == "SLIP"
    ]
    assert sorted(scanned) == sorted(slips._SIGNS)
