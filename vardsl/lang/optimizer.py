"""What all optimizers are: parameters with the state of an update rule, and optimizers without parameters.

Provided:  Optimizer   `.step() .zero_grad() .lr`, `.snapshot()` and `.restore()` for failed turns
           Recipe      an optimizer without parameters, `adam(lr=0.05)`; `.bind(parameters)` makes it one
           made        the one or the other
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from vardsl.engine.context import state, unfollowed
from vardsl.engine.dtypes import Array
from vardsl.engine.inplace import bump
from vardsl.engine.value import Value
from vardsl.errors import GradError, ScriptTypeError, ScriptValueError
from vardsl.lang.members import Bound, unknown
from vardsl.lang.parts import in_parts, update_in_parts
from vardsl.lang.rows import Changed, Row, members_of

Tensors = Any
State = dict[str, Any]


class Optimizer:
    """Parameters with the state of an update rule.

    A rule is `update(k, p, g)`: it changes the array `p` of parameter k, whose gradient is the array `g`.
    """

    name = ""
    WORDS = "an optimizer"
    METHODS = ("step", "zero_grad")

    def __init__(self, params: Any, options: dict[str, Any]) -> None:
        self.params = parameters(params)
        self.options = options
        self.state: list[State] = [{} for _ in self.params]
        self.row: Row | None = None
        self.scratch: list[Any] = [None] * len(self.params)  # two arrays like the parameter, once needed

    def __repr__(self) -> str:
        return f"<{self.name} lr={self.lr:g}>"

    def followed(self) -> list[Callable[[], Value]]:
        """What a recording of a run finds in it: its parameters."""
        return [partial(_itself, p) for p in self.params]

    @property
    def lr(self) -> float:
        return float(self.options["lr"])

    @lr.setter
    def lr(self, lr: Any) -> None:
        self.options["lr"] = not_negative("learning rate", number(lr, "lr"))

    def script_members(self, name: str) -> Any:
        """`opt.step`, `opt.zero_grad`, `opt.lr`, `opt.params`."""
        if name == "lr":
            unfollowed("a learning rate is looked at")
            return self.lr
        if name == "params":
            return tuple(self.params)
        if name not in self.METHODS:
            raise unknown(self, name, (*self.METHODS, "lr", "params"))
        return Bound(self, name, Optimizer.zero_grad if name == "zero_grad" else type(self).step)

    def assign_member(self, name: str, value: Any) -> None:
        """`opt.lr = …`"""
        if name != "lr":
            raise ScriptTypeError(f".{name} of an optimizer cannot be assigned", hint="lr can")
        unfollowed("a learning rate is changed")
        self.lr = value

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Sets the gradients of the parameters to none, or to zeros."""
        journal = state.ctx.journal
        tracer = state.ctx.tracer
        if not set_to_none:
            unfollowed("gradients are set to zeros")
        for p in self.params:
            if journal is not None:
                journal.append(_undo_grad(p, p._grad))
            p._grad = None if set_to_none or p._grad is None else Value(np.zeros_like(p.array))
            if tracer is not None and set_to_none:
                tracer.cleared(p)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient; gives the value of `closure` where there is one."""
        loss = closure() if closure is not None else None
        journal = state.ctx.journal
        if journal is not None:
            journal.append(self.undo())
        self.apply()
        return loss

    def apply(self) -> None:
        """One update of all parameters. Nothing in here can fail or be interrupted halfway."""
        ctx = state.ctx
        if ctx.savepoint is not None:
            self.tell(ctx.savepoint)
        changed = [(k, p, p._grad) for k, p in enumerate(self.params) if p._grad is not None]
        if ctx.tracer is not None:
            ctx.tracer.update(self, changed)
        with np.errstate(all="ignore"):
            self.change([(k, p.array, g.array) for k, p, g in changed])
        for _, p, _ in changed:
            bump(p)

    def change(self, changed: Changed) -> None:
        """Changes arrays of parameters, each given with its number and its gradient; small ones in a row."""
        members = members_of(changed)
        row = self._row_of(members)
        maximize = self.options.get("maximize", False)
        if row is not None:
            row.fill(members)
            if maximize:
                np.negative(row.grads, out=row.grads)
            self.update(len(self.params), row.values, row.grads)
            row.put(members)
        for k, p, g in changed:
            if row is not None and k in row.ks:
                continue
            if in_parts(p, g):
                update_in_parts(self, k, p, g, maximize)
            else:
                if self.scratch[k] is None:
                    self.scratch[k] = np.empty_like(p, order="C"), np.empty_like(p, order="C")
                self.update(k, p, np.negative(g) if maximize else g)

    def _row_of(self, members: Changed) -> Row | None:
        """The row of these parameters, with their state in it; None where they have not come equally far."""
        row = self.row
        if row is not None and row.fits(members):
            return row
        self._leave_row()
        if not members:
            return None
        row = Row(members)
        if not row.gather(self.state):
            return None
        row.hand_out(self.state)
        self.row = row
        self.state.append(row.state)
        self.scratch.append(row.scratch)
        return row

    def _leave_row(self) -> None:
        """Lets the parameters have their state each for itself."""
        if self.row is not None:
            self.row.hand_out(self.state)
            del self.state[len(self.params) :], self.scratch[len(self.params) :]
            self.row = None

    def tell(self, savepoint: Any) -> None:
        """Lets a savepoint keep what a step changes."""
        savepoint.keep_changer(self)
        for p in self.params:
            savepoint.keep(p.array)

    def update(self, k: int, p: Array, g: Array) -> None:
        raise NotImplementedError

    def decayed(self, k: int, p: Array, g: Array) -> Array:
        """The gradient with the penalty `weight_decay`/2 · |p|² in it, in a buffer of its own."""
        decay = self.options["weight_decay"]
        if decay == 0:
            return g
        t: Array = self.scratch[k][1]
        np.multiply(p, decay, t)
        return np.add(g, t, self.buffer(k, "decayed", p))

    def buffer(self, k: int, name: str, p: Array, fill: float = 0.0) -> Array:
        """An array of state like `p`, made on first use."""
        found = self.state[k].get(name)
        if found is None:
            found = self.state[k][name] = np.full(p.shape, fill, p.dtype)
        return found

    def count(self, k: int) -> int:
        """The number of this update of parameter k, from 1."""
        n: int = self.state[k].get("step", 0) + 1
        self.state[k]["step"] = n
        return n

    def snapshot(self) -> Any:
        """Copies of everything that a step changes."""
        if self.row is not None:
            self.row.hand_out(self.state)
        values = [(p.array.copy(), p.version) for p in self.params]
        return values, [_copied(s) for s in self.state[: len(self.params)]], dict(self.options)

    def restore(self, snapshot: Any) -> None:
        """Takes values, versions and state back to a snapshot."""
        values, states, options = snapshot
        for p, (a, version) in zip(self.params, values, strict=True):
            np.copyto(p.array, a)
            if p.vc is not None:
                p.vc[0] = version
        self.row = None
        del self.scratch[len(self.params) :]
        self.state = [_copied(s) for s in states]
        self.options = dict(options)

    def undo(self) -> Callable[[], None]:
        """A function that takes back what happens from now on."""
        before = self.snapshot()
        return lambda: self.restore(before)


def _copied(s: State) -> State:
    return {k: _copy(v) for k, v in s.items()}


def _copy(v: Any) -> Any:
    if isinstance(v, np.ndarray):
        return v.copy()
    return [_copy(e) for e in v] if type(v) is list else v


def _itself(x: Value) -> Value:
    return x


def _undo_grad(p: Value, before: Value | None) -> Callable[[], None]:
    def undo() -> None:
        p._grad = before

    return undo


def parameters(params: Any) -> list[Value]:
    """The leaves that an optimizer shall change, from a tuple of tensors or a single one."""
    given = [params] if type(params) is Value else list(params) if isinstance(params, (tuple, list)) else None
    if given is None:
        raise ScriptTypeError(
            "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
            f"{type(params)}",
            hint="give the variables as a tuple, options by name: sgd((w, b), lr=0.1)",
        )
    flat: list[Value] = []
    for p in given:
        if isinstance(p, (tuple, list)):
            flat.extend(parameters(p))
            continue
        if type(p) is not Value:
            raise ScriptTypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p)}")
        if p.node is not None:
            raise GradError(
                "can't optimize a non-leaf Tensor",
                hint="parameters are variables: var … grad; several are given as a tuple: sgd((w, b))",
            )
        flat.append(p)
    if not flat:
        raise ScriptValueError("optimizer got an empty parameter list")
    if len({id(p) for p in flat}) != len(flat):
        raise ScriptValueError("some parameters appear in more than one parameter group")
    return flat


def number(x: Any, name: str) -> float:
    """A plain number from a number or a one-element tensor."""
    if type(x) is Value and x.array.size == 1:
        x = x.array.item()
    if not isinstance(x, (int, float)) or isinstance(x, bool):
        raise ScriptTypeError(f"{name} must be a number, not {type(x).__name__}")
    return x


def not_negative(what: str, x: float) -> float:
    """The number, or an error in PyTorch's words."""
    if not x >= 0:
        raise ScriptValueError(f"Invalid {what}: {x}")
    return x


class Recipe:
    """An optimizer that has no parameters yet; `minimize` binds it to the variables that it is over."""

    WORDS = "an optimizer without parameters"

    def __init__(self, name: str, make: Callable[[Any], Optimizer], lr: float) -> None:
        self.name = name
        self.make = make
        self.lr = lr

    def bind(self, params: Sequence[Value]) -> Optimizer:
        return self.make(tuple(params))

    def __repr__(self) -> str:
        return f"<{self.name} lr={self.lr:g}>"


def made(cls: type[Optimizer], params: Any, options: dict[str, Any]) -> Any:
    """The optimizer, or without parameters the recipe for one."""
    if params is None:
        return Recipe(cls.name, lambda given: cls(given, dict(options)), options["lr"])
    return cls(params, options)
