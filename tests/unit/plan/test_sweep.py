"""Streamed regions: the same bits as the run itself with one thread and with two, whatever they are made of."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Event
from typing import Any

import numpy as np
import pytest

from tests.unit.plan.test_region import both, clear, data, leaf
from vardsl.engine import together
from vardsl.engine.backward import backward
from vardsl.engine.value import Value
from vardsl.ops.define import op
from vardsl.plan import sweep
from vardsl.plan.blocks import Blocked, cluster
from vardsl.plan.region import Region
from vardsl.plan.trace import Step

Body = Callable[..., Any]


def gradient(body: Body) -> Callable[..., tuple[Any, ...]]:
    """Statements that clear the first value's gradient, and compute the body and a backward pass."""

    def run(*values: Value) -> tuple[Any, ...]:
        leaves = [v for v in values if v._requires]
        clear(*leaves)
        out = body(*values)
        backward([out])
        return (out,)

    return run


def regions(region: Region) -> list[Blocked]:
    assert region.plan is not None, region.stopped
    return [item for item in cluster(region.plan.steps) if type(item) is Blocked]


POINTWISE: list[Body] = [
    lambda x: op.sum(op.sigmoid(x) * op.tanh(x)),
    lambda x: op.mean(op.silu(x)),
    lambda x: op.sum(op.gelu(x)),
    lambda x: op.sum(op.relu(x) * x),
    lambda x: op.sum(op.clamp(x, -0.5, 0.5) ** 2),
    lambda x: op.sum(op.where(x > 0.1, x * x, -x)),
    lambda x: op.sum(op.sqrt(op.abs(x) + 1) ** 3 / (x * x + 2)),
    lambda x: op.sum(1 / (1 + op.exp(-x)) - op.log1p(x * x)),
    lambda x: op.sum(op.relu(x)) + op.mean(op.leaky_relu(x, 0.2) * x),
    lambda x: op.sum(op.elu(x, 0.7) * op.where(x > -0.3, x, 0.25)),
    lambda x: op.sum(op.where(x > 0.3, 0.0, x * x) + op.where(x < -0.3, x * 2, 0.0)),
    lambda x: op.sum(op.clamp(x, min=-0.25) * op.clamp(x, max=0.75)),
    lambda x: op.sum(op.rsqrt(x * x + 0.5) + op.reciprocal(x * x + 1)),
]
ROWWISE: list[Body] = [
    lambda x: op.sum(op.softmax(x, 1) * x),
    lambda x: op.sum(op.log_softmax(x, 1) * x),
    lambda x: op.sum(op.layer_norm(x, (x.shape[1],)) ** 3),
    lambda x: op.sum((x - op.mean(x, 1, True)) ** 2 * op.sum(x * x, 1, True)),
    lambda x: op.sum(op.tanh(op.mean(x * x, 0))),
    lambda x: op.sum((x - op.mean(x, 0)) ** 3),
    lambda x: op.sum(op.exp(x) / op.sum(op.exp(x), 1, True) * x),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("body", POINTWISE)
def test_pointwise(body: Body, dtype: str) -> None:
    region = both(gradient(body), lambda: (leaf((1_300_021,), dtype=dtype),), 5)
    assert regions(region)


@pytest.mark.parametrize("shape", [(900, 700), (2503, 510), (30_000, 40)])
@pytest.mark.parametrize("body", ROWWISE)
def test_rowwise(body: Body, shape: tuple[int, ...]) -> None:
    region = both(gradient(body), lambda: (leaf(shape),), 5)
    assert regions(region)


def test_several_dimensions_and_broadcast_rows_and_columns() -> None:
    def body(x: Value, row: Value, column: Value) -> Value:
        return op.sum(op.tanh(x * row + column) * x)

    region = both(gradient(body), lambda: (leaf((60, 90, 50)), leaf((50,), 1), leaf((60, 1, 1), 2)), 5)
    assert regions(region)


def test_inputs_that_lie_otherwise() -> None:
    def turned(shape: tuple[int, ...]) -> Value:
        return Value(np.asfortranarray(leaf(shape).array), True)

    def body(x: Value) -> Value:
        return op.sum(op.softmax(x, 1) * op.sum(x, 1, True) + op.tanh(x))

    region = both(gradient(body), lambda: (turned((900, 700)),), 5)
    assert regions(region)


LOSSES: list[Body] = [
    lambda x, t: op.mse_loss(op.tanh(x), t),
    lambda x, t: op.mse_loss(op.tanh(x), t, reduction="sum"),
    lambda x, t: op.huber_loss(x * 2, t, delta=0.7),
    lambda x, t: op.smooth_l1_loss(x * 2, t),
    lambda x, t: op.binary_cross_entropy_with_logits(x * 2, op.sigmoid(t)),
    lambda x, t: op.l1_loss(op.sigmoid(x), t),
]


@pytest.mark.parametrize("body", LOSSES)
def test_losses_are_part_of_the_sweep(body: Body) -> None:
    region = both(gradient(body), lambda: (leaf((900, 700)), data((900, 700))), 5)
    assert len(regions(region)) == 1
    assert len(region.plan.layout.program) <= 3  # type: ignore[attr-defined]


def logistic(x: Value, y: Value, w: Value) -> tuple[Any, ...]:
    clear(w)
    loss = op.binary_cross_entropy_with_logits(x @ w, y)
    backward([loss])
    return (loss,)


def test_a_matrix_times_a_vector_and_its_gradient_are_one_sweep() -> None:
    def make() -> tuple[Any, ...]:
        x, y = data((30_011, 40), dtype="float64"), data((30_011,), 3, "float64")
        return x, Value((y.array > 0).astype("float64")), leaf((40,), 2, "float64")

    region = both(logistic, make, 6)
    found = regions(region)
    assert len(found) == 1
    names = [s.op.name for s in found[0].steps]
    assert names[0] == "mv" and names[-1] == "mv"
    assert len(found[0].folds) == 1


def test_a_tall_matrix_times_a_small_one() -> None:
    def body(x: Value, w: Value, b: Value) -> Value:
        return op.sum(op.tanh(x @ w + b) ** 2)

    def make() -> tuple[Any, ...]:
        return data((20_011, 30)), leaf((30, 8), 2), leaf((8,), 3)

    found = regions(both(gradient(body), make, 6))
    assert [s.op.name for s in found[0].steps].count("mm") == 2


@pytest.mark.parametrize("body", [POINTWISE[0], ROWWISE[0], ROWWISE[2], ROWWISE[5]])
def test_the_number_of_threads_changes_nothing(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for processors in (1, 2):
        monkeypatch.setattr(sweep, "processors", lambda n=processors: n)
        x = leaf((1500, 701))
        region = Region()
        for _ in range(5):
            values = region.ask([x]) if region.mode == 1 else None
            if values is None:
                values = gradient(body)(x)
                region.end(values)
        assert ("two threads" in str(region.plan.layout.notes)) == (processors == 2)  # type: ignore[attr-defined]
        results.append((values[0].array, x._grad.array))  # type: ignore[union-attr]
        assert regions(region)
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_the_size_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for cache in (1 << 14, 1 << 18, 1 << 26):
        monkeypatch.setattr(sweep, "CACHE", cache)
        for body in (ROWWISE[0], ROWWISE[2], ROWWISE[4]):
            both(gradient(body), lambda: (leaf((1500, 701)),), 4)


@pytest.mark.parametrize("function", ["relu", "leaky_relu", "elu", "hardsigmoid"])
def test_functions_with_corners_stream_both_ways(function: str) -> None:
    def body(x: Value) -> Value:
        return op.mean(getattr(op, function)(x * 2) ** 2)

    region = both(gradient(body), lambda: (leaf((600_021,)),), 5)
    assert len(region.plan.layout.program) == 1  # type: ignore[attr-defined]


ALONG_ROWS: dict[str, Body] = {
    "amax": lambda x: op.amax(x, -1),
    "amin": lambda x: op.amin(x, (1,), True),
    "logsumexp": lambda x: op.logsumexp(x, (1,)),
    "norm": lambda x: op.norm(x, 2, (-1,)),
    "flip": lambda x: op.flip(x, (-1,)),
    "cumsum": lambda x: op.cumsum(x, 1),
}


@pytest.mark.parametrize("function", ALONG_ROWS)
def test_what_goes_along_the_rows_streams(function: str) -> None:
    def body(x: Value) -> Value:
        return op.sum(op.tanh(ALONG_ROWS[function](x * 2)))

    region = both(gradient(body), lambda: (leaf((1500, 701)),), 5)
    assert region.plan is not None
    large = {s.op.name for s in region.plan.steps if type(s) is Step and s.outs[0].shape == (1500, 701)}
    assert large - {"expand"} <= {s.op.name for r in regions(region) for s in r.steps}


def test_blocks_have_room_for_what_steps_need_beside_their_results() -> None:
    """A choice needs memory for its mask as wide as the numbers; a sine needs none."""

    def rows(body: Body) -> int:
        region = both(gradient(body), lambda: (leaf((2_600_021,)),), 5)  # enough for two threads in each
        return int(region.describe().split("blocks of ")[1].split(",")[0])

    assert rows(lambda x: op.sum(op.leaky_relu(x, 1.5))) < rows(lambda x: op.sum(op.sin(x)))


def test_temporaries_are_as_large_as_a_block() -> None:
    region = both(gradient(POINTWISE[0]), lambda: (leaf((1_300_021,)),), 5)
    assert region.plan is not None
    made = [b for s, b in region.plan.layout.buffers.items() if s.kind == "temp"]
    large = {id(b) for b in made if b.size > 1000}
    assert len(large) == 1  # the gradient


def test_a_region_is_handed_out_in_some_dozens_of_pieces() -> None:
    region = both(gradient(POINTWISE[0]), lambda: (leaf((6_000_021,)),), 4)
    assert region.plan is not None
    (runner,) = [fn for fn, _ in region.plan.layout.program if isinstance(fn, together.Runner)]
    assert sweep.PIECES <= len(runner.runs[0]) < 2 * sweep.PIECES + 1


@pytest.mark.parametrize(("processors", "blocks"), [(1, "6 blocks of 256"), (2, "3 blocks of 512")])
def test_a_region_tells_what_it_is_made_of(
    processors: int, blocks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "processors", lambda: processors)

    def body(x: Value, b: Value) -> Value:
        return op.sum(op.tanh(x + b))

    region = both(gradient(body), lambda: (data((1500, 701)), leaf((701,), 1)), 5)
    text = region.describe()
    assert f"streamed over 1500 rows of [1500, 701], {blocks}, 1 buffer" in text
    assert "tanh" in text and "sum_to_size*" in text and "(* added up over the rows)" in text


def test_a_child_process_has_threads_of_its_own() -> None:
    region = both(gradient(POINTWISE[0]), lambda: (leaf((1_300_021,)),), 5)
    if together.processors() < 2:
        pytest.skip("one processor")
    assert region.plan is not None
    child = os.fork()
    if child == 0:
        region.plan.layout.run()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_what_fails_here_waits_for_the_other_thread() -> None:
    order: list[str] = []
    begun = Event()

    def fail() -> None:
        assert begun.wait(10)
        raise KeyboardInterrupt

    def late() -> None:
        begun.set()
        np.tanh(np.ones(500_000))
        order.append("other")

    runs = [[[(fail, ())]] * 100, [[(late, ())]] * 100]
    with pytest.raises(KeyboardInterrupt):
        together.Runner(runs, [])()
    done = len(order)
    assert 0 < done < 99  # what nobody has begun is left
    time.sleep(0.05)
    assert len(order) == done


def test_each_piece_of_work_is_done_once_by_whoever_is_free() -> None:
    done: list[int] = []
    pieces: list[together.Run] = [[(done.append, (k,))] for k in range(100)]
    finished: list[int] = []
    together.Runner([pieces, pieces], [lambda: finished.extend(done)])()
    assert sorted(done) == list(range(100)) and len(finished) == 100
