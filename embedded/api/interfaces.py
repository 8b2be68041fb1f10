"""What the server needs of the runner, without knowing it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class LogOptions:
    """The query of GET pods/{name}/log. `tail_lines` and `limit_bytes` count what is sent."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class ExecOptions:
    """The query of pods/{name}/exec. Without a `container`, the pod's only or default one is meant."""

    command: tuple[str, ...]
    container: str = ""
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


class ExecSession(Protocol):
    """A command that runs inside a container. A caller awaits `run`, and meanwhile hands on what its client sends."""

    async def run(self, send: Callable[[int, bytes], Awaitable[None]]) -> int:
        """Pass output on as (1 for stdout or 2 for stderr, bytes) until the command has ended; its exit code."""
        ...

    async def write(self, data: bytes) -> None:
        """To its stdin."""
        ...

    def close_input(self) -> None: ...

    def resize(self, columns: int, rows: int) -> None: ...


class ExecError(Exception):
    """A command can't be started inside a container; the message says why."""


class KubeletApi(Protocol):
    """Gives the output of containers, and runs commands inside of them."""

    def exec_target(self, namespace: str, pod: str, container: str) -> str:
        """The name of the running container that is meant.

        Raises:
            ApiError: 404 without such a pod; 400 without such a container, or when the pod is over; 500 when the
                container does not run.
        """
        ...

    def exec(self, namespace: str, pod: str, options: ExecOptions) -> ExecSession:
        """Start a command inside a running container.

        Raises:
            ApiError: as `exec_target`.
            ExecError: it can't be started.
        """
        ...

    def read_log(self, namespace: str, pod: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """The log in chunks; with `follow` until the container has ended.

        Raises:
            ApiError: before the first chunk: 404 without such a pod, 400 without such a container or log.
        """
        ...
