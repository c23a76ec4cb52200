"""Colour for terminals, and text that cannot command one: the only place that writes escape sequences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

# The sixteen colours that every terminal has, by what they stand for.
_CODES = {
    "error": "1;31",
    "warning": "1;33",
    "message": "1",
    "gutter": "1;34",
    "primary": "1;31",
    "secondary": "1;34",
    "note": "1",
    "help": "1;36",
    "good": "32",
    "bad": "31",
    "dim": "2",
}

# C0 but newline and tab, DEL, C1, and what is invisible, turns the writing direction, or cannot be encoded.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True)
class Style:
    """How drawings come out: with colour or without, with `…` or `...`, and how wide a source line may be."""

    colour: bool = False
    ascii: bool = False
    width: int = 100

    def paint(self, role: str, text: str) -> str:
        """`text` in the colour of its role."""
        return f"\x1b[{_CODES[role]}m{text}\x1b[0m" if self.colour and text else text

    @property
    def ellipsis(self) -> str:
        """What stands for text that is left out."""
        return "..." if self.ascii else "…"


PLAIN = Style()
ANSI = Style(colour=True)


class Stream(Protocol):
    """What may be a terminal."""

    def isatty(self) -> bool: ...


def use_colour(stream: Stream, mode: str, environ: Mapping[str, str]) -> bool:
    """Whether to write colour to this stream; `mode` is `--color`'s word and goes before the environment."""
    if mode != "auto":
        return mode == "always"
    if environ.get("NO_COLOR"):
        return False
    if any(environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    try:
        return environ.get("TERM") != "dumb" and stream.isatty()
    except ValueError:  # a closed stream
        return False


def escape_control(text: str) -> str:
    """`text` with what would steer a terminal, or could not be seen, written as `\\x1b` or `\\u202e`."""
    return _UNSEEN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
