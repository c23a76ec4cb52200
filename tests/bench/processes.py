"""Workloads that need a process of their own: the start, and a chain of a million nodes with its memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib import import_module, metadata

from tests.bench import startup

LENGTH = 1_000_000
# The derivative of x -> 1.0001 x + 0.001, a million times.
_BEGIN = """
import json, resource, time
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
"""
_END = """
print(json.dumps([time.perf_counter() - began, peak() - before, slope]))
"""
CHAIN = {
    "vardsl plan": """
import vardsl
session = vardsl.Session()
session.run("let v = var 0.5 float64 grad")
before, began = peak(), time.perf_counter()
session.run("x = v; for i in range(%d) { x = x * 0.999999 + 0.001 }; backward x")
slope = session.eval("v.grad.item()")
""",
    "vardsl eager": """
import vardsl
session = vardsl.Session(plan=False)
session.run("let v = var 0.5 float64 grad")
before, began = peak(), time.perf_counter()
session.run("x = v; for i in range(%d) { x = x * 0.999999 + 0.001 }; backward x")
slope = session.eval("v.grad.item()")
""",
    "torch eager": """
import torch
v = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
before, began = peak(), time.perf_counter()
x = v
for _ in range(%d):
    x = x * 0.999999 + 0.001
x.backward()
slope = v.grad.item()
""",
}


def chain(peers: set[str]) -> dict[str, tuple[float, float]]:
    """Seconds and megabytes (beyond what the imports need) of each way."""
    found: dict[str, tuple[float, float]] = {}
    for name, source in CHAIN.items():
        if name.split()[0] not in peers or not available(name.split()[0]):
            continue
        ran = subprocess.run(
            [sys.executable, "-c", _BEGIN + source % LENGTH + _END], capture_output=True, text=True, check=True
        )
        seconds, megabytes, slope = json.loads(ran.stdout)
        if abs(slope / 0.999999**LENGTH - 1) > 1e-6:
            raise ValueError(f"{name}: the derivative of the chain is {slope}")
        found[name] = seconds, megabytes
    return found


def start(runs: int) -> dict[str, list[float]]:
    """Seconds of starts in turns, the bare `import numpy` among them."""
    with tempfile.TemporaryDirectory() as folder:
        return startup.measure(startup.starts(None, folder), runs)


def available(peer: str) -> bool:
    """Whether a peer is installed."""
    name = {"torch.compile": "torch", "python": "sys"}.get(peer, peer)
    try:
        import_module(name)
    except ImportError:
        return False
    return True


def version(peer: str) -> str:
    """The version of a peer."""
    return metadata.version(peer)
