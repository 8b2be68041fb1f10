"""Watching over a running container: its postStart hook, and its startup, liveness and readiness probes.

Timing and thresholds are a kubelet's. What a failure means for the pod is its
worker's to say (`embedded.kubelet.pod_worker`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from embedded.kubelet.container.container import Container, ContainerContext
from embedded.kubelet.probes.handlers import ACTION_KINDS, run_action

Json = dict[str, Any]

_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_HOOKS = ("postStart", "preStop")


@dataclass(frozen=True)
class ProbeSchedule:
    """Seconds: before the first try, between two, and for one; and how many in a row make a verdict."""

    delay: float
    period: float
    timeout: float
    failure_threshold: int
    success_threshold: int

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
    """Who is told how a container does."""

    def on_health_changed(self) -> None:
        """Its state is another: it has started, or is ready, or is not any more."""

    def on_attempt_failed(self, container: Container, what: str, why: str) -> None:
        """A try has failed. `what` is e.g. Liveness."""

    def on_probe_failed(self, container: Container, what: str) -> None:
        """It is to be ended, and started again if its restart policy has it so."""


def unsupported_reason(container: Json) -> str:
    """What of a container's probes and hooks can't be had here; empty when all can."""
    lifecycle = container.get("lifecycle") or {}
    wanted = [(name, container.get(name)) for name in _PROBES] + [(name, lifecycle.get(name)) for name in _HOOKS]
    for name, action in wanted:
        if action and not any(kind in action for kind in ACTION_KINDS):
            kinds = ", ".join(key for key in action if isinstance(action[key], dict)) or "none"
            known = ", ".join(ACTION_KINDS)
            return f"container {container['name']}: a {name} of kind {kinds} can't be had here; {known} can"
    return ""


def has_probes(container: Json) -> bool:
    """Whether there is anything to do for a container while it runs."""
    return any(container.get(name) for name in _PROBES) or bool((container.get("lifecycle") or {}).get("postStart"))


async def run_probes(container: Container, around: ContainerContext, watcher: ProbeListener) -> None:
    """Watch over a container that has just been started, until cancelled or given up."""
    began = asyncio.get_running_loop().time()
    hook = (container.spec.get("lifecycle") or {}).get("postStart")
    if hook and (why := await run_action(hook, container, around, None)):
        watcher.on_attempt_failed(container, "PostStartHook", why)
        watcher.on_probe_failed(container, "PostStartHook")
        return
    if container.spec.get("startupProbe"):
        async with aclosing(_probe_results("startupProbe", container, around, watcher, began)) as verdicts:
            async for good in verdicts:
                if good:
                    break
                watcher.on_probe_failed(container, "startup probe")
                return
    if not container.state.started:
        container.state.started = True
        container.state.ready = not container.spec.get("readinessProbe")
        watcher.on_health_changed()
    async with asyncio.TaskGroup() as group:
        group.create_task(_probe_readiness(container, around, watcher, began))
        group.create_task(_probe_liveness(container, around, watcher, began))


async def _probe_readiness(
    container: Container, around: ContainerContext, watcher: ProbeListener, began: float
) -> None:
    if not container.spec.get("readinessProbe"):
        return
    async for good in _probe_results("readinessProbe", container, around, watcher, began):
        if container.state.ready != good:
            container.state.ready = good
            watcher.on_health_changed()


async def _probe_liveness(container: Container, around: ContainerContext, watcher: ProbeListener, began: float) -> None:
    if not container.spec.get("livenessProbe"):
        return
    async for good in _probe_results("livenessProbe", container, around, watcher, began):
        if not good:
            watcher.on_probe_failed(container, "liveness probe")
            return


async def _probe_results(
    name: str, container: Container, around: ContainerContext, watcher: ProbeListener, began: float
) -> AsyncGenerator[bool, None]:
    """What so many tries in a row say, each time they do."""
    probe: Json = container.spec[name]
    schedule, loop = ProbeSchedule.of(probe), asyncio.get_running_loop()
    await asyncio.sleep(max(0.0, began + schedule.delay - loop.time()))
    row, last = 0, True
    while True:
        tried = loop.time()
        why = await run_action(probe, container, around, schedule.timeout)
        if why:
            watcher.on_attempt_failed(container, name.removesuffix("Probe").capitalize(), why)
        row = row + 1 if last == (not why) else 1
        last = not why
        if row >= (schedule.success_threshold if last else schedule.failure_threshold):
            yield last
        await asyncio.sleep(max(0.0, tried + schedule.period - loop.time()))
