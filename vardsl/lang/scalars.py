"""Runs the turns of a recurrence on plain numbers where its names are bound to tensors of one element.

A piece of the loop is run that way but for a whole turn at its end, which is run as it is written: what that
binds stands on real nodes, and what the piece hands to it on one node that stands for all its turns. Whatever
plain numbers cannot do (an error, a `break`) ends the piece before the turn before.
"""

from __future__ import annotations

import ast as py
from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from vardsl.engine.condensed import Condensed
from vardsl.engine.context import Context
from vardsl.engine.dtypes import f4, f8
from vardsl.engine.value import OPS, Like, Value
from vardsl.lang import operators
from vardsl.lang.adjoint import Compiled
from vardsl.lang.code import function
from vardsl.lang.compile import code_of
from vardsl.lang.pieces import execute
from vardsl.lang.places import MARK
from vardsl.lang.recurrences import Term, bound_names
from vardsl.lang.turns import EXACT, Unsuited

# A loop is run as it is written when this many of its pieces could not be run otherwise.
MAX_LEFT = 8
MIN_TURNS = 16


class Recurrence:
    """One loop of a program, with its functions for each sort of values that it has met."""

    def __init__(self, loop: Term) -> None:
        self.loop = loop
        self.names = sorted(_names(loop))
        self.bound = bound_names(loop[2])
        self.compiled: dict[Any, Compiled | None] = {}
        self.left = 0

    def run(
        self, piece: range, here: Mapping[str, Any], names: Mapping[str, Any], ctx: Context, file_name: str
    ) -> tuple[range, tuple[Any, ...]] | None:
        """What is left of the piece and the values of the bound names, or None for all as it is written."""
        if self.left > MAX_LEFT:
            return None
        values = {n: here[n] if n in here else names.get(n, MISSING) for n in self.names}
        kinds, dtype = _kinds(values, ctx.grad_enabled)
        if dtype is None:
            return None
        key = (dtype, *sorted(kinds.items()))
        if key not in self.compiled:
            try:
                self.compiled[key] = Compiled(self.loop, kinds, dtype)
            except Unsuited:
                self.compiled[key] = None
        compiled = self.compiled[key]
        if compiled is None:
            return None
        read = (*compiled.carried, *compiled.fixed)
        given = [values[n] if kinds[n] == "p" else values[n].array.item() for n in read]
        if not _fits(piece, compiled, values) or any(values[n] is MISSING for n in self.bound):
            return None
        done = _forward(compiled, piece[:-1], given)
        if done is None:
            self.left += 1
            return None
        self.left = max(0, self.left - 1)
        turns, numbers = done
        found = dict(zip(compiled.carried, numbers, strict=True))
        result = _bind(compiled, Stretch(compiled, turns, given, values, self.loop, file_name), found)
        return piece[len(turns) :], tuple([result.get(n, values[n]) for n in self.bound])


MISSING = object()
"""Stands for a name that is not bound."""


def _kinds(values: Mapping[str, Any], grad: bool) -> tuple[dict[str, str], Any]:
    """What the names are bound to, and the dtype of the tensors; None where there is none or several."""
    kinds: dict[str, str] = {}
    dtype: Any = None
    for name, v in values.items():
        t = type(v)
        if t is float or t is int:
            kinds[name] = "p"
        elif t is Value and v.array.ndim == 0 and v.base is None and v.array.dtype in (f4, f8):
            if dtype is not None and v.array.dtype is not dtype:
                return kinds, None
            dtype = v.array.dtype
            kinds[name] = "g" if grad and v.requires_grad else "t"
    return kinds, dtype


def _fits(piece: range, compiled: Compiled, values: Mapping[str, Any]) -> bool:
    """Whether plain numbers are exact in double precision, and values on the graph are different ones."""
    if abs(piece.start) > EXACT or abs(piece.stop) > EXACT:
        return False
    for n in compiled.fixed:
        v = values[n]
        if type(v) is int and abs(v) > EXACT:
            return False
    edges = []
    for n in (*compiled.live, *compiled.wanted):
        v = values[n]
        node = v.node
        if v.index or (node is not None and node.outputs is not None):
            return False
        edges.append(id(v) if node is None else id(node))
    return len(set(edges)) == len(edges)


def _forward(
    compiled: Compiled, turns: range, given: Sequence[Any]
) -> tuple[range, tuple[int | float, ...]] | None:
    """Runs as many turns as plain numbers can, less one where that is not all: a whole turn is to follow."""
    for _ in range(2):
        left = iter(turns)
        try:
            return turns, compiled.forward(left, *given)
        except Exception:
            turns = turns[: max(0, len(turns) - left.__length_hint__() - 2)]  # type: ignore[attr-defined]
        if len(turns) < MIN_TURNS:
            return None
    return None


def _bind(compiled: Compiled, stretch: Stretch, found: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for n, x in found.items():
        result[n] = x if compiled.turn.entry[n].kind == "p" else Value(compiled.dtype.type(x))
    if compiled.live:
        whole = Condensed(stretch, Like((), compiled.dtype), len(compiled.order))
        for n in compiled.order:
            result[n]._node = whole.result()
    return result


class Stretch:
    """Turns that were run on plain numbers: what a pass needs of them, and how they run on the graph."""

    def __init__(
        self,
        compiled: Compiled,
        turns: range,
        given: Sequence[Any],
        values: Mapping[str, Any],
        loop: Term,
        file_name: str,
    ) -> None:
        self.compiled = compiled
        self.turns = turns
        self.given = given
        self.inputs = [values[n] for n in (*compiled.live, *compiled.wanted)]
        self.versions = [v.version for v in self.inputs]
        self.edges = [v if v.node is None else v.node for v in self.inputs]
        self.saves = compiled.saves
        self.loop = loop
        self.file_name = file_name

    def touched(self, results: Sequence[bool]) -> bool:
        c = self.compiled
        results_changed = zip(c.order, results, strict=True)
        inputs = zip((*c.live, *c.wanted), self.inputs, self.versions, strict=True)
        return any(changed and c.turn.end[n].text in c.saved for n, changed in results_changed) or any(
            v.version != then and c.turn.entry[n].text in c.saved for n, v, then in inputs
        )

    def pull(self, row: Sequence[Any]) -> tuple[tuple[Any, ...], Sequence[Any]]:
        c = self.compiled
        tapes: list[Any] = [self._tape(n) for n in c.needed]
        if tapes:
            c.record(self.turns, *self.given, *[t.append for t in tapes])
        code = "f" if c.single else "d"
        lists = [array(code) for _ in c.wanted]
        outside = self.given[len(c.carried) :]
        rest = [*outside, *[t.pop for t in tapes], *[k.append for k in lists]]
        received = dict(zip(c.order, row, strict=True))
        given = [None if received[n] is None else float(received[n]) for n in c.live]
        bars = self._turns_back(given, rest)
        targets: list[Any] = []
        results: list[Any] = []
        for edge, b in zip(self.edges, bars, strict=False):
            if b is not None:
                targets.append(edge)
                results.append(c.dtype.type(b))
        for edge, k in zip(self.edges[len(c.live) :], lists, strict=True):
            targets += [edge] * len(k)
            results.extend(np.frombuffer(k, c.dtype) if len(k) else ())
        return tuple(targets), results

    def _turns_back(self, bars: Sequence[Any], rest: Sequence[Any]) -> Sequence[Any]:
        c = self.compiled
        turns = iter(reversed(self.turns))
        if c.lean is None:
            return c.general(turns, *bars, *rest)  # type: ignore[no-any-return]
        k = 0
        while any(b is None for b in bars):
            if k == len(self.turns):
                return bars
            bars = c.general(islice(turns, 1), *bars, *rest)
            k += 1
            if k == MIN_TURNS:
                return c.general(turns, *bars, *rest)  # type: ignore[no-any-return]
        return c.lean(turns, *bars, *rest)  # type: ignore[no-any-return]

    def _tape(self, text: str) -> Any:
        c = self.compiled
        kind = next(a.kind for a in c.turn.entry.values() if a.text == text)
        return [] if kind == "p" else array("f" if c.single else "d")

    def again(self) -> tuple[list[Value], list[tuple[Value, Value, int]]]:
        c = self.compiled
        env: dict[str, Any] = {}
        stand_ins: list[tuple[Value, Value, int]] = []
        given = dict(zip((*c.live, *c.wanted), zip(self.inputs, self.versions, self.edges), strict=True))
        for n, x in zip((*c.carried, *c.fixed), self.given, strict=True):
            env[n] = x if c.turn.entry[n].kind == "p" else Value(np.array(x, c.dtype))
            if n in given:
                value, version, edge = given[n]
                stand_ins.append((env[n], value, version))
                if edge is value:
                    env[n]._requires = True
                else:
                    env[n]._node = edge
        Again(self.loop, self.file_name).run(self.turns, env)
        return [env[n] for n in c.order], stand_ins


class Again:
    """Runs a recurrence on the graph; its operations are at their places in the script."""

    def __init__(self, loop: Term, file_name: str) -> None:
        self.target, _, self.body = loop
        self.file_name = file_name
        self.made: dict[Term, Callable[..., Any]] = {}

    def run(self, turns: range, env: dict[str, Any]) -> None:
        for i in turns:
            if self.target:
                env[self.target] = i
            self._block(self.body, env)

    def _block(self, body: Term, env: dict[str, Any]) -> None:
        for s in body:
            if s[0] == "=":
                env[s[1]] = self._value(s[2], env)
            elif s[0] == "if":
                self._block(s[2] if self._holds(s[1], env) else s[3], env)

    def _holds(self, c: Term, env: dict[str, Any]) -> bool:
        head = c[0]
        if head == "t":
            return bool(self._value(c[1], env))
        if head == "not":
            return not self._holds(c[1], env)
        if head == "and":
            return all(self._holds(k, env) for k in c[1:])
        if head == "or":
            return any(self._holds(k, env) for k in c[1:])
        return bool(_COMPARE[head](self._value(c[1], env), self._value(c[2], env)))

    def _value(self, e: Term, env: dict[str, Any]) -> Any:
        if e[0] == "n":
            return e[1]
        if e[0] == "v":
            return env[e[1]]
        op = self.made.get(e)
        if op is None:
            op = self.made[e] = self._operation(e)
        if e[0] in ("neg", "f"):
            return op(self._value(e[1], env))
        return op(self._value(e[1], env), self._value(e[2], env))

    def _operation(self, e: Term) -> Callable[..., Any]:
        """A function of the operands whose code stands where the script has the expression."""
        line, end_line, column, end_column = e[2] if e[0] in ("neg", "f") else e[3]
        p = {"lineno": line, "end_lineno": end_line, "col_offset": column, "end_col_offset": end_column}
        name = {"neg": "neg", "f": "f", "**": "power", "+": "add", "*": "mul"}.get(e[0], e[0])
        params = ["a"] if e[0] in ("neg", "f") else ["a", "b"]
        loads: list[py.expr] = [py.Name(n, py.Load(), **p) for n in params]
        value: py.expr
        if name == "neg":
            value = py.UnaryOp(py.USub(), loads[0], **p)
        elif name in _INFIX:
            value = py.BinOp(loads[0], _INFIX[name](), loads[1], **p)
        else:
            value = py.Call(py.Name("op", py.Load(), **p), loads, [], **p)
        op = OPS[e[3]] if e[0] == "f" else operators.HELPERS.get(f".{name}")
        names: dict[str, Any] = {MARK: True, "op": op}
        execute(code_of([function("made", params, [py.Return(value, **p)], p)], self.file_name), names)
        made: Callable[..., Any] = names["made"]
        return made


_INFIX: dict[str, type[py.operator]] = {"-": py.Sub, "/": py.Div, "add": py.Add, "mul": py.Mult}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b, "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}  # fmt: skip


def _names(loop: Term) -> set[str]:
    """The names of a loop but for its target."""
    found = set(bound_names(loop[2]))
    stack = [loop[1], *loop[2]]
    while stack:
        e = stack.pop()
        if len(e) == 2 and e[0] == "v":
            found.add(e[1])
        else:
            stack.extend(k for k in e if type(k) is tuple)
    return found - {loop[0]}

