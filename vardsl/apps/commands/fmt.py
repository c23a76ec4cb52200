"""`vardsl fmt`: scripts in the one format."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from difflib import unified_diff

from vardsl.apps.files import read_script, replace, scripts
from vardsl.apps.options import Line, UsageError
from vardsl.apps.report import report
from vardsl.apps.terminal import FAILED, OK
from vardsl.errors import Error
from vardsl.source import Source
from vardsl.syntax.format import format_source


def main(line: Line) -> int:
    """Formats the files; with `--check` or `--diff` only says what would change."""
    if not line.words:
        raise UsageError("fmt needs a file", f"{line.prog} fmt FILE…, or - for standard input")
    keep = line.get("check", False) or line.get("diff", False)
    status = OK
    for name in scripts(line.words):
        try:
            source = read_script(name)
            text = format_source(source)
        except Error as error:
            report(error, line.get("color", "auto"))
            status = FAILED
            continue
        if line.get("diff"):
            sys.stdout.writelines(_difference(source, text))
        if keep:
            if text != source.text:
                status = FAILED
                if not line.get("diff"):
                    sys.stdout.write(f"would format {name}\n")
        elif name == "-":
            sys.stdout.write(text)
        elif text != source.text:
            replace(name, text)
    return status


def _difference(source: Source, text: str) -> Iterator[str]:
    lines = unified_diff(
        source.text.splitlines(keepends=True),
        text.splitlines(keepends=True),
        source.name,
        f"{source.name} (formatted)",
    )
    for line in lines:
        yield line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"
