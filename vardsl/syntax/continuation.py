"""Whether a text that is being typed is a whole program, the beginning of one, or none."""

from __future__ import annotations

from typing import Literal

from vardsl.encoding import MAX_SOURCE
from vardsl.errors import Error
from vardsl.source import Source
from vardsl.syntax.grammar import END
from vardsl.syntax.lexer import OPERAND_ENDS
from vardsl.syntax.parse import Parser, after_mark, check_text

Completeness = Literal["complete", "incomplete", "invalid"]


def completeness(text: str) -> Completeness:
    """`incomplete` is a text whose only fault is that it ends: in a bracket, a string, before an operand."""
    source = Source("<input>", text)
    try:
        check_text(source, MAX_SOURCE)
    except Error:
        return "invalid"
    parser = Parser(source, "program", after_mark(source), first_error_only=True)
    try:
        parser.run()
    except Error:
        return "incomplete" if _only_ends(parser) else "invalid"
    return "complete"


def _only_ends(parser: Parser) -> bool:
    failed = parser.failed_at
    if failed is None or failed.type == END:
        return failed is not None
    before = parser.recent[-1].type if parser.recent else "SEP"
    return failed.type == "BAD_STRING" and failed.end == parser.lexer.end and before not in OPERAND_ENDS
