"""The host's thresholds of the cycle collector are back when the last session has ended its run."""

from __future__ import annotations

import gc

import pytest

import vardsl
from vardsl.engine.collect import RARE, rare_collections


def test_the_thresholds_are_put_back() -> None:
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold() == RARE
        with rare_collections():
            pass
        assert gc.get_threshold() == RARE
    assert gc.get_threshold() == before


def test_a_setting_made_meanwhile_stays() -> None:
    before = gc.get_threshold()
    with rare_collections():
        gc.set_threshold(123, 4, 5)
    assert gc.get_threshold() == (123, 4, 5)
    gc.set_threshold(*before)


def test_a_failed_run_puts_them_back() -> None:
    before = gc.get_threshold()
    with pytest.raises(vardsl.Error):
        vardsl.Session().run("print 1 / 0")
    assert gc.get_threshold() == before
