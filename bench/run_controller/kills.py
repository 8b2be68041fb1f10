"""Kills the operator with SIGKILL at random moments through a run of 20 steps, and looks for what was lost or doubled.

The operator is a process of its own; the cluster and the API live on. Steps hand
artifacts on, some fail once and are tried again. Each attempt appends a line to a
file that the operator can't see, and writes what it prints there too: each
attempt has to have run exactly once, and each log has to be what was printed. One
step fails for good, and what depends on it must not run. The pods of up to
six steps at a time are made ahead and wait at their gates; none may be left there.

An operator is forked off a process that has imported the code and nothing else, which takes 50 ms instead of a second:
the kills meet what an operator does, not its imports. With `--fresh` each is an interpreter of its own.

    .venv/bin/python bench/run_controller/kills.py [--kills N] [--per-run N] [--store-away SECONDS] [--seed N] [--fresh]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]
_ROOT = Path(__file__).parents[2]
_TOKEN = "kill-token"
_RUNS = "/apis/c8s.dev/v1alpha1/namespaces/default/pipelineruns"
_LAYERS, _WIDTH = 5, 4
_TIMEOUT = 300.0
_LINES = 40
_FINAL = ("Succeeded", "Failed", "Cancelled")
_FRESH_PAUSE = (0.4, 1.0)
"""Seconds between the start of an operator and its kill; its imports take about one."""
_FORKED_PAUSE = (0.02, 0.8)


class Process(Protocol):
    """What this needs of a process, as `subprocess.Popen` has it."""

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None, /) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def send_signal(self, sig: int, /) -> None: ...


class ForkedProcess:
    """A controller that is forked off a server process with its modules imported."""

    _context = multiprocessing.get_context("forkserver")

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._context.set_forkserver_preload(
            ["controller.main", "controller.runtime.manager", "controller.storage.directory"]
        )
        self._process = self._context.Process(target=run_controller, args=(arguments, str(log)), daemon=True)
        self._process.start()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None, /) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise TimeoutError(f"the operator goes on after {timeout} s")
        return code

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, sig: int, /) -> None:
        os.kill(self._process.pid or 0, sig)


def run_controller(arguments: list[str], log: str) -> None:
    """What a forked process does: the controller's entry point, which logs to a file."""
    from controller.main import main as controller_main

    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.exit(controller_main(arguments))


@dataclass
class Found:
    """What was looked at, and what was wrong."""

    runs: int = 0
    kills: int = 0
    attempts: int = 0
    early: int = 0
    """Attempts whose pod was made ahead."""
    lines: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass
class Stage:
    """A cluster and an API that live on, and an operator that does not."""

    folder: Path
    cluster: str
    api: str
    through: str | None = None
    """Where the operator reaches the cluster, if not directly."""
    operator: Process | None = None
    forks: bool = False
    """Whether operators are forked off a process with their modules imported."""

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        headers = {"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.cluster + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: Json = json.loads(answer.read())
        return found

    def start_operator(self) -> None:
        self.operator = self.another_operator("operator", self.through)

    def another_operator(self, name: str, through: str | None, *flags: str) -> Process:
        """An operator that reaches the cluster directly or `through` a proxy; the caller ends it."""
        config = self.folder / f"{name}.kubeconfig"
        config.write_text(kubeconfig(through or self.cluster))
        arguments = controller_arguments(self.folder, config, "operator", ["--public-url", self.api, *flags])
        if self.forks:
            return ForkedProcess(arguments, self.folder / "operator.log")
        return controller(self.folder, "operator", arguments)

    def kill_operator(self) -> None:
        assert self.operator is not None
        self.operator.send_signal(signal.SIGKILL)
        self.operator.wait(20)


def kubeconfig(server: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": _TOKEN}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
    )


def controller_arguments(folder: Path, config: Path, role: str, more: list[str]) -> list[str]:
    agent = json.dumps([sys.executable, "-I", "-S", str(_ROOT / "controller" / "agent")])
    arguments = ["--role", role, "--kubeconfig", str(config), "--store", f"file://{folder / 'store'}"]
    return [
        *arguments,
        "--step-agents",
        "always",
        "--agent-command",
        agent,
        "--agent-key-file",
        str(folder / "agent.key"),
        *more,
    ]


def controller(folder: Path, role: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "controller", *arguments]
    with (folder / f"{role}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(_ROOT)})


@contextmanager
def stage(folder: Path, port: int = 0) -> Iterator[Stage]:
    """The cluster with our resources in it, and the API. The operator is not started yet."""
    tokens = folder / "tokens.csv"
    tokens.write_text(f'{_TOKEN},admin,admin,"system:masters"\n')
    manifests = _ROOT / "controller" / "operator" / "manifests"
    crds = folder / "manifests"
    crds.mkdir()
    (crds / "crds.json").write_bytes((manifests / "crds.json").read_bytes())
    command = [sys.executable, "-P", "-m", "embedded", "--data-dir", str(folder / "data"), "--port", "0"]
    command += ["--token-auth-file", str(tokens), "--manifests", str(crds)]
    environment = {k: v for k, v in os.environ.items() if k != "EMBEDDED_CONTAINER"} | {"PYTHONPATH": str(_ROOT)}
    with (folder / "cluster.log").open("ab") as log:
        cluster = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    api: subprocess.Popen[bytes] | None = None
    found: Stage | None = None
    try:
        assert cluster.stdout is not None
        line = cluster.stdout.readline()
        if not line.startswith("serving "):
            raise RuntimeError(f"the cluster did not start: {(folder / 'cluster.log').read_text()[-2000:]}")
        url = line.split()[1]
        config = folder / "api.kubeconfig"
        config.write_text(kubeconfig(url))
        with _free_port() as free:
            chosen = port or free
        api = controller(folder, "api", controller_arguments(folder, config, "api", ["--port", str(chosen)]))
        found = Stage(folder, url, f"http://127.0.0.1:{chosen}")
        _await_api(found, api)
        yield found
    finally:
        for process in (found.operator if found else None, api, cluster):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(60)
        if cluster.stdout is not None:
            cluster.stdout.close()


def _await_api(on: Stage, process: subprocess.Popen[bytes]) -> None:
    """Until it answers: nothing restarts it here, so what is done to its store must not meet its start."""
    end = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{on.api}/healthz", timeout=5).close()
            return
        except OSError as problem:
            if process.poll() is not None or time.monotonic() > end:
                log = (on.folder / "api.log").read_text()[-2000:]
                raise RuntimeError(f"the API did not start ({problem}): {log}") from problem
        time.sleep(0.05)


@contextmanager
def _free_port() -> Iterator[int]:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


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
) -> None:
    """Submit a run, kill the operator at most so often while it goes on, and compare.

    `meanwhile`: what else happens to it. `layers`: how many steps follow on each other; there are four in each.
    """
    outside = on.folder / f"outside-{name}"
    outside.mkdir()
    wanted, flaky = steps(outside, chance, 1.5 if on.forks else 0.15, layers)
    run = {"apiVersion": "c8s.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name}}
    pipeline = {"name": "kills", "steps": wanted}
    run["spec"] = {"pipeline": pipeline, "prestart": chance.randint(0, 6)}  # type: ignore[assignment]
    on.call("POST", _RUNS, run)
    began = time.monotonic()
    if on.operator is None or on.operator.poll() is not None:
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
    end = time.monotonic() + _TIMEOUT
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
    parser.add_argument("--fresh", action="store_true", help="start each operator as an interpreter of its own")
    args = parser.parse_args()
    chance, found = random.Random(args.seed), Found()
    with tempfile.TemporaryDirectory(prefix="c8s-kills-") as folder, stage(Path(folder)) as on:
        on.forks = not args.fresh
        while found.kills < args.kills:
            one_run(on, f"kills-{found.runs + 1}", min(args.per_run, args.kills - found.kills), chance, found)
            print(f"{found.kills} kills, {found.runs} runs, {len(found.wrong)} wrong", file=sys.stderr, flush=True)
        if args.store_away:
            one_run(on, "away", 0, chance, found, meanwhile=lambda: _without_store(on, "away", args.store_away))
    print(
        f"operator kills: seed {args.seed}; {found.kills} kills in {found.runs} runs, {found.attempts} attempts "
        f"({found.early} in pods made ahead), "
        f"{found.lines} lines; {len(found.wrong)} wrong; a run took {min(found.seconds):.1f} to "
        f"{max(found.seconds):.1f} s"
    )
    for each in found.wrong:
        print(f"  {each}")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
