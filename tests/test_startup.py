"""What a call of the command may import: help and wrong usage no NumPy, a small script nothing heavy."""

from __future__ import annotations

import subprocess
import sys

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


def imported(*arguments: str, stdin: str = "") -> set[str]:
    """The top-level modules that a call of the command has imported when it ends."""
    code = (
        "import sys, atexit, os\n"
        "atexit.register(lambda: os.write(2, ('\\nMODULES ' + ' '.join(sys.modules)).encode()))\n"
        f"sys.argv = ['vardsl', *{arguments!r}]\n"
        "from vardsl.__main__ import main\n"
        "main()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], input=stdin, capture_output=True, text=True, check=False
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


def test_a_small_script_imports_nothing_heavy() -> None:
    modules = imported("-c", "1")
    assert not {m.split(".")[0] for m in modules} & HEAVY
