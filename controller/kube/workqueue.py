"""A work queue like that of controller-runtime: deduplicated keys, by priority, each processed by one worker at a time.

Within a priority, keys are taken round-robin by their fairness key (for runs, the namespace), so that a namespace
with a thousand keys delays another one by one key only.
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

# Superseded entries stay in the heap until they are due, or until there are more of them than this.
_MAX_STALE_ENTRIES = 100
_BASE_DELAY, _MAX_DELAY = 0.01, 60.0


class WorkQueue(Generic[Key]):
    """Keys to process. A key that is added while it is processed is processed again afterwards.

    Args:
        clock: seconds on a monotonic clock.
        jitter: a random number in [0, 1).
        fairness_key: keys are taken round-robin by it; by default all keys have the same one.
        metrics: counts what the queue does; by default nothing else reads them.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        jitter: Callable[[], float] = random.random,
        fairness_key: Callable[[Key], Hashable] = lambda _: None,
        metrics: WorkQueueMetrics[Key] | None = None,
    ) -> None:
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._jitter = jitter
        self._fairness_key = fairness_key
        self._ready: dict[int, dict[Hashable, deque[Key]]] = {}
        """By priority, then by fairness key in round-robin order."""
        self._priority: dict[Key, int] = {}
        """Priority of the keys that are ready; an entry in `_ready` with another one is stale."""
        self._delayed: list[tuple[float, int, Key, int]] = []
        self._due: dict[Key, float] = {}
        self._processing: set[Key] = set()
        self._dirty: dict[Key, int] = {}
        self._failures: dict[Key, int] = {}
        self._sequence = 0
        self._changed = asyncio.Event()
        self.metrics: WorkQueueMetrics[Key] = metrics or WorkQueueMetrics()

    def __len__(self) -> int:
        """Keys that are ready to be processed."""
        return len(self._priority)

    def now(self) -> float:
        """The time on the queue's clock, which its metrics use."""
        return self._clock()

    def add(self, key: Key, *, priority: int = 0) -> None:
        """Add a key. Higher priorities come first, then round-robin by fairness key, then first in, first out."""
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
        """Add a key after a delay. Of several delays of one key, the earliest counts."""
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
        """Add a key after a back-off that doubles with each consecutive failure; returns the delay in seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay: float = min(_BASE_DELAY * 2.0 ** min(failures - 1, 20), _MAX_DELAY) * (0.5 + self._jitter())
        self.metrics.retries += 1
        self.add_after(key, delay, priority=priority)
        return delay

    def forget(self, key: Key) -> None:
        """Reset the back-off of a key, after success."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """The next key, once there is one. It is being processed until `done`."""
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
        """Remove the next key; there must be one. Its fairness key goes to the end of the round."""
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
