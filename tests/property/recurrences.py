"""Random loops over tensors of one element, and things to do with what they leave."""

from __future__ import annotations

from random import Random

FUNCTIONS = ["sin", "cos", "tanh", "exp", "abs", "sqrt", "sigmoid", "relu", "log"]
ENDINGS = [
    "backward ROOT",
    "backward ROOT retain\nbackward ROOT\nbackward ROOT",
    "backward ROOT create\nlet gg = v.grad * 1\nzero_grad v, w\nbackward gg",
    "print x.grad_fn\nfns = x.grad_fn\n" + "print fns\nfns = fns.next_functions[0]\n" * 40 + "backward ROOT",
    "no_grad { v += 0.5; w += 0.5 }\nbackward ROOT",
    "q = x * x * v\nbackward q\nbackward ROOT",
    "old += 1\nbackward ROOT retain\nbackward old",
    "x.retain_grad()\nh = ROOT\nh.register_hook(fn(g) { g * 2 })\nbackward h\nprint x.grad",
    "detect_anomaly(true)\nbackward ROOT",
    "print grad(fn(a) = a * ROOT)(2.0)\nbackward ROOT",
]


class Recurrences:
    """One random program: `lines` to be run one after the other, and the names to look at then."""

    def __init__(self, seed: int) -> None:
        self.r = r = Random(seed)
        dtype = r.choice(["float64", "float32"])
        self.carried = ["x", "y"] if r.random() < 0.7 else ["x"]
        self.lines = [
            f"let {n} = var {r.uniform(0.2, 1.5):.3f} {dtype}{' grad' if r.random() < 0.8 else ''}"
            for n in ("v", "w")
        ]
        self.lines.append(f"x = {r.choice(['v', 'v * 1', 'v * w', 'v + 0'])}")
        if "y" in self.carried:
            self.lines.append(f"y = {r.choice(['w', 'w * 1', '0.5', 'v - w', 'x'])}")
        plain = r.random() < 0.2
        if plain:
            self.lines.append("p = 1.0")
        self.lines += self.loop(plain)
        self.names = [*self.carried, "t", "u", "old", "i", "v.grad", "w.grad"]
        root = "x" if len(self.carried) == 1 or r.random() < 0.5 else "(x * 1 + y * 2)"
        self.lines += ENDINGS[seed % len(ENDINGS)].replace("ROOT", root).split("\n")

    def loop(self, plain: bool) -> list[str]:
        r = self.r
        names = ["v", "w", "i", *self.carried, *(["p"] if plain else [])]
        body = [self.body(names)]
        if r.random() < 0.7:
            body += [f"{c} = {self.damped(c, names)}" for c in self.carried]
        if plain:
            body.append("p = p * 0.99 + 0.001")
        if r.random() < 0.15 and "y" in self.carried:
            body.append("t = x + y * 0.3; x = y; y = t * 0.5")
        if r.random() < 0.2:
            body.append("old = x; x = old * 0.5 + 0.1")
        turns = r.choice([40, 100, 400])
        if r.random() < 0.25:
            return ["i = 0", f"while i < {turns} {{ {'; '.join(body)}; i = i + 1 }}"]
        return [f"for i in range({turns}) {{ {'; '.join(body)} }}"]

    def expression(self, names: list[str], depth: int = 2) -> str:
        r = self.r
        k = r.random()
        if depth == 0 or k < 0.25:
            number = f"{r.uniform(-1.5, 1.5):.2f}" if r.random() < 0.8 else str(r.randint(0, 3))
            return r.choice(names) if r.random() < 0.75 else number
        inner = self.expression(names, depth - 1)
        if k < 0.7:
            return f"({inner} {r.choice('+-*/+-*')} {self.expression(names, depth - 1)})"
        if k < 0.76:
            return f"(-{inner})"
        if k < 0.82:
            return f"({inner}) ** {r.choice(['2', '3', '2.0'])}"
        return f"{r.choice(FUNCTIONS)}({inner})"

    def damped(self, name: str, names: list[str]) -> str:
        """An expression that does not run away, and that goes on with `name` more often than not."""
        r, e = self.r, self.expression(names)
        return r.choice([f"0.5 * sin({e} + {name})", f"{name} * 0.9 + 0.1 * tanh({e})", f"0.5 * tanh({e})", e])

    def condition(self, names: list[str]) -> str:
        r = self.r
        op = r.choice(["<", ">", "<=", ">=", "==", "!="])
        c = f"{self.expression(names, 1)} {op} {self.expression(names, 1)}"
        return f"{c} {r.choice(['and', 'or'])} not ({self.expression(names, 1)} < 0.3)" if r.random() < 0.2 else c

    def body(self, read: list[str], depth: int = 1) -> str:
        r, out, names = self.r, [], list(read)
        for _ in range(r.randint(1, 3)):
            k = r.random()
            if k < 0.25 and depth:
                otherwise = f" else {{ {self.body(names, 0)} }}" if r.random() < 0.5 else ""
                out.append(f"if {self.condition(names)} {{ {self.body(names, 0)} }}{otherwise}")
            elif k < 0.29 and depth:
                out.append(f"if {self.condition(names)} and i > 80 {{ break }}")
            else:
                name = r.choice(["t", "u"]) if k < 0.45 and depth else r.choice(self.carried)
                out.append(f"{name} = {self.damped(r.choice(self.carried), names)}")
                if name in "tu":
                    names.append(name)
        return "; ".join(out)
