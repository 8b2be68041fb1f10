"""Metrics of a work queue, under the names of controller-runtime.

Plain arithmetic, because importing prometheus-client takes a tenth of the start of the process; the exposition format
is produced where metrics are served.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

QUEUE_BUCKETS = (0.00001, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""Upper bounds in seconds: client-go's buckets, from 10 microseconds on."""


class Histogram:
    """A histogram of durations: counts by upper bound in seconds; the last count is above all bounds."""

    def __init__(self, bounds: Sequence[float] = QUEUE_BUCKETS) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> Iterator[tuple[str, float]]:
        """(upper bound, count of durations up to it), as the exposition format has it."""
        seen = 0
        for bound, count in zip([*(str(each) for each in self._bounds), "+Inf"], self.counts, strict=True):
            seen += count
            yield bound, seen


@dataclass
class WorkQueueMetrics(Generic[Key]):
    """`workqueue_adds_total`, `_retries_total`, `_queue_duration_seconds`, `_work_duration_seconds` and more."""

    adds: int = 0
    retries: int = 0
    queue_duration: Histogram = field(default_factory=Histogram)
    work_duration: Histogram = field(default_factory=Histogram)
    _queued_at: dict[Key, float] = field(default_factory=dict)
    _started_at: dict[Key, float] = field(default_factory=dict)

    def on_add(self, key: Key, now: float) -> None:
        if key not in self._queued_at:
            self.adds += 1
            self._queued_at[key] = now

    def on_get(self, key: Key, now: float) -> None:
        self.queue_duration.observe(now - self._queued_at.pop(key, now))
        self._started_at[key] = now

    def on_done(self, key: Key, now: float) -> None:
        since = self._started_at.pop(key, None)
        if since is not None:
            self.work_duration.observe(now - since)

    def oldest_wait(self, now: float) -> float:
        """Seconds that the longest-waiting key has waited."""
        return now - min(self._queued_at.values(), default=now)

    def unfinished_work(self, now: float) -> float:
        """`workqueue_unfinished_work_seconds`: the sum over the keys being processed."""
        return sum(now - since for since in self._started_at.values())

    def longest_running(self, now: float) -> float:
        """`workqueue_longest_running_processor_seconds`."""
        return now - min(self._started_at.values(), default=now)
