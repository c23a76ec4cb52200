"""The words of the language, in one place: which are keywords, where, and what they are to an editor."""

from __future__ import annotations

HARD_KEYWORDS: tuple[str, ...] = (
    "let", "fn", "return", "if", "else", "while", "for", "in", "break", "continue", "import", "assert", "del",
    "and", "or", "not", "true", "false", "none", "True", "False", "None", "var", "no_grad", "print",
)  # fmt: skip
"""Never names, except after a dot."""

SOFT_KEYWORDS: tuple[str, ...] = (
    "backward", "zero_grad", "update", "minimize", "graph", "explain", "why", "plot",
)  # fmt: skip
"""Keywords at the start of a statement, unless `=` or an augmented assignment follows."""

OPTION_WORDS: tuple[str, ...] = (
    "over", "using", "steps", "until", "with", "to", "wrt", "step", "retain", "create", "as", "grad",
)  # fmt: skip
"""Keywords only where an option may stand, behind an operand."""

DTYPES: tuple[str, ...] = (
    "float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool", "float", "double", "long",
    "int",
)  # fmt: skip
"""What may stand as DTYPE in `var OPERAND DTYPE grad`."""

# True, False and None have two spellings and one terminal each.
TERMINAL_OF: dict[str, str] = {word: word.upper() for word in (*HARD_KEYWORDS, *SOFT_KEYWORDS, *OPTION_WORDS)}
