"""Imports point down only, modules are found where they belong, and what is forbidden stays out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vardsl"
# What each layer may see besides itself: everything that stands in an earlier row.
ROWS = (
    ("source",),
    ("errors",),
    ("encoding",),
    ("syntax", "engine"),
    ("ops",),
    ("lang", "plan"),
    ("explain",),
    ("export",),
    ("session", "golden"),
    ("assist", "display"),
    ("apps",),
    ("__init__", "__main__"),
)
LEVEL = {name: level for level, row in enumerate(ROWS) for name in row}
# Sessions draw errors and tensors; what they use of `display` is text alone, without a terminal.
DRAWS = {"session", "golden"}
THIRD_PARTY = {
    "lark": {"syntax"},
    "prompt_toolkit": {"apps"},
    "rich": {"apps", "display"},
    "pygments": {"assist", "apps"},
}
FORBIDDEN = {"pickle", "marshal", "ctypes", "subprocess", "shelve", "utils", "helpers", "common"}

# The prompt opens the user's own editor; translated scripts are code, read back only from a private folder.
EXCEPTIONS = {("vardsl/apps/repl/commands.py", "subprocess"), ("vardsl/lang/cache.py", "marshal")}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent))


@pytest.mark.parametrize("path", modules(), ids=_name)
def test_imports_point_down(path: Path) -> None:
    own = layer(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name, line in imported(tree):
        parts = name.split(".")
        if parts[0] != "vardsl" or len(parts) == 1:
            continue
        other = parts[1]
        if other not in LEVEL or other == own or (other == "display" and own in DRAWS):
            continue
        assert LEVEL[other] < LEVEL[own], f"{path}:{line}: {own} imports {other}"


@pytest.mark.parametrize("path", modules(), ids=_name)
def test_third_party_packages_stay_in_their_folder(path: Path) -> None:
    own = layer(path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name, line in imported(tree):
        top = name.split(".")[0]
        assert top not in FORBIDDEN or (_name(path), top) in EXCEPTIONS, f"{path}:{line}: {name}"
        assert own in THIRD_PARTY.get(top, {own}), f"{path}:{line}: {own} imports {top}"


@pytest.mark.parametrize("path", modules(), ids=_name)
def test_no_type_checking_imports_and_a_docstring(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "TYPE_CHECKING" not in text
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"


@pytest.mark.parametrize("path", modules(), ids=_name)
def test_code_is_made_in_one_place_only(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    allowed = {"vardsl/lang/compile.py": {"compile"}, "vardsl/lang/pieces.py": {"exec"}, "vardsl/plan/straight.py": {"compile", "exec"}}.get(_name(path), set())
    assert not called & {"compile", "exec", "eval", "__import__"} - allowed
