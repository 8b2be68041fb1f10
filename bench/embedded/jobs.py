"""How long a Job takes in the embedded cluster, without HTTP: from its creation to its pod's end and its completion.

Each line is one shape of pod, `true` as every command, one Job after the other.
Beside it stands the floor: what starting `true` and waiting for it costs alone.

python bench/embedded/jobs.py [--jobs N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from embedded import controllers
from embedded.api.scheme import JOBS, NAMESPACES, PODS
from embedded.kubelet.kubelet import Kubelet, KubeletSettings
from embedded.kubelet.runtime.choice import process_runtime
from embedded.registry.registry import Registry
from embedded.registry.watcher import Watcher
from embedded.storage.sqlite import SqliteStore

Json = dict[str, Any]
SHAPES = ("one container", "init, sidecar, container")


def job(name: str, shape: str) -> Json:
    volume = {"volumeMounts": [{"name": "w", "mountPath": "/w"}], "workingDir": "/w", "image": "none"}
    spec: Json = {"restartPolicy": "Never", "volumes": [{"name": "w", "emptyDir": {}}]}
    if shape != SHAPES[0]:
        upload = {"name": "upload", "restartPolicy": "Always", "command": ["sleep", "60"]} | volume
        spec["initContainers"] = [{"name": "fetch", "command": ["true"]} | volume, upload]
    spec["containers"] = [{"name": "step", "command": ["true"]} | volume]
    return {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": {"spec": spec}}}


async def measure(registry: Registry, events: Watcher, name: str, shape: str) -> dict[str, float]:
    """Milliseconds from the Job's creation to what its watchers see."""
    began = time.perf_counter()
    seen: dict[str, float] = {}
    registry.create(JOBS, job(name, shape), namespace="default")
    seen["Job created"] = time.perf_counter() - began
    writes = 0
    async with asyncio.timeout(20):
        while "Job Complete" not in seen:
            await events.wait()
            now = time.perf_counter() - began
            for event in events.drain():
                writes += 1
                status = event.object.get("status") or {}
                if event.key.resource == PODS.key:
                    state = ((status.get("containerStatuses") or [{}])[0]).get("state") or {}
                    seen.setdefault("Pod created", now)
                    if "running" in state:
                        seen.setdefault("step running", now)
                    if "terminated" in state:
                        seen.setdefault("step terminated", now)
                    if status.get("phase") == "Succeeded":
                        seen.setdefault("Pod Succeeded", now)
                elif any(c["type"] == "Complete" for c in status.get("conditions") or []):
                    seen["Job Complete"] = now
    return {name: 1000 * seconds for name, seconds in seen.items()} | {"writes": float(writes)}


def floor(count: int) -> float:
    """Milliseconds to start `true` and wait for it; no cluster."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        subprocess.run(["true"], check=True, executable=shutil.which("true"), start_new_session=True)
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


async def flood(registry: Registry, events: Watcher, count: int) -> float:
    """Seconds from submitting `count` Jobs at once to the last one's completion."""
    began = time.perf_counter()
    done: set[str] = set()
    for number in range(count):
        registry.create(JOBS, job(f"flood-{number}", SHAPES[0]), namespace="default")
    async with asyncio.timeout(120):
        while len(done) < count:
            await events.wait()
            for event in events.drain():
                status = event.object.get("status") or {}
                if event.key.resource == JOBS.key and status.get("completionTime"):
                    done.add(event.key.name)
    return time.perf_counter() - began


async def main(count: int) -> None:
    machine = f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, load {os.getloadavg()[0]:.1f}")
    print(f"floor: start `true` and wait, without a cluster: {floor(count):.1f} ms (median of {count})")
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "cluster.db")
        registry = Registry(store)
        registry.create(NAMESPACES, {"metadata": {"name": "default"}})
        runtime = process_runtime(Path(folder))
        await runtime.open()
        runner = Kubelet(registry, Path(folder), KubeletSettings(max_pods=8), runtime)
        events = registry.watch()
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(controllers.run_controllers(registry)), group.create_task(runner.run())]
            await asyncio.sleep(0.2)
            events.drain()
            for shape in SHAPES:
                taken = [await measure(registry, events, f"{shape[:3]}-{n}", shape) for n in range(count)]
                print(f"\n{shape}: milliseconds since the Job was asked for, median (p90) of {count}")
                for moment in taken[-1]:
                    values = sorted(t[moment] for t in taken if moment in t)
                    print(f"  {moment:<16} {statistics.median(values):7.1f} ({values[int(0.9 * len(values))]:.1f})")
            print(f"\n100 Jobs at once: {await flood(registry, events, 100):.2f} s")
            for task in working:
                task.cancel()
        events.close()
        store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=50, help="Jobs per shape (default: %(default)s)")
    asyncio.run(main(parser.parse_args().jobs))
