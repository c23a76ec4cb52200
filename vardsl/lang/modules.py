"""Files that scripts import: each runs once in a session, in a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vardsl.errors import ScriptTypeError
from vardsl.lang.members import unknown
from vardsl.lang.operators import bare


class FileSpace:
    """The namespace of one file: the script's names under `:name`, our helpers under names with a point."""

    __slots__ = ("captured", "folder", "names", "own", "path")

    def __init__(
        self, helpers: dict[str, Any], builtins: dict[str, Any], folder: str, path: str | None = None
    ) -> None:
        self.names: dict[str, Any] = {"__vardsl__": self, "__builtins__": builtins, **helpers}
        self.names[".names"] = self.names
        self.own = frozenset(self.names)
        self.captured: frozenset[str] = frozenset()
        self.folder = folder
        self.path = path

    def __iter__(self) -> Iterator[str]:
        """The script's names."""
        return iter([key[1:] for key in self.names if key[0] == ":"])

    def __contains__(self, name: str) -> bool:
        return ":" + name in self.names

    def get(self, name: str) -> Any:
        return self.names[":" + name]

    def take_back_numbers(self) -> None:
        """Makes bare what a recording followed when an error ended it."""
        for key, value in self.names.items():
            if key[0] == ":":
                self.names[key] = bare(value)

    def clear_temporaries(self) -> None:
        """Forgets what generated code has put aside."""
        names = self.names
        for key in [k for k in names if k[0] == "." and k not in self.own]:
            del names[key]


class Module:
    """An imported file as a value."""

    __slots__ = ("name", "space")

    def __init__(self, name: str, space: FileSpace) -> None:
        self.name = name
        self.space = space

    def script_members(self, name: str) -> Any:
        if name not in self.space:
            raise unknown(self, name, list(self.space))
        return self.space.get(name)

    def assign_member(self, name: str, value: Any) -> None:
        raise ScriptTypeError("the names of a module cannot be assigned from outside")

    def __repr__(self) -> str:
        return f"<module {self.name}>"
