"""Expressions of the script as expressions of Python: native operators wherever both mean the same."""

from __future__ import annotations

import ast as py
from collections.abc import Callable, Sequence
from typing import Any

from vardsl.engine.signature import Signature
from vardsl.errors import InternalError
from vardsl.lang import builtins, packing
from vardsl.lang.arguments import method_parameters, takes_sequence
from vardsl.lang.check import Checked
from vardsl.lang.code import (
    LOAD,
    STORE,
    Positions,
    Stmts,
    const,
    global_name,
    helper,
    load,
    local_name,
    tuple_of,
)
from vardsl.lang.scope import Slot
from vardsl.lang.sites import Operand, free, operands
from vardsl.ops.define import NAMESPACES
from vardsl.source import Span
from vardsl.syntax import ast

P = dict[str, Any]
# Longer chains are folded into several expressions: Python's compiler recurses over them.
LONG = 40

_BINARY: dict[str, type[py.operator]] = {
    "+": py.Add, "-": py.Sub, "*": py.Mult, "/": py.Div, "//": py.FloorDiv, "%": py.Mod, "@": py.MatMult,
    "|": py.BitOr, "&": py.BitAnd,
}  # fmt: skip
_GUARDED = {"+": "add", "*": "mul", "%": "mod", "|": "or", "&": "and"}
_COMPARE: dict[str, type[py.cmpop]] = {
    "==": py.Eq, "!=": py.NotEq, "<": py.Lt, "<=": py.LtE, ">": py.Gt, ">=": py.GtE, "in": py.In,
    "not in": py.NotIn,
}  # fmt: skip


class Expressions:
    """Compiles expressions; statements that one needs before it (function bodies) go to `self.before`."""

    checked: Checked
    at: Positions
    before: Stmts

    def __init__(self, checked: Checked) -> None:
        self.checked = checked
        self.at = Positions(checked.source)
        self.before = []
        self.serial = 0
        # where numbers stand that a recording may follow: the spans of `x[i]`, of `x.item()`, and of what
        # may be such a number where only a bare one will do
        self.followed: set[Span] = set()
        self.elements: set[Span] = set()
        self.pins: set[Span] = set()
        # by name: the expression as a function, which operands may be any number, place
        self.sites: list[tuple[str, py.expr, tuple[int, ...], P]] = []
        self.asking = False  # whether what is compiled stands in a site
        self.named: dict[Span, str] = {}  # what of it has got a name there
        self.localised: dict[str, str] = {}
        self.methods: set[str] = set()
        self.builtins_used: set[str] = set()

    def fresh(self, what: str) -> str:
        """A name that nothing else has."""
        self.serial += 1
        return f".{what}{self.serial}"

    # ---- names -----------------------------------------------------------------------------------
    def python_name(self, name: str, offset: int) -> str:
        """What the name at an offset is called in the generated code."""
        slot = self.checked.names.get(offset)
        if isinstance(slot, Slot):
            return local_name(slot.py)
        here = self.localised.get(name)
        if here is not None:
            return here
        if slot is None or name in self.builtin_names:
            self.builtins_used.add(name)
        return global_name(name)

    builtin_names = builtins.all_names()

    def is_builtin(self, e: ast.Name) -> bool:
        """Whether the name can be nothing but a builtin here."""
        return e.span.start not in self.checked.names and e.id in self.builtin_names

    # ---- dispatch --------------------------------------------------------------------------------
    def expr(self, e: ast.Node) -> py.expr:
        method = _EXPRESSIONS.get(type(e))
        if method is None:
            raise InternalError(f"no code for {type(e).__name__}")
        if e.span in self.named:
            return load(self.named[e.span], self.at(e.span))
        if e.span in self.pins and type(e) is not ast.Paren:
            return helper("pinned", [method(self, e)], self.at(e.span))
        if not self.asking and type(e) in _SITES and self.repeats():
            names = operands(e, self.is_builtin)  # type: ignore[arg-type]
            if names is not None:
                return self.at_site(lambda: method(self, e), names, e)  # type: ignore[arg-type]
        return method(self, e)

    def repeats(self) -> bool:
        """Whether what is being compiled may be run many times."""
        raise NotImplementedError

    def at_site(self, build: Callable[[], py.expr], given: list[Operand], e: ast.Expr) -> py.expr:
        """`(site(x, w) or (x @ w + 1,))[0]`, with the places of `e`; what is given that is no variable gets a
        name."""
        p, numbers = self.at(e.span), free(e, given)
        self.asking = True
        names, asked = [], []
        for operand in given:
            value = self.expr(operand)
            if isinstance(operand, ast.Name):
                names.append(self.python_name(operand.id, operand.span.start))
            else:
                names.append(self.fresh("o"))
                value = py.NamedExpr(py.Name(names[-1], STORE, **p), value, **p)
            asked.append(value)
        self.named = {o.span: n for o, n in zip(given, names) if not isinstance(o, ast.Name)}
        value = build()
        self.named = {}
        self.asking = False
        site = self.new_site(len(self.sites))
        made = py.arguments([], [py.arg(a, None, **p) for a in names], None, [], [], None, [])
        self.sites.append((site, py.Lambda(made, value, **p), numbers, p))
        found = py.BoolOp(py.Or(), [py.Call(load(site, p), asked, [], **p), tuple_of([value], p)], **p)
        return py.Subscript(found, const(0, p), LOAD, **p)

    def new_site(self, k: int) -> str:
        """The name of the program's site number `k`."""
        raise NotImplementedError

    def exprs(self, items: Sequence[ast.Expr]) -> list[py.expr]:
        return [self.expr(e) for e in items]

    # ---- atoms -----------------------------------------------------------------------------------
    def _number(self, e: ast.Number) -> py.expr:
        return const(e.value, self.at(e.span))

    def _bool(self, e: ast.Bool) -> py.expr:
        return const(e.value, self.at(e.span))

    def _none(self, e: ast.NoneLit) -> py.expr:
        return const(None, self.at(e.span))

    def _string(self, e: ast.String) -> py.expr:
        return const(e.value, self.at(e.span))

    def _name(self, e: ast.Name) -> py.expr:
        return load(self.python_name(e.id, e.span.start), self.at(e.span))

    def _paren(self, e: ast.Paren) -> py.expr:
        return self.expr(e.inner)

    def _tuple(self, e: ast.TupleExpr) -> py.expr:
        return tuple_of(self.exprs(e.items), self.at(e.span))

    def _fstring(self, e: ast.FString) -> py.expr:
        p = self.at(e.span)
        parts = [const(part, p) if isinstance(part, str) else self._field(part) for part in e.parts]
        return helper("joined", [tuple_of(parts, p)], p)

    def _field(self, f: ast.Field) -> py.expr:
        p = self.at(f.value.span)
        spec = [const(s, p) if isinstance(s, str) else self._field(s) for s in f.spec]
        if len(spec) == 1:
            return helper("formatted", [self.expr(f.value), spec[0]], p)
        value = self.expr(f.value)
        return helper(
            "formatted", [value, helper("joined", [tuple_of(spec, p)], p) if spec else const("", p)], p
        )

    # ---- literals --------------------------------------------------------------------------------
    def _list(self, e: ast.ListLit | ast.NumberRow) -> py.expr:
        p = self.at(e.span)
        packed = packing.pack(e)
        if packed is not None:
            data, shape, kind = packed
            return helper("array", [const(data, p), const(shape, p), const(kind, p)], p)
        return helper("tensor", [self._nested(e)], p)

    def _nested(self, e: ast.Expr) -> py.expr:
        """The structure of a literal as nested lists, for the run time to make a tensor of."""
        p = self.at(e.span)
        if isinstance(e, ast.NumberRow):
            return py.List([const(v, p) for v in e.values], LOAD, **p)
        if isinstance(e, ast.ListLit):
            return py.List([self._nested(item) for item in e.items], LOAD, **p)
        return self.expr(e)

    def _sequence(self, e: ast.ListLit | ast.NumberRow) -> py.expr:
        p = self.at(e.span)
        if isinstance(e, ast.NumberRow):
            return const(tuple(e.values), p)
        return tuple_of(self.exprs(e.items), p)

    def _var(self, e: ast.Var) -> py.expr:
        p = self.at(e.span)
        operand = e.operand
        while isinstance(operand, ast.Paren):
            operand = operand.inner
        if isinstance(operand, (ast.ListLit, ast.NumberRow)):
            value = self._nested(operand)
        else:
            value = self.expr(operand)
        return helper("var", [value, const(e.dtype, p), const(e.grad, p)], p)

    # ---- operators -------------------------------------------------------------------------------
    def _chain(self, e: ast.Chain) -> py.expr:
        left, known, real = self.expr(e.first), numeric(e.first), fractional(e.first)
        parts: list[py.expr] = []
        name = ""
        for k, (op, operand) in enumerate(zip(e.ops, e.rest)):
            p = self.at(Span(e.first.span.start, operand.span.end))
            right = self.expr(operand)
            right_known, right_real = numeric(operand), fractional(operand)
            safe = (
                op in "-/@" or op == "//"
                or (op == "+" and (known or right_known))
                or (op == "*" and (real or right_real))
                or (op == "%" and known)
            )  # fmt: skip
            if safe:
                left = py.BinOp(left, _BINARY[op](), right, **p)
            else:
                left = helper(_GUARDED[op], [left, right], p)
            real = (real or right_real) and op in "+-*/"
            known = known or right_known or op not in ("+", "*")
            if (k + 1) % LONG == 0 and k + 1 < len(e.ops):
                name = name or self.fresh("t")
                parts.append(py.NamedExpr(py.Name(name, py.Store(), **p), left, **p))
                left = load(name, p)
        if not parts:
            return left
        p = self.at(e.span)
        return py.Subscript(tuple_of([*parts, left], p), const(-1, p), LOAD, **p)

    def _unary(self, e: ast.Unary) -> py.expr:
        p = self.at(e.span)
        if e.op == "-" and isinstance(e.value, ast.Number):
            return const(-e.value.value, p)
        if e.op == "~":
            return helper("invert", [self.expr(e.value)], p)
        return py.UnaryOp(py.USub() if e.op == "-" else py.UAdd(), self.expr(e.value), **p)

    def _power(self, e: ast.Power) -> py.expr:
        return helper("power", [self.expr(e.base), self.expr(e.exponent)], self.at(e.span))

    def _not(self, e: ast.Not) -> py.expr:
        return py.UnaryOp(py.Not(), self.expr(e.value), **self.at(e.span))

    def _bool_op(self, e: ast.BoolOp) -> py.expr:
        return py.BoolOp(py.And() if e.op == "and" else py.Or(), self.exprs(e.values), **self.at(e.span))

    def _compare(self, e: ast.Compare) -> py.expr:
        p = self.at(e.span)
        if len(e.ops) == 1 and e.ops[0] in ("==", "!="):
            for one, other in ((e.first, e.rest[0]), (e.rest[0], e.first)):
                if isinstance(one, (ast.ListLit, ast.NumberRow)) and _sequence_like(other):
                    # `x.shape == [2, 3]` compares sizes, as it reads
                    found = helper("same_shape", [self.expr(other), self._sequence(one), self._list(one)], p)
                    return found if e.ops[0] == "==" else helper("differ", [found], p)
        ops = [_COMPARE[op]() for op in e.ops]
        return py.Compare(self.expr(e.first), ops, self.exprs(e.rest), **p)

    def _conditional(self, e: ast.Conditional) -> py.expr:
        test = self.expr(e.condition)
        return py.IfExp(test, self.expr(e.value), self.expr(e.otherwise), **self.at(e.span))

    # ---- postfix ---------------------------------------------------------------------------------
    def _index(self, e: ast.Index) -> py.expr:
        if e.span in self.followed:
            return helper("part", [self.expr(e.value), self.index_key(e)], self.at(e.span))
        return py.Subscript(_shielded(self.expr(e.value)), self.index_key(e), LOAD, **self.at(e.span))

    def index_key(self, e: ast.Index) -> py.expr:
        """The key of `x[i, a:b]` as a value: an item, or a tuple of them."""
        items = [self._item(i) for i in e.items]
        if len(items) == 1:
            return items[0]
        return tuple_of(items, self.at(e.span))

    def _item(self, e: ast.Expr) -> py.expr:
        p = self.at(e.span)
        if isinstance(e, ast.Slice):
            bounds = [self.expr(b) if b is not None else const(None, p) for b in (e.start, e.stop, e.step)]
            return helper("slice", bounds, p)
        if isinstance(e, ast.Ellipsis_):
            return const(..., p)
        return self.expr(e)

    def _ellipsis(self, e: ast.Ellipsis_) -> py.expr:
        return const(..., self.at(e.span))

    def _member(self, e: ast.Member) -> py.expr:
        p = self.at(e.span)
        space = self._namespace(e)
        if space is not None:
            return helper("space", [const(space, p), const(e.name, p)], p)
        return helper("member", [self.expr(e.value), const(e.name, p)], p)

    def _namespace(self, e: ast.Member) -> str | None:
        v = e.value
        if isinstance(v, ast.Name) and self.is_builtin(v) and v.id in NAMESPACES:
            return v.id
        return None

    def _call(self, e: ast.Call) -> py.expr:
        return self.call(e, [])

    def call(self, e: ast.Call, first: list[py.expr], span: Span | None = None) -> py.expr:
        """A call, with arguments that a pipe puts before the others."""
        p = self.at(span or e.span)
        f = e.function
        if isinstance(f, ast.Member):
            space = self._namespace(f)
            if space is None:
                return self._method_call(f, e, first, p)
            full = f"{space}.{f.name}"
            if builtins.has(full):
                self.builtins_used.add(full)
                args, keywords = self._arguments(e.args, builtins.call_parameters(full), len(first))
                return py.Call(load(global_name(full), p), [*first, *args], keywords, **p)
        if isinstance(f, ast.Name) and self.is_builtin(f):
            if f.id in ("tensor", "as_tensor", "asarray") and not first:
                return self._tensor_call(e, p)
            signature = builtins.call_parameters(f.id)
        else:
            signature = None
        target = _shielded(self.expr(f))
        args, keywords = self._arguments(e.args, signature, len(first))
        return py.Call(target, [*first, *args], keywords, **p)

    def _method_call(self, f: ast.Member, e: ast.Call, first: list[py.expr], p: P) -> py.expr:
        if e.span in self.elements:
            return helper("element", [self.expr(f.value)], p)
        self.methods.add(f.name)
        receiver = self.expr(f.value)
        args, keywords = self._arguments(e.args, method_parameters(f.name), len(first) + 1)
        return py.Call(load(".m:" + f.name, p), [receiver, *first, *args], keywords, **p)

    def _tensor_call(self, e: ast.Call, p: P) -> py.expr:
        """`tensor([…])`: the numbers go in as they are written, not through the default dtype."""
        assert isinstance(e.function, ast.Name)
        args: list[py.expr] = []
        keywords: list[py.keyword] = []
        for a in e.args:
            is_data = a.name == "data" or (a.name is None and not args)
            literal = is_data and isinstance(a.value, (ast.ListLit, ast.NumberRow))
            value = self._nested(a.value) if literal else self.expr(a.value)
            if a.name is None:
                args.append(value)
            else:
                keywords.append(py.keyword(local_name(a.name), value, **self.at(a.span)))
        name = e.function.id
        return py.Call(
            load(".make_tensor" if name == "tensor" else self.python_name(name, e.function.span.start), p),
            args,
            keywords,
            **p,
        )

    def _arguments(
        self, args: Sequence[ast.Arg], signature: Signature | None, offset: int
    ) -> tuple[list[py.expr], list[py.keyword]]:
        positional: list[py.expr] = []
        keywords: list[py.keyword] = []
        for a in args:
            if isinstance(a.value, (ast.ListLit, ast.NumberRow)) and takes_sequence(
                signature, len(positional) + offset if a.name is None else a.name, a.value
            ):
                value = self._sequence(a.value)
            else:
                value = self.expr(a.value)
            if a.name is None:
                positional.append(value)
            else:
                keywords.append(py.keyword(local_name(a.name), value, **self.at(a.span)))
        return positional, keywords

    def _pipe(self, e: ast.Pipe) -> py.expr:
        value = self.expr(e.value)
        call = e.call
        if isinstance(call, ast.Call):
            return self.call(call, [value])
        p = self.at(e.span)
        if isinstance(call, ast.Member) and self._namespace(call) is None:
            return py.Call(
                helper("member", [self.expr(call.value), const(call.name, p)], self.at(call.span)),
                [value],
                [],
                **p,
            )
        return py.Call(_shielded(self.expr(call)), [value], [], **self.at(call.span))

    def _lambda(self, e: ast.Lambda) -> py.expr:
        return self.make_function("fn", e.span, e.params, e.body)

    def make_function(
        self, name: str, span: Span, params: Sequence[ast.Param], body: ast.Expr | ast.Block
    ) -> py.expr:
        """The code that makes a function value; its body goes before the statement."""
        raise NotImplementedError


def _shielded(e: py.expr) -> py.expr:
    """A literal, or what folds into one, where it cannot stand: Python's compiler would write a warning."""
    if not isinstance(e, (py.Name, py.Call, py.Subscript)):
        p: P = {"lineno": e.lineno, "col_offset": e.col_offset}
        p |= {"end_lineno": e.end_lineno or e.lineno, "end_col_offset": e.end_col_offset or e.col_offset}
        return helper("itself", [e], p)
    return e


def _sequence_like(e: ast.Expr) -> bool:
    """Whether the expression reads as sizes: `x.shape`, `x.size()`, `shape(x)`."""
    if isinstance(e, ast.Member):
        return e.name == "shape"
    if isinstance(e, ast.Call):
        f = e.function
        return (isinstance(f, ast.Member) and f.name == "size" and not e.args) or (
            isinstance(f, ast.Name) and f.id == "shape"
        )
    return False


def numeric(e: ast.Expr) -> bool:
    """Whether the value is certainly a number or a tensor."""
    while isinstance(e, ast.Paren):
        e = e.inner
    if isinstance(e, (ast.Number, ast.ListLit, ast.NumberRow, ast.Var, ast.Unary, ast.Power)):
        return True
    if isinstance(e, ast.Chain):
        return (
            any(op not in "+*" for op in e.ops) or numeric(e.first) or any(numeric(r) for r in e.rest[:LONG])
        )
    return False


def fractional(e: ast.Expr) -> bool:
    """Whether the value is certainly a real or a tensor: no huge integer comes of a product with it."""
    while isinstance(e, ast.Paren):
        e = e.inner
    if isinstance(e, ast.Number):
        return isinstance(e.value, float)
    if isinstance(e, (ast.ListLit, ast.NumberRow, ast.Var)):
        return True
    if isinstance(e, ast.Unary):
        return e.op != "~" and fractional(e.value)
    if isinstance(e, ast.Chain):
        return all(op in "+-*/" for op in e.ops) and (
            "/" in e.ops or fractional(e.first) or any(fractional(r) for r in e.rest[:LONG])
        )
    return False


_SITES = (ast.Chain, ast.Call, ast.Power, ast.Unary)
_EXPRESSIONS: dict[type, Callable[[Expressions, Any], py.expr]] = {
    ast.Number: Expressions._number,
    ast.Bool: Expressions._bool,
    ast.NoneLit: Expressions._none,
    ast.String: Expressions._string,
    ast.FString: Expressions._fstring,
    ast.Name: Expressions._name,
    ast.Paren: Expressions._paren,
    ast.TupleExpr: Expressions._tuple,
    ast.ListLit: Expressions._list,
    ast.NumberRow: Expressions._list,
    ast.Var: Expressions._var,
    ast.Chain: Expressions._chain,
    ast.Unary: Expressions._unary,
    ast.Power: Expressions._power,
    ast.Not: Expressions._not,
    ast.BoolOp: Expressions._bool_op,
    ast.Compare: Expressions._compare,
    ast.Conditional: Expressions._conditional,
    ast.Index: Expressions._index,
    ast.Ellipsis_: Expressions._ellipsis,
    ast.Member: Expressions._member,
    ast.Call: Expressions._call,
    ast.Pipe: Expressions._pipe,
    ast.Lambda: Expressions._lambda,
}
