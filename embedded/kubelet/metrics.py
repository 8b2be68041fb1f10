"""What the containers of pods and the node use, as the API `metrics.k8s.io` reports it. It is measured on request.

CPU is a rate: between two readings of a container, or from its start to the first one. So nothing runs while nobody
asks, and a container that ended in between is not listed. The node is the whole machine, as elsewhere; where that is
not known, which is everywhere but on Linux, it is its pods together.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embedded.kubelet.runtime.interface import RuntimeContainer, Usage

Json = dict[str, Any]

_MIN_WINDOW = 0.5
"""Seconds: a rate over less says little, so that the one before is repeated."""
_KEPT_SECONDS = 600.0
_NODE = ""
"""The key of the node's reading."""


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
        self,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        proc: Path = Path("/proc"),
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._readings: dict[str, _Reading] = {}
        self._proc = proc
        usage = machine_usage(proc)
        if usage is not None:
            self._readings[_NODE] = _Reading(usage, clock(), 0.0, 0.0)

    async def read_node(self, node: Json, pods: Iterable[MeasuredPod]) -> Json:
        """The NodeMetrics of the node.

        Args:
            node: its object.
            pods: that run on it.
        """
        usage = machine_usage(self._proc)
        if usage is None:
            found = [each["usage"] for pod in await self.read(pods) for each in pod["containers"]]
            total = {
                "cpu": f"{sum(int(each['cpu'][:-1]) for each in found)}n",
                "memory": f"{sum(int(each['memory'][:-2]) for each in found)}Ki",
            }
            return self._metrics_of(node, _MIN_WINDOW) | {"usage": total}
        last, now = self._readings[_NODE], self._clock()
        if now - last.at >= _MIN_WINDOW:
            window = now - last.at
            rate = max(0.0, usage.cpu_seconds - last.usage.cpu_seconds) / window
            last = self._readings[_NODE] = _Reading(usage, now, rate, window)
        return self._metrics_of(node, last.window) | {"usage": _usage_of(last)}

    async def read(self, pods: Iterable[MeasuredPod]) -> list[Json]:
        """The PodMetrics of pods; of those without a container that can be measured there are none."""
        found = []
        for each in pods:
            containers, window = [], 0.0
            for name, container, started in each.containers:
                reading = await self._read(container, started)
                if reading is not None:
                    window = max(window, reading.window)
                    containers.append({"name": name, "usage": _usage_of(reading)})
            if containers:
                found.append(self._metrics_of(each.pod, window) | {"containers": containers})
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
        self._readings = {key: each for key, each in self._readings.items() if each.at >= oldest or key == _NODE}

    def _metrics_of(self, obj: Json, window: float) -> Json:
        metadata = obj["metadata"]
        now = datetime.fromtimestamp(self._wall_clock(), UTC)
        kept = {name: metadata[name] for name in ("name", "namespace") if metadata.get(name)}
        return {
            "metadata": {
                **kept,
                "labels": metadata.get("labels") or {},
                "creationTimestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            },
            "timestamp": now.isoformat().replace("+00:00", "Z"),
            "window": f"{window:.3f}s",
        }


def _usage_of(reading: _Reading) -> Json:
    return {"cpu": f"{round(reading.rate * 1e9)}n", "memory": f"{reading.usage.memory // 1024}Ki"}


def machine_usage(proc: Path = Path("/proc")) -> Usage | None:
    """CPU time of all processes, and memory in use that can't be freed; None where that is not known."""
    try:
        # User, nice, system, idle, waiting for input or output, interrupts, and what other machines of the host took.
        times = [int(value) for value in (proc / "stat").read_text().split("\n", 1)[0].split()[1:9]]
        lines = (line.split() for line in (proc / "meminfo").read_text().splitlines())
        sizes = {words[0]: int(words[1]) for words in lines if len(words) > 1}
        memory = 1024 * (sizes["MemTotal:"] - sizes["MemAvailable:"])
    except (OSError, ValueError, IndexError, KeyError):
        return None
    return Usage((sum(times) - times[3] - times[4]) / os.sysconf("SC_CLK_TCK"), memory)
