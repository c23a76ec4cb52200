"""Sessions from Python: names in and out, functions, errors, threads, imports."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import vardsl
from vardsl.lang.outcome import Outcome, Printed, Shown
from vardsl.lang.permissions import Permissions


def test_the_example_of_the_language_page() -> None:
    s = vardsl.Session(seed=0)
    s["x"] = np.array([[1.0, 2.0], [3.0, 4.0]])
    s.run("let v = var x float64 grad; out = mean(v*v); backward out")
    assert s["v"].grad.numpy().tolist() == [[0.5, 1], [1.5, 2]]
    assert isinstance(s.eval("v.grad * 2"), vardsl.Tensor)
    assert s.run_captured("print out") == "tensor(7.5000, dtype=torch.float64, grad_fn=<MeanBackward0>)\n"


def test_values_of_runs() -> None:
    s = vardsl.Session()
    assert s.run("3; 4") == 4
    assert s.run("x = 4") is None
    assert s.run("") is None
    assert s.run("fn f() { 5 }; f()") == 5
    assert s.eval("(1, 'a', true, none, 2.5)") == (1, "a", True, None, 2.5)
    assert isinstance(s.run("let w = var 1. grad; minimize w * w over w steps 2"), float)
    assert vardsl.run("1 + 1") == 2


def test_what_is_put_in_is_a_copy() -> None:
    s = vardsl.Session()
    a = np.ones(2)
    s["a"] = a
    a[0] = 5
    assert s["a"].numpy().tolist() == [1, 1]
    s["l"] = [[1, 2], [3, 4]]
    assert s["l"].shape == (2, 2)
    s["n"] = np.float64(1.5)
    assert type(s["n"]) is float


@pytest.mark.parametrize("value", [np.ones(2, complex), np.array(["a"]), object(), {1: 2}])
def test_what_cannot_be_put_in(value: object) -> None:
    with pytest.raises(vardsl.Error) as caught:
        vardsl.Session()["x"] = value
    assert caught.value.kind == "type"


@pytest.mark.parametrize("name", ["let", "a b", "", "1a", "None"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(vardsl.Error):
        vardsl.Session()[name] = 1


def test_functions_take_arrays() -> None:
    s = vardsl.Session()
    s.run("fn f(a, b=2) = a * b")
    f = s["f"]
    assert f(3) == 6
    assert f(1, b=4) == 4
    assert f(np.ones(2)).numpy().tolist() == [2, 2]
    assert repr(f) == "<fn f(a, b=2)>"
    with pytest.raises(vardsl.Error) as caught:
        f("a", "b")
    assert caught.value.line == 1
    s["g"] = f
    assert s.run("g(5)") == 10


def test_a_missing_name_is_a_key_error_too() -> None:
    s = vardsl.Session()
    assert "x" not in s
    with pytest.raises(KeyError) as caught:
        s["nope"]
    assert isinstance(caught.value, vardsl.Error)
    assert str(caught.value).startswith("error[name]: unknown name nope")


def test_errors_know_their_place_and_output() -> None:
    s = vardsl.Session()
    with pytest.raises(vardsl.Error) as caught:
        s.run_captured("print 1\nprint 2 + 1 / 0", filename="a.vd")
    error = caught.value
    assert (error.kind, error.line, error.column, error.output) == ("value", 2, 11, "1\n")
    assert error.hint and error.message == "division by zero"
    assert str(error).startswith("error[value]: division by zero\n --> a.vd:2:11")


def test_run_prints(capsys: pytest.CaptureFixture[str]) -> None:
    vardsl.Session().run("print 1, (2, 'a'), [1., 2.]\nprint\nprint((1, 2))")
    assert capsys.readouterr().out == "1 (2, 'a') tensor([1., 2.])\n\n(1, 2)\n"


def test_outcomes() -> None:
    seen: list[Outcome] = []
    s = vardsl.Session(emit=seen.append)
    s.run("1\nnone\nprint 2\nx = 3\nx", shown=True)
    assert seen == [Shown(1), Printed("2\n"), Shown(3)]


def test_sessions_share_nothing() -> None:
    printed: dict[int, str] = {}

    def work(n: int) -> None:
        s = vardsl.Session(seed=n)
        s.run("set_default_dtype(float64)" if n % 2 else "x = 1")
        printed[n] = s.run_captured(
            f"let w = var 0.0 grad; for i in range(200) {{ l = (w - {n})**2; backward l; update w -= 0.1 * w.grad; "
            "zero_grad w }; print w.dtype, round(w.item(), 3)"
        )

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert printed == {n: f"{'float64' if n % 2 else 'float32'} {float(n)}\n" for n in range(4)}


def test_calls_of_one_session_wait_for_each_other() -> None:
    s = vardsl.Session()
    s.run("n = 0")
    threads = [threading.Thread(target=s.run, args=("for i in range(1000) { n = n + 1 }",)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert s["n"] == 4000


def test_unknown_limits_are_refused() -> None:
    with pytest.raises(vardsl.Error):
        vardsl.Session(limits={"max_fun": 3})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "lib.vd").write_text(
        'import "sub/m.vd" as m\nk = 3\nfn h(x) = x * k + m.q\nprint "loading"\n'
    )
    (tmp_path / "sub" / "m.vd").write_text("q = 7\n")
    (tmp_path / "a.vd").write_text('import "b.vd"\n')
    (tmp_path / "b.vd").write_text('import "a.vd"\n')
    (tmp_path / "bad.vd").write_text("x = 1\ny = x +\n")
    (tmp_path / "fails.vd").write_text("x = ones(2) @ ones(3)\n")
    (tmp_path / "latin.vd").write_bytes(b"x = '\xe9'\n")
    return tmp_path


def session_in(folder: Path) -> vardsl.Session:
    return vardsl.Session(permissions=Permissions(folder, [folder], []))


def test_imports(folder: Path) -> None:
    s = session_in(folder)
    printed = s.run_captured('import "lib.vd" as L; print L.h(2), L.k, L; import "lib.vd"; print h(1), k')
    assert printed == "loading\n13 3 <module L>\n10 3\n"
    assert s.run_captured('if true { import "lib.vd" as M; print M.k }') == "3\n"
    other = session_in(folder)
    assert other.run_captured('k = 1\nif true { import "lib.vd"; print k }\nprint k') == "loading\n3\n3\n"


@pytest.mark.parametrize(
    ("source", "kind", "place", "says"),
    [
        ('import "a.vd"', "value", ("b.vd", 1), "circular"),
        ('import "bad.vd"', "syntax", ("bad.vd", 2), "expected a value"),
        ('import "fails.vd"', "shape", ("fails.vd", 1), "cannot multiply"),
        ('import "latin.vd"', "syntax", ("latin.vd", 1), "UTF-8"),
        ('import "lib.vd" as L; L.zz', "name", ("<string>", 1), "no member zz"),
        ('import "lib.vd" as L; L.h("a", "b")', "type", ("<string>", 1), "h() takes 1 argument but 2 were given"),
        ('import "../x.vd"', "io", ("<string>", 1), "may not read"),
        ('import "sub"', "io", ("<string>", 1), "not a file"),
        ('import "lib.vd" as L; L.k = 3', "type", ("<string>", 1), "cannot be assigned"),
        ('import "lib.vd"; print nope', "name", ("<string>", 1), "unknown name nope"),
    ],
)
def test_imports_that_fail(folder: Path, source: str, kind: str, place: tuple[str, int], says: str) -> None:
    with pytest.raises(vardsl.Error) as caught:
        session_in(folder).run_captured(source)
    error = caught.value
    assert error.place is not None
    assert (error.kind, error.place.source.name, error.line) == (kind, *place)
    assert says in error.message


def test_a_text_that_is_run_again_is_translated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from vardsl.lang import front

    texts: list[str] = []
    translate = front.translate
    monkeypatch.setattr(front, "translate", lambda s, *a, **k: texts.append(s.text) or translate(s, *a, **k))
    s = vardsl.Session()
    s.run("x = 1.0; fn f(a) = a + x")
    for _ in range(5):
        s.run("x = f(x)")
    assert s["x"] == 32.0
    assert texts.count("x = f(x)") == 1
    s.run("let tensor = f; let sin = 3")
    s.run("x = f(x)")  # other names are known: it might mean something else
    assert texts.count("x = f(x)") == 2
    for k in range(40):
        s.run(f"y = {k}")
    s.run("x = f(x)")
    assert texts.count("x = f(x)") == 3


def test_a_text_whose_names_have_changed_their_meaning_is_translated_again() -> None:
    s = vardsl.Session()
    assert s.run_captured("print abs(-1)") == "1\n"
    s.run("fn abs(x) = 7")
    assert s.run_captured("print abs(-1)") == "7\n"
    s.run("del abs")
    assert s.run_captured("print abs(-1)") == "1\n"
    for _ in range(2):
        with pytest.raises(vardsl.Error, match="unknown name"):
            s.run("print nothing")
