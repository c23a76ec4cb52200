"""Entries of the reference: what an operation's declaration says, in parts, and as text or Markdown.

A docstring is a line of summary, paragraphs, lines that begin with `Value:` and `Derivative:`, and examples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from inspect import cleandoc
from typing import Any

from vardsl.engine.inplace import InPlace
from vardsl.engine.rule import NotImplementedRule
from vardsl.ops import define
from vardsl.ops.index import FAMILIES

_FORMULA = re.compile(r"(Value|Derivative): *")
_NO_GRAPH = "none: the result is never on the graph"
_PARTS = "that of the operations it is made of"


@dataclass(frozen=True, slots=True)
class Example:
    """What is typed, and what is printed then."""

    code: str
    output: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything that the reference says about a name; what does not apply is empty."""

    name: str
    signature: str
    summary: str
    paragraphs: tuple[str, ...] = ()
    value: str = ""
    derivative: str = ""
    examples: tuple[Example, ...] = ()
    torch: str = ""
    family: str = ""
    also: tuple[str, ...] = ()
    inplace: str = ""

    @property
    def call(self) -> str:
        return f"{self.name}({self.signature})"


def entry(name: str) -> Entry:
    """The entry of an operation, by one of its names. Raises KeyError."""
    op = define.get(name)
    if name.startswith("_"):
        raise KeyError(name)
    if isinstance(op, InPlace) and op.base.name != name:
        return _inplace(name, entry(name.removesuffix("_")))
    base = op.base if isinstance(op, InPlace) else op
    facts = base.facts
    read = parse(name, str(base.signature), base.doc)
    return replace(
        read,
        derivative=read.derivative or _derivative(base),
        torch="torch." + torch_name(name, base),
        family=FAMILIES[name],
        also=tuple(n for n in (base.name, *facts.get("aliases", ())) if n != name),
        inplace=f"x.{base.name}_({_rest(base)})" if facts.get("inplace") else "",
    )


def _inplace(name: str, base: Entry) -> Entry:
    said = f"The same as `{base.name}`, on the same memory: the tensor itself is changed, and is the result."
    torch = "torch.Tensor." + name
    return replace(base, name=name, paragraphs=(said, *base.paragraphs), torch=torch, also=(), inplace="")


def torch_name(name: str, op: Any) -> str:
    """PyTorch's name below `torch.`; an alias goes by its own."""
    given: str = op.facts.get("torch") or op.name
    return given if name == op.name else given.removesuffix(op.name) + name


def _derivative(op: Any) -> str:
    if op.family in ("composite", "fused"):
        return _PARTS
    refused = [rule.sentence for rule in op.rules.values() if isinstance(rule, NotImplementedRule)]
    if refused:
        return f"none: {refused[0]}"
    return "" if op.rules or op.shared else _NO_GRAPH


def _rest(op: Any) -> str:
    return ", ".join(p.name for p in op.signature.parameters[1:] if not p.keyword_only)


def parse(name: str, signature: str, doc: str) -> Entry:
    """The parts of a docstring."""
    text, examples = _split(cleandoc(doc).splitlines())
    blocks = [block.splitlines() for block in re.split(r"\n\s*\n", "\n".join(text).strip()) if block.strip()]
    formulas = {"Value": "", "Derivative": ""}
    paragraphs: list[str] = []
    for lines in blocks[1:]:
        plain: list[str] = []
        which = ""
        for line in lines:
            found = _FORMULA.match(line)
            if found is not None:
                which = found[1]
                line = line[found.end() :]
            if which:
                formulas[which] = (formulas[which] + " " + line.strip()).strip()
            else:
                plain.append(line.strip())
        if plain:
            paragraphs.append(" ".join(plain))
    summary = " ".join(line.strip() for line in blocks[0]) if blocks else ""
    return Entry(
        name, signature, summary, tuple(paragraphs), formulas["Value"], formulas["Derivative"],
        tuple(examples),
    )


def _split(lines: list[str]) -> tuple[list[str], list[Example]]:
    """The text without its examples, and these."""
    text: list[str] = []
    found: list[tuple[list[str], list[str]]] = []
    inside = False
    for k, line in enumerate(lines):
        if line.startswith(">>> "):
            found.append(([line[4:]], []))
            inside = True
        elif inside and line.startswith("... "):
            found[-1][0].append(line[4:])
        elif inside and (line.strip() or any(after.startswith("  ") for after in lines[k + 1 : k + 2])):
            found[-1][1].append(line)  # between the matrices of a tensor stands an empty line
        else:
            inside = False
            text.append(line)
    return text, [Example("\n".join(code), "\n".join(out)) for code, out in found]


def as_text(e: Entry) -> str:
    """An entry for the terminal; its examples are a runnable script with `#>` lines."""
    lines = [e.call, "", e.summary]
    for paragraph in e.paragraphs:
        lines += ["", *_wrapped(paragraph)]
    if e.value or e.derivative:
        lines.append("")
    if e.value:
        lines += _wrapped(e.value, "  value       ")
    if e.derivative:
        lines += _wrapped(e.derivative, "  derivative  ")
    if e.examples:
        lines.append("")
    for example in e.examples:
        lines += ["    " + line for line in example.code.splitlines()]
        lines += ["    #> " + line for line in example.output.splitlines()]
    last = [f"{title}: {said}" for title, said in _last(e)]
    return "\n".join([*lines, "", *last] if last else lines) + "\n"


def _last(e: Entry) -> list[tuple[str, str]]:
    rows = [("Also called", ", ".join(e.also)), ("In place", e.inplace), ("PyTorch", e.torch)]
    return [(title, said) for title, said in rows if said]


def _wrapped(text: str, head: str = "", width: int = 96) -> list[str]:
    lines, line = [], head
    for word in text.split():
        if len(line) + len(word) > width and line.strip():
            lines.append(line.rstrip())
            line = " " * len(head)
        line += word + " "
    return [*lines, line.rstrip()]


def as_markdown(e: Entry) -> str:
    """An entry as a section of a page."""
    parts = [f"## `{e.call}`", e.summary, *e.paragraphs]
    facts = []
    for title, said in (("Value", e.value), ("Derivative", e.derivative)):
        if said:
            facts.append(f"- {title}: {_code(said)}")
    if e.also:
        facts.append("- Also called: " + ", ".join(f"`{name}`" for name in e.also))
    facts += [f"- {title}: `{said}`" for title, said in _last(e) if title != "Also called"]
    if facts:
        parts.append("\n".join(facts))
    if e.examples:
        shown = []
        for example in e.examples:
            shown += example.code.splitlines()
            shown += ["#> " + line if line else "#>" for line in example.output.splitlines()]
        parts.append("```vardsl\n" + "\n".join(shown) + "\n```")
    return "\n\n".join(parts) + "\n"


def _code(text: str) -> str:
    """A formula with what Markdown would take for emphasis kept as it is."""
    return text if "`" in text else re.sub(r"([*_<|])", r"\\\1", text)
