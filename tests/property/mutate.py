"""Damage to programs: characters and tokens deleted, doubled, swapped, replaced, nonsense put between."""

from __future__ import annotations

import re
from random import Random

_TOKENS = re.compile(r"\w+|\s+|\*\*|//|\|>|[<>=!]=|\.\.\.|.", re.DOTALL)
_NONSENSE = [
    "(", ")", "[", "]", "{", "}", "'", '"', 'f"', "f'", "\\", "#", "\n", "\r", ";", ",", ":", ".", "..",
    "...", "=", "==",
    "^", "|>", "**", "-", "not", "in", "if", "else", "fn", "fn(", "let", "var", "grad", "over", "with",
    "as", "import", "print",
    "return", "for", "while", "no_grad", "true", "none", "0", "1e999", "0x", "1_", "9" * 20, "1..5", "α",
    "²", "（", "”", "\u00a0",
    "\u200b", "\x00", "\x1b", "\ud800", "\ufeff", "{x!r}", "f'{'", "f'{a:{b:{c}}}'", "'\\N{x}'", "'\\x'",
    "&&", ":=", "\u2028", "é",
]  # fmt: skip


def damaged(program: str, rng: Random) -> str:
    """The program with up to five things wrong."""
    parts = _TOKENS.findall(program) if rng.randrange(3) else list(program)
    for _ in range(rng.randrange(1, 6)):
        if not parts:
            break
        at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        kind = rng.randrange(6)
        if kind == 0:
            del parts[at : at + rng.randrange(1, 4)]
        elif kind == 1:
            parts.insert(at, rng.choice(_NONSENSE))
        elif kind == 2:
            parts[at], parts[other] = parts[other], parts[at]
        elif kind == 3:
            parts[at] = rng.choice(_NONSENSE)
        elif kind == 4:
            parts.insert(at, parts[other])
        else:
            del parts[at:]
    return "".join(parts)
