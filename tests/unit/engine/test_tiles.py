"""Large sums: near the exact ones, the same whatever the memory layout, and made of the same pieces as blocks are."""

from __future__ import annotations

import numpy as np
import pytest

from vardsl.engine.tall import (
    PRODUCTS,
    in_tiles,
    multiply_pieces,
    multiply_rows,
    product_in_tiles,
    product_into,
    rows_of_piece,
)
from vardsl.engine.tiles import (
    ALONE,
    LINE,
    add_neighbours,
    add_pieces,
    add_up,
    aligned,
    in_blocks,
    multiply_along,
    parts_over_rows,
    perform,
    rows_per_block,
    rows_per_part,
    rows_per_piece,
    spare_along,
    sum_into,
    sums_to_one,
)

Shape = tuple[int, ...]
TALL: list[tuple[Shape, Shape]] = [
    ((20_001, 30), (30,)), ((20_001, 30), (30, 7)), ((20_001, 30), (30, 1)), ((3001, 100), (100, 64)),
    ((250_001, 1), (1, 5)), ((6001, 90), (90, 90)),
]  # fmt: skip
SHAPES = [(300_001,), (1000, 333), (5003, 47), (60, 70, 80), (70_000, 3), (30, 9000)]


def numbers(shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def dims(shape: tuple[int, ...]) -> list[tuple[int, ...] | None]:
    n = len(shape)
    return [None, (0,), (n - 1,), tuple(range(n)), tuple(range(1, n)) or (0,)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_large_sums_are_near_the_exact_ones(shape: tuple[int, ...], dtype: str) -> None:
    x = numbers(shape, dtype) if dtype != "int32" else np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    kind = np.dtype("int64") if dtype == "int32" else x.dtype
    for axes in dims(shape):
        for keep in (False, True):
            y = np.asarray(add_up(x, axes, kind, keep))
            exact = np.asarray(np.sum(x, axes, np.float64, keepdims=keep))
            assert y.shape == exact.shape
            np.testing.assert_allclose(y, exact, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("shape", [(1000, 333), (60, 70, 80)])
def test_the_order_does_not_depend_on_how_the_array_lies(shape: tuple[int, ...]) -> None:
    x = numbers(shape)
    for axes in dims(shape):
        for other in (np.asfortranarray(x), np.repeat(x, 2, -1)[..., ::2]):
            np.testing.assert_array_equal(
                add_up(x, axes, x.dtype, False), add_up(other, axes, x.dtype, False)
            )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sum_into_memory_is_the_sum(shape: tuple[int, ...]) -> None:
    x = numbers(shape)
    for axes in dims(shape):
        y = np.asarray(add_up(x, axes, x.dtype, True))
        out = np.empty_like(y)
        perform(sum_into(out, x, axes, True))
        np.testing.assert_array_equal(out, y)


@pytest.mark.parametrize("shape", SHAPES)
def test_parts_do_not_depend_on_the_blocks(shape: tuple[int, ...]) -> None:
    x = numbers(shape)
    n = rows_per_part(shape)
    sums = []
    for rows in (n, 4 * n, 16 * n):
        parts = np.empty(-(-shape[0] // n), x.dtype)
        for i in range(0, shape[0], rows):
            block = x[i : i + rows]
            perform(add_neighbours(block, parts[i // n : -(-(i + len(block)) // n)]))
        sums.append(np.add.reduce(parts))
    assert sums[0] == sums[1] == sums[2] == add_up(x, None, x.dtype, False)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("shape", [*SHAPES[1:], (300_000, 1), (20_003, 701), (3000, 1, 90)])
def test_sums_over_rows_do_not_depend_on_the_blocks(shape: tuple[int, ...], dtype: str) -> None:
    x = (numbers(shape) * 100).astype(dtype)
    piece, tile = rows_per_piece(shape), rows_per_block(shape)
    for axes in ((0,), tuple(range(len(shape) - 1))):
        if sums_to_one(shape, axes):
            continue
        y = add_up(x, axes, x.dtype, False)
        for rows in (tile, 4 * tile, 32 * tile):
            parts = np.empty((parts_over_rows(shape), *y.shape), x.dtype)
            spare = np.empty((rows // piece + 2, *y.shape), x.dtype)
            for i in range(0, shape[0], rows):
                perform(add_pieces(x[i : i + rows], axes, i // piece, parts, spare))
            np.testing.assert_array_equal(np.add.reduce(parts, 0), y)


@pytest.mark.parametrize("shape", [(300_001, 1), (100_003, 50), (5003, 701), (60, 9001)])
def test_a_piece_is_too_small_for_more_threads(shape: tuple[int, ...]) -> None:
    x = numbers(shape)
    rows = rows_per_block(shape) * 4
    parts = np.empty((parts_over_rows(shape), shape[1]), x.dtype)
    spare = np.empty((rows // rows_per_piece(shape) + 2, shape[1]), x.dtype)
    for fn, args in add_pieces(x[:rows], (0,), 0, parts, spare):
        if fn is np.matmul:
            assert args[1].shape[-2] * args[1].shape[-1] <= ALONE
    calls = add_pieces(x[:rows], (0,), 0, parts, spare)
    assert len(calls) <= 3  # however many pieces there are


def test_sizes_are_powers_of_two() -> None:
    for shape in SHAPES:
        for n in (rows_per_part(shape), rows_per_block(shape), rows_per_piece(shape)):
            assert n & (n - 1) == 0


def test_few_rows_or_wide_ones_are_not_tiled() -> None:
    assert in_blocks((1000, 1000))
    assert not in_blocks((4, 100_000))
    assert not in_blocks((100, 20_000))
    assert not in_blocks((100, 100))
    assert not in_blocks(())


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool"])
def test_memory_starts_at_a_cache_line(dtype: str) -> None:
    for shape in ((50_000,), (300, 177), (9, 20_000)):
        a = aligned(shape, dtype)
        assert a.shape == shape and a.dtype == dtype
        assert a.ctypes.data % LINE == 0
    assert aligned((), dtype).shape == ()
    assert aligned((0, 3), dtype).shape == (0, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shapes", TALL)
def test_tall_products(shapes: tuple[tuple[int, ...], tuple[int, ...]], dtype: str) -> None:
    x, w = numbers(shapes[0], dtype), numbers(shapes[1], dtype)
    assert in_tiles(x, w)
    y = product_in_tiles(x, w)
    np.testing.assert_allclose(y, x @ w, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(y, product_in_tiles(np.asfortranarray(x), w))
    assert in_tiles(x.T, y)
    g = product_in_tiles(x.T, y)
    np.testing.assert_allclose(g, x.T @ y, rtol=1e-3, atol=1e-2)
    np.testing.assert_array_equal(g, product_in_tiles(np.ascontiguousarray(x.T), y))
    out = np.empty_like(g)
    perform(product_into(out, x.T, y))
    np.testing.assert_array_equal(out, g)


@pytest.mark.parametrize("shapes", TALL)
def test_tall_products_do_not_depend_on_the_blocks(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    x, w = numbers(shapes[0]), numbers(shapes[1])
    y, tile = product_in_tiles(x, w), rows_per_block(shapes[0])
    g, piece = product_in_tiles(x.T, y), rows_of_piece(shapes[0], y.shape, True)
    for rows in (tile, 4 * tile, 32 * tile):
        out = np.empty_like(y)
        parts = np.empty((parts_over_rows(shapes[0]), *g.shape), g.dtype)
        spare = np.empty((rows // piece + 2, *g.shape), g.dtype)
        for i in range(0, len(x), rows):
            j = min(i + rows, len(x))
            perform(multiply_rows(x[i:j], w, out[i:j]))
            perform(multiply_pieces(x[i:j], out[i:j], i // piece, parts, spare))
        np.testing.assert_array_equal(out, y)
        np.testing.assert_array_equal(np.add.reduce(parts, 0), g)


@pytest.mark.parametrize("shapes", TALL)
def test_pieces_of_products_are_too_small_for_more_threads(
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    for turned in (False, True):
        (_, columns), width = shapes[0], (shapes[1][1] if len(shapes[1]) > 1 else 1)
        n = rows_of_piece(shapes[0], shapes[1], turned)
        assert n * columns * width <= PRODUCTS
        assert min(columns, width) > 1 or n * max(columns, width) <= ALONE


def test_a_small_matrix_with_gaps_is_laid_out_first() -> None:
    x, w = numbers((20_001, 30)), numbers((30, 14))[:, ::2]
    np.testing.assert_array_equal(product_in_tiles(x, w), product_in_tiles(x, np.ascontiguousarray(w)))


def test_other_products_are_left_to_blas() -> None:
    square = numbers((512, 512))
    assert not in_tiles(square, square)
    assert not in_tiles(numbers((100_000, 40)), numbers((40, 1000)))
    assert not in_tiles(numbers((100_000, 40)), numbers((40,), "float64"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [40, 2048, 2050, 2053, 5000, 8192, 9000])
def test_products_of_rows_are_exact_and_do_not_depend_on_their_number(width: int, dtype: type) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((7, width)).astype(dtype), rng.random((7, width)).astype(dtype)
    expected = (x.astype(np.longdouble) * y).sum(1)
    for other in (y, y[0]):
        found = np.empty((7, 1), dtype)
        needed = spare_along(x.shape, found.dtype)
        perform(multiply_along(x, other, found, None if needed is None else np.empty(needed, dtype)))
        if other.ndim == 2:
            assert np.abs(found[:, 0] - expected).max() < 4 * np.finfo(dtype).eps * expected.max()
        for k in range(7):
            alone = np.empty((1, 1), dtype)
            needed = spare_along((1, width), alone.dtype)
            given = (x[k : k + 1], other[k : k + 1] if other.ndim == 2 else other)
            perform(multiply_along(*given, alone, None if needed is None else np.empty(needed, dtype)))
            assert alone[0, 0] == found[k, 0]
