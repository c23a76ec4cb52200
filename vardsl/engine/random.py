"""PyTorch's random numbers on the CPU: its streams from NumPy's Mersenne Twister."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
State = tuple[Array, int, float | None, int]

_TWO_PI = 2 * np.pi


class Generator:
    """One stream. What follows a call is what follows it in PyTorch: each method draws as often as there.

    The state is the twister's and the second half of the last pair of normal samples, which PyTorch keeps for the
    next call.
    """

    __slots__ = ("_bits", "_draws", "_seed", "_spare")

    def __init__(self, seed: int = 0) -> None:
        self._bits = np.random.MT19937()
        self._draws = np.random.Generator(self._bits)
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream that belongs to `seed`, as PyTorch does: from its lower 32 bits."""
        self._seed = seed
        key = np.random.RandomState(seed & 0xFFFFFFFF).get_state(legacy=False)["state"]["key"]  # type: ignore[call-overload, index]
        self._set_twister(key, 624)
        self._spare: float | None = None
        return self

    def initial_seed(self) -> int:
        return self._seed

    def get_state(self) -> State:
        """All that later numbers depend on."""
        inner = self._bits.state["state"]
        return inner["key"], inner["pos"], self._spare, self._seed

    def set_state(self, state: State) -> None:
        key, position, self._spare, self._seed = state
        self._set_twister(key, position)

    def _set_twister(self, key: Array, position: int) -> None:
        self._bits.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": position}}

    def bits32(self, count: int) -> Array:
        """The next `count` draws of 32 bits."""
        return self._draws.integers(0, 0xFFFFFFFF, count, dtype=np.uint32, endpoint=True)

    def bits64(self, count: int) -> Array:
        """The next `count` draws of 64 bits, the upper half drawn first."""
        pairs = self.bits32(2 * count).reshape(count, 2).astype(np.uint64)
        return (pairs[:, 0] << np.uint64(32)) | pairs[:, 1]

    def uniform(self, shape: tuple[int, ...], dtype: Any, low: float = 0.0, high: float = 1.0) -> Array:
        """Uniform in [low, high): 24 random bits for float32, 53 for float64."""
        count = int(np.prod(shape, dtype=np.int64))
        if np.dtype(dtype) == np.float32:
            x = (self.bits32(count) & np.uint32(0xFFFFFF)).astype(np.float32)
            x *= np.float32(2.0**-24)
            a, b = np.float32(low), np.float32(high)
        else:
            x = (self.bits64(count) & np.uint64((1 << 53) - 1)).astype(np.float64)
            x *= 2.0**-53
            a, b = np.float64(low), np.float64(high)  # type: ignore[assignment]
        if low != 0.0 or high != 1.0:
            x *= b - a
            x += a
        return x.reshape(shape)
