"""Compiles the package in an editable install, as pip does in any other.

Where Python is told to keep no bytecode, every start of a checkout would compile all that it loads.
"""

from __future__ import annotations

import compileall
import os
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileCheckout(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            compileall.compile_dir(os.path.join(self.root, "vardsl"), quiet=2)
