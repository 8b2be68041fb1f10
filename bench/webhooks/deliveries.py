"""Deliveries of forges: how many a receiver takes, how fast it answers, and how soon the first step runs.

The receiver is a process of its own, on an embedded cluster; deliveries come over HTTP, each of another commit. Beside
it, the same without the verification of the signature. "Durable" is what an answer means: the run exists. The first
step is timed on a controller with all roles, from the delivery to the step's `startedAt`, with a clone of a repository
on this machine.

    .venv/bin/python bench/webhooks/deliveries.py [--deliveries N] [--rate N] [--runs N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import aiohttp

from bench.machine import describe
from bench.run_controller.stage import ForkedProcess, kubeconfig
from controller.provenance import derive_webhook_key
from controller.webhooks.signature import hex_digest
from tests.support.forges.git_server import Repository, git_server
from tests.support.forges.payloads import encode, gitea_push
from tests.support.forges.server import ForgeServer, forge_server
from tests.support.waiting import wait_until

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
TOKEN = "kill-token"
SECRET = b"secret of the bench"
SPACE = "/apis/c8s.dev/v1alpha1/namespaces/default"
PIPELINE = """\
version: v1alpha1
name: delivered
events: [push]
steps:
  - {name: a, image: "busybox:1.36", commands: ["cat number.txt"]}
"""
FINAL = ("Succeeded", "Failed", "Cancelled")
_UNSIGNED = """
import controller.webhooks.providers.gitea as gitea
gitea.verify = lambda headers, body, secrets, now: True
import importlib, controller.webhooks.providers as providers
importlib.reload(providers)
from controller.main import main
import sys
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class Stage:
    """A cluster with one connection, a repository, and the forge that statuses are reported to.

    Attributes:
        port: where the controller listens.
        through: where the controller reaches the cluster, if not directly.
    """

    folder: Path
    cluster: str
    repository: Repository
    forge: ForgeServer
    port: int
    through: str | None = None
    controller: Any = None
    commits: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: Json | None = None, kind: str = "application/json") -> Json:
        """Ask the cluster."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.cluster + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: Json = json.loads(answer.read())
        return found

    def arguments(self, *roles: str) -> list[str]:
        config = self.folder / "controller.kubeconfig"
        config.write_text(kubeconfig(self.through or self.cluster))
        agent = json.dumps([sys.executable, "-I", "-S", str(ROOT / "controller" / "agent")])
        given = [word for role in roles for word in ("--role", role)]
        given += ["--kubeconfig", str(config), "--port", str(self.port), "--public-url", self.url]
        if roles == ("webhook",):
            return [*given, "--webhook-key-file", str(self.folder / "webhook.key")]
        given += ["--store", (self.folder / "store").as_uri(), "--agent-command", agent, "--step-agents", "always"]
        return [*given, "--agent-key-file", str(self.folder / "agent.key")]

    def start(self) -> None:
        """A controller with all roles, forked off a process with its modules imported."""
        self.controller = ForkedProcess(self.arguments("operator", "api", "webhook"), self.folder / "controller.log")

    def kill(self) -> None:
        if self.controller is not None and self.controller.poll() is None:
            self.controller.kill()
            self.controller.wait(20)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def delivery(self, commit: str, guid: str) -> tuple[dict[str, str], bytes]:
        """A signed push of a commit."""
        headers, document = gitea_push()
        document |= {"after": commit, "head_commit": {"id": commit, "message": "Change"}}
        document["repository"]["clone_url"] = self.repository.url
        body = encode(document)
        return {**headers, "X-Gitea-Delivery": guid, "X-Gitea-Signature": hex_digest(SECRET, body)}, body

    def deliver(self, commit: str, guid: str) -> Json | None:
        """Send a push; the answer, None if there was none or it asks for another try."""
        headers, body = self.delivery(commit, guid)
        request = urllib.request.Request(f"{self.url}/webhooks/gitea/default/hello", body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return {"status": answer.status, **json.loads(answer.read())}
        except urllib.error.HTTPError as error:
            return None if error.code in (401, 503) else {"status": error.code}
        except OSError:
            return None

    def commit(self) -> str:
        """A commit of its own, with the pipeline."""
        self.commits.append("")
        number = str(len(self.commits))
        self.commits[-1] = self.repository.commit({".c8s.yaml": PIPELINE, "number.txt": number})
        return self.commits[-1]


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Everything but the controller."""
    with ExitStack() as leaving:
        (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        (folder / "agent.key").write_text("k" * 40)
        (folder / "webhook.key").write_bytes(derive_webhook_key(b"k" * 40))
        command = [sys.executable, "-P", "-m", "embedded", "--data-dir", str(folder / "data"), "--port", "0"]
        command += ["--token-auth-file", str(folder / "tokens.csv")]
        command += ["--manifests", str(ROOT / "controller" / "operator" / "manifests")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        log = leaving.enter_context((folder / "cluster.log").open("ab"))
        cluster = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        leaving.callback(end, cluster)
        assert cluster.stdout is not None
        leaving.callback(cluster.stdout.close)
        url = cluster.stdout.readline().split()[1]
        server = leaving.enter_context(git_server(folder / "git"))
        forge = leaving.enter_context(forge_server("gitea"))
        repository = server.repository("octo/hello")
        found = Stage(folder, url, repository, forge, free_port())
        leaving.callback(found.kill)
        connect(found)
        yield found


def connect(on: Stage) -> None:
    """The connection with its Secrets, as `c8s connect add` makes them."""
    hosts = f"{on.repository.url.split('/')[2]},127.0.0.1:{on.forge.port}"
    for name, key, value in (
        ("hello-webhook", "secret", SECRET.decode()),
        ("hello-auth", "token", "token-of-the-forge"),
    ):
        metadata = {"name": name, "labels": {"c8s.dev/forge-secret": "true"}, "annotations": {"c8s.dev/hosts": hosts}}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {key: value}}
        on.call("POST", "/api/v1/namespaces/default/secrets", secret)
    spec = {
        "repository": on.repository.url,
        "provider": "gitea",
        "apiUrl": f"{on.forge.url}/api/v1",
        "webhookSecretRef": {"name": "hello-webhook"},
        "authSecretRef": {"name": "hello-auth"},
    }
    connection = {"apiVersion": "c8s.dev/v1alpha1", "kind": "RepositoryConnection", "metadata": {"name": "hello"}}
    on.call("POST", f"{SPACE}/repositoryconnections", {**connection, "spec": spec})


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.terminate()
        process.wait(30)


@contextmanager
def receiver(on: Stage, *, verifies: bool) -> Iterator[subprocess.Popen[bytes]]:
    """The receiver as a process of its own."""
    program = ["-m", "controller"] if verifies else ["-c", _UNSIGNED]
    with (on.folder / "receiver.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", *program, *on.arguments("webhook")],
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        wait_until(on.is_ready, 30, what="the receiver is ready")
        yield process
    finally:
        end(process)


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def send(on: Stage, count: int, rate: float | None) -> tuple[float, list[float]]:
    """Send so many deliveries, at a rate or as fast as they are answered; (seconds, those of each answer)."""
    commit, word, took = "a" * 40, secrets.token_hex(4), []
    prepared = [on.delivery(commit, f"{word}-{index}") for index in range(count)]
    url = f"{on.url}/webhooks/gitea/default/hello"
    connector = aiohttp.TCPConnector(limit=0)
    slots = asyncio.Semaphore(32)

    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(headers: dict[str, str], body: bytes) -> None:
            async with slots:
                began = time.perf_counter()
                async with session.post(url, data=body, headers=headers) as answer:
                    assert answer.status == 202, await answer.text()
                took.append(time.perf_counter() - began)

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for index, (headers, body) in enumerate(prepared):
                if rate is not None:
                    await asyncio.sleep(max(0.0, began + index / rate - time.perf_counter()))
                group.create_task(one(headers, body))
        return time.perf_counter() - began, took


def measure_receiver(on: Stage, count: int, rate: float) -> None:
    on.commit()
    for verifies in (True, False):
        with receiver(on, verifies=verifies) as process:
            asyncio.run(send(on, 50, None))
            before = processor_seconds(process)
            seconds, _ = asyncio.run(send(on, count, None))
            used = (processor_seconds(process) - before) / count
            what = "verified" if verifies else "not verified"
            print(f"{what}: {count / seconds:.0f} deliveries/s, {used * 1000:.2f} ms of CPU time of the receiver each")
            if verifies:
                _, took = asyncio.run(send(on, int(rate * 5), rate))
                ordered = sorted(took)
                p99 = ordered[int(len(ordered) * 0.99)]
                print(f"at {rate:.0f}/s: p50 {statistics.median(took) * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")
            listed = on.call("GET", f"{SPACE}/pipelineruns?limit=1")
            assert listed["items"], "a delivery that was answered has a run"
        on.call("DELETE", f"{SPACE}/pipelineruns")


def measure_first_step(on: Stage, runs: int) -> None:
    on.start()
    wait_until(on.is_ready, 60, what="the controller is ready")
    parts: dict[str, list[float]] = {}
    for index in range(runs + 1):
        commit = on.commit()
        began = time.time()
        answer = wait_until(
            lambda commit=commit, index=index: on.deliver(commit, f"step-{index}"), 30, what="an answer"
        )
        answered = time.time()
        (name,) = answer["runs"]

        def ended(name: str = name) -> Json | None:
            found = on.call("GET", f"{SPACE}/pipelineruns/{name}")
            return found if (found.get("status") or {}).get("phase") in FINAL else None

        run = wait_until(ended, 60, what="the end of the run")
        assert run["status"]["phase"] == "Succeeded", run["status"]
        if index == 0:
            # The first one pays for imports.
            continue
        source, step = (each["attempts"][0]["times"] for each in run["status"]["steps"])
        moments = {
            "answered": answered,
            "clone created": moment(source, "created"),
            "clone runs": moment(source, "running", "started"),
            "clone ended": moment(source, "finished"),
            "step created": moment(step, "created"),
            "step runs": moment(step, "running", "started"),
        }
        for what, at in moments.items():
            parts.setdefault(what, []).append(at - began)
    on.kill()
    for what, values in parts.items():
        print(f"{what}: {statistics.median(values) * 1000:.0f} ms after the delivery (median of {len(values)})")


def moment(times: Json, *names: str) -> float:
    text = next((times[name] for name in names if name in times), "")
    return datetime.fromisoformat(text).timestamp() if text else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures deliveries of forges.")
    parser.add_argument("--deliveries", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--runs", type=int, default=10)
    given = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as on:
        measure_first_step(on, given.runs)
        measure_receiver(on, given.deliveries, given.rate)
    return 0


if __name__ == "__main__":
    sys.exit(main())
