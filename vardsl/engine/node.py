"""A node of the graph: what an operation leaves behind for the backward pass, kept as small as it can be."""

from __future__ import annotations

import re
import sys
from itertools import count
from types import CodeType, FrameType
from typing import Any

from vardsl.engine.dtypes import Array

_sequence = next_sequence = count(1).__next__

Where = tuple[CodeType, int]
_REACH = range(25)


def script_place(depth: int = 3) -> Where | None:
    """Code and instruction of the script's expression that is being evaluated, or None outside a script."""
    f = script_frame(sys._getframe(depth))
    return None if f is None else (f.f_code, f.f_lasti)


def script_frame(f: FrameType | None) -> FrameType | None:
    """The first frame of a script's code from `f` outwards, within reach of an operation."""
    for _ in _REACH:
        if f is None or "__vardsl__" in f.f_globals:
            return f
        f = f.f_back
    return None


class Rare:
    """What few nodes have; a node without any of it has no such object. Meanings are told at `Node`."""

    __slots__ = ("hooks", "indices", "name", "outputs", "retained", "vc", "y_version")

    def __init__(self) -> None:
        self.hooks: list[Any] | None = None
        self.indices: tuple[int, ...] | None = None
        self.name: str | None = None
        self.outputs: tuple[Like, ...] | None = None
        self.retained: Any = None
        self.vc: list[int] | None = None
        self.y_version = 0


def _rare(name: str, default: Any = None) -> Any:
    """A property of nodes that is kept in their `rare`."""

    def get(node: Node) -> Any:
        rare = node.rare
        return default if rare is None else getattr(rare, name)

    def put(node: Node, x: Any) -> None:
        rare = node.rare
        if rare is None:
            if x is default:
                return
            rare = node.rare = Rare()
        setattr(rare, name, x)

    return property(get, put)


class Node:
    """One step of a computation: what made a value, from what, and what its backward needs.

    op        the operation, which has `pullback(node, cotangent, as_values)`
    edges     for each differentiable input: the node that made it, the leaf itself, or None. Most operations
              have one or two such inputs: those stand in `left` and `right`; all others are in `many`.
              Where only the first of several can have a cotangent it stands in `left`
    indices   which output of that node, or None where all are the first
    args      the bound arguments that the rules name: Values, numbers, static parameters; None once freed
    versions  versions of the Values among `args` when they were saved, or None where all were 0
    y         output array(s) where a rule names them; `vc` and `y_version` tell whether they have changed
    since
    likes     shapes and dtypes of the inputs where a rule or an unbroadcast needs them
    shape, dtype   of the output (of the first of several); they stay when the arrays are freed
    where     code and instruction of the script's expression
    rare      hooks, gradients to be kept, a name of its own, several outputs, changes of the output

    A long computation is mostly nodes, so that a node is kept as small as it can be.
    """

    __slots__ = (
        "args", "code", "dtype", "lasti", "left", "likes", "many", "op", "rare", "right", "seq", "shape",
        "versions", "y",
    )  # fmt: skip
    op: Any
    left: Any
    right: Any
    many: tuple[Any, ...] | None
    args: Any
    y: Any
    likes: Any
    shape: tuple[int, ...]
    dtype: Any
    seq: int  # a fraction, where a node was made later than its place in the order
    code: CodeType | None
    lasti: int
    rare: Rare | None
    versions: tuple[int, ...] | None

    def __init__(self, op: Any, edges: tuple[Any, ...], indices: tuple[int, ...] | None) -> None:
        self.op = op
        self.left = self.right = None
        self.many = edges
        self.args = ()
        self.y = self.likes = None
        self.seq = _sequence()
        self.code = None
        self.lasti = 0
        self.rare = self.versions = None
        if indices is not None:
            self.indices = indices

    hooks = _rare("hooks")
    indices = _rare("indices")
    name = _rare("name")
    outputs = _rare("outputs")
    retained = _rare("retained")
    vc = _rare("vc")
    y_version = _rare("y_version", 0)

    @property
    def edges(self) -> tuple[Any, ...]:
        if self.many is not None:
            return self.many
        n = len(self.op.arrays)
        if n == 2:
            return (self.left, self.right)
        return (self.left,) if n == 1 else (self.left, *[None] * (n - 1))

    @property
    def keeps_output(self) -> bool:
        """Whether a rule needs the output as it was."""
        return self.y is not None

    @property
    def freed(self) -> bool:
        """Whether a backward pass has let go of what the next one would need."""
        return self.args is None

    @property
    def where(self) -> Where | None:
        return None if self.code is None else (self.code, self.lasti)

    @where.setter
    def where(self, place: Where | None) -> None:
        self.code, self.lasti = (None, 0) if place is None else place

    @property
    def grad_fn(self) -> str:
        """PyTorch's name of the node: `MulBackward0`."""
        name: str = self.name or self.op.grad_fn
        return name

    @property
    def stem(self) -> str:
        """PyTorch's name of the operation in its sentences: `Mul`."""
        name = self.grad_fn
        return "torch::autograd::CopySlices" if name == "CopySlices" else re.sub(r"Backwards?\d*$", "", name)

    @property
    def next_functions(self) -> tuple[Any, ...]:
        return self.edges

    def __repr__(self) -> str:
        return f"<{self.grad_fn}>"


_new = object.__new__
_getframe = sys._getframe


def step(op: Any, left: Any, right: Any, args: Any, y: Any, likes: Any, made: Array, depth: int = 3) -> Node:
    """The node that made `made`, of an operation with one or two differentiable inputs.

    `depth` is how many calls the script's expression is away; where that is not so it is searched for.
    """
    node = _new(Node)
    node.op = op
    node.left = left
    node.right = right
    node.many = None
    node.args = args
    node.y = y
    node.likes = likes
    node.shape = made.shape
    node.dtype = made.dtype
    node.seq = _sequence()
    node.rare = node.versions = None
    f: FrameType | None = _getframe(depth)
    if "__vardsl__" not in f.f_globals:  # type: ignore[union-attr]
        f = script_frame(f)
        if f is None:
            node.code = None
            node.lasti = 0
            return node
    node.code = f.f_code  # type: ignore[union-attr]
    node.lasti = f.f_lasti  # type: ignore[union-attr]
    return node


class Like:
    """Shape and dtype of an array that is not kept."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for k in self.shape:
            n *= k
        return n
