"""The metrics of this process, in Prometheus' text form.

prometheus-client is imported on first use: its import would lengthen the start of the process. Values that other parts
keep themselves, such as the depth of a work queue, are read when metrics are requested, so they can't drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

    from controller.metrics.duration_histogram import DurationHistogram

REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})

Value = TypeVar("Value")


@dataclass(frozen=True)
class _External(Generic[Value]):
    """A metric whose values another part keeps: `read` returns them by the value of the label."""

    name: str
    description: str
    label: str
    read: Callable[[], Mapping[str, Value]]


class ApiMetrics:
    """Counts requests and streams of the API, and exposes the values of other parts beside them."""

    def __init__(self) -> None:
        self._gauges: list[_External[float]] = []
        self._counters: list[_External[float]] = []
        self._histograms: list[DurationHistogram] = []

    def add_gauge(self, name: str, description: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Exposes a gauge that is read on request."""
        self._gauges.append(_External(name, description, label, read))

    def add_counter(self, name: str, description: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Exposes a counter that is read on request."""
        self._counters.append(_External(name, description, label, read))

    def add_histogram(self, histogram: DurationHistogram) -> None:
        """Exposes a histogram of another part."""
        self._histograms.append(histogram)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one answered request.

        `route` is the template, never the path: names of runs must not become series.
        """
        method = method if method in METHODS else "OTHER"
        self._instruments.requests.labels(method, route, str(status)).inc()
        self._instruments.durations.labels(method, route).observe(seconds)

    def change_subscribers(self, stream: str, change: int) -> None:
        """Counts a reader of a live stream (`runs`, `logs`, `exec`) that came (+1) or went (-1)."""
        self._instruments.subscribers.labels(stream).inc(change)

    def add_sent_bytes(self, kind: str, size: int) -> None:
        """Counts bytes of `kind` (`logs`, `exec`) that were sent to readers."""
        self._instruments.sent_bytes.labels(kind).inc(size)

    def text(self) -> bytes:
        """The exposition."""
        from prometheus_client import generate_latest

        return generate_latest(self._instruments.registry)

    def collect(self) -> Iterator[Metric]:
        """The metrics that other parts keep, as prometheus-client's registry requests them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for gauge in self._gauges:
            gauges = GaugeMetricFamily(gauge.name, gauge.description, labels=[gauge.label])
            for value, number in gauge.read().items():
                gauges.add_metric([value], number)
            yield gauges
        for counter in self._counters:
            counters = CounterMetricFamily(counter.name, counter.description, labels=[counter.label])
            for value, number in counter.read().items():
                counters.add_metric([value], number)
            yield counters
        for histogram in self._histograms:
            yield from histogram.collect()

    @cached_property
    def _instruments(self) -> _Instruments:
        # A registry of our own: nothing else in the process adds to it.
        from prometheus_client import CollectorRegistry

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return _Instruments(registry)


class _Instruments:
    """The metrics that the API itself counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        self.requests = Counter(
            "c8s_api_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.durations = Histogram(
            "c8s_api_request_duration_seconds",
            "From a request's head to the end of its response.",
            ["method", "route"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.subscribers = Gauge("c8s_api_subscribers", "Readers of live streams.", ["stream"], registry=registry)
        self.sent_bytes = Counter("c8s_api_sent_bytes", "Bytes sent to readers.", ["kind"], registry=registry)
