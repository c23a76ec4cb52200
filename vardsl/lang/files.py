"""Which files a script may read and write, and the files that it imports."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from vardsl.errors import IoError


class Permissions:
    """Folders below which files may be read or written; relative paths start at `folder`."""

    __slots__ = ("folder", "read", "write")

    def __init__(self, folder: str | Path, read: Iterable[str | Path], write: Iterable[str | Path]) -> None:
        self.folder = Path(folder).resolve()
        self.read = [Path(p).resolve() for p in read]
        self.write = [Path(p).resolve() for p in write]

    def readable(self, path: str, base: Path | None = None) -> Path:
        """The real path of a file that may be read. Raises IoError."""
        return self._within(path, base, self.read, "read")

    def writable(self, path: str) -> Path:
        """The real path of a file that may be written. Raises IoError."""
        return self._within(path, None, self.write, "write")

    def _within(self, path: str, base: Path | None, allowed: list[Path], what: str) -> Path:
        if "\0" in path:
            raise IoError("a path cannot hold a NUL character")
        try:
            real = Path(os.path.realpath((base or self.folder) / path))
        except (OSError, ValueError) as error:
            raise IoError(f"{path}: {error}") from None
        if not any(real == a or a in real.parents for a in allowed):
            raise IoError(
                f"this script may not {what} {path}", refused=True, hint=f"--allow-{what} {real.parent} would let it"
            )
        return real


def read_bytes(path: Path, shown: str, limit: int) -> bytes:
    """The contents of a regular file. Raises IoError."""
    try:
        if not path.exists():
            raise IoError(f"there is no file {shown}")
        if not path.is_file():
            raise IoError(f"{shown} is not a file")
        if path.stat().st_size > limit:
            raise IoError(f"{shown} is larger than {limit:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise IoError(f"{shown} cannot be read: {error.strerror}") from None
