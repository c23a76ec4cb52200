"""Plain mode, configuration, and the prompt inside a Python program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vardsl.apps.repl.config import Settings, config_folder, history_path, load
from vardsl.apps.repl.lines import is_command, split_command

ROOT = str(Path(__file__).parents[3])


def plain(tmp_path: Path, text: str, *arguments: str, **environ: str) -> tuple[str, str, int]:
    """Output, errors and status of a plain prompt that is fed a text."""
    whole = {
        **os.environ,
        "PYTHONPATH": ROOT,
        "VARDSL_CONFIG": str(tmp_path / "config"),
        "VARDSL_HISTORY": str(tmp_path / "history"),
        **environ,
    }
    done = subprocess.run(
        [sys.executable, "-m", "vardsl", "-i", "--plain", *arguments],
        input=text, capture_output=True, text=True, env=whole, timeout=30, cwd=tmp_path, check=False,
    )  # fmt: skip
    return done.stdout.split("\n", 1)[1], done.stderr, done.returncode


def test_the_same_language_through_a_pipe(tmp_path: Path) -> None:
    text = (
        "let v = var [[1,2],[3,4]] grad\nfor i in range(2) {\n  print i\n}\nmean(v*v)\n_\n:type v\nnope\n3\n"
    )
    out, err, status = plain(tmp_path, text)
    tensor = "tensor(7.5000, grad_fn=<MeanBackward0>)"
    assert out == f"0\n1\n{tensor}\n{tensor}\n[2, 2] float32 grad\n3\n"
    assert err.startswith("error[name]: unknown name nope\n --> <5>:1:1")
    assert status == 0 and "\x1b" not in out + err
    assert not (tmp_path / "history").exists()


def test_an_unfinished_block_at_the_end_is_an_error(tmp_path: Path) -> None:
    _, err, status = plain(tmp_path, "let x = (1,\n")
    assert "error[syntax]" in err and status == 0


def test_quit_gives_the_status(tmp_path: Path) -> None:
    assert plain(tmp_path, ":quit 3\nprint 1\n") == ("", "", 3)


def test_the_start_up_file_runs_first_and_not_with_no_init(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "init.vd").write_text("let mine = 7\nprint 'hello'\n")
    assert plain(tmp_path, "mine\n")[0] == "hello\n7\n"
    assert "unknown name mine" in plain(tmp_path, "mine\n", "--no-init")[1]
    assert "unknown name mine" in plain(tmp_path, "mine\n", VARDSL_NO_INIT="1")[1]


def test_a_start_up_file_that_fails_does_not_keep_one_out(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "init.vd").write_text("nope\n")
    out, err, _ = plain(tmp_path, "1 + 1\n")
    assert out == "2\n" and "init.vd:1:1" in err


# ---- configuration -----------------------------------------------------------------------------------------
def test_settings_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert load(path) == (Settings(), [])
    path.write_text('editing = "vi"\npreview = false\nundo = 30\nhistory = "many"\nfoo = 1\n')
    settings, complaints = load(path)
    assert (settings.editing, settings.preview, settings.undo, settings.history) == ("vi", False, 30, 10_000)
    assert len(complaints) == 2 and "history is a number" in complaints[0]
    path.write_text("editing = [")
    settings, complaints = load(path)
    assert settings == Settings() and len(complaints) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("editing", "ed"), ("toolbar", "maybe"), ("undo", "-1"), ("theme", "a b"), ("x", "1")]
)
def test_settings_that_mean_nothing_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError):
        Settings().set(name, value)


def test_where_things_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config_folder({"VARDSL_CONFIG": "/x"}) == Path("/x")
    assert history_path({"VARDSL_HISTORY": "/y/h"}) == Path("/y/h")
    if sys.platform.startswith("linux"):
        import platformdirs

        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        assert config_folder({}) == Path(platformdirs.user_config_dir("vardsl"))
        assert history_path({}) == Path(platformdirs.user_state_dir("vardsl")) / "history"


def test_which_lines_are_the_prompts() -> None:
    assert all(map(is_command, [":vars", " :help x", "?sum", "sum?", "linalg.inv?", "%time x"]))
    assert not any(map(is_command, ["x", "a if b else c", 'print "?"', "f(x)?", ":a\nb", "?a\nb", "?"[1:]]))
    assert split_command("linalg.inv?") == ("help", "linalg.inv")
    assert split_command(":save  a b.vd ") == ("save", "a b.vd")


# ---- in a Python program -----------------------------------------------------------------------------------
_IN_A_LOOP = """
import asyncio, sys, vardsl
async def main():
    s = vardsl.Session(seed=0)
    s["x"] = 20
    back = vardsl.repl(s, plain={plain})
    assert back is s
    print("y is", s["y"])
asyncio.run(main())
"""


def test_repl_from_python_in_a_running_event_loop(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": ROOT, "VARDSL_CONFIG": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_LOOP.format(plain=True)],
        input="let y = x + 1\n", capture_output=True, text=True, env=environ, timeout=30, check=False,
    )  # fmt: skip
    assert done.stdout == "y is 21\n", done.stderr


def test_repl_from_python_on_a_terminal_in_a_running_event_loop(tmp_path: Path) -> None:
    pytest.importorskip("pexpect")
    from .terminal import Terminal

    environ = {**os.environ, "PYTHONPATH": ROOT, "VARDSL_CONFIG": str(tmp_path), "TERM": "xterm-256color"}
    environ["VARDSL_HISTORY"] = str(tmp_path / "history")
    t = Terminal([sys.executable, "-c", _IN_A_LOOP.format(plain=False)], environ)
    try:
        t.wait_for("vd>")
        t.type("let y = x + 2\r")
        t.wait_for("2 names")
        t.type("while true { }\r")
        t.pump(0.5)
        t.type("\x03")
        t.wait_for("error[interrupt]")
        t.wait_for("2 names")
        t.type("\x04")
        t.wait_for("y is 22")
        assert t.status() == 0
    finally:
        t.close()


def test_nothing_heavy_is_loaded_for_a_run(tmp_path: Path) -> None:
    code = (
        "import sys; from vardsl.apps.cli import main; main(['-c', '1']);"
        "print([m for m in ('prompt_toolkit', 'rich', 'pygments', 'platformdirs') if m in sys.modules])"
    )
    environ = {**os.environ, "PYTHONPATH": ROOT}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=False
    )
    assert done.stdout == "1\n[]\n", done.stderr
