"""One turn of a recurrence as steps on single numbers, each with one result that is bound once.

What a name is bound to where the loop begins decides what a step is: "p" a plain number, "t" a tensor of one
element, "g" such a tensor on the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vardsl.engine.dtypes import f4
from vardsl.engine.rule import Rule
from vardsl.engine.value import OPS
from vardsl.lang.recurrences import Term

# Integers up to here are the same number in double precision.
EXACT = 1 << 53


class Unsuited(Exception):
    """The loop is left to run as it is written."""


class Atom:
    """A number: a literal (`text` spells it), or the result of a step."""

    __slots__ = ("kind", "literal", "text")

    def __init__(self, text: str, kind: str, literal: int | float | None = None) -> None:
        self.text = text
        self.kind = kind
        self.literal = literal


class Step:
    """`to = op(*of)`; `op` is an operator, or "sq", "cube", "recip", "neg", "round", "f:name"."""

    __slots__ = ("of", "op", "to")

    def __init__(self, op: str, to: Atom, of: tuple[Atom, ...]) -> None:
        self.op = op
        self.to = to
        self.of = of


class Branch:
    """`if test`; `joins` are (result, what it is after `then`, what it is after `otherwise`)."""

    __slots__ = ("joins", "of", "otherwise", "test", "then")

    def __init__(self, test: str, of: tuple[Atom, ...]) -> None:
        self.test = test
        self.of = of
        self.then: list[Any] = []
        self.otherwise: list[Any] = []
        self.joins: list[tuple[Atom, Atom, Atom]] = []


class Leave:
    """Ends the loop where `test` holds: this turn is left to the loop as it is written."""

    __slots__ = ("of", "test")

    def __init__(self, test: str, of: tuple[Atom, ...]) -> None:
        self.test = test
        self.of = of


def pointwise(name: str) -> Any:
    """The operation of that name, of one number and with a slope. Raises Unsuited for others."""
    op = OPS[name]
    if op.light and op.family == "elementwise" and op.tail == [] and op.factor and op.shared is None:
        rule = op.inputs[0][1]
        if type(rule) is Rule and rule.only in (0, -1):
            return op
    raise Unsuited


class Turn:
    """The steps of a turn.

    entry    what each name is at the beginning of a turn, of those that are read there
    end      what each bound name is at the end
    steps    in order; lists within Branches
    """

    def __init__(self, loop: Term, kinds: Mapping[str, str], dtype: Any) -> None:
        target, condition, body = loop
        self.kinds = kinds
        self.single = dtype is f4
        self.serial = 0
        self.entry: dict[str, Atom] = {}
        self.env: dict[str, Atom] = {}
        self.steps: list[Any] = []
        self.bound: set[str] = set()
        self._binds(body)
        if target:
            if target in self.bound:
                raise Unsuited
            self.env[target] = Atom("i", "p")
        if condition:
            test, of = self.condition(condition)
            self.steps.append(Leave(f"not ({test})", of))
        if not self.block(body):
            raise Unsuited
        self.end = {n: a for n, a in self.env.items() if n in self.bound}

    def _binds(self, body: Term) -> None:
        for s in body:
            if s[0] == "=":
                self.bound.add(s[1])
            elif s[0] == "if":
                self._binds(s[2])
                self._binds(s[3])

    def fresh(self, kind: str) -> Atom:
        self.serial += 1
        return Atom(f"v{self.serial}", kind)

    def step(self, op: str, kind: str, *of: Atom) -> Atom:
        to = self.fresh(kind)
        self.steps.append(Step(op, to, of))
        return to

    def read(self, name: str) -> Atom:
        found = self.env.get(name)
        if found is None:
            kind = self.kinds.get(name)
            if kind is None:
                raise Unsuited
            self.entry[name] = self.env[name] = found = self.fresh(kind)
        return found

    # ---- statements ------------------------------------------------------------------------------
    def block(self, body: Term) -> bool:
        """Adds the steps of statements; whether what follows them is reached."""
        for s in body:
            if s[0] == "=":
                self.env[s[1]] = self.value(s[2])
            elif s[0] == "break":
                self.steps.append(Leave("True", ()))
                return False
            else:
                self._branch(s)
        return True

    def _branch(self, s: Term) -> None:
        test, of = self.condition(s[1])
        if s[2] == (("break",),) and not s[3]:
            self.steps.append(Leave(test, of))
            return
        for name in self._both(s):
            self.read(name)
        b = Branch(test, of)
        outer, before = self.steps, dict(self.env)
        self.steps = b.then
        goes_on = self.block(s[2])
        after_then, self.env = self.env, dict(before)
        self.steps = b.otherwise
        goes_on_else = self.block(s[3])
        after_else = self.env
        self.steps = outer
        outer.append(b)
        if not (goes_on and goes_on_else):
            raise Unsuited
        self.env = {}
        for name, x in after_then.items():
            y = after_else.get(name)
            if y is None:
                continue
            self.env[name] = x if x is y else self._join(b, x, y, (after_then, after_else))

    def _both(self, s: Term) -> set[str]:
        """Names that one way binds and the other leaves as they are, or that either reads first."""
        found: set[str] = set()
        for body in (s[2], s[3]):
            _names(body, found)
        return {n for n in found if n in self.kinds and n not in self.env}

    def _join(self, b: Branch, x: Atom, y: Atom, envs: tuple[dict[str, Atom], dict[str, Atom]]) -> Atom:
        if x.kind != y.kind:
            raise Unsuited
        if x.kind == "g":
            # two names of one value: the order in which cotangents arrive could not be kept
            for atom, env in zip((x, y), envs, strict=True):
                if sum(a is atom for a in env.values()) > 1:
                    raise Unsuited
        to = self.fresh(x.kind)
        b.joins.append((to, x, y))
        return to

    # ---- conditions ------------------------------------------------------------------------------
    def condition(self, c: Term) -> tuple[str, tuple[Atom, ...]]:
        if c[0] == "t":
            a = self.value(c[1])
            return a.text, (a,)
        if c[0] == "not":
            test, of = self.condition(c[1])
            return f"not ({test})", of
        if c[0] in ("and", "or"):
            parts = [self.condition(k) for k in c[1:]]
            return f" {c[0]} ".join(f"({t})" for t, _ in parts), tuple(a for _, of in parts for a in of)
        a, b = self.value(c[1]), self.value(c[2])
        if a.kind != "p" or b.kind != "p":
            a, b = self.number(a), self.number(b)
        return f"{a.text} {c[0]} {b.text}", (a, b)

    # ---- expressions -----------------------------------------------------------------------------
    def value(self, e: Term) -> Atom:
        head = e[0]
        if head == "n":
            return _literal(e[1])
        if head == "v":
            return self.read(e[1])
        if head == "f":
            pointwise(e[3])
            a = self.value(e[1])
            return self.step(("P:" if a.kind == "p" else "f:") + e[3], a.kind, a)
        a = self.value(e[1])
        if head == "neg":
            return self.step("neg", a.kind, a)
        b = self.value(e[2])
        kind = "g" if "g" in (a.kind, b.kind) else "t" if "t" in (a.kind, b.kind) else "p"
        if kind == "p":
            return self.step(head, "p", a, b)
        if head == "**":
            return self.step("sq" if e[2][1] == 2 else "cube", kind, a)
        if head == "/" and a.kind == "p":
            return self.step("*", kind, self.step("recip", kind, b), self.number(a))
        return self.step(head, kind, self.number(a), self.number(b))

    def number(self, a: Atom) -> Atom:
        """A plain number as it stands next to a tensor: rounded to the tensor's precision."""
        if a.kind != "p":
            return a
        if a.literal is not None:
            x = a.literal
            if abs(x) > EXACT and type(x) is int:
                raise Unsuited
            return _literal(float(np.float32(x)) if self.single else float(x))
        return self.step("round", "p", a)


def _literal(x: int | float) -> Atom:
    text = repr(x)
    return Atom(f"({text})" if x == x and abs(x) != float("inf") else f"float('{text}')", "p", x)


def _names(body: Term, found: set[str]) -> None:
    for s in body:
        if s[0] == "=":
            found.add(s[1])
            _terms(s[2], found)
        elif s[0] == "if":
            _terms(s[1], found)
            _names(s[2], found)
            _names(s[3], found)


def _terms(e: Term, found: set[str]) -> None:
    if e[0] == "v":
        found.add(e[1])
        return
    for part in e[1:]:
        if type(part) is tuple and part and type(part[0]) is str:
            _terms(part, found)
