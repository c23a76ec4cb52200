"""Infix operators in one call do what the operation does in all its calls."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vardsl
from vardsl.engine.context import no_grad, state
from vardsl.engine.node import Node
from vardsl.engine.value import OPS, Value
from vardsl.errors import Error
from vardsl.lang.operators import add, mul

INFIX: dict[str, tuple[Callable[[Any, Any], Any], str, str]] = {
    "+": (operator.add, "add", "add"),
    "-": (operator.sub, "sub", "sub"),
    "*": (operator.mul, "mul", "mul"),
    "/": (operator.truediv, "div", "true_divide"),
    "@": (operator.matmul, "matmul", "mm"),
    "a script's +": (add, "add", "add"),
    "a script's *": (mul, "mul", "mul"),
}


def reals(*shape: int, dtype: Any = np.float32) -> Any:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def leaf(*shape: int, dtype: Any = np.float32) -> Value:
    return Value(np.asarray(reals(*shape, dtype=dtype)), True)


def changed() -> Value:
    v = leaf(3, 3)
    with no_grad():
        OPS["mul_"](v, 2.0)
    return v


def view_of_changed() -> Value:
    base = OPS["clone"](leaf(3, 3))
    view = OPS["view"](base, (3, 3))
    OPS["mul_"](base, 2.0)
    return view


OPERANDS: dict[str, Callable[[], Any]] = {
    "leaf": lambda: leaf(3, 3),
    "tensor": lambda: Value(reals(3, 3)),
    "float64": lambda: leaf(3, 3, dtype=np.float64),
    "integers": lambda: Value(np.arange(9).reshape(3, 3)),
    "row": lambda: leaf(3),
    "row without grad": lambda: Value(reals(3)),
    "column": lambda: leaf(3, 1),
    "matrix of another size": lambda: leaf(2, 2),
    "empty": lambda: leaf(0, 3),
    "stack": lambda: leaf(2, 3, 3),
    "0-d": leaf,
    "0-d float64": lambda: leaf(dtype=np.float64),
    "scalar": lambda: OPS["sum"](leaf(3, 3)),
    "scalar without grad": lambda: OPS["sum"](Value(reals(3, 3))),
    "second output": lambda: OPS["chunk"](leaf(3, 6), 2, 1)[1],
    "changed": changed,
    "view of changed": view_of_changed,
    "transpose": lambda: OPS["t"](leaf(3, 3)),
    "array": lambda: reals(3, 3),
    "2": lambda: 2,
    "0.5": lambda: 0.5,
    "-0.0": lambda: -0.0,
    "1e300": lambda: 1e300,
    "true": lambda: True,
}


def outcome(compute: Callable[[], Any]) -> Any:
    with np.errstate(all="ignore"):
        try:
            return compute()
        except (Error, TypeError) as error:
            return type(error).__name__, str(error)


def facts(v: Any, a: Any, b: Any) -> Any:
    """All that is to be seen of a result, and of its node, with `a` and `b` for the operands."""
    if type(v) is not Value:
        return v
    names = {id(a): "a", id(b): "b"}
    node = v._node
    seen: list[Any] = [v.array.dtype, v.array.shape, v.array.tobytes(), v.requires_grad]
    if node is not None:
        seen += [node.grad_fn, node.shape, node.dtype, node.versions, node.indices]
        seen += [names.get(id(e), e if type(e) is Node else e is not None) for e in node.edges]
        kept = [names.get(id(x), x if not isinstance(x, np.ndarray) else "array") for x in node.args]
        likes = [None if x is None else (x.shape, x.dtype) for x in node.likes or (None, None)]
        seen += [kept, likes[:2]]
    return seen


@pytest.mark.parametrize("left", OPERANDS)
@pytest.mark.parametrize("sign", INFIX)
def test_it_is_the_operation(sign: str, left: str) -> None:
    infix, name, _ = INFIX[sign]
    for right, make in OPERANDS.items():
        a, b = OPERANDS[left](), make()
        if type(a) is not Value and (type(b) is not Value or sign in "-/@"):
            continue  # no tensor, or the operator of the one on the right
        op = OPS[name]
        x, z = (a, b) if type(a) is Value else (b, a)  # what the tensor on the right is asked for
        for grad_enabled in (True, False):
            state.ctx.grad_enabled = grad_enabled
            try:
                got = outcome(lambda a=a, b=b: infix(a, b))
                expected = outcome(lambda x=x, z=z, op=op: op.binary(x, z) if sign != "@" else op(x, z))
            finally:
                state.ctx.grad_enabled = True
            assert facts(got, a, b) == facts(expected, a, b), (left, sign, right, grad_enabled)


@pytest.mark.parametrize("text", ["2 * x", "2.5 * x", "k * x", "2 + x", "k + x", "true * x", "x * 2", "x + k"])
@pytest.mark.parametrize("times", [1, 9])
def test_the_tensor_comes_first_in_the_graph(text: str, times: int) -> None:
    s = vardsl.Session(plan=False)
    s.run(f"let x = var ones(2) grad; let k = 0.5\nfor i in range({times}) {{ y = {text} }}")
    assert s["y"]._node.edges == (s["x"], None)


@pytest.mark.parametrize("sign", ["+", "-", "*", "/", "@"])
def test_a_node_knows_its_place_in_the_script(sign: str) -> None:
    s = vardsl.Session(plan=False)
    s.run(f"let a = var ones(2, 2) grad; let b = ones(2, 2)\nlet c = 1 * (a {sign} b)")
    node = s["c"]._node.edges[0]
    assert node.op is OPS[INFIX[sign][2]]
    assert node.where is not None and node.where[0].co_filename == s["c"]._node.where[0].co_filename
    assert node.where != s["c"]._node.where


@pytest.mark.parametrize("call", ["a @ b", "mm(a, b)", "dot(a[0], b[0])", "tanh(a)", "linear(a, b)", "a.mm(b)"])
def test_a_function_of_the_script_holds_the_place(call: str) -> None:
    s = vardsl.Session(plan=False)
    s.run(f"let a = var ones(2, 2) grad; let b = ones(2, 2)\nfn f(a, b) {{\n  {call}\n}}\nlet c = f(a, b)")
    assert s["c"]._node.where[0].co_name.endswith(" f")
    s.run(f"let c = {call}")
    assert s["c"]._node.where[0].co_name == "<module>"


def test_operations_alone_give_tensors_their_operators() -> None:
    code = (
        "import numpy as np; from vardsl.engine.value import OPS, Value; from vardsl.ops.define import op\n"
        "a = Value(np.ones((2, 2), np.float32), True)\n"
        "op.mm(a, Value(np.ones((2, 2), np.float32))); op.add(a, a); print((2 * a @ a)._node.grad_fn)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout == "MmBackward0\n", run.stderr


def test_a_look_for_nan_sees_it() -> None:
    s = vardsl.Session(plan=False)
    s.run("let a = var [1., 0.] grad; detect_anomaly(true)")
    with pytest.raises(Error, match=r"made nan at .1., the first NaN or infinity"):
        s.run("a + a; a / a")
