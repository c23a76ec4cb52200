"""What may be assigned behind a dot: `v.grad = x`, `v.data = x`, `v.requires_grad = x`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vardsl.engine.context import state, unfollowed
from vardsl.engine.value import EPOCH, Value
from vardsl.errors import GradError, ScriptTypeError, ShapeError
from vardsl.lang.members import (
    PROPERTIES,
    as_tensor,
    clear_grad,
    kind_of,
    put_grad,
    put_requires,
    tensor_method,
    unknown,
)


def assign(v: Any, name: str, x: Any) -> None:
    """`v.grad = x`, `v.data = x`, `v.requires_grad = x`."""
    if type(v) is not Value:
        own = getattr(type(v), "assign_member", None)
        if own is not None:
            own(v, name, x)
            return
        raise ScriptTypeError(f"members of {kind_of(v)} cannot be assigned")
    setter = _SETTERS.get(name)
    if setter is None:
        if name in PROPERTIES or tensor_method(name) is not None:
            raise ScriptTypeError(f".{name} cannot be assigned", hint="grad, data and requires_grad can")
        raise unknown(v, name, _SETTERS)
    setter(v, x)


_C_NAMES = {
    "float32": "float", "float64": "double", "int64": "long int", "int32": "int", "int16": "short int",
    "int8": "signed char", "uint8": "unsigned char", "bool": "bool",
}  # fmt: skip


def _set_grad(v: Value, g: Any) -> None:
    if g is not None and type(g) is not Value:
        raise ScriptTypeError(
            f"assigned grad expected to be a Tensor or None but got grad of type {type(g).__name__}"
        )
    if g is not None:
        if g is v:
            raise GradError("can't assign Variable as its own grad")
        if g.array.dtype != v.array.dtype:
            raise ScriptTypeError(
                f"attempting to assign a gradient with dtype '{_C_NAMES[g.dtype.name]}' to a tensor with "
                f"grad_dtype '{v.dtype.type_name}'. The gradient must match the tensor's grad_dtype "
                "(defaults to the tensor's dtype)."
            )
        if g.array.shape != v.array.shape:
            raise ShapeError(
                f"attempting to assign a gradient of size '{list(g.array.shape)}' to a tensor of size "
                f"'{list(v.array.shape)}'. Please ensure that the gradient and the tensor are the same size"
            )
    if g is None:
        clear_grad(v)
        return
    unfollowed("a gradient is assigned")
    journal, before = state.ctx.journal, v._grad
    if journal is not None:
        journal.append(lambda: put_grad(v, before))
    v._grad = g


def _set_data(v: Value, x: Any) -> None:
    unfollowed("the memory of a tensor is exchanged")
    new = as_tensor(x)
    if v.array.dtype != new.array.dtype and v.requires_grad and new.array.dtype.kind != "f":
        raise GradError(
            "data set to a tensor that requires gradients must be floating point or complex dtype"
        )
    before = v.array
    journal = state.ctx.journal
    if journal is not None:
        journal.append(lambda: _put_array(v, before))
    v.array = new.array
    EPOCH[0] += 1


def _put_array(v: Value, a: Any) -> None:
    v.array = a
    EPOCH[0] += 1


def _set_requires(v: Value, on: Any) -> None:
    unfollowed("requires_grad is changed")
    if not isinstance(on, bool):
        raise ScriptTypeError(f"requires_grad must be a bool, not {kind_of(on)}")
    if on and v.array.dtype.kind != "f":
        raise GradError("only Tensors of floating point and complex dtype can require gradients")
    journal, before = state.ctx.journal, v._requires
    if journal is not None:
        journal.append(lambda: put_requires(v, before))
    v.requires_grad_(on)


_SETTERS: dict[str, Callable[[Value, Any], None]] = {
    "grad": _set_grad,
    "data": _set_data,
    "requires_grad": _set_requires,
}
