"""Translated scripts, kept between runs in a folder that is the user's alone.

An entry is found by a hash over everything that the translation depends on, and is used only where its own
hash is right. Whatever is wrong with the folder or with an entry (another owner, an open mode, a link, a torn
or foreign file) is no error: the script is translated as if there were no cache.
"""

from __future__ import annotations

import marshal
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import CodeType
from typing import Any

from vardsl import __version__
from vardsl.lang.pieces import Piece, Translation
from vardsl.lang.places import FileName
from vardsl.source import Source

MAX_ENTRIES, MAX_BYTES = 200, 50_000_000
MAX_ENTRY = 8_000_000
USED_AFTER = 86_400  # seconds after which an entry that is used again is marked as such
_SIZE = 32  # of a hash
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_FOLDER = getattr(os, "O_DIRECTORY", 0)
# Elsewhere a folder cannot be held open, and whose a file is cannot be told.
SUPPORTED = os.open in os.supports_dir_fd and hasattr(os, "geteuid") and bool(_FLAGS and _FOLDER)
# The folders of the package on whose text a translation depends, and those in which the grammar may lie.
_DEPENDS = (".", "syntax", "engine", "ops", "lang", "plan", "grammar", os.path.join("..", "grammar"))
_SOURCES = (".py", ".json", ".lark")


def standard_folder() -> str | None:
    """Where scripts are kept: `VARDSL_CACHE`, which may be empty for nowhere, or the user's cache folder."""
    given = os.environ.get("VARDSL_CACHE")
    if given is not None:
        return os.path.abspath(given) if given else None
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            return None
        base = os.path.join(home, *(("Library", "Caches") if sys.platform == "darwin" else (".cache",)))
    return os.path.join(base, "vardsl")


class ScriptCache:
    """The translations in one folder."""

    __slots__ = ("folder",)

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @classmethod
    def standard(cls) -> ScriptCache | None:
        """The user's own cache, where there is one."""
        folder = standard_folder() if SUPPORTED else None
        return None if folder is None else cls(folder)

    def translation(self, source: Source, facts: Any, translate: Callable[[], Translation]) -> Translation:
        """What `translate` gives for the source, or once gave when source and facts were the same."""
        try:
            # of equal facts the oldest format alone always makes equal bytes
            key = _hash(marshal.dumps((source.name, source.text, facts, _stamp()), 0))
            found = self._find(key, source)
        except (OSError, ValueError):
            return translate()
        if found is not None:
            return found
        made = translate()
        if not made.lasting:
            return made
        try:
            made.pieces = list(made.pieces)
        except Exception:
            # a later piece cannot be made: that is said when the earlier ones have run
            return translate()
        with suppress(OSError, ValueError):
            self._keep(key, _packed(made))
        return made

    def _find(self, key: bytes, source: Source) -> Translation | None:
        data = None
        try:
            with _opened(self.folder, make=False) as folder, suppress(OSError):
                data = _read(folder, key.hex())
        except FileNotFoundError:
            return None
        if data is None or data[:_SIZE] != _hash(key + data[_SIZE:]):
            return None
        try:
            return _unpacked(data[_SIZE:], source)
        except (ValueError, EOFError, TypeError, AttributeError):
            return None  # what the hash is right for, and yet is no translation

    def _keep(self, key: bytes, payload: bytes) -> None:
        if len(payload) > MAX_ENTRY - _SIZE:
            return
        with _opened(self.folder, make=True) as folder:
            scratch = f".{os.getpid()}-{os.urandom(8).hex()}"
            fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600, dir_fd=folder)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(_hash(key + payload) + payload)
                os.rename(scratch, key.hex(), src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(scratch, dir_fd=folder)
                raise
            _bound(folder)


@contextmanager
def _opened(path: str, *, make: bool) -> Iterator[int]:
    """The folder, open. Raises OSError where it is not the user's, or others may look into it."""
    if make:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
    fd = os.open(path, os.O_RDONLY | _FOLDER | _FLAGS)
    try:
        facts = os.fstat(fd)
        if facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            raise PermissionError(f"{path} is not private")
        yield fd
    finally:
        os.close(fd)


def _read(folder: int, name: str) -> bytes | None:
    """The contents of a private regular file, or None for anything else."""
    fd = os.open(name, os.O_RDONLY | _FLAGS, dir_fd=folder)
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            return None
        if facts.st_size > MAX_ENTRY:
            return None
        if time.time() - facts.st_mtime > USED_AFTER:
            with suppress(OSError):
                os.utime(fd)
        data = b""
        while len(data) < facts.st_size:
            part = os.read(fd, facts.st_size - len(data))
            if not part:
                break
            data += part
        return data
    finally:
        os.close(fd)


def _bound(folder: int) -> None:
    """Removes what was not used for longest, where there is too much."""
    entries = []
    with os.scandir(folder) as found:
        for entry in found:
            with suppress(OSError):
                facts = entry.stat(follow_symlinks=False)
                entries.append((facts.st_mtime, facts.st_size, entry.name))
    total = sum(size for _, size, _ in entries)
    entries.sort(reverse=True)
    while entries and (len(entries) > MAX_ENTRIES or total > MAX_BYTES):
        _, size, name = entries.pop()
        total -= size
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)


# ---- entries -------------------------------------------------------------------------------------
def _packed(made: Translation) -> bytes:
    pieces = [(_plain(p.code), p.builtins, p.methods, p.regions) for p in made.pieces]
    return marshal.dumps((pieces, tuple(sorted(made.captured)), made.expression))


def _unpacked(payload: bytes, source: Source) -> Translation:
    pieces, captured, expression = marshal.loads(payload)
    name = FileName.of(source)
    return Translation(
        [Piece(_named(code, name), *rest) for code, *rest in pieces],
        frozenset(captured),
        expression=expression,
    )


def _plain(code: CodeType) -> CodeType:
    """The code with a plain string for the name of its file."""
    return _named(code, str(code.co_filename))


def _named(code: CodeType, name: str) -> CodeType:
    constants = tuple([_named(k, name) if type(k) is CodeType else k for k in code.co_consts])
    return code.replace(co_filename=name, co_consts=constants)


def _hash(data: bytes) -> bytes:
    for module in ("_sha2", "_sha256", "hashlib"):
        # what `hashlib` falls back on, without the two milliseconds that its other hashes take to load
        try:
            sha256 = vars(import_module(module))["sha256"]
        except (ImportError, KeyError):
            continue
        digest: bytes = sha256(data).digest()
        return digest
    raise ValueError("no hash")


def _stamp() -> tuple[Any, ...]:
    """What else code depends on: the interpreter and how it compiles, and this package as it is now."""
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    files = []
    for folder in _DEPENDS:
        with suppress(FileNotFoundError), os.scandir(os.path.join(top, folder)) as found:
            for entry in found:
                if entry.name.endswith(_SOURCES):
                    facts = entry.stat()
                    # the time of a file's content can be set, and archives do: that of its last change cannot
                    files.append((folder, entry.name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns))
    files.sort()
    # code that was compiled without columns says less of where an error is
    columns = "no_debug_ranges" in sys._xoptions, os.environ.get("PYTHONNODEBUGRANGES")
    flags = sys.flags.optimize, sys.flags.ignore_environment
    return __version__, sys.version, sys.implementation.cache_tag, flags, columns, tuple(files)


__all__ = ["ScriptCache", "standard_folder"]
