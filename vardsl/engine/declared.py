"""What is known of an operation: its parameters, its kernel, its rules, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vardsl.engine.rule import Rule
from vardsl.engine.signature import REQUIRED, Signature
from vardsl.engine.value import Node, Value


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
        self.single = len(self.arrays) == len(signature.parameters) and not signature.has_lists
        self.saved: frozenset[int] = frozenset()
        self.keeps_y = False
        self.keeps_likes = False
        self.facts: dict[str, Any] = {}
        self.ufunc: Any = None
        self.rest = tuple(p.default for p in signature.parameters[2:])
        self.keep_a_for_a = self.keep_b_for_a = self.keep_a_for_b = self.keep_b_for_b = False
        self.inputs: list[tuple[int, Any]] = []
        self.short: tuple[Any, int] | None = None
        # a call with one array and nothing else needs no binding: `tail` are the other parameters' defaults
        tail = [p.default for p in signature.parameters[1:]]
        plain = self.arrays[:1] == (0,) and signature.parameters[0].kind == "Tensor"
        self.tail: list[Any] | None = tail if plain and all(d is not REQUIRED for d in tail) else None
        self.bare = (
            family == "composite"
        )  # a composite whose other parameters have their defaults is its body
        # on bare arrays (in a rule) the kernel is all that happens
        self.direct = (
            family in ("general", "view", "nondiff") and bool(self.arrays) and not signature.has_lists
        )
        self.light = family in ("elementwise", "general", "nondiff") and self.arrays == (0,)
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
        self.inputs = [(i, rules.get(self.signature.parameters[i].name)) for i in self.arrays]
        self.short = None
        if (
            len(self.inputs) == 1
            and shared is None
            and not self.signature.has_lists
            and self.family != "fused"
        ):
            i, rule = self.inputs[0]
            if type(rule) is Rule or (self.factor and type(rule) is int):
                self.short = (rule, i)
        if len(self.inputs) == 2:
            first, second = [
                {j for kind, j in r.arguments if kind == "arg"} if isinstance(r, Rule) else set()
                for _, r in self.inputs
            ]
            a, b = self.arrays
            self.keep_a_for_a, self.keep_b_for_a = a in first, b in first
            self.keep_a_for_b, self.keep_b_for_b = a in second, b in second

    def saves(self, node: Node) -> bool:
        """Whether freeing the node's arrays makes another backward impossible."""
        if not self.saved and self.family != "fused":
            return node.y is not None
        return node.y is not None or any(
            type(a) is Value or (i in self.arrays and a is not None) for i, a in enumerate(node.args)
        )
