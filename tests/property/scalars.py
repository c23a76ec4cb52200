"""Random loops over numbers and tensors of one element: forwards, backwards, in functions, with surprises."""

from __future__ import annotations

from random import Random

_SURPRISES = [
    "break", "continue", "x = u", "print x", "x = 1 / 0", "v.register_hook(fn(g) = g * 2)", "x = [1., 2.]",
]  # fmt: skip
_ENDS = [
    "backward x", "backward x retain; backward x", "backward x create", "print x",
    "backward x * x; print v.grad, u.grad",
]  # fmt: skip
_BESIDES = ["y = x", "let z = x * 2", "w = x.detach()", "k = x.item() if i > 100 else 0"]


def _number(rng: Random, depth: int) -> str:
    pick = rng.randrange(9)
    if depth == 0 or pick < 3:
        return rng.choice(["x", "x", "c", "1.5", "0.1", "i", "n", "2"])
    if pick < 7:
        op = rng.choice(["+", "-", "*", "+", "*"])
        return f"({_number(rng, depth - 1)} {op} {_number(rng, depth - 1)})"
    if pick == 7:
        return f"{rng.choice(['sin', 'tanh', 'abs', 'cos', 'exp'])}({_number(rng, depth - 1)})"
    return f"({_number(rng, depth - 1)} / 3)"


def _body(rng: Random) -> list[str]:
    factor = rng.choice(["0.9", "c", "0.5", "1.01", "v", "u"])
    body = [f"x = x * {factor} + {_number(rng, 2)}"]
    if rng.random() < 0.7:
        body.append(rng.choice(["x = tanh(x)", "x = x * 0.3"]))
    if rng.random() < 0.4:
        test = f"{rng.choice(['x', 'i', 'c'])} > {rng.choice(['0.3', '2'])}"
        body.append(f"if {test} {{ x = x - 0.5 }} else {{ x = x + 0.25 }}")
    if rng.random() < 0.3:
        body.append("c = c * 0.99 + 0.001")
    if rng.random() < 0.2:
        body.append("n += 1")
    if rng.random() < 0.15:
        body.append(f"if i == {rng.randrange(30)} {{ {rng.choice(_SURPRISES)} }}")
    if rng.random() < 0.2:
        body.append(rng.choice(_BESIDES))
    return body


def scalar_program(seed: int) -> str:
    """The program that belongs to a seed."""
    rng = Random(seed)
    start = rng.choice(["v", "v * 2", "u", "v + u", "v", "v * 1.5", "v.detach()", "tensor(0.5)"])
    turns, body = rng.choice([5, 40, 300, 2000]), _body(rng)
    setup = [
        "seed(1)", f"let v = var {rng.choice(['0.5', '1.3', '-0.7'])} float64 grad", "let u = var 0.3 grad",
        "let c = 0.25", "let n = 3",
    ]  # fmt: skip
    if rng.random() < 0.3:
        inner = "; ".join(b for b in body if "break" not in b)
        first = start.replace("u", "v")
        return "\n".join([
            *setup, f"fn f(v, n) {{ let x = {first}; for i in range({turns}) {{ {inner} }}; return x }}",
            "x = f(v, 4.0)", "backward x", "print x, v.grad", "print grad(fn(q) = f(q, 2.0))(0.7)",
        ])  # fmt: skip
    text = "; ".join(body)
    loop = rng.choice([f"for i in range({turns}) {{ {text} }}", f"let i = 0; while i < {turns} {{ {text}; i += 1 }}"])
    return "\n".join([*setup, f"x = {start}", loop, rng.choice(_ENDS), "print x, v.grad, u.grad, c, n"])
