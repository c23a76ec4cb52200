"""The `vardsl` command: its commands as a table, help, and the way from an argument list to an exit status.

Commands are loaded when they are called, so that help and wrong usage need no NumPy.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from vardsl import __version__
from vardsl.apps.options import (
    CODE,
    GENERAL,
    INTERACTIVE,
    PLAIN,
    RUNNING,
    TOP,
    Line,
    Option,
    UsageError,
    one_of,
    read,
)
from vardsl.apps.terminal import (
    BUG,
    INTERRUPTED,
    OK,
    PIPE,
    SIGNALS,
    USAGE,
    OutputFailed,
    abandon_output,
    complain,
    prepare_streams,
)


class Command:
    """A command: `vardsl.apps.commands.NAME` has its `main(line) -> status`."""

    __slots__ = ("arguments", "name", "options", "stop_at_word", "summary")

    def __init__(
        self,
        name: str,
        arguments: str,
        summary: str,
        options: tuple[Option, ...] = (),
        stop_at_word: bool = False,
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.summary = summary
        self.options = options
        self.stop_at_word = stop_at_word


COMMANDS = {
    c.name: c
    for c in (
        Command(
            "run",
            "FILE [ARG…]",
            "run a script; ARGs are its tuple `args`; - is standard input",
            (*RUNNING, INTERACTIVE, PLAIN),
            True,
        ),
        Command(
            "check",
            "FILE…",
            "find errors, wrong shapes among them, without running",
            (
                Option(
                    ("--errors",),
                    "how they are shown: full, short or json",
                    "FORM",
                    one_of("full", "short", "json"),
                ),
            ),
        ),
        Command(
            "fmt",
            "FILE…",
            "format scripts; - formats standard input to standard output",
            (
                Option(("--check",), "change nothing; status 1 where a file is not formatted"),
                Option(("--diff",), "change nothing; show what would change"),
            ),
        ),
        Command(
            "test",
            "PATH…",
            "compare what scripts print with the `#>` lines in them",
            (
                Option(("--update",), "write what they print into the `#>` lines"),
                *(o for o in RUNNING if o.key in ("no_plan", "allow_read", "allow_write")),
            ),
        ),
        Command("doc", "[NAME]", "the reference of an operation"),
    )
}
RUN_OPTIONS = (*RUNNING, INTERACTIVE, *GENERAL)


def run_and_exit(arguments: Sequence[str], prog: str) -> None:
    """Runs a command line and ends the process with its status."""
    gc.disable()  # what is loaded stays: looking through it for garbage takes a tenth of the start
    prepare_streams()
    SIGNALS.install()
    status = _status(arguments, prog)
    try:
        sys.stdout.flush()
    except OutputFailed as failure:
        status = _report_output(failure)
    sys.exit(status)


def _status(arguments: Sequence[str], prog: str) -> int:
    try:
        return main(arguments, prog)
    except UsageError as error:
        complain(f"{prog}: {error}")
        complain(f"  {error.hint}" if error.hint else f"  {prog} --help shows what there is")
        return USAGE
    except OutputFailed as failure:
        return _report_output(failure)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # the last net: a user never sees a Python traceback
        complain(
            f"{prog}: internal error: {type(error).__name__}: {error}\n  this is a bug of vardsl; please "
            "report it"
        )
        return BUG


def _report_output(failure: OutputFailed) -> int:
    abandon_output()
    if failure.status != PIPE:
        complain(f"vardsl: cannot write output: {failure.error.strerror or failure.error}")
    return failure.status


def main(arguments: Sequence[str], prog: str = "vardsl") -> int:
    """The status of a command line. Raises UsageError."""
    line = read(prog, arguments, (*TOP, *RUN_OPTIONS), stop_at_word=True)
    if line.get("help"):
        return _print_help(prog)
    if line.get("version"):
        sys.stdout.write(f"vardsl {__version__}\n")
        return OK
    if CODE.key in line.given:
        return _call("code", line)
    if not line.words:
        at_prompt = line.get("interactive") or (sys.stdin and sys.stdin.isatty())
        return _call("prompt" if at_prompt else "script", line)
    return _command(line)


def _command(line: Line) -> int:
    word, *rest = line.words
    command = COMMANDS.get(word)
    if command is None:
        if word != "-" and not os.path.exists(word):
            raise _no_such(line.prog, word)
        return _call("run", line)
    if word == "help":
        return _print_help(line.prog)
    inner = read(f"{line.prog} {word}", rest, command.options + GENERAL, stop_at_word=command.stop_at_word)
    if inner.get("help"):
        return _print_command_help(line.prog, command)
    inner.prog = line.prog
    _take_over(line, inner, command)
    return _call(word, inner)


def _take_over(outer: Line, inner: Line, command: Command) -> None:
    """Options before the command's name count for the command, where it has them."""
    known = {o.key for o in command.options + GENERAL}
    for key, value in outer.given.items():
        if key not in known:
            raise UsageError(f"{command.name} has no option --{key.replace('_', '-')}")
        inner.given.setdefault(key, value)


def _no_such(prog: str, word: str) -> UsageError:
    if word.endswith(".vd") or "/" in word or os.sep in word:
        return UsageError(
            f"cannot read {word}: No such file or directory", "the name of a script is needed here"
        )
    near = import_module("difflib").get_close_matches(word, [*COMMANDS, "help"], 1, cutoff=0.5)
    return UsageError(
        f"{word}: no such command or file" + (f"; did you mean `{near[0]}`?" if near else ""),
        f"{prog} --help lists the commands",
    )


def _call(name: str, line: Line) -> int:
    module = import_module(f"vardsl.apps.commands.{name}")
    gc.freeze()
    gc.enable()
    return module.main(line)  # type: ignore[no-any-return]


def _print_help(prog: str) -> int:
    rows = [
        ("", "start the prompt; with piped standard input run that as a script"),
        ("FILE [ARG…]", "run a script"),
        *((f"{c.name} {c.arguments}".strip(), c.summary) for c in COMMANDS.values()),
    ]
    width = max(len(left) for left, _ in rows)
    lines = ["vardsl: a small language for computing with tensors and their gradients", "", "Usage:"]
    lines += [f"  {prog} {left:<{width}}  {summary}" for left, summary in rows]
    lines += ["", "Options:", *_option_rows((*TOP, *RUN_OPTIONS)), "", STATUSES, "", ENVIRONMENT]
    sys.stdout.write("\n".join(lines) + "\n")
    return OK


def _print_command_help(prog: str, command: Command) -> int:
    lines = [f"Usage: {prog} {command.name} {command.arguments}", "", f"  {command.summary}", "", "Options:"]
    lines += _option_rows(command.options + GENERAL)
    sys.stdout.write("\n".join(lines) + "\n")
    return OK


def _option_rows(options: Sequence[Option]) -> list[str]:
    rows = [(", ".join(o.names) + (f" {o.value}" if o.value else ""), o.summary) for o in options]
    width = max(len(left) for left, _ in rows)
    return [f"  {left:<{width}}  {summary}" for left, summary in rows]


STATUSES = (
    "Exit status: 0; 1 an error in a script, or a failed check, test or format check; 2 wrong usage or an "
    "unreadable\n"
    "file; 3 a limit or a permission stopped the script; 70 a bug of vardsl; 74 output could not be "
    "written;\n"
    "130 Ctrl-C; 141 a closed pipe; 143 and 129 SIGTERM and SIGHUP."
)
ENVIRONMENT = (
    "Environment: NO_COLOR, FORCE_COLOR, TERM=dumb, COLUMNS; VARDSL_CACHE (a folder for translated\n"
    "scripts; empty for none); for the prompt VARDSL_CONFIG (a folder), VARDSL_HISTORY (a file),\n"
    "VARDSL_NO_INIT."
)
