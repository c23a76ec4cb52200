"""The infix operators between small tensors and numbers of one real dtype: all that happens, in one call.

Most turns of a script are these, and what Python takes for a call is more than what it takes for a question.
Whatever is not that simple (other dtypes, large or lazy operands, a recording) is left to `Op.binary`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from vardsl.engine.casting import SCALARS
from vardsl.engine.context import state
from vardsl.engine.dtypes import f4, f8
from vardsl.engine.large import LARGE
from vardsl.engine.node import Like, Node, next_sequence, script_place
from vardsl.engine.temporaries import BY_HELPER, BY_OPERATOR, Path
from vardsl.engine.value import OPS, Infix, Value

ndarray = np.ndarray
_new, _getframe = object.__new__, sys._getframe
_MOST = 1 << 24  # pairs of elements: more may be too much memory
KERNELS: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "true_divide": np.true_divide,
    "mm": ndarray.dot,
}
"""What computes the operations that are infix operators here, from two arrays of one real dtype."""


def infix(name: str, otherwise: Infix, *, matrices: bool = False, depth: int = 1) -> Infix:
    """The function for `a · b`, one of them a tensor, of the operation `name`; a script's code is `depth`
    calls away.

    `otherwise` is asked where it is not as simple as that, also where the kernel raises ValueError. With
    `matrices` both operands have to be some.
    """
    kernel = KERNELS[name]
    found: Any = None

    def call(a: Any, b: Any) -> Any:
        nonlocal found
        x: Any = a.array if type(a) is Value else a
        z: Any = b.array if type(b) is Value else b
        if found is None:
            found = OPS[name]
        ctx = state.ctx
        shape = other = ()
        if ctx.tracer is not None or ctx.anomaly:
            x = z = None  # no references that `spare` would count
            return otherwise(a, b)
        if type(x) is not ndarray:
            if type(z) is ndarray and (type(x) is float or type(x) is int) and z.dtype in SCALARS:
                x = SCALARS[z.dtype].get(x)
        elif (type(z) is float or type(z) is int) and x.dtype in SCALARS:
            z = SCALARS[x.dtype].get(z)
        if type(x) is ndarray and type(z) is ndarray:
            dtype, shape, other = x.dtype, x.shape, z.shape
            if (
                z.dtype is not dtype
                or (dtype is not f4 and dtype is not f8)
                or x.size >= LARGE
                or z.size >= LARGE
                or (matrices and (len(shape) != 2 or len(other) != 2))
                or (shape != other and x.size * z.size > _MOST and not matrices)
            ):
                x = z = None
                return otherwise(a, b)
            try:
                y = kernel(x, z)
            except ValueError:
                return otherwise(a, b)
        else:
            alike = None if matrices else found.alike(x, z)
            x = z = None
            if alike is None:
                return otherwise(a, b)
            make, x, z = alike
            try:
                y = make(x, z)
            except ValueError:
                return otherwise(a, b)
            dtype = y.dtype
            if y.shape:
                shape, other = x.shape, z.shape
        v = Value(y)
        if not ctx.grad_enabled:
            return v
        left: Any = None
        right: Any = None
        index = second = 0
        if type(a) is Value:
            left = a._node if a.base is None else a.node
            if left is not None:
                index = a.index
            elif a._requires:
                left = a
        if type(b) is Value:
            right = b._node if b.base is None else b.node
            if right is not None:
                second = b.index
            elif b._requires:
                right = b
        op = found
        if right is None:
            if left is None:
                return v
            keep_a, keep_b = op.for_left
        else:
            keep_a, keep_b = op.for_right if left is None else op.for_both
        made = y.shape
        node = v._node = _new(Node)
        node.op = op
        node.left = left
        node.right = right
        node.shape = made
        node.dtype = dtype
        node.seq = next_sequence()
        node.many = node.rare = node.versions = node.likes = node.y = None
        if made and (made != shape or made != other) and op.sums:
            # also of an operand that takes no part and has dimensions: a 0-d cotangent times it has not the
            # size of the other
            short_a = made != shape and (left is not None or shape)
            short_b = made != other and (right is not None or other)
            if short_a or short_b:
                node.likes = (
                    Like(shape, dtype) if short_a else None,
                    Like(other, dtype) if short_b else None,
                )
        if keep_a or keep_b:
            if op.rest or (not keep_a and type(b) is float):
                node.args = op.keeping(a if keep_a else None, b if keep_b else None)
            else:
                node.args = (a if keep_a else None, b if keep_b else None)
            va = a.vc[0] if keep_a and type(a) is Value and a.vc is not None else 0
            vb = b.vc[0] if keep_b and type(b) is Value and b.vc is not None else 0
            if va or vb:
                both = keep_a and keep_b and type(a) is type(b)
                node.versions = (va, vb) if both else (va,) if keep_a and type(a) is Value else (vb,)
        else:
            node.args = op.nothing
        frame = _getframe(depth)
        if "__vardsl__" in frame.f_globals:
            node.code = frame.f_code
            node.lasti = frame.f_lasti
        else:
            node.where = script_place(depth + 1)
        if index or second:
            node.indices = (index, second)
        return v

    return call


def _through(name: str, path: Path) -> Infix:
    """The operation on any operands, to which a script's expression comes by this path."""

    def otherwise(a: Any, b: Any) -> Any:
        return OPS[name].binary(a, b, path)

    return otherwise


# for functions that a script's expression calls in turn
plus = infix("add", _through("add", BY_HELPER), depth=2)
times = infix("mul", _through("mul", BY_HELPER), depth=2)


def _reflected(straight: Infix) -> Infix:
    """The function for `b · a` that the tensor `a` is asked for; PyTorch makes `a · b` of it."""

    def call(a: Any, b: Any) -> Any:
        return straight(a, b)

    return call


Value.__add__ = infix("add", _through("add", BY_OPERATOR))
Value.__sub__ = infix("sub", _through("sub", BY_OPERATOR))
Value.__mul__ = infix("mul", _through("mul", BY_OPERATOR))
Value.__truediv__ = infix("true_divide", _through("div", BY_OPERATOR))
Value.__matmul__ = infix("mm", _through("matmul", BY_OPERATOR), matrices=True)
Value.__radd__ = _reflected(plus)
Value.__rmul__ = _reflected(times)
