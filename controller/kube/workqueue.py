"""A work queue in the manner of controller-runtime: keys once, by priority, never the same one twice at a time.

Within a priority the lanes (namespaces, for runs) take turns, so that a lane with
a thousand keys holds up no other by more than one key.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from controller.kube.workqueue_metrics import WorkQueueMetrics

Key = TypeVar("Key", bound=Hashable)

# Overtaken wishes stay in the heap until they are due, or until there are more of them than this.
_MAX_STALE_ENTRIES = 100
_BASE_DELAY, _MAX_DELAY = 0.01, 60.0


class WorkQueue(Generic[Key]):
    """Keys to be worked on. A key added while it is worked on comes again afterwards.

    Args:
        clock: seconds on a monotonic clock.
        jitter: a random number in [0, 1).
        lane: what a key takes turns by; all keys are in one lane unless told otherwise.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        jitter: Callable[[], float] = random.random,
        fairness_key: Callable[[Key], Hashable] = lambda _: None,
    ) -> None:
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._jitter = jitter
        self._fairness_key = fairness_key
        self._ready: dict[int, dict[Hashable, deque[Key]]] = {}
        """By priority, then by lane in the order of their turns."""
        self._priority: dict[Key, int] = {}
        """Of the keys that are ready: an entry among the ready that says otherwise is stale."""
        self._delayed: list[tuple[float, int, Key, int]] = []
        self._due: dict[Key, float] = {}
        self._processing: set[Key] = set()
        self._dirty: dict[Key, int] = {}
        self._failures: dict[Key, int] = {}
        self._sequence = 0
        self._changed = asyncio.Event()
        self.metrics: WorkQueueMetrics[Key] = WorkQueueMetrics()

    def __len__(self) -> int:
        """Keys that wait to be worked on now."""
        return len(self._priority)

    def now(self) -> float:
        """The queue's own clock, which its numbers are told by."""
        return self._clock()

    def add(self, key: Key, *, priority: int = 0) -> None:
        """Ask for work on a key; higher priorities first, lanes in turn, in the order of arrival within a lane."""
        if key in self._processing:
            self._dirty[key] = max(priority, self._dirty.get(key, priority))
            return
        if priority <= self._priority.get(key, priority - 1):
            return
        self.metrics.on_add(key, self._clock())
        self._priority[key] = priority
        self._ready.setdefault(priority, {}).setdefault(self._fairness_key(key), deque()).append(key)
        self._changed.set()

    def add_after(self, key: Key, seconds: float, *, priority: int = 0) -> None:
        """The same, later. Of several such wishes the earliest counts."""
        due = self._clock() + seconds
        if due >= self._due.get(key, float("inf")):
            return
        self._due[key] = due
        self._sequence += 1
        heapq.heappush(self._delayed, (due, self._sequence, key, priority))
        if len(self._delayed) > 2 * len(self._due) + _MAX_STALE_ENTRIES:
            self._delayed = [entry for entry in self._delayed if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._delayed)
        self._changed.set()

    def add_rate_limited(self, key: Key, *, priority: int = 0) -> float:
        """Again after a back-off that doubles with each failure in a row; returns the seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay: float = min(_BASE_DELAY * 2.0 ** min(failures - 1, 20), _MAX_DELAY) * (0.5 + self._jitter())
        self.metrics.retries += 1
        self.add_after(key, delay, priority=priority)
        return delay

    def forget(self, key: Key) -> None:
        """The key succeeded: its next failure is a first one."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """The next key. It is busy until `done`."""
        while True:
            self._promote_due()
            if self._priority:
                key = self._pop_next()
                self._processing.add(key)
                self.metrics.on_get(key, self._clock())
                return key
            self._changed.clear()
            wait = self._delayed[0][0] - self._clock() if self._delayed else None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: Key) -> None:
        self._processing.discard(key)
        self.metrics.on_done(key, self._clock())
        if key in self._dirty:
            self.add(key, priority=self._dirty.pop(key))

    def _pop_next(self) -> Key:
        """The key whose turn it is; there is one. Its lane goes to the end of the line."""
        while True:
            level = max(self._ready)
            lanes = self._ready[level]
            lane, waiting = next(iter(lanes.items()))
            key = waiting.popleft()
            valid = self._priority.get(key) == level
            if valid:
                del self._priority[key]
            if not waiting:
                del lanes[lane]
            elif valid:
                lanes[lane] = lanes.pop(lane)
            if not lanes:
                del self._ready[level]
            if valid:
                return key

    def _promote_due(self) -> None:
        now = self._clock()
        while self._delayed and self._delayed[0][0] <= now:
            due, _, key, priority = heapq.heappop(self._delayed)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key, priority=priority)
