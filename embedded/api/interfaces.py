"""The interface between the API server and the kubelet."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class LogOptions:
    """The query of GET pods/{name}/log. `tail_lines` and `limit_bytes` limit the response."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class ExecOptions:
    """The query of pods/{name}/exec. An empty `container` selects the pod's only or default one."""

    command: tuple[str, ...]
    container: str = ""
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


class ExecSession(Protocol):
    """A command that runs in a container. The caller awaits `run` and meanwhile forwards the client's input."""

    async def run(self, send: Callable[[int, bytes], Awaitable[None]]) -> int:
        """Send output as (1 for stdout or 2 for stderr, bytes) until the command ends; returns its exit code."""
        ...

    async def write(self, data: bytes) -> None:
        """Write to the command's stdin."""
        ...

    def close_input(self) -> None: ...

    def resize(self, columns: int, rows: int) -> None: ...


class ExecError(Exception):
    """A command cannot be started in a container. The message states the cause."""


class KubeletApi(Protocol):
    """Reads the logs of containers and runs commands in them."""

    def exec_target(self, namespace: str, pod: str, container: str) -> str:
        """Resolve the name of the running container; empty selects the default one.

        Raises:
            ApiError: 404, the pod does not exist; 400, the container does not exist or the pod has finished; 500, the
                container is not running.
        """
        ...

    async def exec(self, namespace: str, pod: str, options: ExecOptions) -> ExecSession:
        """Start a command in a running container.

        Raises:
            ApiError: as `exec_target`.
            ExecError: the command cannot be started.
        """
        ...

    async def read_metrics(self, namespace: str, matches: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """The PodMetrics of the pods that run, of a namespace or (empty) of all, as far as they can be measured."""
        ...

    async def read_node_metrics(self, matches: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """The NodeMetrics of the node, if it exists and its labels match."""
        ...

    def read_log(self, namespace: str, pod: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """Read the log in chunks; with `follow` until the container ends.

        Raises:
            ApiError: before the first chunk: 404, the pod does not exist; 400, it has no such container or log.
        """
        ...
