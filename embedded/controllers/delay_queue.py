"""Syncs that are due later: for a deadline, a back-off, a time to live."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Key = tuple[str, str]
"""(namespace, name)."""
SyncFunction = Callable[[Key], None]
EnqueueAfter = Callable[[SyncFunction, Key, float], None]
"""Schedules a sync of an object in this many seconds."""


class DelayQueue:
    """Scheduled syncs, the earliest first; of two for the same object only the earlier is kept.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, SyncFunction, Key]] = []
        self._due: dict[tuple[SyncFunction, Key], float] = {}
        self._count = 0

    def add_after(self, sync: SyncFunction, key: Key, seconds: float) -> None:
        due = self._clock() + max(0.0, seconds)
        known = self._due.get((sync, key))
        if known is not None and known <= due:
            return
        self._count += 1
        self._due[sync, key] = due
        heapq.heappush(self._heap, (due, self._count, sync, key))

    def next_delay(self) -> float | None:
        """Seconds until the next one is due; None when the queue is empty."""
        return max(0.0, self._heap[0][0] - self._clock()) if self._heap else None

    def pop_due(self) -> list[tuple[SyncFunction, Key]]:
        """Remove and return those that are due."""
        now, found = self._clock(), []
        while self._heap and self._heap[0][0] <= now:
            due, _, sync, key = heapq.heappop(self._heap)
            # An entry that was replaced by an earlier one is skipped.
            if self._due.get((sync, key)) == due:
                del self._due[sync, key]
                found.append((sync, key))
        return found
