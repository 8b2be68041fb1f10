"""Hands every change to every controller, and wakes those that asked for a later look."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from embedded.api.status_errors import ApiError
from embedded.controllers.crd_finalizer import CrdFinalizer
from embedded.controllers.delay_queue import DelayQueue
from embedded.controllers.event_ttl import EventTtlController
from embedded.controllers.garbage_collector import GarbageCollector
from embedded.controllers.job.controller import JobController
from embedded.controllers.job.pod_admission import AdmissionReviewer, PodAdmission
from embedded.controllers.namespace import NamespaceController
from embedded.controllers.resource_quota import QuotaController
from embedded.registry.registry import Registry
from embedded.registry.watcher import Watcher, WatcherTooSlowError
from embedded.storage.sqlite import StoreEvent

_log = logging.getLogger(__name__)
Subject = TypeVar("Subject")

_YIELD_INTERVAL = 0.005
"""Seconds of work after which others get their turn."""


class Controller(Protocol):
    def start(self) -> None:
        """Look at everything that exists."""

    def observe(self, event: StoreEvent) -> None:
        """Act on a change."""


async def run_controllers(registry: Registry, reviewer: AdmissionReviewer | None = None) -> None:
    """Run all controllers until cancelled. `reviewer` is asked about the pods that they make."""
    while True:
        subscription = registry.watch()
        try:
            async with asyncio.TaskGroup() as group:
                await _run_until_lagged(registry, subscription, PodAdmission(registry, reviewer, group.create_task))
        finally:
            subscription.close()


async def _run_until_lagged(registry: Registry, subscription: Watcher, pod_admission: PodAdmission) -> None:
    try:
        await _process_events(registry, subscription, pod_admission)
    except WatcherTooSlowError:
        _log.warning("objects changed faster than they could be followed; looking at all of them again")


async def _process_events(registry: Registry, subscription: Watcher, pod_admission: PodAdmission) -> None:
    clock = asyncio.get_running_loop().time
    timers = DelayQueue(clock)
    controllers: list[Controller] = [
        NamespaceController(registry, timers.add_after),
        CrdFinalizer(registry, timers.add_after),
        GarbageCollector(registry),
        JobController(registry, timers.add_after, pod_admission),
        QuotaController(registry, timers.add_after),
        EventTtlController(registry, timers.add_after),
    ]
    for controller in controllers:
        run_isolated(lambda name: controller.start(), type(controller).__name__)  # noqa: B023 - called at once
    while True:
        if (left := timers.next_delay()) != 0.0:
            try:
                async with asyncio.timeout(left):
                    await subscription.wait()
            except TimeoutError:
                pass
        pause = clock() + _YIELD_INTERVAL
        for look, key in timers.pop_due():
            run_isolated(look, key)
        for event in subscription.drain():
            for controller in controllers:
                run_isolated(controller.observe, event)
            if clock() > pause:
                await asyncio.sleep(0)
                pause = clock() + _YIELD_INTERVAL
        await asyncio.sleep(0)


def run_isolated(act: Callable[[Subject], None], subject: Subject) -> None:
    """One object that can't be handled must not hold up all others; what happened is in the log."""
    try:
        act(subject)
    except ApiError as error:
        _log.warning("%s: %s", getattr(subject, "key", subject), error.message)
    except Exception:
        _log.exception("a controller failed on %s", getattr(subject, "key", subject))
