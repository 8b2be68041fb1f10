"""A running collector with its store, and readers of what it collects."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from controller.command_mark import CommandMark
from controller.logs import (
    Frame,
    Lines,
    LogCollector,
    LogReader,
    Stream,
)
from controller.logs.live.hub import LogHub
from tests.unit.controller.logs.fakes import FailingStore, FakeLogServer, no_sleep, timestamped_line

STREAM = Stream("ns", "run-1", "build", 1, "step")
MARK = CommandMark.of_attempt("run-1", "build", 1)
NAMED: dict[str, Any] = {"namespace": "ns", "run_uid": "run-1", "slug": "build", "attempt": 1, "container": "step"}


class Collection:
    """A running collector, its store and a reader."""

    def __init__(self, folder: Path, cluster: FakeLogServer, hub: LogHub | None = None, **more: Any) -> None:
        self.store = FailingStore(folder, b"key", "http://localhost")
        self.archived: asyncio.Queue[Stream] = asyncio.Queue()
        self.collector = LogCollector(
            cluster, self.store, time.monotonic, self.archived.put_nowait, hub=hub, sleep=no_sleep, **more
        )
        self.reader = LogReader(self.collector.hub, self.store)

    def follow(self, secrets: tuple[bytes, ...] = (), **changed: Any) -> None:
        self.collector.follow(**{**NAMED, **changed}, pod="pod", pod_uid="pod-uid", secrets=secrets)

    async def text(self, **how: Any) -> bytes:
        return b"".join([piece async for piece in self.reader.text(STREAM, **how)])


@asynccontextmanager
async def run_collector(
    folder: Path, cluster: FakeLogServer, hub: LogHub | None = None, **more: Any
) -> AsyncIterator[Collection]:
    found = Collection(folder, cluster, hub, **more)
    running = asyncio.create_task(found.collector.run())
    try:
        yield found
    finally:
        running.cancel()
        await asyncio.wait({running})


def numbered(count: int) -> list[bytes]:
    return [timestamped_line(1 + number / 1000, b"line %d\n" % number) for number in range(1, count + 1)]


def mark(index: int) -> bytes:
    return f"{MARK.prefix}{index}{MARK.suffix}\n".encode()


async def collect(logs: Collection, finished: asyncio.Event, **how: Any) -> list[Frame]:
    return [frame async for frame in logs.reader.follow_run("ns", "run-1", finished=finished, **how)]


def frame_kinds(frames: Sequence[Frame]) -> list[str]:
    found: list[str] = []
    for frame in frames:
        name = type(frame).__name__
        if not found or found[-1] != name or name != "Lines":
            found.append(name)
    return found


def numbers(frames: list[Frame], stream: Stream = STREAM) -> list[int]:
    lines = (frame for frame in frames if isinstance(frame, Lines) and frame.stream == stream)
    return [line.number for frame in lines for line in frame.lines]
