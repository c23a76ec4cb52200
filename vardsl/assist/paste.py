"""Text copied from a session: without its prompts, and without the output between the inputs."""

from __future__ import annotations

import re

from vardsl.syntax.continuation import completeness
from vardsl.syntax.tokens import tokens

_PROMPT = re.compile(r"[ \t]*(>>>|vd>)( |(?=\r?\n|$))")
_CONTINUATION = re.compile(r"[ \t]*\.\.\.( |(?=\r?\n|$))")


def strip_prompts(text: str) -> str:
    """A text copied from a session without its prompts and without the output between the inputs.

    Only a text that starts with a prompt is one; what looks like a prompt inside a string stays.
    """
    body = text.lstrip("\r\n")
    if not _PROMPT.match(body):
        return text
    inside = _inside_strings(body)
    blocks: list[str] = []
    offset = 0
    for line in body.splitlines(keepends=True):
        start, offset = offset, offset + len(line)
        if start not in inside:
            prompt = _PROMPT.match(line)
            if prompt:
                blocks.append(line[prompt.end() :])
                continue
            prompt = _CONTINUATION.match(line)
            if prompt:
                blocks[-1] += line[prompt.end() :]
                continue
        if completeness(blocks[-1]) == "incomplete":
            blocks[-1] += line
    return "".join(block if block.endswith(("\n", "\r")) else block + "\n" for block in blocks).rstrip("\r\n")


def goes_on(text: str) -> bool:
    """Whether a block that is being typed, or pasted with its prompts, is only the beginning of one."""
    return completeness(strip_prompts(text)) == "incomplete"


def _inside_strings(text: str) -> set[int]:
    """Line starts that lie inside a string, which an escaped line end makes possible."""
    starts: set[int] = set()
    for piece in tokens(text):
        if piece.kind in ("string", "escape"):
            at = text.find("\n", piece.start, piece.end)
            while at >= 0:
                starts.add(at + 1)
                at = text.find("\n", at + 1, piece.end)
    return starts
