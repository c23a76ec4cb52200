"""What is known of an operation: its parameters, its kernel, its rules, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vardsl.engine.cotangents import Both, Unbroadcast, Way, both, way
from vardsl.engine.node import Node
from vardsl.engine.rule import Rule
from vardsl.engine.signature import PLAIN_KINDS, REQUIRED, Signature
from vardsl.engine.value import Value


class Onto:
    """The rule of an operation in one with that of `below`, which made its first input.

    `rule(g, y, *arguments)` gives the cotangent of what `below` works on, from its result `y` and the
    operation's other arguments; None where that would not come to the same bits.
    """

    __slots__ = ("below", "fits", "rule")

    def __init__(self, below: str, rule: Callable[..., Any], fits: Callable[..., bool]) -> None:
        self.below = below
        self.rule = rule
        self.fits = fits  # of the other arguments of `below`

    def joins(self, below: Any, arguments: Sequence[Any]) -> bool:
        """Whether the operation below, with these bound arguments, is the one."""
        return bool(below.name == self.below and self.fits(*arguments[1:]))

    def nodes(self, node: Node, g: Any, below: Node) -> Any:
        """The rule for two nodes; None also where something has been changed in place."""
        y, args = below.y, node.args
        if type(y) is not np.ndarray or args[0].vc is not None or not self.joins(below.op, below.args):
            return None
        others = args[1:]
        for a in others:
            if type(a) is Value and a.vc is not None:
                return None
        return self.rule(g, y, *[a.array if type(a) is Value else a for a in others])


class Declared:
    """An operation of the table. `kernel` takes the bound arguments with arrays for values.

    family    "elementwise" | "general" | "view" | "composite" | "fused" | "nondiff"
    promote   None, or how the array inputs are brought to one dtype: "same" (PyTorch's result_type), "float"
              (integers become the default real dtype), "bool" and "int" as "same" with results of that kind
    rules     by parameter name: a Rule, 1 or -1 (the factor of a linear elementwise operation), or a
              NotImplementedRule; `shared` is one Rule that gives the gradients of all array parameters
    """

    def __init__(self, name: str, fn: Callable[..., Any], signature: Signature, family: str) -> None:
        self.name = name
        self.fn = fn
        self.signature = signature
        self.family = family
        self.kernel: Callable[..., Any] = fn
        self.promote: str | None = None
        self.rules: dict[str, Any] = {}
        self.shared: Rule | None = None
        self.factor = family == "elementwise"
        self.grad_fn = ""
        self.fields: str | None = None
        self.number_result = False
        self.numbers = True  # whether plain numbers may stand for tensors next to one
        self.arrays = signature.arrays
        self.first = self.arrays[0] if self.arrays else 0
        self.single = len(self.arrays) == len(signature.parameters) and not signature.has_lists
        self.saved: frozenset[int] = frozenset()
        self.keeps_y = False
        self.keeps_likes = False
        # whether a cotangent is summed to the size of an input that is smaller than the output
        self.sums = family == "elementwise"
        self.facts: dict[str, Any] = {}
        self.ufunc: Any = None
        self.rest = tuple(p.default for p in signature.parameters[2:])
        # whether nodes keep the first and the second of two inputs, where the left, the right, or both of
        # them take part in the graph
        self.for_left = self.for_right = self.for_both = (False, False)
        self.inputs: list[tuple[int, Any]] = []
        # args of a node of an infix operation that keeps no operand
        self.nothing = (None, None, *self.rest)
        self.by_number: dict[float, tuple[None, float]] = {}  # those of one that keeps a common number
        self.statics = [None]  # and of one with a single parameter that keeps nothing
        self.on_scalars: Any = None
        self.keeps_dtype = False  # whether `ufunc` makes reals of reals of one dtype
        # the cotangents of the left and the right edge, of nodes that have no others
        self.ways: tuple[Way, ...] | None = None
        # both of them in one call, of an operation where that is faster
        self.both: Both | None = None
        # this rule and that of the node below in one
        self.onto: Onto | None = None
        # whether nodes keep anything that a pass frees
        self.holds = False
        # which arguments nodes keep, by the inputs that want a gradient; empty where they keep all
        self.kept_for: dict[int, tuple[bool, ...]] = {}
        # whether both inputs have the same cotangent where they are the same, as in a product
        self.mirrored = False
        # a call with one array and nothing else needs no binding: `tail` are the other parameters' defaults
        tail = [p.default for p in signature.parameters[1:]]
        plain = self.arrays[:1] == (0,) and signature.parameters[0].kind == "Tensor"
        self.tail: list[Any] | None = tail if plain and all(d is not REQUIRED for d in tail) else None
        # a composite is its body where its first parameters, so many, are tensors and no others are given
        self.leading = 0
        if family == "composite":
            kinds = [p.tensor for p in signature.positional]
            self.leading = kinds.index(False) if False in kinds else len(kinds)
        # on bare arrays (in a rule) the kernel is all that happens
        self.direct = (
            family in ("general", "view", "nondiff") and bool(self.arrays) and not signature.has_lists
        )
        self.differentiable = family != "nondiff"
        self.optional = frozenset(i for i in self.arrays if signature.parameters[i].optional)
        # on a bare array of reals it is that for pointwise operations too
        self.pointwise = family == "elementwise" and self.arrays == (0,)
        self.two = self.direct and self.arrays == (0, 1) and len(signature.parameters) == 2
        # whether a call makes new memory of several arrays as they are
        self.several = False
        self.light = family in ("elementwise", "general", "nondiff") and self.arrays == (0,)
        # a ufunc of one real array and nothing else that takes part in the graph
        self.alone = self.keeps_a = False
        self.viewing = family == "view" and self.arrays == (0,)

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def doc(self) -> str:
        return self.fn.__doc__ or ""

    def set_rules(self, rules: dict[str, Any], shared: Rule | None) -> None:
        """Fixes what a node of this operation keeps."""
        self.rules, self.shared = rules, shared
        every = [r for r in rules.values() if isinstance(r, Rule)] + ([shared] if shared else [])
        self.saved = frozenset(i for r in every for kind, i in r.arguments if kind == "arg")
        self.keeps_y = any(r.takes_y for r in every)
        self.keeps_likes = any(r.likes for r in every)
        self.sums = self.factor or any(type(r) is Unbroadcast for r in every)
        self.kept_for = {}
        self.inputs = [(i, rules.get(self.signature.parameters[i].name)) for i in self.arrays]
        kept = [self.signature.parameters[i] for i in self.saved]
        self.holds = any(p.kind not in PLAIN_KINDS for p in kept) or self.keeps_y or self.family == "fused"
        plain = shared is None and not self.signature.has_lists and self.family != "fused"
        separate = self.family == "general" and self.promote is None and not self.signature.has_lists
        self.several = separate and len(self.arrays) > 1
        self.onto = self.facts.get("onto")
        pure = self.light and self.tail == [] and isinstance(self.kernel, np.ufunc)
        self.alone, self.keeps_a = pure and bool(rules), 0 in self.saved
        own = plain and all(_is_short(r) for _, r in self.inputs)
        few = len(self.inputs) <= 2 or all(r is None for _, r in self.inputs[1:])
        self.ways = self.both = None
        if self.inputs and own and few:
            self.ways = tuple([way(r, i, self.factor, self.arrays) for i, r in self.inputs[:2]])
            self.both = both(self.inputs, self.factor, self.arrays)
        if len(self.inputs) == 2:
            first, second = [
                {j for kind, j in r.arguments if kind == "arg"} if isinstance(r, Rule) else set()
                for _, r in self.inputs
            ]
            a, b = self.arrays
            self.for_left, self.for_right = (a in first, b in first), (a in second, b in second)
            self.for_both = (a in first or a in second, b in first or b in second)
            p, q = self.inputs[0][1], self.inputs[1][1]
            if type(p) is Rule and type(q) is Rule and self.factor:
                self.mirrored = p.itself and q.itself and (p.only, q.only) == (b, a)

    def saves(self, node: Node) -> bool:
        """Whether freeing the node's arrays makes another backward impossible."""
        if node.y is not None:
            return True
        if not self.saved and self.family != "fused":
            return False
        args = node.args
        for i in self.arrays:
            if args[i] is not None:
                return True
        return Value in map(type, args)


def _is_short(rule: Any) -> bool:
    return rule is None or isinstance(rule, Rule) or type(rule) is int
