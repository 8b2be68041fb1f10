"""Keeps full garbage collections short: what survives one is left out of the next ones.

A full collection looks at every object, and the event loop waits (docs/adr/0042). Most objects of the controller are
JSON documents, which are freed without it; the longer one is kept, the less likely it is garbage.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

_THRESHOLDS = (700, 10, 5)
"""Full collections come twice as often as by default, because each looks only at what is new."""
_MAX_GROWTH = 2
_MAX_MORE = 100_000
_COUNTED_EVERY = 8
"""Full collections between two looks at how many objects are frozen."""


class SurvivorFreezer:
    """A callback for `gc.callbacks` that freezes what has survived a full collection.

    Cycles that become garbage later are only found after everything was unfrozen again, which happens once there are
    twice as many frozen objects and 100,000 more: so garbage and memory are bounded by what is in use.
    """

    def __init__(self) -> None:
        self._limit = _limit(gc.get_freeze_count())
        self._is_whole = False
        self._uncounted = 0

    def __call__(self, phase: str, info: Mapping[str, Any]) -> None:
        if phase != "stop" or info["generation"] != 2:
            return
        gc.freeze()
        self._uncounted += 1
        if self._uncounted < _COUNTED_EVERY and not self._is_whole:
            return
        # Counting looks at every object, too, though only at its place in a list.
        self._uncounted, count = 0, gc.get_freeze_count()
        if self._is_whole:
            self._limit, self._is_whole = _limit(count), False
        elif count > self._limit:
            # The next full collection looks at everything.
            gc.unfreeze()
            self._is_whole = True


def _limit(frozen: int) -> int:
    return _MAX_GROWTH * frozen + _MAX_MORE


def begin_collections() -> None:
    """Begin garbage collection; what exists already is excluded."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    gc.callbacks.append(SurvivorFreezer())
    gc.enable()
