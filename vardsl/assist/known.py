"""What the value of an expression rests on, told from its text.

A program can be gone through with stand-ins for its tensors, as long as what is asked of them is only their
shape and dtype. `Judge.of` says how much of an expression's value a stand-in would get right:

    EXACT     all of it: numbers, strings, sizes, which no tensor's elements have a part in
    LIKENESS  shape and dtype of a tensor (or of several), not its elements
    UNKNOWN   perhaps nothing
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from vardsl.engine.dtypes import BY_NAME
from vardsl.engine.value import Value
from vardsl.lang import builtins
from vardsl.ops import define
from vardsl.syntax import ast

UNKNOWN, LIKENESS, EXACT = 0, 1, 2

SETTINGS = frozenset({"manual_seed", "seed", "set_default_dtype", "set_printoptions"})
# Functions of plain values.
PLAIN = SETTINGS.union(
    ["len", "range", "int", "float", "bool", "str", "abs", "min", "max", "sum", "round"]
)
# Operations whose result has a shape, or is a number, that the elements decide.
BY_ELEMENTS = frozenset(
    {
        "nonzero", "argwhere", "unique", "unique_consecutive", "masked_select", "masked_scatter", "bincount",
        "masked_scatter_", "repeat_interleave", "one_hot", "tensor_split", "equal", "allclose", "is_nonzero",
        "histogram", "item", "tolist", "numpy", "set_", "resize_", "lstsq",
    }
)  # fmt: skip
SIZES = frozenset(["shape", "ndim", "dtype"])
SIZE_CALLS = frozenset(["size", "dim", "numel", "ndimension", "nelement"])
PARTS = frozenset(["T", "mT", "H", "mH", "data", "values", "indices"])
DEEPEST = 20  # calls of functions within each other

STATIC = frozenset({"Int", "Ints", "Sizes", "Bool", "Str", "Dtype", "Any"})  # kinds of parameters

Names = Mapping[str, int]
Args = Sequence[tuple[str | None, ast.Expr]]  # with the names of those that have one


def _is_row(e: ast.Expr) -> bool:
    """Whether it is written as a list, which as an argument may be a sequence."""
    return isinstance(e, (ast.NumberRow, ast.ListLit))


class Judge:
    """Judges expressions; `names` says what is known of names, `bound` are all that the program binds
    anywhere, `functions` its functions, `value` gives a name's stand-in, and `grads` says whether `.grad` is
    what it would be."""

    def __init__(
        self,
        names: Names,
        bound: frozenset[str],
        functions: Mapping[str, ast.FnDef],
        value: Callable[[str], Any],
        grads: Callable[[], bool],
    ) -> None:
        self.names = names
        self.bound = bound
        self.functions = functions
        self.value = value
        self.grads = grads
        self.local: list[dict[str, int]] = []

        self.pure = False  # whether only what has no effects is judged to be known
        self.shadowed = 0  # blocks around that bind a name which functions use
        self.memo: dict[tuple[int, int], int] = {}
        self.depth = self.frame = 0
        self.serial = 1

    def of(self, e: ast.Node) -> int:
        rule = _RULES.get(type(e))
        if rule is None:
            return UNKNOWN
        key = id(e), self.frame  # chains ask for what they are made of more than once
        if key in self.memo:
            return self.memo[key]
        self.depth += 1
        try:
            found = self.memo[key] = rule(self, e)
        finally:
            self.depth -= 1
            if not self.depth:
                self.memo.clear()
        return found

    def least(self, parts: Iterable[ast.Node]) -> int:
        found = EXACT
        for e in parts:
            found = min(found, self.of(e))
            if not found:
                break
        return found

    # ---- names and literals --------------------------------------------------------------------------------
    def _exact(self, e: ast.Node) -> int:
        return EXACT

    def _row(self, e: ast.NumberRow) -> int:
        return LIKENESS

    def _list(self, e: ast.ListLit) -> int:
        return min(LIKENESS, self.least(e.items))

    def _tuple(self, e: ast.TupleExpr) -> int:
        return self.least(e.items)

    def _name(self, e: ast.Name) -> int:
        if self.local and e.id in self.local[-1]:
            return self.local[-1][e.id]
        if e.id in self.names:
            return self.names[e.id]
        plain = builtins.is_constant(e.id) or e.id in BY_NAME
        return EXACT if plain and e.id not in self.bound else UNKNOWN

    # ---- operators -----------------------------------------------------------------------------------------
    def _inner(self, e: ast.Paren) -> int:
        return self.of(e.inner)

    def _unary(self, e: ast.Unary) -> int:
        return self.of(e.value)

    def _chain(self, e: ast.Chain) -> int:
        return self.least((e.first, *e.rest))

    def _power(self, e: ast.Power) -> int:
        return self.least((e.base, e.exponent))

    def _var(self, e: ast.Var) -> int:
        return min(LIKENESS, self.of(e.operand))

    def _compare(self, e: ast.Compare) -> int:
        found = self.least((e.first, *e.rest))
        elementwise = len(e.ops) == 1 and e.ops[0] not in ("in", "not in")
        return found if found == EXACT or elementwise else UNKNOWN

    def _truth(self, e: ast.BoolOp) -> int:
        return EXACT if self.least(e.values) == EXACT else UNKNOWN

    def _not(self, e: ast.Not) -> int:
        return EXACT if self.of(e.value) == EXACT else UNKNOWN

    def _conditional(self, e: ast.Conditional) -> int:
        return self.least((e.value, e.otherwise)) if self.of(e.condition) == EXACT else UNKNOWN

    # ---- parts ---------------------------------------------------------------------------------------------
    def _member(self, e: ast.Member) -> int:
        known = self.of(e.value)
        if not known:
            return UNKNOWN
        if e.name in SIZES:
            return EXACT
        if e.name == "grad":
            return LIKENESS if self.grads() else UNKNOWN
        return LIKENESS if e.name in PARTS else UNKNOWN

    def _index(self, e: ast.Index) -> int:
        known = self.of(e.value)
        v = self.value(e.value.id) if isinstance(e.value, ast.Name) and not self.local else None
        tensor = known == LIKENESS and type(v) is Value
        return known if known and all(self._place(item, tensor) for item in e.items) else UNKNOWN

    def _place(self, item: ast.Node, tensor: bool) -> bool:
        """Whether an entry of an index, into a tensor or perhaps something else, takes a part whose shape is
        known."""
        if isinstance(item, (ast.Ellipsis_, ast.NoneLit)):
            return True
        if isinstance(item, ast.Slice):
            bounds = [b for b in (item.start, item.stop, item.step) if b is not None]
            return self.least(bounds) == EXACT
        known = self.of(item)
        if known == LIKENESS and isinstance(item, ast.Name) and tensor:
            v = self.value(item.id)  # how much a mask takes, its elements decide
            return type(v) is Value and v.array.dtype.kind == "i"
        return known == EXACT

    # ---- calls ---------------------------------------------------------------------------------------------
    def _call(self, e: ast.Call) -> int:
        return self._called(e.function, [(a.name, a.value) for a in e.args])

    def _pipe(self, e: ast.Pipe) -> int:
        if isinstance(e.call, ast.Call):
            return self._called(e.call.function, [(None, e.value), *((a.name, a.value) for a in e.call.args)])
        return self._called(e.call, [(None, e.value)])

    def _called(self, f: ast.Expr, args: Args) -> int:
        if isinstance(f, ast.Name):
            return self._by_name(f.id, args)
        if not isinstance(f, ast.Member):
            return UNKNOWN
        if isinstance(f.value, ast.Name) and f.value.id not in self.bound:
            return self._operation(f"{f.value.id}.{f.name}", args)
        known = self.least((f.value, *(e for _, e in args)))
        if f.name in SIZE_CALLS:
            return EXACT if known and self.least(e for _, e in args) == EXACT else UNKNOWN
        if known == EXACT:
            return EXACT  # of a string or a tuple
        return self._operation(f.name, [(None, f.value), *args])

    def _by_name(self, name: str, args: Args) -> int:
        known = self.least(e for _, e in args)
        function = self.functions.get(name)
        if function is not None and known and not self.shadowed:
            named = any(n is not None for n, _ in args)
            return UNKNOWN if named else self._script(function, [self.of(e) for _, e in args])
        if not known or name in self.bound:
            return UNKNOWN
        if name == "len" or (known == EXACT and name in PLAIN):
            return UNKNOWN if self.pure and name in SETTINGS else EXACT
        return UNKNOWN if name in ("int", "float", "bool", "str") else self._operation(name, args)

    def _operation(self, name: str, args: Args) -> int:
        """An operation: tensors may be stand-ins, sizes and the like may not."""
        short = name.rpartition(".")[2]
        if short in BY_ELEMENTS or (short == "where" and len(args) == 1):
            return UNKNOWN
        if self.pure and short.endswith("_"):
            return UNKNOWN
        try:
            parameters = define.get(name).signature
        except KeyError:
            return UNKNOWN
        last = len(parameters.positional) - 1
        for k, (keyword, e) in enumerate(args):
            i = min(k, last) if keyword is None else parameters.index.get(keyword, -1)
            kind = parameters.parameters[i].kind if 0 <= i < len(parameters.parameters) else "Any"
            static = kind in STATIC or short == "arange"
            if self.of(e) < (EXACT if static and not _is_row(e) else LIKENESS):
                return UNKNOWN
            if static and isinstance(e, ast.ListLit) and self.least(e.items) < EXACT:
                return UNKNOWN
        return LIKENESS

    def _script(self, f: ast.FnDef, args: list[int]) -> int:
        """A function of the script that is a straight line of bindings and an end."""
        if len(self.local) >= DEEPEST or any(p.default is not None for p in f.params):
            return UNKNOWN
        self.local.append(dict(zip([p.name for p in f.params], args)))
        before, self.frame = self.frame, self.serial
        self.serial += 1
        try:
            return self._body(f.body) if isinstance(f.body, ast.Block) else self.of(f.body)
        finally:
            self.local.pop()
            self.frame = before

    def _body(self, block: ast.Block) -> int:
        for s in block.body:
            if isinstance(s, ast.Return) and s.value is not None:
                return self.of(s.value)
            if not isinstance(s, (ast.Let, ast.Assign)) or not isinstance(s.target, ast.Name):
                return UNKNOWN
            self.local[-1][s.target.id] = self.of(s.value)
        return UNKNOWN


_RULES: Mapping[type, Callable[[Judge, Any], int]] = {
    ast.Number: Judge._exact,
    ast.Bool: Judge._exact,
    ast.NoneLit: Judge._exact,
    ast.String: Judge._exact,
    ast.NumberRow: Judge._row,
    ast.ListLit: Judge._list,
    ast.TupleExpr: Judge._tuple,
    ast.Name: Judge._name,
    ast.Paren: Judge._inner,
    ast.Unary: Judge._unary,
    ast.Chain: Judge._chain,
    ast.Power: Judge._power,
    ast.Var: Judge._var,
    ast.Compare: Judge._compare,
    ast.BoolOp: Judge._truth,
    ast.Not: Judge._not,
    ast.Conditional: Judge._conditional,
    ast.Member: Judge._member,
    ast.Index: Judge._index,
    ast.Call: Judge._call,
    ast.Pipe: Judge._pipe,
}
