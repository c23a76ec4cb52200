"""Runs: how far they reach, what they read and bind, and which of their numbers can be followed."""

from __future__ import annotations

import pytest

from vardsl.lang.builtins import all_names
from vardsl.lang.regions import Run, Splitter
from vardsl.source import Source
from vardsl.syntax import ast
from vardsl.syntax.parse import parse

BOUND = frozenset(["e", "t", "v"])  # names of builtins that the scripts here bind


def pieces(body: str, *, nested: bool = True) -> list[Run | ast.Stmt]:
    def is_builtin(n: ast.Name) -> bool:
        return n.id in all_names() and n.id not in BOUND

    splitter = Splitter(lambda n: n.id, is_builtin)
    return list(splitter.split(parse(Source("<t>", body)).body, nested=nested))


def whole(body: str) -> Run:
    (run,) = pieces(body)
    assert isinstance(run, Run), run
    return run


def ids(names: tuple[ast.Name, ...]) -> list[str]:
    return [n.id for n in names]


def followed(run: Run) -> set[str]:
    return {run.reads[k].id for k in run.followed}


def test_what_a_run_reads_and_binds() -> None:
    run = whole("zero_grad w; h = tanh(x @ w); e = mean(h*s); backward e; no_grad { w -= lr*w.grad }")
    assert ids(run.reads) == ["w", "x", "s", "lr"]
    assert ids(run.binds) == ["h", "e"]
    assert ids(run.changed) == ["w"]
    assert run.inner is None


def test_functions_in_a_run_read_what_is_not_their_own() -> None:
    run = whole("h = tanh(x @ w); f = fn(y, a=k) = sum(y*h*a + z); h = grad(fn(z) = f(z)*s)(x)")
    assert ids(run.reads) == ["x", "w", "k", "z", "s"]
    assert followed(run) & {"x", "k"} == set()


@pytest.mark.parametrize(
    "statement",
    [
        "print h", "if e.item() > 0 { print e }", "return e", "f = checkpoint(fn(y) = y*h, x)", "assert h", "g = f'{h}'", "del h",
        "x[0] = 1", "let q = var [1.] grad", "minimize sum(w) over w", "zero_grad", "backward e retain", "break",
    ],
)  # fmt: skip
def test_what_ends_a_run(statement: str) -> None:
    body = "h = tanh(x @ w); e = mean(h); " + statement + "; y = exp(x @ w)"
    found = pieces(body)
    assert [isinstance(p, Run) for p in found] == [True, False, True]


@pytest.mark.parametrize(
    "statement",
    [
        "e = model(h)", "e = h |> model |> mean", "total += e.item()", "if i > 3 { lr = lr*0.5 }", "opt.step()",
        "for k in range(3) { h = tanh(h @ w); if k == 1 { break } }", "let a, b = topk(h, 2)", "w.grad = none",
        "e = h if i == 0 else h*2", "w.data -= lr*w.grad", "noise = randn(3)", "e.backward()",
        "e = mean(h * [1., 2.])", "while n < 3 { n += 1 }",
    ],
)  # fmt: skip
def test_what_does_not_end_a_run(statement: str) -> None:
    run = whole("h = tanh(x @ w); " + statement + "; y = exp(x @ w)")
    assert run.inner is not None
    assert any(isinstance(p, Run) for p in run.inner)


def test_statements_of_the_file_itself_are_no_part_of_loops() -> None:
    found = pieces("h = tanh(x @ w); for k in range(3) { h = tanh(h @ w) }; y = exp(h @ w)", nested=False)
    assert [isinstance(p, Run) for p in found] == [True, False, True]


def test_what_only_numbers_do_is_no_run() -> None:
    assert not any(isinstance(p, Run) for p in pieces("a = b*2 + 1; c = a/3; i += 1"))


def test_names_bound_on_some_ways_are_read_too() -> None:
    run = whole("h = exp(x); if i > 3 { n = 5 }; for k in range(m) { z = h*k }")
    assert not run.sure
    assert {"n", "z"} <= set(ids(run.reads))
    assert ids(run.binds) == ["h", "n", "z"]


def test_names_of_an_inner_block_are_its_own() -> None:
    run = whole("h = exp(x); for k in range(3) { let z = h*k; h = z + 1 }")
    assert ids(run.reads) == ["x"]
    assert ids(run.binds) == ["h"]


def test_a_variable_that_nobody_names_later_is_not_bound() -> None:
    (run,) = (p for p in pieces("let h = exp(x); let y = h*2; print y") if isinstance(p, Run))
    assert ids(run.binds) == ["y"]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("h = exp(x @ w) * lr; lr = lr*0.9", {"lr"}),
        ("h = exp(x[i*32:(i + 1)*32] @ w)", {"i", "w"}),
        ("h = exp(x @ w); lr = 0.1*(1 + cos(3*i/n))", {"i", "n"}),
        ("h = exp(x @ w); e = mean(h)*lr; backward e", {"lr"}),
        ("h = f(i); g = exp(x @ w)", set()),
        ("h = exp(x @ w); p = (i, 2)", set()),
        ("h = exp(x @ w); k = i + 1; g = f(k)", set()),
        ("h = exp(x @ w) * i; for k in range(i) { h = h*2 }", set()),
        ("h = exp(x @ w); if i in (1, 2) { h = h*2 }", set()),
    ],
)
def test_numbers_that_can_be_followed(body: str, names: set[str]) -> None:
    assert followed(whole(body)) - {"x", "w"} >= names - {"w"}
    assert ("i" in followed(whole(body))) == ("i" in names)


def test_a_loss_as_a_number_only_where_it_is_added_up() -> None:
    assert whole("e = mean(x @ w); total += e.item()*2").elements
    assert (
        not whole("e = mean(x @ w); total = f(e.item())").elements
        or whole("e = mean(x @ w); total = f(e.item())").pins
    )
