"""Passes every change to every controller, and runs the syncs that are due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from embedded.api.status_errors import ApiError
from embedded.controllers.clusterrole_aggregation import ClusterRoleAggregationController
from embedded.controllers.crd_finalizer import CrdFinalizer
from embedded.controllers.delay_queue import DelayQueue
from embedded.controllers.event_ttl import EventTtlController
from embedded.controllers.garbage_collector import GarbageCollector
from embedded.controllers.job.controller import JobController
from embedded.controllers.job.pod_admission import AdmissionReviewer, PodAdmission
from embedded.controllers.namespace import NamespaceController
from embedded.controllers.node_taints import NodeTaintController
from embedded.controllers.resource_quota import QuotaController
from embedded.registry.registry import Registry
from embedded.registry.watcher import Watcher, WatcherTooSlowError
from embedded.storage.sqlite import StoreEvent

_log = logging.getLogger(__name__)
Subject = TypeVar("Subject")

_YIELD_INTERVAL = 0.005
"""Seconds of work after which other tasks get to run."""


class Controller(Protocol):
    """Keeps one kind of object in its desired state."""

    def start(self) -> None:
        """Handle the objects that exist."""

    def observe(self, event: StoreEvent) -> None:
        """Handle a change."""


async def run_controllers(registry: Registry, reviewer: AdmissionReviewer | None = None) -> None:
    """Run all controllers until cancelled. `reviewer` reviews the pods that they create."""
    while True:
        watcher = registry.watch()
        try:
            async with asyncio.TaskGroup() as group:
                await _run_until_lagged(registry, watcher, PodAdmission(registry, reviewer, group.create_task))
        finally:
            watcher.close()


async def _run_until_lagged(registry: Registry, watcher: Watcher, pod_admission: PodAdmission) -> None:
    try:
        await _process_events(registry, watcher, pod_admission)
    except WatcherTooSlowError:
        _log.warning("the controllers' watch fell behind; listing all objects again")


async def _process_events(registry: Registry, watcher: Watcher, pod_admission: PodAdmission) -> None:
    clock = asyncio.get_running_loop().time
    delays = DelayQueue(clock)
    controllers: list[Controller] = [
        NamespaceController(registry, delays.add_after),
        CrdFinalizer(registry, delays.add_after),
        GarbageCollector(registry),
        JobController(registry, delays.add_after, pod_admission),
        QuotaController(registry, delays.add_after),
        EventTtlController(registry, delays.add_after),
        ClusterRoleAggregationController(registry, delays.add_after),
        NodeTaintController(registry, delays.add_after),
    ]
    for controller in controllers:
        run_isolated(lambda name: controller.start(), type(controller).__name__)  # noqa: B023 - called at once
    while True:
        if (left := delays.next_delay()) != 0.0:
            try:
                async with asyncio.timeout(left):
                    await watcher.wait()
            except TimeoutError:
                pass
        pause = clock() + _YIELD_INTERVAL
        for sync, key in delays.pop_due():
            run_isolated(sync, key)
        for event in watcher.drain():
            for controller in controllers:
                run_isolated(controller.observe, event)
            if clock() > pause:
                await asyncio.sleep(0)
                pause = clock() + _YIELD_INTERVAL
        await asyncio.sleep(0)


def run_isolated(act: Callable[[Subject], None], subject: Subject) -> None:
    """Call `act` and log its error: one object that can't be handled must not stop all others."""
    try:
        act(subject)
    except ApiError as error:
        _log.warning("sync of %s failed: %s", getattr(subject, "key", subject), error.message)
    except Exception:
        _log.exception("sync of %s failed", getattr(subject, "key", subject))
