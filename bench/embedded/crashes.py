"""Kills the embedded cluster with SIGKILL at random moments, starts it again, and looks for what was lost.

Until each kill, clients write objects, change and delete them, and submit Jobs
whose pods come and go, detach processes and run on. After the next start all
that was acknowledged has to be there, no process of a pod of before may run,
those pods have to have failed, and each Job has to come to an end that counts
each of its pods once.

python bench/embedded/crashes.py [--crashes N] [--seed N]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]
_TOKEN = "crash-token"
_MAPS, _PODS = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"
_JOBS = "/apis/batch/v1/namespaces/default/jobs"
_TIMEOUT = 100.0
_BUSY_OBJECTS = 10
_SCRIPTS = (
    "true",
    "exec sleep 300",
    "setsid sleep 300 & sleep 300",
    "trap '' TERM; env -i setsid sleep 300 & sleep 300",
    "sleep 0.05; exit 0",
)


@dataclass
class Acknowledged:
    """What clients were answered. Of an object with a request under way nothing is known but what came before."""

    maps: dict[str, str | None] = field(default_factory=dict)
    """The last value; None after a deletion."""
    unsure: dict[str, set[str | None]] = field(default_factory=dict)
    jobs: set[str] = field(default_factory=set)
    revision: int = 0


@dataclass(frozen=True)
class Cluster:
    url: str
    pid: int

    def call(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        place = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=_TIMEOUT)
        headers = {"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    tokens = folder / "tokens.csv"
    tokens.write_text(f'{_TOKEN},admin,admin,"system:masters"\n')
    command = [sys.executable, "-m", "embedded", "--data-dir", str(folder / "data"), "--port", "0"]
    # As a supervisor starts it: not as part of a pod of the cluster that this may itself run in.
    environment = {name: value for name, value in os.environ.items() if name != "EMBEDDED_CONTAINER"}
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(
            [*command, "--token-auth-file", str(tokens), "--max-pods", "6"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("serving "):
                raise RuntimeError(f"the cluster did not start: {(folder / 'log').read_text()[-2000:]}")
            yield Cluster(line.split()[1], process.pid)
        finally:
            process.terminate()
            process.wait(60)


class Writer(threading.Thread):
    """One client that writes until the cluster is gone."""

    def __init__(self, cluster: Cluster, seed: str, known: Acknowledged) -> None:
        super().__init__(name=seed)
        self._cluster, self._known = cluster, known
        self._random = random.Random(seed)

    def run(self) -> None:
        try:
            for number in range(10_000):
                self._one(f"{self.name}-{number}")
        except (OSError, http.client.HTTPException):
            # The kill.
            return

    def _one(self, name: str) -> None:
        if self._random.random() < 0.15:
            container = {"name": "main", "image": "none", "command": ["sh", "-c", self._random.choice(_SCRIPTS)]}
            template = {"spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1}}
            template["spec"]["containers"] = [container]  # type: ignore[assignment]
            job = {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template}}
            if self._call("POST", _JOBS, job)[0] == 201:
                self._known.jobs.add(name)
            return
        self._write(name, "first", "POST", _MAPS, {"metadata": {"name": name}, "data": {"k": "first"}})
        self._write(name, "second", "PATCH", f"{_MAPS}/{name}", {"data": {"k": "second"}})
        if self._random.random() < 0.3:
            self._write(name, None, "DELETE", f"{_MAPS}/{name}", None)

    def _write(self, name: str, value: str | None, method: str, path: str, body: Json | None) -> None:
        before = self._known.maps.get(name)
        self._known.unsure[name] = {before, value}
        if self._call(method, path, body)[0] < 300:
            self._known.maps[name] = value
            del self._known.unsure[name]

    def _call(self, method: str, path: str, body: Json | None) -> tuple[int, Json]:
        status, answer = self._cluster.call(method, path, body)
        self._known.revision = max(self._known.revision, int(answer["metadata"].get("resourceVersion", 0)))
        return status, answer


def crash(folder: Path, seed: int, milliseconds: float, *, busy: bool = False) -> Acknowledged:
    """Write for so long, with `busy` from when there is much to lose, then kill the cluster. What was acknowledged."""
    known = Acknowledged()
    with running(folder) as cluster:
        writers = [Writer(cluster, f"w{seed}-{number}", known) for number in range(3)]
        for writer in writers:
            writer.start()
        by = time.monotonic() + _TIMEOUT
        while busy and not _is_busy(folder, known):
            if time.monotonic() > by:
                raise RuntimeError(f"the cluster has {len(known.maps)} objects and runs no pod that would go on")
            time.sleep(0.01)
        time.sleep(milliseconds / 1000)
        os.kill(cluster.pid, signal.SIGKILL)
        for writer in writers:
            writer.join(_TIMEOUT)
    return known


def _is_busy(folder: Path, known: Acknowledged) -> bool:
    """Whether clients have written some objects, and a process of a pod runs that does not end by itself."""
    if len(known.maps) < _BUSY_OBJECTS:
        return False
    mine = own_pods(folder)
    return any(uid in mine and _runs_on(pid) for pid, uid in marked())


def _runs_on(pid: int) -> bool:
    try:
        return b"sleep\x00300" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def own_pods(folder: Path) -> set[str]:
    """The uids of the pods that have run on this data; the machine may run other clusters."""
    place = folder / "data" / "pods"
    return {pod.name for pod in place.iterdir()} if place.exists() else set()


def check(folder: Path, known: Acknowledged) -> tuple[list[str], dict[str, int]]:
    """What is wrong after the next start, and how much there was to look at."""
    mine = own_pods(folder)
    with running(folder) as cluster:
        pods = cluster.call("GET", _PODS)[1]["items"]
        wrong = _lost(cluster, known)
        wrong += _unfinished(cluster, known)
        wrong += _left_running(cluster, mine)
        counted = {"objects": len(known.maps), "jobs": len(known.jobs), "unsure": len(known.unsure)}
        counted["lost pods"] = sum(pod["status"].get("reason") == "NodeLost" for pod in pods)
        for name in known.jobs:
            cluster.call("DELETE", f"{_JOBS}/{name}?propagationPolicy=Background")
    return wrong, counted


def _lost(cluster: Cluster, known: Acknowledged) -> list[str]:
    items = cluster.call("GET", _MAPS)[1]["items"]
    there = {item["metadata"]["name"]: (item.get("data") or {}).get("k") for item in items}
    wrong = []
    for name, value in known.maps.items():
        allowed = known.unsure.get(name, {value})
        if there.get(name) not in allowed:
            wrong.append(f"configmap {name} is {there.get(name)!r}, and {value!r} was acknowledged")
    revision = int(cluster.call("GET", _MAPS)[1]["metadata"]["resourceVersion"])
    if revision < known.revision:
        wrong.append(f"revision {revision} is before {known.revision}, which was acknowledged")
    return wrong


def _unfinished(cluster: Cluster, known: Acknowledged) -> list[str]:
    """Each Job ends, and each of its pods counts once. Pods that first run after the start are left to run."""
    by = time.monotonic() + _TIMEOUT
    while time.monotonic() < by:
        jobs = {job["metadata"]["name"]: job for job in cluster.call("GET", _JOBS)[1]["items"]}
        pods = cluster.call("GET", _PODS)[1]["items"]
        going = [name for name in known.jobs if not _is_over(jobs.get(name)) and not _goes_on(name, pods)]
        if not going:
            break
        time.sleep(0.05)
    wrong = [f"job {name} was acknowledged and is gone" for name in known.jobs if name not in jobs]
    wrong += [f"job {name} came to no end: {json.dumps(jobs[name]['status'])}" for name in going if name in jobs]
    for name in known.jobs & jobs.keys():
        status = jobs[name]["status"]
        ends = int(status.get("succeeded", 0)) + int(status.get("failed", 0))
        if _is_over(jobs[name]) and (ends != 1 or status["uncountedTerminatedPods"]):
            wrong.append(f"job {name} counted {ends} ends of one pod: {json.dumps(status)}")
    return wrong


def _left_running(cluster: Cluster, mine: set[str]) -> list[str]:
    """Processes of pods that are over or gone; those of pods that run now are theirs."""
    by = time.monotonic() + _TIMEOUT
    while True:
        found = [(pid, uid) for pid, uid in marked() if uid in mine]
        pods = cluster.call("GET", _PODS)[1]["items"]
        alive = {pod["metadata"]["uid"] for pod in pods if pod["status"].get("phase") in ("Pending", "Running")}
        left = [f"process {pid} of pod {uid} still runs" for pid, uid in found if uid not in alive]
        if not left or time.monotonic() > by:
            return left
        time.sleep(0.05)


def _is_over(job: Json | None) -> bool:
    conditions = (job or {}).get("status", {}).get("conditions") or []
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


def _goes_on(name: str, pods: list[Json]) -> bool:
    """Whether a Job's pod waits or runs in this life of the cluster."""
    mine = [pod for pod in pods if pod["metadata"].get("labels", {}).get("job-name") == name]
    return any(pod["status"].get("phase") in ("Pending", "Running") for pod in mine)


def marked() -> Iterator[tuple[int, str]]:
    """(process, uid of its pod) of all processes on this machine that a pod's mark is on, and that live."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state = (place / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            environment = (place / "environ").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        for entry in environment:
            if entry.startswith(b"EMBEDDED_CONTAINER=") and state != "Z":
                yield int(place.name), entry.partition(b"=")[2].split()[-1].partition(b"/")[0].decode()


def crash_and_check(
    folder: Path, seed: int, within: float = 1000, *, busy: bool = False
) -> tuple[list[str], dict[str, int], float]:
    """One kill at a random moment of the first milliseconds after the start, and what was found afterwards.

    Args:
        within: milliseconds.
        busy: they are counted from when there is much to lose, which takes as long as the machine needs.
    """
    milliseconds = random.Random(seed).uniform(0, within)
    known = crash(folder, seed, milliseconds, busy=busy)
    mine = own_pods(folder)
    left = sum(uid in mine for _, uid in marked())
    wrong, counted = check(folder, known)
    counted["processes left"] = left
    return wrong, counted, milliseconds


def main(crashes: int, seed: int) -> int:
    total: dict[str, int] = {}
    broken = 0
    with tempfile.TemporaryDirectory() as name:
        for number in range(crashes):
            wrong, counted, moment = crash_and_check(Path(name), seed + number)
            broken += bool(wrong)
            total = {key: total.get(key, 0) + value for key, value in counted.items()}
            for line in wrong:
                print(f"seed {seed + number}, killed after {moment:.0f} ms: {line}", flush=True)
    print(f"{crashes} kills from seed {seed} on, {broken} of them with a loss; in all " + str(total))
    return 1 if broken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crashes", type=int, default=50, help="how many kills (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first kill (default: %(default)s)")
    arguments = parser.parse_args()
    sys.exit(main(arguments.crashes, arguments.seed))
