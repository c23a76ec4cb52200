"""Random loops in which gradients are parameters, or views and copies of them, and everything is changed in place:
what is read must be what it was then. And loops whose results are differentiated when they are over."""

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

_LEFT = [  # graphs that mostly save nothing, so that a backward may go through them again and again
    "y = w + v", "z = w.sum()", "y = 1 - w", "q = v.reshape(-1) + 1", "z = mean(w - v)", "y = w + x", "q = -v + s",
    "z = sum(w) - mean(v) + u", "y = (w + i) - v", "q = stack([w, v]).sum(0)", "y = lerp(w, v, 0.25)", "z = (w + u).sum()",
    "q = w.T + 1", "y = w.expand_as(w) + c", "q = v + w.detach()", "z = sum(w * 2)", "y = w * x", "y = w.clone()", "y = y - w",
    "z = z.detach() + w.sum()", "q = w.reshape(-1)[i % 1:] + 1", "y = v - u", "z = u + 1",
]  # fmt: skip
_LATER = [
    "backward sum(y)", "backward sum(q * q)", "backward z", "backward sum(y) + z", "backward y with ones_like(y)",
    "backward z retain", "backward z", "print w.grad, v.grad, u.grad", "zero_grad w, v, u", "y.retain_grad(); backward sum(y)",
    "print y.grad", "y.register_hook(fn(g) = g * 2)", "no_grad { w *= 0.5 }", "print y, z, q",
    "p = y", "p = z", "backward sum(p) + sum(y) * 2", "p.register_hook(fn(g) = g * 10)", "p.retain_grad(); y.retain_grad()",
    "print p.grad, p.retains_grad", "p = y; q = y",
]  # fmt: skip


def outliving_program(seed: int, *, large: bool = False) -> str:
    """The text of one program in which graphs outlive the loop."""
    rng = Random(seed)
    shape, dtype = rng.choice(_LARGE if large else _SHAPES), rng.choice(["float32", "float64"])
    text = [*_setup(shape, dtype), "let y = w * 1; let z = w.sum(); let q = v * 1; let p = y"]
    for _ in range(rng.randrange(1, 3)):
        body = [rng.choice(_LEFT) for _ in range(rng.randrange(1, 4))]
        if rng.random() < 0.4:
            body.insert(rng.randrange(len(body) + 1), rng.choice(["backward z", "backward sum(y)", "zero_grad w, v, u"]))
        if rng.random() < 0.3:
            body.append(rng.choice(_CHANGES))
        loop = [f"for i in range({rng.choice([7, 9, 12])}) {{", *body, "}"]
        later = [rng.choice(_LATER) for _ in range(rng.randrange(1, 6))]
        text += loop + later + (loop + later if rng.random() < 0.4 else [])
    return "\n".join([*text, "print w.grad, v.grad, u.grad\n"])


def changing_program(seed: int, *, large: bool = False) -> str:
    """The text of one program."""
    rng = Random(seed)
    shape, dtype = rng.choice(_LARGE if large else _SHAPES), rng.choice(["float32", "float64"])
    return "\n".join([*_setup(shape, dtype), f"for i in range({rng.choice([7, 9, 12])}) {{", *_body(rng), "}\n"])


def _setup(shape: str, dtype: str) -> list[str]:
    return [
        *(f"let {name} = var randn({shape}) {dtype} grad" for name in "wv"),
        f"let u = var randn([]) {dtype} grad",
        f"let x = randn({shape}, dtype={dtype}); let s = ones({shape}, dtype={dtype}); let c = 0.5",
    ]


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
