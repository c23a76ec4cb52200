"""Scripts that ran before: the same outcome from the cache, and no trust in what lies there."""

from __future__ import annotations

import marshal
import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vardsl import Error, Session
from vardsl.errors import Warning_
from vardsl.lang import cache as caching
from vardsl.lang.cache import ScriptCache, standard_folder
from vardsl.lang.outcome import Outcome, Printed, Warned
from vardsl.lang.permissions import Permissions
from vardsl.source import Source

ROOT = Path(__file__).parents[3]
SCRIPTS = sorted((ROOT / "examples").glob("*.vd")) + sorted((ROOT / "tests" / "golden").glob("*/*.vd"))
TEXT = "fn f(x) = x * x\nlet v = var [[1, 2], [3, 4]] grad\nout = mean(f(v))\nbackward out\nprint v.grad"

pytestmark = pytest.mark.skipif(not caching.SUPPORTED, reason="no private folders here")


@pytest.fixture
def cache(tmp_path: Path) -> ScriptCache:
    return ScriptCache(str(tmp_path / "kept" / "vardsl"))


def run(
    text: str, cache: ScriptCache | None, *, name: str = "a.vd", folder: Path = ROOT, plan: bool = True
) -> list[str]:
    """What a run puts out, line for line, its error last."""
    said: list[str] = []

    def emit(outcome: Outcome) -> None:
        if isinstance(outcome, Printed):
            said.append(outcome.text)
        elif isinstance(outcome, Warned):
            assert isinstance(outcome.warning, Warning_)
            said.append(outcome.warning.message)

    session = Session(
        seed=0, plan=plan, permissions=Permissions(folder, [folder], []), emit=emit, cache=cache
    )
    session.bind("args", ())
    try:
        said.append(repr(session.run(Source(name, text), complete=True)))
    except Error as error:
        said.append(str(error))
    return said


def entries(cache: ScriptCache) -> list[Path]:
    folder = Path(cache.folder)
    return sorted(folder.iterdir()) if folder.is_dir() else []


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing may be translated."""

    def never() -> None:
        raise AssertionError("translated again")

    monkeypatch.setattr("vardsl.session._front", never)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_a_second_run_is_as_the_first(path: Path, cache: ScriptCache) -> None:
    text = path.read_text(encoding="utf-8")
    plain, first, second = [run(text, c, name=path.name, folder=path.parent) for c in (None, cache, cache)]
    assert first == plain
    assert second == plain


def test_a_second_run_translates_nothing(cache: ScriptCache, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(TEXT, cache)
    forbid(monkeypatch)
    assert run(TEXT, cache) == first
    assert "0.5000" in first[0]


def test_folder_and_entries_are_private(cache: ScriptCache) -> None:
    run(TEXT, cache)
    (entry,) = entries(cache)
    assert stat.S_IMODE(Path(cache.folder).stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
        lambda data: bytes(len(data)),
        lambda data: b"\x80\x04N." * 30,
        lambda data: caching._hash(data[32:]) + data[32:],
    ],
)
def test_a_damaged_entry_is_made_again(damage: object, cache: ScriptCache) -> None:
    first = run(TEXT, cache)
    (entry,) = entries(cache)
    entry.write_bytes(damage(entry.read_bytes()))  # type: ignore[operator]
    assert run(TEXT, cache) == first
    data = entry.read_bytes()
    assert data[:32] == caching._hash(bytes.fromhex(entry.name) + data[32:])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"junk",
        marshal.dumps(5),
        marshal.dumps(([("no code", (), (), ())], (), True)),
        marshal.dumps(([(5,)], (), True)),
        marshal.dumps((5, (), True)),
        marshal.dumps(([], 5, True)),
    ],
)
def test_what_its_hash_is_right_for_and_is_no_translation_is_made_again(
    payload: bytes, cache: ScriptCache
) -> None:
    first = run(TEXT, cache)
    (entry,) = entries(cache)
    whole = entry.read_bytes()
    entry.write_bytes(caching._hash(bytes.fromhex(entry.name) + payload) + payload)
    assert run(TEXT, cache) == first
    assert entry.read_bytes() == whole


def test_another_grammar_or_module_is_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = ("syntax", "engine", "ops", "lang", "plan")
    for folder in (*folders, "../grammar"):
        (tmp_path / "vardsl" / folder).mkdir(parents=True)
    monkeypatch.setattr(caching, "__file__", str(tmp_path / "vardsl" / "lang" / "cache.py"))
    stamps = {repr(caching._stamp())}
    changed = ["source.py", "../grammar/vardsl.lark", "syntax/tables.json", *(f"{f}/a.py" for f in folders)]
    for name in changed:
        (tmp_path / "vardsl" / name).write_text("")
        stamps.add(repr(caching._stamp()))
    assert len(stamps) == len(changed) + 1
    file = tmp_path / "vardsl" / "lang" / "a.py"
    file.write_text("x = 1")
    os.utime(file, ns=(0, 0))
    before = caching._stamp()
    time.sleep(0.02)
    file.write_text("x = 2")
    os.utime(file, ns=(0, 0))
    assert caching._stamp() != before


def test_code_that_was_compiled_without_columns_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "a.vd").write_text("x = ones(2)\ny = 1 + x.nope\n")
    environ = {**os.environ, "VARDSL_CACHE": str(tmp_path / "kept"), "PYTHONPATH": str(ROOT)}

    def said(*options: str, **more: str) -> str:
        command = [sys.executable, *options, "-m", "vardsl", "a.vd"]
        done = subprocess.run(
            command, cwd=tmp_path, env={**environ, **more}, capture_output=True, text=True, check=False
        )
        return done.stderr

    plain = said(VARDSL_CACHE="")
    assert "a.vd:2:" in plain
    assert said("-X", "no_debug_ranges") != plain
    assert said(PYTHONNODEBUGRANGES="1") != plain
    assert said() == said() == plain


def test_equal_texts_are_found_however_they_were_made(
    cache: ScriptCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(TEXT, cache)
    forbid(monkeypatch)
    run("".join(list(TEXT)), cache, name="".join(["a", ".vd"]))
    assert len(entries(cache)) == 1


def test_an_entry_of_another_script_is_not_taken(cache: ScriptCache) -> None:
    run("print 1", cache)
    (one,) = entries(cache)
    run("print 2", cache)
    (other,) = [e for e in entries(cache) if e != one]
    other.write_bytes(one.read_bytes())
    assert run("print 2", cache)[0] == "2\n"


def test_a_folder_that_others_may_enter_is_not_used(cache: ScriptCache) -> None:
    run(TEXT, cache)
    os.chmod(cache.folder, 0o755)
    before = [e.stat().st_mtime_ns for e in entries(cache)]
    assert run(TEXT, cache) == run(TEXT, None)
    run("print 3", cache)
    assert [e.stat().st_mtime_ns for e in entries(cache)] == before


def test_an_entry_that_others_may_read_is_made_again(cache: ScriptCache) -> None:
    run(TEXT, cache)
    (entry,) = entries(cache)
    entry.chmod(0o644)
    run(TEXT, cache)
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600


def test_a_folder_of_another_user_is_not_used(cache: ScriptCache, monkeypatch: pytest.MonkeyPatch) -> None:
    run(TEXT, cache)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    run("print 3", cache)
    assert len(entries(cache)) == 1


def test_links_are_not_followed(cache: ScriptCache, tmp_path: Path) -> None:
    first = run(TEXT, cache)
    (entry,) = entries(cache)
    elsewhere = tmp_path / "elsewhere"
    entry.rename(elsewhere)
    entry.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    assert run(TEXT, cache) == first
    assert not entry.is_symlink()
    assert elsewhere.read_bytes() == before
    folder = tmp_path / "link"
    folder.symlink_to(cache.folder)
    run("print 4", ScriptCache(str(folder)))
    assert len(entries(cache)) == 1


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_what_is_no_file_is_not_read(kind: str, cache: ScriptCache) -> None:
    first = run(TEXT, cache)
    (entry,) = entries(cache)
    entry.unlink()
    os.mkfifo(entry, 0o600) if kind == "fifo" else entry.mkdir(0o700)
    assert run(TEXT, cache) == first


def test_a_place_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run(TEXT, ScriptCache(str(tmp_path / "file" / "vardsl"))) == run(TEXT, None)


def test_everything_that_matters_is_in_the_key(cache: ScriptCache) -> None:
    run("x = 1", cache)
    run("x = 1", cache, name="b.vd")
    run("x = 1 ", cache)
    run("x = 1", cache, plan=False)
    session = Session(cache=cache)
    session.run("x = 1")
    session.run("x = 1")
    assert len(entries(cache)) == 6


def test_names_of_a_plain_import_are_looked_up_again(cache: ScriptCache, tmp_path: Path) -> None:
    text = 'import "m.vd"\nfn f() = k\nprint f()'
    (tmp_path / "m.vd").write_text("k = 1")
    assert run(text, cache, folder=tmp_path)[0] == "1\n"
    (tmp_path / "m.vd").write_text("k = 2")
    assert run(text, cache, folder=tmp_path)[0] == "2\n"
    (tmp_path / "m.vd").write_text("j = 2")
    assert "unknown name k" in run(text, cache, folder=tmp_path)[0]


def test_errors_are_not_kept(cache: ScriptCache) -> None:
    assert run("print nope", cache) == run("print nope", cache)
    assert run("print (1", cache) == run("print (1", cache)
    assert entries(cache) == []


def test_many_pieces(cache: ScriptCache, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(f"x{k} = {k}\nfn f{k}() = x{k} + 1" for k in range(500)) + "\nprint f499()"
    first = run(text, cache)
    forbid(monkeypatch)
    assert run(text, cache) == first == ["500\n", "None"]


def test_it_does_not_grow_without_bound(cache: ScriptCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "MAX_ENTRIES", 5)
    for k in range(8):
        run(f"print {k}", cache)
        for age, entry in enumerate(entries(cache)):
            os.utime(entry, (1_000_000 + age, 1_000_000 + age))
    assert len(entries(cache)) == 5
    monkeypatch.setattr(caching, "MAX_BYTES", 10)
    run("print 9", cache)
    assert entries(cache) == []


def test_many_writers(cache: ScriptCache) -> None:
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda k: run(TEXT, cache), range(40)))
    assert all(s == said[0] for s in said)
    assert len(entries(cache)) == 1


def test_entries_hold_plain_data_and_code(cache: ScriptCache) -> None:
    run(TEXT, cache)
    (entry,) = entries(cache)
    pieces, captured, expression = marshal.loads(entry.read_bytes()[32:])
    assert len(pieces) == 1
    assert "f" not in pieces[0][1]
    assert (captured, expression) == ((), False)


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VARDSL_CACHE", str(tmp_path))
    assert standard_folder() == str(tmp_path)
    monkeypatch.setenv("VARDSL_CACHE", "")
    assert standard_folder() is None
    assert ScriptCache.standard() is None
    monkeypatch.delenv("VARDSL_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert standard_folder() == str(tmp_path / "vardsl")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert standard_folder() == str(tmp_path / ".cache" / "vardsl")
