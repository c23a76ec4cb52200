"""Which words are keywords, and where: every keyword bound, used, after a dot, as an argument's name."""

from __future__ import annotations

import pytest

from vardsl.syntax import ast
from vardsl.syntax.words import HARD_KEYWORDS, OPTION_WORDS, SOFT_KEYWORDS

from .reading import accepted, error, expression, statement

CONSTANTS = ("true", "false", "none", "True", "False", "None")
NAMES = [*SOFT_KEYWORDS, *OPTION_WORDS, "graphe", "letx", "printx", "学习率", "α", "w_1", "nota", "iff"]


@pytest.mark.parametrize("word", HARD_KEYWORDS)
def test_a_hard_keyword_is_a_name_only_after_a_dot(word: str) -> None:
    for text in (
        f"let {word} = 1",
        f"{word} = 1",
        f"x, {word} = 1, 2",
        f"for {word} in x {{ }}",
        f"fn {word}(x) = x",
        f"fn f({word}) = 1",
        f"fn f({word}=1) = 1",
        f"f({word}=1)",
        f"del {word}",
        f'import "a" as {word}',
    ):
        assert not accepted(text), text
    assert accepted(f"x = {word}") == (word in CONSTANTS)
    assert accepted(f"x.{word}") and accepted(f"x.{word}(dim=0)") and accepted(f"x.{word} = 1")


@pytest.mark.parametrize("word", [w for w in HARD_KEYWORDS if w not in CONSTANTS])
def test_a_hard_keyword_as_a_name_is_told_so(word: str) -> None:
    assert (
        "is a word of the language and cannot be a name" in error(f"let {word} = 1").message or word == "var"
    )
    assert "cannot be a name" in error(f"f({word}=1)").message


@pytest.mark.parametrize("word", NAMES)
def test_other_words_are_names(word: str) -> None:
    for text in (
        f"let {word} = 1",
        f"{word} = 1",
        f"{word} += 1",
        f"{word}-=1",
        f"x, {word} = 1, 2",
        f"x = {word}",
        f"x = {word} + 1",
        f"x = -{word}**2",
        f"print {word}",
        f"print {word}, {word}.{word}({word}={word})[{word}]",
        f"x.{word}",
        f"f({word}=1)",
        f"f({word}, {word})",
        f"fn f({word}) = {word}",
        f"fn f({word}=1) = {word}",
        f"fn {word}(x) = x",
        f"for {word} in {word} {{ }}",
        f"for i, {word} in x {{ }}",
        f"let v = var {word} grad",
        f"let v = var {word} float64 grad",
        f"minimize {word} over {word}, {word} using {word} steps {word} until {word}",
        f"backward {word}, {word} with {word}, {word} retain create step",
        f"zero_grad {word}, {word}",
        f"update {word} -= {word}",
        f"explain {word} wrt {word} to {word}",
        f"graph {word} to {word}",
        f"plot {word}, {word} to {word}",
        f"why {word}",
        f'import "a" as {word}',
        f"assert {word}, {word}",
        f"del {word}",
        f"x = {word} if {word} else {word}",
        f"x = {word} |> {word}",
        f"x = {word} in {word} and not {word}",
        f'print f"{{{word}}}"',
    ):
        assert accepted(text), text


@pytest.mark.parametrize("word", OPTION_WORDS)
def test_an_option_word_begins_a_statement_as_a_name(word: str) -> None:
    assert isinstance(statement(f"{word}(f)"), ast.ExprStmt)
    assert isinstance(statement(f"{word}"), ast.ExprStmt)
    assert isinstance(statement(f"{word}.x = 1"), ast.Assign)
    assert isinstance(statement(f"{word}[0] = 1"), ast.Assign)


@pytest.mark.parametrize("word", SOFT_KEYWORDS)
def test_a_statement_word_is_a_name_directly_before_an_assignment(word: str) -> None:
    for operator in ("=", "+=", "-=", "*=", "/=", "//=", "%=", "**=", "@="):
        assert isinstance(statement(f"{word} {operator} 1"), ast.Assign | ast.AugAssign)
    assert not accepted(f"{word}.x") and not accepted(f"{word} == 1")


def test_grad_is_a_keyword_only_behind_the_operand_of_var() -> None:
    assert isinstance(expression("grad(f)"), ast.Call)
    assert isinstance(expression("x.grad"), ast.Member)
    assert expression("var grad grad").grad and expression("var grad grad").operand.id == "grad"
    assert not accepted("x grad")


@pytest.mark.parametrize(
    "text",
    [
        "minimize a overb",
        "minimize a over b stepsn",
        "let v = var x gradient",
        "backward a withg",
        "letx y = 1",
        "graph x tof",
        "let v = var x gradx",
        "fnf(x) = 1 2",
        "whilex { }",
        "explain e wrta",
    ],
)
def test_a_keyword_ends_where_the_word_ends(text: str) -> None:
    assert not accepted(text)


def test_names_are_normalised() -> None:
    assert expression("ﬁ").id == "fi"
    assert expression("e\u0301").id == "é"
    assert not accepted("let ｉｆ = 1")


def test_options_in_any_order() -> None:
    minimize = statement("minimize f over a, b until 1 steps 2 using o")
    assert isinstance(minimize, ast.Minimize)
    assert len(minimize.over) == 2 and minimize.using and minimize.steps and minimize.until
    assert "twice" in error("minimize f over a steps 1 steps 2").message
    assert "twice" in error("backward a retain retain").message
