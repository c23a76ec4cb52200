"""The one layout of a program."""

from __future__ import annotations

import pytest

from vardsl.errors import ScriptSyntaxError
from vardsl.source import Source
from vardsl.syntax.format import format_source

from .reading import program, shape


def formatted(text: str) -> str:
    once = format_source(Source("<test>", text))
    assert format_source(Source("<test>", once)) == once
    assert shape(program(once)) == shape(program(text))
    return once


@pytest.mark.parametrize(
    "text, layout",
    [
        ("x=1", "x = 1"),
        ("let  a ,b=b,a", "let a, b = b, a"),
        ("x=-a**-2+ +b*( c-d )/ ~e", "x = -a**-2 + +b*(c - d)/~e"),
        ("f( a ,b = 1,c=fn( x,y = 2 )=x )", "f(a, b=1, c=fn(x, y=2) = x)"),
        ("x[ 1 : 2,:: -1 , ... ] =0", "x[1:2, ::-1, ...] = 0"),
        ("x=3*y+0.5+.1*f(a*b)", "x = 3*y + 0.5 + .1*f(a * b)"),
        ("t=(w*x+b-y)**2,a*b", "t = (w*x + b - y)**2, a * b"),
        ("x=q@k/d+1, a//b<c%d-1", "x = q @ k / d + 1, a // b < c%d - 1"),
        ("x . y [ 0 ] ( 1 )", "x.y[0](1)"),
        ("print( 1,2 )", "print(1, 2)"),
        ("print  (1)*2", "print (1) * 2"),
        ("print((1,2))", "print((1, 2))"),
        ("print(1);print (2)", "print(1)\nprint(2)"),
        ("t=(a,)", "t = (a,)"),
        ("x=[ [1,2],[ 3,-4 ] ]", "x = [[1, 2], [3, -4]]"),
        ("a=not b and c in d|>f", "a = not b and c in d |> f"),
        ("if(a){b=1}", "if (a) { b = 1 }"),
        ("if a{b=1;c=2}else{ }", "if a {\n  b = 1\n  c = 2\n} else { }"),
        ("fn f(x,y=2){return(x)}", "fn f(x, y=2) { return (x) }"),
        ("fn  f( )=fn( )=1", "fn f() = fn() = 1"),
        ("let v=var[1,2]float64 grad", "let v = var [1, 2] float64 grad"),
        ("let v=var(a)grad", "let v = var (a) grad"),
        ("let v=var-1.5 grad", "let v = var -1.5 grad"),
        ("minimize f over a,b   steps 3", "minimize f over a, b steps 3"),
        ("backward(a)with(b)retain", "backward (a) with (b) retain"),
        ('print f"{ x :.2f}" ,"a  b"', 'print f"{ x :.2f}", "a  b"'),
        ("x=1_000+0xFF+.5+1.", "x = 1_000 + 0xFF + .5 + 1."),
        ("x=2 .e1;y=1. .f", "x = 2 .e1\ny = 1. .f"),
        ("while  true{\n\n\nbreak\n\n\n}", "while true {\n  break\n}"),
        ("for i,a in x{print i}", "for i, a in x { print i }"),
        ("if a {} else if b {x}", "if a { } else if b { x }"),
        ("no_grad{\nif a{b}}", "no_grad {\n  if a { b }\n}"),
        ("ﬁ=1", "ﬁ = 1"),
        ("a=1\r\nb=2\rc=3", "a = 1\nb = 2\nc = 3"),
        ("\ufeffa=1", "a = 1"),
        ("a\n\n\n\nb", "a\n\nb"),
        ("\n\na\n\n", "a"),
    ],
)
def test_layout(text: str, layout: str) -> None:
    assert formatted(text) == layout + "\n"


def test_nothing() -> None:
    assert formatted("") == "" and formatted("\n \n;") == ""


def test_comments_stay_where_they_are() -> None:
    text = """\
#!/usr/bin/env vardsl


  # above
x=1 # behind


# alone

if a { # begins
# inside
y=f(1, # one
   # own line
   2) # two
 # last
} # ends
z = a + # plus
b
w = [ # row
 1,2 ]
# end"""
    assert (
        formatted(text)
        == """\
#!/usr/bin/env vardsl

# above
x = 1  # behind

# alone

if a {  # begins
  # inside
  y = f(1,  # one
        # own line
        2)  # two
  # last
}  # ends
z = a +  # plus
  b
w = [  # row
  1, 2]
# end
"""
    )


def test_expected_output_stays_as_it_is() -> None:
    text = "print 1 ; print 2\n#> 1  \n#> 2\nif a {\nprint 3\n#> 3\n}\n#! e\n   #> no\nx = 1 #> neither\n"
    once = formatted(text)
    assert once == (
        "print 1; print 2\n#> 1  \n#> 2\nif a {\n  print 3\n#> 3\n}\n#! e\n #> no\nx = 1  #> neither\n"
    )


def test_line_breaks_of_the_author_are_kept() -> None:
    matrix = "let a = [[1, 2],\n         [3, 4]]\n"
    assert formatted("let a=[[1,2],\n[3,4]]") == matrix
    call = "x = f(\n  a, b,\n  c=1\n)\n"
    assert formatted("x=f(\na,b,\n\nc=1\n)") == call
    assert formatted("x = a +\nb") == "x = a +\n  b\n"


def test_long_lines_are_broken_inside_brackets_and_behind_commas() -> None:
    text = "let result = combine(" + ", ".join(f"argument_{k}" for k in range(20)) + ")"
    lines = formatted(text).splitlines()
    assert lines[0] == "let result = combine(" and lines[-1] == ")" and len(lines) == 5
    assert all(line.startswith("  argument_") for line in lines[1:-1])
    for text in (
        "x = [" + ", ".join(["[" + ", ".join(map(str, range(40))) + "]"] * 3) + "]",
        "print " + ", ".join(f"argument_{k}" for k in range(30)),
        "if f(" + ", ".join(f"argument_{k}" for k in range(20)) + ") { x = g(" + "b + 1, " * 40 + "b) }",
        "x = f(g(h(" + ", ".join(f"argument_{k}" for k in range(20)) + ")))",
    ):
        assert max(map(len, formatted(text).splitlines())) <= 100
    formatted("x = " + "a" * 200 + " + " + "b" * 200)
    formatted("f('" + "a" * 200 + "', b)")


def test_blocks_that_do_not_fit_are_opened() -> None:
    text = "if a { x = " + " + ".join(["value"] * 20) + " }"
    assert formatted(text).splitlines()[0] == "if a {" and formatted(text).splitlines()[-1] == "}"


def test_deep_nesting() -> None:
    formatted("if a {" * 150 + "x" + "}" * 150)
    formatted("if a {\n" * 150 + "x" + "\n}" * 150)
    formatted("(" * 150 + "x" + ")" * 150)
    formatted("if a { }" + " else if b { x = 1 }" * 150)


def test_what_is_no_program_is_refused() -> None:
    with pytest.raises(ScriptSyntaxError):
        format_source(Source("<test>", "x = "))
