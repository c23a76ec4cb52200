"""What is wanted of each workload as ratios, and the reasons where one is out of reach.

A line is a workload, a ratio by its variants, and its bound; `torch eager` is the faster of one thread and all.
"""

from __future__ import annotations

TARGETS: list[tuple[str, str, float]] = [
    ("W0", "later / import numpy", 1.3),
    ("W0", "first / import numpy", 2.0),
    ("W1", "vardsl plan / torch eager", 0.15),
    ("W1", "vardsl plan / jax jit", 1.0),
    ("W1", "vardsl eager / torch eager", 0.4),
    ("W2", "vardsl plan / torch eager", 0.30),
    ("W2", "vardsl plan / jax jit", 1.0),
    ("W2", "vardsl eager / torch eager", 0.6),
    ("W3", "vardsl plan / python for", 1.1),
    ("W4", "vardsl plan / torch eager", 0.10),
    ("W4", "vardsl plan / torch.compile default", 0.5),
    ("W4", "vardsl plan / jax jit", 0.4),
    ("W4d", "vardsl plan / torch eager", 0.10),
    ("W4d", "vardsl plan / torch.compile default", 0.5),
    ("W4d", "vardsl plan / jax jit", 0.4),
    ("W4once", "vardsl plan / data and gradient, memory", 1.2),
    ("W5", "vardsl plan / torch eager", 0.35),
    ("W6", "vardsl plan / torch eager", 0.5),
    ("W6", "vardsl plan / jax jit", 1.0),
    ("W7", "vardsl plan / torch eager", 0.1),
    ("W7", "vardsl plan / torch eager, memory", 0.1),
    ("W8", "vardsl plan / torch eager", 0.05),
    ("W8hvp", "vardsl plan / torch eager", 0.1),
    ("W9", "vardsl plan / torch eager", 0.65),
    ("W9", "vardsl plan / jax jit", 1.0),
]
NOTES: dict[tuple[str, str], str] = {
    (
        "W1",
        "vardsl eager / torch eager",
    ): "Two nodes, two tensors and a gradient a turn still take some 50 calls of Python and NumPy",
    (
        "W2",
        "vardsl eager / torch eager",
    ): "The same NumPy calls with nothing around them take about 0.4 of torch's "
    "time; the rest is some 300 calls of Python, none of which stands out. Plans leave them out",
    ("W3", "vardsl plan / python for"): "The bound lies within what the machine varies between two runs",
    (
        "W4",
        "vardsl plan / jax jit",
    ): "NumPy's tanh and exp are most of it: hand-written NumPy in blocks takes longer than the plan does",
    (
        "W4d",
        "vardsl plan / jax jit",
    ): "NumPy's tanh and exp are most of it: hand-written NumPy in blocks takes longer than the plan does",
    (
        "W5",
        "vardsl plan / torch eager",
    ): "Hand-written NumPy in blocks takes as long as the plan does: some thirty "
    "passes over each block, all in the cache",
    ("W6", "vardsl plan / torch eager"): "The five matrix products alone take about half of torch's time in "
    "OpenBLAS; hand-written NumPy is at 0.58",
    ("W9", "vardsl plan / torch eager"): "One pass over the data by two threads, which wait for each other "
    "between the short calls on a block; hand-written NumPy takes no less",
    ("W9", "vardsl plan / jax jit"): "One pass over the data by two threads, which wait for each other "
    "between the short calls on a block; hand-written NumPy takes no less",
}
