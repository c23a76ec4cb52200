"""What names mean: blocks, functions, files, closures of loop turns, builtins."""

from __future__ import annotations

import pytest

import vardsl

PROGRAMS = {
    "let hides in its block": ("x = 1; if true { let x = 2; print x }; print x", "2\n1\n"),
    "= rebinds the nearest": ("x = 1; if true { let x = 2; x = 3; print x }; print x", "3\n1\n"),
    "= in a block binds in the file": ("if true { y = 4 }; print y", "4\n"),
    "= in a function rebinds the file's": ("n = 0; fn up() { n = n + 1 }; up(); up(); print n", "2\n"),
    "= in a function binds in the function": ("fn f() { t = 5; return t }; print f()", "5\n"),
    "= in a loop of a function": ("fn f() { for i in range(3) { last = i }; return last }; print f()", "2\n"),
    "let sees the outer name on its right": (
        "x = 5; fn f() { let x = x + 1; return x }; print f(), x",
        "6 5\n",
    ),
    "a second let in the block rebinds": ("let x = 1; let x = x + 1; print x", "2\n"),
    "a closure keeps its variable": (
        "fn counter() { let n = 0; fn up() { n = n + 1; return n }; return up }\nc = counter(); c(); print c()",
        "2\n",
    ),
    "closures of two calls do not meet": (
        "fn counter() { let n = 0; fn up() { n = n + 1; return n }; return up }\n"
        "a = counter(); b = counter(); a(); a(); print a(), b()",
        "3 1\n",
    ),
    "each turn has its own variable": (
        "fs = (); for i in range(3) { fs = fs + (fn() = i,) }; print fs[0](), fs[1](), fs[2]()",
        "0 1 2\n",
    ),
    "each turn has its own lets": (
        "fs = (); for i in range(3) { let j = i * i; fn g() = j; fs = fs + (g,) }; print fs[1](), fs[2]()",
        "1 4\n",
    ),
    "each turn of while has its own lets": (
        "fs = (); k = 0; while k < 3 { let j = k; fs = fs + (fn() = j,); k += 1 }; print fs[0](), fs[2]()",
        "0 2\n",
    ),
    "break and continue out of a turn of its own": (
        "s = 0; for i in range(9) { let j = i; fn g() = j; if i == 1 { continue }; if i == 4 { break }; s += g() }\nprint s",
        "5\n",
    ),
    "return out of a turn of its own": (
        "fn f(n) { for i in range(n) { g = fn() = i; if i == 2 { return g() * 10 } } }; print f(9), f(1)",
        "20 None\n",
    ),
    "a turn of its own changes outer variables": (
        "fn outer() { let t = 0; for i in range(4) { fn add() { t = t + i }; add() }; return t }; print outer()",
        "6\n",
    ),
    "a function may use what is bound after it": ("fn f() = later + 1; later = 2; print f()", "3\n"),
    "an inner function may use what is bound after it": (
        "fn outer(x) { fn inner(y) = y + z; let z = 10; return inner(x) }; print outer(1)",
        "11\n",
    ),
    "mutual recursion": (
        "fn even(n) = true if n == 0 else odd(n - 1)\nfn odd(n) = false if n == 0 else even(n - 1)\nprint even(10)",
        "True\n",
    ),
    "mutual recursion inside a function": (
        "fn f(k) { fn even(n) = true if n == 0 else odd(n - 1); fn odd(n) = false if n == 0 else even(n - 1)\n"
        "return even(k) }\nprint f(7)",
        "False\n",
    ),
    "a default is computed once": ("a = 7; fn f(x, b=a) = b; a = 8; print f(1)", "7\n"),
    "builtins are never rebound": (
        "tensor = tensor([1, 2]); print tensor; del tensor; print tensor([3])",
        "tensor([1, 2])\ntensor([3])\n",
    ),
    "a builtin's name in a function": (
        "fn f(x) { sum = sum(x); return sum }; print f([1., 2.])",
        "tensor(3.)\n",
    ),
    "a builtin's name in a loop": ("for i in range(2) { abs = abs(-i) if i == 0 else 5 }; print abs", "5\n"),
    "a number's name": ("e += 1; print e; del e; print e", "3.718281828459045\n2.718281828459045\n"),
    "a local builtin deleted": ("fn f() { abs = 1; del abs; return abs(-3) }; print f()", "3\n"),
    "the loop's variable ends with it": ("i = 9; for i in range(3) { }; print i", "9\n"),
    "names that Python or we could mistake": (
        "fn f(__debug__) = __debug__; __builtins__ = 3; fn __vardsl__() = 1; print f(__debug__=3), __builtins__, __vardsl__(), abs(-2)",
        "3 3 1 2\n",
    ),
    "a loop's variables are the file's again after it": (
        "x = 1; for i in range(3) { x = x + i }; print x",
        "4\n",
    ),
    "a loop calls a function that changes the file": (
        "k = 0; fn up() { k = k + 1 }; for i in range(3) { up(); k = k * 2 }; print k",
        "14\n",
    ),
    "deep nesting of loops": (
        "n = 0; "
        + "".join(f"for a{k} in range(1) {{ " for k in range(30))
        + "n += 1 "
        + "}" * 30
        + "; print n",
        "1\n",
    ),
    "lambda takes all to its right": ("f = fn(x) = x + 1 if x > 0 else 0; print f(1), f(-1)", "2 0\n"),
    "del ends a binding": ("x = 3; del x; x = 4; print x", "4\n"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    source, printed = PROGRAMS[name]
    assert vardsl.Session().run_captured(source) == printed


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("if true { let y = 1 }; print y", 30),
        ("no_grad { let z = 3 }; print z", 30),
        ("for i in range(3) { }; print i", 30),
        ("if true { fn q() = 1 }; q()", 25),
        ("fn f(a, b=a) = b", 11),
        ("fn g() { y = 5; return y }; y", 29),
    ],
)
def test_a_name_ends_with_its_block(source: str, column: int) -> None:
    with pytest.raises(vardsl.Error) as caught:
        vardsl.Session().run(source)
    assert (caught.value.kind, caught.value.column) == ("name", column)


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("print x\nx = 1", 7),
        ("if false { zz = 1 }; print zz", 28),
        ("fn f(x) { if x > 0 { y = 1 }; return y }; f(-1)", 38),
        ("k = 3; for j in range(1) { del k }; print k", 43),
        ("x = 3; del x; x", 15),
    ],
)
def test_bound_but_not_yet(source: str, column: int) -> None:
    with pytest.raises(vardsl.Error) as caught:
        vardsl.Session().run(source)
    assert (caught.value.kind, caught.value.column) == ("name", column)
    assert "no value" in caught.value.message
