"""A cluster that serves one container's log as a kubelet does, and breaks it off where a test says so."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from controller.kube import ApiError, NotFoundError, Resource, UnreachableError
from controller.logs.timestamps import parse_timestamp
from controller.storage import DirectoryStore, ObjectInfo, StoreUnavailableError

T0 = "2026-01-01T00:00:"


def timestamped_line(at: float, text: bytes) -> bytes:
    second, rest = divmod(round(at * 10**9), 10**9)
    return f"{T0}{second:02d}.{rest:09d}Z ".encode() + text


@dataclass
class FakeLogServer:
    """`lines` are stamped lines with their newlines. Each connection serves what the script says: how many bytes
    before it breaks (None: all), as many connections as there are entries; later ones serve all.
    """

    lines: list[bytes]
    breaks: list[int | None] = field(default_factory=list)
    piece: int = 7
    exit_code: int | None = 0
    not_started: int = 0
    running_until_connection: int = 0
    gone: bool = False
    rotated: bool = False
    clean_breaks: bool = False
    restarts: tuple[int, float] | None = None
    """The number of restarts from the second connection on, and the second of the last start."""
    connections: list[str | None] = field(default_factory=list)
    on_connect: Callable[[], Awaitable[None]] | None = None

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        if self.gone:
            raise NotFoundError("no pod")
        if len(self.connections) < self.running_until_connection:
            state: dict[str, Any] = {"running": {}}
        else:
            state = {"terminated": {"exitCode": self.exit_code}}
        status = {"name": "step", "state": state}
        if self.restarts is not None and len(self.connections) > 1:
            next(iter(state.values()))["startedAt"] = f"{T0}{int(self.restarts[1]):02d}Z"
            status["restartCount"] = self.restarts[0]
        return {
            "metadata": {"uid": "pod-uid"},
            "status": {"phase": "Running", "containerStatuses": [status]},
        }

    async def stream_log(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool = True,
        since_time: str | None = None,
        timestamps: bool = True,
    ) -> AsyncGenerator[bytes, None]:
        if self.not_started:
            self.not_started -= 1
            raise ApiError("waiting to start: ContainerCreating", status=400, reason="BadRequest")
        if self.gone:
            raise NotFoundError("no pod")
        self.connections.append(since_time)
        if self.on_connect is not None:
            await self.on_connect()
        limit = self.breaks[len(self.connections) - 1] if len(self.connections) <= len(self.breaks) else None
        data = b"".join(self._since(since_time))
        for at in range(0, len(data) if limit is None else min(limit, len(data)), self.piece):
            await asyncio.sleep(0)
            yield data[at : at + self.piece if limit is None else min(at + self.piece, limit)]
        if limit is not None and not self.clean_breaks:
            raise UnreachableError("the stream broke off")

    def _since(self, since: str | None) -> list[bytes]:
        if since is None:
            return self.lines
        if self.rotated:
            return self.lines[-1:]
        begin = parse_timestamp(since.encode())
        return [line for line in self.lines if parse_timestamp(line.partition(b" ")[0]) >= begin]


class FailingStore(DirectoryStore):
    """A directory that refuses so many writes."""

    failures = 0
    puts = 0

    async def put(self, key: str, data: Any, *, if_absent: bool = False) -> ObjectInfo:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("the store is away")
        self.puts += 1
        return await super().put(key, data, if_absent=if_absent)


async def no_sleep(_: float) -> None:
    """A sleep that only lets others run."""
    await asyncio.sleep(0)
