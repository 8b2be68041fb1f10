"""The runner: gives pods to their workers, first come, first served, and reads their logs.

How a pod runs is `embedded.kubelet.pod_worker`'s. On macOS the guarantees are weaker:
what leaves a container's process group stays (`embedded.kubelet.container.orphans`).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded.api.interfaces import ExecError, ExecOptions, ExecSession, LogOptions
from embedded.api.scheme import PODS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.kubelet import node, scheduler
from embedded.kubelet.config import volumes
from embedded.kubelet.config.environment import inherited_environment
from embedded.kubelet.container import cgroups, orphans
from embedded.kubelet.container.cgroups import CgroupMode
from embedded.kubelet.container.container import Container, log_path
from embedded.kubelet.container.process import StartError
from embedded.kubelet.container_lookup import (
    not_running_error,
    resolve_container,
    resolve_exec_container,
    resolve_restart,
    waiting_error,
)
from embedded.kubelet.logs import log_file
from embedded.kubelet.node_lost import node_lost_status
from embedded.kubelet.pod_worker import PodEnvironment, PodWorker
from embedded.registry.event_recorder import EventRecorder
from embedded.registry.registry import Registry
from embedded.registry.watcher import Watcher, WatcherTooSlowError
from embedded.storage.sqlite import StoreEvent

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_TERMINAL_PHASES = ("Succeeded", "Failed")
_SHUTDOWN_GRACE = 5.0
_REAP_INTERVAL = 5.0


@dataclass(frozen=True)
class KubeletSettings:
    """How pods run. `max_pods`: at once; the others wait. `inherited`: variables every container starts from.

    `log_limit`: bytes that are kept of each container's log. `cgroups`: see `embedded.kubelet.container.cgroups`.
    """

    max_pods: int
    inherited: dict[str, str] = field(default_factory=lambda: inherited_environment(os.environ))
    log_limit: int = log_file.DEFAULT_MAX_BYTES
    cgroups: CgroupMode = "auto"


class Kubelet:
    """Runs every pod of the cluster on this machine."""

    def __init__(self, registry: Registry, data_dir: Path, settings: KubeletSettings) -> None:
        self._registry = registry
        # /proc names folders by their real path.
        self._pods_dir = data_dir.resolve() / "pods"
        self._settings = settings
        self._recorder = EventRecorder(registry, "kubelet")
        self._scheduler_recorder = EventRecorder(registry, scheduler.SCHEDULER_NAME)
        self._cgroups = cgroups.Cgroups({}, "the runner has not begun")
        self._workers: dict[str, PodWorker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending: dict[str, Json] = {}
        """Pods without a place yet, by uid, in the order of their arrival."""
        self._unschedulable: dict[str, Json] = {}
        """Pods that the node does not take as they are, by uid."""
        self._reported: set[str] = set()
        """Those of them whose status says that they wait."""

    async def run(self) -> None:
        """Run pods until cancelled; then end all of them and return when no process is left."""
        orphans.become_subreaper()
        self._pods_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._recover_from_crash()
        self._cgroups = cgroups.detect(self._settings.cgroups)
        node.register_node(self._registry, self._settings.max_pods, self._cgroups)
        # The pods' group is not that of the tasks that read: it outlives a cancellation until every pod has ended.
        async with asyncio.TaskGroup() as pods:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._reap_periodically())
                    group.create_task(self._watch_pods(pods))
            except asyncio.CancelledError:
                await self._shut_down()
                self._cgroups.close()
                raise

    async def _watch_pods(self, group: asyncio.TaskGroup) -> None:
        while True:
            subscription = self._registry.watch(PODS)
            try:
                self._resync()
                await self._follow_changes(subscription, group)
            except WatcherTooSlowError:
                _log.warning("pods changed faster than they could be followed; looking at all of them again")
            finally:
                subscription.close()

    async def _follow_changes(self, subscription: Watcher, group: asyncio.TaskGroup) -> None:
        while True:
            self._start_pending(group)
            await subscription.wait()
            for event in subscription.drain():
                await self._handle_event(event)

    def _resync(self) -> None:
        """Look at what there is: pods that nobody told of, and pods whose end nobody told of."""
        pods = {pod["metadata"]["uid"]: pod for pod in self._registry.list(PODS)}
        for known in (self._pending, self._unschedulable):
            for uid in known.keys() - pods.keys():
                del known[uid]
        for uid in self._workers.keys() - pods.keys():
            self._workers[uid].stop("deleted", 0)
        # Revisions tell the order of arrival: a waiting pod is written again at most once, to say that it waits.
        for uid, pod in sorted(pods.items(), key=lambda item: int(item[1]["metadata"]["resourceVersion"])):
            if uid in self._workers:
                self._workers[uid].on_pod_changed(pod)
            elif pod["status"].get("phase") not in _TERMINAL_PHASES:
                self._pending.setdefault(uid, pod)

    async def _handle_event(self, event: StoreEvent) -> None:
        uid = event.object["metadata"]["uid"]
        worker = self._workers.get(uid)
        if event.type == "DELETED":
            self._pending.pop(uid, None)
            self._unschedulable.pop(uid, None)
            self._reported.discard(uid)
            if worker is not None:
                worker.stop("deleted", 0)
            else:
                await asyncio.to_thread(volumes.remove_tree, self._pods_dir / uid)
        elif worker is not None:
            if _concerns_worker(event):
                worker.on_pod_changed(event.object)
        elif uid in self._pending or uid in self._unschedulable or event.type == "ADDED":
            self._unschedulable.pop(uid, None)
            self._pending[uid] = event.object

    def _start_pending(self, group: asyncio.TaskGroup) -> None:
        while self._pending and len(self._workers) < self._settings.max_pods:
            uid = next(iter(self._pending))
            pod = self._pending.pop(uid)
            if self._is_unschedulable(uid, pod):
                continue
            self._reported.discard(uid)
            if pod["status"].get("phase") in _TERMINAL_PHASES or pod["spec"].get("nodeName") not in (
                None,
                "",
                node.NODE_NAME,
            ):
                continue
            folder = self._pods_dir / uid
            folder.mkdir(mode=0o700, exist_ok=True)
            place = PodEnvironment(
                folder,
                self._settings.inherited,
                node.NODE_NAME,
                self._registry.clock,
                self._cgroups,
                self._settings.log_limit,
            )
            worker = self._workers[uid] = PodWorker(self._registry, self._recorder, pod, place)
            task = group.create_task(self._run_worker(uid, worker, group), name=f"pod {uid}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if len(self._reported) < len(self._pending):
            for uid in [uid for uid in self._pending if uid not in self._reported]:
                self._reported.add(uid)
                self._report_node_full(self._pending[uid])

    def _is_unschedulable(self, uid: str, pod: Json) -> bool:
        """Whether the node does not take a pod; it is told once why, and looked at again when it changes."""
        why = scheduler.find_scheduling_failure(pod, node.labels(), node.capacity())
        if why is None or pod["spec"].get("nodeName") or pod["status"].get("phase") in _TERMINAL_PHASES:
            return False
        self._unschedulable[uid] = pod
        if why.reason and uid not in self._reported:
            self._reported.add(uid)
            self._write_unscheduled(pod, why.reason, why.message)
            if why.reason == "Unschedulable":
                self._scheduler_recorder.event(PODS, pod, "FailedScheduling", why.message, event_type="Warning")
        return True

    def _report_node_full(self, pod: Json) -> None:
        message = (
            f"0/1 nodes are available: {len(self._workers)} pods run already and {self._settings.max_pods} "
            "may at once. It starts when one of them ends."
        )
        self._write_unscheduled(pod, "Unschedulable", message)

    def _write_unscheduled(self, pod: Json, reason: str, message: str) -> None:
        condition: Json = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
        condition |= {"lastProbeTime": None, "lastTransitionTime": self._registry.now()}
        self._write_status(pod, {**pod["status"], "conditions": [condition]})

    async def _run_worker(self, uid: str, worker: PodWorker, group: asyncio.TaskGroup) -> None:
        try:
            await worker.run()
        except Exception as error:
            # One pod's trouble is its own: the others run on, the cause is in the log, and whoever waits is told.
            _log.exception("pod %s failed in the runner", uid)
            worker.fail("RunnerFailed", f"the runner failed on it: {error!r}; the cluster's log has the cause")
            worker.publish()
        finally:
            del self._workers[uid]
        self._start_pending(group)
        # Volumes hold secrets and may be large; logs stay as long as the pod's object.
        gone = not self._exists(uid, worker)
        for folder in (
            [self._pods_dir / uid] if gone else [self._pods_dir / uid / "volumes", self._pods_dir / uid / "root"]
        ):
            await asyncio.to_thread(volumes.remove_tree, folder)

    def _exists(self, uid: str, worker: PodWorker) -> bool:
        found = self._registry.find(ObjectRef(PODS, worker.namespace, worker.name))
        return found is not None and found["metadata"]["uid"] == uid

    async def _shut_down(self) -> None:
        """End all pods and wait for them: a pod whose end nobody wrote down would be lost."""
        self._pending.clear()
        for worker in self._workers.values():
            worker.stop("shutdown", _SHUTDOWN_GRACE)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _reap_periodically(self) -> None:
        """Bury adopted processes that have ended; those of a running container would otherwise pile up."""
        while True:
            await asyncio.sleep(_REAP_INTERVAL)
            if self._workers:
                orphans.reap()

    def _recover_from_crash(self) -> None:
        """End what an earlier life left running, and fail its pods: nobody knows what became of them."""
        pods = {pod["metadata"]["uid"]: pod for pod in self._registry.list(PODS)}
        folders = [folder for folder in self._pods_dir.iterdir() if folder.is_dir()]
        if ended := orphans.kill_orphans({folder.name for folder in folders}):
            _log.warning("ended %d processes that an earlier life of the cluster left behind", ended)
        for folder in folders:
            if folder.name not in pods:
                volumes.remove_tree(folder)
        for pod in pods.values():
            if pod["spec"].get("nodeName") == node.NODE_NAME and pod["status"].get("phase") not in _TERMINAL_PHASES:
                self._write_status(pod, node_lost_status(pod["status"], self._registry.now()))
                if "deletionTimestamp" in pod["metadata"]:
                    metadata = pod["metadata"]
                    self._registry.delete(ObjectRef(PODS, metadata["namespace"], metadata["name"]), grace_period=0)

    def _write_status(self, pod: Json, status: Json) -> None:
        metadata = pod["metadata"]
        changed = {"metadata": {"uid": metadata["uid"]}, "status": status}
        with suppress(ApiError):
            # Deleted meanwhile: its event is on the way.
            self._registry.update(
                ObjectRef(PODS, metadata["namespace"], metadata["name"]), changed, subresource="status"
            )

    # -- commands inside containers

    def exec_target(self, namespace: str, pod: str, container: str) -> str:
        """See `embedded.api.interfaces.PodRunner`."""
        return self._running_container(namespace, pod, container).name

    def exec(self, namespace: str, pod: str, options: ExecOptions) -> ExecSession:
        """See `embedded.api.interfaces.PodRunner`."""
        container = self._running_container(namespace, pod, options.container)
        try:
            session = container.exec(options)
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
        if container is None or container.process is None:
            raise not_running_error(name)
        return container

    # -- logs

    async def read_log(self, namespace: str, pod: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """See `embedded.api.interfaces.PodRunner`."""
        obj = self._registry.get(ObjectRef(PODS, namespace, pod))
        uid = obj["metadata"]["uid"]
        name = resolve_container(obj, options.container)
        worker = self._workers.get(uid)
        container = worker.container(name) if worker is not None else None
        writer = container.log if container is not None else None
        if writer is not None and not writer.closed and not options.previous:
            # It runs: what its status will say may not be written yet.
            path = writer.path
        else:
            path = log_path(self._pods_dir / uid, name, resolve_restart(obj, name, previous=options.previous))
            if not path.exists():
                raise waiting_error(pod, name, "ContainerCreating")
            if writer is not None and writer.path != path:
                writer = None
        since = int(options.since.timestamp()) * 1_000_000_000 if options.since is not None else None
        if options.since is not None and since is not None:
            since += options.since.microsecond * 1000
        part = log_file.LogRange(options.tail_lines, since, options.timestamps)
        left = options.limit_bytes
        async with aclosing(log_file.read_log(path, writer, part, follow=options.follow)) as chunks:
            async for chunk in chunks:
                if left is None:
                    yield chunk
                    continue
                yield chunk[:left]
                left -= len(chunk)
                if left <= 0:
                    return


def _concerns_worker(event: StoreEvent) -> bool:
    """Whether a change asks something of the pod's worker. Its own writes do not."""
    if event.previous is None:
        return True

    def orders(pod: Json) -> tuple[Any, ...]:
        metadata = pod["metadata"]
        marks = (metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds"))
        return (*marks, pod["spec"].get("activeDeadlineSeconds"))

    return orders(event.previous) != orders(event.object)
