"""Nodes that stand for many: what a loop did, kept as how to do it again.

A `Condensed` node goes through all of the loop's backward at once. Its results are `Result` nodes, one for
each value that the loop left, through which a pass reaches it. Whoever looks further than a pass does (the
graph as text, a pass that is recorded itself) finds the real nodes: they are made then, and a result becomes
the real node that it stands for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import WeakSet, ref

from vardsl.engine.context import state
from vardsl.engine.value import Like, Node, Value
from vardsl.errors import InternalError


class Work(Protocol):
    """What a condensed node stands for.

    saves   whether some rule needs a value, so that a second pass is refused
    pull    from the cotangents of the results (or None): what receives something, and what, in order
    again   does it on the graph: the results, and (stand-in, the value itself, its version) for each input
    """

    saves: bool

    def pull(self, row: Sequence[Any]) -> tuple[tuple[Any, ...], Sequence[Any]]: ...

    def again(self) -> tuple[list[Value], list[tuple[Value, Value, int]]]: ...

    def touched(self, results: Sequence[bool]) -> bool:
        """Whether a rule needs an input, or one of these results, that was changed in place since."""
        ...


class Condensed(Node):
    """Stands for many nodes until they are looked at; `real` are then those of the results."""

    __slots__ = ("__weakref__", "_sent", "made", "real", "spent", "work")

    def __init__(self, work: Work, like: Like, count: int) -> None:
        self._sent: tuple[Any, ...] = ()
        super().__init__(_WHOLE, (), None)
        self.work: Work | None = work
        self.outputs = (like,) * count
        self.shape, self.dtype = like.shape, like.dtype
        self.args = ()
        self.spent = False
        self.made: list[ref[Result]] = []
        self.real: list[Node] = []
        LIVE.add(self)

    @property
    def many(self) -> tuple[Any, ...]:
        """What receives the results of the pullback that has just run."""
        sent, self._sent = self._sent, ()
        return sent

    @many.setter
    def many(self, edges: tuple[Any, ...]) -> None:
        self._sent = edges

    @property
    def edges(self) -> tuple[Any, ...]:
        return self.many

    def result(self) -> Result:
        """The node of the next result."""
        node = Result(self, len(self.made))
        self.made.append(ref(node))
        return node

    def unfold(self) -> None:
        """Makes the nodes that this one stands for."""
        work = self.work
        if work is None:
            return
        with _alone():
            since = Node(_WHOLE, (), None).seq
            results, inputs = work.again()
        self.work = None
        LIVE.discard(self)
        nodes = _since(since, results)
        for k, node in enumerate(nodes):
            # between this node and the next that was made after it
            node.seq = self.seq + (k + 1) / (len(nodes) + 1)  # type: ignore[assignment]
        self.real = [self._become(k, v) for k, v in enumerate(results)]
        replaced = {id(v._node): new for v, new in zip(results, self.real, strict=True)}
        given = {id(stand_in): (value, version) for stand_in, value, version in inputs}
        for node in (*nodes, *self.real):
            _redirect(node, replaced, given)
            _give_back(node, given)
            if self.spent and node.args is not None and node.op.saves(node):
                node.args = node.y = None

    def _become(self, k: int, v: Value) -> Node:
        node, result = v._node, self.made[k]()
        assert node is not None
        if result is None:
            return node
        v.vc = result.vc
        result.become(node)
        return result


class Result(Node):
    """The node of a value that a condensed node left; later the real node of that value."""

    __slots__ = ("__weakref__", "_edges", "_passing", "whole")

    def __init__(self, whole: Condensed, k: int) -> None:
        self._passing = False
        self.whole: Condensed | None = whole
        self._edges: tuple[Any, ...] = ()
        super().__init__(_RESULT, (), (k,))
        self.shape, self.dtype = whole.shape, whole.dtype

    @property
    def many(self) -> tuple[Any, ...]:
        """The edges, which only who has just passed its cotangent on finds to lead to the whole."""
        if self.whole is None:
            return self._edges
        if self._passing:
            self._passing = False
            return (self.whole,)
        self.whole.unfold()
        return self._edges

    @many.setter
    def many(self, edges: tuple[Any, ...]) -> None:
        self._edges = edges

    @property
    def edges(self) -> tuple[Any, ...]:
        return self.many

    @property
    def grad_fn(self) -> str:
        if self.whole is not None:
            self.whole.unfold()
        return super().grad_fn

    def pass_on(self) -> None:
        """The next look at the edges is that of the pass which has just come here."""
        self._passing = True

    def become(self, node: Node) -> None:
        self.whole = None
        self.op, self._edges, self.indices, self.args = node.op, node.edges, node.indices, node.args
        self.versions, self.y, self.likes, self.name = node.versions, node.y, node.likes, node.name
        self.seq, self.code, self.lasti = node.seq, node.code, node.lasti


class _Whole:
    """The operation of a condensed node."""

    name = "loop"
    grad_fn = "LoopBackward0"

    def saves(self, node: Any) -> bool:
        # asked where a pass frees what it has gone through
        node.spent = True
        return False

    def pullback(self, node: Any, g: Any, as_values: bool) -> Sequence[Any]:
        work = node.work
        if work is not None and not as_values:
            changed = [(o := made()) is not None and o.vc is not None and o.vc[0] > 0 for made in node.made]
            if not (node.spent and work.saves) and not work.touched(changed):
                edges, results = work.pull(g)
                node.many = edges
                return results  # type: ignore[no-any-return]
        node.unfold()
        node.many = tuple(node.real)
        return tuple(g)


class _Handing:
    """The operation of a result, which hands its cotangent on."""

    name = "loop"
    grad_fn = "LoopBackward0"

    def saves(self, node: Any) -> bool:
        return False

    def pull(self, node: Any, g: Any) -> Sequence[Any]:
        node.pass_on()
        return (g,)

    def pullback(self, node: Any, g: Any, as_values: bool) -> Sequence[Any]:
        if as_values:
            raise InternalError("a recorded pass met a loop that was not unfolded")
        return self.pull(node, g)


_WHOLE, _RESULT = _Whole(), _Handing()
LIVE: WeakSet[Condensed] = WeakSet()
"""Those that are folded still."""


def _since(since: int, results: Sequence[Value]) -> list[Node]:
    """The nodes that were made after `since` and lead to the results, in order."""
    seen: set[Node] = set()
    stack = [v._node for v in results if v._node is not None]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(e for e in node.edges if type(e) is Node and e.seq > since)
    return sorted(seen, key=lambda n: n.seq)


def _redirect(node: Node, replaced: dict[int, Node], given: dict[int, tuple[Value, int]]) -> None:
    """Lets the edges lead to the results and inputs themselves."""
    if node.many is None:
        node.left = _target(node.left, replaced, given)
        node.right = _target(node.right, replaced, given)
    else:
        node.many = tuple([_target(e, replaced, given) for e in node.many])


def _target(e: Any, replaced: dict[int, Node], given: dict[int, tuple[Value, int]]) -> Any:
    if id(e) in given:
        return given[id(e)][0]
    return replaced.get(id(e), e)


def _give_back(node: Node, given: dict[int, tuple[Value, int]]) -> None:
    """Puts the inputs where their stand-ins are among what a node saved."""
    args = node.args
    if args is None or not any(id(a) in given for a in args):
        return
    versions = tuple([given[id(a)][1] if id(a) in given else 0 for a in args if type(a) is Value])
    node.args = tuple([given[id(a)][0] if id(a) in given else a for a in args])
    node.versions = versions if any(versions) else None


@contextmanager
def _alone() -> Iterator[None]:
    """On the graph, and seen by nobody who listens to what the script does."""
    ctx = state.ctx
    before = ctx.grad_enabled, ctx.tracer, ctx.journal, ctx.savepoint, ctx.anomaly
    ctx.grad_enabled, ctx.tracer, ctx.journal, ctx.savepoint, ctx.anomaly = True, None, None, None, False
    try:
        yield
    finally:
        ctx.grad_enabled, ctx.tracer, ctx.journal, ctx.savepoint, ctx.anomaly = before
