"""How long a bundle of a run with 100 MB of logs takes to write, and to open.

    .venv/bin/python bench/workbench/bundle.py [--rounds 3] [--mb 100]

Beside the export stand the two parts that it can't do without: receiving the log with its times, and compressing it.
The processor time says what a machine without other work would take.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from machine import describe, spread

from tests.support.tui.driver import WIDE, sees, until
from workbench.bundle.controller import BundleController
from workbench.tui.app import Workbench, WorkbenchOptions

C8S = [sys.executable, "-P", "-m", "workbench"]
TALK = """
import random, sys
words = ["INFO", "request", "took", "ms", "GET", "/api/v1/items", "cache", "miss", "worker", "retry", "0x7f3a", "done"]
chosen = random.Random(1)
size, n = 0, 0
while size < int(sys.argv[1]):
    n += 1
    line = f"{n} {' '.join(chosen.choices(words, k=14))} {chosen.random()}"
    size += len(line) + 1
    print(line)
"""


def timed(folder: Path, env: dict[str, str], *arguments: str, code: int = 0) -> tuple[float, float]:
    """Seconds on the clock, and of the processor, of a command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([*C8S, *arguments], cwd=folder, env=env, capture_output=True, check=False)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != code:
        raise SystemExit(f"c8s {' '.join(arguments)}: {done.returncode}\n{done.stderr.decode()}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def controller_seconds(root: Path) -> float:
    """The processor time that the controller of the sandbox has used."""
    state = json.loads((root / "STATE" / "c8s" / "default" / "sandbox.json").read_text())
    fields = Path(f"/proc/{state['children']['controller']['pid']}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def shown(path: Path) -> tuple[float, float]:
    """Seconds from the file to the run with its failing line on the screen: on the clock, and of the processor."""
    began, used = time.perf_counter(), time.process_time()
    with BundleController(path) as bundle:
        app = Workbench(lambda _: bundle, WorkbenchOptions(endpoint_label=path.name, open_run=bundle.only_run.name))
        async with app.run_test(size=WIDE) as pilot:
            await until(pilot, sees(app, "AssertionError"), 60)
            return time.perf_counter() - began, time.process_time() - used


async def last_lines(path: Path) -> float:
    """Seconds from the file to the last lines of the long log."""
    began = time.perf_counter()
    with BundleController(path) as bundle:
        assert len([line async for line in bundle.logs(bundle.only_run.name, "talk", tail=100)]) == 100
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mb", type=int, default=100)
    given = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory(prefix="c8s-bench-") as made:
        root = Path(made)
        env = (
            os.environ
            | {"C8S_RUNTIME": "process"}
            | {f"XDG_{kind}_HOME": str(root / kind) for kind in ("STATE", "CONFIG", "CACHE", "DATA")}
        )
        (root / "talk.py").write_text(TALK)
        (root / ".c8s.yaml").write_text(
            "version: v1alpha1\nname: long\nsteps:\n"
            f"- {{name: talk, image: 'a:1', commands: ['{sys.executable} talk.py {given.mb * 1_000_000}']}}\n"
            "- {name: fails, image: 'a:1', dependsOn: [talk], commands: ['echo AssertionError; exit 1']}\n"
        )
        subprocess.run([*C8S, "up"], cwd=root, env=env, check=True, capture_output=True)
        try:
            timed(root, env, "run", code=1)
            measure(root, env, given.rounds)
        finally:
            subprocess.run([*C8S, "down"], cwd=root, env=env, check=True, capture_output=True)


def measure(root: Path, env: dict[str, str], rounds: int) -> None:
    file = root / "long-1.c8srun"
    received = [timed(root, env, "logs", "long-1", "talk", "--timestamps") for _ in range(rounds)]
    server = controller_seconds(root)
    exported = [timed(root, env, "export", "long-1", "--force") for _ in range(rounds)]
    server = (controller_seconds(root) - server) / rounds
    text = subprocess.run([*C8S, "logs", "long-1", "talk"], cwd=root, env=env, check=True, capture_output=True).stdout
    began = time.process_time()
    zlib.compress(text, 1)
    compressing = time.process_time() - began
    print(f"  {len(text) / 1e6:.0f} MB of log, {file.stat().st_size / 1e6:.1f} MB exported")
    print(f"    `c8s export`                             {spread([wall for wall, _ in exported], 's')}")
    print(f"      of it processor time of the command    {spread([cpu for _, cpu in exported], 's')}")
    print(f"      processor time of the controller       {server:.2f} s")
    print(f"    `c8s logs --timestamps`, nothing written {spread([wall for wall, _ in received], 's')}")
    print(f"    compressing, processor time              {compressing:.2f} s")
    asyncio.run(shown(file))  # Imports what the later ones have.
    opened = [asyncio.run(shown(file)) for _ in range(rounds)]
    print(f"    the run and its failing line on screen   {spread([wall for wall, _ in opened], 's')}")
    print(f"      of it processor time                   {spread([cpu for _, cpu in opened], 's')}")
    print(
        f"    the last lines of the long log           {spread([asyncio.run(last_lines(file)) for _ in range(rounds)])}"
    )


if __name__ == "__main__":
    main()
