"""Optimizers: PyTorch's update rules, on preallocated buffers.

Provided:  sgd adam adamw rmsprop adagrad adadelta nadam   PyTorch's arguments and defaults (`lbfgs` is in
           lbfgs.py, schedules and clipping are in schedules.py)
           Optimizer   `.step() .zero_grad() .lr`, `.snapshot()` and `.restore()` for failed turns
           Recipe      an optimizer without parameters, `adam(lr=0.05)`; `.bind(parameters)` makes it one

Each rule runs PyTorch's operations in PyTorch's order, so trajectories agree step for step.
"""

from __future__ import annotations

import math
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
from vardsl.lang.rows import Changed, Row, members_of

Tensors = Any
State = dict[str, Any]

_sqrt, _mul, _add, _sub, _div = np.sqrt, np.multiply, np.add, np.subtract, np.divide


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
        self.scratch: list[tuple[Array, Array]] = [
            (np.empty_like(p.array, order="C"), np.empty_like(p.array, order="C")) for p in self.params
        ]

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
        self.options["lr"] = _not_negative("learning rate", number(lr, "lr"))

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
            if row is None or k not in row.ks:
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
        t = self.scratch[k][1]
        _mul(p, decay, t)
        return _add(g, t, self.buffer(k, "decayed", p))

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


def _not_negative(what: str, x: float) -> float:
    if not x >= 0:
        raise ScriptValueError(f"Invalid {what}: {x}")
    return x


def _pair(betas: Any) -> tuple[float, float]:
    values = betas.tolist() if type(betas) is Value else betas
    if not isinstance(values, (tuple, list)) or len(values) != 2:
        raise ScriptTypeError("betas must be a pair of numbers: (0.9, 0.999)")
    pair = tuple(number(b, f"betas[{i}]") for i, b in enumerate(values))
    for i, b in enumerate(pair):
        if not 0.0 <= b < 1.0:
            raise ScriptValueError(f"Invalid beta parameter at index {i}: {b}")
    return pair[0], pair[1]


def _lerp(a: Array, g: Array, weight: float, t: Array) -> None:
    """a += weight · (g - a), in the form that is exact at the nearer end."""
    _sub(g, a, t)
    if weight < 0.5:
        _mul(t, weight, t)
        _add(a, t, a)
    else:
        _mul(t, 1 - weight, t)
        _sub(g, t, a)


def _square_into(a: Array, g: Array, rho: float, t: Array) -> None:
    """a = rho · a + (1 - rho) · g²."""
    _mul(a, rho, a)
    _mul(g, 1 - rho, t)
    _mul(t, g, t)
    _add(a, t, a)


def _add_quotient(p: Array, a: Array, b: Array, value: float, t: Array) -> None:
    """p += value · a / b."""
    _mul(a, value, t)
    _div(t, b, t)
    _add(p, t, p)


class Sgd(Optimizer):
    name = "sgd"

    def update(self, k: int, p: Array, g: Array) -> None:
        o = self.options
        t = self.scratch[k][0]
        g = self.decayed(k, p, g)
        momentum = o["momentum"]
        if momentum != 0:
            g = self._momentum(k, g, momentum, t)
        _mul(g, -o["lr"], t)
        _add(p, t, p)

    def _momentum(self, k: int, g: Array, momentum: float, t: Array) -> Array:
        buf = self.state[k].get("momentum_buffer")
        if buf is None:
            buf = self.state[k]["momentum_buffer"] = g.copy()
        else:
            _mul(buf, momentum, buf)
            _mul(g, 1 - self.options["dampening"], t)
            _add(buf, t, buf)
        if not self.options["nesterov"]:
            return buf
        _mul(buf, momentum, t)
        return _add(g, t, t)


class Adam(Optimizer):
    name = "adam"
    decoupled = False

    def update(self, k: int, p: Array, g: Array) -> None:
        o = self.options
        t, denom = self.scratch[k]
        n = self.count(k)
        lr, (beta1, beta2) = o["lr"], o["betas"]
        if self.decoupled:
            if o["weight_decay"] != 0:
                _mul(p, 1 - lr * o["weight_decay"], p)
        else:
            g = self.decayed(k, p, g)
        mean, square = self.buffer(k, "exp_avg", p), self.buffer(k, "exp_avg_sq", p)
        _lerp(mean, g, 1 - beta1, t)
        _square_into(square, g, beta2, t)
        if o["amsgrad"]:
            largest = self.buffer(k, "max_exp_avg_sq", p)
            np.maximum(largest, square, out=largest)
            square = largest
        _sqrt(square, denom)
        _div(denom, math.sqrt(1 - beta2**n), denom)
        _add(denom, o["eps"], denom)
        _add_quotient(p, mean, denom, -(lr / (1 - beta1**n)), t)


class AdamW(Adam):
    name = "adamw"
    decoupled = True


class NAdam(Optimizer):
    name = "nadam"

    def update(self, k: int, p: Array, g: Array) -> None:
        o = self.options
        t, denom = self.scratch[k]
        n = self.count(k)
        lr, (beta1, beta2), decay = o["lr"], o["betas"], o["momentum_decay"]
        if o["decoupled_weight_decay"]:
            if o["weight_decay"] != 0:
                _mul(p, 1 - lr * o["weight_decay"], p)
        else:
            g = self.decayed(k, p, g)
        mu = beta1 * (1 - 0.5 * 0.96 ** (n * decay))
        mu_next = beta1 * (1 - 0.5 * 0.96 ** ((n + 1) * decay))
        # PyTorch keeps this product in a float32 tensor, whatever the parameter's dtype
        product = self.state[k]["mu_product"] = np.float32(
            self.state[k].get("mu_product", np.float32(1)) * mu
        )
        mean, square = self.buffer(k, "exp_avg", p), self.buffer(k, "exp_avg_sq", p)
        _lerp(mean, g, 1 - beta1, t)
        _square_into(square, g, beta2, t)
        _div(square, 1 - beta2**n, denom)
        _sqrt(denom, denom)
        _add(denom, o["eps"], denom)
        _add_quotient(p, g, denom, -lr * (1 - mu) / (1 - float(product)), t)
        _add_quotient(p, mean, denom, -lr * mu_next / (1 - float(product) * mu_next), t)


class RMSprop(Optimizer):
    name = "rmsprop"

    def update(self, k: int, p: Array, g: Array) -> None:
        o = self.options
        t, avg = self.scratch[k]
        alpha = o["alpha"]
        g = self.decayed(k, p, g)
        square = self.buffer(k, "square_avg", p)
        _square_into(square, g, alpha, t)
        if o["centered"]:
            mean = self.buffer(k, "grad_avg", p)
            _lerp(mean, g, 1 - alpha, t)
            _mul(mean, -1, t)
            _mul(t, mean, t)
            _add(square, t, avg)
            _sqrt(avg, avg)
        else:
            _sqrt(square, avg)
        _add(avg, o["eps"], avg)
        if o["momentum"] > 0:
            buf = self.buffer(k, "momentum_buffer", p)
            _mul(buf, o["momentum"], buf)
            _add_quotient(buf, g, avg, 1.0, t)
            _mul(buf, -o["lr"], t)
            _add(p, t, p)
        else:
            _add_quotient(p, g, avg, -o["lr"], t)


class Adagrad(Optimizer):
    name = "adagrad"

    def update(self, k: int, p: Array, g: Array) -> None:
        o = self.options
        t, std = self.scratch[k]
        n = self.count(k)
        g = self.decayed(k, p, g)
        rate = o["lr"] / (1 + (n - 1) * o["lr_decay"])
        total = self.buffer(k, "sum", p, o["initial_accumulator_value"])
        _mul(g, g, t)
        _add(total, t, total)
        _sqrt(total, std)
        _add(std, o["eps"], std)
        _add_quotient(p, g, std, -rate, t)


class Adadelta(Optimizer):
    name = "adadelta"

    def update(self, k: int, p: Array, g: Array) -> None:
        o = self.options
        t, delta = self.scratch[k]
        rho, eps = o["rho"], o["eps"]
        g = self.decayed(k, p, g)
        square, moved = self.buffer(k, "square_avg", p), self.buffer(k, "acc_delta", p)
        _square_into(square, g, rho, t)
        _add(square, eps, t)
        _sqrt(t, t)
        _add(moved, eps, delta)
        _sqrt(delta, delta)
        _div(delta, t, delta)
        _mul(delta, g, delta)
        _square_into(moved, delta, rho, t)
        _mul(delta, -o["lr"], t)
        _add(p, t, p)


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


def _checked(lr: Any, weight_decay: Any, **others: Any) -> dict[str, Any]:
    """Options that may not be negative, under the names in PyTorch's sentences."""
    options = {"lr": _not_negative("learning rate", number(lr, "lr"))}
    for name, (what, x) in others.items():
        options[name] = _not_negative(what, number(x, name))
    options["weight_decay"] = _not_negative("weight_decay value", number(weight_decay, "weight_decay"))
    return options


def sgd(
    params: Tensors = None,
    lr: float = 1e-3,
    momentum: float = 0,
    dampening: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
    *,
    maximize: bool = False,
) -> Any:
    """Stochastic gradient descent, with momentum if wished: w -= lr · (momentum · v + gradient)."""
    options = _checked(lr, weight_decay, momentum=("momentum value", momentum))
    options |= {"dampening": number(dampening, "dampening"), "nesterov": nesterov, "maximize": maximize}
    if nesterov and (options["momentum"] <= 0 or options["dampening"] != 0):
        raise ScriptValueError("Nesterov momentum requires a momentum and zero dampening")
    return made(Sgd, params, options)


def adam(
    params: Tensors = None,
    lr: float = 1e-3,
    betas: Any = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
) -> Any:
    """Adam: steps scaled by running means of the gradient and of its square."""
    options = _checked(lr, weight_decay, eps=("epsilon value", eps))
    return made(Adam, params, options | {"betas": _pair(betas), "amsgrad": amsgrad, "maximize": maximize})


def adamw(
    params: Tensors = None,
    lr: float = 1e-3,
    betas: Any = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
) -> Any:
    """Adam with a weight decay that does not go through the running means."""
    options = _checked(lr, weight_decay, eps=("epsilon value", eps))
    return made(AdamW, params, options | {"betas": _pair(betas), "amsgrad": amsgrad, "maximize": maximize})


def nadam(
    params: Tensors = None,
    lr: float = 2e-3,
    betas: Any = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
    *,
    maximize: bool = False,
) -> Any:
    """Adam with Nesterov momentum."""
    options = _checked(
        lr, weight_decay, eps=("epsilon value", eps), momentum_decay=("momentum_decay value", momentum_decay)
    )
    options |= {"betas": _pair(betas), "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
    return made(NAdam, params, options)


def rmsprop(
    params: Tensors = None,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0,
    momentum: float = 0,
    centered: bool = False,
    *,
    maximize: bool = False,
) -> Any:
    """Steps divided by the root of a running mean of squared gradients."""
    options = _checked(
        lr,
        weight_decay,
        eps=("epsilon value", eps),
        momentum=("momentum value", momentum),
        alpha=("alpha value", alpha),
    )
    return made(RMSprop, params, options | {"centered": centered, "maximize": maximize})


def adagrad(
    params: Tensors = None,
    lr: float = 1e-2,
    lr_decay: float = 0,
    weight_decay: float = 0,
    initial_accumulator_value: float = 0,
    eps: float = 1e-10,
    *,
    maximize: bool = False,
) -> Any:
    """Steps divided by the root of the sum of all squared gradients."""
    options = _checked(
        lr,
        weight_decay,
        lr_decay=("lr_decay value", lr_decay),
        initial_accumulator_value=("initial_accumulator_value value", initial_accumulator_value),
        eps=("epsilon value", eps),
    )
    return made(Adagrad, params, options | {"maximize": maximize})


def adadelta(
    params: Tensors = None,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0,
    *,
    maximize: bool = False,
) -> Any:
    """Steps in proportion to a running mean of the steps before."""
    options = _checked(lr, weight_decay, eps=("epsilon value", eps), rho=("rho value", rho))
    if options["rho"] > 1:
        raise ScriptValueError(f"Invalid rho value: {rho}")
    return made(Adadelta, params, options | {"maximize": maximize})
