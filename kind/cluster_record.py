"""What is remembered of a cluster that we made: its ports, its images, and how to know it again.

One file per cluster. It holds no secret.
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
    """A cluster of ours. `container` is the node's id, empty until the cluster was seen to be made."""

    cluster: str
    ports: Ports
    node_image: str
    container: str = ""
    image: str = ""
    namespace: str = "default"

    @property
    def context(self) -> str:
        """The context in the person's kubeconfig, as kind names it."""
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
    """The record, or None where there is none or it can't be read as one."""
    try:
        raw: dict[str, Any] = json.loads(file.read_text())
        return ClusterRecord(**{**raw, "ports": Ports(**raw["ports"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_record(file: Path, record: ClusterRecord) -> None:
    """Written in one move, readable by its owner only."""
    write_private(file, json.dumps(asdict(record), indent=1) + "\n")


def matches_record(record: ClusterRecord | None, container: Container) -> bool:
    """Whether this node is that of the recorded cluster.

    By its id; where we were stopped before the id could be written down, by the two ports that were chosen for it.
    """
    if record is None or container.cluster != record.cluster:
        return False
    if record.container:
        return container.id == record.container
    wanted = {API_NODE_PORT: record.ports.api, S3_NODE_PORT: record.ports.s3}
    return all(container.ports.get(f"{inside}/tcp") == f"127.0.0.1:{port}" for inside, port in wanted.items())


def port_is_free(port: int) -> bool:
    """Whether somebody listens on the loopback port, on any of this machine's addresses."""
    for address in ("127.0.0.1", "0.0.0.0"):  # noqa: S104 - tried, and closed at once
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
    """Two free ports: those of last time, else the usual ones, else the next that are free."""
    first = preferred or Ports(API_PORT, S3_PORT)
    api = _next_free(first.api, avoid, is_free)
    return Ports(api, _next_free(first.s3, {*avoid, api}, is_free))


def _next_free(start: int, avoid: Collection[int], free: Callable[[int], bool]) -> int:
    candidates = (port for port in range(start, min(start + 1000, 65536)) if port not in avoid)
    found = next((port for port in candidates if free(port)), None)
    if found is None:
        raise OSError(f"none of the ports from {start} on is free on 127.0.0.1")
    return found
