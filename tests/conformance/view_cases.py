"""Programs on views, indices and changes in place, as data that PyTorch and the engine both read.

A step is (name of the result or "", operation, operand, argument...); "x" in an argument's place is the value of that
name, and `l` is a leaf of shape 3, 4 that requires a gradient. An index is written as `I(...)`.
"""

from __future__ import annotations

from typing import Any


class I:  # noqa: E742
    """An index: its parts are integers, slices, `...`, None, booleans, and lists for tensors."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __repr__(self) -> str:
        return f"I{self.parts}"


def s(start: int | None = None, stop: int | None = None, step: int | None = None) -> slice:
    return slice(start, stop, step)


X = ("x", "mul", "l", 1)
ROW = ("v", "getitem", "x", I(0))
SQUARE = ("y", "mul", "x", "x")

IN_PLACE: dict[str, list[tuple[Any, ...]]] = {
    "a row changes its matrix": [X, ROW, ("", "mul_", "v", 2), SQUARE],
    "a view of a view": [X, ROW, ("w", "getitem", "v", I(s(1))), ("", "mul_", "w", "k"), SQUARE],
    "one of several": [X, ("p", "unbind", "x"), ("a", "first", "p"), ("", "mul_", "a", 2)],
    "one of a split": [X, ("p", "split", "x", 2), ("a", "first", "p"), ("", "mul_", "a", 2)],
    "a view of one of several": [X, ("p", "split", "x", 2), ("a", "first", "p"), ("b", "getitem", "a", I(0)),
                                 ("", "mul_", "b", 2)],
    "the base of several": [X, ("p", "split", "x", 2), ("a", "first", "p"), ("", "mul_", "x", 2), ("y", "mul", "a", 2)],
    "a detached alias": [X, ("v", "detach", "x"), ("", "mul_", "v", 2), SQUARE],
    "a detached alias of a saved value": [X, SQUARE, ("v", "detach", "x"), ("", "mul_", "v", 2), ("g", "backward", "y")],
    "an element of a saved value": [X, SQUARE, ("", "setitem_", "x", I(0), 1), ("g", "backward", "y")],
    "a saved row": [X, ROW, ("y", "mul", "v", "v"), ("", "setitem_", "x", I(1), 1), ("g", "backward", "y")],
    "a saved view": [X, ("v", "view", "x", 4, 3), ("y", "mul", "v", "v"), ("", "add_", "x", 1), ("g", "backward", "y")],
    "a saved result": [X, ("y", "exp", "x"), ("", "add_", "y", 1), ("g", "backward", "y")],
    "the base, then its view": [X, ROW, ("", "mul_", "x", 2), ("y", "mul", "v", "v")],
    "base, view and element": [X, ROW, ("", "mul_", "x", 2), ("", "mul_", "v", 3), ("", "setitem_", "x", I(1), 0), SQUARE],
    "into zeros": [("x", "zeros", 3, 4), ("v", "getitem", "x", I(0)), ("w", "getitem", "x", I(1)), ("r", "getitem", "l", I(0)),
                   ("", "copy_", "v", "r"), ("y", "mul", "x", "x")],
    "row from row": [("x", "zeros", 3, 4), ("r", "getitem", "l", I(0)), ("", "setitem_", "x", I(0), "r"),
                     ("q", "getitem", "x", I(0)), ("", "setitem_", "x", I(1), "q"), ("y", "mul", "x", "x")],
    "a transposed row": [X, ("v", "t", "x"), ("", "setitem_", "v", I(0), 5), SQUARE],
    "an expanded view": [X, ("v", "expand", "x", 2, 3, 4), ("", "mul_", "v", 2)],
    "a flat slice": [X, ("v", "view", "x", 12), ("r", "getitem", "l", I(0, s(None, 2))), ("", "setitem_", "v", I(s(3, 5)), "r"),
                     SQUARE],
    "a diagonal": [X, ("v", "diagonal", "x"), ("", "mul_", "v", 3), SQUARE],
    "windows": [X, ("v", "unfold", "x", 0, 1, 1), ("", "mul_", "v", 3), SQUARE],
    "a row by a row": [X, ("v", "getitem", "x", I(s(0, 2))), ("w", "getitem", "v", I(0)), ("r", "getitem", "l", I(1)),
                       ("", "mul_", "w", "r"), ("y", "pow", "x", 3)],
    "a view by itself": [X, ("v", "getitem", "x", I(s(), s(1, 3))), ("r", "getitem", "x", I(s(), s(1, 3))),
                         ("", "mul_", "v", "r"), ("g", "backward", "x")],
    "element from element": [X, ("r", "getitem", "x", I(0, 1)), ("", "setitem_", "x", I(0, 0), "r"), SQUARE],
    "fill": [X, ("", "fill_", "x", 2), SQUARE],
    "fill a row": [X, ROW, ("r", "getitem", "l", I(0, 0)), ("", "fill_", "v", "r"), SQUARE],
    "zero": [X, ("", "zero_", "x"), SQUARE],
    "copy a row": [X, ("r", "getitem", "l", I(0)), ("", "copy_", "x", "r"), SQUARE],
    "transposed": [X, ("", "t_", "x"), SQUARE],
    "dims swapped": [X, ("", "transpose_", "x", 0, 1), SQUARE],
    "one more dim": [X, ("", "unsqueeze_", "x", 0), SQUARE],
    "squeezed": [X, ("", "squeeze_", "x"), SQUARE],
    "a view transposed": [X, ("v", "t", "x"), ("", "t_", "v"), ("y", "mul", "v", "v")],
    "a leaf": [("", "mul_", "l", 2)],
    "a view of a leaf": [("v", "getitem", "l", I(0)), ("", "mul_", "v", 2)],
    "an element of a leaf": [("", "setitem_", "l", I(0), 1)],
    "a leaf by an index": [("", "setitem_", "l", I([0]), 1)],
    "a leaf's shape": [("", "t_", "l")],
    "wrong shape": [X, ROW, ("o", "ones", 5), ("", "add_", "v", "o")],
    "too wide": [X, ("o", "ones", 2, 3, 4), ("", "add_", "x", "o")],
    "masked": [X, ("m", "gt", "x", 2), ("", "masked_fill_", "x", "m", 0), SQUARE],
    "a reused name": [X, ROW, ("x", "mul", "x", 2), ("", "add_", "v", 1), SQUARE],
    "a detached leaf": [("d", "detach", "l"), ("", "setitem_", "d", I(0), 1), ("y", "mul", "l", "l")],
    "upper triangle": [X, ("", "triu_", "x"), SQUARE],
    "running sums": [X, ("", "cumsum_", "x", 0), SQUARE],
}  # fmt: skip

INDICES = [
    I(0), I(-1), I(5), I(-4), I(0, 1), I(0, 0, 0), I(s(1)), I(s()), I(s(), s()), I(...), I(..., ...), I(s(), 0), I(None),
    I(..., None), I(True), I(False), I([0, 2]), I(s(), [0, 2]), I(0, [0, 2]), I(s(1), [0, 1]), I([0, 1], [1, 2]),
    I([[True, False, True, True]] * 3), I(None, [0, 2]), I(..., [1]), I(s(0, 3)), I(s(0, 3), s(0, 4)), I(s(0, 3), s(1, 3)),
    I(s(None, None, 2)), I(1, None), I(s(None, None, -1)), I(s(0, 1, -2)), I(s(None, None, 0)), I([True, False]),
    I([[True] * 5] * 3), I([0, 4]), I([0, -5]), I(s(), [7]), I(1.5), I([1.5]), I([]), I(s(), []), I(True, 0), I(0, True),
    I(None, True), I(s(1, 10)), I(s(-100, 2)), I(s(2, 1)), I([[0, 1], [1, 0]]), I([0, 1], [0, 1, 2]), I([True, False, True]),
    I([[0], [1]], [0, 1]), I(2, 9), I(-9, 0), I(s(), 6), I(None, 5), I(0, []), I(s(), None, [1, 1]), I([0, 0], s(1, 3)),
    I(s(), [True, False, True, True]), I([2, 0], None, [1, 1]), I("a"), I(s(0, 2), ..., [3, 0]), I([0, 1], True),
]  # fmt: skip

ASSIGNED: list[tuple[I, Any]] = [
    (I(0), 5), (I(0), [1.0, 2.0]), (I(0), [1.0, 1.0, 1.0, 1.0]), (I(s(), 0), [1.0, 2.0, 3.0]), (I(s(), 0), [1.0, 2.0]),
    (I([0, 1]), [1.0, 2.0, 3.0]), (I([0, 1]), 1), (I([0, 1]), [[1.0], [2.0]]), (I([[True, False, True, False]] * 3), 0),
    (I([[True, False, True, False]] * 3), [1.0, 2.0, 3.0]), (I(0), [[1.0, 2.0, 3.0, 4.0]]), (I(0), [[1.0] * 4] * 2),
    (I(0, 0), [1.0]), (I(0, 0), [1.0, 2.0]), (I(5), 1), (I(True), 1), (I(False), 1), (I(None), 1), (I(...), 3),
    (I(), [[1.0] * 4] * 3), (I([0, 1], [2, 3]), [1, 2]), (I([0, 0]), [[1.0] * 4] * 2), (I(s(None, None, -1)), 1),
    (I(0), "s"), (I(0), None), (I(0), True), (I([9]), 1), (I(0, True), 3), (I([]), 5), (I(0), []), (I(s(1, 3), s(0, 2)), 7.5),
    (I(s(None, None, 2), 1), [1.0, 2.0]), (I(..., [0, 3]), [[1.0, 2.0]] * 3), (I(1, [0, 2]), [8.0, 9.0]),
]  # fmt: skip
