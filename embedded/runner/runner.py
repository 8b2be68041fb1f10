"""The runner: gives pods to their workers, first come, first served, and reads their logs."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded.machinery.errors import bad_request
from embedded.machinery.ports import LogOptions
from embedded.machinery.registry import Registry
from embedded.machinery.resources import PODS
from embedded.runner import logs, node
from embedded.runner.container import log_path
from embedded.runner.environment import inherited
from embedded.runner.pod import Place, PodWorker
from embedded.runner.process import become_subreaper, kill_orphans
from embedded.storage.store import Event

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_TERMINAL = ("Succeeded", "Failed")
_SHUTDOWN_GRACE = 5.0


@dataclass(frozen=True)
class RunnerSettings:
    """How pods run. `max_pods`: at once; the others wait. `inherited`: variables every container starts from."""

    max_pods: int
    inherited: dict[str, str] = field(default_factory=lambda: inherited(os.environ))


class Runner:
    """Runs every pod of the cluster on this machine."""

    def __init__(self, registry: Registry, data_dir: Path, settings: RunnerSettings) -> None:
        self._registry = registry
        self._pods_dir = data_dir / "pods"
        self._settings = settings
        self._workers: dict[str, PodWorker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, Json] = {}
        """Pods without a place yet, by uid, in the order of their arrival."""

    async def run(self) -> None:
        """Run pods until cancelled; then end all of them and return when no process is left."""
        become_subreaper()
        self._pods_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clean_up_after_a_crash()
        node.register(self._registry, self._settings.max_pods)
        subscription = self._registry.watch(PODS)
        for pod in self._registry.list(PODS):
            self._waiting[pod["metadata"]["uid"]] = pod
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    self._fill_places(group)
                    while True:
                        await subscription.wait()
                        for event in subscription.take():
                            self._observe(event)
                        self._fill_places(group)
                except asyncio.CancelledError:
                    await self._shut_down()
                    raise
        finally:
            subscription.close()

    def _observe(self, event: Event) -> None:
        uid = event.object["metadata"]["uid"]
        worker = self._workers.get(uid)
        if event.type == "DELETED":
            self._waiting.pop(uid, None)
            if worker is not None:
                worker.stop("deleted")
            else:
                shutil.rmtree(self._pods_dir / uid, ignore_errors=True)
        elif worker is not None:
            if _concerns_worker(event):
                worker.changed(event.object)
        elif event.type == "ADDED":
            self._waiting[uid] = event.object

    def _fill_places(self, group: asyncio.TaskGroup) -> None:
        while self._waiting and len(self._workers) < self._settings.max_pods:
            uid = next(iter(self._waiting))
            pod = self._waiting.pop(uid)
            if pod["status"].get("phase") in _TERMINAL or pod["spec"].get("nodeName") not in (None, "", node.NAME):
                continue
            folder = self._pods_dir / uid
            folder.mkdir(mode=0o700, exist_ok=True)
            place = Place(folder, self._settings.inherited, node.NAME, self._registry.clock)
            worker = self._workers[uid] = PodWorker(self._registry, pod, place)
            task = group.create_task(self._work(uid, worker, group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        for pod in self._waiting.values():
            self._say_why_it_waits(pod)

    def _say_why_it_waits(self, pod: Json) -> None:
        if pod["status"].get("conditions"):
            return
        message = (
            f"0/1 nodes are available: {len(self._workers)} pods run already and {self._settings.max_pods} "
            "may at once. It starts when one of them ends."
        )
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": self._registry.now(),
        }
        pod["status"] = {**pod["status"], "conditions": [condition]}
        metadata = pod["metadata"]
        self._registry.update(
            PODS,
            {"metadata": {}, "status": pod["status"]},
            namespace=metadata["namespace"],
            name=metadata["name"],
            subresource="status",
        )

    async def _work(self, uid: str, worker: PodWorker, group: asyncio.TaskGroup) -> None:
        try:
            await worker.run()
        except Exception:
            # One pod's trouble is its own: the others run on, and the cause is in the log.
            _log.exception("pod %s failed in the runner", uid)
        finally:
            del self._workers[uid]
            # Volumes hold secrets and may be large; logs stay as long as the pod's object.
            shutil.rmtree(self._pods_dir / uid / "volumes", ignore_errors=True)
        self._fill_places(group)

    async def _shut_down(self) -> None:
        """End all pods and wait for them: a pod whose end nobody wrote down would be lost."""
        self._waiting.clear()
        for worker in self._workers.values():
            worker.shut_down(_SHUTDOWN_GRACE)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _clean_up_after_a_crash(self) -> None:
        """End what an earlier life left running, and fail its pods: nobody knows what became of them."""
        uids = {pod["metadata"]["uid"]: pod for pod in self._registry.list(PODS)}
        for folder in self._pods_dir.iterdir():
            kill_orphans(f"{folder.name}/")
            if folder.name not in uids:
                shutil.rmtree(folder, ignore_errors=True)
        for pod in uids.values():
            if pod["spec"].get("nodeName") == node.NAME and pod["status"].get("phase") not in _TERMINAL:
                self._mark_lost(pod)

    def _mark_lost(self, pod: Json) -> None:
        metadata, now = pod["metadata"], self._registry.now()
        status = {
            **pod["status"],
            "phase": "Failed",
            "reason": "NodeLost",
            "message": "the cluster was killed while the pod ran; its processes were ended",
        }
        for state in [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]:
            if "running" in state["state"]:
                began = state["state"]["running"]["startedAt"]
                ended = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": began, "finishedAt": now}
                state |= {"state": {"terminated": ended}, "ready": False, "started": False}
        namespace, name = metadata["namespace"], metadata["name"]
        self._registry.update(
            PODS, {"metadata": {}, "status": status}, namespace=namespace, name=name, subresource="status"
        )
        if "deletionTimestamp" in metadata:
            self._registry.delete(PODS, namespace, name, grace_period=0)

    # -- logs

    async def read_log(self, namespace: str, pod: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """See `embedded.machinery.ports.PodLogs`."""
        obj = self._registry.get(PODS, namespace, pod)
        uid = obj["metadata"]["uid"]
        name = _container_name(obj, options.container)
        worker = self._workers.get(uid)
        container = worker.container(name) if worker is not None else None
        restarts = _restarts(obj, name) if container is None else container.state.restarts
        if options.previous and restarts == 0:
            raise bad_request(f'previous terminated container "{name}" in pod "{pod}" not found')
        restart = restarts - 1 if options.previous else restarts
        path = log_path(self._pods_dir / uid, name, restart)
        if not path.exists():
            raise bad_request(f'container "{name}" in pod "{pod}" is waiting to start: {_waiting_reason(obj, name)}')
        writer = container.log if container is not None and not options.previous else None
        since = options.since
        chunks = logs.read(
            path,
            writer,
            follow=options.follow,
            tail_lines=options.tail_lines,
            since_ns=int(since.timestamp() * 1_000_000_000) if since is not None else None,
            timestamps=options.timestamps,
        )
        left = options.limit_bytes
        try:
            async for chunk in chunks:
                yield chunk if left is None else chunk[:left]
                if left is not None:
                    left -= len(chunk)
                    if left <= 0:
                        return
        finally:
            await chunks.aclose()


def _concerns_worker(event: Event) -> bool:
    """Whether a change is one that the worker did not make itself."""
    if event.previous is None:
        return True

    def orders(pod: Json) -> tuple[Any, ...]:
        metadata = pod["metadata"]
        marks = (metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds"))
        return (*marks, pod["spec"].get("activeDeadlineSeconds"))

    return orders(event.previous) != orders(event.object)


def _container_name(pod: Json, wanted: str) -> str:
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [c["name"] for c in [*(spec.get("initContainers") or []), *spec["containers"]]]
    if wanted:
        if wanted not in names:
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    mains = [c["name"] for c in spec["containers"]]
    if len(mains) > 1:
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(mains)}]")
    return str(mains[0])


def _statuses(pod: Json) -> list[Json]:
    status = pod["status"]
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _restarts(pod: Json, container: str) -> int:
    return next((int(s["restartCount"]) for s in _statuses(pod) if s["name"] == container), 0)


def _waiting_reason(pod: Json, container: str) -> str:
    for status in _statuses(pod):
        if status["name"] == container:
            return str(status["state"].get("waiting", {}).get("reason", "ContainerCreating"))
    return "ContainerCreating"
