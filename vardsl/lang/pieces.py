"""A translated program: Python code in pieces, with what the session must provide before each runs."""

from __future__ import annotations

from collections.abc import Iterable
from types import CodeType
from typing import Any

RegionFacts = tuple[str, str, tuple[str, ...], tuple[str, ...]]
"""The code's name for a region, where it stands, and the names that it reads and binds."""


class Piece:
    """Some statements of a program.

    builtins, methods  names that the code uses
    regions            runs of statements that may be planned
    """

    __slots__ = ("builtins", "code", "methods", "regions")

    def __init__(
        self,
        code: CodeType,
        builtins: tuple[str, ...],
        methods: tuple[str, ...],
        regions: tuple[RegionFacts, ...],
    ) -> None:
        self.code = code
        self.builtins = builtins
        self.methods = methods
        self.regions = regions


class Translation:
    """A whole program.

    pieces      to be run in order; made one after the other, or all there
    captured    the file's names that stand inside functions
    expression  whether the last statement is an expression
    lasting     whether the translation depends on this text and on names that are known, and on nothing else
    """

    __slots__ = ("captured", "expression", "lasting", "pieces")

    def __init__(
        self, pieces: Iterable[Piece], captured: frozenset[str], *, expression: bool, lasting: bool = True
    ) -> None:
        self.pieces = pieces
        self.captured = captured
        self.expression = expression
        self.lasting = lasting


def execute(code: CodeType, names: dict[str, Any]) -> None:
    """Runs compiled statements in the namespace of their file."""
    exec(code, names)
