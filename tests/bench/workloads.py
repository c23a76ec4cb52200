"""The workloads: data, vardsl's script, what comes out by NumPy alone, and the same work in the peers.

Each workload stands in a function that gives a `Work`; a peer's part is loaded only where the peer is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import vardsl
from tests.bench.measure import Variant

Maker = Callable[[], Iterator[Variant]]
f4, f8 = np.float32, np.float64


@dataclass
class Work:
    """A workload. `peers` makes the variants of each peer, `reference` the numbers that must come out."""

    name: str
    title: str
    reference: Callable[[], Sequence[Any]]
    tolerance: float = 2e-4
    peers: dict[str, Maker] = field(default_factory=dict)
    note: str = ""  # what a reader of its figures should know


def scripted(
    given: dict[str, Any], setup: str, turn: str, check: str, results: Sequence[str], units: float = 1
) -> Maker:
    """vardsl's variants, the default session and one without plans: `turn` is timed, and the `results` after
    `setup` and `check` must be right."""

    def make() -> Iterator[Variant]:
        for plan in (True, False):
            session = vardsl.Session(seed=0, plan=plan)
            for name, value in given.items():
                session[name] = value
            session.run(setup)

            def run(session: vardsl.Session = session) -> None:
                session.run(turn)

            def result(session: vardsl.Session = session) -> list[Any]:
                session.run(setup)
                session.run(check)
                return [plain(session.eval(r)) for r in results]

            yield Variant("vardsl", "plan" if plan else "eager", run, result, units)

    return make


def plain(x: Any) -> Any:
    return np.array(x.numpy()) if hasattr(x, "numpy") else x


PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def torch_threads(maker: Maker) -> Maker:
    """A peer's variants on one thread and on as many as there are."""

    def make() -> Iterator[Variant]:
        import torch

        for v in maker():
            for n in dict.fromkeys((1, PROCESSORS)):
                yield Variant(
                    v.peer, f"{v.name}, {n} thread{'s' if n > 1 else ''}", v.turn, v.result, v.units,
                    lambda n=n: torch.set_num_threads(n),
                )  # fmt: skip

    return make


def jax() -> Any:
    import jax as found

    found.config.update("jax_enable_x64", True)
    return found


# ---- a tiny step -------------------------------------------------------------------------------------------
def mean_of_squares() -> Work:
    v = np.array([[1, 2], [3, 4]], f4)
    step = "zero_grad v; out = mean(v * v); backward out"
    work = Work("W1", "mean(v*v) of a 2×2 and its gradient, in a loop", lambda: [(v * v).mean(), v / 2])
    work.peers["vardsl"] = scripted(
        {}, "let v = var [[1, 2], [3, 4]] grad", f"for i in range(2000) {{ {step} }}", step,
        ["out.item()", "v.grad"], 2000,
    )  # fmt: skip
    work.note = (
        "All turns of this loop give the same numbers; the planner notices, and computes them once for a stretch of "
        "turns. W2 and `huber` are small steps that change something."
    )

    def numpy() -> Iterator[Variant]:
        square, slope = np.empty_like(v), np.empty_like(v)
        quarter, half = np.array(0.25, f4), np.array(0.5, f4)

        def turn() -> Any:
            np.multiply(v, v, square)
            np.multiply(v, half, slope)
            return np.add.reduce(square, None) * quarter

        yield Variant("numpy", "by hand", turn, lambda: [turn(), slope])

    @torch_threads
    def torch() -> Iterator[Variant]:
        import torch

        x = torch.tensor(v, requires_grad=True)

        def turn() -> Any:
            x.grad = None
            out = (x * x).mean()
            out.backward()
            return out

        yield Variant("torch", "eager", turn, lambda: [turn().item(), x.grad.numpy()])

    def with_jax() -> Iterator[Variant]:
        j = jax()
        f, x = j.jit(j.value_and_grad(lambda a: j.numpy.mean(a * a))), j.numpy.asarray(v)
        yield Variant("jax", "jit", lambda: j.block_until_ready(f(x)), lambda: f(x))

    def autograd() -> Iterator[Variant]:
        import autograd

        f = autograd.value_and_grad(lambda a: autograd.numpy.mean(a * a))
        yield Variant("autograd", "eager", lambda: f(v), lambda: f(v))

    def mygrad() -> Iterator[Variant]:
        import mygrad

        x = mygrad.tensor(v)

        def turn() -> Any:
            out = mygrad.mean(x * x)
            out.backward()
            return out

        yield Variant("mygrad", "eager", turn, lambda: [turn().item(), x.grad])

    work.peers |= {"numpy": numpy, "torch": torch, "jax": with_jax, "autograd": autograd, "mygrad": mygrad}
    return work


# ---- a small network ---------------------------------------------------------------------------------------
def network() -> Work:
    rng = np.random.default_rng(1)
    x, classes = rng.standard_normal((32, 64)).astype(f4), rng.integers(0, 10, 32)
    start = [(0.1 * rng.standard_normal(s)).astype(f4) for s in [(64, 64), 64, (64, 64), 64, (64, 10), 10]]
    names, rate, checked = ["A", "a", "B", "b", "C", "c"], 0.05, 10
    step = (
        f"zero_grad {', '.join(names)}; loss = cross_entropy(tanh(tanh(x @ A + a) @ B + b) @ C + c, classes); "
        f"backward loss; no_grad {{ {'; '.join(f'{n} -= rate * {n}.grad' for n in names)} }}"
    )
    setup = "; ".join(f"let {n} = var {n}0 grad" for n in names) + "; let loss = 0.0"
    hand = _NetworkByHand(x, classes, start, rate)
    work = Work("W2", "SGD step of a network 64-64-64-10, batch of 32", lambda: hand.after(checked))
    work.peers["vardsl"] = scripted(
        {"x": x, "classes": classes, "rate": rate, **{n + "0": p for n, p in zip(names, start)}},
        setup, f"for i in range(500) {{ {step} }}", f"for i in range({checked}) {{ {step} }}",
        [f"{n}.data" for n in names], 500,
    )  # fmt: skip

    def numpy() -> Iterator[Variant]:
        yield Variant("numpy", "by hand", hand.turn, lambda: hand.after(checked))

    @torch_threads
    def torch() -> Iterator[Variant]:
        import torch

        xt, ct = torch.tensor(x), torch.tensor(classes)
        p = [torch.tensor(a, requires_grad=True) for a in start]

        def turn() -> None:
            h = torch.tanh(torch.addmm(p[1], xt, p[0]))
            h = torch.tanh(torch.addmm(p[3], h, p[2]))
            loss = torch.nn.functional.cross_entropy(torch.addmm(p[5], h, p[4]), ct)
            grads = torch.autograd.grad(loss, p)
            with torch.no_grad():
                torch._foreach_add_(p, grads, alpha=-rate)

        def result() -> Any:
            with torch.no_grad():
                for a, b in zip(p, start):
                    a.copy_(torch.tensor(b))
            for _ in range(checked):
                turn()
            return [a.detach().numpy().copy() for a in p]

        yield Variant("torch", "eager", turn, result)

    def with_jax() -> Iterator[Variant]:
        j = jax()
        n = j.numpy

        def loss(p: Any) -> Any:
            z = n.tanh(n.tanh(x @ p[0] + p[1]) @ p[2] + p[3]) @ p[4] + p[5]
            return -n.mean(j.nn.log_softmax(z)[n.arange(32), classes])

        f = j.jit(lambda p: [a - f4(rate) * g for a, g in zip(p, j.grad(loss)(p))])
        state = [[n.asarray(a) for a in start]]

        def turn() -> None:
            state[0] = j.block_until_ready(f(state[0]))

        def result() -> Any:
            p = [n.asarray(a) for a in start]
            for _ in range(checked):
                p = f(p)
            return p

        yield Variant("jax", "jit", turn, result)

    work.peers |= {"numpy": numpy, "torch": torch, "jax": with_jax}
    return work


class _NetworkByHand:
    """The network in NumPy with everything allocated beforehand, the parameters one after another in memory."""

    def __init__(self, x: Any, classes: Any, start: list[Any], rate: float) -> None:
        self.start = start
        size = sum(a.size for a in start)
        self.every, self.slopes = np.empty(size, f4), np.empty(size, f4)
        self.p, self.g = self._parts(self.every), self._parts(self.slopes)
        self.x, self.hot = x, np.zeros((32, 10), f4)
        self.hot[np.arange(32), classes] = 1
        self.h1, self.h2, self.t, self.u = (np.empty((32, 64), f4) for _ in range(4))
        self.z, self.m = np.empty((32, 10), f4), np.empty((32, 1), f4)
        self.one, self.share, self.rate = np.array(1, f4), np.array(1 / 32, f4), np.array(rate, f4)
        self.begin()

    def _parts(self, flat: Any) -> list[Any]:
        ends = np.cumsum([a.size for a in self.start])
        return [flat[e - a.size : e].reshape(a.shape) for a, e in zip(self.start, ends)]

    def begin(self) -> None:
        for p, a in zip(self.p, self.start):
            p[...] = a

    def after(self, turns: int) -> list[Any]:
        self.begin()
        for _ in range(turns):
            self.turn()
        return [p.copy() for p in self.p]

    def turn(self) -> None:
        dot, add, mul, sub, total = np.dot, np.add, np.multiply, np.subtract, np.add.reduce
        w1, b1, w2, b2, w3, b3 = self.p
        d1, e1, d2, e2, d3, e3 = self.g
        h1, h2, t, u, z, m = self.h1, self.h2, self.t, self.u, self.z, self.m
        np.tanh(add(dot(self.x, w1, h1), b1, h1), h1)
        np.tanh(add(dot(h1, w2, h2), b2, h2), h2)
        add(dot(h2, w3, z), b3, z)
        np.maximum.reduce(z, 1, None, m, True)
        np.exp(sub(z, m, z), z)
        np.divide(z, total(z, 1, None, m, True), z)
        mul(sub(z, self.hot, z), self.share, z)
        dot(h2.T, z, d3)
        total(z, 0, None, e3)
        dot(z, w3.T, u)
        mul(u, sub(self.one, mul(h2, h2, t), t), u)
        dot(h1.T, u, d2)
        total(u, 0, None, e2)
        dot(u, w2.T, t)
        mul(t, sub(self.one, mul(h1, h1, h2), h2), t)
        dot(self.x.T, t, d1)
        total(t, 0, None, e1)
        sub(self.every, mul(self.slopes, self.rate, self.slopes), self.every)


# ---- a scalar loop -----------------------------------------------------------------------------------------
def scalar_loop() -> Work:
    def loop(n: int) -> float:
        x = 0.0
        for _ in range(n):
            x = x * 1.0000001 + 0.5
            if x > 1000.0:
                x = x - 1000.0
        return x

    body = "x = 0.0; for i in range(%d) { x = x * 1.0000001 + 0.5; if x > 1000.0 { x = x - 1000.0 } }"
    work = Work("W3", "a million turns of a loop over a real number", lambda: [loop(2500)], 1e-9)
    work.peers["vardsl"] = scripted({}, "", body % 1_000_000, body % 2500, ["x"])

    def python() -> Iterator[Variant]:
        yield Variant("python", "for", lambda: loop(1_000_000), lambda: [loop(2500)])

    def torch() -> Iterator[Variant]:
        import torch

        def turns(n: int) -> float:
            with torch.no_grad():
                x = torch.zeros((), dtype=torch.float64)
                for _ in range(n):
                    x = x * 1.0000001 + 0.5
                    if x > 1000.0:
                        x = x - 1000.0
            return x.item()

        yield Variant("torch", "eager", lambda: turns(10_000), lambda: [turns(2500)], 0.01)

    work.peers |= {"python": python, "torch": torch}
    return work


# ---- a long elementwise chain ------------------------------------------------------------------------------
def chain(dtype: Any) -> Work:
    x = np.random.default_rng(2).standard_normal(10_000_000).astype(dtype)
    step = "zero_grad x; out = sum(tanh(x*x + 1) * exp(-x)); backward out; found = out.item()"
    kind = np.dtype(dtype).name
    block = 65_536 if dtype is f4 else 32_768
    slope = np.empty_like(x)
    spare = [np.empty(block, dtype) for _ in range(3)]

    def by_hand() -> float:
        total = 0.0
        for i in range(0, x.size, block):
            a, g = x[i : i + block], slope[i : i + block]
            t, e, y = (s[: a.size] for s in spare)
            np.tanh(np.add(np.multiply(a, a, t), 1, t), t)
            np.exp(np.negative(a, e), e)
            total += float(np.add.reduce(np.multiply(t, e, y)))
            np.subtract(1, np.multiply(t, t, t), t)
            for factor in (e, a, 2):
                np.multiply(t, factor, t)
            np.subtract(t, y, g)
        return total

    def reference() -> Sequence[Any]:
        a = x.astype(f8)
        t, e = np.tanh(a * a + 1), np.exp(-a)
        return [(t * e).sum(), (1 - t * t) * 2 * a * e - t * e]

    work = Work(
        "W4" if dtype is f4 else "W4d",
        f"sum(tanh(x*x + 1) * exp(-x)) of 10⁷ {kind} and its gradient",
        reference,
        2e-3,
    )
    work.peers["vardsl"] = scripted(
        {"x0": x}, f"let x = var x0 {kind} grad; let found = 0.0", step, step, ["found", "x.grad"]
    )

    def numpy() -> Iterator[Variant]:
        yield Variant("numpy", "by hand", by_hand, lambda: [by_hand(), slope.copy()])

    @torch_threads
    def torch() -> Iterator[Variant]:
        import torch

        xt = torch.tensor(x, requires_grad=True)

        def turn() -> Any:
            xt.grad = None
            out = (torch.tanh(xt * xt + 1) * torch.exp(-xt)).sum()
            out.backward()
            return out.item()

        yield Variant("torch", "eager", turn, lambda: [turn(), xt.grad.numpy().copy()])

    @torch_threads
    def compiled() -> Iterator[Variant]:
        import torch

        xt = torch.tensor(x, requires_grad=True)
        f = torch.compile(lambda a: (torch.tanh(a * a + 1) * torch.exp(-a)).sum())

        def turn() -> Any:
            xt.grad = None
            out = f(xt)
            out.backward()
            return out.item()

        yield Variant("torch.compile", "default", turn, lambda: [turn(), xt.grad.numpy().copy()])

    def with_jax() -> Iterator[Variant]:
        j = jax()
        n = j.numpy
        f, a = j.jit(j.value_and_grad(lambda a: n.sum(n.tanh(a * a + 1) * n.exp(-a)))), n.asarray(x)
        yield Variant("jax", "jit", lambda: j.block_until_ready(f(a)), lambda: f(a))

    work.peers |= {"numpy": numpy, "torch": torch, "torch.compile": compiled, "jax": with_jax}
    return work


# ---- rows --------------------------------------------------------------------------------------------------
def rows() -> Work:
    rng = np.random.default_rng(3)
    shape = (2000, 5000)
    x, t = rng.standard_normal(shape).astype(f4), rng.standard_normal(shape).astype(f4)
    scale, shift = (rng.standard_normal(5000).astype(f4) for _ in range(2))
    step = (
        "zero_grad x, scale, shift; "
        "out = sum(softmax(layer_norm(x, (5000,), scale, shift, 1e-5), dim=1) * t) / 2000; backward out; "
        "found = out.item()"
    )

    def reference() -> Sequence[Any]:
        a, w, goal = (v.astype(f8) for v in (x, scale, t))
        centred = a - a.mean(1, keepdims=True)
        r = 1 / np.sqrt((centred * centred).mean(1, keepdims=True) + 1e-5)
        standard = centred * r
        z = standard * w + shift
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        g = p * (goal - (p * goal).sum(1, keepdims=True)) / 2000
        h = g * w
        dx = (h - h.mean(1, keepdims=True) - standard * (h * standard).mean(1, keepdims=True)) * r
        return [(p * goal).sum() / 2000, dx, (g * standard).sum(0), g.sum(0)]

    work = Work("W5", "layer norm and softmax of 2000×5000 float32", reference, 1e-3)
    leaves = ["x", "scale", "shift"]
    work.peers["vardsl"] = scripted(
        {"x0": x, "scale0": scale, "shift0": shift, "t": t},
        "; ".join(f"let {n} = var {n}0 grad" for n in leaves) + "; let found = 0.0",
        step, step, ["found", *(f"{n}.grad" for n in leaves)],
    )  # fmt: skip

    @torch_threads
    def torch() -> Iterator[Variant]:
        import torch

        F = torch.nn.functional
        p = [torch.tensor(a, requires_grad=True) for a in (x, scale, shift)]
        goal = torch.tensor(t)

        def turn() -> Any:
            for a in p:
                a.grad = None
            out = (F.softmax(F.layer_norm(p[0], (5000,), p[1], p[2], 1e-5), 1) * goal).sum() / 2000
            out.backward()
            return out.item()

        yield Variant("torch", "eager", turn, lambda: [turn(), *(a.grad.numpy().copy() for a in p)])

    def with_jax() -> Iterator[Variant]:
        j = jax()
        n = j.numpy
        goal = n.asarray(t)

        def loss(p: Any) -> Any:
            c = p[0] - n.mean(p[0], 1, keepdims=True)
            z = c / n.sqrt(n.mean(c * c, 1, keepdims=True) + 1e-5) * p[1] + p[2]
            return n.sum(j.nn.softmax(z, 1) * goal) / 2000

        f, p = j.jit(j.value_and_grad(loss)), [n.asarray(a) for a in (x, scale, shift)]

        def result() -> Any:
            value, grads = f(p)
            return [value, *grads]

        yield Variant("jax", "jit", lambda: j.block_until_ready(f(p)), result)

    work.peers |= {"torch": torch, "jax": with_jax}
    return work


# ---- large matrices ----------------------------------------------------------------------------------------
def matrices() -> Work:
    rng = np.random.default_rng(4)
    x, t = (rng.standard_normal((512, 1024)).astype(f4) for _ in range(2))
    start = [(0.03 * rng.standard_normal(s)).astype(f4) for s in [(1024, 1024), 1024, (1024, 1024), 1024]]
    names = ["A", "a", "B", "b"]
    step = (
        f"zero_grad {', '.join(names)}; out = mse_loss(tanh(x @ A + a) @ B + b, t); backward out; "
        "found = out.item()"
    )

    def by_hand() -> Sequence[Any]:
        w1, b1, w2, b2 = start
        h = np.tanh(x @ w1 + b1)
        d = h @ w2 + b2 - t
        loss = float(np.vdot(d, d)) / d.size
        d *= f4(2 / d.size)
        back = d @ w2.T
        back *= 1 - h * h
        return [loss, x.T @ back, back.sum(0), h.T @ d, d.sum(0)]

    work = Work("W6", "two layers 512×1024×1024 with a squared error", by_hand, 1e-3)
    work.peers["vardsl"] = scripted(
        {"x": x, "t": t, **{n + "0": p for n, p in zip(names, start)}},
        "; ".join(f"let {n} = var {n}0 grad" for n in names) + "; let found = 0.0",
        step, step, ["found", *(f"{n}.grad" for n in names)],
    )  # fmt: skip

    def numpy() -> Iterator[Variant]:
        yield Variant("numpy", "by hand", by_hand, by_hand)

    @torch_threads
    def torch() -> Iterator[Variant]:
        import torch

        p = [torch.tensor(a, requires_grad=True) for a in start]
        xt, tt = torch.tensor(x), torch.tensor(t)

        def turn() -> Any:
            for a in p:
                a.grad = None
            h = torch.tanh(torch.addmm(p[1], xt, p[0]))
            out = torch.nn.functional.mse_loss(torch.addmm(p[3], h, p[2]), tt)
            out.backward()
            return out.item()

        yield Variant("torch", "eager", turn, lambda: [turn(), *(a.grad.numpy().copy() for a in p)])

    def with_jax() -> Iterator[Variant]:
        j = jax()
        n = j.numpy
        xt, tt, p = n.asarray(x), n.asarray(t), [n.asarray(a) for a in start]
        f = j.jit(j.value_and_grad(lambda p: n.mean((n.tanh(xt @ p[0] + p[1]) @ p[2] + p[3] - tt) ** 2)))

        def result() -> Any:
            value, grads = f(p)
            return [value, *grads]

        yield Variant("jax", "jit", lambda: j.block_until_ready(f(p)), result)

    work.peers |= {"numpy": numpy, "torch": torch, "jax": with_jax}
    return work


# ---- second derivatives ------------------------------------------------------------------------------------
def curvature(product: bool) -> Work:
    rng = np.random.default_rng(5)
    x, v = 1 + 0.1 * rng.standard_normal(100), rng.standard_normal(100)
    rosen = "fn rosen(x) = sum(100.0 * (x[1:] - x[:-1]**2)**2 + (1.0 - x[:-1])**2)"
    call = "hvp(rosen, x, v)[1]" if product else "hessian(rosen, x)"
    turns = 200 if product else 20

    def reference() -> Sequence[Any]:
        h = np.diag(-400 * x[:-1], 1) + np.diag(-400 * x[:-1], -1)
        inner = np.zeros(100)
        inner[:-1] += 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
        inner[1:] += 200
        h += np.diag(inner)
        return [h @ v if product else h]

    work = Work(
        "W8hvp" if product else "W8",
        f"{'Hessian-vector product' if product else 'Hessian'} of Rosenbrock's function, n = 100",
        reference,
        1e-9,
    )
    work.peers["vardsl"] = scripted(
        {"x": x, "v": v}, rosen + "; let H = 0", f"for i in range({turns}) {{ H = {call} }}", f"H = {call}",
        ["H"], turns,
    )  # fmt: skip

    @torch_threads
    def torch() -> Iterator[Variant]:
        import torch

        xt, vt = torch.tensor(x), torch.tensor(v)

        def f(a: Any) -> Any:
            return (100 * (a[1:] - a[:-1] ** 2) ** 2 + (1 - a[:-1]) ** 2).sum()

        functional = torch.autograd.functional

        def turn() -> Any:
            return functional.hvp(f, xt, vt)[1] if product else functional.hessian(f, xt)

        yield Variant("torch", "eager", turn, lambda: [turn().numpy()])

    def with_jax() -> Iterator[Variant]:
        j = jax()
        n = j.numpy

        def f(a: Any) -> Any:
            return n.sum(100 * (a[1:] - a[:-1] ** 2) ** 2 + (1 - a[:-1]) ** 2)

        a, b = n.asarray(x), n.asarray(v)
        g = j.jit((lambda a, b: j.jvp(j.grad(f), (a,), (b,))[1]) if product else (lambda a, b: j.hessian(f)(a)))
        yield Variant("jax", "jit", lambda: j.block_until_ready(g(a, b)), lambda: [g(a, b)])

    work.peers |= {"torch": torch, "jax": with_jax}
    return work


# ---- logistic regression -----------------------------------------------------------------------------------
def regression() -> Work:
    rng = np.random.default_rng(6)
    x = rng.standard_normal((100_000, 50))
    y = (x @ rng.standard_normal(50) + rng.standard_normal(100_000) > 0).astype(f8)
    turns, rate = 20, 0.5
    body = (
        f"let w = var zeros(50, dtype=float64) grad; for i in range({turns}) {{ zero_grad w; "
        f"out = binary_cross_entropy_with_logits(x @ w, y); backward out; update w -= {rate} * w.grad }}"
    )

    def by_hand() -> Sequence[Any]:
        w = np.zeros(50)
        for _ in range(turns):
            p = 1 / (1 + np.exp(-(x @ w)))
            w -= rate / len(y) * (x.T @ (p - y))
        return [w]

    work = Work("W9", "step of logistic regression, 100,000×50 float64", by_hand, 1e-8)
    work.peers["vardsl"] = scripted({"x": x, "y": y}, "", body, body, ["w.data"], turns)

    def numpy() -> Iterator[Variant]:
        yield Variant("numpy", "by hand", by_hand, by_hand, turns)

    @torch_threads
    def torch() -> Iterator[Variant]:
        import torch

        xt, yt = torch.tensor(x), torch.tensor(y)

        def turn() -> Any:
            w = torch.zeros(50, dtype=torch.float64, requires_grad=True)
            for _ in range(turns):
                out = torch.nn.functional.binary_cross_entropy_with_logits(xt @ w, yt)
                (g,) = torch.autograd.grad(out, [w])
                with torch.no_grad():
                    w -= rate * g
            return [w.detach().numpy()]

        yield Variant("torch", "eager", turn, turn, turns)

    def with_jax() -> Iterator[Variant]:
        j = jax()
        n = j.numpy
        xt, yt = n.asarray(x), n.asarray(y)

        def loss(w: Any) -> Any:
            z = xt @ w
            return n.mean(n.logaddexp(z, 0) - z * yt)

        f = j.jit(lambda w: w - rate * j.grad(loss)(w))

        def turn() -> Any:
            w = n.zeros(50)
            for _ in range(turns):
                w = f(w)
            return [j.block_until_ready(w)]

        yield Variant("jax", "jit", turn, turn, turns)

    work.peers |= {"numpy": numpy, "torch": torch, "jax": with_jax}
    return work


WORKLOADS: dict[str, Callable[[], Work]] = {
    "W1": mean_of_squares,
    "W2": network,
    "W3": scalar_loop,
    "W4": lambda: chain(f4),
    "W4d": lambda: chain(f8),
    "W5": rows,
    "W6": matrices,
    "W8": lambda: curvature(False),
    "W8hvp": lambda: curvature(True),
    "W9": regression,
}
