"""The nearest known name to one that is not known, and what other languages call our things."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from vardsl.syntax.words import HARD_KEYWORDS, SOFT_KEYWORDS

# What people bring from elsewhere, and what to write for it here.
ALIASES: dict[str, str] = {
    "avg": "did you mean mean?",
    "average": "did you mean mean?",
    "np": "NumPy's functions are builtins here: write sum(x) for np.sum(x)",
    "numpy": "NumPy's functions are builtins here: write sum(x) for np.sum(x)",
    "torch": "PyTorch's functions are builtins here: write sum(x) for torch.sum(x)",
    "F": "the functions of torch.nn.functional are builtins here: write relu(x) for F.relu(x)",
    "nn": "the functions of torch.nn.functional are builtins here: write relu(x)",
    "jax": "its functions are builtins here: grad(f), vmap(f)",
    "jnp": "its functions are builtins here: write sum(x)",
    "math": "its functions are builtins here: write sqrt(x)",
    "Variable": "a variable is written: var x grad",
    "requires_grad": "a variable that takes part in the graph is written: var x grad",
    "def": "a function is written: fn f(x) = …  or  fn f(x) { … }",
    "lambda": "a function without a name is written: fn(x) = …",
    "elif": "it is written: else if",
    "null": "it is written: none",
    "nil": "it is written: none",
    "NaN": "it is written: nan",
    "NULL": "it is written: none",
    "PI": "it is written: pi",
    "ln": "did you mean log? (the natural logarithm)",
    "arctan": "did you mean atan?",
    "arcsin": "did you mean asin?",
    "arccos": "did you mean acos?",
    "arctan2": "did you mean atan2?",
    "power": "did you mean pow? (or a ** b)",
    "array": "did you mean tensor?",
    "matrix": "did you mean tensor?",
    "list": "a tuple is written (a, b), a tensor [a, b]",
    "dict": "there are no dictionaries; a tuple is written (a, b)",
    "set": "there are no sets; a tuple is written (a, b)",
    "stddev": "did you mean std?",
    "variance": "did you mean x.var()?",
    "permutation": "did you mean randperm?",
    "random": "did you mean rand? (rand(2, 3), randn(2, 3), randint(10, (2, 3)))",
    "rand_int": "did you mean randint?",
    "argsorted": "did you mean argsort?",
    "sorted": "did you mean sort?",
    "println": "did you mean print?",
    "echo": "did you mean print?",
    "display": "did you mean print?",
    "concatenated": "did you mean cat?",
    "hcat": "did you mean hstack?",
    "vcat": "did you mean vstack?",
    "eig": "did you mean linalg.eigh?",
    "inv": "did you mean inverse? (or linalg.inv)",
    "solve": "did you mean linalg.solve?",
    "eigh": "did you mean linalg.eigh?",
    "True_": "it is written: true",
    "this": "there is no such name",
    "self": "functions have no self",
    "function": "a function is written: fn f(x) = …",
    "func": "a function is written: fn f(x) = …",
    "const": "a binding is written: let x = …",
    "auto": "a binding is written: let x = …",
    "with_grad": "a variable that takes part in the graph is written: var x grad",
}

MEMBER_ALIASES: dict[str, str] = {
    "axis": "did you mean dim?",
    "length": "did you mean len(x)?",
    "len": "did you mean len(x)?",
    "astype": "did you mean to? (x.to(float64))",
    "cpu": "tensors live in the computer's memory already",
    "cuda": "there are no other devices",
    "dot_product": "did you mean dot?",
    "transposed": "did you mean T?",
    "values": "only the results of operations such as max(x, dim=0) have .values",
    "append": "a tensor does not grow: cat((x, y)) makes a longer one",
    "push": "a tensor does not grow: cat((x, y)) makes a longer one",
}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, or None; short names must be more alike."""
    known = list(known)
    folded = name.casefold()
    for k in known:
        if k.casefold() == folded and k != name:
            return k
    cutoff = 0.75 if len(name) <= 3 else 0.7
    matches = import_module("difflib").get_close_matches
    found: list[str] = matches(name, known, 1, cutoff)
    if not found:
        by_fold = {k.casefold(): k for k in known}
        found = [by_fold[m] for m in matches(folded, list(by_fold), 1, cutoff)]
    return found[0] if found else None


def hint_for_name(name: str, in_scope: Iterable[str], builtins: Iterable[str]) -> str | None:
    """What to write instead of an unknown name; names of the script are preferred."""
    scope = [n for n in in_scope if n != name]
    near = nearest(name, scope) if scope else None
    if near is not None:
        return f"did you mean {near}?"
    if name in ALIASES:
        return ALIASES[name]
    near = nearest(name, [*builtins, *HARD_KEYWORDS, *SOFT_KEYWORDS])
    return f"did you mean {near}?" if near is not None and near != name else None


def hint_for_member(name: str, members: Iterable[str]) -> str | None:
    """What to write instead of an unknown member."""
    near = nearest(name, members)
    if near is not None and (name not in MEMBER_ALIASES or near.casefold() == name.casefold()):
        return f"did you mean .{near}?"
    return MEMBER_ALIASES.get(name)
