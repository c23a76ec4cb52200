"""Every example and golden script prints what its `#>` and `#!` lines say, planned or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from vardsl import Session, golden
from vardsl.lang.permissions import Permissions
from vardsl.source import Source
from vardsl.syntax.format import format_source

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.vd"))
SCRIPTS = EXAMPLES + sorted((ROOT / "tests" / "golden").glob("*/*.vd"))


def session(path: Path, *, plan: bool = True) -> Session:
    return Session(
        seed=0, plan=plan, permissions=Permissions(path.parent, [path.parent], []), emit=lambda outcome: None
    )


def source(path: Path) -> Source:
    return Source(path.name, path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_prints_what_it_says(path: Path) -> None:
    result = golden.run(source(path), session(path))
    assert result.passed, result.difference()


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_example_is_formatted(path: Path) -> None:
    text = source(path)
    assert format_source(text) == text.text


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_same_output_without_planner(path: Path) -> None:
    result = golden.run(source(path), session(path, plan=False))
    assert result.passed, result.difference()


def test_there_are_examples_enough() -> None:
    assert len(EXAMPLES) >= 12
    assert all("#>" in p.read_text(encoding="utf-8") for p in EXAMPLES)


def test_the_tour_names_every_example() -> None:
    tour = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for path in EXAMPLES:
        assert f"({path.name})" in tour


# ---- the golden format itself ----------------------------------------------------------------------
def ran(text: str) -> golden.Result:
    return golden.run(Source("x/y.vd", text), Session(seed=0, emit=lambda outcome: None))


def test_lines_belong_to_the_statement_above() -> None:
    text = 'print 1\n#> 1\n\nfor i in range(2) {\n  print i\n}\n#> 0\n#> 1\nprint ""\n#>\n'
    assert ran(text).passed


def test_stale_lines_go_and_new_ones_come() -> None:
    result = ran("let x = 1\n#> old\nprint x # one\nprint 2; print 3")
    assert not result.passed
    assert result.actual == "let x = 1\nprint x # one\n#> 1\nprint 2; print 3\n#> 2\n#> 3"
    assert "-#> old" in result.difference()


def test_after_an_error_the_script_goes_on() -> None:
    result = ran("print 1\nprint nope\nprint 2\n")
    assert result.actual.splitlines() == [
        "print 1",
        "#> 1",
        "print nope",
        "#! error[name]: unknown name nope",
        "#!  --> y.vd:2:7",
        "#!   |",
        "#! 2 | print nope",
        "#!   |       ^^^^",
        *[line for line in result.actual.splitlines() if line.startswith("#!   = ")],
        "print 2",
        "#> 2",
    ]


def test_what_was_printed_before_an_error_counts() -> None:
    lines = ran("for i in (1, 0) { print 1 / i }\n").actual.splitlines()
    assert lines[1] == "#> 1.0"
    assert lines[2].startswith("#! error[value]")


def test_a_text_that_does_not_parse() -> None:
    lines = ran("print 1\nlet x = )\nprint 2\n").actual.splitlines()
    assert lines[:2] == ["print 1", "let x = )"]
    assert lines[2].startswith("#! error[syntax]")
    assert lines[-1] == "print 2"


def test_blanks_at_the_ends_of_expected_lines_do_not_count() -> None:
    assert ran('print "a "\n#> a  \n').passed
