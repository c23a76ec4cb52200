"""The history file: whole entries whatever happens, for its owner alone."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vardsl.apps.repl.history import HistoryFile, decode, encode

_WRITER = """
import sys, time
from pathlib import Path
from vardsl.apps.repl.history import HistoryFile
history, who, n, size = HistoryFile(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
print("ready", flush=True)
while not Path(sys.argv[1] + ".go").exists():
    time.sleep(0.001)
for k in range(n):
    history.append(f"{who} {k}\\n" + who * size)
"""
SIZE = 12_000


def _writer(path: Path, who: str, n: int) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", _WRITER, str(path), who, str(n), str(SIZE)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE)


def _check(text: str) -> tuple[str, int]:
    head, body = text.split("\n")
    who, number = head.split()
    assert body == who * SIZE
    return who, int(number)


def test_four_sessions_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history"
    writers = [_writer(path, who, 200) for who in "abcd"]
    for w in writers:
        assert w.stdout is not None and w.stdout.readline()
    (tmp_path / "history.go").touch()
    assert [w.wait() for w in writers] == [0] * 4
    found = [_check(text) for text in HistoryFile(path).load()]
    assert len(found) == 800 and len(set(found)) == 800
    for who in "abcd":  # each session's own entries are in order
        assert [k for w, k in found if w == who] == list(range(200))


def _forked(path: Path, who: str) -> int:
    """A process that appends until it is killed."""
    child = os.fork()
    if child:
        return child
    try:
        history = HistoryFile(path)
        for k in range(10_000):
            history.append(f"{who} {k}\n" + who * SIZE)
    finally:
        os._exit(0)


def test_a_hundred_kills_damage_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history"
    history = HistoryFile(path)
    chance = random.Random(0)
    for _ in range(20):
        path.write_bytes(encode("first"))
        for writer in [_forked(path, who) for who in "abcde"]:
            time.sleep(chance.random() * 0.003)
            os.kill(writer, signal.SIGKILL)
            os.waitpid(writer, 0)
        history.append("last")
        entries = history.load()
        assert entries[-1] == "last"
        for text in entries[:-1]:
            if text != "first":  # the oldest goes when a writer lives long enough to reach the cap
                _check(text)


def test_a_torn_line_is_closed_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(encode("one") + b'"tor')
    history = HistoryFile(path)
    history.append("two")
    assert history.load() == ["one", "two"]


def test_it_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history"
    HistoryFile(path).append("x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    HistoryFile(path).load()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(OSError):
        HistoryFile(tmp_path / "link").append("x")
    assert target.read_text() == ""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError):
        HistoryFile(tmp_path / "pipe").load()


def test_it_is_trimmed_to_the_newest(tmp_path: Path) -> None:
    history = HistoryFile(tmp_path / "history", max_entries=10)
    for k in range(30):
        history.append(str(k))
    assert history.load() == [str(k) for k in range(20, 30)]
    assert len(decode((tmp_path / "history").read_bytes())[0]) == 10
    small = HistoryFile(tmp_path / "small", max_bytes=1000)
    for k in range(100):
        small.append(f"{k} " + "x" * 50)
    assert (tmp_path / "small").stat().st_size <= 1000
    assert small.load()[-1].startswith("99 ")


def test_what_is_damaged_is_set_aside_and_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b"\x00\xff junk\nmore junk\n" + encode("kept"))
    assert HistoryFile(path).load() == ["kept"]
    assert (tmp_path / "history.damaged").read_bytes().startswith(b"\x00\xff junk")
    assert HistoryFile(path).load() == ["kept"]


def test_any_text_comes_back(tmp_path: Path) -> None:
    history = HistoryFile(tmp_path / "history")
    texts = ["for i in x {\n  print i\n}", "学习率 = 0.1", "a\r\nb", "\ud800", '"\\', "\u2028"]
    for text in texts:
        history.append(text)
    assert history.load() == texts
