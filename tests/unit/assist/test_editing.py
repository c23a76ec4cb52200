"""Brackets, indentation, letters and pasted prompts."""

from __future__ import annotations

import pytest

from vardsl.assist.editing import dedentation, indentation, matching_bracket
from vardsl.assist.letters import LETTERS, letters, open_letter
from vardsl.assist.paste import strip_prompts


def test_brackets_match_outside_strings_and_comments() -> None:
    text = 'f(a[1], ")", # )\n b)'
    assert matching_bracket(text, 1) == len(text) - 1
    assert matching_bracket(text, 3) == 5 and matching_bracket(text, 5) == 3
    assert matching_bracket(text, 9) is None and matching_bracket(text, 0) is None
    assert matching_bracket("(]", 0) is None and matching_bracket("(", 1) is None


@pytest.mark.parametrize(
    ("before", "blanks"),
    [
        ("for i in x {", 2),
        ("for i in x {\n  if a {", 4),
        ("for i in x {\n  if a {\n    b\n  }", 2),
        ("x = [1,", 2),
        ("f(a,\n  b)", 0),
        ('print "{"', 0),
        ("# {", 0),
        ("a = 1", 0),
    ],
)
def test_a_new_line_is_indented(before: str, blanks: int) -> None:
    assert indentation(before) == " " * blanks


def test_a_closing_bracket_goes_back() -> None:
    assert dedentation("if a {\n  if b {\n    ", "}") == "  "
    assert dedentation("if a {\n  x", "}") is None
    assert dedentation("f(\n  ", "}") is None and dedentation("}", "}") is None


def test_every_letter_may_stand_in_a_name() -> None:
    for name, letter in LETTERS.items():
        assert ("a" + letter).isidentifier(), name
    assert letters("alpha")[0] == ("alpha", "α") and ("hat", "\u0302") in letters("ha")
    assert open_letter("x\\al") == (1, "al") and open_letter("x") is None


@pytest.mark.parametrize(
    ("pasted", "text"),
    [
        (">>> x = 1\n>>> x\n1\n", "x = 1\nx"),
        ("vd> for i in r {\n...   print i\n... }\n0\n1\nvd> y", "for i in r {\n  print i\n}\ny"),
        (">>> s = '>>> a'\n>>> s", "s = '>>> a'\ns"),
        (">>> x = (1,\n2)\n", "x = (1,\n2)"),
        ('x = ">>> a"', 'x = ">>> a"'),
        ("a >>> b", "a >>> b"),
        (">>>x", ">>>x"),
        ("x = 1\n>>> y", "x = 1\n>>> y"),
        ("", ""),
    ],
)
def test_prompts_are_taken_off_what_was_copied(pasted: str, text: str) -> None:
    assert strip_prompts(pasted) == text
