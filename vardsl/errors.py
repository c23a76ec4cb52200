"""Every error and warning of the language, as data; pictures of them are made in `display/`.

    Error                       what users catch; `kind` is the word in `error[kind]`
    ├── ScriptSyntaxError       syntax      text that is no program
    ├── ScriptNameError         name        unknown names and members
    ├── ScriptTypeError         type        wrong operands, arity, keywords, not callable
    ├── ShapeError              shape       sizes and broadcasting
    ├── ScriptValueError        value       unpacking, division by zero, formats
    ├── ScriptIndexError        index       an index or dim out of range
    ├── GradError               grad        rules of the graph
    ├── LimitError              limit       a limit of time, memory, nesting, size (status 3)
    ├── IoError                 io          files; `refused=True` for a permission (status 3)
    ├── ScriptAssertError       assert      a failed `assert`
    ├── Interrupted             interrupt   Ctrl-C
    └── InternalError           internal    a bug of ours (status 70)

Operations, rules and passes raise these without any position: the place is added where the script is known.
"""

from __future__ import annotations

from collections.abc import Sequence

from vardsl.source import Source, Span


class Label:
    """A marked range of a source with what is to be said there; the first label of an error is its place."""

    __slots__ = ("primary", "source", "span", "text")

    def __init__(self, source: Source, span: Span, text: str = "", primary: bool = True) -> None:
        self.source = source
        self.span = span
        self.text = text
        self.primary = primary

    def __eq__(self, other: object) -> bool:
        return type(other) is Label and _facts(self) == _facts(other)

    def __hash__(self) -> int:
        return hash(_facts(self))


def _facts(label: Label) -> tuple[object, ...]:
    return label.source, label.span, label.text, label.primary


class Frame:
    """A call that led to an error: the function's name and where it was called."""

    __slots__ = ("name", "source", "span")

    def __init__(self, name: str, source: Source, span: Span) -> None:
        self.name = name
        self.source = source
        self.span = span


class Error(Exception):
    """What goes wrong in a script. `str()` is the whole diagnostic.

    message  one sentence in the language's own terms (or PyTorch's own sentence)
    torch    PyTorch's sentence, shown as `= note: PyTorch: …`, where `message` is not already that
    notes    further facts, each shown as `= note: …`
    hint     what to write instead, shown as `= help: …`
    operands  (role, shape-or-type) pairs for the label under the expression: what each operand was
    """

    kind = "internal"

    def __init__(
        self,
        message: str,
        *,
        torch: str | None = None,
        hint: str | None = None,
        notes: Sequence[str] = (),
        operands: Sequence[tuple[str, str]] = (),
        labels: Sequence[Label] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.torch = torch
        self.hint = hint
        self.notes = list(notes)
        self.operands = list(operands)
        self.labels = list(labels)
        self.frames: list[Frame] = []
        self.output = ""

    @property
    def place(self) -> Label | None:
        """The primary label, or None while the place is not known."""
        return next((label for label in self.labels if label.primary), None)

    @property
    def line(self) -> int | None:
        """Line of the error's place, from 1."""
        place = self.place
        return place.source.position(place.span.start)[0] if place else None

    @property
    def column(self) -> int | None:
        """Column of the error's place, from 1, in code points."""
        place = self.place
        return place.source.position(place.span.start)[1] if place else None

    @property
    def status(self) -> int:
        """Exit status of a command that ends with this error."""
        return 1

    def __str__(self) -> str:
        # `errors` is below `display`: session.py installs nothing, it raises errors whose text is already
        # drawn.
        return self.drawn or f"error[{self.kind}]: {self.message}"

    drawn: str | None = None


class ScriptSyntaxError(Error):
    kind = "syntax"


class ScriptNameError(Error):
    kind = "name"


class ScriptTypeError(Error):
    kind = "type"


class ShapeError(Error):
    kind = "shape"


class ScriptValueError(Error):
    kind = "value"


class ScriptIndexError(Error):
    kind = "index"


class GradError(Error):
    kind = "grad"


class LimitError(Error):
    kind = "limit"

    @property
    def status(self) -> int:
        return 3


class IoError(Error):
    kind = "io"

    def __init__(self, message: str, *, refused: bool = False, **facts: object) -> None:
        super().__init__(message, **facts)  # type: ignore[arg-type]
        self.refused = refused

    @property
    def status(self) -> int:
        return 3 if self.refused else 1


class ScriptAssertError(Error):
    kind = "assert"


class Interrupted(Error):
    kind = "interrupt"

    @property
    def status(self) -> int:
        return 130


class InternalError(Error):
    kind = "internal"

    @property
    def status(self) -> int:
        return 70


class ManyErrors(Error):
    """Several errors found before anything ran; it reads as its first one and draws all of them."""

    def __init__(self, errors: Sequence[Error]) -> None:
        first = errors[0]
        super().__init__(
            first.message, torch=first.torch, hint=first.hint, notes=first.notes, labels=first.labels
        )
        self.kind = first.kind
        self.errors = list(errors)


class Warning_:
    """A warning: drawn like an error with `warning[kind]`, without changing what happens."""

    __slots__ = ("hint", "kind", "labels", "message", "notes", "torch")

    def __init__(
        self,
        kind: str,
        message: str,
        hint: str | None = None,
        notes: tuple[str, ...] = (),
        torch: str | None = None,
        labels: tuple[Label, ...] = (),
    ) -> None:
        self.kind = kind
        self.message = message
        self.hint = hint
        self.notes = notes
        self.torch = torch
        self.labels = labels
