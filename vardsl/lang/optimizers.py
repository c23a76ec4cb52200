"""Update rules: PyTorch's optimizers, on preallocated buffers.

Provided:  sgd adam adamw rmsprop adagrad adadelta nadam   PyTorch's arguments and defaults (`lbfgs` is in
           lbfgs.py, schedules and clipping are in schedules.py)

Each rule runs PyTorch's operations in PyTorch's order, so trajectories agree step for step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vardsl.engine.dtypes import Array
from vardsl.engine.value import Value
from vardsl.errors import ScriptTypeError, ScriptValueError
from vardsl.lang.optimizer import Optimizer, Tensors, made, not_negative, number

_sqrt, _mul, _add, _sub, _div = np.sqrt, np.multiply, np.add, np.subtract, np.divide


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


def _pair(betas: Any) -> tuple[float, float]:
    values = betas.tolist() if type(betas) is Value else betas
    if not isinstance(values, (tuple, list)) or len(values) != 2:
        raise ScriptTypeError("betas must be a pair of numbers: (0.9, 0.999)")
    pair = tuple(number(b, f"betas[{i}]") for i, b in enumerate(values))
    for i, b in enumerate(pair):
        if not 0.0 <= b < 1.0:
            raise ScriptValueError(f"Invalid beta parameter at index {i}: {b}")
    return pair[0], pair[1]


def _checked(lr: Any, weight_decay: Any, **others: Any) -> dict[str, Any]:
    """Options that may not be negative, under the names in PyTorch's sentences."""
    options = {"lr": not_negative("learning rate", number(lr, "lr"))}
    for name, (what, x) in others.items():
        options[name] = not_negative(what, number(x, name))
    options["weight_decay"] = not_negative("weight_decay value", number(weight_decay, "weight_decay"))
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
