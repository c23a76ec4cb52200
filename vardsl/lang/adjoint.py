"""A recurrence and its adjoint as Python functions on plain numbers.

`forward` runs turns. `record` does so too and notes what the adjoint needs of each turn's beginning; the
adjoint goes through the turns backwards, computes again what it needs within a turn, and then goes through
the turn's steps from the last to the first. Cotangents are added in the order in which a backward pass adds
them. What values from outside the loop receive, which every turn reads, is listed, for the pass to add.
"""

from __future__ import annotations

import ast as py
import math
from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from vardsl.engine.dtypes import f4
from vardsl.engine.value import OPS
from vardsl.lang import operators
from vardsl.lang.compile import code_of
from vardsl.lang.pieces import execute
from vardsl.lang.recurrences import Term
from vardsl.lang.turns import EXACT, Atom, Branch, Leave, Step, Turn, Unsuited, pointwise

NONE, SURE, PERHAPS = 0, 1, 2
"""Whether a value has received a cotangent yet."""

_GUARDED = {"+": "add", "*": "mul"}


class Left(Exception):
    """A turn that only the loop as it is written can run."""


class Compiled:
    """The functions for one loop and what its names are bound to.

    carried   names that a turn takes over from the one before; `live` are those that are on the graph
    fixed     names that the turns only read; `wanted` are those that are on the graph
    saves     whether a rule needs a value; `saved` are those that rules need
    """

    def __init__(self, loop: Term, kinds: Mapping[str, str], dtype: Any) -> None:
        self.turn = turn = Turn(loop, kinds, dtype)
        self.dtype = dtype
        self.single = dtype is f4
        self.carried = [n for n in turn.entry if n in turn.end]
        self.fixed = [n for n in turn.entry if n not in turn.end]
        self.live = [n for n in self.carried if turn.entry[n].kind == "g"]
        self.wanted = [n for n in self.fixed if turn.entry[n].kind == "g"]
        for n in self.carried:
            if turn.end[n].kind != turn.entry[n].kind:
                raise Unsuited
        _check_origins(self)
        self.order = [n for n in turn.end if n in self.live]
        self.names = self._namespace()
        self.forward = self._define("forward", self._forward([]))
        self.saves = _saves(turn.steps)
        self.needed: list[str] = []
        self.saved: set[str] = set()
        if self.live:
            self._adjoints()

    # ---- text ------------------------------------------------------------------------------------
    def _namespace(self) -> dict[str, Any]:
        names: dict[str, Any] = {"S": array("f", [0.0]), "Left": Left, "sqrt": math.sqrt}
        names |= {f"H_{k}": operators.HELPERS["." + k] for k in ("add", "mul", "power")}
        for op in sorted(_functions(self.turn.steps)):
            kind, _, name = op.partition(":")
            if kind == "P":
                names[f"P_{name}"] = OPS[name]
            else:
                names[f"F_{name}"], names[f"D_{name}"] = _kernels(name, self.dtype)
        return names

    def _define(self, name: str, lines: Iterable[str]) -> Callable[..., Any]:
        execute(code_of(py.parse("\n".join(lines)).body, "<recurrence>"), self.names)
        found: Callable[..., Any] = self.names[name]
        return found

    def _entries(self) -> str:
        return "".join(f", {self.turn.entry[n].text}" for n in (*self.carried, *self.fixed))

    def _forward(self, notes: list[str], name: str = "forward") -> list[str]:
        turn = self.turn
        tapes = "".join(f", T_{n}" for n in notes)
        lines = [f"def {name}(turns{self._entries()}{tapes}):", " for i in turns:"]
        lines += [f"  T_{n}({n})" for n in notes]
        self._emit(turn.steps, "  ", lines, None)
        here = ", ".join(turn.entry[n].text for n in self.carried)
        there = ", ".join(turn.end[n].text for n in self.carried)
        lines += [f"  {here} = {there}" if here else "  pass", f" return ({here}{',' if here else ''})"]
        return lines

    def _emit(self, steps: list[Any], pad: str, lines: list[str], needed: set[str] | None) -> None:
        """The steps as statements; only the needed ones where that is given."""
        for s in steps:
            if isinstance(s, Step):
                if needed is None or s.to.text in needed:
                    self._step(s, pad, lines)
            elif isinstance(s, Leave):
                if needed is None:
                    lines.append(f"{pad}if {s.test}: raise Left")
            elif needed is None or _touches(s, needed):
                lines.append(f"{pad}if {s.test}:")
                for k, body in ((1, s.then), (2, s.otherwise)):
                    if k == 2:
                        lines.append(f"{pad}else:")
                    self._emit(body, pad + " ", lines, needed)
                    lines += [
                        f"{pad} {join[0].text} = {join[k].text}"
                        for join in s.joins
                        if needed is None or join[0].text in needed
                    ]
                    lines.append(f"{pad} pass")

    def _step(self, s: Step, pad: str, lines: list[str]) -> None:
        to, a = s.to.text, s.of[0].text
        b = s.of[1].text if len(s.of) > 1 else ""
        if s.op == "round":
            if a != "i" and a not in self._outside():
                lines.append(f"{pad}if not -{EXACT} <= {a} <= {EXACT}: raise Left")
            self._put(to, a, pad, lines)
        elif s.op.startswith("P:"):
            lines.append(f"{pad}{to} = P_{s.op[2:]}({a})")
        elif s.op.startswith("f:"):
            lines.append(f"{pad}{to} = F_{s.op[2:]}({a})")
        elif s.to.kind == "p":
            helper = "power" if s.op == "**" else _GUARDED.get(s.op)
            text = f"-{a}" if s.op == "neg" else f"H_{helper}({a}, {b})" if helper else f"{a} {s.op} {b}"
            lines.append(f"{pad}{to} = {text}")
        elif s.op == "cube":
            self._put(to, f"{a} * {a}", pad, lines)
            self._put(to, f"{to} * {a}", pad, lines)
        elif s.op == "neg":
            lines.append(f"{pad}{to} = -{a}")
        else:
            text = {"sq": f"{a} * {a}", "recip": f"1.0 / {a}"}.get(s.op, f"{a} {s.op} {b}")
            self._put(to, text, pad, lines)

    def _put(self, to: str, text: str, pad: str, lines: list[str]) -> None:
        """`to = text`, rounded to the dtype."""
        lines.append(f"{pad}S[0] = {text}; {to} = S[0]" if self.single else f"{pad}{to} = {text}")

    def _outside(self) -> set[str]:
        return {self.turn.entry[n].text for n in self.fixed}

    # ---- the adjoint -----------------------------------------------------------------------------
    def _adjoints(self) -> None:
        sure = self._reversed("lean", SURE)
        general = self._reversed("general", PERHAPS)
        assert general is not None
        needed = {*(sure[1] if sure else ()), *general[1]}
        self.needed = [self.turn.entry[n].text for n in self.carried if self.turn.entry[n].text in needed]
        self.record = self._define("record", self._forward(self.needed, "record"))
        self.general = self._define("general", self._backwards("general", general))
        self.lean = self._define("lean", self._backwards("lean", sure)) if sure else None

    def _reversed(self, name: str, state: int) -> tuple[list[str], set[str]] | None:
        """The lines of a reversed turn and the numbers that they read; None where they do not lead back."""
        turn = self.turn
        states = {turn.end[n].text: state for n in self.live}
        back = _Backward(self, states)
        back.steps(turn.steps, "  ")
        self.saved |= back.saved
        lines = [f"  B_{turn.end[n].text} = X_{turn.entry[n].text}" for n in self.live]
        recomputed: list[str] = []
        needed = _slice(turn.steps, set(back.used))
        self._emit(turn.steps, "  ", recomputed, needed)
        lines = [*lines, *recomputed, *back.lines]
        for n in self.live:
            entry = turn.entry[n].text
            after = back.states.get(entry, NONE)
            if state == SURE and after != SURE:
                return None
            lines.append(f"  X_{entry} = " + (f"B_{entry}" if after else "None"))
        return lines, needed

    def _backwards(self, name: str, made: tuple[list[str], set[str]]) -> list[str]:
        turn = self.turn
        live = "".join(f", X_{turn.entry[n].text}" for n in self.live)
        outside = "".join(f", {turn.entry[n].text}" for n in self.fixed)
        tapes = "".join(f", T_{n}" for n in self.needed)
        lists = "".join(f", L_{turn.entry[n].text}" for n in self.wanted)
        lines = [f"def {name}(turns{live}{outside}{tapes}{lists}):", " for i in turns:"]
        lines += [f"  {n} = T_{n}()" for n in self.needed]
        return [*lines, *made[0], f" return ({live[2:]},)"]


class _Backward:
    """Writes the steps of a turn from the last to the first, with what their inputs receive."""

    def __init__(self, loop: Compiled, states: dict[str, int]) -> None:
        self.loop = loop
        self.states = states
        self.lines: list[str] = []
        self.used: set[str] = set()
        self.saved: set[str] = set()  # what the rules themselves need
        self.lists = {loop.turn.entry[n].text for n in loop.wanted}

    def steps(self, steps: list[Any], pad: str) -> None:
        for s in reversed(steps):
            if isinstance(s, Branch):
                self._branch(s, pad)
            elif isinstance(s, Step) and s.to.kind == "g":
                state = self.states.pop(s.to.text, NONE)
                if state == SURE:
                    self._slopes(s, pad)
                elif state == PERHAPS:
                    self.lines.append(f"{pad}if B_{s.to.text} is not None:")
                    before = dict(self.states)
                    self._slopes(s, pad + " ")
                    self._merge(before, pad)

    def _merge(self, other: dict[str, int], pad: str) -> None:
        """After lines that ran or not: `other` is how it stands where they did not."""
        missing = [n for n in self.states if n not in other]
        if missing:
            self.lines.append(f"{pad}else: " + "; ".join(f"B_{n} = None" for n in missing))
        for n, state in self.states.items():
            self.states[n] = state if other.get(n, NONE) == state else PERHAPS

    def _branch(self, b: Branch, pad: str) -> None:
        into = [(to.text, self.states.pop(to.text, NONE), x, y) for to, x, y in b.joins if to.kind == "g"]
        outer, before, ends = self.lines, dict(self.states), []
        written: list[list[str]] = []
        for k, body in ((0, b.then), (1, b.otherwise)):
            self.lines, self.states = [], dict(before)
            for to, state, *sources in into:
                source = sources[k].text
                if state == NONE:
                    continue
                if source in self.lists or self.states.get(source, NONE) != NONE:
                    raise Unsuited
                self.lines.append(f"{pad} B_{source} = B_{to}")
                self.states[source] = state
            self.steps(body, pad + " ")
            written.append(self.lines)
            ends.append(self.states)
        self.lines = outer
        every = {**ends[0], **ends[1]}
        if not (written[0] or written[1]):
            self.states = before
            return
        for lines, end in zip(written, ends, strict=True):
            lines += [f"{pad} B_{n} = None" for n in every if n not in end]
        self.states = {
            n: ends[0][n] if n in ends[0] and ends[1].get(n) == ends[0][n] else PERHAPS for n in every
        }
        self.used.update(a.text for a in b.of)
        self.lines.append(f"{pad}if {b.test}:")
        self.lines += [*written[0], f"{pad} pass", f"{pad}else:", *written[1], f"{pad} pass"]

    def _use(self, *atoms: Atom) -> None:
        self.used.update(a.text for a in atoms)
        self.saved.update(a.text for a in atoms)

    def _slopes(self, s: Step, pad: str) -> None:
        g, a, op = f"B_{s.to.text}", s.of[0], s.op
        if len(s.of) == 2:
            self._binary(s, g, pad)
        elif op == "neg":
            self._send(a, f"-{g}", pad, exact=True)
        elif op == "sq":
            self._use(a)
            self._send(a, f"{g} * (2 * {a.text})", pad)
        elif op == "cube":
            self._use(a)
            self.loop._put("c", f"{a.text} * {a.text}", pad, self.lines)
            self.loop._put("c", "3 * c", pad, self.lines)
            self._send(a, f"{g} * c", pad)
        elif op == "recip":
            self._use(s.to)
            self.loop._put("c", f"{s.to.text} * {s.to.text}", pad, self.lines)
            self._send(a, f"{g} * -c", pad)
        else:
            name = op[2:]
            of = a if pointwise(name).inputs[0][1].only == 0 else s.to
            self._use(of)
            self._send(a, f"{g} * D_{name}({of.text})", pad)

    def _binary(self, s: Step, g: str, pad: str) -> None:
        a, b = s.of
        if a.kind == "g":
            if s.op in "+-":
                self._send(a, g, pad, exact=True)
            else:
                self._use(b)
                self._send(a, f"{g} {s.op} {b.text}", pad)
        if b.kind != "g":
            return
        if s.op in "+-":
            self._send(b, g if s.op == "+" else f"-{g}", pad, exact=True)
        elif s.op == "*":
            self._use(a)
            self._send(b, f"{g} * {a.text}", pad)
        else:
            self._use(a, b)
            self.loop._put("c", f"{a.text} / {b.text}", pad, self.lines)
            self.loop._put("c", f"c / {b.text}", pad, self.lines)
            self._send(b, f"-{g} * c", pad)

    def _send(self, to: Atom, text: str, pad: str, *, exact: bool = False) -> None:
        name, put = to.text, self.loop._put
        if name in self.lists:
            self.lines.append(f"{pad}L_{name}({text})")
            return
        state = self.states.get(name, NONE)
        if state == NONE:
            if exact:
                self.lines.append(f"{pad}B_{name} = {text}")
            else:
                put(f"B_{name}", text, pad, self.lines)
        else:
            if not exact and self.loop.single:
                put("d", text, pad, self.lines)
                text = "d"
            if state == PERHAPS:
                self.lines.append(f"{pad}if B_{name} is None: B_{name} = {text}")
                self.lines.append(f"{pad}else:")
                pad += " "
            put(f"B_{name}", f"B_{name} + {text}" if exact or self.loop.single else f"B_{name} + ({text})",
                pad, self.lines)  # fmt: skip
        self.states[name] = SURE


def _kernels(name: str, dtype: Any) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """An operation of one number, by the kernel that computes it on tensors, and its slope."""
    op = pointwise(name)
    kernel, slope, slot = op.kernel, op.inputs[0][1].fn, np.zeros((), dtype)

    def value(x: float) -> float:
        slot[()] = x
        y: float = kernel(slot).item()
        return y

    def derivative(x: float) -> float:
        slot[()] = x
        y: float = np.asarray(slope(slot), dtype).item()
        return y

    return value, derivative


def _functions(steps: list[Any]) -> set[str]:
    found: set[str] = set()
    for s in steps:
        if isinstance(s, Branch):
            found |= _functions(s.then) | _functions(s.otherwise)
        elif isinstance(s, Step) and s.op[1:2] == ":":
            found.add(s.op)
    return found


def _saves(steps: list[Any]) -> bool:
    """Whether a step's rule needs a value, so that a second pass is refused."""
    for s in steps:
        if isinstance(s, Branch):
            if _saves(s.then) or _saves(s.otherwise):
                return True
        elif isinstance(s, Step) and s.to.kind == "g" and s.op not in ("+", "-", "neg"):
            return True
    return False


def _touches(b: Branch, needed: set[str]) -> bool:
    return any(to.text in needed for to, _, _ in b.joins) or any(
        s.to.text in needed if isinstance(s, Step) else isinstance(s, Branch) and _touches(s, needed)
        for s in (*b.then, *b.otherwise)
    )


def _slice(steps: list[Any], needed: set[str]) -> set[str]:
    """What is to be computed, or known from the turn's beginning, for what is needed of the steps."""
    for s in reversed(steps):
        if isinstance(s, Step):
            if s.to.text in needed:
                needed.update(a.text for a in s.of)
        elif isinstance(s, Branch):
            for to, x, y in s.joins:
                if to.text in needed:
                    needed.update((x.text, y.text))
            _slice(s.then, needed)
            _slice(s.otherwise, needed)
            if _touches(s, needed):
                needed.update(a.text for a in s.of)
    return needed


def _check_origins(loop: Compiled) -> None:
    """Each turn must make the values on the graph that it hands on, or take them from another carried name.

    Only then does nobody outside the loop hold what the turns hand on to each other.
    """
    turn = loop.turn
    entries = {turn.entry[n].text: n for n in turn.entry}
    ends = [turn.end[n].text for n in loop.live]
    if len(set(ends)) < len(ends):
        raise Unsuited
    origins: dict[str, set[str]] = {}
    _origins(turn.steps, origins)
    for n in loop.live:
        end = turn.end[n].text
        names = {entries[o] for o in origins.get(end, {end}) if o in entries}
        for other in names:
            known = turn.end[other].text if other in loop.live else ""
            if other == n or not known or any(o in entries for o in origins.get(known, {known})):
                raise Unsuited


def _origins(steps: list[Any], origins: dict[str, set[str]]) -> None:
    """Which results may stand behind each join."""
    for s in steps:
        if not isinstance(s, Branch):
            continue
        _origins(s.then, origins)
        _origins(s.otherwise, origins)
        for to, x, y in s.joins:
            origins[to.text] = origins.get(x.text, {x.text}) | origins.get(y.text, {y.text})


