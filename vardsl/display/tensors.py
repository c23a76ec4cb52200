"""Text of tensors as PyTorch 2.13 prints them, and of arrays as NumPy does.

Both take plain arrays. Only the elements that will be seen are formatted: the text of ten million elements
costs what that of thirty-six does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isfinite, prod
from typing import Any

import numpy as np

from vardsl.errors import ScriptTypeError, ScriptValueError

PREFIX = "tensor("
PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "numpy_legacy": None},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": inf, "edgeitems": 3, "linewidth": 80},
}
NUMPY_STYLES = ("1.13", "1.21", "1.25")
# A double has at most 1074 digits after the point.
MAX_PRECISION = 1100


class PrintOptions:
    """How values print; a change makes a new one."""

    __slots__ = ("edgeitems", "linewidth", "numpy_legacy", "precision", "sci_mode", "threshold")

    def __init__(
        self,
        precision: int = 4,
        threshold: float = 1000,
        edgeitems: int = 3,
        linewidth: int = 80,
        sci_mode: bool | None = None,
        numpy_legacy: str | None = None,
    ) -> None:
        self.precision = precision
        self.threshold = threshold
        self.edgeitems = edgeitems
        self.linewidth = linewidth
        self.sci_mode = sci_mode
        self.numpy_legacy = numpy_legacy

    @property
    def facts(self) -> dict[str, Any]:
        """The options by name."""
        return {name: getattr(self, name) for name in PrintOptions.__slots__}

    def __eq__(self, other: object) -> bool:
        return type(other) is PrintOptions and self.facts == other.facts

    def __hash__(self) -> int:
        return hash(tuple(self.facts.values()))

    def changed(
        self, *, profile: str | None = None, sci_mode: bool | None = None, **given: int | float | str | None
    ) -> PrintOptions:
        """These options after `set_printoptions(…)`; None keeps an option, but makes `sci_mode` automatic."""
        if profile is not None and profile not in PROFILES:
            raise ScriptValueError(f"unknown profile {profile!r}", hint="it is default, short or full")
        if sci_mode is not None and not isinstance(sci_mode, bool):
            raise ScriptTypeError(f"sci_mode must be true, false or none, not {sci_mode!r}")
        facts = dict(PROFILES[profile]) if profile is not None else {}
        facts.update((name, value) for name, value in given.items() if value is not None)
        for name, value in facts.items():
            _check_option(name, value)
        return PrintOptions(**{**self.facts, **facts, "sci_mode": sci_mode})


def _check_option(name: str, value: int | float | str | None) -> None:
    if name == "numpy_legacy":
        if value is not None and value not in NUMPY_STYLES:
            styles = ", ".join(f'"{style}"' for style in NUMPY_STYLES)
            raise ScriptValueError(f"unknown numpy_legacy {value!r}", hint=f"it is one of {styles}")
        return
    kinds = (int, float) if name == "threshold" else (int,)
    if isinstance(value, bool) or not isinstance(value, kinds):
        wanted = "a number" if name == "threshold" else "an integer"
        raise ScriptTypeError(f"{name} must be {wanted}, not {value!r}")
    if value < 0 or (name == "precision" and value > MAX_PRECISION):
        reach = f"from 0 to {MAX_PRECISION}" if name == "precision" else "0 or more"
        raise ScriptValueError(f"{name} must be {reach}, not {value!r}")


DEFAULT = PrintOptions()


def format_tensor(
    array: np.ndarray[Any, Any],
    *,
    requires_grad: bool = False,
    grad_fn: str | None = None,
    default_dtype: str = "float32",
    options: PrintOptions = DEFAULT,
) -> str:
    """The text of a tensor; `grad_fn` is the node's name (`MulBackward0`) and hides `requires_grad`."""
    dtype = array.dtype.name
    suffixes = []
    if array.size == 0:
        if array.ndim != 1:
            suffixes.append(f"size={array.shape}")
        if dtype != default_dtype:
            suffixes.append(f"dtype=torch.{dtype}")
    else:
        if not options.edgeitems:
            suffixes.append(f"size={array.shape}")
        if dtype not in (default_dtype, "int64", "bool"):
            suffixes.append(f"dtype=torch.{dtype}")
    if grad_fn is not None:
        suffixes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    return _with_suffixes(PREFIX + _body(array, options), suffixes, options.linewidth)


def _with_suffixes(text: str, suffixes: Sequence[str], linewidth: int) -> str:
    """`text` closed behind its suffixes, each on a new line where it would pass the line width."""
    parts = [text]
    # PyTorch counts the bracket and one more into the last line.
    used = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if used + len(suffix) + 2 > linewidth:
            parts.append(",\n" + " " * len(PREFIX) + suffix)
            used = len(PREFIX) + len(suffix)
        else:
            parts.append(", " + suffix)
            used += len(suffix) + 2
    return "".join(parts) + ")"


def _body(array: np.ndarray[Any, Any], options: PrintOptions) -> str:
    """The bracketed elements, the inner lines indented below the opening parenthesis."""
    if array.size == 0:
        return "[]"
    edge = options.edgeitems
    cut = [False] * array.ndim
    if array.size > options.threshold and array.ndim:
        if not edge:
            return "[...]"
        cut = [n > 2 * edge for n in array.shape]
        array = _edges(array, cut, edge)
    texts, width = _FORMATTERS.get(array.dtype.kind, _plain_texts)(array.ravel().tolist(), options)
    texts = [text.rjust(width) for text in texts]
    if not array.ndim:
        return texts[0]
    per_line = max(1, (options.linewidth - len(PREFIX) - array.ndim + 1) // (width + 2))
    return _nested(texts, array.shape, cut, edge, per_line)


def _edges(array: np.ndarray[Any, Any], cut: Sequence[bool], edge: int) -> np.ndarray[Any, Any]:
    """Only the elements that a summary shows: the first and last `edge` along each cut axis."""
    shown = [
        [*range(edge), *range(size - edge, size)] if is_cut else range(size)
        for size, is_cut in zip(array.shape, cut)
    ]
    part: np.ndarray[Any, Any] = array[np.ix_(*shown)]
    return part


def _nested(texts: list[str], shape: Sequence[int], cut: Sequence[bool], edge: int, per_line: int) -> str:
    """Brackets around the elements, from the innermost axis out."""
    last = len(shape) - 1
    for axis in range(last, -1, -1):
        size, inner = shape[axis], last - axis
        if axis == last:
            comma, gap = "", " ..."
        else:
            comma, gap = "," + "\n" * inner + " " * (len(PREFIX) + axis + 1), "..."
        groups = []
        for start in range(0, prod(shape[: axis + 1]), size):
            items = texts[start : start + size]
            if cut[axis]:
                items.insert(edge, gap)
            body = _wrapped(items, axis, per_line) if axis == last else comma.join(items)
            groups.append(f"[{body}]")
        texts = groups
    return texts[0]


def _wrapped(items: list[str], axis: int, per_line: int) -> str:
    if len(items) <= per_line:
        return ", ".join(items)
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return (",\n" + " " * (len(PREFIX) + axis + 1)).join(lines)


def _plain_texts(values: list[Any], options: PrintOptions) -> tuple[list[str], int]:
    """Integers and booleans."""
    texts = [str(value) for value in values]
    return texts, max(map(len, texts))


def _float_texts(values: list[float], options: PrintOptions) -> tuple[list[str], int]:
    """Reals in the one form that suits them all, and the column width.

    Form and width come from the values that are finite and not zero: integral ones end in a point, and
    what spans more than three decades, or leaves [1e-4, 1e8], is written in powers of ten.
    """
    sizes = [abs(value) for value in values if value and isfinite(value)]
    if not sizes:
        return [_integral_text(value) for value in values], 1
    low, high = min(sizes), max(sizes)
    scientific = options.sci_mode
    if scientific is None:
        scientific = high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4
    if scientific:
        form = f"%.{options.precision}e"
    elif all(map(float.is_integer, sizes)):
        texts = [_integral_text(value) for value in values]
        return texts, _width(values, texts)
    else:
        form = f"%.{options.precision}f"
    texts = [form % value for value in values]
    return texts, _width(values, texts)


def _integral_text(value: float) -> str:
    return f"{value:.0f}." if isfinite(value) else f"{value:.0f}"


def _width(values: list[float], texts: list[str]) -> int:
    return max([len(text) for value, text in zip(values, texts) if value and isfinite(value)])


_FORMATTERS: dict[str, Callable[[list[Any], PrintOptions], tuple[list[str], int]]] = {"f": _float_texts}


def format_array(
    array: np.ndarray[Any, Any], options: PrintOptions = DEFAULT, *, nested: bool = False
) -> str:
    """The text of an array by NumPy's own defaults whatever the process has set; `nested`: inside a tuple."""
    legacy: Any = options.numpy_legacy or False
    with np.printoptions(
        precision=8,
        threshold=1000,
        edgeitems=3,
        linewidth=75,
        suppress=False,
        nanstr="nan",
        infstr="inf",
        sign="-",
        formatter=None,
        floatmode="maxprec",
        legacy=legacy,
    ):
        return repr(array) if nested else str(array)


def format_tuple(parts: Sequence[str]) -> str:
    """A tuple of values that are texts already."""
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def format_fields(name: str, fields: Sequence[str], parts: Sequence[str]) -> str:
    """A tuple with field names, as PyTorch prints the results of `max(x, dim=0)` and its kin."""
    pairs = ",\n".join(f"{field}={part}" for field, part in zip(fields, parts))
    return f"torch.return_types.{name}(\n{pairs})"
