"""Code for one expression on operands of one kind: forward, and backward through all of its operations.

What an operation computes is its kernel, and what its backward does are its rules: those are called here, in
the order in which the graph would have called them, so that the bits are the same. What falls away is asking:
which operands there are and what they are like is settled by one condition at the beginning, what a rule
needs was found when the expression was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from vardsl.engine.bundle import EXPRESSION, Bundle, Form, Leaf, Made, Template
from vardsl.engine.casting import SCALARS
from vardsl.engine.context import state
from vardsl.engine.cotangents import Unbroadcast, spread, times, unbroadcast
from vardsl.engine.node import Like, next_sequence
from vardsl.engine.rule import NotImplementedRule, Rule
from vardsl.engine.tiles import add_columns
from vardsl.engine.value import Value, shared_counter

NONE, LEAF, NODE = "none", "leaf", "node"
"""How an operand takes part in the graph: not, as a leaf, or as the result of a node."""
FREE = "free"
"""Stands for an operand that may be any real number."""

Key = tuple[Any, ...]


class Unfit(Exception):
    """The expression cannot be put into such code; the argument says why."""


class Text:
    """Lines of code, and the objects that they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}
        self._known: dict[int, str] = {}

    def __call__(self, line: str, depth: int = 1) -> None:
        self.lines.append("    " * depth + line)

    def name(self, x: Any, stem: str = "c") -> str:
        """How the code calls an object."""
        name = self._known.get(id(x))
        if name is None:
            name = self._known[id(x)] = f"{stem}{len(self.names)}"
            self.names[name] = x
        return name

    def function(self, name: str, parameters: str) -> Callable[..., Any]:
        text = "\n".join([f"def {name}({parameters}):", *self.lines])
        exec(compile(text, EXPRESSION, "exec"), self.names)
        return self.names.pop(name)  # type: ignore[no-any-return]


# ---- forward -----------------------------------------------------------------------------------------------
class Call:
    """The function that computes an expression of operands of one kind.

    key       what operands are like
    grads     operands whose gradients are the last of those that `key` describes
    calls     kernels with their arguments, in which a `Leaf` or `Made` stands for an array
    recorded  whether the graph is on
    changes   whether the last call puts its result into the first operand's memory
    several   whether the last call has several results, of which the first is the expression's
    numbers   for operands that may be any number: the dtype that it gets
    builtins  names that the expression uses, unless the `space` has another value of such a name
    """

    def __init__(
        self,
        key: Key,
        grads: tuple[int, ...],
        calls: Sequence[Any],
        *,
        recorded: bool,
        changes: bool,
        several: bool,
        numbers: dict[int, Any],
        builtins: Sequence[str],
        space: dict[str, Any],
    ) -> None:
        self.key = key
        self.calls = calls
        self.recorded = recorded
        self.changes = changes
        self.several = several
        self.numbers = numbers
        self.builtins, self.space = builtins, space
        self.default_dtype = state.ctx.default_dtype
        n = len(key) - len(grads)
        self.names = [f"a{i}" for i in range(n)]
        self.grads = {n + k: f"(a{n + k} := a{i}._grad)" for k, i in enumerate(grads)}
        self.text = Text()
        self.ask(_unanswered)

    def function(self, form: Form | None) -> Callable[..., Any]:
        """It gives the value in a tuple, or None where the expression has to be evaluated as it stands."""
        text = self.text
        text("try:")
        text(f"fits = {self._condition()}", 2)
        text("if fits:", 2)
        for i, dtype in self.numbers.items():
            text(f"x{i} = {text.name(SCALARS[dtype].get)}(a{i})", 3)
            text(f"if x{i} is None:", 3)
            text(f"x{i} = {text.name(np.array)}(a{i}, {text.name(dtype)})", 4)
        for k, (kernel, *terms) in enumerate(self.calls):
            text(f"t{k} = {text.name(kernel)}({', '.join([_term(text, a) for a in terms])})", 3)
        text(f"except {text.name(Exception)}:")
        text("return None", 2)
        text("if not fits:")
        text(f"return missed({', '.join(self.names)})", 2)
        if self.changes:
            text("c = a0.vc")
            text("if c is None:")
            text(f"c = {text.name(shared_counter)}(a0)", 2)
            text("c[0] += 1")
            text("return (a0,)")
        else:
            text(f"v = {text.name(Value)}(t{len(self.calls) - 1}{'[0]' * self.several})")
            if form is not None:
                self._bundle(form)
            text("return (v,)")
        return text.function("call", ", ".join(self.names))

    def ask(self, missed: Callable[..., Any]) -> None:
        """From now on `missed` is asked about other operands."""
        self.text.names["missed"] = missed

    def _bundle(self, form: Form) -> None:
        """The lines that make the node."""
        text, key = self.text, self.key
        text(f"node = v._node = {text.name(object.__new__)}({text.name(Bundle)})")
        text("node.rare = None")
        text(f"node.seq = {text.name(next_sequence)}()")
        text(f"node.form = {text.name(form)}")
        entries = [f"a{i}" if key[i][3] is LEAF else f"e{i}" for i in form.edges]
        entries += [f"a{i}" for i in form.values] + [f"t{k}" for k in form.arrays]
        entries += [f"a{i}.vc[0] if a{i}.vc is not None else 0" for i in form.versions]
        text(f"node.kept = ({', '.join(entries)},)")

    def _condition(self) -> str:
        """Whether operands are as the key says, and nobody listens."""
        text = self.text
        asked = [f"(ctx := {text.name(state)}.ctx).tracer is None and not ctx.anomaly"]
        asked.append("ctx.grad_enabled" if self.recorded else "not ctx.grad_enabled")
        asked.append(f"ctx.default_dtype is {text.name(self.default_dtype)}")
        asked += [f"{name!r} not in {text.name(self.space)}" for name in self.builtins]
        if self.changes:
            asked.append("ctx.journal is None and ctx.savepoint is None")
        for i, (kind, *facts) in enumerate(self.key):
            if kind is FREE:
                asked.append(f"type(a{i}) is {text.name(float)}")
                continue
            if kind is not Value:
                asked.append(f"type(a{i}) is {text.name(kind)} and a{i} == {text.name(facts[0])}")
                continue
            shape, dtype, part, output = facts
            asked.append(f"type({self.grads.get(i, f'a{i}')}) is {text.name(Value)}")
            asked.append(f"(x{i} := a{i}.array).dtype is {text.name(dtype)} and x{i}.shape == {shape!r}")
            if not self.recorded:
                continue
            made = f"(e{i} := a{i}._node if a{i}.base is None else a{i}.node)"
            asked.append(f"{made} is {'not ' * (part is NODE)}None")
            index = f"a{i}.index == {output}" if output else f"not a{i}.index"
            asked.append(index if part is NODE else f"{'not ' * (part is NONE)}a{i}._requires")
        return " and ".join(asked)


def _unanswered(*operands: Any) -> None:
    return None


def _term(text: Text, a: Any) -> str:
    if type(a) is Leaf:
        return f"x{a.number}"
    if type(a) is list:
        return f"[{', '.join([_term(text, x) for x in a])}]"
    return _result(a) if type(a) is Made else text.name(a)


def _result(a: Made) -> str:
    return f"t{a.number}" if a.output < 0 else f"t{a.number}[{a.output}]"


# ---- backward ----------------------------------------------------------------------------------------------
class Backward:
    """The rules of all steps as one function of what bundles keep and the cotangent of the result."""

    def __init__(self, form: Form, parts: dict[int, str]) -> None:
        self.form = form
        self.parts = parts  # by operand: NONE, LEAF, NODE or FREE
        self.text = Text()
        # of results, by step and output: the name of a variable
        self.cotangents: dict[tuple[int, int], str] = {}
        self.full: set[str] = set()  # variables that have the shape of what they belong to
        # variables that others may know too: always (None), or where they are one of these
        self.shared: dict[str, list[str] | None] = {}
        self.sent: list[tuple[int, str]] = []  # what edges that are nodes receive, in order
        self.variables = 0

    def function(self) -> Callable[[Any, Any, Any], Any]:
        form, text = self.form, self.text
        names = [f"e{i}" for i in form.edges] + [f"a{i}" for i in form.values]
        names += [f"t{k}" for k in form.arrays] + [f"n{i}" for i in form.versions]
        text(f"{', '.join(names)}, = kept")
        for i in form.versions:
            v = f"a{i}" if i in form.values else f"e{i}"
            text(f"if ({v}.vc[0] if {v}.vc is not None else 0) != n{i}:")
            text("return None", 2)
        last = len(form.steps) - 1
        node = form.steps[last].node
        assert node is not None
        if node.shape:
            text(f"if g.shape != {node.shape!r}:")
            text(f"g = {text.name(spread)}(g, {node.shape!r})", 2)
        self.cotangents[last, -1 if node.outputs is None else 0] = "g"
        self.full.add("g")
        self.shared["g"] = None
        k = last
        while k >= 0:
            k -= self._step(k)
        form.nodes = tuple([form.edges.index(i) for i, _ in self.sent])
        if len(self.sent) == 1:
            form.chain = form.nodes[0]
            text(f"return {self.sent[0][1]}")
        else:
            text(f"return ({''.join(f'{r}, ' for _, r in self.sent)})")
        return text.function("pull", "kept, g, leaves")

    def _step(self, k: int) -> int:
        """What a step hands on; how many steps that were."""
        node = self.form.steps[k].node
        if node is None:
            return 1
        if node.outputs is not None:
            self._of_several(k, node, node.outputs)
            return 1
        g = self.cotangents.get((k, -1))
        if g is None:
            return 1
        if node.op.shared is not None:
            self._at_once(k, node, self._spread(g, Like(node.shape, node.dtype)))
            return 1
        if node.op.signature.has_lists:
            self._of_lists(k, node, self._spread(g, Like(node.shape, node.dtype)))
            return 1
        below = self._joined(k)
        if below is not None:
            return below
        edges = [(e, i) for e, i in zip(node.edges, node.op.arrays, strict=True) if e is not None]
        mirrored = node.op.mirrored and len(edges) == 2 and node.args[0] is node.args[1]
        made = ""
        for e, i in edges:
            made = made if mirrored and made else self._cotangent(k, node, g, i)
            if mirrored:
                self.shared[made] = None
            if made:
                self._send(e, made)
        return 1

    def _of_several(self, k: int, node: Template, outputs: tuple[Like, ...]) -> None:
        """A step with several results; zeros stand for the cotangents of those that nothing used."""
        given = [self.cotangents.get((k, j)) for j in range(len(outputs))]
        if not any(given):
            return
        zeros = self.text.name(np.zeros)
        full = []
        for g, like in zip(given, outputs):
            if g is None:
                full.append(f"{zeros}({like.shape!r}, {self.text.name(like.dtype)})")
            else:
                full.append(self._spread(g, like))
        g = self._variable()
        self.text(f"{g} = ({', '.join(full)},)")
        if node.op.shared is None:
            raise Unfit("a rule for each input of several results")
        self._at_once(k, node, g)

    def _of_lists(self, k: int, node: Template, g: str) -> None:
        """A step among whose inputs are lists of tensors: its rules give as many cotangents."""
        edges, text = list(node.edges), self.text
        for i, rule in node.op.inputs:
            likes = None if node.likes is None else node.likes[i]
            count = len(likes) if type(likes) is list else 1
            wanted, edges = edges[:count], edges[count:]
            if type(rule) is not Rule or not any(e is not None for e in wanted):
                continue
            every = self._variable()
            text(f"{every} = {self._called(k, node, g, rule)}")
            if count == 1:
                text(f"if type({every}) not in {text.name((tuple, list))}:")
                text(f"{every} = ({every},)", 2)
            self._send_all(wanted, every)

    def _at_once(self, k: int, node: Template, g: str) -> None:
        """A rule that gives the cotangents of all inputs."""
        text, every = self.text, self._variable()
        text(f"{every} = {self._called(k, node, g, node.op.shared)}")
        if len(node.edges) == 1:
            text(f"if type({every}) not in {text.name((tuple, list))}:")
            text(f"{every} = ({every},)", 2)
        self._send_all(node.edges, every)

    def _send_all(self, edges: Sequence[Any], every: str) -> None:
        """Sends the cotangents in a variable on."""
        for n, e in enumerate(edges):
            if e is not None:
                made = self._variable()
                self.text(f"{made} = {every}[{n}]")
                self.shared[made] = None
                self._send(e, made)

    def _spread(self, g: str, like: Like) -> str:
        """A cotangent at full size."""
        if g not in self.full and like.shape:
            self.text(f"if {g}.shape != {like.shape!r}:")
            self.text(f"{g} = {self.text.name(spread)}({g}, {like.shape!r})", 2)
            self.full.add(g)
        return g

    def _joined(self, k: int) -> int | None:
        """This step and the one below in one, where that is faster."""
        node, g = self.form.steps[k].node, self.cotangents[k, -1]
        assert node is not None
        onto = node.op.onto
        below = node.edges[0]
        if onto is None or type(below) is not Made or (below.number, below.output) != (k - 1, -1):
            return None
        if (k - 1, -1) in self.cotangents:
            return None
        under = self.form.steps[k - 1]
        if under.node is None or not onto.joins(under.op, under.args) or k - 1 not in self.form.arrays:
            return None
        others = [self._saved(k, a) for a in node.args[1:]]
        made = self._variable()
        rule = self.text.name(onto.rule, "rule")
        self.text(f"{made} = {rule}({', '.join([g, f't{k - 1}', *others])})")
        lines, full, shared = self.text.lines, set(self.full), dict(self.shared)
        mark = len(lines)
        r = self._cotangent(k, node, g, node.op.arrays[0])
        q = self._cotangent(k - 1, under.node, r, under.op.arrays[0])
        self.text(f"{made} = {q}")
        lines[mark:] = [f"    if {made} is None:", *["    " + line for line in lines[mark:]]]
        # what holds in there need not hold behind it
        self.full, self.shared = full, shared
        self.shared[made] = None
        self._send(under.node.edges[0], made)
        return 2

    def _variable(self) -> str:
        self.variables += 1
        return f"r{self.variables}"

    def _cotangent(self, k: int, node: Template, g: str, i: int) -> str:
        """Adds the lines that make the cotangent of the input that is parameter `i`; its variable."""
        op, text = node.op, self.text
        rule = op.rules.get(op.signature.parameters[i].name)
        if rule is None:
            return ""
        if type(rule) is NotImplementedRule:
            raise Unfit("a derivative is not implemented")
        like = None if node.likes is None else node.likes[i]
        if not op.factor or node.likes is not None:
            self._spread(g, Like(node.shape, node.dtype))
        if op.factor:
            made = self._times(k, node, g, rule)
        else:
            made = self._variable()
            text(f"{made} = {self._called(k, node, g, rule)}")
            # the rule may give what it was given
            self.shared[made] = [g, f"t{k}"] if rule.takes_y else [g]
            if type(rule) is not Unbroadcast:
                like = None
        return made if like is None else self._fitted(made, node, g, like)

    def _times(self, k: int, node: Template, g: str, rule: Any) -> str:
        """The cotangent times a local derivative."""
        text = self.text
        factor: Any = rule
        if type(rule) is Rule:
            kinds = [(kind, i) for kind, i in rule.arguments]
            static = all(kind == "arg" and not _varies(node.args[i]) for kind, i in kinds)
            factor = rule.fn(*[node.args[i] for _, i in kinds]) if static else None
        if type(factor) is int and factor == 1:
            self.shared[g] = None
            return g
        made = self._variable()
        if factor is None:
            assert type(rule) is Rule
            if rule.itself and self._is_number(node.args[rule.only]):
                text(f"{made} = {text.name(times)}({g}, {self._saved(k, node.args[rule.only])})")
            elif rule.itself:
                text(f"{made} = {g} * {self._saved(k, node.args[rule.only])}")
            else:
                text(f"f = {self._called(k, node, g, rule)}")
                text(f"{made} = {g} * f if type(f) is {text.name(ndarray)} else {text.name(times)}({g}, f)")
        elif type(factor) is int and factor == -1:
            text(f"{made} = -{g}")
        else:
            text(f"{made} = {text.name(times)}({g}, {text.name(factor)})")
        if g in self.full:
            self.full.add(made)
        return made

    def _fitted(self, made: str, node: Template, g: str, like: Like) -> str:
        """A cotangent at the size of its input."""
        text = self.text
        fit = self._variable()
        whole = made in self.full and len(node.shape) == 2 and node.shape[1:] == like.shape
        if whole and like.dtype is node.dtype:
            text(f"{fit} = {text.name(add_columns)}({made})")
        else:
            text(f"{fit} = {text.name(unbroadcast)}({made}, {text.name(like)})")
            if made in self.shared:
                self.shared[fit] = self.shared[made]
        self.full.add(fit)
        return fit

    def _called(self, k: int, node: Template, g: str, rule: Rule) -> str:
        """A rule's function with what it names."""
        given = []
        for kind, i in rule.arguments:
            if kind == "g":
                given.append(g)
            elif kind == "arg":
                given.append(self._saved(k, node.args[i]))
            elif kind == "y":
                given.append(f"t{k}")
            elif kind == "like":
                given.append(self.text.name(node.likes[i]))
            elif kind == "y_like":
                given.append(self.text.name(node.outputs or Like(node.shape, node.dtype)))
            else:
                given.append(repr(tuple(e is not None for e in node.edges)))
        return f"{self.text.name(rule.fn, 'rule')}({', '.join(given)})"

    def _is_number(self, a: Any) -> bool:
        return type(a) is Leaf and self.parts[a.number] is FREE

    def _saved(self, k: int, a: Any) -> str:
        if type(a) is Leaf and self.parts[a.number] is FREE:
            return f"a{a.number}"
        if type(a) is Leaf:
            return f"{'a' if a.number in self.form.values else 'e'}{a.number}.array"
        return _result(a) if type(a) is Made else self.text.name(a)

    def _send(self, target: Any, made: str) -> None:
        """Adds a cotangent to what its receiver has so far."""
        text = self.text
        if type(target) is Made:
            key = target.number, target.output
            before = self.cotangents.get(key)
            self.cotangents[key] = made if before is None else self._sum(before, made)
            return
        i = target.number
        if self.parts[i] == NODE:
            self.sent.append((i, made))  # its node may have received something already: each is added to that
            return
        text(f"if e{i} in leaves:")
        text(f"leaves[e{i}] = leaves[e{i}] + {made}", 2)
        text("else:")
        # what is passed on unchanged must not become two leaves' gradient
        known = self.shared.get(made, [])
        if known is None:
            made = f"+{made}"
        elif known:
            made = f"+{made} if {' or '.join(f'{made} is {x}' for x in known)} else {made}"
        text(f"leaves[e{i}] = {made}", 2)

    def _sum(self, before: str, made: str) -> str:
        both = self._variable()
        self.text(f"{both} = {before} + {made}")
        if before in self.full and made in self.full:
            self.full.add(both)
        return both


def _varies(a: Any) -> bool:
    return type(a) is Leaf or type(a) is Made
