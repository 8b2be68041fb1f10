"""A real cluster: bringing it up, and a chain of `true` steps, each beside the plainest way to the same.

    C8S_TEST_KIND=1 .venv/bin/python bench/cluster.py [--steps 8]

It makes two clusters one after the other and deletes them; without C8S_TEST_KIND=1 it says so and measures nothing.
The images (node, base, MinIO, busybox:1.36) are to be on this machine, or pulling them is what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from machine import describe

IMAGE = "busybox:1.36"
NODE_IMAGE = os.environ.get("C8S_KIND_IMAGE", "kindest/node:v1.36.2")
NAMES = ("c8s-bench", "c8s-bench-bare")
CHAINS = {
    "without a source": (0.6, False, False),
    "with a source of 100 files": (1.0, True, False),
    "with a source and artifacts": (1.3, True, True),
}
"""The goal as a multiple of bare Jobs, whether there is a source, whether steps hand artifacts on."""


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


def bare_jobs(environment: Mapping[str, str], steps: int) -> float:
    """The chain as Jobs that are waited for one after the other, by the API itself: no process is started for each."""
    script = (
        "import asyncio, sys, time\n"
        "from pathlib import Path\n"
        "from controller.kube import JOBS, connect\n"
        "async def main():\n"
        "    async with connect(Path(sys.argv[1])) as client:\n"
        "        began = time.monotonic()\n"
        "        for n in range(int(sys.argv[2])):\n"
        f"            step = {{'name': 'step', 'image': {IMAGE!r}, 'command': ['true']}}\n"
        "            spec = {'template': {'spec': {'restartPolicy': 'Never', 'containers': [step]}}}\n"
        "            job = {'metadata': {'name': f'bare-{n}'}, 'spec': {'backoffLimit': 0, **spec}}\n"
        "            made = await client.create(JOBS, job, 'default')\n"
        "            version = made['metadata']['resourceVersion']\n"
        "            async for event in client.watch(JOBS, 'default', resource_version=version,\n"
        "                                            field_selector=f'metadata.name=bare-{n}'):\n"
        "                if (event.object.get('status') or {}).get('succeeded'):\n"
        "                    break\n"
        "        print(time.monotonic() - began)\n"
        "asyncio.run(main())\n"
    )
    path = environment["C8S_BENCH_KUBECONFIG"]
    return float(call([sys.executable, "-c", script, path, str(steps)], environment))


def chain(environment: Mapping[str, str], folder: Path, steps: int, source: bool, artifacts: bool) -> float:
    """The same chain as a pipeline, from its start to its end as its status has them."""
    listed = [
        {
            "name": f"step-{n}",
            "image": IMAGE,
            "commands": [f"echo {n} > out-{n}"] if artifacts else ["true"],
            **({"dependsOn": [f"step-{n - 1}"]} if n else {}),
            **({"artifacts": [f"out-{n}"]} if artifacts else {}),
        }
        for n in range(steps)
    ]
    pipeline = folder / "chain.yaml"
    pipeline.write_text(json.dumps({"version": "v1alpha1", "name": "chain", "steps": listed}))
    where = ["--source", str(folder / "tree")] if source else ["--no-source"]
    out = call([sys.executable, "-m", "workbench", "run", str(pipeline), *where], environment)
    name = out.split()[1]
    kubectl = ["kubectl", "--kubeconfig", environment["C8S_BENCH_KUBECONFIG"]]
    status = json.loads(call([*kubectl, "get", "pipelinerun", name, "-o", "json"], environment))["status"]
    ends = [datetime.fromisoformat(status[key]).timestamp() for key in ("startTime", "completionTime")]
    return ends[1] - ends[0]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=8)
    steps = parser.parse_args().steps
    if os.environ.get("C8S_TEST_KIND") != "1":
        print("no cluster: set C8S_TEST_KIND=1 to have two made and deleted")
        return 0
    print(describe())
    with tempfile.TemporaryDirectory(prefix="c8s-bench-") as temporary:
        folder = Path(temporary)
        environment = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig"), "C8S_KIND_IMAGE": NODE_IMAGE}
        environment |= {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("STATE", "CONFIG")}
        environment["C8S_BENCH_KUBECONFIG"] = str(folder / "state" / "c8s" / NAMES[0] / "kubeconfig")
        (folder / "tree").mkdir()
        for n in range(100):
            (folder / "tree" / f"file-{n}").write_text(f"{n}\n" * 100)
        try:
            measure(environment, folder, steps)
        finally:
            for name in NAMES:
                subprocess.run(["kind", "delete", "cluster", "--name", name], env=environment, check=False, timeout=300)
    return 0


def measure(environment: Mapping[str, str], folder: Path, steps: int) -> None:
    up = timed([sys.executable, "-m", "workbench", "up", "--kind", "--name", NAMES[0]], environment)
    record = json.loads((folder / "state" / "c8s" / NAMES[0] / "kind.json").read_text())
    bare = bare_cluster(environment, record["image"])
    call(["kind", "delete", "cluster", "--name", NAMES[1]], environment)
    print(f"c8s up --kind, the image built if it was not: {up:.1f} s; kind create and load: {bare:.1f} s")
    print(f"  {up / bare:.2f} times (goal: at most 1.5)")
    jobs = bare_jobs(environment, steps)
    print(f"{steps} bare Jobs one after the other: {jobs:.1f} s, {jobs / steps:.2f} s each")
    for what, (goal, source, artifacts) in CHAINS.items():
        took = chain(environment, folder, steps, source, artifacts)
        print(f"the same as a pipeline {what}: {took:.1f} s, {took / jobs:.2f} times (goal: at most {goal})")


if __name__ == "__main__":
    sys.exit(main())
