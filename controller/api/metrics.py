"""What the API counts, in Prometheus' text form.

Counting is plain arithmetic; prometheus-client is imported when someone first asks, since its import costs a tenth of
the process's start. Runs by phase are read from the cache at that moment, so they can't drift.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.kube import Histogram

if TYPE_CHECKING:
    from prometheus_client.core import Metric

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})


@dataclass(eq=False)
class ApiMetrics:
    """Counters of this process. What others count is read when asked for: name -> (what it is, label name, values)."""

    gauges: dict[str, tuple[str, str, Callable[[], Mapping[str, float]]]] = field(default_factory=dict)
    counters: dict[str, tuple[str, str, Callable[[], Mapping[str, float]]]] = field(default_factory=dict)
    histograms: dict[str, tuple[str, str, Callable[[], Mapping[str, Histogram]]]] = field(default_factory=dict)
    _requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    _times: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    _subscribers: Counter[str] = field(default_factory=Counter)
    _bytes: Counter[str] = field(default_factory=Counter)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request has been answered.

        `route` is the template, never the path: names of runs must not make series.
        """
        method = method if method in METHODS else "OTHER"
        self._requests[(method, route, status)] += 1
        self._times.setdefault((method, route), Histogram(BOUNDS)).observe(seconds)

    def change_subscribers(self, kind: str, change: int) -> None:
        """A reader of live `kind` (`runs`, `logs`) came (+1) or went (-1)."""
        self._subscribers[kind] += change

    def add_sent_bytes(self, kind: str, size: int) -> None:
        """So many bytes of `kind` were given to readers."""
        self._bytes[kind] += size

    def collect(self) -> "Iterator[Metric]":
        """The families, as prometheus-client's registry asks for them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        labels = ["method", "route", "status"]
        requests = CounterMetricFamily("c8s_api_requests", "Requests answered.", labels=labels)
        for (method, route, status), count in self._requests.items():
            requests.add_metric([method, route, str(status)], count)
        yield requests
        durations = HistogramMetricFamily(
            "c8s_api_request_duration_seconds",
            "From a request's head to the end of its answer.",
            labels=labels[:2],
        )
        for key, times in self._times.items():
            durations.add_metric(list(key), list(times.cumulative()), times.total)
        yield durations
        subscribers = GaugeMetricFamily("c8s_api_subscribers", "Readers of live streams.", labels=["stream"])
        for kind, count in self._subscribers.items():
            subscribers.add_metric([kind], count)
        yield subscribers
        sent = CounterMetricFamily("c8s_api_sent_bytes", "Bytes given to readers.", labels=["kind"])
        for kind, size in self._bytes.items():
            sent.add_metric([kind], size)
        yield sent
        for name, (what, label, values) in self.gauges.items():
            gauge = GaugeMetricFamily(name, what, labels=[label])
            for value, number in values().items():
                gauge.add_metric([value], number)
            yield gauge
        for name, (what, label, values) in self.counters.items():
            counter = CounterMetricFamily(name, what, labels=[label])
            for value, number in values().items():
                counter.add_metric([value], number)
            yield counter
        for name, (what, label, spreads) in self.histograms.items():
            histogram = HistogramMetricFamily(name, what, labels=[label])
            for value, spread in spreads().items():
                histogram.add_metric([value], list(spread.cumulative()), spread.total)
            yield histogram

    def text(self) -> bytes:
        """The exposition, from a registry of our own: nothing else in the process adds to it."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)
