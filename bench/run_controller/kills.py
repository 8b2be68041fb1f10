"""Kills the operator with SIGKILL at random moments through a run of 20 steps, and looks for what was lost or doubled.

The operator is a process of its own; the cluster and the API live on. Steps hand
artifacts on, some fail once and are tried again. Each attempt appends a line to a
file that the operator can't see, and writes what it prints there too: each
attempt has to have run exactly once, and each log has to be what was printed. One
step fails for good, and what depends on it must not run. The pods of up to
six steps at a time are made ahead and wait at their gates; none may be left there.

An operator is forked off a process that has imported the code and nothing else, which takes 50 ms instead of a second:
the kills meet what an operator does, not its imports. With `--fresh` each is an interpreter of its own.

With `--api-away` the operators reach the API server through a proxy that cuts off all connections for 0.5 to 3 s, again
and again: before a request is passed on, and before its answer is.

    .venv/bin/python bench/run_controller/kills.py [--kills N] [--per-run N] [--store-away SECONDS] [--seed N] [--fresh]
        [--api-away]
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.run_controller.stage import Json, Stage, stage

_RUNS = "/apis/c8s.dev/v1alpha1/namespaces/default/pipelineruns"
_LAYERS, _WIDTH = 5, 4
_LINES = 40
_FINAL = ("Succeeded", "Failed", "Cancelled")
_FRESH_PAUSE = (0.4, 1.0)
"""Seconds between the start of an operator and its kill; its imports take about one."""
_FORKED_PAUSE = (0.02, 0.8)
_AWAY, _THERE = (0.5, 3.0), (0.3, 3.0)
"""Seconds for which the API server is away for the operator, and there in between."""


@dataclass
class Found:
    """What was looked at, and what was wrong."""

    runs: int = 0
    kills: int = 0
    attempts: int = 0
    early: int = 0
    """Attempts whose pod was made ahead."""
    lines: int = 0
    away: int = 0
    """How often the API server was away for the operator."""
    lost: int = 0
    """Answers that were lost besides."""
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def steps(
    outside: Path, chance: random.Random, longest: float = 0.15, layers: int = _LAYERS
) -> tuple[list[Json], set[str]]:
    """Layers of four steps that sleep up to `longest` seconds, and the names of those whose first attempt fails."""
    found: list[Json] = []
    flaky: set[str] = set()
    for layer in range(layers):
        for place in range(_WIDTH):
            name = f"s{layer}-{place}"
            needs = chance.sample([f"s{layer - 1}-{n}" for n in range(_WIDTH)], 2) if layer else []
            mine = f"{outside}/{name}.$C8S_ATTEMPT"
            commands = [f'echo "{name} $C8S_ATTEMPT" >> {outside}/began']
            commands += [f"test -s out/{need}" for need in needs]
            line = f'"line $i of {name} $C8S_ATTEMPT"'
            commands += [f"for i in $(seq {_LINES}); do echo {line}; echo {line} >> {mine}; done"]
            commands += [f"sleep {chance.uniform(0, longest):.3f}"]
            if chance.random() < 0.2:
                flaky.add(name)
                commands += ["test $C8S_ATTEMPT -gt 1"]
            commands += [f"mkdir -p out; echo {name} > out/{name}"]
            retry = {"maxRetries": 1, "backoffSeconds": 0}
            step = {"name": name, "image": "none", "commands": commands, "dependsOn": needs, "retryPolicy": retry}
            found.append({**step, "artifacts": [f"out/{name}"]})
    return [*found, *_doomed_steps(outside, chance.uniform(0, longest))], flaky


def _doomed_steps(outside: Path, seconds: float) -> list[Json]:
    """A step that fails, and two after it that never run, although their pods may wait for it."""
    found: list[Json] = []
    for name, needs in (("doomed", "s0-0"), ("never", "doomed"), ("never-too", "never")):
        commands = [f'echo "{name} $C8S_ATTEMPT" >> {outside}/began', f"echo line | tee {outside}/{name}.$C8S_ATTEMPT"]
        commands += [f"sleep {seconds:.3f}", "exit 3"]
        found.append({"name": name, "image": "none", "commands": commands, "dependsOn": [needs]})
    return found


def one_run(
    on: Stage,
    name: str,
    kills: int,
    chance: random.Random,
    found: Found,
    *,
    meanwhile: Callable[[], None] = lambda: None,
    layers: int = _LAYERS,
    starts: bool = True,
) -> None:
    """Submit a run, kill the operator at most so often while it goes on, and compare.

    `meanwhile`: what else happens to it. `layers`: how many steps follow on each other; there are four in each.
    `starts`: whether an operator is started if none runs; otherwise the caller does that.
    """
    outside = on.folder / f"outside-{name}"
    outside.mkdir()
    wanted, flaky = steps(outside, chance, 1.5 if on.forks else 0.15, layers)
    run = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name}}
    pipeline = {"name": "kills", "steps": wanted}
    run["spec"] = {"pipeline": pipeline, "prestart": chance.randint(0, 6)}  # type: ignore[assignment]
    on.call("POST", _RUNS, run)
    began = time.monotonic()
    if starts and (on.operator is None or on.operator.poll() is not None):
        on.start_operator()
    for _ in range(kills):
        time.sleep(chance.uniform(*(_FORKED_PAUSE if on.forks else _FRESH_PAUSE)))
        if _phase(on, name) in _FINAL:
            break
        on.kill_operator()
        found.kills += 1
        on.start_operator()
    meanwhile()
    status = _ended(on, name)
    found.seconds.append(time.monotonic() - began)
    found.runs += 1
    _compare(on, name, outside, wanted, flaky, status, found)


@contextmanager
def store_away(on: Stage) -> Iterator[None]:
    """Meanwhile the object store is not there, as a disk that is not mounted."""
    store, away = on.folder / "store", on.folder / "store-away"
    store.rename(away)
    store.write_text("a file where a folder should be")
    try:
        yield
    finally:
        store.unlink()
        away.rename(store)


def _without_store(on: Stage, name: str, seconds: float) -> None:
    began = on.folder / f"outside-{name}" / "began"
    while not began.exists():
        time.sleep(0.05)
    with store_away(on):
        time.sleep(seconds)


def _ended(on: Stage, name: str) -> Json:
    end = time.monotonic() + on.run_seconds
    while time.monotonic() < end and _phase(on, name) not in _FINAL:
        time.sleep(0.1)
    return on.call("GET", f"{_RUNS}/{name}").get("status") or {}


def _phase(on: Stage, name: str) -> str:
    return str((on.call("GET", f"{_RUNS}/{name}").get("status") or {}).get("phase", ""))


def _compare(
    on: Stage, name: str, outside: Path, wanted: list[Json], flaky: set[str], status: Json, found: Found
) -> None:
    others = {"doomed": "Failed", "never": "Skipped", "never-too": "Skipped"}
    expected_phases = {step["name"]: others.get(step["name"], "Succeeded") for step in wanted}
    phases = {step["name"]: step["phase"] for step in status.get("steps") or []}
    if status.get("phase") != "Failed" or phases != expected_phases:
        found.wrong.append(f"{name}: {status.get('phase')}: {status.get('message')}, {phases}")
    found.wrong += [f"{name}: {left} is left at its gate" for left in _left_at_gates(on)]
    began = Counter((outside / "began").read_text().splitlines() if (outside / "began").exists() else ())
    expected = {f"{step['name']} 1" for step in wanted if others.get(step["name"]) != "Skipped"}
    expected |= {f"{step} 2" for step in flaky}
    for attempt in sorted(expected | set(began)):
        times = began[attempt]
        if times != (1 if attempt in expected else 0):
            found.wrong.append(f"{name}: attempt {attempt} ran {times} times")
    found.attempts += len(began)
    logs = on.folder / "store" / "logs" / "default" / on.call("GET", f"{_RUNS}/{name}")["metadata"]["uid"]
    for step in status.get("steps") or []:
        for attempt in step.get("attempts") or []:
            found.early += bool(attempt.get("early"))
            file = outside / f"{step['name']}.{attempt['number']}"
            printed = file.read_bytes() if file.exists() else b""
            log = logs / step["slug"] / f"{attempt['number']}.log"
            stored = log.read_bytes() if log.exists() else b""
            found.lines += printed.count(b"\n")
            if not printed:
                found.wrong.append(f"{name}: {step['name']} printed nothing: {json.dumps(attempt)}")
            if stored != printed:
                found.wrong.append(
                    f"{name}: the log of {step['name']} {attempt['number']} has {len(stored)} of {len(printed)} bytes"
                )


@contextmanager
def _api_away(on: Stage, seed: int, found: Found) -> Iterator[None]:
    """Meanwhile the API server is away for the operators again and again."""
    from tests.integration.operator.faults import Faults, fault_proxy

    # It logs each connection that it cuts off.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    chance, trouble, over = random.Random(seed), Faults(lost=0.02), threading.Event()

    def toggle() -> None:
        while not over.wait(chance.uniform(*_THERE)):
            trouble.down = True
            found.away += 1
            over.wait(chance.uniform(*_AWAY))
            trouble.down = False

    with fault_proxy(on.cluster, trouble, seed) as on.through:
        thread = threading.Thread(target=toggle, name="away")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            found.lost = trouble.seen.get("lost", 0)
            if on.operator is not None and on.operator.poll() is None:
                on.kill_operator()


def _left_at_gates(on: Stage) -> list[str]:
    """The Jobs that were made ahead and neither opened nor removed."""
    jobs = on.call("GET", "/apis/batch/v1/namespaces/default/jobs?labelSelector=c8s.dev/early%3Dtrue")["items"]
    return [
        job["metadata"]["name"] for job in jobs if "c8s.dev/opened" not in (job["metadata"].get("annotations") or {})
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--per-run", type=int, default=40, help="kills of one run, at most")
    parser.add_argument("--store-away", type=float, default=0.0, metavar="SECONDS", help="in a run after the kills")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--api-away", action="store_true", help="let the API server be away for 0.5 to 3 s at times")
    parser.add_argument("--fresh", action="store_true", help="start each operator as an interpreter of its own")
    args = parser.parse_args()
    chance, found = random.Random(args.seed), Found()
    with tempfile.TemporaryDirectory(prefix="c8s-kills-") as folder, stage(Path(folder)) as on, ExitStack() as faults:
        on.forks = not args.fresh
        if args.api_away:
            on.run_seconds = 900.0
            faults.enter_context(_api_away(on, args.seed, found))
        shown = 0
        while found.kills < args.kills:
            one_run(on, f"kills-{found.runs + 1}", min(args.per_run, args.kills - found.kills), chance, found)
            print(f"{found.kills} kills, {found.runs} runs, {len(found.wrong)} wrong", file=sys.stderr, flush=True)
            for each in found.wrong[shown:]:
                print(f"  {each}", file=sys.stderr, flush=True)
            shown = len(found.wrong)
        if args.store_away:
            one_run(on, "away", 0, chance, found, meanwhile=lambda: _without_store(on, "away", args.store_away))
    print(
        f"operator kills: seed {args.seed}; {found.kills} kills in {found.runs} runs, {found.attempts} attempts "
        f"({found.early} in pods made ahead), "
        f"{found.lines} lines; the API server was away {found.away} times, and {found.lost} answers were lost besides; "
        f"{len(found.wrong)} wrong; a run took {min(found.seconds):.1f} to "
        f"{max(found.seconds):.1f} s"
    )
    for each in found.wrong:
        print(f"  {each}")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
