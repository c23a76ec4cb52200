"""What a program's shapes tell to be wrong is found without its effects, and nothing else is said to be."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path

import pytest

import vardsl
from vardsl.assist import rehearse
from vardsl.assist.rehearse import check
from vardsl.errors import ManyErrors
from vardsl.source import Source

DATA = "let x = randn(100, 3); let w = var zeros(4) grad\n"


def told(text: str) -> list[tuple[int, str]]:
    """Lines and messages of what a check finds."""
    try:
        check(Source("<test>", textwrap.dedent(text)))
    except ManyErrors as several:
        return [(e.line or 0, e.message) for e in several.errors]
    except vardsl.Error as error:
        return [(error.line or 0, error.message)]
    return []


MULTIPLY = "cannot multiply [100, 3] by [4] with @: inner sizes 3 and 4 differ"
FOUND = {
    "a product": ("y = x @ w", [(2, MULTIPLY)]),
    "in what is printed": ("print x @ w", [(2, MULTIPLY)]),
    "in a method": ("y = x.matmul(w)", [(2, "size mismatch, got input (100), mat (100x3), vec (4)")]),
    "in a pipe": ("y = x |> matmul(w)", [(2, "size mismatch, got input (100), mat (100x3), vec (4)")]),
    "in the first turn of a loop": ("for i in range(9) { y = x[i:] @ w[1:]; z = y @ w }", [
        (2, "cannot multiply [100] by [4] with @: inner sizes 100 and 4 differ")]),
    "over the rows of a tensor": ("for row in x { y = row + w }", [(2, "cannot add row and w: [3] and [4] do not broadcast")]),
    "in a function": ("fn model(a, b) = tanh(a @ b)\nlet a = 3\ny = model(x, w)", [(2, MULTIPLY)]),
    "in a function of several lines": ("fn model(a) {\n  h = a * 2\n  return h @ w\n}\nprint model(x)", [(4, MULTIPLY)]),
    "in what is minimized": ("minimize mean(x @ w) over w steps 5", [(2, MULTIPLY)]),
    "in no_grad": ("no_grad { let y = x; z = y @ w }", [(2, MULTIPLY)]),
    "in a branch that is taken": ("if x.ndim == 2 { y = x @ w } else { y = 1 }", [(2, MULTIPLY)]),
    "an update": ("backward sum(w * 2)\nupdate w -= 0.1 * x[0]", [(3, "cannot ")]),
    "a place that is written to": ("let k = zeros(2); k[0] = x", [(2, "")]),
    "a number for a dimension": ("print sum(x, dim=2)", [(2, "Dimension out of range (expected to be in range of [-2, 1], but got 2)")]),
    "an index": ("print x[100]", [(2, "index 100 is out of bounds for dimension 0 with size 100")]),
    "sizes of sizes": ("let h = zeros(x.shape[1] + 2, 2); print x @ h", [(2, "cannot multiply [100, 3] by [5, 2] with @: inner sizes 3 and 5 differ")]),
    "backward from more than one number": ("backward w * 2", [(2, "grad can be implicitly created only for scalar outputs")]),
    "dtypes": ("print randint(0, 3, [3, 3]) @ x.T", [(2, "")]),
    "after what cannot be told": ("let n = x.sum().item(); let u = unique(x); print n; y = x @ w", [(2, MULTIPLY)]),
    "after a loop": ("h = x\nfor i in range(5) { h = tanh(h) }\nprint h @ w", [(4, MULTIPLY)]),
    "after branches that agree": ("if x.sum() > 0 { y = x * 2 } else if x[0, 0] > 1 { y = -x } else { y = tanh(x) }\nprint y @ w", [(3, MULTIPLY)]),
    "several": ("y = x @ w\nz = w + x[0]\nprint y + 1", [(2, MULTIPLY), (3, "cannot add w and x[0]: [4] and [3] do not broadcast")]),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_what_would_happen_is_found(name: str) -> None:
    text, expected = FOUND[name]
    found = told(DATA + text)
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, message), (_, start) in zip(found, expected, strict=True):
        assert message.startswith(start)


SILENT = {
    "a program that is right": "y = x @ w[:3]; backward mean(y); update w -= 0.1 * w.grad",
    "a branch that elements decide": "if x[0, 0] > 9 { y = x @ w }",
    "after branches that differ": "y = x\nif x.sum() > 1e9 { y = zeros(4, 4) } else if x[0, 0] > 1e9 { y = x }\nlet k = 3\n"
    "if x.sum() > 1e9 { k = 4 }\nprint y @ zeros(3), zeros(k) + zeros(3)\nif x.sum() < 1e9 { y = zeros(2, 4) }\nprint y @ w",
    "a branch that leaves gradients": "if x.sum() < 1e9 { backward sum(w) }\nw.grad += 1\nif x.sum() < 1e9 { zero_grad w; backward sum(w * 2) }\nprint w.grad + 1",
    "a loop's name that a function uses": "fn model(a) = x @ a\nfor x in [[1., 2.], [3., 4.]] { print model(zeros(3, 2)) }",
    "a block's function that a function does not see": "fn act(a) = a\nfn model(a) = act(a)\nif true { fn act(a) = a.T; print model(x) @ w[1:] }",
    "a name that is assigned before it is declared": "let k = zeros(2)\nif true { k = zeros(5); let k = zeros(3) }\nprint k + zeros(5)",
    "elements of several shapes": "let k = zeros(1)\nfor t in (zeros(2), zeros(3)) { k = t }\nprint k @ zeros(3)\n"
    "for t in split(zeros(5), 2) { k = t }\nprint k + zeros(1)",
    "gradients of one turn": "let v = x * 1; let p = w; w.grad = w * 1\nfor i in range(1) { zero_grad p; p = v }\nprint w.grad",
    "a shape of one turn": "let t = zeros(2, 3); for i in range(1) { t.t_() }\nprint t @ zeros(2, 5)",
    "what comes behind an end that may come": "for i in range(3) { if x.sum() < 1e9 { break }; zero_grad w; set_default_dtype(float64) }\nprint zeros(3) @ x[0]",
    "a loop that may have no turns": "for r in x[x > 1e9] { set_default_dtype(float64) }\nprint zeros(3) @ x[0]",
    "a gradient that is assigned in a branch": "if x.sum() < 1e9 { w.grad = ones(4) }\nprint w.grad * 2",
    "data that are assigned under another name": "let y = zeros(3); let z = y; z.data = zeros(5); print y + zeros(5)",
    "a branch that turns a tensor": "let t = zeros(2, 3); if x.sum() < 1e9 { t.t_() }\nprint t @ zeros(2, 5)",
    "a function that turns a tensor": "fn f(z) { t_(z); return z }\nlet t = zeros(2, 3); let u = f(t); print t @ zeros(2, 5)",
    "a pipe with effects": "fn f(z) { backward sum(z); return z }\nlet y = w * 1 |> f\nprint w.grad * 2",
    "a function that changes dtypes": "fn f() { set_default_dtype(float64) }\nf(); print zeros(3) @ x[0].double()",
    "a tuple by a tensor's element": "let t = (zeros(2), zeros(3)); let i = var 0 int64\nfor k in range(1) { i += 1 }\nprint zeros(3) + t[i], zeros(x.shape[i])",
    "a mask of bytes": "let m = (x[0] > 1e9).to(uint8)\nprint x[0][m] + zeros(0)",
    "a range to a tensor": "let i = var 0 int64\nfor k in range(3) { i += 1 }\nprint arange(i) + zeros(3)",
    "places of several kinds": "let m = x[0] < 1e9; let v = zeros(3); v[m], y = zeros(3), 1",
    "nothing that is minimized": "minimize mean(x @ w) over w steps 0",
    "a loop over what it turns": "let t = zeros(2, 3)\nfor r in t.unsqueeze_(0) { print r }\nprint t + zeros(1, 2, 3)",
    "long chains": "print x" + ".relu()" * 60 + "\nprint " + "sin(" * 60 + "x" + ")" * 60 + "\nprint x" + " |> relu" * 60,
    "a branch of a script's own test": "fn fits(a, b) { if a.shape[1] == b.shape[0] { return true }; return false }\n"
    "if fits(x, w) { print x @ w }",
    "after a loop that may change shapes": "h = x[:2]\nfor i in range(5) { h = cat([h, h]) }\nprint h + randn(64, 3)",
    "shapes that change two turns later": "a = x[:2]; b = x[:2]; c = x[:2]\n"
    "for i in range(6) { a = b; b = c; c = cat([c, c]) }\nprint a + randn(32, 3)",
    "a shape that elements decide": "y = x[x > 0]; print y + zeros(len(y)); print unique(x) @ w",
    "a size that elements decide": "let n = int((w * 0).sum()); let m = (w * 0).sum().long()\n"
    "print zeros(n) + zeros(0); print x[n:] + x; print zeros([m + 3]) + x[0]",
    "a loop that is left": "for i in range(9) { if x.sum() > 1e9 { break }; y = x }\nprint y",
    "a loop without turns": "for i in range(0) { y = x @ w }",
    "a loop that elements decide": "while x.sum() > 1e9 { y = x @ w }",
    "a function that binds a name of the file": "let k = zeros(3)\nfn grow() { k = zeros(4) }\ngrow()\nprint k + w",
    "a name that a block has for itself": "let v = zeros(3)\nfor i in range(3) { let v = zeros(4); print v + w }\nprint v + x[0]",
    "a tensor that changes its shape": "let t = zeros(2, 3); t.t_()\nprint t @ zeros(2, 5); fn turn(a) { a.t_(); return 1 }\n"
    "turn(t); print t @ zeros(3, 5)",
    "gradients that something else made": "fn train(a) { for i in range(2) { backward sum(a) }; return 1 }\ntrain(w); w.grad += 1; print w.grad * 2",
    "numbers in the hands of a loop": "let n = 1\nfor i in range(4) { n = n * 2; if i == 3 { print zeros(n) + zeros(16) } }\nprint zeros(n) + zeros(16)",
    "what a file holds": 'let d = load("there_is_none.csv"); print d @ w',
    "a builtin's name for something else": "let e = zeros(4); let sum = fn(a) = a.shape[0]; print e + w, zeros(sum(w)) + w",
    "memory that nobody has": "let big = zeros(1000000, 1000000); print big @ w",
    "what is left in a loop": "for i in range(3) { if i == 1 { continue }; z = zeros(3) + x[0] }\nprint z",
}


@pytest.mark.parametrize("name", SILENT)
def test_what_may_be_right_is_not_told(name: str) -> None:
    assert told(DATA + SILENT[name]) == []


def test_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert told('let x = randn(3); print x; save(x, "x.npy"); plot x to "x.svg"; graph x * 2 to "g.svg"') == []
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""


def test_names_come_first() -> None:
    assert told("let x = zeros(3); print x + zeros(4), nope") == [(1, "unknown name nope")]


def test_a_check_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearse, "SECONDS", 0.3)
    began = time.monotonic()
    told("let a = randn(1500, 1500)\nfor i in range(100000) { for j in range(100000) { a = tanh(a @ a) } }")
    assert time.monotonic() - began < 10


def test_functions_that_call_themselves() -> None:
    assert told("fn f(a) = f(a)\nlet x = zeros(3); y = f(x)") == []
