"""Taking whole statements back: what can be reached from some names, as it is now, and as it was.

A `Savepoint` notes the cheap facts of everything reachable at once (gradients, graph nodes, versions,
containers) and copies the large things only when it is told that they are about to change: memory of tensors,
optimizers, and the arrays that a graph saved for backward. `swap` exchanges then and now, so that a second
one is the way forward.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from types import CellType, FunctionType
from typing import Any

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.engine.node import Node, next_sequence
from vardsl.engine.value import Value

_FIELDS = (
    "array", "_requires", "_node", "index", "_grad", "vc", "base", "hooks", "chain", "seen",
)  # fmt: skip
_UNSET: Any = object()
# Copied at once: cheaper than being told.
SMALL = 1024


class Savepoint:
    """A moment to which everything reachable from `roots` can go back.

    bytes_kept  how much memory the copies take
    """

    def __init__(self, roots: Iterable[object]) -> None:
        self.bytes_kept = 0
        self.last = next_sequence()
        self._values: list[tuple[Value, list[Any], int]] = []
        self._node_facts: list[list[Any]] = []
        self._containers: list[list[Any]] = []
        self._cells: list[list[Any]] = []
        self._objects: list[tuple[Any, dict[str, Any]]] = []
        self._storages: dict[int, list[Any]] = {}
        self._nodes: dict[int, list[Any]] = {}
        self._changers: dict[int, list[Any]] = {}
        self._walk(roots)

    # ---- what is told before it changes --------------------
    def keep(self, a: Array) -> None:
        """The memory of `a` is about to change."""
        root = storage(a)
        entry = self._storages.get(id(root))
        if entry is not None and entry[1] is None:
            entry[1] = root.copy()
            self.bytes_kept += root.nbytes

    def keep_changer(self, thing: Any) -> None:
        """An object with `snapshot()` and `restore(snapshot)` is about to change."""
        if id(thing) not in self._changers:
            self._changers[id(thing)] = [thing, thing.snapshot()]

    @property
    def sizes(self) -> dict[int, int]:
        """Bytes of everything reachable, by storage."""
        return {key: root.nbytes for key, (root, _) in self._storages.items()}

    def keep_node(self, node: Node) -> None:
        """A node is about to lose what it saved for backward."""
        if node.seq <= self.last and id(node) not in self._nodes:
            self._nodes[id(node)] = [node, node.args, node.y]
            saved = (node.args, node.y)
            self.bytes_kept += sum(_size(x) for row in saved for x in (row if type(row) is tuple else (row,)))

    # ---- there and back --------------------
    def swap(self) -> None:
        """Puts everything back as it was, and keeps how it is now."""
        # all of now is noted before any of then is put back: the parts overlap
        memory = [(entry, entry[0].copy()) for entry in self._storages.values() if entry[1] is not None]
        changers = [(entry, entry[0].snapshot()) for entry in self._changers.values()]
        values = [(v, *_facts(v)) for v, _, _ in self._values]
        for entry, now in changers:
            entry[0].restore(entry[1])
            entry[1] = now
        for v, fields, version in self._values:
            for name, field in zip(_FIELDS, fields):
                if field is not _UNSET:
                    setattr(v, name, field)
            if v.vc is not None:
                v.vc[0] = version
        self._values = values
        self._swap_graph()
        self._swap_containers()
        for entry, now in memory:
            if entry[0].flags.writeable:
                np.copyto(entry[0], entry[1])
            entry[1] = now

    def has_changed(self) -> bool:
        """Whether anything reachable is other than it was."""
        for root, then in self._storages.values():
            if then is not None and root.tobytes() != then.tobytes():
                return True
        if self._changers or self._nodes:
            return True
        for v, fields, version in self._values:
            if v.version != version or any(a is not b for a, b in zip(_facts(v)[0], fields)):
                return True
        if any(_content(cell) is not then for cell, then in self._cells):
            return True
        if any(_differ(_fields(x), fields) for x, fields in self._objects):
            return True
        return any(_differ(thing, then) for thing, then in self._containers)

    def _swap_graph(self) -> None:
        for facts in self._node_facts:
            node, hooks, retained = facts
            facts[1:] = node.hooks, node.retained
            node.hooks, node.retained = hooks, retained
        for saved in self._nodes.values():
            node, args, y = saved
            saved[1:] = node.args, node.y
            node.args, node.y = args, y

    def _swap_containers(self) -> None:
        containers = [thing.copy() for thing, _ in self._containers]
        for pair, now in zip(self._containers, containers):
            thing, then = pair
            thing.clear()
            thing.update(then) if isinstance(thing, dict) else thing.extend(then)
            pair[1] = now
        for pair in self._cells:
            cell, then = pair
            pair[1] = _content(cell)
            if then is not _UNSET:
                cell.cell_contents = then
        for k, (owner, fields) in enumerate(self._objects):
            self._objects[k] = (owner, _fields(owner))
            for name, field in fields.items():
                setattr(owner, name, field)

    # ---- what is reachable --------------------
    def _walk(self, roots: Iterable[object]) -> None:
        seen: set[int] = set()
        stack: list[Any] = list(roots)
        while stack:
            x = stack.pop()
            t = type(x)
            if t in _ATOMS or id(x) in seen:
                continue
            seen.add(id(x))
            if t is Value:
                self._value(x, stack)
            elif t is np.ndarray:
                self._storage(x)
            elif isinstance(x, tuple):
                stack.extend(x)
            elif t is list or t is dict:
                self._containers.append([x, x.copy()])
                stack.extend(x.values() if t is dict else x)
            elif t is FunctionType:
                stack.extend(x.__closure__ or ())
                stack.extend(x.__defaults__ or ())
                stack.extend((x.__kwdefaults__ or {}).values())
            elif t is CellType:
                content = _content(x)
                self._cells.append([x, content])
                stack.append(content)
            elif t.__module__.startswith("vardsl.lang"):
                fields = _fields(x)
                if fields:
                    self._objects.append((x, fields))
                    stack.extend(fields.values())
                else:
                    stack.extend(gc.get_referents(x))

    def _value(self, v: Value, stack: list[Any]) -> None:
        self._values.append((v, *_facts(v)))
        self._storage(v.array)
        for other in (v._grad, v.base, v.hooks):
            if other is not None:
                stack.append(other)
        node = v._node
        if node is not None:
            self._node_facts.append([node, node.hooks, node.retained])

    def _storage(self, a: Array) -> None:
        root = storage(a)
        if id(root) not in self._storages:
            self._storages[id(root)] = [root, root.copy() if root.nbytes <= SMALL else None]


_ATOMS: frozenset[type] = frozenset([int, float, bool, str, type(None), type, range])


def storage(a: Array) -> Array:
    """The array that owns the memory that `a` shows."""
    while type(a.base) is np.ndarray:
        a = a.base
    return a


def _facts(v: Value) -> tuple[list[Any], int]:
    return [getattr(v, name, _UNSET) for name in _FIELDS], v.version


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _UNSET


def _differ(now: Any, then: Any) -> bool:
    """Whether two lists or tables hold other things."""
    if len(now) != len(then) or (isinstance(now, dict) and now.keys() != then.keys()):
        return True
    pairs = ((now[k], then[k]) for k in now) if isinstance(now, dict) else zip(now, then)
    return any(a is not b for a, b in pairs)


def _fields(x: Any) -> dict[str, Any]:
    """The fields of an object that has a `__dict__` and lets them be set."""
    fields = getattr(x, "__dict__", None)
    if fields is None or getattr(getattr(type(x), "__dataclass_params__", None), "frozen", False):
        return {}
    return dict(fields)


def _size(x: Any) -> int:
    if type(x) is Value:
        x = x.array
    return x.nbytes if isinstance(x, np.ndarray) else 0
