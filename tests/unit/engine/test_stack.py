"""Threads with little stack: what a session does there, and what it leaves behind, ends no process."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from vardsl.engine import stack

SMALL = 256 * 1024
START = f"""
import gc, sys, threading
import vardsl

def run(source):
    session = vardsl.Session()
    try:
        return session.run(source)
    except vardsl.Error as error:
        return error.kind

def in_small_thread(work):
    threading.stack_size({SMALL})
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    threading.stack_size(0)

"""
DEEP = {
    "tuples": "x = (); for i in range(20000) { x = (x,) }",
    "functions": "fn around(f) = fn(x) = f(x); x = fn(x) = x; for i in range(20000) { x = around(x) }",
    "derivatives": "x = fn(x) = x; for i in range(5000) { x = grad(x) }",
    "changes in place": "let v = var 1.0 grad; x = v * 1.0; for i in range(20000) { x.mul_(1.0) }",
    "nodes of its own rule": "let v = var 1.0 grad; f = custom_grad(fn(x) = x, fn(g, x) = g); x = v; "
    "for i in range(20000) { x = f(x) }",
}


def output_of(program: str) -> str:
    """What a program prints, which runs in a process of its own since what is tested for would end it."""
    run = subprocess.run(
        [sys.executable, "-c", START + program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert run.returncode == 0, (run.returncode, run.stderr)
    return run.stdout


@pytest.mark.parametrize("source", DEEP.values(), ids=DEEP)
def test_long_chains_are_let_go_of(source: str) -> None:
    assert output_of(f"in_small_thread(lambda: print(run({source + '; x = 0; 5'!r})))") == "5\n"


@pytest.mark.parametrize("source", DEEP.values(), ids=DEEP)
def test_what_sessions_leave_behind_is_collected(source: str) -> None:
    own = f"in_small_thread(lambda: (run({source!r}), gc.collect(), print('own')))\n"
    of_another = f"run({source!r})\nin_small_thread(lambda: (gc.collect(), print('another')))\n"
    assert output_of(own + "gc.disable()\n" + of_another) == "own\nanother\n"


def test_equality_of_deep_values() -> None:
    source = "x = (); y = (); for i in range(20000) { x = (x,); y = (y,) }; x == y"
    assert output_of(f"in_small_thread(lambda: print(run({source!r})))") in ("limit\n", "True\n")


def test_nested_transforms_where_the_host_allows_more_calls() -> None:
    source = "fn g(n) = grad(fn(x) = g(x) * x)(n); g(1.0)"
    program = f"sys.setrecursionlimit(16384)\nin_small_thread(lambda: print(run({source!r})))"
    assert output_of(program) == "limit\n"


def small_thread(work: Callable[[], Any]) -> list[Any]:
    """What `work` gives in a thread with a small stack."""
    found: list[Any] = []
    before = threading.stack_size(SMALL)
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    threading.stack_size(before)
    return found


def test_results_errors_and_context_are_those_of_the_caller() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)

    @stack.with_room
    def divide(a: int, *, by: int) -> tuple[int, int]:
        return a // by, variable.get()

    def work() -> Any:
        variable.set(7)
        with pytest.raises(ZeroDivisionError):
            divide(1, by=0)
        return divide(6, by=2)

    assert small_thread(work) == [(3, 7)]
    assert divide(6, by=2) == (3, 0)


@pytest.mark.skipif(sys.version_info >= stack.LOOKS_ITSELF, reason="Python itself looks at the stack")
def test_only_threads_with_little_stack_hand_over() -> None:
    ident = stack.with_room(threading.get_ident)
    assert ident() == threading.get_ident()
    assert small_thread(lambda: ident() != threading.get_ident()) == [True]
    assert small_thread(lambda: stack.with_room(lambda: ident() == threading.get_ident())()) == [True]


@pytest.mark.skipif(not Path("/proc/thread-self/syscall").exists(), reason="only Linux tells")
def test_room_is_what_is_left_of_the_stack() -> None:
    (room,) = small_thread(stack.room)
    assert SMALL // 2 < room <= SMALL


def test_a_setting_for_threads_stays() -> None:
    before = threading.stack_size(1 << 20)
    stack.start(lambda: None).join()
    assert threading.stack_size(before) == 1 << 20
