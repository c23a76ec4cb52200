"""Random programs of the kind that is planned: loops over tensors with gradients, and what may come between.

Shapes are followed while a program is written, so that most of it runs; now and then something is done that a
plan must notice: another number, shape or object from some turn on, a hook, a view, an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

Shape = tuple[int, ...]
Node = str | tuple[str, list["Node"], str]
"""A statement, or a block with its head, its statements and its end."""

_SMOOTH = [
    "tanh({})", "sin({})", "exp(-{})", "sigmoid({})", "{} * 2.0", "-{}", "{} + 1", "1.5 - {}", "softplus({})",
    "gelu({})", "{} ** 2", "sqrt(abs({}) + 0.5)", "log(abs({}) + 1.0)", "{} / 3", "relu({})", "abs({})",
    "clamp({}, min=-0.5, max=0.8)", "square({})", "cos({})", "erf({})", "leaky_relu({}, 0.1)", "silu({})",
    "{} ** 3", "reciprocal({} ** 2 + 1.0)", "{} % 1.5", "elu({})", "log1p({} ** 2)", "{}.clone()", "sign({})",
    "nan_to_num({})", "floor({})", "{} ** -1.0", "sqrt({})", "log({})", "2.0 ** {}", "rsqrt({} * {})",
    "hardtanh({})", "relu6({} * 3)", "hardsigmoid({} * 2)", "hardswish({} * 2)", "selu({})", "celu({}, 0.7)",
    "softshrink({}, 0.3)", "hardshrink({}, 0.4)", "threshold({}, 0.2, -1.0)", "logsigmoid({})", "mish({})",
    "softplus({}, 2, 1.5)", "elu({}, 2)", "leaky_relu({}, 1.5)", "prelu({}, [0.3])", "clamp_min({}, 0.1)",
]  # fmt: skip
_BINARY = [
    "{} + {}", "{} - {}", "{} * {}", "{} / ({} ** 2 + 1.0)", "maximum({}, {})", "minimum({}, {})",
    "atan2({}, {} ** 2 + 0.5)", "hypot({}, {})", "{} * {} + 1", "{} / {}",
    "({} < {}).float()", "lerp({}, {}, 0.3)", "add({}, {}, alpha=2)", "{} ** ({} * 0.1)",
]  # fmt: skip
_SELECTING = ["where({} > 0, {}, 0.5)", "where({} < 0.1, 0.0, {})", "cat([{}, {}])[:0].sum()", "stack([{}, {}])[1]"]
_LAST = [
    "softmax({}, dim=-1)", "log_softmax({}, dim=-1)", "cumsum({}, dim=-1)", "flip({}, (0,))",
    "{} - mean({}, dim=-1, keepdim=true)", "layer_norm({}, ({n},))", "normalize({}, dim=-1)",
    "softmax({}, dim=0)", "sort({}, dim=-1)[0]", "{} / {}.norm(dim=-1, keepdim=true)", "roll({}, 1, 0)",
    "{} - amax({}, -1, true)", "{} * amin({}, (-1,), true)", "flip({}, (-1,))", "cumsum({}, 0)",
    "{} - logsumexp({}, dim=-1, keepdim=true)", "{} + norm({}, dim=0)",
]  # fmt: skip
_WHOLE = [
    "sum({})", "mean({})", "sum({} ** 2)", "{}.sum()", "{}.mean()", "max({})", "norm({})", "logsumexp({}, dim=-1).sum()",
    "std({})", "{}.var(unbiased=false)", "prod({} * 0.5 + 1)", "sum(abs({}))", "{}.pow(2).mean()",
]  # fmt: skip
_ANCHORS = ["sum({0} * {0})", "mean(exp({}))", "sum(tanh({}))", "{}.mean()", "0.1 * sum({} ** 3)", "mean({} / 2.0)"]
_PAIRS = [
    "mse_loss({}, {})", "l1_loss({}, {})", "smooth_l1_loss({}, {})", "sum({} * {})",
    "binary_cross_entropy_with_logits({}, sigmoid({}))", "huber_loss({}, {})", "mean(({} - {}) ** 2)",
    "smooth_l1_loss({}, {}, beta=0.3)", "huber_loss({}, {}, delta=0.4)",
]  # fmt: skip
_SHAPES: list[Shape] = [(), (1,), (3,), (4,), (2, 2), (2, 3), (3, 2), (4, 3), (3, 4), (2, 1), (1, 3), (0,), (2, 3, 2), (5, 17), (20, 9), (33,)]
_TALL, _NARROW = (40_000, 8), (40_000, 6)  # many short rows, and what they are times a small matrix
_LARGE: list[Shape] = [(210_000,), (700, 300), (3, 70_000), (2000, 120), (250_001,), (40, 20, 300), (1_100_000,), _TALL, _TALL]


@dataclass
class Tensor:
    """A name with what it holds."""

    name: str
    shape: Shape
    dtype: str = "float32"
    leaf: bool = False


@dataclass
class Program:
    """A program as statements, so that some can be left out."""

    body: list[Node] = field(default_factory=list)

    def text(self) -> str:
        return "".join(_lines(self.body, ""))


def _lines(nodes: list[Node], indent: str) -> list[str]:
    out = []
    for node in nodes:
        if isinstance(node, str):
            out.append(f"{indent}{node}\n")
        else:
            head, body, end = node
            out += [f"{indent}{head}\n", *_lines(body, indent + "    "), f"{indent}{end}\n"]
    return out


class Writer:
    """Writes one program; `large` ones have arrays that stream through the cache."""

    def __init__(self, rng: Random, *, large: bool = False) -> None:
        self.rng = rng
        self.large = large
        self.count = 0
        self.tensors: list[Tensor] = []
        self.numbers: list[str] = []
        self.constants: dict[str, str] = {}
        self.shapes = [rng.choice(_LARGE), (), (1,)] if large else [*rng.sample(_SHAPES, 4), ()]
        if large and len(self.shapes[0]) > 1:
            self.shapes.append(self.shapes[0][1:])
        if self.shapes[0] == _TALL:
            self.shapes += [_NARROW, (8, 6), (6,)]
        self.dtype = rng.choice(["float32", "float32", "float64"])

    def chance(self, n: int) -> bool:
        return self.rng.randrange(n) == 0

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def sizes(self, shape: Shape) -> str:
        """A shape as an argument: of a list as such a run knows less."""
        if self.chance(25):
            return str(list(shape))
        return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"

    # ---- expressions ------------------------------------------------------------------------------
    def named(self, shape: Shape) -> str:
        """A tensor of just this shape, without a computation where there is one."""
        found = [t.name for t in self.tensors if t.shape == shape]
        if found:
            return self.rng.choice(found)
        fits = [t for t in self.tensors if t.shape and _broadcasts(t.shape, shape)]
        if fits and not self.chance(4):
            return f"{self.rng.choice(fits).name}.expand({self.sizes(shape)})"
        whole = [t for t in self.tensors if _size(t.shape) == _size(shape)]
        if whole and shape:
            return f"{self.rng.choice(whole).name}.reshape({self.sizes(shape)})"
        if not shape:
            return self.rng.choice(["sum({})", "mean({})"]).format(self.rng.choice(self.tensors).name)
        return self.given(self.rng.choice([f"ones({self.sizes(shape)})", f"full({self.sizes(shape)}, 0.25)"]))

    def given(self, text: str) -> str:
        """Something that nothing changes, here or, more often, under a name from before the loops."""
        if self.chance(20):
            return text
        return self.constants.setdefault(text, f"k{len(self.constants)}")

    def expression(self, shape: Shape, depth: int = 3) -> str:
        """Something of this shape."""
        if depth == 0 or self.chance(6):
            return self.named(shape)
        if shape == _NARROW and self.large and self.chance(2):
            a, b = self.expression(_TALL, depth - 1), self.expression((8, 6), depth - 1)
            return f"{self._tight(a)} @ {self._tight(b)}"
        pick = self.rng.randrange(12)
        if pick < 4:
            return self._fill(self.rng.choice(_SMOOTH), [self._tight(self.expression(shape, depth - 1))])
        if pick < 7 or (self.large and pick < 9):
            other = self.rng.choice([shape, shape, *self._fitting(shape)])
            parts = [self._tight(self.expression(s, depth - 1)) for s in (shape, other)]
            if self.chance(2):
                parts.reverse()
            return self._fill(self.rng.choice(_SELECTING if self.chance(15) else _BINARY), parts)
        if pick == 7 and self.numbers:
            return f"{self.rng.choice(self.numbers)} {self.rng.choice('*+-')} {self._tight(self.expression(shape, depth - 1))}"
        if not shape:
            return self.scalar(depth)
        if pick == 8:
            inner = self._tight(self.expression(shape, depth - 1))
            return self._fill(self.rng.choice(_LAST), [inner]).replace("{n}", str(shape[-1]))
        if len(shape) == 2 and pick <= 10 and not self.large:
            k = self.rng.choice([1, 2, 3, 4])
            a, b = self.expression((shape[0], k), depth - 1), self.expression((k, shape[1]), depth - 1)
            return f"{self._tight(a)} @ {self._tight(b)}"
        return self.moved(shape, depth)

    def scalar(self, depth: int = 3) -> str:
        """Something of no dimensions: most often a loss."""
        inner = self.rng.choice(self.shapes)
        if self.chance(3):
            a, b = (self.expression(inner, depth - 1) for _ in range(2))
            return self.rng.choice(_PAIRS).format(self._tight(a), self._tight(b))
        if self.chance(8) or (inner == _NARROW and self.chance(3)):
            if inner != _NARROW:
                inner = self.rng.choice([s for s in _SHAPES if len(s) == 2 and s[0] > 1])
            if self.chance(10) and not self.large:
                classes = "[" + ", ".join(str(self.rng.randrange(inner[1])) for _ in range(inner[0])) + "]"
            else:
                classes = self.given(f"arange({inner[0]}) % {inner[1]}")
            return f"cross_entropy({self.expression(inner, depth - 1)}, {classes})"
        return self._fill(self.rng.choice(_WHOLE), [self._tight(self.expression(inner, depth - 1))])

    def moved(self, shape: Shape, depth: int) -> str:
        """Views, pieces and reductions."""
        n = shape[0]
        pick = self.rng.randrange(8)
        if pick == 0 and len(shape) == 2:
            return f"{self._tight(self.expression(shape[::-1], depth - 1))}.T"
        if pick == 1:
            return f"{self._tight(self.expression((n + 1, *shape[1:]), depth - 1))}[1:]"
        if pick == 2 and n and self.chance(3):
            a = self.expression((n - 1, *shape[1:]), depth - 1)
            return f"cat([{a}, {self.expression((1, *shape[1:]), depth - 1)}])"
        if pick == 3 and n and not self.large:
            rows = ", ".join(str(self.rng.randrange(n)) for _ in range(n))
            rows = f"[{rows}]" if self.chance(8) else self.given(f"arange({n}) // 2")
            return f"{self._tight(self.expression(shape, depth - 1))}[{rows}]"
        if pick == 4 and not self.large:
            return f"{self.rng.choice(['sum', 'mean', 'amax'])}({self.expression((*shape, 2), depth - 1)}, dim=-1)"
        if pick == 5 and not self.large:
            return f"{self.rng.choice(['sum', 'mean'])}({self.expression((3, *shape), depth - 1)}, dim=0)"
        if pick == 6:
            return f"{self._tight(self.expression(shape, depth - 1))}.detach()"
        kind = self.rng.choice(["double()", "float()", "long()", "to(float64)", "contiguous()"])
        return f"{self._tight(self.expression(shape, depth - 1))}.{kind}"

    def _fitting(self, shape: Shape) -> list[Shape]:
        found: list[Shape] = [()]
        if len(shape) > 1:
            found += [shape[1:], (shape[0], *(1 for _ in shape[1:]))]
        return found

    def _fill(self, form: str, parts: list[str]) -> str:
        text = form
        for k in range(form.count("{}")):
            text = text.replace("{}", parts[k % len(parts)], 1)
        return text

    def _tight(self, text: str) -> str:
        return text if text.replace("_", "").isalnum() else f"({text})"

    # ---- a program --------------------------------------------------------------------------------
    def program(self) -> Program:
        out = Program(["seed(1)"])
        for shape in self.shapes:
            if self.chance(4) and not (shape == self.shapes[0] and self.large):
                continue
            out.body += self.declaration(shape)
        if not any(t.leaf for t in self.tensors):
            out.body += self.declaration(self.shapes[0], leaf=True)
        if self.chance(2):
            self.numbers.append(self.fresh("c"))
            out.body.append(f"let {self.numbers[-1]} = {self.rng.choice(['0.1', '2', '0.5'])}")
        out.body += ["let loss = 0.0", "let kept = ()"]
        for _ in range(self.rng.choice([1, 1, 2])):
            out.body += self.loop()
            if self.chance(3):
                out.body.append(self.between())
        out.body[1:1] = [f"let {name} = {text}" for text, name in self.constants.items()]
        return out

    def declaration(self, shape: Shape, leaf: bool | None = None) -> list[Node]:
        """A leaf or plain data."""
        leaf = self.rng.randrange(3) > 0 if leaf is None else leaf
        t = Tensor(self.fresh("w" if leaf else "x"), shape, self.rng.choice([self.dtype] * 24 + ["float64"]), leaf)
        source = f"randn({list(shape)})"
        if self.chance(8) and shape and _size(shape) < 100:
            source = f"arange({_size(shape)}).reshape({list(shape)})"
        if self.chance(6) and len(shape) == 2:
            source = f"randn({list(shape[::-1])}).T"
        if self.chance(8) and shape:
            source = f"randn({[2 * shape[0], *shape[1:]]})[::2]"
        if not leaf and self.chance(10) and not self.large:
            source, t.dtype = f"randint(0, 3, {list(shape)})", "int64"
            self.tensors.append(t)
            return [f"let {t.name} = {source}"]
        self.tensors.append(t)
        if leaf:
            return [f"let {t.name} = var ({source}) {t.dtype} grad"]
        return [f"let {t.name} = {source}.to({t.dtype})"]

    def loop(self) -> list[Node]:
        turns = self.rng.choice([3, 4]) if self.large else self.rng.choice([6, 7, 9, 12])
        body = self.turn()
        if self.chance(3):
            at = self.rng.randrange(len(body) + 1)
            body.insert(at, self.surprise(turns))
        head = self.rng.choice([f"for i in range({turns}) {{"] * 3 + [f"for i in range({turns}) {{ let once = i"])
        loop: Node = (head, body, "}")
        pick = self.rng.randrange(9)
        if pick == 0 and not self.large:
            return [("for k in range(3) {", [loop, *([self.surprise(3, "k")] if self.chance(2) else [])], "}")]
        if pick == 1:
            name = self.fresh("f")
            return [(f"fn {name}(n) {{", [loop], "}"), f"{name}({turns})"]
        if pick == 2:
            return ["let i = -1", (f"while i < {turns - 1} {{", ["i += 1", *body], "}")]  # also before `continue`
        if pick == 3 and not self.large:
            # the same text again and again, as at a prompt
            return [(f"for j in range({turns}) {{ let i = j", body, "}")]
        return [loop]

    def turn(self) -> list[Node]:
        known = len(self.tensors)
        body: list[Node] = []
        leaves = [t for t in self.tensors if t.leaf]
        if self.rng.randrange(4):
            body.append("zero_grad " + ", ".join(t.name for t in leaves if self.rng.randrange(5)) if not self.chance(9) else "zero_grad")
            if body[-1] == "zero_grad ":
                body[-1] = f"zero_grad {leaves[0].name}"
        for _ in range(self.rng.randrange(3)):
            body.append(self.binding())
        form = self.rng.choice(["loss = {}"] * 4 + ["let out = {}"])
        name = form.split()[-3]
        anchored: set[str] = set()
        for _ in range(self.rng.choice([1, 1, 1, 2])):
            value = self.scalar()
            for t in [*leaves, *self.tensors[known:]]:
                if self.rng.randrange(5) < (3 if t.leaf else 4) and t.shape != (0,):
                    anchored.add(t.name)
                    value += " + " + self.rng.choice(_ANCHORS).format(t.name)
            body.append(form.format(value))
            option = self.rng.choice([""] * 10 + [" retain", " create"]) if self.chance(2) else ""
            body.append(f"backward {name}{option}")
            if self.chance(40):
                body.append(f"backward {name}")
        for t in leaves:
            if self.rng.randrange(4) and (t.name in anchored or self.chance(40)):
                body.append(self.update(t))
        if self.chance(3):
            body.append(self.aside(name))
        if self.chance(10):
            body.insert(self.rng.randrange(len(body) + 1), self.aside("loss"))
        del self.tensors[known:]
        return body

    def binding(self) -> str:
        if self.tensors and self.chance(6):
            t = self.rng.choice(self.tensors)
            new = self.fresh("y")
            self.tensors.append(Tensor(new, t.shape))
            return f"let {new} = {t.name}{self.rng.choice(['', '.detach()', '.data', '.clone()', '[:]' if t.shape else '', '.detach().clone()'])}"
        shape = self.rng.choice(self.shapes)
        text = self.expression(shape)
        new = self.fresh("y")
        self.tensors.append(Tensor(new, shape))
        return f"{self.rng.choice(['let ', ''])}{new} = {text}"

    def update(self, t: Tensor) -> str:
        rate = self.rng.choice(["0.1", "0.05", *self.numbers])
        op = self.rng.choice(["-=", "-=", "-=", "+=", "*=", "/="])
        change = f"{rate} * {t.name}.grad" if op in ("-=", "+=") else f"1.0 + {rate} * {t.name}.grad"
        return self.rng.choice([
            f"update {t.name} {op} {change}", f"no_grad {{ {t.name} {op} {change} }}",
            f"update {t.name} -= {rate} * {t.name}.grad", f"no_grad {{ {t.name} -= {rate} * clamp({t.name}.grad, -1, 1) }}",
            f"no_grad {{ {t.name} -= {rate} * ({t.name}.grad + 0.01 * {t.name}) }}",
        ])  # fmt: skip

    def aside(self, loss: str) -> str:
        """Something else that a turn does."""
        t, leaf = self.rng.choice(self.tensors), self.rng.choice([t for t in self.tensors if t.leaf])
        plain = [t for t in self.tensors if not t.leaf] or [leaf]
        p = self.rng.choice(plain)
        number = self.rng.choice(self.numbers) if self.numbers else "0.5"
        choices = [
            f"kept = (kept, {loss})", f"kept = (kept, {t.name})", f"kept = (kept, {leaf.name}.grad)",
            f"let total = {loss}.item()", f"print {loss}", f"print {leaf.name}.grad if i > 4 else 0",
            f"let seen = {loss}.detach() * 2", f"{p.name} += 1", f"no_grad {{ {t.name} *= 0.5 }}",
            f"{p.name} = {p.name} * 0.5", f"let g = {leaf.name}.grad * 2", f"kept = ({t.name}.detach(), {t.name}.data)",
            f"let h = tanh({t.name}) + {leaf.name}.sum()", f"update {t.name} *= 0.9", f"let r = rand([2]) + {loss}.detach()",
            f"let gg = grad(fn(q) = sum(q ** 2))({t.name}.detach().double())", f"assert {loss}.ndim == 0",
            f"{p.name} = {p.name} - 0.01 * grad(fn(q) = sum({number} * q ** 2 * mean({t.name}).detach()))({p.name})",
            f"let s, gg = value_and_grad(fn(q) = mean(q * {loss}.detach()) + {number})({t.name}.detach())",
            f"let H = hessian(fn(q) = sum(sin(q) * q) * {number}, {t.name}.detach().flatten()[:6])",
            f"let square = fn(q, a={number}) = sum(grad(fn(y) = sum(y ** 3))(q) * a); {p.name} = {p.name} * square({p.name})",
            f"minimize mean(({leaf.name} - 1) ** 2) over {leaf.name} using adam(lr=0.01) steps 5",
        ]  # fmt: skip
        return self.rng.choice(choices)

    def between(self) -> str:
        """Something that happens between two loops."""
        while True:
            text = self.surprise(2, "1")
            if "break" not in text and "continue" not in text:
                break
        return text.partition("{")[2].removesuffix("}").strip()

    def surprise(self, turns: int, i: str = "i") -> str:
        """Something that happens in one turn and not in the others."""
        leaf = self.rng.choice([t for t in self.tensors if t.leaf])
        t = self.rng.choice(self.tensors)
        number = self.rng.choice(self.numbers) if self.numbers else "loss"
        size = _size(t.shape)
        choices = [
            f"{number} = 0.25", f"{number} = 3", f"{t.name} = {t.name} * 1.5", f"{t.name} = {t.name}.double()",
            f"{leaf.name}.register_hook(fn(g) = g * 2)", f"{leaf.name}.grad = none", "zero_grad",
            f"{leaf.name}.grad = ones_like({leaf.name})", f"{leaf.name}.data = {leaf.name}.data * 0.5",
            f"{leaf.name} = var {leaf.name} grad", f"{leaf.name}.requires_grad_(false)", "detect_anomaly(true)",
            f"no_grad {{ {leaf.name}[...] = nan }}", f"no_grad {{ {leaf.name} += inf }}", f"{t.name} = none",
            f"{t.name} = [[1.0, 2.0], [3.0, 4.0]]", "assert false", "print 1 / 0", "break", "continue",
            f"{t.name} = {t.name}.detach()", "set_default_dtype(float64)", "manual_seed(3)", f"{t.name} = cat([{t.name}.flatten(), ones(1)])",
            f"{leaf.name}.grad.mul_(0)", f"{leaf.name}.grad += 1", f"no_grad {{ {t.name} *= 2 }}", f"kept = {t.name}.reshape(-1)[{size}]",
            f"{leaf.name}.register_hook(fn(g) = none)", f"kept = {leaf.name}; no_grad {{ kept += 1 }}", f"let {t.name} = {t.name} + 1",
            f"kept = {leaf.name}.grad", f"{t.name} = {t.name}.T" if len(t.shape) == 2 else f"{t.name} = {t.name}[...]",
        ]  # fmt: skip
        return f"if {i} == {self.rng.randrange(turns)} {{ {self.rng.choice(choices)} }}"


def _size(shape: Shape) -> int:
    n = 1
    for k in shape:
        n *= k
    return n


def _broadcasts(a: Shape, b: Shape) -> bool:
    return len(a) <= len(b) and all(x in (1, y) for x, y in zip(a[::-1], b[::-1]))


def training_program(seed: int, *, large: bool = False) -> Program:
    """The program that belongs to a seed."""
    return Writer(Random(seed), large=large).program()
