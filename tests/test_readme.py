"""Everything that README.md and the pages on plans and on checks show is what happens.

`python tests/test_readme.py` writes what happens into them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vardsl import Session

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PLANS = ROOT / "docs" / "guide" / "plans.md"
CHECK = ROOT / "docs" / "guide" / "check.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each code block."""
    for found in _BLOCK.finditer(text):
        yield found[1], found[2]


def console(block: str) -> str:
    """A console block with what its commands print."""
    lines = []
    for line in block.splitlines():
        if line.startswith("$ "):
            lines += [line, *_output(line[2:])]
    return "\n".join(lines) + "\n"


def _output(command: str) -> list[str]:
    function = f'vardsl() {{ "{sys.executable}" -c "from vardsl.__main__ import main; main()" "$@"; }}\n'
    kept = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "CLICOLOR_FORCE")}
    run = subprocess.run(
        ["bash", "-c", function + command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=kept | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        check=False,
    )
    return [line.rstrip() for line in run.stdout.decode().splitlines()]


def script(block: str) -> str:
    """A script with what it prints in the `#>` lines at its end."""
    code = "".join(line for line in block.splitlines(keepends=True) if not line.startswith("#>"))
    printed = Session().run_captured(code)
    return code + "".join(f"#> {line}\n" for line in printed.splitlines())


def python(block: str) -> str:
    """Python code with what it prints in the comments at its end."""
    code = "".join(line for line in block.splitlines(keepends=True) if not line.startswith("# "))
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    return code + "".join(f"# {line}\n" for line in run.stdout.decode().splitlines())


RUN = {"console": console, "vardsl": script, "python": python}


SHOWN = [*blocks(README.read_text(encoding="utf-8")), *blocks(CHECK.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("kind", "block"), SHOWN)
def test_block(kind: str, block: str) -> None:
    if kind == "sh":
        # these lines install things: the CI script runs them in a fresh environment
        assert re.fullmatch(r"pip install .+ && \S+.*\n", block)
    else:
        assert RUN[kind](block) == block


@pytest.mark.parametrize(("kind", "block"), list(blocks(PLANS.read_text(encoding="utf-8"))))
def test_plans(kind: str, block: str) -> None:
    assert told(RUN[kind](block)) == told(block)


def told(block: str) -> list[str]:
    """What does not change with each step that the planner saves: all lines but steps, without their numbers."""
    block = block.replace(" for each of two threads", "")  # where there are two processors
    lines = [line for line in block.splitlines() if " = " not in line or line.startswith("$")]
    return [line if line.startswith("$") else re.sub(r"\d+", "N", line) for line in lines]


def test_the_line_that_runs_names_a_file() -> None:
    line = next(b for kind, b in blocks(README.read_text(encoding="utf-8")) if kind == "sh")
    assert (ROOT / line.split()[-1]).exists()


def main() -> None:
    for page in (README, PLANS, CHECK):
        text = page.read_text(encoding="utf-8")
        for kind, block in blocks(text):
            if kind in RUN:
                text = text.replace(f"```{kind}\n{block}```", f"```{kind}\n{RUN[kind](block)}```")
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
