"""How a pod is stopped: preStop hooks, SIGTERM, the grace period, SIGKILL. The rules are a kubelet's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from embedded.kubelet.container.container import Container
from embedded.kubelet.pod_status import is_sidecar
from embedded.kubelet.probes.handlers import run_action

Json = dict[str, Any]

MIN_SIDECAR_GRACE = 2.0
"""Seconds a sidecar has after SIGTERM even when the main containers used up the grace period."""


class StopReason(StrEnum):
    """Why a pod is stopped."""

    DELETED = "deleted"
    DEADLINE = "deadline"
    SHUTDOWN = "shutdown"


class GracePeriod:
    """Calls `kill` when it is over. It can be shortened while it runs, never lengthened."""

    def __init__(self, kill: Callable[[], None]) -> None:
        self._kill = kill
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Allow this many seconds from now on, unless fewer are left; 0 kills at once."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        if self._deadline is not None and deadline >= self._deadline:
            return
        self.close()
        self._deadline = deadline
        if seconds <= 0:
            self._kill()
        else:
            self._timer = loop.call_at(deadline, self._kill)

    def remaining(self, default: float) -> float:
        """Seconds that are left; `default` if it was never started."""
        if self._deadline is None:
            return default
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    def close(self) -> None:
        """Cancel the kill."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class TerminationSequence:
    """Stops the containers of one pod within one grace period.

    Main and init containers are killed when the grace period is over; sidecars are stopped after them and share what
    is left of it, at least `MIN_SIDECAR_GRACE` seconds.

    Args:
        containers: all containers of the pod.
        grace: seconds, the pod's own `terminationGracePeriodSeconds`.
        on_hook_failed: called with a container and the reason when its preStop hook fails.
        on_stop: called with each running container that is stopped for good.
    """

    def __init__(
        self,
        containers: Sequence[Container],
        grace: float,
        on_hook_failed: Callable[[Container, str], None],
        on_stop: Callable[[Container], None],
    ) -> None:
        self.grace = grace
        self.reason: StopReason | None = None
        self.started = asyncio.Event()
        """Set when nothing may be started any more: the pod is stopped, or its main containers have ended."""
        self._main = [container for container in containers if not is_sidecar(container.spec)]
        self._sidecars = [container for container in containers if is_sidecar(container.spec)]
        self._main_timer = GracePeriod(lambda: _kill_all(self._main))
        self._sidecar_timer = GracePeriod(lambda: _kill_all(self._sidecars))
        self._on_hook_failed = on_hook_failed
        self._on_stop = on_stop
        self._group: asyncio.TaskGroup | None = None

    def attach(self, group: asyncio.TaskGroup) -> None:
        """Allow preStop hooks to run, in `group`."""
        self._group = group

    def close(self) -> None:
        """Cancel all kills; hooks no longer run."""
        self._group = None
        self._main_timer.close()
        self._sidecar_timer.close()

    def begin(self, reason: StopReason, grace: float | None, *, main_finished: bool) -> None:
        """Stop the main and init containers. The first reason stays; a later call can only shorten the time.

        Args:
            grace: seconds; None for the pod's own grace period.
            main_finished: only sidecars are left, so they get this time.
        """
        if grace is not None:
            self.grace = grace if self.reason is None else min(self.grace, grace)
        if self.reason is None:
            self.reason = reason
            for container in self._main:
                self.request_stop(container)
            self.started.set()
        self._main_timer.start(self.grace)
        if main_finished or self.grace == 0:
            self._sidecar_timer.start(self.grace)

    def begin_sidecars(self) -> None:
        """Start the grace period of the sidecars: the main containers have ended."""
        self.started.set()
        remaining = self._main_timer.remaining(self.grace)
        self._sidecar_timer.start(0 if self.grace == 0 else max(remaining, MIN_SIDECAR_GRACE))

    def request_stop(self, container: Container) -> None:
        """Stop a container for good: preStop hook, then SIGTERM."""
        if container.running is not None and not container.stop_requested:
            self._on_stop(container)
        container.stop_requested = True
        self._stop_gracefully(container, container.terminate)

    def end_for_restart(self, container: Container) -> None:
        """End a container that may be restarted: preStop hook, SIGTERM, and SIGKILL after the grace period."""
        self._stop_gracefully(container, lambda: container.terminate_within(self.grace))

    async def pause(self, seconds: float) -> None:
        """Wait this long, or until the pod is stopped."""
        try:
            async with asyncio.timeout(seconds):
                await self.started.wait()
        except TimeoutError:
            return

    def _stop_gracefully(self, container: Container, end: Callable[[], None]) -> None:
        """Call `end`, after the preStop hook if there is one; its time is part of the grace period."""
        hook = (container.spec.get("lifecycle") or {}).get("preStop")
        if not hook or container.running is None or self._group is None or self.grace <= 0:
            end()
            return
        self._group.create_task(self._run_hook(hook, container, end))

    async def _run_hook(self, hook: Json, container: Container, end: Callable[[], None]) -> None:
        running = container.running
        if failure := await run_action(hook, container, self.grace):
            self._on_hook_failed(container, failure)
        if container.running is running:
            end()


def _kill_all(containers: Sequence[Container]) -> None:
    for container in containers:
        container.kill()
