"""How the prompt colours text: the terminal's own sixteen colours, which its owner has made readable."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import split_lines
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.styles import BaseStyle, Style, merge_styles

from vardsl.apps.repl.lines import is_command

# Texts with more lines are coloured line by line, where they are looked at.
MANY_LINES = 200

_INPUT = {
    "keyword": "bold ansimagenta",
    "constant": "ansimagenta",
    "option": "bold ansimagenta",
    "dtype": "ansicyan",
    "call": "ansiblue",
    "number": "ansicyan",
    "string": "ansigreen",
    "escape": "bold ansigreen",
    "comment": "italic ansibrightblack",
    "output": "italic ansibrightblack",
    "error": "ansired",
    "command": "bold ansiyellow",
}
_LIGHT = {"command": "bold ansimagenta", "number": "ansiblue", "dtype": "ansiblue", "call": "bold"}
_DARK = {"call": "ansibrightblue", "keyword": "bold ansibrightmagenta", "option": "bold ansibrightmagenta"}
_CHROME = {
    "prompt": "bold ansigreen",
    "continuation": "ansibrightblack",
    "matching": "bold underline",
    "auto-suggestion": "ansibrightblack",
    "bottom-toolbar": "noreverse ansibrightblack",
    "bottom-toolbar.text": "noreverse",
    "toolbar.active": "bold underline",
    "toolbar.preview": "ansicyan",
    "toolbar.problem": "ansired",
    "completion-menu": "noreverse bg:default",
    "completion-menu.completion": "noreverse bg:default fg:default",
    "completion-menu.completion.current": "reverse",
    "completion-menu.meta.completion": "noreverse bg:default ansibrightblack",
    "completion-menu.meta.completion.current": "reverse",
}


def style(theme: str) -> BaseStyle:
    """The style of a theme: `auto`, `dark`, `light`, `none`, or the name of one of Pygments'."""
    if theme == "none":
        return Style.from_dict(
            {"bottom-toolbar": "noreverse", "completion-menu.completion.current": "reverse"}
        )
    table = dict(_INPUT)
    table.update(_LIGHT if theme == "light" else _DARK if theme == "dark" else {})
    own = Style.from_dict({**_CHROME, **{f"vd.{kind}": colour for kind, colour in table.items()}})
    if theme in ("auto", "dark", "light"):
        return own
    return merge_styles([own, Style.from_dict(_from_pygments(theme))])


_PYGMENTS = {
    "keyword": "Keyword", "constant": "Keyword.Constant", "option": "Keyword", "dtype": "Keyword.Type",
    "call": "Name.Function", "number": "Number", "string": "String", "escape": "String.Escape",
    "comment": "Comment", "output": "Comment", "error": "Error",
}  # fmt: skip


def _from_pygments(name: str) -> dict[str, str]:
    """Our classes in the colours of a style of Pygments. Raises ValueError for one that there is not."""
    styles, token, util = map(import_module, ("pygments.styles", "pygments.token", "pygments.util"))

    try:
        found = styles.get_style_by_name(name)
    except util.ClassNotFound:
        raise ValueError(f"there is no theme {name}: auto, dark, light, none, or one of Pygments'") from None
    table = {}
    for kind, word in _PYGMENTS.items():
        facts = found.style_for_token(token.string_to_tokentype(word))
        words = [word for word in ("bold", "italic", "underline") if facts[word]]
        table[f"vd.{kind}"] = " ".join([*words, *([f"#{facts['color']}"] if facts["color"] else [])])
    return table


class InputLexer(Lexer):
    """Colours from the grammar's own tokens."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        text = document.text
        if is_command(text):
            return lambda number: [("class:vd.command", document.lines[number])] if number < 1 else []
        if document.line_count > MANY_LINES:
            lines = document.lines
            return lambda number: list(fragments(lines[number])) if number < len(lines) else []
        coloured = list(split_lines(list(fragments(text))))
        return lambda number: coloured[number] if number < len(coloured) else []


@lru_cache(maxsize=512)
def fragments(text: str) -> tuple[tuple[str, str], ...]:
    """A text in coloured pieces."""
    # loaded with the first character, not before the first prompt
    tokens = import_module("vardsl.syntax.tokens").tokens
    parts: list[tuple[str, str]] = []
    at = 0
    for piece in tokens(text):
        if at < piece.start:
            parts.append(("", text[at : piece.start]))
        parts.append((f"class:vd.{piece.kind}", text[piece.start : piece.end]))
        at = piece.end
    if at < len(text):
        parts.append(("", text[at:]))
    return tuple(parts)


class Brackets(Processor):
    """Marks the bracket at the cursor and its partner; brackets in strings and comments are none."""

    def __init__(self, on: Callable[[], bool]) -> None:
        self.on = on
        self.known: tuple[str, dict[int, int]] = ("", {})

    def apply_transformation(self, ti: TransformationInput) -> Transformation:
        document = ti.document
        marked = self._marked(document) if self.on() else ()
        places = [document.translate_index_to_position(m) for m in marked]
        columns = [column for row, column in places if row == ti.lineno]
        if not columns:
            return Transformation(ti.fragments)
        parts = explode_text_fragments(list(ti.fragments))
        for column in columns:
            at = ti.source_to_display(column)
            if at < len(parts):
                parts[at] = (parts[at][0] + " class:matching", parts[at][1])
        return Transformation(parts)

    def _marked(self, document: Document) -> tuple[int, ...]:
        text, at = document.text, document.cursor_position
        if not any(0 <= k < len(text) and text[k] in "()[]{}" for k in (at, at - 1)):
            return ()
        if document.line_count > MANY_LINES:
            return ()
        if self.known[0] != text:
            editing = import_module("vardsl.assist.editing")
            self.known = (text, editing.pairs(text, editing.tokens(text)))
        for k in (at, at - 1):
            if k in self.known[1]:
                return k, self.known[1][k]
        return ()
