"""Runs the containers of one pod: waits for what they need, runs their probes, restarts them with a back-off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from embedded.kubelet.container.container import Container, ContainerContext
from embedded.kubelet.image_puller import ImagePuller, present_message
from embedded.kubelet.probes import prober
from embedded.kubelet.restart_policy import RestartPolicy, restart_delay
from embedded.kubelet.status_manager import PodStatusManager
from embedded.kubelet.termination import TerminationSequence

CONFIG_RETRY_INTERVAL = 0.5
"""Seconds between two looks for a missing Secret or ConfigMap."""
CONFIG_RETRIES_PER_EVENT = 20
"""Looks for one Event: a kubelet tries again, and says so, about every ten seconds."""


class ContainerRunner:
    """Runs containers until they have ended for good or the pod is stopped.

    Args:
        context: what the pod gives its containers.
        images: brings their images.
        listener: gets the results of probes.
        publish: writes the pod's status.
    """

    def __init__(
        self,
        context: ContainerContext,
        images: ImagePuller,
        status_manager: PodStatusManager,
        termination: TerminationSequence,
        listener: prober.ProbeListener,
        publish: Callable[[], None],
    ) -> None:
        self._context = context
        self._images = images
        self._status_manager = status_manager
        self._termination = termination
        self._listener = listener
        self._publish = publish

    async def run(self, container: Container, policy: RestartPolicy, on_started: Callable[[], None]) -> int:
        """Run a container until it has ended for good; returns its last exit code, -1 if it never started."""
        restarts = 0
        while await self.start(container):
            if container.running is not None:
                on_started()
            exit_code = await self.wait_for_end(container)
            if self._termination.started.is_set() or not policy.restarts_after(exit_code):
                return exit_code
            container.prepare_restart()
            await self.back_off(container, restarts)
            restarts += 1
        ended = container.state.terminated
        return ended.exit_code if ended is not None else -1

    async def start(self, container: Container) -> bool:
        """Start a container as soon as what it needs exists; False when the pod is stopped before that."""
        attempt = 0
        while not self._termination.started.is_set():
            if not await self._images.ensure(container):
                continue
            if await container.start(self._context) or container.state.terminated is not None:
                self._record_start(container)
                return True
            if attempt % CONFIG_RETRIES_PER_EVENT == 0:
                message = f"Error: {container.state.waiting[1]}"
                self._status_manager.record_event("Failed", message, kind="Warning", container=container.name)
            attempt += 1
            self._publish()
            await self._termination.pause(CONFIG_RETRY_INTERVAL)
        return False

    def _record_start(self, container: Container) -> None:
        """Record the Events of a start, with the words of a kubelet of 1.36."""
        record, name = self._status_manager.record_event, container.name
        image = container.spec.get("image")
        if image and not self._context.runtime.needs_image(container.spec):
            record("Pulled", present_message(image), container=name)
        record("Created", "Container created", container=name)
        if container.state.running_since is not None:
            record("Started", "Container started", container=name)
        elif container.state.terminated is not None:
            record("Failed", f"Error: {container.state.terminated.message}", kind="Warning", container=name)

    async def wait_for_end(self, container: Container) -> int:
        """Run the container's probes until it has ended; returns the exit code."""
        timestamp = self._status_manager.timestamp
        if container.running is None or not prober.has_probes(container.spec):
            return await container.wait(timestamp)
        async with asyncio.TaskGroup() as group:
            probes = group.create_task(prober.run_probes(container, self._listener))
            exit_code = await container.wait(timestamp)
            probes.cancel()
        return exit_code

    async def back_off(self, container: Container, restarts: int) -> None:
        """Wait before the next start of a container that was already restarted this often, and report the wait."""
        delay = restart_delay(restarts)
        if not delay:
            return
        manager, name = self._status_manager, container.name
        pod = f"{manager.name}_{manager.namespace}({manager.pod['metadata']['uid']})"
        message = f"back-off {delay:g}s restarting failed container={name} pod={pod}"
        container.state.waiting = ("CrashLoopBackOff", message)
        event = f"Back-off restarting failed container {name} in pod {pod}"
        manager.record_event("BackOff", event, kind="Warning", container=name)
        self._publish()
        await self._termination.pause(delay)
