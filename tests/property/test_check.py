"""What a check finds in generated programs, whole and with a number changed, is what running them finds."""

from __future__ import annotations

import os
import re
from random import Random

import pytest
from cells import recurrent_program
from changes import changing_program, outliving_program
from training import training_program

import vardsl
from vardsl.assist.rehearse import rehearse
from vardsl.lang.front import program_of
from vardsl.source import Source

PROGRAMS = int(os.environ.get("VARDSL_PROGRAMS", "400")) // 6
MAKERS = (lambda seed: training_program(seed).text(), changing_program, outliving_program, recurrent_program)
DIGIT = re.compile(r"(?<![\w.])\d(?![\w.])")


def program(seed: int) -> str:
    """A program, in two of three with one or two of its numbers changed."""
    rng = Random(seed)
    text: str = MAKERS[seed % len(MAKERS)](seed)
    for _ in range(rng.randrange(3)):
        places = list(DIGIT.finditer(text))
        if places:
            at = rng.choice(places).start()
            text = text[:at] + str(rng.choice([1, 2, 3, 4, 5, 7])) + text[at + 1 :]
    return text


def first_error(text: str) -> vardsl.Error | None:
    session = vardsl.Session(seed=0, limits={"max_steps": 20_000}, emit=lambda outcome: None)
    try:
        session.run(text)
    except vardsl.Error as error:
        return error
    return None


@pytest.mark.filterwarnings("ignore")
def test_what_is_found_would_happen() -> None:
    found = missed = 0
    for seed in range(PROGRAMS):
        text = program(seed)
        source = Source("<string>", text)
        try:
            errors = rehearse(source, program_of(source, known=(), complete=True, imported=lambda s: None))
        except vardsl.Error:
            continue
        real = first_error(text)
        missed += real is not None and real.kind == "shape" and not errors
        if errors and not (real is not None and (real.line or 0) < (errors[0].line or 0)):
            assert real is not None, f"seed {seed}: {errors[0]}\n{text}"
            assert str(real) == str(errors[0]), f"seed {seed}\n{text}"
            found += 1
    assert found > missed, "of wrong shapes more are found than not"
