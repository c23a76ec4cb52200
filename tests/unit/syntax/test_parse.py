"""Statements and expressions: how they are grouped, what they hold, and where they say they stand."""

from __future__ import annotations

import pytest

from vardsl.errors import ScriptSyntaxError
from vardsl.source import Source, Span
from vardsl.syntax import ast
from vardsl.syntax.parse import parse_expression

from .reading import accepted, error, expression, program, shape, statement, written


@pytest.mark.parametrize(
    "text, grouped",
    [
        ("a + b * c", "(a + (b * c))"),
        ("a - b + c - d", "(a - b + c - d)"),
        ("a * b / c // d % e @ f", "(a * b / c // d % e @ f)"),
        ("-a**2", "(-(a ** 2))"),
        ("2**-1", "(2 ** (-1))"),
        ("a**b**c", "(a ** (b ** c))"),
        ("-a * b", "((-a) * b)"),
        ("- -a", "(-(-a))"),
        ("a | b & c | d", "(a | (b & c) | d)"),
        ("a & b + c", "(a & (b + c))"),
        ("a < b | c", "(a < (b | c))"),
        ("a < b <= c != d", "(a < b <= c != d)"),
        ("a in b not in c", "(a in b not in c)"),
        ("not a == b", "(not (a == b))"),
        ("not a and b or c and not d", "(((not a) and b) or (c and (not d)))"),
        ("a and b and c", "(a and b and c)"),
        ("a or b |> f", "((a or b) |> f)"),
        ("x |> f |> g(1)", "((x |> f) |> g(1))"),
        ("x |> (grad(f))", "(x |> grad(f))"),
        ("a |> f if c |> g else d |> h", "((a |> f) if (c |> g) else (d |> h))"),
        ("a if b else c if d else e", "(a if b else (c if d else e))"),
        ("fn(x) = a if b else c", "(fn(x) = (a if b else c))"),
        ("x |> fn(y) = y |> f", "(x |> (fn(y) = (y |> f)))"),
        ("fn(x) = fn(y) = x + y", "(fn(x) = (fn(y) = (x + y)))"),
        ("a if b else fn(x) = x", "(a if b else (fn(x) = x))"),
        ("var x grad ** 2", "((var x grad) ** 2)"),
        ("var -1.5 grad", "(var (-1.5) grad)"),
        ("-var x float64", "(-(var x float64))"),
        ("var w0.T grad + 1", "((var w0.T grad) + 1)"),
        ("var (a+b) float64 grad", "(var (a + b) float64 grad)"),
        ("var x[0](1).y", "(var x[0](1).y)"),
        ("x.y(1)[2].z", "x.y(1)[2].z"),
        ("-x.y", "(-x.y)"),
        ("~a + b", "((~a) + b)"),
    ],
)
def test_precedence(text: str, grouped: str) -> None:
    assert written(expression(text)) == grouped


@pytest.mark.parametrize(
    "text",
    [
        "not a + not b",
        "a + not b",
        "a + fn(x) = x",
        "f |> fn(x) = x, 1",
        "a if b",
        "a < not b",
        "x |> 2 + ",
        "x[]",
        "f(,)",
        "(,)",
        "[,]",
        "var",
        "fn x = 1",
        "var var x",
        "a !b",
        "fn(1) = 2",
        "fn(a.b) = 1",
        "f(a b)",
        "x.1",
        "...",
        "x[1:2:3:4]",
        "a b",
        "*a",
        "f(*a)",
        "f(**a)",
        "a = 1",
        "",
        ";",
        "1; 2",
    ],
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(ScriptSyntaxError):
        expression(text)


def test_tuples_and_parentheses() -> None:
    assert shape(expression("()")) == ("TupleExpr", (), True)
    assert shape(expression("(a,)")) == ("TupleExpr", (("Name", "a"),), True)
    assert shape(expression("(a, b,)")) == ("TupleExpr", (("Name", "a"), ("Name", "b")), True)
    assert shape(expression("(a)")) == ("Paren", ("Name", "a"))
    assert statement("x = 1, 2").value.parens is False
    assert statement("x = 1,;").value.items[0].value == 1
    for text in ("return 1, 2", "for i in 1, 2 { }", "x += 1, 2", "fn f(x) = x, x", "let a = 1, 2"):
        assert accepted(text)
    for text in ("1, 2", "f(a, b) + 1, 2", "if 1, 2 { }", "while 1, 2 { }"):
        assert not accepted(text)


def test_indices() -> None:
    items = expression("x[1, a:b:c, :, ::2, 1:, ..., none, (1, 2), [0, 1], -1, m > 0]").items
    assert [type(item).__name__ for item in items] == [
        "Number",
        "Slice",
        "Slice",
        "Slice",
        "Slice",
        "Ellipsis_",
        "NoneLit",
        "TupleExpr",
        "NumberRow",
        "Unary",
        "Compare",
    ]
    bounds = [(s.start is not None, s.stop is not None, s.step is not None) for s in items[1:5]]
    assert bounds == [(True, True, True), (False, False, False), (False, False, True), (True, False, False)]


def test_arguments() -> None:
    call = expression("f(a, fn(x) = x, b=1, c=fn(y, z=2) = y,)")
    assert [arg.name for arg in call.args] == [None, None, "b", "c"]
    assert [p.name for p in call.args[3].value.params] == ["y", "z"]
    assert "positional" in error("f(a=1, b)").message


def test_print() -> None:
    assert [
        len(statement(t).values)
        for t in (
            "print",
            "print()",
            "print(1)",
            "print 1, 2",
            "print(1, 2)",
            "print (1, 2)",
            "print ((1, 2))",
            "print (1, 2), 3",
        )
    ] == [
        0,
        0,
        1,
        2,
        2,
        2,
        1,
        2,
    ]
    assert isinstance(statement("print ((1, 2))").values[0], ast.Paren)
    assert isinstance(statement("print (1) * 2").values[0], ast.Chain)
    assert isinstance(statement("print (1, 2), 3").values[0], ast.TupleExpr)


def test_targets() -> None:
    assert shape(statement("a, (b, x[0]), (v.grad) = 1").target) == shape(
        ast.TupleExpr(Span(0, 0), (expression("a"), expression("(b, x[0])"), expression("v.grad")), False)
    )
    assert isinstance(statement("(a) = 1").target, ast.Name)
    for text in (
        "f() = 1",
        "1 = 2",
        "a + b = 1",
        "(a, 1) = b",
        "() = 1",
        "a if b else c = 1",
        "-a = 1",
        "[a, b] = 1",
        "x |> f = 1",
        "a, b += 1",
        "f() -= 1",
        "update 1 -= 2",
        "update a, b -= 1",
        "'s' = 1",
        "none = 1",
        "a == b = 1",
    ):
        assert not accepted(text), text
    assert error("a, f() = 1").column == 4
    assert accepted("let a, (b, (c,)) = 1") and not accepted("let a.b = 1") and not accepted("let x[0] = 1")
    assert accepted("for a, (b, c) in x { }") and not accepted("for a.b in x { }")


def test_statements() -> None:
    texts = {
        "let a = 1": ast.Let,
        "a = 1": ast.Assign,
        "a @= 1": ast.AugAssign,
        "update w -= 1": ast.Update,
        "print": ast.Print,
        "a": ast.ExprStmt,
        "backward a": ast.Backward,
        "zero_grad": ast.ZeroGrad,
        "if a { }": ast.If,
        "while a { }": ast.While,
        "for a in b { }": ast.For,
        "break": ast.Break,
        "continue": ast.Continue,
        "no_grad { }": ast.NoGrad,
        "fn f() = 1": ast.FnDef,
        "fn(x) = x": ast.ExprStmt,
        "return": ast.Return,
        "minimize f over a": ast.Minimize,
        "graph a": ast.Graph,
        "explain a": ast.Explain,
        "why a": ast.Why,
        "plot a": ast.Plot,
        'import "a"': ast.Import,
        "assert a": ast.Assert,
        "del a": ast.Del,
    }
    assert {text: type(statement(text)) for text in texts} == texts


def test_what_statements_hold() -> None:
    back = statement("backward a, b with g, h create retain step")
    assert (len(back.roots), len(back.gradients), back.retain, back.create, back.step) == (
        2,
        2,
        True,
        True,
        True,
    )
    assert "one for each" in error("backward a, b with g").message
    assert statement("x **= 2").op == "**" and statement("update w //= 2").op == "//"
    one = statement('import "lib.vd" as m')
    assert (one.path, one.alias) == ("lib.vd", "m")
    what = statement('explain a wrt b, c to "f.tex"')
    assert len(what.wrt) == 2 and what.to.value == "f.tex"
    check = statement('assert a, "m"')
    assert check.message.value == "m" and not accepted("assert a, b, c") and not accepted('assert (a, "m")')
    assert [name.id for name in statement("del a, b").names] == ["a", "b"]
    function = statement("fn f(x, y=2) { return x }")
    assert isinstance(function.body, ast.Block) and [p.default is None for p in function.params] == [
        True,
        False,
    ]
    assert (
        "no default" in error("fn f(x=1, y) = x").message
        and "two parameters" in error("fn f(x, x) = x").message
    )


def test_an_expression_alone() -> None:
    assert shape(parse_expression(Source("<test>", "\n v.grad * 2 \n"))) == shape(expression("v.grad*2"))


# ---- spans ----------------------------------------------------------------------------------------------
TEXT = """\
# fit
let v, (w, k) = var [[1, 2], [a, 4]] float64 grad, 1
(a + b)*c ; -x.y(1, k=2)[0, 1:2] **= not z
if x < 1 { y = f"{a:.2f}" } else if (q) { } else {
  print "a", (b)
}
fn f(x, y=2) = x if y else fn(z) = z |> g(1)
minimize a over b, c steps 3
backward (a), b with c, (d) retain
"""


def nodes(node: object) -> list[ast.Node]:
    if isinstance(node, tuple):
        return [n for item in node for n in nodes(item)]
    if not isinstance(node, ast.Node):
        return []
    return [node, *(n for f in type(node).fields for n in nodes(getattr(node, f)))]


def test_every_span_is_inside_its_parents_and_begins_and_ends_at_a_token() -> None:
    text = TEXT.replace("**= not z", "")
    tree = program(text)
    for outer in nodes(tree):
        piece = text[outer.span.start : outer.span.end]
        assert piece and piece == piece.strip(), outer
        for inner in nodes(tuple(getattr(outer, f) for f in type(outer).fields)):
            assert outer.span.start <= inner.span.start <= inner.span.end <= outer.span.end, (outer, inner)


@pytest.mark.parametrize(
    "text, kind, piece",
    [
        ("x = (a+b)*c", ast.Chain, "(a+b)*c"),
        ("x = f(a)[0].b", ast.Member, "f(a)[0].b"),
        ("x = -a**2", ast.Unary, "-a**2"),
        ("x = not a", ast.Not, "not a"),
        ("x = a not in b", ast.Compare, "a not in b"),
        ("x = var [1, 2] float64 grad", ast.Var, "var [1, 2] float64 grad"),
        ("x = var -y", ast.Var, "var -y"),
        ("x = [ 1, 2 ]", ast.NumberRow, "[ 1, 2 ]"),
        ("x = [ a, ]", ast.ListLit, "[ a, ]"),
        ("x = ( a, )", ast.TupleExpr, "( a, )"),
        ("x = a , b", ast.TupleExpr, "a , b"),
        ("x = a[ 1 : ]", ast.Slice, "1 :"),
        ("x = a[:]", ast.Slice, ":"),
        ("x = f( k = 1 )", ast.Arg, "k = 1"),
        ("x = a if b else c", ast.Conditional, "a if b else c"),
        ("x = a |> f(1)", ast.Pipe, "a |> f(1)"),
        ("x = fn(a) = a", ast.Lambda, "fn(a) = a"),
        ("if a { b }", ast.Block, "{ b }"),
        ("zero_grad a, b # x", ast.ZeroGrad, "zero_grad a, b"),
        ("backward a retain;", ast.Backward, "backward a retain"),
        ("minimize a over b, c", ast.Minimize, "minimize a over b, c"),
        ('import "a" as b', ast.Import, 'import "a" as b'),
        ("return", ast.Return, "return"),
        ("fn f(x, y = 2) = x", ast.Param, "x"),
    ],
)
def test_spans(text: str, kind: type[ast.Node], piece: str) -> None:
    found = next(node for node in nodes(program(text)) if isinstance(node, kind))
    assert text[found.span.start : found.span.end] == piece


def test_name_spans() -> None:
    text = "fn ff(x) = x.yy"
    function = statement(text)
    assert text[function.name_span.start : function.name_span.end] == "ff"
    assert text[function.body.name_span.start : function.body.name_span.end] == "yy"
