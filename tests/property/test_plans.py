"""Plans change nothing: generated training loops, examples and golden scripts, run with them and without.

`VARDSL_PROGRAMS=5000 pytest tests/property/test_plans.py` runs more; what differs is shown as few statements by
`python tests/property/both_ways.py SEED`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from both_ways import Run, compared, difference, undone
from cells import recurrent_program
from changes import changing_program, outliving_program
from scalars import scalar_program
from training import training_program

from vardsl.lang.permissions import Permissions

ROOT = Path(__file__).parents[2]
SCRIPTS = [p for f in ("examples", "tests/golden") for p in sorted((ROOT / f).rglob("*.vd"))]
PROGRAMS = int(os.environ.get("VARDSL_PROGRAMS", "1200"))
PARTS = range(8)  # so that several processes share them

# Each made a difference once.
FOUND = {
    "the gradient that was there is added to in its memory": """
        let w = var [1., 2.] grad
        backward sum(w)
        let g = w.grad
        for i in range(9) { loss = sum(w * w); backward loss }
        print g
    """,
    "two names of one value": """
        let x = rand(3)
        for i in range(9) { y = tanh(x); z = y }
        z += 1
        print y
    """,
    "a name of a gradient": """
        let w = var [1., 2.] grad
        for i in range(9) { zero_grad w; loss = sum(w * w); backward loss; g = w.grad }
        g += 1
        print w.grad
    """,
    "a gradient of another dtype": """
        let w = var [1., 2.] grad
        for i in range(9) { loss = sum(w * w); backward loss; if i == 6 { w.grad = w.grad.double() } }
    """,
    "a gradient in memory that is read": """
        let w = var [1., 2.] grad
        let x = [3., 4.]
        for i in range(12) { loss = sum(w * x); backward loss; y = x * 2; if i == 6 { w.grad = x } }
    """,
    "gradients in the same memory": """
        let w = var [1., 2.] grad
        let v = var [3., 4.] grad
        for i in range(12) { loss = sum(w * v); backward loss; if i == 6 { w.grad = v.grad } }
    """,
    "a large change of a parameter": """
        let w = var randn(240000) grad
        for i in range(4) { zero_grad w; loss = sum(w * w); backward loss; no_grad { w -= 0.1 * w.grad } }
    """,
    "a number beside large rows that only the region before knows": """
        let w = var randn(210000) grad
        for i in range(4) { loss = sum(w * (mean(w) * w)); backward loss }
    """,
    "a change in place while a large view of what is changed is read": """
        let w = var [0.7] float64 grad
        for i in range(9) {
            zero_grad w
            let y = (w.expand((210001,)))[1:]
            loss = sum(tanh(w)) + mean(y / 2.0)
            backward loss
            no_grad { w -= 0.1 * (w.grad + 0.01 * w) }
        }
    """,
    "what the first turn finds unbound is said where it is": """
        fn f(n) {
            for i in range(n) {
                let y = stack([ones(1), ones([])])[1]
                update z *= 0.9
                let z = y
            }
        }
        f(4)
    """,
    "the gradient of what takes no part is cleared": """
        let w = ones(3)
        let v = var [0.5] grad
        for i in range(9) {
            zero_grad w, v
            loss = sum(w * v)
            backward loss
            update v += 0.05 * v.grad
            if i == 7 { w.grad = ones_like(w) }
        }
    """,
    "a large rule whose cotangent is a value": """
        let w = var randn(1100000) grad
        for i in range(3) {
            zero_grad w
            loss = std(sum(w.detach() * hypot(w, w))) + mean(exp(w))
            backward loss
        }
    """,
    "a sum of large rows to one element that keeps its dimension": """
        let w = var randn(210000) grad
        let x = randn(1)
        for i in range(4) { zero_grad w; loss = mean(exp(-mean(w)) * w * x); backward loss }
        let b = var [1.] grad
        for i in range(4) { zero_grad b; loss = sum((w * b) ** 2); backward loss }
    """,
    "sums of what lies transposed in memory": """
        let x = randn(23, 37).double()
        let w = var randn(7, 11, 13) grad
        for i in range(9) {
            a, b, c = sum(tanh(x.T)), mean(exp(x.T), dim=0), logsumexp(x.T * 2, dim=1)
            d = exp(x.T)
            zero_grad w
            loss = std(tanh(w.permute((2, 0, 1)))) + sum(layer_norm(w.permute((2, 0, 1)) * 2, (11,)) ** 3)
            backward loss
        }
        print sum(d)
    """,
    "large sums of what lies transposed in memory": """
        let w = var randn(500, 700) grad
        for i in range(4) { zero_grad w; loss = sum(logsumexp(tanh(w.T), dim=1) ** 2); backward loss }
    """,
    "a gradient that is wider than its leaf": """
        let w = var [1., 2., 3.3] grad
        for i in range(9) { zero_grad w; loss = mse_loss(-w.double(), w); backward loss }
        for i in range(9) { loss = mse_loss(-w.double(), w); backward loss }
    """,
    "a quotient by a wider number": """
        let w = var 0.7 float64 grad
        let f = var randn(20, 9) grad
        for i in range(9) { zero_grad w, f; loss = sum(elu(f / w)); backward loss }
    """,
    "a power with a wider number": """
        let w = var 1.7 float64 grad
        let f = var rand(20, 9) grad
        for i in range(9) { zero_grad w, f; loss = sum(f ** w + w ** f); backward loss }
    """,
    "a loss of mixed widths in front of a product": """
        let w = var [[1., 2.], [3., 4.]] grad
        for i in range(6) { loss = smooth_l1_loss(tanh(w.to(float64)), w @ w); backward loss }
    """,
    "a number less a tensor, where the number changes": """
        let w = var [1., 2.] grad
        let c = 0.1
        for i in range(12) { if i == 7 { c = 0.25 }; y = c - w * w; loss = sum(y ** 3); backward loss }
    """,
    "a change of what lies in another order": """
        let x = zeros([110, 2000]).T.to(float64)
        let w = [1., 2.]
        for i in range(9) { y = clamp_min(w, 0.1); x += 1 }
    """,
    "a constant that is spread, in a product": """
        let w = var randn(3, 1) grad
        let k = full((1, 33), 0.3)
        for i in range(9) {
            zero_grad w
            loss = mean(sum((w * 0.25) @ k, dim=0) / 2.0)
            backward loss
            no_grad { w -= 0.1 * w.grad }
        }
    """,
    "gradients that are parameters": """
        let w = var randn(3) grad
        let v = var randn(3) grad
        let u = var 0.7 grad
        for i in range(12) {
            zero_grad w, v
            loss = sum(w * v) + sum(w.sum() * u)
            backward loss
            no_grad { w -= 0.1 * w.grad; v -= 0.1 * v.grad; u -= 0.01 * u.grad }
        }
    """,
    "changes before an index that is wrong": """
        let w = var randn(4, 3) grad
        let kept = zeros(3)
        let other = ones(3)
        let y = [0, 2, 1, 1]
        for i in range(12) {
            zero_grad w
            no_grad { kept *= 0.5; kept += mean(w, 0); other.copy_(kept * 2) }
            if i == 8 { y = [0, 3, 1, 1] }
            loss = cross_entropy(w, y)
            backward loss
            no_grad { w -= 0.1 * w.grad }
        }
    """,
    "a change before an index, and what reads it": """
        let w = var randn(4, 3) grad
        let kept = zeros(3)
        let y = [0, 2, 1, 1]
        for i in range(9) {
            zero_grad w
            no_grad { kept += mean(w, 0) }
            loss = cross_entropy(w * kept, y)
            backward loss
            no_grad { w -= 0.1 * w.grad }
        }
    """,
    "a gradient without dimensions that is added to": """
        let w = var 0.5 grad
        let v = var randn(2, 2) grad
        for i in range(12) {
            let out = smooth_l1_loss(w, (w % 1.5).var(unbiased=false)) + sum(tanh(v))
            backward out
            if i == 9 { print i }
            let out = mean(v / 2.0) + w.mean()
            backward out create
        }
    """,
    "a backward from a value that was there before": """
        let w = var randn(3) grad
        for i in range(12) {
            loss = sum((w.expand((2, 3)).T) + 1) + mean(w / 2.0)
            minimize mean((w - 1) ** 2) over w using adam(lr=0.01) steps 5
            backward loss
            no_grad { w += 0.05 * w.grad }
        }
    """,
    "a large interpolation between dtypes": """
        let w = var randn(210000) float64 grad
        for i in range(4) { y = lerp(w, w.float(), 0.3); loss = sum(y); backward loss }
    """,
    "graphs that save nothing": """
        let x = var [1., 2., 3.] grad
        let w = var [1., 2., 3.] grad
        for i in range(12) { zero_grad x; y = mean(1 - x); backward y }
        print y, x.grad
        backward y
        print x.grad
        for i in range(12) { z = x[1:] + i }
        zero_grad x
        backward sum(z)
        print z, x.grad
        for i in range(12) { q = x + w - x; m = w.mean() }
        zero_grad x
        backward sum(q * q) + m
        print x.grad, w.grad
        q.retain_grad()
        backward sum(q * q)
        print q.grad, q.retains_grad
        for i in range(12) { q = x + w - x; m = w.mean() }
        print q.retains_grad
        for i in range(12) { o = lerp(x, w, 0.3); backward mean(o) }
        o.sum().backward()
        print x.grad, w.grad
    """,
    "two results of one statement whose graph saves nothing": """
        let w = var [1., 2., 5.] grad
        let y = w.sum(); let p = y; let b = y; let d = w * 1
        for k in range(2) {
            for i in range(12) { b = w + 1; y = b.mean(); d = b.T }
            if k == 0 { p = y }
        }
        p.register_hook(fn(g) = g * 10)
        p.retain_grad()
        backward y + sum(d)
        print w.grad, y.retains_grad
        backward p * 2 + y + sum(b) * 3
        print p.grad, w.grad
    """,
    "weighted products of several dtypes": """
        let a = randn(300000, dtype=float64)
        let b = randn(300000)
        let d = tensor(0.3, dtype=float64)
        for i in range(6) { y = addcmul(a, b, b); z = addcdiv(b, d, b, value=0.3); q = addcmul(b, d, b, value=0.1) }
    """,
    "shapes that a large interpolation cannot join": """
        let a = randn(1200, 1000)
        let b = randn(3)
        for i in range(6) { y = lerp(a, b, 0.3) }
    """,
    "an embedding without columns": """
        let x = var zeros(3, 0) grad
        for i in range(7) { zero_grad x; l = sum(embedding(tensor([0, 2]), x)); backward l }
    """,
    "a graph that saves nothing over a leaf that is made anew": """
        for k in range(3) {
            let r = var [1., 2.] grad
            for i in range(12) { p = sum(r); s = p + 1 }
            backward s
            print r.grad
        }
    """,
    "a graph that saves nothing over parts that change": """
        let x = var [1., 2., 3.] grad
        for i in range(14) { u = x[i % 3] + 1 }
        backward u
        print x.grad
    """,
    "a backward in a function, from a value outside": """
        let w = var randn(3) grad
        let loss = sum(w + 1)
        fn turn() { backward loss; no_grad { w -= 0.1 * w.grad } }
        for i in range(12) { turn(); y = w * 2 }
    """,
    "names that an inner loop binds": """
        let w = var randn(2, 4) grad
        let x = randn(3, 2)
        for i in range(12) {
            zero_grad w
            h = zeros(3, 2)
            for j in range(2 + i // 9) { a, b = chunk(h @ w + x @ w, 2, 1); h = tanh(a) * sigmoid(b) }
            loss = sum(h ** 2) + sum(w)
            backward loss
            no_grad { w -= 0.1 * w.grad }
        }
        print a, b
        del a, b
    """,
    "a large value that only the graph holds": """
        let w = var randn(1100000) grad
        y = w * 2
        loss = max(tanh(y)) + mean(y)
    """,
    "a gradient that is added to beside a large result": """
        let w = var randn(1100000) grad
        for i in range(6) { y = tanh(w); loss = sum(y); backward loss }
    """,
    "large comparisons with numbers": """
        let x = randn(210000)
        let k = arange(210000) % 7
        let m = k > 3
        for i in range(4) { a = tanh(x); b = a < 0.25; c = k < 2.5; d = exp(x); e = maximum(k, k); f = eq(m, 2); g = gt(k, 1) }
    """,
}


def many(first: int, count: int, *, large: bool = False) -> None:
    planned = 0
    for seed in range(first, first + count):
        text = training_program(seed, large=large).text()
        run, plain = Run(text, plan=True, sites=True), Run(text, plan=False)
        planned += run.planned > 0
        found = compared(run, plain) or compared(Run(text, plan=False, sites=True), plain)
        assert found is None, f"seed {'large ' if large else ''}{seed}: {found}\n{text}"
    # about half of the small ones are planned, and two in five of the large ones; few of these are run
    assert planned >= count // (4 if large else 3), "hardly anything is planned: the programs test nothing"


@pytest.mark.parametrize("name", FOUND)
def test_what_differed_once(name: str) -> None:
    assert difference(FOUND[name].replace("\n        ", "\n")) is None


@pytest.mark.parametrize("part", PARTS)
def test_training_loops(part: int) -> None:
    count = -(-PROGRAMS // len(PARTS))
    many(part * count, count)


@pytest.mark.parametrize("part", PARTS)
def test_training_loops_over_large_arrays(part: int) -> None:
    count = -(-PROGRAMS // len(PARTS) // 12)
    many(part * count, count, large=True)


@pytest.mark.parametrize("part", PARTS[:4])
def test_loops_that_change_what_gradients_are(part: int) -> None:
    for seed in range(part, max(PROGRAMS // 8, 4), 4):
        text = changing_program(seed)
        found = difference(text)
        assert found is None, f"seed {seed}: {found}\n{text}"
    for seed in range(part, max(PROGRAMS // 400, 4), 4):
        assert difference(changing_program(seed, large=True)) is None, f"large seed {seed}"


@pytest.mark.parametrize("part", PARTS[:4])
def test_graphs_that_outlive_their_loop(part: int) -> None:
    for seed in range(part, max(PROGRAMS // 8, 4), 4):
        text = outliving_program(seed)
        found = difference(text)
        assert found is None, f"seed {seed}: {found}\n{text}"


@pytest.mark.parametrize("part", PARTS[:4])
def test_recurrent_loops(part: int) -> None:
    for seed in range(part, max(PROGRAMS // 16, 4), 4):
        text = recurrent_program(seed)
        found = difference(text)
        assert found is None, f"seed {seed}: {found}\n{text}"


@pytest.mark.parametrize("part", PARTS[:4])
def test_loops_over_numbers(part: int) -> None:
    for seed in range(part, max(PROGRAMS // 8, 4), 4):
        text = scalar_program(seed)
        found = compared(Run(text, plan=True, sites=True), Run(text, plan=False))
        assert found is None, f"seed {seed}: {found}\n{text}"


def test_statements_with_plans_are_taken_back() -> None:
    planned = 0
    for seed in range(max(PROGRAMS // 16, 1)):
        found, regions = undone(training_program(seed).text(), plan=True)
        assert found is None, f"seed {seed}: {found}"
        planned += regions > 0
    assert planned > 0


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_scripts(path: Path) -> None:
    here = Permissions(path.parent, [path.parent], [])
    assert difference(path.read_text(encoding="utf-8"), permissions=here) is None
