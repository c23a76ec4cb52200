"""The text in a script's bytes."""

from __future__ import annotations

from vardsl.errors import Label, ScriptSyntaxError
from vardsl.source import Source, Span

MAX_SOURCE = 16 * 1024 * 1024


def decode(name: str, data: bytes) -> Source:
    """The source in a file's bytes; what is not UTF-8 is an error that names the first bad byte's place."""
    try:
        return Source(name, data.decode("utf-8"))
    except UnicodeDecodeError as error:
        text = data[: error.start].decode("utf-8")
        source = Source(name, text + "\ufffd")
        bad = Span(len(text), len(text) + 1)
        raise ScriptSyntaxError(
            f"this file is not UTF-8: byte 0x{data[error.start]:02x}",
            labels=[Label(source, bad, "the first byte that is not UTF-8")],
            hint="save it as UTF-8",
        ) from None
