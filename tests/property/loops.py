"""Random training loops: functions, optimizers, inner loops, branches, numbers that change, parts of data."""

from __future__ import annotations

from random import Random

_SETUP = """
seed({seed})
let X = randn(12, 4)
let Y = randn(12, 2)
let S = randn(5, 3, 4)
let t = tensor([0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 1])
let W = var (0.3*randn(4, 2)) grad
let b = var zeros(2) grad
let U = var (0.3*randn(2, 2)) grad
let v = var [0.5, -1., 2., 1.] grad
let scale = 0.5
let rate = 0.1
let n = 0
let total = 0.0
let last = 0.0
let best = 1e9
let out = X
let pair = (X, Y)
fn model(x) = tanh(x @ W + b)
fn deep(x, k=2) {{
  let h = model(x)
  for j in range(k) {{ h = tanh(h @ U + h*scale) }}
  return h
}}
fn scaled(x, s) = x*s if s > 0 else x - 1
fn made(s) {{ return fn(x) = x*s + v.sum() }}
let closed = made(1.5)
fn loss_of(p, q) {{ return mse_loss(p, q) }}
fn turn() {{
  zero_grad W, b
  let e = loss_of(model(X), Y)
  backward e
  update W -= rate*W.grad
  update b -= 0.1*b.grad
  return e
}}
let opt = {optimizer}
"""
_OPTIMIZERS = [
    "sgd((W, b), lr=0.05)", "sgd((W, b, U), lr=0.05, momentum=0.9)", "adam((W, b), lr=0.02)",
    "sgd((W, U), lr=0.05, momentum=0.9, nesterov=true, weight_decay=0.01)", "adamw((W, b, U), lr=0.01)",
    "rmsprop((W, b), lr=0.01)", "adagrad((W, b))", "adadelta((W, b))", "nadam((W, U), lr=0.01)",
    "adam((W, b, U), lr=0.01, maximize=true)",
]  # fmt: skip
_RECIPES = ["sgd(lr=0.1)", "adam(lr=0.05)", "rmsprop()", "adamw(lr=0.02)", "sgd(lr=0.1, momentum=0.5)"]


class _Writer:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.serial = 0

    def pick(self, *choices: str) -> str:
        return self.rng.choice(choices)

    def data(self) -> str:
        """Rows of data, some chosen by the turn's number."""
        return self.pick(
            "X", "X", "X[(i % 3)*4:(i % 3)*4 + 4]", "X[:8]", "pair[0]", "X*scale", "dropout(X, 0.3)", "X[i % 12]",
            "X[4*(i % 2):]",
        )  # fmt: skip

    def predicted(self, x: str) -> str:
        k = self.pick("2", "1", "(i % 2) + 1", "n")
        return self.pick(
            f"model({x})", f"deep({x})", f"deep({x}, k={k})", f"tanh({x} @ W + b)", f"({x} |> model)",
            f"scaled(model({x}), rate)", f"closed(model({x}))", f"model({x}) * rate",
        )  # fmt: skip

    def number(self) -> str:
        return self.pick(
            "rate*0.97", "rate/(1 + 0.1*i)", "0.1*0.9**i", "0.1*(1 + cos(3.0*i/10))/2", "max(rate*0.9, 0.05)",
            "rate if i < 4 else rate*0.5", "rate", "scale + 0.1",
        )  # fmt: skip

    def objective(self) -> str:
        return self.pick("mean({}**2)", "sum(abs({}))", "sum(({} - 0.5)**2)", "({} - 0.3).square().sum()")

    # ---- statements ----------------------------------------------------------------------------------------
    def body(self) -> list[str]:
        out = [self.pick("zero_grad W, b, U, v", "zero_grad W, b, U, v", "opt.zero_grad()", "")]
        loss = self.objective().format(self.predicted(self.data()))
        out.append(self.pick(f"let e = {loss}", f"e = {loss}", f"let e, m = {loss}, max(X, dim=0)"))
        if self.rng.random() < 0.3:
            out += self.recurrent()
        out.append(self.pick("backward e", "backward e", "e.backward()"))
        out += [self.update() for _ in range(self.rng.randrange(1, 3))]
        for _ in range(self.rng.randrange(4)):
            out.insert(self.rng.randrange(1, len(out) + 1), self.other())
        return [s for s in out if s]

    def recurrent(self) -> list[str]:
        step = self.pick("tanh(S[k] @ W + h @ U)", "tanh(S[k] @ W + h*scale)", "h*0.5 + model(S[k])")
        loop = self.pick("for k in range(5)", "for k in range(i % 3)", "for k, s in enumerate(S)")
        last = self.pick("", "\n    if k > 2 { h = h*0.5 }", "\n    let z = h*2", "\n    if k == 3 { break }")
        return ["h = zeros(3, 2)", f"{loop} {{\n    h = {step}{last}\n  }}", "e = e + mean(h)"]

    def update(self) -> str:
        return self.pick(
            "no_grad { W -= rate*W.grad; b -= rate*b.grad }", "update W -= rate*W.grad", "opt.step()",
            "W.data -= rate*W.grad", "update W *= 0.99", "update b -= b.grad/10", "opt.step()",
            "no_grad { for p in (W, b) { p -= rate*p.grad } }",
        )  # fmt: skip

    def other(self) -> str:
        return self.pick(
            "total += e.item()", "last = e.item()*2", f"rate = {self.number()}", "n += 1", "n = n + i % 2",
            "out = model(X).detach()", "out = out*0.5", "let q, r = topk(v.detach(), 2)", "m = max(v.detach(), dim=0)",
            "if i % 3 == 0 { rate = rate*0.9 }", "if i == 7 { n = 5 }", "g = v*2", "W.grad = none",
            "if e.item() < best { best = e.item() }", "print total", "turn()", "let c = v.clone()",
            "noise = randn(2)*0.1", "z = [1., rate] * 2.0", "if i > 5 { print n, rate }", "out = X[i % 12]",
            "let y = Y[i % 3:i % 3 + 2]", "b.grad.zero_()", "w2 = W.detach()*2", "w2 = W.data",
            "minimize sum(v*v) over v steps 2",
        )  # fmt: skip

    def loop(self) -> str:
        head = self.pick(
            "for i in range(14)", "for i in range(3, 20)", "for i, x in enumerate(X)", "for i in range(9)",
        )  # fmt: skip
        body = "\n".join("  " + s for s in self.body())
        return f"{head} {{\n{body}\n}}\nprint rate, n, total, W"

    def minimized(self) -> str:
        objective = self.objective().format(self.predicted(self.pick("X", "X[:6]", "dropout(X, 0.2)")))
        over = self.pick("W, b", "W", "W, b, U")
        rest = self.pick("steps 12", "steps 9 until 1e-4", "steps 20")
        using = self.pick(*_RECIPES)
        return f"i = 1\nminimize {objective} over {over} using {using} {rest}\nprint W, W.grad"


def random_training(rng: Random) -> str:
    """A script that trains something in a loop or two."""
    w = _Writer(rng)
    out = [_SETUP.format(seed=rng.randrange(1000), optimizer=rng.choice(_OPTIMIZERS))]
    for _ in range(rng.randrange(1, 3)):
        out.append(w.minimized() if rng.random() < 0.2 else w.loop())
    return "\n".join(out)
