"""Which dtypes and which numbers the pointwise operations take, with PyTorch's refusals."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from vardsl.engine.dtypes import BY_NP
from vardsl.engine.op import Op, mismatch
from vardsl.engine.temporaries import BY_OVERLOAD, Path
from vardsl.engine.value import Tracked, Value
from vardsl.errors import ScriptTypeError, ScriptValueError, ShapeError
from vardsl.ops.define import array


def is_number(x: Any) -> bool:
    """Whether this is a plain number and no tensor."""
    return isinstance(x, (int, float)) and not isinstance(x, np.generic)


def refuse(kernel: str, *arrays: Any) -> NoReturn:
    """Raises what PyTorch does where there is no kernel for the dtype; sizes are looked at before."""
    for other in arrays[1:]:
        clash = mismatch(arrays[0].shape, other.shape)
        if clash is not None:
            raise ShapeError(clash)
    raise ScriptTypeError(f"\"{kernel}\" not implemented for '{BY_NP[arrays[0].dtype].type_name}'")


def invalid_combination(name: str, given: str, *forms: str) -> NoReturn:
    """Raises PyTorch's sentence for arguments that fit none of its overloads."""
    listed = "".join(f"\n * ({form})" for form in forms)
    raise ScriptTypeError(
        f"{name}() received an invalid combination of arguments - got ({given}), but expected one of:{listed}"
    )


C_NAMES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int", "int64": "int64_t"}


def check_fits(x: Any, dtype: Any) -> None:
    """Raises what PyTorch does where a number has no place in an integer dtype and is not let wrap."""
    if dtype.kind not in "iu" or not is_number(x):
        return
    of = np.iinfo(dtype)
    low = -int(of.max) if dtype.kind == "u" else int(of.min)  # negative numbers may wrap in unsigned ones
    if not low <= x <= int(of.max):
        raise ScriptValueError(f"value cannot be converted to type {C_NAMES[dtype.name]} without overflow")


class NotBool(Op):
    """Every dtype but bool; `kernel_name` is what PyTorch calls the kernel."""

    def _promote(self, arrays: list[Any]) -> None:
        super()._promote(arrays)
        if arrays[0].dtype.kind == "b":
            refuse(self.facts["kernel_name"], *(arrays[i] for i in self.arrays))


class Reals(Op):
    """Real dtypes only."""

    def _promote(self, arrays: list[Any]) -> None:
        super()._promote(arrays)
        if arrays[0].dtype.kind != "f":
            refuse(self.facts["kernel_name"], *(arrays[i] for i in self.arrays))


class TensorFirst(Op):
    """The first argument is a tensor in all of PyTorch's overloads, the second may be a number."""

    def run(self, bound: list[Any]) -> Any:
        if is_number(bound[0]) and not is_number(bound[1]):
            a, b = (p.name for p in self.signature.parameters[:2])
            given = f"{type(bound[0]).__name__}, Tensor"
            invalid_combination(self.name, given, f"Tensor {a}, Tensor {b}", f"Tensor {a}, Number {b}")
        return super().run(bound)


class Overloads(Op):
    """An infix operation whose overloads (a number on the right, on the left, none) are operations."""

    def binary(self, a: Any, b: Any, path: Path | None = None) -> Any:
        """The overload for these operands, called as an infix operator is."""
        number, tensor, reverse = self.facts["overloads"]
        if isinstance(b, Tracked):
            operand = b.beside(self.name, a)
            return (self.facts["followed"] if type(operand) is Value else number).binary(a, operand)
        if isinstance(a, Tracked):
            operand = a.beside(self.name, b)
            return (tensor if type(operand) is Value else reverse).binary(operand, b)
        chosen = number if is_number(b) else reverse if is_number(a) else tensor
        return chosen.binary(a, b, None if path is None else BY_OVERLOAD)


def overload(of: Op, *, number: Op, tensor: Op, reverse: Op, followed: Op | None = None) -> None:
    """Names the operations behind an infix one: a number on the right, no number, one on the left; and what
    stands for the first where a plan follows the number, as a tensor."""
    of.facts["overloads"] = (number, tensor, reverse)
    of.facts["followed"] = tensor if followed is None else followed


def check_one_dtype(input: Any, *parameters: Any) -> None:
    """Refuses parameters of a normalization that are not of its input's dtype."""
    dtype = array(input).dtype
    for p in parameters:
        if p is None or array(p).dtype == dtype:
            continue
        if dtype == np.float32:
            raise ScriptTypeError("mixed dtype (CPU): expect parameter to have scalar type of Float")
        raise ScriptTypeError("mixed dtype (CPU): all inputs must share same datatype.")
