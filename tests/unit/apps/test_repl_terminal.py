"""The real thing: `vardsl` on a pseudo-terminal, looked at through a screen emulator."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .terminal import Terminal, vardsl

pexpect = pytest.importorskip("pexpect")
Open = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def start(*arguments: str, **more: str) -> Terminal:
        opened.append(vardsl(tmp_path, *arguments, **more))  # type: ignore[arg-type]
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_a_first_session(terminal: Open) -> None:
    t = terminal()
    t.wait_for("vd>")
    t.type("let v = var [[1,2],[3,4]] grad; out = mean(v*v); backward out\rv.grad\r")
    screen = t.wait_for("[1.5000, 2.0000]])")
    assert "vd> v.grad\ntensor([[0.5000, 1.0000],\n        [1.5000, 2.0000]])" in screen
    t.wait_for("float32 · 2 names")
    t.type("\x04")
    assert t.status() == 0


def test_the_completion_menu(terminal: Open) -> None:
    t = terminal()
    t.wait_for("vd>")
    t.type("let weights = var ones(2, 3) grad\r")
    t.wait_for("1 name")
    t.type("wei")
    screen = t.wait_for("[2, 3] float32 grad")
    assert " weights" in screen.split("vd> wei")[1]
    t.type("\t")
    t.wait_for("vd> weights")
    t.type("\r.sha")
    t.wait_for("the sizes of its dimensions")
    t.type("\t\r\r")
    t.wait_for("vd> weights.shape\n[2, 3]")


def test_a_paste_waits_for_enter_and_stops_at_the_first_error(terminal: Open) -> None:
    t = terminal()
    t.wait_for("vd>")
    t.wait_for("float32")
    t.type("\x1b[200~>>> print 1\n1\n>>> print 2 // 0\n>>> print 3\n\x1b[201~")
    t.wait_for(">>> print 3")
    assert "error" not in t.text()
    t.type("\r")
    screen = t.wait_for("error[value]")
    assert "\n1\nerror[value]" in screen and "\n3\n" not in t.wait_for("help" if "help" in screen else "vd>")


def test_ctrl_c_stops_a_loop_within_a_second(terminal: Open) -> None:
    t = terminal()
    t.wait_for("float32")
    t.type("let n = 0\r")
    t.wait_for("1 name")
    t.type("while true {\rn += 1\r}\r")
    t.pump(0.4)
    began = time.monotonic()
    t.type("\x03")
    screen = t.wait_for("error[interrupt]")
    assert time.monotonic() - began < 1.0
    t.wait_for("in turn")
    assert " --> <2>:1:1" in screen
    t.type("n > 0\r")
    t.wait_for("True")
    t.type(":undo 2\rn\r")
    t.wait_for("vd> n\n0")


def test_ctrl_c_stops_a_training(terminal: Open) -> None:
    t = terminal()
    t.wait_for("float32")
    t.type("let w = var 0.0 grad\rminimize (w - 3)**2 over w steps 100000000\r")
    t.pump(0.5)
    t.type("\x03")
    t.wait_for("of 100,000,000")
    t.type("\rw.item() > 0\r")
    t.wait_for("True")


def test_ctrl_c_at_the_prompt_clears_the_line(terminal: Open) -> None:
    t = terminal()
    t.wait_for("float32")
    t.type("half a li")
    t.wait_for("half a li")
    t.type("\x03")
    t.pump(0.2)
    t.type("1 + 1\r")
    assert "vd> half a li\nvd> 1 + 1\n2\nvd>" in t.wait_for("\n2\n")


def test_resizing_keeps_the_line_whole(terminal: Open) -> None:
    t = terminal()
    t.wait_for("float32")
    t.type("let some_long_name = [1, 2, 3, 4, 5, 6, 7, 8]")
    t.wait_for("7, 8]")
    t.resize(40, 12)
    t.pump(0.4)
    t.type("\rsum(some_long_name)\r")
    t.wait_for("tensor(36)")
    t.resize(100, 30)
    t.pump(0.2)
    t.type("_ + 1\r")
    t.wait_for("tensor(37)")


def test_forty_columns(terminal: Open) -> None:
    t = terminal(columns=40, rows=15)  # type: ignore[arg-type]
    t.wait_for("vd>")
    t.type("let v = var [[1,2],[3,4]] grad\rv.su")
    t.wait_for("sum")
    t.type("m()\r")
    t.wait_for("tensor(10.")


def test_a_dumb_terminal_gets_no_escape_codes(terminal: Open) -> None:
    t = terminal(TERM="dumb")
    t.wait_for("vd>")
    t.type("for i in range(2) {\n")
    t.wait_for("...")
    t.type("print i\n")
    t.wait_for("... print i\n...")
    t.type("}\n")
    t.wait_for("... }\n0\n1\nvd>")
    t.type("1 // 0\n")
    t.wait_for("error[value]")
    t.type("\x04")
    assert t.status() == 0
    assert b"\x1b" not in t.raw


def test_plain_mode_is_interrupted_too(terminal: Open) -> None:
    t = terminal("--plain")
    t.wait_for("vd>")
    t.type("while true { }\n")
    t.pump(1.0)
    t.type("\x03")
    t.wait_for("error[interrupt]")
    t.type("\x03")
    t.pump(0.2)
    t.type("1 + 1\n")
    t.wait_for("\n2")
    t.type(":quit 4\n")
    assert t.status() == 4
    assert b"\x1b" not in t.raw


def test_no_colour_where_that_is_asked(terminal: Open) -> None:
    t = terminal(NO_COLOR="1")
    t.wait_for("float32")
    t.type('let x = "text" + nope\r')
    t.wait_for("error[name]")
    colours = [b"\x1b[3%dm" % k for k in range(1, 8)] + [b"\x1b[1;31m", b"\x1b[9"]
    assert not any(code in t.raw for code in colours)
    lit = terminal()
    lit.wait_for("float32")
    lit.type("nope\r")
    lit.wait_for("error[name]")
    assert b"\x1b[1;31merror[name]" in lit.raw


def test_history_is_there_the_next_time(terminal: Open) -> None:
    first = terminal()
    first.wait_for("float32")
    first.type("let kept = 41 + 1\r\x04")
    assert first.status() == 0
    second = terminal()
    second.wait_for("float32")
    second.type("let k\x1b[A\rkept\r")
    second.wait_for("\n42")


def test_start_up_file_and_settings(terminal: Open, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text('prompt = "λ "\nbanner = false\nnope = 1\n')
    (tmp_path / "config" / "init.vd").write_text("let mine = 7\n")
    t = terminal()
    screen = t.wait_for("λ ")
    t.wait_for("there is no setting nope")
    t.type("mine\r")
    t.wait_for("λ mine\n7")
    assert "vardsl 0" not in screen
    without = terminal("--no-init")
    without.wait_for("float32")
    without.type("mine\r")
    without.wait_for("unknown name mine")


def test_going_on_after_a_script_that_fails(terminal: Open, tmp_path: Path) -> None:
    (tmp_path / "x.vd").write_text("let a = 3\nprint a\na // 0\nlet b = 4\n")
    t = terminal("run", "-i", str(tmp_path / "x.vd"))
    t.wait_for("error[value]")
    t.wait_for("vd>")
    t.type("a * 2\r")
    t.wait_for("\n6")


def test_keys_typed_before_the_editor_is_there_are_not_lost(terminal: Open) -> None:
    t = terminal()
    t.wait_for("vd>")  # drawn before there is an editor; what came even earlier the terminal itself echoes
    t.type("let early = 1")
    t.type("23\rearly\r")
    screen = t.wait_for("\n123")
    assert screen.count("let early = 123") == 1


def test_hanging_up_loses_no_history(terminal: Open, tmp_path: Path) -> None:
    t = terminal()
    t.wait_for("float32")
    t.type("let a = 5\r")
    t.wait_for("1 name")
    t.process.kill(signal.SIGHUP)
    assert t.status() in (129, -1)
    assert (tmp_path / "history").read_text() == '"let a = 5"\n'


def test_a_long_line_and_wide_characters(terminal: Open) -> None:
    t = terminal()
    t.wait_for("float32")
    t.type("学习率 = 0.1 + nmae\r")
    screen = t.wait_for("error[name]")
    assert "学" in screen
    t.type("学习率 = 0.5\r学习率 * 2\r")
    t.wait_for("\n1.0")
