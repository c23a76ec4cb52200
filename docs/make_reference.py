"""Writes `docs/reference/`, one page for each family of operations, from the declarations alone.

python docs/make_reference.py
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from vardsl.ops import define, reference
from vardsl.ops.index import FAMILIES

FOLDER = Path(__file__).parent / "reference"


def pages() -> dict[str, str]:
    """File names with their text."""
    by_family: dict[str, list[str]] = {}
    for name in define.names():
        op = define.get(name)
        if op.name == name:
            by_family.setdefault(FAMILIES[name], []).append(name)
    made = {f"{family}.md": page(family, names) for family, names in sorted(by_family.items())}
    made["README.md"] = contents(by_family)
    return made


def page(family: str, names: list[str]) -> str:
    """The entries of one family under the sentence that its module begins with."""
    return "\n".join([f"# {title(family)}\n", *(reference.as_markdown(reference.entry(n)) for n in names)])


def title(family: str) -> str:
    """The first sentence of the family's module."""
    text = import_module(f"vardsl.ops.{family}").__doc__ or family
    return text.split("\n\n")[0].replace("\n", " ").rstrip(".")


def contents(by_family: dict[str, list[str]]) -> str:
    """The first page: every operation by family."""
    lines = [
        "# Reference of the operations\n",
        "Each is a function `name(x, …)` and, where its first argument is a tensor, a method `x.name(…)`.",
        "`vardsl doc NAME` shows the same in the terminal. `docs/make_reference.py` makes these pages.\n",
    ]
    for family, names in sorted(by_family.items()):
        lines.append(f"- [{title(family)}]({family}.md): " + " ".join(f"`{n}`" for n in names))
    return "\n".join(lines) + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    made = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
