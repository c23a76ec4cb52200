"""A session as text: the script that does the same, the page that shows it, and the help on one screen."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vardsl.syntax.tokens import tokens

LAST = ("_", "ans")
"""The names of the last result."""


@dataclass
class Entry:
    """A statement that ran: its text, what it printed, the value it showed, and whether it ended well.

    expression  it is an expression, which a script must print to show it
    """

    text: str
    expression: bool = False
    output: list[str] = field(default_factory=list)
    value: str | None = None
    ok: bool = True


def script(entries: Sequence[Entry], seed: int | None = None) -> str:
    """The statements that ended well, each with its output in `#>` lines; `vardsl test` accepts it."""
    used = {name for entry in entries for name in _last_names(entry.text)}
    lines = [f"seed({seed})"] if seed is not None else []
    for entry in entries:
        lines += _statement(entry, used)
        lines += _expected(entry)
    return "\n".join(lines) + "\n" if lines else ""


def _statement(entry: Entry, used: set[str]) -> list[str]:
    """A statement as a file says it: what a prompt shows by itself is printed there, and `_` is bound."""
    if not entry.expression or entry.value is None:
        return entry.text.split("\n")
    text = f"({entry.text})" if _needs_parentheses(entry.text) else entry.text
    if not used:
        return f"print {text}".split("\n")
    first, *others = sorted(used)
    bound = [f"{first} = {entry.text}", *(f"{other} = {first}" for other in others), f"print {first}"]
    return "\n".join(bound).split("\n")


def _needs_parentheses(text: str) -> bool:
    """`print (1, 2)` prints two things, so a tuple needs its own parentheses around it."""
    return text.startswith("(")


def _last_names(text: str) -> set[str]:
    """The names of the last result that a statement uses."""
    return {text[p.start : p.end] for p in tokens(text) if p.kind in ("name", "call")} & set(LAST)


def _expected(entry: Entry) -> list[str]:
    output = "".join(entry.output) + ((entry.value or "") if entry.expression else "")
    return [f"#> {line}".rstrip() for line in output.removesuffix("\n").split("\n")] if output else []


def page(entries: Sequence[Entry], title: str) -> str:
    """The session as a Markdown page: the input, and below it what came of it."""
    parts = [f"# {title}", ""]
    open_: list[str] = []

    def close() -> None:
        if open_:
            parts.extend(["```vardsl", *open_, "```", ""])
            open_.clear()

    for entry in entries:
        open_.extend(entry.text.split("\n"))
        output = "".join(entry.output) + (entry.value or "")
        if output:
            close()
            parts.extend(["```text", *output.removesuffix("\n").split("\n"), "```", ""])
    close()
    return "\n".join(parts)


def write_whole(path: Path, text: str) -> None:
    """Puts a file in place whole or not at all. Raises OSError."""
    if path.is_symlink():
        raise OSError(0, "it is a link")
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def overview(commands: Iterable[tuple[str, str]]) -> str:
    """The first screen of help."""
    rows = list(commands)
    width = max(len(left) for left, _ in rows)
    return "\n".join(
        [
            "Type a statement and press Enter; a block goes on until its brackets are closed.",
            "",
            "    let v = var [[1, 2], [3, 4]] grad",
            "    out = mean(v*v)",
            "    backward out",
            "    v.grad",
            "",
            "?NAME or NAME? tells about a name: ?softmax, ?minimize, ?v",
            "_ is the last result. Ctrl-C stops what runs, Ctrl-D leaves.",
            "Tab completes, Up finds what began alike, Ctrl-R searches, Alt-Enter makes a new line.",
            "",
            *[f"  {left:<{width}}  {summary}" for left, summary in rows],
        ]
    )


STATEMENTS: dict[str, str] = {
    "let": "let a = e    let a, b = e\n\nBinds a name in this block, hiding an outer one.",
    "var": "var OPERAND [DTYPE] [grad]\n\nA new tensor, a copy; with grad it takes part in the graph.",
    "fn": "fn f(x, y=2) = e    fn f(x) { … return e }    fn(x) = e\n\nA function; the last one has no name.",
    "print": "print e, e, …\n\nPrints values with blanks between them.",
    "backward": (
        "backward e [with g] [retain] [create] [step]\n\n"
        "Adds the gradients of e to .grad of the variables below it. retain keeps the graph for another\n"
        "pass, create makes the gradients differentiable, step shows the pass one node at a time."
    ),
    "zero_grad": "zero_grad a, b    zero_grad\n\nSets gradients to none: of these variables, or of all.",
    "update": "update w -= e\n\nChanges w in place and outside the graph, as no_grad { w -= e }.",
    "minimize": (
        "minimize e over a, b [using adam(lr=0.05)] [steps n] [until tol]\n\n"
        "Evaluates e, goes backward, lets the optimizer step, n times; its value is the last loss."
    ),
    "graph": 'graph e [to "file.svg"]\n\nDraws the computation graph of e.',
    "explain": "explain e [wrt a, b]\n\nThe chain rule line by line, and the derivative in closed form.",
    "why": "why v.grad    why nan    why error\n\nWhat was recorded about how that came to be.",
    "plot": 'plot y    plot x, y    plot … to "file.png"\n\nA line plot.',
    "import": 'import "lib.vd" [as m]\n\nRuns a file once; its names come in plainly, or as m.name.',
    "if": "if c { … } else if d { … } else { … }",
    "while": "while c { … }",
    "for": "for a in e { … }    for i, a in enumerate(e) { … }",
    "no_grad": "no_grad { … }\n\nNothing inside enters the graph.",
    "assert": "assert c [, message]",
    "del": "del a, b\n\nForgets names.",
}
