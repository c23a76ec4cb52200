"""The prompt's own commands, a block of code each: `:name` calls the function of that name here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from vardsl.apps import running
from vardsl.apps.commands import doc
from vardsl.apps.repl import pages
from vardsl.apps.repl.config import CHOICES
from vardsl.apps.repl.conversation import Conversation, duration
from vardsl.apps.repl.lines import split_command
from vardsl.assist import describe, hover
from vardsl.assist.complete import Completion, complete_path
from vardsl.assist.preview import is_pure
from vardsl.display.tensors import DEFAULT
from vardsl.encoding import MAX_SOURCE, decode
from vardsl.errors import Error, IoError
from vardsl.source import Source
from vardsl.syntax.parse import parse_expression
from vardsl.syntax.words import SOFT_KEYWORDS

Action = Callable[[Conversation, str], None]


@dataclass(frozen=True, slots=True)
class Command:
    """A command: how it is written, what it does in a line, and its code.

    argument  what its argument is, for completion: `name`, `path`, `setting`, `expression`, or nothing
    """

    name: str
    usage: str
    summary: str
    run: Action
    argument: str = ""
    aliases: tuple[str, ...] = ()


COMMANDS: dict[str, Command] = {}
_ALIASES: dict[str, str] = {}


class CommandError(Exception):
    """What was typed cannot be done; the text says why."""


def command(
    usage: str = "", *, argument: str = "", aliases: tuple[str, ...] = ()
) -> Callable[[Action], Action]:
    """Declares a command by the function below; its docstring is the summary."""

    def declare(f: Action) -> Action:
        name = f.__name__.rstrip("_")
        COMMANDS[name] = Command(name, usage, (f.__doc__ or "").split("\n")[0], f, argument, aliases)
        for alias in aliases:
            _ALIASES[alias] = name
        return f

    return declare


def run(c: Conversation, text: str) -> None:
    """Runs one line that is a command; what cannot be done is said, never raised."""
    word, argument = split_command(text)
    if text.lstrip().startswith("%"):
        known = word in COMMANDS or word in _ALIASES
        c.say(f"commands begin with a colon{f': did you mean :{word}?' if known else ''}")
        return
    found = COMMANDS.get(_ALIASES.get(word, word))
    if found is None:
        near = get_close_matches(word, [*COMMANDS, *_ALIASES], 1, 0.5)
        c.say(
            f"there is no command :{word}" + (f"; did you mean :{near[0]}?" if near else "; :help lists them")
        )
        return
    try:
        found.run(c, argument)
    except CommandError as error:
        c.say(str(error))
    except Error as error:
        c.report(error)
    except KeyboardInterrupt:
        c.say("interrupted")


def complete(c: Conversation, before: str) -> list[Completion]:
    """Completion of a command's name and argument."""
    start = len(before) - len(before.lstrip())
    line = before[start:]
    if line.startswith("?"):
        return _complete_name(c, before, start + 1)
    word, blank, rest = line[1:].partition(" ")
    if not blank:
        names = [n for n in sorted([*COMMANDS, *_ALIASES]) if n.startswith(word)]
        return [Completion(n, start + 1, _summary(n), f":{n}", "command") for n in names]
    found = COMMANDS.get(_ALIASES.get(word, word))
    at = len(before) - len(rest.lstrip())
    if found is None:
        return []
    if found.argument == "name":
        return _complete_name(c, before, at)
    if found.argument == "path":
        return complete_path(before[at:], at, os.getcwd(), ())
    if found.argument == "setting":
        return _complete_setting(c, before[at:], at)
    if found.argument == "expression":
        inner = import_module("vardsl.assist.complete").complete(before[at:], c.session.names())
        return [Completion(i.text, i.start + at, i.note, i.display, i.kind) for i in inner]
    return []


def _summary(name: str) -> Callable[[], str]:
    return lambda: COMMANDS[_ALIASES.get(name, name)].summary


def _text(text: str) -> Callable[[], str]:
    return lambda: text


def _complete_name(c: Conversation, before: str, at: int) -> list[Completion]:
    prefix = before[at:]
    names = c.session.names()
    found = [Completion(n, at, _text(describe.facts(v))) for n, v in names.items() if n.startswith(prefix)]
    for name in doc.documented():
        if name.startswith(prefix) and name not in names:
            found.append(Completion(name, at, _text(hover.one_line(name))))
    return found


def _complete_setting(c: Conversation, text: str, at: int) -> list[Completion]:
    name, blank, value = text.partition(" ")
    if not blank:
        return [Completion(n, at, _text(_shown(v))) for n, v in c.settings.items() if n.startswith(name)]
    choices = CHOICES.get(name) or (
        ("on", "off") if isinstance(getattr(c.settings, name, None), bool) else ()
    )
    return [Completion(v, at + len(name) + 1) for v in choices if v.startswith(value)]


# ---- help --------------------------------------------------------------------------------------------------
@command("[NAME]", argument="name", aliases=("h",))
def help_(c: Conversation, argument: str) -> None:
    """what there is; of a name, what it does"""
    help_on(c, argument)


def help_on(c: Conversation, name: str) -> None:
    """The overview, or what is known of a name."""
    if not name:
        c.out(pages.overview([(f":{k.name} {k.usage}".rstrip(), k.summary) for k in COMMANDS.values()]))
        return
    bare = name.strip().removeprefix(":").removesuffix("()")
    found = COMMANDS.get(_ALIASES.get(bare, bare)) if name.startswith(":") else None
    text = pages.STATEMENTS.get(bare)
    names = c.session.names()
    if found is not None:
        c.out(f":{found.name} {found.usage}".rstrip() + f"\n\n{found.summary}")
    elif bare in names and bare not in SOFT_KEYWORDS:
        value = names[bare]
        parts = [describe.facts(value), describe.contents(value), describe.gradient(value)]
        c.out(f"{bare}: " + "  ".join(dict.fromkeys(p for p in parts if p)))
    elif (entry := doc.entry(bare)) is not None:
        c.out(entry)
    elif text is not None:
        c.out(text)
    elif bare in COMMANDS:
        help_on(c, ":" + bare)
    else:
        known = [*names, *doc.documented(), *pages.STATEMENTS, *COMMANDS]
        near = get_close_matches(bare, known, 3)
        raise CommandError(
            f"there is nothing about {bare}" + (f"; did you mean {', '.join(near)}?" if near else "")
        )


@command("[skip | stop | N]")
def tutorial(c: Conversation, argument: str) -> None:
    """eight steps of a minute each, from a tensor to training"""
    import_module("vardsl.apps.repl.tutorial").begin(c, argument)


# ---- looking -----------------------------------------------------------------------------------------------
@command("[-l]", aliases=("who", "whos", "list", "ls"))
def vars_(c: Conversation, argument: str) -> None:
    """the names of the session: shape, dtype, values, gradient; -l also memory"""
    rows = []
    for name, value in c.session.names().items():
        if name in pages.LAST:
            continue
        row = [name, describe.facts(value), describe.contents(value), describe.gradient(value)]
        if row[2] == row[1]:
            row[2] = ""
        if argument == "-l":
            row.append(describe.memory(value))
        rows.append(row)
    c.out(table(rows) if rows else "there are no names yet")


def table(rows: list[list[str]]) -> str:
    """Rows in columns, as wide as their widest cell."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows)


@command("EXPRESSION", argument="expression", aliases=("t",))
def type_(c: Conversation, argument: str) -> None:
    """shape, dtype and grad of an expression, without effects"""
    if not argument:
        raise CommandError(":type needs an expression")
    source = Source("<type>", argument)
    expression = parse_expression(source)
    if not is_pure(expression, c.session.names()):
        raise CommandError("this may have effects, so it is not run; let x = … and :type x would run it")
    undo = c.session.undo_point()
    try:
        with c.interruptible():
            value = c.session.run_expression(source, expression)
    finally:
        undo.swap()
    c.out(describe.facts(value))


@command("EXPRESSION", argument="expression")
def time_(c: Conversation, argument: str) -> None:
    """runs a statement once and says how long it took"""
    if not argument:
        raise CommandError(":time needs a statement")
    began = time.perf_counter()
    c.submit(argument)
    c.out(duration(time.perf_counter() - began))


@command("EXPRESSION", argument="expression")
def timeit(c: Conversation, argument: str) -> None:
    """runs an expression again and again and says how long one run takes"""
    if not argument:
        raise CommandError(":timeit needs an expression")
    source = Source("<timeit>", argument)
    expression = parse_expression(source)
    undo = c.session.undo_point()
    times: list[float] = []
    try:
        with c.interruptible():
            end = time.perf_counter() + 0.5
            while len(times) < 5 or (time.perf_counter() < end and len(times) < 100_000):
                began = time.perf_counter()
                c.session.run_expression(source, expression, undo=undo)
                times.append(time.perf_counter() - began)
    finally:
        undo.swap()
    times.sort()
    c.out(f"{duration(times[len(times) // 2])} per run, best {duration(times[0])}, of {len(times):,} runs")


@command("")
def plan(c: Conversation, argument: str) -> None:
    """what the planner made of the loops so far, and why it left some alone"""
    c.out(running.plans(c.session))


@command("")
def last(c: Conversation, argument: str) -> None:
    """the last result, whole"""
    if not c.has_last:
        raise CommandError("there is no result yet")
    ctx = c.session.ctx
    before = ctx.print_options
    ctx.print_options = (before or DEFAULT).changed(threshold=float("inf"))
    try:
        text = c.session.text(c.last)
    finally:
        ctx.print_options = before
    height = shutil.get_terminal_size().lines
    if text.count("\n") >= height and sys.stdin.isatty() and sys.stdout.isatty() and not c.plain:
        import_module("pydoc").pager(text)
    else:
        c.out(text)


@command("[N]")
def history(c: Conversation, argument: str) -> None:
    """the statements of this session, or the last N of them"""
    entries = c.entries[-_count(argument, len(c.entries) or 1) :]
    for entry in entries:
        mark = "  " if entry.ok else "! "
        c.out(mark + entry.text.replace("\n", "\n  "))
    if not entries:
        c.out("nothing has run yet")


# ---- the way back ------------------------------------------------------------------------------------------
@command("[N]", aliases=("u",))
def undo(c: Conversation, argument: str) -> None:
    """takes back the last statement, or the last N, with all that they changed"""
    for _ in range(_count(argument, 1)):
        entry = c.undo()
        if entry is None:
            raise CommandError("there is nothing to take back")
        c.say(f"undone: {_short(entry.text)}")


@command("[N]")
def redo(c: Conversation, argument: str) -> None:
    """does again what :undo took back"""
    for _ in range(_count(argument, 1)):
        entry = c.redo()
        if entry is None:
            raise CommandError("there is nothing to do again")
        c.say(f"redone: {_short(entry.text)}")


@command("")
def reset(c: Conversation, argument: str) -> None:
    """forgets all names and begins anew"""
    old = c.session
    c.reset(type(old)(plan=old.plan, limits=old.limits, permissions=old.permissions))
    c.say("a new session")


def _count(text: str, default: int) -> int:
    if not text:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise CommandError(f"{text} is not a number from 1 on")
    return int(text)


def _short(text: str, width: int = 60) -> str:
    line = text.split("\n", 1)[0]
    return line if line == text and len(line) <= width else line[: width - 1] + "…"


# ---- files -------------------------------------------------------------------------------------------------
@command("FILE", argument="path")
def load(c: Conversation, argument: str) -> None:
    """runs a script here, statement by statement"""
    if not argument:
        raise CommandError(":load needs a file")
    load_file(c, Path(os.path.expanduser(_unquoted(argument))))


def load_file(c: Conversation, path: Path) -> bool:
    """Runs a file in the session; whether all of it ended well."""
    try:
        data = path.read_bytes()
    except OSError as error:
        c.report(IoError(f"{path} cannot be read: {error.strerror}"))
        return False
    if len(data) > MAX_SOURCE:
        c.report(IoError(f"{path} is larger than {MAX_SOURCE:,} bytes"))
        return False
    try:
        source = decode(path.name, data)
        program = c.session.program(source)
    except Error as error:
        c.report(error)
        return False
    return c.run_statements(source, program)


@command("FILE.vd | FILE.md", argument="path")
def save(c: Conversation, argument: str) -> None:
    """writes the session without its failures: a script with its output, or a page"""
    if not argument:
        raise CommandError(":save needs a file, such as lesson.vd or lesson.md")
    path = Path(os.path.expanduser(_unquoted(argument)))
    if path.suffix not in (".vd", ".md"):
        raise CommandError("a session is saved as a script, FILE.vd, or as a page, FILE.md")
    entries = [entry for entry in c.entries if entry.ok]
    seed = c.seed if c.session.ctx._generator is not None else None
    text = pages.script(entries, seed) if path.suffix == ".vd" else pages.page(entries, path.stem)
    try:
        pages.write_whole(path, text)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
    c.say(f"saved {len(entries)} statement{'s' if len(entries) != 1 else ''} to {path}")


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


@command("[FILE]", argument="path")
def edit(c: Conversation, argument: str) -> None:
    """opens an editor with the last statement, or a file, and runs what is saved"""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="vardsl-") as folder:
        path = Path(os.path.expanduser(_unquoted(argument))) if argument else Path(folder) / "statement.vd"
        if not argument:
            path.write_text((c.entries[-1].text if c.entries else "") + "\n", encoding="utf-8")
        try:
            status = subprocess.run([*editor.split(), str(path)], check=False).returncode
        except OSError as error:
            raise CommandError(f"{editor} cannot be started: {error.strerror}") from None
        if status:
            raise CommandError(f"{editor} ended with status {status}; nothing is run")
        load_file(c, path)


@command("")
def copy(c: Conversation, argument: str) -> None:
    """puts the last result into the clipboard of the terminal"""
    if not c.has_last:
        raise CommandError("there is no result yet")
    if c.plain or not sys.stdout.isatty():
        raise CommandError("this terminal has no clipboard for us")
    base64 = import_module("base64")
    data = base64.b64encode(c.session.text(c.last).encode()).decode()
    sys.stdout.write(f"\x1b]52;c;{data}\x07")
    sys.stdout.flush()
    c.say("copied")


# ---- the prompt itself -------------------------------------------------------------------------------------
@command("[NAME [VALUE]]", argument="setting")
def set_(c: Conversation, argument: str) -> None:
    """the settings; changes one of them while the prompt runs"""
    name, _, value = argument.partition(" ")
    if not name:
        c.out(table([[n, _shown(v)] for n, v in c.settings.items()]))
    elif not value.strip():
        found = dict(c.settings.items())
        if name not in found:
            raise CommandError(_no_setting(name, list(found)))
        c.out(f"{name} {_shown(found[name])}")
    else:
        try:
            c.settings.set(name, value.strip())
        except ValueError as error:
            raise CommandError(str(error)) from None


def _shown(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _no_setting(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"there is no setting {name}" + (f"; did you mean {near[0]}?" if near else "")


@command("[STATUS]", aliases=("q", "exit"))
def quit_(c: Conversation, argument: str) -> None:
    """leaves, with an exit status if one is given"""
    if argument and not argument.isdecimal():
        raise CommandError(f"{argument} is no exit status")
    c.status = int(argument or 0) & 0xFF
