"""Files opened, read and replaced one component of their path after the other, without following links.

So what is opened is what was allowed (`lang/permissions.py`). A file is replaced whole or not at all.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

from vardsl.errors import Error, IoError
from vardsl.lang.permissions import components

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# Windows opens no folders and has no links of this kind: there paths do.
_BY_FOLDER = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
# O_PATH goes through folders that one may pass but not list.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)


class _Folder:
    """An open folder, or where the system has no such thing its path."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = os.open(path, _PASS | _BINARY) if _BY_FOLDER else None

    def enter(self, name: str) -> None:
        """Goes into a folder of this folder. Raises OSError where that is a link or no folder."""
        self.path = os.path.join(self.path, name)
        if self.fd is None:
            return
        inner = os.open(name, _PASS | NO_LINK | _BINARY, dir_fd=self.fd)
        os.close(self.fd)
        self.fd = inner

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        if self.fd is None:
            return os.open(os.path.join(self.path, name), flags | _BINARY, mode)
        return os.open(name, flags | NO_LINK | _BINARY, mode, dir_fd=self.fd)

    def status(self, name: str) -> os.stat_result | None:
        """What stands under a name, a link as a link, or None."""
        try:
            if self.fd is None:
                return os.lstat(os.path.join(self.path, name))
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def rename(self, name: str, to: str) -> None:
        if self.fd is None:
            os.replace(os.path.join(self.path, name), os.path.join(self.path, to))
        else:
            os.replace(name, to, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def remove(self, name: str) -> None:
        if self.fd is None:
            os.unlink(os.path.join(self.path, name))
        else:
            os.unlink(name, dir_fd=self.fd)

    def sync(self) -> None:
        """Makes what happened to the names last."""
        if self.fd is None:
            return
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | _BINARY, dir_fd=self.fd)
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system on which folders need no such care
                raise
        finally:
            os.close(fd)

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)


@contextmanager
def _folder(root: str, parts: tuple[str, ...]) -> Iterator[_Folder]:
    folder = _Folder(root)
    try:
        for name in parts:
            folder.enter(name)
        yield folder
    finally:
        folder.close()


def open_regular(real: str, shown: str, root: str | None = None) -> BinaryIO:
    """A regular file at a real path below `root`, open for reading. Raises IoError."""
    root = root or os.path.dirname(real)
    if real == root:
        raise IoError(f"{shown} is a folder" if os.path.isdir(root) else f"{shown} is not a file")
    parts = components(real, root)
    try:
        with _folder(root, parts[:-1]) as folder:
            # without O_NONBLOCK a FIFO would be waited for
            fd = folder.open(parts[-1], os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise _unreadable(shown, error) from None
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise IoError(f"{shown} is {_kind(mode)}, not a file")
    return os.fdopen(fd, "rb")


def _unreadable(shown: str, error: OSError) -> IoError:
    if isinstance(error, FileNotFoundError):
        return IoError(f"there is no file {shown}")
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return IoError(f"{shown} has become a link while it was opened")
    return IoError(f"{shown} cannot be read: {error.strerror}")


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a link" if stat.S_ISLNK(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device"


def read_bytes(path: str, shown: str, limit: int) -> bytes:
    """The contents of a regular file. Raises IoError."""
    with open_regular(path, shown) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise IoError(f"{shown} cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise IoError(f"{shown} is larger than {limit:,} bytes")
    return data


class _Sink(io.RawIOBase):
    """A file descriptor that is written to."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return os.lseek(self.fd, offset, whence)

    def write(self, data: Any) -> int:
        return os.write(self.fd, data)


def replace_file(root: str, parts: tuple[str, ...], shown: str, write: Callable[[BinaryIO], None]) -> None:
    """Makes the file at `parts` below `root` what `write` writes, or leaves it as it is. Raises IoError."""
    try:
        with _folder(root, parts[:-1]) as folder:
            before = folder.status(parts[-1])
            if before is not None:
                _check_replaceable(before.st_mode, shown)
            _write_and_rename(folder, parts[-1], before, write)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR):
            raise IoError(f"{shown} leads through a link or a file, and is not written") from None
        if isinstance(error, FileNotFoundError):
            raise IoError(f"there is no folder {os.path.dirname(shown) or '.'} to write {shown} to") from None
        raise IoError(f"{shown} cannot be written: {error.strerror}") from None


def _check_replaceable(mode: int, shown: str) -> None:
    if not stat.S_ISREG(mode):
        raise IoError(f"{shown} is {_kind(mode)}, and only files are replaced")
    if not mode & 0o222:
        raise IoError(f"{shown} is write-protected")


def _write_and_rename(
    folder: _Folder, name: str, before: os.stat_result | None, write: Callable[[BinaryIO], None]
) -> None:
    scratch = f".vardsl-{os.urandom(8).hex()}"
    fd, named = _nameless(folder), False
    if fd is None:
        fd, named = folder.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL), True
    try:
        try:
            _fill(fd, before, write)
            if not named:
                os.link(f"/proc/self/fd/{fd}", scratch, dst_dir_fd=folder.fd)
                named = True
        finally:
            os.close(fd)
        folder.rename(scratch, name)
        named = False
        folder.sync()
    finally:
        if named:
            with suppress(OSError):
                folder.remove(scratch)


def _nameless(folder: _Folder) -> int | None:
    """A new file that has no name yet, and vanishes with the process; None where the system has none."""
    if folder.fd is None or not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(".", os.O_WRONLY | os.O_TMPFILE | _BINARY, 0o666, dir_fd=folder.fd)
    except OSError:
        return None


def _fill(fd: int, before: os.stat_result | None, write: Callable[[BinaryIO], None]) -> None:
    if before is not None and hasattr(os, "fchmod"):
        os.fchmod(fd, stat.S_IMODE(before.st_mode) & 0o777)
    with io.BufferedWriter(_Sink(fd), 1 << 20) as out:
        write(cast(BinaryIO, out))
    os.fsync(fd)


def problem(shown: str, reason: object) -> Error:
    """What is wrong with the contents of a file."""
    return IoError(f"{shown}: {reason}")
