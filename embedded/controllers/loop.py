"""Hands every change to every controller, and wakes those that asked for a later look."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from embedded.controllers.garbage import GarbageCollector
from embedded.controllers.jobs import JobController
from embedded.controllers.namespaces import NamespaceController
from embedded.controllers.quota import QuotaController
from embedded.machinery.errors import ApiError
from embedded.machinery.registry import Registry
from embedded.storage.store import Event

_log = logging.getLogger(__name__)
Subject = TypeVar("Subject")


class Controller(Protocol):
    def start(self) -> None:
        """Look at everything that exists."""

    def observe(self, event: Event) -> None:
        """Act on a change."""

    def look_again(self, key: tuple[str, str]) -> None:
        """Act on an object (namespace, name) that it asked to be reminded of."""


class Timers:
    """Reminders: the earliest first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, tuple[str, str]]] = []
        self._count = 0

    def add(self, key: tuple[str, str], seconds: float) -> None:
        self._count += 1
        due = asyncio.get_running_loop().time() + max(0.0, seconds)
        heapq.heappush(self._heap, (due, self._count, key))

    def wait(self) -> float | None:
        """Seconds until the next is due; None when there is none."""
        return max(0.0, self._heap[0][0] - asyncio.get_running_loop().time()) if self._heap else None

    def due(self) -> list[tuple[str, str]]:
        now, keys = asyncio.get_running_loop().time(), []
        while self._heap and self._heap[0][0] <= now:
            keys.append(heapq.heappop(self._heap)[2])
        return keys


async def run(registry: Registry) -> None:
    """Run all controllers until cancelled."""
    timers = Timers()
    jobs = JobController(registry, timers.add)
    controllers: list[Controller] = [
        NamespaceController(registry),
        GarbageCollector(registry),
        jobs,
        QuotaController(registry),
    ]
    subscription = registry.watch()
    try:
        for controller in controllers:
            controller.start()
        while True:
            try:
                async with asyncio.timeout(timers.wait()):
                    await subscription.wait()
            except TimeoutError:
                for key in timers.due():
                    _guarded(jobs.look_again, key)
            for event in subscription.take():
                for controller in controllers:
                    _guarded(controller.observe, event)
    finally:
        subscription.close()


def _guarded(act: Callable[[Subject], None], subject: Subject) -> None:
    """One object that can't be handled must not hold up all others; what happened is in the log."""
    try:
        act(subject)
    except ApiError as error:
        _log.warning("%s: %s", getattr(subject, "key", subject), error.message)
    except Exception:
        _log.exception("a controller failed on %s", getattr(subject, "key", subject))
