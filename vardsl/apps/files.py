"""Scripts on disk: found, read as UTF-8, and written back whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module

from vardsl.apps.options import UsageError
from vardsl.encoding import decode
from vardsl.source import Source

SUFFIX = ".vd"


def read_script(name: str) -> Source:
    """The source in a file, or in standard input for `-`.

    Raises UsageError for a file that cannot be read, ScriptSyntaxError for one that is not UTF-8.
    """
    if name == "-":
        return read_stdin()
    try:
        if stat.S_ISDIR(os.stat(name).st_mode):
            raise IsADirectoryError(21, "Is a directory")
        with open(name, "rb") as file:
            data = file.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"cannot read {name}: {reason}", "the name of a script is needed here") from None
    return decode(name, data)


def read_stdin() -> Source:
    """The source that comes in on standard input."""
    if sys.stdin is None:
        return Source("<stdin>", "")
    return decode("<stdin>", sys.stdin.buffer.read())


def scripts(paths: Sequence[str]) -> Iterator[str]:
    """The scripts that are named, and those in folders that are named, in order."""
    for name in paths:
        path = import_module("pathlib").Path(name)
        if name != "-" and path.is_dir():
            yield from (str(p) for p in sorted(path.rglob("*" + SUFFIX)) if p.is_file())
        else:
            yield name


def replace(name: str, text: str) -> None:
    """Gives a file other content: the old or the new one is there at any time. Raises UsageError."""
    target = os.path.realpath(name)
    temporary = None
    try:
        mode = stat.S_IMODE(os.stat(target).st_mode)
        fd, temporary = import_module("tempfile").mkstemp(dir=os.path.dirname(target), prefix=".vardsl-")
        with os.fdopen(fd, "w", encoding="utf-8", newline="") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise UsageError(f"cannot write {name}: {error.strerror}") from None
