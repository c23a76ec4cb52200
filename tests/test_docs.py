"""The reference is what the declarations say, and the page on adding an operation works as it is written."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import vardsl
from vardsl.engine.backward import grad
from vardsl.engine.value import OPS, Value
from vardsl.ops import reference
from vardsl.ops.index import FAMILIES

DOCS = Path(__file__).parents[1] / "docs"
NEW = ("soft_sign", "sech_squared")


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date() -> None:
    made = load("make_reference", DOCS / "make_reference.py").pages()
    kept = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md")}
    assert sorted(kept) == sorted(made)
    for name, text in made.items():
        assert kept[name] == text, f"{name} is stale: run python docs/make_reference.py"


def test_an_operation_is_added_as_the_page_says(tmp_path: Path) -> None:
    """In a process of its own: the table and the builtins are made once."""
    page = (DOCS / "adding-an-operation.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert block is not None
    (tmp_path / "added.py").write_text(block[1], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path / "added.py")],
        capture_output=True,
        text=True,
        cwd=DOCS.parent,
        env={**os.environ, "PYTHONPATH": str(DOCS.parent)},
    )
    assert done.returncode == 0, done.stderr


def use(path: Path) -> None:
    """What the page promises of the block in the file, of which the table knows nothing otherwise."""
    for name in NEW:
        FAMILIES[name] = "added"
    load("added", path)
    session = vardsl.Session()
    assert session.run_captured("print soft_sign([0., 1.])") == "tensor([0.0000, 0.7616])\n"
    printed = session.run_captured("let x = var [0.5] float64 grad; print x.soft_sign(sharpness=2)")
    assert printed == "tensor([0.7616], dtype=torch.float64, grad_fn=<SoftSignBackward0>)\n"
    with pytest.raises(vardsl.Error, match="sharpnes"):
        session.run("soft_sign([1.], sharpnes=2)")
    x = Value(np.array([0.3, -1.2]), True)
    (first,) = grad([OPS["sum"](OPS["soft_sign"](x, 2.0))], [x], create_graph=True)
    assert first is not None
    (second,) = grad([OPS["sum"](first)], [x])
    assert second is not None
    t = np.tanh(2 * x.array)
    np.testing.assert_allclose(first.array, 2 * (1 - t * t), rtol=1e-12)
    np.testing.assert_allclose(second.array, -8 * t * (1 - t * t), rtol=1e-12)
    entry = reference.entry("soft_sign")
    assert entry.call == "soft_sign(input, sharpness=1.0)"
    assert "smooth sign" in reference.as_text(entry)


if __name__ == "__main__":
    use(Path(sys.argv[1]))
