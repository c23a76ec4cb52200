"""What stands on the command line: options as data, and how they are read.

Nothing here imports NumPy: `--help` and wrong usage answer at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any


class UsageError(Exception):
    """A command line that means nothing; `hint` says what to type."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Option:
    """An option: `value` names what follows it (None: a flag), `read` makes a value of the text."""

    __slots__ = ("key", "names", "read", "repeated", "summary", "value")

    def __init__(
        self,
        names: tuple[str, ...],
        summary: str,
        value: str | None = None,
        read: Callable[[str], Any] = str,
        repeated: bool = False,
    ) -> None:
        self.names = names
        self.summary = summary
        self.value = value
        self.read = read
        self.repeated = repeated
        self.key = names[-1].lstrip("-").replace("-", "_")


class Line:
    """A command line that has been read: the options given, by key, and the words that are none."""

    __slots__ = ("given", "prog", "words")

    def __init__(self, prog: str) -> None:
        self.prog = prog
        self.given: dict[str, Any] = {}
        self.words: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        return self.given.get(key, default)


_UNITS = {"": 1, "B": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}


def size(text: str) -> int:
    """`200M` as 200,000,000; `KiB`, `MiB` and `GiB` are powers of 1024."""
    number = text.rstrip("KMGTkmgtiBb")
    unit = text[len(number) :].upper()
    binary = unit.endswith("IB")
    letter = unit.removesuffix("IB").removesuffix("B")
    try:
        value = float(number)
    except ValueError:
        raise UsageError(f"'{text}' is not a size", "write it as 200M or 1.5G") from None
    if letter not in _UNITS or not math.isfinite(value) or value <= 0:
        raise UsageError(f"'{text}' is not a size", "write it as 200M or 1.5G")
    scale = 1024 ** "BKMGT".index(letter or "B") if binary else _UNITS[letter]
    return int(value * scale)


def seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = math.nan
    if not value > 0 or math.isinf(value):
        raise UsageError(f"'{text}' is not a number of seconds", "write it as 5 or 0.5")
    return value


def count(text: str) -> int:
    """A positive integer; `1e6` and `1_000_000` are integers too."""
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        value = math.nan
    if not (value > 0 and value.is_integer()):
        raise UsageError(f"'{text}' is not a positive integer")
    return int(value)


def integer(text: str) -> int:
    """An integer, for seeds."""
    try:
        return int(text, 0)
    except ValueError:
        raise UsageError(f"'{text}' is not an integer") from None


def one_of(*words: str) -> Callable[[str], str]:
    """A reader that takes only these words."""

    def read(text: str) -> str:
        if text not in words:
            raise UsageError(f"'{text}' is none of {', '.join(words)}")
        return text

    return read


RUNNING = (
    Option(("--seed",), "start random numbers from N", "N", integer),
    Option(("--no-plan",), "compute step by step, without the planner (the output is the same)"),
    Option(("--explain-plan",), "say what was planned, and why not, on standard error after the run"),
    Option(("--allow-read",), "let the script read files below DIR too", "DIR", repeated=True),
    Option(("--allow-write",), "let the script write files below DIR", "DIR", repeated=True),
    Option(("--max-memory",), "limit the size of tensors: 200M, 1.5G", "SIZE", size),
    Option(("--max-time",), "stop after so many seconds", "SECONDS", seconds),
    Option(("--max-steps",), "stop after so many statements and loop turns", "N", count),
    Option(("--max-output",), "stop when the script has printed so much: 1M", "SIZE", size),
    Option(("--sandbox",), "all limits at sane values, and no files at all"),
    Option(("--progress",), "show the progress of minimize although this is no terminal"),
)
GENERAL = (
    Option(
        ("--color",),
        "colour in diagnostics: auto, always or never",
        "WHEN",
        one_of("auto", "always", "never"),
    ),
    Option(("-h", "--help"), "show this help"),
)
CODE = Option(
    ("-e", "-c"), "run CODE and print the value of a last bare expression; may repeat", "CODE", repeated=True
)
INTERACTIVE = Option(("-i", "--interactive"), "go on at the prompt after the script, also after an error")
PLAIN = Option(("--plain",), "a prompt without colours, completion and line editing")
TOP = (
    CODE,
    Option(("-V", "--version"), "show the version"),
    PLAIN,
    Option(("--no-init",), "do not run the start-up file of the prompt"),
)


def read(prog: str, arguments: Sequence[str], options: Sequence[Option], *, stop_at_word: bool) -> Line:
    """Reads options and words. With `stop_at_word` everything from the first word on is left as it is.

    Raises UsageError for unknown options, missing and unreadable values.
    """
    names = {name: option for option in options for name in option.names}
    line = Line(prog)
    at = 0
    while at < len(arguments):
        word = arguments[at]
        at += 1
        if word == "--":
            line.words += arguments[at:]
            break
        if word == "-" or not word.startswith("-"):
            line.words.append(word)
            if stop_at_word:
                line.words += arguments[at:]
                break
            continue
        name, equals, value = word.partition("=") if word.startswith("--") else (word[:2], "", word[2:])
        option = names.get(name)
        if option is None:
            raise _unknown(prog, name if word.startswith("--") else word, names)
        if option.value is None:
            if equals or value:
                raise UsageError(f"{name} takes no value")
            line.given[option.key] = True
            continue
        if not equals and not value:
            if at == len(arguments):
                raise UsageError(f"{name} needs a value", f"{name} {option.value}")
            value = arguments[at]
            at += 1
        _set(line, option, name, value)
    return line


def _set(line: Line, option: Option, name: str, text: str) -> None:
    try:
        value = option.read(text)
    except UsageError as error:
        raise UsageError(f"{name}: {error}", error.hint) from None
    if option.repeated:
        line.given.setdefault(option.key, []).append(value)
    else:
        line.given[option.key] = value


def _unknown(prog: str, name: str, names: dict[str, Option]) -> UsageError:
    near = import_module("difflib").get_close_matches(name, list(names), 1, cutoff=0.7)
    hint = (
        f"did you mean {near[0]}?" if near else f"{prog} --help lists them; a file of that name is ./{name}"
    )
    return UsageError(f"unknown option {name}", hint)
