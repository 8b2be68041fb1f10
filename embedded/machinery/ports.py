"""What the server needs of the runner, without knowing it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
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


class PodLogs(Protocol):
    """Gives the output of containers."""

    def read_log(self, namespace: str, pod: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """The log in chunks; with `follow` until the container has ended.

        Raises:
            ApiError: before the first chunk: 404 without such a pod, 400 without such a container or log.
        """
        ...
