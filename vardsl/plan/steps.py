"""The operations of an expression that was recorded, as steps: what computes each, and what nodes of them
have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vardsl.engine.bundle import Form, Leaf, Made, Step, Template
from vardsl.engine.casting import SCALARS, scalar
from vardsl.engine.dtypes import f4, f8
from vardsl.engine.infix import KERNELS
from vardsl.engine.large import LARGE
from vardsl.engine.node import Like, Node
from vardsl.engine.value import Value
from vardsl.plan.listening import Free
from vardsl.plan.straight import LEAF, Key, Unfit

ndarray = np.ndarray
_NAMED = (np.maximum, np.minimum)  # which want to be told by name where their result goes


def _arrays(b: Any) -> Any:
    if type(b) is list:
        return [_arrays(x) for x in b]
    return b.array if type(b) is Value else b


class Steps:
    """The operations of an expression, as steps."""

    def __init__(self, operands: Sequence[Any], numbers: Sequence[Free]) -> None:
        self.operands = operands
        self.names: dict[int, Any] = {}  # of tensors, by identity
        for n in numbers:
            if len({v.array.dtype for v in n.stand_ins}) > 1:
                raise Unfit("a number beside several dtypes")
            leaf = Leaf(n.place)
            self.names.update({id(v): leaf for v in n.stand_ins})
        self.numbers = {n.place: n.stand_ins[0].array.dtype for n in numbers if n.stand_ins}
        self.steps: list[Step] = []
        self.nodes: list[Node | None] = []
        self.made_by: list[tuple[Any, list[Any]]] = []  # kernels with their arguments
        for i, a in enumerate(operands):
            if type(a) is Value:
                if id(a) in self.names:
                    raise Unfit("two names of one tensor")
                self.names[id(a)] = Leaf(i)

    def add(self, op: Any, bound: Sequence[Any], result: Any) -> None:
        outputs = list(result) if isinstance(result, tuple) else [result]
        if any(v.array.size >= LARGE or id(v) in self.names for v in outputs) or op.facts.get("random"):
            raise Unfit("large, or random")
        args = tuple([self._spec(b) for b in bound])
        self.made_by.append(self._call(op, bound, args))
        nodes = [v._node for v in outputs if v._node is not None]
        template = self._template(op, nodes[0], result, args) if nodes else None
        root = self._root(args[op.arrays[0]]) if op.family == "view" else -1
        k, array = len(self.steps), outputs[0].array
        for j, v in enumerate(outputs):
            self.names[id(v)] = Made(k, j if isinstance(result, tuple) else -1)
        self.steps.append(Step(op, args, root, Like(array.shape, array.dtype), template))
        self.nodes.append(nodes[0] if nodes else None)

    def _spec(self, b: Any) -> Any:
        """What stands for an argument."""
        if type(b) is Value:
            found = self.names.get(id(b))
            if found is None:
                raise Unfit("a tensor from outside")
            return found
        if type(b) is list:
            return [self._spec(x) for x in b]
        if isinstance(b, (ndarray, np.generic, dict)):
            raise Unfit("an argument that may change")
        return b

    def _is_tensor(self, a: Any) -> bool:
        return type(a) is Made or (type(a) is Leaf and a.number not in self.numbers)

    def _root(self, a: Any) -> int:
        if type(a) is Leaf:
            return a.number
        return self.steps[a.number].root if type(a) is Made else -1

    def _template(self, op: Any, node: Node, result: Any, args: Sequence[Any]) -> Template:
        """What is the same of all nodes that this step makes."""
        if node.op is not op or op.family == "fused" or type(node) is not Node:
            raise Unfit("rules of another kind")
        several = isinstance(result, tuple)
        made = [v.array for v in result] if several else [result.array]
        kept = made if node.y is None else node.y if several else (node.y,)
        whole = all(a is b for a, b in zip(kept, made, strict=True))
        if not whole or several is not (node.outputs is not None):
            raise Unfit("nodes of another kind")
        inputs = [x for i in op.arrays for x in (args[i] if type(args[i]) is list else [args[i]])]
        saved = [self._spec(a) for a in node.args]
        if len(node.edges) != len(inputs) or any(type(a) is list for a in saved):
            raise Unfit("edges of another kind")
        return Template(
            node,
            [None if e is None else x for e, x in zip(node.edges, inputs, strict=True)],
            saved,
            [self._root(a) for a in saved if self._is_tensor(a)],
        )

    # ---- forward -------------------------------------------------------------------------------------------
    def _call(self, op: Any, bound: Sequence[Any], args: Sequence[Any]) -> tuple[Any, list[Any]]:
        """The kernel and its arguments."""
        given = [x for i in op.arrays for x in (bound[i] if type(bound[i]) is list else [bound[i]])]
        tensors = [x.array for x in given if type(x) is Value]
        dtype = tensors[0].dtype if tensors else None
        real = dtype is not None and (dtype is f4 or dtype is f8)
        if len(op.arrays) == 2 and real and all(x.dtype is dtype for x in tensors) and args[2:] == op.rest:
            kernel = KERNELS.get(op.name, op.ufunc)
            if kernel is not None and (isinstance(kernel, np.ufunc) or all(x.ndim for x in tensors)):
                return kernel, [self._operand(a, dtype) for a in args[:2]]
        if op.family != "elementwise" and not all(x.ndim for x in tensors):
            raise Unfit("a scalar for an array")
        arrays = [_arrays(b) for b in bound]
        if op.promote is not None:
            op._promote(arrays)
        terms = list(args)
        for i in op.arrays:
            if type(bound[i]) is list:
                pairs = zip(bound[i], arrays[i], strict=True)
                alike = all(type(b) is Value and x is b.array for b, x in pairs)
            elif type(bound[i]) is Value:
                alike = arrays[i] is bound[i].array
            else:
                terms[i], alike = arrays[i], True
            if not alike:
                raise Unfit("operands of several dtypes")
        return op.kernel, terms

    def _operand(self, a: Any, dtype: Any) -> Any:
        if type(a) is Leaf or type(a) is Made:
            return a
        if type(a) is not float and type(a) is not int:
            raise Unfit("an operand that is no number")
        found = SCALARS[dtype].get(a)
        return scalar(a, dtype) if found is None else found

    def calls(self, form: Form | None) -> Iterator[tuple[Any, ...]]:
        """Kernels with their arguments; ufuncs put their result where nothing is needed any more."""
        parts = [x for _, terms in self.made_by for a in terms for x in (a if type(a) is list else [a])]
        uses = [a.number for a in parts if type(a) is Made]
        kept = () if form is None else form.arrays
        for k, (kernel, terms) in enumerate(self.made_by):
            yield (kernel, *terms, *self._out(k, kernel, terms, uses, kept))

    def in_place(self, call: tuple[Any, ...]) -> tuple[Any, ...]:
        """The last call with its result in the memory of the first operand."""
        kernel, *terms = call
        like, target = self.steps[-1].like, self.operands[0].array
        if not isinstance(kernel, np.ufunc) or not like.shape or type(target) is not ndarray:
            raise Unfit("a change of another kind")
        if like.shape != target.shape or like.dtype is not target.dtype:
            raise Unfit("a change of another kind")
        return (kernel, *terms[: kernel.nin], Leaf(0))

    def _out(
        self, k: int, kernel: Any, terms: Sequence[Any], uses: Sequence[int], kept: Sequence[int]
    ) -> Iterator[Made]:
        if not isinstance(kernel, np.ufunc) or len(terms) != kernel.nin or kernel in _NAMED:
            return
        like = self.steps[k].like
        for a in terms:
            if type(a) is not Made or a.number in kept or uses.count(a.number) > 1:
                continue
            maker, one = self.made_by[a.number][0], self.steps[a.number].like
            own = a.output < 0 and (isinstance(maker, np.ufunc) or maker is KERNELS["mm"])
            # a result takes the order in memory that its operands with two dimensions or more have
            alone = all(b is a or self._ndim(b) < 2 for b in terms)
            if own and alone and one.shape == like.shape and one.shape and one.dtype is like.dtype:
                yield a
                return

    def _ndim(self, a: Any) -> int:
        if type(a) is Leaf:
            return 0 if a.number in self.numbers else int(self.operands[a.number].array.ndim)
        return self.steps[a.number].like.ndim if type(a) is Made else 0

    # ---- the graph -----------------------------------------------------------------------------------------
    def form(self, facts: Key) -> Form:
        """What the nodes of the expression have in common."""
        nodes = [s.node for s in self.steps if s.node is not None]
        if self.steps[-1].node is None:
            raise Unfit("the result is not on the graph")
        edges = {e.number: None for t in nodes for e in t.edges if type(e) is Leaf}
        values: dict[int, None] = {}
        arrays: dict[int, None] = {}
        stack = [a for t in nodes for a in t.args]
        while stack:
            a = stack.pop()
            if type(a) is Leaf and (a.number not in edges or facts[a.number][3] is not LEAF):
                values[a.number] = None
            elif type(a) is Made and a.number not in arrays:
                arrays[a.number] = None
                if self.steps[a.number].op.family == "view":
                    stack.extend(self.steps[a.number].args)  # the view is of something
        for k, s in enumerate(self.steps):
            if s.node is not None and s.node.keeps_y:
                arrays[k] = None
        versions = {i: None for t in nodes for i in t.roots if i >= 0}
        return Form(self.steps, list(edges), list(values), list(arrays), list(versions))
