"""Errors and warnings on standard error, drawn in colour or not as that stream asks for."""

from __future__ import annotations

import json
import os
import sys

from vardsl.apps.terminal import complain
from vardsl.display.ansi import ANSI, PLAIN, Style, use_colour
from vardsl.display.diagnostics import draw, draw_short, each, to_json
from vardsl.errors import Error, Warning_


def style(mode: str) -> Style:
    """How diagnostics on standard error are drawn; `mode` is the word of `--color`."""
    return ANSI if sys.stderr is not None and use_colour(sys.stderr, mode, os.environ) else PLAIN


def report(error: Error | Warning_, color: str = "auto") -> None:
    """One diagnostic, after everything that was printed before it."""
    complain(draw(error, style=style(color)))


def listed(error: Error, form: str, color: str = "auto") -> None:
    """The errors of a check: whole, one line each, or one JSON object a line (on standard output)."""
    if form == "json":
        for one in each(error):
            sys.stdout.write(json.dumps(to_json(one), ensure_ascii=False) + "\n")
    elif form == "short":
        sys.stdout.write(draw_short(error) + "\n")
    else:
        report(error, color)
