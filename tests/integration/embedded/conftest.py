"""A cluster in this process: registry, controllers and kubelet, without HTTP. Its pods are real processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from embedded import controllers
from embedded.api.interfaces import LogOptions
from embedded.api.scheme import EVENTS, JOBS, NAMESPACES, NODES, PODS, ObjectRef, ResourceType
from embedded.api.status_errors import ApiError
from embedded.kubelet import Kubelet, KubeletSettings
from embedded.kubelet.node import NODE_NAME
from embedded.kubelet.runtime.process.cgroups import CgroupMode
from embedded.registry.registry import Registry
from embedded.storage.sqlite import SqliteStore
from tests.support.kubectl import kubectl
from tests.support.waiting import wait_until_async

Json = dict[str, Any]
TIMEOUT = 20.0

__all__ = ["kubectl"]


class Cluster:
    """Creates and observes objects, all in the namespace `default`."""

    def __init__(self, registry: Registry, kubelet: Kubelet, folder: Path) -> None:
        self.registry, self.kubelet, self.folder = registry, kubelet, folder

    def pod(self, script: str, name: str = "p", *, more: Json | None = None, **container: Any) -> Json:
        """Create a pod with one container, `main`, that runs a script in sh. `more`: the rest of its spec."""
        spec: Json = {
            "restartPolicy": "Never",
            "containers": [shell_container("main", script, **container)],
            **(more or {}),
        }
        return self.registry.create(PODS, {"metadata": {"name": name}, "spec": spec}, namespace="default").object

    def job(self, script: str, name: str = "j", **spec: Any) -> Json:
        template = {"spec": {"restartPolicy": "Never", "containers": [shell_container("main", script)]}}
        job = {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template, **spec}}
        return self.registry.create(JOBS, job, namespace="default").object

    async def wait_for(self, holds: Callable[[Json], Any], name: str = "p", resource: ResourceType = PODS) -> Json:
        """The object, as soon as `holds` is true of it."""
        with closing(self.registry.watch(resource)) as watcher:
            async with asyncio.timeout(TIMEOUT):
                while True:
                    obj = self.registry.find(ObjectRef(resource, "default", name))
                    if obj is not None and holds(obj):
                        return obj
                    await watcher.wait()
                    watcher.drain()

    async def wait_for_node(self) -> None:
        """Wait until the kubelet has registered its node."""

        async def find() -> Json | None:
            return self.registry.find(ObjectRef(NODES, None, NODE_NAME))

        await wait_until_async(find, TIMEOUT)

    async def wait_until_deleted(self, name: str = "p", resource: ResourceType = PODS) -> None:
        with closing(self.registry.watch(resource)) as watcher:
            async with asyncio.timeout(TIMEOUT):
                while self.registry.find(ObjectRef(resource, "default", name)) is not None:
                    await watcher.wait()
                    watcher.drain()

    async def wait_until_finished(self, name: str = "p") -> Json:
        return await self.wait_for(lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"), name)

    async def wait_for_events(self, *wanted: str, name: str = "") -> list[Json]:
        """All Events, or those about an object of this name, as soon as they have these reasons."""
        selector = f"involvedObject.name={name}" if name else ""

        def found() -> list[Json] | None:
            events = self.registry.list(EVENTS, "default", field_selector=selector)
            return events if set(wanted) <= {event["reason"] for event in events} else None

        return await wait_until_async(found, TIMEOUT) or []

    async def log(self, name: str = "p", container: str = "", **options: Any) -> bytes:
        chunks = self.kubelet.read_log("default", name, LogOptions(container=container, **options))
        return b"".join([chunk async for chunk in chunks])

    async def wait_for_output(self, text: bytes, name: str = "p", container: str = "main") -> bytes:
        """The output of a container, as soon as it contains `text`."""

        async def output() -> bytes:
            with suppress(ApiError):
                if text in (log := await self.log(name, container)):
                    return log
            return b""

        return await wait_until_async(output, TIMEOUT)


def shell_container(name: str, script: str, **more: Any) -> Json:
    """A container that runs a script; Kubernetes itself would read `$$` as an escaped dollar sign."""
    return {"name": name, "image": "none:1", "command": ["sh", "-c", script.replace("$", "$$")], **more}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@asynccontextmanager
async def run_cluster(folder: Path, *, max_pods: int = 8, cgroup_mode: CgroupMode = "none") -> AsyncIterator[Cluster]:
    """Run a cluster on a folder, with the data of an earlier one if there is any."""
    folder.mkdir(exist_ok=True)
    store = SqliteStore(folder / "cluster.db")
    registry = Registry(store)
    if registry.find(ObjectRef(NAMESPACES, None, "default")) is None:
        registry.create(NAMESPACES, {"metadata": {"name": "default"}})
    kubelet = Kubelet(registry, folder, KubeletSettings(max_pods=max_pods, cgroups=cgroup_mode))
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(kubelet.run()), group.create_task(controllers.run_controllers(registry))]
            yield Cluster(registry, kubelet, folder)
            for task in tasks:
                task.cancel()
    finally:
        store.close()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path / "cluster") as made:
        yield made
