"""Whatever a program is, only our errors come out of running it, and none of them says that we are at fault."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from mutate import damaged
from programs import random_program

import vardsl

ROOT = Path(__file__).parents[2]
CORPUS = [
    path.read_text(encoding="utf-8")
    for folder in ("examples", "tests/golden")
    for path in sorted((ROOT / folder).rglob("*.vd"))
]
NIGHTLY = os.environ.get("VARDSL_NIGHTLY") == "1"
LIMITS = {"max_steps": 20_000, "max_time": 5.0, "max_output": 100_000, "max_memory": 50_000_000}


def run(source: str) -> vardsl.Error | None:
    session = vardsl.Session(seed=0, limits=LIMITS, emit=lambda outcome: None)
    try:
        session.run(source)
    except vardsl.Error as error:
        return error
    return None


def lines_of(rng: Random) -> str:
    """Some consecutive lines of a script, as short as what people try out."""
    lines = rng.choice(CORPUS).splitlines()
    at = rng.randrange(len(lines))
    return "\n".join(lines[at : at + rng.randrange(1, 8)])


def test_only_our_errors_come_out_of_damaged_programs() -> None:
    for n in range(20_000 if NIGHTLY else 2000):
        rng = Random(n)
        source = damaged(lines_of(rng) if rng.randrange(3) else random_program(rng, 4), rng)
        error = run(source)
        assert error is None or (error.kind != "internal" and "Traceback" not in str(error)), (n, source)


def test_generated_programs_end_the_same_planned_or_not() -> None:
    for n in range(150):
        source = random_program(Random(n))
        seen: list[tuple[str, str]] = []
        for plan in (True, False):
            session = vardsl.Session(seed=0, plan=plan, limits=LIMITS, emit=lambda outcome: None)
            try:
                seen.append((session.run_captured(source), ""))
            except vardsl.Error as error:
                seen.append((error.output, str(error)))
        assert seen[0] == seen[1], (n, source)
