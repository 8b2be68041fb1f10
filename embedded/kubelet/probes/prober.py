"""Runs the postStart hook and the startup, liveness and readiness probes of a running container.

Timing and thresholds are a kubelet's. `embedded.kubelet.pod_worker` decides what a failure means for the pod.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from embedded.kubelet.container.container import Container
from embedded.kubelet.probes.handlers import run_action

Json = dict[str, Any]

_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


@dataclass(frozen=True)
class ProbeSchedule:
    """When a probe runs and how its results count. Times are in seconds."""

    delay: float
    """Before the first attempt."""
    period: float
    """Between the starts of two attempts."""
    timeout: float
    """Of one attempt."""
    failure_threshold: int
    """Consecutive failures that count as a failed probe."""
    success_threshold: int
    """Consecutive successes that count as a passed probe."""

    @classmethod
    def of(cls, probe: Json) -> ProbeSchedule:
        return cls(
            float(probe.get("initialDelaySeconds") or 0),
            float(probe.get("periodSeconds") or 10),
            float(probe.get("timeoutSeconds") or 1),
            int(probe.get("failureThreshold") or 3),
            int(probe.get("successThreshold") or 1),
        )


class ProbeListener(Protocol):
    """Receives the results of a container's probes."""

    def on_health_changed(self) -> None:
        """The container has started, has become ready, or is no longer ready."""

    def on_attempt_failed(self, container: Container, what: str, why: str) -> None:
        """A single attempt has failed. `what` is for example `Liveness`."""

    def on_probe_failed(self, container: Container, what: str) -> None:
        """The container must be ended, and restarted if its restart policy says so."""


def has_probes(container: Json) -> bool:
    """Whether a container has probes or a postStart hook."""
    return any(container.get(name) for name in _PROBES) or bool((container.get("lifecycle") or {}).get("postStart"))


async def run_probes(container: Container, listener: ProbeListener) -> None:
    """Run the hook and probes of a container that was just started, until cancelled or a probe has failed."""
    started_at = asyncio.get_running_loop().time()
    hook = (container.spec.get("lifecycle") or {}).get("postStart")
    if hook and (why := await run_action(hook, container, None)):
        listener.on_attempt_failed(container, "PostStartHook", why)
        listener.on_probe_failed(container, "PostStartHook")
        return
    if container.spec.get("startupProbe"):
        async with aclosing(_probe_results("startupProbe", container, listener, started_at)) as results:
            async for passed in results:
                if passed:
                    break
                listener.on_probe_failed(container, "startup probe")
                return
    if not container.state.started:
        container.state.started = True
        container.state.ready = not container.spec.get("readinessProbe")
        listener.on_health_changed()
    async with asyncio.TaskGroup() as group:
        group.create_task(_probe_readiness(container, listener, started_at))
        group.create_task(_probe_liveness(container, listener, started_at))


async def _probe_readiness(container: Container, listener: ProbeListener, started_at: float) -> None:
    if not container.spec.get("readinessProbe"):
        return
    async for passed in _probe_results("readinessProbe", container, listener, started_at):
        if container.state.ready != passed:
            container.state.ready = passed
            listener.on_health_changed()


async def _probe_liveness(container: Container, listener: ProbeListener, started_at: float) -> None:
    if not container.spec.get("livenessProbe"):
        return
    async for passed in _probe_results("livenessProbe", container, listener, started_at):
        if not passed:
            listener.on_probe_failed(container, "liveness probe")
            return


async def _probe_results(
    name: str, container: Container, listener: ProbeListener, started_at: float
) -> AsyncGenerator[bool, None]:
    """Yields whether the probe passed, each time that enough consecutive attempts agree."""
    probe: Json = container.spec[name]
    schedule, loop = ProbeSchedule.of(probe), asyncio.get_running_loop()
    await asyncio.sleep(max(0.0, started_at + schedule.delay - loop.time()))
    consecutive, last = 0, True
    while True:
        attempt_started = loop.time()
        why = await run_action(probe, container, schedule.timeout)
        if why:
            listener.on_attempt_failed(container, name.removesuffix("Probe").capitalize(), why)
        consecutive = consecutive + 1 if last == (not why) else 1
        last = not why
        if consecutive >= (schedule.success_threshold if last else schedule.failure_threshold):
            yield last
        await asyncio.sleep(max(0.0, attempt_started + schedule.period - loop.time()))
