"""A script run with plans and without, with and without code of their own for expressions that repeat, and
everything that can be told of these runs afterwards.

`python tests/property/both_ways.py 17 400-500` runs the programs of these seeds, and shows of each one that
differs the fewest statements that still do; `large` before a seed asks for large arrays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

import vardsl
from vardsl.engine.node import Node
from vardsl.engine.value import Value
from vardsl.lang import asked
from vardsl.lang.outcome import Outcome, Printed, Warned
from vardsl.plan import expression
from vardsl.source import Source

LIMITS = {"max_steps": 20_000, "max_output": 1_000_000}
Facts = dict[str, Any]


class Run:
    """One run of a program: what came out while it ran, and what is left.

    `sites` says whether expressions get code of their own, then the second time that they are met.
    """

    def __init__(self, text: str, *, plan: bool, sites: bool = False, **options: Any) -> None:
        with _sites(sites):
            self._all(text, plan, options)

    def _all(self, text: str, plan: bool, options: dict[str, Any]) -> None:
        self.outcomes: list[str] = []
        self.session = vardsl.Session(seed=0, plan=plan, limits=LIMITS, emit=self._emit, **options)
        self.error = self._run(text)
        self.facts = self._left()
        self.probes = self._probed()

    def _emit(self, outcome: Outcome) -> None:
        if isinstance(outcome, Printed):
            self.outcomes.append(outcome.text)
        elif isinstance(outcome, Warned):
            self.outcomes.append(f"{outcome.warning.kind}: {outcome.warning.message}")

    def _run(self, text: str) -> str | None:
        try:
            self.session.run(text)
        except vardsl.Error as error:
            return f"{error.kind} {error.line}:{error.column}\n{error}"
        return None

    def _left(self) -> Facts:
        names = {k: v for k, v in self.session.names().items() if not callable(v)}
        facts: Facts = {name: _facts(v, 0) for name, v in names.items()}
        tensors = [(name, t) for name, v in names.items() for t in _tensors(v)]
        for k, (a, x) in enumerate(tensors):
            for b, y in tensors[:k]:
                if x is y:
                    facts[f"{a} is {b}"] = True
                elif np.shares_memory(x.array, y.array):
                    facts[f"{a} shares memory with {b}"] = True
        return facts

    def _probed(self) -> Facts:
        """What the names answer to being used further: an error, or the gradients that come of it."""
        found: Facts = {}
        for name in list(self.session.names()):
            v = self.session.names()[name]
            if type(v) is Value and v.requires_grad and v.array.size < 10_000:
                found[name] = (self._run(f"backward sum({name} * 3)"), self._run(f"no_grad {{ {name} += 1 }}"))
        found["random"] = self._run("let _random = rand(2)")
        found["after"] = self._left()
        return found

    @property
    def planned(self) -> int:
        """How many regions have a plan at the end."""
        return sum(region.plan is not None for region in self.session.regions.values())


def _tensors(v: Any) -> Iterator[Value]:
    stack = [v]
    while stack:
        x = stack.pop()
        if type(x) is Value:
            yield x
            if x._grad is not None:
                yield x._grad
        elif isinstance(x, tuple):
            stack.extend(x)


def _facts(v: Any, depth: int) -> Any:
    if isinstance(v, tuple):
        return tuple(_facts(x, depth) for x in v)
    if isinstance(v, Node):
        return "Node", v.grad_fn
    if type(v) is not Value:
        shown = isinstance(v, (bool, int, float, str, range)) or v is None
        return type(v).__name__, repr(v) if shown else ""
    a = v.array
    return {
        "dtype": str(a.dtype),
        "shape": a.shape,
        "strides": a.strides if a.size > 1 else None,
        "bytes": a.tobytes(),
        "requires_grad": v.requires_grad,
        "leaf": v.is_leaf,
        "version": v.version,
        "grad_fn": v.node and v.node.grad_fn,
        "hooks": len(v.hooks or ()),
        "grad": None if v._grad is None or depth > 2 else _facts(v._grad, depth + 1),
    }


@contextmanager
def _sites(at_once: bool) -> Iterator[None]:
    before = asked.PATIENCE, expression.OFTEN
    asked.PATIENCE, expression.OFTEN = (1, 1) if at_once else (1 << 62, 1 << 62)
    try:
        yield
    finally:
        asked.PATIENCE, expression.OFTEN = before


def difference(text: str, **options: Any) -> str | None:
    """What a program does differently with plans, or where expressions get code of their own, in words; None
    where there is nothing to see."""
    plain = Run(text, plan=False, **options)
    planned = compared(Run(text, plan=True, sites=True, **options), plain)
    return planned or compared(Run(text, plan=False, sites=True, **options), plain)


def compared(planned: Run, plain: Run) -> str | None:
    """What is different between two runs."""
    if planned.outcomes != plain.outcomes:
        return f"printed\n{''.join(planned.outcomes)}\ninstead of\n{''.join(plain.outcomes)}"
    if planned.error != plain.error:
        return f"ended with\n{planned.error}\ninstead of\n{plain.error}"
    for kind, a, b in (("", planned.facts, plain.facts), ("afterwards ", planned.probes, plain.probes)):
        where = _where(a, b, "")
        if where is not None:
            return kind + where
    return None


def undone(text: str, *, plan: bool) -> tuple[str | None, int]:
    """What is not as before where each statement is taken back, and brought again, and how much was planned."""
    run = Run("", plan=plan)
    session, source = run.session, Source("<string>", text)
    try:
        program = session.program(source)
    except vardsl.Error:
        return None, 0
    for statement in program.body:
        before, undo = run._left(), session.undo_point()
        with suppress(vardsl.Error):
            session.run_statement(source, statement, undo=undo)
        after = run._left()
        for kind, wanted in (("undone", before), ("done again", after)):
            undo.swap()
            found = _where(run._left(), wanted, kind)
            if found is not None:
                return f"{found} in {text[statement.span.start : statement.span.end]}", 0
    return None, run.planned


def _where(a: Any, b: Any, path: str) -> str | None:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(k for k in b if k not in a)]:
            if key not in a or key not in b:
                return f"{path} {key}: only {'without plans' if key in b else 'with plans'}"
            if key == "bytes" and a[key] != b[key] and a["dtype"] == b["dtype"]:
                x, y = (np.frombuffer(t[key], t["dtype"]) for t in (a, b))
                if x.shape == y.shape:
                    # nobody can see which nan it is
                    same = (x == y) & (np.signbit(x) == np.signbit(y)) | ((x != x) & (y != y))
                    if same.all():
                        continue
                    return f"{path}: {x[~same][:5]} instead of {y[~same][:5]} ({(~same).sum()} of {x.size})"
            found = _where(a[key], b[key], f"{path} {key}")
            if found is not None:
                return found
        return None
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        for k, (x, y) in enumerate(zip(a, b)):
            found = _where(x, y, f"{path}[{k}]")
            if found is not None:
                return found
        return None
    return None if a == b else f"{path}: {a!r} instead of {b!r}"


# ---- the fewest statements that differ ---------------------------------------------------------------------
def fewest(body: list[Any], differs: Callable[[list[Any]], bool]) -> list[Any]:
    """Leaves out statements as long as what is left still differs."""
    changed = True
    while changed:
        changed = False
        for smaller in _smaller(body):
            if differs(smaller):
                body, changed = smaller, True
                break
    return body


def _smaller(body: list[Any]) -> Iterator[list[Any]]:
    for k, node in enumerate(body):
        yield body[:k] + body[k + 1 :]
        if not isinstance(node, str):
            head, inner, end = node
            yield [*body[:k], *inner, *body[k + 1 :]]
            for smaller in _smaller(inner):
                yield [*body[:k], (head, smaller, end), *body[k + 1 :]]


def main(arguments: list[str]) -> int:
    from training import Program, training_program

    large, found = False, 0
    for word in arguments:
        if word == "large":
            large = True
            continue
        first, _, last = word.partition("-")
        for seed in range(int(first), int(last or first) + 1):
            program = training_program(seed, large=large)
            if difference(program.text()) is None:
                continue
            found += 1
            body = fewest(program.body, lambda b: difference(Program(b).text()) is not None)
            text = Program(body).text()
            print(f"---- seed {'large ' if large else ''}{seed}\n{text}==> {difference(text)}\n", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
