"""`vardsl doc`: the reference of operations and functions, from their declarations."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from inspect import cleandoc
from typing import Any

from vardsl.apps.options import Line, UsageError
from vardsl.apps.terminal import FAILED, OK, complain
from vardsl.lang import builtins
from vardsl.ops import define, reference
from vardsl.ops.index import FAMILIES


def main(line: Line) -> int:
    """The entry of a name; without one the list of all."""
    if len(line.words) > 1:
        raise UsageError("doc takes one name", f"{line.prog} doc {line.words[0]}")
    if not line.words:
        sys.stdout.write(listing())
        return OK
    name = line.words[0].removesuffix("()")
    text = entry(name)
    if text is None:
        near = get_close_matches(name, documented(), 3)
        also = f"; did you mean {', '.join(near)}?" if near else ""
        complain(f"{line.prog} doc: there is no '{name}'{also}\n  {line.prog} doc lists everything")
        return FAILED
    sys.stdout.write(text)
    return OK


def documented() -> list[str]:
    """Everything that has an entry, sorted."""
    return sorted({*define.names(), *builtins.ELSEWHERE, *(n for n in builtins.all_names() if _function(n))})


def _function(name: str) -> Any:
    try:
        found = builtins.lookup(name)
    except KeyError:
        return None
    return found if callable(found) and getattr(found, "__doc__", None) else None


def entry(name: str) -> str | None:
    """Signature, text and PyTorch's name, or None."""
    if name.startswith("_"):
        return None
    try:
        found = define.get(name) if name in FAMILIES else builtins.lookup(name)
    except KeyError:
        return None
    if hasattr(found, "facts"):
        return reference.as_text(reference.entry(name))
    if not callable(found) or not found.__doc__:
        return None
    signature = builtins.signature(name) or "…"
    return reference.as_text(reference.parse(name, str(signature), found.__doc__))


def listing() -> str:
    """Every name with the first line of its text, by family."""
    define.load_all()
    groups: dict[str, list[str]] = {}
    for name in define.names():
        groups.setdefault(FAMILIES[name], []).append(name)
    groups["functions"] = sorted(set(documented()) - set(define.names()))
    lines = []
    for family in sorted(groups):
        lines.append(family)
        for name in groups[family]:
            found = define.get(name) if name in FAMILIES else builtins.lookup(name)
            doc = found.doc if hasattr(found, "facts") else found.__doc__
            lines.append(f"  {name:<24}{cleandoc(doc or '').splitlines()[0]}")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"
