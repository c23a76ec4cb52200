"""What a call of the command may import: help and wrong usage no NumPy, a small script nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "prompt_toolkit",
    "rich",
    "pygments",
    "platformdirs",
    "asyncio",
    "lark",
    "scipy",
    "email",
    "ssl",
    "socket",
}


def imported(*arguments: str, stdin: str = "", cache: str = "") -> set[str]:
    """The modules that a call of the command has imported when it ends, without those of Python's own start."""
    code = (
        "import sys, atexit, os\n"
        "before = set(sys.modules)\n"
        "found = lambda: os.write(2, ('\\nMODULES ' + ' '.join(sys.modules.keys() - before)).encode())\n"
        "atexit.register(found)\n"
        f"sys.argv = ['vardsl', *{arguments!r}]\n"
        "from vardsl.__main__ import main\n"
        "main()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VARDSL_CACHE": cache},
    )
    assert "MODULES" in run.stderr, run.stderr
    return set(run.stderr.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["--nonsense"], ["rnu"]])
def test_help_and_usage_need_no_numpy(arguments: list[str]) -> None:
    modules = imported(*arguments)
    assert "numpy" not in modules
    assert not {m for m in modules if m.startswith("vardsl.") and m.split(".")[1] != "apps"} - {
        "vardsl.__main__"
    }


@pytest.mark.parametrize("arguments", [["fmt", "-"], ["fmt", "--check", "FILE"], ["fmt", "--diff", "FILE"]])
def test_formatting_needs_no_numpy(arguments: list[str], tmp_path: Path) -> None:
    script = tmp_path / "a.vd"
    script.write_text("x=[1,2]\n")
    modules = imported(*(str(script) if a == "FILE" else a for a in arguments), stdin="x=1\n")
    assert "vardsl.syntax.format" in modules
    assert "numpy" not in modules


@pytest.mark.parametrize("command", [["-c", "1"], ["FILE"], ["run", "FILE"], ["run", "-"], []])
def test_a_small_script_imports_nothing_heavy(command: list[str], tmp_path: Path) -> None:
    script = tmp_path / "a.vd"
    script.write_text("1")
    modules = imported(*(str(script) if a == "FILE" else a for a in command), stdin="1")
    assert "numpy" in modules
    assert not {m.split(".")[0] for m in modules} & HEAVY
    assert not modules & UNNEEDED_EVER


# What neither a first start nor a later one needs: it is for errors, for files that a script opens, for the
# planner, or slow to load for what it gives.
UNNEEDED_EVER = {
    "dataclasses",
    "difflib",
    "numpy.typing",
    "pathlib",
    "tempfile",
    "unicodedata",
    "vardsl.apps.report",
    "vardsl.display.diagnostics",
    "vardsl.engine.random",
    "vardsl.lang.files",
    "vardsl.lang.locate",
    "vardsl.lang.undo",
    "vardsl.plan.execute",
    "vardsl.plan.trace",
    "vardsl.syntax.mistakes",
    "vardsl.syntax.situation",
    "vardsl.syntax.slips",
}
# What only a text that was not translated before needs, or what is not used here.
UNNEEDED = UNNEEDED_EVER | {
    "vardsl.lang.front",
    "vardsl.lang.check",
    "vardsl.lang.compile",
    "vardsl.lang.minimize",
    "vardsl.lang.optimizers",
    "vardsl.lang.suggest",
    "vardsl.lang.transforms",
    "concurrent.futures",
    "hashlib",
    "json",
    "logging",
    "secrets",
}
STEP = "let v = var [[1,2],[3,4]] grad; out = mean(v*v); backward out; print v.grad"


def test_a_script_that_ran_before_is_not_translated_again(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    first = imported("-c", STEP, cache=cache)
    assert "vardsl.syntax.parse" in first
    assert not first & UNNEEDED_EVER
    second = imported("-c", STEP, cache=cache)
    assert not second & UNNEEDED
    assert not {m for m in second if m.startswith("vardsl.syntax")}
    families = {m for m in second if m.startswith("vardsl.ops.")}
    assert "vardsl.ops.conv" not in families
    assert len(families) < 10, families


@pytest.mark.parametrize("option", ["-O", "-OO", "-I", "-S"])
def test_it_runs_however_python_is_started(option: str) -> None:
    # -I and -S leave out where this package or NumPy may lie, and -I what is said of bytecode
    code = f"import sys; sys.path[:] = {sys.path!r}; from vardsl.__main__ import main; main()"
    run = subprocess.run(
        [sys.executable, "-B", option, "-c", code, "-c", STEP],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VARDSL_CACHE": ""},
    )
    assert (run.stderr, run.stdout.count("1.0000")) == ("", 1)


def test_a_sandbox_keeps_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    imported("--sandbox", "-c", "1", cache=str(cache))
    assert not cache.exists()
    imported("-c", "1", cache=str(cache))
    assert len(list(cache.iterdir())) == 1
