"""The node of an expression that was computed in one call, and stands for the nodes of its operations.

A small step of a script is a handful of expressions that it meets again and again. What a call, a node and a
look at an operand cost is then more than the numbers themselves, so that an expression that repeats gets
code of its own, forward and backward (`plan/straight.py`). Its result has one node, a `Bundle`. The short way
down (`walk.py`) goes through it in one call; everything else that looks at a node asks for what a bundle has
not, and finds it: then the nodes of the operations are made, and the bundle becomes the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vardsl.engine.node import Like, Node
from vardsl.engine.value import Value, make_view

EXPRESSION = "<expression>"
"""What the file of such code is called."""

_new = object.__new__


class Leaf:
    """The operand of the expression with this number."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Made:
    """The result of the step with this number; one of several where `output` says which."""

    __slots__ = ("number", "output")

    def __init__(self, number: int, output: int = -1) -> None:
        self.number = number
        self.output = output


class Template:
    """What the nodes of one step have in common.

    edges, args   as those of nodes; a `Leaf` or `Made` stands for what it was then
    paired        whether the edges stand in `left` and `right`
    listed        whether `args` is a list
    roots         for each tensor among `args`: the operand whose memory it is, or -1
    keeps_y       whether a node keeps the result
    saves         whether a pass that goes through the node frees what it keeps
    """

    __slots__ = (
        "args", "code", "dtype", "edges", "indices", "keeps_y", "lasti", "likes", "listed", "name", "op",
        "outputs", "paired", "roots", "saves", "shape",
    )  # fmt: skip

    def __init__(self, node: Node, edges: Sequence[Any], args: Sequence[Any], roots: Sequence[int]) -> None:
        self.edges, self.args, self.roots = tuple(edges), tuple(args), tuple(roots)
        self.op, self.likes, self.shape, self.dtype = node.op, node.likes, node.shape, node.dtype
        self.code, self.lasti = node.code, node.lasti
        self.name, self.outputs, self.indices = node.name, node.outputs, node.indices
        self.paired, self.listed = node.many is None, type(node.args) is list
        self.keeps_y = node.y is not None
        self.saves = bool(node.op.saves(node))


class Step:
    """One operation of the expression, and its node where that is on the graph.

    args   as those of the call; a `Leaf` or `Made` stands for a tensor
    root   the operand whose memory the result is, or -1
    like   the result, or the first of several
    """

    __slots__ = ("args", "like", "node", "op", "root")

    def __init__(self, op: Any, args: Sequence[Any], root: int, like: Like, node: Template | None) -> None:
        self.op = op
        self.args = tuple(args)
        self.root = root
        self.like = like
        self.node = node


class Form:
    """What all bundles of one expression on operands of one kind have in common.

    steps     the operations in order
    edges     for the entries that come first in `kept`: the operands that take part in the graph
    values    for the next entries: operands whose tensors a rule needs, and `edges` has not
    arrays    for the next: steps whose results a rule needs
    versions  for the last: operands whose version counts
    pull      the rules of all steps in one: `pull(kept, g, leaves)` adds to what leaves receive, and gives
              the cotangents for edges that are nodes; None where something is not as it was
    chain     the place in `kept` of the edge that is a node and receives the only cotangent, or -1
    nodes     else the places of those that receive them, in order
    outputs   which output of its node each of the edges is
    spent     the form once a pass has freed what it kept; itself where nothing is freed
    notice    told of every bundle that is taken apart
    """

    __slots__ = (
        "arrays", "chain", "edges", "grad_fn", "keeps_output", "nodes", "notice", "outputs", "pull", "spent",
        "steps", "values", "versions",
    )  # fmt: skip

    def __init__(
        self,
        steps: Sequence[Step],
        edges: Sequence[int],
        values: Sequence[int],
        arrays: Sequence[int],
        versions: Sequence[int],
    ) -> None:
        self.steps = tuple(steps)
        self.edges, self.values = tuple(edges), tuple(values)
        self.arrays, self.versions = tuple(arrays), tuple(versions)
        self.pull: Callable[[Any, Any, Any], Any] | None = None
        self.chain = -1
        self.nodes: tuple[int, ...] = ()
        self.outputs: tuple[int, ...] = ()
        self.spent = self
        self.notice: Callable[[], None] = _nobody
        last = steps[-1].node
        assert last is not None
        self.grad_fn: str = last.name or last.op.grad_fn
        self.keeps_output = last.keeps_y

    def freed(self) -> Form:
        """The form of bundles that keep nothing but their edges."""
        form = Form(self.steps, self.edges, (), (), ())
        form.keeps_output = False
        form.notice = self.notice
        return form


def _nobody() -> None:
    pass


class Bundle(Node):
    """The node of an expression. `form` is None once it has become the node of its last operation."""

    __slots__ = ("form", "kept")
    form: Form | None
    kept: tuple[Any, ...]

    def __getattr__(self, name: str) -> Any:
        # asked only for what is not set: all that a node has and a bundle has not
        if name not in _OWN or self.form is None:
            raise AttributeError(name)
        unfold(self)
        return object.__getattribute__(self, name)

    @property
    def grad_fn(self) -> str:
        form = self.form
        return form.grad_fn if form is not None else super().grad_fn

    @property
    def keeps_output(self) -> bool:
        form = self.form
        return form.keeps_output if form is not None else self.y is not None

    @property
    def changed(self) -> bool:
        """Whether the output has been changed in place since, where a rule needs it."""
        rare = self.rare
        return rare is not None and rare.vc is not None and rare.vc[0] != rare.y_version


_OWN = frozenset(Node.__slots__) - {"rare", "seq"}


def row_of(node: Node, g: Any) -> Any:
    """A cotangent that was sent to a bundle as its node takes it, which may have become one of several
    outputs."""
    outputs = node.outputs
    return g if outputs is None or type(g) is list else [g, *[None] * (len(outputs) - 1)]


def unfold(bundle: Bundle) -> None:
    """Makes the nodes that a bundle stands for; it becomes the last of them."""
    form, kept = bundle.form, bundle.kept
    if form is None:
        return
    form.notice()
    bundle.form, bundle.kept = None, ()
    spent = form.pull is None
    operands, versions = _operands(form, kept)
    first = len(form.edges) + len(form.values)
    arrays = dict(zip(form.arrays, kept[first:]))
    values: list[Any] = []
    nodes: list[Node | None] = []
    last = len(form.steps) - 1
    for k, step in enumerate(form.steps):
        v = None if spent else _result(step, arrays.get(k), operands, values, versions)
        node: Node | None = None
        t = step.node
        if t is not None:
            node = bundle if k == last else _new(Node)
            if k != last:
                node.rare = None
                # after all that was there before the expression
                node.seq = bundle.seq - (last - k) / (last + 1)  # type: ignore[assignment]
            _fill(node, t, spent, operands, values, nodes, versions)
            node.y = arrays.get(k) if t.keeps_y else None
            for j, made in enumerate(v if type(v) is tuple else (v,)):
                if made is not None and made.array.dtype.kind == "f":
                    made._node, made.index = node, j
        values.append(v)
        nodes.append(node)


def _operands(form: Form, kept: tuple[Any, ...]) -> tuple[dict[int, Any], dict[int, int]]:
    """The operands that are still there, as (edge, tensor), and the versions of those that were noted."""
    n, m = len(form.edges), len(form.edges) + len(form.values)
    found: dict[int, Any] = {i: (e, e if type(e) is Value else None) for i, e in zip(form.edges, kept)}
    for i, v in zip(form.values, kept[n:m]):
        found[i] = (found[i][0] if i in found else None, v)
    return found, dict(zip(form.versions, kept[m + len(form.arrays) :]))


def _result(
    step: Step, array: Any, operands: dict[int, Any], values: list[Any], versions: dict[int, int]
) -> Any:
    """What a step gave, where that is needed."""
    if array is None:
        return None
    if type(array) is tuple:
        return tuple(map(Value, array))
    if step.op.family != "view":
        return Value(array)
    args = tuple([_given(a, operands, values) for a in step.args])
    v = make_view(array, args[step.op.arrays[0]], step.op, (args, None))
    if step.root >= 0:
        v.seen = versions.get(step.root, 0)
    return v


def _given(a: Any, operands: dict[int, Any], values: list[Any]) -> Any:
    if type(a) is Leaf:
        return operands[a.number][1]
    if type(a) is not Made:
        return a
    return values[a.number] if a.output < 0 else values[a.number][a.output]


def _fill(
    node: Node,
    t: Template,
    spent: bool,
    operands: dict[int, Any],
    values: list[Any],
    nodes: list[Node | None],
    versions: dict[int, int],
) -> None:
    """Gives a node what the template says."""
    edges = [_edge(e, operands, nodes) for e in t.edges]
    node.op = t.op
    node.left = node.right = node.many = None
    if t.paired:
        node.left = edges[0]
        node.right = edges[1] if len(edges) > 1 else None
    else:
        node.many = tuple(edges)
    node.likes, node.shape, node.dtype = t.likes, t.shape, t.dtype
    node.code, node.lasti = t.code, t.lasti
    node.versions = None
    if t.name is not None:
        node.name = t.name
    if t.outputs is not None:
        node.outputs = t.outputs
    if t.indices is not None:
        node.indices = t.indices
    if spent and t.saves:
        node.args = None
        return
    given = [_given(a, operands, values) for a in t.args]
    node.args = given if t.listed else tuple(given)
    then = tuple([versions.get(i, 0) for i in t.roots])
    if any(then):
        node.versions = then


def _edge(e: Any, operands: dict[int, Any], nodes: list[Node | None]) -> Any:
    if type(e) is Leaf:
        return operands[e.number][0]
    return nodes[e.number] if type(e) is Made else e
