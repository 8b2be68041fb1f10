"""100 runs of 5 x `true` at once, one run of 200 steps at once, and longer and longer chains: how long they take.

.venv/bin/python bench/run_controller/load.py [--runs N] [--wide N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.machine import describe
from bench.run_controller.stage import Stage, stage

Json = dict[str, Any]
_RUNS = "/apis/c8s.dev/v1alpha1/namespaces/default/pipelineruns"
_CHAINS = (20, 100, 200, 300)
_FINAL = ("Succeeded", "Failed", "Cancelled")


def submit(on: Stage, name: str, steps: list[Json]) -> None:
    run = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name}}
    on.call("POST", _RUNS, {**run, "spec": {"pipeline": {"name": "load", "steps": steps}}})


def chain(count: int) -> list[Json]:
    one = {"image": "none", "commands": ["true"]}
    return [{**one, "name": f"s{n}", "dependsOn": [f"s{n - 1}"] if n else []} for n in range(count)]


def wait(on: Stage, prefix: str, count: int, timeout: float) -> tuple[float, float]:
    """(seconds from now until all have ended, the operator's largest resident memory in MB)."""
    began = time.monotonic()
    while True:
        items = [i for i in on.call("GET", _RUNS)["items"] if i["metadata"]["name"].startswith(prefix)]
        phases = [(i.get("status") or {}).get("phase") for i in items]
        if len(phases) == count and all(phase in _FINAL for phase in phases):
            break
        if time.monotonic() - began > timeout:
            raise TimeoutError(f"{sum(p in _FINAL for p in phases)} of {count} runs ended in {timeout} s")
        time.sleep(0.5)
    failed = sum(phase != "Succeeded" for phase in phases)
    if failed:
        raise RuntimeError(f"{failed} runs did not succeed")
    assert on.operator is not None
    status = Path(f"/proc/{on.operator.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return time.monotonic() - began, int(peak.split()[1]) / 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--wide", type=int, default=200)
    args = parser.parse_args()
    print(f"operator load: {describe()}")
    with tempfile.TemporaryDirectory(prefix="c8s-load-") as folder, stage(Path(folder)) as on:
        on.start_operator()
        submit(on, "warm", chain(1))
        wait(on, "warm", 1, 60)
        for number in range(args.runs):
            submit(on, f"many-{number}", chain(5))
        seconds, peak = wait(on, "many", args.runs, 180)
        print(f"  {args.runs} runs of 5 x true: {seconds:.1f} s after the last was submitted, at most {peak:.0f} MB")
        submit(on, "wide-1", [{**step, "dependsOn": []} for step in chain(args.wide)])
        seconds, peak = wait(on, "wide", 1, 180)
        print(f"  one run of {args.wide} steps at once   {seconds:.1f} s, the operator's peak {peak:.0f} MB")
        for count in _CHAINS:
            submit(on, f"chain-{count}", chain(count))
            seconds, _ = wait(on, f"chain-{count}", 1, 300)
            print(f"  a chain of {count} x true: {seconds / count * 1000:.1f} ms a step")
    return 0


if __name__ == "__main__":
    sys.exit(main())
