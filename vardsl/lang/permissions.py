"""Which files a script may read and write.

Reading may start from a link that leads to an allowed place; writing never goes through one. Files are opened
by `lang/files.py`, which is loaded for the first of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, BinaryIO

from vardsl.errors import IoError

AnyPath = str | os.PathLike[str]


class Permissions:
    """Folders below which files may be read or written; relative paths start at `folder`."""

    __slots__ = ("_written", "folder", "read", "write")

    def __init__(self, folder: AnyPath, read: Iterable[AnyPath], write: Iterable[AnyPath]) -> None:
        self.folder = os.path.realpath(folder)
        self.read = [os.path.realpath(p) for p in read]
        write = list(write)
        self.write = [os.path.realpath(p) for p in write]
        # as the folders were spelled, perhaps by way of a link: that much of a path is the user's own word
        self._written = [os.path.abspath(p) for p in write]

    def readable(self, path: str, base: str | None = None) -> str:
        """The real path of a file that may be read. Raises IoError."""
        return self._within(path, base, self.read, "read")

    def writable(self, path: str) -> str:
        """The real path of a file that may be written. Raises IoError."""
        return self._within(path, None, self.write, "write")

    def open(self, path: str) -> BinaryIO:
        """A regular file that may be read, open. Raises IoError."""
        real = self.readable(path)
        root = next(a for a in self.read if real == a or is_below(real, a))
        found: BinaryIO = _files().open_regular(real, path, root)
        return found

    def replace(self, path: str, write: Callable[[BinaryIO], None]) -> None:
        """Makes `path` the file that `write` writes, whole or not at all. Raises IoError."""
        self.writable(path)
        spelled = os.path.normpath(os.path.join(self.folder, path))
        for root, real in zip([*self._written, *self.write], [*self.write, *self.write], strict=True):
            if is_below(spelled, root):
                _files().replace_file(real, components(spelled, root), path, write)
                return
        raise IoError(f"{path} leads through a link, and files are not written through links")

    def _within(self, path: str, base: str | None, allowed: list[str], what: str) -> str:
        if "\0" in path:
            raise IoError("a path cannot hold a NUL character")
        try:
            real = os.path.realpath(os.path.join(base or self.folder, path))
        except (OSError, ValueError) as error:
            raise IoError(f"{path}: {error}") from None
        if not any(real == a or is_below(real, a) for a in allowed):
            hint = f"--allow-{what} {os.path.dirname(real)} would let it"
            raise IoError(f"this script may not {what} {path}", refused=True, hint=hint)
        return real


def _files() -> Any:
    return import_module("vardsl.lang.files")


def is_below(path: str, folder: str) -> bool:
    """Whether a normal path leads into a folder and on."""
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path != folder and path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def components(path: str, folder: str) -> tuple[str, ...]:
    """What a path below a folder adds to it."""
    return tuple(path[len(folder) :].strip(os.sep).split(os.sep))
