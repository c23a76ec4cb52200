"""Random programs for property tests: always syntactically right, mostly runnable, and written untidily."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

_UNARY = ["sin", "cos", "exp", "tanh", "abs", "sigmoid", "relu", "square"]
_REDUCE = ["sum", "mean", "max", "min"]
_SHAPES = ["[3]", "[2, 3]", "[]"]


@dataclass
class _Scope:
    """Names by kind, so that most uses fit what the name holds."""

    numbers: list[str] = field(default_factory=list)
    tensors: list[str] = field(default_factory=list)
    leaves: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)

    def inner(self) -> _Scope:
        return _Scope(list(self.numbers), list(self.tensors), list(self.leaves), list(self.functions))


class _Writer:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.count = 0

    # ---- untidiness -------------------------------------------------------------------------------
    def gap(self) -> str:
        """Blanks where any number of them may stand."""
        return self.rng.choice(["", "", " ", " ", " ", "  ", "\t"])

    def wrap(self) -> str:
        """Blanks inside brackets or behind an operator, where line ends are blanks too."""
        return (
            self.rng.choice(["", "", " ", " ", " ", "\n", "\n    ", "  # why\n", "\r\n"])
            if self.chance(8)
            else self.gap()
        )

    def chance(self, n: int) -> bool:
        return self.rng.randrange(n) == 0

    def commas(self, items: list[str]) -> str:
        return ("," + self.wrap()).join(items)

    def name(self) -> str:
        self.count += 1
        stem = self.rng.choice(
            ["x", "w", "b", "loss", "over", "step", "plot", "grad", "α", "学习率", "y_1", "letx", "to"]
        )
        return stem if self.chance(4) and stem not in ("plot", "letx") else f"{stem}{self.count}"

    # ---- expressions ------------------------------------------------------------------------------
    def number(self, s: _Scope, depth: int = 2) -> str:
        pick = self.rng.randrange(11) if depth > 0 else self.rng.randrange(3)
        if pick <= 1:
            return self.rng.choice(
                ["1", "2", "0.5", ".25", "1e-1", "3.", "1_000", "0x1f", "0b101", "7", "pi", "true"]
            )
        if pick == 2:
            return self.rng.choice(s.numbers) if s.numbers else "2"
        a, b = self.number(s, depth - 1), self.number(s, depth - 1)
        if pick == 3:
            return f"({self.wrap()}{a}{self.wrap()})"
        if pick == 4:
            return f"{self.rng.choice('-+')}{self.gap()}{self._tight(a)}"
        if pick == 5:
            return f"{self._tight(a)}{self.gap()}**{self.gap()}2"
        if pick == 6:
            return f"({a} if {self.condition(s, depth - 1)} else {b})"
        if pick == 7:
            return f"{self.rng.choice(['sin', 'cos', 'abs', 'tanh'])}({self.wrap()}{a}{self.wrap()})"
        if pick == 8:
            return f"(({a}) |> {self.rng.choice(_UNARY[:4])})"
        op = self.rng.choice(["+", "-", "*", "+", "-"])
        return f"{self._tight(a)}{self.gap()}{op}{self.wrap() or ' '}{self._tight(b)}"

    def _tight(self, text: str) -> str:
        return text if text.replace("_", "").isalnum() else f"({text})"

    def condition(self, s: _Scope, depth: int = 1) -> str:
        pick = self.rng.randrange(5 if depth > 0 else 2)
        a, b, c = (self._tight(self.number(s, 1)) for _ in range(3))
        if pick == 0:
            return f"{a} {self.rng.choice(['<', '<=', '==', '!=', '>', '>='])}{self.gap()}{b}"
        if pick == 1:
            return f"{a} < {b} <= {c}"
        left, right = self.condition(s, depth - 1), self.condition(s, depth - 1)
        if pick == 2:
            return f"not {left}"
        return f"({left}) {self.rng.choice(['and', 'or'])} {right}"

    def tensor(self, s: _Scope, depth: int = 2) -> str:
        pick = self.rng.randrange(10) if depth > 0 else self.rng.randrange(3)
        if pick == 0 or (pick <= 2 and not s.tensors):
            values = [self.rng.choice(["1", "-2", "0.5", "3.", "1e1"]) for _ in range(3)]
            return f"[{self.wrap()}{self.commas(values)}{self.rng.choice(['', ',', ''])}{self.wrap()}]"
        if pick <= 2:
            return self.rng.choice(s.tensors)
        a, b = self.tensor(s, depth - 1), self.tensor(s, depth - 1)
        if pick == 3:
            return f"{self.rng.choice(_UNARY)}({self.wrap()}{a}{self.wrap()})"
        if pick == 4:
            return f"({a}{self.gap()}{self.rng.choice('+-*')}{self.wrap() or ' '}({b}))"
        if pick == 5:
            return f"({a})[{self.rng.choice([':', '0:3', '...', '[0, 1, 2]', 'none', '0:3:1', ':, none'])}]"
        if pick == 6:
            return f"where(({a}) > 0,{self.wrap()}{a}, {b})"
        if pick == 7:
            return f"(({a}) |> {self.rng.choice(_UNARY)} |> clamp(min=-1, max{self.gap()}={self.gap()}1))"
        if pick == 8:
            return f"stack([{self.commas([a, b])}]).{self.rng.choice(['sum', 'mean'])}(dim=0)"
        return f"({a})**2"

    def text(self, s: _Scope) -> str:
        number = " ".join(self._tight(self.number(s, 1)).replace("# why", "").split())
        return self.rng.choice([
            '"a # b"', "'it \"is\"'", r'"tab\tα"', f'f"{{{number}:.3f}} {{{{x}}}}"', f"f'v = {{{number}}}'",
        ])  # fmt: skip

    # ---- statements -------------------------------------------------------------------------------
    def statements(self, s: _Scope, depth: int, count: int, indent: str) -> str:
        out = []
        for _ in range(count):
            text = self.statement(s, depth, indent)
            comment = self.rng.choice(["  # note", " #", "#x;y{"]) if self.chance(10) else ""
            end = (
                "; "
                if self.chance(8) and not comment
                else comment + self.rng.choice(["\n", "\n", "\n\n", "\n\n\n", "\r\n"])
            )
            if self.chance(12):
                out.append(f"{self.gap()}# {self.rng.choice(['a comment', '> no output', 'let x ='])}\n")
            out.append(indent + text + end)
        return "".join(out)

    def block(self, s: _Scope, depth: int, indent: str) -> str:
        if self.chance(10):
            return "{" + self.gap() + "}"
        inner = s.inner()
        if self.chance(4):
            return "{" + self.gap() + self.statement(inner, 0, "") + self.gap() + "}"
        body = self.statements(
            inner, depth - 1, self.rng.randrange(1, 4), indent + self.rng.choice(["  ", "    ", "\t", ""])
        )
        return "{" + self.rng.choice(["\n", " # begins\n", "\n\n"]) + body + indent + "}"

    def statement(self, s: _Scope, depth: int, indent: str) -> str:
        pick = self.rng.randrange(26 if depth > 0 else 16)
        if pick <= 2:
            value, name = self.number(s), self.name()
            s.numbers.append(name)
            return f"let {name}{self.gap()}={self.wrap()}{value}"
        if pick <= 4:
            value, name = self.tensor(s), self.name()
            s.tensors.append(name)
            return f"{self.rng.choice(['let ', ''])}{name} ={self.gap()}{value}"
        if pick == 5:
            value, name = self.tensor(s, 1), self.name()
            s.leaves.append(name)
            s.tensors.append(name)
            return f"let {name} = var {self._atom(value)}{self.rng.choice([' float64', ''])} grad"
        if pick <= 8:
            kinds = [self.number, self.tensor, lambda scope: self.text(scope)]
            values = [self.rng.choice(kinds)(s) for _ in range(self.rng.randrange(1, 4))]
            return f"print({self.commas(values)})" if self.chance(3) else f"print {', '.join(values)}"
        if pick == 9 and s.numbers:
            return f"{self.rng.choice(s.numbers)} {self.rng.choice('+-*')}={self.gap()}{self.number(s, 1)}"
        if pick == 10 and s.leaves:
            leaf = self.rng.choice(s.leaves)
            return f"backward sum({leaf}*{leaf}){self.rng.choice([' retain', ''])}"
        if pick == 11 and s.leaves:
            return f"update {self.rng.choice(s.leaves)} -= 0.1*{self.tensor(s, 1)}"
        if pick == 12:
            text = f"= {self.number(s, 1)},{self.wrap()}{self.number(s, 1)}"
            a, b = self.name(), self.name()
            s.numbers += [a, b]
            return f"let {a}, {b} {text}"
        if pick == 13:
            name = self.name()
            s.functions.append(name)
            head = f"fn {name}(x,{self.gap()}k{self.gap()}={self.gap()}2) ="
            return f"{head} x{self.gap()}*{self.gap()}k{self.gap()}+{self.number(s, 1)}"
        if pick == 14 and s.functions:
            function = self.rng.choice(s.functions)
            return f"print {function}({self.wrap()}{self.number(s, 1)}, k={self.number(s, 1)})"
        if pick == 15:
            return self.rng.choice(
                ["zero_grad", f"assert {self.condition(s)} or true, {self.text(s)}", self.number(s), "print"]
            )
        if pick <= 18:
            return self.branch(s, depth, indent)
        if pick <= 20:
            inner = s.inner()
            name = self.name()
            inner.numbers.append(name)
            return f"for {name} in range({self.rng.randrange(4)}) {self.block(inner, depth, indent)}"
        if pick == 21:
            return f"no_grad {self.block(s, depth, indent)}"
        if pick == 22:
            name = self.name()
            inner = s.inner()
            inner.numbers.append("t")
            s.functions.append(name)
            body = self.statements(inner, depth - 1, self.rng.randrange(1, 3), indent + "  ")
            return f"fn {name}(t, k=1) {{\n{body}{indent}  return t{self.gap()}*{self.gap()}k\n{indent}}}"
        if pick == 23:
            name = self.name()
            s.functions.append(name)
            return f"let {name} = fn(x,{self.gap()}k=1){self.gap()}={self.gap()}x if x > k else k"
        if pick == 24 and s.leaves:
            leaf = self.rng.choice(s.leaves)
            options = self.rng.sample(["using sgd(lr=0.01)", "steps 3", "until 1e-9"], self.rng.randrange(4))
            return " ".join([f"minimize mean(({leaf} - 1)**2) over {leaf}", *options])
        return f"print grad(fn(x) = x**2 + {self.number(s, 1)})({self.number(s, 1)} + 0.5)"

    def branch(self, s: _Scope, depth: int, indent: str) -> str:
        text = f"if {self.condition(s)} {self.block(s, depth, indent)}"
        if self.chance(2):
            text += f" else if {self.condition(s)} {self.block(s, depth, indent)}"
        return text + (f"{self.gap()}else {self.block(s, depth, indent)}" if self.chance(2) else "")

    def _atom(self, text: str) -> str:
        return (
            text
            if text.isidentifier() or (text[0] == "[" and text[-1] == "]" and text.count("[") == 1)
            else f"({text})"
        )


def random_program(rng: Random, length: int = 8) -> str:
    """A program of about so many statements."""
    writer = _Writer(rng)
    return writer.statements(_Scope(), 3, rng.randrange(1, length + 1), "")
