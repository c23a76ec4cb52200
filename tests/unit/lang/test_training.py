"""Optimizers, schedules and transforms as scripts see them."""

from __future__ import annotations

import pytest

from vardsl import Error, Session

SETUP = "let w = var [1., 2.] grad; let b = var 3. grad\n"


def printed(code: str) -> str:
    return Session(seed=0).run_captured(SETUP + code)


@pytest.mark.parametrize(
    ("code", "out"),
    [
        ("let o = sgd((w, b), lr=0.5); print o, o.lr", "<sgd lr=0.5> 0.5\n"),
        ("print adam(lr=0.1), lbfgs()", "<adam lr=0.1> <lbfgs lr=1>\n"),
        ("let o = sgd([w, b], lr=0.5); print len(o.params)", "2\n"),
        ("let o = sgd(w, lr=0.5); o.lr = 0.25; print o.lr", "0.25\n"),
        (
            "let o = sgd((w, b), lr=0.5); backward sum(w) + b; o.step(); print w.data, b.data; "
            "o.zero_grad(); "
            "print w.grad, b.grad",
            "tensor([0.5000, 1.5000]) tensor(2.5000)\nNone None\n",
        ),
        ("let o = sgd(w, lr=1); backward sum(w); zero_grad o; print w.grad", "None\n"),
        (
            "let o = sgd(w, lr=1.0); backward sum(w); o.zero_grad(set_to_none=false); print w.grad",
            "tensor([0., 0.])\n",
        ),
        (
            "let s = step_lr(sgd(w, lr=1.0), 1); s.step(); print s, s.lr, s.last_epoch",
            "<step_lr lr=0.1> 0.1 1\n",
        ),
        (
            "let s = reduce_on_plateau(sgd(w, lr=1.0), patience=0); s.step(1); s.step(b*2); print s.lr",
            "0.1\n",
        ),
        (
            "backward sum(w) * 4; print clip_grad_norm(w, 1.0), w.grad",
            "tensor(5.6569) tensor([0.7071, 0.7071])\n",
        ),
        ("backward sum(w) * 4; clip_grad_value((w, b), 3); print w.grad", "tensor([3., 3.])\n"),
        ("print clip_grad_norm((w, b), 1.0)", "tensor(0.)\n"),
        ("minimize sum(w**2) over w using sgd(lr=0.25) steps 2; print w.data", "tensor([0.2500, 0.5000])\n"),
        ("fn f() { minimize b**2 over b steps 1 }\nprint f()", "9.0\n"),
        ("minimize (b - 1)**2 over b using lbfgs() steps 2 until 1e-3; print f'{b:.3f}'", "1.000\n"),
        (
            "print grad(sin), grad(grad(fn(x) = x)), vmap(cos)",
            "<fn grad(sin)> <fn grad(grad(fn(x)))> <fn vmap(cos)>\n",
        ),
        ("print grad(fn(p) = p[0] * p[1])((2.0, 3.0))", "(3.0, 2.0)\n"),
        ("fn f(x, k=2) = x**k\nprint grad(f)(3.0), grad(f)(3.0, k=3)", "6.0 27.0\n"),
        ("print jacobian(fn(x) = [x, x**2], 3.0)", "tensor([1., 6.], dtype=torch.float64)\n"),
        ("print [2., 3.] |> (grad(fn(x) = sum(x**2)))", "tensor([4., 6.])\n"),
        ("print vmap(fn(a, b) = a @ b)([[1., 2.], [3., 4.]], [[1., 1.], [2., 2.]])", "tensor([ 3., 14.])\n"),
        ("print vmap(fn(x) = 1, out_dims=none)(w)", "1\n"),
        (
            "seed(0); let r = vmap(fn(x) = x * 0 + rand(1)[0], randomness='same')([0., 0.]); print r[0] == "
            "r[1]",
            "tensor(True)\n",
        ),
        ("let f = custom_grad(sin, fn(g, x) = g * 2); print f, grad(f)(1.0)", "<fn sin> 2.0\n"),
        (
            "let y = checkpoint(fn(x) = exp(x), w); print y.grad_fn; backward sum(y); print w.grad",
            "<CheckpointFunctionBackward>\ntensor([2.7183, 7.3891])\n",
        ),
        ("no_grad { print checkpoint(fn(x) = x + 1, b).requires_grad }", "False\n"),
    ],
)
def test_scripts(code: str, out: str) -> None:
    assert printed(code) == out


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("let o = sgd(w); o.stp()", "name", "an optimizer has no member stp"),
        ("let o = sgd(w); o.params = 1", "type", ".params of an optimizer cannot be assigned"),
        ("let s = step_lr(sgd(w), 1); s.foo", "name", "a schedule has no member foo"),
        ("let s = step_lr(sgd(w), 0)", "value", "step_size must be a positive integer"),
        ("cosine_lr(sgd(w), 0)", "value", "T_max must be a positive integer"),
        ("step_lr(sgd(), 1)", "type", "an optimizer without parameters is not an Optimizer"),
        ("reduce_on_plateau(sgd(w), factor=1.0)", "value", "Factor should be < 1.0."),
        ("reduce_on_plateau(sgd(w), mode='x')", "value", "mode x is unknown!"),
        ("reduce_on_plateau(sgd(w), threshold_mode='x')", "value", "threshold mode x is unknown!"),
        (
            "let s = reduce_on_plateau(sgd(w)); s.step()",
            "type",
            "missing 1 required positional argument: 'metrics'",
        ),
        ("sgd((w, w))", "value", "some parameters appear in more than one parameter group"),
        ("sgd(w, lr='a')", "type", "lr must be a number, not str"),
        ("adam(w, betas=0.9)", "type", "betas must be a pair of numbers"),
        ("clip_grad_norm(1, 2)", "type", "the parameters must be a tensor or a tuple of tensors"),
        (
            "w.grad = [inf, 1.]; clip_grad_norm(w, 1.0, error_if_nonfinite=true)",
            "grad",
            "The total norm of order 2.0 for gradients from `parameters` is non-finite",
        ),
        ("minimize sum(w) over w using sgd(b)", "value", "made for other variables"),
        ("minimize sum(w) over w steps 1.5", "type", "steps must be an integer"),
        ("minimize sum(w) over w using lbfgs", "type", "using needs an optimizer, and this is a function"),
        ("custom_grad(1, sin)", "type", "custom_grad(f, backward): f must be a function, not int"),
        ("checkpoint(1, w)", "type", "checkpoint(f, x…): f must be a function, not int"),
        ("check_grad(1, w)", "type", "check_grad(f, x): f must be a function, not int"),
        ("check_grad(fn(x) = 'a', w)", "type", "f must return a real tensor or number"),
        ("check_grad(fn(x) = x.detach() * 2, 1.0)", "grad", "is 0 by backward and 2 by differences"),
        (
            "check_grad(fn(x, y) = y.detach() * x, (1.0, 2.0))",
            "grad",
            "with respect to x1 is 0 by backward and 1",
        ),
        ("jacobian(sin, w, strategy='x')", "value", "Expected strategy to be either"),
        ("vmap(sin, randomness='x')", "value", "Only allowed values for randomness"),
        ("vmap(sin, in_dims='x')(w)", "type", "expected `in_dims` to be int or a (potentially nested) tuple"),
        ("vmap(sin, in_dims=(0, 0))(w)", "type", "in_dims is not compatible with the structure of `inputs`"),
        ("vmap(fn(x) = (x, x), out_dims=(0, 0, 0))(w)", "type", "out_dims is not compatible"),
        ("vmap(sin, out_dims='x')(w)", "type", "`out_dims` must be an int, None or"),
        ("vmap(sin)(zeros(0))", "shape", "no example to run the function on"),
        (
            "hessian(sum, w, strict=true)",
            "grad",
            "independent of the input. This is not allowed in strict mode",
        ),
        ("vjp(fn(x, y) = x, (b, b), 1.0, strict=true)", "grad", "is independent of input 1"),
        (
            "jacobian(fn(x, y) = x, (b, b), strict=true)",
            "grad",
            "Output 0 of the user-provided function is independent",
        ),
        (
            "vjp(fn(x) = (x, x), w, (w, w, w))",
            "shape",
            "v is a tuple of invalid length: should be 2 but got 3.",
        ),
    ],
)
def test_errors(code: str, kind: str, message: str) -> None:
    with pytest.raises(Error) as caught:
        printed(code)
    assert message in caught.value.message
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "change",
    [
        "o.step()",
        "o.zero_grad()",
        "s.step()",
        "p.step(1.0)",
        "clip_grad_norm(w, 0.1)",
        "clip_grad_value(w, 0.1)",
    ],
)
def test_a_statement_that_fails_takes_training_back(change: str) -> None:
    s = Session(seed=0)
    s.run(SETUP + "let o = adam((w, b), lr=0.5); let s = step_lr(o, 1); let p = reduce_on_plateau(o)")
    s.run("backward sum(w**2) + b")
    state = "print w.data, w.grad, b.grad, o.lr, s.last_epoch, p.last_epoch"
    before = s.run_captured(state)
    with pytest.raises(Error):
        s.run(f"let x = ({change}, 1 / 0)")
    assert s.run_captured(state) == before
    s.run(change)
    assert s.run_captured(state) != before


def test_a_turn_that_fails_keeps_the_turns_before() -> None:
    s = Session(seed=0)
    s.run(
        SETUP + "let n = [0]; fn f() { n += 1; let r = rand(3); if n[0] > 3 { return 1 / 0 }; return b**2 }"
    )
    with pytest.raises(Error, match="division"):
        s.run("minimize f() over b using sgd(lr=0.25) steps 9")
    assert s.run_captured("print b.data, n") == "tensor(0.3750) tensor([3])\n"
    after_three = s.run_captured("print rand(1)")
    t = Session(seed=0)
    t.run("for i in range(3) { rand(3) }")
    assert t.run_captured("print rand(1)") == after_three
