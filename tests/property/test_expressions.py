"""Expressions that repeat get code of their own, which changes nothing: gradients, graphs, errors, what is
printed."""

from __future__ import annotations

import pytest
from both_ways import difference

CASES = {
    "chain": """
        let x = var randn(3) grad
        let y = x
        for i in range(200) { y = tanh(y) * 0.9 + x }
        backward sum(y)
        print x.grad
    """,
    "graph": """
        let w = var randn(3,3) grad
        let x = randn(2,3)
        let h = x
        let o = none
        for i in range(5) { h = tanh(x @ w + 1); o = sum(h * h) }
        print o, h
        let n = o.grad_fn
        print n, n.next_functions
        print n.next_functions[0].next_functions
        print h.grad_fn.next_functions[0].next_functions
        backward o
        print w.grad
        print n, n.next_functions
        print n.next_functions[0].next_functions
        backward o
    """,
    "retain": """
        let w = var randn(3,3) grad
        let x = randn(2,3)
        for i in range(5) { h = tanh(x @ w); h.retain_grad(); o = mean(h * h); backward o retain; backward o; print h.grad, w.grad }
    """,
    "create": """
        let w = var randn(3,3) grad
        let x = randn(2,3)
        for i in range(5) { zero_grad w; o = sum(tanh(x @ w) ** 2); backward o create; let p = sum(w.grad * w.grad); backward p; print w.grad }
    """,
    "hooks": """
        let w = var randn(3,3) grad
        let x = randn(2,3)
        for i in range(5) { zero_grad w; h = tanh(x @ w); h.register_hook(fn(g) = g * 2); backward sum(h * h); print w.grad }
    """,
    "modified": """
        let w = var randn(3,3) grad
        let x = randn(2,3)
        for i in range(5) { h = tanh(x @ w); if i == 3 { no_grad { w += 1 } }; g = tanh(h @ w); backward sum(g) }
    """,
    "modified2": """
        let w = var randn(3,3) grad
        let x = randn(2,3)
        for i in range(5) { h = tanh(x @ w); o = sum(h * h); if i == 3 { no_grad { h += 1 } }; backward o }
    """,
    "modified bias is fine": """
        let w = var randn(3,3) grad
        let b = var randn(3) grad
        let x = randn(2,3)
        for i in range(5) { h = tanh(x @ w + b); o = sum(h * h); no_grad { b += 1 }; print o.grad_fn.next_functions[0].next_functions[0].next_functions[0]; backward o; print b.grad, w.grad }
    """,
    "in place on result": """
        let w = var randn(3,3) grad
        let x = randn(2,3)
        for i in range(5) { h = sigmoid(x @ w) * 2; h += 1; h *= x; o = sum(h * h); backward o; print w.grad, h.grad_fn }
    """,
    "history": """
        let w = var randn(3) grad
        for i in range(6) { h = w * 2; g = tanh(h) * h; h += 1; o = sum(g); if i == 3 { print o.grad_fn.next_functions[0].next_functions[1].next_functions }; backward o; print w.grad }
    """,
    "classes": """
        let w = var randn(3,4) grad
        let x = randn(5,3)
        let t = tensor([0,1,2,3,0])
        for i in range(6) { if i == 4 { t = tensor([0,1,9,3,0]) }; loss = cross_entropy(x @ w, t); backward loss }
    """,
    "changes of targets": """
        let w = var randn(3,4) grad
        let x = randn(5,3)
        let t = tensor([0,1,2,3,0])
        for i in range(6) { loss = cross_entropy(x @ w, t); if i == 4 { t[0] = 2 }; backward loss }
    """,
    "shapes": """
        let w = var randn(3,4) grad
        for i in range(6) { let x = randn(i + 1, 3); loss = sum(tanh(x @ w)); if i == 4 { x = randn(2, 5); loss = sum(tanh(x @ w)) }; backward loss; print loss }
    """,
    "function of several shapes": """
        fn layer(x, w, b) = tanh(x @ w + b)
        let w = (var randn(3,4) grad, var randn(4,5) grad, var randn(5,2) grad, var randn(2,3) grad, var randn(3,6) grad, var randn(6,1) grad)
        let b = (var randn(4) grad, var randn(5) grad, var randn(2) grad, var randn(3) grad, var randn(6) grad, var randn(1) grad)
        for i in range(8) { let h = randn(2,3); for k in range(6) { h = layer(h, w[k], b[k]) }; backward sum(h) }
        print w[0].grad, b[5].grad
    """,
    "numbers that change": """
        let w = var randn(3,3) grad
        let lr = 0.1
        for i in range(8) { zero_grad w; backward sum(tanh(w) * lr); no_grad { w -= lr * w.grad }; lr = lr * 0.9; if i == 4 { lr = 0.0 }; if i == 5 { lr = -0.0 } ; if i == 6 { lr = nan } }
        print w
    """,
    "views": """
        let w = var randn(4,4) grad
        let x = randn(5,4)
        for i in range(6) { zero_grad w; o = sum(tanh(x[i % 5] @ w[1:].T @ w[:3])); backward o; print o, w.grad; o2 = tanh(w[1:] @ w).T; print o2.shape; backward sum(o2 * o2) }
    """,
    "view operand changed": """
        let x = var randn(4,4) grad
        let y = x * 1
        let r = y[0]
        for i in range(6) { o = sum(tanh(r) * r); if i == 3 { y += 1 }; backward o retain; print o.grad_fn, r.grad_fn }
        print x.grad
    """,
    "two leaves one value": """
        let w = var randn(3) grad
        let v = w
        for i in range(6) { zero_grad w; o = sum(w * tanh(v)); backward o; if i == 3 { v = var randn(3) grad }; print w.grad, v.grad }
    """,
    "frozen": """
        let w = var randn(3,3) grad
        let x = randn(2,3)
        for i in range(8) { h = tanh(x @ w) * 2; if i == 3 { w.requires_grad = false }; print h.requires_grad, h.is_leaf; if i == 5 { no_grad { h = tanh(x @ w) } } }
    """,
    "anomaly": """
        let w = var randn(3,3) grad
        let x = randn(2,3)
        for i in range(8) { h = log(x @ w) * 2; if i == 3 { detect_anomaly(true) } }
    """,
    "gradients as operands": """
        let w = var randn(3) grad
        let m = zeros(3)
        for i in range(8) { zero_grad w; backward sum(w * w * w); m = m * 0.9 + w.grad * 0.1; no_grad { w -= 0.1 * m; w -= 0.01 * w.grad; w += w.grad * w.grad }; if i == 5 { w.grad = none } ; print m }
        print w
    """,
    "grad missing": """
        let w = var randn(3) grad
        for i in range(8) { if i == 5 { w.grad = none } else { backward sum(w * w) }; no_grad { w -= 0.01 * w.grad } }
    """,
    "readonly": """
        let w = zeros(3).expand((2,3))
        let v = zeros(2,3)
        let g = ones(2,3)
        for i in range(8) { no_grad { v -= 0.1 * tanh(g) }; if i == 5 { v = w } }
    """,
    "in place wider": """
        let v = zeros(2,3)
        let g = ones(3)
        for i in range(8) { no_grad { v -= 0.1 * tanh(g) }; if i == 5 { g = ones(2,3).double() } ; if i == 6 { g = ones(3,3) } }
    """,
    "layer norm": """
        let w = var randn(4) grad
        let b = var randn(4) grad
        let x = var randn(3,4) grad
        for i in range(6) { zero_grad w, b, x; o = sum(layer_norm(x, 4, w, b) * x) + max(x, dim=1).values.sum(); backward o; print o, w.grad, b.grad, x.grad, o.grad_fn.next_functions[0].next_functions[0].next_functions[0].next_functions }
    """,
    "lists": """
        let w = var randn(3, 2) grad
        let v = var randn(3, 2) grad
        let x = randn(3, 2)
        for i in range(7) {
            zero_grad w, v
            o = sum(tanh(cat([w, x, v], 1)) ** 2) + mean(stack([w, v * 2, w]))
            backward o
            print o, w.grad, v.grad
            if i == 5 { v = v.detach() }
            if i > 2 { print o.grad_fn.next_functions[0].next_functions[0].next_functions[0].next_functions }
        }
    """,
    "gates": """
        let w = var randn(2, 8) grad
        let u = var randn(3, 8) grad
        let x = randn(5, 4, 3)
        for i in range(5) {
            zero_grad w, u
            h = zeros(4, 2); c = zeros(4, 2)
            for t in range(5) {
                a, b, d, e = chunk(x[t] @ u + h @ w, 4, 1)
                c = sigmoid(b) * c + sigmoid(a) * tanh(d)
                h = sigmoid(e) * tanh(c)
            }
            backward mean(h * h)
            print w.grad, u.grad, h.grad_fn.next_functions[0].next_functions
        }
        del a, b, d, e
    """,
    "a part whose base was changed": """
        let w = var randn(3, 4) grad
        fn f(n) {
            let a, b = chunk(w * 2, 2, 1)
            if n > 4 { no_grad { a += 1 } }
            backward sum(tanh(b) * 2)
            1 + tanh(w[:, :2] * 2) * a
        }
        for i in range(7) { print i, f(i).shape }
    """,
    "the first of several results": """
        let w = var randn(4) grad
        let x = var randn(3, 4) grad
        for i in range(8) {
            zero_grad w, x
            n = layer_norm(x * 2, 4, w)
            m = max(n, 1).values
            if i == 4 { n.register_hook(fn(g) = g * 2) }
            if i == 5 { n.retain_grad() }
            if i == 6 { print n.grad_fn, n.grad_fn.next_functions, m.grad_fn.next_functions }
            backward sum(n * n) + sum(m)
            print w.grad, x.grad
            backward sum(layer_norm(x * 2, 4, w) ** 3) create
        }
    """,
    "results that lie in another order": """
        let x = randn(5, 7)
        let y = randn(7, 5)
        let z = randn(7, 7)
        for i in range(7) {
            r = exp(x.T) + exp(y)
            s = exp(x.T) * 2 + y[0:7]
            q = exp(z.T) + (z.T @ z)
            r2 = r.clone(); f = flatten(r2); f += 1
            print r.is_contiguous(), s.is_contiguous(), q.is_contiguous(), r2[0]
        }
        r.view(35)
    """,
    "what a value receives from here and from elsewhere": """
        let w = var randn(40) grad
        for i in range(20) {
            zero_grad w
            let h = w * 1.7
            let y = sum(sigmoid(h) * h)
            let z = h * 3.3
            backward y + sum(z)
            print w.grad
        }
    """,
    "several results": """
        let x = var randn(3, 4) grad
        for i in range(7) {
            let v, j = std_mean(x * 2, 1)
            let m, k = max(x * 2, 1)
            backward sum(v * j) + sum(m)
        }
    """,
    "the default dtype": """
        fn d(m) = where(m, 1.0, 0.5)
        for i in range(7) { if i == 4 { set_default_dtype(float64) }; print d(tensor([true])).dtype }
        set_default_dtype(float32)
    """,
    "numbers that are looked at": """
        fn g(x, v) = gaussian_nll_loss(x, x, v) * 1
        for i in range(7) { if i == 5 { print g(ones(3), -ones(3)) }; print g(ones(3), ones(3)) }
    """,
    "parts in the order of the text": """
        fn f(x, y, i, z) = (x[5] + y[i]) @ z
        let x = var randn(30, 30) grad
        let w = randn(30, 30)
        for i in range(8) {
            zero_grad x
            let z = x * 1
            let s = (z[0] - z[i % 1]) @ w[0]
            let q = z * w
            backward s * 1.1 + sum(q)
            print x.grad[0]
        }
        f(zeros(3), zeros(3), 9, zeros(3))
    """,
    "parts in the order of the text, 2": """
        fn f(x, y, i, z) = (x.T + y[i]) @ z
        f(3, zeros(3), 9, zeros(3))
    """,
    "changes while statements can be taken back": """
        let w = var randn(4, 4) grad
        fn f(a, b) { no_grad { a -= 0.1 * tanh(b) }; a }
        let n = 0
        while n < 30 { n = n + 1; let q = f(rand(4, 4), w); print q }
    """,
    "errors in backward": """
        fn f(x) = x.T @ x * 2
        let w = var randn(3, 3) grad
        for i in range(6) { let r = f(w); if i < 5 { backward sum(r) } else { w.data = randn(5, 5); backward sum(r) } }
    """,
    "what is in the middle of a pass that failed": """
        let w = var randn(3, 3) grad
        let x = randn(3, 3)
        for i in range(6) { r = sum(sigmoid(w @ x) * 2) }
        w.data = randn(5, 5)
        backward r
    """,
    "the version of what has another history": """
        let w = var randn(3) grad
        fn f(a) = sin(a) * a
        for i in range(6) { let h = w * 2; let r = f(h); if i == 5 { h += w }; backward sum(r) }
    """,
    "changes before an error": """
        let m = zeros(4)
        let v = ones(4)
        let x = randn(3, 4)
        fn f(x, z) = batch_norm(x, m, v, none, none, true, 0.1) @ z
        for i in range(5) { if i < 4 { f(x, ones(4)) } else { f(x, ones(5)) }; print m }
    """,
    "numbers that are others every time": """
        let w = var randn(3) grad
        let v = var randn(3) float64 grad
        let a = 0.1
        for i in range(12) {
            zero_grad w, v
            let b = 0.5 / (i + 1)
            o = sum(tanh(w) * a + b) + mean(b * w - a) + sum(exp(v) / b) + sum(b / (w * w + 1)) - a
            backward o
            print o, w.grad, v.grad, o.grad_fn.next_functions
            no_grad { w -= b * w.grad; w += 2 * a * w.grad; v *= b; w -= a; v -= a * b * v.grad }
            a = a * 0.9
            if i == 6 { a = 0.0 }
            if i == 7 { a = -0.0 }
            if i == 8 { a = inf; b = nan }
            if i == 9 { a = 1 }
            if i == 10 { a = w }
        }
        print w, v
    """,
    "a number that is looked at too": """
        let w = var randn(3) grad
        for i in range(12) {
            let b = 0.5 / (i + 1)
            o = sum(w * b) * (b + 1) + sum(w ** 2 * b) / (1 - b) + sum(tanh(w) * (b * b + b))
            backward o
            print o, w.grad
        }
    """,
    "a division by zero": """
        let w = var randn(3) grad
        let z = 1.0
        for i in range(6) { if i == 4 { z = 0.0 }; print sum(w) * (1 / z) }
    """,
    "mixed": """
        let w = var randn(4) grad
        let b = var randn(4).double() grad
        for i in range(6) { o = sum(tanh(w) * b + w); backward o; print w.grad, b.grad }
    """,
    "scalars": """
        let w = var 0.5 grad
        let b = var 0.1 grad
        let x = randn(6)
        for i in range(6) { zero_grad w, b; o = mean((tanh(w * x + b) - 1) ** 2); backward o; no_grad { w -= 0.1 * w.grad; b -= 0.1 * b.grad }; print o, w }
    """,
    "grad function": """
        fn f(x) = sum(tanh(x) * x ** 2)
        for i in range(8) { print grad(f)(tensor([1., 2.])), grad(fn(y) = sum(grad(f)(y) ** 2))(tensor([1., 2.])), hessian(f, tensor([1., 2.])) }
    """,
    "vmap": """
        fn f(x) = tanh(x) * 2 + x
        for i in range(8) { print vmap(f)(tensor([[1., 2.],[3.,4.]])), f(tensor([1., 2.])) }
    """,
    "minimize": """
        let w = var randn(3) grad
        minimize sum((tanh(w) - 0.5) ** 2) over w using adam(lr=0.1) steps 30
        print w
    """,
    "undo of a failed statement": """
        let w = var randn(3) grad
        for i in range(8) { h = tanh(w) * w; backward sum(h) }
        let q = zeros(3)
        fn g(k) { for i in range(8) { update q += 0.1 * tanh(w); if i == k { q = q @ w @ w } } ; q }
        g(20); print q
        g(5)
    """,
    "keeps with": """
        let w = var randn(3) grad
        for i in range(8) { o = sum(tanh(w) * w); backward o with tensor(2.0); print w.grad }
        let v = zeros(3)
        for i in range(8) { h = tanh(w) * w; backward h with ones(3); print w.grad }
    """,
    "detach": """
        let w = var randn(3) grad
        for i in range(8) { h = tanh(w) * w; d = h.detach(); if i == 4 { d += 1 }; backward sum(h * d) }
    """,
    "detach own": """
        let w = var randn(3) grad
        for i in range(8) { h = tanh(w); d = h.detach(); if i == 4 { d += 1 }; backward sum(h * w) }
    """,
    "data": """
        let w = var randn(3) grad
        for i in range(8) { h = tanh(w) * exp(w); w.data += 1; backward sum(h * w.data); w.data = w.data * 0.5; print w.grad }
    """,
    "unbound": """
        fn f() { for i in range(8) { if i == 5 { del q }; print tanh(q) * 2 } }
        let q = ones(2)
        f()
    """,
    "index out of range": """
        let S = randn(4, 3)
        let w = var randn(3,3) grad
        for i in range(8) { h = tanh(S[i] @ w) }
    """,
    "nan": """
        let w = var [nan, inf, -inf, 0., -0.] grad
        for i in range(8) { zero_grad w; h = tanh(w) * w - sqrt(w) + relu(w); backward sum(h); print h, w.grad }
    """,
    "empty": """
        let w = var zeros(0, 3) grad
        for i in range(8) { zero_grad w; h = tanh(w) @ ones(3, 2); backward sum(h) + mean(w); print h, w.grad }
    """,
    "closure": """
        fn make(w) = fn(x) = tanh(x @ w) * 2
        let a = make(var randn(3,3) grad)
        let b = make(var randn(3,3).double() grad)
        for i in range(8) { print a(randn(2,3)).dtype, b(randn(2,3).double()).dtype }
    """,
    "deep": """
        let w = var randn(2) grad
        fn f(n, x) { if n == 0 { return x }; f(n - 1, tanh(x) * w) }
        for i in range(4) { backward sum(f(100, w)) }
        print w.grad
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_different(name: str) -> None:
    assert difference(CASES[name].replace("\n        ", "\n")) is None
