"""vardsl against its peers: a table of ratios, and `RESULTS.md` beside this file.

    python -m tests.bench                     everything, in about seven minutes; writes RESULTS.md
    python -m tests.bench W1 W4 conv          single workloads; nothing is written
    python -m tests.bench --peers vardsl,numpy,torch --rounds 9 W2

Workloads are W0 (start), W1 to W9, and others of the same kinds (conv, rnn, adam, attention, wide, jacobian, huber).
Peers that are not installed are left out. What each variant computes is compared with NumPy's result before it is
timed; a variant that is wrong is reported and not timed. Ratios are medians over rounds in which all variants of a
workload take turns. OPENBLAS_CORETYPE, which pins OpenBLAS to an old kind of core, is unset. Run it from the root of
the checkout, with nothing else on the machine, in an environment that has the peers (torch, jax, autograd, mygrad).
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PINNED = {k: os.environ.pop(k) for k in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if k in os.environ}
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np  # noqa: E402

from tests.bench import processes  # noqa: E402
from tests.bench.measure import Variant, in_turns, ratio, wrong  # noqa: E402
from tests.bench.others import OTHERS  # noqa: E402
from tests.bench.targets import NOTES, TARGETS  # noqa: E402
from tests.bench.workloads import WORKLOADS, Work  # noqa: E402

RESULTS = Path(__file__).with_name("RESULTS.md")
PEERS = ["vardsl", "numpy", "python", "torch", "torch.compile", "jax", "autograd", "mygrad"]
EVERY = ["W0", *WORKLOADS, "W4once", "W7", *OTHERS]
Measured = dict[tuple[str, str], float]
Lines = list[str]


def variants_of(work: Work, peers: Sequence[str]) -> list[Variant]:
    """Those whose numbers are right; what is wrong or fails is said."""
    found: list[Variant] = []
    reference = work.reference()
    for peer, maker in work.peers.items():
        if peer not in peers or not processes.available(peer):
            continue
        try:
            made = list(maker())
        except Exception as error:
            say(f"{work.name}: {peer} cannot be run: {type(error).__name__}: {str(error).splitlines()[0]}")
            continue
        for v in made:
            fault = wrong(v, reference, work.tolerance)
            if fault is None:
                found.append(v)
            else:
                say(f"{work.name}: {v.label} is wrong: {fault}")
    return found


def group(variants: Sequence[Variant], label: str) -> list[Variant]:
    """The variants that a short name such as `torch eager` stands for."""
    return [v for v in variants if v.label == label or v.label.startswith(label + ",")]


def timed(work: Work, peers: Sequence[str], rounds: int, measured: Measured) -> Lines:
    """Times a workload: rows of a table. The ratios that targets speak of go into `measured`."""
    variants = variants_of(work, peers)
    if not variants:
        return []
    in_turns(variants, rounds)
    torch = group(variants, "torch eager")
    lines = [f"### {work.name}: {work.title}", "", "| variant | time | ratio to torch eager |", "| --- | --- | --- |"]
    for v in sorted(variants, key=lambda v: v.median):
        against = f"{ratio(v, torch):.3g}" if torch else ""
        lines.append(f"| {v.label} | {duration(v.median)} | {against} |")
    if work.note:
        lines += ["", work.note]
    for v in variants:
        for other in {o.label.partition(",")[0] for o in variants}:
            if v.peer == "vardsl" and not other.startswith("vardsl"):
                measured[work.name, f"{v.label} / {other}"] = ratio(v, group(variants, other))
    return [*lines, ""]


def started(runs: int, measured: Measured) -> Lines:
    """W0: from the start of the process to the printed gradient."""
    times = processes.start(runs)
    base = times["import numpy"]
    lines = ["### W0: process start to printed gradient", "", "| start | time | ratio to `import numpy` |"]
    lines.append("| --- | --- | --- |")
    for name, row in times.items():
        r = statistics.median(a / b for a, b in zip(row, base))
        lines.append(f"| {name} | {duration(statistics.median(row))} | {r:.3g} |")
        measured["W0", f"{name} / import numpy"] = r
    return [*lines, ""]


def chained(peers: Sequence[str], measured: Measured) -> Lines:
    """W7: a chain of a million nodes, its time and memory."""
    found = processes.chain(set(peers))
    lines = ["### W7: chain of a million scalar operations, and its derivative", ""]
    lines += ["| variant | time | memory |", "| --- | --- | --- |"]
    for name, (seconds, megabytes) in found.items():
        lines.append(f"| {name} | {duration(seconds)} | {megabytes:,.0f} MB |")
        if "torch eager" in found and name != "torch eager":
            measured["W7", f"{name} / torch eager"] = seconds / found["torch eager"][0]
            measured["W7", f"{name} / torch eager, memory"] = megabytes / found["torch eager"][1]
    return [*lines, ""]


def once(peers: Sequence[str], measured: Measured) -> Lines:
    """W4once: a large elementwise step that a process does for the first time."""
    found = processes.once(set(peers))
    data = processes.ELEMENTS * 4 / 1e6
    lines = [f"### W4once: the first time, and the memory, of W4 in a process with {data:.0f} MB of data", ""]
    lines += ["| variant | first step | memory of two steps, data included |", "| --- | --- | --- |"]
    for name, (seconds, megabytes) in found.items():
        lines.append(f"| {name} | {duration(seconds)} | {data + megabytes:,.0f} MB |")
        measured["W4once", f"{name} / data and gradient, memory"] = (data + megabytes) / (2 * data)
        if "torch eager" in found and name != "torch eager":
            measured["W4once", f"{name} / torch eager"] = seconds / found["torch eager"][0]
    return [*lines, ""]


def targets(measured: Measured) -> Lines:
    """What was wanted, what was reached, and why not where not."""
    lines = ["| workload | ratio | wanted | reached | |", "| --- | --- | --- | --- | --- |"]
    behind: Lines = []
    for work, what, wanted in TARGETS:
        reached = measured.get((work, what))
        if reached is None:
            continue
        held = reached <= wanted
        lines.append(f"| {work} | {what} | ≤ {wanted:g} | {reached:.3g} | {'✓' if held else 'behind'} |")
        if not held:
            behind.append(f"- {work}, {what}: {NOTES.get((work, what), 'not explained yet')}.")
    return [*lines, "", "## What is behind, and why", "", *(behind or ["Nothing."]), ""]


def machine() -> Lines:
    """What it was measured on and with."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            cpu = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), cpu)
    names = ["numpy", *(p for p in ("torch", "jax", "autograd", "mygrad") if processes.available(p))]
    threads = {k: os.environ.get(k, "not set") for k in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    pinned = "".join(f" ({k} was {v})" for k, v in PINNED.items())
    return [
        f"- {cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        f"- Python {platform.python_version()}; " + ", ".join(f"{n} {processes.version(n)}" for n in names),
        f"- BLAS: {blas['name']} {blas['version']}; OPENBLAS_CORETYPE unset{pinned}; "
        + ", ".join(f"{k} {v}" for k, v in threads.items()),
        f"- load at the start: {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "",
    ]


def duration(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def say(text: str) -> None:
    print(text, flush=True)


def run(names: Sequence[str], peers: Sequence[str], rounds: int) -> tuple[Lines, Lines, Measured]:
    """The tables of the workloads, of the others, and the ratios."""
    measured: Measured = {}
    first: Lines = []
    second: Lines = []
    for name in names:
        began = time.perf_counter()
        try:
            if name == "W0":
                lines = started(2 * rounds + 1, measured)
            elif name == "W4once":
                lines = once(peers, measured)
            elif name == "W7":
                lines = chained(peers, measured)
            else:
                lines = timed((WORKLOADS | OTHERS)[name](), peers, rounds, measured)
        except Exception as error:  # one workload that fails must not cost the others
            say(f"{name} failed: {type(error).__name__}: {error}")
            continue
        (second if name in OTHERS else first).extend(lines)
        say("\n".join(lines))
        say(f"({name}: {time.perf_counter() - began:.0f} s)\n")
    return first, second, measured


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(EVERY))
    parser.add_argument("--peers", default=",".join(PEERS), help="separated by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write RESULTS.md also where not everything is run")
    options = parser.parse_args(arguments)
    about = machine()
    say("\n".join(about) + "\n")
    first, second, measured = run(options.workloads or EVERY, options.peers.split(","), options.rounds)
    against = targets(measured)
    say("\n".join(against))
    if options.write or not options.workloads:
        page = ["# Results", "", "Written by `python -m tests.bench`; how it measures stands in `tests/bench/__main__.py`."]
        page += ["Ratios are medians of the ratios within a round; absolute times are those of this machine.", ""]
        page += [*about, "", "## Targets", "", *against, "## Workloads", "", *first]
        page += ["## Others of the same kinds", "", *second]
        RESULTS.write_text("\n".join(page).rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
