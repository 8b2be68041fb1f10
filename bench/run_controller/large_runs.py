"""Runs with much of everything in a sandbox: whether they end, how long the event loop was blocked, and the memory.

200,000 artifact files that the next step gets; 300 steps with four attempts each; two matrices of 150 of which one
depends on the other.

    .venv/bin/python bench/run_controller/large_runs.py [--files N] [--steps N] [--only artifacts,attempts,matrices]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.machine import describe

C8S = [sys.executable, "-P", "-m", "workbench"]
_LIMIT_SECONDS = 1800
_PAUSE_LIMIT = 0.2
_WRITE = """
import os, sys
for folder in range(int(sys.argv[1]) // 1000):
    os.makedirs(f"out/package-{folder}/dist")
    for number in range(1000):
        with open(f"out/package-{folder}/dist/module-{number}.d.ts", "w") as file:
            file.write(str(number))
"""
Step = dict[str, Any]


def artifacts(files: int) -> list[Step]:
    make = {"name": "make", "image": "none:1", "commands": [f"{sys.executable} write.py {files}"]}
    use = {"name": "use", "image": "none:1", "dependsOn": ["make"], "commands": ["find out -type f | wc -l"]}
    return [{**make, "artifacts": ["out/**"]}, use]


def attempts(steps: int) -> list[Step]:
    retry = {"maxRetries": 3, "backoffSeconds": 0}
    fails = {"image": "none:1", "commands": ["echo error: it fails here; exit 1"], "allowFailure": True}
    return [{**fails, "name": f"step-{number}", "retryPolicy": retry} for number in range(steps)]


def matrices(steps: int) -> list[Step]:
    matrix = {"dimensions": {"n": [str(number) for number in range(steps // 2)]}}
    one = {"image": "none:1", "commands": ["true"], "matrix": matrix}
    return [{**one, "name": "first"}, {**one, "name": "second", "dependsOn": ["first"]}]


def run(root: Path, env: dict[str, str], name: str, steps: list[Step]) -> bool:
    folder = root / name
    folder.mkdir()
    (folder / "write.py").write_text(_WRITE)
    # JSON is YAML.
    (folder / ".c8s.yaml").write_text(json.dumps({"version": "v1alpha1", "name": name, "steps": steps}))
    state = root / "STATE" / "c8s" / "default"
    log = state / "logs" / "controller.log"
    before = log.stat().st_size
    began = time.monotonic()
    done = subprocess.run(
        [*C8S, "run"], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=_LIMIT_SECONDS
    )
    seconds = time.monotonic() - began
    listed = subprocess.run(
        [*C8S, "runs", f"{name}-1", "-o", "json"], cwd=folder, env=env, check=True, capture_output=True
    )
    status = json.loads(listed.stdout)["status"]
    with log.open("rb") as file:
        file.seek(before)
        blocks = [each for line in file if b'"cpuSeconds"' in line and "stack" in (each := json.loads(line))]
    pauses, computed = ([each[key] for each in blocks] for key in ("seconds", "cpuSeconds"))
    pid = json.loads((state / "sandbox.json").read_text())["children"]["controller"]["pid"]
    peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    count = sum(len(step.get("attempts") or ()) for step in status["steps"])
    print(f"  {name}: {status['phase']} after {seconds:.0f} s; {len(status['steps'])} steps, {count} attempts")
    print(f"    pauses of the controller's event loop over 200 ms: {len(pauses)}", end="")
    print(f"; longest {max(pauses):.2f} s, of which it computed {max(computed):.2f} s" if pauses else "")
    for each in blocks:
        if each["cpuSeconds"] >= _PAUSE_LIMIT:
            print(f"    computed for {each['cpuSeconds']:.2f} s in\n{each['stack']}", flush=True)
    print(f"    memory of the controller at most {int(peak[1]) / 1024 if peak else 0:.0f} MiB", flush=True)
    if done.returncode or status["phase"] != "Succeeded":
        print(done.stdout[-2000:] + done.stderr[-2000:])
        return False
    return max(computed, default=0.0) < _PAUSE_LIMIT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--only", default="artifacts,attempts,matrices")
    given = parser.parse_args()
    print(describe())
    cases = {
        "artifacts": artifacts(given.files),
        "attempts": attempts(given.steps),
        "matrices": matrices(given.steps),
    }
    with tempfile.TemporaryDirectory(prefix="c8s-large-") as made:
        root = Path(made)
        env = (
            os.environ
            | {"C8S_RUNTIME": "process"}
            | {f"XDG_{kind}_HOME": str(root / kind) for kind in ("STATE", "CONFIG", "CACHE", "DATA")}
        )
        subprocess.run([*C8S, "up"], cwd=root, env=env, check=True, capture_output=True)
        try:
            ended = [run(root, env, name, cases[name]) for name in given.only.split(",")]
        finally:
            subprocess.run([*C8S, "down"], cwd=root, env=env, check=True, capture_output=True)
    return 0 if all(ended) else 1


if __name__ == "__main__":
    sys.exit(main())
