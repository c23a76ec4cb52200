"""What the user has set: `config.toml` in the configuration folder, and `:set` while the prompt runs."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

CHOICES: dict[str, tuple[str, ...]] = {
    "editing": ("emacs", "vi"),
    "theme": ("auto", "dark", "light", "none"),
}


@dataclass
class Settings:
    """Settings of the prompt; each field is a key of `config.toml` and a word of `:set`."""

    editing: str = "emacs"
    theme: str = "auto"
    toolbar: bool = True
    preview: bool = True
    suggest: bool = True
    complete: bool = True
    brackets: bool = True
    timing: bool = False
    banner: bool = True
    prompt: str = "vd> "
    continuation: str = "... "
    history: int = 10_000
    undo: int = 100

    def set(self, name: str, value: Any) -> None:
        """Changes one setting; texts such as `on` and `20` are read. Raises ValueError."""
        known = {f.name: f for f in fields(self)}
        if name not in known:
            raise ValueError(f"there is no setting {name}; there are {', '.join(known)}")
        setattr(self, name, _read(name, value, type(getattr(self, name))))

    def items(self) -> list[tuple[str, Any]]:
        """Names and values, in order."""
        return [(f.name, getattr(self, f.name)) for f in fields(self)]


def _read(name: str, value: Any, kind: type) -> Any:
    if kind is bool:
        words = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}
        found = value if isinstance(value, bool) else words.get(str(value).lower())
        if found is None:
            raise ValueError(f"{name} is on or off, not {value}")
        return found
    if kind is int:
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = -1
        if number < 0 or isinstance(value, bool):
            raise ValueError(f"{name} is a number, not {value}")
        return number
    text = str(value)
    if name in CHOICES and text not in CHOICES[name] and not (name == "theme" and text.isidentifier()):
        raise ValueError(f"{name} is {' or '.join(CHOICES[name])}, not {text}")
    return text


def load(path: Path) -> tuple[Settings, list[str]]:
    """The settings in a file, and what is wrong with it; a file that does not exist is empty."""
    settings, complaints = Settings(), []
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return settings, []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return settings, [f"{path}: {error}"]
    for name, value in table.items():
        try:
            settings.set(name, value)
        except ValueError as error:
            complaints.append(f"{path}: {error}")
    return settings, complaints


def config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where `config.toml` and `init.vd` lie; `VARDSL_CONFIG` names another folder."""
    given = environ.get("VARDSL_CONFIG")
    if given:
        return Path(given)
    if sys.platform.startswith("linux"):  # what platformdirs would answer, without importing it
        base = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        return Path(base) / "vardsl"
    import platformdirs

    return Path(platformdirs.user_config_dir("vardsl", appauthor=False))


def history_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the history lies; `VARDSL_HISTORY` names another file."""
    given = environ.get("VARDSL_HISTORY")
    if given:
        return Path(given)
    if sys.platform.startswith("linux"):
        base = environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        return Path(base) / "vardsl" / "history"
    import platformdirs

    return Path(platformdirs.user_state_dir("vardsl", appauthor=False)) / "history"
