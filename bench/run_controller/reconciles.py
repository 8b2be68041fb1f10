"""How many reconciles of runs the operator makes in a second, and how the cost of a reconcile grows with a run.

Each change of a pod causes a reconcile: the whole run is observed and decided. No
request is made, so that this is the operator's own work. The runs are in the midst of it: half their steps have
succeeded, one runs, the rest waits.

    .venv/bin/python bench/run_controller/reconciles.py [--seconds N]
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.machine import describe
from controller import labels
from controller.operator import names
from controller.operator.cache.resource_cache import ResourceCache
from controller.operator.effects.event_recorder import EventRecorder
from controller.operator.reconciler import Dependencies, Reconciler
from controller.operator.settings import OperatorSettings

Json = dict[str, Any]
_NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
_SIZES = (5, 20, 100, 200, 300)


class AcceptingCluster:
    """Accepts every object and stores none. The uid of an object is its name."""

    def __init__(self, run: Json) -> None:
        self._run = run

    async def create(self, resource: Any, obj: Json, namespace: str | None = None) -> Json:
        return {**obj, "metadata": {**obj["metadata"], "uid": obj["metadata"]["name"]}}

    async def patch(self, resource: Any, name: str, patch: Any, **_: Any) -> Json:
        return self._run


class ArchivedLogs:
    """All logs are archived, with one line."""

    def follow(self, **_: Any) -> None:
        pass

    def result(self, **_: Any) -> Json:
        return {"lines": 1}

    def forget(self, *_: str) -> None:
        pass


def run_of(count: int) -> Json:
    steps = [
        {"name": f"s{n}", "image": "none", "commands": ["true"], "dependsOn": [f"s{n - 1}"] if n else []}
        for n in range(count)
    ]
    spec = {"pipeline": {"version": "v1alpha1", "name": "reconciles", "steps": steps}}
    metadata = {"name": f"reconciles-{count}", "namespace": "team", "uid": f"run-{count}", "resourceVersion": "1"}
    return {"metadata": {**metadata, "finalizers": ["c8s.dev/run"]}, "spec": spec}


def pod_of(run: Json, slug: str, state: Json, phase: str) -> Json:
    pod_labels = names.run_labels(run) | {labels.STEP: slug, labels.ATTEMPT: "1"}
    job = names.job_name(run["metadata"]["name"], slug, 1)
    metadata = {
        "name": slug,
        "namespace": "team",
        "uid": f"{run['metadata']['uid']}-{slug}",
        "labels": pod_labels,
        "ownerReferences": [{"kind": "Job", "name": job, "uid": job, "controller": True}],
    }
    status = {"phase": phase, "containerStatuses": [{"name": "step", "state": state}]}
    return {"metadata": metadata, "spec": {"nodeName": "n"}, "status": status}


async def midway(count: int) -> tuple[Reconciler, Json]:
    """A reconciler that knows a run of which half is done."""
    run = run_of(count)
    client = cast(Any, AcceptingCluster(run))
    settings = OperatorSettings(["agent"], "http://api", b"key")
    cache = ResourceCache(lambda: _NOW)
    dependencies = Dependencies(
        client, ArchivedLogs(), client, settings, EventRecorder(client, lambda: _NOW), lambda: _NOW
    )
    reconciler = Reconciler(dependencies, cache, lambda *_: None, lambda: ())
    await reconciler.reconcile(run)
    for n in range(count // 2):
        cache.on_pod(pod_of(run, f"s{n}", {"terminated": {"exitCode": 0}}, "Succeeded"), deleted=False)
        await reconciler.reconcile(run)
    cache.on_pod(pod_of(run, f"s{count // 2}", {"running": {}}, "Running"), deleted=False)
    await reconciler.reconcile(run)
    return reconciler, run


async def rate(count: int, seconds: float) -> float:
    reconciler, run = await midway(count)
    run, reconciles, began = copy.deepcopy(run), 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        await reconciler.reconcile(run)
        reconciles += 1
    return reconciles / passed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0)
    args = parser.parse_args()
    print(f"operator reconciles: {describe()}")
    for count in _SIZES:
        found = asyncio.run(rate(count, args.seconds))
        print(f"  runs of {count:>3} steps: {found:>7.0f} reconciles/s, {1e6 / found / count:.0f} us a step")
    return 0


if __name__ == "__main__":
    sys.exit(main())
