"""Formatting keeps what generated programs mean; damage to them brings out our errors only."""

from __future__ import annotations

import os
from random import Random

from mutate import damaged
from programs import random_program

from vardsl.errors import Error, ManyErrors
from vardsl.source import Source
from vardsl.syntax import ast
from vardsl.syntax.continuation import completeness
from vardsl.syntax.format import format_source
from vardsl.syntax.parse import parse
from vardsl.syntax.tokens import tokens

NIGHTLY = os.environ.get("VARDSL_NIGHTLY") == "1"


def meaning(node: object) -> object:
    """A tree without spans and spellings."""
    if isinstance(node, ast.NumberRow):
        return (node.kind, node.values)
    if isinstance(node, ast.Node):
        left_out = ("span", "name_span", "path_span")
        return (
            type(node).__name__,
            *(meaning(getattr(node, f)) for f in type(node).fields if f not in left_out),
        )
    return tuple(map(meaning, node)) if isinstance(node, tuple) else node


def test_formatting_keeps_the_meaning_and_every_comment_and_is_idempotent() -> None:
    for seed in range(2000 if NIGHTLY else 300):
        text = random_program(Random(seed), 8 if NIGHTLY else 5)
        once = format_source(Source("<before>", text))
        assert meaning(parse(Source("<after>", once))) == meaning(parse(Source("<before>", text))), seed
        assert format_source(Source("<after>", once)) == once, seed
        assert once.count("#") == text.count("#"), seed


def test_only_our_errors_come_out_of_damaged_programs() -> None:
    wrong = 0
    for seed in range(20_000 if NIGHTLY else 2000):
        rng = Random(seed)
        text = damaged(random_program(rng, 3), rng)
        errors = []
        try:
            parse(Source("<test>", text))
        except ManyErrors as many:
            errors = many.errors
        except Error as error:
            errors = [error]
        wrong += bool(errors)
        for error in errors:
            assert error.kind in ("syntax", "limit"), (seed, error)
            assert error.labels and error.line and error.column, seed
            assert error.message.isprintable() and len(error.message) + len(error.hint or "") < 1000, seed
        assert (completeness(text) == "complete") == (not errors), seed
        at = 0
        for _, start, end in tokens(text):
            assert at <= start < end, seed
            at = end
    assert wrong > 1000


def test_only_our_errors_come_out_of_noise() -> None:
    signs = "ab1_.\"'{}()[]=+-*/%@<>!|&~^,;:# \t\n\r\\fvarletifén\u200b\x00\ud800²"
    for seed in range(20_000 if NIGHTLY else 2000):
        rng = Random(seed)
        text = "".join(rng.choices(signs, k=rng.randrange(40)))
        try:
            parse(Source("<test>", text))
        except Error as error:
            assert error.line and error.column
        list(tokens(text))
