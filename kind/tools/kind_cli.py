"""kind by its command line: its clusters, their making and their end.

kind talks on stderr: progress as ` • X  ...`, then ` ✓ X` or ` ✗ X`. A create that fails removes its own nodes.
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
API_NODE_PORT = 30080
S3_NODE_PORT = 30900
_QUERY_TIMEOUT = 30.0
_CREATE_TIMEOUT = 900.0
_READY_TIMEOUT = "120s"
_DELETE_TIMEOUT = 120.0
_LOAD_TIMEOUT = 600.0
INOTIFY_REMEDY = (
    "`sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288`; in /etc/sysctl.d it stays."
)
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_MARK = re.compile(r"^ ([•✓✗]) (.*?)\s*(?:\.\.\.)?$")
_PORT = re.compile(r"listen tcp4? \S*?:(\d+): bind|Bind for \S*?:(\d+) failed")


@dataclass(frozen=True)
class Ports:
    """The loopback ports of this machine that lead into the cluster."""

    api: int
    s3: int


class Kind:
    """The program `kind`."""

    def __init__(self, run_command: CommandRunner = run) -> None:
        self._run = run_command

    async def version(self) -> tuple[int, int, int]:
        """Raises ProgramMissingError with how to install it here, KindError when it is too old."""
        try:
            done = await self._run(["kind", "version"], timeout=_QUERY_TIMEOUT)
        except ProgramMissingError as error:
            raise ProgramMissingError(error.message, install_instructions()) from None
        found = _VERSION.search(done.out)
        if done.code or found is None:
            raise done.to_error(install_instructions())
        version = (int(found[1]), int(found[2]), int(found[3]))
        if version < MIN_VERSION:
            least = ".".join(map(str, MIN_VERSION))
            raise KindError(
                f"kind {found[0]} is older than {least}, the first that is known to do", install_instructions()
            )
        return version

    async def clusters(self) -> tuple[str, ...]:
        """All clusters of kind's, also those whose nodes are stopped."""
        done = await self._run(["kind", "get", "clusters"], timeout=_QUERY_TIMEOUT)
        if done.code:
            raise done.to_error(UNREACHABLE_REMEDY)
        return tuple(done.out.split())

    async def nodes(self, name: str) -> tuple[str, ...]:
        """The names of a cluster's containers."""
        done = await self._run(["kind", "get", "nodes", "--name", name], timeout=_QUERY_TIMEOUT)
        if done.code:
            raise done.to_error(UNREACHABLE_REMEDY)
        return tuple(done.out.split())

    async def create(self, name: str, image: str, config: Path, on_line: OnLine | None = None) -> None:
        """Make a cluster and wait for its node. Raises PortTakenError, ProgramFailedError with the remedy."""
        command = ["kind", "create", "cluster", "--name", name, "--image", image]
        command += ["--config", str(config), "--wait", _READY_TIMEOUT]
        done = await self._run(command, timeout=_CREATE_TIMEOUT, on_line=on_line)
        if done.code:
            raise create_failure(done, image)

    async def delete(self, name: str, on_line: OnLine | None = None) -> None:
        """Remove a cluster; fine when there is none."""
        command = ["kind", "delete", "cluster", "--name", name]
        done = await self._run(command, timeout=_DELETE_TIMEOUT, on_line=on_line)
        if done.code:
            raise done.to_error(UNREACHABLE_REMEDY)

    async def load(self, name: str, image: str, on_line: OnLine | None = None) -> None:
        """Put a local image on the cluster's nodes."""
        done = await self._run(
            ["kind", "load", "docker-image", "--name", name, image], timeout=_LOAD_TIMEOUT, on_line=on_line
        )
        if done.code:
            raise done.to_error(f"See that `docker image inspect {image}` finds it.")

    async def kubeconfig(self, name: str) -> str:
        """The kubeconfig of a cluster, as text. It holds credentials."""
        done = await self._run(["kind", "get", "kubeconfig", "--name", name], timeout=_QUERY_TIMEOUT)
        if done.code:
            raise ProgramFailedError(
                f"kind gives no kubeconfig for the cluster {name}: {done.err.strip()[:400]}", UNREACHABLE_REMEDY
            )
        return done.out + "\n"

    async def export_kubeconfig(self, name: str) -> None:
        """Write the context `kind-<name>` into the person's own kubeconfig again, where it was lost."""
        done = await self._run(["kind", "export", "kubeconfig", "--name", name], timeout=_QUERY_TIMEOUT)
        if done.code:
            raise done.to_error("See whether your kubeconfig can be written.")


def cluster_config(ports: Ports) -> str:
    """The cluster's configuration: one node, with the two ports on loopback. JSON is YAML."""
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
    """What kind is doing now, from one of its lines: `Preparing nodes`. None for lines that begin nothing."""
    found = _MARK.match(line)
    if found is None or found[1] != "•":
        return None
    words = "".join(letter for letter in found[2] if ord(letter) < 0x2190 or letter == "≤")
    return " ".join(words.split())


def create_failure(done: CommandResult, image: str) -> KindError:
    """Why a cluster could not be made, and what to do."""
    said = done.err
    if port := _PORT.search(said):
        number = port[1] or port[2]
        return PortTakenError(f"another program listens on 127.0.0.1:{number}", "The next try takes another port.")
    if "failed to pull image" in said:
        return done.to_error(pull_remedy(said, image))
    if "Cannot connect to the Docker daemon" in said or "failed to get docker info" in said:
        return ProgramFailedError("kind can't reach Docker", UNREACHABLE_REMEDY)
    if "Delegate=yes" in said or "rootless" in said:
        return done.to_error(
            "Rootless engines need cgroup v2 and delegation: https://kind.sigs.k8s.io/docs/user/rootless/"
        )
    if "too many open files" in said or "inotify" in said:
        return done.to_error(INOTIFY_REMEDY)
    if "could not find a log line" in said or "failed to init node" in said or "kubeadm init" in said:
        return done.to_error("The node did not start: `c8s doctor` looks at memory, disk, cgroups and inotify limits.")
    return done.to_error("`c8s doctor` looks for the usual reasons.")


def install_instructions(system: str = "") -> str:
    """How to get kind on this platform."""
    system = system or platform.system()
    where = "see https://kind.sigs.k8s.io/docs/user/quick-start/#installation"
    if system == "Darwin":
        return f"Install kind with `brew install kind`, or {where}."
    if system == "Windows":
        return f"Install kind with `winget install Kubernetes.kind`, or {where}."
    processor = "arm64" if platform.machine() in ("aarch64", "arm64") else "amd64"
    address = f"https://kind.sigs.k8s.io/dl/v{_NEWEST_KNOWN}/kind-linux-{processor}"
    return f"Install kind with `curl -Lo kind {address} && sudo install kind /usr/local/bin/`, or {where}."
