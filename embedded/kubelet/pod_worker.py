"""Runs one pod from its start to its end: volumes, init containers, sidecars, main containers, deadline.

The rules are a kubelet's. Which pod may run when is `embedded.kubelet.kubelet`'s to decide; how it is stopped,
`embedded.kubelet.termination`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from embedded.kubelet.config import volumes
from embedded.kubelet.config.environment import ConfigError
from embedded.kubelet.container.container import Container, ContainerContext
from embedded.kubelet.container_runner import CONFIG_RETRIES_PER_EVENT, CONFIG_RETRY_INTERVAL, ContainerRunner
from embedded.kubelet.image_puller import ImagePuller
from embedded.kubelet.logs.files import DEFAULT_MAX_BYTES
from embedded.kubelet.metrics import MeasuredPod
from embedded.kubelet.pod_status import is_sidecar
from embedded.kubelet.restart_policy import RestartPolicy
from embedded.kubelet.runtime.interface import PodSandbox, Runtime, SandboxError
from embedded.kubelet.sidecars import SidecarSet
from embedded.kubelet.status_manager import PodStatusManager
from embedded.kubelet.termination import StopReason, TerminationSequence
from embedded.registry.event_recorder import EventRecorder
from embedded.registry.registry import Registry

Json = dict[str, Any]

_SANDBOX_RETRY_INTERVAL = 5.0
"""Seconds until the network of a pod is tried again."""
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


@dataclass(frozen=True)
class PodEnvironment:
    """What the node gives a pod."""

    folder: Path
    """The pod's own folder: volumes, logs, working directories."""
    runtime: Runtime
    node: str
    clock: Callable[[], datetime]
    log_limit: int = DEFAULT_MAX_BYTES
    """Bytes that are kept of each container's log."""


class PodWorker:
    """Runs one pod. `run` returns when its processes have ended and its last status is written."""

    def __init__(self, registry: Registry, recorder: EventRecorder, pod: Json, environment: PodEnvironment) -> None:
        self._status_manager = PodStatusManager(registry, recorder, pod, environment.node, environment.clock)
        self._environment = environment
        self._pod_runtime = environment.runtime.pod(PodSandbox(pod, environment.folder))
        spec = pod["spec"]
        waiting = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
        self._init = [Container(c, waiting) for c in spec.get("initContainers") or []]
        self._main = [Container(c, waiting) for c in spec["containers"]]
        self._unfinished = len(self._main)
        self._phase, self._reason, self._message = "Pending", "", ""
        self._rejected = False
        self._initialized = not self._init
        self._started_at = asyncio.get_running_loop().time()
        self._deadline_changed = asyncio.Event()
        grace = float(spec.get("terminationGracePeriodSeconds", 30))
        self._termination = TerminationSequence(self._containers, grace, self._on_hook_failed, self._on_stop)
        self._sidecars = SidecarSet(self._termination, self.publish)

    # -- called by the kubelet

    @property
    def namespace(self) -> str:
        return self._status_manager.namespace

    @property
    def name(self) -> str:
        return self._status_manager.name

    @property
    def _containers(self) -> list[Container]:
        return [*self._init, *self._main]

    @property
    def measured(self) -> MeasuredPod:
        """Its containers that run now, to be measured."""
        running = (
            (each.name, each.running, datetime.fromisoformat(each.state.running_since).timestamp())
            for each in self._containers
            if each.running is not None and each.state.running_since
        )
        return MeasuredPod(self._status_manager.pod, tuple(running))

    def container(self, name: str) -> Container | None:
        return next((c for c in self._containers if c.name == name), None)

    def on_pod_changed(self, pod: Json) -> None:
        """Take over a change of the pod's object: a deletion, or another deadline."""
        self._status_manager.pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            grace = float(pod["metadata"].get("deletionGracePeriodSeconds", self._termination.grace))
            self.stop(StopReason.DELETED, grace)
        self._deadline_changed.set()

    def on_status_changed(self, pod: Json) -> None:
        """Write the status again if a client has overwritten it."""
        if self._status_manager.take_over(pod):
            self.publish()

    def stop(self, reason: StopReason, grace: float | None = None) -> None:
        """Stop the pod within `grace` seconds (None: its own). The first reason stays; the time may be shortened."""
        self._termination.begin(reason, grace, main_finished=self._unfinished == 0)
        self._sidecars.cancel_start()

    def fail(self, reason: str, message: str) -> None:
        """Mark the whole pod as failed in the next status."""
        self._phase, self._reason, self._message = "Failed", reason, message

    def _reject(self, reason: str, message: str) -> None:
        """Fail the pod before any of its containers: it has no container statuses, so that kubectl shows the reason."""
        self.fail(reason, message)
        self._rejected = True
        self._status_manager.record_event(reason, message, kind="Warning")

    def publish(self) -> None:
        """Write the pod's status as it is now."""
        self._status_manager.publish(
            {c.name: c.state for c in self._containers},
            self._phase,
            initialized=self._initialized,
            address=self._pod_runtime.address,
            rejected=self._rejected,
            reason=self._reason,
            message=self._message,
            disruption="TerminationByKubelet" if self._reason == "NodeShutdown" else "",
        )

    async def run(self) -> None:
        """Run the pod to its end and write its final status; an object that is being deleted is removed then."""
        try:
            async with asyncio.TaskGroup() as group:
                deadline = group.create_task(self._enforce_deadline())
                await self._run_containers(group)
                deadline.cancel()
            self._set_final_phase()
            self.publish()
        finally:
            self._termination.close()
            await self._pod_runtime.close()
        self._status_manager.delete_if_terminating()

    # -- the life of the pod

    async def _run_containers(self, group: asyncio.TaskGroup) -> None:
        mounted = await self._prepare_volumes()
        if mounted is None:
            return
        if not await self._prepare_sandbox():
            return
        context = self._build_context(mounted)
        self._termination.attach(group)
        images = ImagePuller(self._pod_runtime, self._status_manager, self._termination, self.publish)
        runner = ContainerRunner(context, images, self._status_manager, self._termination, self, self.publish)
        if await self._run_init_containers(group, runner):
            async with asyncio.TaskGroup() as main:
                for container in self._main:
                    main.create_task(self._run_main_container(runner, container))
        self._unfinished = 0
        await self._sidecars.stop()

    async def _prepare_volumes(self) -> Mapping[str, Path] | None:
        """Make the volumes, waiting for missing Secrets and ConfigMaps.

        Returns:
            Their folders by name; None when the pod can't run here, or was stopped.
        """
        if unsupported := self._unsupported_reason():
            self._reject(*unsupported)
            return None
        manager, root, attempt = self._status_manager, self._environment.folder / "volumes", 0
        while not self._termination.started.is_set():
            try:
                return volumes.prepare_volumes(
                    manager.pod, root, manager.secret, manager.config_map, shared=self._environment.runtime.uses_images
                )
            except OSError as error:
                self._reject("VolumeFailed", f"can't create the pod's volumes in {root}: {error.strerror}")
                return None
            except ConfigError as error:
                if attempt % CONFIG_RETRIES_PER_EVENT == 0:
                    manager.record_event("FailedMount", str(error), kind="Warning")
                attempt += 1
                for container in self._main:
                    container.state.waiting = ("ContainerCreating", str(error))
                self.publish()
                await self._termination.pause(CONFIG_RETRY_INTERVAL)
        return None

    async def _prepare_sandbox(self) -> bool:
        """Make what the runtime needs for the pod as a whole; False when the pod was stopped before that worked."""
        while not self._termination.started.is_set():
            try:
                await self._pod_runtime.prepare()
            except SandboxError as error:
                self._status_manager.record_event("FailedCreatePodSandBox", str(error), kind="Warning")
                await self._termination.pause(_SANDBOX_RETRY_INTERVAL)
            else:
                return True
        return False

    def _build_context(self, mounted: Mapping[str, Path]) -> ContainerContext:
        manager, environment = self._status_manager, self._environment
        return ContainerContext(
            pod={
                **manager.pod,
                "spec": {**manager.pod["spec"], "nodeName": environment.node},
                "status": {**manager.pod["status"], "podIP": self._pod_runtime.address},
            },
            folder=environment.folder,
            runtime=self._pod_runtime,
            volumes=mounted,
            secret=manager.secret,
            config_map=manager.config_map,
            timestamp=manager.timestamp,
            shared=environment.runtime.uses_images,
            log_limit=environment.log_limit,
        )

    def _unsupported_reason(self) -> tuple[str, str] | None:
        """(reason, message) why the pod can't run on this node at all; None when it can."""
        for container in self._containers:
            if unsupported := self._environment.runtime.unsupported_reason(container.spec):
                return unsupported
        why = volumes.unsupported_reason(self._status_manager.pod)
        return ("NotSupported", why) if why else None

    async def _run_init_containers(self, group: asyncio.TaskGroup, runner: ContainerRunner) -> bool:
        """Run the init containers in order, starting the sidecars among them.

        Returns:
            Whether the main containers may start.
        """
        policy = self._restart_policy.for_init_containers
        for container in self._init:
            if is_sidecar(container.spec):
                await self._sidecars.start(group, runner, container)
            elif await runner.run(container, policy, self._on_container_started) != 0:
                self._phase = "Failed"
                return False
            if self._termination.started.is_set():
                return False
        self._initialized = True
        return True

    async def _run_main_container(self, runner: ContainerRunner, container: Container) -> None:
        await runner.run(container, self._restart_policy, self._on_container_started)
        self._unfinished -= 1
        if self._unfinished or not self._sidecars.is_empty:
            # The end of this container is reported now, however long the others still run.
            self.publish()

    @property
    def _restart_policy(self) -> RestartPolicy:
        return RestartPolicy(self._status_manager.pod["spec"]["restartPolicy"])

    def _on_container_started(self) -> None:
        self._phase = "Running" if self._initialized else "Pending"
        self.publish()

    def _set_final_phase(self) -> None:
        if self._termination.reason is StopReason.DEADLINE:
            self.fail("DeadlineExceeded", DEADLINE_MESSAGE)
        elif self._termination.reason is StopReason.SHUTDOWN:
            self.fail("NodeShutdown", "the cluster was stopped while the pod ran")
        elif self._phase != "Failed":
            codes = [c.state.terminated.exit_code if c.state.terminated else -1 for c in self._main]
            self._phase = "Failed" if any(codes) else "Succeeded"

    async def _enforce_deadline(self) -> None:
        """Stop the pod when its activeDeadlineSeconds are over; they may be set and shortened while it runs."""
        while self._termination.reason is None:
            self._deadline_changed.clear()
            seconds = self._status_manager.pod["spec"].get("activeDeadlineSeconds")
            left = None if seconds is None else self._started_at + seconds - asyncio.get_running_loop().time()
            if left is not None and left <= 0:
                self._status_manager.record_event("DeadlineExceeded", DEADLINE_MESSAGE)
                self.stop(StopReason.DEADLINE)
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._deadline_changed.wait()

    # -- `embedded.kubelet.probes.prober.ProbeListener`

    def on_health_changed(self) -> None:
        self._sidecars.on_health_changed()
        self.publish()

    def on_attempt_failed(self, container: Container, what: str, why: str) -> None:
        if what == "PostStartHook":
            self._record_warning(container, "FailedPostStartHook", why)
        else:
            self._record_warning(container, "Unhealthy", f"{what} probe failed: {why}")

    def on_probe_failed(self, container: Container, what: str) -> None:
        if container.stop_requested:
            return
        restarts = container.spec.get("restartPolicy", self._restart_policy) != RestartPolicy.NEVER
        message = f"Container {container.name} failed {what}{', will be restarted' if restarts else ''}"
        self._status_manager.record_event("Killing", message, container=container.name)
        self._termination.end_for_restart(container)

    def _on_stop(self, container: Container) -> None:
        self._status_manager.record_event("Killing", f"Stopping container {container.name}", container=container.name)

    def _on_hook_failed(self, container: Container, why: str) -> None:
        self._record_warning(container, "FailedPreStopHook", why)

    def _record_warning(self, container: Container, reason: str, message: str) -> None:
        self._status_manager.record_event(reason, message, kind="Warning", container=container.name)
