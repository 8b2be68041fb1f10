"""What it costs to keep the workspace of a failed step, and how soon one is in a copy of it.

    .venv/bin/python bench/failed_step.py [--rounds 5] [--files 10000] [--kib 8]

Every figure is of whole processes. Beside keeping stands a step that fails without being kept.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe, spread

C8S = [sys.executable, "-P", "-m", "workbench"]
WRITE = "import os,sys; [open(f'f{n}', 'wb').write(os.urandom(int(sys.argv[2]))) for n in range(int(sys.argv[1]))]"


def timed(folder: Path, env: dict[str, str], *arguments: str, code: int) -> float:
    began = time.perf_counter()
    done = subprocess.run([*C8S, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode != code:
        raise SystemExit(f"c8s {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return seconds


def newest(folder: Path, env: dict[str, str]) -> tuple[str, int]:
    """The last run, and how many bytes of its step are kept."""
    answer = subprocess.run(
        [*C8S, "runs", "--limit", "1", "--output", "json"], cwd=folder, env=env, check=True, capture_output=True
    )
    [run] = json.loads(answer.stdout)
    return run["name"], (run["status"]["steps"][0]["attempts"][0].get("kept") or {}).get("bytes", 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--kib", type=int, default=8, help="of each file; its content can't be compressed")
    given = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory(prefix="c8s-bench-") as made:
        root = Path(made)
        env = (
            os.environ
            | {"C8S_RUNTIME": "process"}
            | {f"XDG_{kind}_HOME": str(root / kind) for kind in ("STATE", "CONFIG", "CACHE", "DATA")}
        )
        subprocess.run([*C8S, "up"], cwd=root, env=env, check=True, capture_output=True)
        try:
            for label, files in (("an empty workspace", 0), (f"{given.files:,} files of {given.kib} KiB", given.files)):
                measure(root, env, label, files, given.kib * 1024, given.rounds)
        finally:
            subprocess.run([*C8S, "down"], cwd=root, env=env, check=True, capture_output=True)


def measure(root: Path, env: dict[str, str], label: str, files: int, size: int, rounds: int) -> None:
    folder = root / f"with-{files}"
    folder.mkdir()
    (folder / "write.py").write_text(WRITE)
    command = f"{sys.executable} write.py {files} {size}"
    (folder / ".c8s.yaml").write_text(
        f"version: v1alpha1\nname: kept\nsteps: [{{name: fails, image: 'a:1', commands: ['{command}', exit 1]}}]\n"
    )
    plain = [timed(folder, env, "run", code=1) for _ in range(rounds)]
    kept = [timed(folder, env, "run", "--keep-on-failure", code=1) for _ in range(rounds)]
    run, stored = newest(folder, env)
    entered = [timed(folder, env, "shell", run, "fails", "true", code=0) for _ in range(rounds)]
    print(f"  {label}, {stored / 1024**2:.1f} MiB kept")
    print(f"    `c8s run` of a step that fails      {spread(plain)}")
    print(f"    the same with --keep-on-failure     {spread(kept)}")
    print(f"    `c8s shell RUN STEP true`           {spread(entered)}")


if __name__ == "__main__":
    main()
