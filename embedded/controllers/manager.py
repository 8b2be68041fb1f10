"""Hands every change to every controller, and wakes those that asked for a later look."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from embedded.api.status_errors import ApiError
from embedded.controllers.crd_finalizer import DefinitionController
from embedded.controllers.delay_queue import Timers
from embedded.controllers.event_ttl import EventExpiry
from embedded.controllers.garbage_collector import GarbageCollector
from embedded.controllers.job.controller import JobController
from embedded.controllers.job.pod_admission import Asking, Reviewer
from embedded.controllers.namespace import NamespaceController
from embedded.controllers.resource_quota import QuotaController
from embedded.registry.registry import Registry
from embedded.registry.watcher import LaggedError, Subscription
from embedded.storage.sqlite import Event

_log = logging.getLogger(__name__)
Subject = TypeVar("Subject")

_SLICE = 0.005
"""Seconds of work after which others get their turn."""


class Controller(Protocol):
    def start(self) -> None:
        """Look at everything that exists."""

    def observe(self, event: Event) -> None:
        """Act on a change."""


async def run(registry: Registry, reviewer: Reviewer | None = None) -> None:
    """Run all controllers until cancelled. `reviewer` is asked about the pods that they make."""
    while True:
        subscription = registry.watch()
        try:
            async with asyncio.TaskGroup() as group:
                await _follow_while_possible(registry, subscription, Asking(registry, reviewer, group.create_task))
        finally:
            subscription.close()


async def _follow_while_possible(registry: Registry, subscription: Subscription, asking: Asking) -> None:
    try:
        await _follow(registry, subscription, asking)
    except LaggedError:
        _log.warning("objects changed faster than they could be followed; looking at all of them again")


async def _follow(registry: Registry, subscription: Subscription, asking: Asking) -> None:
    clock = asyncio.get_running_loop().time
    timers = Timers(clock)
    controllers: list[Controller] = [
        NamespaceController(registry, timers.add),
        DefinitionController(registry, timers.add),
        GarbageCollector(registry),
        JobController(registry, timers.add, asking),
        QuotaController(registry, timers.add),
        EventExpiry(registry, timers.add),
    ]
    for controller in controllers:
        guarded(lambda name: controller.start(), type(controller).__name__)  # noqa: B023 - called at once
    while True:
        if (left := timers.wait()) != 0.0:
            try:
                async with asyncio.timeout(left):
                    await subscription.wait()
            except TimeoutError:
                pass
        pause = clock() + _SLICE
        for look, key in timers.due():
            guarded(look, key)
        for event in subscription.take():
            for controller in controllers:
                guarded(controller.observe, event)
            if clock() > pause:
                await asyncio.sleep(0)
                pause = clock() + _SLICE
        await asyncio.sleep(0)


def guarded(act: Callable[[Subject], None], subject: Subject) -> None:
    """One object that can't be handled must not hold up all others; what happened is in the log."""
    try:
        act(subject)
    except ApiError as error:
        _log.warning("%s: %s", getattr(subject, "key", subject), error.message)
    except Exception:
        _log.exception("a controller failed on %s", getattr(subject, "key", subject))
