"""Workloads that need a process of their own: the start, a chain of a million nodes with its memory, and large
elementwise work that is done for the first time.
"""

from __future__ import annotations

import json
import math
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


ELEMENTS = 10_000_000
# sum(tanh(x*x + 1) * exp(-x)) of 0.5s and its gradient, and once more.
ONCE = {
    f"vardsl {name}": f"""
import vardsl
session = vardsl.Session({options})
session.run("let x = full([%d], 0.5); x.requires_grad_(true)")
before = now_and_from_here()
def step():
    session.run("zero_grad x; out = sum(tanh(x*x + 1) * exp(-x)); backward out")
def slope():
    return session.eval("x.grad[7].item()")
"""
    for name, options in (("plan", ""), ("eager", "plan=False"))
} | {
    "torch eager": """
import torch
x = torch.full([%d], 0.5).requires_grad_()
before = now_and_from_here()
def step():
    x.grad = None
    (torch.tanh(x*x + 1) * torch.exp(-x)).sum().backward()
def slope():
    return x.grad[7].item()
""",
}
_TWICE = """
began = time.perf_counter()
step()
first = time.perf_counter() - began
step()
print(json.dumps([first, peak() - before, slope()]))
"""
# On Linux the peak can be set to what is used now: making the data must not count.
_BEGIN_AGAIN = """
import json, time
def field(name):
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(name)) * 1024 / 1e6
def peak():
    return field("VmHWM")
def now_and_from_here():
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")
    return field("VmRSS")
"""
SLOPE = math.exp(-0.5) * (1 / math.cosh(1.25) ** 2 - math.tanh(1.25))


def once(peers: set[str]) -> dict[str, tuple[float, float]]:
    """Seconds of the first step, and megabytes that two steps need beside the data."""
    found: dict[str, tuple[float, float]] = {}
    for name, source in ONCE.items():
        if name.split()[0] not in peers or not available(name.split()[0]):
            continue
        program = _BEGIN_AGAIN + source % ELEMENTS + _TWICE
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        seconds, megabytes, slope = json.loads(ran.stdout)
        if abs(slope - SLOPE) > 1e-5:
            raise ValueError(f"{name}: the slope is {slope}")
        found[name] = seconds, megabytes
    return found


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
