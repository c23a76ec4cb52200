"""PyTorch's random numbers on the CPU: its streams from NumPy's Mersenne Twister."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from vardsl.engine.dtypes import Array

State = tuple[Array, int, float | None, int]

_TWO_PI = 2 * np.pi
_WIDE = 1 << 28  # from this range on, integers are taken from 64 bits
_BLOCK = 1 << 15  # samples made at a time, so that they stay in the cache
_SMALL_PERMUTATION = 0xFFFFFFFF // 20


class Generator:
    """One stream. What follows a call is what follows it in PyTorch: each method draws as often as there.

    The state is the twister's and the second half of the last pair of normal samples, which PyTorch keeps for
    the next call.
    """

    __slots__ = ("_before", "_bits", "_draws", "_seed", "_spare")

    def __init__(self, seed: int = 0) -> None:
        self._before: list[State] | None = None
        self._bits = np.random.MT19937()
        self._draws = np.random.Generator(self._bits)
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream that belongs to `seed`, as PyTorch does: from its lower 32 bits."""
        if self._before is not None:
            self._remember()
        self._seed = seed
        key = np.random.RandomState(seed & 0xFFFFFFFF).get_state(legacy=False)["state"]["key"]
        self._set_twister(key, 624)
        self._spare: float | None = None
        return self

    def seed(self) -> int:
        """Starts a fresh stream and tells its seed."""
        self.manual_seed(int.from_bytes(os.urandom(7), "big") >> 3)
        return self._seed

    def initial_seed(self) -> int:
        return self._seed

    def get_state(self) -> State:
        """All that later numbers depend on."""
        inner = self._bits.state["state"]
        return inner["key"], inner["pos"], self._spare, self._seed

    def watch(self, before: list[State] | None) -> None:
        """Appends the state to `before` when numbers are next drawn, and only then: to look costs nothing."""
        self._before = before

    def _remember(self) -> None:
        before, self._before = self._before, None
        if before is not None:
            before.append(self.get_state())

    def set_state(self, state: State) -> None:
        key, position, self._spare, self._seed = state
        self._set_twister(key, position)

    def _set_twister(self, key: Array, position: int) -> None:
        self._bits.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": position}}

    def bits32(self, count: int) -> Array:
        """The next `count` draws of 32 bits."""
        if self._before is not None:
            self._remember()
        return self._draws.integers(0, 0xFFFFFFFF, count, dtype=np.uint32, endpoint=True)

    def bits64(self, count: int) -> Array:
        """The next `count` draws of 64 bits, the upper half drawn first."""
        pairs = self.bits32(2 * count).reshape(count, 2).astype(np.uint64)
        return (pairs[:, 0] << np.uint64(32)) | pairs[:, 1]

    def uniform(self, shape: tuple[int, ...], dtype: Any, low: float = 0.0, high: float = 1.0) -> Array:
        """Uniform in [low, high): 24 random bits for float32, 53 for float64."""
        count = _count(shape)
        single = np.dtype(dtype) == np.float32
        out: Array = np.empty(count, np.float32 if single else np.float64)
        for start in range(0, count, _BLOCK):
            part: Array = out[start : start + _BLOCK]
            if single:
                bits = self.bits32(len(part))
                np.bitwise_and(bits, np.uint32(0xFFFFFF), out=bits)
                np.multiply(bits, np.float32(2.0**-24), out=part, dtype=np.float32, casting="same_kind")
            else:
                pairs = self.bits32(2 * len(part))
                np.multiply(pairs[::2] & np.uint32(0x1FFFFF), 2.0**32, out=part)
                np.add(part, pairs[1::2], out=part)
                np.multiply(part, 2.0**-53, out=part)
        if low != 0.0 or high != 1.0:
            a: Any = out.dtype.type(low)
            out = _multiply_add(out, out.dtype.type(high) - a, a)
        return out.reshape(shape)

    def normal(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        mean: float = 0.0,
        std: float = 1.0,
        *,
        contiguous: bool = True,
    ) -> Array:
        """Normal samples; from 16 on, and into contiguous memory, in blocks and without a spare."""
        count = _count(shape)
        if count >= 16 and contiguous:
            x = self._normal_blocks(count, np.dtype(dtype))
        else:
            x = self._normal_pairs(count)
        if mean != 0.0 or std != 1.0:
            x = x * x.dtype.type(std) + x.dtype.type(mean)
        return x.astype(dtype, copy=False).reshape(shape)

    def _normal_pairs(self, count: int) -> Array:
        """Box-Muller, a pair at a time and in double precision; the second waits for the next call."""
        if self._before is not None:
            self._remember()
        out = np.empty(count)
        start = 0
        if count and self._spare is not None:
            out[0], self._spare, start = self._spare, None, 1
        wanted = count - start
        pairs = (wanted + 1) // 2
        u = self.uniform((pairs, 2), np.float64)
        radius, angle = np.sqrt(-2.0 * np.log1p(-u[:, 1])), _TWO_PI * u[:, 0]
        both = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)
        out[start:] = both[:wanted]
        if wanted % 2:
            self._spare = float(both[-1])
        return out

    def _normal_blocks(self, count: int, dtype: np.dtype[Any]) -> Array:
        """Box-Muller on blocks of 16, the radius from the first eight; an uneven end is drawn anew."""
        x = self.uniform((count,), dtype)
        whole = count // 16 * 16
        _box_muller(x[:whole])
        if whole != count:
            x[-16:] = self.uniform((16,), dtype)
            _box_muller(x[-16:])
        return x

    def integers(self, low: int, high: int, shape: tuple[int, ...], dtype: Any = np.int64) -> Array:
        """Integers in [low, high), by remainder; wide ranges take 64 bits."""
        span, count = high - low, _count(shape)
        if span < _WIDE:
            x = (self.bits32(count) % np.uint32(span)).astype(np.int64)
        else:
            x = (self.bits64(count) % np.uint64(span)).astype(np.int64)
        x += low
        return x.astype(dtype, copy=False).reshape(shape)

    def any_value(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """What `random_()` without bounds gives: every integer that the dtype holds exactly, from 0."""
        dtype, count = np.dtype(dtype), _count(shape)
        if dtype == np.bool_:
            return (self.bits32(count) % np.uint32(2)).astype(dtype).reshape(shape)
        if dtype.kind == "f":
            top = 2 ** (np.finfo(dtype).nmant + 1) + 1
        else:
            top = int(np.iinfo(dtype).max) + 1
        wide = dtype.itemsize == 8
        bits = self.bits64(count) % np.uint64(top) if wide else self.bits32(count) % np.uint32(top)
        return bits.astype(dtype).reshape(shape)

    def permutation(self, count: int) -> Array:
        """0 … count-1 in random order."""
        if count < _SMALL_PERMUTATION:
            draws = self.bits32(max(count - 1, 0))
        else:
            draws = self.bits64(count - 1)
        steps = (draws % np.arange(count, 1, -1, dtype=draws.dtype)).tolist()
        order = list(range(count))
        for i, step in enumerate(steps):
            j = i + step
            order[i], order[j] = order[j], order[i]
        return np.array(order, dtype=np.int64)

    def bernoulli(self, p: Array) -> Array:
        """1 with the probability of each element, in the dtype of `p`."""
        return (self.uniform(p.shape, p.dtype) < p).astype(p.dtype)

    def bernoulli_scalar(self, p: float, shape: tuple[int, ...], dtype: Any) -> Array:
        """1 with one probability for all: what `bernoulli_(p)` and dropout draw."""
        return (self.uniform(shape, np.float64) < p).astype(dtype)

    def exponential(self, shape: tuple[int, ...], dtype: Any, rate: float = 1.0) -> Array:
        u = self.uniform(shape, np.float64)
        return (-1.0 / rate * np.log1p(-u)).astype(dtype)

    def geometric(self, shape: tuple[int, ...], dtype: Any, p: float) -> Array:
        u = self.uniform(shape, np.float64)
        x: Array = np.ceil(np.log(u) / np.log1p(-p)).astype(dtype)
        return x

    def cauchy(self, shape: tuple[int, ...], dtype: Any, median: float = 0.0, sigma: float = 1.0) -> Array:
        u = self.uniform(shape, np.float64)
        return (median + sigma * np.tan(np.pi * (u - 0.5))).astype(dtype)

    def log_normal(self, shape: tuple[int, ...], dtype: Any, mean: float = 1.0, std: float = 2.0) -> Array:
        return np.exp(self.normal(shape, np.float64, mean, std, contiguous=False)).astype(dtype)

    def poisson(self, rates: Array) -> Array:
        """Counts with the expectation of each element, in the dtype of `rates`."""
        flat = [self._poisson(rate) for rate in rates.reshape(-1).tolist()]
        return np.array(flat, dtype=np.float64).astype(rates.dtype).reshape(rates.shape)

    def _one(self) -> float:
        if self._before is not None:
            self._remember()
        high, low = int(self._bits.random_raw()), int(self._bits.random_raw())
        return float(((high & 0x1FFFFF) << 32 | low) * 2.0**-53)

    def _poisson(self, rate: float) -> int:
        if rate == 0:
            return 0
        if rate >= 10:
            return self._poisson_by_rejection(rate)
        count, product, least = 0, 1.0, math.exp(-rate)
        while (product := product * self._one()) > least:
            count += 1
        return count

    def _poisson_by_rejection(self, rate: float) -> int:
        """Transformed rejection (Hörmann 1993, algorithm PTRS), with its constants."""
        log_rate = math.log(rate)
        b = 0.931 + 2.53 * math.sqrt(rate)
        a = -0.059 + 0.02483 * b
        inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
        v_r = 0.9277 - 3.6224 / (b - 2)
        while True:
            u, v = self._one() - 0.5, self._one()
            us = 0.5 - abs(u)
            k = math.floor((2 * a / us + b) * u + rate + 0.43) if us else -1
            if us >= 0.07 and v <= v_r:
                return k
            if k < 0 or (us < 0.013 and v > us):
                continue
            left = (math.log(v) if v else -math.inf) + math.log(inverse_alpha) - math.log(a / (us * us) + b)
            if left <= -rate + k * log_rate - math.lgamma(k + 1):
                return k

    def multinomial(self, p: Array, count: int, replacement: bool = False) -> Array:
        """Indices drawn with the weights along the last dimension of a vector or matrix."""
        if not replacement or count == 1:
            race = p / self.exponential(p.shape, p.dtype)
            order = np.argsort(-race, axis=-1, kind="stable")
            return np.ascontiguousarray(order[..., :count]).astype(np.int64, copy=False)
        rows = np.atleast_2d(p)
        u = self.uniform((len(rows), count), np.float64)
        out = np.empty((len(rows), count), dtype=np.int64)
        for i, row in enumerate(rows):
            levels = np.cumsum(row, dtype=row.dtype)
            levels /= levels[-1]
            levels[-1] = 1
            out[i] = np.searchsorted(levels, u[i], side="left")
        return out.reshape(*p.shape[:-1], count)


def _count(shape: tuple[int, ...]) -> int:
    return math.prod(shape)


def _multiply_add(x: Array, scale: Any, offset: Any) -> Array:
    """x * scale + offset, rounded once, as the processor does it for PyTorch."""
    if x.dtype == np.float32:
        wide = x.astype(np.float64)  # holds the product exactly
        wide *= np.float64(scale)
        wide += np.float64(offset)
        return wide.astype(np.float32)
    product = x * scale
    # Dekker: product + error = x * scale exactly, from halves of 26 bits
    xh, sh = _upper_half(x), _upper_half(scale)
    xl, sl = x - xh, scale - sh
    error = ((xh * sh - product) + xh * sl + xl * sh) + xl * sl
    # Knuth: total + rest = product + offset exactly
    total = product + offset
    back = total - product
    rest = (product - (total - back)) + (offset - back)
    return np.asarray(total + (rest + error))


def _upper_half(x: Any) -> Any:
    shifted = x * 134217729.0  # 2**27 + 1
    return shifted - (shifted - x)


def _box_muller(x: Array) -> None:
    """Turns uniform samples, in blocks of 16, into normal ones in place."""
    blocks = x.reshape(-1, 2, 8)
    radius = np.sqrt(-2 * np.log(1 - blocks[:, 0]))
    angle = x.dtype.type(_TWO_PI) * blocks[:, 1]
    blocks[:, 0] = radius * np.cos(angle)
    blocks[:, 1] = radius * np.sin(angle)
