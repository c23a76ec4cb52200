"""Loading and saving: formats, lying files, links, permissions, and what faults leave behind."""

from __future__ import annotations

import io
import os
import stat
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vardsl
from vardsl.lang.permissions import Permissions
from vardsl.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(seed=0, permissions=Permissions(tmp_path, [tmp_path], [tmp_path]))


def fails(session: Session, code: str, kind: str = "io") -> str:
    with pytest.raises(vardsl.Error) as caught:
        session.run(code)
    assert caught.value.kind == kind, caught.value
    return caught.value.message


# ---- what is saved comes back --------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3), (2, 1, 3, 2)])
def test_npy_round_trip(session: Session, dtype: str, shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    session["x"] = x
    session.run('save("x.npy", x); let y = load("x.npy")')
    back = session["y"].numpy()
    assert back.dtype == x.dtype
    assert back.shape == x.shape
    assert np.array_equal(back, x)


def test_numpy_reads_what_is_saved(session: Session, tmp_path: Path) -> None:
    session.run('save("w.npz", w=[[1., 2.]], b=3); save("x.npy", [[1, 2], [3, 4]].T)')
    assert np.load(tmp_path / "x.npy").tolist() == [[1, 3], [2, 4]]
    with np.load(tmp_path / "w.npz", allow_pickle=False) as found:
        assert found["w"].tolist() == [[1.0, 2.0]]
        assert found["b"].dtype == np.int64


def test_npz_names(session: Session, tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "a.npz", **{"layer.weight": np.ones(2), "class": np.zeros(1), "2x": np.ones(3)}
    )
    session.run('let a = load("a.npz")')
    assert session.run_captured("print a.layer_weight, a.class_, a.array_2x").startswith("tensor([1., 1.]")
    session.run('save("one.npz", [1., 2.]); let one = load("one.npz")')
    assert session["one"].numpy().tolist() == [1.0, 2.0]
    session.run('save("m.npz", max([[1., 5.]], dim=1)); let m = load("m.npz")')
    assert session.run_captured("print m.values, m.indices") == "tensor([5.]) tensor([1])\n"


def test_gradients_are_not_saved(session: Session) -> None:
    session.run('let v = var [1., 2.] grad; save("v.npy", v * 2); let w = load("v.npy")')
    assert session.run_captured("print w, w.requires_grad") == "tensor([2., 4.]) False\n"


def test_columns_first_and_other_byte_order(session: Session, tmp_path: Path) -> None:
    x = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "f.npy", np.asfortranarray(x))
    np.save(tmp_path / "b.npy", x.astype(">f4"))
    session.run('let f = load("f.npy"); let b = load("b.npy")')
    assert np.array_equal(session["f"].numpy(), x)
    assert np.array_equal(session["b"].numpy(), x)
    assert session["b"].numpy().dtype == np.dtype("float32")


@pytest.mark.parametrize(
    ("given", "taken"), [("f2", "float32"), ("u2", "int32"), ("u4", "int64"), ("u8", "int64")]
)
def test_dtypes_that_have_no_name_here(session: Session, tmp_path: Path, given: str, taken: str) -> None:
    np.save(tmp_path / "x.npy", np.array([1, 2], given))
    session.run('let x = load("x.npy")')
    assert session["x"].numpy().dtype == np.dtype(taken)


# ---- .csv ------------------------------------------------------------------------------------------------------
CSV: list[tuple[str, Any, str]] = [
    ("1,2\n3,4\n", [[1, 2], [3, 4]], "int64"),
    ("a,b\n1,2\n", [[1, 2]], "int64"),
    ("x;y\r\n1.5;2\r\n", [[1.5, 2]], "float32"),
    ("1\t2\r3\t4\r", [[1, 2], [3, 4]], "int64"),
    ("\ufeff1\n2\n", [1, 2], "int64"),
    ("# note\n1e3,-inf\n\n2,nan", [[1000, -np.inf], [2, np.nan]], "float32"),
    ('"a, b",c\n"1.5","2"\n', [[1.5, 2]], "float32"),
    ("1,2\n3,\n", [[1, 2], [3, np.nan]], "float32"),
    ("height\n1.5\n2.5", [1.5, 2.5], "float32"),
    ("9223372036854775807,-1", [[9223372036854775807, -1]], "int64"),
    ("7", [7], "int64"),
]


@pytest.mark.parametrize(("text", "expected", "dtype"), CSV)
def test_csv(session: Session, tmp_path: Path, text: str, expected: Any, dtype: str) -> None:
    (tmp_path / "x.csv").write_bytes(text.encode())
    session.run('let x = load("x.csv")')
    x = session["x"].numpy()
    assert x.dtype == np.dtype(dtype)
    assert np.array_equal(x, np.array(expected, dtype), equal_nan=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2\n3,x\n", "line 2, value 2: 'x' is no number"),
        ("1,2\n3\n", "line 2 has 1 value, and line 1 has 2 values"),
        ("1\n99999999999999999999\n", "does not fit int64"),
        ("1\n\0\n", "this is no text"),
        ("1\nvalue\n", "line 2, value 1: 'value' is no number"),
    ],
)
def test_csv_refusals(session: Session, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.csv").write_bytes(text.encode())
    assert said in fails(session, 'load("x.csv")')


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_csv_brings_the_same_numbers_back(session: Session, dtype: str) -> None:
    session["x"] = (
        np.random.default_rng(0).standard_normal((50, 3)) * 10.0 ** np.arange(-20, 25, 15)
    ).astype(dtype)
    session.run('save("x.csv", x); set_default_dtype(float64); let y = load("x.csv")')
    assert np.array_equal(session["y"].numpy().astype(dtype), session["x"].numpy())


def test_csv_has_two_dimensions(session: Session) -> None:
    assert "at most 2 dimensions" in fails(session, 'save("x.csv", zeros(1, 1, 1))', "shape")
    assert "one tensor" in fails(session, 'save("x.csv", [1.], [2.])', "type")


def test_default_dtype_of_csv(session: Session, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("0.1,0.2\n")
    session.run('set_default_dtype(float64); let x = load("x.csv")')
    assert session["x"].numpy().tolist() == [[0.1, 0.2]]


# ---- files that lie --------------------------------------------------------------------------------------------
def npy(header: str, data: bytes = b"", version: int = 1) -> bytes:
    text = header.encode()
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


LIES = [
    (b"", "no .npy file"),
    (b"\x93NUMPY\x09\x00\x00\x00", "version 9"),
    (npy("{}"), "header cannot be read"),
    (
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"),
        "promises 8,000,000,000,000 bytes",
    ),
    (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4,)}", bytes(31)), "promises 32 bytes"),
    (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\nsystem\n."), "Python objects"),
    (npy("{'descr': '<c16', 'fortran_order': False, 'shape': (1,)}", bytes(16)), "complex"),
    (npy("{'descr': '<U8', 'fortran_order': False, 'shape': (1,)}", bytes(32)), "no dtype here"),
    (npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}", bytes(8)), "records"),
    (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 99999999999999999)}"), None),
    (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 9999999999999999999)}"), "too large"),
    (
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 70 + ")}", bytes(8)),
        "70 dimensions",
    ),
    (npy("{'descr': '<u8', 'fortran_order': False, 'shape': (1,)}", b"\xff" * 8), "largest int64"),
    (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}", "longer than"),
]


@pytest.mark.parametrize(("data", "said"), LIES)
def test_lying_npy(session: Session, tmp_path: Path, data: bytes, said: str | None) -> None:
    (tmp_path / "x.npy").write_bytes(data)
    if said is None:
        session.run('load("x.npy")')
    else:
        assert said in fails(session, 'load("x.npy")')


def test_bytes_that_are_no_booleans(session: Session, tmp_path: Path) -> None:
    header = "{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}"
    (tmp_path / "x.npy").write_bytes(npy(header, b"\x02\x00"))
    assert session.run_captured('print load("x.npy").sum()') == "tensor(1)\n"


def bomb(path: Path, size: int, members: int = 1) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({size // 8},)}}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(members):
            archive.writestr(f"a{k}.npy", npy(header, bytes(size)))


def test_bombs_are_refused_by_their_size(tmp_path: Path) -> None:
    bomb(tmp_path / "x.npz", 1 << 22)
    limited = Session(limits={"max_memory": 1 << 20}, permissions=Permissions(tmp_path, [tmp_path], []))
    assert "max-memory" in fails(limited, 'load("x.npz")', "limit")
    bomb(tmp_path / "many.npz", 1 << 19, 4)
    assert "max-memory" in fails(limited, 'load("many.npz")', "limit")
    np.save(tmp_path / "y.npy", np.zeros(1 << 18))
    assert "max-memory" in fails(limited, 'load("y.npy")', "limit")
    (tmp_path / "z.csv").write_text("1,2,3,4\n" * 50_000)
    assert "max-memory" in fails(limited, 'load("z.csv")', "limit")


def test_archives_that_lie(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"PK\x03\x04 nothing")
    assert "no .npz file" in fails(session, 'load("x.npz")')
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil.txt", "x")
    assert "is no array" in fails(session, 'load("x.npz")')
    bomb(path, 1 << 12)
    whole = path.read_bytes()
    # the archive says of its member that it is larger than it is
    path.write_bytes(whole.replace((len(npy("")) + 1).to_bytes(4, "little"), b"\0\0\0\0")[:-40])
    fails(session, 'load("x.npz")')
    for cut in range(0, len(whole), max(1, len(whole) // 50)):
        path.write_bytes(whole[:cut])
        fails(session, 'load("x.npz")')


def test_damaged_archives_never_break_the_session(session: Session, tmp_path: Path) -> None:
    path, random = tmp_path / "x.npz", np.random.default_rng(1)
    np.savez_compressed(path, a=np.arange(50.0), b=np.ones((3, 4), np.float32))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(300):
        damaged = whole.copy()
        damaged[random.integers(0, len(whole), 3)] = random.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            session.run('load("x.npz")')
        except vardsl.Error as error:
            assert error.kind in ("io", "limit"), error


def test_too_many_members(session: Session, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for k in range(10_001):
            archive.writestr(f"{k}.npy", b"")
    assert "10,001 arrays" in fails(session, 'load("x.npz")', "limit")


# ---- what may be opened ------------------------------------------------------------------------------------------
def test_only_below_the_folders(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    np.save(outside / "x.npy", np.ones(1))
    (inside / "link.npy").symlink_to(outside / "x.npy")
    (inside / "door").symlink_to(outside)
    s = Session(permissions=Permissions(inside, [inside], [inside]))
    for path in ("../out/x.npy", str(outside / "x.npy"), "link.npy", "door/x.npy"):
        with pytest.raises(vardsl.Error) as caught:
            s.run(f'load("{path}")')
        assert caught.value.status == 3
        assert "--allow-read" in str(caught.value)
    for path in ("../out/y.npy", "door/y.npy"):
        with pytest.raises(vardsl.Error) as caught:
            s.run(f'save("{path}", [1.])')
        assert caught.value.status == 3
    none = Session(permissions=Permissions(inside, [], []))
    fails(none, 'save("y.npy", [1.])')
    assert sorted(p.name for p in outside.iterdir()) == ["x.npy"]


def test_never_through_a_link(session: Session, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.npy").write_bytes(b"kept")
    (tmp_path / "link.npy").symlink_to(tmp_path / "real" / "x.npy")
    (tmp_path / "door").symlink_to(tmp_path / "real")
    assert "link" in fails(session, 'save("link.npy", [1.])')
    assert "link" in fails(session, 'save("door/x.npy", [1.])')
    assert (tmp_path / "real" / "x.npy").read_bytes() == b"kept"
    (tmp_path / "door2.npy").symlink_to(tmp_path / "real" / "x.npy")
    np.save(tmp_path / "real" / "x.npy", np.ones(1))
    session.run('load("door2.npy")')  # reading a file below the folder through a link is fine


def test_folders_given_by_way_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "real")
    s = Session(permissions=Permissions(tmp_path, [tmp_path / "way"], [tmp_path / "way"]))
    s.run('save("way/x.npy", [1.]); load("way/x.npy"); save("real/y.npy", [1.])')
    assert sorted(p.name for p in (tmp_path / "real").iterdir()) == ["x.npy", "y.npy"]


def test_regular_files_only(session: Session, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "folder.npy").mkdir()
    done: list[str] = []
    worker = threading.Thread(target=lambda: done.append(fails(session, 'load("pipe.npy")')), daemon=True)
    worker.start()
    worker.join(10)
    assert done == ["pipe.npy is a pipe, not a file"]
    assert "folder" in fails(session, 'load("folder.npy")')
    assert "a folder" in fails(session, 'save("folder.npy", [1.])')
    assert "a pipe" in fails(session, 'save("pipe.npy", [1.])')
    assert "no file" in fails(session, 'load("none.npy")')
    assert "no folder none" in fails(session, 'save("none/x.npy", [1.])')
    assert "NUL" in fails(session, r'load("a\x00.npy")')
    assert ".csv, .npy or .npz" in fails(session, 'load("x.pkl")', "value")
    assert "name of a file" in fails(session, "load(3)", "type")
    assert "not a string" in fails(session, 'save("x.npy", "text")', "type")


def test_mode_and_write_protection(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    session.run('save("x.npy", [1.])')
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o640)
    session.run('save("x.npy", [2.])')
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o440)
    assert "write-protected" in fails(session, 'save("x.npy", [3.])')


# ---- faults in the middle ----------------------------------------------------------------------------------------
CALLS = ["write", "fsync", "replace", "open", "link", "fchmod"]


def failing(real: Callable[..., Any], nth: int, count: list[int]) -> Callable[..., Any]:
    def call(*args: Any, **keywords: Any) -> Any:
        count[0] += 1
        if count[0] == nth:
            raise OSError(28, "No space left on device")
        return real(*args, **keywords)

    return call


@pytest.mark.parametrize("nameless", [True, False])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("ending", ["csv", "npy", "npz"])
def test_old_or_new_and_no_litter(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, ending: str, nameless: bool
) -> None:
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path = tmp_path / f"x.{ending}"
    session["x"] = np.zeros(2)
    session.run(f'save("{path.name}", x)')
    old = path.read_bytes()
    session["x"] = np.linspace(0, 1, 70_000 if ending == "csv" else 200_000)
    session.run(f'save("new.{ending}", x)')
    new = (tmp_path / f"new.{ending}").read_bytes()
    (tmp_path / f"new.{ending}").unlink()
    for nth in range(1, 100):
        count = [0]
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing(getattr(os, name), nth, count))
            try:
                session.run(f'save("{path.name}", x)')
            except vardsl.Error as error:
                assert error.kind == "io"
                assert "No space left on device" in error.message
        assert [p.name for p in tmp_path.iterdir()] == [path.name]
        assert path.read_bytes() in (old, new)
        if count[0] < nth:
            break
    assert path.read_bytes() == new
    assert name != "write" or nth > 2, "one write shows nothing of the middle of a file"


def test_an_interrupt_leaves_no_litter(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.run('save("x.npy", [1.])')
    old = (tmp_path / "x.npy").read_bytes()

    def interrupted(*args: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(vardsl.Error):
        session.run('save("x.npy", [2.])')
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy"]
    assert (tmp_path / "x.npy").read_bytes() == old


def test_short_writes_are_continued(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, memoryview(data)[:1000]))
    session["x"] = np.arange(5000.0)
    session.run('save("x.npz", a=x, b=x)')
    monkeypatch.undo()
    with np.load(io.BytesIO((tmp_path / "x.npz").read_bytes())) as found:
        assert np.array_equal(found["b"], np.arange(5000.0))
