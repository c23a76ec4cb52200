"""More scripts of the same kinds, with other operations, shapes, dtypes and optimizers: nothing was tuned to them.

Where no formula by hand is at hand the reference is vardsl itself without plans, so that the peers and the plans are
compared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tests.bench.measure import Variant
from tests.bench.workloads import Maker, Work, f4, jax, scripted, torch_threads


def training(
    name: str,
    title: str,
    data: dict[str, Any],
    start: dict[str, Any],
    loss: str,
    in_torch: Callable[[Any, dict[str, Any], dict[str, Any]], Any],
    in_jax: Callable[[Any, dict[str, Any], dict[str, Any]], Any] | None = None,
    *,
    turns: int = 20,
    rate: float = 0.01,
    tolerance: float = 1e-3,
) -> Work:
    """Steps of gradient descent on a loss, whose value after some steps must agree between all."""
    names = list(start)
    step = f"zero_grad {', '.join(names)}; loss = {loss}; backward loss; " + "; ".join(
        f"update {n} -= {rate} * {n}.grad" for n in names
    )
    setup = "; ".join(f"let {n} = var {n}0 {np.asarray(start[n]).dtype} grad" for n in names) + "; let loss = 0.0"
    given = {**data, **{n + "0": a for n, a in start.items()}}
    vardsl = scripted(
        given, setup, f"for i in range({turns}) {{ {step} }}", f"for i in range(5) {{ {step} }}",
        [f"{n}.data" for n in names], turns,
    )  # fmt: skip

    def reference() -> Sequence[Any]:
        return list(vardsl())[1].result()

    work = Work(name, title, reference, tolerance)
    work.peers["vardsl"] = vardsl
    work.peers["torch"] = _in_torch(data, start, in_torch, turns, rate)
    if in_jax is not None:
        work.peers["jax"] = _in_jax(data, start, in_jax, turns, rate)
    return work


def _in_torch(data: Any, start: Any, loss: Any, turns: int, rate: float) -> Maker:
    @torch_threads
    def make() -> Iterator[Variant]:
        import torch

        d = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in data.items()}
        p = {k: torch.tensor(v, requires_grad=True) for k, v in start.items()}

        def steps(n: int) -> None:
            for _ in range(n):
                grads = torch.autograd.grad(loss(torch, d, p), list(p.values()))
                with torch.no_grad():
                    torch._foreach_add_(list(p.values()), grads, alpha=-rate)

        def result() -> Any:
            with torch.no_grad():
                for k, a in p.items():
                    a.copy_(torch.tensor(start[k]))
            steps(5)
            return [a.detach().numpy().copy() for a in p.values()]

        yield Variant("torch", "eager", lambda: steps(turns), result, turns)

    return make


def _in_jax(data: Any, start: Any, loss: Any, turns: int, rate: float) -> Maker:
    def make() -> Iterator[Variant]:
        j = jax()
        d = {k: j.numpy.asarray(v) if isinstance(v, np.ndarray) else v for k, v in data.items()}

        def step(p: Any) -> Any:
            grads = j.grad(lambda q: loss(j, d, q))(p)
            return {k: p[k] - p[k].dtype.type(rate) * grads[k] for k in p}

        f = j.jit(step)

        def steps(n: int) -> Any:
            p = {k: j.numpy.asarray(v) for k, v in start.items()}
            for _ in range(n):
                p = f(p)
            return [np.asarray(p[k]) for k in start]

        yield Variant("jax", "jit", lambda: steps(turns), lambda: steps(5), turns)

    return make


def convolution() -> Work:
    rng = np.random.default_rng(11)
    data = {"x": rng.standard_normal((16, 1, 28, 28)).astype(f4), "c": rng.integers(0, 10, 16)}
    start = {
        "k": (0.2 * rng.standard_normal((8, 1, 5, 5))).astype(f4),
        "b": np.zeros(8, f4),
        "w": (0.05 * rng.standard_normal((8 * 12 * 12, 10))).astype(f4),
    }

    def in_torch(t: Any, d: Any, p: Any) -> Any:
        F = t.nn.functional
        h = F.max_pool2d(t.relu(F.conv2d(d["x"], p["k"], p["b"])), 2)
        return F.cross_entropy(h.flatten(1) @ p["w"], d["c"])

    def in_jax(j: Any, d: Any, p: Any) -> Any:
        n, lax = j.numpy, j.lax
        h = lax.conv_general_dilated(d["x"], p["k"], (1, 1), "VALID") + p["b"][:, None, None]
        h = lax.reduce_window(n.maximum(h, 0), -n.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        z = h.reshape(16, -1) @ p["w"]
        return -n.mean(j.nn.log_softmax(z)[n.arange(16), d["c"]])

    loss = "cross_entropy(flatten(max_pool2d(relu(conv2d(x, k, b)), 2), 1) @ w, c)"
    return training("conv", "step of a convolutional net, 16 images 28×28", data, start, loss, in_torch, in_jax)


def recurrence() -> Work:
    rng = np.random.default_rng(12)
    data = {"x": rng.standard_normal((20, 16, 8)).astype(f4), "y": rng.standard_normal((16, 32)).astype(f4)}
    start = {
        "u": (0.2 * rng.standard_normal((8, 32))).astype(f4),
        "v": (0.2 * rng.standard_normal((32, 32))).astype(f4),
        "b": np.zeros(32, f4),
    }
    names = ", ".join(start)
    step = (
        f"zero_grad {names}; h = h0; for t in range(20) {{ h = tanh(x[t] @ u + h @ v + b) }}; "
        "loss = mean((h - y)**2); backward loss; "
        + "; ".join(f"update {n} -= 0.1 * {n}.grad" for n in start)
    )
    setup = "; ".join(f"let {n} = var {n}0 grad" for n in start) + "; let loss = 0.0; let h = h0"
    vardsl = scripted(
        {**data, **{n + "0": a for n, a in start.items()}, "h0": np.zeros((16, 32), f4)}, setup,
        f"for i in range(10) {{ {step} }}", f"for i in range(5) {{ {step} }}",
        [f"{n}.data" for n in start], 10,
    )  # fmt: skip

    def in_torch(t: Any, d: Any, p: Any) -> Any:
        h = t.zeros(16, 32)
        for k in range(20):
            h = t.tanh(d["x"][k] @ p["u"] + h @ p["v"] + p["b"])
        return ((h - d["y"]) ** 2).mean()

    def in_jax(j: Any, d: Any, p: Any) -> Any:
        n = j.numpy
        h, _ = j.lax.scan(
            lambda h, x: (n.tanh(x @ p["u"] + h @ p["v"] + p["b"]), None), n.zeros((16, 32), f4), d["x"]
        )
        return n.mean((h - d["y"]) ** 2)

    work = Work("rnn", "step of a recurrent net, 20 times 16×32", lambda: list(vardsl())[1].result(), 1e-3)
    work.peers |= {
        "vardsl": vardsl,
        "torch": _in_torch(data, start, in_torch, 10, 0.1),
        "jax": _in_jax(data, start, in_jax, 10, 0.1),
    }
    return work


def adam() -> Work:
    rng = np.random.default_rng(13)
    x = rng.standard_normal((200, 10)).astype(f4)
    y = np.tanh(x @ rng.standard_normal((10, 1)).astype(f4))
    start = {"a": (0.3 * rng.standard_normal((10, 16))).astype(f4), "b": (0.3 * rng.standard_normal((16, 1))).astype(f4)}
    fit = "minimize mean((tanh(x @ a) @ b - y)**2) over a, b using adam(lr=0.01) steps {}"
    setup = "let a = var a0 grad; let b = var b0 grad"
    vardsl = scripted(
        {"x": x, "y": y, "a0": start["a"], "b0": start["b"]}, setup, fit.format(200), fit.format(20),
        ["a.data", "b.data"], 200,
    )  # fmt: skip

    @torch_threads
    def torch() -> Iterator[Variant]:
        import torch

        xt, yt = torch.tensor(x), torch.tensor(y)

        def steps(n: int) -> Any:
            p = [torch.tensor(v, requires_grad=True) for v in start.values()]
            optimizer = torch.optim.Adam(p, lr=0.01)
            for _ in range(n):
                optimizer.zero_grad()
                ((torch.tanh(xt @ p[0]) @ p[1] - yt) ** 2).mean().backward()
                optimizer.step()
            return [v.detach().numpy() for v in p]

        yield Variant("torch", "eager", lambda: steps(200), lambda: steps(20), 200)

    work = Work("adam", "minimize with Adam, 200×10 through 16", lambda: list(vardsl())[1].result(), 1e-3)
    work.peers |= {"vardsl": vardsl, "torch": torch}
    return work


def attention() -> Work:
    rng = np.random.default_rng(14)
    data = {"x": rng.standard_normal((4, 64, 32)).astype(f4), "t": rng.standard_normal((4, 64, 32)).astype(f4)}
    start = {k: (0.2 * rng.standard_normal((32, 32))).astype(f4) for k in ("q", "k", "v")}

    def in_torch(t: Any, d: Any, p: Any) -> Any:
        x = d["x"]
        s = t.softmax((x @ p["q"]) @ (x @ p["k"]).transpose(1, 2) / 32**0.5, 2)
        return t.nn.functional.mse_loss(s @ (x @ p["v"]), d["t"])

    def in_jax(j: Any, d: Any, p: Any) -> Any:
        n, x = j.numpy, d["x"]
        s = j.nn.softmax((x @ p["q"]) @ (x @ p["k"]).swapaxes(1, 2) / f4(32**0.5), 2)
        return n.mean((s @ (x @ p["v"]) - d["t"]) ** 2)

    loss = f"mse_loss(softmax((x @ q) @ transpose(x @ k, 1, 2) / {32**0.5}, dim=2) @ (x @ v), t)"
    return training("attention", "step of self-attention, 4×64×32", data, start, loss, in_torch, in_jax)


def wide() -> Work:
    rng = np.random.default_rng(15)
    data = {"t": rng.standard_normal((1500, 800))}
    start = {"x": rng.standard_normal((1500, 800)), "s": rng.standard_normal(800)}

    def in_torch(t: Any, d: Any, p: Any) -> Any:
        return (t.sigmoid(p["x"] * p["s"]) * d["t"] + t.log1p(p["x"] ** 2)).mean()

    def in_jax(j: Any, d: Any, p: Any) -> Any:
        n = j.numpy
        return n.mean(j.nn.sigmoid(p["x"] * p["s"]) * d["t"] + n.log1p(p["x"] ** 2))

    loss = "mean(sigmoid(x * s) * t + log1p(x**2))"
    return training(
        "wide", "elementwise float64 with a broadcast row, 1500×800", data, start, loss, in_torch, in_jax, turns=5
    )


def jacobian() -> Work:
    rng = np.random.default_rng(16)
    a, b, x = rng.standard_normal((20, 40)), rng.standard_normal((40, 15)), rng.standard_normal(20)
    call = "jacobian(fn(v) = tanh(v @ a) @ b, x)"
    vardsl = scripted(
        {"a": a, "b": b, "x": x}, "let J = 0", f"for i in range(50) {{ J = {call} }}", f"J = {call}", ["J"], 50
    )

    def reference() -> Sequence[Any]:
        h = np.tanh(x @ a)
        return [b.T @ ((1 - h * h)[:, None] * a.T)]

    @torch_threads
    def torch() -> Iterator[Variant]:
        import torch

        at, bt, xt = (torch.tensor(v) for v in (a, b, x))

        def turn() -> Any:
            return [torch.autograd.functional.jacobian(lambda v: torch.tanh(v @ at) @ bt, xt).numpy()]

        yield Variant("torch", "eager", turn, turn)

    def with_jax() -> Iterator[Variant]:
        j = jax()
        f = j.jit(j.jacrev(lambda v: j.numpy.tanh(v @ a) @ b))
        yield Variant("jax", "jit", lambda: j.block_until_ready(f(x)), lambda: [f(x)])

    work = Work("jacobian", "Jacobian of a layer of 40, 20 to 15", reference, 1e-9)
    work.peers |= {"vardsl": vardsl, "torch": torch, "jax": with_jax}
    return work


def small_double() -> Work:
    rng = np.random.default_rng(17)
    data = {"x": rng.standard_normal((50, 6)), "y": rng.standard_normal((50, 1))}
    start = {"w": rng.standard_normal((6, 1)), "b": np.zeros(1)}

    def in_torch(t: Any, d: Any, p: Any) -> Any:
        return t.nn.functional.huber_loss(d["x"] @ p["w"] + p["b"], d["y"])

    def in_jax(j: Any, d: Any, p: Any) -> Any:
        n = j.numpy
        e = n.abs(d["x"] @ p["w"] + p["b"] - d["y"])
        return n.mean(n.where(e < 1, 0.5 * e * e, e - 0.5))

    return training(
        "huber", "step of robust regression, 50×6 float64", data, start, "huber_loss(x @ w + b, y)", in_torch,
        in_jax, turns=200,
    )  # fmt: skip


OTHERS: dict[str, Callable[[], Work]] = {
    "conv": convolution,
    "rnn": recurrence,
    "adam": adam,
    "attention": attention,
    "wide": wide,
    "jacobian": jacobian,
    "huber": small_double,
}
