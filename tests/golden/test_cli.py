"""The command from outside: what it prints where, and the status it ends with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import vardsl

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "vardsl"]
FILES: dict[str, bytes] = {
    "ok.vd": b"let v = var [1., 2.] grad\nbackward sum(v * v)\nprint v.grad\n",
    "loops.vd": b"let v = var [1., 2.] grad\nfor i in range(20) { zero_grad v; out = sum(v * v); backward out }\nprint v.grad\n",
    "args.vd": b"print len(args), args\n",
    "fails.vd": b'print "before"\nlet x = [1, 2] @ [3]\nprint "after"\n',
    "syntax.vd": b"let = 1\n",
    "names.vd": b"print 1\nif false { nope }\n",
    "two.vd": b"print one\nprint two\n",
    "messy.vd": b"let   x=1 # one\nif x>0{print x}\n",
    "neat.vd": b"let x = 1\nprint x\n",
    "latin.vd": b"let x = 1\nlet y = '\xe4'\n",
    "mark.vd": b"\xef\xbb\xbfprint 7\r\nprint 8\r\n",
    "unicode.vd": 'let α = 2\nprint f"α = {α}, 学习率"\n'.encode(),
    "endless.vd": b"let i = 0\nwhile true { i += 1 }\n",
    "many.vd": b"for i in range(100000) { print i }\n",
    "golden.vd": b"print 1\n#> 1\nlet x = [1, 2]\nprint x + [1, 2, 3]\n",
    "wrong.vd": b"print 1\n#> 2\n",
    "bang.vd": b"#!/usr/bin/env vardsl\nprint 3\n",
    "sub/lib.vd": b"let a = 5\n",
    "sub/uses.vd": b'import "lib.vd" as lib\nprint lib.a\n',
    "value.vd": b"1 + 1\n",
    "run": b"print 9\n",
}


@dataclass(frozen=True)
class Case:
    """A call: its arguments and input, and what comes out; `err` are parts of standard error in order."""

    name: str
    arguments: Sequence[str]
    out: str = ""
    err: Sequence[str] = ()
    status: int = 0
    stdin: bytes = b""
    env: dict[str, str] = field(default_factory=dict)


USAGE = ["python -m vardsl: "]
CASES = [
    Case("version", ["--version"], out=f"vardsl {vardsl.__version__}\n"),
    Case("version, short", ["-V"], out=f"vardsl {vardsl.__version__}\n"),
    Case("run", ["run", "ok.vd"], out="tensor([2., 4.])\n"),
    Case("file", ["ok.vd"], out="tensor([2., 4.])\n"),
    Case("script from stdin", ["run", "-"], out="3\n", stdin=b"print 1 + 2\n"),
    Case("dash alone", ["-"], out="3\n", stdin=b"print 1 + 2\n"),
    Case("piped", [], out="3\n", stdin=b"print 1 + 2\n"),
    Case("empty input", [], stdin=b""),
    Case("code", ["-c", "1 + 2"], out="3\n"),
    Case("code, other letter", ["-e", "1 + 2"], out="3\n"),
    Case("code, glued", ["-c1 + 2"], out="3\n"),
    Case("code twice", ["-c", "let x = 4", "-e", "x"], out="4\n"),
    Case("code prints", ["-c", "print 1; print 2"], out="1\n2\n"),
    Case("code without value", ["-c", "let x = 1"]),
    Case("code with none", ["-c", "none"]),
    Case("code that ends with minimize", ["-c", "let w = var 1.0 grad; minimize w**2 over w"]),
    Case("code with a string", ["-c", '"a"'], out="a\n"),
    Case("a file shows no values", ["value.vd"]),
    Case("arguments", ["args.vd", "a", "--seed", "-x"], out="3 ('a', '--seed', '-x')\n"),
    Case("arguments of run", ["run", "args.vd", "--", "b"], out="2 ('--', 'b')\n"),
    Case("no arguments", ["args.vd"], out="0 ()\n"),
    Case(
        "options before the file",
        ["--seed", "0", "-c", "rand(3)"], out="tensor([0.4963, 0.7682, 0.0885])\n",
    ),
    Case("options after run", ["run", "--seed=0", "-"], out="tensor([0.4963])\n", stdin=b"print rand(1)"),
    Case("option with =", ["--seed=0", "-c", "rand(1)"], out="tensor([0.4963])\n"),
    Case("without planner", ["--no-plan", "-c", "1"], out="1\n"),
    Case(
        "plans explained",
        ["run", "--explain-plan", "loops.vd"],
        out="tensor([2., 4.])\n",
        err=["loops.vd:2: planned; ", " of 20 turns ran as planned", "out = sum(", "v.grad = "],
    ),
    Case(
        "plans explained after an error",
        ["--explain-plan", "-c", 'let x = rand(2); for i in range(9) { y = tanh(x) }; assert false'],
        err=["error[assert]", "<string>:1: planned", "y = tanh(x)"],
        status=1,
    ),
    Case(
        "why there is no plan",
        ["--explain-plan", "-c", "let v = var [1.] grad; for i in range(9) { y = tanh(v) }"],
        err=["<string>:1: not planned: a graph is still needed after the run\n    run backward on it"],
    ),
    Case("nothing planned", ["--explain-plan", "-c", "1"], out="1\n", err=["nothing was planned: no statements"]),
    Case("no planner", ["--explain-plan", "--no-plan", "-c", "1"], out="1\n", err=["switched off (--no-plan)"]),
    Case("a file called run", ["./run"], out="9\n"),
    Case("shebang", ["bang.vd"], out="3\n"),
    Case("byte-order mark and CRLF", ["mark.vd"], out="7\n8\n"),
    Case("unicode", ["unicode.vd"], out="α = 2, 学习率\n"),
    Case(
        "unicode in the C locale",
        ["unicode.vd"], out="α = 2, 学习率\n", env={"LC_ALL": "C", "PYTHONUTF8": "0"},
    ),
    Case("import is relative to the file", ["sub/uses.vd"], out="5\n"),
    # errors
    Case(
        "error",
        ["fails.vd"], out="before\n", err=["error[shape]", " --> fails.vd:2:9", "^^^^^^"], status=1,
    ),
    Case("syntax error", ["syntax.vd"], err=["error[syntax]", " --> syntax.vd:1:1"], status=1),
    Case("names are checked first", ["names.vd"], err=["error[name]", " --> names.vd:2:12"], status=1),
    Case("error in code", ["-c", "nope"], err=["error[name]", " --> <string>:1:1"], status=1),
    Case("not UTF-8", ["latin.vd"], err=["error[syntax]", "0xe4", " --> latin.vd:2:10"], status=1),
    Case("not UTF-8 from stdin", [], err=["error[syntax]", " --> <stdin>:1:1"], status=1, stdin=b"\xff"),
    Case(
        "limit of steps",
        ["--max-steps", "1000", "endless.vd"], err=["error[limit]", "--max-steps"], status=3,
    ),
    Case("limit of time", ["--max-time", "0.2", "endless.vd"], err=["error[limit]", "--max-time"], status=3),
    Case("limit of output", ["--max-output", "10", "-c", 'print "a" * 100'], err=["--max-output"], status=3),
    Case("limit of memory", ["--max-memory", "1M", "-c", "zeros(1000000)"], err=["--max-memory"], status=3),
    Case("sandbox", ["--sandbox", "-c", 'print "a" * 2000000'], err=["error[limit]", "--max-output"], status=3),
    Case(
        "sandbox with a limit of one's own",
        ["--sandbox", "--max-steps", "1000", "endless.vd"], err=["error[limit]", "--max-steps"], status=3,
    ),
    Case("no colour on a pipe", ["fails.vd"], out="before\n", err=["\nerror[shape]: "], status=1),
    Case("colour where asked", ["--color", "always", "-c", "nope"], err=["\x1b["], status=1),
    Case("colour by environment", ["-c", "nope"], err=["\x1b["], status=1, env={"FORCE_COLOR": "1"}),
    Case(
        "no colour",
        ["-c", "nope"], err=["error[name]"], status=1, env={"FORCE_COLOR": "1", "NO_COLOR": "1"},
    ),
    # wrong usage
    Case(
        "unknown word",
        ["rnu", "x.vd"], err=[*USAGE, "rnu: no such command or file; did you mean `run`?"], status=2,
    ),
    Case("unknown file", ["nope.vd"], err=["cannot read nope.vd: No such file or directory"], status=2),
    Case("unknown file of run", ["run", "nope.vd"], err=["cannot read nope.vd: No such file"], status=2),
    Case("folder", ["sub"], err=["cannot read sub: Is a directory"], status=2),
    Case("run of nothing", ["run"], err=["run needs a file"], status=2),
    Case("unknown option", ["--sed", "1"], err=["unknown option --sed", "did you mean --seed?"], status=2),
    Case("option without value", ["--seed"], err=["--seed needs a value"], status=2),
    Case("wrong value", ["--seed", "x", "-c", "1"], err=["--seed: 'x' is not an integer"], status=2),
    Case("wrong size", ["--max-memory", "lots", "-c", "1"], err=["'lots' is not a size"], status=2),
    Case(
        "wrong colour",
        ["--color", "red", "-c", "1"], err=["'red' is none of auto, always, never"], status=2,
    ),
    Case("code and a file", ["-c", "1", "ok.vd"], out="1\n"),
    # check
    Case("check", ["check", "ok.vd", "args.vd"]),
    Case("check finds wrong shapes", ["check", "fails.vd"], err=["fails.vd:2:9", "[1, 2] is [2], [3] is [1]"], status=1),
    Case("check does not run", ["check", "-"], stdin=b'print 1; assert 1 > 2; print tensor([1.]).item() / 0'),
    Case("check of stdin", ["check", "-"], err=[" --> <stdin>:1:7"], status=1, stdin=b"print x"),
    Case("check finds all", ["check", "two.vd"], err=["two.vd:1:7", "two.vd:2:7"], status=1),
    Case(
        "check, short",
        ["check", "--errors=short", "two.vd"],
        out="two.vd:1:7: name: unknown name one\ntwo.vd:2:7: name: unknown name two\n",
        status=1,
    ),
    Case("check of nothing", ["check"], err=["check needs a file"], status=2),
    Case("check of a missing file", ["check", "nope.vd"], err=["cannot read nope.vd"], status=2),
    # fmt
    Case("fmt of stdin", ["fmt", "-"], out="let x = 1  # one\n", stdin=b"let   x=1 # one\n"),
    Case("fmt --check", ["fmt", "--check", "messy.vd", "neat.vd"], out="would format messy.vd\n", status=1),
    Case("fmt --check of neat files", ["fmt", "--check", "neat.vd"]),
    Case("fmt of a wrong file", ["fmt", "syntax.vd"], err=["error[syntax]"], status=1),
    Case("fmt of nothing", ["fmt"], err=["fmt needs a file"], status=2),
    # test
    Case(
        "test without expected lines",
        ["test", "ok.vd"],
        status=1,
        out="--- ok.vd\n+++ ok.vd (as it runs)\n@@ -1,3 +1,4 @@\n let v = var [1., 2.] grad\n"
        " backward sum(v * v)\n print v.grad\n+#> tensor([2., 4.])\n\n0 passed, 1 failed: ok.vd\n",
    ),
    Case("test of nothing", ["test"], err=["test needs a file or a folder"], status=2),
    Case("test of an empty folder", ["test", "sub/nope"], err=["cannot read sub/nope"], status=2),
    Case(
        "test --update in CI",
        ["test", "--update", "wrong.vd"], err=["does not run in CI"], status=2, env={"CI": "1"},
    ),
    # doc
    Case("doc of a miss", ["doc", "tanhh"], err=["there is no 'tanhh'; did you mean tanh"], status=1),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli")
    for name, data in FILES.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(data)
    return path


def environment(**extra: str) -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "CI", "CLICOLOR_FORCE")
    }
    return kept | {"PYTHONPATH": str(ROOT)} | extra


def call(
    arguments: Sequence[str], folder: Path, stdin: bytes = b"", **env: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        env=environment(**env),
        timeout=60,
    )


@pytest.fixture(scope="module")
def outcome(folder: Path) -> Iterator[Callable[[Case], subprocess.CompletedProcess[bytes]]]:
    """What comes of a case; while it is waited for, the next one runs too."""
    started: dict[str, Future[subprocess.CompletedProcess[bytes]]] = {}
    with ThreadPoolExecutor(2) as pool:

        def of(case: Case) -> subprocess.CompletedProcess[bytes]:
            at = CASES.index(case)
            for c in CASES[at : at + 2]:
                if c.name not in started:
                    started[c.name] = pool.submit(call, c.arguments, folder, c.stdin, **c.env)
            return started[case.name].result()

        yield of


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_call(case: Case, outcome: Callable[[Case], subprocess.CompletedProcess[bytes]]) -> None:
    run = outcome(case)
    err = run.stderr.decode()
    assert run.stdout.decode() == case.out, err
    at = 0
    for part in case.err:
        found = ("\n" + err).find(part, at)
        assert found >= 0, err
        at = found + len(part)
    if not case.err:
        assert err == ""
    assert run.returncode == case.status, err
    assert "Traceback" not in err
    coloured = "FORCE_COLOR" in case.env or "always" in case.arguments
    if not coloured or "NO_COLOR" in case.env:
        assert "\x1b" not in err


def test_help_names_every_command(folder: Path) -> None:
    out = call(["--help"], folder).stdout.decode()
    for word in ("run", "check", "fmt", "test", "doc", "--seed", "--max-memory", "Exit status"):
        assert word in out
    assert "export" not in out


def test_check_in_json(folder: Path) -> None:
    run = call(["check", "--errors=json", "two.vd"], folder)
    found = [json.loads(line) for line in run.stdout.decode().splitlines()]
    assert [f["kind"] for f in found] == ["name", "name"]
    assert run.returncode == 1


def test_doc(folder: Path) -> None:
    out = call(["doc", "softmax"], folder).stdout.decode()
    assert out.startswith("softmax(input, dim")
    assert "#> tensor(" in out
    assert "PyTorch: torch." in out
    listing = call(["doc"], folder).stdout.decode()
    assert "\n  matmul " in listing
    assert "\n  grad " in listing


def test_fmt_writes_the_file_and_keeps_its_mode(folder: Path) -> None:
    path = folder / "written.vd"
    path.write_bytes(FILES["messy.vd"])
    path.chmod(0o640)
    assert call(["fmt", "written.vd"], folder).returncode == 0
    text = path.read_text()
    assert text.startswith("let x = 1  # one\n")
    assert path.stat().st_mode & 0o777 == 0o640
    assert call(["fmt", "--check", "written.vd"], folder).returncode == 0
    assert not list(folder.glob(".vardsl-*"))


def test_fmt_diff_changes_nothing(folder: Path) -> None:
    run = call(["fmt", "--diff", "messy.vd"], folder)
    assert run.returncode == 1
    assert b"\n-let   x=1 # one\n" in run.stdout
    assert b"\n+let x = 1  # one\n" in run.stdout
    assert (folder / "messy.vd").read_bytes() == FILES["messy.vd"]


def test_golden_update(folder: Path) -> None:
    path = folder / "updated.vd"
    path.write_bytes(FILES["golden.vd"] + b"print 2; print 3\n#> old\n")
    assert call(["test", "updated.vd"], folder).returncode == 1
    run = call(["test", "--update", "updated.vd"], folder)
    assert run.stdout == b"updated updated.vd\n1 up to date\n"
    lines = path.read_text().splitlines()
    assert lines[:4] == ["print 1", "#> 1", "let x = [1, 2]", "print x + [1, 2, 3]"]
    assert lines[4].startswith("#! error[shape]: ")
    assert lines[5] == "#!  --> updated.vd:4:7"
    assert lines[-3:] == ["print 2; print 3", "#> 2", "#> 3"]
    assert call(["test", "updated.vd"], folder).stdout == b"1 passed\n"


def test_planted_modules_are_not_imported(folder: Path, tmp_path: Path) -> None:
    for name in ("numpy", "json", "lark", "difflib", "dataclasses"):
        (tmp_path / f"{name}.py").write_text("print('planted')\nraise SystemExit(9)\n")
    run = call(["-c", "1"], tmp_path)
    assert run.stdout == b"1\n", run.stderr
    assert run.returncode == 0


# ---- streams and signals -----------------------------------------------------------------------------
def shell(command: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    prefix = f'vardsl() {{ {sys.executable} -m vardsl "$@"; }}\n'
    return subprocess.run(
        ["bash", "-c", prefix + command], cwd=folder, capture_output=True, env=environment(), timeout=60
    )


def test_closed_pipe_is_quiet(folder: Path) -> None:
    run = shell("vardsl many.vd | head -2; echo ${PIPESTATUS[0]}", folder)
    assert run.stdout == b"0\n1\n141\n"
    assert run.stderr == b""


def test_closed_output(folder: Path) -> None:
    run = shell("vardsl -c 1 >&-", folder)
    assert run.returncode == 74
    assert b"cannot write output" in run.stderr
    assert shell("vardsl -c 'let x = 1' >&-", folder).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_full_disk(folder: Path) -> None:
    for call_ in ("vardsl -c 1", "vardsl many.vd", "vardsl --help"):
        run = shell(f"{call_} > /dev/full", folder)
        assert run.returncode == 74
        assert b"cannot write output: No space left on device" in run.stderr


def test_closed_errors(folder: Path) -> None:
    assert shell("vardsl -c nope 2>&-", folder).returncode == 1


def test_output_comes_before_the_diagnostic(folder: Path) -> None:
    run = shell("vardsl fails.vd 2>&1", folder)
    assert run.stdout.startswith(b"before\nerror[shape]")


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A running command that has said that it is ready; it does not outlive the test."""
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


ENDLESS = 'print "ready"\nlet i = 0\nwhile true { i += 1 }\n'


@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_signals(number: str, status: int, folder: Path) -> None:
    (folder / "ready.vd").write_text(ENDLESS)
    with started(folder, "ready.vd") as process:
        time.sleep(0.2)
        process.send_signal(getattr(signal, number))
        _, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert b"Traceback" not in err
    if number == "SIGINT":
        assert b"error[interrupt]" in err


def test_an_ignored_interrupt_stays_ignored(folder: Path) -> None:
    (folder / "short.vd").write_text(
        'print "ready"\nfor i in range(300000) { let x = i * 2 }\nprint "done"\n'
    )
    command = f"trap '' INT; exec {sys.executable} -m vardsl short.vd"
    process = subprocess.Popen(["bash", "-c", command], cwd=folder, env=environment(), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert out == b"done\n"
    assert process.returncode == 0
