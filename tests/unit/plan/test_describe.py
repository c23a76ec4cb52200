"""Plans as text: names of the script, what was saved, and why something was not planned."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import vardsl
from vardsl.plan import describe
from vardsl.plan.region import Region

GIVES_UP = ("fail", "_stop", "Unplannable", "unplannable", "Unfollowed")


def told(script: str, **names: object) -> str:
    session = vardsl.Session(seed=0)
    for name, value in names.items():
        session[name] = value
    session.run(script)
    return describe.describe(session.regions.values())


def test_steps_have_the_names_of_the_script() -> None:
    text = told(
        "let w = var [1., 2.] grad\n"
        "for i in range(20) { zero_grad w; loss = sum((w - 3) ** 2); backward loss; update w -= 0.1 * w.grad }"
    )
    lines = text.splitlines()
    assert re.fullmatch(r"<string>:2: planned; 1\d of 20 turns ran as planned", lines[0])
    assert "= w - 3" in lines[1]
    assert any(line.strip().startswith("loss = sum(") for line in lines)
    assert any(line.strip().startswith("w[...] = ") for line in lines)
    assert any(line.strip().startswith("w.grad = ") for line in lines)


def test_gradients_that_are_added_to_are_shown() -> None:
    text = told("let w = var [1., 2.] grad; for i in range(9) { out = sum(w * w); backward out }")
    assert re.search(r"= w\.grad \+ ", text)


def test_what_streams_is_marked() -> None:
    text = told(
        "let x = var x0 grad; for i in range(5) { zero_grad x; out = sum(tanh(x*x) * exp(-x)); backward out }",
        x0=np.linspace(-1, 1, 400_000, dtype=np.float32),
    )
    assert re.search(r"^  \| \w+ = x \* x$", text, re.MULTILINE)
    assert re.search(r"^  \| streamed over ", text, re.MULTILINE)


def test_a_fallback_is_counted() -> None:
    text = told("let x = rand(3); for i in range(20) { if i == 10 { x = rand(4) }; y = tanh(x) }")
    assert "it fell back once" in text


def test_reasons_say_what_to_change() -> None:
    text = told("let v = var [1.] grad; for i in range(9) { y = tanh(v) }")
    assert text.splitlines() == [
        "<string>:1: not planned: a graph is still needed after the run",
        "    run backward on it in the same turn, or detach() what is kept",
    ]


def reasons() -> Iterator[str]:
    """What is said in the planner where something cannot be planned."""
    for path in sorted(Path(describe.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).endswith(GIVES_UP):
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str) and " " in part.value.strip():
                        yield part.value


def test_every_reason_has_advice() -> None:
    found = set(reasons())
    assert len(found) > 20
    assert not {reason for reason in found if not describe._advice(reason)}


def test_what_was_not_repeated_is_left_out() -> None:
    assert told("let x = rand(3); let y = tanh(x)") == describe.NOTHING
    assert Region("a:1").describe() == describe.NOTHING


def test_what_streamed_without_a_plan_is_told() -> None:
    session = vardsl.Session()
    session.run("let x = var linspace(-1, 1, 1200000) grad\nout = mean(tanh(x * x)); backward out")
    first, *rest = describe.describe(session.regions.values()).splitlines()
    assert first == "<string>:2: not repeated; its numbers were computed at its end"
    assert rest[0].startswith("  | streamed over 1200000 rows of [1200000]") and "mul tanh mean_all*" in rest[0]


def test_sizes() -> None:
    assert [describe._bytes(n) for n in (0, 999, 1200, 76_000_000)] == ["0 bytes", "999 bytes", "1.2 kB", "76 MB"]
