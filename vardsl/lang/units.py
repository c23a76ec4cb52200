"""The Python functions that a script's statements become, and whose locals the script's variables are."""

from __future__ import annotations

import ast as py
from collections.abc import Callable
from typing import Any

from vardsl.lang.check import Checked
from vardsl.lang.code import Stmts, const, global_name, local_name, put
from vardsl.lang.expressions import Expressions
from vardsl.lang.scope import Slot
from vardsl.syntax import ast

P = dict[str, Any]


class Unit:
    """A Python function that is being built.

    foreign   names that it stores and that are locals of a unit around it
    hosted    its locals that only units inside it store
    globals   names of the file that it stores
    """

    def __init__(self, outer: Unit | None, kind: str) -> None:
        self.outer = outer
        self.kind = kind  # "file", "compound", "function", "turn"
        self.foreign: set[str] = set()
        self.hosted: set[str] = set()
        self.globals: set[str] = set()
        self.loops: list[str] = []  # how each open loop is left: "here" or, at a turn's own function, "turn"
        self.blocks = 0
        self.outside_graph = False  # in a `no_grad` block
        self.counted = False  # whether the call was counted as a level of depth


class Units(Expressions):
    """Knows the function that is being built, and under which names it stores what the script binds."""

    def __init__(self, checked: Checked) -> None:
        super().__init__(checked)
        self.unit = Unit(None, "file")
        self.owners: dict[int, Unit] = {}  # of blocks, by identity
        self.local_owner: Unit | None = None

    def statement(self, s: ast.Stmt) -> Stmts:
        """The code of a statement."""
        raise NotImplementedError

    def _with_before(self, build: Callable[[], Stmts]) -> Stmts:
        """The code of `build`, after the function bodies that it needs."""
        outer, self.before = self.before, []
        out = build()
        out = [*self.before, *out]
        self.before = outer
        return out

    def block(self, b: ast.Block) -> Stmts:
        """The statements of a nested block; never empty."""
        raise NotImplementedError

    def _own(self, key: int, table: dict[int, Any]) -> None:
        scope = table.get(key)
        if scope is not None:
            self.owners[id(scope)] = self.unit

    def _bind(self, name: str, offset: int) -> str:
        """The Python name under which a value is stored, declared where it is another unit's."""
        slot = self.checked.names.get(offset)
        if isinstance(slot, Slot):
            owner = self.owners.get(id(slot.block))
            if owner is not None and owner is not self.unit:
                self.unit.foreign.add(local_name(slot.py))
                owner.hosted.add(local_name(slot.py))
            return local_name(slot.py)
        here = self.localised.get(name)
        if here is not None:
            if self.local_owner is not self.unit:
                self.unit.foreign.add(here)
            return here
        if self.unit.kind != "file":
            self.unit.globals.add(global_name(name))
        return global_name(name)

    def _declarations(self) -> Stmts:
        """`nonlocal` and `global` of the unit that is finished."""
        out: Stmts = []
        p: P = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
        if self.unit.foreign:
            out.append(py.Nonlocal(sorted(self.unit.foreign), **p))
        if self.unit.globals:
            out.append(py.Global(sorted(self.unit.globals), **p))
        if self.unit.hosted:
            # never run: it makes them locals of this function
            never: Stmts = [put(name, const(None, p), p) for name in sorted(self.unit.hosted)]
            out.append(py.If(const(False, p), never, [], **p))
        return out

    def repeats(self) -> bool:
        unit: Unit | None = self.unit
        while unit is not None:
            if unit.loops or unit.kind in ("function", "turn"):
                return True
            unit = unit.outer
        return False

    def _in_function(self) -> bool:
        unit: Unit | None = self.unit
        while unit is not None:
            if unit.kind == "function":
                return True
            unit = unit.outer
        return False


def unwrapped(e: ast.Expr) -> ast.Expr:
    while isinstance(e, ast.Paren):
        e = e.inner
    return e
