import timeit

import numpy as np
import pytest

from vardsl.display.tensors import PrintOptions, format_array, format_fields, format_tensor, format_tuple
from vardsl.errors import ScriptTypeError, ScriptValueError

SQUARE = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")


def test_rows_stand_below_the_bracket():
    assert format_tensor(SQUARE, requires_grad=True) == (
        "tensor([[1., 2.],\n        [3., 4.]], requires_grad=True)"
    )


def test_a_node_hides_requires_grad():
    assert format_tensor(np.array(7.5, "float32"), requires_grad=True, grad_fn="MeanBackward0") == (
        "tensor(7.5000, grad_fn=<MeanBackward0>)"
    )


def test_the_default_dtype_is_silent():
    wide = SQUARE[0].astype("float64")
    assert format_tensor(wide) == "tensor([1., 2.], dtype=torch.float64)"
    assert format_tensor(wide, default_dtype="float64") == "tensor([1., 2.])"
    assert format_tensor(SQUARE[0], default_dtype="float64") == "tensor([1., 2.], dtype=torch.float32)"


def test_views_and_transposes_print_in_their_own_order():
    assert format_tensor(SQUARE.T[::-1]) == "tensor([[2., 4.],\n        [1., 3.]])"


def test_a_large_tensor_costs_no_more_than_its_edges():
    large = np.zeros((20, 1000, 1000), "int8")
    assert format_tensor(large).count("0") == 27 * 8
    assert min(timeit.repeat(lambda: format_tensor(large), number=1, repeat=3)) < 0.05


@pytest.mark.parametrize(
    ("style", "text"),
    [(None, "[[1. 2.]\n [3. 4.]]"), ("1.13", "[[ 1.  2.]\n [ 3.  4.]]"), ("1.21", "[[1. 2.]\n [3. 4.]]")],
)
def test_arrays_print_as_numpy(style, text):
    assert format_array(SQUARE, PrintOptions(numpy_legacy=style)) == text


def test_arrays_ignore_what_the_process_has_set():
    with np.printoptions(precision=1, legacy="1.13", threshold=2):
        assert format_array(np.array([0.25, 0.5, 0.125])) == "[0.25  0.5   0.125]"


def test_an_array_in_a_tuple_says_what_it_is():
    assert format_array(np.array([1.0, 2.0]), nested=True) == "array([1., 2.])"


def test_tuples_and_named_results():
    assert format_tuple(["1"]) == "(1,)"
    assert format_tuple([]) == "()"
    assert format_tuple(["1", "'a'"]) == "(1, 'a')"
    assert format_fields("max", ["values", "indices"], ["tensor(3)", "tensor(2)"]) == (
        "torch.return_types.max(\nvalues=tensor(3),\nindices=tensor(2))"
    )


def test_an_option_that_is_not_given_stays_but_sci_mode():
    options = PrintOptions().changed(precision=2, sci_mode=True).changed(linewidth=40)
    assert options == PrintOptions(precision=2, linewidth=40, sci_mode=None)
    assert options.changed(profile="short", edgeitems=5) == PrintOptions(precision=2, edgeitems=5)
    assert PrintOptions(numpy_legacy="1.13").changed(profile="default") == PrintOptions()


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"profile": "long"}, ScriptValueError, "unknown profile 'long'"),
        ({"precision": -1}, ScriptValueError, "precision must be from 0 to 1100, not -1"),
        ({"precision": 10**9}, ScriptValueError, "precision must be from 0 to 1100"),
        ({"edgeitems": -1}, ScriptValueError, "edgeitems must be 0 or more"),
        ({"linewidth": 2.5}, ScriptTypeError, "linewidth must be an integer, not 2.5"),
        ({"threshold": "all"}, ScriptTypeError, "threshold must be a number, not 'all'"),
        ({"precision": True}, ScriptTypeError, "precision must be an integer, not True"),
        ({"sci_mode": 1}, ScriptTypeError, "sci_mode must be true, false or none, not 1"),
        ({"numpy_legacy": "0.9"}, ScriptValueError, "unknown numpy_legacy '0.9'"),
    ],
)
def test_options_are_checked(given, kind, words):
    with pytest.raises(kind, match=words):
        PrintOptions().changed(**given)
