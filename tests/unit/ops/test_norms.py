"""Norms, attention and rows that are added up: planned as statement by statement, and in PyTorch's order."""

from __future__ import annotations

import re

import numpy as np
import pytest

import vardsl
from vardsl.ops.indexing import add_rows

SETUP = """
    let x = var randn(6, 8, 5, 4) grad
    let w = var rand(8) grad
    let b = var randn(8) grad
    let q = var randn(2, 3, 7, 4) grad
    let k = var randn(2, 3, 7, 4) grad
    let v = var randn(2, 3, 7, 4) grad
    let E = var randn(9, 40) grad
    let classes = [1, 3, 7, 0, 2, 2]
    let ids = [[1, 3, 3], [8, 0, 3], [3, 3, 1]]
"""
LOSSES = {
    "batch_norm": "mean(batch_norm(x, none, none, w, b, true) ** 3)",
    "batch_norm of vectors": "mean(batch_norm(x[:, :, 0, 0], none, none, w, none, true) ** 3)",
    "batch_norm with running statistics": "mean(batch_norm(x, running, spread, w, b, false) ** 3)",
    "batch_norm that moves statistics": "mean(batch_norm(x, running, spread, w, b, true) ** 3)",
    "batch_norm before an index": "cross_entropy(batch_norm(x, running, spread, w, b, true)[:, :, 0, 0], classes)",
    "group_norm": "mean(group_norm(x, 4, w, b) ** 3)",
    "instance_norm": "mean(instance_norm(x) ** 3)",
    "attention": "mean(scaled_dot_product_attention(q, k, v) ** 3)",
    "causal attention": "mean(scaled_dot_product_attention(q, k, v, is_causal=true) ** 3)",
    "embedding": "mean(embedding(ids, E) ** 3)",
    "rows by index": "mean(E[ids] ** 3)",
}
LEAVES = re.compile(r"\b[xwbqkvE]\b")


def trained(loss: str, *, plan: bool) -> tuple[list[bytes], int]:
    s = vardsl.Session(seed=0, plan=plan)
    s.run(SETUP.replace("\n    ", "\n"))
    s.run("let running = zeros(8); let spread = ones(8)")
    names = sorted(set(LEAVES.findall(loss)))
    update = "; ".join(f"{n} -= 0.1 * {n}.grad" for n in names)
    s.run(f"for i in range(9) {{ zero_grad {', '.join(names)}; l = {loss}; backward l; no_grad {{ {update} }} }}")
    return [s.eval(n).array.tobytes() for n in (*names, "running", "spread")], sum(r.turns for r in s.regions.values())


@pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
def test_the_same_bits_with_plans_and_without(loss: str) -> None:
    found, turns = trained(loss, plan=True)
    assert turns > 0
    assert found == trained(loss, plan=False)[0]


@pytest.mark.parametrize("most", [1, 3, 400])
def test_rows_are_added_in_their_order(most: int) -> None:
    r = np.random.default_rng(0)
    places = r.integers(0, 600 // most, 600) if most > 1 else r.permutation(600)
    rows = r.standard_normal((600, 40)).astype(np.float32)
    one_by_one = np.zeros((600, 40), np.float32)
    np.add.at(one_by_one, places, rows)
    made = np.zeros((600, 40), np.float32)
    add_rows(made, places, rows)
    assert made.tobytes() == one_by_one.tobytes()
