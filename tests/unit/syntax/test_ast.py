"""The classes of the syntax tree: their fields, and that nodes are never changed."""

from __future__ import annotations

import pytest

from vardsl.source import Span
from vardsl.syntax import ast

HERE = Span(0, 1)


def kinds() -> list[type[ast.Node]]:
    return [k for k in vars(ast).values() if isinstance(k, ast.Kind)]


def test_fields_are_those_of_the_base_and_then_the_own_ones() -> None:
    assert ast.Node.fields == ast.Break.fields == ("span",)
    assert ast.Member.fields == ("span", "value", "name", "name_span")
    assert len(kinds()) > 50
    for kind in kinds():
        values = tuple(range(len(kind.fields)))
        node = kind(*values)  # type: ignore[arg-type]
        assert tuple(getattr(node, name) for name in kind.fields) == values
        assert not hasattr(node, "__dict__")


def test_a_node_shows_its_fields() -> None:
    assert repr(ast.Name(HERE, "a")) == "Name(span=Span(0, 1), id='a')"


def test_nodes_are_matched_by_position_and_compared_by_identity() -> None:
    match ast.Power(HERE, ast.Name(HERE, "a"), ast.Name(HERE, "b")):
        case ast.Power(_, ast.Name(_, base), ast.Name(_, exponent)):
            assert (base, exponent) == ("a", "b")
        case _:
            raise AssertionError
    assert ast.Break(HERE) != ast.Break(HERE)


def test_a_node_is_never_changed() -> None:
    node = ast.Name(HERE, "a")
    with pytest.raises(AttributeError, match="a Name is never changed"):
        node.id = "b"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="a Name is never changed"):
        del node.id
    with pytest.raises(AttributeError):
        node.other = 1  # type: ignore[attr-defined]
    assert node.id == "a"


def test_a_value_too_few_is_noticed() -> None:
    with pytest.raises(IndexError):
        ast.Name(HERE)  # type: ignore[call-arg]
