"""A real cluster: bringing it up, and chains, fan-outs and many runs, each beside the plainest ways to the same.

    C8S_TEST_KIND=1 .venv/bin/python bench/cluster.py [--steps 5] [--repeats 3] [--tekton RELEASE.yaml]
    .venv/bin/python bench/cluster.py --kubeconfig FILE     # a cluster with c8s; the current context of c8s reaches it

The first form makes two clusters one after the other and deletes them; without C8S_TEST_KIND=1 it says so and measures
nothing. The second measures no start, and leaves the cluster as it was. The images (node, base, MinIO, busybox:1.36)
are to be on this machine, or pulling them is what is measured.

Everything is measured in turn, on the same cluster: medians of the repeats. What it is compared with:

* bare Jobs, the next one when the last has succeeded;
* bare pods, the next one when the container of the last has ended: nothing can be quicker that makes a pod when it is
  due;
* Tekton as it is installed, where the cluster has it. `--tekton` applies a release of it to the new cluster.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from machine import describe

from controller.kube import JOBS, PIPELINE_RUNS, PODS, ApiError, KubeClient, connect
from controller.kube.resources import Resource

Json = dict[str, Any]
IMAGE = "busybox:1.36"
NODE_IMAGE = os.environ.get("C8S_KIND_IMAGE", "kindest/node:v1.36.2")
NAMES = ("c8s-bench", "c8s-bench-bare")
NAMESPACE = "default"
TEKTON_RUNS = Resource("tekton.dev", "v1", "pipelineruns", "PipelineRun")
FILES = 100
WIDTH = 10
MANY, SHORT = 20, 3
STARTS = 3
"""Of a second cluster and of one by kind alone."""
TIMEOUT = 900.0


def call(command: Sequence[str], environment: Mapping[str, str], stdin: str = "") -> str:
    done = subprocess.run(
        command, env=dict(environment), input=stdin, capture_output=True, text=True, timeout=1800, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def timed(command: Sequence[str], environment: Mapping[str, str], stdin: str = "") -> float:
    began = time.monotonic()
    call(command, environment, stdin)
    return time.monotonic() - began


def bare_cluster(environment: Mapping[str, str], image: str) -> float:
    """`kind create cluster` and the controller's image on its node: what nobody can do without."""
    create = ["kind", "create", "cluster", "--name", NAMES[1], "--image", NODE_IMAGE, "--wait", "120s"]
    took = timed(create, environment)
    return took + timed(["kind", "load", "docker-image", "--name", NAMES[1], image], environment)


async def until(client: KubeClient, resource: Resource, obj: Json, is_over: Callable[[Json], bool]) -> Json:
    """Create an object and watch it until something holds; the object then."""
    made = await client.create(resource, obj, NAMESPACE)
    selector = f"metadata.name={made['metadata']['name']}"
    async with asyncio.timeout(TIMEOUT):
        async for event in client.watch(
            resource, NAMESPACE, resource_version=made["metadata"]["resourceVersion"], field_selector=selector
        ):
            if is_over(event.object):
                return event.object
    raise SystemExit(f"the watch of {selector} ended")


def container_of(command: Sequence[str] = ("true",)) -> Json:
    return {"name": "step", "image": IMAGE, "command": list(command)}


async def bare_job(client: KubeClient) -> None:
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [container_of()]}}}
    job = {"metadata": {"generateName": "bare-"}, "spec": {"backoffLimit": 0, **spec}}
    await until(client, JOBS, job, lambda found: bool((found.get("status") or {}).get("succeeded")))


async def bare_pod(client: KubeClient) -> None:
    pod = {"metadata": {"generateName": "bare-"}, "spec": {"restartPolicy": "Never", "containers": [container_of()]}}

    def has_ended(found: Json) -> bool:
        statuses = (found.get("status") or {}).get("containerStatuses") or []
        return any("terminated" in (each.get("state") or {}) for each in statuses)

    await until(client, PODS, pod, has_ended)


@dataclass(frozen=True)
class Shape:
    """Steps that wait for each other: `needs` has for each the one before it, None for one that waits for nothing."""

    needs: tuple[int | None, ...]
    runs: int = 1

    @classmethod
    def chain(cls, length: int, runs: int = 1) -> Shape:
        return cls((None, *range(length - 1)), runs)

    @classmethod
    def fan_out(cls, width: int) -> Shape:
        return cls((None,) * width)


async def plain(client: KubeClient, shape: Shape, one: Callable[[KubeClient], Awaitable[None]]) -> float:
    """The shape of bare Jobs or pods."""
    began = time.monotonic()

    async def run() -> None:
        ended = [asyncio.Event() for _ in shape.needs]

        async def step(number: int, need: int | None) -> None:
            if need is not None:
                await ended[need].wait()
            await one(client)
            ended[number].set()

        async with asyncio.TaskGroup() as group:
            for number, need in enumerate(shape.needs):
                group.create_task(step(number, need))

    async with asyncio.TaskGroup() as group:
        for _ in range(shape.runs):
            group.create_task(run())
    return time.monotonic() - began


async def tekton(client: KubeClient, shape: Shape) -> float:
    tasks = [
        {
            "name": f"step-{number}",
            "taskSpec": {"steps": [{"name": "run", "image": IMAGE, "command": ["true"]}]},
            **({"runAfter": [f"step-{need}"]} if need is not None else {}),
        }
        for number, need in enumerate(shape.needs)
    ]
    run = {"metadata": {"generateName": "bench-"}, "spec": {"pipelineSpec": {"tasks": tasks}}}

    def is_over(found: Json) -> bool:
        conditions = (found.get("status") or {}).get("conditions") or []
        if any(each["type"] == "Succeeded" and each["status"] == "False" for each in conditions):
            raise SystemExit(f"a run of Tekton failed: {json.dumps(conditions)}")
        return any(each["type"] == "Succeeded" and each["status"] == "True" for each in conditions)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(shape.runs):
            group.create_task(until(client, TEKTON_RUNS, run, is_over))
    return time.monotonic() - began


def pipeline_of(shape: Shape, *, artifacts: bool = False) -> Json:
    steps = [
        {
            "name": f"step-{number}",
            "image": IMAGE,
            "commands": [f"echo {number} > out-{number}"] if artifacts else ["true"],
            **({"dependsOn": [f"step-{need}"]} if need is not None else {}),
            **({"artifacts": [f"out-{number}"]} if artifacts else {}),
        }
        for number, need in enumerate(shape.needs)
    ]
    return {"version": "v1alpha1", "name": "bench", "steps": steps}


async def ours(client: KubeClient, shape: Shape, prestart: int) -> float:
    """Runs without a source, made at the API server itself: from there to the end of the last step of the last run."""
    spec = {"pipeline": pipeline_of(shape), "event": "manual", "prestart": prestart}
    runs = [{"metadata": {"name": f"bench-{token_hex(4)}"}, "spec": spec} for _ in range(shape.runs)]
    began = time.time()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(until(client, PIPELINE_RUNS, run, _has_ended)) for run in runs]
    ends = [datetime.fromisoformat(task.result()["status"]["completionTime"]).timestamp() for task in waiting]
    return max(ends) - began


def _has_ended(found: Json) -> bool:
    status = found.get("status") or {}
    if status.get("phase") in ("Failed", "Cancelled"):
        raise SystemExit(f"a run failed: {status.get('message')}")
    return bool(status.get("phase") == "Succeeded")


async def with_source(client: KubeClient, environment: Mapping[str, str], folder: Path, steps: int) -> float:
    """A run with a source and artifacts between its steps, by the command, as its status has its start and its end."""
    pipeline = folder / "chain.yaml"
    pipeline.write_text(json.dumps(pipeline_of(Shape.chain(steps), artifacts=True)))
    run = [sys.executable, "-P", "-m", "workbench", "run", str(pipeline), "--source", str(folder / "tree")]
    out = await asyncio.to_thread(call, run, environment)
    name = next(line.split()[1] for line in out.splitlines() if line.startswith("run "))
    status = (await client.get(PIPELINE_RUNS, name, NAMESPACE))["status"]
    start, end = (datetime.fromisoformat(status[key]).timestamp() for key in ("startTime", "completionTime"))
    return end - start


@dataclass
class Column:
    """One way to run a shape, and how long that took."""

    title: str
    measure: Callable[[], Awaitable[float]]
    goals: Mapping[str, float] = field(default_factory=dict)
    """The title of another column -> at most so many times that one."""
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


async def compare(title: str, columns: Sequence[Column], repeats: int) -> None:
    """Measure columns in turn, and print each with its ratios."""
    for _ in range(repeats):
        for column in columns:
            column.seconds.append(await column.measure())
    print(f"\n{title}, seconds, medians of {repeats} (lowest to highest):")
    by_title = {column.title: column for column in columns}
    for column in columns:
        low, high = min(column.seconds), max(column.seconds)
        ratios = [
            f"{column.median / by_title[other].median:.2f} times {other} (goal: at most {goal})"
            for other, goal in column.goals.items()
            if other in by_title
        ]
        print(f"  {column.title:<28} {column.median:7.2f} ({low:.2f} to {high:.2f})  {'; '.join(ratios)}".rstrip())


async def has_tekton(client: KubeClient) -> bool:
    try:
        await client.list(TEKTON_RUNS, NAMESPACE)
    except ApiError:
        return False
    return True


async def measure_steps(
    kubeconfig: Path, environment: Mapping[str, str], folder: Path, steps: int, repeats: int
) -> None:
    async with connect(kubeconfig) as client:
        others = await has_tekton(client)
        if not others:
            print("Tekton is not installed: no column of it")

        def columns(shape: Shape, *own: Column) -> list[Column]:
            found = [
                Column("bare Jobs", lambda: plain(client, shape, bare_job)),
                Column("bare pods", lambda: plain(client, shape, bare_pod)),
            ]
            return [*found, *([Column("Tekton", lambda: tekton(client, shape))] if others else []), *own]

        def own(shape: Shape, prestart: int, **goals: float) -> Column:
            named = {name.replace("_", " "): goal for name, goal in goals.items()}
            return Column(f"c8s, prestart {prestart}", lambda: ours(client, shape, prestart), named)

        # Whatever happens for the first time, such as imports in the controller, is not what is measured.
        await ours(client, Shape.chain(2), 2)
        await plain(client, Shape.chain(1), bare_pod)
        chain = Shape.chain(steps)
        await compare(
            f"a chain of {steps} without a source",
            columns(
                chain,
                own(chain, 0, bare_pods=1.05),
                own(chain, 2, bare_pods=0.8, Tekton=0.4),
                own(chain, 4, bare_pods=0.6),
            ),
            repeats,
        )
        sourced = Column(
            "c8s, source and artifacts",
            lambda: with_source(client, environment, folder, steps),
            {"bare pods": 1.0},
        )
        pods = Column("bare pods", lambda: plain(client, chain, bare_pod))
        await compare(f"a chain of {steps} with a source of {FILES} files and artifacts", [pods, sourced], repeats)
        wide = Shape.fan_out(WIDTH)
        await compare(f"a fan-out of {WIDTH}", columns(wide, own(wide, 2, Tekton=0.5)), repeats)
        many = Shape.chain(SHORT, MANY)
        await compare(f"{MANY} runs of a chain of {SHORT}", columns(many, own(many, 2, Tekton=0.45)), repeats)


def make_tree(folder: Path) -> None:
    (folder / "tree").mkdir()
    for number in range(FILES):
        (folder / "tree" / f"file-{number}").write_text(f"{number}\n" * 100)


def measure_start(environment: Mapping[str, str], folder: Path) -> None:
    up = timed([sys.executable, "-P", "-m", "workbench", "up", "--kind", "--name", NAMES[0]], environment)
    record = json.loads((folder / "state" / "c8s" / NAMES[0] / "kind.json").read_text())
    bare = bare_cluster(environment, record["image"])
    call(["kind", "delete", "cluster", "--name", NAMES[1]], environment)
    print(f"c8s up --kind, the image built if it was not: {up:.1f} s; kind create and load: {bare:.1f} s")
    print(f"  {up / bare:.2f} times (goal: at most 1.5)")
    measure_second_start(environment)


def measure_second_start(environment: Mapping[str, str]) -> None:
    """From nothing again, with what the first start has kept; beside kind alone, which has nothing to load."""
    create = ["kind", "create", "cluster", "--name", NAMES[1], "--image", NODE_IMAGE, "--wait", "120s"]
    up = [sys.executable, "-P", "-m", "workbench", "up", "--kind", "--name", NAMES[0]]
    ups, bares = [], []
    for _ in range(STARTS):
        call([sys.executable, "-P", "-m", "workbench", "down", "--name", NAMES[0], "--delete", "--yes"], environment)
        ups.append(timed(up, environment))
        bares.append(timed(create, environment))
        call(["kind", "delete", "cluster", "--name", NAMES[1]], environment)
    second, kind = statistics.median(ups), statistics.median(bares)
    print(f"c8s up --kind, the second time: {second:.1f} s; kind create alone: {kind:.1f} s (medians of {STARTS})")
    print(f"  {second / kind:.2f} times (goal: at most 1.15)")


def install_tekton(kubeconfig: Path, release: str, environment: Mapping[str, str]) -> None:
    kubectl = ["kubectl", "--kubeconfig", str(kubeconfig)]
    call([*kubectl, "apply", "-f", release], environment)
    wait = ["wait", "--for=condition=Available", "deployment", "--all", "-n", "tekton-pipelines", "--timeout=600s"]
    call([*kubectl, *wait], environment)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5, help="of a chain (default: 5)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="a cluster that has c8s already")
    parser.add_argument("--tekton", metavar="FILE", help="a release of Tekton, to be applied to the new cluster")
    given = parser.parse_args()
    if given.kubeconfig is None and os.environ.get("C8S_TEST_KIND") != "1":
        print("no cluster: set C8S_TEST_KIND=1 to have two made and deleted, or name one with --kubeconfig")
        return 0
    print(describe())
    with tempfile.TemporaryDirectory(prefix="c8s-bench-") as temporary:
        folder = Path(temporary)
        make_tree(folder)
        if given.kubeconfig is not None:
            asyncio.run(measure_steps(given.kubeconfig, os.environ, folder, given.steps, given.repeats))
            return 0
        environment = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig"), "C8S_KIND_IMAGE": NODE_IMAGE}
        environment |= {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("STATE", "CONFIG")}
        kubeconfig = folder / "state" / "c8s" / NAMES[0] / "kubeconfig"
        try:
            measure_start(environment, folder)
            if given.tekton:
                install_tekton(kubeconfig, given.tekton, environment)
            asyncio.run(measure_steps(kubeconfig, environment, folder, given.steps, given.repeats))
        finally:
            for name in NAMES:
                subprocess.run(["kind", "delete", "cluster", "--name", name], env=environment, check=False, timeout=300)
    return 0


if __name__ == "__main__":
    sys.exit(main())
