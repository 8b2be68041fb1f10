"""A cluster and a controller as processes of their own, as a sandbox has them, shared by the tests of a worker."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import controller
from tests.contract.conversation.rules import find_problems
from tests.support.forges.git_server import GitServer, git_server
from tests.support.forges.server import TOKEN as FORGE_TOKEN
from tests.support.recording_proxy import RecordingProxy
from tests.support.waiting import wait_until

ROOT = Path(controller.__file__).parent
ADMIN, CONTROLLER, WORKBENCH, GUEST = "token-admin", "token-controller", "token-workbench", "token-guest"
TOKENS = f"""\
{ADMIN},c8s-admin,1,"system:masters"
{CONTROLLER},system:serviceaccount:c8s-system:c8s-controller,2
{WORKBENCH},c8s-workbench,3,"c8s:developers"
{GUEST},guest,4
"""
KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: here, user: here}}}}]
clusters: [{{name: here, cluster: {{server: "{url}"}}}}]
users: [{{name: here, user: {{token: "{token}"}}}}]
"""
SECONDS = 60.0


def listening() -> socket.socket:
    """A loopback socket that outlives the processes that serve it, as a sandbox's supervisor holds them."""
    return socket.create_server(("127.0.0.1", 0), backlog=128)


def url_of(sock: socket.socket) -> str:
    return f"http://127.0.0.1:{sock.getsockname()[1]}"


@dataclass
class Sandbox:
    """The two processes; each can be stopped and started again on its socket."""

    folder: Path
    cluster_socket: socket.socket = field(default_factory=listening)
    api_socket: socket.socket = field(default_factory=listening)
    proxy: RecordingProxy = field(init=False)
    """Between controller and cluster: the conversation of the two is checked at the end."""
    cluster: subprocess.Popen[bytes] | None = None
    controller: subprocess.Popen[bytes] | None = None
    store: str | None = None
    """The URL of the object store; default: a folder."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables of the controller in addition."""

    def __post_init__(self) -> None:
        self.proxy = RecordingProxy(lambda: int(self.cluster_socket.getsockname()[1]))

    @property
    def url(self) -> str:
        return url_of(self.api_socket)

    @property
    def cluster_url(self) -> str:
        return url_of(self.cluster_socket)

    @property
    def log(self) -> str:
        return (self.folder / "controller.log").read_text()

    def start_cluster(self) -> None:
        (self.folder / "tokens.csv").write_text(TOKENS)
        arguments = ["--data-dir", str(self.folder / "cluster"), "--token-auth-file", str(self.folder / "tokens.csv")]
        arguments += ["--manifests", str(ROOT / "operator" / "manifests")]
        self.cluster = self._start("embedded", arguments, self.cluster_socket, "cluster.log")

    def start_controller(self) -> None:
        kubeconfig = self.folder / "kubeconfig"
        kubeconfig.write_text(KUBECONFIG.format(url=self.proxy.url, token=CONTROLLER))
        agent = [sys.executable, "-I", "-S", str(ROOT / "agent")]
        arguments = ["--role", "operator", "--role", "api", "--role", "webhook", "--kubeconfig", str(kubeconfig)]
        arguments += [
            "--store",
            self.store or (self.folder / "store").as_uri(),
            "--agent-key-file",
            str(self.folder / "agent.key"),
        ]
        arguments += [f"--agent-command={word}" for word in agent]
        arguments += ["--admission-port", "0"]
        self.controller = self._start("controller", arguments, self.api_socket, "controller.log")

    def ready(self) -> bool:
        """Whether `/readyz` says so. Fails at once for a process that has ended, with its output."""
        for process, log in ((self.cluster, "cluster.log"), (self.controller, "controller.log")):
            if process is not None and process.poll() is not None:
                raise AssertionError(
                    f"{log}: ended with {process.returncode}\n{(self.folder / log).read_text()[-2000:]}"
                )
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _start(self, module: str, arguments: list[str], sock: socket.socket, log: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", module, *arguments, "--listen-fd", str(sock.fileno())]
        with (self.folder / log).open("ab") as out:
            return subprocess.Popen(
                command,
                pass_fds=[sock.fileno()],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env=_environment() | self.environment,
            )

    def stop(self) -> None:
        for process in (self.controller, self.cluster):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(SECONDS)
        self.proxy.close()
        self.api_socket.close()
        self.cluster_socket.close()

    def require_accepted_requests(self) -> None:
        """Fail if the controller has sent a request that a real Kubernetes would refuse."""
        problems = {problem: None for request in self.proxy.requests() for problem in find_problems(request)}
        assert list(problems) == []


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("C8S_")}


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Both processes, ready."""
    found = Sandbox(tmp_path_factory.mktemp("sandbox"))
    try:
        found.start_cluster()
        found.start_controller()
        wait_until(found.ready, SECONDS, what="the controller is ready")
        yield found
    finally:
        found.stop()
    found.require_accepted_requests()


@pytest.fixture
def fresh_sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """One that a test may break; nothing is started yet."""
    found = Sandbox(tmp_path)
    try:
        yield found
    finally:
        found.stop()
    found.require_accepted_requests()


class Caller:
    """The API as one user calls it."""

    def __init__(self, url: str, http: aiohttp.ClientSession, token: str, namespace: str = "default") -> None:
        self._url = url
        self.http = http
        self.headers = {"Authorization": f"Bearer {token}"}
        self.base = f"{url}/api/v1/namespaces/{namespace}"

    async def __call__(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Status and JSON (or bytes); `path` is below the namespace unless it begins with /api or /."""
        url = self._url + path if path.startswith("/") else f"{self.base}/{path}"
        headers = {**self.headers, **more.pop("headers", {})}
        async with self.http.request(method, url, headers=headers, **more) as answer:
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, await answer.json(content_type=None) if is_json else await answer.read()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """What a test sends its requests with."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
        yield session


@pytest.fixture
def api(sandbox: Sandbox, http: aiohttp.ClientSession) -> Caller:
    """The API of the shared sandbox, as the workbench calls it."""
    return Caller(sandbox.url, http, WORKBENCH)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A git server that asks for the token of the forge."""
    with git_server(tmp_path_factory.mktemp("git"), password=FORGE_TOKEN) as found:
        yield found
