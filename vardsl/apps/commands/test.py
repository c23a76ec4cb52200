"""`vardsl test`: golden scripts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from vardsl import golden
from vardsl.apps.files import read_script, replace, scripts
from vardsl.apps.options import Line, UsageError
from vardsl.apps.report import report
from vardsl.apps.running import session_for
from vardsl.apps.terminal import FAILED, OK, SIGNALS
from vardsl.errors import Error


def main(line: Line) -> int:
    """Status 1 where a script prints something else than its `#>` lines."""
    if not line.words:
        raise UsageError("test needs a file or a folder", f"{line.prog} test PATH…")
    if line.get("update") and os.environ.get("CI"):
        raise UsageError(
            "--update does not run in CI", "unset CI, or run it at home and look at the difference"
        )
    passed, failed = 0, []
    for name in scripts(line.words):
        if _passes(name, line):
            passed += 1
        else:
            failed.append(name)
    sys.stdout.write(_summary(passed, failed, bool(line.get("update"))))
    return FAILED if failed else OK


def _passes(name: str, line: Line) -> bool:
    try:
        source = read_script(name)
    except Error as error:
        report(error, line.get("color", "auto"))
        return False
    session = session_for(line, folder=Path(name).parent, seed=0)
    session["args"] = ()
    with SIGNALS.to(session.interrupt):
        result = golden.run(source, session)
    if result.passed:
        return True
    if line.get("update"):
        replace(name, result.actual + "\n")
        sys.stdout.write(f"updated {name}\n")
        return True
    sys.stdout.write(result.difference() + "\n\n")
    return False


def _summary(passed: int, failed: list[str], update: bool) -> str:
    if not passed and not failed:
        return "no scripts found\n"
    text = f"{passed} passed" if not update else f"{passed} up to date"
    return text + (f", {len(failed)} failed: {', '.join(failed)}" if failed else "") + "\n"
