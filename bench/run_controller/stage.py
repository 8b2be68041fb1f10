"""A cluster and an API that live on, and operators that are started and killed beside them."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]
_ROOT = Path(__file__).parents[2]
_TOKEN = "kill-token"


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
    run_seconds: float = 300.0
    """How long a run may take."""

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        headers = {"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.cluster + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: Json = json.loads(answer.read())
        return found

    def change(self, path: str, edit: Callable[[Json], object]) -> None:
        """Change an object, again if something else changes it at the same time."""
        while True:
            found = self.call("GET", path)
            edit(found)
            try:
                self.call("PUT", path, found)
                return
            except urllib.error.HTTPError as problem:
                if problem.code != 409:
                    raise

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
    end = time.monotonic() + 180
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
