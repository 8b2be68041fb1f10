"""A cluster in this process: registry, controllers and kubelet, without HTTP. Its pods are real processes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from embedded import controllers
from embedded.api.interfaces import ExecOptions, LogOptions
from embedded.api.scheme import EVENTS, JOBS, NAMESPACES, NODES, PODS, ObjectRef, ResourceType
from embedded.api.status_errors import ApiError
from embedded.kubelet.kubelet import Kubelet, KubeletSettings
from embedded.kubelet.node import NODE_NAME
from embedded.kubelet.runtime.choice import engine_runtime, process_runtime
from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.detect import FoundEngine
from embedded.kubelet.runtime.engine.connection.files import EngineFiles
from embedded.kubelet.runtime.engine.engine import list_labelled, list_volumes
from embedded.kubelet.runtime.engine.identity import CLUSTER_LABEL, cluster_id
from embedded.kubelet.runtime.interface import Runtime
from embedded.kubelet.runtime.process.cgroups import CgroupMode
from embedded.registry.registry import Registry
from embedded.storage.sqlite import SqliteStore
from tests.support.engine import TEST_IMAGE, engine, engine_files
from tests.support.kubectl import kubectl
from tests.support.waiting import LONGEST, wait_until_async

Json = dict[str, Any]

HOST_COMMAND = ["/usr/bin/env", "ON_THE_MACHINE=1"]
"""The beginning of the commands that are processes with every runtime."""

__all__ = ["engine", "kubectl"]


class Cluster:
    """Creates and observes objects, all in the namespace `default`."""

    def __init__(self, registry: Registry, kubelet: Kubelet, folder: Path) -> None:
        self.registry, self.kubelet, self.folder = registry, kubelet, folder
        self.pod_defaults: Json = {}
        """What the spec of each pod has unless a test says otherwise."""

    def pod(self, script: str, name: str = "p", *, more: Json | None = None, **container: Any) -> Json:
        """Create a pod with one container, `main`, that runs a script in sh. `more`: the rest of its spec."""
        spec: Json = {
            "restartPolicy": "Never",
            **self.pod_defaults,
            "containers": [shell_container("main", script, **container)],
            **(more or {}),
        }
        return self.registry.create(PODS, {"metadata": {"name": name}, "spec": spec}, namespace="default").object

    def job(self, script: str, name: str = "j", **spec: Any) -> Json:
        pod: Json = {"restartPolicy": "Never", **self.pod_defaults, "containers": [shell_container("main", script)]}
        template = {"spec": pod}
        job = {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template, **spec}}
        return self.registry.create(JOBS, job, namespace="default").object

    async def wait_for(self, holds: Callable[[Json], Any], name: str = "p", resource: ResourceType = PODS) -> Json:
        """The object, as soon as `holds` is true of it."""
        with closing(self.registry.watch(resource)) as watcher:
            async with asyncio.timeout(LONGEST):
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

        await wait_until_async(find, LONGEST)

    async def wait_until_deleted(self, name: str = "p", resource: ResourceType = PODS) -> None:
        with closing(self.registry.watch(resource)) as watcher:
            async with asyncio.timeout(LONGEST):
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

        return await wait_until_async(found, LONGEST) or []

    async def log(self, name: str = "p", container: str = "", **options: Any) -> bytes:
        chunks = self.kubelet.read_log("default", name, LogOptions(container=container, **options))
        return b"".join([chunk async for chunk in chunks])

    async def run(self, *command: str, name: str = "p", container: str = "main") -> None:
        """Run a command in a container, which must succeed."""

        async def drop(_: int, data: bytes) -> None:
            """Its output is not looked at."""

        session = await self.kubelet.exec("default", name, ExecOptions(command, container, stdout=True, stderr=True))
        assert await session.run(drop) == 0

    async def wait_for_output(self, text: bytes, name: str = "p", container: str = "main") -> bytes:
        """The output of a container, as soon as it contains `text`."""

        async def output() -> bytes:
            with suppress(ApiError):
                if text in (log := await self.log(name, container)):
                    return log
            return b""

        return await wait_until_async(output, LONGEST)


def shell_container(name: str, script: str, **more: Any) -> Json:
    """A container that runs a script; Kubernetes itself would read `$$` as an escaped dollar sign."""
    return {"name": name, "image": TEST_IMAGE, "command": ["sh", "-c", script.replace("$", "$$")], **more}


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie, which others may have to reap."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    # It has gone by now, or this system has no /proc.
    return sys.platform != "linux"


@asynccontextmanager
async def run_cluster(
    folder: Path, *, max_pods: int = 8, cgroup_mode: CgroupMode = "none", runtime: Runtime | None = None
) -> AsyncIterator[Cluster]:
    """Run a cluster on a folder, with the data of an earlier one if there is any. `runtime`: processes if None."""
    folder.mkdir(exist_ok=True)
    store = SqliteStore(folder / "cluster.db")
    registry = Registry(store)
    if registry.find(ObjectRef(NAMESPACES, None, "default")) is None:
        registry.create(NAMESPACES, {"metadata": {"name": "default"}})
    runtime = runtime or process_runtime(folder, cgroup_mode)
    kubelet = Kubelet(registry, folder, KubeletSettings(max_pods=max_pods, restore_delay=0.2), runtime)
    try:
        await runtime.open()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(kubelet.run()), group.create_task(controllers.run_controllers(registry))]
            yield Cluster(registry, kubelet, folder)
            for task in tasks:
                task.cancel()
    finally:
        await runtime.close()
        store.close()


@asynccontextmanager
async def run_engine_cluster(
    folder: Path, found: FoundEngine, files: EngineFiles | None = None
) -> AsyncIterator[Cluster]:
    """Run a cluster whose containers run in an engine, which has nothing of it afterwards."""
    folder.mkdir(exist_ok=True)
    files = files or engine_files()
    runtime = engine_runtime(found.address, folder, process_runtime(folder, "none"), [HOST_COMMAND], files)
    async with run_cluster(folder, runtime=runtime) as made:
        # The first process of a container ignores SIGTERM unless it handles it.
        made.pod_defaults = {"terminationGracePeriodSeconds": 2}
        yield made
    async with EngineClient(found.address) as client:
        label = f"{CLUSTER_LABEL}={cluster_id(folder.resolve())}"
        assert (await list_labelled(client, label), await list_volumes(client, label)) == ([], [])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of `cluster` run with processes and with an engine, unless marked `process_only` with the reason.

    Those marked `engine_files` also run with an engine that has the files of pods on a disk of its own.
    """
    marked = metafunc.definition.get_closest_marker("engine_files") and engine_files() == "shared"
    files = ["engine-files"] if marked else []
    if "cluster" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("process_only")
        metafunc.parametrize("cluster", ["process"] if only else ["process", "engine", *files], indirect=True)
    elif "engine_cluster" in metafunc.fixturenames:
        metafunc.parametrize("engine_cluster", ["engine", *files], indirect=True)


@pytest.fixture
async def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster of each runtime; that with an engine is skipped where there is none."""
    if request.param == "process":
        async with run_cluster(tmp_path / "cluster") as made:
            yield made
        return
    files: EngineFiles | None = "engine" if request.param == "engine-files" else None
    async with run_engine_cluster(tmp_path / "cluster", request.getfixturevalue("engine"), files) as made:
        yield made


@pytest.fixture
async def engine_cluster(request: pytest.FixtureRequest, tmp_path: Path, engine: FoundEngine) -> AsyncIterator[Cluster]:
    files: EngineFiles | None = "engine" if getattr(request, "param", "") == "engine-files" else None
    async with run_engine_cluster(tmp_path / "cluster", engine, files) as made:
        yield made
