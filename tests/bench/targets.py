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
NOTES: dict[tuple[str, str], str] = {}
