"""Metrics of work queues, under the names of controller-runtime."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from controller.metrics.duration_histogram import DurationHistogram

Key = TypeVar("Key", bound=Hashable)

QUEUE_BUCKETS = (0.00001, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""Upper bounds in seconds: client-go's buckets, from 10 microseconds on."""


class WorkQueueDurations:
    """How long keys waited and were processed, for all queues of a controller: one histogram each, by queue."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.queue = DurationHistogram(
            "workqueue_queue_duration_seconds", "Time that keys waited in the queue.", "name", QUEUE_BUCKETS, names
        )
        self.work = DurationHistogram(
            "workqueue_work_duration_seconds", "Duration of reconciles.", "name", QUEUE_BUCKETS, names
        )


class WorkQueueMetrics(Generic[Key]):
    """`workqueue_adds_total`, `_retries_total`, `_queue_duration_seconds`, `_work_duration_seconds` and more.

    Args:
        name: of the queue.
        durations: of all queues that are exposed together.
    """

    def __init__(self, name: str = "", durations: WorkQueueDurations | None = None) -> None:
        self._name = name
        self._durations = durations or WorkQueueDurations()
        self._queued_at: dict[Key, float] = {}
        self._started_at: dict[Key, float] = {}
        self.adds = 0
        self.retries = 0

    def on_add(self, key: Key, now: float) -> None:
        if key not in self._queued_at:
            self.adds += 1
            self._queued_at[key] = now

    def on_get(self, key: Key, now: float) -> None:
        self._durations.queue.observe(self._name, now - self._queued_at.pop(key, now))
        self._started_at[key] = now

    def on_done(self, key: Key, now: float) -> None:
        since = self._started_at.pop(key, None)
        if since is not None:
            self._durations.work.observe(self._name, now - since)

    def oldest_wait(self, now: float) -> float:
        """Seconds that the longest-waiting key has waited."""
        return now - min(self._queued_at.values(), default=now)

    def unfinished_work(self, now: float) -> float:
        """`workqueue_unfinished_work_seconds`: the sum over the keys being processed."""
        return sum(now - since for since in self._started_at.values())

    def longest_running(self, now: float) -> float:
        """`workqueue_longest_running_processor_seconds`."""
        return now - min(self._started_at.values(), default=now)
