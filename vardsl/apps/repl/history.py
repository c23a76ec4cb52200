"""The history file: blocks of input, one line each, that several sessions append to and no crash can spoil.

An entry is a JSON string on a line of its own, appended by a single `write` under a lock that lies in a file
beside it. What a killed process left of a line is closed by the next writer and skipped by readers.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: single writes in append mode still keep entries whole
    fcntl = None  # type: ignore[assignment]

MAX_ENTRIES = 10_000
MAX_BYTES = 16 * 1024 * 1024
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class HistoryFile:
    """Entries on disk. Nothing here raises but OSError, for a file that cannot be used."""

    def __init__(self, path: Path, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self.max_entries = max_entries
        self.max_bytes = max_bytes

    def load(self) -> list[str]:
        """The entries, oldest first; a file that has grown too long is trimmed."""
        try:
            data = self._read()
        except FileNotFoundError:
            return []
        entries, damaged = decode(data)
        if len(entries) > self.max_entries + self.max_entries // 10 or damaged > 1:
            self._trim()
        return entries[-self.max_entries :]

    def append(self, text: str) -> None:
        """Adds one entry, wholly or not at all."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            fd = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
            try:
                size = os.fstat(fd).st_size
                line = encode(text)
                if size and os.pread(fd, 1, size - 1) != b"\n":
                    line = b"\n" + line
                _write(fd, line, size)
            finally:
                os.close(fd)
            too_long = size + len(line) > self.max_bytes
            if too_long:
                self._rewrite()

    def _read(self) -> bytes:
        fd = self._open(os.O_RDONLY)
        with os.fdopen(fd, "rb") as f:
            return f.read()

    def _open(self, flags: int) -> int:
        fd = os.open(self.path, flags | _FLAGS | getattr(os, "O_NONBLOCK", 0), 0o600)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(f"{self.path} is no regular file")
            if status.st_mode & 0o077 and status.st_uid == getattr(os, "getuid", lambda: status.st_uid)():
                os.fchmod(fd, 0o600)
        except BaseException:
            os.close(fd)
            raise
        return fd

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the lock that all sessions share; its file is never replaced, the history may be."""
        if fcntl is None:
            yield
            return
        fd = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _trim(self) -> None:
        with contextlib.suppress(OSError), self._locked():
            self._rewrite()

    def _rewrite(self) -> None:
        """Replaces the file by its newest entries; a damaged one is set aside, not lost. The lock is held."""
        entries, damaged = decode(self._read())
        kept = entries[-self.max_entries :]
        lines, size = [], 0
        for text in reversed(kept):
            line = encode(text)
            size += len(line)
            if size > self.max_bytes * 3 // 4:
                break
            lines.append(line)
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600)
        try:
            with os.fdopen(fd, "wb") as f:
                f.writelines(reversed(lines))
                f.flush()
                os.fsync(f.fileno())
            if damaged > 1:
                os.replace(self.path, self.path.with_name(self.path.name + ".damaged"))
            os.replace(temporary, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _write(fd: int, line: bytes, size: int) -> None:
    """One write; what a full disk took only in part is taken back."""
    if os.write(fd, line) != len(line):
        with contextlib.suppress(OSError):
            os.ftruncate(fd, size)
        raise OSError("the disk is full")


def encode(text: str) -> bytes:
    """An entry as a line."""
    try:
        return (json.dumps(text, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # lone surrogates
        return (json.dumps(text) + "\n").encode()


def decode(data: bytes) -> tuple[list[str], int]:
    """The entries in a file's bytes, and how many lines are none."""
    entries, damaged = [], 0
    for line in data.split(b"\n"):
        if not line:
            continue
        try:
            text = json.loads(line)
        except ValueError:
            damaged += 1
            continue
        if isinstance(text, str):
            entries.append(text)
        else:
            damaged += 1
    return entries, damaged
