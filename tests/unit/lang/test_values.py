"""Literals, operators and plain builtins: what they give, and what they refuse."""

from __future__ import annotations

import math

import pytest

import vardsl

PRINTED = [
    ("print [1, 2], [1., 2], [true, false], [1, true], [], [[]], [-1, +2]", "tensor([1, 2]) tensor([1., 2.]) tensor([ True, False]) tensor([1, 1]) tensor([]) tensor([], size=(1, 0)) tensor([-1,  2])\n"),
    ("x = 2; print [x, 1], [x, 1.5], [[x, 1], [3, 4]], [true, x == 2]", "tensor([2, 1]) tensor([2.0000, 1.5000]) tensor([[2, 1],\n        [3, 4]]) tensor([True, True])\n"),
    ("let x = var 2. grad; print [x, 1], [[x, 1], [2, x]]", "tensor([2., 1.], grad_fn=<StackBackward0>) tensor([[2., 1.],\n        [2., 2.]], grad_fn=<StackBackward0>)\n"),
    ("a = [1, 2]; print [a, a], [a, [3, 4]], [[0.5, 1], a], [(1, 2), (3, 4)]", "tensor([[1, 2],\n        [1, 2]]) tensor([[1, 2],\n        [3, 4]]) tensor([[0.5000, 1.0000],\n        [1.0000, 2.0000]]) tensor([[1, 2],\n        [3, 4]])\n"),
    ("set_default_dtype(float64); print [1.5], [1], get_default_dtype(), var 1", "tensor([1.5000]) tensor([1]) float64 tensor(1.)\n"),
    ("print tensor([0.1], dtype=float64).item(), tensor(0.5), tensor((1, 2)), tensor([[1, 2]], dtype=float32), tensor(data=[1])", "0.1 tensor(0.5000) tensor([1, 2]) tensor([[1., 2.]]) tensor([1])\n"),
    ("print var [1, 2], var 3 float64 grad, var (1, 2) grad, var true, var [0.1] float64", "tensor([1., 2.]) tensor(3., dtype=torch.float64, requires_grad=True) tensor([1., 2.], requires_grad=True) tensor(1.) tensor([0.1000], dtype=torch.float64)\n"),
    ("a = [1., 2.]; let v = var a grad; a[0] = 9; print v, var a.numpy(), var [a, a]", "tensor([1., 2.], requires_grad=True) tensor([9., 2.]) tensor([[9., 2.],\n        [9., 2.]])\n"),
    ("print cat([[1, 2], [3, 4]]), sum([[1., 2.], [3., 4.]], dim=[0, 1]), zeros([2, 1]), split(arange(5), [1, 4])", "tensor([1, 2, 3, 4]) tensor(10.) tensor([[0.],\n        [0.]]) (tensor([0]), tensor([1, 2, 3, 4]))\n"),
    ("print einsum('ij,jk', ones(1, 2), ones(2, 1)), block_diag([1], [2]), meshgrid([ones(1), ones(1)])[0].shape", "tensor([[2.]]) tensor([[1, 0],\n        [0, 2]]) [1, 1]\n"),
    ("print [1, 2].shape == [2], [1, 2].size() != [3], shape([1]) == [1], [1, 2] == [1, 3]", "True True True tensor([ True, False])\n"),
    ("print 7 // 2, -7 % 3, 2 ** 10, 2 ** -1, (-8) ** 0.5, 0 ** -1, (-0.) ** -1, (-0.) ** -2, 10. ** 400, (-10.) ** 401", "3 2 1024 0.5 nan inf -inf inf inf -inf\n"),
    ("print 1 + true, true * 3, 5 | 2, 6 & 3, ~5, ~true, true | false, [1, 2] | [2, 2], ~[true]", "2 3 7 2 -6 -2 True tensor([3, 2]) tensor([False])\n"),
    ("x = 3; x += 1; x -= 2; x *= 7; x /= 2; x //= 2; x **= 2; x %= 5; print x; y = ones(1, 1); y @= [[3.]]; print y", "4.0\ntensor([[3.]])\n"),
    ("print 'a' + 'b', 'ab' * 2, (1,) * 2, (1,) + (2,), 'b' in 'abc', 1 in (1, 2), 1 in [1, 2], 3 not in (1,)", "ab abab (1, 1) (1, 2) True True True True\n"),
    ("print min(3, 1), max((1, 5, 2)), sum((1, 2.5)), abs(-3), round(2.567, 2), round(2.5), len('abc'), len((1,)), len(range(4))", "1 5 3.5 3 2.57 2 3 1 4\n"),
    ("print min([3, 1]), max([1., 5.]), sum([1, 2]), abs([-3]), round([2.5]), round([1.234], decimals=2), len([[1], [2]])", "tensor(1) tensor(5.) tensor(3) tensor([3]) tensor([2.]) tensor([1.2300]) 2\n"),
    ("print int('12'), float('1.5'), bool(''), int(3.9), float(2), bool([1]), float32([1]), int64(2.7), str(1.5), str([1])", "12 1.5 False 3 2.0 tensor([True]) tensor([1.]) 2 1.5 tensor([1])\n"),
    ("print type(1), type(1.), type(true), type('a'), type(none), type((1,)), type([1]), type(sin), type(fn(x) = x), type(float32), type(ones(1).shape)", "int float bool str none tuple tensor function function dtype shape\n"),
    ("print shape(3), shape([[1]]), dtype(1), dtype(1.), dtype(true), dtype([1.]), dtype(ones(1).numpy())", "[] [1, 1] int64 float32 bool float32 float32\n"),
    ("for i, (a, b) in enumerate(zip((1, 2), 'xy'), 5) { print i, a, b }", "5 1 x\n6 2 y\n"),
    ("for k in ones(2).numpy() { print k }; for k in range(3, 0, -1) { print k }", "1.0\n1.0\n3\n2\n1\n"),
    ("print f\"{3.14159:.2f}|{42:>6}|{'a':<3}|{tensor(7.5)}|{[1.5]:.1f}|{(1, 'a')}|{none}|{{}}|{7:{3}d}|{ones(1).numpy()[0]}\"", "3.14|    42|a  |7.5|1.5|(1, 'a')|None|{}|  7|1.0\n"),
    ("x = range(5); print x[2], x[1:3], x[-1], 3 in x, x == range(5)", "2 range(1, 3) 4 True True\n"),
    ("x = zeros(2, 2); x[0] = [1, 2]; x[:, 1] *= 3; x[x > 5] = -1; print x", "tensor([[ 1., -1.],\n        [ 0.,  0.]])\n"),
    ("a = ones(2).numpy(); a[0] = 5; print a, a + 1, a * [1., 2.]", "[5. 1.] [6. 2.] tensor([5., 2.])\n"),
    ("print is_grad_enabled(); no_grad { print is_grad_enabled(); no_grad { }; print is_grad_enabled() }; print is_grad_enabled()", "True\nFalse\nFalse\nTrue\n"),
    ("set_printoptions(precision=2); print [1.23456]; set_printoptions(profile='default'); print [1.23456]", "tensor([1.23])\ntensor([1.2346])\n"),
    ("manual_seed(3); a = rand(2); seed(3); print (rand(2) == a).all()", "tensor(True)\n"),
    ("let v = var 1. grad; let w = var 2. grad; backward v * w; zero_grad v; print v.grad, w.grad; zero_grad; print w.grad", "None tensor(1.)\nNone\n"),
    ("fn f() { let u = var 1. grad; backward u * 2; zero_grad; return u.grad }; print f()", "None\n"),
    ("let v = var 1. grad; backward v * 2; zero_grad (v, (v,)); print v.grad", "None\n"),
    ("let v = var [1., 2.] grad; backward v, v * v with ones(2), [1., 1.]; print v.grad; backward v.sum() with 2.0; print v.grad", "tensor([3., 5.])\ntensor([5., 7.])\n"),
    ("print 1_000, 0xff, 0b101, .5, 1e-3, inf, -inf, nan, pi, e", "1000 255 5 0.5 0.001 inf -inf nan 3.141592653589793 2.718281828459045\n"),
    ("print tensor, sum, len, linalg, linalg.inv, range(3), enumerate('a'), float32, int, grad(sin), adam(lr=0.1)", "<fn tensor> <fn sum> <fn len> <namespace linalg> <fn linalg.inv> range(0, 3) <enumerate> float32 int32 <fn grad(sin)> <adam lr=0.1>\n"),
]  # fmt: skip

WRONG = [
    ("[[1, 2], 3]", "shape", "not equally deep"),
    ("[1, [2]]", "shape", "not equally deep"),
    ("[[], [1]]", "shape", "not equally deep"),
    ("x = ones(2); [x, ones(3)]", "shape", "stack expects each tensor to be equal size, but got [2] at entry 0 and [3] at entry 1"),
    ("x = ones(2); [x, 1]", "shape", ""),
    ("[none]", "type", "a tensor holds numbers, not none"),
    ("x = 10 ** 400; [x, 1.5]", "limit", "too large for a real"),
    ("x = 2 ** 70; [x]", "limit", "64 bits"),
    ('var "a"', "type", "a variable holds numbers"),
    ("var 1 int64 grad", "grad", "can require gradients"),
    ("tensor([1], requires_grad=true)", "grad", "Only Tensors of floating point and complex dtype can require gradients"),
    ("~1.5", "type", "~ is for integers and booleans"),
    ("~[1.5]", "type", "~ (operator.invert) is only implemented on integer and Boolean-type tensors"),
    ('"a" & 1', "type", "& is for integers and booleans, not a string"),
    ("len(3)", "type", "an integer has no length"),
    ("range(1.5)", "type", "needs integers, not a real"),
    ("range(0, 3, 0)", "value", "steps of 0"),
    ("enumerate(3)", "type", "cannot be gone through"),
    ("zip((1,), 3)", "type", "cannot be gone through"),
    ('shape("a")', "type", "a string has no shape"),
    ('dtype("a")', "type", "a string has no dtype"),
    ("set_default_dtype(int64)", "type", "only floating-point types"),
    ("set_default_dtype(3)", "type", "needs a dtype"),
    ("manual_seed(2 ** 70)", "value", "64 bits"),
    ("manual_seed(1.5)", "type", "needs integers"),
    ("set_printoptions(precisoin=2)", "type", "unexpected keyword argument 'precisoin'"),
    ('int("1.5")', "value", "not an integer"),
    ('float("x")', "value", "not a number"),
    ("int(nan)", "value", "NaN"),
    ("int(inf)", "limit", "too large"),
    ("float(none)", "type", "none"),
    ("float32(1, 2)", "type", "float32()"),
    ("max(3)", "type", "max(): argument 'input' (position 1) must be Tensor, not int"),
    ("mv((2, 3), ones(2))", "type", "mv(): argument 'input' (position 1) must be Tensor, not tuple"),
    ('let v = var 1. grad; backward v with "a"', "type", "the gradient after with must be a tensor"),
    ("zero_grad 3", "type", "zero_grad is for variables, and this is an integer"),
    ("pi(3)", "type", "pi is a number, not a function"),
    ("(1)(2)", "type", "cannot be called"),
    ("x = (1, 2); x += 3", "type", "cannot add a tuple and an integer"),
    ('x = "a"; x -= 1', "type", "cannot subtract an integer from a string"),
    ("(1, 2) * 1.5", "type", "repeated by an integer"),
    ('1 in "abc"', "type", "a string contains strings, not an integer"),
    ("(1, 2)[1.5:]", "type", "bounds of a slice"),
    ("(1, 2)[::0]", "value", "step cannot be zero"),
    ("for a, b in (1, 2) { }", "value", "cannot be unpacked"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "printed"), PRINTED)
def test_prints(source: str, printed: str) -> None:
    assert vardsl.Session(seed=0).run_captured(source) == printed


@pytest.mark.parametrize(("source", "kind", "says"), WRONG)
def test_refuses(source: str, kind: str, says: str) -> None:
    with pytest.raises(vardsl.Error) as caught:
        vardsl.Session().run(source)
    assert caught.value.kind == kind
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["sin", "log", "sqrt", "exp", "tanh", "floor", "log1p"])
def test_maths_on_plain_numbers_is_in_double_precision(name: str) -> None:
    assert vardsl.Session().eval(f"{name}(0.7)") == pytest.approx(getattr(math, name)(0.7), rel=1e-15)
