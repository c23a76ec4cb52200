"""Limits of steps, time, output, memory, depth and size: each ends with an error that names it."""

from __future__ import annotations

import threading
import time

import pytest

import vardsl

ENDLESS = [
    "while true { }",
    "for i in range(10**12) { x = i }",
    "fn fib(n) = n if n < 2 else fib(n-1) + fib(n-2); fib(60)",
]


def error_of(source: str, **limits: float) -> vardsl.Error:
    with pytest.raises(vardsl.Error) as caught:
        vardsl.Session(limits=limits, emit=lambda outcome: None).run(source)
    return caught.value


@pytest.mark.parametrize("source", ENDLESS)
def test_steps(source: str) -> None:
    error = error_of(source, max_steps=500)
    assert (error.kind, error.status) == ("limit", 3)
    assert "500 steps" in error.message and "--max-steps" in error.message


def test_steps_are_counted_exactly() -> None:
    session = vardsl.Session(limits={"max_steps": 100})
    session.run("for i in range(99) { }")
    with pytest.raises(vardsl.Error):
        session.run("for i in range(100) { }")


@pytest.mark.parametrize("source", ENDLESS)
def test_time(source: str) -> None:
    before = time.monotonic()
    error = error_of(source, max_time=0.2)
    assert error.kind == "limit" and "--max-time" in error.message
    assert time.monotonic() - before < 2


@pytest.mark.parametrize("source", [*ENDLESS, "let w = var 1. grad; minimize w * w over w steps 100000000"])
def test_an_interrupt_is_seen_soon(source: str) -> None:
    session = vardsl.Session()
    timer = threading.Timer(0.1, session.interrupt)
    timer.start()
    before = time.monotonic()
    with pytest.raises(vardsl.Error) as caught:
        session.run(source)
    assert (caught.value.kind, caught.value.status) == ("interrupt", 130)
    assert time.monotonic() - before < 1.5


def test_output() -> None:
    error = error_of("while true { print 1 }", max_output=100)
    assert error.kind == "limit" and "--max-output" in error.message


def test_memory() -> None:
    assert "--max-memory" in error_of("zeros(1000000)", max_memory=1_000_000).message
    assert error_of("zeros(1000000000000)").kind == "limit"


@pytest.mark.parametrize(
    "source",
    [
        's = "ab"; for i in range(60) { s = s + s }',
        "s = (1, 2); for i in range(60) { s = s + s }",
        "x = 2; for i in range(60) { x = x * x }",
        "10 ** 10 ** 10",
        '"ab" * 10000000000',
        "(1, 2) * 10000000000",
        "print 10 ** 5000",
        'f"{1:99999999999}"',
        "[99999999999999999999999]",
        "1.0 * 10 ** 1000",
        "t = (); for i in range(100000) { t = (t,) }; print t",
        "(" * 100_000,
        "x = " + "-" * 100_000 + "1",
    ],
)
def test_nothing_grows_without_bound(source: str) -> None:
    error = error_of(source)
    assert error.kind == "limit"
    assert len(str(error)) < 2000


def test_depth() -> None:
    source = "fn f(n) { if n == 0 { return 0 }; return 1 + f(n - 1) }; "
    error = error_of(source + "f(-1)")
    assert error.kind == "limit" and "1000" in error.message
    assert len(str(error)) < 3000


def test_depth_in_a_small_thread() -> None:
    found: list[object] = []

    def work() -> None:
        session = vardsl.Session()
        found.append(session.run("fn f(n) { if n == 0 { return 0 }; return 1 + f(n - 1) }; f(900)"))
        for source in ("f(-1)", "fn g(n) = grad(fn(x) = g(x) * x)(n); g(1.0)"):
            try:
                session.run(source)
            except vardsl.Error as error:
                found.append(error.kind)

    before = threading.stack_size(512 * 1024)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    threading.stack_size(before)
    assert found == [900, "limit", "limit"]


def test_a_value_that_is_too_deep_for_python() -> None:
    error = error_of("t = (); for i in range(20000) { t = (t,) }; t")
    assert error.kind == "limit" and "too deep" in error.message


def test_a_session_is_usable_after_a_limit() -> None:
    session = vardsl.Session(limits={"max_steps": 1000})
    with pytest.raises(vardsl.Error):
        session.run("fn f() { while true { } }; f()")
    assert session.run("1 + 1") == 2


def test_a_chain_of_a_hundred_thousand_terms() -> None:
    assert vardsl.Session().eval("+".join(["1"] * 100_000)) == 100_000


@pytest.mark.parametrize(
    "source",
    [
        "no_grad { " * 50 + "x = is_grad_enabled() " + "}" * 50 + "; x == false",
        "k = 0; " + "".join(f"for i{i} in range(1) {{ " for i in range(100)) + "k += 1 " + "}" * 100 + "; k == 1",
        "if true { " * 150 + "y = 1 " + "}" * 150 + "; y == 1",
        "x = -1; if x == 0 { } " + "".join(f"else if x == {i} {{ }} " for i in range(150)) + "else { y = 9 }; y == 9",
        "abs(" * 150 + "-1" + ")" * 150 + " == 1",
        "x = " + "[" * 60 + "1" + "]" * 60 + "; x.ndim == 60",
        "f = " + "fn(x) = " * 100 + "1; f(0)(0) != 1",
        "true" + " and true" * 20_000,
        "1" + " <= 1" * 20_000,
        "fn f() {\n" + "x = 1\n" * 5000 + "return x == 1 }; f()",
    ],
)
def test_deep_and_long_programs_run(source: str) -> None:
    assert vardsl.Session().run(source) is True


def test_more_dimensions_than_numpy_has() -> None:
    assert error_of("x = " + "[" * 80 + "1" + "]" * 80).kind == "limit"
    assert error_of("x = ones(1); x" + "[none]" * 80).kind == "limit"


def test_the_names_of_derived_functions_do_not_grow_without_bound() -> None:
    s = vardsl.Session()
    s.run("f = fn(x) = x * x; for i in range(3000) { f = grad(f) }; g = vmap(f)")
    assert len(str(s.names()["f"])) < 300
    assert len(str(s.names()["g"])) < 300
    assert s.eval("grad(grad(fn(x) = x**3))(2.0)") == 12.0
    assert repr(s.names()["f"]).startswith("<fn grad(")
