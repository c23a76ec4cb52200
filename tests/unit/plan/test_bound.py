"""What a planned run binds shares memory, a graph and a counter of changes with what it shared them without plans."""

from __future__ import annotations

from itertools import product

import pytest

import vardsl
from tests.unit.plan.test_recorded import both, planned

SETUP = "let w = var [[1., 2., 3.], [4., 5., 6.]] grad; let x = [[1., 2., 3.], [4., 5., 6.]]; let q = var 2. grad"
BOUND = {
    "a view on the graph": "h = (w*2)[:2]; v = h",
    "columns": "h = w*2; v = h[:, :2]",
    "parts that do not touch": "t = w*2; h = t[0]; v = t[1]; t = 0",
    "a view of a view": "h = (w*2).T; v = h[1:].T",
    "another shape": "h = (w*2).reshape(6); v = h[:3]",
    "one of several": "h = (x*2).split(1)[1]; v = h",
    "what is expanded": "h = (w*2)[:1].expand(4, 3); v = h",
    "windows that overlap": "h = (w*2).unfold(1, 2, 1); v = h",
    "a diagonal": "h = w*2; v = h.diagonal()",
    "the data of a value": "h = w*2; v = h.data",
    "a detached value": "h = w*2; v = h.detach()",
    "a detached part": "h = w*2; v = h[:, :2].detach()",
    "parts of a detached value": "t = (x*2).detach(); h = t[0]; v = t[1]; t = 0",
    "a view outside the graph": "h = (x*2)[:, 1:]; v = h",
    "a part that moves": "h = (x*2)[i % 2]; v = h",
    "views in a tuple": "h = exp(w); v = (h.T, h[0])[1]",
    "views without gradients of what has some": "no_grad { h = (x*2)[1]; v = h[1:] }",
}
AFTERWARDS = [
    "v += 1; print v, h; print v.grad_fn, h.grad_fn",
    "h += 1; print v.grad_fn, h.grad_fn; print v, h",
    "v[0] = 7; print v, h, v.grad_fn, h.grad_fn",
    "print v.view(-1)",
    "let s = var 3. grad; v *= s; print v, h, v.grad_fn, h.grad_fn; backward sum(v); print s.grad",
    "let s = var 3. grad; let l = sum(v * s * v); h += 1; backward l; print s.grad",
    "backward sum(v)",
    "print v.is_contiguous()",
]


@pytest.mark.parametrize(("bound", "afterwards"), list(product(BOUND, AFTERWARDS)))
def test_what_is_bound_behaves_as_without_plans(bound: str, afterwards: str) -> None:
    loss = "sum(q*q)" if "x*2" in BOUND[bound] else "sum(h*h)"
    loop = f"for i in range(9) {{ zero_grad w, q; {BOUND[bound]}; loss = {loss}; backward loss }}\n"
    ends = []
    for plan in (True, False):
        session = vardsl.Session(plan=plan)
        try:
            session.run(SETUP)
            ends.append(session.run_captured(loop + afterwards))
        except vardsl.Error as error:
            ends.append((error.output, str(error)))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("bound", [name for name in BOUND if "without gradients" not in name])
def test_what_shares_memory_is_planned(bound: str) -> None:
    loss = "sum(q*q)" if "x*2" in BOUND[bound] else "sum(h*h)"
    planned(f"for i in range(9) {{ zero_grad w, q; {BOUND[bound]}; loss = {loss}; backward loss }}", SETUP)


def test_names_of_one_view_are_names_of_one_value() -> None:
    both("for i in range(9) { h = x[:1]; v = h; loss = sum(h) }; v += 1; print h; v.t_(); print h.shape", SETUP)


def test_a_view_is_not_named_as_the_result_of_a_plan() -> None:
    text = planned("for i in range(9) { v = (x*2)[:1]; y = tanh(x) }", SETUP).describe()
    assert "y = tanh(x)" in text and "v = " not in text
