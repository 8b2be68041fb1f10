"""How fast a pipeline runs: a chain of `true` steps, lint; beside peers that are installed.

    .venv/bin/python bench/pipelines.py [--rounds 5] [--steps 20]

Every figure is of whole processes, and has its floor or a peer beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from machine import describe, spread

C8S = [sys.executable, "-P", "-m", "workbench"]


def timed(command: Sequence[str], cwd: Path, env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True)
    return time.perf_counter() - began


def repeated(rounds: int, measure: Callable[[], float]) -> list[float]:
    measure()
    return [measure() for _ in range(rounds)]


def write_chain(folder: Path, steps: int, files: int) -> None:
    lines = ["version: v1alpha1", "name: chain", "steps:"]
    for number in range(1, steps + 1):
        needs = f", dependsOn: [s{number - 1}]" if number > 1 else ""
        lines.append(f'  - {{name: s{number}, image: "busybox:1.36", commands: ["true"]{needs}}}')
    (folder / ".c8s.yaml").write_text("\n".join(lines) + "\n")
    for number in range(files):
        (folder / f"file-{number:03d}.txt").write_text(f"file {number}\n" * 50)


def step_seconds(folder: Path, env: dict[str, str], steps: int, *flags: str) -> tuple[float, float]:
    """(seconds per step by the run's own times, seconds of the whole command)."""
    whole = timed([*C8S, "run", *flags], folder, env)
    answer = subprocess.run([*C8S, "runs", "--output", "json"], cwd=folder, env=env, check=True, capture_output=True)
    status = json.loads(answer.stdout)[0]["status"]
    began, ended = (datetime.fromisoformat(status[field]) for field in ("startTime", "completionTime"))
    return (ended - began).total_seconds() / steps, whole


def chains(root: Path, env: dict[str, str], rounds: int, steps: int) -> None:
    for label, files, flags, goal in (("without a source", 0, ["--no-source"], 40), ("with 100 files", 99, [], 150)):
        folder = root / label.replace(" ", "-")
        folder.mkdir()
        write_chain(folder, steps, files)
        measured = [step_seconds(folder, env, steps, *flags) for _ in range(rounds + 1)][1:]
        print(f"  a step of {steps} x true, {label:17} {spread([m[0] for m in measured])} (goal {goal} ms)")
        print(f"    the whole command                   {spread([m[1] for m in measured], 's')}")


def lint(root: Path, env: dict[str, str], rounds: int) -> None:
    floor = repeated(rounds, lambda: timed([sys.executable, "-c", "pass"], root, env))
    whole = repeated(rounds, lambda: timed([*C8S, "lint"], root / "without-a-source", env))
    print(f"  python -c pass                        {spread(floor)}")
    print(f"  `c8s lint` of a small file            {spread(whole)} (goal 400 ms)")


def peers(root: Path, env: dict[str, str], rounds: int, steps: int) -> None:
    """The same chain for other programs of the kind, if they are there."""
    if shutil.which("make"):
        rules = [f"s{n}: {f's{n - 1}' if n > 1 else ''}\n\ttrue\n" for n in range(1, steps + 1)]
        (root / "Makefile").write_text("".join(rules))
        seconds = repeated(rounds, lambda: timed(["make", f"s{steps}"], root, env))
        print(f"  make, the same chain                  {spread(seconds)}")
    if shutil.which("gitlab-ci-local"):
        folder = root / "gitlab"
        folder.mkdir()
        jobs = ["stages: [all]"]
        for n in range(1, steps + 1):
            needs = f", needs: [s{n - 1}]" if n > 1 else ""
            jobs.append(f"s{n}: {{stage: all, script: ['true']{needs}}}")
        (folder / ".gitlab-ci.yml").write_text("\n".join(jobs) + "\n")
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        command = ["gitlab-ci-local", "--force-shell-executor"]
        seconds = repeated(rounds, lambda: timed(command, folder, env))
        print(f"  gitlab-ci-local, the same chain       {spread(seconds, 's')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="c8s-bench-") as home:
        root = Path(home)
        env = {
            **os.environ,
            "C8S_RUNTIME": "process",
            **{f"XDG_{kind}_HOME": str(root / kind) for kind in ("STATE", "CONFIG", "CACHE")},
        }
        print(f"pipelines: {describe()}; median (min to max) of {args.rounds}")
        try:
            subprocess.run([*C8S, "up"], cwd=root, env=env, check=True, capture_output=True)
            chains(root, env, args.rounds, args.steps)
            lint(root, env, args.rounds)
            peers(root, env, args.rounds, args.steps)
        finally:
            subprocess.run([*C8S, "down"], cwd=root, env=env, check=False, capture_output=True)


if __name__ == "__main__":
    main()
