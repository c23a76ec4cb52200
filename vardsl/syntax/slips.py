"""The slips that people bring from Python, NumPy, MATLAB and Chinese keyboards, each with its sentence."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from difflib import get_close_matches

from vardsl.errors import Error, ScriptSyntaxError
from vardsl.source import Span
from vardsl.syntax.grammar import END
from vardsl.syntax.lexer import OPERAND_ENDS
from vardsl.syntax.situation import Situation, shown
from vardsl.syntax.words import DTYPES, HARD_KEYWORDS, OPTION_WORDS, SOFT_KEYWORDS

VALUE_STARTS = frozenset(
    [
        "NAME",
        "INTEGER",
        "REAL",
        "STRING",
        "FSTRING",
        "ROW",
        "TRUE",
        "FALSE",
        "NONE",
        "LPAR",
        "LSQB",
        "PLUS",
        "MINUS",
        "TILDE",
        "NOT",
        "VAR",
        "FN",
    ]
)
_KEYWORDS = frozenset(word.upper() for word in HARD_KEYWORDS)
_SOFT = frozenset(word.upper() for word in SOFT_KEYWORDS)
_BINDS = re.compile(r"[ \t]*=(?!=)")
_HEADS = frozenset(["IF", "ELSE", "WHILE", "FOR", "FN", "NO_GRAD"])

Found = tuple[str, str | None] | tuple[str, str | None, Span] | None
"""A sentence, a hint, and where to point if not at the token that cannot stand there."""


def find(at: Situation) -> Error | None:
    """The error for a known slip, if this is one."""
    for slip in _SLIPS:
        found = slip(at)
        if found is not None:
            message, hint, *where = found
            label = at.label(where[0], "") if where else at.label(at.place(), point(at))
            return ScriptSyntaxError(message, labels=[label], hint=hint)
    return None


# ---- where ----------------------------------------------------------------------------------------
_CONSTRUCTS = {
    "LET": "let", "FN": "a function", "RETURN": "return", "IF": "if", "ELSE": "else", "WHILE": "while",
    "FOR": "for",
    "IMPORT": "import", "ASSERT": "assert", "DEL": "del", "NO_GRAD": "no_grad", "PRINT": "print",
    "BACKWARD": "backward", "ZERO_GRAD": "zero_grad", "UPDATE": "update", "MINIMIZE": "minimize",
    "GRAPH": "graph",
    "EXPLAIN": "explain", "WHY": "why", "PLOT": "plot",
}  # fmt: skip


def construct(at: Situation) -> str:
    """` in a call`, ` in let`: what was being written, or nothing."""
    top = at.lexer.top
    if top.closer == ")":
        in_params = top.after == "FN" or (top.after == "NAME" and top.named_function)
        return (
            " in the parameters"
            if in_params
            else " in this call"
            if top.after in OPERAND_ENDS
            else " in parentheses"
        )
    if top.closer == "]":
        return " in this index" if top.after in OPERAND_ENDS else " in this tensor literal"
    if at.lexer.in_field:
        return " in this field of an f-string"
    name = _CONSTRUCTS.get(at.head.type)
    return f" in {name}" if name and at.head is not at.token else ""


def point(at: Situation) -> str:
    """What the label says under the place."""
    if at.token.type in (END, "SEP") and at.token.text != ";":
        return "something is missing here"
    return ""


# ---- slips ----------------------------------------------------------------------------------------
def _strings(at: Situation) -> Found:
    token, previous = at.token, at.previous
    is_string = token.type in ("STRING", "BAD_STRING", "FSTRING")
    if is_string and token.text[0] == "'" and at.touches and previous.type in OPERAND_ENDS:
        hint = f"write {shown(previous.text)}.T" if previous.type == "NAME" else "write .T"
        return "a quote does not transpose", hint, Span(token.start, token.start + 1)
    if token.type == "BAD_STRING":
        return (
            "this string is never closed",
            f"end it with {token.text.lstrip('fF')[0]}; a line break in it is \\n",
        )
    if is_string and previous.type in ("STRING", "FSTRING"):
        if previous.text in ('""', "''") and at.touches:
            return "strings are not written in triple quotes", 'a line break in a string is \\n: "one\\ntwo"'
        return "two strings stand side by side", "join them with +"
    if is_string and at.touches and previous.text.lower() in ("r", "b", "u", "rb", "br", "fr", "rf"):
        return (
            f"a string has no prefix {previous.text}",
            'strings are "…" and f"…"; a backslash in them is \\\\',
        )
    return None


def _numbers(at: Situation) -> Found:
    token = at.token
    if token.type != "BAD_NUMBER":
        return None
    text = token.text
    found = re.fullmatch(r"([0-9][0-9_]*?)([^\W\d_]\w*)", text)
    if found and text[0] != "0":
        digits, word = found.groups()
        if word in ("j", "J"):
            return "there are no complex numbers", None
        if word.lower() != "e":
            return "a number cannot be followed by a name", f"to multiply, write {digits} * {shown(word)}"
    if text[:2].lower() in ("0x", "0b", "0o"):
        kind = {"x": "hexadecimal", "b": "binary", "o": "octal"}[text[1].lower()]
        return f"{shown(text)} is no {kind} number", "for example 0xff, 0b101, 0o17"
    return f"{shown(text)} is no number", "for example 7, 1_000, 1.5, 1e-3"


# What is typed with a Chinese keyboard, a word processor or a formula editor, and what is meant.
_LOOKALIKES = {
    "（": "(", "）": ")", "，": ",", "；": ";", "：": ":", "【": "[", "】": "]", "［": "[", "］": "]",
    "｛": "{",
    "｝": "}",
    "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "「": '"', "」": '"', "＂": '"', "‘": "'", "’": "'",
    "＇": "'",
    "´": "'", "`": "'", "。": ".", "．": ".", "、": ",", "＝": "=", "＋": "+", "－": "-", "＊": "*",
    "／": "/",
    "＜": "<",
    "＞": ">", "！": "!", "％": "%", "＃": "#", "＠": "@", "｜": "|", "＆": "&", "～": "~",
    "−": "-", "–": "-",
    "—": "-",
    "×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "≤": "<=", "≥": ">=", "≠": "!=", "…": "...", "→": "=",
    "∧": "and", "∨": "or", "¬": "not", "∈": "in", "√": "sqrt(…)", "∞": "inf", "《": "<", "》": ">",
}  # fmt: skip
_POWERS = {"²": "**2", "³": "**3", "¹": "**1"}


def _characters(at: Situation) -> Found:
    token = at.token
    if token.type != "BAD_CHAR":
        return None
    char = next((c for c in token.text if not c.isidentifier() and not c.isdecimal()), token.text[0])
    name = unicodedata.name(char, "").lower()
    code = f"U+{ord(char):04X}"
    if char in _POWERS:
        return f"'{char}' is not a power", f"write {_POWERS[char]}"
    if char in _LOOKALIKES:
        return f"'{char}' ({code} {name}) is not a sign of the language", f"write {_LOOKALIKES[char]}"
    if char.isspace() or unicodedata.category(char) == "Zs":
        return (
            f"a {name or 'control character'} ({code}) is no blank of the language",
            "write an ordinary space",
        )
    if unicodedata.category(char) == "Nd":
        return (
            f"'{char}' ({code} {name}) is not a digit of the language",
            f"write {unicodedata.decimal(char)}",
        )
    if char == "\\":
        return (
            "a line is not continued by a backslash",
            "a line goes on after an operator, a comma, or inside ( ) and [ ]",
        )
    if char == "?":
        return "'?' is not a sign of the language", "a choice is written a if condition else b"
    if char == "$":
        return "'$' is not a sign of the language", "names stand for themselves; in f-strings as {name}"
    if char.isprintable():
        return f"'{char}' ({code}{' ' + name if name else ''}) is not a sign of the language", None
    return f"the character {code}{' (' + name + ')' if name else ''} is not a sign of the language", None


_SIGNS: dict[str, tuple[str, str]] = {
    "&&": ("'&&' is not an operator", "write and"),
    "||": ("'||' is not an operator", "write or"),
    "!": ("'!' is not an operator", "write not"),
    ":=": ("':=' is not an operator", "write = as a statement of its own"),
    "<>": ("'<>' is not an operator", "write !="),
    "^": ("'^' is not the power", "** is the power"),
    "^=": ("'^=' is not an operator", "** is the power, in place **="),
    ".*": ("'.*' is not an operator", "* multiplies element by element; the matrix product is @"),
    "./": ("'./' is not an operator", "/ divides element by element"),
    ".^": ("'.^' is not an operator", "** is the power, element by element"),
    "->": ("'->' is not an operator", "a function is written fn(x) = x * x"),
    "=>": ("'=>' is not an operator", "a function is written fn(x) = x * x; at least is >="),
    "++": ("'++' is not an operator", "write += 1"),
    "--": ("'--' is not an operator", "write -= 1"),
    "..": ("'..' is not an operator", "numbers in a row are range(1, 5) or arange(1, 5)"),
    "<<": ("'<<' is not an operator", "multiply by a power of two: x * 2**n"),
    ">>": ("'>>' is not an operator", "divide by a power of two: x // 2**n; a pipe is |>"),
    "|=": ("'|=' is not an operator", "write a = a | b"),
    "&=": ("'&=' is not an operator", "write a = a & b"),
}


def _signs(at: Situation) -> Found:
    if at.token.type != "SLIP":
        return None
    message, hint = _SIGNS[at.token.text]
    name = at.previous.text if at.previous.type == "NAME" else None
    if at.token.text in ("++", "--") and name:
        hint = f"write {shown(name)} {at.token.text[0]}= 1"
    return message, hint


def _equals(at: Situation) -> Found:
    token, previous, head = at.token, at.previous, at.head.type
    if token.type == "COMPARE" and token.text == "==" and "EQ" in at.accepts and "MULTIPLY" not in at.accepts:
        return "'==' compares; it does not bind", "write ="
    if token.type == "AUG" and head == "LET":
        return f"let cannot be used with '{token.text}'", "let binds with =; to change a name, leave let away"
    if token.type != "EQ":
        return None
    if (
        previous.text in ("requires_grad", "grad")
        and previous.type in ("NAME", "GRAD")
        and at.before.type in OPERAND_ENDS
    ):
        hint = "write var x grad, or tensor(x, requires_grad=true)"
        return f"'{previous.text}=' does not belong to var", hint, previous.span
    if previous.type in _KEYWORDS and (previous is at.head or at.before.type in ("LPAR", "COMMA")):
        return (
            f"'{previous.text}' is a word of the language and cannot be a name",
            "choose another name",
            previous.span,
        )
    if previous.type == "EQ":
        return None
    if at.lexer.top.closer == ")" and at.lexer.top.after in OPERAND_ENDS:
        return (
            "only a name can stand before '=' in a call",
            "a keyword argument is name=value; to compare, write ==",
        )
    if head == "PRINT":
        return (
            "print takes values, not keyword arguments",
            'for other texts between them use an f-string: print f"{a}, {b}"',
        )
    if at.lexer.top.closer in (")", "]") or head in ("IF", "WHILE", "ASSERT", "RETURN"):
        return "'=' binds; it does not compare", "to compare, write =="
    if at.lexer.in_field:
        return "a field of an f-string holds an expression, without '='", 'write the name as text: f"x = {x}"'
    if head in ("NAME", "LET", "LPAR", "FN"):
        return "one statement binds once", "write two statements"
    return None


_WORDS: dict[str, tuple[str, str]] = {
    "def": ("functions are not written with def", "write fn f(x) = x * x, or fn f(x) { … }"),
    "function": ("functions are not written with function", "write fn f(x) = x * x, or fn f(x) { … }"),
    "func": ("functions are not written with func", "write fn f(x) = x * x, or fn f(x) { … }"),
    "lambda": ("functions without a name are not written with lambda", "write fn(x) = x * x"),
    "from": (
        "names are not imported with from",
        'write import "file.vd"; tensors and their operations are built in',
    ),
    "elif": ("elif is written else if", "write } else if condition { … }"),
    "elseif": ("elseif is written else if", "write } else if condition { … }"),
    "elsif": ("elsif is written else if", "write } else if condition { … }"),
    "then": ("there is no then", "a block stands in braces: if condition { … }"),
    "do": ("there is no do", "a block stands in braces: while condition { … }"),
    "is": ("there is no operator is", "write =="),
    "xor": ("there is no operator xor", "write !="),
    "mod": ("there is no operator mod", "write %"),
    "div": ("there is no operator div", "write //"),
    "class": ("there are no classes", "functions and tuples do their work"),
    "const": ("names are not declared with const", "write let x = …"),
    "val": ("names are not declared with val", "write let x = …"),
    "lets": ("names are bound with let", "write let x = …"),
    "with": ("there is no with block", "outside the graph is no_grad { … }"),
    "try": ("there is no try", "an error stops the script; check before with if or assert"),
    "end": ("a block does not end with end", "a block stands in braces: { … }"),
    "raise": ("there is no raise", 'write assert false, "message"'),
    "global": ("there is no global", "= changes the nearest name of that spelling"),
    "nonlocal": ("there is no nonlocal", "= changes the nearest name of that spelling"),
    "async": ("there is no async", "statements run one after another"),
    "yield": ("there is no yield", "a function gives its value with return"),
    "pass": ("there is no pass", "an empty block is { }"),
}


def _words(at: Situation) -> Found:
    token, previous, head = at.token, at.previous, at.head
    if token.type == "COLON" and head.type in _HEADS and at.lexer.top.closer in ("", "}"):
        return "a block does not begin with ':'", "a block stands in braces: " + shown(head.text) + " … { … }"
    if token.type == "NAME" and head.type == "IMPORT" and previous.type == "IMPORT":
        hint = 'to run a file write import "file.vd"; tensors and their operations are built in'
        return "import takes the path of a file, in quotes", hint
    for word in (head, previous, token):
        if word.type != "NAME" or word.text not in _WORDS:
            continue
        if (word is head and word.text.startswith("els")) or word.text == "elif":
            return (*_WORDS[word.text], word.span)
        if word is token or (word is previous and token.type in VALUE_STARTS | {"COLON"}):
            return (*_WORDS[word.text], word.span)
    if token.type == "ELSE" and previous.type in ("SEP", "RBRACE") and head is token:
        return (
            "else has no if before it on its line",
            "else stands on the line of the '}' before it: } else {",
        )
    return None


def _keywords(at: Situation) -> Found:
    token, previous = at.token, at.previous
    if token.type in _KEYWORDS and previous.type == "LET" and token.type == "VAR":
        return "let takes a name, not var", "write let x = var 1.0 grad"
    binds = _BINDS.match(at.source.text, token.end) is not None
    if token.type in _KEYWORDS and "NAME" in at.accepts and ("INTEGER" not in at.accepts or binds):
        return f"'{token.text}' is a word of the language and cannot be a name", "choose another name"
    if token.type in _KEYWORDS and "INTEGER" in at.accepts and previous.type not in ("SEP", "LBRACE"):
        hint = "a choice is written a if condition else b" if token.type == "IF" else "choose another name"
        return f"'{token.text}' is a word of the language and cannot be a value", hint
    starts = previous.type in _SOFT and previous is at.head
    if starts and token.type not in (END, "SEP") and token.type not in VALUE_STARTS:
        word = previous.text
        hint = f"here {word} begins a statement; as a name it stands before = or inside an expression"
        return f"'{word}' cannot be used as a name here", hint, previous.span
    return None


_STATEMENTS = [
    *("let", "fn", "return", "if", "else", "while", "for", "break", "continue", "import", "assert", "del"),
    *("no_grad", "print", *SOFT_KEYWORDS),
]


def _statements(at: Situation) -> Found:
    """A statement where a value stands, and a statement's word misspelt."""
    token, previous = at.token, at.previous
    if (
        previous.type != "NAME"
        or token.type not in VALUE_STARTS | {"LBRACE"}
        or token.type in ("LPAR", "LSQB")
    ):
        return None
    if previous.text in SOFT_KEYWORDS and previous is not at.head:
        return (
            f"{previous.text} is a statement and gives no value",
            "write it as a statement of its own",
            previous.span,
        )
    if previous is not at.head:
        return None
    near = get_close_matches(previous.text[:30], _STATEMENTS, 1, 0.7)
    return (
        (f"'{shown(previous.text)}' begins no statement", f"did you mean {near[0]}?", previous.span)
        if near
        else None
    )


_VAR = re.compile(r"\bvar\b")


def _variables(at: Situation) -> Found:
    """`var a * b grad`: what follows the operand of `var` without parentheses is not part of it."""
    token = at.token
    if token.type != "GRAD" and not (token.type == "NAME" and token.text in DTYPES):
        return None
    if at.lexer.top.closer in (")", "]") or not _VAR.search(at.source.text, at.head.start, token.start):
        return None
    return f"'{token.text}' belongs to var, whose operand has no operators", "write var (a * b) grad"


def _options(at: Situation) -> Found:
    """A word that was to be an option: `overb`, `step` for `steps`."""
    token = at.token
    if token.type != "NAME" or at.lexer.top.closer in (")", "]"):
        return None
    for option in OPTION_WORDS:
        if option.upper() in at.accepts and token.text.startswith(option):
            hint = f"a word ends where its letters end: {option} {shown(token.text[len(option) :])}"
            return f"'{shown(token.text)}' is no option of {at.head.text}", hint
    near = get_close_matches(
        token.text[:30], [word for word in OPTION_WORDS if word.upper() in at.accepts], 1, 0.7
    )
    return (
        (f"'{shown(token.text)}' is no option of {at.head.text}", f"did you mean {near[0]}?")
        if near
        else None
    )


_GO_ON = frozenset(["PIPE", "DOT", "AND", "OR", "MULTIPLY", "POWER", "COMPARE", "COMMA", "IN", "EQ", "AUG"])


def _places(at: Situation) -> Found:
    token, previous = at.token, at.previous
    ended = previous.type in OPERAND_ENDS
    if token.type == "LBRACE" and "INTEGER" in at.accepts:
        return "braces hold statements, not values", "a tensor is written [1, 2], a tuple (1, 2)"
    if token.type == "LBRACE" and at.head.type != "FN" and previous.type == "RPAR" and at.lambda_before():
        return "a function without a name has no block", "write fn(x) = …, or give it a name: fn f(x) { … }"
    if token.type == "MULTIPLY" and token.text == "//" and "LET" in at.accepts:
        return "'//' does not begin a comment", "a comment begins with #"
    if token.type == "MULTIPLY" and token.text == "@" and "LET" in at.accepts:
        return "there are no decorators", "write f = g(f) behind the function"
    begins = token.type in _GO_ON
    if begins and "LET" in at.accepts:
        return f"a statement cannot begin with '{token.text}'", (
            f"to go on with the line before, write '{token.text}' at its end, or put all of it in parentheses"
            if at.source.text[: token.start].strip() and token.type not in ("EQ", "AUG") else None
        )  # fmt: skip
    if at.lexer.top.closer in (")", "]") and ended and token.type in VALUE_STARTS | {"LBRACE"}:
        if at.lexer.top.closer == ")" and at.lexer.top.after not in OPERAND_ENDS:
            return None
        return f"two values stand side by side{construct(at)}", "perhaps a comma is missing between them"
    if token.type == "COLON" and previous.type == "NAME" and at.head is previous:
        return "a name has no type written behind it", "write name = value"
    if token.type == "ELLIPSIS":
        return "'...' stands only inside an index", "for example x[..., 0]"
    return None


_SLIPS: tuple[Callable[[Situation], Found], ...] = (
    _strings, _numbers, _characters, _signs, _words, _equals, _keywords, _variables, _options, _statements,
    _places,
)  # fmt: skip
