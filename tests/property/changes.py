"""Random loops in which gradients are parameters, or views and copies of them, and everything is changed in place:
what is read must be what it was then."""

from __future__ import annotations

from random import Random

_SHAPES = ["[3]", "[2, 2]", "[]", "[3, 1]", "[1, 4]", "[4, 4]"]
_LARGE = ["[210000]", "[500, 500]", "[3, 80000]", "[40000, 6]"]
_TERMS = [
    "sum(w * v)", "sum(w * x)", "sum(w)", "sum(v * u)", "sum(w.sum() * u)", "sum(w * w)", "w.sum() * v.sum()",
    "mean(w * s)", "sum((w * 1) * v)", "sum(-w * v)", "sum(w / s)", "sum(w.reshape(-1) * v.reshape(-1))", "u * u",
    "sum(w * c)", "sum(tanh(w * x))", "sum(s * v)", "sum(maximum(w, v))", "sum(where(w > 0, v, w))", "sum(x * w + v)",
    "sum(w ** 2 * u)", "sum(abs(w))", "sum(w.T * v.T)", "sum((w - v) * s)", "sum(relu(w) * v)", "sum(stack([w, v]))",
    "sum(clamp(w * u, -1, 1))", "sum(cat([w.reshape(-1), v.reshape(-1)]))", "sum(w.expand_as(w) * v)",
]  # fmt: skip
_CHANGES = [
    "no_grad { w -= 0.1 * w.grad }", "no_grad { v -= 0.1 * v.grad }", "no_grad { u *= 0.9 }", "no_grad { x *= 0.9 }",
    "no_grad { s += x * 0.1 }", "no_grad { w *= 0.99 }", "no_grad { v.copy_(w * 0.5) }", "x = x * 0.9", "s = x",
    "no_grad { w += v * 0.01; v += w * 0.01 }", "no_grad { x.copy_(w.detach()) }", "update w -= 0.05 * v.grad",
    "no_grad { s.copy_(x); x.copy_(s * 0.9) }", "no_grad { w.data.mul_(0.9) }", "no_grad { s *= 1 }", "c = c * 0.95",
    "no_grad { w.clamp_(-2, 2) }",
]  # fmt: skip
_READS = [
    "g = w.grad * 1", "h = v.grad + 0", "y = w * 1", "z = x * 1", "y = w.data * 1", "t = x.T", "y = v.detach()",
    "z = (w * v).detach() * 1", "y = s * u", "h = w.grad", "q = x + s", "y = x", "z = w.sum() * 1", "q = s.clone()",
    "y = 1 * x", "z = x / 1", "q = x.reshape(-1) * 1", "y = w.data", "z = neg(neg(x))",
]  # fmt: skip
_CLEARS = ["zero_grad w, v, u", "zero_grad w, v, u", "zero_grad w", "zero_grad v, u", "w.grad = none; v.grad = none"]
_EACH = "0.001 * (w.sum() + v.sum() + u)"  # gives every leaf a gradient, and adds to those that are parameters


def changing_program(seed: int, *, large: bool = False) -> str:
    """The text of one program."""
    rng = Random(seed)
    shape, dtype = rng.choice(_LARGE if large else _SHAPES), rng.choice(["float32", "float64"])
    setup = [
        *(f"let {name} = var randn({shape}) {dtype} grad" for name in "wv"),
        f"let u = var randn([]) {dtype} grad",
        f"let x = randn({shape}, dtype={dtype}); let s = ones({shape}, dtype={dtype}); let c = 0.5",
    ]
    return "\n".join([*setup, f"for i in range({rng.choice([7, 9, 12])}) {{", *_body(rng), "}\n"])


def _body(rng: Random) -> list[str]:
    body = [rng.choice(_CLEARS)] if rng.random() < 0.85 else []
    early = [r for r in _READS if ".grad" not in r]
    body += [rng.choice(early) for _ in range(rng.randrange(2))]
    for name, chance in (("loss", 1.0), ("second", 0.3)):
        if rng.random() < chance:
            terms = [rng.choice(_TERMS) for _ in range(rng.randrange(1, 4))]
            terms += [_EACH] if rng.random() < 0.3 else []
            body += [f"{name} = {' + '.join(terms)}", f"backward {name}"]
            body += [rng.choice(_CHANGES if rng.random() < 0.6 else _READS) for _ in range(rng.randrange(1, 5))]
    return body
