"""How calls are bound to parameters, and what is said where they do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vardsl.engine.dtypes import FLOAT64
from vardsl.engine.signature import REQUIRED, Signature
from vardsl.engine.value import Value
from vardsl.errors import Error
from vardsl.ops.define import Bool, Dtype, Index, Int, Ints, Number, Sizes, Str, Tensor, Tensors


def example(input: Tensor, dim: Ints | None = None, keepdim: Bool = False, *, dtype: Dtype | None = None) -> None: ...


def several(tensors: Tensors, dim: Int = 0) -> None: ...


def sized(input: Tensor, size: Sizes) -> None: ...


def mixed(input: Tensor, index: Index, alpha: Number = 1, mode: Str = "mean") -> None: ...


x = Value(np.ones((2, 3)))


def bind(fn: Any, *args: Any, **keywords: Any) -> list[Any]:
    return Signature.of(fn).bind("f", args, keywords)


@pytest.mark.parametrize(
    ("bound", "wanted"),
    [
        (bind(example, x)[1:], [None, False, None]),
        (bind(example, x, 1)[1], (1,)),
        (bind(example, x, (0, 1), True)[1:3], [(0, 1), True]),
        (bind(example, x, axis=1, keepdims=True)[1:3], [(1,), True]),
        (bind(example, x, dtype=FLOAT64)[3], FLOAT64.np),
        (bind(example, x, Value(np.array([0, 1])))[1], (0, 1)),
        (bind(example, x, [Value(np.array(1))])[1], (1,)),
        (bind(example, x, [np.int64(1), 0])[1], (1, 0)),
        (bind(example, x, keepdim=Value(np.array(True)))[2], True),
        (bind(sized, x, 3, 2)[1], (3, 2)),
        (bind(sized, x, (3, 2))[1], (3, 2)),
        (bind(sized, x, [3, 2])[1], (3, 2)),
        (bind(several, (x, x), Value(np.array(1)))[1], 1),
        (bind(mixed, x, x, Value(np.array(2.5)))[2], 2.5),
        (bind(mixed, x, x, np.float64(0.5), "sum")[2:], [0.5, "sum"]),
    ],
)
def test_what_fits(bound: Any, wanted: Any) -> None:
    assert bound == wanted


@pytest.mark.parametrize(
    ("fn", "args", "keywords", "sentence"),
    [
        (example, (), {}, "missing 1 required positional arguments"),
        (example, (x, 1, False, 3), {}, "takes 3 positional arguments but 4 were given"),
        (example, (x,), {"kepdim": True}, "unexpected keyword argument 'kepdim'"),
        (example, (x,), {"input": x}, "multiple values for argument 'input'"),
        (example, ("a",), {}, r"argument 'input' \(position 1\) must be Tensor, not str"),
        (example, (x, "a"), {}, "must be tuple of ints, not str"),
        (example, (x, (0, "a")), {}, "found element of type str at pos 1"),
        (example, (x, 1, 2), {}, "must be bool, not int"),
        (example, (x,), {"dtype": 3}, "argument 'dtype' must be torch.dtype, not int"),
        (example, (x,), {"dtype": "float64"}, "without quotes"),
        (several, (x,), {}, "must be tuple of Tensors"),
        (several, ((x, 1),), {}, "element 1"),
        (several, ((x, x), 1.5), {}, "must be int, not float"),
        (mixed, (x, x, "a"), {}, "must be Number, not str"),
        (mixed, (x, x, 1, 2), {}, "must be str, not int"),
        (mixed, (x, None), {}, "must be Tensor, not NoneType"),
    ],
)
def test_what_does_not_fit(fn: Any, args: tuple[Any, ...], keywords: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Error, match=sentence):
        bind(fn, *args, **keywords)


def test_its_text_and_its_defaults() -> None:
    signature = Signature.of(example)
    assert str(signature) == "input, dim=none, keepdim=false, *, dtype=none"
    assert signature.parameters[0].default is REQUIRED
    assert signature.keyword_only == ("dtype",)
    assert [p.takes_sequence for p in signature.parameters] == [False, True, False, False]
