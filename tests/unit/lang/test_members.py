"""Members: properties, methods and assignments, from closed tables."""

from __future__ import annotations

import pytest

import vardsl

PROGRAMS = [
    ("x = ones(2, 3); print x.shape, x.shape[1:], x.shape + (4,), x.shape.numel(), x.ndim, x.T.shape, x.mT.shape", "[2, 3] [3] [2, 3, 4] 6 2 [3, 2] [3, 2]\n"),
    ("x = ones(2, 3); print x.size(), x.size(1), x.size(-2), x.dim(), x.ndimension(), x.numel(), len(x)", "[2, 3] 3 2 2 2 6 2\n"),
    ("x = ones(2); print x.dtype, x.itemsize, x.nbytes, x.element_size(), x.is_contiguous(), x.is_floating_point()", "float32 4 8 4 True True\n"),
    ("let v = var [1., 2.] grad; print v.requires_grad, v.is_leaf, v.grad, v.grad_fn, v.retains_grad, v.output_nr", "True True None None False 0\n"),
    ("let v = var 2. grad; y = v * v; print y.grad_fn, y.grad_fn.name(), y.is_leaf, len(y.grad_fn.next_functions)", "<MulBackward0> MulBackward0 False 2\n"),
    ("let v = var [1., 2.] grad; print v.data, v.detach(), v.data.numpy(), v.tolist(), v.sum().item()", "tensor([1., 2.]) tensor([1., 2.]) [1. 2.] [1.0, 2.0] 3.0\n"),
    ("print [[1, 2], [3, 4]].tolist(), [1, 2].tolist()[1], tensor(3).tolist()", "[[1, 2], [3, 4]] 2 3\n"),
    ("a = ones(2, 2).numpy(); print a.shape, a.dtype, a.ndim, a.T.shape, a.size, a.tolist(), a.copy().item", "[2, 2] float32 2 [2, 2] 4 [[1.0, 1.0], [1.0, 1.0]] <fn item>\n"),
    ("print float32.itemsize, int64.is_floating_point", "4 False\n"),
    ("x = topk([3., 1., 2.], 2); print x.values, x.indices", "tensor([3., 2.]) tensor([0, 2])\n"),
    ("f = [1., 2.].sum; print f, f(), f(dim=0)", "<fn sum> tensor(3.) tensor(3.)\n"),
    ("print (2.0).sqrt(), (3).item(), (-1.5).abs()", "1.4142135623730951 3 1.5\n"),
    ("let v = var [1., 2.] grad; h = v.register_hook(fn(g) = g * 10); v.sum().backward(); h.remove(); v.sum().backward(); print v.grad", "tensor([11., 11.])\n"),
    ("let v = var 2. grad; v.grad = tensor(5.); print v.grad; v.grad = none; print v.grad", "tensor(5.)\nNone\n"),
    ("let v = var 2. grad; v.data = tensor(5.); print v; v.requires_grad = false; print v.requires_grad", "tensor(5., requires_grad=True)\nFalse\n"),
    ("let v = var 2. grad; v.grad = tensor(1.); v.grad += 2; print v.grad; v.zero_grad(); print v.grad", "tensor(3.)\nNone\n"),
    ("let v = var 2. grad; y = v * 3; y.detach_(); print y.requires_grad; z = ones(2).requires_grad_(); print z", "False\ntensor([1., 1.], requires_grad=True)\n"),
    ("let v = var 2. grad; (v * v).backward(inputs=v); (v * v).backward(inputs=[v]); print v.grad", "tensor(8.)\n"),
    ("let v = var [2.] grad; (v * v).backward(3.0 * ones(1)); print v.grad; y = v * v; y.retain_grad(); y.backward(ones(1)); print y.grad", "tensor([12.])\ntensor([1.])\n"),
    ("x = ones(2); x[0].fill_(7); x.add_(1); print x, x._version", "tensor([8., 2.]) 2\n"),
    ("print ndim([1, 2]), data([1, 2]), numpy([1, 2]), numel([1, 2]), detach([1.])", "1 tensor([1, 2]) [1 2] 2 tensor([1.])\n"),
]  # fmt: skip

WRONG = [
    ("x = ones(2); x.__class__", "name", "a tensor has no member __class__"),
    ("x = ones(2); x.array", "name", "no member array"),
    ("f = fn(x) = x; f.__globals__", "name", "a function has no member __globals__"),
    ("(1, 2).count", "name", "a tuple has no member count"),
    ('"a".upper()', "name", "a string has no member upper"),
    ("range(3).start", "name", "a range has no member start"),
    ("float32.np", "name", "a dtype has no member np"),
    ("ones(2).numpy().ctypes", "name", "an array has no member ctypes"),
    ("ones(2).shape.index", "name", "a shape has no member index"),
    ("let v = var 1. grad; (v * v).grad_fn.op", "name", "a node of the graph has no member op"),
    ("let v = var 1. grad; v.register_hook(fn(g) = g).owner", "name", "no member owner"),
    ("(1).reshape(1)", "name", "an integer has no member reshape"),
    ("linalg.nope", "name", "linalg has no function nope"),
    ("ones(2).axis", "name", "did you mean dim?"),
    ("ones(2).foo = 1", "name", "no member foo"),
    ("ones(2).shape = 1", "type", ".shape cannot be assigned"),
    ("x = 3; x.grad = 1", "type", "members of an integer cannot be assigned"),
    ("let v = var 1. grad; v.grad = 3", "type", "assigned grad expected to be a Tensor or None but got grad of type int"),
    ("let v = var 1. grad; v.grad = v", "grad", "can't assign Variable as its own grad"),
    ("let v = var 1. grad; v.grad = tensor(1)", "type", "attempting to assign a gradient with dtype 'long int'"),
    ("let v = var [1.] grad; v.grad = ones(2)", "shape", "attempting to assign a gradient of size '[2]'"),
    ("let v = var 1. grad; v.data = tensor(1)", "grad", "must be floating point"),
    ("tensor(1).requires_grad = true", "grad", "only Tensors of floating point and complex dtype can require gradients"),
    ("ones(1).requires_grad = 1", "type", "requires_grad must be a bool"),
    ("ones(2).size(5)", "index", "Dimension out of range (expected to be in range of [-1, 0], but got 5)"),
    ("tensor(1).size(0)", "index", "Dimension specified as 0 but tensor has no dimensions"),
    ('ones(2).size("a")', "type", "size(): argument 'dim' must be int, not str"),
    ("numpy(3)", "type", "numpy() is for tensors, and this is an integer"),
    ("let v = var 1. grad; v.register_hook(3)", "type", "register_hook() needs a function"),
    ("let v = var [1., 2.] grad; v.sum().backward(\"a\")", "type", "must be a tensor, not a string"),
    ("let v = var [1., 2.] grad; x = v * 1; x[0].detach_()", "grad", "Can't detach views in-place"),
    ("ones(2).numpy()[5]", "index", "out of bounds"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "printed"), PROGRAMS)
def test_members(source: str, printed: str) -> None:
    assert vardsl.Session().run_captured(source) == printed


@pytest.mark.parametrize(("source", "kind", "says"), WRONG)
def test_members_that_are_none(source: str, kind: str, says: str) -> None:
    with pytest.raises(vardsl.Error) as caught:
        vardsl.Session().run(source)
    assert caught.value.kind == kind
    assert says in str(caught.value)
