"""How long a script takes from the start of its process to the printed gradient, against `import numpy` alone.

    python tests/bench/startup.py [--python PATH] [--runs 21] [--json FILE]

Every start is a new process, in turns; a figure is a median, a ratio the median of the ratios to the `import
numpy` of the same turn. `first` starts with an empty cache of translated scripts, `later` with one that knows
the script. Each is taken twice: with the package's bytecode kept, as an installation has it, and with all its
sources compiled at every start, as PYTHONDONTWRITEBYTECODE asks for in a checkout.

`--python` names an interpreter that has vardsl installed; without it this checkout is started. NumPy's own
bytecode is always kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = "let v = var [[1,2],[3,4]] grad; out = mean(v*v); backward out; print v.grad"
PRINTED = "tensor([[0.5000, 1.0000],\n        [1.5000, 2.0000]])\n"
BASE = "import numpy"


class Start:
    """A command in its environment; `fresh` is a folder that is emptied before every start."""

    def __init__(self, command: list[str], environ: dict[str, str], printed: str, fresh: str = "") -> None:
        self.command = command
        self.environ = environ
        self.printed = printed
        self.fresh = fresh

    def seconds(self) -> float:
        """From the start of the process to its end; what it prints must be right."""
        if self.fresh:
            shutil.rmtree(self.fresh, ignore_errors=True)
        began = time.perf_counter()
        ran = subprocess.run(
            self.command, env=self.environ, cwd="/", capture_output=True, text=True, check=True
        )
        took = time.perf_counter() - began
        if ran.stdout != self.printed:
            raise ValueError(f"{self.command} printed {ran.stdout!r}")
        return took


def starts(python: str | None, folder: str) -> dict[str, Start]:
    """What is started in turns; the bytecode that this writes lies below `folder`."""
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}
    installed = python is not None
    if not installed:
        shutil.copytree(ROOT / "vardsl", f"{folder}/kept/vardsl", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "grammar", f"{folder}/kept/grammar")
        shutil.copytree(f"{folder}/kept", f"{folder}/bare")
        kept, bare = {"PYTHONPATH": f"{folder}/kept"}, {"PYTHONPATH": f"{folder}/bare"}
    else:
        kept = bare = {}
    python = python or sys.executable
    found = {
        "nothing": Start([python, "-c", "pass"], environ, ""),
        BASE: Start([python, "-c", BASE], environ, ""),
    }
    step = [python, "-m", "vardsl", "-c", SCRIPT]
    for label, place in {"": kept, ", no bytecode": bare}.items():
        if label and installed:
            break
        given = {**environ, **place, **({"PYTHONDONTWRITEBYTECODE": "1"} if label else {})}
        for which in ("first", "later"):
            cache = f"{folder}/{which}{label}"
            found[which + label] = Start(
                step, {**given, "VARDSL_CACHE": cache}, PRINTED, cache if which == "first" else ""
            )
    return found


def measure(found: dict[str, Start], runs: int) -> dict[str, list[float]]:
    for start in found.values():  # warm the disk, write bytecode, keep the script
        start.seconds()
        start.seconds()
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(runs):
        for name, start in found.items():
            times[name].append(start.seconds())
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="an interpreter that has vardsl installed")
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times = measure(starts(options.python, folder), options.runs)
    report = {
        name: {
            "milliseconds": statistics.median(row) * 1e3,
            "ratio": statistics.median(a / b for a, b in zip(row, times[BASE])),
        }
        for name, row in times.items()
    }
    print(f"median of {options.runs} starts; ratio to `{BASE}`")
    for name, row in report.items():
        print(f"{name:22}{row['milliseconds']:8.1f} ms{row['ratio']:8.2f}")
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
