"""Records PyTorch's random numbers on the CPU, in streams of calls of different kinds.

    python -m tests.conformance.record_random

Run it where torch is installed. Each stream is a seed and calls of `vardsl.engine.random.Generator`; of a
long result the ends and, where it must be equal to the last bit, a checksum are kept.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

PATH = Path(__file__).with_name("random.json")
REAL = {"float32": torch.float32, "float64": torch.float64}
EDGE = 12
RANGES = [(0, 5), (-3, 4), (0, 2**28 - 1), (0, 2**28), (-(2**31), 2**31), (-(2**62), 2**62)]
DTYPES = ["int64", "int32", "int16", "int8", "uint8", "bool", "float32", "float64"]


def weights(shape: list[int], dtype: str) -> torch.Tensor:
    """Deterministic weights in (0, 1]; the test makes the same."""
    count = torch.Size(shape).numel()
    return ((torch.arange(count, dtype=torch.int64) * 37 % 16 + 1).to(REAL[dtype]) / 16).reshape(shape)


def empty(shape: list[int], dtype: str) -> torch.Tensor:
    return torch.empty(shape, dtype=getattr(torch, dtype))


MAKERS: dict[str, Callable[..., torch.Tensor]] = {
    "uniform": lambda shape, dtype, low, high: empty(shape, dtype).uniform_(low, high),
    "normal": lambda shape, dtype, mean, std: empty(shape, dtype).normal_(mean, std),
    "integers": lambda low, high, shape, dtype: torch.randint(low, high, shape, dtype=getattr(torch, dtype)),
    "any_value": lambda shape, dtype: empty(shape, dtype).random_(),
    "permutation": lambda count: torch.randperm(count),
    "bernoulli": lambda shape, dtype: weights(shape, dtype).bernoulli(),
    "bernoulli_scalar": lambda p, shape, dtype: empty(shape, dtype).bernoulli_(p),
    "exponential": lambda shape, dtype, rate: empty(shape, dtype).exponential_(rate),
    "geometric": lambda shape, dtype, p: empty(shape, dtype).geometric_(p),
    "cauchy": lambda shape, dtype, median, sigma: empty(shape, dtype).cauchy_(median, sigma),
    "log_normal": lambda shape, dtype, mean, std: empty(shape, dtype).log_normal_(mean, std),
    "poisson": lambda shape, dtype, factor: torch.poisson(weights(shape, dtype) * factor),
    "multinomial": lambda shape, dtype, count, again: torch.multinomial(weights(shape, dtype), count, again),
}
ROUNDED = {"normal", "exponential", "cauchy", "log_normal"}


def calls(choose: random.Random) -> list[Any]:
    """One call of a random kind."""
    shape = choose.choice([[], [0], [1], [3], [2, 4], [15], [16], [17], [5, 7], [33000], [8, 2, 3]])
    small = choose.choice([[1], [3], [2, 4], [17]])
    dtype = choose.choice(["float32", "float64"])
    low, high = choose.choice(RANGES)
    return choose.choice(
        [
            ["uniform", shape, dtype, *choose.choice([(0.0, 1.0), (-2.0, 3.3), (5.0, 5.5)])],
            ["normal", shape, dtype, *choose.choice([(0.0, 1.0), (2.0, 0.5)])],
            ["integers", low, high, shape, "int64"],
            ["integers", 0, 100, small, choose.choice(["uint8", "int32", "float32"])],
            ["any_value", small, choose.choice(DTYPES)],
            ["permutation", choose.choice([0, 1, 2, 10, 1000])],
            ["bernoulli", shape, dtype],
            ["bernoulli_scalar", 0.3, shape, dtype],
            ["exponential", small, dtype, 1.5],
            ["geometric", small, dtype, 0.3],
            ["cauchy", small, dtype, 1.0, 2.0],
            ["log_normal", small, dtype, 1.0, 0.5],
            ["poisson", small, dtype, choose.choice([2.0, 100.0])],
            ["multinomial", choose.choice([[6], [3, 5]]), dtype, choose.choice([1, 2, 5]), False],
            ["multinomial", choose.choice([[6], [3, 5]]), dtype, choose.choice([1, 2, 9]), True],
        ]
    )


def record(call: list[Any]) -> dict[str, Any]:
    name, *arguments = call
    out = MAKERS[name](*arguments)
    flat = out.reshape(-1)
    ends = flat if flat.numel() <= 2 * EDGE else torch.cat([flat[:EDGE], flat[-EDGE:]])
    dtype = str(out.dtype).removeprefix("torch.")
    made = {"call": call, "dtype": dtype, "shape": list(out.shape), "ends": ends.tolist()}
    if name not in ROUNDED:
        made["crc"] = zlib.crc32(out.contiguous().numpy().tobytes())
    return made


def main() -> None:
    torch.set_num_threads(1)
    streams = []
    for seed in (0, 1, 42, 2**31, 2**32 - 1, 2**40 + 7, 123456789012345):
        torch.manual_seed(seed)
        choose = random.Random(seed)
        streams.append({"seed": seed, "calls": [record(calls(choose)) for _ in range(40)]})
    PATH.write_text(json.dumps(streams, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
