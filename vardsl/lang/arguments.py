"""What a call's arguments are, as far as the signature and the text tell."""

from __future__ import annotations

from vardsl.engine.signature import ALIASES, SEQUENCE_KINDS, Signature
from vardsl.lang import builtins, members, packing
from vardsl.syntax import ast


def method_parameters(name: str) -> Signature | None:
    """What the method of this name takes, the tensor first; None where there is none."""
    method = members.tensor_method(name)
    return None if method is None else builtins.signature_of(method, name)


# Parameters that take one thing or a sequence of them.
_EITHER = frozenset(
    {"padding", "indices_or_sections", "indices", "split_size_or_sections", "dims", "spacing", "dim"}
)


def takes_sequence(
    signature: Signature | None, which: int | str, literal: ast.ListLit | ast.NumberRow
) -> bool:
    """Whether a literal is the sequence that its parameter takes, not a tensor."""
    if signature is None:
        return False
    positional = signature.positional
    if isinstance(which, str):
        k = signature.index.get(which, signature.index.get(ALIASES.get(which, "")))
    else:
        k = min(which, len(positional) - 1) if positional and positional[-1].kind == "Varargs" else which
        k = k if k < len(positional) else None
    if k is None:
        return False
    p = signature.parameters[k]
    if p.kind == "Varargs":
        # of numbers a tensor among others, else all the tensors
        return packing.pack(literal) is None
    return p.kind in SEQUENCE_KINDS or (
        p.kind == "Any" and p.name in _EITHER and "other" not in signature.index
    )
