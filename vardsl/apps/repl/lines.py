"""What a line at the prompt is: one for the prompt itself, or text of the language."""

from __future__ import annotations


def is_command(text: str) -> bool:
    """Whether a line is for the prompt and not for the language: `:vars`, `?sum`, `sum?`."""
    line = text.strip()
    if "\n" in line:
        return False
    if line.startswith((":", "?", "%")):
        return True
    return len(line) > 1 and line.endswith("?") and all(part.isidentifier() for part in line[:-1].split("."))


def split_command(text: str) -> tuple[str, str]:
    """The command's word and what follows it; `?x` and `x?` are `help x`, and `%x` is meant as `:x`."""
    line = text.strip()
    if line.startswith("?"):
        return "help", line.strip("? ")
    if line.endswith("?") and not line.startswith((":", "%")):
        return "help", line[:-1]
    word, _, rest = line[1:].strip().partition(" ")
    return word, rest.strip()
