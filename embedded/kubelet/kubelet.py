"""The kubelet: starts a worker for each pod, first come, first served; serves logs and exec.

How a pod runs is decided in `embedded.kubelet.pod_worker`. On macOS the guarantees are weaker: processes that leave a
container's process group keep running (`embedded.kubelet.runtime.process.orphans`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from embedded.api.interfaces import ExecError, ExecOptions, ExecSession, LogOptions
from embedded.api.scheme import NODES, PODS, ObjectRef
from embedded.api.status_errors import ApiError, not_found
from embedded.kubelet import node, scheduler
from embedded.kubelet.container.container import Container
from embedded.kubelet.container_lookup import (
    not_running_error,
    resolve_container,
    resolve_exec_container,
    resolve_restart,
    waiting_error,
)
from embedded.kubelet.folder_remover import FolderRemover
from embedded.kubelet.logs.files import DEFAULT_MAX_BYTES, log_path
from embedded.kubelet.logs.reader import LogRange, read_log
from embedded.kubelet.logs.writer import LogWriter
from embedded.kubelet.metrics import MetricsReader
from embedded.kubelet.pod_changes import concerns_worker, is_reverted, may_run_here
from embedded.kubelet.pod_status import TERMINAL_PHASES, node_lost_status
from embedded.kubelet.pod_worker import PodEnvironment, PodWorker
from embedded.kubelet.runtime.interface import Runtime, StartError
from embedded.kubelet.termination import StopReason
from embedded.registry.event_recorder import EventRecorder
from embedded.registry.registry import Registry
from embedded.registry.watcher import Watcher, WatcherTooSlowError
from embedded.storage.sqlite import StoreEvent

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_SHUTDOWN_GRACE = 5.0
"""Seconds that pods have to end when the cluster is stopped."""
_REAP_INTERVAL = 5.0
"""Seconds between two searches for adopted processes that have ended."""


@dataclass(frozen=True)
class KubeletSettings:
    """How pods run."""

    max_pods: int
    """Pods that run at once; the others stay pending."""
    log_limit: int = DEFAULT_MAX_BYTES
    """Bytes that are kept of each container's log."""
    restore_delay: float = 5.0
    """Seconds until the status of a finished pod is restored; a real kubelet does that with its next sync."""


class Kubelet:
    """Runs every pod of the cluster on this machine.

    Args:
        runtime: runs the containers; it is open, and closed only after `run` has returned.
    """

    def __init__(self, registry: Registry, data_dir: Path, settings: KubeletSettings, runtime: Runtime) -> None:
        self._registry = registry
        # /proc names folders by their real path.
        self._pods_dir = data_dir.resolve() / "pods"
        self._settings = settings
        self._recorder = EventRecorder(registry, "kubelet", node.NODE_NAME)
        self._scheduler_recorder = EventRecorder(registry, scheduler.SCHEDULER_NAME)
        self._runtime = runtime
        self._folder_remover = FolderRemover(runtime)
        self._metrics = MetricsReader()
        self._node = node.SchedulingState(node.labels())
        self._workers: dict[str, PodWorker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending: dict[str, Json] = {}
        """Pods that wait because the node is full, by uid, in the order of their arrival."""
        self._unschedulable: dict[str, Json] = {}
        """Pods that the node can't run as they are, by uid."""
        self._reported: set[str] = set()
        """Uids of pending pods whose status says that the node is full."""
        self._reported_unschedulable: set[str] = set()
        """Uids of unschedulable pods whose status says why."""

    async def run(self) -> None:
        """Run pods until cancelled; then end all of them, and return when no process is left."""
        self._pods_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._recover_from_crash()
        node.register_node(self._registry, self._settings.max_pods, self._runtime)
        self._node = node.scheduling_state(self._registry) or self._node
        # Pods have a separate task group: it outlives a cancellation until every pod has ended.
        async with asyncio.TaskGroup() as pods:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._reap_periodically())
                    group.create_task(self._folder_remover.run())
                    group.create_task(self._watch_pods(pods))
                    group.create_task(self._watch_node(pods))
            except asyncio.CancelledError:
                await self._shut_down()
                raise

    async def _watch_pods(self, group: asyncio.TaskGroup) -> None:
        while True:
            subscription = self._registry.watch(PODS)
            try:
                self._resync()
                await self._follow_changes(subscription, group)
            except WatcherTooSlowError:
                _log.warning("the pod watch fell behind; listing all pods again")
            finally:
                subscription.close()

    async def _watch_node(self, group: asyncio.TaskGroup) -> None:
        """Check unschedulable pods again when the node is cordoned, uncordoned or labelled."""
        while True:
            subscription = self._registry.watch(NODES)
            try:
                while True:
                    self._take_over_node(group)
                    await subscription.wait()
                    subscription.drain()
            except WatcherTooSlowError:
                _log.warning("the node watch fell behind; reading the node again")
            finally:
                subscription.close()

    def _take_over_node(self, group: asyncio.TaskGroup) -> None:
        state = node.scheduling_state(self._registry)
        if state is None or state == self._node:
            return
        self._node = state
        self._reported_unschedulable.clear()
        self._pending |= self._unschedulable
        self._unschedulable.clear()
        self._start_pending(group)

    async def _follow_changes(self, subscription: Watcher, group: asyncio.TaskGroup) -> None:
        while True:
            self._start_pending(group)
            await subscription.wait()
            for event in subscription.drain():
                self._handle_event(event)

    def _resync(self) -> None:
        """Compare the pods that exist with those that are known, after a start or a lost event."""
        pods = {pod["metadata"]["uid"]: pod for pod in self._registry.list(PODS)}
        for known in (self._pending, self._unschedulable):
            for uid in known.keys() - pods.keys():
                del known[uid]
        self._reported &= pods.keys()
        self._reported_unschedulable &= pods.keys()
        for uid in self._workers.keys() - pods.keys():
            self._workers[uid].stop(StopReason.DELETED, 0)
        # Revisions give the order of arrival: a pending pod is written at most once, to report that it waits.
        for uid, pod in sorted(pods.items(), key=lambda item: int(item[1]["metadata"]["resourceVersion"])):
            if uid in self._workers:
                self._workers[uid].on_pod_changed(pod)
            elif pod["status"].get("phase") not in TERMINAL_PHASES:
                self._pending.setdefault(uid, pod)

    def _handle_event(self, event: StoreEvent) -> None:
        uid = event.object["metadata"]["uid"]
        worker = self._workers.get(uid)
        if event.type == "DELETED":
            self._pending.pop(uid, None)
            self._unschedulable.pop(uid, None)
            self._reported.discard(uid)
            self._reported_unschedulable.discard(uid)
            if worker is not None:
                worker.stop(StopReason.DELETED, 0)
            else:
                self._folder_remover.add(self._pods_dir / uid)
        elif worker is not None:
            if concerns_worker(event):
                worker.on_pod_changed(event.object)
            worker.on_status_changed(event.object)
        elif event.previous is not None and is_reverted(event.previous, event.object):
            asyncio.get_running_loop().call_later(self._settings.restore_delay, self._restore_status, event)
        elif uid in self._pending or uid in self._unschedulable or event.type == "ADDED":
            self._unschedulable.pop(uid, None)
            self._pending[uid] = event.object

    def _start_pending(self, group: asyncio.TaskGroup) -> None:
        while self._pending and len(self._workers) < self._settings.max_pods:
            uid = next(iter(self._pending))
            pod = self._pending.pop(uid)
            self._reported.discard(uid)
            if not self._is_unschedulable(uid, pod) and may_run_here(pod):
                self._start_worker(uid, pod, group)
        if len(self._reported) < len(self._pending):
            reported = self._reported | self._reported_unschedulable
            # In the order of arrival, which a resync reads from the revisions.
            for uid in [uid for uid in self._pending if uid not in reported]:
                self._reported.add(uid)
                self._report_node_full(self._pending[uid])

    def _start_worker(self, uid: str, pod: Json, group: asyncio.TaskGroup) -> None:
        folder = self._pods_dir / uid
        folder.mkdir(mode=0o700, exist_ok=True)
        if not pod["spec"].get("nodeName"):
            assigned = f"{pod['metadata']['namespace']}/{pod['metadata']['name']} to {node.NODE_NAME}"
            self._scheduler_recorder.event(PODS, pod, "Scheduled", f"Successfully assigned {assigned}")
        environment = PodEnvironment(
            folder=folder,
            runtime=self._runtime,
            node=node.NODE_NAME,
            clock=self._registry.clock,
            log_limit=self._settings.log_limit,
        )
        worker = self._workers[uid] = PodWorker(self._registry, self._recorder, pod, environment)
        task = group.create_task(self._run_worker(uid, worker, group), name=f"pod {uid}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _restore_status(self, event: StoreEvent) -> None:
        """Write the final status that a change has overwritten, unless the pod has changed again."""
        ref = ObjectRef(PODS, event.key.namespace, event.key.name)
        if event.previous is not None and self._registry.find(ref) == event.object:
            self._write_status(event.object, event.previous["status"])

    def _is_unschedulable(self, uid: str, pod: Json) -> bool:
        """Whether the node can't run a pod. The reason is reported once; the pod is checked again when it changes."""
        failure = scheduler.find_scheduling_failure(pod, self._node, self._runtime.capacity)
        if failure is None or pod["spec"].get("nodeName") or pod["status"].get("phase") in TERMINAL_PHASES:
            self._reported_unschedulable.discard(uid)
            return False
        self._unschedulable[uid] = pod
        if failure.reason and uid not in self._reported_unschedulable:
            self._reported_unschedulable.add(uid)
            self._write_unscheduled(pod, failure.reason, failure.message)
            if failure.reason == "Unschedulable":
                self._scheduler_recorder.event(PODS, pod, "FailedScheduling", failure.message, event_type="Warning")
        return True

    def _report_node_full(self, pod: Json) -> None:
        message = scheduler.unschedulable_message(scheduler.TOO_MANY_PODS)
        self._write_unscheduled(pod, "Unschedulable", message)
        self._scheduler_recorder.event(PODS, pod, "FailedScheduling", message, event_type="Warning")

    def _write_unscheduled(self, pod: Json, reason: str, message: str) -> None:
        condition: Json = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
        condition |= {"lastProbeTime": None, "lastTransitionTime": self._registry.now()}
        condition["observedGeneration"] = pod["metadata"].get("generation", 1)
        self._write_status(pod, {**pod["status"], "conditions": [condition]})

    async def _run_worker(self, uid: str, worker: PodWorker, group: asyncio.TaskGroup) -> None:
        try:
            await worker.run()
        except Exception as error:
            # A defect in one worker must not stop the other pods: it is logged, and the pod fails.
            _log.exception("the worker of pod %s/%s failed", worker.namespace, worker.name)
            worker.fail("RunnerFailed", f"internal error: {error!r}; see the cluster's log for the cause")
            worker.publish()
        finally:
            del self._workers[uid]
        self._start_pending(group)
        # Volumes contain secrets and may be large; logs stay as long as the pod's object.
        folder = self._pods_dir / uid
        self._folder_remover.add(*(_content_folders(folder) if self._exists(uid, worker) else [folder]))

    def _exists(self, uid: str, worker: PodWorker) -> bool:
        found = self._registry.find(ObjectRef(PODS, worker.namespace, worker.name))
        return found is not None and found["metadata"]["uid"] == uid

    async def _shut_down(self) -> None:
        """End all pods and wait until their final status is written."""
        self._pending.clear()
        for worker in self._workers.values():
            worker.stop(StopReason.SHUTDOWN, _SHUTDOWN_GRACE)
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._folder_remover.flush()
        for recorder in (self._scheduler_recorder, self._recorder):
            recorder.flush()

    async def _reap_periodically(self) -> None:
        """Let the runtime free what ended processes of running containers occupy; they would accumulate."""
        while True:
            await asyncio.sleep(_REAP_INTERVAL)
            if self._workers:
                self._runtime.collect()

    async def _recover_from_crash(self) -> None:
        """End what a killed cluster left running, and fail its pods, whose results are unknown."""
        pods = {pod["metadata"]["uid"]: pod for pod in self._registry.list(PODS)}
        folders = [folder for folder in self._pods_dir.iterdir() if folder.is_dir()]
        if killed := await self._runtime.kill_leftovers({folder.name for folder in folders}):
            _log.warning("killed %d processes or containers that an earlier cluster process left behind", killed)
        for folder in folders:
            self._folder_remover.add(*(_content_folders(folder) if folder.name in pods else [folder]))
        await self._folder_remover.flush()
        for pod in pods.values():
            if pod["spec"].get("nodeName") == node.NODE_NAME and pod["status"].get("phase") not in TERMINAL_PHASES:
                self._write_status(pod, node_lost_status(pod["status"], self._registry.now()))
                if "deletionTimestamp" in pod["metadata"]:
                    metadata = pod["metadata"]
                    self._registry.delete(ObjectRef(PODS, metadata["namespace"], metadata["name"]), grace_period=0)

    def _write_status(self, pod: Json, status: Json) -> None:
        metadata = pod["metadata"]
        changed = {"metadata": {"uid": metadata["uid"]}, "status": status}
        with suppress(ApiError):
            # Ignored: the pod was deleted meanwhile, and its event follows.
            self._registry.update(
                ObjectRef(PODS, metadata["namespace"], metadata["name"]), changed, subresource="status"
            )

    # -- exec

    def exec_target(self, namespace: str, pod: str, container: str) -> str:
        """See `embedded.api.interfaces.PodRunner`."""
        return self._running_container(namespace, pod, container).name

    async def exec(self, namespace: str, pod: str, options: ExecOptions) -> ExecSession:
        """See `embedded.api.interfaces.PodRunner`."""
        container = self._running_container(namespace, pod, options.container)
        try:
            session = await container.exec(options)
        except StartError as error:
            raise ExecError(str(error)) from error
        if session is None:
            raise not_running_error(container.name)
        return session

    def _running_container(self, namespace: str, pod: str, requested: str) -> Container:
        obj = self._registry.get(ObjectRef(PODS, namespace, pod))
        name = resolve_exec_container(obj, requested)
        worker = self._workers.get(obj["metadata"]["uid"])
        container = worker.container(name) if worker is not None else None
        if container is None or container.running is None:
            raise not_running_error(name)
        return container

    # -- metrics

    async def read_metrics(self, namespace: str, matches: Callable[[Json], bool]) -> list[Json]:
        """See `embedded.api.interfaces.KubeletApi`."""
        pods = [worker.measured for worker in self._workers.values()]
        wanted = [each for each in pods if namespace in ("", each.pod["metadata"]["namespace"]) and matches(each.pod)]
        return await self._metrics.read(wanted)

    async def read_node_metrics(self, matches: Callable[[Json], bool]) -> list[Json]:
        """See `embedded.api.interfaces.KubeletApi`."""
        found = self._registry.find(ObjectRef(NODES, None, node.NODE_NAME))
        if found is None or not matches(found):
            return []
        return [await self._metrics.read_node(found, [worker.measured for worker in self._workers.values()])]

    # -- logs

    async def read_log(self, namespace: str, pod: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """See `embedded.api.interfaces.PodRunner`."""
        path, writer = self._find_log(self._registry.get(ObjectRef(PODS, namespace, pod)), options)
        part = LogRange(options.tail_lines, _nanoseconds(options.since), options.timestamps)
        left = options.limit_bytes
        async with aclosing(read_log(path, writer, part, follow=options.follow)) as chunks:
            async for chunk in chunks:
                if left is None:
                    yield chunk
                    continue
                yield chunk[:left]
                left -= len(chunk)
                if left <= 0:
                    return

    def _find_log(self, pod: Json, options: LogOptions) -> tuple[Path, LogWriter | None]:
        """The log that a request means, and its writer while the container runs.

        Raises:
            ApiError: 400, the container does not exist or has no such log yet; 404, the pod's node does not exist.
        """
        uid = pod["metadata"]["uid"]
        name = resolve_container(pod, options.container)
        assigned = pod["spec"].get("nodeName") or node.NODE_NAME
        if assigned != node.NODE_NAME:
            # A real server words it as if the node were a pod.
            raise not_found(PODS.plural, assigned)
        worker = self._workers.get(uid)
        container = worker.container(name) if worker is not None else None
        writer = container.log if container is not None else None
        if writer is not None and not writer.closed and not options.previous:
            # The container runs: its status may not be written yet.
            return writer.path, writer
        path = log_path(self._pods_dir / uid, name, resolve_restart(pod, name, previous=options.previous))
        if not path.exists():
            raise waiting_error(pod["metadata"]["name"], name, "ContainerCreating")
        return path, writer if writer is not None and writer.path == path else None


def _content_folders(folder: Path) -> list[Path]:
    """What goes when a pod ends: volumes contain secrets and may be large; logs stay as long as the pod's object."""
    return [folder / "volumes", folder / "root"]


def _nanoseconds(moment: datetime | None) -> int | None:
    """A time in nanoseconds since 1970."""
    if moment is None:
        return None
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
