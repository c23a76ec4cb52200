"""What may be typed next: names, members, keyword arguments, words of the language, letters and files.

Only words that the grammar has room for are offered, and nothing is computed to find them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vardsl.assist import hover
from vardsl.assist.describe import facts
from vardsl.assist.letters import letters, open_letter
from vardsl.engine.dtypes import DType
from vardsl.engine.value import Value
from vardsl.errors import Error
from vardsl.lang import builtins, members
from vardsl.lang.modules import Module
from vardsl.lang.optimizer import Optimizer
from vardsl.lang.schedules import Schedule
from vardsl.ops import define
from vardsl.source import Source
from vardsl.syntax.grammar import END
from vardsl.syntax.parse import Parser, accepts
from vardsl.syntax.tokens import Piece, tokens
from vardsl.syntax.words import DTYPES, HARD_KEYWORDS, OPTION_WORDS, SOFT_KEYWORDS, TERMINAL_OF

MOST = 300
# Longer texts are looked at from their last lines only.
LONG = 4000

_WORD = re.compile(r"[^\W\d]\w*$")
_OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta", "nadam", "lbfgs")
_OF_OPTIMIZERS = {
    "step": "updates the parameters",
    "zero_grad": "sets their gradients to none",
    "lr": "the learning rate",
    "params": "the parameters",
}
_OF_SCHEDULES = {
    "step": "moves on by one epoch",
    "lr": "the learning rate",
    "last_epoch": "how many epochs have passed",
}
_FORMATS = {
    "graph": (".svg", ".png", ".dot", ".mmd", ".html"),
    "plot": (".png", ".svg", ".pdf"),
    "explain": (".tex",),
}
_READING = frozenset(["load", "save", "loadtxt", "savetxt", "read_csv"])


@dataclass(frozen=True, slots=True)
class Completion:
    """`text` replaces what stands from `start` to the cursor; `note` is computed when it is shown."""

    text: str
    start: int
    note: Callable[[], str] = str
    display: str = ""
    kind: str = "name"


Notes = Callable[[], str]


def complete(before: str, names: Mapping[str, Any], *, folder: str = ".") -> list[Completion]:
    """What may replace the word at the end of `before`, the likeliest first."""
    letter = open_letter(before)
    pieces = list(tokens(before))
    last = pieces[-1] if pieces else None
    if last is not None and last.end == len(before):
        if last.kind in ("comment", "output"):
            return []
        if last.kind in ("string", "escape", "error") and before[last.start] != "\\":
            return _in_string(before, pieces, names, folder)
    if letter is not None:
        start, prefix = letter
        found = letters(prefix) if prefix else []
        return [Completion(t, start, lambda t=t: t.strip(), f"\\{n}", "letter") for n, t in found]  # type: ignore[misc]
    word = _WORD.search(before)
    prefix = word[0] if word else ""
    if last is not None and last.kind == "number" and last.end == len(before):
        return []
    start = len(before) - len(prefix)
    ahead = [p for p in pieces if p.end <= start]
    if ahead and before[ahead[-1].start : ahead[-1].end] == "." and ahead[-1].kind != "number":
        return _rank(prefix, start, _members(before, ahead, names))
    return _rank(prefix, start, _words(before[:start], ahead, names))


Offer = tuple[str, str, Notes]


def _rank(prefix: str, start: int, offers: Iterable[Offer]) -> list[Completion]:
    """Those that start with the prefix, then those that do whatever the case; each word once."""
    exact, folded = [], []
    seen = set()
    low = prefix.casefold()
    for text, kind, note in offers:
        if text in seen or text == prefix:
            continue
        if text.startswith(prefix):
            exact.append(Completion(text, start, note, text, kind))
        elif text.casefold().startswith(low):
            folded.append(Completion(text, start, note, text, kind))
        else:
            continue
        seen.add(text)
    return (exact + folded)[:MOST]


def _about(name: str) -> Notes:
    return lambda: hover.one_line(name)


def _value(value: Any) -> Notes:
    return lambda: facts(value)


def _said(text: str) -> Notes:
    return lambda: text


# ---- behind a dot ----
def _members(before: str, ahead: list[Piece], names: Mapping[str, Any]) -> Iterator[Offer]:
    path = hover.receiver(before, ahead)
    if path in define.NAMESPACES and path not in names:
        for name in define.names():
            if name.startswith(path + "."):
                yield name.removeprefix(path + "."), "operation", _about(name)
        return
    try:
        value = hover.resolve(path, names)
    except KeyError:
        if path != "?" and "." not in path and not builtins.has(path):
            return
        value = None
    if value is None or type(value) is Value:
        yield from _tensor_members()
    else:
        yield from _other_members(value)


def _tensor_members() -> Iterator[Offer]:
    for name, note in hover.PROPERTIES.items():
        yield name, "property", _said(note)
    for name in members.METHODS:
        yield name, "method", _said(hover.one_line_of_member(name))
    for name in define.names():
        if "." not in name:
            yield name, "operation", _about(name)


def _other_members(value: Any) -> Iterator[Offer]:
    if isinstance(value, members.Shape):
        yield "numel", "method", _said("the number of elements")
    elif isinstance(value, tuple):
        for name, part in zip(getattr(value, "_fields", ()), value):
            yield name, "field", _value(part)
    elif isinstance(value, np.ndarray):
        for name in ("shape", "dtype", "ndim", "T", "size", "tolist", "item", "copy"):
            yield name, "property", _said("")
    elif isinstance(value, DType):
        for name in ("is_floating_point", "itemsize"):
            yield name, "property", _said("")
    elif isinstance(value, int | float):
        for name in define.names():
            if "." not in name:
                yield name, "operation", _about(name)
    else:
        for kind, known in ((Optimizer, _OF_OPTIMIZERS), (Schedule, _OF_SCHEDULES)):
            if isinstance(value, kind):
                for name, note in known.items():
                    yield name, "member", _said(note)
        if isinstance(value, Module):
            for name in value.space:
                yield name, "name", _value(value.space.get(name))


# ---- words and names ----
class _Stop(Exception):
    """The end of the text is reached."""


class _Probe(Parser):
    """Reads up to the end of a text, and tells what might stand there."""

    next: frozenset[str] = frozenset()

    def _feed(self, token: Any) -> bool:
        if token.type == END:
            self.next = accepts(self.tables, self.stack)
            raise _Stop
        return super()._feed(token)


def expected(before: str) -> frozenset[str] | None:
    """The terminals that may follow a text; None where it is broken before its end."""
    probe = _Probe(Source("<input>", before), "program", first_error_only=True)
    try:
        probe.run()
    except _Stop:
        return probe.next
    except Error:
        return None
    return None


def _words(before: str, ahead: list[Piece], names: Mapping[str, Any]) -> Iterator[Offer]:
    """Keyword arguments, then the session's names, then the language's words and builtins."""
    last = before[ahead[-1].start : ahead[-1].end] if ahead else ""
    if last == "using" and ahead[-1].kind == "option":
        yield from _optimizers(names)
        return
    head = _statement_head(before, ahead)
    if last == "to" and ahead[-1].kind == "option" and head in _FORMATS:
        for extension in _FORMATS[head]:
            yield f'"{head}{extension}"', "file", _said(f"write a {extension[1:]} file")
        return
    text = before
    if len(text) > LONG:
        line = text.rfind("\n", 0, len(text) - 1000)
        text = text[line + 1 :]
    can = expected(text)
    if can is not None and "NAME" in can and "GRAD" in can and _is_operand(before, ahead):
        yield "grad", "option", _said("takes part in the graph")
        for name in DTYPES:
            yield name, "dtype", _said("dtype")
        can = can - {"NAME", "GRAD"}
    if can is None or "NAME" in can:
        if last in ("let", "fn", "for") and ahead[-1].kind == "keyword":
            return
        yield from _arguments(before, names)
        for name, value in names.items():
            if not name.startswith("_"):
                yield name, "variable", _value(value)
    yield from _keywords(can)
    if can is None or "NAME" in can:
        for name in _public_builtins():
            yield name, "builtin", _about(name)


def _keywords(can: frozenset[str] | None) -> Iterator[Offer]:
    for group, note in ((OPTION_WORDS, "option"), (SOFT_KEYWORDS, "statement"), (HARD_KEYWORDS, "keyword")):
        for word in group:
            if word not in ("True", "False", "None") and (can is None or TERMINAL_OF[word] in can):
                yield word, note, _said(note)


def _is_operand(before: str, ahead: list[Piece]) -> bool:
    """Whether a value ends right before: then a name can only be the dtype of a `var`."""
    if not ahead:
        return False
    return ahead[-1].kind in ("name", "call", "member", "number", "string", "constant") or (
        before[ahead[-1].start] in ")]"
    )


def _public_builtins() -> list[str]:
    return sorted(n for n in builtins.all_names() if "." not in n and not n.startswith("_"))


def _optimizers(names: Mapping[str, Any]) -> Iterator[Offer]:
    for name in _OPTIMIZERS:
        yield name, "builtin", _about(name)
    for name, value in names.items():
        if isinstance(value, Optimizer):
            yield name, "variable", _value(value)


def _arguments(before: str, names: Mapping[str, Any]) -> Iterator[Offer]:
    call = hover.call_at(before)
    if call is None or not call.fresh or call.keyword:
        return
    known = hover.parameters(call, names) or []
    for k, (name, text) in enumerate(known):
        if k >= call.position and name not in call.used and (k > 0 or call.receiver) and "=" in text:
            yield f"{name}=", "argument", _said(text)


def _statement_head(before: str, ahead: list[Piece]) -> str:
    """The word with which the statement begins in which the text ends."""
    for k in range(len(ahead) - 1, -1, -1):
        text = before[ahead[k].start : ahead[k].end]
        between = before[ahead[k - 1].end : ahead[k].start] if k else "\n"
        if ahead[k].kind == "keyword" and (k == 0 or text in SOFT_KEYWORDS or "\n" in between):
            return text
        if text in (";", "{", "}"):
            return ""
    return ""


# ---- inside strings ----
def _in_string(before: str, pieces: list[Piece], names: Mapping[str, Any], folder: str) -> list[Completion]:
    """Files where the string is one's name, and the expressions of an f-string."""
    start = _string_start(before, pieces)
    if start is None:
        return []
    opening = start + (2 if before[start] in "fF" else 1)
    if before[start:opening].lower().startswith("f"):
        field = _open_field(before, opening)
        if field is None:
            return []
        inner = complete(before[field:], names, folder=folder)
        return [Completion(c.text, c.start + field, c.note, c.display, c.kind) for c in inner]
    ahead = [p for p in pieces if p.end <= start]
    if not ahead:
        return []
    last = before[ahead[-1].start : ahead[-1].end]
    head = _statement_head(before, ahead)
    endings: tuple[str, ...] = ()
    if last == "to" and head in _FORMATS:
        endings = _FORMATS[head]
    elif last == "import" and ahead[-1].kind == "keyword":
        endings = (".vd",)
    else:
        call = hover.call_at(before[:start])
        if call is None or call.name not in _READING or call.position:
            return []
    return complete_path(before[opening:], opening, folder, endings)


def _string_start(before: str, pieces: list[Piece]) -> int | None:
    """Where the string begins that the text ends in; None where it is closed."""
    last = pieces[-1]
    if last.kind != "error":
        return None
    if before[last.start] in "\"'":
        prefix = len(pieces) > 1 and pieces[-2].end == last.start and before[pieces[-2].start : last.start]
        return pieces[-2].start if prefix in ("f", "F") else last.start
    return last.start if before[last.start : last.start + 2].lower() in ('f"', "f'") else None


def _open_field(before: str, at: int) -> int | None:
    """Where the expression of the field begins that is open at the end of an f-string."""
    field, depth = None, 0
    while at < len(before):
        char = before[at]
        if char == "{":
            if depth == 0 and before[at + 1 : at + 2] == "{":
                at += 1
            else:
                depth += 1
                field = at + 1 if depth == 1 else field
        elif char == "}" and depth:
            depth -= 1
        elif char == ":" and depth == 1:
            return None
        at += 1
    return field if depth else None


def complete_path(typed: str, start: int, folder: str, endings: tuple[str, ...] = ()) -> list[Completion]:
    """Files and folders whose path starts with what is typed; a name without an ending may get one."""
    directory, name = os.path.split(typed)
    found: list[Completion] = []
    at = start + len(typed) - len(name)
    try:
        with os.scandir(os.path.join(folder, os.path.expanduser(directory)) or ".") as entries:
            for entry in entries:
                if entry.name.startswith(name) and (name.startswith(".") or not entry.name.startswith(".")):
                    is_folder = entry.is_dir()
                    if is_folder or not endings or entry.name.endswith(endings):
                        text = entry.name + ("/" if is_folder else "")
                        note = _said("folder" if is_folder else "file")
                        found.append(Completion(text, at, note, text, "path"))
                if len(found) >= MOST:
                    break
    except OSError:
        pass
    found.sort(key=lambda c: c.text)
    if name and not os.path.splitext(name)[1] and endings != (".vd",):
        taken = {c.text for c in found}
        new = [name + ending for ending in endings if name + ending not in taken]
        found += [Completion(text, at, _said("new file"), text, "path") for text in new]
    return found
