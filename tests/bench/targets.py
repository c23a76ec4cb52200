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
_LOCK = (
    "A second thread is worth 1.4 to 1.8 to NumPy here, and 1.7 to torch, since both threads need "
    "Python's lock between two calls; where the machine gives a second thread nothing, the ratio is half of this. "
)
_GEMM = "The five matrix products alone, in NumPy's OpenBLAS, are 0.95 of the plan"
NOTES: dict[tuple[str, str], str] = {
    ("W1", "vardsl eager / torch eager"): (
        "A node, a tensor and a gradient a turn still take some 20 calls of Python and NumPy"
    ),
    ("W2", "vardsl eager / torch eager"): (
        "The same NumPy calls take about 0.4 of torch's time, also with the barest of tapes around them. The rest are "
        "some 50 calls of Python, two objects for each expression, and the way back; between NumPy's calls their code "
        "is met cold, and takes a third more time than in a loop of its own. Plans leave them out"
    ),
    ("W3", "vardsl plan / python for"): "The bound lies within what the machine varies between two runs",
    ("W4", "vardsl plan / torch eager"): _LOCK + "Hand-written NumPy on two threads takes longer than the plan",
    ("W4", "vardsl plan / jax jit"): _LOCK + "Hand-written NumPy on two threads takes longer than the plan",
    ("W4d", "vardsl plan / torch eager"): _LOCK + "Hand-written NumPy takes longer than the plan",
    ("W4d", "vardsl plan / torch.compile default"): _LOCK + "Hand-written NumPy takes longer than the plan",
    ("W4d", "vardsl plan / jax jit"): _LOCK + "Hand-written NumPy takes longer than the plan",
    ("W5", "vardsl plan / torch eager"): (
        _LOCK + "Some 27 passes over each block; hand-written NumPy makes 25, and on two threads takes 1.2 times as long as the plan"
    ),
    ("W6", "vardsl plan / torch eager"): _GEMM,
    ("W6", "vardsl plan / jax jit"): _GEMM,
    ("W9", "vardsl plan / torch eager"): _LOCK + "One pass over the data; hand-written NumPy takes longer",
    ("W9", "vardsl plan / jax jit"): _LOCK + "One pass over the data; hand-written NumPy takes longer",
}
