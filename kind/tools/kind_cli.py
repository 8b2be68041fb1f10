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
from kind.tools.docker_cli import UNREACHABLE, pull_remedy
from kind.tools.process import Finished, OnLine, Run, run

MINIMUM = (0, 30, 0)
_NEWEST_KNOWN = "0.33.0"
API_NODE_PORT = 30080
S3_NODE_PORT = 30900
_QUICK = 30.0
_CREATE = 900.0
_READY = "120s"
_DELETE = 120.0
_LOAD = 600.0
INOTIFY = (
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

    def __init__(self, runs: Run = run) -> None:
        self._run = runs

    async def version(self) -> tuple[int, int, int]:
        """Raises ProgramMissingError with how to install it here, KindError when it is too old."""
        try:
            done = await self._run(["kind", "version"], timeout=_QUICK)
        except ProgramMissingError as error:
            raise ProgramMissingError(error.what, how_to_install()) from None
        found = _VERSION.search(done.out)
        if done.code or found is None:
            raise done.failure(how_to_install())
        version = (int(found[1]), int(found[2]), int(found[3]))
        if version < MINIMUM:
            least = ".".join(map(str, MINIMUM))
            raise KindError(f"kind {found[0]} is older than {least}, the first that is known to do", how_to_install())
        return version

    async def clusters(self) -> tuple[str, ...]:
        """All clusters of kind's, also those whose nodes are stopped."""
        done = await self._run(["kind", "get", "clusters"], timeout=_QUICK)
        if done.code:
            raise done.failure(UNREACHABLE)
        return tuple(done.out.split())

    async def nodes(self, name: str) -> tuple[str, ...]:
        """The names of a cluster's containers."""
        done = await self._run(["kind", "get", "nodes", "--name", name], timeout=_QUICK)
        if done.code:
            raise done.failure(UNREACHABLE)
        return tuple(done.out.split())

    async def create(self, name: str, image: str, config: Path, on_line: OnLine | None = None) -> None:
        """Make a cluster and wait for its node. Raises PortTakenError, ProgramFailedError with the remedy."""
        command = ["kind", "create", "cluster", "--name", name, "--image", image]
        command += ["--config", str(config), "--wait", _READY]
        done = await self._run(command, timeout=_CREATE, on_line=on_line)
        if done.code:
            raise create_failure(done, image)

    async def delete(self, name: str, on_line: OnLine | None = None) -> None:
        """Remove a cluster; fine when there is none."""
        command = ["kind", "delete", "cluster", "--name", name]
        done = await self._run(command, timeout=_DELETE, on_line=on_line)
        if done.code:
            raise done.failure(UNREACHABLE)

    async def load(self, name: str, image: str, on_line: OnLine | None = None) -> None:
        """Put a local image on the cluster's nodes."""
        done = await self._run(["kind", "load", "docker-image", "--name", name, image], timeout=_LOAD, on_line=on_line)
        if done.code:
            raise done.failure(f"See that `docker image inspect {image}` finds it.")

    async def kubeconfig(self, name: str) -> str:
        """The kubeconfig of a cluster, as text. It holds credentials."""
        done = await self._run(["kind", "get", "kubeconfig", "--name", name], timeout=_QUICK)
        if done.code:
            raise ProgramFailedError(
                f"kind gives no kubeconfig for the cluster {name}: {done.err.strip()[:400]}", UNREACHABLE
            )
        return done.out + "\n"

    async def export_kubeconfig(self, name: str) -> None:
        """Write the context `kind-<name>` into the person's own kubeconfig again, where it was lost."""
        done = await self._run(["kind", "export", "kubeconfig", "--name", name], timeout=_QUICK)
        if done.code:
            raise done.failure("See whether your kubeconfig can be written.")


def config(ports: Ports) -> str:
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


def progress(line: str) -> str | None:
    """What kind is doing now, from one of its lines: `Preparing nodes`. None for lines that begin nothing."""
    found = _MARK.match(line)
    if found is None or found[1] != "•":
        return None
    words = "".join(letter for letter in found[2] if ord(letter) < 0x2190 or letter == "≤")
    return " ".join(words.split())


def create_failure(done: Finished, image: str) -> KindError:
    """Why a cluster could not be made, and what to do."""
    said = done.err
    if port := _PORT.search(said):
        number = port[1] or port[2]
        return PortTakenError(f"another program listens on 127.0.0.1:{number}", "The next try takes another port.")
    if "failed to pull image" in said:
        return done.failure(pull_remedy(said, image))
    if "Cannot connect to the Docker daemon" in said or "failed to get docker info" in said:
        return ProgramFailedError("kind can't reach Docker", UNREACHABLE)
    if "Delegate=yes" in said or "rootless" in said:
        return done.failure(
            "Rootless engines need cgroup v2 and delegation: https://kind.sigs.k8s.io/docs/user/rootless/"
        )
    if "too many open files" in said or "inotify" in said:
        return done.failure(INOTIFY)
    if "could not find a log line" in said or "failed to init node" in said or "kubeadm init" in said:
        return done.failure("The node did not start: `c8s doctor` looks at memory, disk, cgroups and inotify limits.")
    return done.failure("`c8s doctor` looks for the usual reasons.")


def how_to_install(system: str = "") -> str:
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
