"""One pod from its start to its end: init containers, sidecars, main containers, and the ways to be stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from embedded.machinery.errors import ApiError
from embedded.machinery.registry import Registry, timestamp
from embedded.machinery.resources import CONFIG_MAPS, PODS, SECRETS
from embedded.runner import volumes
from embedded.runner.container import Container, Surroundings
from embedded.runner.environment import ConfigError
from embedded.runner.probes import wait_started
from embedded.runner.status import PodPicture, is_sidecar, pod_status

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_CONFIG_RETRY = 0.5
_RESTART_BACKOFF = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
End = Literal["deleted", "deadline", "shutdown"]


@dataclass(frozen=True)
class Place:
    """Where a pod runs: its folder, what it inherits, and the node's name."""

    folder: Path
    inherited: dict[str, str]
    node: str
    clock: Callable[[], datetime]


class PodWorker:
    """Runs one pod. `run` returns when its processes have ended and its last status is written."""

    def __init__(self, registry: Registry, pod: Json, place: Place) -> None:
        self._registry = registry
        self._pod = pod
        self._place = place
        spec = pod["spec"]
        waiting = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
        self._init = [Container(c, waiting) for c in spec.get("initContainers") or []]
        self._main = [Container(c, waiting) for c in spec["containers"]]
        self._around: Surroundings | None = None
        self._phase, self._reason, self._message = "Pending", "", ""
        self._initialized = not self._init
        self._start_time = self._stamp()
        self._began = time.monotonic()
        self._bound = False
        self._end: End | None = None
        self._ending = asyncio.Event()
        self._deadline_changed = asyncio.Event()
        self._grace = float(spec.get("terminationGracePeriodSeconds", 30))

    # -- from outside

    def container(self, name: str) -> Container | None:
        return next((c for c in (*self._init, *self._main) if c.name == name), None)

    def changed(self, pod: Json) -> None:
        """The pod's object has changed: it may be on its way out, or have got a deadline."""
        self._pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self._grace = float(pod["metadata"].get("deletionGracePeriodSeconds", self._grace))
            self.stop("deleted")
        self._deadline_changed.set()

    def stop(self, end: End) -> None:
        if not self._is_ending():
            self._end = end
            self._ending.set()

    def _is_ending(self) -> bool:
        return self._end is not None

    def shut_down(self, grace: float) -> None:
        """The cluster ends: so does the pod, within `grace` seconds."""
        self._grace = min(self._grace, grace)
        self.stop("shutdown")

    # -- the life of the pod

    async def run(self) -> None:
        deadline = asyncio.create_task(self._keep_deadline())
        try:
            await self._live()
        finally:
            deadline.cancel()
            await asyncio.wait((deadline,))
        self._publish()
        if self._end == "deleted":
            with contextlib.suppress(ApiError):
                self._registry.delete(PODS, *self._name(), grace_period=0)

    async def _live(self) -> None:
        try:
            async with self._sidecars():
                if await self._prepare() and await self._run_init():
                    await self._run_main()
        except OSError as error:
            _log.warning("pod %s: %s", self._pod["metadata"]["name"], error)
            self._fail("PodFailed", f"the pod can't be run: {error}")
        if self._end == "deadline":
            self._fail("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
        elif self._end == "shutdown":
            self._fail("NodeShutdown", "the cluster was stopped while the pod ran")
        elif self._phase not in ("Succeeded", "Failed"):
            self._phase = "Failed"

    async def _prepare(self) -> bool:
        """Make the volumes; waits for Secrets and ConfigMaps that are missing."""
        for container in (*self._init, *self._main):
            if not container.spec.get("command"):
                why = "it has no command, and images are not used here: give the container a command"
                self._fail("ImageNotUsed", f"container {container.name} can't run: {why}")
                return False
        while not self._is_ending():
            try:
                made = volumes.prepare(self._pod, self._place.folder / "volumes", self._secret, self._config_map)
            except ConfigError as error:
                for container in self._main:
                    container.state.waiting = ("ContainerCreating", f"MountVolume.SetUp failed: {error}")
                self._publish()
                await self._pause(_CONFIG_RETRY)
                continue
            self._around = Surroundings(
                self._pod,
                self._place.folder,
                self._place.inherited,
                made,
                self._secret,
                self._config_map,
                self._stamp,
            )
            return True
        return False

    async def _run_init(self) -> bool:
        """Run the init containers in order, and start the sidecars among them; True when the main ones may start."""
        again = self._pod["spec"]["restartPolicy"] != "Never"
        for container in self._init:
            if is_sidecar(container.spec):
                await self._start_sidecar(container)
            else:
                if await self._run_container(container, again=again, always=False) != 0:
                    self._phase = "Failed"
                    return False
            if self._is_ending():
                return False
        self._initialized = True
        return True

    async def _run_main(self) -> None:
        policy = self._pod["spec"]["restartPolicy"]
        async with asyncio.TaskGroup() as group, self._stopping_on_end(self._main):
            running = [
                group.create_task(self._run_container(c, again=policy != "Never", always=policy == "Always"))
                for c in self._main
            ]
            await asyncio.wait(running)
        codes = [c.state.terminated.exit_code if c.state.terminated else -1 for c in self._main]
        verdict = "Failed" if any(codes) else "Succeeded"
        if any(is_sidecar(c.spec) for c in self._init):
            # The main containers are over, whatever the sidecars still do: whoever waits hears of it now.
            self._publish()
        self._phase = verdict

    async def _run_container(self, container: Container, *, again: bool, always: bool) -> int:
        """Run a container until it has ended for good; returns its last exit code."""
        while True:
            if not await self._start(container):
                return _code(container)
            self._phase = "Running" if self._initialized else "Pending"
            self._publish()
            code = await self._wait(container) if container.process else _code(container)
            if self._is_ending() or not again or (code == 0 and not always):
                return code
            container.prepare_restart()
            delay = _RESTART_BACKOFF[min(container.state.restarts - 1, len(_RESTART_BACKOFF) - 1)]
            if delay:
                self._publish()
                await self._pause(delay)
            if self._is_ending():
                return code

    async def _start(self, container: Container) -> bool:
        """Start it, waiting for what it needs; False when the pod is stopped before."""
        assert self._around is not None
        while not self._is_ending():
            if container.start(self._around) or container.state.terminated is not None:
                return True
            self._publish()
            await self._pause(_CONFIG_RETRY)
        return False

    async def _wait(self, container: Container) -> int:
        return await container.wait(self._stamp)

    # -- sidecars

    @contextlib.asynccontextmanager
    async def _sidecars(self) -> AsyncIterator[None]:
        """Keeps sidecars running inside, and ends them afterwards, the last one first."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._keepers: list[tuple[Container, asyncio.Task[None]]] = []
            try:
                yield
            finally:
                for container, keeper in reversed(self._keepers):
                    await self._end_sidecar(container, keeper)

    async def _start_sidecar(self, container: Container) -> None:
        up = asyncio.Event()
        keeper = self._group.create_task(self._keep_sidecar(container, up))
        self._keepers.append((container, keeper))
        ending = asyncio.create_task(self._ending.wait())
        started = asyncio.create_task(up.wait())
        await asyncio.wait((ending, started, keeper), return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        started.cancel()

    async def _keep_sidecar(self, container: Container, up: asyncio.Event) -> None:
        while await self._start(container):
            if container.process is not None:
                probe = asyncio.create_task(self._probe(container, up))
                await self._wait(container)
                probe.cancel()
                await asyncio.wait((probe,))
            if container.told_to_end or self._is_ending():
                return
            container.prepare_restart()
            self._publish()
            await self._pause(_RESTART_BACKOFF[min(container.state.restarts, len(_RESTART_BACKOFF) - 1)])
            if container.told_to_end:
                return

    async def _probe(self, container: Container, up: asyncio.Event) -> None:
        await wait_started(container)
        container.state.started = True
        up.set()

    async def _end_sidecar(self, container: Container, keeper: asyncio.Task[None]) -> None:
        container.terminate()
        done, _ = await asyncio.wait((keeper,), timeout=self._grace)
        if not done:
            container.kill()
            await asyncio.wait((keeper,))

    # -- being stopped

    @contextlib.asynccontextmanager
    async def _stopping_on_end(self, containers: list[Container]) -> AsyncIterator[None]:
        """While inside, the containers get SIGTERM when the pod is to end, and SIGKILL after its grace period."""

        async def stopper() -> None:
            await self._ending.wait()
            for container in containers:
                container.terminate()
            await asyncio.sleep(self._grace)
            for container in containers:
                container.kill()

        task = asyncio.create_task(stopper())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def _keep_deadline(self) -> None:
        """End the pod when its activeDeadlineSeconds are over; they may be set and shortened while it runs."""
        while not self._is_ending():
            self._deadline_changed.clear()
            seconds = self._pod["spec"].get("activeDeadlineSeconds")
            left = None if seconds is None else self._began + seconds - time.monotonic()
            if left is not None and left <= 0:
                self.stop("deadline")
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._deadline_changed.wait()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()

    # -- telling

    def _fail(self, reason: str, message: str) -> None:
        self._phase, self._reason, self._message = "Failed", reason, message

    def _publish(self) -> None:
        """Write the pod's status; a pod that is gone needs none."""
        namespace, name = self._name()
        before = {c["type"]: c for c in self._pod.get("status", {}).get("conditions") or []}
        picture = PodPicture(
            self._pod,
            {c.name: c.state for c in (*self._init, *self._main)},
            self._phase,
            self._initialized,
            self._stamp(),
            self._start_time,
            self._reason,
            self._message,
            before,
        )
        status = pod_status(picture)
        try:
            if self._bound:
                self._pod = self._registry.update(
                    PODS, {"metadata": {}, "status": status}, namespace=namespace, name=name, subresource="status"
                )
            else:
                self._pod = self._registry.bind_pod(namespace, name, self._place.node, status)
                self._bound = True
        except ApiError as error:
            if error.code != 404:
                raise

    def _name(self) -> tuple[str, str]:
        metadata = self._pod["metadata"]
        return metadata["namespace"], metadata["name"]

    def _stamp(self) -> str:
        return timestamp(self._place.clock())

    def _secret(self, name: str) -> Json | None:
        return self._registry.find(SECRETS, self._name()[0], name)

    def _config_map(self, name: str) -> Json | None:
        return self._registry.find(CONFIG_MAPS, self._name()[0], name)


def _code(container: Container) -> int:
    ended = container.state.terminated
    return ended.exit_code if ended is not None else -1
