"""`:tutorial`: eight steps of a minute each; a step is passed when the session holds what it asked for.

The statements of each step, with their output, are also a golden script in `examples/tutorial/`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vardsl.apps.repl.conversation import Conversation
from vardsl.apps.repl.pages import Entry
from vardsl.engine.value import Value
from vardsl.lang import members


@dataclass(frozen=True, slots=True)
class Step:
    """A lesson: what it tells, what to type, and whether the names and what was typed fulfil it."""

    title: str
    text: str
    example: str
    done: Callable[[dict[str, Any], Entry], bool]


def _array(names: dict[str, Any], name: str) -> np.ndarray[Any, Any] | None:
    value = names.get(name)
    return value.array if type(value) is Value else None


def _near(names: dict[str, Any], name: str, wanted: object, tolerance: float = 1e-3) -> bool:
    a = _array(names, name)
    b = np.asarray(wanted)
    return a is not None and a.shape == b.shape and bool(np.allclose(a, b, atol=tolerance))


def _a_tensor(names: dict[str, Any], entry: Entry) -> bool:
    return _near(names, "x", [[1, 2], [3, 4]])


def _arithmetic(names: dict[str, Any], entry: Entry) -> bool:
    return _near(names, "y", [[2, 8], [18, 32]])


def _a_variable(names: dict[str, Any], entry: Entry) -> bool:
    v = names.get("v")
    return _near(names, "v", [[1, 2], [3, 4]]) and v.requires_grad and v.is_leaf  # type: ignore[union-attr]


def _a_graph(names: dict[str, Any], entry: Entry) -> bool:
    out = names.get("out")
    return type(out) is Value and out.node is not None and out.array.size == 1


def _backward(names: dict[str, Any], entry: Entry) -> bool:
    v = names.get("v")
    return type(v) is Value and v._grad is not None and v._grad.array.shape == (2, 2)


def _functions(names: dict[str, Any], entry: Entry) -> bool:
    if members.type_word(names.get("f")) != "function":
        return False
    return (entry.value or "").strip() in ("12.0", "tensor(12.)")


def _by_hand(names: dict[str, Any], entry: Entry) -> bool:
    return _near(names, "w", 3.0, 0.05)


def _minimize(names: dict[str, Any], entry: Entry) -> bool:
    return _near(names, "a", 2.0, 0.1) and _near(names, "b", -1.0, 0.1)


STEPS: tuple[Step, ...] = (
    Step(
        "A tensor",
        """Brackets make a tensor: rows of numbers. Give it the name x. (A name alone shows its value: x)""",
        "let x = [[1, 2], [3, 4]]",
        _a_tensor,
    ),
    Step(
        "Arithmetic",
        """Operators go element by element; ** is the power, @ the matrix product. sum, mean and hundreds more
        are functions: ?mean tells about one. Let y be twice the squares of x.""",
        "let y = 2 * x**2",
        _arithmetic,
    ),
    Step(
        "A variable",
        """A variable with grad remembers what is computed from it. Make one, v, with the same numbers.""",
        "let v = var [[1, 2], [3, 4]] grad",
        _a_variable,
    ),
    Step(
        "A graph",
        """Everything computed from v knows how. Let out be the mean of v*v, and look at it: grad_fn says what
        made it.""",
        "out = mean(v*v)",
        _a_graph,
    ),
    Step(
        "Backward",
        """backward goes through the graph from out to v, and leaves the derivative of out for each element in
        v.grad. Afterwards look at v.grad.""",
        "backward out",
        _backward,
    ),
    Step(
        "Functions, and derivatives of them",
        """fn defines a function; grad(f) is the function that computes its derivative, and grad(grad(f)) the
        second. Define f(x) = x**3, then show f'(2) with grad(f)(2.0).""",
        "fn f(x) = x**3; grad(f)(2.0)",
        _functions,
    ),
    Step(
        "Training by hand",
        """Walk downhill: compute a loss, go backward, step against the gradient. update changes a variable
        outside the graph, zero_grad forgets the old gradient. Find the w that makes (w - 3)**2 least.""",
        """let w = var 0.0 grad
for i in range(50) {
  zero_grad w
  backward (w - 3)**2
  update w -= 0.1 * w.grad
}""",
        _by_hand,
    ),
    Step(
        "minimize",
        """That loop is a statement of its own. Fit the line a*t + b to points on 2*t - 1: a and b will be
        found.""",
        """let t = linspace(-1, 1, 20)
let a = var 0.0 grad; let b = var 0.0 grad
minimize mean((a*t + b - (2*t - 1))**2) over a, b using adam(lr=0.1) steps 300""",
        _minimize,
    ),
)
END = "That was all: :help lists the commands, ?NAME tells about a name, :save keeps the session."


class Tutorial:
    """A tutorial that is going on: it watches what runs."""

    def __init__(self, c: Conversation) -> None:
        self.c = c
        self.at = 0

    def show(self) -> None:
        """The step that is due."""
        step = STEPS[self.at]
        self.c.out("")
        self.c.out(f"Step {self.at + 1} of {len(STEPS)}: {step.title}")
        self.c.out(textwrap.fill(" ".join(step.text.split()), width=78))
        self.c.out("")
        self.c.out(textwrap.indent(step.example, "    "))
        self.c.out("")
        if self.at == 0:
            self.c.out("(:tutorial skip goes on, :tutorial stop ends, :tutorial shows the step again)")

    def watch(self, entry: Entry) -> None:
        """After each statement: on to the next step where this one is done."""
        if entry.ok and STEPS[self.at].done(self.c.session.names(), entry):
            self.c.out("✓ that is it.")
            self.skip()

    def skip(self) -> None:
        """Goes on to the next step, or ends."""
        self.at += 1
        if self.at < len(STEPS):
            self.show()
        else:
            self.c.out(END)
            self.stop()

    def stop(self) -> None:
        """Ends it."""
        self.c.watchers[:] = [w for w in self.c.watchers if w != self.watch]
        self.c.tutorial = None


def begin(c: Conversation, argument: str) -> None:
    """`:tutorial [skip | stop | N]`"""
    going: Tutorial | None = c.tutorial
    if argument == "stop":
        if going is not None:
            going.stop()
        return
    if argument == "skip" and going is not None:
        going.skip()
        return
    if going is None:
        going = c.tutorial = Tutorial(c)
        c.watchers.append(going.watch)
    if argument.isdecimal() and 1 <= int(argument) <= len(STEPS):
        going.at = int(argument) - 1
    going.show()
