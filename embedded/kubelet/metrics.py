"""What the containers of pods use, as the API `metrics.k8s.io` reports it. It is measured when it is asked for.

CPU is a rate: between two readings of a container, or from its start to the first one. So nothing runs while nobody
asks, and a container that ended in between is not listed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from embedded.kubelet.runtime.interface import RuntimeContainer, Usage

Json = dict[str, Any]

_MIN_WINDOW = 0.5
"""Seconds: a rate over less says little, so that the one before is repeated."""
_KEPT_SECONDS = 600.0


@dataclass(frozen=True)
class _Reading:
    usage: Usage
    at: float
    rate: float
    """Cores."""
    window: float


@dataclass(frozen=True)
class MeasuredPod:
    """A pod, and those of its containers that run, each with when it was started (in seconds since 1970)."""

    pod: Json
    containers: tuple[tuple[str, RuntimeContainer, float], ...]


class MetricsReader:
    """Measures containers, and remembers the last reading of each for the rate."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._readings: dict[str, _Reading] = {}

    async def read(self, pods: Iterable[MeasuredPod]) -> list[Json]:
        """The PodMetrics of pods; of those without a container that can be measured there are none."""
        found = []
        for each in pods:
            containers, window = [], 0.0
            for name, container, started in each.containers:
                reading = await self._read(container, started)
                if reading is not None:
                    window = max(window, reading.window)
                    usage = {"cpu": f"{round(reading.rate * 1e9)}n", "memory": f"{reading.usage.memory // 1024}Ki"}
                    containers.append({"name": name, "usage": usage})
            if containers:
                found.append(self._pod_metrics(each.pod, containers, window))
        self._forget_old()
        return found

    async def _read(self, container: RuntimeContainer, started: float) -> _Reading | None:
        last, now = self._readings.get(container.id), self._clock()
        if last is not None and now - last.at < _MIN_WINDOW:
            return last
        usage = await container.usage()
        if usage is None:
            return None
        # From its start to the first reading.
        window = now - last.at if last is not None else max(self._wall_clock() - started, _MIN_WINDOW)
        before = last.usage.cpu_seconds if last is not None else 0.0
        rate = max(0.0, usage.cpu_seconds - before) / window
        self._readings[container.id] = reading = _Reading(usage, now, rate, window)
        return reading

    def _forget_old(self) -> None:
        oldest = self._clock() - _KEPT_SECONDS
        self._readings = {key: each for key, each in self._readings.items() if each.at >= oldest}

    def _pod_metrics(self, pod: Json, containers: list[Json], window: float) -> Json:
        metadata = pod["metadata"]
        now = datetime.fromtimestamp(self._wall_clock(), UTC)
        return {
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "labels": metadata.get("labels") or {},
                "creationTimestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            },
            "timestamp": now.isoformat().replace("+00:00", "Z"),
            "window": f"{window:.3f}s",
            "containers": containers,
        }
