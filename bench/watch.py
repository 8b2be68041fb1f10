"""How soon a step runs again after a file is saved, and how soon an unchanged pipeline is found reusable.

    .venv/bin/python bench/watch.py [--rounds 10] [--files 5000] [--steps 20]

The tree is a git repository of small files in as many folders as there are steps, each of which reads one folder. The
first figure is from the end of writing a file to the step's first line in the output of `c8s run --watch`; 300 ms of it
are the pause in which nothing may change. Between two runs there are some seconds, in which a spare copy of the source
is made. The second is from the request that creates a run to the status in which all its steps are reused.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe, spread

from workbench.client import Client, RunChanged, RunsListed
from workbench.client.run_request import ArchiveSource, RunRequest
from workbench.client.source_delta import SourceDelta
from workbench.pipeline_file.load import lint_pipeline
from workbench.sandbox import Sandboxes
from workbench.submit.gzip_members import MemberCache
from workbench.submit.submit import new_idempotency_key, pack_worktree
from workbench.submit.upload import SourceUploader

C8S = [sys.executable, "-P", "-m", "workbench"]


def make_tree(folder: Path, files: int, steps: int) -> None:
    """The repository, with `steps` steps that read one folder each."""
    folder.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    for number in range(files):
        part = folder / f"part{number % steps}" / f"{number % 97}"
        part.mkdir(parents=True, exist_ok=True)
        (part / f"file{number}.txt").write_text(f"{number}\n" * 200)
    lines = ["version: v1alpha1", "name: watched", "steps:"]
    for number in range(steps):
        (folder / f"part{number}" / "word.txt").write_text("0\n")
        lines += [f"  - name: step{number}", "    image: busybox:1.36", f"    inputs: [part{number}]"]
        lines += [f"    commands: [cat part{number}/word.txt]"]
    (folder / ".c8s.yaml").write_text("\n".join(lines) + "\n")
    commit = ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "all"]
    for arguments in (["add", "-A"], commit):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


def save_to_first_line(folder: Path, env: dict[str, str], rounds: int, steps: int, pause: float) -> list[float]:
    process = subprocess.Popen(
        [*C8S, "run", "--watch"], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    times = []
    try:
        _read_to(process, "succeeded in")
        for number in range(rounds):
            # The first two are not counted: what they need for the first time is loaded.
            time.sleep(pause)
            step = number % steps
            word = f"word-{number}"
            (folder / f"part{step}" / "word.txt").write_text(f"{word}\n")
            began = time.perf_counter()
            _read_to(process, f"| {word}")
            times.append(time.perf_counter() - began)
            _read_to(process, "succeeded in")
    finally:
        process.terminate()
        process.communicate(timeout=60)
    return times[2:] or times


def _read_to(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    seen = []
    for line in iter(process.stdout.readline, ""):
        seen.append(line)
        if text in line:
            return
    raise SystemExit(f"{text!r} did not come:\n{''.join(seen)}")


async def unchanged(folder: Path, rounds: int) -> list[float]:
    """From the request to the status in which all steps are reused, of runs on the same files."""
    definition = lint_pipeline((folder / ".c8s.yaml").read_bytes()).definition
    assert definition is not None
    times = []
    async with Sandboxes().attach("default") as endpoint, Client(endpoint) as client:
        async with pack_worktree(folder, folder / ".c8s.yaml") as packing:
            source = await packing
            assert source is not None
            archive = source.archive
            await client.ensure_source(archive.digest, archive.path)
        for _ in range(rounds + 1):
            sent = ArchiveSource(archive.digest, archive.contents_digest, archive.pipeline_file)
            request = RunRequest(definition, source=sent, reuse=True)
            began = time.perf_counter()
            run = await client.create_run(request, idempotency_key=new_idempotency_key())
            async for change in client.watch_runs(run.name):
                found = change.run if isinstance(change, RunChanged) else None
                if isinstance(change, RunsListed) and change.runs:
                    found = change.runs[0]
                if found is not None and found.steps and all(step.ended for step in found.steps):
                    break
            times.append(time.perf_counter() - began)
            if not all(step.reused for step in found.steps):  # type: ignore[union-attr]
                raise SystemExit(f"not all steps of {run.name} were reused")
    return times[1:]


async def upload_bytes(folder: Path) -> tuple[int, int, float]:
    """Bytes of the whole archive, bytes that are sent for one changed file, and the seconds to pack it again."""
    sent: list[int] = []

    class Counter:
        async def ensure_source(
            self, digest: str, archive: Path, progress: object = None, *, delta: object = None
        ) -> bool:
            sent.append(delta.size if isinstance(delta, SourceDelta) else archive.stat().st_size)
            return True

    uploader, cache = SourceUploader(), MemberCache()
    for number in range(2):
        (folder / "part1" / "word.txt").write_text(f"once {number}\n")
        await asyncio.sleep(0.1)
        began = time.process_time()
        async with pack_worktree(folder, folder / ".c8s.yaml", cache=cache) as packing:
            source = await packing
            assert source is not None
            took = time.process_time() - began
            await uploader.upload(Counter(), source.archive)
    return sent[0], sent[1], took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds from the end of a run to the next save")
    parser.add_argument("--large", type=int, default=50_000, help="files of the tree whose upload is measured")
    given = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory(prefix="c8s-bench-") as made:
        root = Path(made)
        os.environ["C8S_RUNTIME"] = "process"
        os.environ.update({f"XDG_{kind}_HOME": str(root / kind) for kind in ("STATE", "CONFIG", "CACHE", "DATA")})
        env = dict(os.environ)
        folder = root / "tree"
        make_tree(folder, given.files, given.steps)
        make_tree(root / "large", given.large, given.steps)
        whole, sent, took = asyncio.run(upload_bytes(root / "large"))
        print(f"  {given.large:,} files: {whole / 1024:,.0f} KiB packed; one changed: {sent / 1024:,.1f} KiB are sent")
        print(f"    processor time to list the tree and pack it again: {1000 * took:.0f} ms")
        subprocess.run([*C8S, "up"], cwd=root, env=env, check=True, capture_output=True)
        try:
            saved = save_to_first_line(folder, env, given.rounds + 2, given.steps, given.pause)
            found = asyncio.run(unchanged(folder, given.rounds))
            print(f"  {given.files:,} files, {given.steps} steps")
            print(f"    from a save to the first line of the step     {spread(saved)}")
            print(f"    an unchanged pipeline is found reusable       {spread(found)}")
        finally:
            subprocess.run([*C8S, "down"], cwd=root, env=env, check=True, capture_output=True)


if __name__ == "__main__":
    main()
