"""Writes `vardsl/ops/index.py` from the declarations in `vardsl/ops/`, without importing them.

python -m tests.table.make_index
"""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import fill

OPS = Path(__file__).parents[2] / "vardsl" / "ops"
DECORATORS = {"elementwise", "general", "view", "composite", "fused", "nondiff", "creation", "inplace_op"}
SPACES = ("linalg_", "special_")


def public_name(name: str) -> str:
    if name.startswith("_"):
        return name
    for space in SPACES:
        if name.startswith(space):
            return space[:-1] + "." + name.removeprefix(space).rstrip("_")
    return name.rstrip("_")


def declared(path: Path) -> list[str]:
    """Names and aliases of the operations that a file declares."""
    found = []
    for item in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(item, ast.FunctionDef):
            continue
        for decorator in item.decorator_list:
            if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Name):
                continue
            if decorator.func.id not in DECORATORS:
                continue
            explicit = [
                k.value.value
                for k in decorator.keywords
                if k.arg == "name" and isinstance(k.value, ast.Constant)
            ]
            found.append(str(explicit[0]) if explicit else public_name(item.name))
            for keyword in decorator.keywords:
                if keyword.arg == "aliases":
                    found.extend(ast.literal_eval(keyword.value))
    return found


def index() -> dict[str, str]:
    families: dict[str, str] = {}
    for path in sorted(OPS.glob("*.py")):
        if path.stem in ("define", "index", "__init__"):
            continue
        try:
            names = declared(path)
        except SyntaxError as error:
            print(f"{path.name}: {error}")
            continue
        for name in names:
            if name in families:
                raise SystemExit(f"{name} is declared in {families[name]} and {path.stem}")
            families[name] = path.stem
    return dict(sorted(families.items()))


def main() -> None:
    path = OPS / "index.py"
    head = path.read_text(encoding="utf-8").split("_NAMES")[0]
    families: dict[str, list[str]] = {}
    for name, module in index().items():
        families.setdefault(module, []).append(name)
    body = "".join(
        f'    "{module}": """\n{fill(" ".join(names), 108, break_on_hyphens=False)}\n""",\n'
        for module, names in sorted(families.items())
    )
    text = (
        f"{head}_NAMES = {{\n{body}}}\n"
        "FAMILIES: dict[str, str] = {name: family for family, names in _NAMES.items() for name in names.split()}\n"
    )
    scratch = path.with_suffix(".new")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


if __name__ == "__main__":
    main()
