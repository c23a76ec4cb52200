"""Random recurrent loops: an inner loop whose cell binds names, parts of what it makes among them, that the next turn
of the outer loop finds."""

from __future__ import annotations

from random import Random

_SETUP = """let W = var (randn([4, 8]) * 0.3) grad
let U = var (randn([4, 8]) * 0.3) grad
let b = var zeros(8) grad
let S = randn([5, 3, 4])
let h = zeros(3, 4)
let c = zeros(3, 4)
let k = 3
let total = 0.0
let moving = zeros(8)"""
_MAKES = [
    "z = S[t] @ W + h @ U + b", "z = S[t] @ W + (h @ U) * 0.5", "z = addmm(b, S[t], W) + h @ U",
    "z = cat([S[t] @ W[:, :4], h @ U[:, 4:]], 1)",
]  # fmt: skip
_PARTS = ["p, q = chunk(z, 2, 1)", "p, q = z[:, :4], z[:, 4:]", "p, q = split(z, 4, 1)", "p = z[:, :4]; q = z[:, 4:]"]
_STATES = [
    "h = tanh(p) * sigmoid(q)", "c = sigmoid(p) * c + tanh(q); h = tanh(c)", "h = p + q * 0.1", "h = relu(p) - h * 0.5"
]  # fmt: skip
_ASIDE = [
    "if t == 2 { break }", "if t % 2 == 0 { continue }", "last = h.detach()", "turned = z.T", "kept = h",
    "no_grad { moving += mean(z, 0) * 0.1 }", "if t == 1 { h = h * 0.5 }",
]  # fmt: skip
_BEGINS = ["h = zeros(3, 4); c = zeros(3, 4)", "h = S[0] * 0.1; c = h * 2", "h = h.detach(); c = c.detach()"]
_LOSSES = [
    "loss = mean(h ** 2)", "loss = sum(h * h) + sum(c) * 0.1 + 0.001 * sum(W)", "loss = cross_entropy(h, [0, 1, 3])",
    "loss = mean((h - S[1]) ** 2) + mean(W ** 2) * 0.01",
]  # fmt: skip
_UPDATES = [
    "no_grad { W -= 0.1 * W.grad; U -= 0.1 * U.grad; b -= 0.1 * b.grad }",
    "update W -= 0.1 * W.grad; update U -= 0.1 * U.grad", "opt.step()",
]  # fmt: skip
_LATER = [
    "total += loss.item()", "if i == 6 { S = randn([5, 2, 4]) * 1; h = zeros(2, 4); c = zeros(2, 4) }", "z = 5",
    "if i == 7 { k = 4 }", "y = q * 2", "if i == 5 { W = var (randn([4, 8]) * 0.3) grad }", "print p.shape", "g = W.grad",
    "p = p.detach()",
]  # fmt: skip
_OPTIMIZERS = ["adam((W, U, b), lr=0.01)", "sgd((W, U, b), lr=0.1, momentum=0.9)"]


def recurrent_program(seed: int) -> str:
    """The text of one program."""
    rng = Random(seed)
    cell = [rng.choice(_MAKES), rng.choice(_PARTS), rng.choice(_STATES)]
    if rng.random() < 0.3:
        cell.append(rng.choice(_ASIDE))
    steps = rng.choice(["k", "5", "3", "i % 3 + 1", "min(i, 4)"])
    body = [
        "zero_grad W, U, b",
        rng.choice(_BEGINS),
        f"for t in range({steps}) {{ {'; '.join(cell)} }}",
        rng.choice(_LOSSES),
        "loss = loss + 0.001 * (sum(W * U) + sum(b * b))",
        "backward loss",
        rng.choice(_UPDATES),
    ]
    if rng.random() < 0.4:
        body.append(rng.choice(_LATER))
    made = [f"let opt = {rng.choice(_OPTIMIZERS)}"] if "opt.step()" in body else []
    # views of several cannot be changed, which whoever compares the runs would try
    return "\n".join([_SETUP, *made, "for i in range(12) {", *body, "}", "p = 0; q = 0; z = 0; turned = 0\n"])
