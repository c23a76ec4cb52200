"""A planned run gives the same bits as the run itself, falls back when things change, and never takes memory back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np
import pytest

from vardsl.engine.backward import backward
from vardsl.engine.context import no_grad, state
from vardsl.engine.value import Value
from vardsl.errors import GradError
from vardsl.ops.define import get, op
from vardsl.plan.region import Region

Statements = Callable[..., tuple[Any, ...]]


def clear(*leaves: Value) -> None:
    for v in leaves:
        v._grad = None
        if state.ctx.tracer is not None:
            state.ctx.tracer.cleared(v)


def turn(region: Region, statements: Statements, *reads: Any) -> tuple[Any, ...]:
    results = region.ask(reads) if region.mode == 1 else None
    if results is None:
        results = statements(*reads)
        if region.mode != 2:
            region.end(results)
    return results


def leaf(shape: tuple[int, ...], seed: int = 0, dtype: str = "float32") -> Value:
    return Value(np.random.default_rng(seed).standard_normal(shape).astype(dtype), True)


def data(shape: tuple[int, ...], seed: int = 1, dtype: str = "float32") -> Value:
    return Value(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def both(statements: Statements, make: Callable[[], tuple[Any, ...]], turns: int = 8) -> Region:
    """Runs planned and plain side by side and compares results and gradients bit for bit at each turn."""
    region = Region()
    planned, plain = make(), make()
    for _ in range(turns):
        with np.errstate(all="ignore"):
            a = turn(region, statements, *planned)
            b = statements(*plain)
        for x, y in zip(a, b, strict=True):
            if isinstance(x, Value):
                np.testing.assert_array_equal(x.array, y.array)
                assert (x.node is None) == (y.node is None)
                assert x.node is None or x.node.grad_fn == y.node.grad_fn
        for x, y in zip(planned, plain, strict=True):
            if isinstance(x, Value):
                np.testing.assert_array_equal(x.array, y.array)
                assert (x._grad is None) == (y._grad is None)
                if x._grad is not None:
                    np.testing.assert_array_equal(x._grad.array, y._grad.array)
                    assert x._grad.array.dtype == y._grad.array.dtype
    return region


def mean_of_squares(v: Value) -> tuple[Any, ...]:
    clear(v)
    out = op.mean(v * v)
    backward([out])
    return (out,)


def accumulate(v: Value) -> tuple[Any, ...]:
    out = op.sum(op.exp(v) * 2.0)
    backward([out])
    return (out,)


def step(x: Value, w: Value, b: Value, rate: float) -> tuple[Any, ...]:
    clear(w, b)
    loss = op.mean((op.tanh(x @ w + b) - 0.5) ** 2)
    backward([loss])
    with no_grad():
        get("sub_")(w, rate * w._grad)
        get("sub_")(b, rate * b._grad)
    return (loss,)


def test_a_step_is_planned() -> None:
    region = both(mean_of_squares, lambda: (leaf((2, 2)),))
    assert region.plan is not None, region.stopped


def test_gradients_accumulate() -> None:
    region = both(accumulate, lambda: (leaf((3,)),))
    assert region.plan is not None, region.stopped


def test_training_steps() -> None:
    region = both(step, lambda: (data((16, 8)), leaf((8, 4), 2), leaf((4,), 3), 0.1), 20)
    assert region.plan is not None, region.stopped


def test_versions_count_the_writes() -> None:
    x, w, b = data((4, 3)), leaf((3, 2), 2), leaf((2,), 3)
    region = Region()
    for k in range(10):
        turn(region, step, x, w, b, 0.1)
        assert w.version == k + 1


@pytest.mark.parametrize("shape", [(300_000,), (1_500_000,), (700, 900)])
def test_large_pointwise_regions_stream(shape: tuple[int, ...]) -> None:
    def run(x: Value) -> tuple[Any, ...]:
        clear(x)
        out = op.sum(op.tanh(x * x + 1) * op.exp(-x))
        backward([out])
        return (out,)

    region = both(run, lambda: (leaf(shape),), 5)
    assert region.plan is not None, region.stopped
    assert "streamed" in region.describe()


def test_rows_with_reductions_stream() -> None:
    def run(x: Value, t: Value) -> tuple[Any, ...]:
        clear(x)
        c = x - op.mean(x, 1, True)
        out = op.sum(c * c * t) / 7.0
        backward([out])
        return (out,)

    region = both(run, lambda: (leaf((900, 500)), data((900, 500))), 5)
    assert region.plan is not None, region.stopped


def test_a_bias_gets_the_sum_of_all_blocks() -> None:
    def run(x: Value, b: Value) -> tuple[Any, ...]:
        clear(b)
        out = op.sum(op.tanh(x + b))
        backward([out])
        return (out,)

    region = both(run, lambda: (data((2000, 300)), leaf((300,))), 5)
    assert region.plan is not None, region.stopped


def test_results_that_are_kept_stay_as_they_were() -> None:
    region = Region()
    x = leaf((300_000,))
    kept, copies = [], []

    def run(x: Value, s: Value) -> tuple[Any, ...]:
        clear(x)
        y = op.exp(x * s)
        backward([op.sum(y)])
        return (y.detach() if False else y,)

    s = data(())
    for k in range(8):
        s.array[...] = k / 10
        (y,) = turn(region, run, x, s)
        assert x._grad is not None
        kept.append((y.array, x._grad.array))
        copies.append((y.array.copy(), x._grad.array.copy()))
    for (a, b), (c, d) in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def test_another_shape_falls_back_and_is_recorded_again() -> None:
    region = Region()
    for shape in ((2, 2), (5,)):
        v = leaf(shape)
        for _ in range(8):
            turn(region, mean_of_squares, v)
        fresh = leaf(shape)
        mean_of_squares(fresh)
        assert v._grad is not None
        assert fresh._grad is not None
        np.testing.assert_array_equal(v._grad.array, fresh._grad.array)


def test_new_data_of_the_same_kind_is_taken_in() -> None:
    region = Region()
    w, b = leaf((8, 4), 2), leaf((4,), 3)
    w2, b2 = leaf((8, 4), 2), leaf((4,), 3)
    for k in range(12):
        turn(region, step, data((16, 8), k), w, b, 0.1)
        step(data((16, 8), k), w2, b2, 0.1)
    assert region.plan is not None
    np.testing.assert_array_equal(w.array, w2.array)


def test_a_changed_number_is_seen() -> None:
    region = Region()
    x, w, b = data((4, 3)), leaf((3, 2), 2), leaf((2,), 3)
    w2, b2 = leaf((3, 2), 2), leaf((2,), 3)
    for k in range(12):
        rate = 0.1 if k < 6 else 0.2
        turn(region, step, x, w, b, rate)
        step(x, w2, b2, rate)
    np.testing.assert_array_equal(w.array, w2.array)


def test_a_number_that_is_looked_at_cannot_be_planned() -> None:
    region = Region()
    v = leaf((2,))

    def run(v: Value) -> tuple[Any, ...]:
        y = op.sum(v.detach() * 2)
        return (y if y.item() > 0 else -y,)

    for _ in range(6):
        turn(region, run, v)
    assert region.stopped == "a number is looked at"


def test_hooks_are_not_planned_away() -> None:
    region = Region()
    v = leaf((2, 2))
    seen = []
    for _ in range(6):
        turn(region, mean_of_squares, v)
    v.register_hook(lambda g: seen.append(1))
    for _ in range(3):
        turn(region, mean_of_squares, v)
    assert len(seen) == 3


def test_an_unfinished_graph_is_not_planned() -> None:
    region = Region()
    v = leaf((2, 2))
    for _ in range(6):
        (y,) = turn(region, lambda v: (v * v,), v)
        clear(v)
        backward([op.sum(y)])
    assert region.plan is None
    assert region.stopped == "a graph is still needed after the run"


def test_a_graph_that_saves_nothing_is_handed_out_by_every_turn() -> None:
    region = Region()
    v = leaf((2, 2))
    for _ in range(6):
        (y,) = turn(region, lambda v: (op.sum(v - 1),), v)
    assert region.plan is not None
    for times in (1, 2):
        backward([y])
        assert v.grad.array.tolist() == [[times, times], [times, times]]
    y.register_hook(lambda g: g * 10)
    (z,) = turn(region, lambda v: (op.sum(v - 1),), v)
    assert region.turns > 1, "what is done to one turn's node is not done to another's"
    backward([z])
    assert v.grad.array.tolist() == [[3, 3], [3, 3]]
    backward([y])
    assert v.grad.array.tolist() == [[13, 13], [13, 13]]


def test_a_second_backward_is_refused_as_before() -> None:
    region = Region()
    v = leaf((2, 2))
    for _ in range(8):
        (out,) = turn(region, mean_of_squares, v)
    assert region.plan is not None
    with pytest.raises(GradError, match="second time"):
        backward([out])


def test_a_longer_training_run_with_square_weights() -> None:
    def run(x: Value, t: Value, w1: Value, w2: Value, b: Value, rate: float) -> tuple[Any, ...]:
        clear(w1, w2, b)
        h = op.tanh(x @ w1 + b)
        loss = op.cross_entropy(h @ w2, t)
        backward([loss])
        with no_grad():
            for v in (w1, w2, b):
                get("sub_")(v, rate * v._grad)
        return h, loss

    def make() -> tuple[Any, ...]:
        t = Value(np.random.default_rng(5).integers(0, 32, 32))
        return data((32, 32)), t, leaf((32, 32), 2), leaf((32, 32), 3), leaf((32,), 4), 0.5

    region = both(run, make, 30)
    assert region.plan is not None, region.stopped


def test_a_new_leaf_of_the_same_kind_takes_the_place_of_the_old() -> None:
    region = Region()
    x = data((16, 8))
    for seed in range(3):
        w, b, w2, b2 = leaf((8, 4), seed), leaf((4,), seed + 9), leaf((8, 4), seed), leaf((4,), seed + 9)
        for _ in range(6):
            turn(region, step, x, w, b, 0.1)
            step(x, w2, b2, 0.1)
        np.testing.assert_array_equal(w.array, w2.array)
        assert w.version == w2.version
    assert region.recordings == 1


def test_a_function_that_is_not_the_scripts_may_read_anything() -> None:
    region = Region()
    for _ in range(6):
        turn(region, lambda f, v: (op.exp(v.detach()),), lambda x: x, data((2,)))
    assert region.stopped is not None
    assert region.stopped.endswith("is called, which cannot be followed")


def test_a_narrower_tensor_takes_a_wider_change() -> None:
    def run(x: Value, w: Value) -> tuple[Any, ...]:
        clear(w)
        out = op.sum(w * 2.0)
        backward([out])
        with no_grad():
            get("sub_")(w, x * 0.5)
        return (out,)

    region = both(run, lambda: (data((3,), dtype="float64"), leaf((3,))))
    assert region.plan is not None, region.stopped


def test_a_changed_tensor_may_be_replaced_by_another() -> None:
    def run(m: Value, v: Value) -> tuple[Any, ...]:
        clear(v)
        out = op.sum(v * v)
        backward([out])
        with no_grad():
            get("mul_")(m, v._grad)
        return (out,)

    region = Region()
    v = leaf((3,))
    for seed in range(3):
        m, expected = data((3,), seed), data((3,), seed)
        for _ in range(5):
            turn(region, run, m, v)
            run(expected, v)
        np.testing.assert_array_equal(m.array, expected.array)
    assert region.plan is not None, region.stopped


def test_two_names_of_memory_that_is_changed_are_left_alone() -> None:
    def run(w: Value, same: Value) -> tuple[Any, ...]:
        clear(w)
        out = op.sum(w * w)
        backward([out])
        y = op.exp(same)
        with no_grad():
            get("sub_")(w, 0.1 * w._grad)
        return y, op.exp(same)

    def make() -> tuple[Any, ...]:
        w = leaf((4,))
        return w, w.data

    both(run, make)


def test_names_that_were_one_value_and_are_two() -> None:
    def run(a: Value, b: Value) -> tuple[Any, ...]:
        return (op.exp(a) + b,)

    region = Region()
    x = data((3,))
    for k in range(8):
        y = x if k < 6 else data((3,), k)
        (found,) = turn(region, run, x, y)
        np.testing.assert_array_equal(found.array, run(x, y)[0].array)


def test_a_plan_lets_go_of_what_it_was_recorded_from() -> None:
    seen: list[Any] = []

    def run(v: Value) -> tuple[Any, ...]:
        clear(v)
        y = op.exp(v)
        seen.append(ref(y.array))
        backward([op.sum(y)])
        return (v,)

    region, v = Region(), leaf((1000,))
    for _ in range(8):
        turn(region, run, v)
    assert region.plan is not None, region.stopped
    assert [r() for r in seen] == [None] * len(seen)
