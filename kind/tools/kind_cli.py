"""kind by its command line: listing, creating and deleting clusters.

kind writes its progress to stderr, as ` • X  ...`, then ` ✓ X` or ` ✗ X`. A failed creation removes its own nodes.
"""

from __future__ import annotations

import json
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from kind.errors import KindError, PortTakenError, ProgramFailedError, ProgramMissingError
from kind.tools.docker_cli import UNREACHABLE_REMEDY, pull_remedy
from kind.tools.process import CommandResult, CommandRunner, OnLine, run

MIN_VERSION = (0, 30, 0)
_NEWEST_KNOWN = "0.33.0"
NODE_IMAGE = "kindest/node:v1.36.2"
PROVIDER_VARIABLE = "KIND_EXPERIMENTAL_PROVIDER"
API_NODE_PORT = 30080
S3_NODE_PORT = 30900
_QUERY_TIMEOUT = 30.0
_CREATE_TIMEOUT = 900.0
_READY_TIMEOUT = "120s"
_DELETE_TIMEOUT = 120.0
_LOAD_TIMEOUT = 600.0
INOTIFY_REMEDY = (
    "`sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288`; "
    "put the values into /etc/sysctl.d to keep them."
)
_VERSION = re.compile(r"v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})")
_MARK = re.compile(r"^ ([•✓✗]) (.*?)\s*(?:\.\.\.)?$")
_PORT = re.compile(r"listen tcp4? \S*?:(\d+): bind|Bind for \S*?:(\d+) failed")


@dataclass(frozen=True)
class Ports:
    """The loopback ports of the host that are forwarded to the cluster."""

    api: int
    s3: int


class Kind:
    """The program `kind`.

    Args:
        provider: the engine that it uses, which is never left to it.
    """

    def __init__(self, run_command: CommandRunner = run, provider: str = "docker") -> None:
        self._run_command = run_command
        self.provider = provider

    async def _run(self, command: list[str], *, timeout: float, on_line: OnLine | None = None) -> CommandResult:
        environment = {PROVIDER_VARIABLE: self.provider}
        return await self._run_command(command, timeout=timeout, on_line=on_line, environment=environment)

    async def version(self) -> tuple[int, int, int]:
        """The version of kind. Raises ProgramMissingError, or KindError if it is too old, both with instructions."""
        try:
            result = await self._run(["kind", "version"], timeout=_QUERY_TIMEOUT)
        except ProgramMissingError as error:
            raise ProgramMissingError(error.message, install_instructions()) from None
        found = _VERSION.search(result.out)
        if result.code or found is None:
            raise result.to_error(install_instructions())
        version = (int(found[1]), int(found[2]), int(found[3]))
        if version < MIN_VERSION:
            minimum = ".".join(map(str, MIN_VERSION))
            raise KindError(
                f"kind {found[0]} is older than {minimum}, the oldest supported version", install_instructions()
            )
        return version

    async def clusters(self) -> tuple[str, ...]:
        """The names of all clusters of kind, including stopped ones."""
        result = await self._run(["kind", "get", "clusters"], timeout=_QUERY_TIMEOUT)
        if result.code:
            raise result.to_error(UNREACHABLE_REMEDY)
        return tuple(result.out.split())

    async def nodes(self, name: str) -> tuple[str, ...]:
        """The names of the containers of a cluster."""
        result = await self._run(["kind", "get", "nodes", "--name", name], timeout=_QUERY_TIMEOUT)
        if result.code:
            raise result.to_error(UNREACHABLE_REMEDY)
        return tuple(result.out.split())

    async def create(
        self, name: str, image: str, config: Path, on_line: OnLine | None = None, *, wait: str = _READY_TIMEOUT
    ) -> None:
        """Create a cluster and wait for its node, `0s` for not. Raises PortTakenError, or ProgramFailedError."""
        command = ["kind", "create", "cluster", "--name", name, "--image", image]
        command += ["--config", str(config), "--wait", wait]
        result = await self._run(command, timeout=_CREATE_TIMEOUT, on_line=on_line)
        if result.code:
            raise create_failure(result, image)

    async def delete(self, name: str, on_line: OnLine | None = None) -> None:
        """Delete a cluster; without one it does nothing."""
        command = ["kind", "delete", "cluster", "--name", name]
        result = await self._run(command, timeout=_DELETE_TIMEOUT, on_line=on_line)
        if result.code:
            raise result.to_error(UNREACHABLE_REMEDY)

    async def load(self, name: str, image: str, on_line: OnLine | None = None) -> None:
        """Load a local image onto the nodes of a cluster."""
        result = await self._run(
            ["kind", "load", "docker-image", "--name", name, image], timeout=_LOAD_TIMEOUT, on_line=on_line
        )
        if result.code:
            raise result.to_error(f"Check that `docker image inspect {image}` finds it.")

    async def kubeconfig(self, name: str) -> str:
        """The kubeconfig of a cluster as text, with credentials."""
        result = await self._run(["kind", "get", "kubeconfig", "--name", name], timeout=_QUERY_TIMEOUT)
        if result.code:
            raise ProgramFailedError(
                f"kind returned no kubeconfig for the cluster {name}: {result.err.strip()[:400]}", UNREACHABLE_REMEDY
            )
        return result.out + "\n"

    async def export_kubeconfig(self, name: str) -> None:
        """Write the context `kind-<name>` to the kubeconfig of the user."""
        result = await self._run(["kind", "export", "kubeconfig", "--name", name], timeout=_QUERY_TIMEOUT)
        if result.code:
            raise result.to_error("Check that your kubeconfig is writable.")


def cluster_config(ports: Ports) -> str:
    """The configuration of a cluster with one node and two ports on loopback, as JSON, which is valid YAML."""
    mappings = [
        {"containerPort": inside, "hostPort": outside, "listenAddress": "127.0.0.1", "protocol": "TCP"}
        for inside, outside in ((API_NODE_PORT, ports.api), (S3_NODE_PORT, ports.s3))
    ]
    document = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"apiServerAddress": "127.0.0.1"},
        "nodes": [{"role": "control-plane", "extraPortMappings": mappings}],
    }
    return json.dumps(document, indent=1) + "\n"


def parse_progress(line: str) -> str | None:
    """The activity that a line of kind announces, such as `Preparing nodes`; None for other lines."""
    found = _MARK.match(line)
    if found is None or found[1] != "•":
        return None
    text = "".join(letter for letter in found[2] if ord(letter) < 0x2190 or letter == "≤")
    return " ".join(text.split())


def create_failure(result: CommandResult, image: str) -> KindError:
    """The error for a failed creation, with a remedy."""
    output = result.err
    if port := _PORT.search(output):
        number = port[1] or port[2]
        return PortTakenError(f"another program listens on 127.0.0.1:{number}", "The next attempt uses another port.")
    if "failed to pull image" in output:
        return result.to_error(pull_remedy(output, image))
    if "Cannot connect to the Docker daemon" in output or "failed to get docker info" in output:
        return ProgramFailedError("kind can't reach Docker", UNREACHABLE_REMEDY)
    if "Delegate=yes" in output or "rootless" in output:
        return result.to_error(
            "Rootless engines need cgroup v2 and delegation: https://kind.sigs.k8s.io/docs/user/rootless/"
        )
    if "too many open files" in output or "inotify" in output:
        return result.to_error(INOTIFY_REMEDY)
    if "could not find a log line" in output or "failed to init node" in output or "kubeadm init" in output:
        return result.to_error("The node did not start: `c8s doctor` checks memory, disk, cgroups and inotify limits.")
    return result.to_error("`c8s doctor` checks for the usual causes.")


def install_instructions(system: str = "") -> str:
    """How to install kind on this platform."""
    system = system or platform.system()
    manual = "see https://kind.sigs.k8s.io/docs/user/quick-start/#installation"
    if system == "Darwin":
        return f"Install kind with `brew install kind`, or {manual}."
    if system == "Windows":
        return f"Install kind with `winget install Kubernetes.kind`, or {manual}."
    processor = "arm64" if platform.machine() in ("aarch64", "arm64") else "amd64"
    address = f"https://kind.sigs.k8s.io/dl/v{_NEWEST_KNOWN}/kind-linux-{processor}"
    return f"Install kind with `curl -Lo kind {address} && sudo install kind /usr/local/bin/`, or {manual}."
