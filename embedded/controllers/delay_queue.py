"""What has to be looked at later: a deadline, a back-off, a time to live."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Key = tuple[str, str]
"""(namespace, name)."""
SyncFunction = Callable[[Key], None]
EnqueueAfter = Callable[[SyncFunction, Key, float], None]
"""Asks for a look at an object after so many seconds."""


class DelayQueue:
    """Reminders, the earliest first; of two for the same look only the earlier is kept.

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
        """Seconds until the next is due; None when there is none."""
        return max(0.0, self._heap[0][0] - self._clock()) if self._heap else None

    def pop_due(self) -> list[tuple[SyncFunction, Key]]:
        """Those whose time has come; they are forgotten."""
        now, found = self._clock(), []
        while self._heap and self._heap[0][0] <= now:
            due, _, look, key = heapq.heappop(self._heap)
            # A later one of the same look that an earlier one has overtaken is no more.
            if self._due.get((look, key)) == due:
                del self._due[look, key]
                found.append((look, key))
        return found
