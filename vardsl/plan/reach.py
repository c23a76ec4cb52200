"""What a run reads beyond the names in its text: elements of tuples, and all that functions lead to.

A function of the script reads the variables that it closes over, names of its file, and what the functions
that it calls read. `Reach` finds them when a run is recorded, and fetches them again before each replay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from opcode import opmap
from types import CellType, CodeType, EllipsisType, FunctionType
from typing import Any

from vardsl.engine.dtypes import DType
from vardsl.engine.inplace import InPlace
from vardsl.engine.op import Op
from vardsl.engine.value import Value

MISSING = object()
MOST = 256  # reads from which on looking at all of them is not cheap any more
# Where functions that are no operations do nothing but call operations, or tell the recording what they do.
_FOLLOWED = ("vardsl.lang.builtins", "vardsl.lang.transforms", "vardsl.lang.members")
_PLAIN = (int, float, str, type(None), DType, EllipsisType, range, slice, Op, InPlace)
_CANNOT = frozenset([".import_names", ".import_module", ".service", ".zero_all"])
_WIDE, _STORE_NAME, _DELETE_NAME, _STORE_CELL = (
    opmap[n] for n in ("EXTENDED_ARG", "STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF")
)


class Unfollowed(Exception):
    """Why what is read cannot be told, in words."""


class Reach:
    """All that is read, in a fixed order: first what the text shows, then what that leads to.

    `more` says how the list goes on: a getter, or the place of a tuple whose elements follow.
    """

    def __init__(self, reads: Sequence[Any]) -> None:
        self.given = list(reads)
        self.shown = len(self.given)
        self.more: list[tuple[Callable[[], Any] | None, int]] = []
        self._seen: set[Any] = set()
        self._kept: list[Any] = []
        self._stored: list[tuple[Callable[[], Any], Any, str]] = []
        self._shape: dict[int, tuple[type, int]] = {}
        for place, v in enumerate(self.given):  # grows while it is gone through
            self._follow(place, v)

    def again(self, reads: Sequence[Any]) -> list[Any] | None:
        """The same list for another time; None where a tuple has become another kind of thing."""
        given: list[Any] = list(reads)
        for get, place in self.more:
            if get is not None:
                given.append(get())
                continue
            parts = given[place]
            if (type(parts), len(parts) if isinstance(parts, tuple) else -1) != self._shape[place]:
                return None
            given.extend(parts)
        return given

    @property
    def tuples(self) -> list[int]:
        """The places of tuples, whose elements stand on their own."""
        return list(self._shape)

    def check(self) -> None:
        """Raises Unfollowed where a function has bound a name of a file to something else."""
        for getter, before, name in self._stored:
            if getter() is not before:
                raise Unfollowed(f"{name}() binds names of its file")

    # ---- following -----------------------------------------------------------------------------------------
    def _follow(self, place: int, v: Any) -> None:
        if type(v) is Value or v is MISSING or isinstance(v, _PLAIN):
            return
        if isinstance(v, tuple):
            self._shape[place] = type(v), len(v)
            self.more.append((None, place))
            self.given.extend(v)
            return
        if id(v) in self._seen:
            return
        self._seen.add(id(v))
        self._kept.append(v)
        if type(v) is FunctionType:
            self._function(v)
        elif hasattr(type(v), "followed"):
            for getter in v.followed():
                self._add(getter)
        elif type(v).__module__ not in _FOLLOWED:
            raise Unfollowed(f"a {type(v).__name__.lower()} is read, which cannot be followed")

    def _add(self, getter: Callable[[], Any]) -> None:
        if len(self.given) >= MOST:
            raise Unfollowed("functions are called that read very many names")
        self.more.append((getter, -1))
        self.given.append(getter())

    def _function(self, f: FunctionType) -> None:
        if "__vardsl__" not in f.__globals__ and f.__module__ not in _FOLLOWED:
            raise Unfollowed(f"{f.__qualname__}() is called, which cannot be followed")
        for cell in f.__closure__ or ():
            self._once(("cell", id(cell)), partial(_content, cell))
            self._kept.append(cell)
        for d in f.__defaults__ or ():
            self._add(partial(_itself, d))
        if "__vardsl__" in f.__globals__:
            self._code(f.__code__, f, frozenset(f.__code__.co_freevars))

    def _code(self, code: CodeType, f: FunctionType, outside: frozenset[str]) -> None:
        names = f.__globals__
        builtin = names["__builtins__"]
        for name in _stored(code, outside):
            if name[:1] != ":":
                raise Unfollowed(f"{f.__qualname__}() binds variables around it")
            getter = partial(_named, names, builtin, name)
            self._stored.append((getter, getter(), f.__qualname__))
        for name in code.co_names:
            if name in _CANNOT:
                raise Unfollowed(f"{f.__qualname__}() does what cannot be followed")
            if name[:1] != ":":
                continue
            self._once((id(names), name), partial(_named, names, builtin, name))
        for k in code.co_consts:
            if type(k) is CodeType:
                self._code(k, f, outside)

    def _once(self, key: Any, getter: Callable[[], Any]) -> None:
        if key not in self._seen:
            self._seen.add(key)
            self._add(getter)


def _named(names: dict[str, Any], builtin: dict[str, Any], name: str) -> Any:
    found = names.get(name, MISSING)
    return builtin.get(name, MISSING) if found is MISSING else found


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def _itself(x: Any) -> Any:
    return x


def _stored(code: CodeType, outside: frozenset[str]) -> Iterator[str]:
    """The names of its file, and of the variables around it those `outside`, that code binds or deletes."""
    inner = [*code.co_varnames, *[c for c in code.co_cellvars if c not in code.co_varnames]]
    every = [*inner, *code.co_freevars]
    raw, wide = code.co_code, 0
    for k in range(0, len(raw), 2):
        what, argument = raw[k], raw[k + 1] | wide
        if what in (_STORE_NAME, _DELETE_NAME):
            yield code.co_names[argument]
        elif what == _STORE_CELL and argument >= len(inner) and every[argument] in outside:
            yield every[argument]
        wide = argument << 8 if what == _WIDE else 0
