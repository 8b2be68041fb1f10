"""One pod from its start to its end: init containers, sidecars, main containers, and the ways to be stopped.

The rules are a kubelet's: init containers in order, sidecars among them started
in order and ended in the reverse order after the main containers; SIGTERM, a
grace period for the whole pod, SIGKILL. Processes, logs and volumes are other
modules'; so is which pod may run when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from embedded.kubelet.config import volumes
from embedded.kubelet.config.environment import ConfigError
from embedded.kubelet.container.cgroups import Cgroups
from embedded.kubelet.container.container import Container, ContainerContext
from embedded.kubelet.grace_period import MIN_SIDECAR_GRACE, GracePeriod
from embedded.kubelet.logs.log_file import DEFAULT_MAX_BYTES
from embedded.kubelet.pod_status import is_sidecar
from embedded.kubelet.probes import prober
from embedded.kubelet.probes.handlers import run_action
from embedded.kubelet.status_manager import PodStatusManager
from embedded.registry.event_recorder import EventRecorder
from embedded.registry.registry import Registry

Json = dict[str, Any]

_CONFIG_RETRY = 0.5
_RESTART_BACKOFF = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
StopReason = Literal["deleted", "deadline", "shutdown"]


@dataclass(frozen=True)
class PodEnvironment:
    """Where a pod runs: its folder, what it inherits, and the node's name."""

    folder: Path
    inherited: dict[str, str]
    node: str
    clock: Callable[[], datetime]
    cgroups: Cgroups
    log_limit: int = DEFAULT_MAX_BYTES


class PodWorker:
    """Runs one pod. `run` returns when its processes have ended and its last status is written."""

    def __init__(self, registry: Registry, recorder: EventRecorder, pod: Json, environment: PodEnvironment) -> None:
        self._status_manager = PodStatusManager(registry, recorder, pod, environment.node, environment.clock)
        self._environment = environment
        spec = pod["spec"]
        waiting = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
        self._init = [Container(c, waiting) for c in spec.get("initContainers") or []]
        self._main = [Container(c, waiting) for c in spec["containers"]]
        self._sidecars: list[tuple[Container, asyncio.Task[None]]] = []
        self._unfinished = len(self._main)
        self._context: ContainerContext | None = None
        self._phase, self._reason, self._message = "Pending", "", ""
        self._initialized = not self._init
        self._began = asyncio.get_running_loop().time()
        self._stop_reason: StopReason | None = None
        self._group: asyncio.TaskGroup | None = None
        self._ending, self._deadline_changed, self._sidecar_up = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._grace = float(spec.get("terminationGracePeriodSeconds", 30))
        self._main_grace = GracePeriod(self._kill_plain)
        self._sidecar_grace = GracePeriod(self._kill_sidecars)

    # -- from outside

    @property
    def namespace(self) -> str:
        return self._status_manager.namespace

    @property
    def name(self) -> str:
        return self._status_manager.name

    def container(self, name: str) -> Container | None:
        return next((c for c in (*self._init, *self._main) if c.name == name), None)

    def on_pod_changed(self, pod: Json) -> None:
        """The pod's object has changed: it may be on its way out, or have got a deadline."""
        self._status_manager.pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self.stop("deleted", float(pod["metadata"].get("deletionGracePeriodSeconds", self._grace)))
        self._deadline_changed.set()

    def stop(self, reason: StopReason, grace: float | None = None) -> None:
        """End the pod within `grace` seconds (None: its own). The first reason stays; the time may be shortened."""
        if grace is not None:
            self._grace = grace if self._stop_reason is None else min(self._grace, grace)
        if self._stop_reason is None:
            self._stop_reason = reason
            for container in self._plain():
                self._request_stop(container)
            self._start_ending()
        self._main_grace.start(self._grace)
        if self._unfinished == 0 or self._grace == 0:
            self._sidecar_grace.start(self._grace)

    # -- the life of the pod

    async def run(self) -> None:
        """Run it to its end, and write that down; an object that is on its way out is removed then."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                deadline = group.create_task(self._keep_deadline())
                await self._run_containers(group)
                deadline.cancel()
        finally:
            self._group = None
            self._main_grace.close()
            self._sidecar_grace.close()
        self._set_final_phase()
        self.publish()
        self._status_manager.delete_if_terminating()

    def fail(self, reason: str, message: str) -> None:
        """The pod has failed as a whole; the next status says so."""
        self._phase, self._reason, self._message = "Failed", reason, message

    def _set_final_phase(self) -> None:
        if self._stop_reason == "deadline":
            self.fail("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
        elif self._stop_reason == "shutdown":
            self.fail("NodeShutdown", "the cluster was stopped while the pod ran")
        elif self._phase != "Failed":
            codes = [c.state.terminated.exit_code if c.state.terminated else -1 for c in self._main]
            self._phase = "Failed" if any(codes) else "Succeeded"

    async def _run_containers(self, group: asyncio.TaskGroup) -> None:
        around = await self._prepare()
        if around is None:
            return
        self._context = around
        if await self._run_init(group, around):
            async with asyncio.TaskGroup() as mains:
                for container in self._main:
                    mains.create_task(self._run_main(container, around))
        self._unfinished = 0
        await self._end_sidecars()

    async def _prepare(self) -> ContainerContext | None:
        """Make the volumes; waits for missing Secrets and ConfigMaps. None: the pod can't run, or not any more."""
        if why := self._unsupported_reason():
            self.fail("ImageNotUsed" if "command" in why else "NotSupported", why)
            return None
        while not self._ending.is_set():
            try:
                made = volumes.prepare_volumes(
                    self._status_manager.pod,
                    self._environment.folder / "volumes",
                    self._status_manager.secret,
                    self._status_manager.config_map,
                )
            except OSError as error:
                self.fail(
                    "VolumeFailed", f"its volumes can't be made below {self._environment.folder}: {error.strerror}"
                )
                return None
            except ConfigError as error:
                for container in self._main:
                    container.state.waiting = ("ContainerCreating", f"MountVolume.SetUp failed: {error}")
                self.publish()
                await self._pause(_CONFIG_RETRY)
                continue
            placed = {
                **self._status_manager.pod,
                "spec": {**self._status_manager.pod["spec"], "nodeName": self._environment.node},
            }
            folder, inherited, stamp = (
                self._environment.folder,
                self._environment.inherited,
                self._status_manager.timestamp,
            )
            lookups = (self._status_manager.secret, self._status_manager.config_map)
            return ContainerContext(
                placed, folder, inherited, made, *lookups, stamp, self._environment.cgroups, self._environment.log_limit
            )
        return None

    def _unsupported_reason(self) -> str:
        """Why the pod can't run here at all; empty when it can."""
        for container in (*self._init, *self._main):
            if not container.spec.get("command"):
                why = "it has no command, and images are not used here: give the container a command"
                return f"container {container.name} can't run: {why}"
            if why := prober.unsupported_reason(container.spec):
                return why
        return volumes.unsupported_reason(self._status_manager.pod)

    async def _run_init(self, group: asyncio.TaskGroup, around: ContainerContext) -> bool:
        """Run the init containers in order, and start the sidecars among them; True when the main ones may start."""
        again = self._status_manager.pod["spec"]["restartPolicy"] != "Never"
        for container in self._init:
            if is_sidecar(container.spec):
                await self._start_sidecar(group, container, around)
            elif await self._run(container, around, again=again, always=False) != 0:
                self._phase = "Failed"
                return False
            if self._ending.is_set():
                return False
        self._initialized = True
        return True

    async def _run_main(self, container: Container, around: ContainerContext) -> None:
        policy = self._status_manager.pod["spec"]["restartPolicy"]
        await self._run(container, around, again=policy != "Never", always=policy == "Always")
        self._unfinished -= 1
        if self._unfinished or self._sidecars:
            # Whoever waits for this container hears of its end now, whatever the others still do.
            self.publish()

    async def _run(self, container: Container, around: ContainerContext, *, again: bool, always: bool) -> int:
        """Run a container until it has ended for good; returns its last exit code."""
        restarts = 0
        while await self._start(container, around):
            if container.process is not None:
                self._phase = "Running" if self._initialized else "Pending"
                self.publish()
            code = await self._wait_for_end(container, around)
            if self._ending.is_set() or not again or (code == 0 and not always):
                return code
            container.prepare_restart()
            await self._back_off(container, restarts)
            restarts += 1
        ended = container.state.terminated
        return ended.exit_code if ended is not None else -1

    async def _back_off(self, container: Container, restarts: int) -> None:
        if delay := _RESTART_BACKOFF[min(restarts, len(_RESTART_BACKOFF) - 1)]:
            pod = f"{self.name}_{self.namespace}({self._status_manager.pod['metadata']['uid']})"
            why = f"back-off {delay:g}s restarting failed container={container.name} pod={pod}"
            container.state.waiting = ("CrashLoopBackOff", why)
            told = f"Back-off restarting failed container {container.name} in pod {pod}"
            self._status_manager.record_event("BackOff", told, kind="Warning", container=container.name)
            self.publish()
            await self._pause(delay)

    async def _start(self, container: Container, around: ContainerContext) -> bool:
        """Start it, waiting for what it needs; False when the pod or the container is stopped before."""
        while not self._ending.is_set():
            if container.start(around) or container.state.terminated is not None:
                return True
            self.publish()
            await self._pause(_CONFIG_RETRY)
        return False

    async def _wait_for_end(self, container: Container, around: ContainerContext) -> int:
        """Wait for a container's end, and meanwhile for its start as its probe tells; returns the exit code."""
        if container.process is None or not prober.has_probes(container.spec):
            return await container.wait(self._status_manager.timestamp)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(prober.run_probes(container, around, self))
            code = await container.wait(self._status_manager.timestamp)
            watching.cancel()
        return code

    # -- told by those who watch over containers

    def on_health_changed(self) -> None:
        """See `embedded.kubelet.probes.prober.Watcher`."""
        if any(container.state.started for container, _ in self._sidecars[-1:]):
            self._sidecar_up.set()
        self.publish()

    def on_attempt_failed(self, container: Container, what: str, why: str) -> None:
        """See `embedded.kubelet.probes.prober.Watcher`."""
        if what == "PostStartHook":
            self._status_manager.record_event("FailedPostStartHook", why, kind="Warning", container=container.name)
        else:
            self._status_manager.record_event(
                "Unhealthy", f"{what} probe failed: {why}", kind="Warning", container=container.name
            )

    def on_probe_failed(self, container: Container, what: str) -> None:
        """See `embedded.kubelet.probes.prober.Watcher`."""
        if container.stop_requested:
            return
        self._status_manager.record_event(
            "Killing", f"Container {container.name} failed {what}", container=container.name
        )
        self._stop_gracefully(container, lambda: container.terminate_within(self._grace))

    def _request_stop(self, container: Container) -> None:
        container.stop_requested = True
        self._stop_gracefully(container, container.terminate)

    def _stop_gracefully(self, container: Container, end: Callable[[], None]) -> None:
        """End it, after its preStop hook if it has one; the hook's time is part of the grace period."""
        hook = (container.spec.get("lifecycle") or {}).get("preStop")
        if not hook or container.process is None or self._context is None or self._group is None or self._grace <= 0:
            end()
            return
        self._group.create_task(self._stop_after(hook, container, self._context, end))

    async def _stop_after(
        self, hook: Json, container: Container, around: ContainerContext, end: Callable[[], None]
    ) -> None:
        process = container.process
        if why := await run_action(hook, container, around, self._grace):
            self._status_manager.record_event("FailedPreStopHook", why, kind="Warning", container=container.name)
        if container.process is process:
            end()

    # -- sidecars

    async def _start_sidecar(self, group: asyncio.TaskGroup, container: Container, around: ContainerContext) -> None:
        """Start it and wait until it has; it is kept running from then on."""
        self._sidecar_up.clear()
        self._sidecars.append((container, group.create_task(self._keep_sidecar(container, around))))
        await self._sidecar_up.wait()

    async def _keep_sidecar(self, container: Container, around: ContainerContext) -> None:
        """Start it again whenever it ends, until the pod ends."""
        restarts = 0
        while await self._start(container, around):
            if container.state.started:
                self._sidecar_up.set()
            if restarts or not container.state.started:
                # The first start is told with that of the next container, which follows at once.
                self.publish()
            await self._wait_for_end(container, around)
            if self._ending.is_set():
                return
            container.prepare_restart()
            self.publish()
            await self._back_off(container, restarts)
            restarts += 1

    def _start_ending(self) -> None:
        """Nothing is started any more, and who waits for a start or a restart stops waiting."""
        self._ending.set()
        self._sidecar_up.set()

    async def _end_sidecars(self) -> None:
        """The last one first; together they have what is left of the grace period."""
        if not self._sidecars:
            return
        self._start_ending()
        left = self._main_grace.remaining(self._grace)
        self._sidecar_grace.start(0 if self._grace == 0 else max(left, MIN_SIDECAR_GRACE))
        for container, keeper in reversed(self._sidecars):
            self._request_stop(container)
            await asyncio.wait((keeper,))

    # -- being stopped

    def _plain(self) -> list[Container]:
        return [c for c in (*self._init, *self._main) if not is_sidecar(c.spec)]

    def _kill_plain(self) -> None:
        for container in self._plain():
            container.kill()

    def _kill_sidecars(self) -> None:
        for container, _ in self._sidecars:
            container.kill()

    async def _keep_deadline(self) -> None:
        """End the pod when its activeDeadlineSeconds are over; they may be set and shortened while it runs."""
        while self._stop_reason is None:
            self._deadline_changed.clear()
            seconds = self._status_manager.pod["spec"].get("activeDeadlineSeconds")
            left = None if seconds is None else self._began + seconds - asyncio.get_running_loop().time()
            if left is not None and left <= 0:
                self.stop("deadline")
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._deadline_changed.wait()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()

    # -- telling

    def publish(self) -> None:
        """Write the pod's status as it is now."""
        states = {c.name: c.state for c in (*self._init, *self._main)}
        shut_down = self._reason == "NodeShutdown"
        about = {"reason": self._reason, "message": self._message}
        about["disruption"] = "TerminationByKubelet" if shut_down else ""
        self._status_manager.publish(states, self._phase, initialized=self._initialized, **about)
