"""Letters by their LaTeX names: `\\alpha` is α, where the letter may stand in a name."""

from __future__ import annotations

import re

_NAMED = """
alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ
mu μ nu ν xi ξ omicron ο pi π varpi ϖ rho ρ varrho ϱ sigma σ varsigma ς tau τ upsilon υ phi φ varphi ϕ chi χ
psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω
ell ℓ hbar ℏ aleph ℵ beth ℶ Re ℜ Im ℑ imath ı jmath ȷ
"""
_WORDS = _NAMED.split()

LETTERS: dict[str, str] = dict(zip(_WORDS[::2], _WORDS[1::2]))
"""Names without their backslash."""

# Marks that stand behind a letter: `x\\hat` is x̂.
ACCENTS: dict[str, str] = {
    "hat": "\u0302", "bar": "\u0304", "dot": "\u0307", "ddot": "\u0308", "tilde": "\u0303",
}  # fmt: skip

_OPEN = re.compile(r"\\([A-Za-z]*)$")


def open_letter(before: str) -> tuple[int, str] | None:
    """Where the backslash of a letter's name that is being typed stands, and the name so far."""
    found = _OPEN.search(before)
    return (found.start(), found[1]) if found else None


def letters(prefix: str) -> list[tuple[str, str]]:
    """Names that start with `prefix`, with what they write: the exact one first, then the shortest."""
    table = {**LETTERS, **ACCENTS}
    found = [(name, text) for name, text in table.items() if name.startswith(prefix)]
    return sorted(found, key=lambda pair: len(pair[0]))
