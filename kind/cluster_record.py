"""The record of a cluster that c8s created: its ports, its images and the ID of its node.

One file per cluster. It holds no secrets.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controller.files import write_private
from kind.tools.docker_cli import Container
from kind.tools.kind_cli import API_NODE_PORT, S3_NODE_PORT, Ports

API_PORT = 18080
S3_PORT = 18900


@dataclass(frozen=True)
class ClusterRecord:
    """A cluster that c8s created. `container` is the ID of the node, empty until the creation has succeeded."""

    cluster: str
    ports: Ports
    node_image: str
    container: str = ""
    image: str = ""
    namespace: str = "default"
    provider: str = "docker"
    """The engine that its node is in: `docker`, `podman` or `nerdctl`."""

    @property
    def context(self) -> str:
        """The context in the kubeconfig of the user, as kind names it."""
        return f"kind-{self.cluster}"

    @property
    def node(self) -> str:
        """The name of the node's container."""
        return f"{self.cluster}-control-plane"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.api}"

    @property
    def s3_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.s3}"


def read_record(file: Path) -> ClusterRecord | None:
    """The record, or None if it does not exist or is not valid."""
    try:
        raw: dict[str, Any] = json.loads(file.read_text())
        return ClusterRecord(**{**raw, "ports": Ports(**raw["ports"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_record(file: Path, record: ClusterRecord) -> None:
    """Write the record atomically, readable by its owner only."""
    write_private(file, json.dumps(asdict(record), indent=1) + "\n")


def matches_record(record: ClusterRecord | None, container: Container) -> bool:
    """Whether this node belongs to the recorded cluster.

    It is compared by ID, or by the two chosen ports if the creation was interrupted before the ID was recorded.
    """
    if record is None or container.cluster != record.cluster:
        return False
    if record.container:
        return container.id == record.container
    expected = {API_NODE_PORT: record.ports.api, S3_NODE_PORT: record.ports.s3}
    return all(container.ports.get(f"{inside}/tcp") == f"127.0.0.1:{port}" for inside, port in expected.items())


def port_is_free(port: int) -> bool:
    """Whether no process listens on the port, on the loopback address or on all addresses."""
    for address in ("127.0.0.1", "0.0.0.0"):  # noqa: S104 - bound for a moment only
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def choose_ports(
    preferred: Ports | None = None,
    *,
    avoid: Collection[int] = (),
    is_free: Callable[[int], bool] = port_is_free,
) -> Ports:
    """Two free ports: the preferred or default ones, otherwise the next free ones. Raises OSError without any."""
    first = preferred or Ports(API_PORT, S3_PORT)
    api = _next_free(first.api, avoid, is_free)
    return Ports(api, _next_free(first.s3, {*avoid, api}, is_free))


def _next_free(start: int, avoid: Collection[int], free: Callable[[int], bool]) -> int:
    candidates = (port for port in range(start, min(start + 1000, 65536)) if port not in avoid)
    found = next((port for port in candidates if free(port)), None)
    if found is None:
        raise OSError(f"no free port on 127.0.0.1 from {start} on")
    return found
