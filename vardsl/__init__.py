"""vardsl: a small language for computing with tensors and their gradients."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Where each name is found when it is first used, so that `vardsl --help` loads no NumPy.
_HOMES = {
    "Session": ("vardsl.session", "Session"),
    "run": ("vardsl.session", "run"),
    "repl": ("vardsl.apps.repl", "repl"),
    "Error": ("vardsl.errors", "Error"),
    "Tensor": ("vardsl.engine.value", "Value"),
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'vardsl' has no attribute {name!r}")
    found = globals()[name] = vars(import_module(home[0]))[home[1]]
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


__all__ = ["Error", "Session", "Tensor", "__version__", "repl", "run"]
