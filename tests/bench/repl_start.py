"""How soon a prompt stands there and can be typed at, and what a key costs: against IPython and Python.

    python tests/bench/repl_start.py [--ipython PATH] [--runs 15] [--json FILE]

Each program is started on a pseudo-terminal, in turns. `prompt` is the time until its prompt has been drawn;
`key` until a character typed at once has been echoed; `answer` until a sum typed at once has been answered.
Then keys are typed one by one into a session with 300 variables, and the time from a key's arrival to the end
of the drawing that follows is taken.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import select
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODES = re.compile(rb"\x1b\[[0-9;?>]*[a-zA-Z]|\x1b\][^\x07]*\x07|\x1b[=>]")
CPR = b"\x1b[6n"


class Program:
    """A program on a terminal of its own."""

    def __init__(self, command: Sequence[str], environ: dict[str, str]) -> None:
        self.began = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], list(command), environ)
        self.raw = b""
        self.answered = self.typed = 0

    def until(self, pattern: bytes, seconds: float = 20.0) -> float:
        """Seconds from the start until what was written since the last key, without codes, matches."""
        end = time.perf_counter() + seconds
        while not re.search(pattern, CODES.sub(b"", self.raw[self.typed :])):
            if time.perf_counter() > end:
                raise TimeoutError(f"{pattern!r} not in {self.raw!r}")
            if select.select([self.fd], [], [], 0.05)[0]:
                self.raw += os.read(self.fd, 65536)
            while self.raw.count(CPR) > self.answered:
                self.answered += 1
                os.write(self.fd, b"\x1b[2;5R")
        return time.perf_counter() - self.began

    def type(self, keys: bytes) -> None:
        self.typed = len(self.raw)
        os.write(self.fd, keys)

    def end(self) -> None:
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def once(command: Sequence[str], prompt: bytes, environ: dict[str, str]) -> dict[str, float]:
    """One start: seconds to the prompt, to the echo of a key, and to an answer."""
    program = Program(command, environ)
    try:
        times = {"prompt": program.until(prompt)}
        program.type(b"7")
        times["key"] = program.until(rb"7")
        program.type(b"+35\r")
        times["answer"] = program.until(rb"\n[^\n]*\b42\b")
    finally:
        program.end()
    return times


def key_times(n: int = 300) -> dict[str, float]:
    """Milliseconds that a key takes, from its arrival to the end of drawing, with `n` variables in scope."""
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output.vt100 import Vt100_Output

    sys.path.insert(0, str(ROOT))
    from vardsl.apps.repl.config import Settings
    from vardsl.apps.repl.conversation import Conversation
    from vardsl.apps.repl.loop import Behind
    from vardsl.apps.repl.prompt import Prompt
    from vardsl.session import Session

    session = Session(seed=0)
    for k in range(n):
        session.run(f"let variable_{k} = var ones(3, {k % 7 + 1}) grad")
    conversation = Conversation(session, Settings(), "never", plain=True)
    sink = open(os.devnull, "w")  # noqa: SIM115 - open as long as the process
    text = "let result = mean(variable_12 * variable_19) + sum(variable_200, dim=0)"
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder, create_pipe_input() as pipe:
        output = Vt100_Output(sink, lambda: Size(rows=40, columns=120), term="xterm-256color")
        with create_app_session(input=pipe, output=output):
            behind = Behind(lambda: conversation)
            prompt = Prompt(behind, Settings(), Path(folder) / "history", input=pipe, output=output)
            behind.wait()
            behind.thread.join()
            app = prompt.session.app
            began = [0.0]
            position = [0]

            def begin(_: object) -> None:
                began[0] = time.perf_counter()

            def drawn(_: object) -> None:
                if began[0]:
                    times.append((time.perf_counter() - began[0]) * 1e3)
                    began[0] = 0.0
                app.loop.call_later(0.04, following)  # type: ignore[union-attr]

            def following() -> None:
                if began[0]:
                    return
                if position[0] < len(text):
                    pipe.send_text(text[position[0]])
                    position[0] += 1
                elif app.is_running:
                    app.exit(result="")

            app.key_processor.before_key_press += begin
            app.after_render += drawn
            prompt.read()
    times = times[3:]
    return {
        "median": statistics.median(times),
        "p95": sorted(times)[int(len(times) * 0.95)],
        "max": max(times),
        "keys": len(times),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ipython", default=shutil.which("ipython"), help="the ipython to compare with")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "PYTHONSTARTUP")},
            "TERM": "xterm-256color",
            "HOME": folder,
            "IPYTHONDIR": f"{folder}/ipython",
            "VARDSL_CONFIG": f"{folder}/config",
            "VARDSL_HISTORY": f"{folder}/history",
            "PYTHONPATH": str(ROOT),
        }
        programs: dict[str, tuple[list[str], bytes]] = {
            "vardsl": ([sys.executable, "-m", "vardsl"], rb"vd> "),
            "python": ([sys.executable, "-q"], rb">>> "),
        }
        if options.ipython:
            programs["ipython"] = ([options.ipython, "--no-banner"], rb"In \[1\]: ")
        found: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
        for command, prompt in programs.values():  # warm the disk
            once(command, prompt, environ)
        for _ in range(options.runs):
            for name, (command, prompt) in programs.items():
                found[name].append(once(command, prompt, environ))
    report = {
        name: {what: statistics.median(run[what] for run in runs) * 1e3 for what in runs[0]}
        for name, runs in found.items()
    }
    print(f"median of {options.runs} starts, milliseconds")
    print(f"{'':10}{'prompt':>10}{'key':>10}{'answer':>10}")
    for name, row in report.items():
        print(f"{name:10}" + "".join(f"{value:10.0f}" for value in row.values()))
    if "ipython" in report:
        ratios = {what: report["vardsl"][what] / report["ipython"][what] for what in report["vardsl"]}
        print(f"{'ratio':10}" + "".join(f"{value:10.2f}" for value in ratios.values()))
    keys = key_times()
    print(
        f"a key with 300 variables: median {keys['median']:.2f} ms, 95% {keys['p95']:.2f} ms, "
        f"max {keys['max']:.2f} ms, of {keys['keys']}"
    )
    if options.json:
        Path(options.json).write_text(json.dumps({"start": report, "key": keys}, indent=1) + "\n")


if __name__ == "__main__":
    main()
