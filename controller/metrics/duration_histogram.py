"""A histogram of durations by prometheus-client, whose import does not delay the process.

Importing prometheus-client takes a tenth of the start. What is observed before it is needed waits in a list, and is
counted when metrics are requested, or when the list has become long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Histogram
    from prometheus_client.core import Metric

MAX_PENDING = 1000
"""Observations that wait to be counted, at the most."""


class DurationHistogram:
    """Durations in seconds, by the value of one label. May be observed from any thread.

    Args:
        buckets: upper bounds in seconds.
        values: the values of the label that are exposed before anything is observed.
    """

    def __init__(
        self, name: str, description: str, label: str, buckets: Sequence[float], values: Sequence[str] = ()
    ) -> None:
        self._name = name
        self._description = description
        self._label = label
        self._buckets = buckets
        self._values = values
        self._pending: deque[tuple[str, float]] = deque()
        self._histogram: Histogram | None = None

    def observe(self, value: str, seconds: float) -> None:
        """Add a duration under the value of the label."""
        self._pending.append((value, seconds))
        if len(self._pending) >= MAX_PENDING:
            self._count_pending()

    def collect(self) -> Iterable[Metric]:
        """The metric, as a registry of prometheus-client requests it."""
        return self._count_pending().collect()

    def _count_pending(self) -> Histogram:
        if self._histogram is None:
            self._histogram = self._create()
        while self._pending:
            value, seconds = self._pending.popleft()
            self._histogram.labels(value).observe(seconds)
        return self._histogram

    def _create(self) -> Histogram:
        from prometheus_client import Histogram

        created = Histogram(self._name, self._description, [self._label], buckets=self._buckets, registry=None)
        for value in self._values:
            created.labels(value)
        return created
