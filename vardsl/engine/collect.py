"""Fewer rounds of Python's cycle collector while scripts run.

Values and nodes are freed by reference count. Yet every few hundred that are made, the collector looks
through all that are alive, which takes as long again as a long graph itself. While any session runs, rounds
are rarer; then the host's setting is back.
"""

from __future__ import annotations

import gc
from threading import Lock

RARE = (100_000, 20, 50)

_lock = Lock()
_running = 0
_before: tuple[int, int, int] | None = None


class rare_collections:
    """While entered by any thread, collections are rare; the last to leave puts the thresholds back."""

    __slots__ = ()

    def __enter__(self) -> None:
        global _running, _before
        with _lock:
            _running += 1
            if _running == 1:
                _before = gc.get_threshold()
                if gc.isenabled() and 0 < _before[0] < RARE[0]:
                    gc.set_threshold(*RARE)

    def __exit__(self, *exc: object) -> None:
        global _running, _before
        with _lock:
            _running -= 1
            if _running == 0 and _before is not None:
                if gc.get_threshold() == RARE:
                    gc.set_threshold(*_before)
                _before = None
