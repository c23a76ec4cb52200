"""`vardsl check`: what is wrong with scripts, found without running them."""

from __future__ import annotations

from vardsl.apps.files import read_script, scripts
from vardsl.apps.options import Line, UsageError
from vardsl.apps.report import listed
from vardsl.apps.terminal import FAILED, OK
from vardsl.assist.rehearse import check
from vardsl.errors import Error


def main(line: Line) -> int:
    """Status 1 where a file has an error."""
    if not line.words:
        raise UsageError("check needs a file", f"{line.prog} check FILE…, or - for standard input")
    status = OK
    for name in scripts(line.words):
        try:
            check(read_script(name))
        except Error as error:
            listed(error, line.get("errors", "full"), line.get("color", "auto"))
            status = FAILED
    return status
