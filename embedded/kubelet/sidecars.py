"""The sidecars of a pod (init containers that restart always): started in order, ended in the reverse order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from embedded.kubelet.container.container import Container
from embedded.kubelet.container_runner import ContainerRunner
from embedded.kubelet.termination import TerminationSequence


class SidecarSet:
    """The sidecars that have been started, and the tasks that keep them running."""

    def __init__(self, termination: TerminationSequence, publish: Callable[[], None]) -> None:
        self._termination = termination
        self._publish = publish
        self._running: list[tuple[Container, asyncio.Task[None]]] = []
        self._start_finished = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        return not self._running

    async def start(self, group: asyncio.TaskGroup, runner: ContainerRunner, container: Container) -> None:
        """Start a sidecar and return once it counts as started; from then on it is restarted whenever it ends."""
        self._start_finished.clear()
        self._running.append((container, group.create_task(self._keep_running(runner, container))))
        await self._start_finished.wait()

    async def stop(self) -> None:
        """End all, the last one first; they share what is left of the grace period."""
        if self.is_empty:
            return
        self._termination.begin_sidecars()
        self.cancel_start()
        for container, task in reversed(self._running):
            self._termination.request_stop(container)
            await asyncio.wait((task,))

    def on_health_changed(self) -> None:
        """Check whether the sidecar that is being started has passed its startup probe."""
        if any(container.state.started for container, _ in self._running[-1:]):
            self._start_finished.set()

    def cancel_start(self) -> None:
        """Stop waiting for the sidecar that is being started: the pod is stopped."""
        self._start_finished.set()

    async def _keep_running(self, runner: ContainerRunner, container: Container) -> None:
        """Start it again whenever it ends, until the pod is stopped."""
        restarts = 0
        while await runner.start(container):
            if container.state.started:
                self._start_finished.set()
            if restarts or not container.state.started:
                # The first start is published with that of the next container, which follows at once.
                self._publish()
            await runner.wait_for_end(container)
            if self._termination.started.is_set():
                return
            container.prepare_restart()
            self._publish()
            await runner.back_off(container, restarts)
            restarts += 1
